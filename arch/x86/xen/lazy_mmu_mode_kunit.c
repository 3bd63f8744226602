// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for lazy MMU mode on Xen PV
 *
 * Page tables are read-only to a PV guest. Outside the mode each update is a
 * hypercall; in the mode updates wait in the multicall buffer of the CPU. A
 * read of the page table tells one from the other: an update that waits is
 * not visible yet.
 *
 * The page table entries are those of an area in vmalloc space that nobody
 * else uses. What a case finds in a section it checks after it, because
 * assertions may sleep.
 */

#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#ifdef CONFIG_KFENCE
#include <asm/kfence.h>
#endif
#include <asm/desc.h>
#include <asm/pgtable_types.h>
#include <asm/segment.h>
#include <asm/tlbflush.h>
#include <asm/xen/hypercall.h>
#include <asm/xen/hypervisor.h>
#include <asm/xen/page.h>
#include <trace/events/printk.h>
#include <trace/events/xen.h>
#include <uapi/linux/sched/types.h>
#include <xen/balloon.h>
#include <xen/mem-reservation.h>
#include <xen/xen.h>

#include "../../../mm/tests/lazy_mmu_kunit.h"
#include "xen-ops.h"

#define LAZY_PAGES		128
/* As many as make one list, and leave room for another. */
#define LAZY_LIST		24
/* As many as make two lists, the first of which has room for no more. */
#define LAZY_TWO_LISTS		(lazy_full_list + 17)

static unsigned int lazy_full_list;

static struct vm_struct *lazy_area;
static struct page *lazy_page;
static pte_t *lazy_ptes[LAZY_PAGES];

/* How often the task that runs the case had multicalls issued. */
static struct task_struct *lazy_task;
static unsigned int lazy_issued;

static void lazy_probe_flush(void *data, unsigned int mcidx, unsigned int argidx,
			     unsigned int cbidx)
{
	if (mcidx && current == READ_ONCE(lazy_task))
		lazy_issued++;
}

/* Reports of multicalls that failed. */
static unsigned int lazy_reports;

static void lazy_probe_console(void *data, const char *buf, size_t len)
{
	if (strnstr(buf, "multicall(s) failed", len))
		lazy_reports++;
}

static unsigned long lazy_address(unsigned int i)
{
	return (unsigned long)lazy_area->addr + i * PAGE_SIZE;
}

static void lazy_write(unsigned int i)
{
	set_pte_at(&init_mm, lazy_address(i), lazy_ptes[i],
		   mk_pte(lazy_page, PAGE_KERNEL));
}

static bool lazy_visible(unsigned int i)
{
	return pte_present(ptep_get_lockless(lazy_ptes[i]));
}

/* Write, and tell whether the update waits. */
static bool lazy_write_waits(unsigned int i)
{
	bool waits;

	/* A preemption would issue it. */
	preempt_disable();
	lazy_write(i);
	waits = !lazy_visible(i);
	preempt_enable();

	return waits;
}

static void lazy_clear(unsigned int first, unsigned int nr)
{
	for (unsigned int i = first; i < first + nr; i++)
		pte_clear(&init_mm, lazy_address(i), lazy_ptes[i]);
}

static void update_in_a_section_waits_for_its_end(struct kunit *test)
{
	bool waits, visible;

	lazy_mmu_mode_enable();
	waits = lazy_write_waits(0);
	lazy_mmu_mode_disable();
	visible = lazy_visible(0);

	KUNIT_EXPECT_TRUE(test, waits);
	KUNIT_EXPECT_TRUE(test, visible);
}

static void multicall_takes_63_updates(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, lazy_full_list, 63);
}

/* What is visible at once takes a hypercall each; what waits is counted. */
static void section_costs_a_sixteenth_of_the_hypercalls(struct kunit *test)
{
	unsigned int outside = 0, inside, early = 0;

	preempt_disable();
	for (int i = 0; i < LAZY_PAGES; i++)
		outside += !lazy_write_waits(i);
	lazy_clear(0, LAZY_PAGES);

	lazy_issued = 0;
	lazy_mmu_mode_enable();
	for (int i = 0; i < LAZY_PAGES; i++) {
		unsigned int issued = lazy_issued;

		lazy_write(i);
		if (lazy_visible(i) && lazy_issued == issued)
			early++;
	}
	lazy_mmu_mode_disable();
	inside = lazy_issued;
	preempt_enable();

	KUNIT_ASSERT_EQ(test, outside, LAZY_PAGES);
	KUNIT_EXPECT_EQ(test, early, 0);
	KUNIT_EXPECT_GT(test, inside, 0);
	KUNIT_EXPECT_LE(test, inside * 16, outside);
	for (int i = 0; i < LAZY_PAGES; i++)
		KUNIT_EXPECT_TRUE(test, lazy_visible(i));
}

/*
 * Atomic updates. Those that may wait leave what was read before in the page table.
 */
static void lazy_write_pte(unsigned int i, pte_t pte)
{
	set_pte_at(&init_mm, lazy_address(i), lazy_ptes[i], pte);
}

/* As page table pages are made read-only. */
static void lazy_write_by_address(unsigned int i)
{
	struct multicall_space mcs = xen_mc_entry(0);

	MULTI_update_va_mapping(mcs.mc, lazy_address(i), mk_pte(lazy_page, PAGE_KERNEL), 0);
	xen_mc_issue(XEN_MC_DEFER_MMU);
}

static pte_t lazy_pte_of(unsigned int i)
{
	return ptep_get_lockless(lazy_ptes[i]);
}

static pte_t lazy_take_out(unsigned int i)
{
	return ptep_get_and_clear(&init_mm, lazy_address(i), lazy_ptes[i]);
}

static void lazy_protect(unsigned int i)
{
	ptep_set_wrprotect(&init_mm, lazy_address(i), lazy_ptes[i]);
}

static bool lazy_make_old(unsigned int i)
{
	return ptep_test_and_clear_young(NULL, lazy_address(i), lazy_ptes[i]);
}

/* As it is when a page has been written, and when it has only been mapped. */
static pte_t lazy_dirty(void)
{
	return mk_pte(lazy_page, PAGE_KERNEL);
}

static pte_t lazy_clean(void)
{
	return pte_mkclean(lazy_dirty());
}

/* Xen may set others. */
static void lazy_expect_bits(struct kunit *test, pte_t pte, pteval_t bits)
{
	const pteval_t mask = _PAGE_RW | _PAGE_ACCESSED | _PAGE_DIRTY;

	KUNIT_EXPECT_TRUE(test, pte_present(pte));
	KUNIT_EXPECT_EQ(test, pte_flags(pte) & mask, bits);
	KUNIT_EXPECT_EQ(test, pte_pfn(pte), page_to_pfn(lazy_page));
}

static void lazy_expect_clear_waits(struct kunit *test, pte_t pte)
{
	pte_t before, taken, waiting;

	lazy_write_pte(0, pte);
	before = lazy_pte_of(0);
	preempt_disable();
	lazy_mmu_mode_enable();
	taken = lazy_take_out(0);
	waiting = lazy_pte_of(0);
	lazy_mmu_mode_disable();
	preempt_enable();

	KUNIT_EXPECT_TRUE(test, pte_same(taken, before));
	KUNIT_EXPECT_TRUE(test, pte_same(waiting, before));
	KUNIT_EXPECT_TRUE(test, pte_none(lazy_pte_of(0)));
}

static void cleared_entry_waits(struct kunit *test)
{
	lazy_expect_clear_waits(test, lazy_dirty());
}

static void entry_that_is_not_present_waits(struct kunit *test)
{
	lazy_expect_clear_waits(test, swp_entry_to_pte(swp_entry(1, 1)));
}

