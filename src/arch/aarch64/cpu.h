/* SPDX-License-Identifier: MIT */
/*
 * cpu.h -- what src/kernel does in place with this kind of CPU. The host tests put a header of
 * the same name before this one (test/host/cpu.h), and so run the same kernel.
 */
#ifndef CPU_H
#define CPU_H

#include <stdbool.h>
#include <stdint.h>

/* Physical memory in the kernel's direct map. */
static inline void *phys_to_virt(uint64_t pa) { return (void *)(pa + DIRECT_MAP_VA); }
static inline uint64_t virt_to_phys(const void *va) { return (uint64_t)va - DIRECT_MAP_VA; }

struct cpu;
static inline struct cpu *this_cpu(void)
{
        struct cpu *cpu;
        __asm__("mrs %0, tpidr_el1" : "=r"(cpu)); /* constant per core: may be hoisted */
        return cpu;
}
static inline void cpu_set_this(struct cpu *cpu) /* for entry.S, too */
{
        __asm__ volatile("msr tpidr_el1, %0" ::"r"(cpu) : "memory");
}

/* In a loop that waits for another core. */
static inline void cpu_relax(void) { __asm__ volatile("yield"); }
/* Until an interrupt, masked or not. [Arm ARM D1.6.2] dsb: stores reach others first. */
static inline void cpu_wait(void) { __asm__ volatile("dsb sy\n\twfi" ::: "memory"); }
/* Stores before are seen before stores after, by table walkers on other cores too. */
static inline void cpu_store_barrier(void) { __asm__ volatile("dmb ishst" ::: "memory"); }
/* Walkers, this core's among them, see the entries that were written. */
static inline void cpu_table_barrier(void) { __asm__ volatile("dsb ishst" ::: "memory"); }

/* All cores' instruction caches, in whatever way they are indexed. [Arm ARM C5.3, IC IALLUIS]
 * The DSB completes it; an eret synchronises this core's fetches. */
static inline void cpu_flush_instructions(void)
{
        __asm__ volatile("ic ialluis\n\tdsb ish" ::: "memory");
}

/* [Arm ARM C5.3.8: DC ZVA; D19.2.42: DCZID_EL0] The page is normal memory, the MMU is on. */
static inline void cpu_page_zero(void *page)
{
        uint64_t id, at = (uint64_t)page, end = at + 4096;

        __asm__("mrs %0, dczid_el0" : "=r"(id));
        if (id & 1 << 4) { /* forbidden, or it would trap */
                for (; at < end; at += 8)
                        *(volatile uint64_t *)at = 0;
                return;
        }
        uint64_t step = 4ul << (id & 15);
        if (step > 256)
                step = 256; /* twice the same is zero, too */
        while (at < end)
                __asm__ volatile(".rept 16\n\tdc zva, %0\n\tadd %0, %0, %1\n\t.endr"
                                 : "+r"(at) : "r"(step) : "memory");
}

#define CPU_READ(name, how)                                                                \
        static inline uint64_t cpu_##name(void)                                            \
        {                                                                                  \
                uint64_t v;                                                                \
                __asm__ volatile(how : "=r"(v));                                           \
                return v;                                                                  \
        }
CPU_READ(esr, "mrs %0, esr_el1") /* the exception that was taken ... */
CPU_READ(far, "mrs %0, far_el1") /* ... and the address that it is about */
CPU_READ(ttbr1, "mrs %0, ttbr1_el1")
/* Table and ASID in one, where TTBR0 holds nothing. An eret synchronises; the kernel's own slot
 * is the same in all. */
static inline void cpu_set_ttbr1(uint64_t v) { __asm__ volatile("msr ttbr1_el1, %0" ::"r"(v)); }

/* MDSCR_EL1.SS: PSTATE.SS of the program counts, after an eret. [Arm ARM D2.12] TDCC, bit 12,
 * stays as boot.S sets it. */
static inline void cpu_single_step(uint64_t on)
{
        __asm__ volatile("msr mdscr_el1, %0" ::"r"(on | 1 << 12));
}

#endif
