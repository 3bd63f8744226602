// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for lazy MMU mode on arm64: whether the barriers that follow the
 * store of a kernel page table entry are emitted at once or leave a mark, and
 * what becomes of the mark.
 *
 * Emulators do not fault on a missing barrier, so the mark is observed, and
 * the barriers that the inline functions in this file execute are counted.
 * Sleeping in a section is forbidden and a KUnit assertion may allocate, so a
 * case records what happens, closes its section, and compares afterwards.
 */
#include <asm/barrier.h>

/* Before anything else is included that uses them. */
static unsigned int lazy_nr_dsb, lazy_nr_isb;

#undef dsb
#define dsb(opt) do {							\
	lazy_nr_dsb++;							\
	asm volatile("dsb " #opt : : : "memory");			\
} while (0)

#undef isb
#define isb() do {							\
	lazy_nr_isb++;							\
	asm volatile("isb" : : : "memory");				\
} while (0)

#include <kunit/test.h>

#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/set_memory.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <trace/events/lazy_mmu.h>

#include "../../../mm/tests/lazy_mmu_kunit.h"

#define LAZY_NR_PAGES	16

/* What some code executed, and what it left behind. */
struct lazy_seen {
	unsigned int nr_dsb;
	unsigned int nr_isb;
	bool is_marked;
	bool on;
};

static bool lazy_is_marked(void)
{
	return READ_ONCE(current_thread_info()->pte_barriers_pending);
}

static void lazy_begin(struct lazy_seen *seen)
{
	seen->nr_dsb = READ_ONCE(lazy_nr_dsb);
	seen->nr_isb = READ_ONCE(lazy_nr_isb);
}

static void lazy_end(struct lazy_seen *seen)
{
	seen->nr_dsb = READ_ONCE(lazy_nr_dsb) - seen->nr_dsb;
	seen->nr_isb = READ_ONCE(lazy_nr_isb) - seen->nr_isb;
	seen->is_marked = lazy_is_marked();
	seen->on = in_lazy_mmu_mode();
}

/* Yields what @code did. */
#define LAZY_WATCH(code) ({						\
	struct lazy_seen __seen;					\
									\
	lazy_begin(&__seen);						\
	code;								\
	lazy_end(&__seen);						\
	__seen;								\
})

#define LAZY_EXPECT_BARRIERS(test, seen, nr) do {			\
	struct lazy_seen __seen = (seen);				\
	struct kunit *__test = (test);					\
	unsigned int __nr = (nr);					\
									\
	KUNIT_EXPECT_EQ(__test, __seen.nr_dsb, __nr);			\
	KUNIT_EXPECT_EQ(__test, __seen.nr_isb, __nr);			\
} while (0)

/* Entries of each level. No walker sees them: they are in no table. */

enum lazy_level {
	LAZY_PTE,
	LAZY_PTES,
	LAZY_PMD,
	LAZY_HUGE_PMD,
	LAZY_PUD,
	LAZY_P4D,
	LAZY_PGD,
};

static const struct lazy_level_param {
	const char *desc;
	enum lazy_level level;
	unsigned int pgtable_levels;
} lazy_level_params[] = {
	{ "pte", LAZY_PTE, 1 },
	{ "ptes", LAZY_PTES, 1 },
	{ "pmd", LAZY_PMD, 3 },
	{ "huge pmd", LAZY_HUGE_PMD, 3 },
	{ "pud", LAZY_PUD, 3 },
	{ "p4d", LAZY_P4D, 4 },
	{ "pgd", LAZY_PGD, 5 },
};

KUNIT_ARRAY_PARAM_DESC(lazy_level, lazy_level_params, desc);

static union {
	pte_t ptes[LAZY_NR_PAGES];
	pmd_t pmd;
	pud_t pud;
	p4d_t p4d;
	pgd_t pgd;
} lazy_entry;

static u64 lazy_kernel_val(void)
{
	return pte_val(pfn_pte(page_to_pfn(ZERO_PAGE(0)), PAGE_KERNEL_RO));
}

static void lazy_clear_entry(void)
{
	memset(&lazy_entry, 0, sizeof(lazy_entry));
}