static void write_protection_waits(struct kunit *test)
{
	pte_t waiting;

	lazy_write_pte(0, lazy_dirty());
	preempt_disable();
	lazy_mmu_mode_enable();
	lazy_protect(0);
	waiting = lazy_pte_of(0);
	lazy_mmu_mode_disable();
	preempt_enable();

	KUNIT_EXPECT_TRUE(test, pte_write(waiting));
	lazy_expect_bits(test, lazy_pte_of(0), _PAGE_ACCESSED | _PAGE_DIRTY);
}

static void accessed_bit_waits(struct kunit *test)
{
	bool young, again;
	pte_t waiting;

	lazy_write_pte(0, lazy_dirty());
	preempt_disable();
	lazy_mmu_mode_enable();
	young = lazy_make_old(0);
	waiting = lazy_pte_of(0);
	lazy_mmu_mode_disable();
	preempt_enable();
	again = lazy_make_old(0);

	KUNIT_EXPECT_TRUE(test, young);
	KUNIT_EXPECT_TRUE(test, pte_young(waiting));
	KUNIT_EXPECT_FALSE(test, again);
	lazy_expect_bits(test, lazy_pte_of(0), _PAGE_RW | _PAGE_DIRTY);
}

static void atomic_updates_share_a_list(struct kunit *test)
{
	for (unsigned int i = 0; i < 24; i++)
		lazy_write_pte(i, lazy_dirty());
	preempt_disable();
	lazy_issued = 0;
	lazy_mmu_mode_enable();
	for (unsigned int i = 0; i < 24; i += 3) {
		lazy_take_out(i);
		lazy_protect(i + 1);
		lazy_make_old(i + 2);
	}
	lazy_mmu_mode_disable();
	preempt_enable();

	KUNIT_EXPECT_GE(test, lazy_issued, 1);
	/* An interrupt may issue what there is. */
	KUNIT_EXPECT_LE(test, lazy_issued, 3);
	for (unsigned int i = 0; i < 24; i += 3) {
		KUNIT_EXPECT_TRUE(test, pte_none(lazy_pte_of(i)));
		KUNIT_EXPECT_FALSE(test, pte_write(lazy_pte_of(i + 1)));
		KUNIT_EXPECT_FALSE(test, pte_young(lazy_pte_of(i + 2)));
	}
}

static void atomic_update_outside_a_section_is_immediate(struct kunit *test)
{
	pte_t taken, protected, old;

	for (unsigned int i = 0; i < 3; i++)
		lazy_write_pte(i, lazy_dirty());
	lazy_issued = 0;
	lazy_take_out(0);
	taken = lazy_pte_of(0);
	lazy_protect(1);
	protected = lazy_pte_of(1);
	lazy_make_old(2);
	old = lazy_pte_of(2);

	KUNIT_EXPECT_TRUE(test, pte_none(taken));
	KUNIT_EXPECT_FALSE(test, pte_write(protected));
	KUNIT_EXPECT_FALSE(test, pte_young(old));
	KUNIT_EXPECT_GE(test, lazy_issued, 3);
}

static void empty_entry_is_cleared_if_its_update_waits(struct kunit *test)
{
	unsigned int issued;

	lazy_write_pte(0, __pte(0));
	lazy_write_pte(1, __pte(0));
	preempt_disable();
	lazy_issued = 0;
	lazy_take_out(0);
	issued = lazy_issued;
	lazy_mmu_mode_enable();
	lazy_write_pte(1, lazy_dirty());
	/* Not the macro, which would report it. */
	(ptep_get_and_clear)(&init_mm, lazy_address(1), lazy_ptes[1]);
	lazy_mmu_mode_disable();
	preempt_enable();

	KUNIT_EXPECT_EQ(test, issued, 0);
	KUNIT_EXPECT_TRUE(test, pte_none(lazy_pte_of(1)));
}

/* The hardware may set the dirty bit of such an entry until it is changed. */
static void writable_clean_entry_does_not_wait(struct kunit *test)
{
	pte_t taken, old;

	lazy_write_pte(0, lazy_clean());
	lazy_write_pte(1, lazy_clean());
	preempt_disable();
	lazy_mmu_mode_enable();
	lazy_take_out(0);
	taken = lazy_pte_of(0);
	lazy_make_old(1);
	old = lazy_pte_of(1);
	lazy_mmu_mode_disable();
	preempt_enable();

	KUNIT_EXPECT_TRUE(test, pte_none(taken));
	KUNIT_EXPECT_FALSE(test, pte_young(old));
	KUNIT_EXPECT_TRUE(test, pte_write(old));
}

static void update_that_does_not_wait_comes_behind_those_that_do(struct kunit *test)
{
	lazy_write_pte(0, lazy_clean());
	lazy_write_pte(1, lazy_clean());
	preempt_disable();
	lazy_mmu_mode_enable();
	lazy_protect(0);
	/* Not the macro, which would report it. */
	(ptep_get_and_clear)(&init_mm, lazy_address(0), lazy_ptes[0]);
	lazy_write_by_address(1);
	(ptep_get_and_clear)(&init_mm, lazy_address(1), lazy_ptes[1]);
	lazy_mmu_mode_disable();
	preempt_enable();

	KUNIT_EXPECT_TRUE(test, pte_none(lazy_pte_of(0)));
	KUNIT_EXPECT_TRUE(test, pte_none(lazy_pte_of(1)));
}

static void update_that_does_not_wait_leaves_other_entries_alone(struct kunit *test)
{
	pte_t waiting;

	lazy_write_pte(0, lazy_dirty());
	lazy_write_pte(1, lazy_clean());
	preempt_disable();
	lazy_mmu_mode_enable();
	lazy_take_out(0);
	lazy_take_out(1);
	waiting = lazy_pte_of(0);
	lazy_mmu_mode_disable();
	preempt_enable();

	KUNIT_EXPECT_TRUE(test, pte_present(waiting));
	KUNIT_EXPECT_TRUE(test, pte_none(lazy_pte_of(0)));
	KUNIT_EXPECT_TRUE(test, pte_none(lazy_pte_of(1)));
}

static long lazy_use_error;

static void lazy_use_page(void *data)
{
	u8 value = 1;

	lazy_use_error = copy_to_kernel_nofault(data, &value, sizeof(value));
}

/* Another CPU writes while the protection waits: the page is dirty then. */
static void bits_set_while_the_write_protection_waits_are_kept(struct kunit *test)
{
	unsigned int cpu;
	pte_t pte;

	lazy_write_pte(0, pte_mkold(lazy_clean()));
	flush_tlb_kernel_range(lazy_address(0), lazy_address(1));
	preempt_disable();
	cpu = cpumask_any_but(cpu_online_mask, smp_processor_id());
	if (cpu >= nr_cpu_ids)
		cpu = smp_processor_id();
	lazy_mmu_mode_enable();
	lazy_protect(0);
	smp_call_function_single(cpu, lazy_use_page, (void *)lazy_address(0), 1);
	lazy_mmu_mode_disable();
	preempt_enable();
	pte = lazy_pte_of(0);

	if (lazy_use_error)
		kunit_skip(test, "an interrupt has issued the protection");
	lazy_expect_bits(test, pte, _PAGE_ACCESSED | _PAGE_DIRTY);
}

static void inner_disable_makes_updates_visible(struct kunit *test)
{
	bool outer_waits, inner_waits, outer_visible, inner_visible, waits_again;

	preempt_disable();
	lazy_mmu_mode_enable();
	outer_waits = lazy_write_waits(0);
	lazy_mmu_mode_enable();
	inner_waits = lazy_write_waits(1);
	lazy_mmu_mode_disable();
	outer_visible = lazy_visible(0);
	inner_visible = lazy_visible(1);
	waits_again = lazy_write_waits(2);
	lazy_mmu_mode_disable();
	preempt_enable();

	KUNIT_EXPECT_TRUE(test, outer_waits);
	KUNIT_EXPECT_TRUE(test, inner_waits);
	KUNIT_EXPECT_TRUE(test, outer_visible);
	KUNIT_EXPECT_TRUE(test, inner_visible);
	KUNIT_EXPECT_TRUE(test, waits_again);
	KUNIT_EXPECT_TRUE(test, lazy_visible(2));
}

