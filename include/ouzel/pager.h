/* SPDX-License-Identifier: MIT */
/*
 * pager.h -- what a program may ask of the pager: ipc_call(SLOT_PARENT, label, words). The
 * label of the answer is an enum ouzel_error. docs/manifest.md describes it to programs.
 */
#ifndef OUZEL_PAGER_H
#define OUZEL_PAGER_H

/* Any program. */
#define PAGER_EXIT       0xe001 /* w0 status. Not answered: the program is over */
#define PAGER_MEMORY_GET 0x10 /* w0 bytes, a multiple of 4096: w0 physical address, zeroed */
#define PAGER_MEMORY_PUT 0x11 /* w0 physical address that _GET gave: it is the pager's again */
#define PAGER_DEVICE     0x12 /* w0 index: w0 physical address, w1 bytes, w2 slot of its first
                               * interrupt (0: none), w3 its line, w4 how many, in a row */

#define PAGER_PRINT      0x13 /* w0 number of bytes, 0 to 56, w1..7 the bytes */

/* Programs with `control` in the manifest. Program numbers count from 0 as in the manifest. */
#define PAGER_STATUS     0x20 /* w0 bytes free, w1 in so many ranges, w2 the largest, w3 bytes
                               * in all, w4 number of programs, w5 pages of kernel memory that
                               * the pager can give, w6 that it or its programs have, w7 bytes
                               * that it printed since boot */
#define PAGER_PROGRAM    0x21 /* w0 program: w0 PAGER_RUNS | restarts << 8 | limit << 32, w1 its
                               * memory (the first piece), w2 bytes in all, w3 task id, w4 bytes
                               * it got later, w5..7 name */
#define PAGER_USE        0x22 /* w0 program: w0 page faults, w1 pages zeroed, w2 mapped from the
                               * archive, w3 copied, w4 devices, w5 interrupts, w6 deaths */
#define PAGER_REGION     0x23 /* w0 program, or -1 for the pager, w1 index: w0 physical address,
                               * w1 bytes, w2 rights */
#define PAGER_FREE       0x24 /* w0 index: w0 physical address, w1 bytes of a free range */
#define PAGER_LINE       0x25 /* w0 program, w1 index: w0 line, w1 IRQ_* */
#define PAGER_START      0x26 /* w0 program */
#define PAGER_STOP       0x27 /* w0 program */

#define PAGER_RUNS       1
#define PAGER_NAME       24   /* bytes of a name, with its 0 */

/* Slots that the pager fills, besides SLOT_PARENT and SLOT_CONTROL. */
#define SLOT_SERVICE     5       /* where this program gets what others send it (`calls`) */
#define SLOT_CALLS(n)    (8 + (n)) /* endpoint of the n-th program of its `calls` line, 0 to 7 */
#define SLOT_LINE(n)     (64 + (n)) /* its n-th interrupt */

#endif
