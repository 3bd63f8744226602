// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for lazy MMU sections with the hash MMU: what waits in the batch
 * of the CPU, when the batch is flushed, and that stale translations are really
 * gone then. With the radix MMU, that the hooks do nothing.
 *
 * The cases change real page tables. To see what the hardware makes of it, they
 * write through the address and look which page has got it. Sleeping in a
 * section is forbidden and a KUnit assertion may allocate, so a case records
 * what happens, closes its section, and compares afterwards.
 */
#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/lazy_mmu_check.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/code-patching.h>
#include <asm/hvcall.h>
#include <asm/firmware.h>
#include <asm/mmu.h>
#include <asm/tlbflush.h>
#include <asm/trace.h>

#include <trace/events/printk.h>

#include "../../../../mm/tests/lazy_mmu_kunit.h"

/* More than a batch holds. */
#define LAZY_NR_SLOTS	(PPC64_TLB_BATCH_NR + 8)

enum lazy_page {
	LAZY_OLD_PAGE,
	LAZY_NEW_PAGE,
	LAZY_NO_PAGE,
};

/* At first each page of this area, a slot, maps the old page. */
static void *lazy_area;
static struct page *lazy_pages[LAZY_NO_PAGE];

/* A page of user memory. */
struct lazy_user {
	struct mm_struct *mm;
	unsigned long addr;
	pte_t *ptep;
	spinlock_t *ptl;	/* of ptep */
	pte_t pte;
};

static struct lazy_user lazy_user;

static unsigned long lazy_pending(void)
{
	/* The task stays on its CPU, see lazy_mmu_mode_init(). */
	return raw_cpu_read(ppc64_tlb_batch.index);
}

static unsigned long lazy_addr(unsigned int slot)
{
	return (unsigned long)lazy_area + slot * PAGE_SIZE;
}

/* Write through the slot. Returns the page that the write has reached. */
static enum lazy_page lazy_write(unsigned int slot)
{
	static u64 stamp;
	u64 value = ++stamp;

	WRITE_ONCE(*(u64 *)lazy_addr(slot), value);
	for (int i = 0; i < ARRAY_SIZE(lazy_pages); i++) {
		if (READ_ONCE(*(u64 *)page_address(lazy_pages[i])) == value)
			return i;
	}
	return LAZY_NO_PAGE;
}

static void lazy_map(unsigned int slot, enum lazy_page page)
{
	unsigned long addr = lazy_addr(slot);
	pte_t *ptep = virt_to_kpte(addr);

	ptep_get_and_clear(&init_mm, addr, ptep);
	set_pte_at(&init_mm, addr, ptep, mk_pte(lazy_pages[page], PAGE_KERNEL));
}

/* Change the PTE without a word to the code that invalidates translations. */
static void lazy_map_silently(unsigned int slot, enum lazy_page page)
{
	pte_t *ptep = virt_to_kpte(lazy_addr(slot));
	pte_t pte = mk_pte(lazy_pages[page], PAGE_KERNEL);

	*ptep = __pte(pte_val(pte) | (pte_val(*ptep) & _PAGE_HPTEFLAGS));
}

static void lazy_need_hash(struct kunit *test)
{
	if (radix_enabled())
		kunit_skip(test, "the radix MMU has no batch");
}

/* Map the slots, and have each in the hash table. */
static void lazy_map_slots(struct kunit *test)
{
	static struct page *pages[LAZY_NR_SLOTS];

	lazy_need_hash(test);

	for (int i = 0; i < ARRAY_SIZE(lazy_pages); i++) {
		lazy_pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, lazy_pages[i]);
	}
	for (int i = 0; i < LAZY_NR_SLOTS; i++)
		pages[i] = lazy_pages[LAZY_OLD_PAGE];
	lazy_area = vmap(pages, LAZY_NR_SLOTS, VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, lazy_area);

	for (int i = 0; i < LAZY_NR_SLOTS; i++) {
		KUNIT_ASSERT_EQ(test, lazy_write(i), LAZY_OLD_PAGE);
		KUNIT_ASSERT_TRUE(test, pte_val(*virt_to_kpte(lazy_addr(i))) &
					H_PAGE_HASHPTE);
	}
	KUNIT_ASSERT_EQ(test, lazy_pending(), 0);
}

/* The page at @addr has been written to, so it is in the hash table. */
static void lazy_find_user(struct kunit *test, struct lazy_user *user,
			   struct mm_struct *mm, unsigned long addr)
{
	pmd_t *pmd;

	user->mm = mm;
	user->addr = addr;
	/* Nobody else uses this mm, so the page table stays. */
	pmd = pmd_off(mm, addr);
	user->ptl = pte_lockptr(mm, pmd);
	user->ptep = pte_offset_kernel(pmd, addr);
	user->pte = ptep_get(user->ptep);
	KUNIT_ASSERT_TRUE(test, pte_val(user->pte) & H_PAGE_HASHPTE);
}

