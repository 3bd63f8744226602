/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_SPARC_LAZY_MMU_H
#define _ASM_SPARC_LAZY_MMU_H

#ifdef CONFIG_SPARC64

/*
 * TSB and TLB flushes are batched in a per-CPU array, see mm/tlb.c. While there
 * is something in it, and not before, preemption is disabled.
 */

#include <asm/tlbflush.h>

static inline void arch_enter_lazy_mmu_mode(void) {}

void arch_leave_lazy_mmu_mode(void);

static inline void arch_flush_lazy_mmu_mode(void)
{
	flush_tlb_pending();
}

#else
#include <asm-generic/lazy_mmu.h>
#endif /* CONFIG_SPARC64 */

#endif /* _ASM_SPARC_LAZY_MMU_H */
