// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for lazy MMU sections: what each of the four helpers does to the
 * counts of the current task, and which hook of the architecture it reaches.
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
#include <linux/slab.h>
#include <linux/tracepoint.h>

#include <trace/events/lazy_mmu.h>

#include "lazy_mmu_kunit.h"

/* As deep as sections nest, and as deep as pauses nest. */
#define LAZY_MAX_DEPTH		U8_MAX
#define LAZY_MAX_PAUSES		(U8_MAX - 1)
/* Enough to get both counts to their maximum, */
#define LAZY_MAX_CALLS		(LAZY_MAX_DEPTH + LAZY_MAX_PAUSES)
/* and back. */
#define LAZY_MAX_STEPS		(2 * LAZY_MAX_CALLS)
#define LAZY_SEQUENCE_LENGTH	8

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
 * What one task does. The task itself adds the records; what interrupts do on
 * top of it is only counted, so there is one writer to each and no lock.
 */
struct lazy_log {
	struct task_struct *task;
	unsigned int nr;
	struct lazy_record records[16];
	unsigned int nr_interrupt_calls;
	unsigned int nr_interrupt_hooks;
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

/* The steps of the case, too many for the stack. */
static struct lazy_step *lazy_steps;

static void lazy_log_event(struct lazy_log *log, const struct lazy_record *record)
{
	if (READ_ONCE(log->task) != current)
		return;

	if (!in_task()) {
		if (record->hook == LAZY_NO_HOOK)
			log->nr_interrupt_calls++;
		else
			log->nr_interrupt_hooks++;
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

	for (int i = 0; i < LAZY_MAX_DEPTH && state->pause_count; i++)
		lazy_mmu_mode_resume();
	for (int i = 0; i < LAZY_MAX_DEPTH && state->enable_count; i++)
		lazy_mmu_mode_disable();
}

static bool lazy_opens(enum lazy_call call)
{
	return call == LAZY_ENABLE || call == LAZY_PAUSE;
}

static enum lazy_call lazy_counterpart(enum lazy_call call)
{
	return call == LAZY_ENABLE ? LAZY_DISABLE : LAZY_RESUME;
}

/*
 * Make the calls, then close what they left open, innermost first. Returns the
 * number of steps in lazy_steps.
 */
static unsigned int lazy_run(const enum lazy_call *calls, unsigned int nr_calls)
{
	unsigned int nr = 0, closed = 0;

	for (; nr < nr_calls; nr++)
		lazy_call(&lazy_log, calls[nr], &lazy_steps[nr]);

	for (unsigned int i = nr_calls; i-- > 0; ) {
		if (!lazy_opens(calls[i])) {
			closed++;
		} else if (closed) {
			closed--;
		} else {
			lazy_call(&lazy_log, lazy_counterpart(calls[i]),
				  &lazy_steps[nr]);
			nr++;
		}
	}
	lazy_close();

	return nr;
}

/* The same for calls that are listed; yields lazy_steps. */
#define LAZY_RUN(...) ({						\
	static const enum lazy_call __calls[] = { __VA_ARGS__ };	\
									\
	lazy_run(__calls, ARRAY_SIZE(__calls));				\
	lazy_steps;							\
})

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

/* The contract, row by row. */

static void outermost_enable_enters(struct kunit *test)
{
	struct lazy_step *steps = LAZY_RUN(LAZY_ENABLE);

	LAZY_EXPECT_STEP(test, &steps[0], LAZY_ENTER, 1, 0);
}

static void nested_enable_reaches_no_hook(struct kunit *test)
{
	struct lazy_step *steps = LAZY_RUN(LAZY_ENABLE, LAZY_ENABLE);

	LAZY_EXPECT_STEP(test, &steps[1], LAZY_NO_HOOK, 2, 0);
}

static void outermost_pause_leaves(struct kunit *test)
{
	struct lazy_step *steps = LAZY_RUN(LAZY_ENABLE, LAZY_PAUSE);

	LAZY_EXPECT_STEP(test, &steps[1], LAZY_LEAVE, 1, 1);
}