/* Map a page of user memory, and have it in the hash table. */
static void lazy_map_user(struct kunit *test, struct lazy_user *user,
			  unsigned long addr)
{
	lazy_need_hash(test);

	addr = kunit_vm_mmap(test, NULL, addr, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_LT(test, addr, TASK_SIZE);
	KUNIT_ASSERT_EQ(test, put_user(1, (u32 __user *)addr), 0);
	lazy_find_user(test, user, current->mm, addr);
}

/* In the lower segments, which are smaller than those of the kernel. */
static void lazy_map_low_user(struct kunit *test)
{
	lazy_map_user(test, &lazy_user, SZ_256M);
}

/* The same page of another mm than that of lazy_user, which stays in use. */
static void lazy_map_other_user(struct kunit *test, struct lazy_user *other)
{
	struct mm_struct *mm = lazy_make_mm(test, lazy_user.addr, PAGE_SIZE, 1);

	lazy_find_user(test, other, mm, lazy_user.addr);
}

/* Tell that the translation is to go, without a change of the PTE. */
static void lazy_invalidate_user(const struct lazy_user *user)
{
	hpte_need_flush(user->mm, user->addr, user->ptep, pte_val(user->pte), 0);
}

static bool lazy_user_is_readable(void)
{
	u32 value;

	return !copy_from_user_nofault(&value, (u32 __user *)lazy_user.addr,
				       sizeof(value));
}

static void write_outside_a_section_takes_effect_at_once(struct kunit *test)
{
	lazy_map_slots(test);

	lazy_map(0, LAZY_NEW_PAGE);

	KUNIT_EXPECT_EQ(test, lazy_write(0), LAZY_NEW_PAGE);
	KUNIT_EXPECT_EQ(test, lazy_pending(), 0);
}

static void writes_in_a_section_are_collected(struct kunit *test)
{
	unsigned long pending;

	lazy_map_slots(test);

	lazy_mmu_mode_enable();
	lazy_map(0, LAZY_NEW_PAGE);
	lazy_map(1, LAZY_NEW_PAGE);
	pending = lazy_pending();
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, pending, 2);
}

/* There is no second flag beside it. */
static void mode_of_the_task_alone_makes_writes_collected(struct kunit *test)
{
	unsigned long pending;

	lazy_map_slots(test);

	preempt_disable();
	current->lazy_mmu_state.enable_count = 1;
	lazy_map(0, LAZY_NEW_PAGE);
	pending = lazy_pending();
	arch_flush_lazy_mmu_mode();
	current->lazy_mmu_state.enable_count = 0;
	preempt_enable();

	KUNIT_EXPECT_EQ(test, pending, 1);
}

static void section_disables_preemption_with_the_hash_mmu(struct kunit *test)
{
	int before, inside, after;

	if (!IS_ENABLED(CONFIG_PREEMPT_COUNT))
		kunit_skip(test, "needs CONFIG_PREEMPT_COUNT");

	before = preempt_count();
	lazy_mmu_mode_enable();
	inside = preempt_count();
	lazy_mmu_mode_enable();
	lazy_mmu_mode_disable();
	lazy_mmu_mode_pause();
	lazy_mmu_mode_resume();
	lazy_mmu_mode_disable();
	after = preempt_count();
	preempt_count_set(before);

	KUNIT_EXPECT_EQ(test, inside, before + (radix_enabled() ? 0 : PREEMPT_OFFSET));
	KUNIT_EXPECT_EQ(test, after, before);
}

static void flush_outside_a_section_leaves_preemption_alone(struct kunit *test)
{
	int before, after;

	before = preempt_count();
	arch_flush_lazy_mmu_mode();
	after = preempt_count();
	preempt_count_set(before);

	KUNIT_EXPECT_EQ(test, after, before);
}

static void outermost_disable_removes_stale_translations(struct kunit *test)
{
	enum lazy_page before, after;
	unsigned long pending;

	lazy_map_slots(test);

	preempt_disable();
	lazy_mmu_mode_enable();
	lazy_map(0, LAZY_NEW_PAGE);
	before = lazy_write(0);
	lazy_mmu_mode_disable();
	pending = lazy_pending();
	after = lazy_write(0);
	arch_flush_lazy_mmu_mode();
	preempt_enable();

	/* Otherwise there was nothing to remove. */
	KUNIT_ASSERT_EQ(test, before, LAZY_OLD_PAGE);
	KUNIT_EXPECT_EQ(test, pending, 0);
	KUNIT_EXPECT_EQ(test, after, LAZY_NEW_PAGE);
}

/* This many are flushed in another way than a single one. */
static void outermost_disable_removes_many_stale_translations(struct kunit *test)
{
	unsigned int nr_stale_before = 0, nr_stale_after = 0;

	lazy_map_slots(test);

	lazy_mmu_mode_enable();
	for (int i = 0; i < PPC64_TLB_BATCH_NR - 1; i++) {
		lazy_map(i, LAZY_NEW_PAGE);
		nr_stale_before += lazy_write(i) == LAZY_OLD_PAGE;
	}
	lazy_mmu_mode_disable();
	for (int i = 0; i < PPC64_TLB_BATCH_NR - 1; i++)
		nr_stale_after += lazy_write(i) != LAZY_NEW_PAGE;

	KUNIT_ASSERT_EQ(test, nr_stale_before, PPC64_TLB_BATCH_NR - 1);
	KUNIT_EXPECT_EQ(test, nr_stale_after, 0);
}

