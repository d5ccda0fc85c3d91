/* SPDX-License-Identifier: MIT */
/* bench.h -- what main.c and loops.S agree on. */
#ifndef BENCH_H
#define BENCH_H

#include <ouzel/abi.h>

/* Capability slots, in our task and (DONE, ENDPOINT) in the one that we make. */
#define SLOT_DONE        (SLOT_FIRST_FREE + 0) /* endpoint: a worker's result */
#define SLOT_ENDPOINT    (SLOT_FIRST_FREE + 1)
#define SLOT_NOTIFY      (SLOT_FIRST_FREE + 2)
#define SLOT_CHILD       (SLOT_FIRST_FREE + 3) /* a task, ... */
#define SLOT_CHILD_SPACE (SLOT_FIRST_FREE + 4) /* ... and its space */
#define SLOT_WORKER      (SLOT_FIRST_FREE + 5) /* thread that measures */
#define SLOT_PARTNER     (SLOT_FIRST_FREE + 6) /* thread that it needs */
#define SLOT_PROCESS     (SLOT_FIRST_FREE + 7) /* process spaces: two */
#define SLOT_IDLE        (SLOT_FIRST_FREE + 9) /* a notification that nobody signals */
#define SLOT_SCRATCH     (SLOT_FIRST_FREE + 10)

#define INSTRUCTIONS_PER_TICK 16 /* of QEMU's 62.5 MHz clock, with -icount shift=0 */

/* A process space's pages, all below one last-level table. */
#define USER_CODE   0x400000
#define USER_RESULT 0x401000
#define USER_DATA   0x402000
#define USER_PAGES  510 /* from USER_DATA to the end of that table */

#endif
