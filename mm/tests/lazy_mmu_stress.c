// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel threads that map and unmap kernel memory in every way that opens lazy
 * MMU sections, and check what they mapped. While they run, the sections of all
 * tasks are counted if CONFIG_DEBUG_LAZY_MMU_MODE can see them.
 *
 * In debugfs, lazy_mmu_stress/run starts them when a seed is written to it, and
 * stops them at 0; lazy_mmu_stress/stats has the counts. What a thread does in a
 * round follows from the seed and the numbers of both. A fault that is injected
 * into tasks with make-it-fail hits the threads, too.
 *
 * tools/testing/selftests/mm/lazy_mmu_stress.c uses this.
 */
#include <linux/cacheflush.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/hash.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/prandom.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <asm/tlbflush.h>

#ifdef CONFIG_DEBUG_LAZY_MMU_MODE
#include <trace/events/lazy_mmu.h>
#endif
#include <trace/events/sched.h>

#define STRESS_MAX_THREADS	8
/* More than what one page table maps, where pages are small. */
#define STRESS_VMALLOC_BYTES	SZ_4M
#define STRESS_MAX_PAGES	64
#define STRESS_MAX_ORDER	3
/* Page tables of the kernel are not freed, so they are not to be too many. */
#define STRESS_MAX_TABLES	2048

enum stress_counter {
	/* Operations that were done. */
	STRESS_VMALLOC,
	STRESS_VMALLOC_HUGE,
	STRESS_VMAP,
	STRESS_VMAP_RANGE,
	STRESS_APPLY,
	STRESS_REAPPLY,
	/* Those that failed for lack of memory, and those that a callback ended. */
	STRESS_NOMEM,
	STRESS_REFUSED,
	STRESS_PAGES_CHECKED,
	STRESS_MISMATCHES,
	/* Of all tasks. The last is a maximum. */
	STRESS_PREEMPTED,
#ifdef CONFIG_DEBUG_LAZY_MMU_MODE
	STRESS_SECTIONS,
	STRESS_NESTED,
	STRESS_PAUSES,
	STRESS_FLUSHES,
	STRESS_DEEPEST,
#endif
	STRESS_NR_COUNTERS
};

static const char * const stress_names[] = {
	[STRESS_VMALLOC] = "vmalloc",
	[STRESS_VMALLOC_HUGE] = "vmalloc_huge",
	[STRESS_VMAP] = "vmap",
	[STRESS_VMAP_RANGE] = "vmap_range",
	[STRESS_APPLY] = "apply",
	[STRESS_REAPPLY] = "reapply",
	[STRESS_NOMEM] = "nomem",
	[STRESS_REFUSED] = "refused",
	[STRESS_PAGES_CHECKED] = "pages_checked",
	[STRESS_MISMATCHES] = "mismatches",
	[STRESS_PREEMPTED] = "preempted",
#ifdef CONFIG_DEBUG_LAZY_MMU_MODE
	[STRESS_SECTIONS] = "sections",
	[STRESS_NESTED] = "nested",
	[STRESS_PAUSES] = "pauses",
	[STRESS_FLUSHES] = "flushes",
	[STRESS_DEEPEST] = "deepest",
#endif
};

static_assert(ARRAY_SIZE(stress_names) == STRESS_NR_COUNTERS);

static DEFINE_PER_CPU(unsigned long, stress_counters[STRESS_NR_COUNTERS]);

struct stress_thread {
	struct task_struct *task;
	unsigned int nr;
	u64 round;
	struct rnd_state rnd;
	/* In this round. */
	u64 tag;
	struct page *pages[STRESS_MAX_PAGES];
	unsigned int nr_pages;
	/* The callback of apply_to_page_range() is to fail there. */
	unsigned int refuse_at;
	unsigned long addr;
};

static struct stress_thread *stress_threads;
static unsigned int stress_nr_threads;
static u64 stress_seed;
static DEFINE_MUTEX(stress_lock);

static void stress_count(enum stress_counter counter)
{
	this_cpu_inc(stress_counters[counter]);
}

/* How the sections are counted. */

