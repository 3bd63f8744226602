/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __ASM_LAZY_MMU_H
#define __ASM_LAZY_MMU_H

/*
 * Batches the barriers that stores to kernel page tables need: in a section
 * request_pte_barriers() only leaves a mark in the task's thread_info.
 */

#include <linux/thread_info.h>

/* in_lazy_mmu_mode() tells all that request_pte_barriers() has to know. */
static inline void arch_enter_lazy_mmu_mode(void) {}

static inline void arch_flush_lazy_mmu_mode(void)
{
	struct thread_info *ti = current_thread_info();

	if (ti->pte_barriers_pending) {
		ti->pte_barriers_pending = 0;
		emit_pte_barriers();
	}
}

static inline void arch_leave_lazy_mmu_mode(void)
{
	arch_flush_lazy_mmu_mode();
}

#endif /* __ASM_LAZY_MMU_H */
