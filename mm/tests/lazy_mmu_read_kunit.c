// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for page table entries that are looked at in the lazy MMU section that
 * they were written in: CONFIG_DEBUG_LAZY_MMU_MODE reports that, with the place where
 * they were written, and nothing else.
 */
#include <kunit/test.h>

#include <linux/bottom_half.h>
#include <linux/completion.h>
#include <linux/lazy_mmu_check.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/uaccess.h>

#include <asm/lazy_mmu_check.h>

#include "lazy_mmu_kunit.h"
#include "lazy_mmu_report_kunit.h"

/*
 * In an address space of their own: the first is present, and the others are none. Two
 * more behind them are present. The smallest table has 32, with powerpc's radix MMU.
 */
#define LAZY_ENTRIES	24

static struct mm_struct *lazy_mm;
static struct vm_area_struct *lazy_vma;
static unsigned long lazy_addr;
static pte_t *lazy_ptes;
/* Some architectures look whether it is held when an entry is updated. */
static spinlock_t *lazy_ptl;

static unsigned long lazy_addr_of(unsigned int i)
{
	return lazy_addr + i * PAGE_SIZE;
}

static noinline __noclone void lazy_write(unsigned int i)
{
	pte_clear(lazy_mm, lazy_addr_of(i), lazy_ptes + i);
}

static noinline __noclone void lazy_write_again(unsigned int i)
{
	set_pte_at(lazy_mm, lazy_addr_of(i), lazy_ptes + i,
		   make_pte_marker(PTE_MARKER_POISONED));
}

static noinline __noclone pte_t lazy_read(unsigned int i)
{
	return ptep_get(lazy_ptes + i);
}

static void lazy_expect_read(struct kunit *test, const char *writer, const char *opener)
{
	lazy_expect_report_in(test, LAZY_MMU_READ, opener, "lazy_read");
	lazy_expect_ip(test, lazy_reports[0].written_ip, writer);
}

static void read_of_a_written_entry_is_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_open();
	lazy_write(1);
	lazy_read(1);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_read(test, "lazy_write", "lazy_open");
	KUNIT_EXPECT_TRUE(test, lazy_reports[0].is_open);
	lazy_expect_counts(test, 1, 0);
	lazy_expect_closed(test);
}

static void read_without_bottom_halves_is_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_open();
	local_bh_disable();
	lazy_write(1);
	lazy_read(1);
	local_bh_enable();
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_read(test, "lazy_write", "lazy_open");
}

static void read_in_a_nested_section_is_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_mmu_mode_enable();
	lazy_write(1);
	lazy_open();
	lazy_read(1);
	lazy_mmu_mode_disable();
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_read(test, "lazy_write", "lazy_open");
	lazy_expect_counts(test, 2, 0);
}

static void read_after_a_pause_of_what_was_written_since_is_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_open();
	lazy_mmu_mode_pause();
	lazy_mmu_mode_resume();
	lazy_write(1);
	lazy_read(1);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_read(test, "lazy_write", "lazy_open");
}

static void read_of_an_entry_written_twice_is_reported_once(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_open();
	lazy_write(1);
	lazy_write_again(1);
	lazy_read(1);
	lazy_read(1);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_read(test, "lazy_write_again", "lazy_open");
}

/* Unlike what leaves the counts of a task in disorder. */
static void misuse_after_a_read_is_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_mmu_mode_enable();
	lazy_write(1);
	lazy_read(1);
	lazy_mmu_mode_disable();
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	KUNIT_EXPECT_EQ(test, lazy_nr_reports, 2);
	KUNIT_EXPECT_EQ(test, lazy_reports[1].misuse, LAZY_MMU_DISABLE_WITHOUT_ENABLE);
	KUNIT_EXPECT_EQ(test, lazy_reports[1].written_ip, 0);
}

static noinline __noclone void lazy_write_range(unsigned int first, unsigned int nr)
{
	clear_not_present_full_ptes(lazy_mm, lazy_addr_of(first), lazy_ptes + first, nr, 0);
}

static void every_entry_of_a_range_is_reported(struct kunit *test)
{
	for (unsigned int i = 1; i < 10; i++) {
		bool is_in_range = i > 1 && i < 9;

		lazy_nr_reports = 0;
		spin_lock(lazy_ptl);
		lazy_open();
		lazy_write_range(2, 7);
		lazy_read(i);
		lazy_mmu_mode_disable();
		spin_unlock(lazy_ptl);

		KUNIT_EXPECT_EQ_MSG(test, lazy_nr_reports, is_in_range, "entry %u", i);
	}
}

