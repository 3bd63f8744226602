// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for CONFIG_DEBUG_LAZY_MMU_MODE: each misuse of lazy MMU sections is
 * reported as what it is, once, with the function that opened the section, also
 * by a guard; and what is legal is not reported.
 *
 * A stub takes the reports, see lazy_mmu_report_kunit.h.
 */
#include <kunit/test.h>

#include <linux/kthread.h>
#include <linux/lazy_mmu_check.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include <trace/events/printk.h>

#include "lazy_mmu_kunit.h"
#include "lazy_mmu_report_kunit.h"

#define LAZY_MAX_DEPTH		U8_MAX
#define LAZY_MAX_PAUSES		(U8_MAX - 1)
#define LAZY_SEQUENCE_LENGTH	6
#define LAZY_ERROR_LENGTH	8

static void lazy_open_in_a_pause(void)
{
	lazy_mmu_mode_pause();
	lazy_open();
	lazy_mmu_mode_resume();
}

static void lazy_close(void)
{
	lazy_mmu_mode_reset();
	lazy_mmu_check_reset(current);
}

/* Calls that do not fit */

/* One call a letter. Those in upper case are made where reports are to say so. */
static noinline void lazy_call_letters(const char *letters)
{
	static const char calls[] = "edpr";

	for (; *letters; letters++) {
		if (*letters == 'E')
			lazy_open();
		else if (*letters == 'P')
			lazy_begin_pause();
		else
			lazy_do_call(strchr(calls, *letters) - calls);
	}
}

static const struct lazy_misuse_param {
	const char *desc;
	const char *letters;
	enum lazy_mmu_misuse misuse;
	const char *opener;
	u8 enable, pause;
	bool is_open;
} lazy_misuse_params[] = {
	{ "disable without enable", "Edd",
	  LAZY_MMU_DISABLE_WITHOUT_ENABLE, "lazy_open", 0, 0 },
	{ "disable without enable, in a pause", "Edpdr",
	  LAZY_MMU_DISABLE_WITHOUT_ENABLE, "lazy_open", 0, 1 },
	{ "resume without pause", "ePrrd",
	  LAZY_MMU_RESUME_WITHOUT_PAUSE, "lazy_begin_pause", 1, 0 },
	{ "section closed in a pause", "Epdr",
	  LAZY_MMU_PAUSE_MISMATCH, "lazy_open", 1, 1, true },
	{ "section closed after its pause", "pErd",
	  LAZY_MMU_PAUSE_MISMATCH, "lazy_open", 0, 0, true },
	/* Which of the two calls is one too many cannot be known: either is the one. */
	{ "superfluous disable in a pause", "Epdrd",
	  LAZY_MMU_PAUSE_MISMATCH, "lazy_open", 1, 1, true },
	/* It closes the section around the pause in place of its own. */
	{ "section closed after its pause, in another", "epErdd",
	  LAZY_MMU_PAUSE_MISMATCH, "lazy_open", 0, 0, true },
	{ "innermost section closed in a pause", "eEpdrd",
	  LAZY_MMU_PAUSE_MISMATCH, "lazy_open", 2, 1, true },
};

KUNIT_ARRAY_PARAM_DESC(lazy_misuse, lazy_misuse_params, desc);

static void call_that_does_not_fit_is_reported_once(struct kunit *test)
{
	const struct lazy_misuse_param *param = test->param_value;

	lazy_call_letters(param->letters);

	lazy_expect_report_in(test, param->misuse, param->opener, "lazy_call_letters");
	KUNIT_EXPECT_EQ(test, lazy_reports[0].is_open, param->is_open);
	KUNIT_EXPECT_EQ(test, lazy_reports[0].is_pause,
			param->misuse == LAZY_MMU_RESUME_WITHOUT_PAUSE);
	lazy_expect_counts(test, param->enable, param->pause);
	lazy_expect_closed(test);
}

static noinline void section_too_deep_is_reported(struct kunit *test)
{
	for (int i = 0; i < LAZY_MAX_DEPTH; i++)
		lazy_open();
	lazy_mmu_mode_enable();
	for (int i = 0; i < LAZY_MAX_DEPTH + 1; i++)
		lazy_mmu_mode_disable();

	lazy_expect_report_in(test, LAZY_MMU_ENABLE_OVERFLOW, "lazy_open",
			      __func__);
	lazy_expect_counts(test, 255, 0);
	lazy_expect_closed(test);
}

static noinline void pause_too_deep_is_reported_once(struct kunit *test)
{
	bool was_on;

	lazy_mmu_mode_enable();
	for (int i = 0; i < LAZY_MAX_PAUSES; i++)
		lazy_begin_pause();
	for (int i = 0; i < 10; i++)
		lazy_mmu_mode_pause();
	for (int i = 0; i < LAZY_MAX_PAUSES + 10; i++)
		lazy_mmu_mode_resume();
	was_on = in_lazy_mmu_mode();
	lazy_mmu_mode_disable();
	lazy_mmu_check_exit_to_user();

	KUNIT_EXPECT_FALSE(test, was_on);
	lazy_expect_report_in(test, LAZY_MMU_PAUSE_OVERFLOW, "lazy_begin_pause",
			      __func__);
	lazy_expect_counts(test, 1, 255);
	lazy_expect_closed(test);
}

/* The depth of pauses at which each open section was opened, and is now. */
struct lazy_model {
	unsigned int sections[LAZY_ERROR_LENGTH + 1];
	unsigned int nr_sections;
	unsigned int nr_pauses;
};

