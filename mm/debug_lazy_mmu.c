// SPDX-License-Identifier: GPL-2.0
/*
 * CONFIG_DEBUG_LAZY_MMU_MODE: reports misuse of lazy MMU sections.
 *
 * The counts of a task do not tell who opened what, and a call that a pause
 * makes the helpers ignore leaves no trace in them. So each task also has a list
 * of its open sections, including those opened in a pause, and of its pauses.
 *
 * It also remembers page table entries that it has written in a section, whether
 * the architecture defers them or not, until they would have taken effect. To read
 * one before that is a bug on architectures that do.
 *
 * One bug is one report: what is wrong is made good, as far as that is known, and
 * what else the task does wrong for a while is made good silently.
 */
#include <kunit/test-bug.h>
#include <kunit/visibility.h>

#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/lazy_mmu_check.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/pid.h>
#include <linux/preempt.h>
#include <linux/panic.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include <asm/lazy_mmu_check.h>

#define CREATE_TRACE_POINTS
#include <trace/events/lazy_mmu.h>

static const char * const lazy_mmu_misuses[] = {
	[LAZY_MMU_DISABLE_WITHOUT_ENABLE] = "disable without enable",
	[LAZY_MMU_RESUME_WITHOUT_PAUSE] = "resume without pause",
	[LAZY_MMU_ENABLE_OVERFLOW] = "too many nested sections",
	[LAZY_MMU_PAUSE_OVERFLOW] = "too many nested pauses",
	[LAZY_MMU_PAUSE_MISMATCH] = "disable at another pause depth than enable",
	[LAZY_MMU_SLEEP] = "sleep in section",
	[LAZY_MMU_OPEN_AT_USER] = "return to user space with section or pause open",
	[LAZY_MMU_OPEN_AT_EXIT] = "exit with section or pause open",
	[LAZY_MMU_OPEN_AT_FORK] = "fork in section",
	[LAZY_MMU_ENTER_TWICE] = "enter hook called twice",
	[LAZY_MMU_LEAVE_TWICE] = "leave hook called twice",
	[LAZY_MMU_READ] = "entry written in section is read",
	[LAZY_MMU_OVERTAKEN] = "entry written in section is updated atomically",
};

static_assert(ARRAY_SIZE(lazy_mmu_misuses) == NR_LAZY_MMU_MISUSES);

/* Those reported so far. Forgotten with the others of WARN_ONCE(), by clear_warn_once. */
static struct {
	enum lazy_mmu_misuse misuse;
	unsigned long opened_ip;
	unsigned long accessed_ip;
} lazy_mmu_reported[64] __section(".data..once");
static unsigned int lazy_mmu_nr_reported __section(".data..once");

static DEFINE_RAW_SPINLOCK(lazy_mmu_report_lock);

struct kunit *lazy_mmu_report_test;
void (*lazy_mmu_report_stub)(const struct lazy_mmu_report *report);

/* Not a static stub of KUnit, which takes a lock that sleeps on PREEMPT_RT. */
static bool lazy_mmu_is_for_test(const struct lazy_mmu_report *report)
{
	struct kunit *test = kunit_get_current_test();

	if (!test || test != lazy_mmu_report_test)
		return false;
	lazy_mmu_report_stub(report);
	return true;
}

/*
 * Each misuse once for each place where a section was opened. A section may have
 * several entries that are read too early, each of which is a bug of its own.
 */
static bool lazy_mmu_is_reported(const struct lazy_mmu_report *report)
{
	unsigned long accessed_ip = report->misuse >= LAZY_MMU_READ ? report->ip : 0;
	unsigned long flags;
	unsigned int i;
	bool is_new = false, is_full;

	raw_spin_lock_irqsave(&lazy_mmu_report_lock, flags);
	for (i = 0; i < lazy_mmu_nr_reported; i++) {
		if (lazy_mmu_reported[i].misuse == report->misuse &&
		    lazy_mmu_reported[i].opened_ip == report->opened_ip &&
		    lazy_mmu_reported[i].accessed_ip == accessed_ip)
			break;
	}
	is_full = i == ARRAY_SIZE(lazy_mmu_reported);
	if (!is_full && i == lazy_mmu_nr_reported) {
		lazy_mmu_reported[i].misuse = report->misuse;
		lazy_mmu_reported[i].opened_ip = report->opened_ip;
		lazy_mmu_reported[i].accessed_ip = accessed_ip;
		lazy_mmu_nr_reported = i + 1;
		is_new = true;
	}
	raw_spin_unlock_irqrestore(&lazy_mmu_report_lock, flags);

	if (is_full)
		pr_warn_once("lazy MMU: too many different reports, new ones are dropped until clear_warn_once\n");
	return !is_new;
}

