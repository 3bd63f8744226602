// SPDX-License-Identifier: GPL-2.0-only
/// Find misuse of lazy MMU sections: a way out of a function that leaves a
/// section open or the mode paused, calls that do not pair up, something that
/// may sleep inside a section, and direct calls of the hooks of an architecture
/// from generic code.
//# False positives come from conditions that depend on each other, such as two
//# tests of a flag around an enable and a disable. A conditional disable is
//# taken for right if its condition is the pointer that the same block hands to
//# pte_unmap_unlock(). Functions of the same file that may sleep are known where
//# they are called in a section, but not those that these call in turn. KUnit
//# suites break the rules on purpose and are left out.
///
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: lazy_mmu_mode_enable, lazy_mmu_mode_disable
// Keywords: lazy_mmu_mode_pause, lazy_mmu_mode_resume

virtual org
virtual report

@initialize:python@
@@

import os
import re

SLEEPS = re.compile("|".join((
    # the scheduler
    r"might_(sleep|sleep_if|fault)", r"cond_resched(_\w+)?", r"yield",
    r"(io_)?schedule(_timeout\w*|_hrtimeout\w*)?",
    r"(ms|ss|fs)leep\w*", r"usleep_range\w*",
    # locks
    r"(ww_|rt_)?mutex_lock(_\w+)?", r"(percpu_)?down(_read|_write)?",
    r"down(_read|_write)?_(interruptible|killable|nested|killable_nested)",
    r"(mmap_(read|write)|(i_mmap|anon_vma))_lock(_killable|_nested|_read|_write)?",
    r"vma_start_write", r"(folio_lock|lock_page)(_killable)?",
    # waiting
    r"wait_(event|for_completion|on_bit|on_page)\w*", r"folio_wait_\w+",
    r"synchronize_(rcu\w*|srcu\w*|irq|net)", r"(s?rcu_)barrier",
    r"(flush|cancel|drain)_(delayed_)?work(queue)?(_sync)?",
    r"lru_add_drain_all", r"kthread_stop", r"stop_machine", r"mmput",
    # user memory
    r"(__)?copy_(from|to|in)_user", r"(__)?(get|put|clear)_user",
    r"(strncpy_from|strndup|v?memdup)_user", r"fault_in_\w+",
    r"(get|pin)_user_pages(_fast|_remote|_unlocked)?", r"handle_mm_fault",
    # page tables and large folios
    r"(__)?(p4d|pud|pmd|pte)_alloc(_track|_one|_map|_map_lock|_kernel\w*)?",
    r"split_huge_(pmd|pud|page\w*)", r"split_folio\w*",
    r"mmu_notifier_invalidate_range_start",
    # memory
    r"v[mz]alloc(_user|_node|_32)?", r"vfree", r"vmap", r"vunmap",
    r"ioremap\w*", r"iounmap", r"alloc_percpu\w*",
)))
BLOCKING_GFP = re.compile(
    r"GFP_(KERNEL|NOFS|NOIO|USER|HIGHUSER|PGTABLE)(_\w+)?|GFP_TRANSHUGE")

# Functions of the file at hand that call something that sleeps.
sleepers = set()
sleepers_file = None

def begin(p):
    global sleepers_file

    if p[0].file != sleepers_file:
        sleepers_file = p[0].file
        sleepers.clear()
    return True

def add_sleeper(p):
    sleepers.add(p[0].current_element)
    return True

def sleeps_itself(name):
    return SLEEPS.fullmatch(name) is not None

def sleeps(name):
    return sleeps_itself(name) or name in sleepers

def blocks(name):
    return BLOCKING_GFP.fullmatch(name) is not None

def is_test(p):
    return p[0].file.endswith(("_kunit.c", "_kunit.h"))

# Hooks are for architectures, and for the helpers.
HELPERS = ("include/linux/pgtable.h", "mm/lazy_mmu.c", "mm/debug_lazy_mmu.c")

def may_call_hooks(p):
    path = os.path.relpath(p[0].file, os.environ.get("srctree", "."))
    return path.startswith("arch/") or path in HELPERS

# A guard's section ends with the innermost block around it.
guard_end = {}

def place(p):
    return p[0].file, int(p[0].line), int(p[0].column)

def guard_in_block(guard, end):
    key = place(guard)
    guard_end[key] = min(place(end), guard_end.get(key, place(end)))

def is_guarded(guard, p):
    return place(p) < guard_end.get(place(guard), place(guard))

// ----------------------------------------------------------------------
// Hooks

@hook@
position p : script:python() { not may_call_hooks(p) and not is_test(p) };
@@