static void pause_makes_updates_visible(struct kunit *test)
{
	bool waits, visible, waits_again;

	preempt_disable();
	lazy_mmu_mode_enable();
	waits = lazy_write_waits(0);
	lazy_mmu_mode_pause();
	visible = lazy_visible(0);
	lazy_mmu_mode_resume();
	waits_again = lazy_write_waits(1);
	lazy_mmu_mode_disable();
	preempt_enable();

	KUNIT_EXPECT_TRUE(test, waits);
	KUNIT_EXPECT_TRUE(test, visible);
	KUNIT_EXPECT_TRUE(test, waits_again);
	KUNIT_EXPECT_TRUE(test, lazy_visible(1));
}

static void update_in_a_pause_is_immediate(struct kunit *test)
{
	unsigned int nr_waiting = 0;

	lazy_mmu_mode_enable();
	lazy_mmu_mode_enable();
	lazy_mmu_mode_pause();
	for (int i = 0; i < LAZY_PAGES; i++)
		nr_waiting += lazy_write_waits(i);
	/* Nor does a section in the pause batch. */
	lazy_clear(0, 1);
	lazy_mmu_mode_enable();
	nr_waiting += lazy_write_waits(0);
	lazy_mmu_mode_disable();
	lazy_mmu_mode_resume();
	lazy_mmu_mode_disable();
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, nr_waiting, 0);
}

static void updates_wait_with_bottom_halves_disabled(struct kunit *test)
{
	bool waits;

	local_bh_disable();
	lazy_mmu_mode_enable();
	waits = lazy_write_waits(0);
	lazy_mmu_mode_disable();
	local_bh_enable();

	KUNIT_EXPECT_TRUE(test, waits);
	KUNIT_EXPECT_TRUE(test, lazy_visible(0));
}

/*
 * Updates that Xen refuses. It does nothing that is behind one in its list, so that
 * has to be done for it, and no later than anything else that is queued.
 *
 * Nobody is told of one that maps something in kernel space, as outside of lazy MMU
 * mode. For all others, and for whatever ptep_modify_prot_commit() is refused, there
 * is a warning for each batch.
 */

/* The local APIC, which Xen maps for nobody, and what Xen lets dom0 map. */
#define LAZY_REFUSED_PFN	0xfee00
#define LAZY_REFUSED_END	0xfef00

static void lazy_need_dom0(struct kunit *test)
{
	if (!xen_initial_domain())
		kunit_skip(test, "what Xen refuses is known for dom0 only");
}

static void lazy_write_refused(unsigned int i, pgprot_t prot)
{
	set_pte_at(&init_mm, lazy_address(i), lazy_ptes[i],
		   pfn_pte(LAZY_REFUSED_PFN, prot));
}

/*
 * Have all but those of the first nr_refused updates behind position i made that
 * are queued with them? Two lists, with a TLB flush in between.
 */
static void lazy_expect_neighbours(struct kunit *test, unsigned int i,
				   unsigned int nr_refused, pgprot_t prot)
{
	unsigned int wrong = 0, waits;

	lazy_clear(0, LAZY_PAGES);
	preempt_disable();
	lazy_mmu_mode_enable();
	for (unsigned int k = 0; k < LAZY_LIST; k++) {
		if (k >= i && k < i + nr_refused)
			lazy_write_refused(k, prot);
		else
			lazy_write(k);
	}
	flush_tlb_one_user(lazy_address(0));
	lazy_write(LAZY_LIST);
	waits = !lazy_visible(0) && !lazy_visible(LAZY_LIST);
	lazy_mmu_mode_disable();
	preempt_enable();

	for (unsigned int k = 0; k <= LAZY_LIST; k++)
		wrong += lazy_visible(k) == (k >= i && k < i + nr_refused);

	KUNIT_EXPECT_TRUE_MSG(test, waits, "no batch");
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "%u refused at %u", nr_refused, i);
}

static void lazy_expect_all_neighbours(struct kunit *test, pgprot_t prot)
{
	static const unsigned int positions[] = { 0, LAZY_LIST / 2, LAZY_LIST - 2, LAZY_LIST - 1 };

	lazy_need_dom0(test);
	for (int i = 0; i < ARRAY_SIZE(positions); i++)
		lazy_expect_neighbours(test, positions[i], 1, prot);
	for (int i = 0; i < ARRAY_SIZE(positions) - 1; i++)
		lazy_expect_neighbours(test, positions[i], 2, prot);
	lazy_expect_neighbours(test, 0, LAZY_LIST, prot);
}

/* Nor does the log of the kernel show a warning. */
static void refused_update_spares_its_neighbours(struct kunit *test)
{
	unsigned int reports = lazy_reports;

	lazy_expect_all_neighbours(test, PAGE_KERNEL_NOCACHE);
	KUNIT_EXPECT_EQ(test, lazy_reports - reports, 0);
}

static void refused_update_spares_atomic_ones(struct kunit *test)
{
	lazy_need_dom0(test);

	for (unsigned int i = 0; i < 3; i++)
		lazy_write_pte(i, lazy_dirty());
	preempt_disable();
	lazy_mmu_mode_enable();
	lazy_write_refused(3, PAGE_KERNEL_NOCACHE);
	lazy_take_out(0);
	lazy_protect(1);
	lazy_make_old(2);
	lazy_mmu_mode_disable();
	preempt_enable();

	KUNIT_EXPECT_TRUE(test, pte_none(lazy_pte_of(0)));
	lazy_expect_bits(test, lazy_pte_of(1), _PAGE_ACCESSED | _PAGE_DIRTY);
	lazy_expect_bits(test, lazy_pte_of(2), _PAGE_RW | _PAGE_DIRTY);
	KUNIT_EXPECT_FALSE(test, lazy_visible(3));
}

/* An update that is late must not overtake one of the same entry. */
static void lazy_expect_order(struct kunit *test, void (*write)(unsigned int i))
{
	unsigned long pfn;

	lazy_need_dom0(test);

	preempt_disable();
	lazy_mmu_mode_enable();
	lazy_write_refused(0, PAGE_KERNEL_NOCACHE);
	set_pte_at(&init_mm, lazy_address(1), lazy_ptes[1],
		   pfn_pte(0, PAGE_KERNEL));
	flush_tlb_one_user(lazy_address(1));
	write(1);
	lazy_mmu_mode_disable();
	preempt_enable();
	pfn = pte_pfn(ptep_get(lazy_ptes[1]));

	KUNIT_EXPECT_EQ(test, pfn, page_to_pfn(lazy_page));
}

static void refused_update_keeps_the_order(struct kunit *test)
{
	lazy_expect_order(test, lazy_write);
}

static void refused_update_keeps_the_order_with_one_by_address(struct kunit *test)
{
	lazy_expect_order(test, lazy_write_by_address);
}

/* In each of two lists: does Xen refuse the first, the one in the middle, the last? */
static const struct lazy_refused_param {
	const char *desc;
	bool refused[2][3];
} lazy_refused_params[] = {
	{ "none", {} },
	{ "first", { { true } } },
	{ "middle", { { false, true } } },
	{ "last", { { false, false, true } } },
	{ "first and last", { { true, false, true } } },
	{ "first of the next list", { {}, { true } } },
	{ "last of the next list", { {}, { false, false, true } } },
	{ "middle of each list", { { false, true }, { false, true } } },
	{ "last, and first of the next list", { { false, false, true }, { true } } },
};