static void nested_pause_reaches_no_hook(struct kunit *test)
{
	struct lazy_step *steps = LAZY_RUN(LAZY_ENABLE, LAZY_PAUSE, LAZY_PAUSE);

	LAZY_EXPECT_STEP(test, &steps[2], LAZY_NO_HOOK, 1, 2);
}

static void nested_resume_reaches_no_hook(struct kunit *test)
{
	struct lazy_step *steps = LAZY_RUN(LAZY_ENABLE, LAZY_PAUSE, LAZY_PAUSE,
					   LAZY_RESUME);

	LAZY_EXPECT_STEP(test, &steps[3], LAZY_NO_HOOK, 1, 1);
}

static void outermost_resume_enters(struct kunit *test)
{
	struct lazy_step *steps = LAZY_RUN(LAZY_ENABLE, LAZY_PAUSE, LAZY_RESUME);

	LAZY_EXPECT_STEP(test, &steps[2], LAZY_ENTER, 1, 0);
}

static void nested_disable_flushes(struct kunit *test)
{
	struct lazy_step *steps = LAZY_RUN(LAZY_ENABLE, LAZY_ENABLE, LAZY_DISABLE);

	LAZY_EXPECT_STEP(test, &steps[2], LAZY_FLUSH, 1, 0);
}

static void outermost_disable_leaves(struct kunit *test)
{
	struct lazy_step *steps = LAZY_RUN(LAZY_ENABLE, LAZY_DISABLE);

	LAZY_EXPECT_STEP(test, &steps[1], LAZY_LEAVE, 0, 0);
}

static void enable_while_paused_does_nothing(struct kunit *test)
{
	struct lazy_step *steps = LAZY_RUN(LAZY_ENABLE, LAZY_PAUSE, LAZY_ENABLE);

	LAZY_EXPECT_STEP(test, &steps[2], LAZY_NO_HOOK, 1, 1);
}

static void disable_while_paused_does_nothing(struct kunit *test)
{
	struct lazy_step *steps = LAZY_RUN(LAZY_ENABLE, LAZY_PAUSE, LAZY_ENABLE,
					   LAZY_DISABLE);

	LAZY_EXPECT_STEP(test, &steps[3], LAZY_NO_HOOK, 1, 1);
}

/*
 * Compares names rather than addresses, because on powerpc a function's
 * address may be that of its descriptor.
 */
static noinline void events_name_the_caller(struct kunit *test)
{
	char caller[64], from[64];
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
	snprintf(caller, sizeof(caller), "%ps", events_name_the_caller);
	for (unsigned int i = 0; i < nr; i++) {
		snprintf(from, sizeof(from), "%ps", (void *)lazy_log.records[i].ip);
		KUNIT_EXPECT_STREQ(test, from, caller);
	}
}

/* A walk that meets every hook, in each kind of task context. */

enum lazy_context {
	LAZY_BH_DISABLED,
	LAZY_IRQ_DISABLED,
	LAZY_PREEMPT_DISABLED,
};

static const struct lazy_context_param {
	const char *desc;
	enum lazy_context context;
} lazy_context_params[] = {
	{ "bottom halves disabled", LAZY_BH_DISABLED },
	{ "interrupts disabled", LAZY_IRQ_DISABLED },
	{ "preemption disabled", LAZY_PREEMPT_DISABLED },
};

KUNIT_ARRAY_PARAM_DESC(lazy_context, lazy_context_params, desc);

static void lazy_context_begin(enum lazy_context context)
{
	switch (context) {
	case LAZY_BH_DISABLED:
		local_bh_disable();
		break;
	case LAZY_IRQ_DISABLED:
		local_irq_disable();
		break;
	case LAZY_PREEMPT_DISABLED:
		preempt_disable();
		break;
	}
}

