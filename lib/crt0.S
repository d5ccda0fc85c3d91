/* SPDX-License-Identifier: MIT */
/* crt0.S -- start of a native program: sp is set, x0 = argument. picolibc's errno is thread
 * local; the first thread's block is static (program.lds). */
        .text
        .global _start
_start:
        adrp    x1, __tls_block
        add     x1, x1, :lo12:__tls_block
        msr     tpidr_el0, x1
        mov     x29, xzr
        mov     x30, xzr
        bl      main
        bl      exit
