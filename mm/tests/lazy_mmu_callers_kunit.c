// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for code that updates page tables of user space in lazy MMU
 * sections, and must not rely on updates that still wait. It takes Xen PV, where
 * they do, to find that it does, or CONFIG_DEBUG_LAZY_MMU_MODE for what it reads.
 *
 * Each case has an address space of its own, with one page that matters.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/bug.h>
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/rmap.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include <linux/swapops.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/userfaultfd_k.h>

#include <asm/tlb.h>

#ifdef CONFIG_DEBUG_LAZY_MMU_MODE
#include <trace/events/lazy_mmu.h>
#endif
#include <trace/events/printk.h>

#ifdef CONFIG_PROC_PAGE_MONITOR
#include "../../fs/proc/internal.h"
#endif
#include "lazy_mmu_kunit.h"

#define LAZY_OLD	0x01d
#define LAZY_NEW	0x2e3

/* Warnings and reports of the kernel while this task runs the code under test. */
static struct task_struct *lazy_task;
static unsigned int lazy_nr_warnings;

static void lazy_probe_console(void *data, const char *buf, size_t len)
{
	if (current == READ_ONCE(lazy_task) &&
	    (strnstr(buf, "WARNING: ", len) || strnstr(buf, "BUG: lazy MMU: ", len)))
		lazy_nr_warnings++;
}

static void lazy_start_warnings(void)
{
	generic_bug_clear_once();
	lazy_nr_warnings = 0;
	WRITE_ONCE(lazy_task, current);
}

static unsigned long lazy_map(struct kunit *test, unsigned long flags)
{
	unsigned long addr = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
				     flags, 0);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR_VALUE(addr), "%ld", addr);
	return addr;
}

/* A page of anonymous memory that is present. */
static __maybe_unused unsigned long lazy_map_page(struct kunit *test)
{
	unsigned long addr = lazy_map(test, MAP_PRIVATE | MAP_ANONYMOUS);

	KUNIT_ASSERT_EQ(test, put_user(LAZY_OLD, (u32 __user *)addr), 0);
	return addr;
}

static pte_t lazy_read(struct mm_struct *mm, unsigned long addr)
{
	pmd_t *pmd = pmd_off(mm, addr);

	/* Nobody else frees page tables of this mm. */
	return pmd_none(*pmd) ? __pte(0) : ptep_get(pte_offset_kernel(pmd, addr));
}

/* Sections: without one nothing waits, which the other cases would not notice. */

static const struct lazy_caller_param {
	const char *desc;
	/* 0 for a change of protection. */
	int advice;
} lazy_caller_params[] = {
	{ "mprotect", 0 },
	{ "MADV_COLD", MADV_COLD },
	{ "MADV_FREE", MADV_FREE },
	{ "MADV_DONTNEED", MADV_DONTNEED },
};

KUNIT_ARRAY_PARAM_DESC(lazy_caller, lazy_caller_params, desc);

#ifdef CONFIG_DEBUG_LAZY_MMU_MODE
static unsigned int lazy_nr_sections;

static void lazy_count_sections(void *data, enum lazy_mmu_call call, u8 enable_count,
				u8 pause_count, unsigned long ip)
{
	if (current == READ_ONCE(lazy_task) && call == LAZY_MMU_CALL_ENABLE)
		lazy_nr_sections++;
}

static long lazy_protect(unsigned long addr)
{
	struct mm_struct *mm = current->mm;
	struct mmu_gather tlb;
	long nr;

	mmap_write_lock(mm);
	tlb_gather_mmu(&tlb, mm);
	nr = change_protection(&tlb, vma_lookup(mm, addr), addr, addr + PAGE_SIZE, 0);
	tlb_finish_mmu(&tlb);
	mmap_write_unlock(mm);

	return nr == 1 ? 0 : -EINVAL;
}