static void user_translation_is_gone_after_a_section(struct kunit *test)
{
	bool before, after;

	lazy_map_low_user(test);

	spin_lock(lazy_user.ptl);
	lazy_mmu_mode_enable();
	ptep_get_and_clear(lazy_user.mm, lazy_user.addr, lazy_user.ptep);
	before = lazy_user_is_readable();
	lazy_mmu_mode_disable();
	after = lazy_user_is_readable();
	set_pte_at(lazy_user.mm, lazy_user.addr, lazy_user.ptep, lazy_user.pte);
	spin_unlock(lazy_user.ptl);

	KUNIT_ASSERT_TRUE(test, before);
	KUNIT_EXPECT_FALSE(test, after);
}

static void inner_disable_removes_stale_translations(struct kunit *test)
{
	enum lazy_page before[2], after[2];
	unsigned long pending[2];

	lazy_map_slots(test);

	lazy_mmu_mode_enable();
	lazy_map(0, LAZY_NEW_PAGE);
	before[0] = lazy_write(0);
	lazy_mmu_mode_enable();
	lazy_map(1, LAZY_NEW_PAGE);
	before[1] = lazy_write(1);
	lazy_mmu_mode_disable();
	pending[0] = lazy_pending();
	after[0] = lazy_write(0);
	after[1] = lazy_write(1);
	lazy_map(2, LAZY_NEW_PAGE);
	pending[1] = lazy_pending();
	lazy_mmu_mode_disable();

	for (int i = 0; i < ARRAY_SIZE(before); i++) {
		KUNIT_ASSERT_EQ(test, before[i], LAZY_OLD_PAGE);
		KUNIT_EXPECT_EQ(test, after[i], LAZY_NEW_PAGE);
	}
	KUNIT_EXPECT_EQ(test, pending[0], 0);
	/* The outer section collects on. */
	KUNIT_EXPECT_EQ(test, pending[1], 1);
}

static void pause_empties_the_batch_and_collects_nothing(struct kunit *test)
{
	unsigned long pending[4];
	enum lazy_page page;

	lazy_map_slots(test);

	preempt_disable();
	lazy_mmu_mode_enable();
	lazy_map(0, LAZY_NEW_PAGE);
	lazy_mmu_mode_pause();
	pending[0] = lazy_pending();
	lazy_map(1, LAZY_NEW_PAGE);
	pending[1] = lazy_pending();
	page = lazy_write(1);
	lazy_mmu_mode_enable();
	lazy_map(2, LAZY_NEW_PAGE);
	pending[2] = lazy_pending();
	lazy_mmu_mode_disable();
	lazy_mmu_mode_resume();
	lazy_map(3, LAZY_NEW_PAGE);
	pending[3] = lazy_pending();
	lazy_mmu_mode_disable();
	preempt_enable();

	KUNIT_EXPECT_EQ(test, pending[0], 0);
	KUNIT_EXPECT_EQ(test, pending[1], 0);
	KUNIT_EXPECT_EQ(test, page, LAZY_NEW_PAGE);
	/* Nor does a section that is opened in it. */
	KUNIT_EXPECT_EQ(test, pending[2], 0);
	/* The section collects on after it. */
	KUNIT_EXPECT_EQ(test, pending[3], 1);
}

static void full_batch_is_flushed_at_once(struct kunit *test)
{
	unsigned int nr_stale = 0;
	unsigned long pending;

	lazy_map_slots(test);

	lazy_mmu_mode_enable();
	for (int i = 0; i < PPC64_TLB_BATCH_NR; i++)
		lazy_map(i, LAZY_NEW_PAGE);
	for (int i = 0; i < PPC64_TLB_BATCH_NR; i++)
		nr_stale += lazy_write(i) != LAZY_NEW_PAGE;
	lazy_map(PPC64_TLB_BATCH_NR, LAZY_NEW_PAGE);
	pending = lazy_pending();
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, nr_stale, 0);
	KUNIT_EXPECT_EQ(test, pending, 1);
}

static void batch_is_flushed_before_it_takes_another_mm(struct kunit *test)
{
	struct mm_struct *mm;
	unsigned long pending;
	enum lazy_page page;

	lazy_map_slots(test);
	lazy_map_low_user(test);

	lazy_mmu_mode_enable();
	lazy_map(0, LAZY_NEW_PAGE);
	lazy_invalidate_user(&lazy_user);
	pending = lazy_pending();
	mm = this_cpu_read(ppc64_tlb_batch.mm);
	page = lazy_write(0);
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, page, LAZY_NEW_PAGE);
	KUNIT_EXPECT_EQ(test, pending, 1);
	KUNIT_EXPECT_PTR_EQ(test, mm, lazy_user.mm);
}