static void loops_over_a_table_are_reported_once(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_open();
	for (unsigned int i = 1; i < LAZY_ENTRIES; i++)
		lazy_write(i);
	for (unsigned int i = 1; i < LAZY_ENTRIES; i++)
		lazy_read(i);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_read(test, "lazy_write", "lazy_open");
}

/* Two loops at a time, as in fork(). */
static void interleaved_writes_are_told_apart(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_open();
	lazy_write(1);
	lazy_write_again(2);
	lazy_read(2);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_read(test, "lazy_write_again", "lazy_open");
}

/* Not one range, as it would be forwards. */
static void lazy_write_backwards(unsigned int last)
{
	for (unsigned int i = last; i > 0; i--)
		lazy_write(i);
}

static void every_remembered_range_is_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_open();
	lazy_write_backwards(LAZY_MMU_CHECK_WRITTEN);
	for (unsigned int i = 1; i <= LAZY_MMU_CHECK_WRITTEN; i++)
		lazy_read(i);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	KUNIT_EXPECT_EQ(test, lazy_nr_reports, LAZY_MMU_CHECK_WRITTEN);
}

static void oldest_range_is_forgotten_for_a_new_one(struct kunit *test)
{
	const unsigned int oldest = LAZY_MMU_CHECK_WRITTEN + 1;
	unsigned int nr_oldest;

	static_assert(LAZY_MMU_CHECK_WRITTEN + 1 < LAZY_ENTRIES);

	spin_lock(lazy_ptl);
	lazy_open();
	lazy_write_backwards(oldest);
	lazy_read(oldest);
	nr_oldest = lazy_nr_reports;
	for (unsigned int i = 1; i < oldest; i++)
		lazy_read(i);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	/* Unless the architecture knows it. */
	KUNIT_EXPECT_EQ(test, nr_oldest, arch_lazy_mmu_tells_what_waits());
	KUNIT_EXPECT_EQ(test, lazy_nr_reports - nr_oldest, LAZY_MMU_CHECK_WRITTEN);
}

#ifdef CONFIG_XEN_PV
static void lazy_skip_unless_told(struct kunit *test)
{
	if (!arch_lazy_mmu_tells_what_waits())
		kunit_skip(test, "this machine does not tell what waits");
}

/* Not noted, but Xen lets it wait all the same. */
static void lazy_write_unnoted(unsigned int i)
{
	set_pte(lazy_ptes + i, make_pte_marker(PTE_MARKER_POISONED));
}

static void read_of_an_entry_that_waits_is_reported(struct kunit *test)
{
	lazy_skip_unless_told(test);

	spin_lock(lazy_ptl);
	lazy_open();
	lazy_write_unnoted(2);
	lazy_read(2);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_report_in(test, LAZY_MMU_READ, "lazy_open", "lazy_read");
	KUNIT_EXPECT_EQ(test, lazy_reports[0].written_ip, 0);
}

static void atomic_update_of_an_entry_that_waits_is_reported(struct kunit *test)
{
	lazy_skip_unless_told(test);

	spin_lock(lazy_ptl);
	lazy_open();
	lazy_write_unnoted(2);
	get_and_clear_full_ptes(lazy_mm, lazy_addr_of(1), lazy_ptes + 1, 2, 0);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_report_in(test, LAZY_MMU_OVERTAKEN, "lazy_open",
			      "atomic_update_of_an_entry_that_waits_is_reported");
	KUNIT_EXPECT_EQ(test, lazy_reports[0].written_ip, 0);
}

static void read_of_an_entry_that_does_not_wait_is_not_reported(struct kunit *test)
{
	lazy_skip_unless_told(test);

	spin_lock(lazy_ptl);
	lazy_mmu_mode_enable();
	lazy_write_unnoted(2);
	lazy_read(1);
	lazy_read(3);
	lazy_mmu_mode_pause();
	lazy_read(2);
	lazy_mmu_mode_resume();
	lazy_read(2);
	lazy_mmu_mode_disable();
	lazy_read(2);
	spin_unlock(lazy_ptl);

	lazy_expect_no_report(test);
}
#endif /* CONFIG_XEN_PV */

static void read_of_other_entries_is_not_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_mmu_mode_enable();
	lazy_write(2);
	lazy_read(1);
	lazy_read(3);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_no_report(test);
}