(
 arch_enter_lazy_mmu_mode@p()
|
 arch_leave_lazy_mmu_mode@p()
|
 arch_flush_lazy_mmu_mode@p()
)

@script:python depends on org@
p << hook.p;
@@

cocci.print_main("lazy MMU hook",p)

@script:python depends on report@
p << hook.p;
@@

msg = "ERROR: direct call of a lazy MMU hook, use lazy_mmu_mode_*()"
coccilib.report.print_report(p[0], msg)

// ----------------------------------------------------------------------
// Ways out

@pte_mapped@
expression E;
position p;
@@

 if (E) { ... lazy_mmu_mode_disable@p(); ... pte_unmap_unlock(E, ...); ... }

@open_at_return exists@
position p1 : script:python() { not is_test(p1) };
position p2;
expression E;
@@

 lazy_mmu_mode_enable@p1();
 ... when != lazy_mmu_mode_disable()
     when != if (E) { ... lazy_mmu_mode_disable(); ... pte_unmap_unlock(E, ...); ... }
 return@p2 ...;

@script:python depends on org@
p1 << open_at_return.p1;
p2 << open_at_return.p2;
@@

cocci.print_main("enable",p1)
cocci.print_secs("return",p2)

@script:python depends on report@
p1 << open_at_return.p1;
p2 << open_at_return.p2;
@@

msg = "ERROR: lazy MMU section opened on line %s is not closed" % (p1[0].line)
coccilib.report.print_report(p2[0], msg)

@paused_at_return exists@
position p1 : script:python() { not is_test(p1) };
position p2;
@@

 lazy_mmu_mode_pause@p1();
 ... when != lazy_mmu_mode_resume()
 return@p2 ...;

@script:python depends on org@
p1 << paused_at_return.p1;
p2 << paused_at_return.p2;
@@

cocci.print_main("pause",p1)
cocci.print_secs("return",p2)

@script:python depends on report@
p1 << paused_at_return.p1;
p2 << paused_at_return.p2;
@@

msg = "ERROR: lazy MMU mode paused on line %s is not resumed" % (p1[0].line)
coccilib.report.print_report(p2[0], msg)

// ----------------------------------------------------------------------
// Pairs

@not_open exists@
identifier fn;
position p1 : script:python() { not is_test(p1) };
position p2 != pte_mapped.p;
@@

 fn@p1(...) {
 ... when != lazy_mmu_mode_enable()
 lazy_mmu_mode_disable@p2();
 ... when any
 }

@script:python depends on org@
p2 << not_open.p2;
@@

cocci.print_main("disable without enable",p2)

@script:python depends on report@
p2 << not_open.p2;
@@

msg = "ERROR: lazy MMU section is closed, but not opened on every path to here"
coccilib.report.print_report(p2[0], msg)

@not_paused exists@
identifier fn;
position p1 : script:python() { not is_test(p1) };
position p2;
@@

 fn@p1(...) {
 ... when != lazy_mmu_mode_pause()
 lazy_mmu_mode_resume@p2();
 ... when any
 }

@script:python depends on org@
p2 << not_paused.p2;
@@

cocci.print_main("resume without pause",p2)

@script:python depends on report@
p2 << not_paused.p2;
@@

msg = "ERROR: lazy MMU mode is resumed, but not paused on every path to here"
coccilib.report.print_report(p2[0], msg)

// Nesting is for callers that do not know of each other. Twice the same in one
// function is a forgotten counterpart, for instance where a loop starts over.
@again exists@
position p1 : script:python() { not is_test(p1) };
position p2 != pte_mapped.p;
@@

(
 lazy_mmu_mode_enable@p1();
 ... when != lazy_mmu_mode_disable()
 lazy_mmu_mode_enable@p2();
|
 lazy_mmu_mode_disable@p1();
 ... when != lazy_mmu_mode_enable()
 lazy_mmu_mode_disable@p2();
|
 lazy_mmu_mode_pause@p1();
 ... when != lazy_mmu_mode_resume()
 lazy_mmu_mode_pause@p2();
|
 lazy_mmu_mode_resume@p1();
 ... when != lazy_mmu_mode_pause()
 lazy_mmu_mode_resume@p2();
)

@script:python depends on org@
p1 << again.p1;
p2 << again.p2;
@@

cocci.print_main("first call",p1)
cocci.print_secs("second call",p2)

@script:python depends on report@
p1 << again.p1;
p2 << again.p2;
@@

msg = "WARNING: preceding lazy MMU call on line %s has no counterpart before this one" % (p1[0].line)
coccilib.report.print_report(p2[0], msg)

@overlap exists@
position p1 : script:python() { not is_test(p1) };
position p2;
@@