/* User memory and the kernel's differ in the size of their segments as well. */
static void batch_is_flushed_before_it_takes_another_user_mm(struct kunit *test)
{
	struct lazy_user other;
	struct mm_struct *mm;
	unsigned long pending;

	lazy_map_low_user(test);
	lazy_map_other_user(test, &other);

	lazy_mmu_mode_enable();
	lazy_invalidate_user(&lazy_user);
	lazy_invalidate_user(&other);
	pending = lazy_pending();
	mm = this_cpu_read(ppc64_tlb_batch.mm);
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, pending, 1);
	KUNIT_EXPECT_PTR_EQ(test, mm, other.mm);
}

static void batch_is_flushed_before_it_takes_another_segment_size(struct kunit *test)
{
	struct lazy_user high;
	unsigned long pending;
	int ssize;

	lazy_need_hash(test);
	if (mmu_highuser_ssize == MMU_SEGSIZE_256M)
		kunit_skip(test, "this CPU has one segment size");
	lazy_map_low_user(test);
	lazy_map_user(test, &high, 1UL << SID_SHIFT_1T);

	lazy_mmu_mode_enable();
	lazy_invalidate_user(&lazy_user);
	lazy_invalidate_user(&high);
	pending = lazy_pending();
	ssize = this_cpu_read(ppc64_tlb_batch.ssize);
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, pending, 1);
	KUNIT_EXPECT_EQ(test, ssize, MMU_SEGSIZE_1T);
}

/* The other one as if it were in the hash table in pieces of 4K, where it is not. */
static void batch_is_flushed_before_it_takes_another_page_size(struct kunit *test)
{
	unsigned int first, last;
	unsigned long pending;
	struct lazy_user split;

	if (!IS_ENABLED(CONFIG_PPC_64K_PAGES))
		kunit_skip(test, "there is one size of pages, without hugetlb");
	lazy_map_low_user(test);
	split = lazy_user;
	split.pte = __pte(pte_val(split.pte) ^ H_PAGE_COMBO);

	lazy_mmu_mode_enable();
	lazy_invalidate_user(&lazy_user);
	first = this_cpu_read(ppc64_tlb_batch.psize);
	lazy_invalidate_user(&split);
	pending = lazy_pending();
	last = this_cpu_read(ppc64_tlb_batch.psize);
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, pending, 1);
	KUNIT_EXPECT_NE(test, first, last);
}

#ifdef CONFIG_PPC_PSERIES
static struct {
	struct task_struct *task;
	unsigned int nr;
	unsigned long pending;
} lazy_hcalls;

/* Runs where the task would die if the hypervisor refused. */
static void lazy_hcall_probe(void *data, unsigned long opcode, unsigned long *args)
{
	if (READ_ONCE(lazy_hcalls.task) != current || !in_task())
		return;
	if (opcode != H_REMOVE && opcode != H_BULK_REMOVE && opcode != H_BLOCK_REMOVE)
		return;

	lazy_hcalls.nr++;
	lazy_hcalls.pending += lazy_pending();
}

static void batch_is_empty_before_it_is_flushed(struct kunit *test)
{
	lazy_map_slots(test);
	if (!firmware_has_feature(FW_FEATURE_LPAR))
		kunit_skip(test, "there is no hypervisor to watch");
	KUNIT_ASSERT_EQ(test, register_trace_hcall_entry(lazy_hcall_probe, NULL), 0);

	lazy_hcalls.nr = 0;
	lazy_hcalls.pending = 0;
	lazy_mmu_mode_enable();
	lazy_map(0, LAZY_NEW_PAGE);
	lazy_map(1, LAZY_NEW_PAGE);
	WRITE_ONCE(lazy_hcalls.task, current);
	lazy_mmu_mode_disable();
	WRITE_ONCE(lazy_hcalls.task, NULL);

	unregister_trace_hcall_entry(lazy_hcall_probe, NULL);
	tracepoint_synchronize_unregister();
	KUNIT_ASSERT_GT(test, lazy_hcalls.nr, 0);
	KUNIT_EXPECT_EQ(test, lazy_hcalls.pending, 0);
}
#else
static void batch_is_empty_before_it_is_flushed(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_PPC_PSERIES");
}
#endif /* CONFIG_PPC_PSERIES */

/* The two functions of the architecture that open a section themselves */

static void lazy_flush_slot(unsigned int slot)
{
	__flush_hash_table_range(lazy_addr(slot), lazy_addr(slot + 1));
}

static void table_range_flush_removes_translations(struct kunit *test)
{
	enum lazy_page before, after;

	lazy_map_slots(test);

	lazy_map_silently(0, LAZY_NEW_PAGE);
	before = lazy_write(0);
	lazy_flush_slot(0);
	after = lazy_write(0);

	KUNIT_ASSERT_EQ(test, before, LAZY_OLD_PAGE);
	KUNIT_EXPECT_EQ(test, after, LAZY_NEW_PAGE);
}

