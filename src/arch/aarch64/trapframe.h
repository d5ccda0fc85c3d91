/* SPDX-License-Identifier: MIT */
/* trapframe.h -- a thread's registers in memory, for C and assembly. */
#ifndef TRAPFRAME_H
#define TRAPFRAME_H

#define TF_X(n)   ((n) * 8) /* x0..x30 */
#define TF_SP     (31 * 8)  /* SP_EL0 */
#define TF_PC     (32 * 8)  /* ELR_EL1 */
#define TF_PSTATE (33 * 8)  /* SPSR_EL1 */
#define TF_SIZE   (34 * 8)  /* a multiple of 16, or sp faults */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct trapframe {
        uint64_t x[31], sp, pc, pstate;
};
_Static_assert(offsetof(struct trapframe, sp) == TF_SP, "sp");
_Static_assert(offsetof(struct trapframe, pc) == TF_PC, "pc");
_Static_assert(offsetof(struct trapframe, pstate) == TF_PSTATE, "pstate");
_Static_assert(sizeof(struct trapframe) == TF_SIZE && TF_SIZE % 16 == 0, "size");
#endif

#endif