static __always_inline void lazy_set(enum lazy_level level, u64 val)
{
	switch (level) {
	case LAZY_PTE:
		__set_pte(lazy_entry.ptes, __pte(val));
		break;
	case LAZY_PTES:
		__set_ptes(&init_mm, 0, lazy_entry.ptes, __pte(val),
			   LAZY_NR_PAGES);
		break;
	case LAZY_PMD:
		set_pmd(&lazy_entry.pmd, __pmd(val));
		break;
	case LAZY_HUGE_PMD:
		set_pmd_at(&init_mm, 0, &lazy_entry.pmd, pmd_mkhuge(__pmd(val)));
		break;
	case LAZY_PUD:
#if CONFIG_PGTABLE_LEVELS > 2
		set_pud(&lazy_entry.pud, __pud(val));
#endif
		break;
	case LAZY_P4D:
#if CONFIG_PGTABLE_LEVELS > 3
		set_p4d(&lazy_entry.p4d, __p4d(val));
#endif
		break;
	case LAZY_PGD:
#if CONFIG_PGTABLE_LEVELS > 4
		set_pgd(&lazy_entry.pgd, __pgd(val));
#endif
		break;
	}
}

static void lazy_set_kernel(enum lazy_level level)
{
	lazy_clear_entry();
	lazy_set(level, lazy_kernel_val());
}

static enum lazy_level lazy_test_level(struct kunit *test)
{
	const struct lazy_level_param *param = test->param_value;

	if (param->pgtable_levels > CONFIG_PGTABLE_LEVELS)
		kunit_skip(test, "this level is folded");
	return param->level;
}

static void entry_gets_barriers_at_once(struct kunit *test)
{
	enum lazy_level level = lazy_test_level(test);
	struct lazy_seen outside = LAZY_WATCH(lazy_set_kernel(level)), pause;

	lazy_mmu_mode_enable();
	lazy_mmu_mode_pause();
	pause = LAZY_WATCH(lazy_set_kernel(level));
	lazy_mmu_mode_resume();
	lazy_mmu_mode_disable();

	LAZY_EXPECT_BARRIERS(test, outside, 1);
	KUNIT_EXPECT_FALSE(test, outside.is_marked);
	LAZY_EXPECT_BARRIERS(test, pause, 1);
	KUNIT_EXPECT_FALSE(test, pause.is_marked);
}

/* An entry above the PTEs may have its barriers instead of a mark. */
static void entry_in_a_section_has_a_mark_or_its_barriers(struct kunit *test)
{
	enum lazy_level level = lazy_test_level(test);
	struct lazy_seen seen;
	pte_t first, last;

	lazy_mmu_mode_enable();
	seen = LAZY_WATCH(lazy_set_kernel(level));
	first = READ_ONCE(lazy_entry.ptes[0]);
	last = READ_ONCE(lazy_entry.ptes[LAZY_NR_PAGES - 1]);
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_TRUE(test, seen.is_marked || level > LAZY_PTES);
	LAZY_EXPECT_BARRIERS(test, seen, !seen.is_marked);
	KUNIT_EXPECT_TRUE(test, pte_valid(first));
	KUNIT_EXPECT_EQ(test, pte_valid(last), level == LAZY_PTES);
}

/* With CONFIG_ARM64_CONTPTE out of line, where barriers are not counted. */
static void set_ptes_leaves_a_mark_in_a_section(struct kunit *test)
{
	struct lazy_seen seen;

	lazy_clear_entry();
	lazy_mmu_mode_enable();
	seen = LAZY_WATCH(set_ptes(&init_mm, 0, lazy_entry.ptes, __pte(lazy_kernel_val()),
				   LAZY_NR_PAGES));
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_TRUE(test, seen.is_marked);
	LAZY_EXPECT_BARRIERS(test, seen, 0);
}

/* Entries that need no barriers. */

static const struct lazy_quiet_param {
	const char *desc;
	enum lazy_level level;
	u64 set;
	u64 clear;
} lazy_quiet_params[] = {
	{ "invalid pte", LAZY_PTE, 0, PTE_VALID },
	{ "user pte", LAZY_PTE, PTE_USER, 0 },
	{ "execute-only user pte", LAZY_PTE, 0, PTE_UXN },
	{ "invalid ptes", LAZY_PTES, 0, PTE_VALID },
	{ "invalid pmd", LAZY_PMD, 0, PTE_VALID },
	{ "invalid pud", LAZY_PUD, 0, PTE_VALID },
};