/* Returns the misuse, or how many there are. */
static enum lazy_mmu_misuse lazy_model_call(struct lazy_model *model, enum lazy_call call)
{
	switch (call) {
	case LAZY_ENABLE:
		model->sections[model->nr_sections++] = model->nr_pauses;
		break;
	case LAZY_DISABLE:
		if (!model->nr_sections)
			return LAZY_MMU_DISABLE_WITHOUT_ENABLE;
		if (model->sections[--model->nr_sections] != model->nr_pauses)
			return LAZY_MMU_PAUSE_MISMATCH;
		break;
	case LAZY_PAUSE:
		model->nr_pauses++;
		break;
	case LAZY_RESUME:
		if (!model->nr_pauses)
			return LAZY_MMU_RESUME_WITHOUT_PAUSE;
		model->nr_pauses--;
		break;
	default:
		break;
	}
	return NR_LAZY_MMU_MISUSES;
}

/*
 * Two bits a call, up to the first that is not legal. Returns what is wrong with
 * the reports, if anything.
 */
static const char *lazy_run(unsigned int code, unsigned int *nr_illegal)
{
	enum lazy_mmu_misuse misuse = NR_LAZY_MMU_MISUSES;
	struct lazy_model model = {};
	const char *wrong = NULL;

	lazy_nr_reports = 0;
	for (int i = 0; i < LAZY_SEQUENCE_LENGTH && !wrong; i++) {
		enum lazy_call call = (code >> (2 * i)) & 3;

		misuse = lazy_model_call(&model, call);
		lazy_do_call(call);
		if (misuse != NR_LAZY_MMU_MISUSES)
			break;
		if (lazy_nr_reports)
			wrong = "legal call reported";
	}
	if (misuse != NR_LAZY_MMU_MISUSES) {
		(*nr_illegal)++;
		if (lazy_nr_reports != 1)
			wrong = "illegal call not reported, or not once";
		else if (lazy_reports[0].misuse != misuse)
			wrong = "illegal call reported as something else";
	}
	if (!wrong && current->lazy_mmu_check.is_entered != in_lazy_mmu_mode())
		wrong = "hooks do not fit the counts";

	lazy_close();
	return wrong;
}

/* Balanced, and what was opened in a pause is closed in it. */
static bool lazy_is_legal(const enum lazy_call *calls, unsigned int nr_calls)
{
	struct lazy_model model = {};

	for (unsigned int i = 0; i < nr_calls; i++) {
		unsigned int nr_pauses = model.nr_pauses;

		if (lazy_model_call(&model, calls[i]) != NR_LAZY_MMU_MISUSES)
			return false;
		/* A pause that ends with a section of its own open. */
		if (calls[i] == LAZY_RESUME && model.nr_sections &&
		    model.sections[model.nr_sections - 1] >= nr_pauses)
			return false;
	}
	return !model.nr_sections && !model.nr_pauses;
}

/* Then returns to user space. Returns how much was reported. */
static unsigned int lazy_make_calls(const enum lazy_call *calls, unsigned int nr_calls)
{
	lazy_nr_reports = 0;
	for (unsigned int i = 0; i < nr_calls; i++)
		lazy_do_call(calls[i]);
	lazy_mmu_check_exit_to_user();
	return lazy_nr_reports;
}

/* One call of a legal sequence is left out, or there is one too many. */
static void every_single_error_is_reported_once(struct kunit *test)
{
	unsigned int nr_errors = 0, nr_missed = 0, nr_repeated = 0, nr_false = 0;

	for (unsigned int code = 0; code < 1 << (2 * LAZY_ERROR_LENGTH); code++) {
		enum lazy_call calls[LAZY_ERROR_LENGTH], wrong[LAZY_ERROR_LENGTH + 1];

		for (int i = 0; i < LAZY_ERROR_LENGTH; i++)
			calls[i] = (code >> (2 * i)) & 3;
		if (!lazy_is_legal(calls, LAZY_ERROR_LENGTH))
			continue;
		nr_false += lazy_make_calls(calls, LAZY_ERROR_LENGTH);

		for (int error = 0; error < 5 * LAZY_ERROR_LENGTH + 4; error++) {
			/* The first are those that are left out. */
			int at = error < LAZY_ERROR_LENGTH ? error :
				 (error - LAZY_ERROR_LENGTH) / 4;
			unsigned int nr = 0, nr_reports;

			for (int i = 0; i <= LAZY_ERROR_LENGTH; i++) {
				if (i == at && error >= LAZY_ERROR_LENGTH)
					wrong[nr++] = (error - LAZY_ERROR_LENGTH) % 4;
				if (i < LAZY_ERROR_LENGTH &&
				    (i != at || error >= LAZY_ERROR_LENGTH))
					wrong[nr++] = calls[i];
			}
			nr_reports = lazy_make_calls(wrong, nr);
			nr_errors++;
			nr_missed += nr_reports == 0;
			nr_repeated += nr_reports > 1;
		}
		cond_resched();
	}

	KUNIT_EXPECT_EQ(test, nr_errors, 14 * 16 * 44);
	KUNIT_EXPECT_EQ(test, nr_missed, 0);
	KUNIT_EXPECT_EQ(test, nr_repeated, 0);
	KUNIT_EXPECT_EQ(test, nr_false, 0);
	lazy_expect_closed(test);
}

