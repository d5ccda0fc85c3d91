/* SPDX-License-Identifier: MIT */
/* fpu.h -- in place of src/arch/aarch64/fpu.h: machine.c has one set of registers per core. */
#ifndef FPU_H
#define FPU_H

#include <stdbool.h>
#include <stdint.h>

void fp_save(uint8_t *registers, uint64_t *fpcr, uint64_t *fpsr);
void fp_load(const uint8_t *registers, const uint64_t *fpcr, const uint64_t *fpsr);
void fp_allow(bool yes);

#endif
