/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_LAZY_MMU_ACCESSORS_H
#define _LINUX_LAZY_MMU_ACCESSORS_H

/*
 * CONFIG_DEBUG_LAZY_MMU_MODE: accessors of page table entries that tell what is
 * written and read in lazy MMU sections.
 *
 * Each takes the place of the accessor that an architecture, or the generic code,
 * has for it. Nothing is common to all of these but their names, and the end of
 * <linux/pgtable.h>, where this is included, is the only place where all of them
 * exist. What comes before keeps the plain ones, and so does a file that defines
 * LAZY_MMU_PLAIN_ACCESSORS because it implements some of them.
 *
 * A write waits in a section, and an atomic update may. A read does not, nor does
 * what an atomic update reads, so neither must find an entry that was written. Not
 * here: ptep_get_lockless(), whose callers are prepared for any value, set_pte(),
 * which is for architectures, and the levels above.
 */

#include <linux/compiler.h>
#include <linux/lazy_mmu_check.h>
#include <linux/mm_types.h>
#include <linux/sched.h>

static __always_inline void lazy_mmu_written(pte_t *ptep, unsigned int nr)
{
	if (unlikely(current->lazy_mmu_state.enable_count))
		lazy_mmu_check_write(ptep, nr * sizeof(*ptep));
}

static __always_inline void lazy_mmu_read(pte_t *ptep)
{
	if (unlikely(current->lazy_mmu_check.nr_written))
		lazy_mmu_check_access(ptep, sizeof(*ptep), LAZY_MMU_READ);
}

static __always_inline void lazy_mmu_overtakes(pte_t *ptep, unsigned int nr)
{
	if (unlikely(current->lazy_mmu_check.nr_written))
		lazy_mmu_check_access(ptep, nr * sizeof(*ptep), LAZY_MMU_OVERTAKEN);
}

static __always_inline void lazy_mmu_atomic(pte_t *ptep, unsigned int nr)
{
	lazy_mmu_overtakes(ptep, nr);
	lazy_mmu_written(ptep, nr);
}

/* Reads */

static __always_inline pte_t lazy_mmu_ptep_get(pte_t *ptep)
{
	lazy_mmu_read(ptep);
	return ptep_get(ptep);
}

/* Writes. page_table_check may pause in some, which is over when they are noted. */

static __always_inline void lazy_mmu_set_ptes(struct mm_struct *mm, unsigned long addr,
					      pte_t *ptep, pte_t pte, unsigned int nr)
{
	set_ptes(mm, addr, ptep, pte, nr);
	lazy_mmu_written(ptep, nr);
}

static __always_inline void lazy_mmu_pte_clear(struct mm_struct *mm, unsigned long addr,
					       pte_t *ptep)
{
	lazy_mmu_written(ptep, 1);
	pte_clear(mm, addr, ptep);
}

static __always_inline void
lazy_mmu_pte_clear_not_present_full(struct mm_struct *mm, unsigned long addr,
				    pte_t *ptep, int full)
{
	lazy_mmu_written(ptep, 1);
	pte_clear_not_present_full(mm, addr, ptep, full);
}

static __always_inline void
lazy_mmu_clear_not_present_full_ptes(struct mm_struct *mm, unsigned long addr,
				     pte_t *ptep, unsigned int nr, int full)
{
	lazy_mmu_written(ptep, nr);
	clear_not_present_full_ptes(mm, addr, ptep, nr, full);
}

static __always_inline void
lazy_mmu_ptep_modify_prot_commit(struct vm_area_struct *vma, unsigned long addr,
				 pte_t *ptep, pte_t old_pte, pte_t pte)
{
	lazy_mmu_written(ptep, 1);
	ptep_modify_prot_commit(vma, addr, ptep, old_pte, pte);
}

/* Atomic updates */

static __always_inline pte_t
lazy_mmu_ptep_modify_prot_start(struct vm_area_struct *vma, unsigned long addr,
				pte_t *ptep)
{
	lazy_mmu_overtakes(ptep, 1);
	return ptep_modify_prot_start(vma, addr, ptep);
}

static __always_inline pte_t
lazy_mmu_ptep_get_and_clear(struct mm_struct *mm, unsigned long addr, pte_t *ptep)
{
	lazy_mmu_atomic(ptep, 1);
	return ptep_get_and_clear(mm, addr, ptep);
}

static __always_inline pte_t
lazy_mmu_ptep_get_and_clear_full(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
				 int full)
{
	lazy_mmu_atomic(ptep, 1);
	return ptep_get_and_clear_full(mm, addr, ptep, full);
}

static __always_inline pte_t
lazy_mmu_get_and_clear_full_ptes(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
				 unsigned int nr, int full)
{
	lazy_mmu_atomic(ptep, nr);
	return get_and_clear_full_ptes(mm, addr, ptep, nr, full);
}

static __always_inline void
lazy_mmu_clear_full_ptes(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
			 unsigned int nr, int full)
{
	lazy_mmu_atomic(ptep, nr);
	clear_full_ptes(mm, addr, ptep, nr, full);
}

static __always_inline void lazy_mmu_ptep_clear(struct mm_struct *mm, unsigned long addr,
						pte_t *ptep)
{
	lazy_mmu_atomic(ptep, 1);
	ptep_clear(mm, addr, ptep);
}

static __always_inline pte_t
lazy_mmu_ptep_clear_flush(struct vm_area_struct *vma, unsigned long addr, pte_t *ptep)
{
	lazy_mmu_atomic(ptep, 1);
	return ptep_clear_flush(vma, addr, ptep);
}

