// SPDX-License-Identifier: MIT
/*
 * idregs.c -- MRS of identification registers by a server: a CPU with what its port can't
 * drive left out. Fields are named as in the Arm ARM, D19.2. What is hidden reads as zero,
 * "not implemented", except where zero means something else.
 */
#include "kernel.h"

/* MRS <Xt>, op0=3 op1=0 CRn=0: 0xd538 0000 | CRm << 8 | op2 << 5 | Rt */
#define IS_ID_MRS(insn) (((insn) & 0xfffff000u) == 0xd5380000u)

#define READ(name)                                                     \
        ({                                                             \
                uint64_t v_;                                           \
                __asm__ volatile("mrs %0, " #name : "=r"(v_));         \
                v_;                                                    \
        })
#define FIELD(shift) (15ul << (shift))

static uint64_t id_value(unsigned crm, unsigned op2, struct thread *t)
{
        uint64_t v;

        switch (crm << 3 | op2) {
        case 0 << 3 | 0:
                return READ(midr_el1);
        case 0 << 3 | 5: /* the vCPU is on its core; affinity is the core's */
                return boot.mpidr[t->cpu->id] | 1ul << 31;
        case 0 << 3 | 6:
                return READ(revidr_el1);
        case 4 << 3 | 0: /* PFR0: EL0 and EL1 in AArch64 only; FP and AdvSIMD as they are */
                v = READ(id_aa64pfr0_el1) & (FIELD(16) | FIELD(20));
                return v | 1 | 1 << 4;
        case 4 << 3 | 1: /* PFR1: no BTI, SSBS, MTE, SME */
                return 0;
        case 5 << 3 | 0: /* DFR0: debug architecture 8.0, two breakpoints, two watchpoints */
                return 6 | 1 << 12 | 1 << 20;
        case 6 << 3 | 0: /* ISAR0: all but the TLBI extensions (59:56) and TME (27:24) */
                return READ(id_aa64isar0_el1) & ~(FIELD(56) | FIELD(24));
        case 6 << 3 | 1: /* ISAR1: no pointer authentication (APA, API, GPA, GPI), no LS64,
                          * XS, SPECRES */
                return READ(id_aa64isar1_el1) &
                       ~(FIELD(4) | FIELD(8) | FIELD(24) | FIELD(28) | FIELD(40) | FIELD(56) |
                         FIELD(60));
        case 7 << 3 | 0: /* MMFR0: PARange, ASIDBits; 4 KiB granule, no 16 and 64 KiB */
                v = READ(id_aa64mmfr0_el1) & (FIELD(0) | FIELD(4));
                if ((v & 15) > 5)
                        v = (v & ~15ul) | 5; /* 48 bits are what the tables hold */
                return v | FIELD(24);
        default: /* MMFR1 (VHE, PAN, HAFDBS, LOR), MMFR2, ISAR2, ZFR0, SMFR0, 32-bit ones */
                return 0;
        }
}

bool mrs_emulate(struct thread *t, uint64_t esr)
{
        unsigned ec = esr >> 26;
        uint32_t insn;
        paddr_t pa;

        /* EC 0: unallocated for EL0; 0x18: trapped MSR, MRS (FEAT_IDST). */
        if ((ec != 0 && ec != 0x18) ||
            !space_allows(t->space, t->regs.pc & ~3ul, ACCESS_EXEC, &pa)) /* so no device */
                return false;
        insn = *(const uint32_t *)phys_to_virt(pa);
        if (!IS_ID_MRS(insn))
                return false;
        unsigned rt = insn & 31;
        if (rt != 31)
                t->regs.x[rt] = id_value(insn >> 8 & 15, insn >> 5 & 7, t);
        t->regs.pc += 4;
        return true;
}
