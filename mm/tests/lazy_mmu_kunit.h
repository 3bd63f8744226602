/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_TESTS_LAZY_MMU_KUNIT_H
#define _MM_TESTS_LAZY_MMU_KUNIT_H

/* What the KUnit suites of lazy MMU sections have in common. */

#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_context.h>
#include <linux/pgtable.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/uaccess.h>

#include <asm/sections.h>

enum lazy_call {
	LAZY_ENABLE,
	LAZY_DISABLE,
	LAZY_PAUSE,
	LAZY_RESUME,
	NR_LAZY_CALLS,
};

enum lazy_hook {
	LAZY_NO_HOOK,
	LAZY_ENTER,
	LAZY_LEAVE,
	LAZY_FLUSH,
};

/* Inline, since a file may have helpers of its own. */
static __always_inline void lazy_do_call(enum lazy_call call)
{
	switch (call) {
	case LAZY_ENABLE:
		lazy_mmu_mode_enable();
		break;
	case LAZY_DISABLE:
		lazy_mmu_mode_disable();
		break;
	case LAZY_PAUSE:
		lazy_mmu_mode_pause();
		break;
	case LAZY_RESUME:
		lazy_mmu_mode_resume();
		break;
	default:
		break;
	}
}

/* lazy_mmu_recorded_kunit.c: the helpers once more, with hooks that record. */

struct lazy_counts {
	u8 enable;
	u8 pause;
	bool on;
};

/* What a helper has done besides: its hook, and what that sees. */
struct lazy_recorded {
	enum lazy_hook hook;
	unsigned int nr_hooks;
	struct lazy_counts at_hook;
	bool has_warned;
};

void lazy_look_at_counts(struct lazy_counts *seen);
void lazy_recorded_call(enum lazy_call call, struct lazy_recorded *recorded);

/*
 * Wait in a section, which excludes sleep. Preemption gets in, but not on return
 * from an interrupt on every architecture, so offer it an occasion.
 */
static inline bool lazy_spin_until_done(struct completion *done, unsigned int ms)
{
	ktime_t end = ktime_add_ms(ktime_get(), ms);

	while (!completion_done(done)) {
		if (ktime_after(ktime_get(), end))
			return false;
		cpu_relax();
		preempt_disable();
		preempt_enable();
	}
	return true;
}

/* Interrupts of a section. The handler is a timer's, and calls @fn. */
struct lazy_irq {
	struct hrtimer timer;
	struct completion done;
	struct task_struct *task;
	bool is_soft;
	void (*fn)(struct lazy_irq *irq);
	/* It ran on top of the task, in a section and in the context that is due. */
	bool hit;
};

static const struct lazy_irq_param {
	const char *desc;
	bool is_soft;
} lazy_irq_params[] __maybe_unused = {
	{ "hard interrupt", false },
	{ "softirq", true },
};

static inline enum hrtimer_restart lazy_irq_fn(struct hrtimer *timer)
{
	struct lazy_irq *irq = container_of(timer, typeof(*irq), timer);
	bool is_due = irq->is_soft ? in_serving_softirq() && !in_hardirq() : in_hardirq();

	if (current == irq->task && current->lazy_mmu_state.enable_count && is_due) {
		irq->hit = true;
		irq->fn(irq);
	}
	complete(&irq->done);

	return HRTIMER_NORESTART;
}

static inline void lazy_irq_init(struct kunit *test, struct lazy_irq *irq, bool is_soft,
				 void (*fn)(struct lazy_irq *irq))
{
	if (is_soft && force_irqthreads())
		kunit_skip(test, "softirqs run in threads (PREEMPT_RT or threadirqs)");

	*irq = (struct lazy_irq) {
		.task = current,
		.is_soft = is_soft,
		.fn = fn,
	};
	init_completion(&irq->done);
	hrtimer_init(&irq->timer, CLOCK_MONOTONIC,
		     is_soft ? HRTIMER_MODE_REL_PINNED_SOFT : HRTIMER_MODE_REL_PINNED_HARD);
	irq->timer.function = lazy_irq_fn;
}

