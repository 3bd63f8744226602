/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_LAZY_MMU_CHECK_H
#define _ASM_X86_LAZY_MMU_CHECK_H

#ifdef CONFIG_XEN_PV

#include <asm/cpufeature.h>

bool xen_lazy_mmu_waits(const void *entry);

static inline bool arch_lazy_mmu_tells_what_waits(void)
{
	return cpu_feature_enabled(X86_FEATURE_XENPV);
}

static inline bool arch_lazy_mmu_waits(const void *entry)
{
	return arch_lazy_mmu_tells_what_waits() && xen_lazy_mmu_waits(entry);
}

#else
#include <asm-generic/lazy_mmu_check.h>
#endif /* CONFIG_XEN_PV */

#endif /* _ASM_X86_LAZY_MMU_CHECK_H */
