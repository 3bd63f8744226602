// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for the page tables of arm64: which pages are mapped by what writes
 * or copies several entries at once.
 */
#include <kunit/test.h>

#include <linux/io.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/set_memory.h>
#include <linux/sort.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/trans_pgd.h>

#define PGT_NR_PAGES	16

/* This range is in two tables. */
static void vmap_page_range_maps_each_page(struct kunit *test)
{
	const phys_addr_t phys = PFN_PHYS(max_pfn) + PAGE_SIZE;
	const unsigned int nr = 2 * PGT_NR_PAGES;
	struct vm_struct *area;
	unsigned int nr_right = 0;
	unsigned long addr;
	int err;

	area = get_vm_area(2 * PMD_SIZE, VM_IOREMAP);
	KUNIT_ASSERT_NOT_NULL(test, area);
	addr = ALIGN((unsigned long)area->addr + nr * PAGE_SIZE, PMD_SIZE) -
	       PGT_NR_PAGES * PAGE_SIZE;
	err = vmap_page_range(addr, addr + nr * PAGE_SIZE, phys,
			      pgprot_nx(pgprot_device(PAGE_KERNEL)));
	for (int i = 0; !err && i < nr; i++) {
		pte_t pte = __ptep_get(virt_to_kpte(addr + i * PAGE_SIZE));

		nr_right += pte_valid(pte) && pte_pfn(pte) == PHYS_PFN(phys) + i;
	}
	free_vm_area(area);

	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, nr_right, nr);
}

/* No walker sees them: they are in no table. */
static pte_t pgt_ptes[CONT_PTES];

/*
 * The upper bits of a large page frame number are apart in a PTE. These pages are
 * on both sides of the smallest that has any there.
 */
static void set_ptes_counts_page_frames(struct kunit *test)
{
#ifdef PTE_ADDR_HIGH
	const int shift = __ffs(PTE_ADDR_HIGH) + PTE_ADDR_HIGH_SHIFT - PAGE_SHIFT;
	unsigned long pfn = BIT(shift) - CONT_PTES / 2;
	unsigned int nr_right = 0;
	pgprot_t prot = PAGE_KERNEL;

	/* With smaller pages these bits are for the shareability, otherwise. */
	if (!IS_ENABLED(CONFIG_ARM64_64K_PAGES) && !lpa2_is_enabled())
		kunit_skip(test, "this CPU has no LPA2");

	memset(pgt_ptes, 0, sizeof(pgt_ptes));
	__set_ptes(&init_mm, 0, pgt_ptes, pfn_pte(pfn, prot), CONT_PTES);

	for (int i = 0; i < CONT_PTES; i++)
		nr_right += pte_val(pgt_ptes[i]) == pte_val(pfn_pte(pfn + i, prot));
	KUNIT_EXPECT_EQ(test, nr_right, CONT_PTES);
#else
	kunit_skip(test, "needs CONFIG_ARM64_PA_BITS_52");
#endif
}

/* Or a change of one of them would fault on the others. */
static void kernel_ptes_are_not_made_contiguous(struct kunit *test)
{
	unsigned int nr_cont = 0;

	if (!IS_ENABLED(CONFIG_ARM64_CONTPTE))
		kunit_skip(test, "needs CONFIG_ARM64_CONTPTE");

	/* Aligned so that those of a user would be. */
	memset(pgt_ptes, 0, sizeof(pgt_ptes));
	set_ptes(&init_mm, 0, pgt_ptes, pfn_pte(0, PAGE_KERNEL), CONT_PTES);

	for (int i = 0; i < CONT_PTES; i++)
		nr_cont += pte_cont(pgt_ptes[i]);
	KUNIT_EXPECT_EQ(test, nr_cont, 0);
	KUNIT_EXPECT_TRUE(test, pte_valid(pgt_ptes[CONT_PTES - 1]));
}

#ifdef CONFIG_TRANS_TABLE
static void *pgt_trans_alloc(void *arg)
{
	return kunit_kzalloc(arg, PAGE_SIZE, GFP_KERNEL);
}

static pte_t *pgt_walk(pgd_t *pgd, unsigned long addr)
{
	p4d_t *p4dp = p4d_offset(pgd_offset_pgd(pgd, addr), addr);
	pud_t *pudp = pud_offset(p4dp, addr);

	return pte_offset_kernel(pmd_offset(pudp, addr), addr);
}

