// SPDX-License-Identifier: GPL-2.0-only
/// Find misuse of lazy MMU sections: a way out of a function that leaves a
/// section open or the mode paused, calls that do not pair up, and direct calls
/// of the hooks of an architecture from generic code. In a section, and in a
/// callback of apply_to_page_range(), find what may sleep, what releases a page
/// table lock, and reads and atomic updates of an entry that was written there.
//# False positives come from conditions that depend on each other, such as two
//# tests of a flag around an enable and a disable. A conditional disable is
//# taken for right if its condition is the pointer that the same block hands to
//# pte_unmap_unlock(). Functions of the same file that may sleep are known where
//# they are called in a section, but not those that these call in turn. Page
//# table locks and pointers to entries are known by their names, and entries are
//# looked at in one function only. KUnit suites break the rules on purpose and
//# are left out.
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
    r"(io_)?schedule(_timeout\w*|_hrtimeout\w*|_preempt_disabled)?",
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
PTL = re.compile(r"ptl\b|\bpml\b|page_table_lock\b|_lockptr\b")

# Pointers to entries, what may hold back a write of one, and what goes to memory
# at once.
ENTRY = re.compile(r"[\w\s.>-]*(pte|pmd|pud|p4d|pgd)p?\w*\s*")
WRITES = re.compile(
    r"set_(huge_)?(pte|pmd|pud|p4d|pgd)(_at|s)?|(pte|pmd|pud|p4d|pgd)_clear(_not_present_full)?"
    r"|ptep_(modify_prot_commit|(get_and_clear|clear_flush|clear_young|test_and_clear|"
    r"set_wrprotect|set_access_flags)(_\w+)?|clear)"
    r"|(wrprotect|(get_and_)?clear(_full)?|clear_not_present_full|clear_nonpresent|"
    r"clear_young_dirty|modify_prot_commit|(clear_flush|test_and_clear)_young)_ptes(_notify)?")
READS = re.compile(
    r"(huge_)?(pte|pmd|pud|p4d|pgd)p_(get(?!_lockless)|invalidate|(huge_)?(get_and_clear|"
    r"clear_flush|clear_young|test_and_clear|modify_prot_start|set_wrprotect|"
    r"set_access_flags))(_\w+)?|ptep_(clear|try_set)"
    r"|(wrprotect|(get_and_)?clear(_full)?|clear_young_dirty|modify_prot_start|"
    r"(clear_flush|test_and_clear)_young)_ptes(_notify)?")

# Of the file at hand: functions that call something that sleeps, what does not
# belong in a section, and where scopes of guards begin and end.
sleepers = set()
hazards = {}
sections = {}
pauses = {}
file = None
in_org = False

def begin(p):
    global file

    if p[0].file != file:
        file = p[0].file
        for known in sleepers, hazards, sections, pauses:
            known.clear()
    return True

def place(p):
    return int(p[0].line), int(p[0].column)

def add_hazard(p, what):
    hazards[place(p)] = what
    return True

def add_sleeper(p):
    sleepers.add(p[0].current_element)
    return add_hazard(p, "may sleep in")

def add_scope(kind, p, end):
    scopes = sections if kind == "lazy_mmu_mode" else pauses
    scopes[place(p)] = min(place(end), scopes.get(place(p), place(end)))

def is_hazard(p):
    return place(p) in hazards and not any(
        start < place(p) < end for start, end in pauses.items())

# Hooks are for architectures, and for the helpers.
HELPERS = ("include/linux/pgtable.h", "mm/lazy_mmu.c", "mm/debug_lazy_mmu.c")

def may_call_hooks(p):
    path = os.path.relpath(p[0].file, os.environ.get("srctree", "."))
    return path.startswith("arch/") or path in HELPERS

def say(p, msg, other=None):
    if p[0].file.endswith(("_kunit.c", "_kunit.h")):
        return
    if other:
        msg += " of line " + other[0].line
    if not in_org:
        coccilib.report.print_report(p[0], msg)
        return
    cocci.print_main(msg, p)
    if other:
        cocci.print_secs("see", other)

# Each is said once, and not of a section that a guard has ended before.
def say_hazard(p, section):
    if place(p) in hazards and all(
            place(p) < end for start, end in sections.items()
            if start <= place(section) < end):
        say(p, "ERROR: %s the lazy MMU section" % hazards.pop(place(p)), section)

@initialize:python depends on org@
@@

in_org = True

// ----------------------------------------------------------------------
// Hooks

@hook@
position p : script:python() { not may_call_hooks(p) };
@@

(
 arch_enter_lazy_mmu_mode@p()
|
 arch_leave_lazy_mmu_mode@p()
|
 arch_flush_lazy_mmu_mode@p()
)

@script:python@
p << hook.p;
@@

say(p, "ERROR: direct call of a lazy MMU hook, use lazy_mmu_mode_*()")

// ----------------------------------------------------------------------
// Ways out

@left_open exists@
position p1, p2;
expression E;
@@

(
 lazy_mmu_mode_enable@p1();
 ... when != lazy_mmu_mode_disable()
     when != if (E) { ... lazy_mmu_mode_disable(); ... pte_unmap_unlock(E, ...); ... }
 return@p2 ...;
|
 lazy_mmu_mode_pause@p1();
 ... when != lazy_mmu_mode_resume()
 return@p2 ...;
)

