/* SPDX-License-Identifier: MIT */
/*
 * ipc_fast.S -- call to a server that waits, and the reply to it, on one core.
 *
 * Speed only: by way of vectors_server every result is the same. Each path looks first,
 * changing nothing but x10 and x12..x17 (x16, x17 are in the frame); any surprise goes to the
 * slow path, which starts over. After "commit" nothing can fail. The message stays in x1..x9.
 * Who runs here has rank >= 0 (its vectors say so), and so has whom it switches to: no vCPU,
 * no budget, at home on this core.
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
#if CAP_TYPE != 0
#error ldarh has no offset
#endif
#define SEND           (RIGHT_SEND << 8 | CAP_ENDPOINT) /* in a capability's CAP_TYPE */
#define RECV_BIT       9

        .text

/* x12 = the capability in slot x0, w13 = its type and rights; or slow. */
.macro  cap_lookup slow
        lsr     x13, x0, #CAPS_SHIFT
        cmp     x13, #CAP_PAGES
        b.hs    \slow
        ldr     x12, [sp, #T_CAPS]
        ldr     x12, [x12, x13, lsl #3]
        cbz     x12, \slow
        and     x13, x0, #CAPS_PER_PAGE - 1
        add     x12, x12, x13, lsl #CAP_SHIFT
        ldarh   w13, [x12]                      // CAP_TYPE, before the rest: see struct cap
.endm

/* The address space of \to, or slow if it has to get an ASID first. Clobbers x12, x16. */
.macro  space_enter to, slow
        ldr     x12, [\to, #T_SPACE]
        ldr     x16, [sp, #T_SPACE]
        cmp     x12, x16
        b.eq    1f                              // same task
        ldr     x12, [x12, #SPACE_TTBR1]
        cbz     x12, \slow
        msr     ttbr1_el1, x12                  // table and ASID in one; eret synchronises,
        ldr     x12, [x17, #CPU_N_TTBR]         // and the kernel's slot is the same in all
        add     x12, x12, #1
        str     x12, [x17, #CPU_N_TTBR]
1:
.endm

/* Leave the running thread (sp) so that it can go on after its svc. Clobbers x11, x12. */
.macro  leave
        str     x11, [sp, #TF_X(11)]            // where it wants a capability
        stp     x19, x20, [sp, #TF_X(19)]
        stp     x21, x22, [sp, #TF_X(21)]
        stp     x23, x24, [sp, #TF_X(23)]
        stp     x25, x26, [sp, #TF_X(25)]
        stp     x27, x28, [sp, #TF_X(27)]
        stp     x29, x30, [sp, #TF_X(29)]
        mrs     x11, sp_el0
        mrs     x12, elr_el1
        stp     x11, x12, [sp, #TF_SP]          // and TF_PC
        mrs     x11, tpidr_el0
        stp     xzr, x11, [sp, #TF_PSTATE]      // and T_TPIDR; EL0t, no flags
.endm

/* The running thread waits at endpoint x14, before the receivers x10. Clobbers x11. */
.macro  listen
        mov     x11, #STATE_RECEIVING
        stp     xzr, x11, [sp, #T_CALLER]       // and T_STATE
        stp     x10, x14, [sp, #T_NEXT]         // and T_WAITS_ON
        mov     x11, sp
        str     x11, [x14, #EP_RECEIVERS]
        mov     x11, #STATE_RUNNING
        stp     x11, xzr, [x13, #T_STATE]       // and T_PARTNER
.endm

/* FP is on, for the other: x13's first FP instruction at EL0 asks for its registers. */
.macro  fp_off
        mov     w11, #1 << 20                   // CPACR_EL1.FPEN
        msr     cpacr_el1, x11
        str     wzr, [x17, #CPU_FP_ON]
.endm

/* Go on with thread x13 on core x17; x10 = badge. w15 = FP is on. counter: of what it was. */
.macro  enter   counter=CPU_N_FAST
        cbnz    w15, 8f
7:      str     x13, [x17, #CPU_CURRENT]
        ldr     x11, [x17, #\counter]
        add     x11, x11, #1
        str     x11, [x17, #\counter]
        mov     sp, x13
        ldp     x11, x12, [sp, #TF_SP]          // and TF_PC
        msr     sp_el0, x11
        msr     elr_el1, x12
        msr     spsr_el1, xzr
        ldp     x13, x0, [sp, #T_TPIDR]         // and T_BLOCK, 0 as it is no vCPU: E_OK
        msr     tpidr_el0, x13
        ldp     x19, x20, [sp, #TF_X(19)]
        ldp     x21, x22, [sp, #TF_X(21)]
        ldp     x23, x24, [sp, #TF_X(23)]
        ldp     x25, x26, [sp, #TF_X(25)]
        ldp     x27, x28, [sp, #TF_X(27)]
        ldp     x29, x30, [sp, #TF_X(29)]
        ldp     x14, x15, [sp, #TF_X(14)]       // what it had there once: nothing of ours
        ldp     x16, x17, [sp, #TF_X(16)]       // goes along, nor of the other's
        mov     x18, xzr
        eret
8:      fp_off
        b       7b
.endm

/* ipc_call(x0 = endpoint, x1 = tag, x2..x9); w16 = 1, or 0: another call */
        .global ipc_call_fast
ipc_call_fast:
        cbz     w16, svc_table
        tbnz    x1, #4, call_slow               // a capability goes with it
        mrs     x17, tpidr_el1
        cap_lookup call_other
        and     w13, w13, #RIGHT_SEND << 8 | 0xff
        cmp     w13, #SEND
        b.ne    call_other
        ldp     x14, x10, [x12, #CAP_OBJECT]    // endpoint, badge
        ldp     x12, x13, [x14, #EP_CPU]        // home core, first receiver
        cbz     x13, call_other                  // nobody waits
        ldr     w16, [x13, #T_RANK]
        cmp     x12, x17                        // at home here, and ...
        ldp     w15, w12, [x17, #CPU_FP_ON]     // and CPU_READY_TOP
        ccmp    w16, w12, #8, eq                // ... comes before all others (#8: lt)
        b.le    call_other
        space_enter x13, call_other
        // commit
        leave
        mov     x11, #STATE_CALLING
        stp     x11, x13, [sp, #T_STATE]        // and T_PARTNER
        mov     x11, sp
        mov     x12, #STATE_RUNNING
        stp     x11, x12, [x13, #T_CALLER]      // and T_STATE
        ldr     x12, [x13, #T_NEXT]
        str     x12, [x14, #EP_RECEIVERS]
        enter

/* ipc_reply_recv(x0 = endpoint, x1 = tag, x2..x9): the reply, then waiting again */
        .global ipc_reply_recv_fast
ipc_reply_recv_fast:
        tbnz    x1, #4, reply_recv_slow
        mrs     x17, tpidr_el1
        cap_lookup reply_recv_other
        tbz     w13, #RECV_BIT, reply_recv_other
        and     w13, w13, #0xff
        cmp     w13, #CAP_ENDPOINT
        b.ne    reply_recv_other
        ldr     x13, [sp, #T_CALLER]
        ldr     x14, [x12, #CAP_OBJECT]
        cbz     x13, reply_recv_other            // nobody to answer
        ldp     x12, x10, [x14, #EP_CPU]        // home core, other receivers
        ldr     x16, [x14, #EP_SENDERS]
        cmp     x12, x17                        // at home here, ...
        ccmp    x16, #0, #0, eq                 // ... the next message is not there yet ...
        ldr     w16, [x13, #T_RANK]
        ldp     w15, w12, [x17, #CPU_FP_ON]     // and CPU_READY_TOP
        ccmp    w16, w12, #8, eq                // ... and the caller comes before all
        b.le    reply_fault
        space_enter x13, reply_recv_other
        // commit
        leave
        listen
        mov     x10, xzr                        // an answer has no badge
        enter

/* The same up to the last check: perhaps the caller's rank says that it waits after a fault. */
reply_fault:
        ldr     w12, [x13, #T_SLOW]
        cmp     w12, #SLOW_FAULT
        b.ne    reply_recv_other
        lsr     x12, x1, #TAG_LABEL_SHIFT
        cbnz    x12, reply_recv_other           // it is to stay stopped
        ldr     x12, [x14, #EP_CPU]
        ldr     x16, [x14, #EP_SENDERS]
        cmp     x12, x17
        ccmp    x16, #0, #0, eq                 // no next message yet
        b.ne    reply_recv_other
        ldr     w16, [x13, #T_PRIO]
        ldr     w12, [x17, #CPU_READY_TOP]
        cmp     w16, w12
        b.le    reply_recv_other
        space_enter x13, reply_recv_other
        // commit
        leave
        listen
        ldr     w11, [x13, #T_PRIO]
        str     w11, [x13, #T_RANK]
        str     wzr, [x13, #T_SLOW]
        cbz     w15, 1f
        fp_off
1:      str     x13, [x17, #CPU_CURRENT]
        ldr     x11, [x17, #CPU_N_FAST]
        add     x11, x11, #1
        str     x11, [x17, #CPU_N_FAST]
        mov     sp, x13
        b       thread_restore                  // the fault has changed no register of its

/*
 * A page fault of a native thread, as a message to its pager. x0 = the thread, all in its frame;
 * x1 = core, sp = the core's stack. What is not simple goes on in C.
 */
        .global fault_fast
fault_fast:
        ldr     w2, [x0, #T_SLOW]
        ldr     w3, [x1, #CPU_NO_FAST]
        orr     w2, w2, w3
        cbnz    w2, exception_native
        mrs     x5, esr_el1
        lsr     w11, w5, #26
        and     w2, w11, #~4                    // class 0x20: fetch, 0x24: data [D19.2.37]
        cmp     w2, #0x20
        b.ne    exception_native
        and     w2, w5, #0x3f                   // status 4 to 15: translation, access flag,
        sub     w2, w2, #4                      // permission
        cmp     w2, #11
        b.hi    exception_native
        ldp     x14, x10, [x0, #T_FAULT_EP]     // and badge
        cbz     x14, exception_native
        ldp     x12, x13, [x14, #EP_CPU]        // from here on as ipc_call
        cbz     x13, exception_native
        ldr     w16, [x13, #T_RANK]
        cmp     x12, x1
        ldp     w15, w12, [x1, #CPU_FP_ON]
        ccmp    w16, w12, #8, eq
        b.le    exception_native
        mov     x17, x1
        mov     x9, sp
        mov     sp, x0
        space_enter x13, fault_slow
        // commit
        mov     x2, #STATE_CALLING
        stp     x2, x13, [sp, #T_STATE]         // and T_PARTNER
        mov     w2, #1 << 31                    // less than any priority
        str     w2, [sp, #T_RANK]
        mov     w2, #SLOW_FAULT
        str     w2, [sp, #T_SLOW]
        mov     x2, #STATE_RUNNING
        stp     x0, x2, [x13, #T_CALLER]        // and T_STATE
        ldr     x2, [x13, #T_NEXT]
        str     x2, [x14, #EP_RECEIVERS]
        mov     x1, #7                          // the tag: seven words, LABEL_PAGE_FAULT
        movk    x1, #LABEL_PAGE_FAULT, lsl #TAG_LABEL_SHIFT
        mrs     x2, far_el1
        ubfx    w3, w5, #6, #1                  // WnR,
        bic     w3, w3, w5, lsr #8              // but cache maintenance (CM) only reads
        add     w3, w3, #ACCESS_READ            // ACCESS_WRITE is one more
        tst     w11, #4
        mov     w4, #ACCESS_EXEC
        csel    w3, w3, w4, ne
        ldp     x7, x4, [sp, #TF_SP]            // and TF_PC
        ldrh    w6, [sp, #T_ID]
        ldr     x8, [sp, #TF_X(30)]
        mov     x9, xzr
        enter   CPU_N_FAULTS                    // the entry itself was counted
fault_slow:
        mov     sp, x9
        b       exception_native

/* No address of the kernel's goes into the frame. x10 means something only with TAG_CAP. */
.macro  clean
        mov     x10, xzr
        mov     x12, xzr
        mov     x13, xzr
        mov     x14, xzr
        mov     x15, xzr
.endm

call_other:
        clean
call_slow:
        adrp    x16, sys_ipc_call
        add     x16, x16, :lo12:sys_ipc_call
        b       save_server

reply_recv_other:
        clean
reply_recv_slow:
        adrp    x16, sys_ipc_reply_recv
        add     x16, x16, :lo12:sys_ipc_reply_recv
        b       save_server