static void caller_opens_a_section(struct kunit *test)
{
	const struct lazy_caller_param *param = test->param_value;
	unsigned long addr = lazy_map_page(test);
	long err;

	lazy_nr_sections = 0;
	KUNIT_ASSERT_EQ(test, 0, register_trace_lazy_mmu_call(lazy_count_sections, NULL));
	WRITE_ONCE(lazy_task, current);
	if (param->advice)
		err = do_madvise(current->mm, addr, PAGE_SIZE, param->advice);
	else
		err = lazy_protect(addr);
	WRITE_ONCE(lazy_task, NULL);
	unregister_trace_lazy_mmu_call(lazy_count_sections, NULL);
	tracepoint_synchronize_unregister();

	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_GT(test, lazy_nr_sections, 0);
}
#else
static void caller_opens_a_section(struct kunit *test)
{
	kunit_skip(test, "needs the events of CONFIG_DEBUG_LAZY_MMU_MODE");
}
#endif

/* Entries that are read back */

#ifdef CONFIG_DEVICE_PRIVATE
struct lazy_child {
	struct completion go_on;
	struct completion done;
	u32 __user *p;
	u32 value;
	int error;
};

static int lazy_child_fn(void *data)
{
	struct lazy_child *child = data;

	wait_for_completion(&child->go_on);
	child->error = get_user(child->value, child->p);
	lazy_child_exit(&child->done);
}

static void forked_device_exclusive_page_is_copied_on_write(struct kunit *test)
{
	struct lazy_child *child = kunit_kzalloc(test, sizeof(*child), GFP_KERNEL);
	struct kernel_clone_args args = {
		.exit_signal = SIGCHLD,
		.fn = lazy_child_fn,
		.fn_arg = child,
	};
	unsigned long addr = lazy_map_page(test);
	struct mm_struct *mm = current->mm;
	struct page *page = NULL;
	int nr, mapcount, error;
	pte_t before, after;
	pid_t pid;

	KUNIT_ASSERT_NOT_NULL(test, child);
	init_completion(&child->go_on);
	init_completion(&child->done);
	child->p = (u32 __user *)addr;

	mmap_read_lock(mm);
	nr = make_device_exclusive_range(mm, addr, addr + PAGE_SIZE, &page, NULL);
	mmap_read_unlock(mm);
	KUNIT_ASSERT_EQ(test, nr, 1);
	KUNIT_ASSERT_NOT_NULL(test, page);
	/* fork() wants the lock. The reference stays, in case one gets lost. */
	unlock_page(page);
	before = lazy_read(mm, addr);

	lazy_start_warnings();
	pid = kernel_clone(&args);
	WRITE_ONCE(lazy_task, NULL);
	KUNIT_ASSERT_GT(test, pid, 0);
	after = lazy_read(mm, addr);
	mapcount = folio_mapcount(page_folio(page));
	error = put_user(LAZY_NEW, child->p);
	complete(&child->go_on);
	wait_for_completion(&child->done);

	KUNIT_EXPECT_TRUE(test, is_swap_pte(before) &&
			  is_device_exclusive_entry(pte_to_swp_entry(before)));
	KUNIT_EXPECT_TRUE(test, pte_present(after));
	KUNIT_EXPECT_FALSE(test, pte_present(after) && pte_write(after));
	KUNIT_EXPECT_EQ(test, lazy_nr_warnings, 0);
	KUNIT_EXPECT_EQ(test, mapcount, 2);
	KUNIT_EXPECT_EQ(test, error, 0);
	KUNIT_EXPECT_EQ(test, child->error, 0);
	KUNIT_EXPECT_EQ(test, child->value, LAZY_OLD);
	if (mapcount == 2)
		put_page(page);
}
#else
static void forked_device_exclusive_page_is_copied_on_write(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_DEVICE_PRIVATE");
}
#endif

static void lazy_zap(unsigned long addr)
{
	struct mm_struct *mm = current->mm;

	mmap_read_lock(mm);
	zap_page_range_single(vma_lookup(mm, addr), addr, PAGE_SIZE, NULL);
	mmap_read_unlock(mm);
}

static void zap_of_nonpresent_file_entry_does_not_warn(struct kunit *test)
{
	unsigned long addr = lazy_map(test, MAP_SHARED | MAP_ANONYMOUS);
	struct mm_struct *mm = current->mm;

	if (!IS_ENABLED(CONFIG_PTE_MARKER_UFFD_WP))
		kunit_skip(test, "needs CONFIG_PTE_MARKER_UFFD_WP");

	/* After that there is a page table, which nobody else uses. */
	KUNIT_ASSERT_EQ(test, put_user(LAZY_OLD, (u32 __user *)addr), 0);
	lazy_zap(addr);
	set_pte_at(mm, addr, pte_offset_kernel(pmd_off(mm, addr), addr),
		   make_pte_marker(PTE_MARKER_POISONED));

	lazy_start_warnings();
	lazy_zap(addr);
	WRITE_ONCE(lazy_task, NULL);

	KUNIT_EXPECT_EQ(test, lazy_nr_warnings, 0);
	KUNIT_EXPECT_TRUE(test, pte_none(lazy_read(mm, addr)));
}