static void table_range_flush_in_a_section_removes_translations(struct kunit *test)
{
	enum lazy_page before, after;
	unsigned long pending;

	lazy_map_slots(test);

	lazy_mmu_mode_enable();
	lazy_map_silently(0, LAZY_NEW_PAGE);
	before = lazy_write(0);
	lazy_flush_slot(0);
	after = lazy_write(0);
	lazy_map(1, LAZY_NEW_PAGE);
	pending = lazy_pending();
	lazy_mmu_mode_disable();

	KUNIT_ASSERT_EQ(test, before, LAZY_OLD_PAGE);
	KUNIT_EXPECT_EQ(test, after, LAZY_NEW_PAGE);
	/* The section collects on. */
	KUNIT_EXPECT_EQ(test, pending, 1);
}

static void pmd_range_flush_in_a_section_removes_translations(struct kunit *test)
{
	struct lazy_user *user = &lazy_user;
	unsigned long pending;
	bool before, after;

	lazy_map_slots(test);
	lazy_map_low_user(test);

	spin_lock(user->ptl);
	lazy_mmu_mode_enable();
	*user->ptep = __pte(pte_val(user->pte) & ~(_PAGE_PRESENT | _PAGE_RWX));
	before = lazy_user_is_readable();
	flush_hash_table_pmd_range(user->mm, pmd_off(user->mm, user->addr),
				   user->addr);
	after = lazy_user_is_readable();
	*user->ptep = user->pte;
	lazy_map(0, LAZY_NEW_PAGE);
	pending = lazy_pending();
	lazy_mmu_mode_disable();
	spin_unlock(user->ptl);

	KUNIT_ASSERT_TRUE(test, before);
	KUNIT_EXPECT_FALSE(test, after);
	KUNIT_EXPECT_EQ(test, pending, 1);
}

/* A debugger patches where it finds the task, and a page is mapped for each patch. */
static void text_patched_in_a_section_is_that_of_the_address(struct kunit *test)
{
	static u32 text[2][PAGE_SIZE / sizeof(u32)] __aligned(PAGE_SIZE);
	static u32 words[] = { 3, 4 };
	unsigned long pending;
	int err[4];

	if (!IS_ENABLED(CONFIG_STRICT_KERNEL_RWX))
		kunit_skip(test, "needs CONFIG_STRICT_KERNEL_RWX");

	lazy_mmu_mode_enable();
	err[0] = patch_uint(&text[0][0], 1);
	err[1] = patch_uint(&text[1][0], 2);
	err[2] = patch_instructions(&text[0][1], &words[0], sizeof(u32), false);
	err[3] = patch_instructions(&text[1][1], &words[1], sizeof(u32), false);
	pending = lazy_pending();
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, err[0], 0);
	KUNIT_EXPECT_EQ(test, err[1], 0);
	KUNIT_EXPECT_EQ(test, err[2], 0);
	KUNIT_EXPECT_EQ(test, err[3], 0);
	KUNIT_EXPECT_EQ(test, READ_ONCE(text[0][0]), 1);
	KUNIT_EXPECT_EQ(test, READ_ONCE(text[1][0]), 2);
	KUNIT_EXPECT_EQ(test, READ_ONCE(text[0][1]), 3);
	KUNIT_EXPECT_EQ(test, READ_ONCE(text[1][1]), 4);
	KUNIT_EXPECT_EQ(test, pending, 0);
}

/* Interrupts. The handler is a timer's, and a section has one update pending. */

KUNIT_ARRAY_PARAM_DESC(lazy_irq, lazy_irq_params, desc);

struct lazy_batch {
	unsigned long pending;
	struct mm_struct *mm;
	unsigned long vpn;
};

static struct lazy_interrupt {
	struct lazy_irq irq;
	void (*fn)(void);

	/* What the handler found, on top of the section. */
	struct lazy_batch before;
	struct lazy_batch after;
	enum lazy_page page;

	/* Pending in the section after one more write. */
	unsigned long pending;
} lazy_interrupt;

static void lazy_save_batch(struct lazy_batch *saved)
{
	const struct ppc64_tlb_batch *batch = raw_cpu_ptr(&ppc64_tlb_batch);

	saved->pending = batch->index;
	saved->mm = batch->mm;
	saved->vpn = batch->vpn[0];
}

static void lazy_interrupt_fn(struct lazy_irq *irq)
{
	struct lazy_interrupt *seen = container_of(irq, typeof(*seen), irq);

	lazy_save_batch(&seen->before);
	seen->fn();
	lazy_save_batch(&seen->after);
	seen->page = lazy_write(1);
}

static const struct lazy_interrupt *lazy_interrupt_section(struct kunit *test,
							   void (*fn)(void))
{
	const struct lazy_irq_param *param = test->param_value;
	struct lazy_interrupt *seen = &lazy_interrupt;

	*seen = (struct lazy_interrupt) { .fn = fn, .page = LAZY_NO_PAGE };
	lazy_irq_init(test, &seen->irq, param->is_soft, lazy_interrupt_fn);
	lazy_map_slots(test);

	for (int i = 0; i < 100 && !lazy_irq_hit(&seen->irq); i++) {
		/* Have it in the hash table again. */
		lazy_map(0, LAZY_OLD_PAGE);
		lazy_map(2, LAZY_OLD_PAGE);
		lazy_write(0);
		lazy_write(2);

		lazy_mmu_mode_enable();
		lazy_map(0, LAZY_NEW_PAGE);
		lazy_irq_start(&seen->irq);
		lazy_irq_wait(&seen->irq);
		lazy_map(2, LAZY_NEW_PAGE);
		seen->pending = lazy_pending();
		lazy_mmu_mode_disable();
	}
	KUNIT_ASSERT_TRUE_MSG(test, lazy_irq_hit(&seen->irq), "no interrupt hit the section");
	KUNIT_ASSERT_EQ(test, seen->before.pending, 1);

	return seen;
}