KUNIT_ARRAY_PARAM_DESC(lazy_quiet, lazy_quiet_params, desc);

static void lazy_set_quiet(const struct lazy_quiet_param *param)
{
	lazy_clear_entry();
	lazy_set(param->level, (lazy_kernel_val() | param->set) & ~param->clear);
}

static void entry_without_need_gets_no_barriers_and_leaves_no_mark(struct kunit *test)
{
	struct lazy_seen outside = LAZY_WATCH(lazy_set_quiet(test->param_value)), inside;

	lazy_mmu_mode_enable();
	inside = LAZY_WATCH(lazy_set_quiet(test->param_value));
	lazy_mmu_mode_disable();

	LAZY_EXPECT_BARRIERS(test, outside, 0);
	KUNIT_EXPECT_FALSE(test, inside.is_marked);
}

static void disable_emits_once_for_all_entries(struct kunit *test)
{
	struct lazy_seen seen, next;

	lazy_mmu_mode_enable();
	for (enum lazy_level level = LAZY_PTE; level <= LAZY_PGD; level++)
		lazy_set_kernel(level);
	seen = LAZY_WATCH(lazy_mmu_mode_disable());
	next = LAZY_WATCH(lazy_mmu_mode_enable());
	lazy_mmu_mode_disable();

	LAZY_EXPECT_BARRIERS(test, seen, 1);
	KUNIT_EXPECT_FALSE(test, seen.is_marked);
	KUNIT_EXPECT_FALSE(test, next.is_marked);
}

static void hooks_emit_nothing_if_nothing_is_pending(struct kunit *test)
{
	struct lazy_seen flush, disable;

	lazy_mmu_mode_enable();
	flush = LAZY_WATCH(arch_flush_lazy_mmu_mode());
	disable = LAZY_WATCH(lazy_mmu_mode_disable());

	LAZY_EXPECT_BARRIERS(test, flush, 0);
	LAZY_EXPECT_BARRIERS(test, disable, 0);
}

/*
 * A nested disable() flushes out of line, where barriers are not counted. They
 * are for the hook, and the mark tells that it has been there.
 */
static void flush_emits_once_for_all_entries(struct kunit *test)
{
	struct lazy_seen seen;

	lazy_mmu_mode_enable();
	for (enum lazy_level level = LAZY_PTE; level <= LAZY_PGD; level++)
		lazy_set_kernel(level);
	seen = LAZY_WATCH(arch_flush_lazy_mmu_mode());
	lazy_mmu_mode_disable();

	LAZY_EXPECT_BARRIERS(test, seen, 1);
	KUNIT_EXPECT_FALSE(test, seen.is_marked);
}

static void nested_disable_serves_the_outer_section_too(struct kunit *test)
{
	struct lazy_seen inner_enable, inner_disable, entry, disable;

	lazy_mmu_mode_enable();
	lazy_set_kernel(LAZY_PTE);
	inner_enable = LAZY_WATCH(lazy_mmu_mode_enable());
	inner_disable = LAZY_WATCH(lazy_mmu_mode_disable());
	entry = LAZY_WATCH(lazy_set_kernel(LAZY_PTE));
	disable = LAZY_WATCH(lazy_mmu_mode_disable());

	KUNIT_EXPECT_TRUE(test, inner_enable.is_marked);
	LAZY_EXPECT_BARRIERS(test, inner_enable, 0);
	KUNIT_EXPECT_FALSE(test, inner_disable.is_marked);
	KUNIT_EXPECT_TRUE(test, entry.is_marked);
	LAZY_EXPECT_BARRIERS(test, disable, 1);
}

static void pause_clears_the_mark(struct kunit *test)
{
	struct lazy_seen pause, entry;

	lazy_mmu_mode_enable();
	lazy_set_kernel(LAZY_PTE);
	pause = LAZY_WATCH(lazy_mmu_mode_pause());
	lazy_set_kernel(LAZY_PTE);
	lazy_mmu_mode_resume();
	entry = LAZY_WATCH(lazy_set_kernel(LAZY_PTE));
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_FALSE(test, pause.is_marked);
	KUNIT_EXPECT_TRUE(test, entry.is_marked);
	LAZY_EXPECT_BARRIERS(test, entry, 0);
}

