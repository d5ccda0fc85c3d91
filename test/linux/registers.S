/* SPDX-License-Identifier: MIT */
/*
 * registers.S -- a program without a C library: are all registers zero when it starts, as Linux
 * makes them at exec? programs.c runs it. It ends with 0, or says what is the first with
 * something in it: n + 1 for xn, 32 for a system register, n + 64 for vn.
 */
        .text
        .global _start
_start:
        sub     sp, sp, #768            // x0 to x30 and a word at 0, v0 to v31 at 256
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, \
                   16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
        str     x\n, [sp, #\n * 8]
        .endr
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, \
                   16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        str     q\n, [sp, #256 + \n * 16]
        .endr
        mrs     x0, nzcv
        mrs     x1, fpcr
        mrs     x2, fpsr
        mrs     x3, tpidr_el0
        orr     x0, x0, x1
        orr     x2, x2, x3
        orr     x0, x0, x2
        str     x0, [sp, #248]

        mov     x0, #0                  // which of the 96 words
1:      ldr     x1, [sp, x0, lsl #3]
        cbnz    x1, 2f
        add     x0, x0, #1
        cmp     x0, #96
        b.lo    1b
        mov     x0, #0
        b       4f
2:      cmp     x0, #32
        b.hs    3f
        add     x0, x0, #1
        b       4f
3:      sub     x0, x0, #32
        lsr     x0, x0, #1
        add     x0, x0, #64
4:      mov     x8, #93                 // exit
        svc     #0