@script:python@
p1 << left_open.p1;
p2 << left_open.p2;
@@

say(p2, "ERROR: not closed on the way out: the lazy MMU section or pause", p1)

// ----------------------------------------------------------------------
// Pairs

@pte_mapped@
expression E;
position p;
@@

 if (E) { ... lazy_mmu_mode_disable@p(); ... pte_unmap_unlock(E, ...); ... }

@not_open exists@
identifier fn;
position p != pte_mapped.p;
@@

 fn(...) {
(
 ... when != lazy_mmu_mode_enable()
 lazy_mmu_mode_disable@p();
|
 ... when != lazy_mmu_mode_pause()
 lazy_mmu_mode_resume@p();
)
 ... when any
 }

@script:python@
p << not_open.p;
@@

say(p, "ERROR: not opened on every path to here: the lazy MMU section or pause")

// Nesting is for callers that do not know of each other. Twice the same in one
// function is a forgotten counterpart, for instance where a loop starts over, and
// sections and pauses do not overlap.
@unpaired exists@
position p1;
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
|
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

@script:python@
p1 << unpaired.p1;
p2 << unpaired.p2;
@@

say(p2, "WARNING: no counterpart before this one: the lazy MMU call", p1)

// ----------------------------------------------------------------------
// Sections

@section@
position p : script:python() { begin(p) };
symbol lazy_mmu_mode, lazy_mmu_mode_pause;
identifier fn;
expression E1, E2, E3, E4;
@@

(
 lazy_mmu_mode_enable@p()
|
 lazy_mmu_mode_resume@p()
|
 lazy_mmu_mode@p
|
 \(apply_to_page_range@p\|apply_to_existing_page_range@p\)(E1, E2, E3, \(fn\|&fn\), E4)
)

// The scope of a guard is the innermost block around it.
@scope depends on section exists@
iterator name scoped_guard;
identifier kind = {lazy_mmu_mode, lazy_mmu_mode_pause};
position p, end;
@@

(
 { ... when any
 guard(kind@p)();
 ... when any
 }@end
|
 scoped_guard(kind@p) { ... when any
 }@end
)

@script:python@
p << scope.p;
end << scope.end;
kind << scope.kind;
@@

add_scope(kind, p, end)

@sleeper depends on section@
position p : script:python() { add_sleeper(p) };
identifier f : script:python() { bool(SLEEPS.fullmatch(f)) };
identifier flag : script:python() { bool(BLOCKING_GFP.fullmatch(flag)) };
@@

(
 f@p(...)
|
 flag@p
)

@caller depends on sleeper@
position p : script:python() { add_hazard(p, "may sleep in") };
identifier f : script:python() { f in sleepers };
@@

 f@p(...)

@unlock depends on section@
position p;
expression lock : script:python() { bool(PTL.search(lock)) };
symbol spinlock;
iterator name scoped_guard;
statement S;
@@

(
 pte_unmap_unlock@p(...);
|
 spin_unlock@p(lock);
|
 guard(spinlock@p)(lock);
|
 scoped_guard(spinlock@p, lock) S
)

// Not as a condition of the position, which would not wait for that of the lock.
@script:python@
p << unlock.p;
@@

add_hazard(p, "a page table lock is not held throughout")

@reread depends on section exists@
expression P : script:python() { bool(ENTRY.fullmatch(P)) };
identifier write : script:python() { bool(WRITES.fullmatch(write)) };
identifier read : script:python() { bool(READS.fullmatch(read)) };
assignment operator op;
expression E;
iterator name scoped_guard;
statement S;
position p;
@@

 write(..., P, ...)
 ... when any
     when != P op E
     when != \(P++\|P--\|++P\|--P\)
     when != \(lazy_mmu_mode_enable\|lazy_mmu_mode_disable\)()
     when != \(lazy_mmu_mode_pause\|lazy_mmu_mode_resume\|arch_flush_lazy_mmu_mode\)()
     when != guard(\(lazy_mmu_mode\|lazy_mmu_mode_pause\))();
     when != scoped_guard(\(lazy_mmu_mode\|lazy_mmu_mode_pause\)) S
(
 read(..., P@p, ...)
|
 *P@p
)

@script:python@
p << reread.p;
@@

add_hazard(p, "an entry is read or updated atomically behind an update in")

@in_section exists@
position section.p;
position q : script:python() { is_hazard(q) };
identifier i;
expression E;
@@

(
(
 lazy_mmu_mode_enable@p();
|
 lazy_mmu_mode_resume@p();
|
 guard(lazy_mmu_mode@p)();
)
 ... when any
     when != lazy_mmu_mode_disable()
     when != lazy_mmu_mode_pause()
     when != if (E) { ... lazy_mmu_mode_disable(); ... pte_unmap_unlock(E, ...); ... }
 i@q
|
 scoped_guard(lazy_mmu_mode@p) {
 ... when any
     when != lazy_mmu_mode_pause()
 i@q
 ... when any
 }
)

@script:python@
p << section.p;
q << in_section.q;
@@

say_hazard(q, p)

// A callback is called in the section of who applies it.
@in_callback depends on section exists@
identifier section.fn;
position q : script:python() { is_hazard(q) };
identifier i;
@@

 fn(...) {
 ... when any
     when != lazy_mmu_mode_pause()
 i@q
 ... when any
 }

@script:python@
p << section.p;
q << in_callback.q;
@@

say_hazard(q, p)