static __always_inline void
lazy_mmu_ptep_set_wrprotect(struct mm_struct *mm, unsigned long addr, pte_t *ptep)
{
	lazy_mmu_atomic(ptep, 1);
	ptep_set_wrprotect(mm, addr, ptep);
}

static __always_inline void
lazy_mmu_wrprotect_ptes(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
			unsigned int nr)
{
	lazy_mmu_atomic(ptep, nr);
	wrprotect_ptes(mm, addr, ptep, nr);
}

static __always_inline int
lazy_mmu_ptep_test_and_clear_young(struct vm_area_struct *vma, unsigned long addr,
				   pte_t *ptep)
{
	int young;

	lazy_mmu_overtakes(ptep, 1);
	young = ptep_test_and_clear_young(vma, addr, ptep);
	if (young)
		lazy_mmu_written(ptep, 1);
	return young;
}

static __always_inline int
lazy_mmu_ptep_clear_flush_young(struct vm_area_struct *vma, unsigned long addr,
				pte_t *ptep)
{
	int young;

	lazy_mmu_overtakes(ptep, 1);
	young = ptep_clear_flush_young(vma, addr, ptep);
	if (young)
		lazy_mmu_written(ptep, 1);
	return young;
}

static __always_inline void
lazy_mmu_clear_young_dirty_ptes(struct vm_area_struct *vma, unsigned long addr,
				pte_t *ptep, unsigned int nr, cydp_t flags)
{
	lazy_mmu_overtakes(ptep, nr);
	clear_young_dirty_ptes(vma, addr, ptep, nr, flags);
	lazy_mmu_written(ptep, nr);
}

static __always_inline int
lazy_mmu_ptep_set_access_flags(struct vm_area_struct *vma, unsigned long addr,
			       pte_t *ptep, pte_t entry, int dirty)
{
	int changed;

	lazy_mmu_read(ptep);
	changed = ptep_set_access_flags(vma, addr, ptep, entry, dirty);
	if (changed)
		lazy_mmu_written(ptep, 1);
	return changed;
}

/* Macros with arguments, for members and other things of these names to be left alone. */
#undef ptep_get
#define ptep_get(ptep) lazy_mmu_ptep_get(ptep)
#undef set_ptes
#define set_ptes(mm, addr, ptep, pte, nr) lazy_mmu_set_ptes(mm, addr, ptep, pte, nr)
#undef set_pte_at
#define set_pte_at(mm, addr, ptep, pte) set_ptes(mm, addr, ptep, pte, 1)
#undef pte_clear
#define pte_clear(mm, addr, ptep) lazy_mmu_pte_clear(mm, addr, ptep)
#undef pte_clear_not_present_full
#define pte_clear_not_present_full(mm, addr, ptep, full) \
	lazy_mmu_pte_clear_not_present_full(mm, addr, ptep, full)
#undef clear_not_present_full_ptes
#define clear_not_present_full_ptes(mm, addr, ptep, nr, full) \
	lazy_mmu_clear_not_present_full_ptes(mm, addr, ptep, nr, full)
#undef ptep_modify_prot_commit
#define ptep_modify_prot_commit(vma, addr, ptep, old_pte, pte) \
	lazy_mmu_ptep_modify_prot_commit(vma, addr, ptep, old_pte, pte)
#undef ptep_modify_prot_start
#define ptep_modify_prot_start(vma, addr, ptep) \
	lazy_mmu_ptep_modify_prot_start(vma, addr, ptep)
#undef ptep_get_and_clear
#define ptep_get_and_clear(mm, addr, ptep) lazy_mmu_ptep_get_and_clear(mm, addr, ptep)
#undef ptep_get_and_clear_full
#define ptep_get_and_clear_full(mm, addr, ptep, full) \
	lazy_mmu_ptep_get_and_clear_full(mm, addr, ptep, full)
#undef get_and_clear_full_ptes
#define get_and_clear_full_ptes(mm, addr, ptep, nr, full) \
	lazy_mmu_get_and_clear_full_ptes(mm, addr, ptep, nr, full)
#undef clear_full_ptes
#define clear_full_ptes(mm, addr, ptep, nr, full) \
	lazy_mmu_clear_full_ptes(mm, addr, ptep, nr, full)
#undef ptep_clear
#define ptep_clear(mm, addr, ptep) lazy_mmu_ptep_clear(mm, addr, ptep)
#undef ptep_clear_flush
#define ptep_clear_flush(vma, addr, ptep) lazy_mmu_ptep_clear_flush(vma, addr, ptep)
#undef ptep_set_wrprotect
#define ptep_set_wrprotect(mm, addr, ptep) lazy_mmu_ptep_set_wrprotect(mm, addr, ptep)
#undef wrprotect_ptes
#define wrprotect_ptes(mm, addr, ptep, nr) lazy_mmu_wrprotect_ptes(mm, addr, ptep, nr)
#undef ptep_test_and_clear_young
#define ptep_test_and_clear_young(vma, addr, ptep) \
	lazy_mmu_ptep_test_and_clear_young(vma, addr, ptep)
#undef ptep_clear_flush_young
#define ptep_clear_flush_young(vma, addr, ptep) \
	lazy_mmu_ptep_clear_flush_young(vma, addr, ptep)
#undef clear_young_dirty_ptes
#define clear_young_dirty_ptes(vma, addr, ptep, nr, flags) \
	lazy_mmu_clear_young_dirty_ptes(vma, addr, ptep, nr, flags)
#undef ptep_set_access_flags
#define ptep_set_access_flags(vma, addr, ptep, entry, dirty) \
	lazy_mmu_ptep_set_access_flags(vma, addr, ptep, entry, dirty)

#endif /* _LINUX_LAZY_MMU_ACCESSORS_H */
