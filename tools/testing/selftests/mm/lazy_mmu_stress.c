// SPDX-License-Identifier: GPL-2.0
/*
 * Everything that opens lazy MMU sections, all at once: processes that fork,
 * exec and exit, that map, protect, move, age, page out, free and scan memory,
 * that run short of it, are killed for it or have allocations fail, and threads
 * of the kernel that map its own (mm/tests/lazy_mmu_stress.c). All check what
 * the memory holds. A line a second says how far they are.
 *
 *	lazy_mmu_stress [-s SEED] [-t SECONDS]
 *
 * What a worker does in a round follows from the seed, the worker and the number
 * of the round, which is what a failure is reported with.
 *
 * As the init of a kernel it takes stress_seed and stress_seconds from the
 * kernel's command line, sets up all that it needs, takes nothing missing for an
 * answer, and shuts down. Otherwise what root or the kernel does not provide is
 * left out, with a line that says so.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "../kselftest.h"

/* What headers of a C library may lack. */
#ifndef MADV_COLD
#define MADV_COLD	20
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY	1
#endif
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	0x2000
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC	0x8000
#endif

/* As struct pm_scan_arg and struct page_region in <linux/fs.h> since 6.7. */
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask;
	uint64_t return_mask;
};

struct scan_region {
	uint64_t start, end, categories;
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
	OP_MMAP,
	OP_TOUCH,
	OP_MPROTECT,
	OP_MREMAP,
	OP_MUNMAP,
	OP_COLD,
	OP_PAGEOUT,
	OP_FREE,
	OP_DONTNEED,
	OP_SCAN,
	OP_WRITTEN,
	OP_FORK,
	OP_EXEC,
	OP_KILL,
	OP_SHORT,
	OP_OOM_KILL,
	OP_NOMEM,
	OP_CHECKED,
	NR_OPERATIONS
};

static const char * const operation_names[] = {
	[OP_MMAP] = "mmap",
	[OP_TOUCH] = "touch",
	[OP_MPROTECT] = "mprotect",
	[OP_MREMAP] = "mremap",
	[OP_MUNMAP] = "munmap",
	[OP_COLD] = "cold",
	[OP_PAGEOUT] = "pageout",
	[OP_FREE] = "free",
	[OP_DONTNEED] = "dontneed",
	[OP_SCAN] = "scan",
	[OP_WRITTEN] = "written",
	[OP_FORK] = "fork",
	[OP_EXEC] = "exec",
	[OP_KILL] = "kill",
	[OP_SHORT] = "short",
	[OP_OOM_KILL] = "oom_kill",
	[OP_NOMEM] = "nomem",
	[OP_CHECKED] = "checked",
};

struct worker {
	const char *name;
	void (*round)(void);
	/* Something to do before the first round; false if it cannot work. */
	bool (*prepare)(void);
};

#define MAX_WORKERS	16

/* Where all processes see it. */
static struct {
	pid_t main_pid;
	int stop;
	int failed;
	struct {
		pid_t pid;
		bool absent;
		uint64_t round;
		uint64_t done[NR_OPERATIONS];
	} workers[MAX_WORKERS];
} *shared;

/* Of this process. */
static unsigned int self;
static uint64_t random_state;
static int pagemap = -1;
static int uffd = -1;
/* Allocations for it are made to fail. */
static bool is_faulty;

static uint64_t seed = 1;
static unsigned int seconds = 30;
static size_t page_size;
static bool is_init;
static const char *cgroups = "/sys/fs/cgroup";

static const struct worker workers[];

static void say_line(const char *level, const char *format, va_list args)
{
	static int kmsg = -1;
	char line[512];
	int len;

	/* As a message of the kernel, so that no other one gets into it. */
	if (is_init && kmsg < 0)
		kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	len = snprintf(line, sizeof(line), "%sstress: ", kmsg < 0 ? "" : level);
	len += vsnprintf(line + len, sizeof(line) - len - 1, format, args);
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	if (write(kmsg < 0 ? STDOUT_FILENO : kmsg, line, len) != len)
		_exit(2);
}

static __printf(1, 2) void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_line("<5>", format, args);
	va_end(args);
}

static void shut_down(void)
{
	char *how = getenv("kunit_shutdown");

	/* As the emulator of the platform ends. */
	reboot(how && !strcmp(how, "poweroff") ? RB_POWER_OFF :
	       how && !strcmp(how, "halt") ? RB_HALT_SYSTEM : RB_AUTOBOOT);
}

