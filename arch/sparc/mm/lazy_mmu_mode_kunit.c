// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for the lazy MMU mode of sparc64: which updates of a page table
 * wait in the batch of the CPU, and when the batch is flushed.
 *
 * Most cases look at the batch. Others change which page an address is mapped
 * to and access that address, because in the end it is the TLB and the TSB that
 * must not be stale. All page tables are real ones of a real mm.
 *
 * Sleeping in a section is forbidden and a KUnit assertion may allocate, so a
 * case records what happens, closes its section, and compares afterwards.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/kprobes.h>
#include <linux/lazy_mmu_check.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/asi.h>
#include <asm/page.h>
#include <asm/tlbflush.h>

#include <trace/events/printk.h>

#include "../../../mm/tests/lazy_mmu_kunit.h"

/*
 * Page i of the area holds i + 1. One page table maps the whole area, and the
 * area is too small to get a huge page.
 */
#define LAZY_AREA		(16 * PMD_SIZE)
#define LAZY_AREA_PAGES		(TLB_BATCH_NR + 8)
#define LAZY_USED_PAGES		8

/*
 * A page is remapped to the one that this is away from it. It is even, so the
 * two addresses of a page have one colour in a virtually indexed cache.
 */
#define LAZY_REMAP		4

#define LAZY_NO_VALUE		(~0UL)

/* What a case needs of a mm. */
struct lazy_mm {
	struct mm_struct *mm;
	pte_t *ptes;
};

/* The batch of a CPU, without the addresses that are no longer in it. */
struct lazy_batch {
	struct mm_struct *mm;
	unsigned long nr;
	unsigned int hugepage_shift;
	unsigned long first;
	unsigned long last;
};

/* Attached to the task that runs the case. Another one, which some cases need. */
static struct lazy_mm lazy_mm, lazy_other_mm;

/* As mapped at first. */
static pte_t lazy_old_ptes[LAZY_USED_PAGES];

static unsigned long lazy_addr(unsigned int page)
{
	return LAZY_AREA + page * PAGE_SIZE;
}

static unsigned long lazy_value(unsigned int page)
{
	return page + 1;
}

static unsigned long __user *lazy_user(unsigned int page)
{
	return (unsigned long __user *)lazy_addr(page);
}

/* Give each of these pages memory that is writable and dirty. */
static void lazy_populate(struct kunit *test, unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++)
		KUNIT_ASSERT_EQ(test, put_user(lazy_value(i), lazy_user(i)), 0);
}

/* No one else uses the mm, so its page table stays where it is. */
static void lazy_find_ptes(struct lazy_mm *lazy)
{
	lazy->ptes = pte_offset_kernel(pmd_off(lazy->mm, LAZY_AREA), LAZY_AREA);
}

/* Access the memory of the current mm, in a section too. */
static unsigned long lazy_read(unsigned int page)
{
	unsigned long value;
	int err;

	pagefault_disable();
	err = get_user(value, lazy_user(page));
	pagefault_enable();
	barrier();

	return err ? LAZY_NO_VALUE : value;
}

/* An interrupt finds something else in %asi than get_user() needs. */
static unsigned long lazy_read_in_interrupt(unsigned int page)
{
	unsigned long asi, value;

	asm volatile("rd %%asi, %0" : "=r" (asi));
	asm volatile("wr %%g0, %0, %%asi" : : "i" (ASI_AIUS) : "memory");
	value = lazy_read(page);
	asm volatile("wr %0, 0, %%asi" : : "r" (asi) : "memory");

	return value;
}

static void lazy_write(unsigned int page, unsigned long value)
{
	pagefault_disable();
	if (put_user(value, lazy_user(page)))
		pr_err("page %u is not writable\n", page);
	pagefault_enable();
	barrier();
}

/*
 * Nobody else changes these page tables, also not the interrupts that do while a
 * case waits for them. So all that their lock has to do is disable preemption.
 */
static void lazy_set_pte(struct lazy_mm *lazy, unsigned int page, pte_t pte)
{
	preempt_disable();
	set_pte_at(lazy->mm, lazy_addr(page), lazy->ptes + page, pte);
	preempt_enable();
}

/* An update that leaves a page mapped as it is. */
static void lazy_update_in(struct lazy_mm *lazy, unsigned int page)
{
	lazy_set_pte(lazy, page, lazy->ptes[page]);
}

static void lazy_update(unsigned int page)
{
	lazy_update_in(&lazy_mm, page);
}

/* An update that makes an address read lazy_value(page + LAZY_REMAP). */
static void lazy_remap(unsigned int page)
{
	lazy_set_pte(&lazy_mm, page, lazy_old_ptes[page + LAZY_REMAP]);
}

/* Each page must be where it was when the mm goes. */
static void lazy_restore(void)
{
	for (unsigned int i = 0; i < LAZY_USED_PAGES; i++)
		lazy_set_pte(&lazy_mm, i, lazy_old_ptes[i]);
}

static struct lazy_batch lazy_look(void)
{
	const struct tlb_batch *tb = &get_cpu_var(tlb_batch);
	struct lazy_batch batch = { .nr = tb->tlb_nr };

	if (batch.nr) {
		batch.mm = tb->mm;
		batch.hugepage_shift = tb->hugepage_shift;
		batch.first = tb->vaddrs[0];
		batch.last = tb->vaddrs[batch.nr - 1];
	}
	put_cpu_var(tlb_batch);

	return batch;
}

