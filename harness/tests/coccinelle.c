// SPDX-License-Identifier: GPL-2.0
/*
 * For lint: what the series' Coccinelle rule finds, and what it must not. Behind a
 * line that it reports there are the first two words of the message.
 */

static void hook(void)
{
	arch_enter_lazy_mmu_mode(); // direct call
	arch_flush_lazy_mmu_mode(); // direct call
	arch_leave_lazy_mmu_mode(); // direct call
}

static int way_out(pmd_t *pmd, bool fail)
{
	pte_t *pte = pte_offset_map_lock(mm, pmd, addr, &ptl);

	lazy_mmu_mode_enable();
	if (fail)
		return -EINVAL; // not closed
	if (pte) {
		lazy_mmu_mode_disable();
		pte_unmap_unlock(pte, ptl);
	}
	return 0;
}

static int falls_through(bool fail)
{
	lazy_mmu_mode_pause();
	if (!fail)
		lazy_mmu_mode_resume();
} // not closed

static void unopened(bool first)
{
	if (first)
		lazy_mmu_mode_enable();
	lazy_mmu_mode_disable(); // not opened
}

static void unpaused(void)
{
	lazy_mmu_mode_resume(); // not opened
}

static void twice(void)
{
	lazy_mmu_mode_enable();
	while (more()) {
		if (!next())
			continue;
		lazy_mmu_mode_disable(); // no counterpart
		lazy_mmu_mode_pause();
		lazy_mmu_mode_pause(); // no counterpart
		lazy_mmu_mode_resume();
		lazy_mmu_mode_resume(); // no counterpart
	}
	lazy_mmu_mode_enable(); // no counterpart
	lazy_mmu_mode_disable();
}

static void overlap(void)
{
	lazy_mmu_mode_pause();
	lazy_mmu_mode_enable();
	lazy_mmu_mode_resume(); // no counterpart
	lazy_mmu_mode_disable();

	lazy_mmu_mode_enable();
	lazy_mmu_mode_pause();
	lazy_mmu_mode_disable(); // no counterpart
	lazy_mmu_mode_resume();
}

static void helper_sleeps(void)
{
	mutex_lock(&mutex);
}

static void sleeps(void)
{
	cond_resched();
	lazy_mmu_mode_enable();
	kmalloc(size, GFP_ATOMIC);
	kmalloc(size, GFP_KERNEL); // may sleep
	schedule_preempt_disabled(); // may sleep
	lazy_mmu_mode_pause();
	helper_sleeps();
	lazy_mmu_mode_resume();
	helper_sleeps(); // may sleep
	scoped_guard(lazy_mmu_mode_pause) {
		helper_sleeps();
	}
	lazy_mmu_mode_disable();
	helper_sleeps();
}

static void sleeps_guarded(void)
{
	if (first) {
		guard(lazy_mmu_mode)();
		cond_resched(); // may sleep
		if (second) {
			guard(lazy_mmu_mode_pause)();
			cond_resched();
		}
		helper_sleeps(); // may sleep
	}
	cond_resched();
	scoped_guard(lazy_mmu_mode) {
		if (second)
			helper_sleeps(); // may sleep
		lazy_mmu_mode_pause();
		helper_sleeps();
		lazy_mmu_mode_resume();
		helper_sleeps(); // may sleep
	}
	helper_sleeps();
}

static void unlocks(void)
{
	spin_lock(&init_mm.page_table_lock);
	lazy_mmu_mode_enable();
	spin_unlock(&other);
	spin_unlock(&init_mm.page_table_lock); // a page
	lazy_mmu_mode_disable();

	pmd = pmd_lock(mm, pmd);
	lazy_mmu_mode_enable();
	if (first) {
		spin_unlock(pmd_lockptr(mm, pmd)); // a page
		goto out;
	}
	lazy_mmu_mode_disable();
	spin_unlock(pmd_lockptr(mm, pmd));
	return;
out:
	lazy_mmu_mode_disable();
}