/* Reports the first failure, and ends the process that found it. */
static __printf(1, 2) __noreturn void fail(const char *format, ...)
{
	char what[256];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (!shared || !__atomic_exchange_n(&shared->failed, 1, __ATOMIC_SEQ_CST)) {
		if (shared && getpid() != shared->main_pid)
			say("FAILED: %s: seed %llu worker %s round %llu", what,
			    (unsigned long long)seed, workers[self].name,
			    (unsigned long long)shared->workers[self].round);
		else
			say("FAILED: %s: seed %llu", what, (unsigned long long)seed);
	}
	if (getpid() == 1) {
		sync();
		shut_down();
	}
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
		fail("lost: %s: %s", operation_names[operation], strerror(errno));
	done(OP_NOMEM);
	return false;
}

/* splitmix64, a step of it */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static uint64_t next_random(void)
{
	random_state += 0x9e3779b97f4a7c15;
	return mix(random_state);
}

static unsigned int below(unsigned int limit)
{
	return next_random() % limit;
}

static void begin_round(uint64_t round)
{
	shared->workers[self].round = round;
	random_state = mix(mix(seed) + self) + round * 0x2545f4914f6cdd1d;
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
	struct {
		/* FREED: what it held, or zeroes. */
		enum { ABSENT, ZERO, DATA, FREED } state;
		uint64_t tag;
	} pages[MAX_PAGES * 16];
};

/* One a process is enough. Not on the stack, which would have to grow. */
static struct region region;

static uint64_t *word_at(char *page, unsigned int i, unsigned int word)
{
	const unsigned int words = page_size / sizeof(uint64_t);

	return (uint64_t *)page + (word * (words / 4 + 1) + i) % words;
}

static void check_page_at(char *page, unsigned int i)
{
	int state = region.pages[i].state;
	unsigned int word;

	for (word = 0; word < 4; word++) {
		uint64_t is = __atomic_load_n(word_at(page, i, word), __ATOMIC_RELAXED);
		uint64_t ought = state == ZERO ? 0 : mix(region.pages[i].tag + word);

		if (state == FREED) {
			/* As a whole, either of both. */
			state = is ? DATA : ZERO;
			ought = is ? ought : 0;
		}
		if (is != ought)
			fail("mismatch: page %u of %u at %p: word %u is %llx instead of %llx",
			     i, region.nr, page, word, (unsigned long long)is,
			     (unsigned long long)ought);
	}
	done(OP_CHECKED);
}

static void check_page(unsigned int i)
{
	if (region.pages[i].state != ABSENT)
		check_page_at(region.base + i * page_size, i);
}

static void check_pages(unsigned int from, unsigned int to)
{
	for (; from < to; from++)
		check_page(from);
}

static void fill_page(unsigned int i)
{
	char *page = region.base + i * page_size;
	uint64_t tag = next_random();
	unsigned int word;

	region.pages[i].tag = tag;
	region.pages[i].state = DATA;
	for (word = 0; word < 4; word++)
		__atomic_store_n(word_at(page, i, word), mix(tag + word),
				 __ATOMIC_RELAXED);
}

static void fill_pages(unsigned int from, unsigned int to)
{
	for (; from < to; from++)
		if (region.pages[from].state != ABSENT)
			fill_page(from);
	done(OP_TOUCH);
}

static bool map_pages(void *at, unsigned int from, unsigned int to, int flags)
{
	void *p = mmap(at, (to - from) * page_size, PROT_READ | PROT_WRITE,
		       MAP_ANONYMOUS | flags, -1, 0);

	if (!worked(p != MAP_FAILED && (!at || p == at), OP_MMAP))
		return false;
	if (!at)
		region.base = p;
	for (; from < to; from++)
		region.pages[from].state = ZERO;
	return true;
}

static bool map_region(unsigned int nr, int flags)
{
	region.nr = nr;
	return map_pages(NULL, 0, nr, flags);
}

static void unmap_region(void)
{
	while (!worked(!munmap(region.base, region.nr * page_size), OP_MUNMAP))
		;
}

static bool any_in_state(unsigned int from, unsigned int to, int state)
{
	for (; from < to; from++)
		if ((int)region.pages[from].state == state)
			return true;
	return false;
}