/* The batch holds @nr pages of @mm, which begin with @page. */
static void lazy_expect_batch(struct kunit *test, const struct lazy_batch *batch,
			      const struct lazy_mm *lazy, unsigned int page,
			      unsigned long nr)
{
	KUNIT_ASSERT_EQ(test, batch->nr, nr);
	KUNIT_EXPECT_PTR_EQ(test, batch->mm, lazy->mm);
	KUNIT_EXPECT_EQ(test, batch->hugepage_shift, PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, batch->first, lazy_addr(page));
	KUNIT_EXPECT_EQ(test, batch->last, lazy_addr(page + nr - 1));
}

static void lazy_make_other_mm(struct kunit *test)
{
	lazy_other_mm.mm = lazy_make_mm(test, LAZY_AREA, LAZY_USED_PAGES * PAGE_SIZE,
					lazy_value(0));
	lazy_find_ptes(&lazy_other_mm);
}

static void section_collects_updates_up_to_its_end(struct kunit *test)
{
	struct lazy_batch batch, end;

	lazy_mmu_mode_enable();
	for (unsigned int i = 0; i < 3; i++)
		lazy_update(i);
	batch = lazy_look();
	lazy_mmu_mode_disable();
	end = lazy_look();

	lazy_expect_batch(test, &batch, &lazy_mm, 0, 3);
	KUNIT_EXPECT_EQ(test, end.nr, 0);
}

static void update_outside_a_section_collects_nothing(struct kunit *test)
{
	lazy_update(0);

	KUNIT_EXPECT_EQ(test, lazy_look().nr, 0);
}

static void section_collects_with_bottom_halves_disabled(struct kunit *test)
{
	struct lazy_batch batch;

	local_bh_disable();
	lazy_mmu_mode_enable();
	lazy_update(0);
	batch = lazy_look();
	lazy_mmu_mode_disable();
	local_bh_enable();

	lazy_expect_batch(test, &batch, &lazy_mm, 0, 1);
}

static void nested_section_collects_in_the_same_batch(struct kunit *test)
{
	struct lazy_batch inside, end, next;

	lazy_mmu_mode_enable();
	lazy_update(0);
	lazy_mmu_mode_enable();
	lazy_update(1);
	inside = lazy_look();
	lazy_mmu_mode_disable();
	end = lazy_look();
	lazy_update(1);
	lazy_update(2);
	next = lazy_look();
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, end.nr, 0);
	lazy_expect_batch(test, &inside, &lazy_mm, 0, 2);
	/* The outer one goes on. */
	lazy_expect_batch(test, &next, &lazy_mm, 1, 2);
}

static void pause_empties_the_batch_and_collects_nothing(struct kunit *test)
{
	struct lazy_batch pause, update, section, next;

	lazy_mmu_mode_enable();
	lazy_update(0);
	lazy_mmu_mode_pause();
	pause = lazy_look();
	lazy_update(0);
	update = lazy_look();
	lazy_mmu_mode_enable();
	lazy_update(0);
	section = lazy_look();
	lazy_mmu_mode_disable();
	lazy_mmu_mode_resume();
	lazy_update(1);
	lazy_update(2);
	next = lazy_look();
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, pause.nr, 0);
	KUNIT_EXPECT_EQ(test, update.nr, 0);
	/* Nor does a section that is opened in it. */
	KUNIT_EXPECT_EQ(test, section.nr, 0);
	/* The section goes on after it. */
	lazy_expect_batch(test, &next, &lazy_mm, 1, 2);
}

static void flush_empties_the_batch(struct kunit *test)
{
	struct lazy_batch batch, next;

	lazy_mmu_mode_enable();
	lazy_update(0);
	arch_flush_lazy_mmu_mode();
	batch = lazy_look();
	lazy_update(1);
	lazy_update(2);
	next = lazy_look();
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, batch.nr, 0);
	lazy_expect_batch(test, &next, &lazy_mm, 1, 2);
}

static void full_batch_starts_over(struct kunit *test)
{
	struct lazy_batch almost, full, next;

	lazy_populate(test, LAZY_USED_PAGES, LAZY_AREA_PAGES);

	lazy_mmu_mode_enable();
	for (unsigned int i = 0; i < TLB_BATCH_NR - 1; i++)
		lazy_update(i);
	almost = lazy_look();
	lazy_update(TLB_BATCH_NR - 1);
	full = lazy_look();
	lazy_update(TLB_BATCH_NR);
	next = lazy_look();
	lazy_mmu_mode_disable();

	lazy_expect_batch(test, &almost, &lazy_mm, 0, TLB_BATCH_NR - 1);
	KUNIT_EXPECT_EQ(test, full.nr, 0);
	lazy_expect_batch(test, &next, &lazy_mm, TLB_BATCH_NR, 1);
}

static void full_batch_is_flushed(struct kunit *test)
{
	unsigned long before, after;

	lazy_populate(test, LAZY_USED_PAGES, LAZY_AREA_PAGES);

	before = lazy_read(0);
	lazy_mmu_mode_enable();
	lazy_remap(0);
	for (unsigned int i = 1; i < TLB_BATCH_NR; i++)
		lazy_update(i);
	after = lazy_read(0);
	lazy_mmu_mode_disable();
	lazy_restore();

	KUNIT_EXPECT_EQ(test, before, lazy_value(0));
	KUNIT_EXPECT_EQ(test, after, lazy_value(LAZY_REMAP));
}

/* What this task called flush_tsb_user() with, and how often. */
static struct {
	struct task_struct *task;
	unsigned int nr_calls;
	unsigned long nr_pages;
	unsigned long nr_in_batch;
} lazy_flushed;