(
 lazy_mmu_mode_enable@p1();
 ... when != lazy_mmu_mode_disable()
     when != lazy_mmu_mode_pause()
 lazy_mmu_mode_resume@p2();
|
 lazy_mmu_mode_pause@p1();
 ... when != lazy_mmu_mode_resume()
     when != lazy_mmu_mode_enable()
 lazy_mmu_mode_disable@p2();
)

@script:python depends on org@
p1 << overlap.p1;
p2 << overlap.p2;
@@

cocci.print_main("beginning",p1)
cocci.print_secs("end of something else",p2)

@script:python depends on report@
p1 << overlap.p1;
p2 << overlap.p2;
@@

msg = "ERROR: overlap of a lazy MMU section and a pause, beginning on line %s" % (p1[0].line)
coccilib.report.print_report(p2[0], msg)

// ----------------------------------------------------------------------
// Sleeping

@section@
position p : script:python() { begin(p) and not is_test(p) };
symbol lazy_mmu_mode;
iterator name scoped_guard;
statement S;
@@

(
 lazy_mmu_mode_enable@p();
|
 lazy_mmu_mode_resume@p();
|
 guard(lazy_mmu_mode)@p();
|
 scoped_guard@p(lazy_mmu_mode) S
)

@pause_scope depends on section exists@
symbol lazy_mmu_mode_pause;
position inside;
identifier f;
@@

 scoped_guard(lazy_mmu_mode_pause) { <+... f@inside ...+> }

@sleeper depends on section@
position p : script:python() { add_sleeper(p) };
identifier f : script:python() { sleeps_itself(f) };
identifier flag : script:python() { blocks(flag) };
@@

(
 f@p(...)
|
 flag@p
)

@sleep exists@
position section.p;
position p2 != pause_scope.inside;
expression E;
identifier f : script:python() { sleeps(f) };
identifier flag : script:python() { blocks(flag) };
@@

(
 lazy_mmu_mode_enable@p();
|
 lazy_mmu_mode_resume@p();
)
 ... when != lazy_mmu_mode_disable()
     when != lazy_mmu_mode_pause()
     when != guard(lazy_mmu_mode_pause)();
     when != if (E) { ... lazy_mmu_mode_disable(); ... pte_unmap_unlock(E, ...); ... }
(
 f@p2(...)
|
 flag@p2
)

@script:python depends on org@
p1 << section.p;
p2 << sleep.p2;
@@

cocci.print_main("section",p1)
cocci.print_secs("may sleep",p2)

@script:python depends on report@
p1 << section.p;
p2 << sleep.p2;
@@

msg = "ERROR: may sleep in the lazy MMU section opened or resumed on line %s" % (p1[0].line)
coccilib.report.print_report(p2[0], msg)

// ----------------------------------------------------------------------
// Sleeping, with cleanup.h

@guard_block depends on section exists@
position section.p;
position e;
@@

 { ... when any
 guard(lazy_mmu_mode)@p();
 ... when any
 }@e

@script:python@
p << section.p;
e << guard_block.e;
@@

guard_in_block(p, e)

@guard_sleep exists@
position section.p;
position p2;
identifier f : script:python() { sleeps(f) };
identifier flag : script:python() { blocks(flag) };
@@

 guard(lazy_mmu_mode)@p();
 ... when != lazy_mmu_mode_pause()
     when != guard(lazy_mmu_mode_pause)();
(
 f@p2(...)
|
 flag@p2
)

@script:python depends on org@
p1 << section.p;
p2 << guard_sleep.p2;
@@

if is_guarded(p1, p2):
    cocci.print_main("guard",p1)
    cocci.print_secs("may sleep",p2)

@script:python depends on report@
p1 << section.p;
p2 << guard_sleep.p2;
@@

if is_guarded(p1, p2):
    msg = "ERROR: may sleep in the lazy MMU section of the guard on line %s" % (p1[0].line)
    coccilib.report.print_report(p2[0], msg)

@scoped_sleep exists@
position section.p;
position p2 != pause_scope.inside;
identifier f : script:python() { sleeps(f) };
identifier flag : script:python() { blocks(flag) };
@@

 scoped_guard@p(lazy_mmu_mode) {
 <+...
(
 f@p2(...)
|
 flag@p2
)
 ...+>
 }

@script:python depends on org@
p1 << section.p;
p2 << scoped_sleep.p2;
@@

cocci.print_main("scoped_guard",p1)
cocci.print_secs("may sleep",p2)

@script:python depends on report@
p1 << section.p;
p2 << scoped_sleep.p2;
@@

msg = "ERROR: may sleep in the lazy MMU section of the scoped_guard on line %s" % (p1[0].line)
coccilib.report.print_report(p2[0], msg)