static void lazy_context_end(enum lazy_context context)
{
	switch (context) {
	case LAZY_BH_DISABLED:
		local_bh_enable();
		break;
	case LAZY_IRQ_DISABLED:
		local_irq_enable();
		break;
	case LAZY_PREEMPT_DISABLED:
		preempt_enable();
		break;
	}
}

static const struct {
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
};

#define LAZY_SUMMARY_STEPS	ARRAY_SIZE(lazy_summary)

/* Make the calls of the summary, those from @from up to before @to in @context. */
static void lazy_walk_summary(enum lazy_context context, int from, int to)
{
	for (int i = 0; i < LAZY_SUMMARY_STEPS; i++) {
		if (i == from && from < to)
			lazy_context_begin(context);
		lazy_call(&lazy_log, lazy_summary[i].call, &lazy_steps[i]);
		if (i == to - 1)
			lazy_context_end(context);
	}
	lazy_close();
}

/* Returns false at the first step that differs. */
static bool lazy_expect_summary(struct kunit *test)
{
	for (int i = 0; i < LAZY_SUMMARY_STEPS; i++) {
		const struct lazy_step *step = &lazy_steps[i];

		LAZY_EXPECT_STEP(test, step, lazy_summary[i].hook,
				 lazy_summary[i].enable, lazy_summary[i].pause);
		if (step->odd || step->hook.hook != lazy_summary[i].hook ||
		    step->enable != lazy_summary[i].enable ||
		    step->pause != lazy_summary[i].pause)
			return false;
	}
	return true;
}