static void lazy_expect_same_batch(struct kunit *test, const struct lazy_interrupt *seen)
{
	KUNIT_EXPECT_EQ(test, seen->after.pending, seen->before.pending);
	KUNIT_EXPECT_PTR_EQ(test, seen->after.mm, seen->before.mm);
	KUNIT_EXPECT_EQ(test, seen->after.vpn, seen->before.vpn);
}

static void lazy_write_in_an_interrupt(void)
{
	lazy_map(1, LAZY_NEW_PAGE);
}

static void lazy_flush_in_an_interrupt(void)
{
	lazy_map_silently(1, LAZY_NEW_PAGE);
	lazy_flush_slot(1);
}

static void lazy_invalidate_in_an_interrupt(void)
{
	lazy_invalidate_user(&lazy_user);
}

static void write_in_an_interrupt_leaves_the_batch_alone(struct kunit *test)
{
	const struct lazy_interrupt *seen;

	seen = lazy_interrupt_section(test, lazy_write_in_an_interrupt);

	lazy_expect_same_batch(test, seen);
	KUNIT_EXPECT_EQ(test, seen->page, LAZY_NEW_PAGE);
	/* The section collects on. */
	KUNIT_EXPECT_EQ(test, seen->pending, 2);
}

static void another_mm_in_an_interrupt_leaves_the_batch_alone(struct kunit *test)
{
	lazy_map_low_user(test);

	lazy_expect_same_batch(test,
			       lazy_interrupt_section(test, lazy_invalidate_in_an_interrupt));
}

static void table_range_flush_in_an_interrupt_leaves_the_batch_alone(struct kunit *test)
{
	const struct lazy_interrupt *seen;

	seen = lazy_interrupt_section(test, lazy_flush_in_an_interrupt);

	lazy_expect_same_batch(test, seen);
	KUNIT_EXPECT_EQ(test, seen->page, LAZY_NEW_PAGE);
}

/* Death in a section */

struct lazy_victim {
	struct lazy_thread thread;
	struct lazy_batch batch;
	bool was_readable;
};

static int lazy_dying_fn(void *data)
{
	const struct lazy_user *user = &lazy_user;
	struct lazy_victim *victim = data;

	/* From here on do_exit() puts the mm. */
	kthread_use_mm(user->mm);
	lazy_mmu_mode_enable();
	lazy_mmu_mode_enable();
	spin_lock(user->ptl);
	ptep_get_and_clear(user->mm, user->addr, user->ptep);
	spin_unlock(user->ptl);
	victim->was_readable = lazy_user_is_readable();
	lazy_save_batch(&victim->batch);
	lazy_die(&victim->thread);
}

/* A task dies on this CPU that has an update of this mm pending. */
static void dying_task_leaves_nothing_behind(struct kunit *test)
{
	struct lazy_user *user = &lazy_user;
	struct lazy_victim *victim;
	unsigned long pending;
	bool is_readable;

	lazy_map_low_user(test);
	mmget(user->mm);
	victim = lazy_start_thread(test, sizeof(*victim), lazy_dying_fn,
				   raw_smp_processor_id());
	lazy_stop_thread(&victim->thread);
	/* The reference of kthread_use_mm(), which do_exit() knows nothing of. */
	mmdrop(user->mm);

	pending = lazy_pending();
	is_readable = lazy_user_is_readable();
	spin_lock(user->ptl);
	set_pte_at(user->mm, user->addr, user->ptep, user->pte);
	spin_unlock(user->ptl);

	KUNIT_ASSERT_EQ(test, victim->batch.pending, 1);
	KUNIT_ASSERT_PTR_EQ(test, victim->batch.mm, user->mm);
	KUNIT_ASSERT_TRUE(test, victim->was_readable);
	KUNIT_EXPECT_EQ(test, pending, 0);
	KUNIT_EXPECT_FALSE(test, is_readable);
}

/* Sleep in a section, which is forbidden */

static unsigned int lazy_nr_warnings;

static void lazy_probe_console(void *data, const char *text, size_t len)
{
	if (strnstr(text, " sleeps in a lazy MMU section", len))
		lazy_nr_warnings++;
}

struct lazy_sleeper {
	struct lazy_thread thread;
	/* In its section. */
	enum lazy_page page;
	unsigned long pending;
	/* In the task that runs when it sleeps there. */
	enum lazy_page next_page;
	unsigned long next_pending;
	/* When it has slept twice. */
	int preempt_count;
};