static void read_before_the_write_is_not_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_mmu_mode_enable();
	for (unsigned int i = 1; i < LAZY_ENTRIES; i++) {
		lazy_read(i);
		lazy_write(i);
	}
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_no_report(test);
}

static void read_after_a_nested_section_is_not_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_mmu_mode_enable();
	lazy_write(1);
	lazy_mmu_mode_enable();
	lazy_write(2);
	lazy_mmu_mode_disable();
	lazy_read(1);
	lazy_read(2);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_no_report(test);
}

static void read_after_the_section_is_not_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_mmu_mode_enable();
	lazy_write(1);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);
	lazy_read(1);

	lazy_expect_no_report(test);
}

static void read_in_the_next_section_is_not_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_mmu_mode_enable();
	lazy_write(1);
	lazy_mmu_mode_disable();
	lazy_write(2);
	lazy_mmu_mode_enable();
	lazy_read(1);
	lazy_read(2);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_no_report(test);
}

/* In lazy_mmu_mode_disable(), which has counted, but not called leave yet. */
static void read_outside_of_the_mode_is_not_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_mmu_mode_enable();
	lazy_write(1);
	current->lazy_mmu_state.enable_count = 0;
	lazy_read(1);
	current->lazy_mmu_state.enable_count = 1;
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_no_report(test);
}

static void read_in_a_pause_is_not_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_mmu_mode_enable();
	lazy_write(1);
	lazy_mmu_mode_pause();
	lazy_read(1);
	lazy_write(2);
	lazy_read(2);
	lazy_mmu_mode_enable();
	lazy_write(3);
	lazy_read(3);
	lazy_mmu_mode_disable();
	lazy_mmu_mode_resume();
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_no_report(test);
}

static void read_after_a_pause_is_not_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_mmu_mode_enable();
	lazy_write(1);
	lazy_mmu_mode_pause();
	lazy_write(2);
	lazy_mmu_mode_resume();
	lazy_read(1);
	lazy_read(2);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_no_report(test);
}

static void lockless_read_is_not_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_mmu_mode_enable();
	lazy_write(1);
	ptep_get_lockless(lazy_ptes + 1);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_no_report(test);
}

static void lazy_read_and_write_in_an_interrupt(struct lazy_irq *irq)
{
	lazy_read(1);
	lazy_write(2);
	lazy_read(2);
}

KUNIT_ARRAY_PARAM_DESC(lazy_irq, lazy_irq_params, desc);

static void read_in_an_interrupt_is_not_reported(struct kunit *test)
{
	const struct lazy_irq_param *param = test->param_value;
	struct lazy_irq *irq = kunit_kzalloc(test, sizeof(*irq), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, irq);
	lazy_irq_init(test, irq, param->is_soft, lazy_read_and_write_in_an_interrupt);

	for (int i = 0; i < 100 && !lazy_irq_hit(irq); i++) {
		spin_lock(lazy_ptl);
		lazy_mmu_mode_enable();
		lazy_write(1);
		lazy_irq_start(irq);
		lazy_irq_wait(irq);
		/* What the interrupt has written did not wait. */
		lazy_read(2);
		lazy_mmu_mode_disable();
		spin_unlock(lazy_ptl);
	}

	KUNIT_ASSERT_TRUE(test, lazy_irq_hit(irq));
	lazy_expect_no_report(test);
}

static int lazy_writer_fn(void *data)
{
	struct lazy_thread *thread = data;

	spin_lock(lazy_ptl);
	lazy_mmu_mode_enable();
	lazy_write(1);
	complete(&thread->is_in);
	lazy_spin_until_done(&thread->go_on, 100);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);
	return 0;
}

static void read_by_another_task_is_not_reported(struct kunit *test)
{
	struct lazy_thread *thread;

	/* It spins in its section. */
	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");

	thread = lazy_start_thread(test, sizeof(*thread), lazy_writer_fn,
				   lazy_other_cpu(lazy_stay_here()));
	lazy_mmu_mode_enable();
	lazy_read(1);
	lazy_mmu_mode_disable();
	lazy_stop_thread(thread);

	lazy_expect_no_report(test);
}

/* All accessors, which are as many ways for an architecture to go its own. */

static void lazy_modify_prot(unsigned int i)
{
	pte_t pte = ptep_modify_prot_start(lazy_vma, lazy_addr_of(i), lazy_ptes + i);

	ptep_modify_prot_commit(lazy_vma, lazy_addr_of(i), lazy_ptes + i, pte, pte);
}

