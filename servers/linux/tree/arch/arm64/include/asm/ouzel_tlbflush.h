/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ouzel_tlbflush.h -- TLB flushes on Ouzel: what was queued for the shadow tables is applied.
 *
 * The shadow of a space behaves as a large TLB over Linux's tables. The page-table hooks
 * (shadow_sync() in pgtable.h) queue every change of a user entry; a flush makes the kernel
 * drain the queues of all CPUs, invalidate the hardware's TLBs, and only then return.
 *
 * Page-table pages that mremap() moves as a whole come without a hook: their flush names the range,
 * so it is queued here. Changes of kernel mappings are queued by arch_sync_kernel_mappings(), or by
 * a flush; what is new and was not queued, the first access finds.
 */
#ifndef __ASM_OUZEL_TLBFLUSH_H
#define __ASM_OUZEL_TLBFLUSH_H

#include <linux/limits.h>
#include <linux/mm_types.h>
#include <linux/mmu_notifier.h>
#include <linux/sched.h>
#include <asm/cputype.h>
#include <asm/mmu.h>
#include <asm/ouzel.h>

#define TLBI_TTL_UNKNOWN	INT_MAX
#define MAX_DVM_OPS		PTRS_PER_PTE	/* KVM's headers name it */

static inline bool system_supports_tlb_range(void);

/*
 * "The entries for these pages of mm changed." Most often they are covered by the element that
 * mm's last change went to: then it is enough that nobody has taken it, since with a full
 * barrier on either side who takes it afterwards sees the entry that we wrote. It must be of
 * this CPU's ring, which is drained before a program runs here.
 *
 * An mm's entries are changed by tasks, never by an interrupt, and tasks are not preempted
 * (Kconfig): so nobody else adds to the ring meanwhile.
 */
static __always_inline void shadow_sync(struct mm_struct *mm, unsigned long addr,
					unsigned long pages)
{
	u32 space = READ_ONCE(mm->context.space);
	struct vcpu_sync *last = READ_ONCE(mm->context.last);

	if (!space)	/* init_mm's, too: see arch_sync_kernel_mappings() */
		return;
	smp_mb();
	if (likely(((unsigned long)last ^ (unsigned long)ouzel_block()) < VB_SIZE)) {
		u64 claim = READ_ONCE(last->claim);	/* 0 if taken: that is no space's */
		unsigned long start = (addr - last->va) >> PAGE_SHIFT;	/* huge if below */

		if ((u32)claim == space) {
			if (start + pages > claim >> 32)
				ouzel_sync_more(mm, space, addr, pages);
			return;
		}
	}
	ouzel_sync(mm, space, addr, pages);
}

/*
 * The same for entries that are new, where a clearing hook was called if anything was there. To
 * leave one out is never wrong: its first access finds it. So it need not be known for certain
 * that the last element will be drained here, nor that it is still mm's.
 */
static __always_inline void shadow_add(struct mm_struct *mm, unsigned long addr,
				       unsigned long pages)
{
	u32 space = READ_ONCE(mm->context.space);
	struct vcpu_sync *last = READ_ONCE(mm->context.last);
	u64 claim;

	if (!space)
		return;
	claim = READ_ONCE(last->claim);
	if (((addr - last->va) >> PAGE_SHIFT) + pages <= claim >> 32)
		return;
	if (claim)
		ouzel_sync_more(mm, space, addr, pages);
	else
		ouzel_sync(mm, space, addr, pages);
}

static inline void local_flush_tlb_all(void)
{
	ouzel_flush(NULL, true);
}

static inline void flush_tlb_all(void)
{
	ouzel_flush(NULL, true);
}

/* Where tables were unlinked before, tlb_flush() says so; or the mm goes, and its space with it. */
static inline void flush_tlb_mm(struct mm_struct *mm)
{
	ouzel_flush(mm, false);
	mmu_notifier_arch_invalidate_secondary_tlbs(mm, 0, -1UL);
}

/* What the hook queued rides on the next return or flush of this CPU. */
static inline void flush_tlb_page_nosync(struct vm_area_struct *vma, unsigned long uaddr)
{
	mmu_notifier_arch_invalidate_secondary_tlbs(vma->vm_mm, uaddr & PAGE_MASK,
						    (uaddr & PAGE_MASK) + PAGE_SIZE);
}

static inline void flush_tlb_page(struct vm_area_struct *vma, unsigned long uaddr)
{
	ouzel_flush(vma->vm_mm, false);
	flush_tlb_page_nosync(vma, uaddr);
}

static inline bool arch_tlbbatch_should_defer(struct mm_struct *mm)
{
	return true;
}

static inline void arch_tlbbatch_add_pending(struct arch_tlbflush_unmap_batch *batch,
					     struct mm_struct *mm, unsigned long uaddr)
{
	mmu_notifier_arch_invalidate_secondary_tlbs(mm, uaddr & PAGE_MASK,
						    (uaddr & PAGE_MASK) + PAGE_SIZE);
}

static inline void arch_flush_tlb_batched_pending(struct mm_struct *mm)
{
	flush_tlb_mm(mm);
}

static inline void arch_tlbbatch_flush(struct arch_tlbflush_unmap_batch *batch)
{
	ouzel_flush(NULL, false);
}

static inline void __flush_tlb_range_nosync(struct vm_area_struct *vma, unsigned long start,
					    unsigned long end, unsigned long stride,
					    bool last_level, int tlb_level)
{
	mmu_notifier_arch_invalidate_secondary_tlbs(vma->vm_mm, round_down(start, stride),
						    round_up(end, stride));
}

static inline void __flush_tlb_range(struct vm_area_struct *vma, unsigned long start,
				     unsigned long end, unsigned long stride,
				     bool last_level, int tlb_level)
{
	__flush_tlb_range_nosync(vma, start, end, stride, last_level, tlb_level);
	ouzel_flush(vma->vm_mm, !last_level);
}

static inline void flush_tlb_range(struct vm_area_struct *vma, unsigned long start,
				   unsigned long end)
{
	/*
	 * move_normal_pmd() and move_normal_pud() move tables: no entry of them changed. They and
	 * pmdp_collapse_flush() unlink some, always with what they map as a whole.
	 */
	bool tables = IS_ALIGNED(start | end, PMD_SIZE);

	if (tables)
		shadow_sync(vma->vm_mm, start, (end - start) >> PAGE_SHIFT);
	__flush_tlb_range(vma, start, end, PAGE_SIZE, !tables, TLBI_TTL_UNKNOWN);
}

static inline void flush_tlb_kernel_range(unsigned long start, unsigned long end)
{
	/*
	 * A fixmap's entry is queued here. More at once are what vmalloc() and set_memory_*() have
	 * queued when they changed it, and the range may be half the address space.
	 */
	if (end - start <= PMD_SIZE)
		arch_sync_kernel_mappings(start, end);
	ouzel_flush(NULL, false);
}

/* A table below kaddr's entry goes away, one of a pmd first: pud_free_pmd_page() asks for each. */
static inline void __flush_tlb_kernel_pgtable(unsigned long kaddr)
{
	arch_sync_kernel_mappings(kaddr & PMD_MASK, (kaddr & PMD_MASK) + PMD_SIZE);
	ouzel_flush(NULL, true);
}

#endif
