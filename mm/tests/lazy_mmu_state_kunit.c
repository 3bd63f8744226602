// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for the state of lazy MMU sections: the counts that the four
 * helpers keep in task_struct, and in_lazy_mmu_mode(), which follows from them.
 *
 * This needs no debug option and looks at no hook of an architecture. Sleeping in
 * a section is forbidden and a KUnit assertion may allocate, so a case records
 * what it sees, closes its section, and compares afterwards.
 */
#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/irq_work.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

/* As deep as the cases go. */
#define LAZY_DEPTH	3

struct lazy_seen {
	u8 enable;
	u8 pause;
	bool on;
};

static void lazy_look(struct lazy_seen *seen)
{
	seen->enable = current->lazy_mmu_state.enable_count;
	seen->pause = current->lazy_mmu_state.pause_count;
	seen->on = in_lazy_mmu_mode();
}

static void lazy_expect(struct kunit *test, const struct lazy_seen *seen,
			unsigned int enable, unsigned int pause)
{
	KUNIT_EXPECT_EQ(test, seen->enable, enable);
	KUNIT_EXPECT_EQ(test, seen->pause, pause);
	KUNIT_EXPECT_EQ(test, seen->on, enable > 0 && pause == 0);
}

static void lazy_open(unsigned int enable, unsigned int pause)
{
	while (enable--)
		lazy_mmu_mode_enable();
	while (pause--)
		lazy_mmu_mode_pause();
}

static void lazy_close(unsigned int enable, unsigned int pause)
{
	while (pause--)
		lazy_mmu_mode_resume();
	while (enable--)
		lazy_mmu_mode_disable();
}

/* The example of the documentation, which meets each hook. */
static void six_calls_count_as_documented(struct kunit *test)
{
	struct lazy_seen seen[6];

	lazy_mmu_mode_enable();
	lazy_look(&seen[0]);
	lazy_mmu_mode_enable();
	lazy_look(&seen[1]);
	lazy_mmu_mode_pause();
	lazy_look(&seen[2]);
	lazy_mmu_mode_resume();
	lazy_look(&seen[3]);
	lazy_mmu_mode_disable();
	lazy_look(&seen[4]);
	lazy_mmu_mode_disable();
	lazy_look(&seen[5]);

	lazy_expect(test, &seen[0], 1, 0);
	lazy_expect(test, &seen[1], 2, 0);
	lazy_expect(test, &seen[2], 2, 1);
	lazy_expect(test, &seen[3], 2, 0);
	lazy_expect(test, &seen[4], 1, 0);
	lazy_expect(test, &seen[5], 0, 0);
}

static void section_counts_at_every_depth(struct kunit *test)
{
	for (unsigned int enable = 0; enable <= LAZY_DEPTH; enable++) {
		for (unsigned int pause = 0; pause <= LAZY_DEPTH; pause++) {
			struct lazy_seen opened, closed;

			lazy_open(enable, pause);
			lazy_mmu_mode_enable();
			lazy_look(&opened);
			lazy_mmu_mode_disable();
			lazy_look(&closed);
			lazy_close(enable, pause);

			lazy_expect(test, &opened, pause ? enable : enable + 1, pause);
			lazy_expect(test, &closed, enable, pause);
		}
	}
}

static void pause_counts_at_every_depth(struct kunit *test)
{
	for (unsigned int enable = 0; enable <= LAZY_DEPTH; enable++) {
		for (unsigned int pause = 0; pause <= LAZY_DEPTH; pause++) {
			struct lazy_seen paused, resumed;

			lazy_open(enable, pause);
			lazy_mmu_mode_pause();
			lazy_look(&paused);
			lazy_mmu_mode_resume();
			lazy_look(&resumed);
			lazy_close(enable, pause);

			lazy_expect(test, &paused, enable, pause + 1);
			lazy_expect(test, &resumed, enable, pause);
		}
	}
}

