/* SPDX-License-Identifier: MIT */
/* cpu.h -- in place of src/arch/aarch64/cpu.h: cores and memory that machine.c pretends. */
#ifndef CPU_H
#define CPU_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MACHINE_RAM 0x40000000ul
#define MACHINE_RAM_SIZE (64ul << 20)
extern char *machine_ram;
static inline void *phys_to_virt(uint64_t pa) { return machine_ram + (pa - MACHINE_RAM); }
static inline uint64_t virt_to_phys(const void *va)
{
        return (uint64_t)((const char *)va - machine_ram) + MACHINE_RAM;
}

struct cpu;
extern struct cpu *machine_cpu; /* whose turn it is */
static inline struct cpu *this_cpu(void) { return machine_cpu; }

void cpu_relax(void); /* the other cores take their interrupts */
void cpu_wait(void);  /* nothing to do: back to machine_schedule() */
static inline void cpu_store_barrier(void) {}
static inline void cpu_table_barrier(void) {}
static inline void cpu_flush_instructions(void) {}
static inline void cpu_page_zero(void *page) { memset(page, 0, 4096); }
static inline void cpu_single_step(bool) {}
uint64_t cpu_esr(void), cpu_far(void), cpu_ttbr1(void);
void cpu_set_ttbr1(uint64_t ttbr1);

#endif
