/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM lazy_mmu

#if !defined(_TRACE_LAZY_MMU_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_LAZY_MMU_H

#include <linux/tracepoint.h>
#include <linux/types.h>

/*
 * One event for each call of a lazy_mmu_mode_*() helper, including those that
 * do nothing, and one for each hook of the architecture that a call reaches,
 * just before it. The counts are those after the call, which are also those
 * that the hook sees.
 */
DECLARE_EVENT_CLASS(lazy_mmu_template,
		    TP_PROTO(u8 enable_count, u8 pause_count, unsigned long ip),
		    TP_ARGS(enable_count, pause_count, ip),
		    TP_STRUCT__entry(__field(unsigned long, ip)
				     __field(u8, enable_count)
				     __field(u8, pause_count)),
		    TP_fast_assign(__entry->ip = ip;
				   __entry->enable_count = enable_count;
				   __entry->pause_count = pause_count;),
		    TP_printk("enable=%u pause=%u caller=%pS",
			      __entry->enable_count, __entry->pause_count,
			      (void *)__entry->ip));

#define DEFINE_LAZY_MMU_EVENT(name)					\
DEFINE_EVENT(lazy_mmu_template, name,					\
	     TP_PROTO(u8 enable_count, u8 pause_count, unsigned long ip), \
	     TP_ARGS(enable_count, pause_count, ip))

DEFINE_LAZY_MMU_EVENT(lazy_mmu_enable);
DEFINE_LAZY_MMU_EVENT(lazy_mmu_disable);
DEFINE_LAZY_MMU_EVENT(lazy_mmu_pause);
DEFINE_LAZY_MMU_EVENT(lazy_mmu_resume);
DEFINE_LAZY_MMU_EVENT(lazy_mmu_hook_enter);
DEFINE_LAZY_MMU_EVENT(lazy_mmu_hook_leave);
DEFINE_LAZY_MMU_EVENT(lazy_mmu_hook_flush);

#endif /* _TRACE_LAZY_MMU_H */

#include <trace/define_trace.h>
