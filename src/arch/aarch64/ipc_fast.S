/* SPDX-License-Identifier: MIT */
/*
 * ipc_fast.S -- call to a server that waits, and the reply to it, on one core.
 *
 * Speed only: with CPU_NO_FAST set every result is the same. Each path looks first, changing
 * nothing but x12..x17 (x16, x17 are in the frame); any surprise goes to the slow path, which
 * starts over. After "commit" nothing can fail. The message stays in x1..x9.
 *
 * Stored of a thread that waits: x19..x30, sp, pc, TPIDR_EL0; its compiler has saved the rest
 * around the call. What it gets when it goes on is written when it is delivered.
 */
#include "layout.h"
#include "trapframe.h"
#include <ouzel/abi.h>

#define STATE_RUNNING  2        /* asserted against enum ouzel_state in syscall.c */
#define STATE_RECEIVING 4
#define STATE_CALLING  5
#define SEND_BIT       0        /* of RIGHT_SEND, RIGHT_RECV */
#define RECV_BIT       1

        .text

/* x12 = the capability in slot x0, or slow. Clobbers x13. */
.macro  cap_lookup slow
        lsr     x13, x0, #CAPS_SHIFT
        cmp     x13, #CAP_PAGES
        b.hs    \slow
        ldr     x12, [sp, #T_CAPS]
        ldr     x12, [x12, x13, lsl #3]
        cbz     x12, \slow
        and     x13, x0, #CAPS_PER_PAGE - 1
        add     x12, x12, x13, lsl #CAP_SHIFT
.endm

/* slow unless x12 is a capability to an endpoint with one right. Clobbers x13. */
.macro  cap_check right, slow
        ldrh    w13, [x12, #CAP_TYPE]
        tbz     w13, #(8 + \right), \slow
        and     w13, w13, #0xff
        cmp     w13, #CAP_ENDPOINT
        b.ne    \slow
.endm

/* slow unless thread \to may run next on core x17 at once. x12 = its TTBR1. Clobbers x16. */
.macro  may_run to, slow
        ldr     x16, [\to, #T_SLOW]             // and T_PRIO
        cbnz    w16, \slow
        lsr     x16, x16, #32
        ldr     w12, [x17, #CPU_READY_TOP]
        cmp     w16, w12
        b.lt    \slow
        ldr     x12, [\to, #T_SPACE]
        ldr     x12, [x12, #SPACE_TTBR1]
        cbz     x12, \slow                      // has to get an ASID first
.endm

/* Leave the running thread (sp) so that it can go on after its svc. Clobbers x10, x11. */
.macro  leave
        stp     x19, x20, [sp, #TF_X(19)]
        stp     x21, x22, [sp, #TF_X(21)]
        stp     x23, x24, [sp, #TF_X(23)]
        stp     x25, x26, [sp, #TF_X(25)]
        stp     x27, x28, [sp, #TF_X(27)]
        stp     x29, x30, [sp, #TF_X(29)]
        mrs     x10, sp_el0
        mrs     x11, elr_el1
        stp     x10, x11, [sp, #TF_SP]          // and TF_PC
        mrs     x10, tpidr_el0
        stp     xzr, x10, [sp, #TF_PSTATE]      // and T_TPIDR; EL0t, no flags
.endm

/* Go on with thread x13, whose TTBR1 is x12, on core x17; x15 = badge. */
.macro  enter
        mov     w10, #STATE_RUNNING
        strb    w10, [x13, #T_STATE]
        str     x13, [x17, #CPU_CURRENT]
        ldr     w10, [x17, #CPU_FP_ON]
        mov     sp, x13
        cbnz    w10, 8f                         // the other may use FP: not this one
7:      mrs     x10, ttbr1_el1
        cmp     x10, x12
        b.eq    9f                              // same task
        msr     ttbr1_el1, x12                  // table and ASID in one; eret synchronises
        ldr     x10, [x17, #CPU_N_TTBR]
        add     x10, x10, #1
        str     x10, [x17, #CPU_N_TTBR]
9:      ldr     x10, [x17, #CPU_N_FAST]
        add     x10, x10, #1
        str     x10, [x17, #CPU_N_FAST]
        ldp     x10, x11, [sp, #TF_SP]          // and TF_PC
        msr     sp_el0, x10
        msr     elr_el1, x11
        ldp     x10, x11, [sp, #TF_PSTATE]      // and T_TPIDR
        msr     spsr_el1, x10
        msr     tpidr_el0, x11
        ldp     x19, x20, [sp, #TF_X(19)]
        ldp     x21, x22, [sp, #TF_X(21)]
        ldp     x23, x24, [sp, #TF_X(23)]
        ldp     x25, x26, [sp, #TF_X(25)]
        ldp     x27, x28, [sp, #TF_X(27)]
        ldp     x29, x30, [sp, #TF_X(29)]
        mov     x0, xzr                         // E_OK
        mov     x10, x15                        // who it is from
        mov     x11, xzr                        // nothing of the kernel's goes along
        mov     x12, xzr
        mov     x13, xzr
        mov     x14, xzr
        mov     x15, xzr
        mov     x16, xzr
        mov     x17, xzr
        eret
8:      mov     w10, #1 << 20                   // FPEN: its first FP instruction at EL0 asks for
        msr     cpacr_el1, x10                  // its registers
        str     wzr, [x17, #CPU_FP_ON]
        b       7b
.endm

/* ipc_call(x0 = endpoint, x1 = tag, x2..x9) */
        .global ipc_call_fast
ipc_call_fast:
        mrs     x17, tpidr_el1
        ldr     w16, [x17, #CPU_NO_FAST]
        ldr     w12, [sp, #T_SLOW]
        orr     w16, w16, w12
        cbnz    w16, call_slow
        tbnz    x1, #4, call_slow               // a capability goes with it
        cap_lookup call_slow
        cap_check SEND_BIT, call_slow
        ldp     x14, x15, [x12, #CAP_OBJECT]    // endpoint, badge
        ldp     x12, x13, [x14, #EP_CPU]        // home core, first receiver
        cmp     x12, x17
        b.ne    call_slow
        cbz     x13, call_slow                  // nobody waits
        ldr     x12, [x13, #T_CPU]
        cmp     x12, x17
        b.ne    call_slow                       // waits on another core
        may_run x13, call_slow
        // commit
        leave
        mov     w10, #STATE_CALLING
        strb    w10, [sp, #T_STATE]
        mov     x10, sp
        str     x10, [x13, #T_CALLER]
        ldr     x10, [x13, #T_NEXT]
        str     x10, [x14, #EP_RECEIVERS]
        stp     x13, xzr, [sp, #T_PARTNER]      // and T_NEXT
        str     xzr, [x13, #T_NEXT]
        str     xzr, [x13, #T_WAITS_ON]
        enter

/* ipc_reply_recv(x0 = endpoint, x1 = tag, x2..x9): the reply, then waiting again */
        .global ipc_reply_recv_fast
ipc_reply_recv_fast:
        mrs     x17, tpidr_el1
        ldr     w16, [x17, #CPU_NO_FAST]
        ldr     w12, [sp, #T_SLOW]
        orr     w16, w16, w12
        cbnz    w16, reply_recv_slow
        tbnz    x1, #4, reply_recv_slow
        cap_lookup reply_recv_slow
        cap_check RECV_BIT, reply_recv_slow
        ldr     x14, [x12, #CAP_OBJECT]
        ldr     x13, [sp, #T_CALLER]
        cbz     x13, reply_recv_slow            // nobody to answer
        ldp     x12, x15, [x14, #EP_CPU]        // home core, other receivers
        cmp     x12, x17
        b.ne    reply_recv_slow
        ldr     x12, [x14, #EP_SENDERS]
        cbnz    x12, reply_recv_slow            // the next message is there already
        ldr     x12, [x13, #T_CPU]
        cmp     x12, x17
        b.ne    reply_recv_slow                 // waits on another core
        ldrb    w12, [x13, #T_FAULTING]
        cbnz    w12, reply_recv_slow            // not a message: a fault is answered
        may_run x13, reply_recv_slow
        // commit
        str     x11, [sp, #TF_X(11)]            // where it wants a capability
        leave
        mov     w10, #STATE_RECEIVING
        strb    w10, [sp, #T_STATE]
        stp     xzr, xzr, [sp, #T_CALLER]       // and T_PARTNER
        str     xzr, [x13, #T_PARTNER]
        mov     x10, sp
        str     x15, [sp, #T_NEXT]
        str     x14, [sp, #T_WAITS_ON]
        str     x10, [x14, #EP_RECEIVERS]
        mov     x15, xzr                        // an answer has no badge
        enter

call_slow:
        adrp    x16, sys_ipc_call
        add     x16, x16, :lo12:sys_ipc_call
        b       save_server
reply_recv_slow:
        adrp    x16, sys_ipc_reply_recv
        add     x16, x16, :lo12:sys_ipc_reply_recv
        b       save_server
