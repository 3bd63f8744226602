/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_LAZY_MMU_H
#define _ASM_X86_LAZY_MMU_H

#ifdef CONFIG_PARAVIRT_XXL

/*
 * Xen PV batches page table updates into multicalls while in_lazy_mmu_mode(),
 * and issues them when it ends. On bare metal the calls are patched out.
 */

#include <asm/paravirt.h>

static inline void arch_enter_lazy_mmu_mode(void) {}

static inline void arch_leave_lazy_mmu_mode(void)
{
	paravirt_flush_lazy_mmu();
}

static inline void arch_flush_lazy_mmu_mode(void)
{
	paravirt_flush_lazy_mmu();
}

#else
#include <asm-generic/lazy_mmu.h>
#endif /* CONFIG_PARAVIRT_XXL */

#endif /* _ASM_X86_LAZY_MMU_H */
