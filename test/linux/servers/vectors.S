/* SPDX-License-Identifier: MIT */
/* A server whose vector table is not mapped: no exception of its own can be taken. */
#include "server.h"
        mov     x0, #SERVER_SLOT_VCPU(0)
        movz    x1, #0xffff, lsl #48
        movk    x1, #0x9000, lsl #32    // the block: nowhere, and never looked at
        mov     x2, x1                  // the vectors: nowhere
        svc     #SYS_vcpu_enable
        udf     #0
        .balign 4096
end:
