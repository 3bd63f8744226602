// SPDX-License-Identifier: GPL-2.0
/*
 * The init of the kernel that runs the tests. What is on the kernel's command line
 * decides: with stress_seconds it starts the stress program, with again=NAME it
 * runs once more the KUnit suites whose names begin so, else it starts a shell.
 * That is busybox if there is one, or knows a few commands itself, for
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

#include "guest.h"

#define KUNIT		"/sys/kernel/debug/kunit"
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

/* What debugfs is for. Says the first line of a result that failed. */
static void again(const char *suite)
{
	char path[300], line[300];
	FILE *file;
	int fd;

	snprintf(path, sizeof(path), KUNIT "/%s/run", suite);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "1", 1) != 1) {
		say("again: %s: %s: %s\n", suite, path, strerror(errno));
		return;
	}
	close(fd);
	snprintf(path, sizeof(path), KUNIT "/%s/results", suite);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line + strspn(line, " "), "not ok", 6)) {
			say("again: %s: %s", suite, line);
			break;
		}
	}
	if (!file)
		say("again: %s: %s: %s\n", suite, path, strerror(errno));
	else
		fclose(file);
}

static void run_again(const char *prefix)
{
	struct dirent **names;
	int i, nr = scandir(KUNIT, &names, NULL, alphasort), nr_run = 0;

	kmsg = open("/dev/kmsg", O_WRONLY);
	for (i = 0; i < nr; i++) {
		if (!strncmp(names[i]->d_name, prefix, strlen(prefix))) {
			again(names[i]->d_name);
			nr_run++;
		}
	}
	say("again: %d suites\n", nr_run);
	/* PREEMPT_RT prints in a thread, which the end does not wait for. */
	sleep(1);
}

int main(void)
{
	char *end = getenv("guest_end"), *prefix = getenv("again");
	pid_t pid;

	if (!end)
		end = "reboot";
	if (getenv("stress_seconds")) {
		execl("/stress", "/stress", "-i", end, "-t", getenv("stress_seconds"),
		      "-s", getenv("stress_seed"), NULL);
		perror("/stress");
	}
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	setenv("PATH", "/bin", 1);
	if (prefix) {
		run_again(prefix);
	} else if (access("/bin/busybox", X_OK)) {
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
