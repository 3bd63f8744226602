// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for the state of lazy MMU sections: the counts that the four
 * helpers keep in task_struct, and in_lazy_mmu_mode(), which follows from them.
 *
 * This needs no debug option. The state is two bytes, so each transition can be
 * tried: every state, every call, every context. Sleeping in a section is
 * forbidden and a KUnit assertion may allocate, so a case records what it sees,
 * closes its section, and compares afterwards.
 */
#include <kunit/test.h>

#include <linux/bottom_half.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "lazy_mmu_kunit.h"

void lazy_look_at_counts(struct lazy_counts *seen)
{
	seen->enable = current->lazy_mmu_state.enable_count;
	seen->pause = current->lazy_mmu_state.pause_count;
	seen->on = in_lazy_mmu_mode();
}

static void lazy_expect(struct kunit *test, const struct lazy_counts *seen,
			unsigned int enable, unsigned int pause)
{
	KUNIT_EXPECT_EQ(test, seen->enable, enable);
	KUNIT_EXPECT_EQ(test, seen->pause, pause);
	KUNIT_EXPECT_EQ(test, seen->on, enable > 0 && pause == 0);
}

/*
 * The contract in task context: what each call does at the counts in a range of
 * both. Each state is in one row of each call.
 */
static const struct lazy_row {
	enum lazy_call call;
	u8 enable_from, enable_to;
	u8 pause_from, pause_to;
	int enable_by, pause_by;
	enum lazy_hook hook;
	bool warns;
} lazy_rows[] = {
	{ LAZY_ENABLE,    0,   0,    0,   0,   1,  0, LAZY_ENTER },
	{ LAZY_ENABLE,    1, 254,    0,   0,   1,  0, LAZY_NO_HOOK },
	{ LAZY_ENABLE,  255, 255,    0,   0,   0,  0, LAZY_NO_HOOK, true },
	{ LAZY_ENABLE,    0, 255,    1, 255,   0,  0, LAZY_NO_HOOK },

	{ LAZY_DISABLE,   0,   0,    0,   0,   0,  0, LAZY_NO_HOOK, true },
	{ LAZY_DISABLE,   1,   1,    0,   0,  -1,  0, LAZY_LEAVE },
	{ LAZY_DISABLE,   2, 255,    0,   0,  -1,  0, LAZY_FLUSH },
	{ LAZY_DISABLE,   0, 255,    1, 255,   0,  0, LAZY_NO_HOOK },

	{ LAZY_PAUSE,     0,   0,    0,   0,   0,  1, LAZY_NO_HOOK },
	{ LAZY_PAUSE,     1, 255,    0,   0,   0,  1, LAZY_LEAVE },
	{ LAZY_PAUSE,     0, 255,    1, 253,   0,  1, LAZY_NO_HOOK },
	{ LAZY_PAUSE,     0, 255,  254, 254,   0,  1, LAZY_NO_HOOK, true },
	{ LAZY_PAUSE,     0, 255,  255, 255,   0,  0, LAZY_NO_HOOK },

	{ LAZY_RESUME,    0, 255,    0,   0,   0,  0, LAZY_NO_HOOK, true },
	{ LAZY_RESUME,    0,   0,    1, 254,   0, -1, LAZY_NO_HOOK },
	{ LAZY_RESUME,    1, 255,    1,   1,   0, -1, LAZY_ENTER },
	{ LAZY_RESUME,    1, 255,    2, 254,   0, -1, LAZY_NO_HOOK },
	{ LAZY_RESUME,    0, 255,  255, 255,   0,  0, LAZY_NO_HOOK },
};

/* Outside of task context. */
static const struct lazy_row lazy_nothing = { .hook = LAZY_NO_HOOK };

static const struct lazy_row *lazy_row(enum lazy_call call, unsigned int enable,
				       unsigned int pause)
{
	const struct lazy_row *row;

	for (row = lazy_rows; row < lazy_rows + ARRAY_SIZE(lazy_rows); row++) {
		if (row->call == call &&
		    enable >= row->enable_from && enable <= row->enable_to &&
		    pause >= row->pause_from && pause <= row->pause_to)
			return row;
	}
	return NULL;
}

