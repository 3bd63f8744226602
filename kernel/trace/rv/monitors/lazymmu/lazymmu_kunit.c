// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for the lazymmu monitor: what its model forbids is reported once
 * and as what it is; what the model allows is not, nor is what the helpers of
 * the lazy MMU mode and their callers do.
 *
 * What is forbidden is made up by emitting the tracepoints alone. So no hook is
 * called, and CONFIG_DEBUG_LAZY_MMU_MODE has nothing to report.
 */
#include <kunit/test.h>

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <xen/xen.h>

#include <trace/events/lazy_mmu.h>
#include <trace/events/rv.h>
#include <trace/events/sched.h>

#include "../../rv.h"
#include "lazymmu_kunit.h"

#define LAZY_NR_PAGES		64
#define LAZY_NR_STEPS		6

static const char lazy_reaction_format[] =
	"rv: monitor lazymmu does not allow event %s on state %s\n";

/* Of the task that runs the case, except where it says others. */
static struct {
	int pid;
	unsigned int nr_events;
	unsigned int nr_errors;
	const char *state;
	const char *error_state;
	const char *error_event;
	atomic_t nr_errors_of_others;
	atomic_t nr_reactions;
	char reaction[128];
} lazy_seen;

/* For the functions behind the files in tracefs. */
static struct rv_monitor_def lazy_monitor = { .monitor = &rv_lazymmu };
static bool lazy_was_enabled;

static void lazy_event_probe(void *data, int id, char *state, char *event,
			     char *next_state, bool final_state)
{
	if (id != lazy_seen.pid)
		return;
	lazy_seen.nr_events++;
	lazy_seen.state = next_state;
}

static void lazy_error_probe(void *data, int id, char *state, char *event)
{
	if (id != lazy_seen.pid) {
		atomic_inc(&lazy_seen.nr_errors_of_others);
		return;
	}
	lazy_seen.nr_errors++;
	lazy_seen.error_state = state;
	lazy_seen.error_event = event;
}

#ifdef CONFIG_RV_REACTORS
static void (*lazy_other_reaction)(char *msg);

static void lazy_react(char *msg)
{
	atomic_inc(&lazy_seen.nr_reactions);
	strscpy(lazy_seen.reaction, msg);
}

static void lazy_begin_reactions(void)
{
	lazy_other_reaction = rv_lazymmu.react;
	rv_lazymmu.react = lazy_react;
}

static void lazy_end_reactions(void)
{
	rv_lazymmu.react = lazy_other_reaction;
}

static bool lazy_has_reactions(void)
{
	return rv_reacting_on();
}
#else
static void lazy_begin_reactions(void) {}
static void lazy_end_reactions(void) {}

static bool lazy_has_reactions(void)
{
	return false;
}
#endif

static int lazy_enable_monitor(void)
{
	int ret;

	mutex_lock(&rv_interface_lock);
	ret = rv_enable_monitor(&lazy_monitor);
	mutex_unlock(&rv_interface_lock);
	return ret;
}

static void lazy_disable_monitor(void)
{
	mutex_lock(&rv_interface_lock);
	rv_disable_monitor(&lazy_monitor);
	mutex_unlock(&rv_interface_lock);
}

static void lazy_reset_monitor(void)
{
	mutex_lock(&rv_interface_lock);
	rv_lazymmu.reset();
	mutex_unlock(&rv_interface_lock);
}

/* Events alone. The monitor does not look at the counts. */

static void lazy_enter(void)
{
	trace_lazy_mmu_hook_enter(1, 0, _THIS_IP_);
}

static void lazy_leave(void)
{
	trace_lazy_mmu_hook_leave(0, 0, _THIS_IP_);
}

static void lazy_flush(void)
{
	trace_lazy_mmu_hook_flush(1, 0, _THIS_IP_);
}

static void lazy_sleep(void)
{
	trace_sched_switch(false, current, current, TASK_UNINTERRUPTIBLE);
}