static int lazy_flush_probe(struct kprobe *probe, struct pt_regs *regs)
{
	if (current != lazy_flushed.task)
		return 0;

	lazy_flushed.nr_calls++;
	lazy_flushed.nr_pages = regs->u_regs[UREG_I1];
	lazy_flushed.nr_in_batch = lazy_look().nr;

	return 0;
}

static struct kprobe lazy_flush_kprobe;

static void lazy_watch_flushes(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_KPROBES))
		kunit_skip(test, "needs CONFIG_KPROBES");

	memset(&lazy_flushed, 0, sizeof(lazy_flushed));
	lazy_flushed.task = current;
	lazy_flush_kprobe = (struct kprobe) {
		.symbol_name = "flush_tsb_user",
		.pre_handler = lazy_flush_probe,
	};
	KUNIT_ASSERT_EQ(test, register_kprobe(&lazy_flush_kprobe), 0);
}

/* What a task that dies in the flush would leave in the batch. */
static void batch_is_empty_when_it_is_flushed(struct kunit *test)
{
	lazy_watch_flushes(test);

	lazy_mmu_mode_enable();
	lazy_update(0);
	lazy_update(1);
	lazy_mmu_mode_disable();
	unregister_kprobe(&lazy_flush_kprobe);

	KUNIT_EXPECT_EQ(test, lazy_flushed.nr_calls, 1);
	KUNIT_EXPECT_EQ(test, lazy_flushed.nr_in_batch, 0);
}

static void update_of_another_mm_starts_a_batch(struct kunit *test)
{
	struct lazy_batch batch;

	lazy_make_other_mm(test);

	lazy_mmu_mode_enable();
	lazy_update(1);
	lazy_update(2);
	lazy_update_in(&lazy_other_mm, 0);
	batch = lazy_look();
	lazy_mmu_mode_disable();

	lazy_expect_batch(test, &batch, &lazy_other_mm, 0, 1);
}

static void update_of_another_page_size_starts_a_batch(struct kunit *test)
{
	struct lazy_batch batch;

	lazy_mmu_mode_enable();
	lazy_update(1);
	lazy_update(2);
	/* No page of the area has that size, but its TLB entry can be flushed. */
	tlb_batch_add(lazy_mm.mm, lazy_addr(0), lazy_mm.ptes, lazy_old_ptes[0], 0,
		      REAL_HPAGE_SHIFT);
	batch = lazy_look();
	lazy_mmu_mode_disable();

	KUNIT_ASSERT_EQ(test, batch.nr, 1);
	KUNIT_EXPECT_EQ(test, batch.hugepage_shift, REAL_HPAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, batch.first, lazy_addr(0));
}

/* They may be in the TLB for instructions, which is flushed apart. */
static void executable_page_is_collected_as_such(struct kunit *test)
{
	pgprot_t prot = vm_get_page_prot(VM_READ | VM_WRITE | VM_EXEC);
	struct lazy_batch batch;

	lazy_set_pte(&lazy_mm, 0, pte_modify(lazy_old_ptes[0], prot));
	lazy_mmu_mode_enable();
	lazy_update(0);
	lazy_update(1);
	batch = lazy_look();
	lazy_mmu_mode_disable();
	lazy_restore();

	KUNIT_ASSERT_EQ(test, batch.nr, 2);
	KUNIT_EXPECT_EQ(test, batch.first, lazy_addr(0) | 1);
	KUNIT_EXPECT_EQ(test, batch.last, lazy_addr(1));
}

static void lazy_update_pmd(struct mm_struct *mm, unsigned long addr)
{
	pmd_t *pmdp = pmd_off(mm, addr);

	preempt_disable();
	set_pmd_at(mm, addr, pmdp, *pmdp);
	preempt_enable();
}

/* All pages below it are in a section, which ends with the update. */
static void update_of_a_pmd_is_one_batch(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
		kunit_skip(test, "needs CONFIG_TRANSPARENT_HUGEPAGE");
	lazy_watch_flushes(test);

	lazy_update_pmd(lazy_mm.mm, LAZY_AREA);
	unregister_kprobe(&lazy_flush_kprobe);

	KUNIT_EXPECT_EQ(test, lazy_flushed.nr_calls, 1);
	KUNIT_EXPECT_EQ(test, lazy_flushed.nr_pages, LAZY_USED_PAGES);
	KUNIT_EXPECT_EQ(test, lazy_look().nr, 0);
}

/* The hardware has them in two halves. No walker sees this one: it is in no table. */
static void update_of_a_huge_pmd_collects_both_halves(struct kunit *test)
{
	pmd_t pmd = __pmd(pte_val(lazy_old_ptes[0]) | _PAGE_PMD_HUGE);
	struct lazy_batch batch;

	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
		kunit_skip(test, "needs CONFIG_TRANSPARENT_HUGEPAGE");

	lazy_mmu_mode_enable();
	preempt_disable();
	set_pmd_at(lazy_mm.mm, LAZY_AREA, &pmd, pmd);
	preempt_enable();
	batch = lazy_look();
	lazy_mmu_mode_disable();

	KUNIT_ASSERT_EQ(test, batch.nr, 2);
	KUNIT_EXPECT_EQ(test, batch.hugepage_shift, REAL_HPAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, batch.first, LAZY_AREA);
	KUNIT_EXPECT_EQ(test, batch.last, LAZY_AREA + REAL_HPAGE_SIZE);
}

/* The hardware: an address that was remapped leads to the new page. */