static void calls_are_reported_if_and_only_if_illegal(struct kunit *test)
{
	unsigned int nr_illegal = 0;

	for (unsigned int code = 0; code < 1 << (2 * LAZY_SEQUENCE_LENGTH); code++) {
		const char *wrong = lazy_run(code, &nr_illegal);

		if (wrong) {
			KUNIT_FAIL(test, "sequence %#x: %s", code, wrong);
			return;
		}
	}
	/* Neither all nor none of 4096. */
	KUNIT_EXPECT_GT(test, nr_illegal, 1024);
	KUNIT_EXPECT_LT(test, nr_illegal, 4096);
}

/* Sleep */

static void lazy_skip_without_might_sleep(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_DEBUG_ATOMIC_SLEEP))
		kunit_skip(test, "needs CONFIG_DEBUG_ATOMIC_SLEEP");
}

static noinline void might_sleep_in_a_section_is_reported(struct kunit *test)
{
	lazy_skip_without_might_sleep(test);

	lazy_open();
	might_sleep();
	lazy_mmu_mode_disable();

	lazy_expect_report_in(test, LAZY_MMU_SLEEP, "lazy_open",
			      __func__);
	KUNIT_EXPECT_TRUE(test, lazy_reports[0].is_open);
	lazy_expect_counts(test, 1, 0);
}

static noinline void cond_resched_in_a_section_is_reported(struct kunit *test)
{
	if (IS_ENABLED(CONFIG_PREEMPTION) &&
	    (IS_ENABLED(CONFIG_PREEMPT_RT) || !IS_ENABLED(CONFIG_DEBUG_ATOMIC_SLEEP)))
		kunit_skip(test, "cond_resched() is empty");

	lazy_open();
	cond_resched();
	lazy_mmu_mode_disable();

	lazy_expect_report_in(test, LAZY_MMU_SLEEP, "lazy_open",
			      __func__);
}

static void sleep_in_a_section_is_reported(struct kunit *test)
{
	lazy_open();
	schedule_timeout_uninterruptible(1);
	lazy_mmu_mode_disable();

	lazy_expect_report(test, LAZY_MMU_SLEEP, "lazy_open");
}

static void sleep_in_nested_sections_is_reported_once(struct kunit *test)
{
	lazy_mmu_mode_enable();
	lazy_open();
	schedule();
	schedule();
	lazy_mmu_mode_disable();
	lazy_mmu_mode_disable();

	lazy_expect_report(test, LAZY_MMU_SLEEP, "lazy_open");
	lazy_expect_counts(test, 2, 0);
	lazy_expect_closed(test);
}

/* Or an architecture that disables preemption would sleep with it disabled. */
static void section_is_left_before_the_sleep(struct kunit *test)
{
	int before = preempt_count(), after;
	bool is_entered;

	lazy_mmu_mode_enable();
	schedule();
	after = preempt_count();
	is_entered = current->lazy_mmu_check.is_entered;
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, lazy_nr_reports, 1);
	KUNIT_EXPECT_EQ(test, after, before);
	KUNIT_EXPECT_FALSE(test, is_entered);
}

/* In a task that does not return to user space. */
static void misuse_soon_after_a_report_is_reported(struct kunit *test)
{
	unsigned int nr_reports;

	lazy_mmu_mode_enable();
	schedule();
	lazy_mmu_mode_disable();
	for (int i = 1; i < LAZY_MMU_CHECK_MUTED; i++) {
		lazy_open();
		lazy_mmu_mode_disable();
		lazy_mmu_mode_disable();
	}
	nr_reports = lazy_nr_reports;
	lazy_nr_reports = 0;

	lazy_open();
	lazy_mmu_mode_disable();
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_EQ(test, nr_reports, 1);
	lazy_expect_report(test, LAZY_MMU_DISABLE_WITHOUT_ENABLE, "lazy_open");
}

static void sleep_in_a_pause_is_not_reported(struct kunit *test)
{
	lazy_mmu_mode_enable();
	lazy_mmu_mode_pause();
	might_sleep();
	cond_resched();
	schedule_timeout_uninterruptible(1);
	lazy_mmu_mode_resume();
	lazy_mmu_mode_disable();

	lazy_expect_no_report(test);
}

static void sleep_outside_a_section_is_not_reported(struct kunit *test)
{
	lazy_mmu_mode_enable();
	lazy_mmu_mode_disable();
	might_sleep();
	cond_resched();
	schedule_timeout_uninterruptible(1);

	lazy_expect_no_report(test);
}

/* Whether it was. */
static bool lazy_preempt_this_task(void)
{
	preempt_disable();
	set_tsk_need_resched(current);
	set_preempt_need_resched();
	preempt_enable();
	return !need_resched();
}

static void preemption_in_a_section_is_not_reported(struct kunit *test)
{
	bool is_preemptible, was_preempted;

	if (!preempt_model_preemptible())
		kunit_skip(test, "this kernel is not preemptible");

	lazy_mmu_mode_enable();
	is_preemptible = preemptible();
	was_preempted = lazy_preempt_this_task();
	lazy_mmu_mode_disable();

	if (!is_preemptible)
		kunit_skip(test, "a section disables preemption here");
	KUNIT_EXPECT_TRUE(test, was_preempted);
	lazy_expect_no_report(test);
}

/* Interrupts, in which the helpers do nothing. */