/* All are writable in the copy, and present. */
static void copy_of_page_tables_maps_the_same_pages(struct kunit *test)
{
	unsigned long start = (unsigned long)kunit_kzalloc(test, 1, GFP_KERNEL) & PMD_MASK;
	struct trans_pgd_info info = {
		.trans_alloc_page = pgt_trans_alloc,
		.trans_alloc_arg = test,
	};
	unsigned int nr_right = 0;
	pgd_t *pgd;

	KUNIT_ASSERT_NE(test, start, 0);
	if (!can_set_direct_map())
		kunit_skip(test, "the linear map has blocks");

	KUNIT_ASSERT_EQ(test, 0,
			trans_pgd_create_copy(&info, &pgd, start, start + PMD_SIZE));

	for (unsigned long addr = start; addr < start + PMD_SIZE; addr += PAGE_SIZE) {
		pte_t from = __ptep_get(virt_to_kpte(addr));
		pte_t to = __ptep_get(pgt_walk(pgd, addr));

		if (pte_none(from))
			nr_right += pte_none(to);
		else
			nr_right += pte_valid(to) && pte_write(to) &&
				    pte_pfn(to) == pte_pfn(from);
	}
	KUNIT_EXPECT_EQ(test, nr_right, PTRS_PER_PTE);
}
#else
static void copy_of_page_tables_maps_the_same_pages(struct kunit *test)
{
	kunit_skip(test, "needs kexec or hibernation");
}
#endif

/*
 * set_memory_ro() also changes the linear map of the pages of an area. In which order
 * the area has them is up to the allocator; let them have some more.
 */
#define PGT_AREA_PAGES	64

static int pgt_cmp_pages(const void *a, const void *b)
{
	unsigned long pfn_a = page_to_pfn(*(struct page **)a);
	unsigned long pfn_b = page_to_pfn(*(struct page **)b);

	return pfn_a < pfn_b ? -1 : pfn_a > pfn_b;
}

static void pgt_reverse_pages(struct page **pages, unsigned int nr)
{
	for (unsigned int i = 0; i < nr / 2; i++)
		swap(pages[i], pages[nr - 1 - i]);
}

enum pgt_order {
	PGT_ALLOCATED,
	PGT_FORWARDS,
	PGT_BACKWARDS,
	PGT_TO_AND_FRO,
	PGT_SHUFFLED,
};

static const struct pgt_order_param {
	const char *desc;
	enum pgt_order order;
	unsigned int nr_pages;
} pgt_order_params[] = {
	{ "as allocated", PGT_ALLOCATED, PGT_AREA_PAGES },
	{ "forwards", PGT_FORWARDS, PGT_AREA_PAGES },
	{ "backwards", PGT_BACKWARDS, PGT_AREA_PAGES },
	{ "to and fro", PGT_TO_AND_FRO, PGT_AREA_PAGES },
	{ "shuffled", PGT_SHUFFLED, PGT_AREA_PAGES },
	/* With pages of 4K, more than are flushed one by one. */
	{ "shuffled, many", PGT_SHUFFLED, 512 + PGT_AREA_PAGES },
};

KUNIT_ARRAY_PARAM_DESC(pgt_order, pgt_order_params, desc);

static void pgt_order_pages(struct page **pages, unsigned int nr, enum pgt_order order)
{
	if (order == PGT_ALLOCATED)
		return;

	sort(pages, nr, sizeof(*pages), pgt_cmp_pages, NULL);
	switch (order) {
	case PGT_BACKWARDS:
		pgt_reverse_pages(pages, nr);
		break;
	case PGT_TO_AND_FRO:
		for (unsigned int i = 0; i + 6 <= nr; i += 6)
			pgt_reverse_pages(pages + i, 3);
		break;
	case PGT_SHUFFLED:
		for (unsigned int i = 0; i < nr; i++)
			swap(pages[i], pages[i * 37 % nr]);
		break;
	default:
		break;
	}
}

/* false, too, if the linear map has no such page. */
static bool pgt_is_readonly(unsigned long pfn)
{
	pte_t *ptep;

	if (!pfn_valid(pfn))
		return false;

	ptep = virt_to_kpte((unsigned long)__va(PFN_PHYS(pfn)));
	return ptep && pte_val(__ptep_get(ptep)) & PTE_RDONLY;
}

static unsigned int pgt_nr_readonly(struct page **pages, unsigned int nr)
{
	unsigned int nr_readonly = 0;

	for (unsigned int i = 0; i < nr; i++)
		nr_readonly += pgt_is_readonly(page_to_pfn(pages[i]));

	return nr_readonly;
}

static bool pgt_has_page(struct page **pages, unsigned int nr, unsigned long pfn)
{
	for (unsigned int i = 0; i < nr; i++)
		if (page_to_pfn(pages[i]) == pfn)
			return true;

	return false;
}

