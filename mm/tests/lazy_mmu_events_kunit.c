// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for lazy MMU sections: the events of the four helpers, and that
 * each task has a section of its own. What a call does to the counts, and which
 * hook it reaches, lazy_mmu_state_kunit.c tries in every state.
 *
 * The hooks differ between architectures and most have none, so they are
 * observed through the tracepoints of CONFIG_DEBUG_LAZY_MMU_MODE. Sleeping in a
 * section is forbidden and a KUnit assertion may allocate, so a case records
 * what happens, closes its section, and compares afterwards.
 */
#include <kunit/test.h>

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/tracepoint.h>

#include <trace/events/lazy_mmu.h>

#include "lazy_mmu_kunit.h"

static const char * const lazy_call_names[] = {
	[LAZY_ENABLE]	= "lazy_mmu_mode_enable()",
	[LAZY_DISABLE]	= "lazy_mmu_mode_disable()",
	[LAZY_PAUSE]	= "lazy_mmu_mode_pause()",
	[LAZY_RESUME]	= "lazy_mmu_mode_resume()",
};

static const char * const lazy_hook_names[] = {
	[LAZY_NO_HOOK]	= "ø",
	[LAZY_ENTER]	= "arch_enter()",
	[LAZY_LEAVE]	= "arch_leave()",
	[LAZY_FLUSH]	= "arch_flush()",
};

static const enum lazy_call lazy_calls[] = {
	[LAZY_MMU_CALL_ENABLE]	= LAZY_ENABLE,
	[LAZY_MMU_CALL_DISABLE]	= LAZY_DISABLE,
	[LAZY_MMU_CALL_PAUSE]	= LAZY_PAUSE,
	[LAZY_MMU_CALL_RESUME]	= LAZY_RESUME,
};

static const enum lazy_hook lazy_hooks[] = {
	[LAZY_MMU_HOOK_ENTER]	= LAZY_ENTER,
	[LAZY_MMU_HOOK_LEAVE]	= LAZY_LEAVE,
	[LAZY_MMU_HOOK_FLUSH]	= LAZY_FLUSH,
};

/* The event of a hook, or else of a call, and whether the mode was on then. */
struct lazy_record {
	enum lazy_hook hook;
	enum lazy_call call;
	u8 enable;
	u8 pause;
	bool on;
	unsigned long ip;
};

/*
 * What one task does. What interrupts do on top of it is only counted, so there is
 * one writer to each and no lock.
 */
struct lazy_log {
	struct task_struct *task;
	unsigned int nr;
	struct lazy_record records[16];
	unsigned int nr_in_interrupts;
};

/* A call, the hook that it reached, and the state after it. */
struct lazy_step {
	enum lazy_call call;
	struct lazy_record hook;
	u8 enable;
	u8 pause;
	bool on;
	/* What is wrong whatever the call was expected to do. */
	const char *odd;
};

/* For the task that runs the case, and for a task that the case starts. */
static struct lazy_log lazy_log, lazy_peer_log;

/* The steps of the case. */
static struct lazy_step lazy_steps[10];

static void lazy_log_event(struct lazy_log *log, const struct lazy_record *record)
{
	if (READ_ONCE(log->task) != current)
		return;
	if (!in_task()) {
		log->nr_in_interrupts++;
		return;
	}

	if (log->nr < ARRAY_SIZE(log->records))
		log->records[log->nr] = *record;
	log->nr++;
}

static void lazy_record(struct lazy_record record)
{
	record.on = in_lazy_mmu_mode();
	lazy_log_event(&lazy_log, &record);
	lazy_log_event(&lazy_peer_log, &record);
}

static void lazy_probe_call(void *data, enum lazy_mmu_call call, u8 enable_count,
			    u8 pause_count, unsigned long ip)
{
	lazy_record((struct lazy_record) {
		.call = lazy_calls[call],
		.enable = enable_count,
		.pause = pause_count,
		.ip = ip,
	});
}

static void lazy_probe_hook(void *data, enum lazy_mmu_hook hook, u8 enable_count,
			    u8 pause_count, unsigned long ip)
{
	lazy_record((struct lazy_record) {
		.hook = lazy_hooks[hook],
		.enable = enable_count,
		.pause = pause_count,
		.ip = ip,
	});
}

/*
 * A call moves the counts before it emits its event or reaches a hook, so both
 * show the state that the call leaves behind.
 */