static void do_mprotect(unsigned int from, unsigned int to)
{
	char *p = region.base + from * page_size;
	size_t size = (to - from) * page_size;

	if (any_in_state(from, to, ABSENT))
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
	char *p = region.base + from * page_size, *there;
	size_t size = (to - from) * page_size;
	unsigned int i;
	void *hole;

	if (any_in_state(from, to, ABSENT))
		return;
	hole = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!worked(hole != MAP_FAILED, OP_MMAP))
		return;
	there = mremap(p, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, hole);
	if (there == MAP_FAILED && errno == EFAULT) {
		/* It consists of several mappings. */
		munmap(hole, size);
		return;
	}
	if (!worked(there == hole, OP_MREMAP)) {
		munmap(hole, size);
		return;
	}
	for (i = from; i < to; i++)
		check_page_at(there + (i - from) * page_size, i);
	while (!worked(mremap(there, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p,
		       OP_MREMAP))
		;
}

/* Shorter, and as long as before. */
static void do_resize(unsigned int from)
{
	size_t size = region.nr * page_size, less = from * page_size;
	char *p = region.base, *q;
	unsigned int i;

	if (!from || any_in_state(0, region.nr, ABSENT))
		return;
	if (!worked(mremap(p, size, less, 0) == p, OP_MREMAP))
		return;
	q = mremap(p, less, size, MREMAP_MAYMOVE);
	/* It may consist of several mappings. */
	if ((q == MAP_FAILED && errno == EFAULT) || !worked(q != MAP_FAILED, OP_MREMAP)) {
		region.nr = from;
		return;
	}
	region.base = q;
	for (i = from; i < region.nr; i++)
		region.pages[i].state = ZERO;
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

static void do_madvise(unsigned int from, unsigned int to, int advice,
		       enum operation operation)
{
	bool has_holes = any_in_state(from, to, ABSENT);
	char *p = region.base + from * page_size;
	int ret = madvise(p, (to - from) * page_size, advice);
	unsigned int i;

	/* Of the rest it was done. */
	if (ret && errno == ENOMEM && has_holes && !is_faulty)
		ret = 0;
	worked(!ret, operation);
	for (i = from; i < to; i++) {
		if (advice == MADV_FREE && region.pages[i].state == DATA)
			region.pages[i].state = FREED;
		/* If it failed, it did so somewhere. */
		if (advice == MADV_DONTNEED && region.pages[i].state != ABSENT)
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
	uint64_t addr = (unsigned long)region.base + i * page_size;

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

static void map_round(void)
{
	unsigned int steps = 8 + below(16);

	if (!map_region(1 + below(1 + below(max_pages())), MAP_PRIVATE))
		return;
	fill_pages(0, region.nr);
	while (steps--) {
		unsigned int from = below(region.nr);
		unsigned int to = from + 1 + below(region.nr - from);

		switch (below(12)) {
		case 0:
		case 1:
			fill_pages(from, to);
			break;
		case 2:
			do_mprotect(from, to);
			break;
		case 3:
			do_mremap(from, to);
			break;
		case 4:
			do_mremap(0, region.nr);
			break;
		case 5:
			do_munmap(from, to);
			break;
		case 6:
			do_madvise(from, to, MADV_COLD, OP_COLD);
			break;
		case 7:
			do_madvise(from, to, MADV_PAGEOUT, OP_PAGEOUT);
			break;
		case 8:
			do_madvise(from, to, MADV_FREE, OP_FREE);
			break;
		case 9:
			do_madvise(from, to, MADV_DONTNEED, OP_DONTNEED);
			break;
		case 10:
			do_scan(from, to);
			break;
		case 11:
			do_resize(from);
			break;
		}
		from = below(region.nr);
		check_pages(from, from + 1 + below(region.nr - from));
	}
	check_pages(0, region.nr);
	unmap_region();
}

static bool open_pagemap(void)
{
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	return pagemap >= 0;
}

/* Children that change what they share with their parent, one way or another. */

static pid_t fork_checked(void)
{
	pid_t pid = fork();

	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	else
		worked(pid > 0, OP_FORK);
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
static int exit_code(uint64_t tag)
{
	return 2 + tag % 100;
}

/* The program that a child executes: its arguments and memory are what they are. */
static int child_main(char **argv)
{
	static uint64_t memory[1 << 14];
	uint64_t tag = strtoull(argv[2], NULL, 16);
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

static void exec_child(uint64_t tag)
{
	char hex[2][20];

	snprintf(hex[0], sizeof(hex[0]), "%llx", (unsigned long long)tag);
	snprintf(hex[1], sizeof(hex[1]), "%llx", (unsigned long long)mix(tag));
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
		uint64_t tag = next_random();

		from = below(region.nr);
		to = from + 1 + below(region.nr - from);
		children[i].end = what == 3 ? -SIGKILL : exit_code(tag);
		children[i].pid = fork_checked();
		if (children[i].pid)
			continue;

		check_pages(0, region.nr);
		fill_pages(from, to);
		switch (what) {
		case 0:
			break;
		case 1:
			done(OP_EXEC);
			exec_child(tag);
			break;
		case 2:
			pid = fork_checked();
			if (!pid) {
				fill_pages(0, to);
				check_pages(0, region.nr);
				_exit(exit_code(~tag));
			}
			wait_for(pid, exit_code(~tag));
			break;
		case 3:
			for (;;)
				check_pages(0, region.nr);
			break;
		}
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
	return uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api) && open_pagemap();
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
			do_madvise(0, region.nr, MADV_PAGEOUT, OP_PAGEOUT);
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
			do_madvise(0, region.nr, MADV_COLD, OP_COLD);
		for (i = 0; i < region.nr; i++) {
			is_written[i] = !below(3);
			if (is_written[i])
				fill_page(i);
		}
	}
	check_pages(0, region.nr);
	unmap_region();
}

/* Files of the kernel. */

static bool write_file(const char *path, const char *format, ...)
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
static uint64_t number_in(const char *path, const char *name)
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

/* Memory that is short, in a control group of its own. */

#define GROUP_SHORT	"lazy_mmu_stress_short"
#define GROUP_OOM	"lazy_mmu_stress_oom"

static char *in_group(const char *group, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s/%s", cgroups, group, file);
	return path;
}

/* Enough for what is charged ahead, a batch of pages a CPU. */
static size_t limit(void)
{
	return page_size > 8192 ? 32 << 20 : 4 << 20;
}

static bool make_group(const char *group, size_t swap)
{
	write_file(in_group("", "cgroup.subtree_control"), "+memory");
	return (!mkdir(in_group(group, ""), 0755) || errno == EEXIST) &&
	       write_file(in_group(group, "memory.max"), "%zu", limit()) &&
	       write_file(in_group(group, "memory.swap.max"), "%zu", swap);
}

static void enter_group(const char *group)
{
	if (!write_file(in_group(group, "cgroup.procs"), "0"))
		fail("lost: cannot enter %s: %s", group, strerror(errno));
}

static bool has_swap(void)
{
	struct sysinfo info;

	if (!sysinfo(&info) && (uint64_t)info.freeswap * info.mem_unit >= 3 * limit())
		return true;
	errno = ENOSPC;
	return false;
}

static bool prepare_short(void)
{
	return has_swap() && make_group(GROUP_SHORT, 2 * limit());
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
		check_page(i);
		if (below(2))
			fill_page(i);
	}
	check_pages(0, region.nr);
	unmap_region();
	_exit(0);
}

static bool prepare_oom(void)
{
	return make_group(GROUP_OOM, limit() / 4);
}

static void oom_round(void)
{
	const struct timespec pause = { .tv_nsec = 500000000 };
	uint64_t killed = number_in(in_group(GROUP_OOM, "memory.events"), "oom_kill");
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
	nanosleep(&pause, NULL);
}

/* Allocations that fail, in a process of its own: here one must not. */

static bool prepare_faulty(void)
{
	return access("/proc/self/make-it-fail", W_OK) == 0;
}

static void faulty_round(void)
{
	pid_t child, pid = fork_checked();
	unsigned int i;

	if (pid) {
		wait_for(pid, 0);
		return;
	}
	if (!open_pagemap() || !write_file("/proc/self/make-it-fail", "1"))
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
	{ "map-1", map_round, open_pagemap },
	{ "map-2", map_round, open_pagemap },
	{ "fork-1", fork_round, NULL },
	{ "fork-2", fork_round, NULL },
	{ "written", written_round, prepare_written },
	{ "short", short_round, prepare_short },
	{ "oom", oom_round, prepare_oom },
	{ "faulty", faulty_round, prepare_faulty },
};

#define NR_WORKERS	ARRAY_SIZE(workers)

static void work(void)
{
	uint64_t round;

	for (round = 0; !__atomic_load_n(&shared->stop, __ATOMIC_RELAXED); round++) {
		begin_round(round);
		workers[self].round();
	}
	_exit(0);
}

/* What is looked at from outside: the kernel's threads, and all workers. */

#define STATS	"/sys/kernel/debug/lazy_mmu_stress/stats"
#define RUN	"/sys/kernel/debug/lazy_mmu_stress/run"
static const char * const kernel_operations[] = {
	"vmalloc", "vmalloc_huge", "vmap", "vmap_range", "apply", "reapply",
};

static bool has_kernel, has_faults;

static uint64_t total(enum operation operation)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < NR_WORKERS; i++)
		sum += __atomic_load_n(&shared->workers[i].done[operation],
				       __ATOMIC_RELAXED);
	return sum;
}