/**
 * lazy_mmu_report() - Report misuse of the lazy MMU mode
 * @report: What is known about it.
 *
 * Prints it, with a title for each misuse and function, once for each misuse and
 * place where a section was opened, and place where an entry is read if it is
 * about that, and taints as a warning does. A KUnit test can have a stub called
 * instead, for what its tasks cause.
 *
 * Context: Any but NMI, preemptible or not. It prints, so the runqueue must not
 * be locked.
 */
void lazy_mmu_report(const struct lazy_mmu_report *report)
{
	if (lazy_mmu_is_for_test(report) || lazy_mmu_is_reported(report))
		return;

	pr_err("==================================================================\n");
	pr_err("BUG: lazy MMU: %s in %pS\n", lazy_mmu_misuses[report->misuse],
	       (void *)report->ip);
	if (report->written_ip)
		pr_err("entry written at %pS\n", (void *)report->written_ip);
	else if (report->misuse >= LAZY_MMU_READ)
		pr_err("entry waits, and its write was not recorded\n");
	pr_err("%s%s opened at %pS, enable_count %u, pause_count %u, task %s[%d]\n",
	       report->is_open ? "" : "last ", report->is_pause ? "pause" : "section",
	       (void *)report->opened_ip, report->enable_count, report->pause_count,
	       current->comm, task_pid_nr(current));
	dump_stack();
	pr_err("==================================================================\n");
	check_panic_on_warn("lazy MMU");
	add_taint(TAINT_WARN, LOCKDEP_STILL_OK);
}

/*
 * Whether to report what is wrong now. What was reported may leave this task with
 * calls to come that do not fit any more. That is over when it returns to user
 * space, or soon in a task that does not.
 */
static bool lazy_mmu_is_news(void)
{
	struct lazy_mmu_check *check = &current->lazy_mmu_check;

	if (check->nr_muted)
		return false;
	check->nr_muted = LAZY_MMU_CHECK_MUTED;
	return true;
}

static struct lazy_mmu_report lazy_mmu_misused(enum lazy_mmu_misuse misuse,
					       unsigned long ip)
{
	const struct lazy_mmu_state *state = &current->lazy_mmu_state;
	const struct lazy_mmu_check *check = &current->lazy_mmu_check;
	struct lazy_mmu_report report = {
		.misuse = misuse,
		.ip = ip,
		.enable_count = state->enable_count,
		.pause_count = state->pause_count,
	};
	unsigned int nr = check->nr_sections;

	switch (misuse) {
	case LAZY_MMU_RESUME_WITHOUT_PAUSE:
	case LAZY_MMU_PAUSE_OVERFLOW:
		report.is_pause = true;
		break;
	case LAZY_MMU_OPEN_AT_USER:
	case LAZY_MMU_OPEN_AT_EXIT:
		report.is_pause = !nr && state->pause_count;
		break;
	default:
		break;
	}
	if (report.is_pause)
		nr = state->pause_count;

	/* The deepest that has a place in the list. */
	report.is_open = nr > 0;
	nr = clamp(nr, 1, LAZY_MMU_CHECK_DEPTH) - 1;
	report.opened_ip = report.is_pause ? check->pauses[nr] :
					     check->sections[nr].ip;

	return report;
}

static void lazy_mmu_report_call(enum lazy_mmu_misuse misuse, unsigned long ip)
{
	struct lazy_mmu_report report = lazy_mmu_misused(misuse, ip);

	if (lazy_mmu_is_news())
		lazy_mmu_report(&report);
}

/* Is a call of the leave hook still due? */
static bool lazy_mmu_must_leave(const struct lazy_mmu_check *check)
{
	return check->is_entered || check->is_leaving;
}

/* What is open must not be, so close it, then say so. */
static void lazy_mmu_report_open(enum lazy_mmu_misuse misuse, unsigned long ip)
{
	struct lazy_mmu_report report = lazy_mmu_misused(misuse, ip);
	struct lazy_mmu_check *check = &current->lazy_mmu_check;
	bool is_lost = lazy_mmu_must_leave(check) && !in_lazy_mmu_mode();

	check->nr_sections = 0;
	check->last = (struct lazy_mmu_state) {};
	lazy_mmu_mode_reset();
	if (is_lost) {
		lazy_mmu_check_hook(LAZY_MMU_HOOK_LEAVE, ip);
		arch_leave_lazy_mmu_mode();
	}

	if (lazy_mmu_is_news())
		lazy_mmu_report(&report);
}

