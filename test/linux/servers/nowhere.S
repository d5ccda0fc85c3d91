/* SPDX-License-Identifier: MIT */
/* A server that jumps to where nothing is, before it is a vCPU. */
#include "server.h"
        mov     x0, #0x1230
        br      x0
        .balign 4096
end:
