/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_GENERIC_LAZY_MMU_CHECK_H
#define _ASM_GENERIC_LAZY_MMU_CHECK_H

/*
 * CONFIG_DEBUG_LAZY_MMU_MODE asks an architecture which page table entries wait. One
 * that lets updates themselves wait, and can look them up, has these two in its own
 * <asm/lazy_mmu_check.h>. Both are called in task context, in lazy MMU mode.
 *
 * arch_lazy_mmu_tells_what_waits()
 *	Whether arch_lazy_mmu_waits() can tell.
 * arch_lazy_mmu_waits()
 *	Whether an update of this entry, which may be at any address, waits. An update
 *	that waited when the task was preempted does not any more.
 */

#include <linux/types.h>

static inline bool arch_lazy_mmu_tells_what_waits(void)
{
	return false;
}

static inline bool arch_lazy_mmu_waits(const void *entry)
{
	return false;
}

#endif /* _ASM_GENERIC_LAZY_MMU_CHECK_H */