/* In a section: have the handler run. */
static inline void lazy_irq_start(struct lazy_irq *irq)
{
	reinit_completion(&irq->done);
	hrtimer_start(&irq->timer, ns_to_ktime(50 * NSEC_PER_USEC),
		      irq->is_soft ? HRTIMER_MODE_REL_PINNED_SOFT :
				     HRTIMER_MODE_REL_PINNED_HARD);
}

static inline void lazy_irq_wait(struct lazy_irq *irq)
{
	lazy_spin_until_done(&irq->done, 100);
}

/* Outside. The handler may have run on top of another task, or too late. */
static inline bool lazy_irq_hit(struct lazy_irq *irq)
{
	hrtimer_cancel(&irq->timer);
	cond_resched();
	return irq->hit;
}

/* Other tasks: one that says when it is in its section, and may wait there. */
struct lazy_thread {
	struct task_struct *task;
	struct completion is_in;
	struct completion go_on;
	/* While it waited. */
	bool was_told;
	bool was_preempted;
	int first_cpu;
	int last_cpu;
};

/* Its data, of @size bytes, begin with a struct lazy_thread. */
static inline void *lazy_start_thread(struct kunit *test, size_t size,
				      int (*fn)(void *), int cpu)
{
	struct lazy_thread *thread = kunit_kzalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, thread);
	init_completion(&thread->is_in);
	init_completion(&thread->go_on);
	thread->task = kthread_create(fn, thread, "lazy_mmu_thread");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, thread->task);
	get_task_struct(thread->task);
	set_cpus_allowed_ptr(thread->task, cpumask_of(cpu));
	wake_up_process(thread->task);
	wait_for_completion(&thread->is_in);
	return thread;
}

/* What the thread calls for it. */
static inline void lazy_thread_wait(struct lazy_thread *thread)
{
	thread->first_cpu = raw_smp_processor_id();
	complete(&thread->is_in);
	if (in_lazy_mmu_mode()) {
		thread->was_told = lazy_spin_until_done(&thread->go_on, 10 * MSEC_PER_SEC);
	} else {
		wait_for_completion(&thread->go_on);
		thread->was_told = true;
	}
	thread->last_cpu = raw_smp_processor_id();
}

static inline void lazy_stop_thread(struct lazy_thread *thread)
{
	complete(&thread->go_on);
	kthread_stop_put(thread->task);
}

/* Die as in an oops, which this counts as, but without its lines in the log. */
static inline void __noreturn lazy_die(struct lazy_thread *thread)
{
	complete(&thread->is_in);
	make_task_dead(SIGKILL);
}

/* A child of this task, unlike a thread. It calls the function below in the end. */
static inline pid_t lazy_fork_child(int (*fn)(void *), void *data, struct completion *done)
{
	pid_t pid;

	init_completion(done);
	/* Kernel threads ignore SIGCHLD, so nobody has to wait for the child. */
	pid = user_mode_thread(fn, data, SIGCHLD);
	if (pid > 0)
		wait_for_completion(done);
	return pid;
}

static inline void __noreturn lazy_child_exit(struct completion *done)
{
	complete(done);
	/* There is no user mode to return to. */
	do_exit(0);
}

/* Stay on this CPU; the thread that runs a case ends with it. */
static inline int lazy_stay_here(void)
{
	int cpu = raw_smp_processor_id();

	set_cpus_allowed_ptr(current, cpumask_of(cpu));
	return cpu;
}

static inline int lazy_other_cpu(int cpu)
{
	int other = cpumask_any_but(cpu_online_mask, cpu);

	return other < nr_cpu_ids ? other : cpu;
}

static inline void lazy_skip_unless_preemptible(struct kunit *test)
{
	bool is_preemptible;

	if (!preempt_model_preemptible())
		kunit_skip(test, "this kernel is not preemptible");

	lazy_mmu_mode_enable();
	is_preemptible = preemptible();
	lazy_mmu_mode_disable();
	if (!is_preemptible)
		kunit_skip(test, "a section disables preemption here");
}