static void lazy_remap_in_a_section(struct lazy_sleeper *sleeper)
{
	pte_t *ptep = virt_to_kpte(lazy_addr(0));
	unsigned long old = pte_val(*ptep);

	/* Unlike lazy_map(), no write that the detector remembers. */
	lazy_map_silently(0, LAZY_NEW_PAGE);
	hpte_need_flush(&init_mm, lazy_addr(0), ptep, old, 0);
	sleeper->page = lazy_write(0);
	sleeper->pending = lazy_pending();
}

/*
 * As in a kernel that does not count preemption, where a section can sleep and
 * nobody else takes notice.
 */
static int lazy_unnoticed_sleeper_fn(void *data)
{
	struct lazy_sleeper *sleeper = data;

	preempt_disable();
	current->lazy_mmu_state.enable_count = 1;
	lazy_remap_in_a_section(sleeper);
	current->lazy_mmu_state.enable_count = 0;
	complete(&sleeper->thread.is_in);
	preempt_enable_no_resched();
	wait_for_completion(&sleeper->thread.go_on);

	return 0;
}

/* Have a task sleep in a section, on this CPU. */
static struct lazy_sleeper *lazy_sleep(struct kunit *test, int (*fn)(void *))
{
	struct lazy_sleeper *sleeper = lazy_start_thread(test, sizeof(*sleeper), fn,
							 raw_smp_processor_id());

	sleeper->next_pending = lazy_pending();
	sleeper->next_page = lazy_write(0);
	lazy_stop_thread(&sleeper->thread);

	/* Otherwise there was nothing to flush. */
	KUNIT_ASSERT_EQ(test, sleeper->page, LAZY_OLD_PAGE);
	KUNIT_ASSERT_EQ(test, sleeper->pending, 1);

	return sleeper;
}

static void sleep_in_a_section_flushes_the_batch(struct kunit *test)
{
	struct lazy_sleeper *sleeper;

	lazy_map_slots(test);

	sleeper = lazy_sleep(test, lazy_unnoticed_sleeper_fn);

	KUNIT_EXPECT_EQ(test, sleeper->next_pending, 0);
	KUNIT_EXPECT_EQ(test, sleeper->next_page, LAZY_NEW_PAGE);
}

static void sleep_in_a_section_is_warned_about_once(struct kunit *test)
{
	unsigned int nr_first;

	lazy_map_slots(test);

	lazy_sleep(test, lazy_unnoticed_sleeper_fn);
	nr_first = lazy_nr_warnings;
	/* Have it in the hash table again. */
	lazy_map(0, LAZY_OLD_PAGE);
	lazy_write(0);
	lazy_sleep(test, lazy_unnoticed_sleeper_fn);

	KUNIT_EXPECT_EQ(test, nr_first, 1);
	KUNIT_EXPECT_EQ(test, lazy_nr_warnings, 1);
}

static void sleep_behind_a_section_is_not_warned_about(struct kunit *test)
{
	lazy_map_slots(test);

	lazy_mmu_mode_enable();
	lazy_map(0, LAZY_NEW_PAGE);
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
	lazy_mmu_mode_enable();
	lazy_remap_in_a_section(sleeper);
	complete(&sleeper->thread.is_in);
	wait_for_completion(&sleeper->thread.go_on);
	schedule_timeout_uninterruptible(1);
	sleeper->preempt_count = preempt_count();
	lazy_mmu_mode_disable();

	return 0;
}

/* The detector is the first to notice, and leaves the mode. */
static void sleep_in_a_section_is_reported_once(struct kunit *test)
{
	struct lazy_sleeper *sleeper;

	lazy_map_slots(test);
	lazy_nr_sleeps = 0;
	lazy_nr_reports = 0;
	lazy_sleepers_test = test;
	lazy_mmu_report_stub = lazy_take_report;
	lazy_mmu_report_test = test;

	sleeper = lazy_sleep(test, lazy_noticed_sleeper_fn);

	KUNIT_EXPECT_EQ(test, sleeper->next_pending, 0);
	KUNIT_EXPECT_EQ(test, sleeper->next_page, LAZY_NEW_PAGE);
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

/* The radix MMU. A batch that is not empty shows whether a hook looks at it. */

static unsigned long lazy_radix_pending_after(struct kunit *test, void (*hook)(void))
{
	struct ppc64_tlb_batch *batch;
	unsigned long pending;
	int count;

	if (!radix_enabled())
		kunit_skip(test, "the hash MMU has a batch");

	count = preempt_count();
	batch = get_cpu_ptr(&ppc64_tlb_batch);
	/* Two entries that are in the hash table with none of their subpages. */
	batch->mm = &init_mm;
	batch->psize = MMU_PAGE_4K;
	batch->index = 2;
	hook();
	pending = batch->index;
	batch->index = 0;
	batch->mm = NULL;
	preempt_count_set(count);

	return pending;
}

static void lazy_leave(void)
{
	arch_leave_lazy_mmu_mode();
}

static void lazy_flush(void)
{
	arch_flush_lazy_mmu_mode();
}

static void radix_hooks_do_not_look_at_the_batch(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, lazy_radix_pending_after(test, lazy_leave), 2);
	KUNIT_EXPECT_EQ(test, lazy_radix_pending_after(test, lazy_flush), 2);
}

