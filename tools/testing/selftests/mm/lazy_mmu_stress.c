// SPDX-License-Identifier: GPL-2.0
/*
 * Everything that opens lazy MMU sections, all at once: processes that fork,
 * exec and exit, that map, protect, move, age, page out, free, scan and track
 * memory, that run short of it, are killed for it or have allocations fail, and
 * threads of the kernel that map its own (mm/tests/lazy_mmu_stress.c). All check
 * what the memory holds. A line a second says how far they are.
 *
 *	lazy_mmu_stress [-s SEED] [-t SECONDS] [-i HOW]
 *
 * What a worker does in a round follows from the seed, the worker and the number
 * of the round, which is what a failure is reported with. What root or the kernel
 * does not provide is skipped. What is set is restored, however this ends.
 *
 * With -i it is the init of a machine that it takes over: it sets up all that it
 * needs, takes nothing missing for an answer, and at last shuts the machine down,
 * HOW being reboot, poweroff or halt.
 */
#define _GNU_SOURCE
/* Or __u64 is something else on some architectures. */
#define __SANE_USERSPACE_TYPES__
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/types.h>
#include <linux/userfaultfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "../kselftest.h"

/* What headers of a C library may lack. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	0x2000
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC	0x8000
#endif

/* As struct pm_scan_arg and struct page_region in <linux/fs.h> since 6.7. */
struct scan_arg {
	__u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
	__u64 category_inverted, category_mask, category_anyof_mask;
	__u64 return_mask;
};

struct scan_region {
	__u64 start, end, categories;
};

#define SCAN			_IOWR('f', 16, struct scan_arg)
#define SCAN_IS_WRITTEN		0x2
#define SCAN_IS_PRESENT		0x8
#define SCAN_IS_SWAPPED		0x10
#define SCAN_WP_MATCHING	0x1
#define SCAN_CHECK_WPASYNC	0x2

#define MAX_PAGES	512
#define MAX_BYTES	(2UL << 20)
/* A worker that does nothing for this long hangs. */
#define PATIENCE	60

enum operation {
	OP_MMAP, OP_TOUCH, OP_MUNMAP, OP_CHECKED,
	OP_MPROTECT, OP_MREMAP, OP_COLD, OP_PAGEOUT, OP_FREE, OP_DONTNEED, OP_SCAN,
	OP_CLEAR_REFS,
	OP_FORK, OP_EXEC, OP_KILL,
	OP_WRITTEN, OP_SHORT, OP_OOM_KILL, OP_NOMEM,
	NR_OPERATIONS
};

/* The kernel's threads are no worker, but are looked at like one. */
enum { MAP, FORK, WRITTEN, SHORT, OOM, FAULTY, MAP_2, FORK_2, NR_WORKERS, KERNEL = NR_WORKERS };

static const struct {
	const char *name;
	/* Without it the operation need not be done. */
	unsigned int worker;
} operations[] = {
	{ "mmap", FORK }, { "touch", FORK }, { "munmap", FORK }, { "checked", FORK },
	{ "mprotect", MAP }, { "mremap", MAP }, { "cold", MAP }, { "pageout", MAP },
	{ "free", MAP }, { "dontneed", MAP }, { "scan", MAP },
	{ "clear_refs", MAP },
	{ "fork", FORK }, { "exec", FORK }, { "kill", FORK },
	{ "written", WRITTEN }, { "short", SHORT }, { "oom_kill", OOM }, { "nomem", FAULTY },
};

static_assert(ARRAY_SIZE(operations) == NR_OPERATIONS, "an operation has no name");

struct worker {
	const char *name;
	void (*round)(void);
	/* Something to do before the first round; false if it cannot work. */
	bool (*prepare)(void);
	/* What is not there then. */
	const char *needs;
};

static const struct worker workers[NR_WORKERS + 1];

/* Where all processes see it. */
static struct {
	pid_t main_pid;
	int stop;
	int failed;
	struct {
		/* 0 if it has ended, -1 for the kernel's threads. */
		pid_t pid;
		/* That it forked last. */
		pid_t child;
		/* Why there is none, an errno. */
		int absent;
		__u64 round;
		__u64 done[NR_OPERATIONS];
	} workers[NR_WORKERS + 1];
	/* Files that were changed, and what they said; directories that were made: "". */
	unsigned int nr_settings;
	struct {
		char path[128];
		char old[32];
	} settings[4096];
} *shared;

/* Of this process. */
static unsigned int self;
static __u64 random_state;
static int pagemap = -1, clear_refs = -1;
static int uffd = -1;
/* Allocations for it are made to fail. */
static bool is_faulty;

static __u64 seed = 1;
static unsigned int seconds = 30;
static size_t page_size;
/* How to shut the machine down, if this has taken it over. */
static const char *takeover;
/* Restores what was set once the main process has closed the pipe. */
static pid_t keeper;
static int alive[2];
/* What ends the main process early. */
static sigset_t signals;

#define say(format, ...)	ksft_print_msg("stress: " format "\n", ##__VA_ARGS__)

/* Files of the kernel. */

static __printf(2, 3) bool write_file(const char *path, const char *format, ...)
{
	char text[64];
	va_list args;
	int fd, len;
	bool ok;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, len) == len;
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = 0, ret = -1;

	if (fd >= 0) {
		while ((ret = read(fd, text + len, size - 1 - len)) > 0)
			len += ret;
		close(fd);
	}
	text[len] = 0;
	return !ret;
}

/* The number behind a name, in a file with a line for each. */
static __u64 number_in(const char *path, const char *name)
{
	static char text[1 << 15];
	size_t len = strlen(name);
	char *line;

	read_file(path, text, sizeof(text));
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && line[len] == ' ')
			return strtoull(line + len, NULL, 10);
	}
	return 0;
}