/* Wherever the task was, it is out now, and the monitor knows it. */
static void lazy_begin(void)
{
	lazy_enter();
	lazy_leave();
	lazy_seen.nr_events = 0;
	lazy_seen.nr_errors = 0;
	atomic_set(&lazy_seen.nr_reactions, 0);
}

static void lazy_expect_no_error(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, lazy_seen.nr_errors, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&lazy_seen.nr_reactions), 0);
}

/* This and no other. */
static void lazy_expect_error(struct kunit *test, const char *event, const char *state)
{
	char reaction[sizeof(lazy_seen.reaction)];

	KUNIT_ASSERT_EQ(test, lazy_seen.nr_errors, 1);
	KUNIT_EXPECT_STREQ(test, lazy_seen.error_event, event);
	KUNIT_EXPECT_STREQ(test, lazy_seen.error_state, state);
	if (!lazy_has_reactions())
		return;
	KUNIT_EXPECT_EQ(test, atomic_read(&lazy_seen.nr_reactions), 1);
	snprintf(reaction, sizeof(reaction), lazy_reaction_format, event, state);
	KUNIT_EXPECT_STREQ(test, lazy_seen.reaction, reaction);
}

static void enter_twice_is_reported(struct kunit *test)
{
	lazy_begin();
	lazy_enter();
	lazy_expect_no_error(test);
	lazy_enter();

	lazy_expect_error(test, "enter", "in");
}

static void leave_twice_is_reported(struct kunit *test)
{
	lazy_begin();
	lazy_enter();
	lazy_leave();
	lazy_expect_no_error(test);
	lazy_leave();

	lazy_expect_error(test, "leave", "out");
}

static void sleep_after_enter_is_reported(struct kunit *test)
{
	lazy_begin();
	lazy_enter();
	schedule_timeout_uninterruptible(1);

	lazy_expect_error(test, "sleep", "in");
}

static void preemption_after_enter_is_not_reported(struct kunit *test)
{
	lazy_begin();
	lazy_enter();
	trace_sched_switch(true, current, current, TASK_RUNNING);
	trace_sched_switch(true, current, current, TASK_UNINTERRUPTIBLE);

	lazy_expect_no_error(test);
	KUNIT_EXPECT_EQ(test, lazy_seen.nr_events, 1);
}

static void wait_for_a_spinlock_after_enter_is_not_reported(struct kunit *test)
{
	lazy_begin();
	lazy_enter();
	trace_sched_switch(false, current, current, TASK_RTLOCK_WAIT);
	/* The same, when the lock was released before the task could sleep. */
	trace_sched_switch(false, current, current, TASK_RUNNING);

	lazy_expect_no_error(test);
	KUNIT_EXPECT_EQ(test, lazy_seen.nr_events, 1);
}

static void flush_anywhere_is_not_reported(struct kunit *test)
{
	lazy_begin();
	lazy_flush();
	lazy_enter();
	lazy_flush();
	lazy_flush();
	lazy_leave();
	lazy_flush();

	lazy_expect_no_error(test);
	KUNIT_EXPECT_EQ(test, lazy_seen.nr_events, 6);
	KUNIT_EXPECT_STREQ(test, lazy_seen.state, "out");
}

enum { LAZY_ENTER, LAZY_LEAVE, LAZY_FLUSH, LAZY_SLEEP };

static const struct {
	const char *name;
	void (*emit)(void);
} lazy_events[] = {
	[LAZY_ENTER] = { "enter", lazy_enter },
	[LAZY_LEAVE] = { "leave", lazy_leave },
	[LAZY_FLUSH] = { "flush", lazy_flush },
	[LAZY_SLEEP] = { "sleep", lazy_sleep },
};

/*
 * Two bits an event, up to the first that is not legal. Returns what is wrong
 * with the monitor, if anything.
 */