static uint64_t done_by(unsigned int worker)
{
	uint64_t sum = 0;
	unsigned int op;

	for (op = 0; op < NR_OPERATIONS; op++)
		sum += __atomic_load_n(&shared->workers[worker].done[op],
				       __ATOMIC_RELAXED);
	return sum;
}

static uint64_t done_by_kernel(void)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kernel_operations); i++)
		sum += number_in(STATS, kernel_operations[i]);
	return sum + number_in(STATS, "nomem") + number_in(STATS, "refused");
}

/*
 * failslab is to spare one cache: without it vmalloc() cannot divide the space
 * that is free, and warns. Caches that are merged with it are spared, too.
 */
static void set_up_failslab(void)
{
	const char *caches = "/sys/kernel/slab";
	DIR *dir = opendir(caches);
	struct dirent *entry;
	char path[300];

	while (dir && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, "vmap_area") || entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s/failslab", caches, entry->d_name);
		write_file(path, "1");
	}
	if (dir)
		closedir(dir);
	if (!write_file("/sys/kernel/debug/failslab/cache-filter", "1"))
		fail("setup: failslab/cache-filter: %s", strerror(errno));
}

static void set_faults(unsigned int percent)
{
	static const char * const kinds[] = { "failslab", "fail_page_alloc" };
	unsigned int i;
	char path[64];

	for (i = 0; has_faults && i < ARRAY_SIZE(kinds); i++) {
		static const struct {
			const char *file;
			int value;
		} files[] = {
			{ "task-filter", 1 }, { "times", -1 }, { "interval", 1 },
			{ "verbose", 0 }, { "ignore-gfp-wait", 0 }, { "min-order", 0 },
		};
		unsigned int j;

		for (j = 0; j < ARRAY_SIZE(files); j++) {
			snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s",
				 kinds[i], files[j].file);
			if (!access(path, F_OK) &&
			    !write_file(path, "%d", files[j].value))
				fail("setup: %s: %s", path, strerror(errno));
		}
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/probability", kinds[i]);
		if (!write_file(path, "%u", percent))
			fail("setup: %s: %s", path, strerror(errno));
	}
}