/* What is changed outside, and who restores it. */

static bool remember(const char *path, const char *old)
{
	unsigned int i = shared->nr_settings;

	if (i == ARRAY_SIZE(shared->settings) ||
	    strlen(path) >= sizeof(shared->settings[i].path)) {
		errno = ENOSPC;
		return false;
	}
	snprintf(shared->settings[i].path, sizeof(shared->settings[i].path), "%s", path);
	snprintf(shared->settings[i].old, sizeof(shared->settings[i].old), "%s", old);
	shared->nr_settings++;
	return true;
}

static bool forget(bool ok)
{
	if (!ok)
		shared->nr_settings--;
	return ok;
}

static bool set(const char *path, const char *value)
{
	char old[32];

	return read_file(path, old, sizeof(old)) && remember(path, old) &&
	       forget(write_file(path, "%s", value));
}

/* The last one first. Directories are cgroups, whose processes take a while to end. */
static int restore(void)
{
	unsigned int i, tries = 0;
	int status = 0;

	for (i = 0; i < NR_WORKERS; i++)
		if (shared->workers[i].pid > 0)
			kill(-shared->workers[i].pid, SIGKILL);
	for (i = shared->nr_settings; i--;) {
		const char *path = shared->settings[i].path, *old = shared->settings[i].old;

		while (*old ? !write_file(path, "%s", old) : rmdir(path) && errno != ENOENT) {
			if (errno == EBUSY && tries++ < 1000) {
				usleep(10000);
				continue;
			}
			say("not restored: %s: %s", path, strerror(errno));
			status = 1;
			break;
		}
	}
	return status;
}

/* Only the main process has the end of the pipe open, so that even SIGKILL closes it. */
static void start_keeper(void)
{
	char none;

	keeper = pipe(alive) ? -1 : fork();
	if (keeper < 0)
		ksft_exit_fail_perror("keeper");
	close(alive[!keeper]);
	if (keeper)
		return;
	/* Apart from what ends the others. */
	setsid();
	signal(SIGPIPE, SIG_IGN);
	while (read(alive[0], &none, 1) > 0)
		;
	_exit(restore());
}

static bool end_keeper(void)
{
	int status;

	/* The keeper may hang, and is not to be waited for then. */
	sigprocmask(SIG_UNBLOCK, &signals, NULL);
	close(alive[1]);
	if (waitpid(keeper, &status, 0) != keeper || WIFSIGNALED(status))
		status = restore();
	return !status;
}

static void shut_down(void)
{
	reboot(!strcmp(takeover, "poweroff") ? RB_POWER_OFF :
	       !strcmp(takeover, "halt") ? RB_HALT_SYSTEM : RB_AUTOBOOT);
}

/* Ends the main process for a failure or a signal. */
static __noreturn void give_up(int sig)
{
	if (takeover)
		shut_down();
	if (keeper > 0)
		end_keeper();
	raise(sig);
	ksft_exit_fail_msg("stress: failed\n");
}

/* Reports the first failure, and ends the process that found it. */
static __printf(1, 2) __noreturn void fail(const char *format, ...)
{
	bool is_main = getpid() == shared->main_pid;
	char what[256];
	va_list args;

	/* The report is not to fail, too. */
	while (is_faulty && !write_file("/proc/self/make-it-fail", "0"))
		;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (!__atomic_exchange_n(&shared->failed, 1, __ATOMIC_SEQ_CST)) {
		if (is_main)
			say("FAILED: %s: seed %llu", what, seed);
		else
			say("FAILED: %s: seed %llu worker %s round %llu", what, seed,
			    workers[self].name, shared->workers[self].round);
	}
	if (is_main)
		give_up(0);
	_exit(1);
}

static void done(enum operation operation)
{
	__atomic_fetch_add(&shared->workers[self].done[operation], 1, __ATOMIC_RELAXED);
}

/* Whether an operation worked. It must, unless allocations are made to fail. */
static bool worked(bool ok, enum operation operation)
{
	if (ok) {
		done(operation);
		return true;
	}
	if (!is_faulty || (errno != ENOMEM && errno != EAGAIN))
		fail("lost: %s: %s", operations[operation].name, strerror(errno));
	done(OP_NOMEM);
	return false;
}