/* Where the calls are made, and what is tried there. */
struct lazy_context {
	const char *desc;
	/* Calls lazy_try(), 256 times the calls, in the context. False if it cannot. */
	bool (*run)(struct lazy_context *context);
	bool is_task;
	/* The kernel's own helpers and hooks, rather than those that record. */
	bool is_real;
	/* Its interrupts hit other tasks only. */
	bool is_elsewhere;
	unsigned int pause;
	unsigned int nr_tried, nr_left_out;
	/* The first that is not as expected. */
	bool is_wrong;
	enum lazy_call call;
	unsigned int enable;
	struct lazy_counts seen;
	struct lazy_recorded recorded;
};

/* The hooks in pairs, and no warning. */
static void lazy_real_call(enum lazy_call call)
{
	if (in_lazy_mmu_mode())
		arch_enter_lazy_mmu_mode();
	lazy_do_call(call);
	if (in_lazy_mmu_mode())
		arch_leave_lazy_mmu_mode();
}

static bool lazy_is_as_expected(const struct lazy_context *context,
				const struct lazy_row *row, unsigned int enable,
				const struct lazy_counts *seen,
				const struct lazy_recorded *recorded)
{
	const struct lazy_counts *at_hook = &recorded->at_hook;
	unsigned int nr_hooks = row->hook == LAZY_NO_HOOK ? 0 : 1;

	if (seen->enable != enable + row->enable_by ||
	    seen->pause != context->pause + row->pause_by ||
	    seen->on != (context->is_task && seen->enable && !seen->pause))
		return false;
	if (context->is_real)
		return true;
	if (recorded->hook != row->hook ||
	    recorded->nr_hooks != nr_hooks ||
	    recorded->has_warned != (row->warns && !IS_ENABLED(CONFIG_DEBUG_LAZY_MMU_MODE)))
		return false;
	/* The counts change before the hook is called. */
	return !recorded->nr_hooks ||
	       (at_hook->enable == seen->enable && at_hook->pause == seen->pause &&
		at_hook->on == seen->on);
}

/* Every call at every enable count. The state of the task is the same afterwards. */
static void lazy_try(struct lazy_context *context)
{
	struct lazy_mmu_state *state = &current->lazy_mmu_state;
	const struct lazy_mmu_state saved = *state;

	for (int i = 0; i < NR_LAZY_CALLS * 256 && !context->is_wrong; i++) {
		enum lazy_call call = i / 256;
		unsigned int enable = i % 256;
		const struct lazy_row *row = &lazy_nothing;
		struct lazy_recorded recorded = {};
		struct lazy_counts seen;

		if (context->is_task)
			row = lazy_row(call, enable, context->pause);
		if (row && row->warns && context->is_real && IS_ENABLED(CONFIG_DEBUG_VM)) {
			context->nr_left_out++;
			continue;
		}

		state->enable_count = enable;
		state->pause_count = context->pause;
		if (context->is_real)
			lazy_real_call(call);
		else
			lazy_recorded_call(call, &recorded);
		lazy_look_at_counts(&seen);
		*state = saved;

		context->nr_tried++;
		if (row && lazy_is_as_expected(context, row, enable, &seen, &recorded))
			continue;
		context->is_wrong = true;
		context->call = call;
		context->enable = enable;
		context->seen = seen;
		context->recorded = recorded;
	}
}

static bool lazy_run_in_task(struct lazy_context *context)
{
	preempt_disable();
	lazy_try(context);
	preempt_enable();
	return true;
}

static bool lazy_run_without_bottom_halves(struct lazy_context *context)
{
	local_bh_disable();
	preempt_disable();
	lazy_try(context);
	preempt_enable();
	local_bh_enable();
	return true;
}

static bool lazy_run_without_interrupts(struct lazy_context *context)
{
	local_irq_disable();
	lazy_try(context);
	local_irq_enable();
	return true;
}

/* Interrupts of the CPU that waits for them, so that it is this task they hit. */
struct lazy_interrupt {
	struct irq_work work;
	struct tasklet_struct tasklet;
	struct task_struct *task;
	struct lazy_context *context;
	bool hit;
};

static void lazy_try_in_interrupt(struct lazy_interrupt *irq)
{
	if (current == irq->task && !in_task()) {
		lazy_try(irq->context);
		WRITE_ONCE(irq->hit, true);
	} else {
		irq->context->is_elsewhere = true;
	}
}

static void lazy_try_in_irq_work(struct irq_work *work)
{
	lazy_try_in_interrupt(container_of(work, struct lazy_interrupt, work));
}