static const char *lazy_run_events(unsigned int code, unsigned int *nr_illegal)
{
	bool is_in = false;

	lazy_begin();
	for (int i = 0; i < LAZY_NR_STEPS; i++) {
		unsigned int event = (code >> (2 * i)) & 3;
		bool is_legal;

		if (event == LAZY_FLUSH)
			is_legal = true;
		else
			is_legal = is_in == (event == LAZY_LEAVE);

		lazy_events[event].emit();
		if (!is_legal) {
			(*nr_illegal)++;
			if (lazy_seen.nr_errors != 1)
				return "illegal event not reported, or not once";
			if (strcmp(lazy_seen.error_event, lazy_events[event].name))
				return "illegal event reported as another";
			return NULL;
		}
		if (event == LAZY_ENTER || event == LAZY_LEAVE)
			is_in = event == LAZY_ENTER;
		if (lazy_seen.nr_errors)
			return "legal event reported";
		if (lazy_seen.nr_events != i + 1)
			return "event missed";
		if (strcmp(lazy_seen.state, is_in ? "in" : "out"))
			return "wrong state";
	}
	return NULL;
}

static void events_are_reported_if_and_only_if_illegal(struct kunit *test)
{
	const unsigned int nr_codes = 1 << (2 * LAZY_NR_STEPS);
	unsigned int nr_illegal = 0;

	for (unsigned int code = 0; code < nr_codes; code++) {
		const char *wrong = lazy_run_events(code, &nr_illegal);

		if (wrong) {
			KUNIT_FAIL(test, "sequence %#x: %s", code, wrong);
			return;
		}
	}
	/* Neither all nor none. */
	KUNIT_EXPECT_GT(test, nr_illegal, nr_codes / 4);
	KUNIT_EXPECT_LT(test, nr_illegal, nr_codes);
}

/* The helpers, which emit the same events and more. */

static bool lazy_is_followed(void)
{
	return !strcmp(lazy_seen.state, in_lazy_mmu_mode() ? "in" : "out");
}

/*
 * One digit to the base of 3 a step: open a section, begin a pause, or end the
 * last of these. Returns false if the monitor does not see what happens.
 */
static bool lazy_run_helpers(unsigned int code)
{
	bool is_pause[LAZY_NR_STEPS], is_followed = true;
	unsigned int nr = 0;

	for (int i = 0; i < LAZY_NR_STEPS; i++, code /= 3) {
		switch (code % 3) {
		case 0:
			lazy_mmu_mode_enable();
			is_pause[nr++] = false;
			break;
		case 1:
			lazy_mmu_mode_pause();
			is_pause[nr++] = true;
			break;
		case 2:
			if (!nr)
				break;
			if (is_pause[--nr])
				lazy_mmu_mode_resume();
			else
				lazy_mmu_mode_disable();
			break;
		}
		is_followed &= lazy_is_followed();
	}
	while (nr) {
		if (is_pause[--nr])
			lazy_mmu_mode_resume();
		else
			lazy_mmu_mode_disable();
		is_followed &= lazy_is_followed();
	}
	return is_followed;
}

static void sections_and_pauses_are_not_reported(struct kunit *test)
{
	unsigned int nr_codes = 1;

	for (int i = 0; i < LAZY_NR_STEPS; i++)
		nr_codes *= 3;

	lazy_begin();
	for (unsigned int code = 0; code < nr_codes; code++) {
		if (lazy_run_helpers(code) && !lazy_seen.nr_errors)
			continue;
		KUNIT_FAIL(test, "sequence %u: %s", code,
			   lazy_seen.nr_errors ? "reported" : "not followed");
		return;
	}
	lazy_expect_no_error(test);
}

struct lazy_interrupt {
	struct hrtimer timer;
	bool is_done;
};

static enum hrtimer_restart lazy_interrupt_fn(struct hrtimer *timer)
{
	struct lazy_interrupt *irq = container_of(timer, typeof(*irq), timer);

	lazy_mmu_mode_enable();
	lazy_mmu_mode_disable();
	lazy_mmu_mode_pause();
	lazy_mmu_mode_resume();
	WRITE_ONCE(irq->is_done, true);

	return HRTIMER_NORESTART;
}