static void lazy_call_in_an_interrupt(struct lazy_irq *irq)
{
	lazy_mmu_mode_enable();
	lazy_mmu_mode_disable();
	lazy_mmu_mode_disable();
	lazy_mmu_mode_resume();
	lazy_mmu_mode_pause();
}

KUNIT_ARRAY_PARAM_DESC(lazy_irq, lazy_irq_params, desc);

static void calls_in_an_interrupt_are_not_reported(struct kunit *test)
{
	const struct lazy_irq_param *param = test->param_value;
	struct lazy_irq *irq = kunit_kzalloc(test, sizeof(*irq), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, irq);
	lazy_irq_init(test, irq, param->is_soft, lazy_call_in_an_interrupt);

	for (int i = 0; i < 100 && !lazy_irq_hit(irq); i++) {
		lazy_mmu_mode_enable();
		lazy_irq_start(irq);
		lazy_irq_wait(irq);
		lazy_mmu_mode_disable();
	}

	KUNIT_ASSERT_TRUE(test, lazy_irq_hit(irq));
	lazy_expect_no_report(test);
}

/* Other tasks */

struct lazy_peer {
	struct kunit *test;
	void (*fn)(void);
};

static int lazy_peer_fn(void *data)
{
	struct lazy_peer *peer = data;

	/* For its reports to get to the stub. */
	current->kunit_test = peer->test;
	peer->fn();

	return 0;
}

/* Have a task call @fn, then exit. */
static void lazy_run_peer(struct kunit *test, void (*fn)(void))
{
	struct lazy_peer *peer = kunit_kzalloc(test, sizeof(*peer), GFP_KERNEL);
	struct task_struct *task;

	KUNIT_ASSERT_NOT_NULL(test, peer);
	peer->test = test;
	peer->fn = fn;
	task = kthread_create(lazy_peer_fn, peer, "lazy_mmu_peer");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	get_task_struct(task);
	wake_up_process(task);
	/* kthread_stop() might keep it from running, so wait for its death. */
	while (!READ_ONCE(task->exit_state))
		schedule_timeout_uninterruptible(1);
	put_task_struct(task);
}

/* What a task leaves open when it exits or returns to user space. */

static void lazy_open_two(void)
{
	lazy_mmu_mode_enable();
	lazy_open();
}

static void lazy_nothing(void) {}

static const struct lazy_left_param {
	const char *desc;
	void (*fn)(void);
	const char *opener;
	bool is_pause;
	u8 enable, pause;
} lazy_left_params[] = {
	{ "two sections", lazy_open_two, "lazy_open", false, 2, 0 },
	{ "pause", lazy_begin_pause, "lazy_begin_pause", true, 0, 1 },
	{ "section opened in a pause", lazy_open_in_a_pause, "lazy_open", false, 0, 0 },
	{ "nothing", lazy_nothing },
};

KUNIT_ARRAY_PARAM_DESC(lazy_left, lazy_left_params, desc);

static void lazy_expect_left(struct kunit *test, enum lazy_mmu_misuse misuse)
{
	const struct lazy_left_param *param = test->param_value;

	if (!param->opener) {
		lazy_expect_no_report(test);
		return;
	}
	lazy_expect_report(test, misuse, param->opener);
	KUNIT_EXPECT_TRUE(test, lazy_reports[0].is_open);
	KUNIT_EXPECT_EQ(test, lazy_reports[0].is_pause, param->is_pause);
	lazy_expect_counts(test, param->enable, param->pause);
}

static void open_at_exit_is_reported(struct kunit *test)
{
	const struct lazy_left_param *param = test->param_value;

	lazy_run_peer(test, param->fn);

	lazy_expect_left(test, LAZY_MMU_OPEN_AT_EXIT);
}

/* As in an oops, but without its lines in the log. */
static void lazy_die_in_a_section(void)
{
	lazy_mmu_mode_enable();
	make_task_dead(SIGKILL);
}

static void death_in_a_section_is_not_reported(struct kunit *test)
{
	lazy_run_peer(test, lazy_die_in_a_section);

	lazy_expect_no_report(test);
}

/* A child that inherits the stub, with the test. */
static void lazy_fork(struct kunit *test, int (*fn)(void *), void *data)
{
	pid_t pid = user_mode_thread(fn, data, SIGCHLD);
	int status;

	/* Kernel threads ignore SIGCHLD: this waits, then finds no child. */
	if (pid > 0)
		kernel_wait(pid, &status);
	KUNIT_ASSERT_GT(test, pid, 0);
}

static int lazy_exiting_child_fn(void *unused)
{
	/* There is no user mode to return to. */
	do_exit(0);
}

static void fork_in_a_section_is_reported(struct kunit *test)
{
	lazy_open();
	lazy_fork(test, lazy_exiting_child_fn, NULL);
	lazy_mmu_mode_disable();

	lazy_expect_report(test, LAZY_MMU_OPEN_AT_FORK, "lazy_open");
	lazy_expect_counts(test, 1, 0);
	lazy_expect_closed(test);
}

static void fork_in_a_pause_is_not_reported(struct kunit *test)
{
	lazy_mmu_mode_enable();
	lazy_mmu_mode_pause();
	lazy_fork(test, lazy_exiting_child_fn, NULL);
	lazy_mmu_mode_resume();
	lazy_mmu_mode_disable();

	lazy_expect_no_report(test);
}

static int lazy_disabling_child_fn(void *unused)
{
	lazy_mmu_mode_disable();
	do_exit(0);
}