/* Real mappings. */

static struct page *lazy_page;

static u64 *lazy_page_word(void)
{
	return page_address(lazy_page);
}

/* Make a page of the linear map invalid, then valid: two nested sections. */
static void lazy_remap_page(bool *was_unmapped)
{
	unsigned long addr = (unsigned long)page_address(lazy_page);
	u64 val;

	set_memory_valid(addr, 1, 0);
	*was_unmapped = copy_from_kernel_nofault(&val, (void *)addr, sizeof(val));
	set_memory_valid(addr, 1, 1);
}

static void lazy_skip_unless_page_can_be_unmapped(struct kunit *test)
{
	if (!can_set_direct_map())
		kunit_skip(test, "the linear map has blocks (rodata=)");
}

static void page_mapped_in_an_inner_section_is_usable_after_it(struct kunit *test)
{
	bool was_unmapped;
	struct lazy_seen seen;
	u64 val = 0;
	int err;

	lazy_skip_unless_page_can_be_unmapped(test);

	*lazy_page_word() = 1234;
	lazy_mmu_mode_enable();
	lazy_set_kernel(LAZY_PTE);
	seen = LAZY_WATCH(lazy_remap_page(&was_unmapped));
	err = copy_from_kernel_nofault(&val, lazy_page_word(), sizeof(val));
	lazy_mmu_mode_disable();

	KUNIT_ASSERT_TRUE(test, was_unmapped);
	KUNIT_EXPECT_FALSE(test, seen.is_marked);
	KUNIT_EXPECT_TRUE(test, seen.on);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, val, 1234);
}

/* For all that write through it, such as set_swapper_pgd(). */
static void fixmap_is_immediate_in_a_section(struct kunit *test)
{
	void *mapped = (void *)fix_to_virt(FIX_BTMAP_BEGIN);
	struct lazy_seen seen;
	u64 val = 0;

	*lazy_page_word() = 5678;
	lazy_mmu_mode_enable();
	seen = LAZY_WATCH(set_fixmap(FIX_BTMAP_BEGIN, page_to_phys(lazy_page)));
	copy_from_kernel_nofault(&val, mapped, sizeof(val));
	clear_fixmap(FIX_BTMAP_BEGIN);
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_FALSE(test, seen.is_marked);
	KUNIT_EXPECT_EQ(test, val, 5678);
}

/*
 * Writes what is there already. That is a store with barriers of its own, at boot.
 * Once rodata is read-only, when debugfs runs it again, the fixmap is in between.
 */
static void swapper_pg_dir_is_immediate_in_a_section(struct kunit *test)
{
	pgd_t *pgdp = pgd_offset_k((unsigned long)page_address(lazy_page));
	struct lazy_seen seen;

	lazy_mmu_mode_enable();
	seen = LAZY_WATCH(set_swapper_pgd(pgdp, READ_ONCE(*pgdp)));
	lazy_mmu_mode_disable();

	KUNIT_EXPECT_FALSE(test, seen.is_marked);
}

/*
 * vmalloc opens sections of its own, which the tracepoint of their end shows.
 * There are others at the same time, of debug options that map memory.
 */
struct lazy_vmap_log {
	struct task_struct *task;
	const char *caller;
	unsigned int nr_sections;
	unsigned int nr_batches;
};

static struct lazy_vmap_log lazy_vmap_log;

static void lazy_vmap_probe(void *data, enum lazy_mmu_hook hook, u8 enable_count,
			    u8 pause_count, unsigned long ip)
{
	char caller[64];

	if (hook != LAZY_MMU_HOOK_LEAVE || READ_ONCE(lazy_vmap_log.task) != current)
		return;

	snprintf(caller, sizeof(caller), "%ps", (void *)ip);
	if (lazy_vmap_log.caller && !strstr(caller, lazy_vmap_log.caller))
		return;
	lazy_vmap_log.nr_sections++;
	if (lazy_is_marked())
		lazy_vmap_log.nr_batches++;
}