/* By which an update takes effect. */
enum lazy_effect {
	LAZY_BY_END,
	LAZY_BY_NESTED_END,
	LAZY_BY_PAUSE,
	LAZY_BY_FLUSH,
	LAZY_BY_FULL_BATCH,
	LAZY_BY_ANOTHER_MM,
	LAZY_BY_ANOTHER_SIZE,
};

/* A batch of one page is flushed by other code than a longer one. */
static const struct lazy_effect_param {
	const char *desc;
	enum lazy_effect effect;
	unsigned int nr;
} lazy_effect_params[] = {
	{ "one page, end of the section", LAZY_BY_END, 1 },
	{ "three pages, end of the section", LAZY_BY_END, 3 },
	{ "one page, end of a nested section", LAZY_BY_NESTED_END, 1 },
	{ "three pages, end of a nested section", LAZY_BY_NESTED_END, 3 },
	{ "one page, pause", LAZY_BY_PAUSE, 1 },
	{ "three pages, pause", LAZY_BY_PAUSE, 3 },
	{ "one page, flush", LAZY_BY_FLUSH, 1 },
	{ "three pages, flush", LAZY_BY_FLUSH, 3 },
	{ "three pages, full batch", LAZY_BY_FULL_BATCH, 3 },
	{ "one page, another mm", LAZY_BY_ANOTHER_MM, 1 },
	{ "three pages, another mm", LAZY_BY_ANOTHER_MM, 3 },
	{ "one page, another page size", LAZY_BY_ANOTHER_SIZE, 1 },
	{ "three pages, another page size", LAZY_BY_ANOTHER_SIZE, 3 },
};

KUNIT_ARRAY_PARAM_DESC(lazy_effect, lazy_effect_params, desc);

static void lazy_effect_begin(enum lazy_effect effect)
{
	lazy_mmu_mode_enable();
	if (effect == LAZY_BY_NESTED_END)
		lazy_mmu_mode_enable();
}

static void lazy_effect_come(enum lazy_effect effect)
{
	switch (effect) {
	case LAZY_BY_END:
	case LAZY_BY_NESTED_END:
		lazy_mmu_mode_disable();
		break;
	case LAZY_BY_PAUSE:
		lazy_mmu_mode_pause();
		break;
	case LAZY_BY_FLUSH:
		arch_flush_lazy_mmu_mode();
		break;
	case LAZY_BY_FULL_BATCH:
		for (unsigned int i = lazy_look().nr; i < TLB_BATCH_NR; i++)
			lazy_update(LAZY_USED_PAGES - 1);
		break;
	case LAZY_BY_ANOTHER_MM:
		lazy_update_in(&lazy_other_mm, 0);
		break;
	case LAZY_BY_ANOTHER_SIZE:
		tlb_batch_add(lazy_mm.mm, lazy_addr(LAZY_USED_PAGES - 1),
			      lazy_mm.ptes + LAZY_USED_PAGES - 1,
			      lazy_old_ptes[LAZY_USED_PAGES - 1], 0,
			      REAL_HPAGE_SHIFT);
		break;
	}
}

static void lazy_effect_end(enum lazy_effect effect)
{
	if (effect == LAZY_BY_PAUSE)
		lazy_mmu_mode_resume();
	if (effect != LAZY_BY_END)
		lazy_mmu_mode_disable();
}

#define LAZY_MAX_REMAPPED	3

/* What addresses led to before their updates took effect. */
static unsigned long lazy_before[LAZY_MAX_REMAPPED];

/* Have the TLB translate the addresses as they are mapped now. */
static void lazy_prime(void)
{
	for (unsigned int i = 0; i < LAZY_MAX_REMAPPED; i++)
		lazy_read(i);
}

/* Otherwise there is nothing that the flush could have done. */
static void lazy_assert_stale(struct kunit *test, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ_MSG(test, lazy_before[i], lazy_value(i),
				    "the update took effect too early");
}

/* First a write, then a read. */
static void accesses_reach_the_new_page_after(struct kunit *test)
{
	const struct lazy_effect_param *param = test->param_value;
	unsigned long written[LAZY_MAX_REMAPPED], kept[LAZY_MAX_REMAPPED];
	unsigned long after[LAZY_MAX_REMAPPED];

	if (param->effect == LAZY_BY_ANOTHER_MM)
		lazy_make_other_mm(test);

	lazy_prime();
	lazy_effect_begin(param->effect);
	for (unsigned int i = 0; i < param->nr; i++)
		lazy_remap(i);
	for (unsigned int i = 0; i < param->nr; i++)
		lazy_before[i] = lazy_read(i);
	lazy_effect_come(param->effect);
	for (unsigned int i = 0; i < param->nr; i++)
		lazy_write(i, 1000 + i);
	for (unsigned int i = 0; i < param->nr; i++) {
		after[i] = lazy_read(i);
		written[i] = lazy_read(i + LAZY_REMAP);
	}
	lazy_effect_end(param->effect);
	lazy_restore();
	for (unsigned int i = 0; i < param->nr; i++)
		kept[i] = lazy_read(i);

	lazy_assert_stale(test, param->nr);
	for (unsigned int i = 0; i < param->nr; i++) {
		KUNIT_EXPECT_EQ(test, after[i], 1000 + i);
		KUNIT_EXPECT_EQ(test, written[i], 1000 + i);
		KUNIT_EXPECT_EQ(test, kept[i], lazy_value(i));
	}
}