static void new_task_has_nothing_open(struct kunit *test)
{
	lazy_open();
	lazy_mmu_mode_pause();
	lazy_fork(test, lazy_disabling_child_fn, NULL);
	lazy_mmu_mode_resume();
	lazy_mmu_mode_disable();

	lazy_expect_report(test, LAZY_MMU_DISABLE_WITHOUT_ENABLE, "lazy_open");
	KUNIT_EXPECT_FALSE(test, lazy_reports[0].is_open);
}

/* Return to user space, but die of a signal on the way. */
static int lazy_to_user_fn(void *data)
{
	const struct lazy_left_param *param = data;

	/* The parent ignores all signals, so this task does as well. */
	kernel_sigaction(SIGKILL, SIG_DFL);
	send_sig(SIGKILL, current, 1);
	param->fn();
	return 0;
}

static void lazy_skip_without_user_check(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_GENERIC_ENTRY) && !IS_ENABLED(CONFIG_ARM64) &&
	    !IS_ENABLED(CONFIG_PPC) && !IS_ENABLED(CONFIG_SPARC64) &&
	    !IS_ENABLED(CONFIG_UML))
		kunit_skip(test, "not checked on this architecture");
}

static void open_at_return_to_user_space_is_reported(struct kunit *test)
{
	lazy_skip_without_user_check(test);

	lazy_fork(test, lazy_to_user_fn, (void *)test->param_value);

	lazy_expect_left(test, LAZY_MMU_OPEN_AT_USER);
}

/* As if this task went there, which kernel threads do not. */
static void misuse_after_return_to_user_space_is_reported(struct kunit *test)
{
	lazy_open();
	schedule();
	lazy_mmu_mode_disable();
	KUNIT_EXPECT_EQ(test, lazy_nr_reports, 1);
	lazy_nr_reports = 0;

	lazy_mmu_check_exit_to_user();
	lazy_mmu_mode_disable();

	lazy_expect_report(test, LAZY_MMU_DISABLE_WITHOUT_ENABLE, "lazy_open");
}

/* Hooks. The helpers never get them wrong, so most are not really called. */

static noinline void enter_hook_called_twice_is_reported(struct kunit *test)
{
	lazy_open();
	lazy_mmu_check_hook(LAZY_MMU_HOOK_ENTER, _THIS_IP_);
	lazy_mmu_mode_disable();

	lazy_expect_report_in(test, LAZY_MMU_ENTER_TWICE, "lazy_open",
			      __func__);
	lazy_expect_counts(test, 1, 0);
	lazy_expect_closed(test);
}

static noinline void leave_hook_called_twice_is_reported(struct kunit *test)
{
	lazy_open();
	lazy_mmu_mode_disable();
	lazy_mmu_check_hook(LAZY_MMU_HOOK_LEAVE, _THIS_IP_);

	lazy_expect_report_in(test, LAZY_MMU_LEAVE_TWICE, "lazy_open",
			      __func__);
	lazy_expect_counts(test, 0, 0);
	lazy_expect_closed(test);
}

/* Only the hooks know that the task is still in lazy MMU mode. */
static void lazy_enter_without_a_section(void)
{
	lazy_open();
	lazy_mmu_mode_disable();
	lazy_mmu_check_hook(LAZY_MMU_HOOK_ENTER, _THIS_IP_);
	arch_enter_lazy_mmu_mode();
}

static void sleep_after_a_lost_leave_hook_is_reported(struct kunit *test)
{
	lazy_enter_without_a_section();
	schedule();
	schedule();

	lazy_expect_report(test, LAZY_MMU_SLEEP, "lazy_open");
	lazy_expect_closed(test);
}

static void return_to_user_space_after_a_lost_leave_hook_is_reported(struct kunit *test)
{
	lazy_enter_without_a_section();
	lazy_mmu_check_exit_to_user();

	lazy_expect_report(test, LAZY_MMU_OPEN_AT_USER, "lazy_open");
	KUNIT_EXPECT_FALSE(test, lazy_reports[0].is_pause);
	lazy_expect_closed(test);
}

static void lazy_lose_leave_hook_in_a_preemption(struct kunit *test)
{
	if (!preempt_model_preemptible())
		kunit_skip(test, "this kernel is not preemptible");

	lazy_enter_without_a_section();
	if (preemptible()) {
		KUNIT_EXPECT_TRUE(test, lazy_preempt_this_task());
		lazy_expect_no_report(test);
		return;
	}

	lazy_mmu_check_hook(LAZY_MMU_HOOK_LEAVE, _THIS_IP_);
	arch_leave_lazy_mmu_mode();
	kunit_skip(test, "a section disables preemption here");
}

static void sleep_after_a_leave_hook_lost_in_a_preemption_is_reported(struct kunit *test)
{
	lazy_lose_leave_hook_in_a_preemption(test);
	schedule();

	lazy_expect_report(test, LAZY_MMU_SLEEP, "lazy_open");
	lazy_expect_closed(test);
}

static void leave_hook_lost_in_a_preemption_is_reported_at_exit_to_user(struct kunit *test)
{
	lazy_lose_leave_hook_in_a_preemption(test);
	lazy_mmu_check_exit_to_user();

	lazy_expect_report(test, LAZY_MMU_OPEN_AT_USER, "lazy_open");
	lazy_expect_closed(test);
}