#ifdef CONFIG_DEBUG_LAZY_MMU_MODE
static void stress_probe_call(void *data, enum lazy_mmu_call call, u8 enable_count,
			      u8 pause_count, unsigned long ip)
{
	if (!in_task())
		return;
	if (call == LAZY_MMU_CALL_PAUSE && enable_count && pause_count == 1)
		stress_count(STRESS_PAUSES);
	if (call != LAZY_MMU_CALL_ENABLE || pause_count)
		return;
	stress_count(STRESS_SECTIONS);
	if (enable_count > 1)
		stress_count(STRESS_NESTED);
	if (enable_count > this_cpu_read(stress_counters[STRESS_DEEPEST]))
		this_cpu_write(stress_counters[STRESS_DEEPEST], enable_count);
}

static void stress_probe_hook(void *data, enum lazy_mmu_hook hook, u8 enable_count,
			      u8 pause_count, unsigned long ip)
{
	if (hook == LAZY_MMU_HOOK_FLUSH)
		stress_count(STRESS_FLUSHES);
}

static void stress_unregister_sections(void)
{
	unregister_trace_lazy_mmu_call(stress_probe_call, NULL);
	unregister_trace_lazy_mmu_hook(stress_probe_hook, NULL);
}

static int stress_register_sections(void)
{
	int err = register_trace_lazy_mmu_call(stress_probe_call, NULL);

	if (err)
		return err;
	err = register_trace_lazy_mmu_hook(stress_probe_hook, NULL);
	if (err)
		unregister_trace_lazy_mmu_call(stress_probe_call, NULL);

	return err;
}

static unsigned long stress_add(enum stress_counter counter, unsigned long a, unsigned long b)
{
	return counter == STRESS_DEEPEST ? max(a, b) : a + b;
}
#else
static void stress_unregister_sections(void) {}

static int stress_register_sections(void)
{
	return 0;
}

static unsigned long stress_add(enum stress_counter counter, unsigned long a, unsigned long b)
{
	return a + b;
}
#endif

static void stress_probe_switch(void *data, bool preempt, struct task_struct *prev,
				struct task_struct *next, unsigned int prev_state)
{
	const struct lazy_mmu_state *state = &prev->lazy_mmu_state;

	if (preempt && state->enable_count && !state->pause_count)
		stress_count(STRESS_PREEMPTED);
}

static void stress_unregister_probes(void)
{
	stress_unregister_sections();
	unregister_trace_sched_switch(stress_probe_switch, NULL);
	tracepoint_synchronize_unregister();
}

static int stress_register_probes(void)
{
	int err = stress_register_sections();

	if (err)
		return err;
	err = register_trace_sched_switch(stress_probe_switch, NULL);
	if (err)
		stress_unregister_sections();

	return err;
}

/* What pages hold, and whether they still do. */

static u64 stress_word(u64 tag, unsigned int page, unsigned int word)
{
	return (tag + page) * GOLDEN_RATIO_64 + word;
}

/* The words of a page that are used, so that some are in each cache line's place. */
static unsigned int stress_index(unsigned int page, unsigned int word)
{
	const unsigned int words = PAGE_SIZE / sizeof(u64);

	return (word * (words / 4 + 1) + page) % words;
}

static void stress_fill(void *p, u64 tag, unsigned int page)
{
	u64 *words = p;
	unsigned int i;

	for (i = 0; i < 4; i++)
		words[stress_index(page, i)] = stress_word(tag, page, i);
}

static void stress_check(struct stress_thread *thread, const char *what,
			 const void *p, u64 tag, unsigned int page)
{
	const u64 *words = p;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		u64 is = READ_ONCE(words[stress_index(page, i)]);
		u64 ought = stress_word(tag, page, i);

		if (is == ought)
			continue;
		stress_count(STRESS_MISMATCHES);
		WARN_RATELIMIT(1, "mismatch: %s: page %u at %p holds %llx instead of %llx: seed %llu thread %u round %llu\n",
			       what, page, p, is, ought, stress_seed, thread->nr,
			       thread->round);
	}
	stress_count(STRESS_PAGES_CHECKED);
}

static unsigned int stress_below(struct stress_thread *thread, unsigned int limit)
{
	return prandom_u32_state(&thread->rnd) % limit;
}