static struct kunit_case lazy_mmu_mode_cases[] = {
	KUNIT_CASE(write_outside_a_section_takes_effect_at_once),
	KUNIT_CASE(writes_in_a_section_are_collected),
	KUNIT_CASE(mode_of_the_task_alone_makes_writes_collected),
	KUNIT_CASE(section_disables_preemption_with_the_hash_mmu),
	KUNIT_CASE(flush_outside_a_section_leaves_preemption_alone),

	KUNIT_CASE(outermost_disable_removes_stale_translations),
	KUNIT_CASE(outermost_disable_removes_many_stale_translations),
	KUNIT_CASE(user_translation_is_gone_after_a_section),
	KUNIT_CASE(inner_disable_removes_stale_translations),

	KUNIT_CASE(pause_empties_the_batch_and_collects_nothing),

	KUNIT_CASE(full_batch_is_flushed_at_once),
	KUNIT_CASE(batch_is_flushed_before_it_takes_another_mm),
	KUNIT_CASE(batch_is_flushed_before_it_takes_another_user_mm),
	KUNIT_CASE(batch_is_flushed_before_it_takes_another_segment_size),
	KUNIT_CASE(batch_is_flushed_before_it_takes_another_page_size),
	KUNIT_CASE(batch_is_empty_before_it_is_flushed),

	KUNIT_CASE(table_range_flush_removes_translations),
	KUNIT_CASE(table_range_flush_in_a_section_removes_translations),
	KUNIT_CASE(pmd_range_flush_in_a_section_removes_translations),

	KUNIT_CASE(text_patched_in_a_section_is_that_of_the_address),

	KUNIT_CASE_PARAM(write_in_an_interrupt_leaves_the_batch_alone,
			 lazy_irq_gen_params),
	KUNIT_CASE_PARAM(another_mm_in_an_interrupt_leaves_the_batch_alone,
			 lazy_irq_gen_params),
	KUNIT_CASE_PARAM(table_range_flush_in_an_interrupt_leaves_the_batch_alone,
			 lazy_irq_gen_params),

	KUNIT_CASE(dying_task_leaves_nothing_behind),

	KUNIT_CASE(radix_hooks_do_not_look_at_the_batch),
	{}
};

/* Apart, because they have the kernel warn. */
static struct kunit_case lazy_mmu_mode_sleep_cases[] = {
	KUNIT_CASE(sleep_in_a_section_flushes_the_batch),
	KUNIT_CASE(sleep_in_a_section_is_warned_about_once),
	KUNIT_CASE(sleep_behind_a_section_is_not_warned_about),
	KUNIT_CASE(sleep_in_a_section_is_reported_once),
	{}
};

static int lazy_mmu_mode_init(struct kunit *test)
{
	lazy_stay_here();
	return 0;
}

static void lazy_mmu_mode_exit(struct kunit *test)
{
	vunmap(lazy_area);
	lazy_area = NULL;
	for (int i = 0; i < ARRAY_SIZE(lazy_pages); i++) {
		if (lazy_pages[i])
			__free_page(lazy_pages[i]);
		lazy_pages[i] = NULL;
	}
}

static int lazy_mmu_mode_sleep_init(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "needs CONFIG_TRACEPOINTS");
	/* What was warned about before does not count, nor does what is now. */
	lazy_clear_warn_once();
	lazy_nr_warnings = 0;

	return lazy_mmu_mode_init(test);
}

static void lazy_mmu_mode_sleep_exit(struct kunit *test)
{
	lazy_take_no_reports();
	lazy_clear_warn_once();
	lazy_mmu_mode_exit(test);
}

static int lazy_mmu_mode_sleep_suite_init(struct kunit_suite *suite)
{
	int ret = register_trace_console(lazy_probe_console, NULL);

	return IS_ENABLED(CONFIG_TRACEPOINTS) ? ret : 0;
}

static void lazy_mmu_mode_sleep_suite_exit(struct kunit_suite *suite)
{
	unregister_trace_console(lazy_probe_console, NULL);
	tracepoint_synchronize_unregister();
}

static struct kunit_suite lazy_mmu_mode_suite = {
	.name = "lazy_mmu_mode_powerpc",
	.init = lazy_mmu_mode_init,
	.exit = lazy_mmu_mode_exit,
	.test_cases = lazy_mmu_mode_cases,
};

static struct kunit_suite lazy_mmu_mode_sleep_suite = {
	.name = "lazy_mmu_mode_powerpc_sleep",
	.suite_init = lazy_mmu_mode_sleep_suite_init,
	.suite_exit = lazy_mmu_mode_sleep_suite_exit,
	.init = lazy_mmu_mode_sleep_init,
	.exit = lazy_mmu_mode_sleep_exit,
	.test_cases = lazy_mmu_mode_sleep_cases,
};

kunit_test_suites(&lazy_mmu_mode_suite, &lazy_mmu_mode_sleep_suite);

MODULE_DESCRIPTION("KUnit tests for lazy MMU sections on book3s64");
MODULE_LICENSE("GPL");
