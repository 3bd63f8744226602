// SPDX-License-Identifier: GPL-2.0
/*
 * CONFIG_DEBUG_LAZY_MMU_MODE: what the lazy MMU helpers do, for those who watch.
 */
#include <linux/mm.h>
#include <linux/sched.h>

#define CREATE_TRACE_POINTS
#include <trace/events/lazy_mmu.h>

void lazy_mmu_debug_call(enum lazy_mmu_call call, unsigned long ip)
{
	const struct lazy_mmu_state *state = &current->lazy_mmu_state;
	u8 enable_count = state->enable_count, pause_count = state->pause_count;

	switch (call) {
	case LAZY_MMU_CALL_ENABLE:
		trace_lazy_mmu_enable(enable_count, pause_count, ip);
		break;
	case LAZY_MMU_CALL_DISABLE:
		trace_lazy_mmu_disable(enable_count, pause_count, ip);
		break;
	case LAZY_MMU_CALL_PAUSE:
		trace_lazy_mmu_pause(enable_count, pause_count, ip);
		break;
	case LAZY_MMU_CALL_RESUME:
		trace_lazy_mmu_resume(enable_count, pause_count, ip);
		break;
	}
}

void lazy_mmu_debug_hook(enum lazy_mmu_hook hook, unsigned long ip)
{
	const struct lazy_mmu_state *state = &current->lazy_mmu_state;
	u8 enable_count = state->enable_count, pause_count = state->pause_count;

	switch (hook) {
	case LAZY_MMU_HOOK_NONE:
		break;
	case LAZY_MMU_HOOK_ENTER:
		trace_lazy_mmu_hook_enter(enable_count, pause_count, ip);
		break;
	case LAZY_MMU_HOOK_LEAVE:
		trace_lazy_mmu_hook_leave(enable_count, pause_count, ip);
		break;
	case LAZY_MMU_HOOK_FLUSH:
		trace_lazy_mmu_hook_flush(enable_count, pause_count, ip);
		break;
	}
}
