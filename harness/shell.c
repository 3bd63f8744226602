// SPDX-License-Identifier: GPL-2.0
/*
 * The init of the kernel that runs the tests, for a boot that runs none: starts
 * the stress program if stress_seconds is on the kernel's command line, and else
 * a shell. That is busybox if there is one, or knows a few commands itself, for
 * architectures that Debian has no static shell for.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ARGS	32

static void list(const char *dir)
{
	struct dirent **names;
	int i, nr = scandir(dir, &names, NULL, alphasort);

	if (nr < 0)
		perror(dir);
	for (i = 0; i < nr; i++)
		puts(names[i]->d_name);
}

static void cat(const char *file)
{
	int fd = open(file, O_RDONLY);
	char text[4096];
	ssize_t nr;

	while ((nr = read(fd, text, sizeof(text))) > 0)
		if (write(1, text, nr) != nr)
			break;
	if (nr < 0)
		perror(file);
	close(fd);
}

/* In a child. */
static void command(int argc, char **argv)
{
	char path[256];
	int i;

	if (argc > 2 && argv[argc - 2][0] == '>') {
		char *file = argv[argc - 1];
		int fd = open(file, O_WRONLY | O_CREAT |
			      (argv[argc - 2][1] ? O_APPEND : O_TRUNC), 0644);

		if (fd < 0) {
			perror(file);
			exit(1);
		}
		dup2(fd, 1);
		argc -= 2;
		argv[argc] = NULL;
	}
	if (!strcmp(argv[0], "echo")) {
		for (i = 1; i < argc; i++)
			printf("%s%s", argv[i], i + 1 < argc ? " " : "");
		puts("");
	} else if (!strcmp(argv[0], "cat")) {
		for (i = 1; i < argc; i++)
			cat(argv[i]);
	} else if (!strcmp(argv[0], "ls")) {
		list(argc > 1 ? argv[1] : ".");
	} else {
		snprintf(path, sizeof(path), strchr(argv[0], '/') ? "%s" : "/bin/%s", argv[0]);
		execv(path, argv);
		perror(argv[0]);
	}
	if (fflush(stdout))
		perror(argv[0]);
	exit(0);
}

/* Waits for a child, and for all that are left behind. */
static void reap(pid_t child)
{
	pid_t pid;

	do {
		pid = wait(NULL);
	} while (pid >= 0 ? pid != child : errno == EINTR);
}

static void shell(void)
{
	char line[1024], *argv[MAX_ARGS + 1];
	pid_t pid;
	int argc;

	puts("cd DIR, ls [DIR], cat FILE..., echo TEXT..., exit, programs by their path; COMMAND > FILE, COMMAND >> FILE");
	while (printf("# "), fflush(stdout), fgets(line, sizeof(line), stdin)) {
		argc = 0;
		argv[0] = strtok(line, " \t\r\n");
		while (argv[argc] && argc < MAX_ARGS)
			argv[++argc] = strtok(NULL, " \t\r\n");
		argv[argc] = NULL;
		if (!argc)
			continue;
		if (!strcmp(argv[0], "exit"))
			break;
		if (!strcmp(argv[0], "cd")) {
			if (chdir(argc > 1 ? argv[1] : "/"))
				perror("cd");
			continue;
		}
		pid = fork();
		if (!pid)
			command(argc, argv);
		reap(pid);
	}
}

int main(void)
{
	char *end = getenv("guest_end");
	pid_t pid;

	if (!end)
		end = "reboot";
	if (getenv("stress_seconds")) {
		/* Which the kernel keeps to itself. */
		setenv("kunit_shutdown", end, 1);
		execl("/stress", "/stress", NULL);
		perror("/stress");
	}
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	setenv("PATH", "/bin", 1);
	if (access("/bin/busybox", X_OK)) {
		shell();
	} else {
		pid = fork();
		if (!pid) {
			execl("/bin/busybox", "sh", "-c",
			      "/bin/busybox --install -s /bin; exec sh", NULL);
			_exit(127);
		}
		reap(pid);
	}
	sync();
	reboot(!strcmp(end, "poweroff") ? RB_POWER_OFF : RB_AUTOBOOT);
	return 1;
}
