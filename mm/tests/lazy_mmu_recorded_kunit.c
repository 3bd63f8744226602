// SPDX-License-Identifier: GPL-2.0
/*
 * The helpers of lazy MMU sections once more, for the KUnit tests of their state.
 * The hooks of an architecture are empty or hard to see, so these record.
 */
#include <linux/mm_types.h>
#include <linux/pfn.h>
#include <asm/pgtable.h>
#include <asm/lazy_mmu.h>

/* What <linux/pgtable.h> and lazy_mmu.c define from here on is for this file. */
#define arch_enter_lazy_mmu_mode	lazy_recorded_enter
#define arch_leave_lazy_mmu_mode	lazy_recorded_leave
#define arch_flush_lazy_mmu_mode	lazy_recorded_flush
#define lazy_mmu_mode_enable_slow	lazy_recorded_enable_slow
#define lazy_mmu_mode_disable_slow	lazy_recorded_disable_slow
#define lazy_mmu_mode_pause		lazy_recorded_pause
#define lazy_mmu_mode_resume		lazy_recorded_resume
#define lazy_mmu_mode_reset		lazy_recorded_reset

#include <linux/lazy_mmu_check.h>
/* Nor is what follows for the detector to see. */
#define lazy_mmu_check_call(...)	do { } while (0)
#define lazy_mmu_check_inline_call(...)	do { } while (0)
#define lazy_mmu_check_hook(...)	do { } while (0)

static void lazy_recorded_enter(void);
static void lazy_recorded_leave(void);
static void lazy_recorded_flush(void);

#include <kunit/visibility.h>
#include <linux/mmdebug.h>
#include <linux/pgtable.h>
#include <linux/sched.h>

#include "lazy_mmu_kunit.h"

static struct lazy_recorded *lazy_record;

/* Nor is this exported. */
#undef EXPORT_SYMBOL_IF_KUNIT
#define EXPORT_SYMBOL_IF_KUNIT(...)

#undef VM_WARN_ON_ONCE
#define VM_WARN_ON_ONCE(cond)	(lazy_record->has_warned |= (cond))

#include "../lazy_mmu.c"

static void lazy_record_hook(enum lazy_hook hook)
{
	lazy_record->hook = hook;
	lazy_record->nr_hooks++;
	lazy_look_at_counts(&lazy_record->at_hook);
}

static void lazy_recorded_enter(void)
{
	lazy_record_hook(LAZY_ENTER);
}

static void lazy_recorded_leave(void)
{
	lazy_record_hook(LAZY_LEAVE);
}

static void lazy_recorded_flush(void)
{
	lazy_record_hook(LAZY_FLUSH);
}

/* One at a time, preemption disabled. */
void lazy_recorded_call(enum lazy_call call, struct lazy_recorded *recorded)
{
	*recorded = (struct lazy_recorded) {};
	lazy_record = recorded;
	lazy_do_call(call);
}