static void lazy_mmu_check_enable(struct lazy_mmu_check *check,
				  const struct lazy_mmu_state *state,
				  unsigned long ip)
{
	if (!state->pause_count && check->last.enable_count == U8_MAX) {
		lazy_mmu_report_call(LAZY_MMU_ENABLE_OVERFLOW, ip);
		return;
	}

	if (!check->nr_sections && check->nr_muted)
		check->nr_muted--;

	if (check->nr_sections < LAZY_MMU_CHECK_DEPTH) {
		check->sections[check->nr_sections].ip = ip;
		check->sections[check->nr_sections].pause_count = state->pause_count;
	}
	check->nr_sections++;
}

static void lazy_mmu_check_disable(struct lazy_mmu_check *check,
				   struct lazy_mmu_state *state,
				   unsigned long ip)
{
	unsigned int opened_at;

	if (!check->nr_sections) {
		lazy_mmu_report_call(LAZY_MMU_DISABLE_WITHOUT_ENABLE, ip);
		return;
	}

	if (check->nr_sections > LAZY_MMU_CHECK_DEPTH) {
		check->nr_sections--;
		return;
	}

	opened_at = check->sections[check->nr_sections - 1].pause_count;
	if (opened_at != state->pause_count) {
		lazy_mmu_report_call(LAZY_MMU_PAUSE_MISMATCH, ip);
		/*
		 * If the section counts, the pause has hidden its end. Make up
		 * for that, without a hook, which is for the mode to end. This
		 * may have been one disable too many, instead.
		 */
		if (!opened_at && state->enable_count)
			state->enable_count--;
	}
	check->nr_sections--;
}

static void lazy_mmu_check_pause(struct lazy_mmu_check *check,
				 const struct lazy_mmu_state *state,
				 unsigned long ip)
{
	unsigned int nr_pauses = check->last.pause_count;

	if (nr_pauses < LAZY_MMU_CHECK_DEPTH)
		check->pauses[nr_pauses] = ip;
	else if (state->pause_count == U8_MAX && nr_pauses < U8_MAX)
		lazy_mmu_report_call(LAZY_MMU_PAUSE_OVERFLOW, ip);

	if (nr_pauses < U8_MAX)
		check->last.pause_count++;
}

static void lazy_mmu_check_resume(struct lazy_mmu_check *check, unsigned long ip)
{
	if (!check->last.pause_count)
		lazy_mmu_report_call(LAZY_MMU_RESUME_WITHOUT_PAUSE, ip);
	else if (check->last.pause_count < U8_MAX)
		check->last.pause_count--;
}

/**
 * lazy_mmu_check_hook() - Check a call of a hook, and trace it
 * @hook: What is called next.
 * @ip: Where the helper was called that reaches it.
 *
 * Context: Task context, with the counts as the hook sees them.
 */
void lazy_mmu_check_hook(enum lazy_mmu_hook hook, unsigned long ip)
{
	const struct lazy_mmu_state *state = &current->lazy_mmu_state;
	struct lazy_mmu_check *check = &current->lazy_mmu_check;
	bool is_due;

	trace_lazy_mmu_hook(hook, state->enable_count, state->pause_count, ip);

	switch (hook) {
	case LAZY_MMU_HOOK_ENTER:
		if (check->is_entered)
			lazy_mmu_report_call(LAZY_MMU_ENTER_TWICE, ip);
		check->is_entered = true;
		break;
	case LAZY_MMU_HOOK_LEAVE:
		/* A preemption moves what is true from one to the other. */
		preempt_disable();
		is_due = lazy_mmu_must_leave(check);
		if (check->is_entered)
			check->is_entered = false;
		else
			check->is_leaving = false;
		preempt_enable();
		if (!is_due)
			lazy_mmu_report_call(LAZY_MMU_LEAVE_TWICE, ip);
		break;
	case LAZY_MMU_HOOK_NONE:
	case LAZY_MMU_HOOK_FLUSH:
		break;
	}

	/* Nothing waits at enter, nor behind the others. */
	check->nr_written = 0;
	/* An empty range has accessors come here for any entry. */
	if (in_lazy_mmu_mode() && arch_lazy_mmu_tells_what_waits())
		lazy_mmu_check_write(NULL, 0);
}

