/* SPDX-License-Identifier: MIT */
/* A server that does nothing, for ever. */
#include "server.h"
        b       .
        .balign 4096
end:
