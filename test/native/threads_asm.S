/* SPDX-License-Identifier: MIT */
/* threads_asm.S -- a thread's first instructions: every register as it was started with, to
 * x0[0..32] (x0 to x30, SP, NZCV); then it stops itself: x1 = its own slot. */
        .text
        .global stores_registers
stores_registers:
        stp     x0, x1, [x0]
        stp     x2, x3, [x0, #16]
        stp     x4, x5, [x0, #32]
        stp     x6, x7, [x0, #48]
        stp     x8, x9, [x0, #64]
        stp     x10, x11, [x0, #80]
        stp     x12, x13, [x0, #96]
        stp     x14, x15, [x0, #112]
        stp     x16, x17, [x0, #128]
        stp     x18, x19, [x0, #144]
        stp     x20, x21, [x0, #160]
        stp     x22, x23, [x0, #176]
        stp     x24, x25, [x0, #192]
        stp     x26, x27, [x0, #208]
        stp     x28, x29, [x0, #224]
        mov     x2, sp
        stp     x30, x2, [x0, #240]
        mrs     x3, nzcv
        str     x3, [x0, #256]
        mov     x0, x1
        svc     #24                     // thread_stop
