// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the programs that /tests lists, one after the other, and passes on what
 * they print, a line each with the program's name, into the kernel's log. There
 * no message of the kernel gets into the middle of a line.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../guest.h"

#define MAX_ARGS	16
/* Of one program, in an emulator. */
#define TIMEOUT		1200

static void set(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		say("compare: %s: %s", file, strerror(errno));
	close(fd);
}

static void leave(void)
{
	char *how = getenv("guest_end");

	say("compare: end");
	sync();
	if (how && !strcmp(how, "poweroff"))
		reboot(RB_POWER_OFF);
	reboot(RB_AUTOBOOT);
}

/* Passes on the lines of a program, until it is silent for good or late. */
static int follow(const char *name, int fd, time_t end)
{
	static char text[4096];
	size_t used = 0;
	char *newline;
	ssize_t got;

	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

		if (poll(&poll_fd, 1, 1000) > 0) {
			got = read(fd, text + used, sizeof(text) - 1 - used);
			if (got <= 0)
				break;
			used += got;
			text[used] = '\0';
			while ((newline = strchr(text, '\n'))) {
				*newline = '\0';
				say("compare: %s| %.700s", name, text);
				used -= newline + 1 - text;
				memmove(text, newline + 1, used + 1);
			}
			if (used == sizeof(text) - 1)
				used = 0;
		}
		if (time(NULL) > end)
			return -1;
	}
	if (used)
		say("compare: %s| %.700s", name, text);
	return 0;
}

static void run(char *line)
{
	char title[128], path[64], *args[MAX_ARGS + 1] = { path };
	int out[2], status, late, nr = 1;
	pid_t pid;

	snprintf(title, sizeof(title), "%s", line);
	snprintf(path, sizeof(path), "/bin/%s", strtok(line, " "));
	while (nr < MAX_ARGS && (args[nr] = strtok(NULL, " ")))
		nr++;
	if (access(path, X_OK)) {
		say("compare: %s| not built", title);
		return;
	}
	if (pipe(out)) {
		say("compare: %s| pipe: %s", title, strerror(errno));
		return;
	}
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		close(out[0]);
		close(out[1]);
		if (chdir("/tmp"))
			_exit(126);
		execv(path, args);
		_exit(127);
	}
	close(out[1]);
	late = pid < 0 ? -1 : follow(title, out[0], time(NULL) + TIMEOUT);
	close(out[0]);
	/* Whatever it leaves behind must not get into the next one's way. */
	kill(-pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		say("compare: %s| exit: lost", title);
	else if (late)
		say("compare: %s| exit: timeout", title);
	else if (WIFSIGNALED(status))
		say("compare: %s| exit: signal %d", title, WTERMSIG(status));
	else
		say("compare: %s| exit: %d", title, WEXITSTATUS(status));
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int main(void)
{
	char line[128];
	FILE *tests;

	kmsg = open("/dev/kmsg", O_WRONLY);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
	mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL);
	symlink("/proc/self/fd", "/dev/fd");
	set("/proc/sys/kernel/printk_devkmsg", "on");
	set("/proc/sys/vm/nr_hugepages", "16");
	set("/proc/sys/vm/unprivileged_userfaultfd", "1");
	signal(SIGPIPE, SIG_IGN);

	tests = fopen("/tests", "r");
	while (tests && fgets(line, sizeof(line), tests)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] && line[0] != '#')
			run(line);
	}
	leave();
	return 1;
}
