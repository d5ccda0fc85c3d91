/* SPDX-License-Identifier: MIT */
/* A server whose vectors are there, but fault themselves: one exception without end. */
#include "server.h"
        mov     x0, #SERVER_SLOT_VCPU(0)
        movz    x1, #0xffff, lsl #48
        movk    x1, #0x9000, lsl #32
        adr     x2, vectors
        svc     #SYS_vcpu_enable
        udf     #0
        .balign 2048
vectors:
        .rept   16
        udf     #0
        .balign 128
        .endr
        .balign 4096
end:
