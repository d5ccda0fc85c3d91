/* SPDX-License-Identifier: MIT */
/* A server that executes what only EL1 may. */
#include "server.h"
        msr     vbar_el1, xzr
        b       .
        .balign 4096
end:
