/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_LAZY_MMU_CHECK_H
#define _ASM_X86_LAZY_MMU_CHECK_H

#ifdef CONFIG_XEN_PV

#include <xen/xen.h>

bool xen_lazy_mmu_waits(const void *entry);

static inline bool arch_lazy_mmu_tells_what_waits(void)
{
	return xen_pv_domain();
}

static inline bool arch_lazy_mmu_waits(const void *entry)
{
	return xen_lazy_mmu_waits(entry);
}

#else
#include <asm-generic/lazy_mmu_check.h>
#endif /* CONFIG_XEN_PV */

#endif /* _ASM_X86_LAZY_MMU_CHECK_H */