static void section_counts_with_bottom_halves_disabled(struct kunit *test)
{
	struct lazy_seen opened, closed;

	local_bh_disable();
	lazy_mmu_mode_enable();
	lazy_look(&opened);
	local_bh_enable();
	lazy_mmu_mode_disable();
	lazy_look(&closed);

	lazy_expect(test, &opened, 1, 0);
	lazy_expect(test, &closed, 0, 0);
}

struct lazy_interrupt {
	struct irq_work work;
	struct lazy_seen opened, closed;
	bool hit;
};

static void lazy_interrupt_fn(struct irq_work *work)
{
	struct lazy_interrupt *irq = container_of(work, typeof(*irq), work);

	lazy_mmu_mode_enable();
	lazy_mmu_mode_pause();
	lazy_look(&irq->opened);
	lazy_mmu_mode_resume();
	lazy_mmu_mode_disable();
	lazy_look(&irq->closed);
	WRITE_ONCE(irq->hit, true);
}

static void interrupt_counts_nothing(struct kunit *test)
{
	struct lazy_interrupt irq = { .work = IRQ_WORK_INIT_HARD(lazy_interrupt_fn) };
	ktime_t end = ktime_add_ms(ktime_get(), 1000);
	struct lazy_seen after;

	preempt_disable();
	lazy_mmu_mode_enable();
	irq_work_queue(&irq.work);
	while (!READ_ONCE(irq.hit) && ktime_before(ktime_get(), end))
		cpu_relax();
	lazy_look(&after);
	lazy_mmu_mode_disable();
	preempt_enable();
	irq_work_sync(&irq.work);

	KUNIT_ASSERT_TRUE(test, irq.hit);
	KUNIT_EXPECT_EQ(test, irq.opened.enable, 1);
	KUNIT_EXPECT_EQ(test, irq.opened.pause, 0);
	KUNIT_EXPECT_FALSE(test, irq.opened.on);
	KUNIT_EXPECT_EQ(test, irq.closed.enable, 1);
	KUNIT_EXPECT_FALSE(test, irq.closed.on);
	lazy_expect(test, &after, 1, 0);
}

struct lazy_child {
	struct completion done;
	struct lazy_seen seen;
};

static int lazy_child_fn(void *data)
{
	struct lazy_child *child = data;

	lazy_look(&child->seen);
	complete(&child->done);
	/* There is no user mode to return to. */
	do_exit(0);
}

/* Fork sleeps, so it takes a pause. */
static void task_starts_outside_a_section(struct kunit *test)
{
	struct lazy_child child = {};
	struct lazy_seen parent;
	pid_t pid;

	init_completion(&child.done);
	lazy_mmu_mode_enable();
	lazy_mmu_mode_pause();
	/* Kernel threads ignore SIGCHLD, so nobody has to wait for the child. */
	pid = user_mode_thread(lazy_child_fn, &child, SIGCHLD);
	lazy_look(&parent);
	lazy_mmu_mode_resume();
	lazy_mmu_mode_disable();

	KUNIT_ASSERT_GT(test, pid, 0);
	wait_for_completion(&child.done);
	lazy_expect(test, &child.seen, 0, 0);
	lazy_expect(test, &parent, 1, 1);
}

static noinline void lazy_return_from_guards(struct lazy_seen seen[2])
{
	guard(lazy_mmu_mode)();

	lazy_look(&seen[0]);
	scoped_guard(lazy_mmu_mode_pause) {
		lazy_look(&seen[1]);
		return;
	}
}

static void return_closes_a_guarded_section(struct kunit *test)
{
	struct lazy_seen seen[2], after;

	lazy_return_from_guards(seen);
	lazy_look(&after);

	lazy_expect(test, &seen[0], 1, 0);
	lazy_expect(test, &seen[1], 1, 1);
	lazy_expect(test, &after, 0, 0);
}

static struct kunit_case lazy_mmu_state_cases[] = {
	KUNIT_CASE(six_calls_count_as_documented),
	KUNIT_CASE(section_counts_at_every_depth),
	KUNIT_CASE(pause_counts_at_every_depth),
	KUNIT_CASE(section_counts_with_bottom_halves_disabled),
	KUNIT_CASE(interrupt_counts_nothing),
	KUNIT_CASE(task_starts_outside_a_section),
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
