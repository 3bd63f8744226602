// SPDX-License-Identifier: GPL-2.0
/*
 * What bench.sh measures inside the kernel. It builds this file into stock 6.12
 * and into the series alike, as mm/lazy_mmu_bench.c.
 */
#define pr_fmt(fmt) "bench: " fmt

#include <linux/init.h>
#include <linux/io.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/set_memory.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#ifdef CONFIG_TRANS_TABLE
#include <asm/trans_pgd.h>
#endif

#include "lazy_mmu_bench.h"

#define MAX_PAGES 4096

/*
 * BENCH_HELPERS is for a tree that has lazy_mmu_mode_enable() and the others,
 * BENCH_IN for one that has in_lazy_mmu_mode().
 */
#ifdef BENCH_HELPERS
#define section_open()	lazy_mmu_mode_enable()
#define section_close()	lazy_mmu_mode_disable()
#else
#define section_open()	arch_enter_lazy_mmu_mode()
#define section_close()	arch_leave_lazy_mmu_mode()
#endif

static struct page *pages[MAX_PAGES] __initdata;
static struct page *shuffled[MAX_PAGES] __initdata;

/* An error ends the run, and bench.sh shows the line. */
static void __init check(bool ok, const char *what)
{
	if (!ok)
		panic("bench: failed: %s\n", what);
}

/* What the hardware has not seen needs no flush, with a hash table for example. */
static void __init touch(void *p, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		READ_ONCE(*(char *)(p + ((unsigned long)i << PAGE_SHIFT)));
}

static void __init measure_vmalloc(unsigned int n)
{
	int rep;
	void *p;

	pr_notice("%u vmalloc vfree\n", n);
	for (rep = 0; rep < BENCH_REPS; rep++) {
		mark_start();
		p = vmalloc((unsigned long)n << PAGE_SHIFT);
		mark_stop();
		check(p, "vmalloc");
		touch(p, n);

		mark_start();
		vfree(p);
		mark_stop();
		/* Not that one of these purges for all of them. */
		vm_unmap_aliases();
	}
}

/* So that no two of them are adjacent any more. @n is a power of two. */
static void __init shuffle(struct page **to, struct page **from, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		to[i] = from[i * 1031 % n];
}

static void __init measure_vmap(struct page **these, unsigned int n, const char *how)
{
	int rep;
	void *p;

	pr_notice("%u vmap%s vunmap%s\n", n, how, how);
	for (rep = 0; rep < BENCH_REPS; rep++) {
		mark_start();
		p = vmap(these, n, VM_MAP, PAGE_KERNEL);
		mark_stop();
		check(p, "vmap");
		touch(p, n);

		mark_start();
		vunmap(p);
		mark_stop();
		vm_unmap_aliases();
	}
}

#ifdef CONFIG_ARCH_HAS_SET_MEMORY
static void __init measure_set_memory(unsigned int n, unsigned int area, const char *how)
{
	void *p = vmalloc((unsigned long)area << PAGE_SHIFT);
	/* The last ones. */
	unsigned long first = (unsigned long)p + ((area - n) << PAGE_SHIFT);
	struct vm_struct *vm = find_vm_area(p);
	int rep, ret;

	check(p, "vmalloc");
	memcpy(pages, vm->pages, area * sizeof(*pages));
	if (!strcmp(how, ",shuffled"))
		shuffle(vm->pages, pages, area);
	pr_notice("%u set_memory_ro%s set_memory_rw%s\n", n, how, how);
	for (rep = 0; rep < BENCH_REPS; rep++) {
		mark_start();
		ret = set_memory_ro(first, n);
		mark_stop();
		check(!ret, "set_memory_ro");

		mark_start();
		ret = set_memory_rw(first, n);
		mark_stop();
		check(!ret, "set_memory_rw");
	}
	memcpy(vm->pages, pages, area * sizeof(*pages));
	vfree(p);
}
#else
static inline void measure_set_memory(unsigned int n, unsigned int area, const char *how) {}
#endif

#ifdef CONFIG_TRANS_TABLE
/* The tables of a copy: those of MAX_PAGES, and one each of the levels above. */
static void *tables[MAX_PAGES / PTRS_PER_PTE + 8] __initdata;
static unsigned int nr_tables __initdata;

static void *__init trans_alloc(void *arg)
{
	check(nr_tables < ARRAY_SIZE(tables), "tables");
	return tables[nr_tables++] = (void *)get_zeroed_page(GFP_KERNEL);
}

/* For kexec and hibernation, of the linear map. */
static void __init measure_trans_pgd(unsigned int n)
{
	struct trans_pgd_info info = { .trans_alloc_page = trans_alloc };
	unsigned long start = (unsigned long)__va(memblock_start_of_DRAM());
	int rep, ret;
	pgd_t *pgd;

#ifndef BENCH_HELPERS
	/* Linux 6.12 dies of it. */
	if (pgtable_l5_enabled())
		return;
#endif
	pr_notice("%u trans_pgd_create_copy\n", n);
	for (rep = 0; rep < BENCH_REPS; rep++) {
		mark_start();
		ret = trans_pgd_create_copy(&info, &pgd, start, start + n * PAGE_SIZE);
		mark_stop();
		check(!ret, "trans_pgd_create_copy");
		while (nr_tables)
			free_page((unsigned long)tables[--nr_tables]);
	}
}
#else
static inline void measure_trans_pgd(unsigned int n) {}
#endif

