/* SPDX-License-Identifier: MIT */
/*
 * loops.S -- what is measured: raw loops of calls, so that no compiler changes the numbers.
 *
 * All of it runs without a stack or data of its own, so it may be mapped into any task. A
 * worker's x19 is how often, x20..x28 are the loop's arguments; a loop ends with subs, b.ne
 * and ret, and the first two are what is subtracted.
 */
#include <ouzel/abi.h>
#include <ouzel/vcpu.h>

#include "bench.h"

#define SYSCALL(nr, name, kind, nargs, what) .set NR_##name, nr
#include <ouzel/syscalls.def>
#undef SYSCALL
#define SVC(name) svc #NR_##name
#define PAGE_MASK 0xfffffffffffff000

        .section .text.loops, "ax"
        .balign 4096
        .global loops_start, loops_end
loops_start:

/* isb: the clock is not read ahead of its place. */
.macro  clock   reg
        isb
        mrs     \reg, cntvct_el0
.endm

.macro  again
        subs    x19, x19, #1
        b.ne    1b
.endm

/* Tell whoever listens: from x29 to x3. It does not answer. */
.macro  report
        mov     x2, x29
        mov     x0, #SLOT_DONE
        mov     x1, #2
        SVC(ipc_call)
        brk     #0
.endm

/* x0 = arguments, x1 = loop */
        .global worker