static __maybe_unused unsigned long lazy_map_huge_page(struct kunit *test)
{
	unsigned long addr = vm_mmap(NULL, 0, 2 * PMD_SIZE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, 0);
	struct mm_struct *mm = current->mm;

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR_VALUE(addr), "%ld", addr);
	mmap_write_lock(mm);
	vm_flags_set(vma_lookup(mm, addr), VM_HUGEPAGE);
	mmap_write_unlock(mm);
	addr = ALIGN(addr, PMD_SIZE);
	KUNIT_ASSERT_EQ(test, put_user(LAZY_OLD, (u32 __user *)addr), 0);
	if (!pmd_trans_huge(pmdp_get(pmd_off(mm, addr))))
		kunit_skip(test, "there is no huge page");
	return addr;
}

/* TLB flushes: what is in the page table when they have returned? */

struct lazy_flush {
	struct mmu_notifier notifier;
	unsigned long addr;
	unsigned int nr;
	pte_t first;
	pte_t last;
};

static void lazy_see_flush(struct mmu_notifier *notifier, struct mm_struct *mm,
			   unsigned long start, unsigned long end)
{
	struct lazy_flush *flush = container_of(notifier, typeof(*flush), notifier);

	if (current != READ_ONCE(lazy_task))
		return;
	flush->last = lazy_read(mm, flush->addr);
	if (!flush->nr++)
		flush->first = flush->last;
}

static const struct mmu_notifier_ops lazy_notifier_ops = {
	.arch_invalidate_secondary_tlbs = lazy_see_flush,
};

static void lazy_unregister_notifier(void *data)
{
	struct mmu_notifier *notifier = data;

	mmu_notifier_unregister(notifier, notifier->mm);
}

static __maybe_unused struct lazy_flush *lazy_watch_flushes(struct kunit *test,
							    unsigned long addr)
{
	struct lazy_flush *flush = kunit_kzalloc(test, sizeof(*flush), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, flush);
	flush->notifier.ops = &lazy_notifier_ops;
	flush->addr = addr;
	KUNIT_ASSERT_EQ(test, mmu_notifier_register(&flush->notifier, current->mm), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, lazy_unregister_notifier,
							&flush->notifier), 0);
	WRITE_ONCE(lazy_task, current);

	return flush;
}

static __maybe_unused void lazy_stop_watching(struct kunit *test,
					      struct lazy_flush *flush)
{
	WRITE_ONCE(lazy_task, NULL);
	kunit_release_action(test, lazy_unregister_notifier, &flush->notifier);
	if (!flush->nr && !IS_ENABLED(CONFIG_X86) && !IS_ENABLED(CONFIG_ARM64))
		kunit_skip(test, "flushes do not show on this architecture");
	KUNIT_ASSERT_GT(test, flush->nr, 0);
}

#if defined(CONFIG_PTE_MARKER_UFFD_WP) && defined(CONFIG_PROC_PAGE_MONITOR)
static void lazy_set_userfaultfd(unsigned long addr, struct userfaultfd_ctx *ctx)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;

	mmap_write_lock(mm);
	vma = vma_lookup(mm, addr);
	if (ctx)
		vm_flags_set(vma, VM_UFFD_WP);
	else
		vm_flags_clear(vma, VM_UFFD_WP);
	vma->vm_userfaultfd_ctx.ctx = ctx;
	mmap_write_unlock(mm);
}