static int unlocks_guarded(void)
{
	pte_t *pte = pte_offset_map_lock(mm, pmd, addr, &ptl);

	if (first) {
		scoped_guard(lazy_mmu_mode)
			set_pte_at(mm, addr, pte, entry);
		pte_unmap_unlock(pte, ptl);
		return 0;
	}
	if (second) {
		guard(spinlock)(ptl);
		guard(lazy_mmu_mode)();
		return 0;
	}
	if (third) {
		guard(lazy_mmu_mode)();
		guard(spinlock)(ptl); // a page
		guard(spinlock)(&other);
		return 0;
	}
	scoped_guard(lazy_mmu_mode) {
		scoped_guard(spinlock, ptl) // a page
			set_pte_at(mm, addr, pte, entry);
	}

	guard(lazy_mmu_mode)();
	pte_unmap_unlock(pte, ptl); // a page
	return 0;
}

static void rereads(pte_t *pte, pte_t *other_pte, pmd_t *pmd)
{
	set_pte_at(mm, addr, pte, entry);
	ptep_get(pte);
	lazy_mmu_mode_enable();
	ptep_get(pte);
	do {
		if (pte_none(ptep_get(pte)))
			continue;
		entry = ptep_modify_prot_start(vma, addr, pte);
		ptep_modify_prot_commit(vma, addr, pte, old, entry);
		ptep_get(other_pte);
	} while (pte++, addr += PAGE_SIZE, addr != end);

	pte_clear(mm, addr, pte);
	if (first) {
		lazy_mmu_mode_pause();
		ptep_get(pte);
		lazy_mmu_mode_resume();
	} else {
		ptep_get_and_clear(mm, addr, pte); // an entry
	}
	set_pmd_at(mm, addr, pmd, pmdval);
	if (pmd_none(*pmd)) // an entry
		pmdp_get(pmd + 1);
	set_pmd(pmd, pmdval);
	set_pte(vmf->pte, entry);
	ptep_get(vmf->pte + 1);
	ptep_clear_flush(vma, addr, vmf->pte); // an entry
	ptep_set_wrprotect(mm, addr, other_pte);
	ptep_get(other_pte); // an entry
	lazy_mmu_mode_disable();
	pmdp_get(pmd);

	scoped_guard(lazy_mmu_mode) {
		set_ptes(mm, addr, pte, entry, nr);
		ptep_get(pte); // an entry
		scoped_guard(lazy_mmu_mode_pause) {
			ptep_get(pte);
		}
		ptep_clear_flush(vma, addr, pte);
	}
	ptep_get(pte);

	guard(lazy_mmu_mode)();
	for (; pte != end; pte++) {
		ptep_get(pte);
		set_pte_at(mm, addr, pte, entry);
		if (first)
			pte = next;
		else if (second)
			pte--;
		else
			continue;
		ptep_get(pte);
		pte = other_pte;
	}
}

static int callback(pte_t *pte, unsigned long addr, void *data)
{
	struct page *page = alloc_page(GFP_KERNEL); // may sleep

	spin_lock(&init_mm.page_table_lock);
	if (pte_none(ptep_get(pte)))
		set_pte_at(&init_mm, addr, pte, entry);
	spin_unlock(&init_mm.page_table_lock); // a page
	ptep_get(pte); // an entry
	return 0;
}

static int existing_callback(pte_t *pte, unsigned long addr, void *data)
{
	helper_sleeps(); // may sleep
	guard(lazy_mmu_mode_pause)();
	helper_sleeps();
	return 0;
}

static int pausing_callback(pte_t *pte, unsigned long addr, void *data)
{
	lazy_mmu_mode_pause();
	alloc_page(GFP_KERNEL);
	spin_unlock(&init_mm.page_table_lock);
	lazy_mmu_mode_resume();
	return 0;
}

static int no_callback(pte_t *pte, unsigned long addr, void *data)
{
	alloc_page(GFP_KERNEL);
	return 0;
}

static int apply(void)
{
	apply_to_page_range(mm, addr, size, pausing_callback, no_callback);
	apply_to_page_range(mm, addr, size, callback, NULL);
	return apply_to_existing_page_range(mm, addr, size, &existing_callback, NULL);
}