/* Inline, since without these events there is nothing to register, either. */
static __always_inline void lazy_skip_without_events(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_DEBUG_LAZY_MMU_MODE) || !IS_ENABLED(CONFIG_KALLSYMS))
		kunit_skip(test, "needs CONFIG_DEBUG_LAZY_MMU_MODE and CONFIG_KALLSYMS");
}

/* Logs what functions leave the mode that have @caller in their name, or all. */
static void lazy_vmap_begin(struct kunit *test, const char *caller)
{
	lazy_skip_without_events(test);

	KUNIT_ASSERT_EQ(test, 0, register_trace_lazy_mmu_hook(lazy_vmap_probe, NULL));
	lazy_vmap_log.caller = caller;
	lazy_vmap_log.nr_sections = 0;
	lazy_vmap_log.nr_batches = 0;
	WRITE_ONCE(lazy_vmap_log.task, current);
}

static unsigned int lazy_vmap_end(void)
{
	WRITE_ONCE(lazy_vmap_log.task, NULL);
	if (!IS_ENABLED(CONFIG_DEBUG_LAZY_MMU_MODE))
		return 0;
	unregister_trace_lazy_mmu_hook(lazy_vmap_probe, NULL);
	tracepoint_synchronize_unregister();

	return lazy_vmap_log.nr_batches;
}

/* How many entries of 1 << @shift bytes it takes to map @size bytes at @addr. */
static unsigned int lazy_nr_entries(const void *addr, size_t size, int shift)
{
	unsigned long first = (unsigned long)addr >> shift;
	unsigned long last = ((unsigned long)addr + size - 1) >> shift;

	return last - first + 1;
}

static void *lazy_vmap(void)
{
	static struct page *pages[LAZY_NR_PAGES];

	for (int i = 0; i < LAZY_NR_PAGES; i++)
		pages[i] = lazy_page;
	return vmap(pages, LAZY_NR_PAGES, VM_MAP, PAGE_KERNEL);
}

static void vmap_is_one_batch_a_table(struct kunit *test)
{
	unsigned int nr_batches;
	void *addr;

	lazy_vmap_begin(test, "vmap");
	addr = lazy_vmap();
	nr_batches = lazy_vmap_end();
	vunmap(addr);

	KUNIT_ASSERT_NOT_NULL(test, addr);
	KUNIT_EXPECT_EQ(test, nr_batches,
			lazy_nr_entries(addr, LAZY_NR_PAGES * PAGE_SIZE, PMD_SHIFT));
}

/* Not by vunmap(): into which function this is inlined is up to the compiler. */
static void vunmap_range_is_one_section_a_table(struct kunit *test)
{
	unsigned long start;
	void *addr;

	lazy_skip_without_events(test);

	addr = lazy_vmap();
	KUNIT_ASSERT_NOT_NULL(test, addr);
	start = (unsigned long)addr;
	lazy_vmap_begin(test, NULL);
	vunmap_range(start, start + LAZY_NR_PAGES * PAGE_SIZE);
	lazy_vmap_end();
	vunmap(addr);

	KUNIT_EXPECT_EQ(test, lazy_vmap_log.nr_sections,
			lazy_nr_entries(addr, LAZY_NR_PAGES * PAGE_SIZE, PMD_SHIFT));
}

/*
 * KASAN maps and unmaps the shadow of an area in a section. Areas share pages of
 * it, so each entry is written in a pause, for the other CPUs to see. The area is
 * large enough to have some for itself.
 */
#define LAZY_SHADOW_SIZE	(4 * (PAGE_SIZE << 3))

static __always_inline void lazy_skip_without_shadow(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_KASAN_VMALLOC))
		kunit_skip(test, "needs CONFIG_KASAN_VMALLOC");
	lazy_skip_without_events(test);
}