static bool lazy_shows(const struct lazy_record *record,
		       const struct lazy_step *step)
{
	return record->enable == step->enable && record->pause == step->pause &&
	       record->on == step->on;
}

static void lazy_evaluate(const struct lazy_log *log, struct lazy_step *step)
{
	const struct lazy_record *call = &log->records[0];
	const struct lazy_record *hook = &log->records[1];

	step->odd = NULL;
	step->hook = (struct lazy_record) { .hook = LAZY_NO_HOOK };
	if (log->nr > 1)
		step->hook = *hook;

	if (step->on != (step->enable > 0 && step->pause == 0))
		step->odd = "in_lazy_mmu_mode() contradicts the counts";
	else if (log->nr == 0 || call->hook != LAZY_NO_HOOK || call->call != step->call)
		step->odd = "the first event is not the call's";
	else if (!lazy_shows(call, step))
		step->odd = "the call's event shows another state";
	else if (log->nr > 2)
		step->odd = "more than one hook";
	else if (log->nr > 1 && !lazy_shows(hook, step))
		step->odd = "the hook saw another state";
}

static void lazy_call(struct lazy_log *log, enum lazy_call call,
		      struct lazy_step *step)
{
	log->nr = 0;
	lazy_do_call(call);
	step->call = call;
	step->enable = current->lazy_mmu_state.enable_count;
	step->pause = current->lazy_mmu_state.pause_count;
	step->on = in_lazy_mmu_mode();
	lazy_evaluate(log, step);
}

/* Leave nothing open, even if the helpers are broken. */
static void lazy_close(void)
{
	const struct lazy_mmu_state *state = &current->lazy_mmu_state;

	for (int i = 0; i < U8_MAX && state->pause_count; i++)
		lazy_mmu_mode_resume();
	for (int i = 0; i < U8_MAX && state->enable_count; i++)
		lazy_mmu_mode_disable();
}

/* A section of this task: two steps. */
static void lazy_open_and_close(void)
{
	lazy_call(&lazy_log, LAZY_ENABLE, &lazy_steps[0]);
	lazy_call(&lazy_log, LAZY_DISABLE, &lazy_steps[1]);
	lazy_close();
}

/* Rows to compare and to print. Cases run one by one, and stacks are small. */
static char lazy_expected_row[128], lazy_observed_row[128];

static const char *lazy_expected(enum lazy_call call, enum lazy_hook hook,
				 unsigned int enable, unsigned int pause)
{
	snprintf(lazy_expected_row, sizeof(lazy_expected_row),
		 "%s -> %s enable=%u pause=%u", lazy_call_names[call],
		 lazy_hook_names[hook], enable, pause);
	return lazy_expected_row;
}

static const char *lazy_observed(const struct lazy_step *step)
{
	snprintf(lazy_observed_row, sizeof(lazy_observed_row),
		 "%s -> %s enable=%u pause=%u%s%s", lazy_call_names[step->call],
		 lazy_hook_names[step->hook.hook], step->enable, step->pause,
		 step->odd ? ", but " : "", step->odd ?: "");
	return lazy_observed_row;
}

#define LAZY_EXPECT_STEP(test, step, hook, enable, pause) do {		\
	const struct lazy_step *__step = (step);			\
									\
	KUNIT_EXPECT_STREQ(test, lazy_observed(__step),			\
			   lazy_expected(__step->call, hook, enable, pause)); \
} while (0)

/* A section that enters and leaves. */
static void lazy_expect_section(struct kunit *test, const struct lazy_step *enable,
				const struct lazy_step *disable)
{
	LAZY_EXPECT_STEP(test, enable, LAZY_ENTER, 1, 0);
	LAZY_EXPECT_STEP(test, disable, LAZY_LEAVE, 0, 0);
}

static noinline void events_name_the_caller(struct kunit *test)
{
	unsigned int nr;

	if (!IS_ENABLED(CONFIG_KALLSYMS))
		kunit_skip(test, "needs CONFIG_KALLSYMS");

	lazy_log.nr = 0;
	lazy_mmu_mode_enable();
	lazy_mmu_mode_enable();
	lazy_mmu_mode_pause();
	lazy_mmu_mode_resume();
	lazy_mmu_mode_disable();
	lazy_mmu_mode_disable();
	nr = lazy_log.nr;
	/* From here on nothing is recorded, so that the records stay. */
	WRITE_ONCE(lazy_log.task, NULL);
	lazy_close();

	/* Six calls, of which all but the nested enable reach a hook. */
	KUNIT_ASSERT_EQ(test, nr, 6 + 5);
	for (unsigned int i = 0; i < nr; i++)
		lazy_expect_ip(test, lazy_log.records[i].ip, __func__);
}

