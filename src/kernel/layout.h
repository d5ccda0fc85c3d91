/* SPDX-License-Identifier: MIT */
/* layout.h -- offsets that assembly uses. kernel.h asserts each against the C struct. */
#ifndef LAYOUT_H
#define LAYOUT_H

/* struct thread: the trapframe is at 0 (trapframe.h, TF_*). */
#define T_TPIDR        0x110 /* EL0's TPIDR_EL0 while not running */
#define T_BLOCK        0x118 /* vCPU block in the direct map; 0 = not a vCPU */
#define T_BLOCK_VA     0x120 /* the block in the server's space: server mode's x18 ... */
#define T_SERVER_SP    0x128 /* ... and its SP for the next entry from user mode (a pair); then
                              * u64, nested exceptions: 0 from a vcpu_return on */
#define T_VECTOR       0x138 /* the server's vector table + 0x400: synchronous, from user mode */
#define T_TTBR1_SERVER 0x140 /* TTBR1 in server mode ... */
#define T_TTBR1_USER   0x148 /* ... and in user mode */
#define T_CPU          0x150 /* struct cpu that it runs on */
#define T_SPACE        0x158
#define T_CAPS         0x160 /* the task's capability directory */
#define T_CALLER       0x168 /* who waits for our reply; T_STATE follows */
#define T_STATE        0x170 /* u8, enum ouzel_state; the next 7 bytes are 0 for who may go fast */
#define T_MODE         0x171 /* u8, MODE_* of the saved frame */
#define T_STEPPING     0x172 /* u8: the vCPU's program is single-stepped */
#define T_PARTNER      0x178 /* whose reply we wait for; a pair with T_STATE */
#define T_NEXT         0x180 /* next in the queue that it is in ... */
#define T_WAITS_ON     0x188 /* ... and the endpoint whose queue that is */
#define T_RANK         0x190 /* s32: priority, or less than any if not for the fast path */
#define T_PRIO         0x194 /* u32 */
#define T_SLOW         0x198 /* u32: why it is not for the fast path: SLOW_*, 0 if it is */

#define T_ID           0x1a2 /* u16 */
#define T_FAULT_EP     0x1e8 /* endpoint and badge for its faults are a pair */

#define MODE_SERVER    0 /* native threads too */
#define MODE_USER      1
#define SLOW_VCPU      1
#define SLOW_BUDGET    2
#define SLOW_REMOTE    4 /* waits on another core than its own */
#define SLOW_FAULT     8 /* the call under way is the kernel's, about a fault */
#define SLOW_TAKES     16 /* takes a capability before it goes on */
#define SLOW_IDLE      32 /* a core's idle thread */
/* Bit of a negative rank: even leaving this thread takes more than another address space. */
#define RANK_HEAVY     29

/* struct cpu, at TPIDR_EL1 */
#define CPU_CURRENT    0x00
#define CPU_STACK      0x08
#define CPU_RESCHED    0x10 /* u32 */
#define CPU_NO_FAST    0x14 /* u32: tracing, or a test of the slow path */
#define CPU_FP_ON      0x18 /* u32: CPACR_EL1 lets EL0 use FP now; a pair with the next */
#define CPU_READY_TOP  0x1c /* s32: priority of the best ready thread, -1 = none */
#define CPU_N_ENTRY    0x20 /* u64 counters that assembly keeps: counters_read tells them */
#define CPU_N_FAST     0x28
#define CPU_N_TTBR     0x30
#define CPU_N_VENTRY   0x38
#define CPU_N_VRETURN  0x40
#define CPU_VECTORS    0x48 /* the tables of entry.S that this core uses: native threads, ... */
#define CPU_VECTORS_SERVER 0x50
#define CPU_VECTORS_USER 0x58
#define VECTORS_SIZE   0x800 /* of each; user mode's when it is watched are the fourth */
#define CPU_HISTORY    0x60 /* branches that overwrite the history, for vectors_history */
#define CPU_N_FAULTS   0xa8

/* struct cap: 32 bytes */
#define CAP_SHIFT      5
#define CAP_TYPE       0  /* u8 type, u8 rights: one halfword, at 0 for ldarh */
#define CAP_OBJECT     8  /* object and badge are a pair */
#define CAP_BADGE      16
#define CAPS_SHIFT     7  /* capabilities per page of the table */
#define CAPS_PER_PAGE  (1 << CAPS_SHIFT)
#define CAP_PAGES      64

/* struct endpoint, struct space */
#define EP_CPU         0x20 /* home core and first receiver are a pair */
#define EP_RECEIVERS   0x28
#define EP_SENDERS     0x30
#define SPACE_TTBR1    0x20 /* table and ASID; 0 = needs an ASID first */

#endif