/* A pause to look at each of five or six entries, and one to write each of its own. */
static void kasan_maps_shadow_in_pauses(struct kunit *test)
{
	unsigned int nr_pauses = 0, nr_batches = 0, nr = 0;
	void *addrs[10];

	lazy_skip_without_shadow(test);

	/* The shadow of an area may be that of one that somebody just freed. */
	while (nr < ARRAY_SIZE(addrs) && nr_pauses < 5 + 3) {
		lazy_vmap_begin(test, "vmalloc_pte");
		addrs[nr] = vmalloc(LAZY_SHADOW_SIZE);
		nr_batches += lazy_vmap_end();
		nr_pauses = lazy_vmap_log.nr_sections;
		if (!addrs[nr++])
			break;
	}
	while (nr)
		vfree(addrs[--nr]);

	KUNIT_EXPECT_GE(test, nr_pauses, 5 + 3);
	KUNIT_EXPECT_EQ(test, nr_batches, 0);
}

static void kasan_unmaps_shadow_in_pauses(struct kunit *test)
{
	unsigned int nr_pauses = 0;

	lazy_skip_without_shadow(test);

	/* Another task may be faster, and do it for this one. */
	for (int i = 0; i < 10 && nr_pauses < 3; i++) {
		void *addr = vmalloc(LAZY_SHADOW_SIZE);

		KUNIT_ASSERT_NOT_NULL(test, addr);
		lazy_vmap_begin(test, "kasan_depopulate");
		vfree(addr);
		vm_unmap_aliases();
		lazy_vmap_end();
		nr_pauses = lazy_vmap_log.nr_sections;
	}

	KUNIT_EXPECT_GE(test, nr_pauses, 3);
}

/*
 * As ioremap() does, but twice at one address: the first time the tables may still
 * have to be allocated. There are two. Nobody is going to access this memory.
 */
static void vmap_page_range_is_one_batch_a_table(struct kunit *test)
{
	const phys_addr_t phys = PFN_PHYS(max_pfn) + PAGE_SIZE;
	const pgprot_t prot = pgprot_device(PAGE_KERNEL);
	const size_t size = LAZY_NR_PAGES * PAGE_SIZE;
	struct vm_struct *area;
	unsigned int nr_batches;
	unsigned long addr;
	int err[2];

	lazy_skip_without_events(test);

	area = get_vm_area(2 * PMD_SIZE, VM_IOREMAP);
	KUNIT_ASSERT_NOT_NULL(test, area);
	addr = ALIGN((unsigned long)area->addr + size, PMD_SIZE) - size / 2;
	err[0] = vmap_page_range(addr, addr + size, phys, prot);
	vunmap_range(addr, addr + size);
	lazy_vmap_begin(test, NULL);
	err[1] = vmap_page_range(addr, addr + size, phys, prot);
	nr_batches = lazy_vmap_end();
	free_vm_area(area);

	KUNIT_ASSERT_EQ(test, err[0], 0);
	KUNIT_ASSERT_EQ(test, err[1], 0);
	KUNIT_EXPECT_EQ(test, nr_batches, 2);
}

/* Its flush of the TLB has the barriers for all that it stores. */
static void set_memory_leaves_no_mark(struct kunit *test)
{
	const size_t size = LAZY_NR_PAGES * PAGE_SIZE;
	unsigned int nr_batches, nr_sections;
	void *addr;

	lazy_skip_without_events(test);

	addr = vmalloc(size);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	lazy_vmap_begin(test, "apply_to_p");
	set_memory_ro((unsigned long)addr, LAZY_NR_PAGES);
	nr_batches = lazy_vmap_end();
	nr_sections = lazy_vmap_log.nr_sections;
	set_memory_rw((unsigned long)addr, LAZY_NR_PAGES);
	vfree(addr);

	/* DEBUG_PAGEALLOC adds one if this happens to allocate a page. */
	KUNIT_EXPECT_GE(test, nr_sections, lazy_nr_entries(addr, size, PMD_SHIFT));
	KUNIT_EXPECT_EQ(test, nr_batches, 0);
}

/* An interrupt on top of a section stores and maps. */

static const struct lazy_interrupt_param {
	const char *desc;
	bool is_soft;
	bool is_marked;
} lazy_interrupt_params[] = {
	{ "hard interrupt, nothing pending", false, false },
	{ "hard interrupt, entries pending", false, true },
	{ "softirq, nothing pending", true, false },
	{ "softirq, entries pending", true, true },
};

KUNIT_ARRAY_PARAM_DESC(lazy_interrupt, lazy_interrupt_params, desc);