/* Walks that meet every place which emits an event. */

static const struct lazy_row {
	enum lazy_call call;
	enum lazy_hook hook;
	u8 enable;
	u8 pause;
} lazy_summary[] = {
	{ LAZY_ENABLE,	LAZY_ENTER,	1, 0 },
	{ LAZY_ENABLE,	LAZY_NO_HOOK,	2, 0 },
	{ LAZY_PAUSE,	LAZY_LEAVE,	2, 1 },
	{ LAZY_RESUME,	LAZY_ENTER,	2, 0 },
	{ LAZY_DISABLE,	LAZY_FLUSH,	1, 0 },
	{ LAZY_DISABLE,	LAZY_LEAVE,	0, 0 },
}, lazy_pauses[] = {
	{ LAZY_PAUSE,	LAZY_NO_HOOK,	0, 1 },
	{ LAZY_RESUME,	LAZY_NO_HOOK,	0, 0 },
	{ LAZY_ENABLE,	LAZY_ENTER,	1, 0 },
	{ LAZY_PAUSE,	LAZY_LEAVE,	1, 1 },
	{ LAZY_PAUSE,	LAZY_NO_HOOK,	1, 2 },
	{ LAZY_ENABLE,	LAZY_NO_HOOK,	1, 2 },
	{ LAZY_DISABLE,	LAZY_NO_HOOK,	1, 2 },
	{ LAZY_RESUME,	LAZY_NO_HOOK,	1, 1 },
	{ LAZY_RESUME,	LAZY_ENTER,	1, 0 },
	{ LAZY_DISABLE,	LAZY_LEAVE,	0, 0 },
};

#define LAZY_SUMMARY_STEPS	ARRAY_SIZE(lazy_summary)

static void lazy_walk(const struct lazy_row *rows, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		lazy_call(&lazy_log, rows[i].call, &lazy_steps[i]);
	lazy_close();
}

static void lazy_expect_rows(struct kunit *test, const struct lazy_row *rows, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		LAZY_EXPECT_STEP(test, &lazy_steps[i], rows[i].hook, rows[i].enable,
				 rows[i].pause);
}

/* The contract in six rows. The table in the log is what the kernel did. */
static void seed_summary(struct kunit *test)
{
	lazy_walk(lazy_summary, LAZY_SUMMARY_STEPS);

	for (int i = 0; i < LAZY_SUMMARY_STEPS; i++)
		kunit_info(test, "%s\n", lazy_observed(&lazy_steps[i]));
	lazy_expect_rows(test, lazy_summary, LAZY_SUMMARY_STEPS);
}

/* Then no call is inline. */
static void events_are_the_same_with_bottom_halves_disabled(struct kunit *test)
{
	local_bh_disable();
	lazy_walk(lazy_summary, LAZY_SUMMARY_STEPS);
	local_bh_enable();

	lazy_expect_rows(test, lazy_summary, LAZY_SUMMARY_STEPS);
}

static void calls_in_pauses_are_events_without_a_hook(struct kunit *test)
{
	lazy_walk(lazy_pauses, ARRAY_SIZE(lazy_pauses));

	lazy_expect_rows(test, lazy_pauses, ARRAY_SIZE(lazy_pauses));
}

/* As if it were one. */
static void calls_in_an_interrupt_are_events_without_a_hook(struct kunit *test)
{
	unsigned int nr;

	local_irq_disable();
	preempt_count_add(HARDIRQ_OFFSET);
	lazy_log.nr_in_interrupts = 0;
	for (enum lazy_call call = 0; call < NR_LAZY_CALLS; call++)
		lazy_do_call(call);
	nr = lazy_log.nr_in_interrupts;
	preempt_count_sub(HARDIRQ_OFFSET);
	local_irq_enable();

	KUNIT_EXPECT_EQ(test, nr, NR_LAZY_CALLS);
}

/*
 * Some architectures disable preemption from enter to leave. There, this sees
 * the hooks themselves, where all other cases see events.
 */