static void update_outside_a_section_is_immediate(struct kunit *test)
{
	unsigned long outside, pause;

	lazy_prime();
	lazy_remap(0);
	outside = lazy_read(0);
	lazy_mmu_mode_enable();
	lazy_mmu_mode_pause();
	lazy_remap(1);
	pause = lazy_read(1);
	lazy_mmu_mode_resume();
	lazy_mmu_mode_disable();
	lazy_restore();

	KUNIT_EXPECT_EQ(test, outside, lazy_value(LAZY_REMAP));
	KUNIT_EXPECT_EQ(test, pause, lazy_value(1 + LAZY_REMAP));
}

/* Preemption: off while there is something in the batch, which is the CPU's. */

static int lazy_preempt_count(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_COUNT))
		kunit_skip(test, "this kernel does not count");

	return preempt_count();
}

static void empty_section_leaves_preemption_enabled(struct kunit *test)
{
	int before = lazy_preempt_count(test), inside, flush, after;

	lazy_mmu_mode_enable();
	inside = preempt_count();
	arch_flush_lazy_mmu_mode();
	flush = preempt_count();
	lazy_mmu_mode_disable();
	after = preempt_count();
	arch_flush_lazy_mmu_mode();

	KUNIT_EXPECT_EQ(test, inside, before);
	KUNIT_EXPECT_EQ(test, flush, before);
	KUNIT_EXPECT_EQ(test, after, before);
	KUNIT_EXPECT_EQ(test, preempt_count(), before);
}

static void preemption_is_disabled_while_something_waits(struct kunit *test)
{
	const struct lazy_effect_param *param = test->param_value;
	int before = lazy_preempt_count(test), collecting, after, end;
	unsigned long nr;

	if (param->effect == LAZY_BY_ANOTHER_MM)
		lazy_make_other_mm(test);

	lazy_effect_begin(param->effect);
	for (unsigned int i = 0; i < param->nr; i++)
		lazy_update(i);
	collecting = preempt_count();
	lazy_effect_come(param->effect);
	after = preempt_count();
	nr = lazy_look().nr;
	lazy_effect_end(param->effect);
	end = preempt_count();

	KUNIT_EXPECT_EQ(test, collecting, before + PREEMPT_OFFSET);
	KUNIT_EXPECT_EQ(test, after, nr ? before + PREEMPT_OFFSET : before);
	KUNIT_EXPECT_EQ(test, end, before);
}

/* Kernel page tables */

/* Large enough for two pages of one colour. */
#define LAZY_KERNEL_PAGES	3

KUNIT_DEFINE_ACTION_WRAPPER(lazy_vfree, vfree, const void *)

static unsigned long *lazy_kernel_area(struct kunit *test)
{
	unsigned long *area = vzalloc(LAZY_KERNEL_PAGES * PAGE_SIZE);

	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, lazy_vfree, area), 0);

	return area;
}

static void update_of_a_kernel_page_collects_nothing(struct kunit *test)
{
	unsigned long addr = (unsigned long)lazy_kernel_area(test);
	int before = preempt_count(), inside;
	pte_t *ptep = virt_to_kpte(addr);
	struct lazy_batch batch;

	KUNIT_ASSERT_TRUE(test, pte_accessible(&init_mm, *ptep));

	lazy_mmu_mode_enable();
	set_pte_at(&init_mm, addr, ptep, *ptep);
	inside = preempt_count();
	batch = lazy_look();
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, batch.nr, 0);
	KUNIT_EXPECT_EQ(test, inside, before);
}

static void update_of_a_kernel_page_leaves_the_batch_alone(struct kunit *test)
{
	unsigned long addr = (unsigned long)lazy_kernel_area(test);
	pte_t *ptep = virt_to_kpte(addr);
	struct lazy_batch batch;

	lazy_mmu_mode_enable();
	lazy_update(0);
	lazy_update(1);
	set_pte_at(&init_mm, addr, ptep, *ptep);
	batch = lazy_look();
	lazy_mmu_mode_disable();

	lazy_expect_batch(test, &batch, &lazy_mm, 0, 2);
}

static void update_of_a_kernel_pmd_collects_nothing(struct kunit *test)
{
	unsigned long addr = (unsigned long)lazy_kernel_area(test);
	struct lazy_batch batch;

	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
		kunit_skip(test, "needs CONFIG_TRANSPARENT_HUGEPAGE");

	lazy_mmu_mode_enable();
	lazy_update_pmd(&init_mm, addr);
	batch = lazy_look();
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, batch.nr, 0);
}

/* It is flush_tlb_kernel_range() that makes these updates take effect. */
static void kernel_range_is_flushed_in_a_section(struct kunit *test)
{
	unsigned long *area = lazy_kernel_area(test), addr = (unsigned long)area;
	pte_t *ptep = virt_to_kpte(addr), old = *ptep;
	unsigned long value;

	WRITE_ONCE(area[0], 1);
	WRITE_ONCE(area[2 * PAGE_SIZE / sizeof(*area)], 2);

	lazy_mmu_mode_enable();
	set_pte_at(&init_mm, addr, ptep, *virt_to_kpte(addr + 2 * PAGE_SIZE));
	flush_tlb_kernel_range(addr, addr + PAGE_SIZE);
	value = READ_ONCE(area[0]);
	set_pte_at(&init_mm, addr, ptep, old);
	flush_tlb_kernel_range(addr, addr + PAGE_SIZE);
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, value, 2);
}

/* Interrupts. The handler is a timer's, and it updates a page table. */

static const struct lazy_interrupt_param {
	const char *desc;
	bool is_soft;
	bool is_other_mm;
} lazy_interrupt_params[] = {
	{ "hard interrupt, same mm", false, false },
	{ "hard interrupt, another mm", false, true },
	{ "softirq, same mm", true, false },
	{ "softirq, another mm", true, true },
};