/* A real-time task on the same CPU only gets there by preempting the section. */
static inline void *lazy_preempt_thread(struct kunit *test, size_t size, int (*fn)(void *))
{
	struct lazy_thread *thread;

	lazy_skip_unless_preemptible(test);
	sched_set_fifo(current);
	thread = lazy_start_thread(test, size, fn, lazy_stay_here());
	thread->was_preempted = thread->task->nivcsw;
	return thread;
}

/* It waits on another CPU, and ends on this one. */
static inline void *lazy_migrate_thread(struct kunit *test, size_t size, int (*fn)(void *))
{
	int this_cpu = lazy_stay_here(), other_cpu = lazy_other_cpu(this_cpu);
	struct lazy_thread *thread;

	if (this_cpu == other_cpu)
		kunit_skip(test, "needs two CPUs");
	lazy_skip_unless_preemptible(test);

	thread = lazy_start_thread(test, size, fn, other_cpu);
	set_cpus_allowed_ptr(thread->task, cpumask_of(this_cpu));
	lazy_stop_thread(thread);

	KUNIT_ASSERT_EQ(test, thread->first_cpu, other_cpu);
	KUNIT_ASSERT_EQ(test, thread->last_cpu, this_cpu);
	return thread;
}

/* In the function that a test names, or another? */
static inline bool lazy_is_in(unsigned long ip, const char *function)
{
	char name[64];

	/* Slow paths are in a part of a function that has this behind its name. */
	snprintf(name, sizeof(name), "%ps", (void *)ip);
	*strchrnul(name, '.') = '\0';
	return !strcmp(name, function);
}

/* Names, since a function's address may be that of its descriptor. */
static inline void lazy_expect_ip(struct kunit *test, unsigned long ip, const char *function)
{
	if (IS_ENABLED(CONFIG_KALLSYMS))
		KUNIT_EXPECT_TRUE_MSG(test, lazy_is_in(ip, function), "%pS, not %s",
				      (void *)ip, function);
}

/* As clear_warn_once in debugfs does. */
static inline void lazy_clear_warn_once(void)
{
	memset(__start_once, 0, __end_once - __start_once);
}

static inline void lazy_mmput(void *mm)
{
	mmput(mm);
}

/* An mm that memory can be mapped in. */
static inline struct mm_struct *lazy_alloc_mm(void)
{
	struct mm_struct *mm = mm_alloc();

	if (!mm)
		return NULL;
	mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(mm, &current->signal->rlim[RLIMIT_STACK]);
	/* Xen PV has to accept the page table before it is loaded. */
	if (arch_dup_mmap(mm, mm)) {
		mmput(mm);
		return NULL;
	}
	return mm;
}

/* For this task. It goes when the task exits. */
static inline int lazy_use_new_mm(void)
{
	struct mm_struct *mm = lazy_alloc_mm();

	if (!mm)
		return -ENOMEM;
	kthread_use_mm(mm);

	return 0;
}

/*
 * Another mm than that of this task, which has one, with writable memory at @addr
 * that holds @value.
 */
static inline struct mm_struct *lazy_make_mm(struct kunit *test, unsigned long addr,
					     size_t size, unsigned long value)
{
	struct mm_struct *mm = lazy_alloc_mm(), *this_mm = current->mm;
	unsigned long mapped;
	int err;

	KUNIT_ASSERT_NOT_NULL(test, mm);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, lazy_mmput, mm), 0);

	kthread_unuse_mm(this_mm);
	kthread_use_mm(mm);
	mapped = vm_mmap(NULL, addr, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
	err = put_user(value, (unsigned long __user *)addr);
	kthread_unuse_mm(mm);
	kthread_use_mm(this_mm);

	KUNIT_ASSERT_EQ(test, mapped, addr);
	KUNIT_ASSERT_EQ(test, err, 0);
	return mm;
}

#endif /* _MM_TESTS_LAZY_MMU_KUNIT_H */