static void lazy_modify_prot_start(unsigned int i)
{
	pte_t pte = ptep_modify_prot_start(lazy_vma, lazy_addr_of(i), lazy_ptes + i);

	lazy_mmu_mode_pause();
	ptep_modify_prot_commit(lazy_vma, lazy_addr_of(i), lazy_ptes + i, pte, pte);
	lazy_mmu_mode_resume();
}

static void lazy_clear_not_present(unsigned int i)
{
	pte_clear_not_present_full(lazy_mm, lazy_addr_of(i), lazy_ptes + i, 0);
}

static void lazy_clear_range(unsigned int i)
{
	lazy_write_range(i - 1, 2);
}

static void lazy_set_range(unsigned int i)
{
	set_ptes(lazy_mm, lazy_addr_of(i - 1), lazy_ptes + i - 1,
		 make_pte_marker(PTE_MARKER_POISONED), 2);
}

static void lazy_clear_dirty(unsigned int i)
{
	clear_young_dirty_ptes(lazy_vma, lazy_addr_of(i - 1), lazy_ptes + i - 1, 2,
			       CYDP_CLEAR_YOUNG | CYDP_CLEAR_DIRTY);
}

static void lazy_clear_young(unsigned int i)
{
	clear_young_dirty_ptes(lazy_vma, lazy_addr_of(i - 1), lazy_ptes + i - 1, 2,
			       CYDP_CLEAR_YOUNG);
}

static void lazy_get_and_clear(unsigned int i)
{
	ptep_get_and_clear(lazy_mm, lazy_addr_of(i), lazy_ptes + i);
}

static void lazy_get_and_clear_full(unsigned int i)
{
	ptep_get_and_clear_full(lazy_mm, lazy_addr_of(i), lazy_ptes + i, 0);
}

static void lazy_get_and_clear_range(unsigned int i)
{
	get_and_clear_full_ptes(lazy_mm, lazy_addr_of(i - 1), lazy_ptes + i - 1, 2, 0);
}

static void lazy_clear_full(unsigned int i)
{
	clear_full_ptes(lazy_mm, lazy_addr_of(i - 1), lazy_ptes + i - 1, 2, 0);
}

static void lazy_clear(unsigned int i)
{
	ptep_clear(lazy_mm, lazy_addr_of(i), lazy_ptes + i);
}

static void lazy_clear_flush(unsigned int i)
{
	ptep_clear_flush(lazy_vma, lazy_addr_of(i), lazy_ptes + i);
}

static void lazy_wrprotect(unsigned int i)
{
	ptep_set_wrprotect(lazy_mm, lazy_addr_of(i), lazy_ptes + i);
}

static void lazy_wrprotect_range(unsigned int i)
{
	wrprotect_ptes(lazy_mm, lazy_addr_of(i - 1), lazy_ptes + i - 1, 2);
}

static void lazy_test_and_clear_young(unsigned int i)
{
	ptep_test_and_clear_young(lazy_vma, lazy_addr_of(i), lazy_ptes + i);
}

static void lazy_clear_flush_young(unsigned int i)
{
	ptep_clear_flush_young(lazy_vma, lazy_addr_of(i), lazy_ptes + i);
}

static const struct lazy_accessor {
	const char *desc;
	void (*fn)(unsigned int i);
	/* What updates several takes the one before as well. */
	unsigned int entry;
} lazy_writers[] = {
	{ "pte_clear", lazy_write, 1 },
	{ "set_pte_at", lazy_write_again, 1 },
	{ "set_ptes", lazy_set_range, 2 },
	{ "pte_clear_not_present_full", lazy_clear_not_present, 1 },
	{ "clear_not_present_full_ptes", lazy_clear_range, 2 },
	{ "ptep_modify_prot_commit", lazy_modify_prot, 0 },
	{ "clear_young_dirty_ptes", lazy_clear_dirty, LAZY_ENTRIES + 1 },
}, lazy_atomics[] = {
	{ "ptep_modify_prot_start", lazy_modify_prot_start, 0 },
	{ "ptep_get_and_clear", lazy_get_and_clear, 1 },
	{ "ptep_get_and_clear_full", lazy_get_and_clear_full, 1 },
	{ "get_and_clear_full_ptes", lazy_get_and_clear_range, 2 },
	{ "clear_full_ptes", lazy_clear_full, 2 },
	{ "ptep_clear", lazy_clear, 1 },
	{ "ptep_clear_flush", lazy_clear_flush, 1 },
	{ "ptep_set_wrprotect", lazy_wrprotect, 0 },
	{ "wrprotect_ptes", lazy_wrprotect_range, LAZY_ENTRIES + 1 },
	{ "ptep_test_and_clear_young", lazy_test_and_clear_young, 0 },
	{ "ptep_clear_flush_young", lazy_clear_flush_young, 0 },
	{ "clear_young_dirty_ptes", lazy_clear_young, LAZY_ENTRIES + 1 },
};