KUNIT_ARRAY_PARAM_DESC(lazy_refused, lazy_refused_params, desc);

/* Does it refuse update i of nr, of which the first list has nr_first? */
static bool lazy_is_refused(struct kunit *test, unsigned int i, unsigned int nr_first,
			    unsigned int nr)
{
	const struct lazy_refused_param *param = test->param_value;
	const bool *refused = param->refused[i >= nr_first];

	if (i >= nr_first) {
		i -= nr_first;
		nr -= nr_first;
	} else {
		nr = nr_first;
	}

	return (i == 0 && refused[0]) || (i == nr / 2 && refused[1]) ||
	       (i == nr - 1 && refused[2]);
}

/* In how many of the lists does it refuse something? */
static unsigned int lazy_nr_refused_lists(struct kunit *test)
{
	const struct lazy_refused_param *param = test->param_value;
	unsigned int nr = 0;

	for (int i = 0; i < ARRAY_SIZE(param->refused); i++)
		nr += param->refused[i][0] || param->refused[i][1] || param->refused[i][2];

	return nr;
}

static bool lazy_is_pfn_refused(struct kunit *test, unsigned int i)
{
	return lazy_is_refused(test, i, lazy_full_list, LAZY_TWO_LISTS);
}

static void vmap_pfn_maps_what_xen_permits(struct kunit *test)
{
	unsigned int level, wrong = 0, reports = lazy_reports;
	unsigned long pfns[LAZY_PAGES], addr;

	lazy_need_dom0(test);

	for (unsigned int i = 0; i < LAZY_TWO_LISTS; i++)
		pfns[i] = lazy_is_pfn_refused(test, i) ? LAZY_REFUSED_PFN :
							 LAZY_REFUSED_END + i;
	addr = (unsigned long)vmap_pfn(pfns, LAZY_TWO_LISTS, PAGE_KERNEL_NOCACHE);
	KUNIT_ASSERT_NE(test, addr, 0);
	for (unsigned int i = 0; i < LAZY_TWO_LISTS; i++) {
		pte_t pte = ptep_get(lookup_address(addr + i * PAGE_SIZE, &level));

		if (lazy_is_pfn_refused(test, i))
			wrong += !pte_none(pte);
		else
			wrong += pte_pfn(pte) != pfns[i];
	}
	vunmap((void *)addr);

	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, lazy_reports - reports, 0);
}

static void ioremap_maps_what_xen_permits(struct kunit *test)
{
	unsigned int level, reports = lazy_reports;
	bool refused, permitted;
	void __iomem *addr;
	pte_t *pte;

	lazy_need_dom0(test);

	addr = ioremap((LAZY_REFUSED_END - 1UL) << PAGE_SHIFT, 2 * PAGE_SIZE);
	KUNIT_ASSERT_TRUE(test, addr);
	pte = lookup_address((__force unsigned long)addr, &level);
	refused = !pte || pte_none(ptep_get(pte));
	pte = lookup_address((__force unsigned long)addr + PAGE_SIZE, &level);
	permitted = pte && pte_pfn(ptep_get(pte)) == LAZY_REFUSED_END;
	iounmap(addr);

	KUNIT_EXPECT_TRUE(test, refused);
	KUNIT_EXPECT_TRUE(test, permitted);
	KUNIT_EXPECT_EQ(test, lazy_reports - reports, 0);
}

/* In user space it is reported, as ever. */
static void refused_user_update_is_reported(struct kunit *test)
{
	unsigned int reports = lazy_reports;

	lazy_need_dom0(test);

	lazy_expect_neighbours(test, 1, 1, PAGE_SHARED);
	KUNIT_EXPECT_EQ(test, lazy_reports - reports, 1);
}

static void refused_user_update_spares_its_neighbours(struct kunit *test)
{
	lazy_expect_all_neighbours(test, PAGE_SHARED);
}

/* What is refused when it is made one by one counts as well. */
static void refused_user_update_behind_a_kernel_one_is_reported(struct kunit *test)
{
	unsigned int reports = lazy_reports;

	lazy_need_dom0(test);

	preempt_disable();
	lazy_mmu_mode_enable();
	lazy_write_refused(0, PAGE_KERNEL_NOCACHE);
	lazy_write_refused(1, PAGE_SHARED);
	lazy_mmu_mode_disable();
	preempt_enable();

	KUNIT_EXPECT_EQ(test, lazy_reports - reports, 1);
}

/* Where user memory begins that has all its entries in one page table. */
#define LAZY_USER		(16 * PMD_SIZE)

static unsigned long lazy_user_address(unsigned int i)
{
	return LAZY_USER + i * PAGE_SIZE;
}

static void lazy_map_user(struct kunit *test, unsigned int nr_pages, unsigned long flags)
{
	KUNIT_ASSERT_EQ(test, lazy_use_new_mm(), 0);
	KUNIT_ASSERT_EQ(test, LAZY_USER,
			vm_mmap(NULL, LAZY_USER, nr_pages * PAGE_SIZE,
				PROT_READ | PROT_WRITE,
				flags | MAP_ANONYMOUS | MAP_FIXED, 0));
}

/* Nobody else has this mm, so its page tables stay. */
static pte_t *lazy_user_ptes(void)
{
	return pte_offset_kernel(pmd_off(current->mm, LAZY_USER), LAZY_USER);
}

static spinlock_t *lazy_user_ptl(void)
{
	return pte_lockptr(current->mm, pmd_off(current->mm, LAZY_USER));
}

/* fork() fills page tables that no CPU and no hypervisor looks at yet. */
static void entry_of_a_table_that_is_not_pinned_does_not_wait(struct kunit *test)
{
	pte_t *ptep = (pte_t *)get_zeroed_page(GFP_KERNEL);
	pte_t protected, old, taken;
	unsigned int issued;
	bool visible;

	KUNIT_ASSERT_NOT_NULL(test, ptep);
	local_irq_disable();
	lazy_mmu_mode_enable();
	lazy_issued = 0;
	for (unsigned int i = 0; i < 4; i++)
		set_pte(ptep + i, lazy_dirty());
	visible = pte_present(ptep_get_lockless(ptep));
	ptep_set_wrprotect(&init_mm, 0, ptep + 1);
	protected = ptep_get_lockless(ptep + 1);
	ptep_test_and_clear_young(NULL, 0, ptep + 2);
	old = ptep_get_lockless(ptep + 2);
	ptep_get_and_clear(&init_mm, 0, ptep + 3);
	taken = ptep_get_lockless(ptep + 3);
	lazy_mmu_mode_disable();
	issued = lazy_issued;
	local_irq_enable();
	free_page((unsigned long)ptep);

	KUNIT_EXPECT_TRUE(test, visible);
	KUNIT_EXPECT_FALSE(test, pte_write(protected));
	KUNIT_EXPECT_FALSE(test, pte_young(old));
	KUNIT_EXPECT_TRUE(test, pte_none(taken));
	KUNIT_EXPECT_EQ(test, issued, 0);
}

/*
 * The page is to be counted as unmapped once, which page_table_check=on finds: there
 * it is taken out, and the entry is written again.
 */
static void entry_written_behind_its_clear_is_counted_once(struct kunit *test)
{
	lazy_map_user(test, 1, MAP_PRIVATE);
	KUNIT_ASSERT_EQ(test, put_user(0, (u32 __user *)LAZY_USER), 0);
	KUNIT_ASSERT_TRUE(test, pte_dirty(ptep_get(lazy_user_ptes())));
	KUNIT_EXPECT_EQ(test, 0, do_madvise(current->mm, LAZY_USER, PAGE_SIZE, MADV_FREE));
	KUNIT_EXPECT_TRUE(test, pte_present(ptep_get(lazy_user_ptes())));
	KUNIT_EXPECT_FALSE(test, pte_dirty(ptep_get(lazy_user_ptes())));
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(LAZY_USER, PAGE_SIZE));
}

