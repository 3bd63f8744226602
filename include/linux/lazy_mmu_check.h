/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_LAZY_MMU_CHECK_H
#define _LINUX_LAZY_MMU_CHECK_H

/*
 * CONFIG_DEBUG_LAZY_MMU_MODE: checks that are made when a helper of the lazy MMU
 * mode is called, and where a task must not be in a section.
 */

#include <linux/types.h>

struct kunit;
struct task_struct;

enum lazy_mmu_call {
	LAZY_MMU_CALL_ENABLE,
	LAZY_MMU_CALL_DISABLE,
	LAZY_MMU_CALL_PAUSE,
	LAZY_MMU_CALL_RESUME,
};

enum lazy_mmu_hook {
	LAZY_MMU_HOOK_NONE,
	LAZY_MMU_HOOK_ENTER,
	LAZY_MMU_HOOK_LEAVE,
	LAZY_MMU_HOOK_FLUSH,
};

enum lazy_mmu_misuse {
	LAZY_MMU_DISABLE_WITHOUT_ENABLE,
	LAZY_MMU_RESUME_WITHOUT_PAUSE,
	LAZY_MMU_ENABLE_OVERFLOW,
	LAZY_MMU_PAUSE_OVERFLOW,
	LAZY_MMU_PAUSE_MISMATCH,
	LAZY_MMU_SLEEP,
	LAZY_MMU_OPEN_AT_USER,
	LAZY_MMU_OPEN_AT_EXIT,
	LAZY_MMU_OPEN_AT_FORK,
	LAZY_MMU_ENTER_TWICE,
	LAZY_MMU_LEAVE_TWICE,
	LAZY_MMU_READ,
	LAZY_MMU_OVERTAKEN,
	NR_LAZY_MMU_MISUSES,
};

/**
 * struct lazy_mmu_report - What is known about a misuse of the lazy MMU mode
 * @misuse: What happened.
 * @ip: Where it happened.
 * @opened_ip: Where the section was opened, or if @is_pause the pause. The
 *	innermost one that is open. If there is none, the outermost of those
 *	that were open last.
 * @written_ip: Where the page table entry was written that this is about, or 0.
 * @is_pause: This is about a pause.
 * @is_open: What @opened_ip opened is still open.
 * @enable_count: Sections open when it happened.
 * @pause_count: Pauses in force when it happened.
 */
struct lazy_mmu_report {
	enum lazy_mmu_misuse misuse;
	unsigned long ip;
	unsigned long opened_ip;
	unsigned long written_ip;
	bool is_pause;
	bool is_open;
	u8 enable_count;
	u8 pause_count;
};

#ifdef CONFIG_DEBUG_LAZY_MMU_MODE
void lazy_mmu_check_call(enum lazy_mmu_call call, enum lazy_mmu_hook hook,
			 unsigned long ip);
void lazy_mmu_check_inline_call(enum lazy_mmu_call call, enum lazy_mmu_hook hook);
void lazy_mmu_check_hook(enum lazy_mmu_hook hook, unsigned long ip);
void lazy_mmu_report(const struct lazy_mmu_report *report);
/* A running test, and what is called instead for tasks that belong to it. */
extern struct kunit *lazy_mmu_report_test;
extern void (*lazy_mmu_report_stub)(const struct lazy_mmu_report *report);
bool lazy_mmu_check_sleep(unsigned long ip);
void lazy_mmu_check_preempt(void);
void lazy_mmu_check_exit_to_user(void);
void lazy_mmu_check_exit(void);
void lazy_mmu_check_fork(void);
void lazy_mmu_check_reset(struct task_struct *task);
void lazy_mmu_check_write(const void *start, size_t size);
void lazy_mmu_check_access(const void *start, size_t size, enum lazy_mmu_misuse misuse);
#else
static inline void lazy_mmu_check_call(enum lazy_mmu_call call,
				       enum lazy_mmu_hook hook, unsigned long ip) {}
static inline void lazy_mmu_check_inline_call(enum lazy_mmu_call call,
					      enum lazy_mmu_hook hook) {}
static inline void lazy_mmu_check_hook(enum lazy_mmu_hook hook, unsigned long ip) {}

static inline bool lazy_mmu_check_sleep(unsigned long ip)
{
	return false;
}

static inline void lazy_mmu_check_preempt(void) {}
static inline void lazy_mmu_check_exit_to_user(void) {}
static inline void lazy_mmu_check_exit(void) {}
static inline void lazy_mmu_check_fork(void) {}
static inline void lazy_mmu_check_reset(struct task_struct *task) {}
#endif /* CONFIG_DEBUG_LAZY_MMU_MODE */

#endif /* _LINUX_LAZY_MMU_CHECK_H */