/* splitmix64, a step of it */
static __u64 mix(__u64 x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static __u64 next_random(void)
{
	random_state += 0x9e3779b97f4a7c15;
	return mix(random_state);
}

static unsigned int below(unsigned int limit)
{
	return next_random() % limit;
}

static unsigned int max_pages(void)
{
	size_t max = MAX_BYTES / page_size;

	return max < MAX_PAGES ? max : MAX_PAGES;
}

/* Mapped memory, and what each page of it is to hold. */
struct region {
	char *base;
	unsigned int nr;
	/* What has the pages that were not written to, or -1. */
	int file;
	struct {
		/* FREED: what it held, or zeroes. */
		enum { ABSENT, ZERO, DATA, FREED } state;
		__u64 tag;
	} pages[MAX_PAGES * 16];
};

/* One a process is enough. Not on the stack, which would have to grow. */
static struct region region;

/* Nobody writes to it, so all of it is zeroes. */
static int zeroes = -1;

static void make_zeroes(void)
{
	const size_t size = ARRAY_SIZE(region.pages) * page_size;
	FILE *file = tmpfile();

	if (file && !ftruncate(fileno(file), size))
		zeroes = fileno(file);
	else if (takeover)
		fail("setup: a file: %s", strerror(errno));
	else
		say("no file is mapped: %s", strerror(errno));
}

static __u64 *word_at(char *page, unsigned int i, unsigned int word)
{
	const unsigned int words = page_size / sizeof(__u64);

	return (__u64 *)page + (word * (words / 4 + 1) + i) % words;
}

static void check_page_at(char *page, unsigned int i)
{
	int state = region.pages[i].state;
	unsigned int word;

	for (word = 0; word < 4; word++) {
		__u64 is = __atomic_load_n(word_at(page, i, word), __ATOMIC_RELAXED);
		__u64 ought = state == ZERO ? 0 : mix(region.pages[i].tag + word);

		if (state == FREED) {
			/* As a whole, either of both. */
			state = is ? DATA : ZERO;
			ought = is ? ought : 0;
		}
		if (is != ought)
			fail("mismatch: page %u of %u at %p: word %u is %llx instead of %llx",
			     i, region.nr, page, word, is, ought);
	}
	done(OP_CHECKED);
}

static void check_pages(unsigned int from, unsigned int to)
{
	for (; from < to; from++)
		if (region.pages[from].state != ABSENT)
			check_page_at(region.base + from * page_size, from);
}

static void fill_pages(unsigned int from, unsigned int to)
{
	unsigned int word;
	char *page;

	for (; from < to; from++) {
		if (region.pages[from].state == ABSENT)
			continue;
		page = region.base + from * page_size;
		region.pages[from].tag = next_random();
		region.pages[from].state = DATA;
		for (word = 0; word < 4; word++)
			__atomic_store_n(word_at(page, from, word),
					 mix(region.pages[from].tag + word), __ATOMIC_RELAXED);
	}
	done(OP_TOUCH);
}

static bool map_pages(void *at, unsigned int from, unsigned int to, int flags)
{
	void *p = mmap(at, (to - from) * page_size, PROT_READ | PROT_WRITE,
		       (region.file < 0 ? MAP_ANONYMOUS : 0) | flags, region.file,
		       region.file < 0 ? 0 : from * page_size);

	if (!worked(p != MAP_FAILED && (!at || p == at), OP_MMAP))
		return false;
	if (!at)
		region.base = p;
	for (; from < to; from++)
		region.pages[from].state = ZERO;
	return true;
}

static bool map_region_of(int file, unsigned int nr, int flags)
{
	region.nr = nr;
	region.file = file;
	return map_pages(NULL, 0, nr, flags);
}

static bool map_region(unsigned int nr, int flags)
{
	return map_region_of(-1, nr, flags);
}

static void unmap_region(void)
{
	while (!worked(!munmap(region.base, region.nr * page_size), OP_MUNMAP))
		;
}

static bool has_holes(unsigned int from, unsigned int to)
{
	while (from < to)
		if (region.pages[from++].state == ABSENT)
			return true;
	return false;
}

static void do_mprotect(unsigned int from, unsigned int to)
{
	char *p = region.base + from * page_size;
	size_t size = (to - from) * page_size;

	if (has_holes(from, to))
		return;
	/* If it fails, it may have come as far as another mapping. */
	if (worked(!mprotect(p, size, PROT_READ), OP_MPROTECT)) {
		check_pages(from, to);
		/* The kernel does not write to it, either. */
		if (!syscall(SYS_sysinfo, p) || errno != EFAULT)
			fail("mismatch: page %u is read-only, and was written to", from);
	}
	while (!worked(!mprotect(p, size, PROT_READ | PROT_WRITE), OP_MPROTECT))
		;
}

/* There, a look, and back. */
static void do_mremap(unsigned int from, unsigned int to)
{
	char *p, *there;
	unsigned int i;
	size_t size;
	void *hole;

	if (!below(3)) {
		from = 0;
		to = region.nr;
	}
	p = region.base + from * page_size;
	size = (to - from) * page_size;
	if (has_holes(from, to))
		return;
	hole = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!worked(hole != MAP_FAILED, OP_MMAP))
		return;
	there = mremap(p, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, hole);
	/* It may consist of several mappings. */
	if ((there == MAP_FAILED && errno == EFAULT) || !worked(there == hole, OP_MREMAP)) {
		munmap(hole, size);
		return;
	}
	for (i = from; i < to; i++)
		check_page_at(there + (i - from) * page_size, i);
	while (!worked(mremap(there, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p,
		       OP_MREMAP))
		;
}

/* Shorter, and longer again. */
static void do_resize(unsigned int from, unsigned int to)
{
	size_t less = from * page_size;
	char *p = region.base;

	if (!from || has_holes(0, region.nr))
		return;
	if (!worked(mremap(p, region.nr * page_size, less, 0) == p, OP_MREMAP))
		return;
	region.nr = from;
	p = mremap(p, less, to * page_size, MREMAP_MAYMOVE);
	/* It may consist of several mappings. */
	if ((p == MAP_FAILED && errno == EFAULT) || !worked(p != MAP_FAILED, OP_MREMAP))
		return;
	region.base = p;
	for (; region.nr < to; region.nr++)
		region.pages[region.nr].state = ZERO;
}

static void do_munmap(unsigned int from, unsigned int to)
{
	char *p = region.base + from * page_size;
	size_t size = (to - from) * page_size;
	unsigned int i;

	if (!worked(!munmap(p, size), OP_MUNMAP))
		return;
	for (i = from; i < to; i++)
		region.pages[i].state = ABSENT;
	if (below(2))
		while (!map_pages(p, from, to, MAP_PRIVATE | MAP_FIXED))
			;
}

static void do_madvise(unsigned int from, unsigned int to, enum operation operation)
{
	static const int advices[] = {
		[OP_COLD] = MADV_COLD, [OP_PAGEOUT] = MADV_PAGEOUT,
		[OP_FREE] = MADV_FREE, [OP_DONTNEED] = MADV_DONTNEED,
	};
	char *p = region.base + from * page_size;
	int ret = madvise(p, (to - from) * page_size, advices[operation]);
	unsigned int i;

	/* Of the rest it was done. */
	if (ret && errno == ENOMEM && has_holes(from, to) && !is_faulty)
		ret = 0;
	/* That is for memory alone. */
	if (ret && errno == EINVAL && operation == OP_FREE && region.file >= 0)
		return;
	worked(!ret, operation);
	for (i = from; i < to; i++) {
		if (operation == OP_FREE && region.pages[i].state == DATA)
			region.pages[i].state = FREED;
		/* If it failed, it did so somewhere. */
		if (operation == OP_DONTNEED && region.pages[i].state != ABSENT)
			region.pages[i].state = ret && region.pages[i].state != ZERO ?
						FREED : ZERO;
	}
}

static long scan(unsigned int from, unsigned int to, struct scan_arg *arg,
		 struct scan_region *found, unsigned int nr_found)
{
	arg->size = sizeof(*arg);
	arg->start = (unsigned long)region.base + from * page_size;
	arg->end = (unsigned long)region.base + to * page_size;
	arg->vec = (unsigned long)found;
	arg->vec_len = nr_found;
	return ioctl(pagemap, SCAN, arg);
}

static bool is_found(unsigned int i, const struct scan_region *found, long nr_found)
{
	__u64 addr = (unsigned long)region.base + i * page_size;

	while (nr_found--)
		if (addr >= found[nr_found].start && addr < found[nr_found].end)
			return true;
	return false;
}

/* What holds data is in memory or in swap, and what is not there is in neither. */
static void do_scan(unsigned int from, unsigned int to)
{
	static struct scan_region found[MAX_PAGES];
	struct scan_arg arg = {
		.category_anyof_mask = SCAN_IS_PRESENT | SCAN_IS_SWAPPED,
		.return_mask = SCAN_IS_PRESENT | SCAN_IS_SWAPPED,
	};
	long nr = scan(from, to, &arg, found, ARRAY_SIZE(found));

	if (!worked(nr >= 0, OP_SCAN))
		return;
	for (; from < to; from++) {
		if (region.pages[from].state == DATA && !is_found(from, found, nr))
			fail("mismatch: page %u holds data, but a scan does not find it",
			     from);
		if (region.pages[from].state == ABSENT && is_found(from, found, nr))
			fail("mismatch: page %u is not mapped, but a scan finds it", from);
	}
}

/* Of all pages: that they were accessed, or that they were written to. */
static void do_clear_refs(unsigned int from, unsigned int to)
{
	worked(write(clear_refs, below(2) ? "1" : "4", 1) == 1, OP_CLEAR_REFS);
}

static void map_round(void)
{
	static void (* const changes[])(unsigned int from, unsigned int to) = {
		fill_pages, fill_pages, do_mprotect, do_mremap, do_mremap, do_munmap,
		do_scan, do_resize, do_clear_refs,
	};
	unsigned int steps = 8 + below(16);

	/* A file may have no memory for a page of its own, and say so by a signal. */
	if (!map_region_of(is_faulty || below(3) ? -1 : zeroes,
			   1 + below(1 + below(max_pages())), MAP_PRIVATE))
		return;
	fill_pages(0, region.nr);
	while (steps--) {
		unsigned int what = below(ARRAY_SIZE(changes) + 4);
		unsigned int from = below(region.nr);
		unsigned int to = from + 1 + below(region.nr - from);

		if (what < ARRAY_SIZE(changes))
			changes[what](from, to);
		else
			do_madvise(from, to, OP_COLD + what - ARRAY_SIZE(changes));
		from = below(region.nr);
		check_pages(from, from + 1 + below(region.nr - from));
	}
	check_pages(0, region.nr);
	unmap_region();
}

/* Before allocations fail: a file of /proc without memory is one that does not exist. */
static bool open_own_files(void)
{
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	clear_refs = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	return pagemap >= 0 && clear_refs >= 0;
}

/* Children that change what they share with their parent, one way or another. */

static pid_t fork_checked(void)
{
	pid_t pid = fork();

	if (pid) {
		worked(pid > 0, OP_FORK);
		shared->workers[self].child = pid;
	}
	return pid;
}

/* The child is there, and ends as it is to: with this code, or by -signal. */
static void wait_for(pid_t pid, int end)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		fail("lost: process %d is not there any more", pid);
	if (end >= 0 ? WIFEXITED(status) && WEXITSTATUS(status) == end :
	    WIFSIGNALED(status) && WTERMSIG(status) == -end)
		return;
	/* That it failed has been reported. */
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1 &&
	    __atomic_load_n(&shared->failed, __ATOMIC_SEQ_CST))
		_exit(1);
	fail("lost: process %d ended with status %#x instead of %d", pid, status, end);
}