static void preemption_changes_only_with_the_mode(struct kunit *test)
{
	int before = preempt_count(), after[LAZY_SUMMARY_STEPS];

	for (int i = 0; i < LAZY_SUMMARY_STEPS; i++) {
		lazy_do_call(lazy_summary[i].call);
		after[i] = preempt_count();
	}
	lazy_close();

	for (int i = 0; i < LAZY_SUMMARY_STEPS; i++) {
		bool on = lazy_summary[i].enable && !lazy_summary[i].pause;

		KUNIT_EXPECT_EQ(test, after[i], on ? after[0] : before);
	}
}

/* Other tasks */

/* A task that waits in a section, or in a pause of one, to be told to go on. */
struct lazy_peer {
	struct lazy_thread thread;
	bool is_paused;

	unsigned int nr_while_waiting;
	struct lazy_step enable;
	struct lazy_step pause;
	struct lazy_step resume;
	struct lazy_step disable;
};

static int lazy_peer_fn(void *data)
{
	struct lazy_peer *peer = data;
	struct lazy_log *log = &lazy_peer_log;

	WRITE_ONCE(log->task, current);
	lazy_call(log, LAZY_ENABLE, &peer->enable);
	if (peer->is_paused)
		lazy_call(log, LAZY_PAUSE, &peer->pause);
	log->nr = 0;
	lazy_thread_wait(&peer->thread);
	peer->nr_while_waiting = log->nr;
	if (peer->is_paused)
		lazy_call(log, LAZY_RESUME, &peer->resume);
	lazy_call(log, LAZY_DISABLE, &peer->disable);
	lazy_close();

	return 0;
}

static int lazy_paused_peer_fn(void *data)
{
	struct lazy_peer *peer = data;

	peer->is_paused = true;
	return lazy_peer_fn(peer);
}

static void lazy_expect_peer(struct kunit *test, struct lazy_peer *peer)
{
	KUNIT_EXPECT_TRUE_MSG(test, peer->thread.was_told, "its section ended too early");
	KUNIT_EXPECT_EQ(test, peer->nr_while_waiting, 0);
	if (peer->is_paused) {
		LAZY_EXPECT_STEP(test, &peer->pause, LAZY_LEAVE, 1, 1);
		LAZY_EXPECT_STEP(test, &peer->resume, LAZY_ENTER, 1, 0);
	}
	lazy_expect_section(test, &peer->enable, &peer->disable);
}

/* While the other task waits, this one has nothing open, and a section of its own. */
static void lazy_expect_apart(struct kunit *test, struct lazy_peer *peer)
{
	struct lazy_mmu_state state = current->lazy_mmu_state;
	bool on = in_lazy_mmu_mode();

	lazy_open_and_close();
	lazy_stop_thread(&peer->thread);

	lazy_expect_peer(test, peer);
	KUNIT_EXPECT_EQ(test, state.enable_count, 0);
	KUNIT_EXPECT_EQ(test, state.pause_count, 0);
	KUNIT_EXPECT_FALSE(test, on);
	lazy_expect_section(test, &lazy_steps[0], &lazy_steps[1]);
}

static void section_is_not_seen_by_another_task(struct kunit *test)
{
	int this_cpu = lazy_stay_here(), other_cpu = lazy_other_cpu(this_cpu);

	if (this_cpu == other_cpu)
		lazy_skip_unless_preemptible(test);

	lazy_expect_apart(test, lazy_start_thread(test, sizeof(struct lazy_peer),
						  lazy_peer_fn, other_cpu));
}

static void pause_is_not_seen_by_another_task(struct kunit *test)
{
	lazy_expect_apart(test, lazy_start_thread(test, sizeof(struct lazy_peer),
						  lazy_paused_peer_fn,
						  raw_smp_processor_id()));
}

static void section_survives_preemption(struct kunit *test)
{
	struct lazy_peer *peer = lazy_preempt_thread(test, sizeof(*peer), lazy_peer_fn);
	struct lazy_mmu_state state = peer->thread.task->lazy_mmu_state;

	lazy_expect_apart(test, peer);
	KUNIT_EXPECT_TRUE(test, peer->thread.was_preempted);
	KUNIT_EXPECT_EQ(test, state.enable_count, 1);
}

static void section_survives_migration(struct kunit *test)
{
	lazy_expect_peer(test, lazy_migrate_thread(test, sizeof(struct lazy_peer),
						   lazy_peer_fn));
}

static int lazy_dying_fn(void *data)
{
	struct lazy_peer *peer = data;

	WRITE_ONCE(lazy_peer_log.task, current);
	lazy_mmu_mode_enable();
	lazy_mmu_mode_enable();
	if (peer->is_paused)
		lazy_mmu_mode_pause();
	lazy_peer_log.nr = 0;
	lazy_die(&peer->thread);
}