KUNIT_ARRAY_PARAM_DESC(lazy_interrupt, lazy_interrupt_params, desc);

/* Pages that the task updates; the handler updates the next one. */
#define LAZY_TASK_PAGES		2

static struct lazy_interrupt {
	struct lazy_irq irq;
	bool is_other_mm;

	/* What the handler found, on top of the section. */
	struct tlb_batch before;
	struct tlb_batch after;
	unsigned long value;

	/* What is left to the task. */
	struct lazy_batch batch;
} lazy_interrupt;

static void lazy_interrupt_fn(struct lazy_irq *irq)
{
	const struct tlb_batch *tb = this_cpu_ptr(&tlb_batch);
	struct lazy_interrupt *seen = &lazy_interrupt;

	seen->before = *tb;
	if (seen->is_other_mm) {
		lazy_update_in(&lazy_other_mm, 0);
	} else {
		/* Have the TLB translate the address as it is mapped now. */
		lazy_read_in_interrupt(LAZY_TASK_PAGES);
		lazy_remap(LAZY_TASK_PAGES);
		seen->value = lazy_read_in_interrupt(LAZY_TASK_PAGES);
	}
	seen->after = *tb;
}

static void update_in_an_interrupt_leaves_the_batch_alone(struct kunit *test)
{
	const struct lazy_interrupt_param *param = test->param_value;
	struct lazy_interrupt *seen = &lazy_interrupt;

	memset(seen, 0, sizeof(*seen));
	lazy_irq_init(test, &seen->irq, param->is_soft, lazy_interrupt_fn);
	seen->is_other_mm = param->is_other_mm;
	if (param->is_other_mm)
		lazy_make_other_mm(test);

	for (int i = 0; i < 100 && !lazy_irq_hit(&seen->irq); i++) {
		lazy_mmu_mode_enable();
		for (unsigned int page = 0; page < LAZY_TASK_PAGES; page++)
			lazy_update(page);
		lazy_irq_start(&seen->irq);
		lazy_irq_wait(&seen->irq);
		seen->batch = lazy_look();
		lazy_mmu_mode_disable();
		lazy_restore();
	}
	KUNIT_ASSERT_TRUE_MSG(test, lazy_irq_hit(&seen->irq), "no interrupt hit the section");
	KUNIT_ASSERT_EQ(test, seen->before.tlb_nr, LAZY_TASK_PAGES);

	KUNIT_EXPECT_MEMEQ(test, &seen->before, &seen->after, sizeof(seen->before));
	lazy_expect_batch(test, &seen->batch, &lazy_mm, 0, LAZY_TASK_PAGES);
	/* It takes effect at once. */
	if (!param->is_other_mm)
		KUNIT_EXPECT_EQ(test, seen->value,
				lazy_value(LAZY_TASK_PAGES + LAZY_REMAP));
}

/* Death */

struct lazy_victim {
	struct lazy_thread thread;
	struct lazy_batch batch;
};

static int lazy_dying_fn(void *data)
{
	struct lazy_victim *victim = data;

	/* As a thread of a process whose other threads go on. */
	kthread_use_mm(lazy_mm.mm);
	lazy_mmu_mode_enable();
	lazy_mmu_mode_enable();
	lazy_remap(0);
	victim->batch = lazy_look();
	lazy_die(&victim->thread);
}

/* On this CPU, where its batch would be left. */
static void death_in_a_section_leaves_nothing_behind(struct kunit *test)
{
	struct lazy_victim *victim;
	struct lazy_batch batch;
	unsigned long value;

	lazy_prime();
	/* From kthread_use_mm() on, do_exit() puts the mm. */
	mmget(lazy_mm.mm);
	victim = lazy_start_thread(test, sizeof(*victim), lazy_dying_fn, lazy_stay_here());
	lazy_stop_thread(&victim->thread);
	/* The reference of kthread_use_mm(), which do_exit() knows nothing of. */
	mmdrop(lazy_mm.mm);
	batch = lazy_look();
	value = lazy_read(0);
	lazy_restore();

	/* There was something to leave behind. */
	KUNIT_ASSERT_EQ(test, victim->batch.nr, 1);
	KUNIT_ASSERT_PTR_EQ(test, victim->batch.mm, lazy_mm.mm);
	KUNIT_EXPECT_EQ(test, batch.nr, 0);
	KUNIT_EXPECT_EQ(test, value, lazy_value(LAZY_REMAP));
}

/* Sleep in a section, which is forbidden */

static unsigned int lazy_nr_warnings;

static void lazy_probe_console(void *data, const char *text, size_t len)
{
	if (strnstr(text, "a task sleeps in a lazy MMU section", len))
		lazy_nr_warnings++;
}

struct lazy_sleeper {
	struct lazy_thread thread;
	/* In its section. */
	unsigned long value, nr;
	/* In the task that runs when it sleeps there. */
	unsigned long next_value, next_nr;
	int next_preempt_count;
	/* When it has slept twice. */
	int preempt_count;
};

static void lazy_remap_in_a_section(struct lazy_sleeper *sleeper)
{
	/* Have the TLB translate the address as it is mapped now. */
	lazy_read(0);
	/* Unlike lazy_remap(), no write that the detector remembers. */
	preempt_disable();
	lazy_mm.ptes[0] = lazy_old_ptes[LAZY_REMAP];
	tlb_batch_add(lazy_mm.mm, lazy_addr(0), lazy_mm.ptes, lazy_old_ptes[0], 0,
		      PAGE_SHIFT);
	preempt_enable();
	sleeper->value = lazy_read(0);
	sleeper->nr = lazy_look().nr;
}

