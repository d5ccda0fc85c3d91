/* SPDX-License-Identifier: MIT */
#ifndef FPU_H
#define FPU_H

#include <stdbool.h>
#include <stdint.h>

void fp_save(uint8_t *registers, uint64_t *fpcr, uint64_t *fpsr);       /* fpu.S */
void fp_load(const uint8_t *registers, const uint64_t *fpcr, const uint64_t *fpsr);

/* CPACR_EL1.FPEN: 0b11 lets EL0 use FP, 0b01 traps it there; EL1 may always, as boot.S left
 * it. So no isb: the eret to EL0 synchronises. [Arm ARM D19.2.30] */
static inline void fp_allow(bool yes)
{
        __asm__ volatile("msr cpacr_el1, %0" ::"r"(yes ? 3ul << 20 : 1ul << 20));
}

#endif
