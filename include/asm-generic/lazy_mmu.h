/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_GENERIC_LAZY_MMU_H
#define _ASM_GENERIC_LAZY_MMU_H

/*
 * The hooks of the lazy MMU mode, for architectures that do not batch.
 *
 * An architecture that does selects ARCH_HAS_LAZY_MMU_MODE and has these three
 * functions, and nothing else, in its own <asm/lazy_mmu.h>:
 *
 * arch_enter_lazy_mmu_mode()
 *	The mode is on: from now on the side effects of page table updates may
 *	be held back.
 * arch_leave_lazy_mmu_mode()
 *	The mode is off: everything that was held back takes effect now.
 * arch_flush_lazy_mmu_mode()
 *	Everything that was held back takes effect now, and the mode is as it
 *	was. Legal outside a section, where there is nothing to do.
 *
 * Generic code reaches them through lazy_mmu_mode_*() in <linux/pgtable.h>, and
 * leave also where a task dies in a section, always in task context. Enter and
 * leave alternate in each task, in_lazy_mmu_mode() already says what they are to
 * establish, and a section is preemptible unless the architecture sees to it that
 * it is not.
 */

static inline void arch_enter_lazy_mmu_mode(void) {}
static inline void arch_leave_lazy_mmu_mode(void) {}
static inline void arch_flush_lazy_mmu_mode(void) {}

#endif /* _ASM_GENERIC_LAZY_MMU_H */
