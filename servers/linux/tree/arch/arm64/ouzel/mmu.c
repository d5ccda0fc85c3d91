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
#include <asm/ouzel_fault.h>
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
 * reads our tables then.
 *
 * A few pages that did not change in the gap cost the kernel less than an element.
 */
#define MERGE_GAP	8

/*
 * A second page in a row is seldom the last: the range then goes to the end of its 64 KiB, and
 * the pages up to there need no exchange.
 */
#define MERGE_AHEAD	16

static __always_inline bool merge(struct vcpu_sync *e, u32 space, unsigned long addr,
				  unsigned long pages)
{
	u64 old = READ_ONCE(e->claim);
	unsigned long have = old >> 32, start, end;

	if ((u32)old != space)
		return false;
	start = (addr - e->va) >> PAGE_SHIFT;
	end = start + pages;
	if (start > have + MERGE_GAP)
		return false;
	if (end < have)
		end = have;
	end += -(end + (e->va >> PAGE_SHIFT)) % MERGE_AHEAD;
	if (end > U32_MAX)
		return false;
	return cmpxchg_release(&e->claim, old, end << 32 | space) == old;
}

static __always_inline void add(struct vcpu_block *block, u32 tail, struct mm_struct *mm,
				u32 space, unsigned long addr, unsigned long pages)
{
	struct vcpu_sync *e = block->ring;

	e += tail % SYNC_RING;
	WRITE_ONCE(mm->context.last, e);
	e->va = addr;
	WRITE_ONCE(e->claim, (u64)pages << 32 | space);
	smp_store_release(&block->sync_tail, tail + 1);	/* another CPU may drain it */
	WRITE_ONCE(block->sync, 1);
}

/* The ring is full. Apart, so that the rest needs no stack frame. */
static noinline notrace void add_to_full(struct mm_struct *mm, u32 space, unsigned long addr,
					 unsigned long pages)
{
	OUZEL(vcpu_sync);
	add(ouzel_block(), ouzel_block()->sync_tail, mm, space, addr, pages);
}

/* A new element. Not to be interrupted by one that adds another. */
void notrace ouzel_sync(struct mm_struct *mm, u32 space, unsigned long addr, unsigned long pages)
{
	struct vcpu_block *block = ouzel_block();
	u32 tail = block->sync_tail;

	if (likely(tail - READ_ONCE(block->sync_head) < SYNC_RING))
		add(block, tail, mm, space, addr, pages);
	else
		add_to_full(mm, space, addr, pages);
}
EXPORT_SYMBOL_GPL(ouzel_sync);

/* mm's last one is extended, if it is this CPU's. */
void notrace ouzel_sync_more(struct mm_struct *mm, u32 space, unsigned long addr,
			     unsigned long pages)
{
	struct vcpu_sync *last = READ_ONCE(mm->context.last);
	bool ours = ((unsigned long)last ^ (unsigned long)ouzel_block()) < VB_SIZE;

	if (!ours || !merge(last, space, addr, pages))
		ouzel_sync(mm, space, addr, pages);
}
EXPORT_SYMBOL_GPL(ouzel_sync_more);

/* Of the kernel's own mappings. An interrupt may find the ring half changed: it asks at once. */
void arch_sync_kernel_mappings(unsigned long start, unsigned long end)
{
	unsigned long addr = start & PAGE_MASK, pages = (PAGE_ALIGN(end) - addr) >> PAGE_SHIFT;

	if (in_interrupt())
		OUZEL(space_sync, SLOT_SPACE, addr, pages, 0);
	else
		ouzel_sync(&init_mm, SLOT_SPACE, addr, pages);
}
EXPORT_SYMBOL_GPL(arch_sync_kernel_mappings);

/*
 * All that was queued anywhere is in force, and no stale translation left, on return; if tables
 * were unlinked, the kernel remembers none of them. An mm that is being torn down has nothing
 * to be in force: nobody runs in it again, and its space goes before the capability slot is
 * used again.
 */
void ouzel_flush(struct mm_struct *mm, bool unlinked)
{
	struct vcpu_block *block;

	if (mm && !READ_ONCE(mm->context.space))
		return;
	block = ouzel_block();
	if (num_online_cpus() == 1 && !unlinked &&
	    READ_ONCE(block->sync_head) == block->sync_tail)
		return;
	OUZEL(vcpu_flush, unlinked ? FLUSH_UNLINKED : 0);
}
EXPORT_SYMBOL_GPL(ouzel_flush);

/*
 * Handling a fault changed nothing that helps: whether the kernel rejects the entry, since it
 * would fault again for ever. E_QUOTA may be over the next time.
 */
bool ouzel_rejected_here(struct mm_struct *mm, unsigned long addr)
{
	struct vcpu_block *block = ouzel_block();
	enum ouzel_error error;

	ouzel_rejected_own(block);
	block->reject_error = 0;	/* that of another address, perhaps */
	OUZEL(space_sync, mm->context.slot, addr & PAGE_MASK, 1, 0);
	error = READ_ONCE(block->reject_error);
	block->reject_error = 0;
	if (!error || error == E_QUOTA)
		return false;
	pr_info_ratelimited("ouzel: %s[%d]: nothing to access at %lx: %s\n", current->comm,
			    current->pid, addr, ouzel_error_text(error));
	return true;
}

/* ---- spaces ---- */

static struct vcpu_sync no_element;	/* where an mm's last change went, at first */

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

/*
 * fork() copies the parent's context, and then its entries as old ones, which no shadow has: so
 * they are not queued (arch_dup_mmap() ends that).
 */
int ouzel_space_new(struct mm_struct *mm)
{
	bool copy = mm->context.slot;
	u16 slot = slot_get();
	enum ouzel_error error = slot ? OUZEL(space_create, slot, virt_to_phys(mm->pgd)) : E_LIMIT;

	mm->context.space = mm->context.slot = 0;
	mm->context.last = &no_element;
	if (error) {
		pr_warn_ratelimited("ouzel: no space for a process: %s\n",
				    ouzel_error_text(error));
		if (slot)
			slot_put(slot);
		return -ENOMEM;
	}
	mm->context.slot = slot;
	mm->context.space = copy ? 0 : slot;
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

/*
 * IC IALLUIS is privileged. Who needs it has written instructions by another address than they are
 * fetched from, while the cache is indexed by that (Cortex-A53): no IC IVAU of ours would do.
 */
void ouzel_icache_inval_all(void)
{
	OUZEL(vcpu_flush, FLUSH_INSTRUCTIONS);
}