/* Not 1, which says that something failed. */
static int exit_code(__u64 tag)
{
	return 2 + tag % 100;
}

/* The program that a child executes: its arguments and memory are what they are. */
static int child_main(char **argv)
{
	static __u64 memory[1 << 14];
	__u64 tag = strtoull(argv[2], NULL, 16);
	unsigned int i;

	if (strtoull(argv[3], NULL, 16) != mix(tag))
		return 101 + 2;
	for (i = 0; i < ARRAY_SIZE(memory); i += 64)
		memory[i] = mix(tag + i);
	for (i = 0; i < ARRAY_SIZE(memory); i++)
		if (memory[i] != (i % 64 ? 0 : mix(tag + i)))
			return 102 + 2;
	return exit_code(tag);
}

static void exec_child(__u64 tag)
{
	char hex[2][20];

	snprintf(hex[0], sizeof(hex[0]), "%llx", tag);
	snprintf(hex[1], sizeof(hex[1]), "%llx", mix(tag));
	execl("/proc/self/exe", "lazy_mmu_stress", "--child", hex[0], hex[1], NULL);
	fail("lost: exec: %s", strerror(errno));
}

static void fork_round(void)
{
	struct {
		pid_t pid;
		int end;
	} children[4];
	unsigned int i, nr = 1 + below(ARRAY_SIZE(children));
	unsigned int from, to;
	pid_t pid;

	map_region(1 + below(1 + below(max_pages())), MAP_PRIVATE);
	fill_pages(0, region.nr);
	for (i = 0; i < nr; i++) {
		unsigned int what = below(4);
		__u64 tag = next_random();

		from = below(region.nr);
		to = from + 1 + below(region.nr - from);
		children[i].end = what == 3 ? -SIGKILL : exit_code(tag);
		children[i].pid = fork_checked();
		if (children[i].pid)
			continue;

		check_pages(0, region.nr);
		fill_pages(from, to);
		if (what == 1) {
			done(OP_EXEC);
			exec_child(tag);
		} else if (what == 2) {
			pid = fork_checked();
			if (!pid) {
				fill_pages(0, to);
				check_pages(0, region.nr);
				_exit(exit_code(~tag));
			}
			wait_for(pid, exit_code(~tag));
		}
		while (what == 3)
			check_pages(0, region.nr);
		check_pages(0, region.nr);
		_exit(exit_code(tag));
	}

	from = below(region.nr);
	fill_pages(from, region.nr);
	check_pages(0, region.nr);
	for (i = 0; i < nr; i++) {
		if (children[i].end < 0) {
			kill(children[i].pid, SIGKILL);
			done(OP_KILL);
		}
		wait_for(children[i].pid, children[i].end);
	}
	check_pages(0, region.nr);
	unmap_region();
}

