// SPDX-License-Identifier: MIT
/* mmu.c -- break-before-make, barriers, TLB maintenance, and switching of address spaces. */
#include "mmu.h"

static inline uint64_t tlbi_va(vaddr_t va)
{
        return (va >> 12) & ((1ul << 44) - 1); /* TLBI operand: VA[55:12] */
}

void tlb_finish(struct tlb_batch *tlb)
{
        if (!tlb->n && !tlb->added)
                return;
        __asm__ volatile("dsb ishst" ::: "memory"); /* walkers see the entries as they are now */
        COUNT(dsb);
        if (!tlb->n)
                return; /* only new entries: invalid ones are never cached */
        if (tlb->all && !tlb->space->own) {
                tlb_flush_asids(tlb->space->asid);
        } else if (tlb->all) { /* a server's space is cached under the ASIDs of its processes */
                __asm__ volatile("tlbi vmalle1is" ::: "memory");
                COUNT(tlbi);
                __asm__ volatile("dsb ish" ::: "memory"); /* wait until all cores dropped them */
                COUNT(dsb);
        } else {
                for (unsigned i = 0; i < tlb->n; i++) /* all ASIDs: both of the pair */
                        __asm__ volatile("tlbi vaae1is, %0" ::"r"(tlbi_va(tlb->va[i])) : "memory");
                COUNT_N(tlbi, tlb->n);
                __asm__ volatile("dsb ish" ::: "memory"); /* wait until all cores dropped them */
                COUNT(dsb);
        }
        tlb->n = 0;
        tlb->all = tlb->added = false;
        /* No isb: this core goes on in EL0 only after an eret, and the kernel's own
         * translations did not change. */
}

void tlb_flush_page(vaddr_t va)
{
        __asm__ volatile("dsb ishst\n\t"           /* walkers see the hole ... */
                         "tlbi vaae1is, %0\n\t"    /* ... before the old copies go ... */
                         "dsb ish" ::"r"(tlbi_va(va)) : "memory"); /* ... on every core */
        COUNT(tlbi);
        COUNT_N(dsb, 2);
}

void tlb_flush_all(void)
{
        __asm__ volatile("dsb ishst\n\t"     /* walkers see the entries as they are now */
                         "tlbi vmalle1is\n\t"
                         "dsb ish" ::: "memory"); /* wait until all cores dropped theirs */
        COUNT(tlbi);
        COUNT_N(dsb, 2);
}

void tlb_flush_asids(uint32_t asid)
{
        __asm__ volatile("dsb ishst\n\t" /* walkers see the entries as they are now */
                         "tlbi aside1is, %0\n\t"
                         "tlbi aside1is, %1\n\t"
                         "dsb ish" /* wait until all cores dropped theirs */
                         ::"r"((uint64_t)asid << 48), "r"((uint64_t)(asid + 1) << 48)
                         : "memory");
        COUNT_N(tlbi, 2);
        COUNT_N(dsb, 2);
}

void pte_replace(pte_t *p, pte_t new, vaddr_t va, struct tlb_batch *tlb)
{
        pte_t old = *p;

        tlb_add(tlb, va);
        if ((new & PTE_VALID) && ((old ^ new) & ~PTE_MUTABLE)) {
                WRITE_ONCE(*p, 0); /* break ... */
                tlb_finish(tlb);
                tlb->added = true;
        }
        WRITE_ONCE(*p, new); /* ... before make */
}

static inline uint64_t ttbr0_read(void)
{
        uint64_t v;
        __asm__ volatile("mrs %0, ttbr0_el1" : "=r"(v));
        return v;
}

static inline uint64_t ttbr1_read(void)
{
        uint64_t v;
        __asm__ volatile("mrs %0, ttbr1_el1" : "=r"(v));
        return v;
}

unsigned mmu_asid(void)
{
        /* isb: no walk of this core is under another, which it had until a moment ago */
        __asm__ volatile("isb" ::: "memory");
        return ttbr1_read() >> 48;
}

/*
 * The ASID lives in TTBR1 (TCR_EL1.A1), so TTBR0's table and the ASID can't change in one
 * step. In between, TTBR0 is the empty root: a walk then finds nothing, and nothing of the
 * one process gets into the TLB under the ASID of the other.
 */
void mmu_switch(uint64_t ttbr0, uint64_t ttbr1)
{
        uint64_t old0 = ttbr0_read();

        if (old0 == ttbr0) {
                if (ttbr1_read() != ttbr1) {
                        __asm__ volatile("msr ttbr1_el1, %0" ::"r"(ttbr1) : "memory");
                        COUNT(ttbr);
                }
                return; /* the eret that follows synchronises; the kernel's slot is the same */
        }
        if (old0 != empty_l0_pa) {
                /* isb: the old process's table is gone before the new ASID comes */
                __asm__ volatile("msr ttbr0_el1, %0\n\tisb" ::"r"(empty_l0_pa) : "memory");
                COUNT(ttbr);
                COUNT(isb);
        }
        __asm__ volatile("msr ttbr1_el1, %0" ::"r"(ttbr1) : "memory");
        COUNT(ttbr);
        if (ttbr0 != empty_l0_pa) {
                /* isb: the new ASID is there before the new process's table */
                __asm__ volatile("isb\n\tmsr ttbr0_el1, %0" ::"r"(ttbr0) : "memory");
                COUNT(ttbr);
                COUNT(isb);
        }
}

void mmu_leave(void)
{
        mmu_switch(empty_l0_pa, kernel_l0_pa);
        __asm__ volatile("isb" ::: "memory"); /* no walk starts at the old root any more */
        COUNT(isb);
}

bool mmu_drop(paddr_t root)
{
        bool has = ttbr0_read() == root || (ttbr1_read() & PTE_ADDRESS) == root;

        if (has)
                mmu_leave();
        return has;
}

void cache_sync_code(const void *start, uint64_t size)
{
        uint64_t ctr, at, end = (uint64_t)start + size;

        __asm__("mrs %0, ctr_el0" : "=r"(ctr));
        uint64_t dline = 4ul << (ctr >> 16 & 15), iline = 4ul << (ctr & 15);
        /* Clean data to where instruction fetches see it. [B2.4.4 and D7.5.9] */
        for (at = (uint64_t)start & ~(dline - 1); at < end; at += dline)
                __asm__ volatile("dc cvau, %0" ::"r"(at) : "memory");
        __asm__ volatile("dsb ish" ::: "memory"); /* cleaned before old code is dropped */
        for (at = (uint64_t)start & ~(iline - 1); at < end; at += iline)
                __asm__ volatile("ic ivau, %0" ::"r"(at) : "memory");
        __asm__ volatile("dsb ish\n\tisb" ::: "memory"); /* dropped everywhere, and here */
}