/**
 * lazy_mmu_check_call() - Check a call of a helper, and trace it
 * @call: The helper.
 * @hook: The hook that it reaches next, if any.
 * @ip: Where it was called.
 *
 * Context: Any, when the counts have changed, before the hook. Outside of task
 * context it traces only: a call that does nothing does no harm.
 */
void lazy_mmu_check_call(enum lazy_mmu_call call, enum lazy_mmu_hook hook,
			 unsigned long ip)
{
	struct lazy_mmu_state *state = &current->lazy_mmu_state;
	struct lazy_mmu_check *check = &current->lazy_mmu_check;

	trace_lazy_mmu_call(call, state->enable_count, state->pause_count, ip);
	if (!in_task())
		return;

	switch (call) {
	case LAZY_MMU_CALL_ENABLE:
		lazy_mmu_check_enable(check, state, ip);
		break;
	case LAZY_MMU_CALL_DISABLE:
		lazy_mmu_check_disable(check, state, ip);
		break;
	case LAZY_MMU_CALL_PAUSE:
		lazy_mmu_check_pause(check, state, ip);
		break;
	case LAZY_MMU_CALL_RESUME:
		lazy_mmu_check_resume(check, ip);
		break;
	}
	/*
	 * But not its pauses: if the task is preempted between count and check of one,
	 * the context switch may open sections of its own in between.
	 */
	check->last.enable_count = state->enable_count;

	if (hook != LAZY_MMU_HOOK_NONE)
		lazy_mmu_check_hook(hook, ip);
}
EXPORT_SYMBOL_IF_KUNIT(lazy_mmu_check_call);

/**
 * lazy_mmu_check_inline_call() - Check a call of a helper that is inline
 * @call: The helper.
 * @hook: The hook that it reaches next, if any.
 *
 * Context: As lazy_mmu_check_call().
 */
void lazy_mmu_check_inline_call(enum lazy_mmu_call call, enum lazy_mmu_hook hook)
{
	lazy_mmu_check_call(call, hook, _RET_IP_);
}
EXPORT_SYMBOL_IF_KUNIT(lazy_mmu_check_inline_call);

/**
 * lazy_mmu_check_sleep() - Check that a task that sleeps is not in a section
 * @ip: Where it sleeps, or could.
 *
 * A paused section is none. If the task is in one, it is not any more when this
 * returns, so it can sleep even if the architecture had disabled preemption.
 *
 * Context: Task context, but not in a preemption. The runqueue must not be
 * locked.
 * Return: true if this was misuse.
 */
bool lazy_mmu_check_sleep(unsigned long ip)
{
	if (likely(!in_task() ||
		   !(in_lazy_mmu_mode() || lazy_mmu_must_leave(&current->lazy_mmu_check))))
		return false;
	/* Not while booting, shutting down or in an oops. */
	if (system_state == SYSTEM_BOOTING || system_state > SYSTEM_RUNNING ||
	    oops_in_progress)
		return false;

	lazy_mmu_report_open(LAZY_MMU_SLEEP, ip);
	return true;
}

/**
 * lazy_mmu_check_preempt() - Note that the current task is preempted
 *
 * A context switch may free memory of another task in sections of its own. If
 * this task has counted its last section as closed, but not called leave yet,
 * those make it enter and leave once more before.
 *
 * Context: A preemption of a task, before the context switch.
 */
void lazy_mmu_check_preempt(void)
{
	struct lazy_mmu_check *check = &current->lazy_mmu_check;

	if (unlikely(check->is_entered && !in_lazy_mmu_mode())) {
		check->is_entered = false;
		check->is_leaving = true;
	}
}

/* A section that was opened in a pause is not in the counts, nor is a lost hook. */
static bool lazy_mmu_is_open(void)
{
	const struct lazy_mmu_check *check = &current->lazy_mmu_check;

	return current->lazy_mmu_state.counts || check->nr_sections ||
	       lazy_mmu_must_leave(check);
}

/**
 * lazy_mmu_check_exit_to_user() - Check a task that returns to user space
 *
 * Context: Task context, on the way to user space. Best called before the work
 * that is pending there, which may sleep.
 */
void lazy_mmu_check_exit_to_user(void)
{
	if (unlikely(lazy_mmu_is_open()))
		lazy_mmu_report_open(LAZY_MMU_OPEN_AT_USER, _RET_IP_);
	lazy_mmu_check_reset(current);
}

/**
 * lazy_mmu_check_exit() - Check a task that exits
 *
 * Context: Task context, before anything that sleeps. Not for a task that an
 * oops kills: what it leaves open is not its fault.
 */
