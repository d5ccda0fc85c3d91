/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ouzel_tlbflush.h -- TLB flushes on Ouzel: what was queued for the shadow tables is applied.
 *
 * The shadow of a space behaves as a large TLB over Linux's tables. The page-table hooks
 * (ouzel_sync() in pgtable.h) queue every change of a user entry; a flush makes the kernel
 * drain the queues of all CPUs, invalidate the hardware's TLBs, and only then return.
 *
 * Two kinds of change come without a hook, because no hook knows their address: those of
 * kernel mappings, and page-table pages that mremap() moves as a whole. Their flushes name
 * the range, so it is queued here.
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

static inline void local_flush_tlb_all(void)
{
	ouzel_flush(NULL);
}

static inline void flush_tlb_all(void)
{
	ouzel_flush(NULL);
}

static inline void flush_tlb_mm(struct mm_struct *mm)
{
	ouzel_flush(mm);
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
	ouzel_flush(vma->vm_mm);
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
	ouzel_flush(NULL);
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
	ouzel_flush(vma->vm_mm);
}

static inline void flush_tlb_range(struct vm_area_struct *vma, unsigned long start,
				   unsigned long end)
{
	/* move_normal_pmd() and move_normal_pud() move tables: no entry of them changed. */
	if (IS_ALIGNED(start | end, PMD_SIZE))
		ouzel_sync(vma->vm_mm->context.space, start, (end - start) >> PAGE_SHIFT);
	__flush_tlb_range(vma, start, end, PAGE_SIZE, false, TLBI_TTL_UNKNOWN);
}

static inline void flush_tlb_kernel_range(unsigned long start, unsigned long end)
{
	start &= PAGE_MASK;
	ouzel_sync(SLOT_SPACE, start, (ALIGN(end, PAGE_SIZE) - start) >> PAGE_SHIFT);
	ouzel_flush(NULL);
}

/* A table below kaddr's entry of some level goes away: at most 1 GiB was mapped by it. */
static inline void __flush_tlb_kernel_pgtable(unsigned long kaddr)
{
	ouzel_sync(SLOT_SPACE, kaddr & PMD_MASK, PMD_SIZE >> PAGE_SHIFT);
	ouzel_flush(NULL);
}

#endif