static void show_stack(pid_t pid)
{
	char path[32], text[1024], *line, *rest = text;

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	if (!read_file(path, text, sizeof(text)))
		return;
	while ((line = strsep(&rest, "\n")) && *line)
		say("process %d: %s", pid, line);
}

static void report_hang(unsigned int worker)
{
	char path[64], text[256], *child, *rest = text;
	pid_t pid = shared->workers[worker].pid;

	show_stack(pid);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	if (read_file(path, text, sizeof(text)))
		while ((child = strsep(&rest, " ")) && *child)
			show_stack(atoi(child));
	fail("hang: nothing done for %d s by worker %s in round %llu", PATIENCE,
	     workers[worker].name, (unsigned long long)shared->workers[worker].round);
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
		if (__atomic_load_n(&shared->failed, __ATOMIC_SEQ_CST)) {
			/* Reported by the one that ended. */
			if (is_init)
				shut_down();
			exit(1);
		}
		for (i = 0; i < NR_WORKERS && shared->workers[i].pid != pid; i++)
			;
		if (i == NR_WORKERS)
			fail("lost: process %d without a parent, status %#x", pid, status);
		if (!is_end || status)
			fail("lost: worker %s ended with status %#x in round %llu",
			     workers[i].name, status,
			     (unsigned long long)shared->workers[i].round);
		shared->workers[i].pid = 0;
	}
	for (i = 0; i < NR_WORKERS; i++)
		nr += shared->workers[i].pid > 0;
	return nr;
}