static unsigned int lazy_nr_mapped(struct page **pages)
{
	unsigned int level, nr = 0;

	for (unsigned int i = 0; i < LAZY_PAGES; i++) {
		pte_t *ptep = lookup_address((unsigned long)page_address(pages[i]), &level);

		nr += ptep && pte_present(ptep_get(ptep));
	}

	return nr;
}

/* The frames stay with this guest, so the pages have what was in them. */
static void reservation_changes_mappings_by_lists(struct kunit *test)
{
	struct page **pages = kunit_kcalloc(test, LAZY_PAGES, sizeof(*pages), GFP_KERNEL);
	xen_pfn_t *frames = kunit_kcalloc(test, LAZY_PAGES, sizeof(*frames), GFP_KERNEL);
	unsigned int mapped, mapped_again, reset, update, wrong = 0;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_ASSERT_NOT_NULL(test, frames);
	for (unsigned int i = 0; i < LAZY_PAGES; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
		*(unsigned int *)page_address(pages[i]) = i;
		frames[i] = pfn_to_mfn(page_to_pfn(pages[i]));
	}

	lazy_issued = 0;
	xenmem_reservation_va_mapping_reset(LAZY_PAGES, pages);
	reset = lazy_issued;
	mapped = lazy_nr_mapped(pages);
	lazy_issued = 0;
	xenmem_reservation_va_mapping_update(LAZY_PAGES, pages, frames);
	update = lazy_issued;
	mapped_again = lazy_nr_mapped(pages);
	for (unsigned int i = 0; i < LAZY_PAGES; i++) {
		wrong += *(unsigned int *)page_address(pages[i]) != i;
		__free_page(pages[i]);
	}

	KUNIT_EXPECT_EQ(test, mapped, 0);
	KUNIT_EXPECT_EQ(test, mapped_again, LAZY_PAGES);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_GE(test, reset, 1);
	KUNIT_EXPECT_GE(test, update, 1);
	/* A list is dozens of them, but a preemption issues what there is. */
	KUNIT_EXPECT_LE(test, reset, LAZY_PAGES / 8);
	KUNIT_EXPECT_LE(test, update, LAZY_PAGES / 8);
}

static bool lazy_balloon_reaches(unsigned long target)
{
	balloon_set_new_target(target);
	for (int i = 0; i < 500 && READ_ONCE(balloon_stats.current_pages) != target; i++)
		msleep(20);

	return balloon_stats.current_pages == target;
}

/* More than fit into one step. */
static void balloon_takes_memory_and_gives_it_back(struct kunit *test)
{
	unsigned long pages = balloon_stats.current_pages;

	KUNIT_EXPECT_TRUE(test, lazy_balloon_reaches(pages - 1000));
	KUNIT_EXPECT_TRUE(test, lazy_balloon_reaches(pages));
}

/*
 * A read of a file's page maps those around it. What does not wait takes a hypercall
 * each, which is not counted.
 */
static void pages_around_a_fault_are_mapped_by_one_list(struct kunit *test)
{
	const unsigned int nr_pages = SZ_64K / PAGE_SIZE;
	unsigned int nr_mapped = 0, issued;
	struct file *file;
	char c;
	int err;

	/* It brings the page table. */
	lazy_map_user(test, 2 * nr_pages, MAP_PRIVATE);
	KUNIT_ASSERT_EQ(test, put_user(0, (char __user *)lazy_user_address(nr_pages)), 0);
	file = shmem_kernel_file_setup("lazy_mmu", nr_pages * PAGE_SIZE, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	for (unsigned int i = 0; i < nr_pages; i++) {
		struct page *page = shmem_read_mapping_page(file->f_mapping, i);

		KUNIT_ASSERT_FALSE(test, IS_ERR(page));
		put_page(page);
	}
	KUNIT_ASSERT_EQ(test, LAZY_USER,
			vm_mmap(file, LAZY_USER, nr_pages * PAGE_SIZE, PROT_READ,
				MAP_SHARED | MAP_FIXED, 0));

	/* The compiler does not expect get_user() to change it. */
	WRITE_ONCE(lazy_issued, 0);
	err = get_user(c, (char __user *)LAZY_USER);
	issued = READ_ONCE(lazy_issued);
	for (unsigned int i = 0; i < nr_pages; i++)
		nr_mapped += !!pte_present(ptep_get(lazy_user_ptes() + i));
	vm_munmap(LAZY_USER, 2 * nr_pages * PAGE_SIZE);
	fput(file);

	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, c, 0);
	KUNIT_EXPECT_EQ(test, nr_mapped, nr_pages);
	/* More if the task is preempted or interrupted meanwhile. */
	KUNIT_EXPECT_GE(test, issued, 1);
	KUNIT_EXPECT_LE(test, issued, nr_pages / 4);
}

/* Xen lets nobody write to a page table, so a page that is one is refused. */
static void remap_pfn_range_maps_what_xen_permits(struct kunit *test)
{
	unsigned int wrong = 0, reports = lazy_reports;
	unsigned long pfn;
	void *pages;
	int err;

	/* One page more, so that it is not the memory type of the whole area. */
	lazy_map_user(test, LAZY_TWO_LISTS + 1, MAP_SHARED);
	pages = alloc_pages_exact(LAZY_TWO_LISTS * PAGE_SIZE, GFP_KERNEL | __GFP_ZERO);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	pfn = PHYS_PFN(__pa(pages));
	for (unsigned int i = 0; i < LAZY_TWO_LISTS; i++)
		if (lazy_is_pfn_refused(test, i))
			paravirt_alloc_pte(&init_mm, pfn + i);

	mmap_write_lock(current->mm);
	err = remap_pfn_range(vma_lookup(current->mm, LAZY_USER), LAZY_USER, pfn,
			      LAZY_TWO_LISTS * PAGE_SIZE, PAGE_SHARED);
	mmap_write_unlock(current->mm);
	for (unsigned int i = 0; i < LAZY_TWO_LISTS && !err; i++) {
		pte_t pte = ptep_get(lazy_user_ptes() + i);

		if (lazy_is_pfn_refused(test, i))
			wrong += !pte_none(pte);
		else
			wrong += pte_pfn(pte) != pfn + i;
	}

	vm_munmap(LAZY_USER, (LAZY_TWO_LISTS + 1) * PAGE_SIZE);
	for (unsigned int i = 0; i < LAZY_TWO_LISTS; i++)
		if (lazy_is_pfn_refused(test, i))
			paravirt_release_pte(pfn + i);
	free_pages_exact(pages, LAZY_TWO_LISTS * PAGE_SIZE);

	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	/* One for each list, which is a batch of its own. */
	KUNIT_EXPECT_EQ(test, lazy_reports - reports, lazy_nr_refused_lists(test));
}

/* Two lists that fit in one batch. */
#define LAZY_COMMITS		(LAZY_LIST + 4)

static bool lazy_is_commit_refused(struct kunit *test, unsigned int i)
{
	return lazy_is_refused(test, i, LAZY_LIST, LAZY_COMMITS);
}