static void lazy_try_in_tasklet(struct tasklet_struct *tasklet)
{
	lazy_try_in_interrupt(container_of(tasklet, struct lazy_interrupt, tasklet));
}

static bool lazy_run_in_interrupt(struct lazy_context *context)
{
	struct lazy_interrupt irq = {
		.work = IRQ_WORK_INIT_HARD(lazy_try_in_irq_work),
		.task = current,
		.context = context,
	};
	ktime_t end = ktime_add_ms(ktime_get(), 1000);

	preempt_disable();
	irq_work_queue(&irq.work);
	while (!READ_ONCE(irq.hit) && ktime_before(ktime_get(), end))
		cpu_relax();
	preempt_enable();
	irq_work_sync(&irq.work);
	return irq.hit;
}

/* Runs when bottom halves are enabled again, but where ksoftirqd or a timer is first. */
static bool lazy_run_in_softirq(struct lazy_context *context)
{
	struct lazy_interrupt irq = { .task = current, .context = context };

	tasklet_setup(&irq.tasklet, lazy_try_in_tasklet);
	for (int i = 0; i < 100 && !irq.hit; i++) {
		local_bh_disable();
		tasklet_schedule(&irq.tasklet);
		local_bh_enable();
		tasklet_kill(&irq.tasklet);
	}
	return irq.hit;
}

/* As if it were one. */
static bool lazy_run_in_nmi(struct lazy_context *context)
{
	unsigned long flags;

	local_irq_save(flags);
	preempt_count_add(NMI_OFFSET + HARDIRQ_OFFSET);
	lazy_try(context);
	preempt_count_sub(NMI_OFFSET + HARDIRQ_OFFSET);
	local_irq_restore(flags);
	return true;
}

static const struct lazy_context lazy_contexts[] = {
	{ "task context", lazy_run_in_task, .is_task = true },
	{ "bottom halves disabled", lazy_run_without_bottom_halves, .is_task = true },
	{ "interrupts disabled", lazy_run_without_interrupts, .is_task = true },
	{ "a soft interrupt", lazy_run_in_softirq },
	{ "a hard interrupt", lazy_run_in_interrupt },
	{ "an NMI", lazy_run_in_nmi },
};

KUNIT_ARRAY_PARAM_DESC(lazy_context, lazy_contexts, desc);

static void lazy_expect_transitions(struct kunit *test, bool is_real)
{
	struct lazy_context context = *(const struct lazy_context *)test->param_value;
	const struct lazy_counts *seen = &context.seen;
	ktime_t start = ktime_get();

	context.is_real = is_real;
	for (; context.pause < 256 && !context.is_wrong; context.pause++) {
		if (!context.run(&context)) {
			if (context.is_elsewhere && force_irqthreads())
				kunit_skip(test, "softirqs run in threads here");
			KUNIT_FAIL(test, "%s: no interrupt", context.desc);
			return;
		}
		cond_resched();
	}
	if (context.is_wrong) {
		KUNIT_FAIL(test,
			   "call %d at enable=%u pause=%u: enable=%u pause=%u on=%d, %u hooks, last %d, warned %d",
			   context.call, context.enable, context.pause - 1, seen->enable,
			   seen->pause, seen->on, context.recorded.nr_hooks,
			   context.recorded.hook, context.recorded.has_warned);
		return;
	}
	KUNIT_EXPECT_EQ(test, context.nr_tried + context.nr_left_out,
			256 * 256 * NR_LAZY_CALLS);
	KUNIT_EXPECT_LE(test, context.nr_left_out, 2 + 2 * 256);
	kunit_info(test, "%u transitions, %lld ms\n", context.nr_tried,
		   ktime_ms_delta(ktime_get(), start));
}

static void every_transition_is_as_documented(struct kunit *test)
{
	lazy_expect_transitions(test, false);
}

static void every_transition_of_the_kernel_is_as_documented(struct kunit *test)
{
	if (IS_ENABLED(CONFIG_DEBUG_LAZY_MMU_MODE))
		kunit_skip(test, "CONFIG_DEBUG_LAZY_MMU_MODE reports what has no section");
	lazy_expect_transitions(test, true);
}