/* In lazy_mmu_mode_disable(), which has counted, but not called leave yet. */
static void section_of_a_context_switch_before_leave_is_not_reported(struct kunit *test)
{
	bool was_preempted;

	if (!preempt_model_preemptible())
		kunit_skip(test, "this kernel is not preemptible");

	lazy_mmu_check_hook(LAZY_MMU_HOOK_ENTER, _THIS_IP_);
	was_preempted = lazy_preempt_this_task();
	/* A context switch is not preempted. */
	preempt_disable();
	lazy_mmu_mode_enable();
	lazy_mmu_mode_disable();
	preempt_enable();
	lazy_mmu_check_hook(LAZY_MMU_HOOK_LEAVE, _THIS_IP_);

	KUNIT_EXPECT_TRUE(test, was_preempted);
	lazy_expect_no_report(test);
}

static void lazy_run_sections_of_a_context_switch(void)
{
	preempt_disable();
	lazy_mmu_mode_enable();
	lazy_mmu_mode_disable();
	lazy_begin_pause();
	lazy_mmu_mode_resume();
	preempt_enable();
}

/* As lazy_mmu_mode_pause(), if the task is preempted before the check. */
static noinline void lazy_pause_around_sections_of_a_context_switch(void)
{
	current->lazy_mmu_state.pause_count++;
	lazy_run_sections_of_a_context_switch();
	lazy_mmu_check_call(LAZY_MMU_CALL_PAUSE, LAZY_MMU_HOOK_NONE, _THIS_IP_);
}

static void lazy_resume_around_sections_of_a_context_switch(void)
{
	current->lazy_mmu_state.pause_count--;
	lazy_run_sections_of_a_context_switch();
	lazy_mmu_check_call(LAZY_MMU_CALL_RESUME, LAZY_MMU_HOOK_NONE, _THIS_IP_);
}

static void section_of_a_context_switch_in_resume_is_not_reported(struct kunit *test)
{
	lazy_mmu_mode_pause();
	lazy_resume_around_sections_of_a_context_switch();

	lazy_expect_no_report(test);
	lazy_expect_closed(test);
}

static void section_of_a_context_switch_in_pause_is_not_blamed(struct kunit *test)
{
	lazy_pause_around_sections_of_a_context_switch();
	lazy_mmu_mode_resume();
	lazy_expect_no_report(test);

	lazy_mmu_mode_resume();
	lazy_expect_report(test, LAZY_MMU_RESUME_WITHOUT_PAUSE,
			   "lazy_pause_around_sections_of_a_context_switch");
	lazy_expect_closed(test);
}

static noinline void leave_hook_called_twice_after_a_preemption_is_reported(struct kunit *test)
{
	if (!preempt_model_preemptible())
		kunit_skip(test, "this kernel is not preemptible");

	lazy_open();
	lazy_mmu_mode_disable();
	lazy_preempt_this_task();
	lazy_mmu_check_hook(LAZY_MMU_HOOK_LEAVE, _THIS_IP_);

	lazy_expect_report_in(test, LAZY_MMU_LEAVE_TWICE, "lazy_open",
			      __func__);
}

static void flush_hook_is_not_reported(struct kunit *test)
{
	lazy_mmu_check_hook(LAZY_MMU_HOOK_FLUSH, _THIS_IP_);
	lazy_mmu_mode_enable();
	lazy_mmu_check_hook(LAZY_MMU_HOOK_FLUSH, _THIS_IP_);
	lazy_mmu_check_hook(LAZY_MMU_HOOK_FLUSH, _THIS_IP_);
	lazy_mmu_mode_disable();

	lazy_expect_no_report(test);
}

static void deep_sections_and_pauses_are_not_reported(struct kunit *test)
{
	for (int i = 0; i < LAZY_MAX_DEPTH; i++)
		lazy_mmu_mode_enable();
	for (int i = 0; i < LAZY_MAX_PAUSES; i++)
		lazy_mmu_mode_pause();
	for (int i = 0; i < 2 * LAZY_MAX_DEPTH; i++)
		lazy_mmu_mode_enable();
	for (int i = 0; i < 2 * LAZY_MAX_DEPTH; i++)
		lazy_mmu_mode_disable();
	for (int i = 0; i < LAZY_MAX_PAUSES; i++)
		lazy_mmu_mode_resume();
	for (int i = 0; i < LAZY_MAX_DEPTH; i++)
		lazy_mmu_mode_disable();

	lazy_expect_no_report(test);
	lazy_expect_closed(test);
}

/* A guard, of which the report names the user. */

static noinline void lazy_pause_in_guard(void)
{
	guard(lazy_mmu_mode)();

	lazy_mmu_mode_pause();
}

static void guard_opens_and_closes_where_it_is_used(struct kunit *test)
{
	lazy_pause_in_guard();
	lazy_close();

	lazy_expect_report_in(test, LAZY_MMU_PAUSE_MISMATCH, "lazy_pause_in_guard",
			      "lazy_pause_in_guard");
}

static struct kunit_case lazy_mmu_mode_debug_cases[] = {
	KUNIT_CASE_PARAM(call_that_does_not_fit_is_reported_once, lazy_misuse_gen_params),
	KUNIT_CASE(section_too_deep_is_reported),
	KUNIT_CASE(pause_too_deep_is_reported_once),
	KUNIT_CASE(calls_are_reported_if_and_only_if_illegal),
	KUNIT_CASE(every_single_error_is_reported_once),
	KUNIT_CASE(deep_sections_and_pauses_are_not_reported),