/* Write protects SIZE bytes, so that writes to them are noticed. */
static long lazy_scan(struct kunit *test, unsigned long addr, unsigned long size)
{
	struct userfaultfd_ctx ctx = {
		.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
	};
	unsigned long arg_addr = lazy_map_page(test);
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
		.start = addr,
		.end = addr + size,
	};
	struct file *file = kunit_kzalloc(test, sizeof(*file), GFP_KERNEL);
	long ret;

	KUNIT_ASSERT_NOT_NULL(test, file);
	file->private_data = current->mm;
	ret = copy_to_user((void __user *)arg_addr, &arg, sizeof(arg));
	KUNIT_ASSERT_EQ(test, ret, 0);

	lazy_set_userfaultfd(addr, &ctx);
	ret = proc_pagemap_operations.unlocked_ioctl(file, PAGEMAP_SCAN, arg_addr);
	lazy_set_userfaultfd(addr, NULL);

	return ret;
}

static void pagemap_scan_flushes_what_it_has_protected(struct kunit *test)
{
	unsigned long addr = lazy_map_page(test);
	struct lazy_flush *flush = lazy_watch_flushes(test, addr);
	long ret = lazy_scan(test, addr, PAGE_SIZE);
	pte_t after = lazy_read(current->mm, addr);

	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_TRUE(test, pte_uffd_wp(after));
	lazy_stop_watching(test, flush);
	KUNIT_EXPECT_TRUE(test, pte_uffd_wp(flush->last));
}
#else
static void pagemap_scan_flushes_what_it_has_protected(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_PTE_MARKER_UFFD_WP and CONFIG_PROC_PAGE_MONITOR");
}
#endif

#if defined(CONFIG_PTE_MARKER_UFFD_WP) && defined(CONFIG_PROC_PAGE_MONITOR) && \
	defined(CONFIG_MIGRATION)
static struct folio *lazy_start_migration(struct kunit *test, unsigned long addr)
{
	struct folio *folio;
	struct page *page;

	KUNIT_ASSERT_EQ(test, get_user_pages_fast(addr, 1, FOLL_WRITE, &page), 1);
	folio = page_folio(page);
	folio_lock(folio);
	try_to_migrate(folio, 0);
	return folio;
}

/* To where it is. */
static void lazy_finish_migration(struct folio *folio)
{
	remove_migration_ptes(folio, folio, 0);
	folio_unlock(folio);
	folio_put(folio);
}

static void pagemap_scan_protects_a_page_that_migrates(struct kunit *test)
{
	unsigned long addr = lazy_map_page(test);
	struct mm_struct *mm = current->mm;
	struct folio *folio = lazy_start_migration(test, addr);
	pte_t before = lazy_read(mm, addr), during, after;
	long ret;

	lazy_start_warnings();
	ret = lazy_scan(test, addr, PAGE_SIZE);
	WRITE_ONCE(lazy_task, NULL);
	during = lazy_read(mm, addr);
	lazy_finish_migration(folio);
	after = lazy_read(mm, addr);

	KUNIT_EXPECT_TRUE(test, is_swap_pte(before) &&
			  is_writable_migration_entry(pte_to_swp_entry(before)));
	KUNIT_EXPECT_TRUE(test, is_readable_exclusive_migration_entry(pte_to_swp_entry(during)));
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, lazy_nr_warnings, 0);
	KUNIT_EXPECT_TRUE(test, pte_present(after));
	KUNIT_EXPECT_TRUE(test, pte_uffd_wp(after));
	KUNIT_EXPECT_FALSE(test, pte_write(after));
}
#else
static void pagemap_scan_protects_a_page_that_migrates(struct kunit *test)
{
	kunit_skip(test, "needs PAGEMAP_SCAN, write protection and CONFIG_MIGRATION");
}
#endif

#if defined(CONFIG_PTE_MARKER_UFFD_WP) && defined(CONFIG_PROC_PAGE_MONITOR) && \
	defined(CONFIG_ARCH_ENABLE_THP_MIGRATION)