/* Preemption is disabled, so it is this task that is interrupted. */
static void interrupt_in_a_section_is_no_event(struct kunit *test)
{
	struct lazy_interrupt irq = {};
	unsigned int nr_events;
	ktime_t end;

	hrtimer_init_on_stack(&irq.timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	irq.timer.function = lazy_interrupt_fn;

	lazy_begin();
	preempt_disable();
	lazy_mmu_mode_enable();
	nr_events = lazy_seen.nr_events;
	hrtimer_start(&irq.timer, ns_to_ktime(100 * NSEC_PER_USEC), HRTIMER_MODE_REL_PINNED_HARD);
	end = ktime_add_ms(ktime_get(), 2000);
	while (!READ_ONCE(irq.is_done) && ktime_before(ktime_get(), end))
		cpu_relax();
	nr_events = lazy_seen.nr_events - nr_events;
	lazy_mmu_mode_disable();
	preempt_enable();
	hrtimer_cancel(&irq.timer);
	destroy_hrtimer_on_stack(&irq.timer);

	KUNIT_EXPECT_TRUE(test, irq.is_done);
	KUNIT_EXPECT_EQ(test, nr_events, 0);
	KUNIT_EXPECT_EQ(test, lazy_seen.nr_events, 2);
	lazy_expect_no_error(test);
}

static void lazy_use_vmalloc(void)
{
	void *p = vmalloc(LAZY_NR_PAGES * PAGE_SIZE);

	if (p)
		memset(p, 0, LAZY_NR_PAGES * PAGE_SIZE);
	vfree(p);
}

static int lazy_thread_fn(void *done)
{
	lazy_use_vmalloc();
	kthread_complete_and_exit(done, 0);
}

/* Sections of the kernel's own, in this task and in one that is born and dies. */
static void callers_are_not_reported(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(done);
	struct task_struct *task;

	lazy_begin();
	lazy_use_vmalloc();
	KUNIT_EXPECT_GE(test, lazy_seen.nr_events, 2);

	task = kthread_run(lazy_thread_fn, &done, "lazymmu-test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	wait_for_completion(&done);
	schedule_timeout_uninterruptible(1);

	lazy_expect_no_error(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&lazy_seen.nr_errors_of_others), 0);
}

static void munmap_is_not_reported(struct kunit *test)
{
	/* Too small for a huge page, which is unmapped without a section. */
	unsigned long user, size = PTRS_PER_PTE / 2 * PAGE_SIZE;

	if (xen_pv_domain())
		kunit_skip(test, "KUnit does not pin the page tables of its mm");

	user = kunit_vm_mmap(test, NULL, 0, size, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, user, 0);
	KUNIT_EXPECT_EQ(test, 0, clear_user((void __user *)user, size));

	lazy_begin();
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(user, size));
	KUNIT_EXPECT_GE(test, lazy_seen.nr_events, 2);
	lazy_expect_no_error(test);
}

/* When the monitor knows, and when not. */

static void monitor_goes_on_after_a_report(struct kunit *test)
{
	lazy_begin();
	lazy_enter();
	lazy_enter();
	lazy_flush();
	lazy_leave();
	KUNIT_EXPECT_EQ(test, lazy_seen.nr_errors, 1);

	lazy_leave();
	KUNIT_EXPECT_EQ(test, lazy_seen.nr_errors, 2);
	lazy_enter();
	lazy_leave();
	KUNIT_EXPECT_EQ(test, lazy_seen.nr_errors, 2);
}

static void section_that_is_open_at_the_start_is_not_reported(struct kunit *test)
{
	lazy_disable_monitor();
	lazy_enter();
	KUNIT_ASSERT_EQ(test, lazy_enable_monitor(), 0);
	/* Also after that, in case something has slept. */
	lazy_reset_monitor();

	lazy_flush();
	lazy_leave();
	lazy_expect_no_error(test);

	lazy_leave();
	lazy_expect_error(test, "leave", "out");
}

static void first_section_is_followed(struct kunit *test)
{
	lazy_reset_monitor();

	lazy_enter();
	KUNIT_EXPECT_STREQ(test, lazy_seen.state, "in");
	lazy_expect_no_error(test);

	lazy_enter();
	lazy_expect_error(test, "enter", "in");
}