/* Mostly few. */
static unsigned int stress_size(struct stress_thread *thread, unsigned int max)
{
	return 1 + stress_below(thread, 1 + stress_below(thread, max));
}

static void stress_vmalloc(struct stress_thread *thread)
{
	const unsigned int max = STRESS_VMALLOC_BYTES >> PAGE_SHIFT;
	bool huge = !stress_below(thread, 32);
	unsigned int i, nr;
	void *p;

	if (huge) {
		nr = max;
		p = vmalloc_huge(nr * PAGE_SIZE, GFP_KERNEL | __GFP_NOWARN);
	} else {
		nr = stress_size(thread, stress_below(thread, 16) ? max / 16 : max);
		p = __vmalloc(nr * PAGE_SIZE, GFP_KERNEL | __GFP_NOWARN);
	}
	if (!p) {
		stress_count(STRESS_NOMEM);
		return;
	}

	for (i = 0; i < nr; i++)
		stress_fill(p + i * PAGE_SIZE, thread->tag, i);
	cond_resched();
	for (i = 0; i < nr; i++)
		stress_check(thread, "vmalloc", p + i * PAGE_SIZE, thread->tag, i);
	vfree(p);
	stress_count(huge ? STRESS_VMALLOC_HUGE : STRESS_VMALLOC);
}

static void stress_free_pages(struct stress_thread *thread)
{
	while (thread->nr_pages)
		__free_page(thread->pages[--thread->nr_pages]);
}

static bool stress_alloc_pages(struct stress_thread *thread, unsigned int nr)
{
	for (thread->nr_pages = 0; thread->nr_pages < nr; thread->nr_pages++) {
		struct page *page = alloc_page(GFP_KERNEL | __GFP_NOWARN);

		if (!page) {
			stress_free_pages(thread);
			stress_count(STRESS_NOMEM);
			return false;
		}
		stress_fill(page_address(page), thread->tag, thread->nr_pages);
		flush_dcache_page(page);
		thread->pages[thread->nr_pages] = page;
	}

	return true;
}

static void stress_vmap(struct stress_thread *thread)
{
	unsigned int i, nr = stress_size(thread, STRESS_MAX_PAGES);
	void *p;

	if (!stress_alloc_pages(thread, nr))
		return;

	p = vmap(thread->pages, nr, VM_MAP, PAGE_KERNEL);
	if (p) {
		for (i = 0; i < nr; i++)
			stress_check(thread, "vmap", p + i * PAGE_SIZE, thread->tag, i);
		vunmap(p);
		stress_count(STRESS_VMAP);
	} else {
		stress_count(STRESS_NOMEM);
	}
	stress_free_pages(thread);
}

/*
 * Space for some pages, in the middle of what there is for vmalloc(), so that
 * page tables have to be allocated.
 */
static struct vm_struct *stress_area(struct stress_thread *thread, unsigned int nr)
{
	unsigned long space = (VMALLOC_END - VMALLOC_START) / 4, start, end;

	space = min(space, STRESS_MAX_TABLES * PMD_SIZE);
	start = ALIGN_DOWN(VMALLOC_START / 2 + VMALLOC_END / 2, PMD_SIZE);
	end = start + space;
	/* Often across two page tables. */
	start += stress_below(thread, space / PMD_SIZE - 2) * PMD_SIZE;
	start += PMD_SIZE - stress_below(thread, nr + 1) * PAGE_SIZE;

	return __get_vm_area_caller(nr * PAGE_SIZE, VM_MAP, start, end,
				    __builtin_return_address(0));
}

