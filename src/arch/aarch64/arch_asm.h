/* SPDX-License-Identifier: MIT */
/* arch_asm.h -- constants of boot.S. Field names as in the Arm ARM DDI 0487, D19.2. */
#ifndef ARCH_ASM_H
#define ARCH_ASM_H

/* Per core: a page for the last words when the stack is full, one that is not mapped, so that
 * a full stack faults and damages nothing, and the stack. */
#define KERNEL_STACK_SIZE  16384
#define KERNEL_STACK_GUARD 4096
#define KERNEL_STACK_LAST  4096
#define KERNEL_STACK_STEP  (KERNEL_STACK_LAST + KERNEL_STACK_GUARD + KERNEL_STACK_SIZE)

/* Entry of the slot's table that shows the device tree while booting: 384 GiB into it. */
#define FDT_WINDOW_INDEX 384

/* MAIR_EL1: as vcpu.h promises. 0 and 1 Normal WB, 2 Normal NC, 3 nGnRnE, 4 nGnRE */
#define MAIR_VALUE 0x000000040044ffff

/*
 * TCR_EL1: T0SZ = T1SZ = 16 (48 bits); inner-shareable, write-back walks; TG0 = 4 KiB (0),
 * TG1 = 4 KiB (2); A1: the ASID is TTBR1's; TBI0: the top byte of a Linux program's pointer
 * is its own, as Linux promises [Documentation/arch/arm64/tagged-pointers.rst]. IPS and AS
 * are filled in at run time.
 */
#define TCR_VALUE                                                                             \
        ((16 << 0) | (1 << 8) | (1 << 10) | (3 << 12) | (16 << 16) | (1 << 22) | (1 << 24) |  \
         (1 << 26) | (3 << 28) | (2 << 30) | (1 << 37))

/*
 * SCTLR_EL1. RES1 in ARMv8.0: EOS 11, TSCXT 20, EIS 22, SPAN 23, LSMAOE 29, nTLSMD 28.
 * Off: MMU and caches off. On: M 0, C 2, SA 3, SA0 4, I 12; and for EL0: DZE 14 (DC ZVA),
 * UCT 15 (CTR_EL0), nTWI 16, nTWE 18 (WFI, WFE not trapped), UCI 26 (cache ops by address).
 */
#define SCTLR_RES1 ((1 << 11) | (1 << 20) | (1 << 22) | (1 << 23) | (1 << 28) | (1 << 29))
#define SCTLR_OFF  SCTLR_RES1
#define SCTLR_ON                                                                              \
        (SCTLR_RES1 | (1 << 0) | (1 << 2) | (1 << 3) | (1 << 4) | (1 << 12) | (1 << 14) |     \
         (1 << 15) | (1 << 16) | (1 << 18) | (1 << 26))

/* Descriptors: AF, inner shareable, EL1 only. Pages: text RX, rodata R, data RW. */
#define DESC_NORMAL ((1 << 10) | (3 << 8))
#define DESC_UXN    (1 << 54)
#define DESC_PXN    (1 << 53)
#define DESC_RO     (1 << 7)
#define PAGE_TEXT   (DESC_NORMAL | DESC_UXN | DESC_RO | 3)
#define PAGE_RODATA (DESC_NORMAL | DESC_UXN | DESC_PXN | DESC_RO | 3)
#define PAGE_DATA   (DESC_NORMAL | DESC_UXN | DESC_PXN | 3)
#define BLOCK_DATA  (DESC_NORMAL | DESC_UXN | DESC_PXN | 1)
#define BLOCK_TEXT  (DESC_NORMAL | DESC_UXN | 1)

#ifdef __ASSEMBLER__
.macro  adr_l   reg, label
        adrp    \reg, \label
        add     \reg, \reg, :lo12:\label
.endm
#endif

#endif