worker:
        ldp     x19, x20, [x0]
        ldp     x21, x22, [x0, #16]
        ldp     x23, x24, [x0, #32]
        ldp     x25, x26, [x0, #48]
        ldp     x27, x28, [x0, #64]
        mov     x4, x1
        clock   x29
        blr     x4
        clock   x3
        report

        .global loop_empty
loop_empty:
1:      again
        ret

/* x20 = slot */
        .global loop_null
loop_null:
1:      mov     x0, x20
        SVC(cap_probe)
        again
        ret

/* x20 = endpoint */
        .global loop_call, loop_call_words
loop_call:
1:      mov     x0, x20
        mov     x1, xzr
        SVC(ipc_call)
        again
        ret

loop_call_words:
1:      mov     x0, x20
        mov     x1, #MSG_WORDS
        mov     x2, x21
        mov     x3, x22
        mov     x4, x23
        mov     x5, x24
        mov     x6, x25
        mov     x7, x26
        mov     x8, x27
        mov     x9, x28
        SVC(ipc_call)
        again
        ret

/* x0 = endpoint, x1 = tag of the answers: what came in x2..x9 goes back as it is */
        .global server
server:
        mov     x19, x0
        mov     x20, x1
        SVC(ipc_recv)
1:      mov     x0, x19
        mov     x1, x20
        SVC(ipc_reply_recv)
        b       1b

/* x20 = notification */
        .global loop_signal
loop_signal:
1:      mov     x0, x20
        mov     x1, #1
        SVC(notify_signal)
        again
        ret

/* x0 = notification */
        .global waiter
waiter:
        mov     x19, x0
1:      mov     x0, x19
        mov     x1, xzr
        SVC(notify_wait)
        b       1b

/* x20 = space, x21 = address, x22 = frame, x23 = flags, x24 = pages, x25 = bytes */
        .global loop_update, loop_update_list
loop_update:
1:      mov     x0, x20
        mov     x1, x21
        mov     x2, x22
        mov     x3, x23
        mov     x4, x24
        SVC(space_update)
        cbnz    x0, failed
        add     x21, x21, x25
        again
        ret

/* x20 = space, x21 = list, x22 = its length, x25 = bytes that all its addresses advance */
loop_update_list:
1:      mov     x2, x21
        mov     x3, x22
2:      ldr     x4, [x2]
        add     x4, x4, x25
        str     x4, [x2], #24
        subs    x3, x3, #1
        b.ne    2b
        mov     x0, x20
        mov     x1, x22
        SVC(space_update_list)
        cbnz    x0, failed
        again
        ret

failed:
        brk     #1                              // the pager says what x0 was

/* The same without the call: what the list's own making costs. */
        .global loop_list_only
loop_list_only:
1:      mov     x2, x21
        mov     x3, x22
2:      ldr     x4, [x2]
        add     x4, x4, x25
        str     x4, [x2], #24
        subs    x3, x3, #1
        b.ne    2b
        again
        ret

/* x0 = how often, x1 = first address. In a task of its own: nothing of it is mapped. */
        .global toucher
toucher:
        mov     x19, x0
        mov     x20, x1
        clock   x29
1:      str     xzr, [x20]
        add     x20, x20, #4096
        again
        clock   x3
        report

/* A pager. x0 = endpoint, x1 = frame that it gives to everybody */
        .global small_pager
small_pager:
        mov     x19, x0
        mov     x20, x1
        SVC(ipc_recv)
1:      and     x1, x2, #PAGE_MASK
        mov     x0, #SLOT_CHILD_SPACE
        mov     x2, x20
        mov     x3, #(ACCESS_READ | ACCESS_WRITE)
        mov     x4, #1
        SVC(space_update)
        lsl     x1, x0, #TAG_LABEL_SHIFT        // an error leaves it stopped
        mov     x0, x19
        SVC(ipc_reply_recv)
        b       1b

        .global loop_yield, yielder, spinner
loop_yield:
1:      SVC(thread_yield)
        again
        ret
yielder:
        SVC(thread_yield)
        b       yielder
spinner:
        b       spinner

/*
 * From a timer interrupt to the thread that waited for it. x20 = notification, x21 = how far
 * away the interrupt is, in ticks. A tick is INSTRUCTIONS_PER_TICK instructions, so the clock
 * is read 0, 1, ... later each time: over that many rounds the sum of the rounded ticks is
 * the exact number of instructions. Reports 0 and the sum.
 */
        .global timer_rounds
timer_rounds:
        ldp     x19, x20, [x0]
        ldr     x21, [x0, #16]
        mov     x24, xzr
        adr     x25, 2f
1:      and     x26, x19, #(INSTRUCTIONS_PER_TICK - 1)
        sub     x26, x25, x26, lsl #2
        clock   x22
        add     x22, x22, x21
        mov     x0, x20
        mov     x1, x22
        SVC(notify_wait)
        br      x26
        .rept   INSTRUCTIONS_PER_TICK - 1
        nop
        .endr
2:      mrs     x23, cntvct_el0
        sub     x23, x23, x22
        add     x24, x24, x23
        again
        mov     x29, xzr
        mov     x3, x24
        report

/* x20 = slot of a task to be, x21 = its quota */
        .global loop_task
loop_task:
1:      mov     x0, x20
        mov     x1, x21
        SVC(task_create)
        cbnz    x0, failed
        mov     x0, x20
        SVC(task_destroy)
        cbnz    x0, failed
        again
        ret

/* ---- a vCPU: server mode ------------------------------------------------------------------ */

/* x0 = arguments: x19.. are the user's, but x27 = process space, x28 = where it starts. */
        .global vcpu_user_start
vcpu_user_start:
        ldp     x19, x20, [x0]
        ldp     x21, x22, [x0, #16]
        ldp     x23, x24, [x0, #32]
        ldp     x25, x26, [x0, #48]
        ldp     x27, x28, [x0, #64]
        mov     x0, x27
        SVC(vcpu_set_space)
        cbnz    x0, failed
        str     x28, [x18, #VB_ELR]
        str     xzr, [x18, #VB_SPSR]
        SVC(vcpu_return)

/* x20, x21 = two process spaces, in turns */
        .global loop_set_space
loop_set_space:
1:      mov     x0, x20
        SVC(vcpu_set_space)
        mov     x0, x21
        SVC(vcpu_set_space)
        again
        ret

/* Vector tables: only "synchronous, from user mode" is ever used. */
        .balign 2048
        .global vectors_empty, vectors_fault
vectors_empty:
        .org    vectors_empty + 0x400
        SVC(vcpu_return)

/*
 * A page fault: the next entry of our table (x20) becomes x21, and one sync element says so.
 * w22 = the ring's tail, x23 = the element's space and page count, w24 = 1. x26, x28 are free.
 */
        .balign 2048
vectors_fault:
        .org    vectors_fault + 0x400
        ldr     x26, [x18, #VB_FAR]
        and     x26, x26, #PAGE_MASK
        str     x21, [x20], #8
        and     w28, w22, #(SYNC_RING - 1)
        add     x28, x18, x28, lsl #4
        add     x28, x28, #VB_RING
        stp     x26, x23, [x28]
        add     w22, w22, #1
        add     x28, x18, #VB_SYNC_TAIL
        stlr    w22, [x28]                      // the table and the element come first
        strb    w24, [x18, #VB_SYNC]
        SVC(vcpu_return)
loops_end:

/* ---- a vCPU: user mode -------------------------------------------------------------------- */
        .balign 4096
        .global user_code, user_syscalls, user_faults
user_code:
user_syscalls:
        clock   x29
1:      svc     #0
        again
        b       user_end

/* x25 = first address */
user_faults:
        clock   x29
1:      str     xzr, [x25]
        add     x25, x25, #4096
        again
user_end:
        clock   x30
        ldr     x0, =USER_RESULT
        stp     x29, x30, [x0]                  // the program polls the second one
1:      b       1b
        .ltorg
        .balign 4096