struct lazy_interrupt {
	struct lazy_irq irq;

	/* What the handler did, on top of the section. */
	struct lazy_seen entry;
	bool was_unmapped;
	u64 val;

	/* The section afterwards. */
	bool is_marked;
	struct lazy_seen disable;
};

static void lazy_interrupt_fn(struct lazy_irq *irq)
{
	struct lazy_interrupt *seen = container_of(irq, typeof(*seen), irq);

	seen->entry = LAZY_WATCH(lazy_set_kernel(LAZY_PTE));
	lazy_remap_page(&seen->was_unmapped);
	copy_from_kernel_nofault(&seen->val, lazy_page_word(), sizeof(seen->val));
}

static void interrupt_stores_and_maps_apart_from_the_section(struct kunit *test)
{
	const struct lazy_interrupt_param *param = test->param_value;
	struct lazy_interrupt *seen;

	lazy_skip_unless_page_can_be_unmapped(test);

	seen = kunit_kzalloc(test, sizeof(*seen), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	lazy_irq_init(test, &seen->irq, param->is_soft, lazy_interrupt_fn);
	*lazy_page_word() = 4321;

	for (int i = 0; i < 100 && !lazy_irq_hit(&seen->irq); i++) {
		lazy_mmu_mode_enable();
		lazy_irq_start(&seen->irq);
		if (param->is_marked)
			lazy_set_kernel(LAZY_PTE);
		lazy_irq_wait(&seen->irq);

		seen->is_marked = lazy_is_marked();
		seen->disable = LAZY_WATCH(lazy_mmu_mode_disable());
	}
	KUNIT_ASSERT_TRUE_MSG(test, lazy_irq_hit(&seen->irq), "no interrupt hit the section");

	LAZY_EXPECT_BARRIERS(test, seen->entry, 1);
	KUNIT_EXPECT_TRUE(test, seen->was_unmapped);
	KUNIT_EXPECT_EQ(test, seen->val, 4321);
	KUNIT_EXPECT_EQ(test, seen->is_marked, param->is_marked);
	LAZY_EXPECT_BARRIERS(test, seen->disable, param->is_marked);
}

/* Other tasks */

/* A task that waits in a section, with an entry pending, to be told to go on. */
struct lazy_peer {
	struct lazy_thread thread;

	bool was_marked;
	struct lazy_seen disable;
};

static int lazy_peer_fn(void *data)
{
	struct lazy_peer *peer = data;

	lazy_mmu_mode_enable();
	lazy_set_kernel(LAZY_PTE);
	lazy_thread_wait(&peer->thread);
	peer->was_marked = lazy_is_marked();
	peer->disable = LAZY_WATCH(lazy_mmu_mode_disable());

	return 0;
}

static void lazy_expect_peer(struct kunit *test, struct lazy_peer *peer)
{
	KUNIT_EXPECT_TRUE_MSG(test, peer->thread.was_told, "its section ended too early");
	KUNIT_EXPECT_TRUE(test, peer->was_marked);
	LAZY_EXPECT_BARRIERS(test, peer->disable, 1);
	KUNIT_EXPECT_FALSE(test, peer->disable.is_marked);
}

static void mark_survives_preemption(struct kunit *test)
{
	struct lazy_peer *peer = lazy_preempt_thread(test, sizeof(*peer), lazy_peer_fn);
	struct lazy_seen before, entry, disable;

	before = LAZY_WATCH(lazy_mmu_mode_enable());
	entry = LAZY_WATCH(lazy_set_kernel(LAZY_PTE));
	disable = LAZY_WATCH(lazy_mmu_mode_disable());
	lazy_stop_thread(&peer->thread);

	KUNIT_ASSERT_TRUE(test, peer->thread.was_preempted);
	lazy_expect_peer(test, peer);
	KUNIT_EXPECT_FALSE(test, before.is_marked);
	KUNIT_EXPECT_TRUE(test, entry.is_marked);
	LAZY_EXPECT_BARRIERS(test, disable, 1);
}

static void mark_survives_migration(struct kunit *test)
{
	lazy_expect_peer(test, lazy_migrate_thread(test, sizeof(struct lazy_peer),
						   lazy_peer_fn));
}

/* Calls what copies a task, because fork itself may open and close sections. */
static void new_task_starts_without_a_mark(struct kunit *test)
{
	struct task_struct *task = kunit_kzalloc(test, arch_task_struct_size, GFP_KERNEL);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, task);

	current_thread_info()->pte_barriers_pending = 1;
	err = arch_dup_task_struct(task, current);
	arch_flush_lazy_mmu_mode();

	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_FALSE(test, task_thread_info(task)->pte_barriers_pending);
}