/* The contract in six rows. The table in the log is what the kernel did. */
static void seed_summary(struct kunit *test)
{
	lazy_walk_summary(0, 0, 0);

	for (int i = 0; i < LAZY_SUMMARY_STEPS; i++)
		kunit_info(test, "%s\n", lazy_observed(&lazy_steps[i]));
	lazy_expect_summary(test);
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

/* In all ways, such as enable(), local_bh_disable(), disable(), local_bh_enable(). */
static void section_may_overlap_with_something_disabled(struct kunit *test)
{
	const struct lazy_context_param *param = test->param_value;

	for (int from = 0; from < LAZY_SUMMARY_STEPS; from++) {
		for (int to = from + 1; to <= LAZY_SUMMARY_STEPS; to++) {
			lazy_walk_summary(param->context, from, to);
			if (lazy_expect_summary(test))
				continue;
			/* The others would only repeat it. */
			kunit_info(test, "with %s in steps %d to %d\n",
				   param->desc, from + 1, to);
			return;
		}
	}
}

/*
 * The model for sequences of calls. Calls are brackets: disable closes the
 * last enable and resume the last pause, and what was opened before a pause is
 * not to be closed in it. So a list of what is open tells everything. A section
 * opened in a pause does not count. A hook is due when the mode changes, and
 * when a section closes while the mode stays on.
 */
struct lazy_model {
	u8 open[LAZY_MAX_CALLS];
	unsigned int nr_open;
	unsigned int enable;
	unsigned int pause;
	bool on;
	enum lazy_hook hook;
};

/* Returns false if the call is not legal. */
static bool lazy_model_call(struct lazy_model *model, enum lazy_call call)
{
	bool was_on = model->on;

	if (lazy_opens(call)) {
		model->open[model->nr_open++] = call;
	} else {
		if (!model->nr_open ||
		    lazy_counterpart(model->open[model->nr_open - 1]) != call)
			return false;
		model->nr_open--;
	}

	model->enable = 0;
	model->pause = 0;
	for (unsigned int i = 0; i < model->nr_open; i++) {
		if (model->open[i] == LAZY_PAUSE)
			model->pause++;
		else if (!model->pause)
			model->enable++;
	}
	model->on = model->enable && !model->pause;

	if (model->on != was_on)
		model->hook = model->on ? LAZY_ENTER : LAZY_LEAVE;
	else if (model->on && call == LAZY_DISABLE)
		model->hook = LAZY_FLUSH;
	else
		model->hook = LAZY_NO_HOOK;

	return true;
}

/* Two bits a call. Returns false if the sequence is not legal. */
static bool lazy_decode(unsigned int code, enum lazy_call *calls)
{
	struct lazy_model model = {};

	for (int i = 0; i < LAZY_SEQUENCE_LENGTH; i++) {
		calls[i] = (code >> (2 * i)) & 3;
		if (!lazy_model_call(&model, calls[i]))
			return false;
	}
	return true;
}

/* Returns false at the first step that differs, with the last few before it. */
static bool lazy_expect_model(struct kunit *test, unsigned int nr_steps)
{
	struct lazy_model model = {};

	for (unsigned int i = 0; i < nr_steps; i++) {
		const struct lazy_step *step = &lazy_steps[i];

		lazy_model_call(&model, step->call);
		if (!step->odd && step->hook.hook == model.hook &&
		    step->enable == model.enable && step->pause == model.pause)
			continue;

		for (unsigned int j = max(i, 16) - 16; j < i; j++)
			kunit_info(test, "%s\n", lazy_observed(&lazy_steps[j]));
		LAZY_EXPECT_STEP(test, step, model.hook, model.enable, model.pause);
		return false;
	}
	return true;
}

/* Every step is compared, so the shorter sequences are in these. */
static void every_legal_sequence_of_eight_calls_fits_the_model(struct kunit *test)
{
	enum lazy_call calls[LAZY_SEQUENCE_LENGTH];
	unsigned int nr_sequences = 0;

	for (unsigned int code = 0; code < 1 << (2 * LAZY_SEQUENCE_LENGTH); code++) {
		if (!lazy_decode(code, calls))
			continue;
		nr_sequences++;
		if (!lazy_expect_model(test, lazy_run(calls, ARRAY_SIZE(calls))))
			return;
		cond_resched();
	}

	/*
	 * Ways to nest with 8, 7, 6, 5 and 4 calls that open, times two for
	 * each of these: it is an enable or a pause.
	 */
	KUNIT_EXPECT_EQ(test, nr_sequences,
			1 * 256 + 7 * 128 + 20 * 64 + 28 * 32 + 14 * 16);
}

static enum lazy_call *lazy_deep_calls(struct kunit *test)
{
	enum lazy_call *calls;

	calls = kunit_kmalloc_array(test, LAZY_MAX_CALLS, sizeof(*calls), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, calls);
	for (int i = 0; i < LAZY_MAX_CALLS; i++)
		calls[i] = i < LAZY_MAX_DEPTH ? LAZY_ENABLE : LAZY_PAUSE;
	return calls;
}

static void sections_nest_255_deep(struct kunit *test)
{
	unsigned int nr_steps = lazy_run(lazy_deep_calls(test), LAZY_MAX_DEPTH);

	lazy_expect_model(test, nr_steps);
	LAZY_EXPECT_STEP(test, &lazy_steps[254], LAZY_NO_HOOK, 255, 0);
	LAZY_EXPECT_STEP(test, &lazy_steps[255], LAZY_FLUSH, 254, 0);
}

static void pauses_nest_254_deep(struct kunit *test)
{
	unsigned int nr_steps = lazy_run(lazy_deep_calls(test), LAZY_MAX_CALLS);

	lazy_expect_model(test, nr_steps);
	LAZY_EXPECT_STEP(test, &lazy_steps[255 + 253], LAZY_NO_HOOK, 255, 254);
	LAZY_EXPECT_STEP(test, &lazy_steps[255 + 254], LAZY_NO_HOOK, 255, 253);
}

/* Interrupts. The handler is a timer's, and it makes all four calls. */

static const struct lazy_interrupt_param {
	const char *desc;
	bool is_soft;
	bool is_paused;
} lazy_interrupt_params[] = {
	{ "hard interrupt of a section", false, false },
	{ "hard interrupt of a pause", false, true },
	{ "softirq on a section", true, false },
	{ "softirq on a pause", true, true },
};

KUNIT_ARRAY_PARAM_DESC(lazy_interrupt, lazy_interrupt_params, desc);

struct lazy_interrupt {
	struct lazy_irq irq;

	/* What the handler reached. */
	unsigned int nr_calls;
	unsigned int nr_hooks;

	/* The section afterwards. */
	struct lazy_mmu_state state;
	bool still_on;
	struct lazy_step resume;
	struct lazy_step disable;
};

static void lazy_interrupt_fn(struct lazy_irq *irq)
{
	struct lazy_interrupt *seen = container_of(irq, typeof(*seen), irq);

	lazy_log.nr_interrupt_calls = 0;
	lazy_log.nr_interrupt_hooks = 0;
	for (enum lazy_call call = 0; call < NR_LAZY_CALLS; call++)
		lazy_do_call(call);
	seen->nr_calls = lazy_log.nr_interrupt_calls;
	seen->nr_hooks = lazy_log.nr_interrupt_hooks;
}

static struct lazy_interrupt *lazy_interrupt_section(struct kunit *test)
{
	const struct lazy_interrupt_param *param = test->param_value;
	struct lazy_interrupt *seen = kunit_kzalloc(test, sizeof(*seen), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, seen);
	lazy_irq_init(test, &seen->irq, param->is_soft, lazy_interrupt_fn);

	for (int i = 0; i < 100 && !lazy_irq_hit(&seen->irq); i++) {
		lazy_mmu_mode_enable();
		if (param->is_paused)
			lazy_mmu_mode_pause();
		lazy_irq_start(&seen->irq);
		lazy_irq_wait(&seen->irq);

		seen->state = current->lazy_mmu_state;
		seen->still_on = in_lazy_mmu_mode();
		if (param->is_paused)
			lazy_call(&lazy_log, LAZY_RESUME, &seen->resume);
		lazy_call(&lazy_log, LAZY_DISABLE, &seen->disable);
		lazy_close();
	}
	KUNIT_ASSERT_TRUE_MSG(test, lazy_irq_hit(&seen->irq), "no interrupt hit the section");

	return seen;
}

static void calls_in_an_interrupt_reach_no_hook(struct kunit *test)
{
	struct lazy_interrupt *irq = lazy_interrupt_section(test);

	/* The probes did watch. */
	KUNIT_ASSERT_EQ(test, irq->nr_calls, 4);
	KUNIT_EXPECT_EQ(test, irq->nr_hooks, 0);
}

static void section_survives_an_interrupt(struct kunit *test)
{
	const struct lazy_interrupt_param *param = test->param_value;
	struct lazy_interrupt *irq = lazy_interrupt_section(test);

	KUNIT_EXPECT_EQ(test, irq->state.enable_count, 1);
	KUNIT_EXPECT_EQ(test, irq->state.pause_count, param->is_paused);
	KUNIT_EXPECT_EQ(test, irq->still_on, !param->is_paused);
	if (param->is_paused)
		LAZY_EXPECT_STEP(test, &irq->resume, LAZY_ENTER, 1, 0);
	LAZY_EXPECT_STEP(test, &irq->disable, LAZY_LEAVE, 0, 0);
}

/* Other tasks */

/* A task that waits in a section, or in a pause of one, to be told to go on. */
struct lazy_peer {
	struct lazy_thread thread;
	bool is_paused;

	bool was_told;
	unsigned int nr_while_waiting;
	int first_cpu;
	int last_cpu;
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
	peer->first_cpu = raw_smp_processor_id();
	complete(&peer->thread.is_in);

	if (peer->is_paused) {
		wait_for_completion(&peer->thread.go_on);
		peer->was_told = true;
	} else {
		peer->was_told = lazy_spin_until_done(&peer->thread.go_on, 10 * MSEC_PER_SEC);
	}

	peer->last_cpu = raw_smp_processor_id();
	peer->nr_while_waiting = log->nr;
	if (peer->is_paused)
		lazy_call(log, LAZY_RESUME, &peer->resume);
	lazy_call(log, LAZY_DISABLE, &peer->disable);
	lazy_close();

	return 0;
}

static struct lazy_peer *lazy_start_peer(struct kunit *test, int (*fn)(void *),
					 int cpu, bool is_paused)
{
	struct lazy_peer *peer = kunit_kzalloc(test, sizeof(*peer), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, peer);
	peer->is_paused = is_paused;
	lazy_start_thread(test, &peer->thread, fn, peer, cpu);

	return peer;
}

static void lazy_expect_peer(struct kunit *test, struct lazy_peer *peer)
{
	KUNIT_EXPECT_TRUE_MSG(test, peer->was_told, "its section ended too early");
	KUNIT_EXPECT_EQ(test, peer->nr_while_waiting, 0);
	LAZY_EXPECT_STEP(test, &peer->enable, LAZY_ENTER, 1, 0);
	if (peer->is_paused) {
		LAZY_EXPECT_STEP(test, &peer->pause, LAZY_LEAVE, 1, 1);
		LAZY_EXPECT_STEP(test, &peer->resume, LAZY_ENTER, 1, 0);
	}
	LAZY_EXPECT_STEP(test, &peer->disable, LAZY_LEAVE, 0, 0);
}

static void section_is_not_seen_by_another_task(struct kunit *test)
{
	int this_cpu = lazy_stay_here(), other_cpu = lazy_other_cpu(this_cpu);
	struct lazy_mmu_state state;
	struct lazy_peer *peer;
	bool on;

	if (this_cpu == other_cpu)
		lazy_skip_unless_preemptible(test);

	peer = lazy_start_peer(test, lazy_peer_fn, other_cpu, false);
	state = current->lazy_mmu_state;
	on = in_lazy_mmu_mode();
	LAZY_RUN(LAZY_ENABLE);
	lazy_stop_thread(&peer->thread);

	lazy_expect_peer(test, peer);
	KUNIT_EXPECT_EQ(test, state.enable_count, 0);
	KUNIT_EXPECT_FALSE(test, on);
	LAZY_EXPECT_STEP(test, &lazy_steps[0], LAZY_ENTER, 1, 0);
	LAZY_EXPECT_STEP(test, &lazy_steps[1], LAZY_LEAVE, 0, 0);
}

static void pause_is_not_seen_by_another_task(struct kunit *test)
{
	struct lazy_mmu_state state;
	struct lazy_peer *peer;

	peer = lazy_start_peer(test, lazy_peer_fn, raw_smp_processor_id(), true);
	state = current->lazy_mmu_state;
	LAZY_RUN(LAZY_ENABLE);
	lazy_stop_thread(&peer->thread);

	lazy_expect_peer(test, peer);
	KUNIT_EXPECT_EQ(test, state.enable_count, 0);
	KUNIT_EXPECT_EQ(test, state.pause_count, 0);
	LAZY_EXPECT_STEP(test, &lazy_steps[0], LAZY_ENTER, 1, 0);
	LAZY_EXPECT_STEP(test, &lazy_steps[1], LAZY_LEAVE, 0, 0);
}

/* A real-time task on the same CPU only gets there by preempting the section. */
static void section_survives_preemption(struct kunit *test)
{
	struct lazy_mmu_state state;
	unsigned long nr_preempted;
	struct lazy_peer *peer;
	bool on;

	lazy_skip_unless_preemptible(test);

	sched_set_fifo(current);
	peer = lazy_start_peer(test, lazy_peer_fn, lazy_stay_here(), false);
	state = peer->thread.task->lazy_mmu_state;
	nr_preempted = peer->thread.task->nivcsw;
	on = in_lazy_mmu_mode();
	LAZY_RUN(LAZY_ENABLE);
	lazy_stop_thread(&peer->thread);

	KUNIT_ASSERT_EQ(test, state.enable_count, 1);
	KUNIT_ASSERT_GT(test, nr_preempted, 0);
	lazy_expect_peer(test, peer);
	KUNIT_EXPECT_FALSE(test, on);
	LAZY_EXPECT_STEP(test, &lazy_steps[0], LAZY_ENTER, 1, 0);
	LAZY_EXPECT_STEP(test, &lazy_steps[1], LAZY_LEAVE, 0, 0);
}

static void section_survives_migration(struct kunit *test)
{
	int this_cpu = raw_smp_processor_id(), other_cpu = lazy_other_cpu(this_cpu);
	struct lazy_peer *peer;

	if (this_cpu == other_cpu)
		kunit_skip(test, "needs two CPUs");
	lazy_skip_unless_preemptible(test);

	peer = lazy_start_peer(test, lazy_peer_fn, other_cpu, false);
	set_cpus_allowed_ptr(peer->thread.task, cpumask_of(this_cpu));
	lazy_stop_thread(&peer->thread);

	KUNIT_ASSERT_EQ(test, peer->first_cpu, other_cpu);
	KUNIT_ASSERT_EQ(test, peer->last_cpu, this_cpu);
	lazy_expect_peer(test, peer);
}

struct lazy_child {
	struct completion done;
	struct lazy_mmu_state state;
	struct lazy_step enable;
	struct lazy_step disable;
	struct lazy_step parent_resume;
	struct lazy_step parent_disable;
};

static int lazy_child_fn(void *data)
{
	struct lazy_child *child = data;

	child->state = current->lazy_mmu_state;
	WRITE_ONCE(lazy_peer_log.task, current);
	lazy_call(&lazy_peer_log, LAZY_ENABLE, &child->enable);
	lazy_call(&lazy_peer_log, LAZY_DISABLE, &child->disable);
	lazy_close();
	lazy_child_exit(&child->done);
}

/*
 * Fork in a section, which must be paused for that since fork sleeps.
 * kthread_create() would not do: it has another task fork.
 */
static struct lazy_child *lazy_fork(struct kunit *test)
{
	struct lazy_child *child = kunit_kzalloc(test, sizeof(*child), GFP_KERNEL);
	pid_t pid;

	KUNIT_ASSERT_NOT_NULL(test, child);

	lazy_mmu_mode_enable();
	lazy_mmu_mode_pause();
	pid = lazy_fork_child(lazy_child_fn, child, &child->done);
	lazy_call(&lazy_log, LAZY_RESUME, &child->parent_resume);
	lazy_call(&lazy_log, LAZY_DISABLE, &child->parent_disable);
	lazy_close();
	KUNIT_ASSERT_GT(test, pid, 0);

	return child;
}

static void new_task_starts_outside_a_section(struct kunit *test)
{
	struct lazy_child *child = lazy_fork(test);

	KUNIT_EXPECT_EQ(test, child->state.enable_count, 0);
	KUNIT_EXPECT_EQ(test, child->state.pause_count, 0);
	LAZY_EXPECT_STEP(test, &child->enable, LAZY_ENTER, 1, 0);
	LAZY_EXPECT_STEP(test, &child->disable, LAZY_LEAVE, 0, 0);
}

static void new_task_leaves_the_section_to_its_parent(struct kunit *test)
{
	struct lazy_child *child = lazy_fork(test);

	LAZY_EXPECT_STEP(test, &child->parent_resume, LAZY_ENTER, 1, 0);
	LAZY_EXPECT_STEP(test, &child->parent_disable, LAZY_LEAVE, 0, 0);
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

/* Returns the state in which the task was left; the hooks are in the log. */
static struct lazy_mmu_state lazy_let_die(struct kunit *test, bool is_paused)
{
	struct lazy_mmu_state state;
	struct lazy_peer *peer;

	peer = lazy_start_peer(test, lazy_dying_fn, raw_smp_processor_id(),
			       is_paused);
	kthread_stop(peer->thread.task);
	state = peer->thread.task->lazy_mmu_state;
	put_task_struct(peer->thread.task);

	return state;
}

static void dying_task_leaves_its_section(struct kunit *test)
{
	struct lazy_mmu_state state = lazy_let_die(test, false);

	KUNIT_EXPECT_EQ(test, state.enable_count, 0);
	KUNIT_EXPECT_EQ(test, state.pause_count, 0);
	/* Behind that its exit may have sections of its own. */
	KUNIT_ASSERT_GE(test, lazy_peer_log.nr, 1);
	KUNIT_EXPECT_EQ(test, lazy_peer_log.records[0].hook, LAZY_LEAVE);
	KUNIT_EXPECT_FALSE(test, lazy_peer_log.records[0].on);
}

static void dying_task_leaves_no_section_in_a_pause(struct kunit *test)
{
	struct lazy_mmu_state state = lazy_let_die(test, true);

	KUNIT_EXPECT_EQ(test, state.enable_count, 0);
	KUNIT_EXPECT_EQ(test, state.pause_count, 0);
	if (!lazy_peer_log.nr)
		return;
	KUNIT_EXPECT_EQ(test, lazy_peer_log.records[0].hook, LAZY_NO_HOOK);
	KUNIT_EXPECT_EQ(test, lazy_peer_log.records[0].call, LAZY_ENABLE);
}

static struct kunit_case lazy_mmu_mode_cases[] = {
	KUNIT_CASE(seed_summary),

	KUNIT_CASE(outermost_enable_enters),
	KUNIT_CASE(nested_enable_reaches_no_hook),
	KUNIT_CASE(outermost_pause_leaves),
	KUNIT_CASE(nested_pause_reaches_no_hook),
	KUNIT_CASE(nested_resume_reaches_no_hook),
	KUNIT_CASE(outermost_resume_enters),
	KUNIT_CASE(nested_disable_flushes),
	KUNIT_CASE(outermost_disable_leaves),
	KUNIT_CASE(enable_while_paused_does_nothing),
	KUNIT_CASE(disable_while_paused_does_nothing),

	KUNIT_CASE(events_name_the_caller),

	KUNIT_CASE(every_legal_sequence_of_eight_calls_fits_the_model),
	KUNIT_CASE(sections_nest_255_deep),
	KUNIT_CASE(pauses_nest_254_deep),

	KUNIT_CASE(preemption_changes_only_with_the_mode),
	KUNIT_CASE_PARAM(section_may_overlap_with_something_disabled,
			 lazy_context_gen_params),

	KUNIT_CASE_PARAM(calls_in_an_interrupt_reach_no_hook, lazy_interrupt_gen_params),
	KUNIT_CASE_PARAM(section_survives_an_interrupt, lazy_interrupt_gen_params),

	KUNIT_CASE(section_is_not_seen_by_another_task),
	KUNIT_CASE(pause_is_not_seen_by_another_task),
	KUNIT_CASE(section_survives_preemption),
	KUNIT_CASE(section_survives_migration),
	KUNIT_CASE(new_task_starts_outside_a_section),
	KUNIT_CASE(new_task_leaves_the_section_to_its_parent),
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

	lazy_steps = kvcalloc(LAZY_MAX_STEPS, sizeof(*lazy_steps), GFP_KERNEL);
	if (!lazy_steps)
		return -ENOMEM;

	err = register_trace_lazy_mmu_call(lazy_probe_call, NULL);
	if (!err)
		err = register_trace_lazy_mmu_hook(lazy_probe_hook, NULL);
	if (err) {
		lazy_unregister_probes();
		kvfree(lazy_steps);
	}
	return err;
}

static void lazy_mmu_mode_suite_exit(struct kunit_suite *suite)
{
	lazy_unregister_probes();
	kvfree(lazy_steps);
	lazy_steps = NULL;
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
	.name = "lazy_mmu_mode",
	.suite_init = lazy_mmu_mode_suite_init,
	.suite_exit = lazy_mmu_mode_suite_exit,
	.init = lazy_mmu_mode_init,
	.exit = lazy_mmu_mode_exit,
	.test_cases = lazy_mmu_mode_cases,
};

kunit_test_suite(lazy_mmu_mode_suite);

MODULE_DESCRIPTION("KUnit tests for lazy MMU sections");
MODULE_LICENSE("GPL");
