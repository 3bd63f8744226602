// SPDX-License-Identifier: GPL-2.0
/*
 * The only program of the kernels that bench.sh boots: what user space asks of
 * page tables, for regions of 1 to 16384 pages.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>

#include "../guest.h"
#include "mark.h"

/* Since Linux 6.7, in linux/fs.h, which is older here. */
struct pm_scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask;
	uint64_t return_mask;
};

struct page_region {
	uint64_t start, end, categories;
};

#define PAGEMAP_SCAN	_IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_PRESENT	(1 << 3)

/* From linux/mman.h of 5.4 */
#ifndef MADV_COLD
#define MADV_COLD	20
#endif

#define MAX_BYTES	(256UL << 20)

static void leave(void)
{
	char *how = getenv("kunit_shutdown");

	/* As the emulator of the platform ends. */
	reboot(how && !strcmp(how, "poweroff") ? RB_POWER_OFF : RB_AUTOBOOT);
}

static void check(int ok, const char *what)
{
	if (ok)
		return;
	say("<3>bench: failed: %s\n", what);
	leave();
}

static void touch(char *p, size_t size, size_t page)
{
	size_t i;

	for (i = 0; i < size; i += page)
		*(volatile char *)(p + i) = 1;
}

static void look(char *p, size_t size, size_t page)
{
	size_t i;

	for (i = 0; i < size; i += page)
		(void)*(volatile char *)(p + i);
}

static void child(void)
{
	pid_t pid;

	mark_start();
	pid = fork();
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	mark_stop();
	check(pid > 0, "fork");
}

/* A program that only ends: this one, linked in two ways. */
static void execute(const char *program, const char *row)
{
	char *const arguments[] = { "init", "end", NULL };
	int rep, status;
	pid_t pid;

	say("<5>bench: 0 %s\n", row);
	for (rep = 0; rep < BENCH_REPS; rep++) {
		mark_start();
		pid = fork();
		if (!pid) {
			execv(program, arguments);
			_exit(1);
		}
		waitpid(pid, &status, 0);
		mark_stop();
		check(pid > 0 && !status, "exec");
	}
}

static long scan(int pagemap, char *p, size_t size)
{
	struct page_region region;
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = (unsigned long)p,
		.end = (unsigned long)p + size,
		.vec = (unsigned long)&region,
		.vec_len = 1,
		.category_mask = PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_PRESENT,
	};
	long ret;

	mark_start();
	ret = ioctl(pagemap, PAGEMAP_SCAN, &arg);
	mark_stop();
	return ret;
}

static int advise(char *p, size_t size, int advice)
{
	int ret;

	mark_start();
	ret = madvise(p, size, advice);
	mark_stop();
	return ret;
}

static int protect(char *p, size_t size, int prot)
{
	int ret;

	mark_start();
	ret = mprotect(p, size, prot);
	mark_stop();
	return ret;
}

/* 1: referenced, 4: soft-dirty, where it is tracked. */
static int clear_refs(const char *what)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY);
	ssize_t ret;

	mark_start();
	ret = write(fd, what, 1);
	mark_stop();
	close(fd);
	return ret == 1;
}

/* A file whose pages are all in the page cache. */
static int cached_file(size_t size, size_t page)
{
	int fd = open("/file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	size_t i;

	check(fd >= 0, "/file");
	for (i = 0; i < size; i += page)
		check(pwrite(fd, "x", 1, i) == 1 && !ftruncate(fd, i + page), "/file");
	return fd;
}

static void measure(int pagemap, size_t pages)
{
	const size_t page = getpagesize(), size = pages * page;
	int rep, ret, fd = cached_file(size, page);
	char *hole, *p, *q;

	say("<5>bench: %zu mmap(file)+touch mmap+touch pagemap_scan fork+exit"
	    " mprotect(R) mprotect(RW) mremap"
	    " madvise(COLD) clear_refs(1) clear_refs(4)"
	    " madvise(FREE) madvise(DONTNEED) touch munmap\n",
	    pages);
	/* Room for two, the second one not aligned to the first one. */
	hole = mmap(NULL, 3 * size + page, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	check(hole != MAP_FAILED, "mmap");
	for (rep = 0; rep < BENCH_REPS; rep++) {
		mark_start();
		p = mmap(hole, size, PROT_READ, MAP_FIXED | MAP_SHARED, fd, 0);
		look(p, size, page);
		mark_stop();
		check(p == hole, "mmap of a file");
		check(!munmap(p, size), "munmap of a file");

		mark_start();
		p = mmap(hole, size, PROT_READ | PROT_WRITE,
			 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		touch(p, size, page);
		mark_stop();
		check(p == hole, "mmap");

		check(scan(pagemap, p, size) >= 0, "PAGEMAP_SCAN");
		child();

		/* What is not in a TLB needs no flush: use it each time. */
		touch(p, size, page);
		check(!protect(p, size, PROT_READ), "mprotect");
		look(p, size, page);
		check(!protect(p, size, PROT_READ | PROT_WRITE), "mprotect");

		touch(p, size, page);
		mark_start();
		q = mremap(p, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
			   hole + size + page);
		mark_stop();
		check(q == hole + size + page, "mremap");

		touch(q, size, page);
		check(!advise(q, size, MADV_COLD), "MADV_COLD");
		touch(q, size, page);
		check(clear_refs("1"), "clear_refs");
		touch(q, size, page);
		check(clear_refs("4"), "clear_refs");
		touch(q, size, page);
		check(!advise(q, size, MADV_FREE), "MADV_FREE");
		touch(q, size, page);
		check(!advise(q, size, MADV_DONTNEED), "MADV_DONTNEED");

		mark_start();
		touch(q, size, page);
		mark_stop();

		mark_start();
		ret = munmap(q, size);
		mark_stop();
		check(!ret, "munmap");
	}
	munmap(hole, 3 * size + page);
	close(fd);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 1, 16, 64, 512, 1000, 4096, 16384 };
	int pagemap;
	size_t i;

	if (argc > 1 && !strcmp(argv[1], "end"))
		return 0;

	kmsg = open("/dev/kmsg", O_WRONLY);
	check(!mount("proc", "/proc", "proc", 0, NULL), "mount");
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	check(pagemap >= 0, "pagemap");
	execute("/init", "fork+exec+exit");
	execute("/dynamic", "fork+exec+exit,dynamic");
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (sizes[i] * getpagesize() <= MAX_BYTES)
			measure(pagemap, sizes[i]);
	say("<5>bench: end\n");
	leave();
	return 0;
}
