/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_POWERPC_LAZY_MMU_H
#define _ASM_POWERPC_LAZY_MMU_H

#ifdef CONFIG_PPC_64S_HASH_MMU

/*
 * The hash MMU batches invalidations of the hash table and the TLB in a per-CPU
 * array. The radix MMU has nothing to batch, so each hook returns first.
 */

#include <linux/percpu.h>
#include <linux/preempt.h>
#include <asm/mmu.h>
#include <asm/book3s/64/tlbflush-hash.h>

static inline void arch_enter_lazy_mmu_mode(void)
{
	if (radix_enabled())
		return;

	/*
	 * Sections on kernel page tables begin preemptible, and the batch
	 * belongs to the CPU.
	 */
	preempt_disable();
}

static inline void arch_leave_lazy_mmu_mode(void)
{
	if (radix_enabled())
		return;

	hash__leave_lazy_mmu_mode();
}

static inline void arch_flush_lazy_mmu_mode(void)
{
	struct ppc64_tlb_batch *batch;

	if (radix_enabled())
		return;

	/* Outside a section nothing keeps this task on its CPU. */
	batch = get_cpu_ptr(&ppc64_tlb_batch);
	if (batch->index)
		__flush_tlb_pending(batch);
	put_cpu_ptr(&ppc64_tlb_batch);
}

#else
#include <asm-generic/lazy_mmu.h>
#endif /* CONFIG_PPC_64S_HASH_MMU */

#endif /* _ASM_POWERPC_LAZY_MMU_H */
