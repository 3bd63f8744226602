/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM lazy_mmu

#if !defined(_TRACE_LAZY_MMU_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_LAZY_MMU_H

#include <linux/lazy_mmu_check.h>
#include <linux/tracepoint.h>
#include <linux/types.h>

TRACE_DEFINE_ENUM(LAZY_MMU_CALL_ENABLE);
TRACE_DEFINE_ENUM(LAZY_MMU_CALL_DISABLE);
TRACE_DEFINE_ENUM(LAZY_MMU_CALL_PAUSE);
TRACE_DEFINE_ENUM(LAZY_MMU_CALL_RESUME);
TRACE_DEFINE_ENUM(LAZY_MMU_HOOK_ENTER);
TRACE_DEFINE_ENUM(LAZY_MMU_HOOK_LEAVE);
TRACE_DEFINE_ENUM(LAZY_MMU_HOOK_FLUSH);

#define show_lazy_mmu_call(call)					\
	__print_symbolic(call,						\
			 { LAZY_MMU_CALL_ENABLE, "enable" },		\
			 { LAZY_MMU_CALL_DISABLE, "disable" },		\
			 { LAZY_MMU_CALL_PAUSE, "pause" },		\
			 { LAZY_MMU_CALL_RESUME, "resume" })

#define show_lazy_mmu_hook(hook)					\
	__print_symbolic(hook,						\
			 { LAZY_MMU_HOOK_ENTER, "enter" },		\
			 { LAZY_MMU_HOOK_LEAVE, "leave" },		\
			 { LAZY_MMU_HOOK_FLUSH, "flush" })

/*
 * A call of a lazy_mmu_mode_*() helper, also of one that does nothing. The counts
 * are those after the call.
 */
TRACE_EVENT(lazy_mmu_call,
	    TP_PROTO(enum lazy_mmu_call call, u8 enable_count, u8 pause_count,
		     unsigned long ip),
	    TP_ARGS(call, enable_count, pause_count, ip),
	    TP_STRUCT__entry(__field(unsigned long, ip)
			     __field(u8, call)
			     __field(u8, enable_count)
			     __field(u8, pause_count)),
	    TP_fast_assign(__entry->ip = ip;
			   __entry->call = call;
			   __entry->enable_count = enable_count;
			   __entry->pause_count = pause_count;),
	    TP_printk("%s enable=%u pause=%u caller=%pS",
		      show_lazy_mmu_call(__entry->call), __entry->enable_count,
		      __entry->pause_count, (void *)__entry->ip));

/* A hook that the call reaches, just before it. The hook sees these counts. */
TRACE_EVENT(lazy_mmu_hook,
	    TP_PROTO(enum lazy_mmu_hook hook, u8 enable_count, u8 pause_count,
		     unsigned long ip),
	    TP_ARGS(hook, enable_count, pause_count, ip),
	    TP_STRUCT__entry(__field(unsigned long, ip)
			     __field(u8, hook)
			     __field(u8, enable_count)
			     __field(u8, pause_count)),
	    TP_fast_assign(__entry->ip = ip;
			   __entry->hook = hook;
			   __entry->enable_count = enable_count;
			   __entry->pause_count = pause_count;),
	    TP_printk("%s enable=%u pause=%u caller=%pS",
		      show_lazy_mmu_hook(__entry->hook), __entry->enable_count,
		      __entry->pause_count, (void *)__entry->ip));

#endif /* _TRACE_LAZY_MMU_H */

#include <trace/define_trace.h>