/* Which pages were written to, as userfaultfd and PAGEMAP_SCAN tell. */

static bool prepare_written(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
	};

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	return uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api) && open_own_files();
}

static void written_round(void)
{
	static struct scan_region found[MAX_PAGES];
	static bool is_written[MAX_PAGES];
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_WP };
	unsigned int i, passes = 1 + below(4);
	struct scan_arg arg;
	long nr;

	map_region(1 + below(max_pages()), MAP_PRIVATE);
	range.range.start = (unsigned long)region.base;
	range.range.len = region.nr * page_size;
	if (ioctl(uffd, UFFDIO_REGISTER, &range))
		fail("lost: UFFDIO_REGISTER: %s", strerror(errno));
	fill_pages(0, region.nr);
	for (i = 0; i < region.nr; i++)
		is_written[i] = true;
	while (passes--) {
		if (!below(3))
			do_madvise(0, region.nr, OP_PAGEOUT);
		/* Protects them again, at the same time or in a second call. */
		arg = (struct scan_arg) {
			.flags = SCAN_CHECK_WPASYNC,
			.category_mask = SCAN_IS_WRITTEN,
			.return_mask = SCAN_IS_WRITTEN,
		};
		if (below(2))
			arg.flags |= SCAN_WP_MATCHING;
		nr = scan(0, region.nr, &arg, found, ARRAY_SIZE(found));
		worked(nr >= 0, OP_WRITTEN);
		for (i = 0; i < region.nr; i++)
			if (is_found(i, found, nr) != is_written[i])
				fail("mismatch: page %u of %u was %s, a scan says otherwise",
				     i, region.nr, is_written[i] ? "written" : "not written");
		arg.flags |= SCAN_WP_MATCHING;
		if (scan(0, region.nr, &arg, NULL, 0) < 0)
			fail("lost: PAGEMAP_SCAN: %s", strerror(errno));
		check_pages(0, region.nr);
		/* The next write then finds pages that nobody has used. */
		if (!below(3))
			do_madvise(0, region.nr, OP_COLD);
		for (i = 0; i < region.nr; i++) {
			is_written[i] = !below(3);
			if (is_written[i])
				fill_pages(i, i + 1);
		}
	}
	check_pages(0, region.nr);
	unmap_region();
}

/* Memory that is short, in a control group of its own. */

#define CGROUPS		"/sys/fs/cgroup"
#define GROUP_SHORT	"lazy_mmu_stress_short"
#define GROUP_OOM	"lazy_mmu_stress_oom"

static char *in_group(const char *group, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), CGROUPS "/%s/%s", group, file);
	return path;
}

/* Enough for what is charged ahead, a batch of pages a CPU. */
static size_t limit(void)
{
	return page_size > 8192 ? 32 << 20 : 4 << 20;
}

static bool make_group(const char *group, size_t swap)
{
	const char *control = CGROUPS "/cgroup.subtree_control";
	char text[256];

	if (!read_file(control, text, sizeof(text)) ||
	    (!strstr(text, "memory") &&
	     !(remember(control, "-memory") && forget(write_file(control, "+memory")))))
		return false;
	return remember(in_group(group, ""), "") &&
	       forget(!mkdir(in_group(group, ""), 0755)) &&
	       write_file(in_group(group, "memory.max"), "%zu", limit()) &&
	       write_file(in_group(group, "memory.swap.max"), "%zu", swap);
}

static void enter_group(const char *group)
{
	if (!write_file(in_group(group, "cgroup.procs"), "0"))
		fail("lost: cannot enter %s: %s", group, strerror(errno));
}

static bool prepare_short(void)
{
	errno = ENOSPC;
	return number_in("/proc/meminfo", "SwapFree:") * 1024 >= 3 * limit() &&
	       make_group(GROUP_SHORT, 2 * limit());
}