/*
 * As in a kernel that does not count preemption, where a section can sleep and
 * nobody else takes notice.
 */
static int lazy_unnoticed_sleeper_fn(void *data)
{
	struct lazy_sleeper *sleeper = data;

	kthread_use_mm(lazy_mm.mm);
	preempt_disable();
	current->lazy_mmu_state.enable_count = 1;
	lazy_remap_in_a_section(sleeper);
	current->lazy_mmu_state.enable_count = 0;
	complete(&sleeper->thread.is_in);
	/* Also for the entry in the batch. */
	preempt_count_set(0);
	wait_for_completion(&sleeper->thread.go_on);
	kthread_unuse_mm(lazy_mm.mm);

	return 0;
}

/* Have a task sleep in a section, on this CPU. */
static struct lazy_sleeper *lazy_sleep(struct kunit *test, int (*fn)(void *))
{
	struct lazy_sleeper *sleeper;
	int before = preempt_count();

	sleeper = lazy_start_thread(test, sizeof(*sleeper), fn, lazy_stay_here());
	sleeper->next_preempt_count = preempt_count() - before;
	preempt_count_set(before);
	sleeper->next_nr = lazy_look().nr;
	sleeper->next_value = lazy_read(0);
	lazy_stop_thread(&sleeper->thread);
	lazy_restore();

	/* Otherwise there was nothing to flush. */
	KUNIT_ASSERT_EQ(test, sleeper->value, lazy_value(0));
	KUNIT_ASSERT_EQ(test, sleeper->nr, 1);

	return sleeper;
}

static void sleep_in_a_section_flushes_the_batch(struct kunit *test)
{
	struct lazy_sleeper *sleeper = lazy_sleep(test, lazy_unnoticed_sleeper_fn);

	KUNIT_EXPECT_EQ(test, sleeper->next_nr, 0);
	KUNIT_EXPECT_EQ(test, sleeper->next_value, lazy_value(LAZY_REMAP));
}

static void sleep_in_a_section_leaves_preemption_of_others_alone(struct kunit *test)
{
	struct lazy_sleeper *sleeper = lazy_sleep(test, lazy_unnoticed_sleeper_fn);

	KUNIT_EXPECT_EQ(test, sleeper->next_preempt_count, 0);
}

static void sleep_in_a_section_is_warned_about_once(struct kunit *test)
{
	unsigned int nr_first;

	lazy_sleep(test, lazy_unnoticed_sleeper_fn);
	nr_first = lazy_nr_warnings;
	lazy_sleep(test, lazy_unnoticed_sleeper_fn);

	KUNIT_EXPECT_EQ(test, nr_first, 1);
	KUNIT_EXPECT_EQ(test, lazy_nr_warnings, 1);
}

static void sleep_behind_a_section_is_not_warned_about(struct kunit *test)
{
	lazy_mmu_mode_enable();
	lazy_update(0);
	lazy_mmu_mode_disable();
	schedule_timeout_uninterruptible(1);

	KUNIT_EXPECT_EQ(test, lazy_nr_warnings, 0);
}

#ifdef CONFIG_DEBUG_LAZY_MMU_MODE
static struct kunit *lazy_sleepers_test;
static unsigned int lazy_nr_sleeps, lazy_nr_reports;

static void lazy_take_report(const struct lazy_mmu_report *report)
{
	lazy_nr_sleeps += report->misuse == LAZY_MMU_SLEEP;
	lazy_nr_reports++;
}

static int lazy_noticed_sleeper_fn(void *data)
{
	struct lazy_sleeper *sleeper = data;

	/* For its reports to get to the function above. */
	current->kunit_test = lazy_sleepers_test;
	kthread_use_mm(lazy_mm.mm);
	lazy_mmu_mode_enable();
	lazy_remap_in_a_section(sleeper);
	complete(&sleeper->thread.is_in);
	wait_for_completion(&sleeper->thread.go_on);
	schedule_timeout_uninterruptible(1);
	sleeper->preempt_count = preempt_count();
	lazy_mmu_mode_disable();
	kthread_unuse_mm(lazy_mm.mm);

	return 0;
}

/* The detector is the first to notice, and leaves the mode. */
static void sleep_in_a_section_is_reported_once(struct kunit *test)
{
	struct lazy_sleeper *sleeper;

	lazy_nr_sleeps = 0;
	lazy_nr_reports = 0;
	lazy_sleepers_test = test;
	lazy_mmu_report_stub = lazy_take_report;
	lazy_mmu_report_test = test;

	sleeper = lazy_sleep(test, lazy_noticed_sleeper_fn);

	KUNIT_EXPECT_EQ(test, sleeper->next_nr, 0);
	KUNIT_EXPECT_EQ(test, sleeper->next_value, lazy_value(LAZY_REMAP));
	KUNIT_EXPECT_EQ(test, sleeper->next_preempt_count, 0);
	KUNIT_EXPECT_EQ(test, sleeper->preempt_count, 0);
	KUNIT_EXPECT_EQ(test, lazy_nr_sleeps, 1);
	KUNIT_EXPECT_EQ(test, lazy_nr_reports, 1);
	KUNIT_EXPECT_EQ(test, lazy_nr_warnings, 0);
}