	KUNIT_CASE(might_sleep_in_a_section_is_reported),
	KUNIT_CASE(cond_resched_in_a_section_is_reported),
	KUNIT_CASE(sleep_in_a_section_is_reported),
	KUNIT_CASE(sleep_in_nested_sections_is_reported_once),
	KUNIT_CASE(section_is_left_before_the_sleep),
	KUNIT_CASE(misuse_soon_after_a_report_is_reported),
	KUNIT_CASE(sleep_in_a_pause_is_not_reported),
	KUNIT_CASE(sleep_outside_a_section_is_not_reported),
	KUNIT_CASE(preemption_in_a_section_is_not_reported),
	KUNIT_CASE_PARAM(calls_in_an_interrupt_are_not_reported, lazy_irq_gen_params),

	KUNIT_CASE_PARAM(open_at_exit_is_reported, lazy_left_gen_params),
	KUNIT_CASE(death_in_a_section_is_not_reported),
	KUNIT_CASE(fork_in_a_section_is_reported),
	KUNIT_CASE(fork_in_a_pause_is_not_reported),
	KUNIT_CASE(new_task_has_nothing_open),
	KUNIT_CASE_PARAM(open_at_return_to_user_space_is_reported, lazy_left_gen_params),
	KUNIT_CASE(misuse_after_return_to_user_space_is_reported),

	KUNIT_CASE(enter_hook_called_twice_is_reported),
	KUNIT_CASE(leave_hook_called_twice_is_reported),
	KUNIT_CASE(sleep_after_a_lost_leave_hook_is_reported),
	KUNIT_CASE(return_to_user_space_after_a_lost_leave_hook_is_reported),
	KUNIT_CASE(sleep_after_a_leave_hook_lost_in_a_preemption_is_reported),
	KUNIT_CASE(leave_hook_lost_in_a_preemption_is_reported_at_exit_to_user),
	KUNIT_CASE(section_of_a_context_switch_before_leave_is_not_reported),
	KUNIT_CASE(section_of_a_context_switch_in_resume_is_not_reported),
	KUNIT_CASE(section_of_a_context_switch_in_pause_is_not_blamed),
	KUNIT_CASE(leave_hook_called_twice_after_a_preemption_is_reported),
	KUNIT_CASE(flush_hook_is_not_reported),

	KUNIT_CASE(guard_opens_and_closes_where_it_is_used),
	{}
};

/* Runs in the task that then runs the case, unlike an exit function would. */
static int lazy_mmu_mode_debug_init(struct kunit *test)
{
	return lazy_take_reports(test);
}

/*
 * What is printed, which the suite above replaces. These cases leave reports in the
 * log and a taint.
 */
static struct {
	unsigned int nr_titles;
	unsigned int nr_drops;
	char title[160];
	char writer[160];
	char opener[160];
} lazy_printed;

static void lazy_probe_console(void *data, const char *text, size_t len)
{
	if (strnstr(text, "BUG: lazy MMU: ", len)) {
		lazy_printed.nr_titles++;
		strscpy(lazy_printed.title, text, min(len + 1, sizeof(lazy_printed.title)));
	} else if (strnstr(text, "lazy MMU: too many different reports", len)) {
		lazy_printed.nr_drops++;
	} else if (strnstr(text, "entry written at ", len) ||
		   strnstr(text, "entry waits, ", len)) {
		strscpy(lazy_printed.writer, text, min(len + 1, sizeof(lazy_printed.writer)));
	} else if (strnstr(text, " opened at ", len)) {
		strscpy(lazy_printed.opener, text, min(len + 1, sizeof(lazy_printed.opener)));
	}
}

static void lazy_expect_printed(struct kunit *test, const char *title, const char *opener)
{
	KUNIT_EXPECT_EQ(test, lazy_printed.nr_titles, 1);
	if (!IS_ENABLED(CONFIG_KALLSYMS))
		return;
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(lazy_printed.title, title), "%s",
				  lazy_printed.title);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(lazy_printed.opener, opener), "%s",
				  lazy_printed.opener);
}

static noinline void lazy_disable_twice(void)
{
	lazy_open();
	lazy_mmu_mode_disable();
	lazy_mmu_mode_disable();
	lazy_close();
}

static void report_names_the_misuse_and_both_functions(struct kunit *test)
{
	lazy_disable_twice();

	lazy_expect_printed(test, "BUG: lazy MMU: disable without enable in lazy_disable_twice",
			    "last section opened at lazy_open");
}

static void report_of_a_sleep_names_the_scheduler(struct kunit *test)
{
	lazy_open();
	schedule();
	lazy_close();

	lazy_expect_printed(test, "BUG: lazy MMU: sleep in section in ",
			    "section opened at lazy_open");
}

static void report_at_return_to_user_space_names_the_opener(struct kunit *test)
{
	lazy_skip_without_user_check(test);

	lazy_fork(test, lazy_to_user_fn, (void *)&lazy_left_params[0]);

	lazy_expect_printed(test, "BUG: lazy MMU: return to user space with section or pause open",
			    "section opened at lazy_open");
}

static void report_is_printed_once_per_opener(struct kunit *test)
{
	unsigned int nr_same;

	lazy_disable_twice();
	lazy_disable_twice();
	nr_same = lazy_printed.nr_titles;

	lazy_mmu_mode_enable();
	lazy_mmu_mode_disable();
	lazy_mmu_mode_disable();
	lazy_close();

	KUNIT_EXPECT_EQ(test, nr_same, 1);
	KUNIT_EXPECT_EQ(test, lazy_printed.nr_titles, 2);
}

