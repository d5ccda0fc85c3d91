/* SPDX-License-Identifier: MIT */
/* crt0.S -- start of a native program: sp is set, x0 = bytes of its memory that its pager has
 * used, x1 = its arguments, as a text: what main gets. picolibc's errno is thread local;
 * the first thread's block is static (program.lds). */
        .text
        .global _start
_start:
        adrp    x2, __tls_block
        add     x2, x2, :lo12:__tls_block
        msr     tpidr_el0, x2
        mov     x29, xzr
        mov     x30, xzr
        bl      main
        bl      exit
