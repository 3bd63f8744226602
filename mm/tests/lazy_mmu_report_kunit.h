/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_TESTS_LAZY_MMU_REPORT_KUNIT_H
#define _MM_TESTS_LAZY_MMU_REPORT_KUNIT_H

/*
 * Reports of CONFIG_DEBUG_LAZY_MMU_MODE, for KUnit suites that cause them. A stub
 * takes them, so that none gets to the log and taints the kernel. It gets those of
 * the task that runs the case and of tasks that the case tells to belong to it.
 */
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/lazy_mmu_check.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "lazy_mmu_kunit.h"

/* Tasks that report do so one after the other. */
static unsigned int lazy_nr_reports;
static struct lazy_mmu_report lazy_reports[4];

static inline void lazy_take_report(const struct lazy_mmu_report *report)
{
	if (lazy_nr_reports < ARRAY_SIZE(lazy_reports))
		lazy_reports[lazy_nr_reports] = *report;
	lazy_nr_reports++;
}

/* Sections that are misused are opened here, for the reports to say so. */
static noinline __maybe_unused void lazy_open(void)
{
	lazy_mmu_mode_enable();
}

static noinline __maybe_unused void lazy_begin_pause(void)
{
	lazy_mmu_mode_pause();
}

/* Of all that has happened, this and nothing else was reported. */
static inline void lazy_expect_report(struct kunit *test, enum lazy_mmu_misuse misuse,
				      const char *opener)
{
	KUNIT_EXPECT_EQ(test, lazy_nr_reports, 1);
	KUNIT_EXPECT_EQ(test, lazy_reports[0].misuse, misuse);
	lazy_expect_ip(test, lazy_reports[0].opened_ip, opener);
}

static inline void lazy_expect_report_in(struct kunit *test, enum lazy_mmu_misuse misuse,
					 const char *opener, const char *function)
{
	lazy_expect_report(test, misuse, opener);
	lazy_expect_ip(test, lazy_reports[0].ip, function);
}

static inline void lazy_expect_counts(struct kunit *test, u8 enable, u8 pause)
{
	KUNIT_EXPECT_EQ(test, lazy_reports[0].enable_count, enable);
	KUNIT_EXPECT_EQ(test, lazy_reports[0].pause_count, pause);
}

static inline void lazy_expect_no_report(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, lazy_nr_reports, 0);
}

/* The task is where it was before the case. */
static inline void lazy_expect_closed(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, current->lazy_mmu_state.enable_count, 0);
	KUNIT_EXPECT_EQ(test, current->lazy_mmu_state.pause_count, 0);
	KUNIT_EXPECT_EQ(test, current->lazy_mmu_check.nr_sections, 0);
	KUNIT_EXPECT_FALSE(test, current->lazy_mmu_check.is_entered);
	KUNIT_EXPECT_FALSE(test, current->lazy_mmu_check.is_leaving);
}

static inline void lazy_take_no_reports(void *unused)
{
	lazy_mmu_report_test = NULL;
}

static inline int lazy_take_reports(struct kunit *test)
{
	lazy_nr_reports = 0;
	memset(lazy_reports, 0, sizeof(lazy_reports));
	lazy_mmu_report_stub = lazy_take_report;
	lazy_mmu_report_test = test;
	return kunit_add_action_or_reset(test, lazy_take_no_reports, NULL);
}

#endif /* _MM_TESTS_LAZY_MMU_REPORT_KUNIT_H */
