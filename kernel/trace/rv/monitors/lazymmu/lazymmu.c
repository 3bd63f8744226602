// SPDX-License-Identifier: GPL-2.0
#include <kunit/visibility.h>
#include <linux/ftrace.h>
#include <linux/tracepoint.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/init.h>
#include <linux/rv.h>
#include <linux/sched.h>
#include <rv/instrumentation.h>
#include <rv/da_monitor.h>

#define MODULE_NAME "lazymmu"

#include <trace/events/lazy_mmu.h>
#include <trace/events/rv.h>
#include <trace/events/sched.h>

#include "lazymmu.h"
#include "lazymmu_kunit.h"

VISIBLE_IF_KUNIT struct rv_monitor rv_lazymmu;
DECLARE_DA_MON_PER_TASK(lazymmu, unsigned char);

/*
 * A task may be anywhere when the monitor is enabled. It is out before enter, and
 * after leave and sleep. The first of these starts the monitor of the task.
 *
 * The hooks are called in task context only, for the current task.
 */
static void handle_enter(void *data, u8 enable_count, u8 pause_count, unsigned long ip)
{
	/* If this is where the monitor starts, it has skipped the event. */
	if (!da_handle_start_event_lazymmu(current, enter_lazymmu))
		da_handle_event_lazymmu(current, enter_lazymmu);
}

static void handle_leave(void *data, u8 enable_count, u8 pause_count, unsigned long ip)
{
	da_handle_start_event_lazymmu(current, leave_lazymmu);
}

static void handle_flush(void *data, u8 enable_count, u8 pause_count, unsigned long ip)
{
	da_handle_event_lazymmu(current, flush_lazymmu);
}

static void handle_switch(void *data, bool preempt, struct task_struct *prev,
			  struct task_struct *next, unsigned int prev_state)
{
	/*
	 * A section may be preempted, and may wait for a PREEMPT_RT spinlock. The
	 * task may have got that already, and be runnable again.
	 */
	if (preempt || prev_state == TASK_RUNNING || prev_state & TASK_RTLOCK_WAIT)
		return;

	da_handle_start_event_lazymmu(prev, sleep_lazymmu);
}

static int enable_lazymmu(void)
{
	int retval;

	retval = da_monitor_init_lazymmu();
	if (retval)
		return retval;

	rv_attach_trace_probe("lazymmu", lazy_mmu_hook_enter, handle_enter);
	rv_attach_trace_probe("lazymmu", lazy_mmu_hook_leave, handle_leave);
	rv_attach_trace_probe("lazymmu", lazy_mmu_hook_flush, handle_flush);
	rv_attach_trace_probe("lazymmu", sched_switch, handle_switch);

	return 0;
}

static void disable_lazymmu(void)
{
	rv_lazymmu.enabled = 0;

	rv_detach_trace_probe("lazymmu", lazy_mmu_hook_enter, handle_enter);
	rv_detach_trace_probe("lazymmu", lazy_mmu_hook_leave, handle_leave);
	rv_detach_trace_probe("lazymmu", lazy_mmu_hook_flush, handle_flush);
	rv_detach_trace_probe("lazymmu", sched_switch, handle_switch);

	/* A handler that still runs must not find the slot gone. */
	tracepoint_synchronize_unregister();
	da_monitor_destroy_lazymmu();
}

VISIBLE_IF_KUNIT struct rv_monitor rv_lazymmu = {
	.name = "lazymmu",
	.description = "hooks of the lazy MMU mode per-task monitor.",
	.enable = enable_lazymmu,
	.disable = disable_lazymmu,
	.reset = da_monitor_reset_all_lazymmu,
	.enabled = 0,
};

static int __init register_lazymmu(void)
{
	rv_register_monitor(&rv_lazymmu);
	return 0;
}

static void __exit unregister_lazymmu(void)
{
	rv_unregister_monitor(&rv_lazymmu);
}

module_init(register_lazymmu);
module_exit(unregister_lazymmu);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("lazymmu: hooks of the lazy MMU mode monitor");