/* Of the pages next to one of these. */
static unsigned int pgt_nr_readonly_around(struct page **pages, unsigned int nr)
{
	unsigned int nr_readonly = 0;

	for (unsigned int i = 0; i < nr; i++) {
		unsigned long pfn = page_to_pfn(pages[i]);

		if (!pgt_has_page(pages, nr, pfn - 1))
			nr_readonly += pgt_is_readonly(pfn - 1);
		if (!pgt_has_page(pages, nr, pfn + 1))
			nr_readonly += pgt_is_readonly(pfn + 1);
	}
	return nr_readonly;
}

/* An area whose pages are in the order of the parameter. */
static struct vm_struct *pgt_make_area(struct kunit *test)
{
	const struct pgt_order_param *param = test->param_value;
	struct vm_struct *area;
	void *addr;

	if (!rodata_full)
		kunit_skip(test, "the linear map stays as it is");

	addr = vmalloc(param->nr_pages * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	area = find_vm_area(addr);
	pgt_order_pages(area->pages, area->nr_pages, param->order);

	return area;
}

static bool pgt_can_write(void *addr)
{
	return !copy_to_kernel_nofault(addr, &(u8){ 1 }, 1);
}

/* Of these pages in the linear map, which are in the TLB then. */
static unsigned int pgt_nr_can_write(struct page **pages, unsigned int nr)
{
	unsigned int nr_rw = 0;

	for (unsigned int i = 0; i < nr; i++)
		nr_rw += pgt_can_write(page_address(pages[i]));

	return nr_rw;
}

static void linear_map_of_an_area_changes_with_it(struct kunit *test)
{
	unsigned int inside[3], outside[2], nr_rw[2], nr;
	struct vm_struct *area;
	void *addr;

	area = pgt_make_area(test);
	addr = area->addr;
	nr = area->nr_pages;
	inside[0] = pgt_nr_readonly(area->pages, nr);
	outside[0] = pgt_nr_readonly_around(area->pages, nr);
	/* Or set_memory_ro() does, and with that it flushes everything. */
	vm_unmap_aliases();
	nr_rw[0] = pgt_nr_can_write(area->pages, nr);
	set_memory_ro((unsigned long)addr, nr);
	nr_rw[1] = pgt_nr_can_write(area->pages, nr);
	inside[1] = pgt_nr_readonly(area->pages, nr);
	outside[1] = pgt_nr_readonly_around(area->pages, nr);
	set_memory_rw((unsigned long)addr, nr);
	inside[2] = pgt_nr_readonly(area->pages, nr);
	vfree(addr);

	KUNIT_EXPECT_EQ(test, inside[0], 0);
	KUNIT_EXPECT_EQ(test, inside[1], nr);
	KUNIT_EXPECT_EQ(test, inside[2], 0);
	KUNIT_EXPECT_EQ(test, outside[1], outside[0]);
	KUNIT_EXPECT_EQ(test, nr_rw[0], nr);
	KUNIT_EXPECT_EQ(test, nr_rw[1], 0);
}

/* The other pages of the area are none of the caller's business. */
static void linear_map_of_a_part_changes_with_it(struct kunit *test)
{
	const unsigned int first = 5, nr = 9, behind = first + nr;
	unsigned int part, before, after, nr_rw;
	struct vm_struct *area;
	void *addr;

	area = pgt_make_area(test);
	addr = area->addr;
	set_memory_ro((unsigned long)addr + first * PAGE_SIZE, nr);
	before = pgt_nr_readonly(area->pages, first);
	part = pgt_nr_readonly(area->pages + first, nr);
	after = pgt_nr_readonly(area->pages + behind, area->nr_pages - behind);
	set_memory_rw((unsigned long)addr + first * PAGE_SIZE, nr);
	nr_rw = pgt_nr_readonly(area->pages, area->nr_pages);
	vfree(addr);

	KUNIT_EXPECT_EQ(test, before, 0);
	KUNIT_EXPECT_EQ(test, part, nr);
	KUNIT_EXPECT_EQ(test, after, 0);
	KUNIT_EXPECT_EQ(test, nr_rw, 0);
}

static void area_that_may_have_blocks_is_left_alone(struct kunit *test)
{
	unsigned int nr_readonly;
	struct vm_struct *area;
	void *addr;
	int err;

	if (!rodata_full)
		kunit_skip(test, "the linear map stays as it is");

	addr = vmalloc_huge(PGT_AREA_PAGES * PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	area = find_vm_area(addr);

	err = set_memory_ro((unsigned long)addr, PGT_AREA_PAGES);
	nr_readonly = pgt_nr_readonly(area->pages, area->nr_pages);
	vfree(addr);

	KUNIT_EXPECT_EQ(test, err, -EINVAL);
	KUNIT_EXPECT_EQ(test, nr_readonly, 0);
}

/*
 * Whatever the TLB had before. This is one page, in the area and in the linear map:
 * an emulator that is asked for a range can flush everything. So does set_memory_ro()
 * if an area has been freed, which may be the stack of some task, but not each time.
 */
static void readonly_page_cannot_be_written_to(struct kunit *test)
{
	const unsigned int nr_tries = 10;
	unsigned int nr_rw[2] = {}, nr_rw_linear[2] = {};
	void *addr, *linear;

	addr = vmalloc(PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	linear = page_address(vmalloc_to_page(addr));

	for (unsigned int i = 0; i < nr_tries; i++) {
		nr_rw[0] += pgt_can_write(addr);
		nr_rw_linear[0] += pgt_can_write(linear);
		set_memory_ro((unsigned long)addr, 1);
		nr_rw[1] += pgt_can_write(addr);
		nr_rw_linear[1] += pgt_can_write(linear);
		set_memory_rw((unsigned long)addr, 1);
	}
	vfree(addr);

	KUNIT_EXPECT_EQ(test, nr_rw[0], nr_tries);
	KUNIT_EXPECT_EQ(test, nr_rw_linear[0], nr_tries);
	KUNIT_EXPECT_EQ(test, nr_rw[1], 0);
	KUNIT_EXPECT_EQ(test, nr_rw_linear[1], rodata_full ? 0 : nr_tries);
}

/*
 * The same for several pages of the linear map. With LPA2 no range can begin with
 * the first of them, so the range begins before.
 */
static void invalid_pages_cannot_be_written_to(struct kunit *test)
{
	const unsigned int order = 4, nr = 3;
	unsigned int nr_rw[3] = {};
	unsigned long block, start;

	if (!can_set_direct_map())
		kunit_skip(test, "the linear map has blocks");

	block = __get_free_pages(GFP_KERNEL, order);
	KUNIT_ASSERT_NE(test, block, 0);
	start = block + PAGE_SIZE;

	for (unsigned int step = 0; step < 3; step++) {
		if (step)
			set_memory_valid(start, nr, step == 2);
		for (unsigned int i = 0; i < nr; i++)
			nr_rw[step] += pgt_can_write((void *)start + i * PAGE_SIZE);
	}
	free_pages(block, order);

	KUNIT_EXPECT_EQ(test, nr_rw[0], nr);
	KUNIT_EXPECT_EQ(test, nr_rw[1], 0);
	KUNIT_EXPECT_EQ(test, nr_rw[2], nr);
}

static struct kunit_case arm64_pgtable_cases[] = {
	KUNIT_CASE(vmap_page_range_maps_each_page),
	KUNIT_CASE(set_ptes_counts_page_frames),
	KUNIT_CASE(kernel_ptes_are_not_made_contiguous),
	KUNIT_CASE(copy_of_page_tables_maps_the_same_pages),
	KUNIT_CASE_PARAM(linear_map_of_an_area_changes_with_it, pgt_order_gen_params),
	KUNIT_CASE_PARAM(linear_map_of_a_part_changes_with_it, pgt_order_gen_params),
	KUNIT_CASE(area_that_may_have_blocks_is_left_alone),
	KUNIT_CASE(readonly_page_cannot_be_written_to),
	KUNIT_CASE(invalid_pages_cannot_be_written_to),
	{}
};

static struct kunit_suite arm64_pgtable_suite = {
	.name = "arm64_pgtable",
	.test_cases = arm64_pgtable_cases,
};

/*
 * vmalloc.c looks at the first page of each subsection only. Warns, so this is in a
 * suite of its own.
 */
static void vmap_refuses_a_page_without_memory(struct kunit *test)
{
	struct page *page = virt_to_page(kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL));
	struct page *last[] = { page, page, pfn_to_page(0) };
	struct page *first[] = { pfn_to_page(ULONG_MAX), page };
	void *addr;

	if (pfn_valid(0))
		kunit_skip(test, "memory begins at 0");

	addr = vmap(last, ARRAY_SIZE(last), VM_MAP, PAGE_KERNEL);
	KUNIT_EXPECT_NULL(test, addr);
	vunmap(addr);
	addr = vmap(first, ARRAY_SIZE(first), VM_MAP, PAGE_KERNEL);
	KUNIT_EXPECT_NULL(test, addr);
	vunmap(addr);
}

static struct kunit_case arm64_pgtable_warning_cases[] = {
	KUNIT_CASE(vmap_refuses_a_page_without_memory),
	{}
};

static struct kunit_suite arm64_pgtable_warning_suite = {
	.name = "arm64_pgtable_warning",
	.test_cases = arm64_pgtable_warning_cases,
};

kunit_test_suites(&arm64_pgtable_suite, &arm64_pgtable_warning_suite);

MODULE_DESCRIPTION("KUnit tests for the page tables of arm64");
MODULE_LICENSE("GPL");
