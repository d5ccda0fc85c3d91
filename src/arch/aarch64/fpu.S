/* SPDX-License-Identifier: MIT */
/*
 * fpu.S -- save and load q0..q31, FPCR and FPSR. x0 = 512 bytes, x1 = &fpcr, x2 = &fpsr.
 * EL1 may always use them; CPACR_EL1 only ever traps EL0.
 */
        .arch   armv8-a+simd
        .text

.macro  quads   instruction
        \instruction q0,  q1,  [x0, #0x000]
        \instruction q2,  q3,  [x0, #0x020]
        \instruction q4,  q5,  [x0, #0x040]
        \instruction q6,  q7,  [x0, #0x060]
        \instruction q8,  q9,  [x0, #0x080]
        \instruction q10, q11, [x0, #0x0a0]
        \instruction q12, q13, [x0, #0x0c0]
        \instruction q14, q15, [x0, #0x0e0]
        \instruction q16, q17, [x0, #0x100]
        \instruction q18, q19, [x0, #0x120]
        \instruction q20, q21, [x0, #0x140]
        \instruction q22, q23, [x0, #0x160]
        \instruction q24, q25, [x0, #0x180]
        \instruction q26, q27, [x0, #0x1a0]
        \instruction q28, q29, [x0, #0x1c0]
        \instruction q30, q31, [x0, #0x1e0]
.endm

        .global fp_save
fp_save:
        quads   stp
        mrs     x3, fpcr
        mrs     x4, fpsr
        str     x3, [x1]
        str     x4, [x2]
        ret

        .global fp_load
fp_load:
        quads   ldp
        ldr     x3, [x1]
        ldr     x4, [x2]
        msr     fpcr, x3
        msr     fpsr, x4
        ret