KUNIT_ARRAY_PARAM_DESC(lazy_writer, lazy_writers, desc);
KUNIT_ARRAY_PARAM_DESC(lazy_atomic, lazy_atomics, desc);

static void every_write_is_noted(struct kunit *test)
{
	const struct lazy_accessor *writer = test->param_value;
	unsigned int nr_before;

	spin_lock(lazy_ptl);
	lazy_open();
	writer->fn(writer->entry);
	nr_before = lazy_nr_reports;
	lazy_read(writer->entry);
	lazy_mmu_mode_disable();
	/* Markers in a row are not what set_ptes() is for. */
	lazy_write_range(1, 2);
	spin_unlock(lazy_ptl);

	KUNIT_EXPECT_EQ(test, nr_before, 0);
	lazy_expect_report_in(test, LAZY_MMU_READ, "lazy_open", "lazy_read");
}

/* Also of an entry that is none, or the update would lose a page. */
static void every_atomic_update_of_a_written_entry_is_reported(struct kunit *test)
{
	const struct lazy_accessor *atomic = test->param_value;

	spin_lock(lazy_ptl);
	lazy_open();
	if (pte_present(ptep_get_lockless(lazy_ptes + atomic->entry)))
		lazy_modify_prot(atomic->entry);
	else
		lazy_write(atomic->entry);
	atomic->fn(atomic->entry);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_report(test, LAZY_MMU_OVERTAKEN, "lazy_open");
}

/* It may wait as well. */
static void read_after_an_atomic_update_is_reported(struct kunit *test)
{
	const struct lazy_accessor *atomic = test->param_value;

	if (atomic->fn == lazy_modify_prot_start)
		kunit_skip(test, "the update is that of ptep_modify_prot_commit()");

	spin_lock(lazy_ptl);
	lazy_open();
	atomic->fn(atomic->entry);
	lazy_read(atomic->entry);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_report_in(test, LAZY_MMU_READ, "lazy_open", "lazy_read");
}

static void read_of_an_entry_that_was_not_young_is_not_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_test_and_clear_young(0);
	lazy_mmu_mode_enable();
	lazy_test_and_clear_young(0);
	lazy_clear_flush_young(0);
	lazy_read(0);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_no_report(test);
}

/* It reads, and is an update only if that shows another value. */
static noinline __noclone bool lazy_set_young(unsigned int i)
{
	pte_t pte = pte_mkyoung(ptep_get_lockless(lazy_ptes + i));

	return ptep_set_access_flags(lazy_vma, lazy_addr_of(i), lazy_ptes + i, pte, 0);
}

static void set_access_flags_of_a_written_entry_is_reported(struct kunit *test)
{
	spin_lock(lazy_ptl);
	lazy_open();
	lazy_modify_prot(0);
	lazy_set_young(0);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	lazy_expect_report_in(test, LAZY_MMU_READ, "lazy_open", "lazy_set_young");
}

static void read_after_set_access_flags_is_reported(struct kunit *test)
{
	bool is_changed;

	spin_lock(lazy_ptl);
	lazy_test_and_clear_young(0);
	lazy_open();
	is_changed = lazy_set_young(0);
	lazy_read(0);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	KUNIT_EXPECT_TRUE(test, is_changed);
	lazy_expect_report_in(test, LAZY_MMU_READ, "lazy_open", "lazy_read");
}

static void read_after_access_flags_that_were_set_is_not_reported(struct kunit *test)
{
	bool is_changed;

	spin_lock(lazy_ptl);
	lazy_set_young(0);
	lazy_mmu_mode_enable();
	is_changed = lazy_set_young(0);
	lazy_read(0);
	lazy_mmu_mode_disable();
	spin_unlock(lazy_ptl);

	KUNIT_EXPECT_FALSE(test, is_changed);
	lazy_expect_no_report(test);
}