/* The example of the documentation, which meets each hook. */
static void six_calls_count_as_documented(struct kunit *test)
{
	struct lazy_counts seen[6];

	lazy_mmu_mode_enable();
	lazy_look_at_counts(&seen[0]);
	lazy_mmu_mode_enable();
	lazy_look_at_counts(&seen[1]);
	lazy_mmu_mode_pause();
	lazy_look_at_counts(&seen[2]);
	lazy_mmu_mode_resume();
	lazy_look_at_counts(&seen[3]);
	lazy_mmu_mode_disable();
	lazy_look_at_counts(&seen[4]);
	lazy_mmu_mode_disable();
	lazy_look_at_counts(&seen[5]);

	lazy_expect(test, &seen[0], 1, 0);
	lazy_expect(test, &seen[1], 2, 0);
	lazy_expect(test, &seen[2], 2, 1);
	lazy_expect(test, &seen[3], 2, 0);
	lazy_expect(test, &seen[4], 1, 0);
	lazy_expect(test, &seen[5], 0, 0);
}

static void section_counts_with_bottom_halves_disabled(struct kunit *test)
{
	struct lazy_counts opened, closed, left, ended;

	local_bh_disable();
	lazy_mmu_mode_enable();
	lazy_look_at_counts(&opened);
	local_bh_enable();
	lazy_mmu_mode_disable();
	lazy_look_at_counts(&closed);

	lazy_mmu_mode_enable();
	local_bh_disable();
	lazy_look_at_counts(&left);
	lazy_mmu_mode_disable();
	local_bh_enable();
	lazy_look_at_counts(&ended);

	lazy_expect(test, &opened, 1, 0);
	lazy_expect(test, &closed, 0, 0);
	lazy_expect(test, &left, 1, 0);
	lazy_expect(test, &ended, 0, 0);
}

#ifndef MODULE
struct lazy_child {
	struct completion done;
	struct lazy_counts seen;
};

static int lazy_child_fn(void *data)
{
	struct lazy_child *child = data;

	lazy_look_at_counts(&child->seen);
	lazy_child_exit(&child->done);
}

/* Fork is not exported. It sleeps, so it takes a pause. */
static void task_starts_outside_a_section(struct kunit *test)
{
	struct lazy_child child = {};
	struct lazy_counts parent;
	pid_t pid;

	lazy_mmu_mode_enable();
	lazy_mmu_mode_pause();
	pid = lazy_fork_child(lazy_child_fn, &child, &child.done);
	lazy_look_at_counts(&parent);
	lazy_mmu_mode_resume();
	lazy_mmu_mode_disable();

	KUNIT_ASSERT_GT(test, pid, 0);
	lazy_expect(test, &child.seen, 0, 0);
	lazy_expect(test, &parent, 1, 1);
}
#endif

static noinline void lazy_return_from_guards(struct lazy_counts seen[3])
{
	guard(lazy_mmu_mode)();

	lazy_look_at_counts(&seen[0]);
	scoped_guard(lazy_mmu_mode)
		lazy_look_at_counts(&seen[1]);
	scoped_guard(lazy_mmu_mode_pause) {
		lazy_look_at_counts(&seen[2]);
		return;
	}
}

static void return_closes_a_guarded_section(struct kunit *test)
{
	struct lazy_counts seen[3], after;

	lazy_return_from_guards(seen);
	lazy_look_at_counts(&after);

	lazy_expect(test, &seen[0], 1, 0);
	lazy_expect(test, &seen[1], 2, 0);
	lazy_expect(test, &seen[2], 1, 1);
	lazy_expect(test, &after, 0, 0);
}

static struct kunit_case lazy_mmu_state_cases[] = {
	KUNIT_CASE(six_calls_count_as_documented),
	KUNIT_CASE_PARAM(every_transition_is_as_documented, lazy_context_gen_params),
	KUNIT_CASE_PARAM(every_transition_of_the_kernel_is_as_documented,
			 lazy_context_gen_params),
	KUNIT_CASE(section_counts_with_bottom_halves_disabled),
#ifndef MODULE
	KUNIT_CASE(task_starts_outside_a_section),
#endif
	KUNIT_CASE(return_closes_a_guarded_section),
	{}
};

static struct kunit_suite lazy_mmu_state_suite = {
	.name = "lazy_mmu_state",
	.test_cases = lazy_mmu_state_cases,
};

kunit_test_suite(lazy_mmu_state_suite);

MODULE_DESCRIPTION("KUnit tests for the state of lazy MMU sections");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