/* Commit entries that are read-only, but where Xen is to refuse it @refused. */
static void lazy_commit(struct kunit *test, pte_t refused)
{
	unsigned int wrong = 0, reports = lazy_reports;
	unsigned long pfns[LAZY_COMMITS];
	struct vm_area_struct *vma;
	pte_t *ptes;

	lazy_map_user(test, LAZY_COMMITS, MAP_PRIVATE);
	for (unsigned int i = 0; i < LAZY_COMMITS; i++) {
		KUNIT_ASSERT_EQ(test, put_user(i, (u32 __user *)lazy_user_address(i)), 0);
		pfns[i] = pte_pfn(ptep_get(lazy_user_ptes() + i));
	}
	ptes = lazy_user_ptes();

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, LAZY_USER);
	spin_lock(lazy_user_ptl());
	lazy_mmu_mode_enable();
	for (unsigned int i = 0; i < LAZY_COMMITS; i++) {
		unsigned long addr = lazy_user_address(i);
		pte_t old = ptep_modify_prot_start(vma, addr, ptes + i);
		pte_t new = lazy_is_commit_refused(test, i) ? refused : pte_wrprotect(old);

		ptep_modify_prot_commit(vma, addr, ptes + i, old, new);
		if (i == LAZY_LIST - 1)
			flush_tlb_one_user(addr);
	}
	lazy_mmu_mode_disable();
	spin_unlock(lazy_user_ptl());
	mmap_read_unlock(current->mm);

	/* What is refused leaves the entry as it was. */
	for (unsigned int i = 0; i < LAZY_COMMITS; i++) {
		pte_t pte = ptep_get(ptes + i);

		wrong += pte_pfn(pte) != pfns[i] ||
			 !!pte_write(pte) != lazy_is_commit_refused(test, i);
	}

	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, lazy_reports - reports, lazy_nr_refused_lists(test) > 0);
}

static void refused_commit_spares_its_neighbours(struct kunit *test)
{
	lazy_need_dom0(test);
	lazy_commit(test, pfn_pte(LAZY_REFUSED_PFN, PAGE_SHARED));
}

/* More than any machine has. */
#define LAZY_NO_MFN		BIT(39)

static void commit_of_a_missing_frame_spares_its_neighbours(struct kunit *test)
{
	lazy_commit(test, mfn_pte(LAZY_NO_MFN, PAGE_SHARED));
}

#ifdef CONFIG_KFENCE
/* A page of the linear map will do as one of KFENCE's. */
static void kfence_protects_at_once_in_a_section(struct kunit *test)
{
	unsigned long addr = (unsigned long)page_address(lazy_page);
	bool is_protected, is_accessible;
	unsigned int level;
	pte_t *ptep = lookup_address(addr, &level);

	KUNIT_ASSERT_NOT_NULL(test, ptep);
	KUNIT_ASSERT_EQ(test, level, PG_LEVEL_4K);

	preempt_disable();
	lazy_mmu_mode_enable();
	kfence_protect_page(addr, true);
	is_protected = !(pte_flags(ptep_get(ptep)) & _PAGE_PRESENT);
	kfence_protect_page(addr, false);
	is_accessible = pte_flags(ptep_get(ptep)) & _PAGE_PRESENT;
	lazy_mmu_mode_disable();
	preempt_enable();

	KUNIT_EXPECT_TRUE(test, is_protected);
	KUNIT_EXPECT_TRUE(test, is_accessible);
}
#else
static void kfence_protects_at_once_in_a_section(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_KFENCE");
}
#endif

/* Interrupts */

KUNIT_ARRAY_PARAM_DESC(lazy_irq, lazy_irq_params, desc);

struct lazy_interrupt {
	struct lazy_irq irq;
	bool waits;

	/* In the section, before the interrupt and behind it. */
	bool waits_before;
	bool waits_again;
};

static void lazy_interrupt_fn(struct lazy_irq *irq)
{
	struct lazy_interrupt *seen = container_of(irq, typeof(*seen), irq);

	seen->waits = lazy_write_waits(1);
}

static void interrupt_updates_apart_from_the_section(struct kunit *test)
{
	const struct lazy_irq_param *param = test->param_value;
	struct lazy_interrupt *seen = kunit_kzalloc(test, sizeof(*seen), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, seen);
	lazy_irq_init(test, &seen->irq, param->is_soft, lazy_interrupt_fn);

	for (int i = 0; i < 100 && !lazy_irq_hit(&seen->irq); i++) {
		lazy_clear(0, 3);
		preempt_disable();
		lazy_mmu_mode_enable();
		seen->waits_before = lazy_write_waits(0);
		lazy_irq_start(&seen->irq);
		lazy_irq_wait(&seen->irq);
		seen->waits_again = lazy_write_waits(2);
		lazy_mmu_mode_disable();
		preempt_enable();
	}
	KUNIT_ASSERT_TRUE_MSG(test, lazy_irq_hit(&seen->irq), "no interrupt hit the section");

	KUNIT_EXPECT_FALSE(test, seen->waits);
	KUNIT_EXPECT_TRUE(test, seen->waits_before);
	KUNIT_EXPECT_TRUE(test, seen->waits_again);
	KUNIT_EXPECT_TRUE(test, lazy_visible(0));
	KUNIT_EXPECT_TRUE(test, lazy_visible(2));
}

/* Other tasks */

/* A task with a section in which it is preempted, or moved to another CPU. */
struct lazy_peer {
	struct lazy_thread thread;
	bool waits;
	bool waited_no_longer;
	bool waits_again;
	bool visible;
	u16 first_es;
	u16 last_es;
};

static int lazy_peer_fn(void *data)
{
	struct lazy_peer *peer = data;

	lazy_mmu_mode_enable();
	peer->waits = lazy_write_waits(0);
	lazy_thread_wait(&peer->thread);
	peer->waited_no_longer = lazy_visible(0);
	peer->waits_again = lazy_write_waits(1);
	lazy_mmu_mode_disable();
	peer->visible = lazy_visible(1);

	return 0;
}

/*
 * In the flush of the mode's end, a task may be preempted when the mode is off
 * already and the updates are not issued yet.
 */
static int lazy_ended_peer_fn(void *data)
{
	struct lazy_peer *peer = data;

	preempt_disable();
	lazy_mmu_mode_enable();
	peer->waits = lazy_write_waits(0);
	current->lazy_mmu_state.enable_count = 0;
	preempt_enable();
	complete(&peer->thread.is_in);
	lazy_spin_until_done(&peer->thread.go_on, 10 * MSEC_PER_SEC);
	current->lazy_mmu_state.enable_count = 1;
	lazy_mmu_mode_disable();

	return 0;
}

/* ES selects a descriptor of the task, as in a user task that has such TLS. */
static int lazy_tls_peer_fn(void *data)
{
	struct desc_struct data_segment =
		GDT_ENTRY_INIT(DESC_DATA32 | DESC_USER, 0, 0xfffff);
	struct lazy_peer *peer = data;

	preempt_disable();
	current->thread.tls_array[0] = data_segment;
	load_TLS(&current->thread, smp_processor_id());
	loadsegment(es, GDT_ENTRY_TLS_MIN * 8 + 3);
	savesegment(es, peer->first_es);
	preempt_enable();

	lazy_mmu_mode_enable();
	lazy_thread_wait(&peer->thread);
	savesegment(es, peer->last_es);
	lazy_mmu_mode_disable();

	return 0;
}

static int lazy_dying_peer_fn(void *data)
{
	struct lazy_peer *peer = data;

	preempt_disable();
	lazy_mmu_mode_enable();
	lazy_mmu_mode_enable();
	peer->waits = lazy_write_waits(0);
	/* This sets the preemption count straight. */
	lazy_die(&peer->thread);
}

/* Returns what has got visible to the task that preempts. */
static struct lazy_peer *lazy_preempt(struct kunit *test, int (*fn)(void *), bool *visible)
{
	struct lazy_peer *peer = lazy_preempt_thread(test, sizeof(*peer), fn);

	*visible = lazy_visible(0);
	lazy_stop_thread(&peer->thread);

	return peer;
}