static int lazy_paused_dying_fn(void *data)
{
	struct lazy_peer *peer = data;

	peer->is_paused = true;
	return lazy_dying_fn(peer);
}

/* The hooks are in the log. */
static void lazy_let_die(struct kunit *test, int (*fn)(void *))
{
	struct lazy_peer *peer = lazy_start_thread(test, sizeof(*peer), fn,
						   raw_smp_processor_id());
	struct task_struct *task = peer->thread.task;

	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, task->lazy_mmu_state.enable_count, 0);
	KUNIT_EXPECT_EQ(test, task->lazy_mmu_state.pause_count, 0);
	put_task_struct(task);
}

static void dying_task_leaves_its_section(struct kunit *test)
{
	lazy_let_die(test, lazy_dying_fn);

	/* Behind that its exit may have sections of its own. */
	KUNIT_ASSERT_GE(test, lazy_peer_log.nr, 1);
	KUNIT_EXPECT_EQ(test, lazy_peer_log.records[0].hook, LAZY_LEAVE);
	KUNIT_EXPECT_FALSE(test, lazy_peer_log.records[0].on);
}

static void dying_task_leaves_no_section_in_a_pause(struct kunit *test)
{
	lazy_let_die(test, lazy_paused_dying_fn);

	if (!lazy_peer_log.nr)
		return;
	KUNIT_EXPECT_EQ(test, lazy_peer_log.records[0].hook, LAZY_NO_HOOK);
	KUNIT_EXPECT_EQ(test, lazy_peer_log.records[0].call, LAZY_ENABLE);
}

static struct kunit_case lazy_mmu_mode_cases[] = {
	KUNIT_CASE(seed_summary),
	KUNIT_CASE(events_are_the_same_with_bottom_halves_disabled),
	KUNIT_CASE(calls_in_pauses_are_events_without_a_hook),
	KUNIT_CASE(calls_in_an_interrupt_are_events_without_a_hook),
	KUNIT_CASE(events_name_the_caller),
	KUNIT_CASE(preemption_changes_only_with_the_mode),

	KUNIT_CASE(section_is_not_seen_by_another_task),
	KUNIT_CASE(pause_is_not_seen_by_another_task),
	KUNIT_CASE(section_survives_preemption),
	KUNIT_CASE(section_survives_migration),
	KUNIT_CASE(dying_task_leaves_its_section),
	KUNIT_CASE(dying_task_leaves_no_section_in_a_pause),
	{}
};

static void lazy_unregister_probes(void)
{
	/* Those that are not registered do not mind. */
	unregister_trace_lazy_mmu_call(lazy_probe_call, NULL);
	unregister_trace_lazy_mmu_hook(lazy_probe_hook, NULL);
	tracepoint_synchronize_unregister();
}

/* The function below does not run if this one fails. */
static int lazy_mmu_mode_suite_init(struct kunit_suite *suite)
{
	int err;

	err = register_trace_lazy_mmu_call(lazy_probe_call, NULL);
	if (!err)
		err = register_trace_lazy_mmu_hook(lazy_probe_hook, NULL);
	if (err)
		lazy_unregister_probes();
	return err;
}

static void lazy_mmu_mode_suite_exit(struct kunit_suite *suite)
{
	lazy_unregister_probes();
}

/* Runs in the task that then runs the case, unlike the function below. */
static int lazy_mmu_mode_init(struct kunit *test)
{
	WRITE_ONCE(lazy_log.task, current);
	return 0;
}

static void lazy_mmu_mode_exit(struct kunit *test)
{
	WRITE_ONCE(lazy_log.task, NULL);
	WRITE_ONCE(lazy_peer_log.task, NULL);
}

static struct kunit_suite lazy_mmu_mode_suite = {
	.name = "lazy_mmu_mode_events",
	.suite_init = lazy_mmu_mode_suite_init,
	.suite_exit = lazy_mmu_mode_suite_exit,
	.init = lazy_mmu_mode_init,
	.exit = lazy_mmu_mode_exit,
	.test_cases = lazy_mmu_mode_cases,
};

kunit_test_suite(lazy_mmu_mode_suite);

MODULE_DESCRIPTION("KUnit tests for lazy MMU sections");
MODULE_LICENSE("GPL");