/*
 * Where QEMU's machines have no RAM, a page after where a large page could be.
 * Nothing is read there. On sparc64 ioremap() maps nothing.
 */
#if defined(CONFIG_ARM64)
#define BENCH_IO	0x10000000UL
#elif defined(CONFIG_X86_64)
#define BENCH_IO	0xd0000000UL
#elif defined(CONFIG_PPC64)
#define BENCH_IO	0x200080000000UL
#endif

#ifdef BENCH_IO
static void __init measure_ioremap(void)
{
	void __iomem *p;
	int rep;

	pr_notice("%lu ioremap iounmap\n", SZ_2M / PAGE_SIZE);
	for (rep = 0; rep < BENCH_REPS; rep++) {
		mark_start();
		p = ioremap(BENCH_IO + PAGE_SIZE, SZ_2M);
		mark_stop();
		check(p, "ioremap");

		mark_start();
		iounmap(p);
		mark_stop();
		vm_unmap_aliases();
	}
}
#else
static inline void measure_ioremap(void) {}
#endif

static void __init measure_set_pte(void)
{
	static pte_t *ptep[64] __initdata;
	static pte_t pte[64] __initdata;
	unsigned long address;
	int i, rep;
	void *p;

	p = vmalloc(ARRAY_SIZE(ptep) << PAGE_SHIFT);
	check(p, "vmalloc");
	address = (unsigned long)p;
	for (i = 0; i < ARRAY_SIZE(ptep); i++) {
		ptep[i] = virt_to_kpte(address + i * PAGE_SIZE);
		check(ptep[i], "page table");
		pte[i] = ptep_get(ptep[i]);
	}
	pr_notice("%zu set_pte set_pte,lazy\n", ARRAY_SIZE(ptep));
	for (rep = 0; rep < BENCH_REPS; rep++) {
		mark_start();
		for (i = 0; i < ARRAY_SIZE(ptep); i++)
			set_pte_at(&init_mm, address + i * PAGE_SIZE, ptep[i],
				   pte[i]);
		mark_stop();

		mark_start();
		section_open();
		for (i = 0; i < ARRAY_SIZE(ptep); i++)
			set_pte_at(&init_mm, address + i * PAGE_SIZE, ptep[i],
				   pte[i]);
		section_close();
		mark_stop();
	}
	vfree(p);
}

static void __init measure_helpers(void)
{
	int rep;

	pr_notice("0 enable+disable\n");
	for (rep = 0; rep < BENCH_REPS; rep++) {
		mark_start();
		section_open();
		section_close();
		mark_stop();
	}
#ifdef BENCH_HELPERS
	pr_notice("0 enable disable enable+disable,nested pause+resume\n");
	for (rep = 0; rep < BENCH_REPS; rep++) {
		mark_start();
		lazy_mmu_mode_enable();
		mark_stop();

		mark_start();
		lazy_mmu_mode_disable();
		mark_stop();

		lazy_mmu_mode_enable();
		mark_start();
		lazy_mmu_mode_enable();
		lazy_mmu_mode_disable();
		mark_stop();

		mark_start();
		lazy_mmu_mode_pause();
		lazy_mmu_mode_resume();
		mark_stop();

		lazy_mmu_mode_disable();
	}
#endif
#ifdef BENCH_IN
	pr_notice("0 in_lazy_mmu_mode\n");
	for (rep = 0; rep < BENCH_REPS; rep++) {
		bool in;

		lazy_mmu_mode_enable();
		mark_start();
		in = in_lazy_mmu_mode();
		asm volatile("" : : "r" (in));
		mark_stop();
		lazy_mmu_mode_disable();
	}
#endif
}

static int __init measure(void)
{
	static const unsigned int sizes[] = { 1, 16, 64, 512, MAX_PAGES };
	int i;

	pr_notice("sizeof(task_struct) %zu\n", sizeof(struct task_struct));
	measure_helpers();
	measure_set_pte();
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		measure_vmalloc(sizes[i]);

	for (i = 0; i < MAX_PAGES; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		check(pages[i], "alloc_page");
	}
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		measure_vmap(pages, sizes[i], "");
	shuffle(shuffled, pages, MAX_PAGES);
	measure_vmap(shuffled, 512, ",shuffled");
	for (i = 0; i < MAX_PAGES; i++)
		__free_page(pages[i]);

	for (i = 0; i < ARRAY_SIZE(sizes) - 1; i++)
		measure_set_memory(sizes[i], sizes[i], "");
	measure_set_memory(1, 512, ",part");
	measure_set_memory(512, 512, ",shuffled");
	measure_ioremap();
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		measure_trans_pgd(sizes[i]);
	return 0;
}
late_initcall_sync(measure);