static void leave_as_the_first_hook_is_reported_after_a_sleep(struct kunit *test)
{
	lazy_reset_monitor();
	lazy_sleep();
	lazy_leave();

	lazy_expect_error(test, "leave", "out");
}

static void nothing_is_reported_when_disabled(struct kunit *test)
{
	lazy_begin();
	lazy_disable_monitor();
	lazy_seen.nr_events = 0;
	for (int i = 0; i < 2; i++) {
		lazy_enter();
		lazy_enter();
		lazy_leave();
		lazy_leave();
	}

	lazy_expect_no_error(test);
	KUNIT_EXPECT_EQ(test, lazy_seen.nr_events, 0);
}

static struct kunit_case lazymmu_cases[] = {
	KUNIT_CASE(enter_twice_is_reported),
	KUNIT_CASE(leave_twice_is_reported),
	KUNIT_CASE(sleep_after_enter_is_reported),
	KUNIT_CASE(preemption_after_enter_is_not_reported),
	KUNIT_CASE(wait_for_a_spinlock_after_enter_is_not_reported),
	KUNIT_CASE(flush_anywhere_is_not_reported),
	KUNIT_CASE(events_are_reported_if_and_only_if_illegal),

	KUNIT_CASE(sections_and_pauses_are_not_reported),
	KUNIT_CASE(interrupt_in_a_section_is_no_event),
	KUNIT_CASE(callers_are_not_reported),
	KUNIT_CASE(munmap_is_not_reported),

	KUNIT_CASE(monitor_goes_on_after_a_report),
	KUNIT_CASE(section_that_is_open_at_the_start_is_not_reported),
	KUNIT_CASE(first_section_is_followed),
	KUNIT_CASE(leave_as_the_first_hook_is_reported_after_a_sleep),
	KUNIT_CASE(nothing_is_reported_when_disabled),
	{}
};

/* Runs in the task that then runs the case. */
static int lazymmu_init(struct kunit *test)
{
	int ret;

	if (!rv_monitoring_on())
		kunit_skip(test, "monitoring is off");

	memset(&lazy_seen, 0, sizeof(lazy_seen));
	lazy_seen.pid = current->pid;
	lazy_seen.state = "unknown";
	ret = register_trace_event_lazymmu(lazy_event_probe, NULL);
	if (ret)
		return ret;
	ret = register_trace_error_lazymmu(lazy_error_probe, NULL);
	if (ret)
		goto out_event;

	lazy_begin_reactions();
	lazy_was_enabled = rv_lazymmu.enabled;
	ret = lazy_enable_monitor();
	if (ret)
		goto out_error;
	test->priv = &lazy_seen;
	return 0;

out_error:
	lazy_end_reactions();
	unregister_trace_error_lazymmu(lazy_error_probe, NULL);
out_event:
	unregister_trace_event_lazymmu(lazy_event_probe, NULL);
	tracepoint_synchronize_unregister();
	if (ret == -EBUSY)
		kunit_skip(test, "another monitor of tasks is enabled");
	return ret;
}

/* The monitor is as it was before, but knows of no task. */
static void lazymmu_exit(struct kunit *test)
{
	/* It is called after an init that failed, too. */
	if (!test->priv)
		return;

	lazy_disable_monitor();
	lazy_end_reactions();
	unregister_trace_error_lazymmu(lazy_error_probe, NULL);
	unregister_trace_event_lazymmu(lazy_event_probe, NULL);
	tracepoint_synchronize_unregister();
	if (lazy_was_enabled && lazy_enable_monitor())
		kunit_err(test, "the monitor cannot be enabled again");
}

static struct kunit_suite lazymmu_suite = {
	.name = "lazymmu",
	.init = lazymmu_init,
	.exit = lazymmu_exit,
	.test_cases = lazymmu_cases,
};

kunit_test_suite(lazymmu_suite);

MODULE_DESCRIPTION("KUnit tests for the lazymmu monitor");
MODULE_LICENSE("GPL");
