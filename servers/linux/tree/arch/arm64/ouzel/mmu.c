// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmu.c -- spaces and shadow sync: what is natively TTBR0, ASIDs and TLBI.
 */
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/spinlock.h>

#include <asm/cacheflush.h>
#include <asm/mmu_context.h>
#include <asm/ouzel.h>
#include <asm/pgalloc.h>
#include <asm/sections.h>

static_assert(offsetof(struct vcpu_block, masked) == VB_MASKED);
static_assert(offsetof(struct vcpu_block, server) == VB_SERVER);
static_assert(offsetof(struct vcpu_block, sp) == VB_SP);
static_assert(offsetof(struct vcpu_block, ring) == VB_RING);

/* ---- the sync ring ---- */

/*
 * The kernel takes an element by exchanging its second half (space, pages) for zero, maybe
 * on another CPU at this moment. Until then it may be extended: whoever drains it later
 * reads our tables then. The exchange must be made even when nothing changes: by its release
 * the drain that follows sees the entry that we just wrote.
 *
 * A few pages that did not change in the gap cost the kernel less than an element.
 */
#define MERGE_GAP	8

static bool merge(struct vcpu_sync *e, u32 space, unsigned long addr, unsigned long pages)
{
	u64 *half = (u64 *)&e->space;
	u64 old = READ_ONCE(*half);
	unsigned long have = old >> 32, start, end;

	if ((u32)old != space || !have)
		return false;
	start = (addr - e->va) >> PAGE_SHIFT;	/* huge if below */
	if (start > have + MERGE_GAP)
		return false;
	end = max(start + pages, have);
	if (end > U32_MAX)
		return false;
	return cmpxchg_release(half, old, (u64)end << 32 | space) == old;
}

/*
 * Queue "the entries for these pages changed". Elements of a process are added with its page
 * table locked, so not preempted; an interrupt that has something to add (none is known to)
 * must not find us half-way, so it asks at once.
 */
void notrace ouzel_sync(u32 space, unsigned long addr, unsigned long pages)
{
	struct vcpu_block *block;
	struct vcpu_sync *e;
	u32 head, tail;

	if (!space || !pages)
		return;
	if (unlikely(in_interrupt())) {
		OUZEL(space_sync, space, addr, pages, 0);
		return;
	}
	preempt_disable();
	block = ouzel_block();
	tail = block->sync_tail;
	head = READ_ONCE(block->sync_head);
	/* fork() works on two spaces at a time */
	if (tail != head &&
	    (merge(&block->ring[(tail - 1) % SYNC_RING], space, addr, pages) ||
	     (tail - head > 1 && merge(&block->ring[(tail - 2) % SYNC_RING], space, addr, pages))))
		goto out;
	if (unlikely(tail - head >= SYNC_RING))
		OUZEL(vcpu_sync);
	e = &block->ring[tail % SYNC_RING];
	e->va = addr;
	WRITE_ONCE(*(u64 *)&e->space, (u64)pages << 32 | space);
	smp_store_release(&block->sync_tail, tail + 1);	/* another CPU may drain it */
	WRITE_ONCE(block->sync, 1);
out:
	preempt_enable();
}
EXPORT_SYMBOL_GPL(ouzel_sync);

/*
 * All that was queued anywhere is in force, and no stale translation left, on return. An mm
 * that is being torn down has nothing to be in force: nobody runs in it again, and its space
 * goes before the capability slot is used again.
 */
void ouzel_flush(struct mm_struct *mm)
{
	struct vcpu_block *block;

	if (mm && !READ_ONCE(mm->context.space))
		return;
	block = ouzel_block();
	if (num_online_cpus() == 1 && READ_ONCE(block->sync_head) == block->sync_tail)
		return;
	OUZEL(vcpu_flush);
}
EXPORT_SYMBOL_GPL(ouzel_flush);

/* ---- spaces ---- */

static DEFINE_RAW_SPINLOCK(slots_lock);
static u16 slots_free[SLOT_COUNT - SERVER_SLOT_DYNAMIC];
static unsigned int slots_returned;		/* in slots_free */
static unsigned int slots_fresh = SERVER_SLOT_DYNAMIC;

static u16 slot_get(void)
{
	unsigned long flags;
	u16 slot = 0;

	raw_spin_lock_irqsave(&slots_lock, flags);
	if (slots_returned)
		slot = slots_free[--slots_returned];
	else if (slots_fresh < SLOT_COUNT)
		slot = slots_fresh++;
	raw_spin_unlock_irqrestore(&slots_lock, flags);
	return slot;
}

static void slot_put(u16 slot)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&slots_lock, flags);
	slots_free[slots_returned++] = slot;
	raw_spin_unlock_irqrestore(&slots_lock, flags);
}

int ouzel_space_new(struct mm_struct *mm)
{
	u16 slot = slot_get();
	enum ouzel_error error = slot ? OUZEL(space_create, slot, virt_to_phys(mm->pgd)) : E_LIMIT;

	mm->context.space = mm->context.slot = 0;
	if (error) {
		pr_warn_ratelimited("ouzel: no space for a process: %s\n",
				    ouzel_error_text(error));
		if (slot)
			slot_put(slot);
		return -ENOMEM;
	}
	mm->context.space = mm->context.slot = slot;
	return 0;
}

void ouzel_space_free(struct mm_struct *mm)
{
	enum ouzel_error error = OUZEL(cap_delete, mm->context.slot);

	if (!WARN_ONCE(error, "ouzel: a space can't be deleted: %s\n", ouzel_error_text(error)))
		slot_put(mm->context.slot);
}

void check_and_switch_context(struct mm_struct *mm)
{
	OUZEL(vcpu_set_space, mm->context.slot);
}

unsigned long arm64_mm_context_get(struct mm_struct *mm)
{
	return 0;	/* no ASID: nothing outside the CPUs shares our tables */
}

void arm64_mm_context_put(struct mm_struct *mm)
{
}

void verify_cpu_asid_bits(void)
{
}

/* ---- caches ---- */

/* IC IALLUIS is privileged; who needs it has changed the kernel's text through an alias. */
void ouzel_icache_inval_all(void)
{
	icache_inval_pou((unsigned long)_stext, (unsigned long)_etext);
	if (system_state < SYSTEM_FREEING_INITMEM)
		icache_inval_pou((unsigned long)__inittext_begin, (unsigned long)__inittext_end);
}