static void lazy_take_no_reports(void)
{
	lazy_mmu_report_test = NULL;
}
#else
static void sleep_in_a_section_is_reported_once(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_DEBUG_LAZY_MMU_MODE");
}

static void lazy_take_no_reports(void) {}
#endif /* CONFIG_DEBUG_LAZY_MMU_MODE */

static struct kunit_case lazy_mmu_mode_sparc64_cases[] = {
	KUNIT_CASE(section_collects_updates_up_to_its_end),
	KUNIT_CASE(update_outside_a_section_collects_nothing),
	KUNIT_CASE(section_collects_with_bottom_halves_disabled),
	KUNIT_CASE(nested_section_collects_in_the_same_batch),
	KUNIT_CASE(pause_empties_the_batch_and_collects_nothing),
	KUNIT_CASE(flush_empties_the_batch),
	KUNIT_CASE(full_batch_starts_over),
	KUNIT_CASE(full_batch_is_flushed),
	KUNIT_CASE(batch_is_empty_when_it_is_flushed),
	KUNIT_CASE(update_of_another_mm_starts_a_batch),
	KUNIT_CASE(update_of_another_page_size_starts_a_batch),
	KUNIT_CASE(executable_page_is_collected_as_such),
	KUNIT_CASE(update_of_a_pmd_is_one_batch),
	KUNIT_CASE(update_of_a_huge_pmd_collects_both_halves),

	KUNIT_CASE_PARAM(accesses_reach_the_new_page_after, lazy_effect_gen_params),
	KUNIT_CASE(update_outside_a_section_is_immediate),

	KUNIT_CASE(empty_section_leaves_preemption_enabled),
	KUNIT_CASE_PARAM(preemption_is_disabled_while_something_waits,
			 lazy_effect_gen_params),

	KUNIT_CASE(update_of_a_kernel_page_collects_nothing),
	KUNIT_CASE(update_of_a_kernel_page_leaves_the_batch_alone),
	KUNIT_CASE(update_of_a_kernel_pmd_collects_nothing),
	KUNIT_CASE(kernel_range_is_flushed_in_a_section),

	KUNIT_CASE_PARAM(update_in_an_interrupt_leaves_the_batch_alone,
			 lazy_interrupt_gen_params),

	KUNIT_CASE(death_in_a_section_leaves_nothing_behind),
	{}
};

/* Apart, because they have the kernel warn. */
static struct kunit_case lazy_mmu_mode_sparc64_sleep_cases[] = {
	KUNIT_CASE(sleep_in_a_section_flushes_the_batch),
	KUNIT_CASE(sleep_in_a_section_leaves_preemption_of_others_alone),
	KUNIT_CASE(sleep_in_a_section_is_warned_about_once),
	KUNIT_CASE(sleep_behind_a_section_is_not_warned_about),
	KUNIT_CASE(sleep_in_a_section_is_reported_once),
	{}
};

/* Runs in the task that then runs the case, whose mm goes with it. */
static int lazy_mmu_mode_sparc64_init(struct kunit *test)
{
	unsigned long addr;

	addr = kunit_vm_mmap(test, NULL, LAZY_AREA, LAZY_AREA_PAGES * PAGE_SIZE,
			     PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
	KUNIT_ASSERT_EQ(test, addr, LAZY_AREA);
	lazy_populate(test, 0, LAZY_USED_PAGES);

	lazy_mm.mm = current->mm;
	lazy_find_ptes(&lazy_mm);
	for (unsigned int i = 0; i < LAZY_USED_PAGES; i++)
		lazy_old_ptes[i] = lazy_mm.ptes[i];

	return 0;
}

static int lazy_mmu_mode_sparc64_sleep_init(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "needs CONFIG_TRACEPOINTS");
	/* What was warned about before does not count, nor does what is now. */
	lazy_clear_warn_once();
	lazy_nr_warnings = 0;

	return lazy_mmu_mode_sparc64_init(test);
}

static void lazy_mmu_mode_sparc64_sleep_exit(struct kunit *test)
{
	lazy_take_no_reports();
	lazy_clear_warn_once();
}

static int lazy_mmu_mode_sparc64_sleep_suite_init(struct kunit_suite *suite)
{
	int ret = register_trace_console(lazy_probe_console, NULL);

	return IS_ENABLED(CONFIG_TRACEPOINTS) ? ret : 0;
}

static void lazy_mmu_mode_sparc64_sleep_suite_exit(struct kunit_suite *suite)
{
	unregister_trace_console(lazy_probe_console, NULL);
	tracepoint_synchronize_unregister();
}

static struct kunit_suite lazy_mmu_mode_sparc64_suite = {
	.name = "lazy_mmu_mode_sparc64",
	.init = lazy_mmu_mode_sparc64_init,
	.test_cases = lazy_mmu_mode_sparc64_cases,
};

static struct kunit_suite lazy_mmu_mode_sparc64_sleep_suite = {
	.name = "lazy_mmu_mode_sparc64_sleep",
	.suite_init = lazy_mmu_mode_sparc64_sleep_suite_init,
	.suite_exit = lazy_mmu_mode_sparc64_sleep_suite_exit,
	.init = lazy_mmu_mode_sparc64_sleep_init,
	.exit = lazy_mmu_mode_sparc64_sleep_exit,
	.test_cases = lazy_mmu_mode_sparc64_sleep_cases,
};

kunit_test_suites(&lazy_mmu_mode_sparc64_suite, &lazy_mmu_mode_sparc64_sleep_suite);

MODULE_DESCRIPTION("KUnit tests for the lazy MMU mode of sparc64");
MODULE_LICENSE("GPL");
