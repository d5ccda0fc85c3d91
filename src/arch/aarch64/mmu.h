/* SPDX-License-Identifier: MIT */
/*
 * mmu.h -- stage-1 descriptors, and everything that barriers and TLB maintenance guard.
 * [Arm ARM DDI 0487, D8.3 descriptor formats; D8.13 TLB maintenance; D8.14 break-before-make]
 */
#ifndef MMU_H
#define MMU_H

#include "kernel.h"

#define PTE_VALID   (1ul << 0)
#define PTE_TABLE   (1ul << 1) /* levels 0..2: a table; level 3: a page */
#define PTE_ATTR(n) ((uint64_t)(n) << 2)
#define PTE_ATTR_OF(pte) ((unsigned)((pte) >> 2) & 7)
#define PTE_USER    (1ul << 6) /* AP[1]: EL0 may access */
#define PTE_RO      (1ul << 7) /* AP[2] */
#define PTE_SH_INNER (3ul << 8)
#define PTE_AF      (1ul << 10)
#define PTE_NG      (1ul << 11)
#define PTE_PXN     (1ul << 53)
#define PTE_UXN     (1ul << 54)
#define PTE_ADDRESS 0x0000fffffffff000ul
/* May change on a live entry without break-before-make. [D8.14.1] */
#define PTE_MUTABLE (PTE_RO | PTE_UXN | PTE_PXN | PTE_AF)

enum { ATTR_WB = 0, ATTR_WB_TAGGED = 1, ATTR_NC = 2, ATTR_DEVICE_NGNRNE = 3, ATTR_DEVICE = 4 };

#define LEVEL_SHIFT(level) (39 - 9 * (level))
#define LEVEL_SIZE(level) (1ul << LEVEL_SHIFT(level))
#define LEVEL_INDEX(va, level) ((unsigned)((va) >> LEVEL_SHIFT(level)) & 511)

/*
 * Translations of a space that changed, collected so that one barrier pair serves many.
 * tlb_finish: the changes are visible to every table walker, and no core holds an old
 * translation; until then an old one may still be used.
 */
#define TLB_BATCH 16
struct tlb_batch {
        struct space *space;
        unsigned n;
        bool all, added;
        vaddr_t va[TLB_BATCH];
};
static inline void tlb_begin(struct tlb_batch *tlb, struct space *space)
{
        tlb->space = space;
        tlb->n = 0;
        tlb->all = tlb->added = false;
}
static inline void tlb_all(struct tlb_batch *tlb, struct space *space) /* everything of it */
{
        tlb_begin(tlb, space);
        tlb->n = TLB_BATCH;
        tlb->all = true;
}
static inline void tlb_add(struct tlb_batch *tlb, vaddr_t va)
{
        if (tlb->n == TLB_BATCH)
                tlb->all = true;
        else
                tlb->va[tlb->n++] = va;
}
void tlb_finish(struct tlb_batch *tlb);
static inline void tlb_added(void) /* only: what was nothing is something now */
{
        cpu_table_barrier(); /* walkers see it; none has cached nothing */
        COUNT(dsb);
}
void tlb_flush_page(vaddr_t va); /* one entry became invalid */
void tlb_flush_all(void);
void tlb_flush_asids(uint32_t asid); /* a pair: asid and asid + 1 */

/* Change a leaf entry as the architecture demands; the batch gets what must be flushed. */
void pte_replace(pte_t *p, pte_t new, vaddr_t va, struct tlb_batch *tlb); /* a valid one */
static inline void pte_change(pte_t *p, pte_t new, vaddr_t va, struct tlb_batch *tlb)
{
        pte_t old = *p;

        if (old & PTE_VALID) {
                if (old != new)
                        pte_replace(p, new, va, tlb);
        } else if (new) {
                *(volatile pte_t *)p = new;
                tlb->added = true;
        }
}

/* What every leaf of ours has, but for address, PTE_RO and PTE_UXN. */
static inline pte_t leaf_base(unsigned level, unsigned attr)
{
        return PTE_VALID | (level == 3 ? PTE_TABLE : 0) | PTE_ATTR(attr) | PTE_USER |
               PTE_SH_INNER | PTE_AF | PTE_NG | PTE_PXN;
}

/* Both roots of this core. ASID 0 is never a space's. */
void mmu_switch(uint64_t ttbr0, uint64_t ttbr1);
void mmu_leave(void);            /* nothing but the kernel, at once */
bool mmu_drop(paddr_t root);     /* that, if this core has the root; whether it had */
unsigned mmu_asid(void); /* the ASID in use on this core, and no other any more */
/* Freshly written memory may be executed: to the point of unification. */
void cache_sync_code(const void *start, uint64_t size);
extern unsigned asid_bits;

static inline pte_t *table_at(paddr_t pa)
{
        return phys_to_virt(pa & PTE_ADDRESS);
}

#endif