static void short_round(void)
{
	bool is_shared = below(2);
	pid_t pid = fork_checked();
	unsigned int i, n;

	if (pid) {
		wait_for(pid, 0);
		return;
	}
	enter_group(GROUP_SHORT);
	/* Half as much again as there is. */
	map_region(limit() / 2 * 3 / page_size, is_shared ? MAP_SHARED : MAP_PRIVATE);
	fill_pages(0, region.nr);
	done(OP_SHORT);
	for (n = 0; n < region.nr / 4; n++) {
		i = below(region.nr);
		check_pages(i, i + 1);
		if (below(2))
			fill_pages(i, i + 1);
	}
	check_pages(0, region.nr);
	unmap_region();
	_exit(0);
}

static bool prepare_oom(void)
{
	/* They are meant, and many. */
	set("/proc/sys/vm/oom_dump_tasks", "0");
	return make_group(GROUP_OOM, limit() / 4);
}

static void oom_round(void)
{
	__u64 killed = number_in(in_group(GROUP_OOM, "memory.events"), "oom_kill");
	unsigned int i, nr = 1 + below(2);
	pid_t pids[2];

	for (i = 0; i < nr; i++) {
		pids[i] = fork_checked();
		if (pids[i])
			continue;
		enter_group(GROUP_OOM);
		map_region(2 * limit() / page_size, MAP_PRIVATE);
		for (;;) {
			fill_pages(0, region.nr);
			check_pages(0, region.nr);
		}
	}
	for (i = 0; i < nr; i++) {
		wait_for(pids[i], -SIGKILL);
		done(OP_OOM_KILL);
	}
	if (number_in(in_group(GROUP_OOM, "memory.events"), "oom_kill") < killed + nr)
		fail("lost: a process was killed, and not for lack of memory");
	usleep(500000);
}

/* Allocations that fail, in a process of its own: here one must not. */

static const char * const fault_kinds[] = {
	"/sys/kernel/debug/failslab", "/sys/kernel/debug/fail_page_alloc",
};

static bool prepare_faulty(void)
{
	static const struct {
		const char *file, *value;
	} files[] = {
		{ "probability", "0" }, { "task-filter", "1" }, { "times", "-1" },
		{ "interval", "1" }, { "verbose", "0" }, { "ignore-gfp-wait", "0" },
		{ "min-order", "0" },
	};
	struct dirent *entry;
	unsigned int i, j;
	char path[300];
	DIR *caches;

	if (access("/proc/self/make-it-fail", W_OK))
		return false;
	for (i = 0; i < ARRAY_SIZE(fault_kinds); i++)
		for (j = 0; j < ARRAY_SIZE(files); j++) {
			snprintf(path, sizeof(path), "%s/%s", fault_kinds[i], files[j].file);
			/* Not all have the last one. */
			if (!set(path, files[j].value) && (errno != ENOENT || !j))
				return false;
		}
	/*
	 * failslab is to spare one cache: without it vmalloc() cannot divide the
	 * space that is free, and warns. What is merged with it is spared, too.
	 */
	caches = opendir("/sys/kernel/slab");
	while (caches && (entry = readdir(caches))) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/failslab", entry->d_name);
		if (strcmp(entry->d_name, "vmap_area") && entry->d_name[0] != '.')
			set(path, "1");
	}
	if (caches)
		closedir(caches);
	return set("/sys/kernel/debug/failslab/cache-filter", "1");
}

static void set_faults(unsigned int percent)
{
	unsigned int i;
	char path[64];

	for (i = 0; !shared->workers[FAULTY].absent && i < ARRAY_SIZE(fault_kinds); i++) {
		snprintf(path, sizeof(path), "%s/probability", fault_kinds[i]);
		if (!write_file(path, "%u", percent))
			fail("lost: %s: %s", path, strerror(errno));
	}
}

static void faulty_round(void)
{
	pid_t child, pid = fork_checked();
	unsigned int i;

	if (pid) {
		wait_for(pid, 0);
		return;
	}
	if (!open_own_files() || !write_file("/proc/self/make-it-fail", "1"))
		fail("lost: make-it-fail: %s", strerror(errno));
	is_faulty = true;
	for (i = 0; i < 8; i++) {
		map_round();
		if (!map_region(1 + below(max_pages()), MAP_PRIVATE))
			continue;
		fill_pages(0, region.nr);
		child = fork_checked();
		check_pages(0, region.nr);
		if (!child)
			_exit(0);
		if (child > 0)
			wait_for(child, 0);
		unmap_region();
	}
	_exit(0);
}

static const struct worker workers[] = {
	[MAP] = { "map-1", map_round, open_own_files, "pagemap" },
	[FORK] = { "fork-1", fork_round, NULL, NULL },
	[WRITTEN] = { "written", written_round, prepare_written, "userfaultfd of writes" },
	[SHORT] = { "short", short_round, prepare_short, "swap and cgroups" },
	[OOM] = { "oom", oom_round, prepare_oom, "cgroups" },
	[FAULTY] = { "faulty", faulty_round, prepare_faulty, "fault injection" },
	[MAP_2] = { "map-2", map_round, open_own_files, "pagemap" },
	[FORK_2] = { "fork-2", fork_round, NULL, NULL },
	[KERNEL] = { "kernel", NULL, NULL, "LAZY_MMU_MODE_STRESS" },
};

static void work(void)
{
	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		random_state = mix(mix(seed) + self) +
			       shared->workers[self].round * 0x2545f4914f6cdd1d;
		workers[self].round();
		shared->workers[self].round++;
	}
	_exit(0);
}

/* What is looked at from outside: the kernel's threads, and all workers. */