static void preempted_section_delays_no_update(struct kunit *test)
{
	struct lazy_peer *peer;
	bool visible;

	peer = lazy_preempt(test, lazy_peer_fn, &visible);

	KUNIT_EXPECT_TRUE(test, peer->waits);
	KUNIT_EXPECT_TRUE(test, visible);
	KUNIT_EXPECT_TRUE(test, peer->waits_again);
	KUNIT_EXPECT_TRUE(test, peer->visible);
}

/*
 * The multicalls of the switch back to it must not wait, either: ES would be
 * loaded before the descriptor, and lost.
 */
static void preempted_section_keeps_its_segments(struct kunit *test)
{
	struct lazy_peer *peer;
	bool visible;

	peer = lazy_preempt(test, lazy_tls_peer_fn, &visible);

	KUNIT_ASSERT_NE(test, peer->first_es, 0);
	KUNIT_EXPECT_EQ(test, peer->last_es, peer->first_es);
}

/* The multicalls of a switch wait, and what has to happen before them must not. */
static void update_in_a_context_switch_is_immediate(struct kunit *test)
{
	unsigned long flags;
	bool waits;

	local_irq_save(flags);
	lazy_mmu_mode_enable();
	arch_start_context_switch(current);
	waits = lazy_write_waits(0);
	arch_end_context_switch(current);
	lazy_mmu_mode_disable();
	local_irq_restore(flags);

	KUNIT_EXPECT_FALSE(test, waits);
}

/* A flush that waits has a mask of CPUs behind it, which is not part of its list. */
static void mm_is_switched_behind_a_flush_that_waits(struct kunit *test)
{
	const struct flush_tlb_info info = { .end = TLB_FLUSH_ALL };
	struct mm_struct *this_mm, *other_mm;
	u32 value = 0;

	lazy_map_user(test, 1, MAP_PRIVATE);
	KUNIT_ASSERT_EQ(test, put_user(1, (u32 __user *)LAZY_USER), 0);
	this_mm = current->mm;
	other_mm = lazy_make_mm(test, LAZY_USER, PAGE_SIZE, 1234);

	preempt_disable();
	lazy_mmu_mode_enable();
	kthread_unuse_mm(this_mm);
	__flush_tlb_multi(cpumask_of(raw_smp_processor_id()), &info);
	kthread_use_mm(other_mm);
	copy_from_user_nofault(&value, (u32 __user *)LAZY_USER, sizeof(value));
	kthread_unuse_mm(other_mm);
	kthread_use_mm(this_mm);
	lazy_mmu_mode_disable();
	preempt_enable();

	KUNIT_EXPECT_EQ(test, value, 1234);
}

struct lazy_neighbour {
	struct lazy_thread thread;
	struct mm_struct *mm;
};

/* Run whenever the other one sleeps. */
static int lazy_neighbour_fn(void *data)
{
	struct lazy_neighbour *neighbour = data;

	lazy_thread_wait(&neighbour->thread);
	kthread_use_mm(neighbour->mm);
	complete(&neighbour->thread.is_in);
	while (!kthread_should_stop())
		cond_resched();
	kthread_unuse_mm(neighbour->mm);

	return 0;
}

/*
 * With the mm and the stack of the next task. What is issued in the switch counts for
 * the task before, what comes behind it for the next one.
 */
static void switch_of_mm_is_one_hypercall(struct kunit *test)
{
	struct lazy_neighbour *neighbour;
	unsigned long before, switches = 0;
	unsigned int issued;

	lazy_map_user(test, 1, MAP_PRIVATE);
	neighbour = lazy_start_thread(test, sizeof(*neighbour), lazy_neighbour_fn,
				      lazy_stay_here());
	neighbour->mm = lazy_make_mm(test, LAZY_USER, PAGE_SIZE, 1234);
	complete(&neighbour->thread.go_on);
	wait_for_completion(&neighbour->thread.is_in);

	before = current->nvcsw + current->nivcsw;
	lazy_issued = 0;
	/* A timer may expire before this task has gone to sleep. */
	for (int i = 0; i < 100 && switches < 16; i++) {
		fsleep(100);
		switches = current->nvcsw + current->nivcsw - before;
	}
	issued = lazy_issued;
	lazy_stop_thread(&neighbour->thread);

	KUNIT_EXPECT_GE(test, switches, 16);
	KUNIT_EXPECT_GE(test, issued, switches / 2);
	KUNIT_EXPECT_LE(test, issued, switches + switches / 4);
}

static void preemption_before_the_final_flush_delays_no_update(struct kunit *test)
{
	struct lazy_peer *peer;
	bool visible;

	peer = lazy_preempt(test, lazy_ended_peer_fn, &visible);

	KUNIT_EXPECT_TRUE(test, peer->waits);
	KUNIT_EXPECT_TRUE(test, visible);
}

/* The mode of the task that preempts is its own. */
static void section_that_preempts_batches(struct kunit *test)
{
	struct lazy_peer *peer = lazy_preempt_thread(test, sizeof(*peer), lazy_peer_fn);
	bool outside, inside, after;

	outside = lazy_write_waits(2);
	lazy_mmu_mode_enable();
	inside = lazy_write_waits(3);
	lazy_mmu_mode_disable();
	after = lazy_write_waits(4);
	lazy_stop_thread(&peer->thread);

	KUNIT_EXPECT_FALSE(test, outside);
	KUNIT_EXPECT_TRUE(test, inside);
	KUNIT_EXPECT_FALSE(test, after);
}

static void migrated_section_delays_no_update(struct kunit *test)
{
	struct lazy_peer *peer = lazy_migrate_thread(test, sizeof(*peer), lazy_peer_fn);

	KUNIT_EXPECT_TRUE(test, peer->waits);
	KUNIT_EXPECT_TRUE(test, peer->waited_no_longer);
	KUNIT_EXPECT_TRUE(test, peer->waits_again);
	KUNIT_EXPECT_TRUE(test, peer->visible);
}

struct lazy_child {
	struct completion done;
	bool outside;
	bool waits;
	bool visible;
};

static int lazy_child_fn(void *data)
{
	struct lazy_child *child = data;

	child->outside = lazy_write_waits(0);
	lazy_mmu_mode_enable();
	child->waits = lazy_write_waits(1);
	lazy_mmu_mode_disable();
	child->visible = lazy_visible(1);
	lazy_child_exit(&child->done);
}

static void task_forked_in_a_pause_batches(struct kunit *test)
{
	struct lazy_child *child = kunit_kzalloc(test, sizeof(*child), GFP_KERNEL);
	pid_t pid;

	KUNIT_ASSERT_NOT_NULL(test, child);
	lazy_mmu_mode_enable();
	lazy_mmu_mode_pause();
	pid = lazy_fork_child(lazy_child_fn, child, &child->done);
	lazy_mmu_mode_resume();
	lazy_mmu_mode_disable();

	KUNIT_ASSERT_GT(test, pid, 0);
	KUNIT_EXPECT_FALSE(test, child->outside);
	KUNIT_EXPECT_TRUE(test, child->waits);
	KUNIT_EXPECT_TRUE(test, child->visible);
}

static void dying_task_leaves_no_update_behind(struct kunit *test)
{
	struct lazy_peer *peer = lazy_start_thread(test, sizeof(*peer), lazy_dying_peer_fn,
						   raw_smp_processor_id());

	lazy_stop_thread(&peer->thread);

	KUNIT_EXPECT_TRUE(test, peer->waits);
	KUNIT_EXPECT_TRUE(test, lazy_visible(0));
}

static struct kunit_case lazy_mmu_mode_xen_cases[] = {
	KUNIT_CASE(update_in_a_section_waits_for_its_end),
	KUNIT_CASE(section_costs_a_sixteenth_of_the_hypercalls),
	KUNIT_CASE(multicall_takes_63_updates),
	KUNIT_CASE(pages_around_a_fault_are_mapped_by_one_list),
	KUNIT_CASE(entry_of_a_table_that_is_not_pinned_does_not_wait),
	KUNIT_CASE(entry_written_behind_its_clear_is_counted_once),
	KUNIT_CASE(reservation_changes_mappings_by_lists),
	KUNIT_CASE(balloon_takes_memory_and_gives_it_back),

