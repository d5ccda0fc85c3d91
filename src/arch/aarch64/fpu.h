/* SPDX-License-Identifier: MIT */
#ifndef FPU_H
#define FPU_H

#include <stdbool.h>
#include <stdint.h>

void fp_save(uint8_t *registers, uint64_t *fpcr, uint64_t *fpsr);       /* fpu.S */
void fp_load(const uint8_t *registers, const uint64_t *fpcr, const uint64_t *fpsr);

/* CPACR_EL1.FPEN: 0b11 lets EL0 use FP, 0b00 traps it. [Arm ARM D19.2.30] */
static inline void fp_allow(bool yes)
{
        uint64_t cpacr = yes ? 3ul << 20 : 0;
        /* isb: saving and loading FP registers may follow at once, at EL1. */
        __asm__ volatile("msr cpacr_el1, %0\n\tisb" ::"r"(cpacr) : "memory");
}

#endif
