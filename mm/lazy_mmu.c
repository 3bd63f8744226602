// SPDX-License-Identifier: GPL-2.0
/*
 * Lazy MMU sections: what <linux/pgtable.h> does not do inline.
 */
#include <kunit/visibility.h>

#include <linux/mm.h>
#include <linux/mmdebug.h>
#include <linux/sched.h>

/* CONFIG_DEBUG_LAZY_MMU_MODE reports it, and knows more. */
#define lazy_mmu_warn_on(cond) \
	VM_WARN_ON_ONCE(!IS_ENABLED(CONFIG_DEBUG_LAZY_MMU_MODE) && (cond))

void lazy_mmu_mode_enable_slow(void)
{
	struct lazy_mmu_state *state = &current->lazy_mmu_state;
	bool enter = false;

	if (in_task() && state->pause_count == 0) {
		lazy_mmu_warn_on(state->enable_count == U8_MAX);
		if (state->enable_count < U8_MAX)
			enter = ++state->enable_count == 1;
	}
	lazy_mmu_check_call(LAZY_MMU_CALL_ENABLE,
			    enter ? LAZY_MMU_HOOK_ENTER : LAZY_MMU_HOOK_NONE, _RET_IP_);
	if (enter)
		arch_enter_lazy_mmu_mode();
}
EXPORT_SYMBOL_IF_KUNIT(lazy_mmu_mode_enable_slow);

void lazy_mmu_mode_disable_slow(void)
{
	struct lazy_mmu_state *state = &current->lazy_mmu_state;
	bool leave = false, flush = false;

	if (in_task() && state->pause_count == 0) {
		lazy_mmu_warn_on(state->enable_count == 0);
		if (state->enable_count > 0) {
			leave = --state->enable_count == 0;
			flush = !leave;
		}
	}
	lazy_mmu_check_call(LAZY_MMU_CALL_DISABLE,
			    leave ? LAZY_MMU_HOOK_LEAVE :
			    flush ? LAZY_MMU_HOOK_FLUSH : LAZY_MMU_HOOK_NONE, _RET_IP_);
	if (leave)
		arch_leave_lazy_mmu_mode();
	else if (flush)
		arch_flush_lazy_mmu_mode();
}
EXPORT_SYMBOL_IF_KUNIT(lazy_mmu_mode_disable_slow);

void lazy_mmu_mode_pause(void)
{
	struct lazy_mmu_state *state = &current->lazy_mmu_state;
	bool leave = in_lazy_mmu_mode();

	if (in_task() && state->pause_count < U8_MAX) {
		state->pause_count++;
		lazy_mmu_warn_on(state->pause_count == U8_MAX);
	}
	lazy_mmu_check_call(LAZY_MMU_CALL_PAUSE,
			    leave ? LAZY_MMU_HOOK_LEAVE : LAZY_MMU_HOOK_NONE, _RET_IP_);
	if (leave)
		arch_leave_lazy_mmu_mode();
}
EXPORT_SYMBOL_IF_KUNIT(lazy_mmu_mode_pause);

void lazy_mmu_mode_resume(void)
{
	struct lazy_mmu_state *state = &current->lazy_mmu_state;
	bool enter = false;

	if (in_task()) {
		lazy_mmu_warn_on(state->pause_count == 0);
		if (state->pause_count > 0 && state->pause_count < U8_MAX) {
			state->pause_count--;
			enter = in_lazy_mmu_mode();
		}
	}
	lazy_mmu_check_call(LAZY_MMU_CALL_RESUME,
			    enter ? LAZY_MMU_HOOK_ENTER : LAZY_MMU_HOOK_NONE, _RET_IP_);
	if (enter)
		arch_enter_lazy_mmu_mode();
}
EXPORT_SYMBOL_IF_KUNIT(lazy_mmu_mode_resume);

void lazy_mmu_mode_reset(void)
{
	bool leave = in_lazy_mmu_mode();

	/* First, in case the hook is what the task dies of. */
	current->lazy_mmu_state = (struct lazy_mmu_state) {};
	if (!leave)
		return;
	lazy_mmu_check_hook(LAZY_MMU_HOOK_LEAVE, _RET_IP_);
	arch_leave_lazy_mmu_mode();
}