#define STATS	"/sys/kernel/debug/lazy_mmu_stress/stats"
#define RUN	"/sys/kernel/debug/lazy_mmu_stress/run"
static const char * const kernel_operations[] = {
	"vmalloc", "vmalloc_huge", "vmap", "vmap_range", "apply", "reapply",
};

static __u64 total(enum operation operation)
{
	__u64 sum = 0;
	unsigned int i;

	for (i = 0; i < NR_WORKERS; i++)
		sum += __atomic_load_n(&shared->workers[i].done[operation],
				       __ATOMIC_RELAXED);
	return sum;
}

static __u64 done_by(unsigned int worker)
{
	__u64 sum = 0;
	unsigned int i;

	if (worker == KERNEL) {
		sum = number_in(STATS, "mismatches");
		/* The warnings need not have ended anything. */
		if (sum)
			fail("mismatch: %llu by the kernel's threads, see its log", sum);
		for (i = 0; i < ARRAY_SIZE(kernel_operations); i++)
			sum += number_in(STATS, kernel_operations[i]);
		return sum + number_in(STATS, "nomem") + number_in(STATS, "refused");
	}
	for (i = 0; i < NR_OPERATIONS; i++)
		sum += __atomic_load_n(&shared->workers[worker].done[i], __ATOMIC_RELAXED);
	return sum;
}

static void show_file(const char *path, const char *what)
{
	char text[1024], *line, *rest = text;

	if (!read_file(path, text, sizeof(text)))
		return;
	while ((line = strsep(&rest, "\n")) && *line)
		say("%s: %s", what, line);
}

static void show_stack(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	show_file(path, path);
}

static void report_hang(unsigned int worker)
{
	show_stack(shared->workers[worker].pid);
	show_stack(shared->workers[worker].child);
	fail("hang: nothing done for %d s by worker %s in round %llu", PATIENCE,
	     workers[worker].name, shared->workers[worker].round);
}

static unsigned int now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Reaps what ended. Before the end nothing does. */
static unsigned int reap(bool is_end)
{
	unsigned int i, nr = 0;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		/* Reported by the one that ended. */
		if (__atomic_load_n(&shared->failed, __ATOMIC_SEQ_CST))
			give_up(0);
		for (i = 0; i < NR_WORKERS && shared->workers[i].pid != pid; i++)
			;
		if (i == NR_WORKERS)
			fail("lost: process %d without a parent, status %#x", pid, status);
		if (!is_end || status)
			fail("lost: worker %s ended with status %#x in round %llu",
			     workers[i].name, status, shared->workers[i].round);
		shared->workers[i].pid = 0;
	}
	for (i = 0; i < NR_WORKERS; i++)
		nr += shared->workers[i].pid > 0;
	return nr;
}

static void progress(unsigned int second)
{
	unsigned int op;

	printf("# stress: %u s:", second);
	for (op = 0; op < NR_OPERATIONS; op++)
		printf(" %s %llu", operations[op].name, total(op));
	if (!shared->workers[KERNEL].absent)
		printf(" kernel %llu", done_by(KERNEL));
	printf("\n");
}

/* Looks on until the time is over and all workers have ended. */
static void look_on(void)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	unsigned int start = now(), shown = start, seen[NR_WORKERS + 1], i;
	__u64 last[NR_WORKERS + 1] = {}, sum;
	bool is_end = false;
	int sig;

	for (i = 0; i <= KERNEL; i++)
		seen[i] = start;
	for (;;) {
		sig = sigtimedwait(&signals, NULL, &pause);
		if (sig > 0) {
			say("ended early: %s", strsignal(sig));
			give_up(sig);
		}
		if (!reap(is_end) && is_end)
			return;
		if (now() == shown)
			continue;
		shown = now();
		progress(shown - start);
		/* Two seconds of four. */
		set_faults((shown - start) & 2 ? 4 : 0);
		for (i = 0; i <= KERNEL; i++) {
			sum = done_by(i);
			if (!shared->workers[i].pid || sum != last[i])
				seen[i] = shown;
			last[i] = sum;
			if (shown - seen[i] >= PATIENCE)
				report_hang(i);
		}
		if (shown - start >= seconds) {
			is_end = true;
			__atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
		}
	}
}

static void set_up_swap(void)
{
	const char *device = "/dev/ram0";
	struct {
		char boot[1024];
		__u32 version, last_page, nr_bad;
	} *header;
	off_t size;
	int fd;

	mknod(device, S_IFBLK | 0600, makedev(1, 0));
	fd = open(device, O_RDWR | O_CLOEXEC);
	size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	header = calloc(1, page_size);
	if (size <= 0 || !header)
		fail("setup: %s: %s", device, strerror(errno));
	header->version = 1;
	header->last_page = size / page_size - 1;
	memcpy((char *)header + page_size - 10, "SWAPSPACE2", 10);
	if (pwrite(fd, header, page_size, 0) != (ssize_t)page_size || fsync(fd) ||
	    close(fd) || swapon(device, 0))
		fail("setup: swap on %s: %s", device, strerror(errno));
	free(header);
}

/* Several sizes of pages, where there are. */
static void set_up_huge_pages(void)
{
	static const unsigned int sizes[] = { 16, 64, 512 };
	char path[96];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		snprintf(path, sizeof(path),
			 "/sys/kernel/mm/transparent_hugepage/hugepages-%ukB/enabled",
			 sizes[i]);
		write_file(path, "always");
	}
	write_file("/sys/kernel/mm/transparent_hugepage/enabled", "always");
}