static struct kunit_case lazy_mmu_mode_read_cases[] = {
	KUNIT_CASE(read_of_a_written_entry_is_reported),
	KUNIT_CASE(read_without_bottom_halves_is_reported),
	KUNIT_CASE(read_in_a_nested_section_is_reported),
	KUNIT_CASE(read_after_a_pause_of_what_was_written_since_is_reported),
	KUNIT_CASE(read_of_an_entry_written_twice_is_reported_once),
	KUNIT_CASE(misuse_after_a_read_is_reported),
	KUNIT_CASE(every_entry_of_a_range_is_reported),
	KUNIT_CASE(loops_over_a_table_are_reported_once),
	KUNIT_CASE(interleaved_writes_are_told_apart),
	KUNIT_CASE(every_remembered_range_is_reported),
	KUNIT_CASE(oldest_range_is_forgotten_for_a_new_one),
#ifdef CONFIG_XEN_PV
	KUNIT_CASE(read_of_an_entry_that_waits_is_reported),
	KUNIT_CASE(atomic_update_of_an_entry_that_waits_is_reported),
	KUNIT_CASE(read_of_an_entry_that_does_not_wait_is_not_reported),
#endif
	KUNIT_CASE(read_of_other_entries_is_not_reported),
	KUNIT_CASE(read_before_the_write_is_not_reported),
	KUNIT_CASE(read_after_a_nested_section_is_not_reported),
	KUNIT_CASE(read_after_the_section_is_not_reported),
	KUNIT_CASE(read_in_the_next_section_is_not_reported),
	KUNIT_CASE(read_outside_of_the_mode_is_not_reported),
	KUNIT_CASE(read_in_a_pause_is_not_reported),
	KUNIT_CASE(read_after_a_pause_is_not_reported),
	KUNIT_CASE(lockless_read_is_not_reported),
	KUNIT_CASE_PARAM(read_in_an_interrupt_is_not_reported, lazy_irq_gen_params),
	KUNIT_CASE(read_by_another_task_is_not_reported),
	KUNIT_CASE_PARAM(every_write_is_noted, lazy_writer_gen_params),
	KUNIT_CASE_PARAM(every_atomic_update_of_a_written_entry_is_reported,
			 lazy_atomic_gen_params),
	KUNIT_CASE_PARAM(read_after_an_atomic_update_is_reported, lazy_atomic_gen_params),
	KUNIT_CASE(read_of_an_entry_that_was_not_young_is_not_reported),
	KUNIT_CASE(set_access_flags_of_a_written_entry_is_reported),
	KUNIT_CASE(read_after_set_access_flags_is_reported),
	KUNIT_CASE(read_after_access_flags_that_were_set_is_not_reported),
	{}
};

static int lazy_mmu_mode_read_init(struct kunit *test)
{
	unsigned long addr;
	int ret = lazy_use_new_mm();

	if (ret)
		return ret;
	lazy_mm = current->mm;

	KUNIT_ASSERT_LE(test, LAZY_ENTRIES + 2, PTRS_PER_PTE);

	/* All entries in one table, and no huge page. */
	addr = vm_mmap(NULL, 0, 2 * PMD_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR_VALUE(addr), "%ld", addr);
	lazy_addr = ALIGN(addr, PMD_SIZE);
	KUNIT_ASSERT_EQ(test, put_user(0, (u32 __user *)lazy_addr), 0);
	for (unsigned int i = LAZY_ENTRIES; i < LAZY_ENTRIES + 2; i++)
		KUNIT_ASSERT_EQ(test, put_user(0, (u32 __user *)lazy_addr_of(i)), 0);
	lazy_ptes = pte_offset_kernel(pmd_off(lazy_mm, lazy_addr), lazy_addr);
	lazy_ptl = pte_lockptr(lazy_mm, pmd_off(lazy_mm, lazy_addr));
	mmap_read_lock(lazy_mm);
	lazy_vma = vma_lookup(lazy_mm, lazy_addr);
	mmap_read_unlock(lazy_mm);

	return lazy_take_reports(test);
}

static struct kunit_suite lazy_mmu_mode_read_suite = {
	.name = "lazy_mmu_mode_read",
	.init = lazy_mmu_mode_read_init,
	.test_cases = lazy_mmu_mode_read_cases,
};

kunit_test_suite(lazy_mmu_mode_read_suite);

MODULE_DESCRIPTION("KUnit tests for page table entries read in a lazy MMU section");
MODULE_LICENSE("GPL");