static void report_is_printed_again_after_clear_warn_once(struct kunit *test)
{
	lazy_disable_twice();
	lazy_clear_warn_once();
	lazy_disable_twice();

	KUNIT_EXPECT_EQ(test, lazy_printed.nr_titles, 2);
}

static void reports_after_the_64th_are_dropped_with_one_message(struct kunit *test)
{
	struct lazy_mmu_report report = { .misuse = LAZY_MMU_DISABLE_WITHOUT_ENABLE };

	for (report.opened_ip = 1; report.opened_ip <= 66; report.opened_ip++)
		lazy_mmu_report(&report);

	KUNIT_EXPECT_EQ(test, lazy_printed.nr_titles, 64);
	KUNIT_EXPECT_EQ(test, lazy_printed.nr_drops, 1);
}

/* Not a page table entry, but nobody looks. */
static noinline __noclone void lazy_read_too_early(const long *entry)
{
	lazy_open();
	lazy_mmu_check_write(entry, sizeof(*entry));
	lazy_mmu_check_access(entry, sizeof(*entry), LAZY_MMU_READ);
	lazy_mmu_mode_disable();
}

static void report_of_a_read_names_the_writer(struct kunit *test)
{
	long entry = 0;

	lazy_read_too_early(&entry);

	lazy_expect_printed(test,
			    "BUG: lazy MMU: entry written in section is read in lazy_read_too_early",
			    "section opened at lazy_open");
	KUNIT_EXPECT_TRUE_MSG(test, !IS_ENABLED(CONFIG_KALLSYMS) ||
			      strstr(lazy_printed.writer, "entry written at lazy_read_too_early"),
			      "%s", lazy_printed.writer);
}

/* No machine is needed that knows it. */
static void report_of_a_read_says_that_the_writer_is_not_known(struct kunit *test)
{
	const struct lazy_mmu_report report = {
		.misuse = LAZY_MMU_READ,
		.ip = (unsigned long)report_of_a_read_says_that_the_writer_is_not_known,
		.opened_ip = (unsigned long)lazy_open,
		.is_open = true,
	};

	lazy_mmu_report(&report);

	lazy_expect_printed(test, "entry written in section is read in report_of_a_read_says",
			    "section opened at lazy_open");
	KUNIT_EXPECT_NOT_NULL(test, strstr(lazy_printed.writer, "entry waits, and its write"));
}

/* Unlike what is wrong with the section itself. */
static void report_of_a_read_is_printed_once_per_reader(struct kunit *test)
{
	long entry = 0;

	lazy_read_too_early(&entry);
	lazy_read_too_early(&entry);
	KUNIT_EXPECT_EQ(test, lazy_printed.nr_titles, 1);

	lazy_open();
	lazy_mmu_check_write(&entry, sizeof(entry));
	lazy_mmu_check_access(&entry, sizeof(entry), LAZY_MMU_READ);
	lazy_mmu_mode_disable();
	KUNIT_EXPECT_EQ(test, lazy_printed.nr_titles, 2);
}

static struct kunit_case lazy_mmu_mode_report_cases[] = {
	KUNIT_CASE(report_names_the_misuse_and_both_functions),
	KUNIT_CASE(report_of_a_sleep_names_the_scheduler),
	KUNIT_CASE(report_at_return_to_user_space_names_the_opener),
	KUNIT_CASE(report_is_printed_once_per_opener),
	KUNIT_CASE(report_is_printed_again_after_clear_warn_once),
	KUNIT_CASE(reports_after_the_64th_are_dropped_with_one_message),
	KUNIT_CASE(report_of_a_read_names_the_writer),
	KUNIT_CASE(report_of_a_read_says_that_the_writer_is_not_known),
	KUNIT_CASE(report_of_a_read_is_printed_once_per_reader),
	{}
};

static int lazy_mmu_mode_report_init(struct kunit *test)
{
	memset(&lazy_printed, 0, sizeof(lazy_printed));
	lazy_clear_warn_once();
	return 0;
}

static int lazy_mmu_mode_report_suite_init(struct kunit_suite *suite)
{
	return register_trace_console(lazy_probe_console, NULL);
}

static void lazy_mmu_mode_report_suite_exit(struct kunit_suite *suite)
{
	unregister_trace_console(lazy_probe_console, NULL);
	tracepoint_synchronize_unregister();
}

static struct kunit_suite lazy_mmu_mode_debug_suite = {
	.name = "lazy_mmu_mode_debug",
	.init = lazy_mmu_mode_debug_init,
	.test_cases = lazy_mmu_mode_debug_cases,
};

static struct kunit_suite lazy_mmu_mode_report_suite = {
	.name = "lazy_mmu_mode_report",
	.suite_init = lazy_mmu_mode_report_suite_init,
	.suite_exit = lazy_mmu_mode_report_suite_exit,
	.init = lazy_mmu_mode_report_init,
	.test_cases = lazy_mmu_mode_report_cases,
};

kunit_test_suites(&lazy_mmu_mode_debug_suite, &lazy_mmu_mode_report_suite);

MODULE_DESCRIPTION("KUnit tests for CONFIG_DEBUG_LAZY_MMU_MODE");
MODULE_LICENSE("GPL");