static void progress(unsigned int second)
{
	char line[384];
	unsigned int op;
	int len;

	len = snprintf(line, sizeof(line), "%u s:", second);
	for (op = 0; op < NR_OPERATIONS; op++)
		len += snprintf(line + len, sizeof(line) - len, " %s %llu",
				operation_names[op], (unsigned long long)total(op));
	if (has_kernel)
		snprintf(line + len, sizeof(line) - len, " kernel %llu",
			 (unsigned long long)done_by_kernel());
	say("%s", line);
}

/* Looks on until the time is over and all workers have ended. */
static void look_on(void)
{
	uint64_t last[MAX_WORKERS + 1] = {}, sum;
	unsigned int seen[MAX_WORKERS + 1];
	unsigned int start = now(), shown = start, i;
	bool is_end = false;

	for (i = 0; i <= MAX_WORKERS; i++)
		seen[i] = start;
	for (;;) {
		const struct timespec pause = { .tv_nsec = 100000000 };

		nanosleep(&pause, NULL);
		if (!reap(is_end) && is_end)
			return;
		if (now() == shown)
			continue;
		shown = now();
		progress(shown - start);
		/* Two seconds of four. */
		set_faults((shown - start) & 2 ? 4 : 0);
		for (i = 0; i < NR_WORKERS; i++) {
			sum = done_by(i);
			if (!shared->workers[i].pid || sum != last[i])
				seen[i] = shown;
			last[i] = sum;
			if (shown - seen[i] >= PATIENCE)
				report_hang(i);
		}
		if (has_kernel) {
			sum = done_by_kernel();
			if (sum != last[MAX_WORKERS])
				seen[MAX_WORKERS] = shown;
			last[MAX_WORKERS] = sum;
			if (shown - seen[MAX_WORKERS] >= PATIENCE)
				fail("hang: nothing done for %d s by the kernel's threads",
				     PATIENCE);
		}
		if (shown - start >= seconds) {
			is_end = true;
			__atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
		}
	}
}

/* Something that this needs is missing: only an init has to have all. */
static void missing(const char *what)
{
	if (is_init)
		fail("setup: %s: %s", what, strerror(errno));
	say("left out: %s: %s", what, strerror(errno));
}

static void set_up_swap(void)
{
	const char *device = "/dev/ram0";
	struct {
		char boot[1024];
		uint32_t version, last_page, nr_bad;
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
		if (!access(path, F_OK) && !write_file(path, "always"))
			fail("setup: %s: %s", path, strerror(errno));
	}
	write_file("/sys/kernel/mm/transparent_hugepage/enabled", "always");
}

static void set_up_init(void)
{
	static const struct {
		const char *type, *at;
	} mounts[] = {
		{ "proc", "/proc" },
		{ "sysfs", "/sys" },
		{ "debugfs", "/sys/kernel/debug" },
		{ "cgroup2", "/cgroup" },
	};
	unsigned int i;
	char *value;

	cgroups = "/cgroup";
	for (i = 0; i < ARRAY_SIZE(mounts); i++) {
		mkdir(mounts[i].at, 0755);
		if (mount(mounts[i].type, mounts[i].at, mounts[i].type, 0, NULL))
			fail("setup: mount of %s: %s", mounts[i].type, strerror(errno));
	}
	value = getenv("stress_seed");
	if (value)
		seed = strtoull(value, NULL, 0);
	value = getenv("stress_seconds");
	if (value)
		seconds = strtoul(value, NULL, 0);
	set_up_swap();
	set_up_huge_pages();
	/* OOM kills are meant, and many. */
	write_file("/proc/sys/vm/oom_dump_tasks", "0");
}

static void start_workers(void)
{
	int ready[2];
	unsigned int i;
	char answer;
	pid_t pid;

	for (i = 0; i < NR_WORKERS; i++) {
		if (pipe(ready))
			fail("setup: pipe: %s", strerror(errno));
		pid = fork();
		if (pid < 0)
			fail("setup: fork: %s", strerror(errno));
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			self = i;
			close(ready[0]);
			errno = 0;
			if (workers[i].prepare && !workers[i].prepare()) {
				answer = errno;
				if (write(ready[1], &answer, 1) != 1)
					_exit(2);
				_exit(0);
			}
			close(ready[1]);
			work();
		}
		close(ready[1]);
		shared->workers[i].pid = pid;
		if (read(ready[0], &answer, 1) == 1) {
			waitpid(pid, NULL, 0);
			shared->workers[i].pid = 0;
			shared->workers[i].absent = true;
			errno = answer;
			/* Not every architecture has it. */
			if (!strcmp(workers[i].name, "written") && errno == EINVAL)
				say("left out: written: not on this architecture");
			else
				missing(workers[i].name);
		}
		close(ready[0]);
	}
}