void lazy_mmu_check_exit(void)
{
	if (unlikely(lazy_mmu_is_open()))
		lazy_mmu_report_open(LAZY_MMU_OPEN_AT_EXIT, _RET_IP_);
}

/**
 * lazy_mmu_check_fork() - Check a task that forks
 *
 * Forking sleeps, so it is forbidden in a section and allowed in a pause.
 *
 * Context: Task context, before anything that sleeps.
 */
void lazy_mmu_check_fork(void)
{
	if (unlikely(in_lazy_mmu_mode()))
		lazy_mmu_report_open(LAZY_MMU_OPEN_AT_FORK, _RET_IP_);
}

/**
 * lazy_mmu_check_reset() - Forget what a task has opened
 * @task: The current task, or one that is not running yet.
 *
 * Context: Any, after a reset of the task's lazy_mmu_state.
 */
void lazy_mmu_check_reset(struct task_struct *task)
{
	struct lazy_mmu_check *check = &task->lazy_mmu_check;

	check->last = task->lazy_mmu_state;
	check->nr_sections = 0;
	check->nr_muted = 0;
	check->is_entered = false;
	check->is_leaving = false;
}

/**
 * lazy_mmu_check_write() - Note that page table entries are written
 * @start: The first entry.
 * @size: The size of all of them, in bytes.
 *
 * Context: Any, for a plain write, which waits if this task is in lazy MMU mode.
 */
void lazy_mmu_check_write(const void *start, size_t size)
{
	struct lazy_mmu_check *check = &current->lazy_mmu_check;
	unsigned long addr = (unsigned long)start, ip = _RET_IP_;
	unsigned int at;

	if (!in_lazy_mmu_mode())
		return;

	/* A loop over a table is one range. */
	if (check->nr_written) {
		at = (check->nr_written - 1) % LAZY_MMU_CHECK_WRITTEN;
		if (check->written[at].end == addr && check->written[at].ip == ip) {
			check->written[at].end += size;
			return;
		}
	}

	at = check->nr_written++ % LAZY_MMU_CHECK_WRITTEN;
	check->written[at].start = addr;
	check->written[at].end = addr + size;
	check->written[at].ip = ip;
}
EXPORT_SYMBOL(lazy_mmu_check_write);

/* Does the architecture know that one of these entries waits? */
static bool lazy_mmu_waits(const void *start, size_t size)
{
	if (!arch_lazy_mmu_tells_what_waits())
		return false;

	for (const void *end = start + size; start < end; start += sizeof(pte_t)) {
		if (arch_lazy_mmu_waits(start))
			return true;
	}

	return false;
}

/**
 * lazy_mmu_check_access() - Check that page table entries do not wait
 * @start: The first entry.
 * @size: The size of all of them, in bytes.
 * @misuse: What it is if one of them does.
 *
 * What the task has written is known on any architecture. Some can also tell what
 * really waits, which finds writes that nobody noted.
 *
 * Context: Any, ahead of a read of the entries by somebody who relies on what it
 * returns, or of an update that does not wait.
 */
void lazy_mmu_check_access(const void *start, size_t size, enum lazy_mmu_misuse misuse)
{
	struct lazy_mmu_check *check = &current->lazy_mmu_check;
	struct lazy_mmu_report report = {};
	unsigned long addr = (unsigned long)start;
	unsigned int nr = min(check->nr_written, LAZY_MMU_CHECK_WRITTEN);
	bool is_known = false, is_reported = true;

	/* In an interrupt and outside lazy MMU mode nothing waits. */
	if (!in_lazy_mmu_mode())
		return;

	/* From the last, which is what a read should return. */
	for (unsigned int i = 1; i <= nr; i++) {
		unsigned int at = (check->nr_written - i) % LAZY_MMU_CHECK_WRITTEN;

		if (addr >= check->written[at].end ||
		    addr + size <= check->written[at].start)
			continue;
		if (!is_known && check->written[at].ip) {
			report = lazy_mmu_misused(misuse, _RET_IP_);
			report.written_ip = check->written[at].ip;
			is_reported = false;
		}
		is_known = true;
		/* One report for a loop over a table. */
		check->written[at].ip = 0;
	}

	if (!is_known && lazy_mmu_waits(start, size)) {
		report = lazy_mmu_misused(misuse, _RET_IP_);
		is_reported = false;
	}

	/* The task can go on as it is, so this mutes nothing. */
	if (!is_reported)
		lazy_mmu_report(&report);
}
EXPORT_SYMBOL(lazy_mmu_check_access);