static void stress_vmap_range(struct stress_thread *thread)
{
	unsigned int order = stress_below(thread, STRESS_MAX_ORDER + 1);
	unsigned int i, nr = 1 << order;
	struct vm_struct *area;
	unsigned long addr;
	struct page *page;

	page = alloc_pages(GFP_KERNEL | __GFP_NOWARN, order);
	if (!page) {
		stress_count(STRESS_NOMEM);
		return;
	}
	for (i = 0; i < nr; i++) {
		stress_fill(page_address(page + i), thread->tag, i);
		flush_dcache_page(page + i);
	}

	area = stress_area(thread, nr);
	if (!area) {
		stress_count(STRESS_NOMEM);
		goto out;
	}
	addr = (unsigned long)area->addr;

	if (!vmap_page_range(addr, addr + nr * PAGE_SIZE, page_to_phys(page),
			     PAGE_KERNEL)) {
		for (i = 0; i < nr; i++)
			stress_check(thread, "vmap_page_range",
				     area->addr + i * PAGE_SIZE, thread->tag, i);
		stress_count(STRESS_VMAP_RANGE);
	} else {
		stress_count(STRESS_NOMEM);
	}
	free_vm_area(area);
out:
	__free_pages(page, order);
}

static void stress_set_nested(pte_t *ptep, unsigned long addr, pte_t pte,
			      unsigned int depth)
{
	lazy_mmu_mode_enable();
	if (depth > 1)
		stress_set_nested(ptep, addr, pte, depth - 1);
	else
		set_pte_at(&init_mm, addr, ptep, pte);
	lazy_mmu_mode_disable();
}

/*
 * Called by apply_to_page_range() in a section. Behind the end of a nested one,
 * and in a pause, what was set before has taken effect.
 */
static int stress_set_pte(pte_t *ptep, unsigned long addr, void *data)
{
	struct stress_thread *thread = data;
	unsigned int page = (addr - thread->addr) >> PAGE_SHIFT;
	unsigned int depth = 1 + stress_below(thread, 3);

	if (page == thread->refuse_at)
		return -ECANCELED;

	switch (stress_below(thread, 8)) {
	case 0:
		stress_set_nested(ptep, addr,
				  mk_pte(thread->pages[page], PAGE_KERNEL), depth);
		stress_check(thread, "nested section", (void *)addr, thread->tag, page);
		break;
	case 1:
		set_pte_at(&init_mm, addr, ptep,
			   mk_pte(thread->pages[page], PAGE_KERNEL));
		lazy_mmu_mode_pause();
		/* Does nothing here. */
		lazy_mmu_mode_enable();
		stress_check(thread, "pause", (void *)addr, thread->tag, page);
		lazy_mmu_mode_disable();
		lazy_mmu_mode_resume();
		break;
	default:
		set_pte_at(&init_mm, addr, ptep,
			   mk_pte(thread->pages[page], PAGE_KERNEL));
		break;
	}

	return 0;
}

static int stress_clear_pte(pte_t *ptep, unsigned long addr, void *data)
{
	if (!pte_none(ptep_get(ptep)))
		ptep_get_and_clear(&init_mm, addr, ptep);

	return 0;
}

static bool stress_apply_once(struct stress_thread *thread, unsigned int nr)
{
	unsigned int i;
	int err;

	err = apply_to_page_range(&init_mm, thread->addr, nr * PAGE_SIZE,
				  stress_set_pte, thread);
	if (err == -ECANCELED) {
		stress_count(STRESS_REFUSED);
		/* As far as it came. */
		nr = thread->refuse_at;
	} else if (err) {
		stress_count(STRESS_NOMEM);
		return false;
	}
	for (i = 0; i < nr; i++)
		stress_check(thread, "apply_to_page_range",
			     (void *)thread->addr + i * PAGE_SIZE, thread->tag, i);

	return !err;
}

static void stress_apply(struct stress_thread *thread)
{
	unsigned int i, nr = stress_size(thread, STRESS_MAX_PAGES);
	struct vm_struct *area;

	if (!stress_alloc_pages(thread, nr))
		return;
	area = stress_area(thread, nr);
	if (!area) {
		stress_count(STRESS_NOMEM);
		goto out;
	}
	thread->addr = (unsigned long)area->addr;
	/* One in four fails in the middle. */
	thread->refuse_at = stress_below(thread, 4 * nr);

	if (stress_apply_once(thread, nr)) {
		stress_count(STRESS_APPLY);

		/* Other pages where there were some. */
		apply_to_existing_page_range(&init_mm, thread->addr, nr * PAGE_SIZE,
					     stress_clear_pte, NULL);
		flush_tlb_kernel_range(thread->addr, thread->addr + nr * PAGE_SIZE);
		for (i = 0; i < nr / 2; i++)
			swap(thread->pages[i], thread->pages[nr - 1 - i]);
		thread->tag = ~thread->tag;
		for (i = 0; i < nr; i++) {
			stress_fill(page_address(thread->pages[i]), thread->tag, i);
			flush_dcache_page(thread->pages[i]);
		}
		if (stress_apply_once(thread, nr))
			stress_count(STRESS_REAPPLY);
	}
	free_vm_area(area);
out:
	stress_free_pages(thread);
}