static void pagemap_scan_protects_a_huge_page_that_migrates(struct kunit *test)
{
	unsigned long addr = lazy_map_huge_page(test);
	pmd_t *pmdp = pmd_off(current->mm, addr);
	struct folio *folio = lazy_start_migration(test, addr);
	pmd_t before = pmdp_get(pmdp), during, after;
	long ret;

	lazy_start_warnings();
	ret = lazy_scan(test, addr, PMD_SIZE);
	WRITE_ONCE(lazy_task, NULL);
	during = pmdp_get(pmdp);
	lazy_finish_migration(folio);
	after = pmdp_get(pmdp);

	KUNIT_EXPECT_TRUE(test, is_swap_pmd(before) &&
			  is_writable_migration_entry(pmd_to_swp_entry(before)));
	KUNIT_EXPECT_TRUE(test, is_readable_exclusive_migration_entry(pmd_to_swp_entry(during)));
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, lazy_nr_warnings, 0);
	KUNIT_EXPECT_TRUE(test, pmd_trans_huge(after));
	KUNIT_EXPECT_TRUE(test, pmd_uffd_wp(after));
	KUNIT_EXPECT_FALSE(test, pmd_write(after));
}
#else
static void pagemap_scan_protects_a_huge_page_that_migrates(struct kunit *test)
{
	kunit_skip(test, "needs PAGEMAP_SCAN, write protection and huge pages that migrate");
}
#endif

#ifdef CONFIG_DEVICE_MIGRATION
/* One or two pages, to nowhere: so they stay. */
static int lazy_migrate(unsigned long addr, unsigned long nr)
{
	struct mm_struct *mm = current->mm;
	unsigned long src[2] = {}, dst[2] = {};
	struct migrate_vma args = {
		.start = addr,
		.end = addr + nr * PAGE_SIZE,
		.src = src,
		.dst = dst,
		.flags = MIGRATE_VMA_SELECT_SYSTEM,
	};
	int ret;

	mmap_read_lock(mm);
	args.vma = vma_lookup(mm, addr);
	ret = migrate_vma_setup(&args);
	WRITE_ONCE(lazy_task, NULL);
	if (!ret) {
		migrate_vma_pages(&args);
		migrate_vma_finalize(&args);
	}
	mmap_read_unlock(mm);

	return ret;
}

static void device_migration_flushes_what_it_has_collected(struct kunit *test)
{
	unsigned long addr = lazy_map_page(test);
	struct lazy_flush *flush = lazy_watch_flushes(test, addr);
	int ret = lazy_migrate(addr, 1);

	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_TRUE(test, pte_present(lazy_read(current->mm, addr)));
	lazy_stop_watching(test, flush);
	/* The page is nobody else's, so fast GUP must not find it from then on. */
	KUNIT_EXPECT_TRUE(test, pte_none(flush->first));
	KUNIT_EXPECT_TRUE(test, is_swap_pte(flush->last) &&
			  is_migration_entry(pte_to_swp_entry(flush->last)));
}
#else
static void device_migration_flushes_what_it_has_collected(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_DEVICE_MIGRATION");
}
#endif

static struct kunit_case lazy_mmu_callers_cases[] = {
	KUNIT_CASE_PARAM(caller_opens_a_section, lazy_caller_gen_params),
	KUNIT_CASE(forked_device_exclusive_page_is_copied_on_write),
	KUNIT_CASE(zap_of_nonpresent_file_entry_does_not_warn),
	KUNIT_CASE(pagemap_scan_flushes_what_it_has_protected),
	KUNIT_CASE(pagemap_scan_protects_a_page_that_migrates),
	KUNIT_CASE(pagemap_scan_protects_a_huge_page_that_migrates),
	KUNIT_CASE(device_migration_flushes_what_it_has_collected),
	{}
};

static int lazy_mmu_callers_init(struct kunit *test)
{
	return lazy_use_new_mm();
}

static void lazy_mmu_callers_exit(struct kunit *test)
{
	WRITE_ONCE(lazy_task, NULL);
}

static int lazy_mmu_callers_suite_init(struct kunit_suite *suite)
{
	return register_trace_console(lazy_probe_console, NULL);
}

static void lazy_mmu_callers_suite_exit(struct kunit_suite *suite)
{
	unregister_trace_console(lazy_probe_console, NULL);
	tracepoint_synchronize_unregister();
}

static struct kunit_suite lazy_mmu_callers_suite = {
	.name = "lazy_mmu_callers",
	.suite_init = lazy_mmu_callers_suite_init,
	.suite_exit = lazy_mmu_callers_suite_exit,
	.init = lazy_mmu_callers_init,
	.exit = lazy_mmu_callers_exit,
	.test_cases = lazy_mmu_callers_cases,
};

kunit_test_suite(lazy_mmu_callers_suite);

MODULE_DESCRIPTION("KUnit tests for callers of lazy MMU sections");
MODULE_LICENSE("GPL");