static bool is_absent(const char *name)
{
	unsigned int i;

	for (i = 0; i < NR_WORKERS; i++)
		if (!strcmp(workers[i].name, name))
			return shared->workers[i].absent;
	return false;
}

/* The figures. What was to be done was done, at least once. */
static void show_figures(void)
{
	static const char * const figures[] = {
		"nomem", "refused", "pages_checked", "sections", "nested", "pauses",
		"flushes", "preempted", "deepest",
	};
	unsigned int i, op;

	for (op = 0; op < NR_OPERATIONS; op++) {
		say("done: %s %llu", operation_names[op], (unsigned long long)total(op));
		if (total(op) ||
		    (op == OP_WRITTEN && is_absent("written")) ||
		    (op == OP_SHORT && is_absent("short")) ||
		    (op == OP_OOM_KILL && is_absent("oom")) ||
		    (op == OP_NOMEM && (is_absent("faulty") || !has_faults)))
			continue;
		fail("setup: %s was never done", operation_names[op]);
	}
	for (i = 0; has_kernel && i < ARRAY_SIZE(kernel_operations); i++) {
		uint64_t n = number_in(STATS, kernel_operations[i]);

		say("done: kernel %s %llu", kernel_operations[i], (unsigned long long)n);
		if (!n)
			fail("setup: %s was never done", kernel_operations[i]);
	}
	for (i = 0; has_kernel && i < ARRAY_SIZE(figures); i++)
		say("kernel: %s %llu", figures[i],
		    (unsigned long long)number_in(STATS, figures[i]));
	say("swapped: out %llu in %llu",
	    (unsigned long long)number_in("/proc/vmstat", "pswpout"),
	    (unsigned long long)number_in("/proc/vmstat", "pswpin"));
	if (is_init && !number_in("/proc/vmstat", "pswpout"))
		fail("setup: nothing was swapped");
}

static uint64_t number(const char *text, const char *what, uint64_t max)
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

int main(int argc, char **argv)
{
	int option;

	if (argc == 4 && !strcmp(argv[1], "--child"))
		return child_main(argv);

	is_init = getpid() == 1;
	page_size = getpagesize();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		shared = NULL;
		fail("setup: mmap: %s", strerror(errno));
	}
	shared->main_pid = getpid();
	if (is_init)
		set_up_init();
	while (!is_init && (option = getopt(argc, argv, "s:t:")) != -1) {
		switch (option) {
		case 's':
			seed = number(optarg, "seed", UINT64_MAX);
			break;
		case 't':
			seconds = number(optarg, "number of seconds", 1000000);
			break;
		default:
			fprintf(stderr, "usage: lazy_mmu_stress [-s SEED] [-t SECONDS]\n");
			return 2;
		}
	}

	say("seed %llu, %u s, %ld CPUs, pages of %zu bytes", (unsigned long long)seed,
	    seconds, sysconf(_SC_NPROCESSORS_ONLN), page_size);
	has_faults = !access("/sys/kernel/debug/failslab/probability", W_OK) &&
		     !access("/sys/kernel/debug/fail_page_alloc/probability", W_OK);
	if (!has_faults)
		missing("fault injection");
	else
		set_up_failslab();
	set_faults(0);
	start_workers();
	has_kernel = write_file(RUN, "%llu", (unsigned long long)seed);
	if (!has_kernel)
		missing(RUN);

	look_on();

	set_faults(0);
	if (has_kernel && !write_file(RUN, "0"))
		fail("lost: the kernel's threads: %s", strerror(errno));
	if (waitpid(-1, NULL, 0) != -1 || errno != ECHILD)
		fail("lost: there are children left");
	if (is_init && swapoff("/dev/ram0"))
		fail("lost: swapoff: %s", strerror(errno));
	show_figures();
	say("passed: seed %llu, %u s", (unsigned long long)seed, seconds);
	if (is_init)
		shut_down();
	return 0;
}