static int stress_thread_fn(void *data)
{
	static void (* const operations[])(struct stress_thread *thread) = {
		stress_vmalloc, stress_vmap, stress_vmap_range, stress_apply,
	};
	struct stress_thread *thread = data;

#ifdef CONFIG_FAULT_INJECTION
	current->make_it_fail = 1;
#endif
	for (thread->round = 0; !kthread_should_stop(); thread->round++) {
		prandom_seed_state(&thread->rnd,
				   hash_64(stress_seed + thread->nr, 64) + thread->round);
		thread->tag = prandom_u32_state(&thread->rnd);
		operations[stress_below(thread, ARRAY_SIZE(operations))](thread);
		cond_resched();
	}

	return 0;
}

static void stress_stop(void)
{
	unsigned int i;

	if (!stress_threads)
		return;
	for (i = 0; i < stress_nr_threads; i++)
		kthread_stop(stress_threads[i].task);
	stress_unregister_probes();
	kvfree(stress_threads);
	stress_threads = NULL;
}

static int stress_start(u64 seed)
{
	unsigned int nr = min(num_online_cpus() + 1, STRESS_MAX_THREADS);
	int err, cpu;

	stress_threads = kvcalloc(nr, sizeof(*stress_threads), GFP_KERNEL);
	if (!stress_threads)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		memset(per_cpu(stress_counters, cpu), 0,
		       sizeof(per_cpu(stress_counters, cpu)));
	stress_nr_threads = 0;
	stress_seed = seed;

	err = stress_register_probes();
	if (err) {
		kvfree(stress_threads);
		stress_threads = NULL;
		return err;
	}

	while (stress_nr_threads < nr) {
		struct stress_thread *thread = &stress_threads[stress_nr_threads];

		thread->nr = stress_nr_threads;
		thread->task = kthread_run(stress_thread_fn, thread,
					   "lazy_stress/%u", thread->nr);
		if (IS_ERR(thread->task)) {
			err = PTR_ERR(thread->task);
			stress_stop();
			return err;
		}
		stress_nr_threads++;
	}

	return 0;
}

static int stress_run_get(void *data, u64 *val)
{
	mutex_lock(&stress_lock);
	*val = stress_threads ? stress_seed : 0;
	mutex_unlock(&stress_lock);

	return 0;
}

static int stress_run_set(void *data, u64 val)
{
	int err = 0;

	mutex_lock(&stress_lock);
	if (!val)
		stress_stop();
	else if (stress_threads)
		err = -EBUSY;
	else
		err = stress_start(val);
	mutex_unlock(&stress_lock);

	return err;
}

DEFINE_DEBUGFS_ATTRIBUTE(stress_run_fops, stress_run_get, stress_run_set, "%llu\n");

static int stress_stats_show(struct seq_file *m, void *v)
{
	unsigned int i;

	for (i = 0; i < STRESS_NR_COUNTERS; i++) {
		unsigned long sum = 0;
		int cpu;

		for_each_possible_cpu(cpu)
			sum = stress_add(i, sum, per_cpu(stress_counters[i], cpu));
		seq_printf(m, "%s %lu\n", stress_names[i], sum);
	}

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stress_stats);

static int __init stress_init(void)
{
	struct dentry *dir = debugfs_create_dir("lazy_mmu_stress", NULL);

	debugfs_create_file_unsafe("run", 0600, dir, NULL, &stress_run_fops);
	debugfs_create_file("stats", 0400, dir, NULL, &stress_stats_fops);

	return 0;
}
late_initcall(stress_init);