static int lazy_dying_fn(void *data)
{
	struct lazy_peer *peer = data;

	lazy_mmu_mode_enable();
	lazy_set_kernel(LAZY_PTE);
	peer->was_marked = lazy_is_marked();
	lazy_die(&peer->thread);
}

static void dying_task_emits_what_is_pending(struct kunit *test)
{
	struct lazy_peer *peer = lazy_start_thread(test, sizeof(*peer), lazy_dying_fn,
						   raw_smp_processor_id());
	bool is_marked;

	kthread_stop(peer->thread.task);
	is_marked = task_thread_info(peer->thread.task)->pte_barriers_pending;
	put_task_struct(peer->thread.task);

	KUNIT_ASSERT_TRUE(test, peer->was_marked);
	KUNIT_EXPECT_FALSE(test, is_marked);
}

static struct kunit_case lazy_mmu_mode_arm64_cases[] = {
	KUNIT_CASE_PARAM(entry_gets_barriers_at_once, lazy_level_gen_params),
	KUNIT_CASE_PARAM(entry_in_a_section_has_a_mark_or_its_barriers,
			 lazy_level_gen_params),
	KUNIT_CASE(set_ptes_leaves_a_mark_in_a_section),
	KUNIT_CASE_PARAM(entry_without_need_gets_no_barriers_and_leaves_no_mark,
			 lazy_quiet_gen_params),

	KUNIT_CASE(disable_emits_once_for_all_entries),
	KUNIT_CASE(hooks_emit_nothing_if_nothing_is_pending),
	KUNIT_CASE(flush_emits_once_for_all_entries),
	KUNIT_CASE(nested_disable_serves_the_outer_section_too),
	KUNIT_CASE(pause_clears_the_mark),

	KUNIT_CASE(page_mapped_in_an_inner_section_is_usable_after_it),
	KUNIT_CASE(fixmap_is_immediate_in_a_section),
	KUNIT_CASE(swapper_pg_dir_is_immediate_in_a_section),
	KUNIT_CASE(vmap_is_one_batch_a_table),
	KUNIT_CASE(vunmap_range_is_one_section_a_table),
	KUNIT_CASE(kasan_maps_shadow_in_pauses),
	KUNIT_CASE(kasan_unmaps_shadow_in_pauses),
	KUNIT_CASE(vmap_page_range_is_one_batch_a_table),
	KUNIT_CASE(set_memory_leaves_no_mark),

	KUNIT_CASE_PARAM(interrupt_stores_and_maps_apart_from_the_section,
			 lazy_interrupt_gen_params),

	KUNIT_CASE(mark_survives_preemption),
	KUNIT_CASE(mark_survives_migration),
	KUNIT_CASE(new_task_starts_without_a_mark),
	KUNIT_CASE(dying_task_emits_what_is_pending),
	{}
};

static int lazy_mmu_mode_arm64_suite_init(struct kunit_suite *suite)
{
	lazy_page = alloc_page(GFP_KERNEL);
	return lazy_page ? 0 : -ENOMEM;
}

static void lazy_mmu_mode_arm64_suite_exit(struct kunit_suite *suite)
{
	__free_page(lazy_page);
}

static struct kunit_suite lazy_mmu_mode_arm64_suite = {
	.name = "lazy_mmu_mode_arm64",
	.suite_init = lazy_mmu_mode_arm64_suite_init,
	.suite_exit = lazy_mmu_mode_arm64_suite_exit,
	.test_cases = lazy_mmu_mode_arm64_cases,
};

kunit_test_suite(lazy_mmu_mode_arm64_suite);

MODULE_DESCRIPTION("KUnit tests for lazy MMU mode on arm64");
MODULE_LICENSE("GPL");