static void take_over(void)
{
	static const char * const mounts[][2] = {
		{ "proc", "/proc" }, { "sysfs", "/sys" },
		{ "debugfs", "/sys/kernel/debug" }, { "cgroup2", CGROUPS },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mounts); i++)
		if (mount(mounts[i][0], mounts[i][1], mounts[i][0], 0, NULL))
			fail("setup: mount of %s: %s", mounts[i][0], strerror(errno));
	set_up_swap();
	set_up_huge_pages();
}

static void leave_out(unsigned int worker, int error)
{
	shared->workers[worker].absent = error;
	/* Not every architecture has that. */
	if (takeover && (worker != WRITTEN || error != EINVAL))
		fail("setup: %s: %s", workers[worker].needs, strerror(error));
}

static void start_worker(unsigned int i)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != shared->main_pid)
			_exit(1);
		/* To be killed with all that it forks. */
		setsid();
		close(alive[1]);
		self = i;
		if (workers[i].prepare && !workers[i].prepare())
			_exit(errno);
		raise(SIGSTOP);
		work();
	}
	if (pid < 0 || waitpid(pid, &status, WUNTRACED) != pid)
		fail("setup: worker %s: %s", workers[i].name, strerror(errno));
	if (WIFSTOPPED(status)) {
		shared->workers[i].pid = pid;
		kill(pid, SIGCONT);
	} else if (WIFEXITED(status) && WEXITSTATUS(status)) {
		leave_out(i, WEXITSTATUS(status));
	} else {
		fail("lost: worker %s ended with status %#x", workers[i].name, status);
	}
}

static void result(const char *name, __u64 nr, unsigned int worker)
{
	int absent = shared->workers[worker].absent;

	if (nr || !absent) {
		if (!nr && takeover)
			fail("setup: %s was never done", name);
		ksft_test_result_code(nr ? KSFT_PASS : KSFT_SKIP, name,
				      "%llu times in %u s", nr, seconds);
	} else {
		ksft_test_result_code(KSFT_SKIP, name, "%s: %s", workers[worker].needs,
				      strerror(absent));
	}
}

/* What was to be done was done, at least once. */
static void show_results(void)
{
	__u64 swapped = number_in("/proc/vmstat", "pswpout");
	unsigned int i;

	if (done_by(KERNEL))
		show_file(STATS, "kernel");
	say("swapped: out %llu in %llu", swapped, number_in("/proc/vmstat", "pswpin"));
	if (takeover && !swapped)
		fail("setup: nothing was swapped");
	for (i = 0; i < NR_OPERATIONS; i++)
		result(operations[i].name, total(i), operations[i].worker);
	for (i = 0; i < ARRAY_SIZE(kernel_operations); i++)
		result(kernel_operations[i], number_in(STATS, kernel_operations[i]), KERNEL);
}

static __u64 number(const char *text, const char *what, __u64 max)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || !n || n > max) {
		fprintf(stderr, "lazy_mmu_stress: %s is no %s\n", text, what);
		exit(2);
	}
	return n;
}

/* But for those to be ignored: nohup. */
static void block_signals(void)
{
	static const int ends[] = { SIGHUP, SIGINT, SIGQUIT, SIGALRM, SIGTERM };
	struct sigaction action;
	unsigned int i;

	sigemptyset(&signals);
	for (i = 0; i < ARRAY_SIZE(ends); i++)
		if (!sigaction(ends[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(&signals, ends[i]);
	sigprocmask(SIG_BLOCK, &signals, NULL);
}

int main(int argc, char **argv)
{
	unsigned int i;
	char text[24];
	int option;

	if (argc == 4 && !strcmp(argv[1], "--child"))
		return child_main(argv);

	page_size = getpagesize();
	while ((option = getopt(argc, argv, "s:t:i:")) != -1) {
		switch (option) {
		case 's':
			seed = number(optarg, "seed", UINT64_MAX);
			break;
		case 't':
			seconds = number(optarg, "number of seconds", 1000000);
			break;
		case 'i':
			takeover = optarg;
			break;
		default:
			fprintf(stderr, "usage: lazy_mmu_stress [-s SEED] [-t SECONDS] [-i HOW]\n");
			return 2;
		}
	}
	if (takeover && getpid() != 1) {
		fprintf(stderr, "lazy_mmu_stress: -i is for the init of a machine\n");
		return 2;
	}
	/* Of two, one would restore what the other one has set. */
	if (flock(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), LOCK_EX | LOCK_NB) &&
	    errno == EWOULDBLOCK)
		ksft_exit_skip("another lazy_mmu_stress has not ended yet\n");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	shared->main_pid = getpid();
	/* As messages of the kernel, so that no other one gets into them. */
	if (takeover && !freopen("/dev/kmsg", "w", stdout))
		fail("setup: /dev/kmsg");

	ksft_print_header();
	ksft_set_plan(NR_OPERATIONS + ARRAY_SIZE(kernel_operations));
	if (takeover)
		take_over();
	say("seed %llu, %u s, %ld CPUs, pages of %zu bytes", seed, seconds,
	    sysconf(_SC_NPROCESSORS_ONLN), page_size);
	block_signals();
	start_keeper();
	make_zeroes();
	for (i = 0; i < NR_WORKERS; i++)
		start_worker(i);
	snprintf(text, sizeof(text), "%llu", seed);
	if (set(RUN, text))
		shared->workers[KERNEL].pid = -1;
	else
		leave_out(KERNEL, errno);

	look_on();

	if (!end_keeper())
		fail("lost: settings are not restored");
	if (waitpid(-1, NULL, 0) != -1 || errno != ECHILD)
		fail("lost: there are children left");
	if (takeover && swapoff("/dev/ram0"))
		fail("lost: swapoff: %s", strerror(errno));
	show_results();
	say("passed: seed %llu, %u s", seed, seconds);
	if (takeover)
		shut_down();
	ksft_finished();
}