	KUNIT_CASE(cleared_entry_waits),
	KUNIT_CASE(write_protection_waits),
	KUNIT_CASE(accessed_bit_waits),
	KUNIT_CASE(atomic_updates_share_a_list),
	KUNIT_CASE(atomic_update_outside_a_section_is_immediate),
	KUNIT_CASE(empty_entry_is_cleared_if_its_update_waits),
	KUNIT_CASE(writable_clean_entry_does_not_wait),
	KUNIT_CASE(update_that_does_not_wait_comes_behind_those_that_do),
	KUNIT_CASE(update_that_does_not_wait_leaves_other_entries_alone),
	KUNIT_CASE(entry_that_is_not_present_waits),
	KUNIT_CASE(bits_set_while_the_write_protection_waits_are_kept),

	KUNIT_CASE(inner_disable_makes_updates_visible),
	KUNIT_CASE(pause_makes_updates_visible),
	KUNIT_CASE(update_in_a_pause_is_immediate),
	KUNIT_CASE(updates_wait_with_bottom_halves_disabled),
	KUNIT_CASE(kfence_protects_at_once_in_a_section),

	KUNIT_CASE(refused_update_spares_its_neighbours),
	KUNIT_CASE(refused_update_spares_atomic_ones),
	KUNIT_CASE(refused_update_keeps_the_order),
	KUNIT_CASE(refused_update_keeps_the_order_with_one_by_address),
	KUNIT_CASE(ioremap_maps_what_xen_permits),
	KUNIT_CASE_PARAM(vmap_pfn_maps_what_xen_permits, lazy_refused_gen_params),

	KUNIT_CASE_PARAM(interrupt_updates_apart_from_the_section, lazy_irq_gen_params),

	KUNIT_CASE(preempted_section_delays_no_update),
	KUNIT_CASE(preempted_section_keeps_its_segments),
	KUNIT_CASE(update_in_a_context_switch_is_immediate),
	KUNIT_CASE(mm_is_switched_behind_a_flush_that_waits),
	KUNIT_CASE(switch_of_mm_is_one_hypercall),
	KUNIT_CASE(preemption_before_the_final_flush_delays_no_update),
	KUNIT_CASE(section_that_preempts_batches),
	KUNIT_CASE(migrated_section_delays_no_update),
	KUNIT_CASE(task_forked_in_a_pause_batches),
	KUNIT_CASE(dying_task_leaves_no_update_behind),
	{}
};

/* Apart, because their reports are warnings of the kernel. */
static struct kunit_case lazy_mmu_mode_xen_refused_cases[] = {
	KUNIT_CASE(refused_user_update_is_reported),
	KUNIT_CASE(refused_user_update_spares_its_neighbours),
	KUNIT_CASE(refused_user_update_behind_a_kernel_one_is_reported),
	KUNIT_CASE_PARAM(remap_pfn_range_maps_what_xen_permits, lazy_refused_gen_params),
	KUNIT_CASE_PARAM(refused_commit_spares_its_neighbours, lazy_refused_gen_params),
	KUNIT_CASE_PARAM(commit_of_a_missing_frame_spares_its_neighbours, lazy_refused_gen_params),
	{}
};

static int lazy_collect_pte(pte_t *pte, unsigned long addr, void *data)
{
	lazy_ptes[(addr - (unsigned long)lazy_area->addr) / PAGE_SIZE] = pte;
	return 0;
}

/* The updates that a multicall takes: the next one issues them. */
static unsigned int lazy_count_full_list(void)
{
	unsigned long flags;
	unsigned int i;

	/* What an interrupt issues would count. */
	local_irq_save(flags);
	lazy_task = current;
	lazy_issued = 0;
	lazy_mmu_mode_enable();
	for (i = 0; i < LAZY_PAGES && !lazy_issued; i++)
		lazy_write(i);
	lazy_mmu_mode_disable();
	lazy_task = NULL;
	local_irq_restore(flags);

	return i - 1;
}

static int lazy_mmu_mode_xen_suite_init(struct kunit_suite *suite)
{
	int ret;

	if (!xen_pv_domain() || !IS_ENABLED(CONFIG_TRACEPOINTS))
		return 0;

	ret = -ENOMEM;
	lazy_page = alloc_page(GFP_KERNEL);
	if (!lazy_page)
		return ret;
	lazy_area = get_vm_area(LAZY_PAGES * PAGE_SIZE, VM_IOREMAP);
	if (!lazy_area)
		goto free_page;
	ret = apply_to_page_range(&init_mm, lazy_address(0), LAZY_PAGES * PAGE_SIZE,
				  lazy_collect_pte, NULL);
	if (!ret)
		ret = register_trace_xen_mc_flush(lazy_probe_flush, NULL);
	if (ret)
		goto free_area;
	ret = register_trace_console(lazy_probe_console, NULL);
	if (ret)
		goto unregister;

	lazy_full_list = lazy_count_full_list();
	ret = -ERANGE;
	if (LAZY_TWO_LISTS > LAZY_PAGES)
		goto unregister_console;

	return 0;

unregister_console:
	unregister_trace_console(lazy_probe_console, NULL);
unregister:
	unregister_trace_xen_mc_flush(lazy_probe_flush, NULL);
	tracepoint_synchronize_unregister();
free_area:
	free_vm_area(lazy_area);
free_page:
	__free_page(lazy_page);
	lazy_page = NULL;

	return ret;
}

static void lazy_mmu_mode_xen_suite_exit(struct kunit_suite *suite)
{
	if (!lazy_page)
		return;

	unregister_trace_console(lazy_probe_console, NULL);
	unregister_trace_xen_mc_flush(lazy_probe_flush, NULL);
	tracepoint_synchronize_unregister();
	lazy_clear(0, LAZY_PAGES);
	flush_tlb_kernel_range(lazy_address(0), lazy_address(LAZY_PAGES));
	free_vm_area(lazy_area);
	__free_page(lazy_page);
	lazy_page = NULL;
}

static int lazy_mmu_mode_xen_init(struct kunit *test)
{
	if (!xen_pv_domain())
		kunit_skip(test, "not a Xen PV guest");
	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "needs CONFIG_TRACEPOINTS");
	lazy_clear(0, LAZY_PAGES);
	WRITE_ONCE(lazy_task, current);

	return 0;
}

static void lazy_mmu_mode_xen_exit(struct kunit *test)
{
	WRITE_ONCE(lazy_task, NULL);
}

static struct kunit_suite lazy_mmu_mode_xen_suite = {
	.name = "lazy_mmu_mode_xen",
	.suite_init = lazy_mmu_mode_xen_suite_init,
	.suite_exit = lazy_mmu_mode_xen_suite_exit,
	.init = lazy_mmu_mode_xen_init,
	.exit = lazy_mmu_mode_xen_exit,
	.test_cases = lazy_mmu_mode_xen_cases,
};

static struct kunit_suite lazy_mmu_mode_xen_refused_suite = {
	.name = "lazy_mmu_mode_xen_refused",
	.suite_init = lazy_mmu_mode_xen_suite_init,
	.suite_exit = lazy_mmu_mode_xen_suite_exit,
	.init = lazy_mmu_mode_xen_init,
	.exit = lazy_mmu_mode_xen_exit,
	.test_cases = lazy_mmu_mode_xen_refused_cases,
};

kunit_test_suites(&lazy_mmu_mode_xen_suite, &lazy_mmu_mode_xen_refused_suite);
