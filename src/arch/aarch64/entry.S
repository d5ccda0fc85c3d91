/* SPDX-License-Identifier: MIT */
/*
 * entry.S -- where the CPU lands on every exception taken to EL1, and how it leaves.
 *
 * At EL0, SP_EL1 points to the running thread's struct, which starts with its frame. So
 * saving registers needs no memory but the thread's own, and changing threads is changing
 * SP. TPIDR_EL1 points to this core's struct cpu. In C, SP is the core's kernel stack.
 * Interrupts are masked in the kernel, always.
 *
 * VBAR_EL1 says who runs, so that the paths need not ask: vectors_user for a vCPU in user mode
 * (whatever comes goes to the server; a system call can't be ours), vectors_server for one in
 * server mode and for all that may not go fast (T_SLOW, CPU_NO_FAST), else vectors_native.
 */
#include "arch_asm.h"
#include "layout.h"
#include "trapframe.h"
#include <ouzel/abi.h>
#include <ouzel/vcpu.h>

#define ESR_SVC64      0x5600   /* top half: EC 0x15, IL; the low half is the immediate */
#define NR_SYSCALLS    54

        .section .text.vectors, "ax"


/* count a kernel event; clobbers the two registers */
.macro  count   cpu, tmp, offset
        ldr     \tmp, [\cpu, #\offset]
        add     \tmp, \tmp, #1
        str     \tmp, [\cpu, #\offset]
.endm

.macro  slot    table, nr
        .org    \table + \nr * 0x80
.endm

/* Slots from first on, count of them, where only a bug in the kernel leads. */
.macro  bad     table, first, count
        .set    nr, \first
        .rept   \count
        .org    \table + nr * 0x80
        sub     sp, sp, #TF_SIZE
        stp     x0, x1, [sp]
        mov     x1, #nr
        b       entry_bad
        .set    nr, nr + 1
        .endr
.endm

/* All of it by C. */
.macro  by_c    table, nr, save, function
        slot    \table, \nr
        stp     x16, x17, [sp, #TF_X(16)]
        adr     x16, \function
        b       \save
.endm

/* w16 = the system call's number, or something huge. The register's old value is in the frame. */
.macro  number
        stp     x16, x17, [sp, #TF_X(16)]
        mrs     x16, esr_el1
        mov     w17, #ESR_SVC64 << 16
        sub     w16, w16, w17
.endm

/* ---- native threads ------------------------------------------------------------------ */
        .balign 0x800
        .global vectors_native, vectors_history
vectors_native:
        bad     vectors_native, 0, 8            // EL1: we never run on SP_EL0, nor fault
        // EL0, AArch64
        slot    vectors_native, 8               // synchronous: system call or fault
        number
        cmp     w16, #2
        b.eq    ipc_reply_recv_fast
        b.lo    ipc_call_fast                   // or 0, which it sends on
        b       svc_table
        by_c    vectors_native, 9, save_server, exception_irq    // interrupt
        by_c    vectors_native, 10, save_server, exception_irq   // FIQ: never routed to us
        by_c    vectors_native, 11, save_server, exception_native // SError: its own doing
        bad     vectors_native, 12, 4           // EL0, AArch32: no thread ever runs there
        .org    vectors_native + 0x800          // exactly sixteen

/* ---- vCPUs in server mode, and threads that may not go fast ---------------------------- */
vectors_server:
        bad     vectors_server, 0, 8
        slot    vectors_server, 8
        number
        cbz     w16, vcpu_return
        b       svc_table
        by_c    vectors_server, 9, save_server, exception_irq
        by_c    vectors_server, 10, save_server, exception_irq
        by_c    vectors_server, 11, save_server, exception_native
        bad     vectors_server, 12, 4
        .org    vectors_server + 0x800

/*
 * ---- a vCPU in user mode ------------------------------------------------------------
 *
 * Any exception becomes one of the server's, in place: a slot holds 32 instructions.
 * Every register but x18 goes on as it is; NZCV is in SPSR.
 */
vectors_user:
        bad     vectors_user, 0, 8
        slot    vectors_user, 8
        stp     x16, x17, [sp, #TF_X(16)]
        ldr     x16, [sp, #T_BLOCK]             // by its address in the direct map
        mrs     x17, elr_el1
        str     x17, [x16, #VB_ELR]
        mrs     x17, spsr_el1
        str     x17, [x16, #VB_SPSR]
        mrs     x17, esr_el1
        str     x17, [x16, #VB_ESR]
        mrs     x17, far_el1
        str     x17, [x16, #VB_FAR]
        mrs     x17, sp_el0
        stp     x17, x18, [x16, #VB_SP]         // the user's; VB_X18 follows
        ldp     x18, x17, [sp, #T_BLOCK_VA]     // the server's; T_SERVER_SP follows
        msr     sp_el0, x17
        mov     w17, #1
        strb    w17, [x16, #VB_MASKED]
        ldr     x17, [sp, #T_VECTOR]
        msr     elr_el1, x17
        msr     spsr_el1, xzr                   // EL0t, nothing masked, no flags
        ldr     x17, [sp, #T_TTBR1_SERVER]
        msr     ttbr1_el1, x17                  // table and ASID in one; eret synchronises
        mrs     x16, tpidr_el1
        ldr     x17, [x16, #CPU_VECTORS_SERVER]
        msr     vbar_el1, x17
        count   x16, x17, CPU_N_VENTRY
        ldp     x16, x17, [sp, #TF_X(16)]
        eret
        by_c    vectors_user, 9, save_user, exception_irq
        by_c    vectors_user, 10, save_user, exception_irq
        slot    vectors_user, 11                // SError: the server judges its program
        b       vectors_user + 8 * 0x80
        bad     vectors_user, 12, 4
        .org    vectors_user + 0x800

/* ---- the same, while its steps or entries are watched: everything by C ---------------- */
vectors_watched:
        bad     vectors_watched, 0, 8
        by_c    vectors_watched, 8, save_user, exception_user
        by_c    vectors_watched, 9, save_user, exception_irq
        by_c    vectors_watched, 10, save_user, exception_irq
        by_c    vectors_watched, 11, save_user, exception_user
        bad     vectors_watched, 12, 4
        .org    vectors_watched + 0x800

/* ---- all four again, for cores whose branch history is to be overwritten: history.c ---- */
vectors_history:
        .irp    table, vectors_native, vectors_server, vectors_user, vectors_watched
        .set    nr, 0
        .rept   16
        .balign 0x80
        .if     nr >= 8 && nr < 12              // from EL0
        str     x16, [sp, #TF_X(16)]
        mrs     x16, tpidr_el1
        ldr     x16, [x16, #CPU_HISTORY]
1:      b       2f                              // two taken branches a turn, as Arm has it
2:      subs    x16, x16, #1                    // NZCV is in SPSR
        b.ne    1b
        dsb     nsh                             // no speculation past the loop with what the
        isb                                     // program left: dsb, isb are SB without FEAT_SB
        ldr     x16, [sp, #TF_X(16)]
        .endif
        b       \table + nr * 0x80
        .set    nr, nr + 1
        .endr
        .endr
        .org    vectors_history + 4 * 0x800

/*
 * svc #0: back to user mode, if the block says so and nothing is to be done on the way.
 * All registers but x18 are the user's already.
 */
vcpu_return:
        ldr     x16, [sp, #T_BLOCK]
        cbz     x16, vcpu_return_slow           // not a vCPU
        ldr     x17, [x16, #VB_ATTENTION]
        cbnz    x17, vcpu_attend
1:      ldr     x17, [x16, #VB_SPSR]
        tst     x17, #~0xf0000000
        b.ne    3f                              // more than flags
4:      msr     spsr_el1, x17
        ldr     x17, [x16, #VB_ELR]
        msr     elr_el1, x17
        mrs     x17, sp_el0
        stp     x17, xzr, [sp, #T_SERVER_SP]    // and nothing nested
        ldp     x17, x18, [x16, #VB_SP]
        msr     sp_el0, x17
        ldr     x17, [sp, #T_TTBR1_USER]
        msr     ttbr1_el1, x17                  // table and ASID in one; eret synchronises
        mrs     x16, tpidr_el1
        ldr     x17, [x16, #CPU_VECTORS_USER]   // while traced: vectors_watched
        msr     vbar_el1, x17
        count   x16, x17, CPU_N_VRETURN
        ldp     x16, x17, [sp, #TF_X(16)]
        eret

3:      tst     x17, #0x1f
        b.ne    vcpu_return_slow                // stays in server mode
        tbnz    x17, #21, vcpu_return_slow      // single-step
        and     x17, x17, #0xf0000000           // the flags, and no more
        b       4b

/* Only the sync ring has something: drain it, keep the user's registers, and go on. */
vcpu_attend:
        tst     x17, #0xffff                    // VB_PENDING, VB_WORK
        b.ne    vcpu_return_slow
        stp     x0, x1, [sp, #TF_X(0)]
        stp     x2, x3, [sp, #TF_X(2)]
        stp     x4, x5, [sp, #TF_X(4)]
        stp     x6, x7, [sp, #TF_X(6)]
        stp     x8, x9, [sp, #TF_X(8)]
        stp     x10, x11, [sp, #TF_X(10)]
        stp     x12, x13, [sp, #TF_X(12)]
        stp     x14, x15, [sp, #TF_X(14)]
        stp     x29, x30, [sp, #TF_X(29)]
        strb    wzr, [x16, #VB_SYNC]
        mov     x0, sp
        mrs     x16, tpidr_el1
        ldr     x17, [x16, #CPU_STACK]
        mov     sp, x17
        bl      sync_drain
        mrs     x16, tpidr_el1
        ldr     x17, [x16, #CPU_CURRENT]
        mov     sp, x17
        ldp     x0, x1, [sp, #TF_X(0)]
        ldp     x2, x3, [sp, #TF_X(2)]
        ldp     x4, x5, [sp, #TF_X(4)]
        ldp     x6, x7, [sp, #TF_X(6)]
        ldp     x8, x9, [sp, #TF_X(8)]
        ldp     x10, x11, [sp, #TF_X(10)]
        ldp     x12, x13, [sp, #TF_X(12)]
        ldp     x14, x15, [sp, #TF_X(14)]
        ldp     x29, x30, [sp, #TF_X(29)]
        ldr     x16, [sp, #T_BLOCK]
        b       1b

vcpu_return_slow:
        adr     x16, sys_vcpu_return
        b       save_server

/* ---- system calls in C ---------------------------------------------------------------- */

/* w16 = number. PLAIN functions get the arguments as they are; SWITCH ones a whole frame. */
        .global svc_table
svc_table:
        cmp     w16, #NR_SYSCALLS
        b.hs    native_fault                    // no call of ours: bad number, or a fault
        adr     x17, syscall_table
        ldr     x16, [x17, w16, uxtw #3]
        tbz     x16, #0, save_server            // the table marks PLAIN: code is aligned to 4

/*
 * A PLAIN call returns to the same thread: callee-saved registers are kept by C's own rules,
 * and ELR, SPSR, SP_EL0 stay where they are. Results: x0, x1, and the frame's x2..x5. The
 * rest of what C left in registers is replaced by the thread's own old values.
 */
svc_plain:
        str     x30, [sp, #TF_X(30)]
        mrs     x17, tpidr_el1
        ldr     x30, [x17, #CPU_N_ENTRY]
        add     x30, x30, #1
        str     x30, [x17, #CPU_N_ENTRY]
        ldr     x17, [x17, #CPU_STACK]
        mov     sp, x17
        sub     x16, x16, #1
        blr     x16
        mrs     x16, tpidr_el1
        ldr     x17, [x16, #CPU_CURRENT]
        mov     sp, x17
        ldr     w17, [x16, #CPU_RESCHED]
        cbnz    w17, plain_switches
        ldr     x30, [sp, #TF_X(30)]
        ldp     x2, x3, [sp, #TF_X(2)]
        ldp     x4, x5, [sp, #TF_X(4)]
        ldp     x6, x7, [sp, #TF_X(6)]
        ldp     x8, x9, [sp, #TF_X(8)]
        ldp     x10, x11, [sp, #TF_X(10)]
        ldp     x12, x13, [sp, #TF_X(12)]
        ldp     x14, x15, [sp, #TF_X(14)]
        ldp     x16, x17, [sp, #TF_X(16)]
        eret

/* It woke somebody, or stopped us: complete the frame, and let the scheduler decide. */
plain_switches:
        stp     x0, x1, [sp, #TF_X(0)]
        ldr     x30, [sp, #TF_X(30)]
        adr     x16, exit_to_thread
        strb    wzr, [sp, #T_MODE]
        b       save_rest

/* ---- saving everything ------------------------------------------------------------------ */

/* x16 = what to call with the thread; x16 and x17 are in the frame already. */
save_user:
        mov     w17, #MODE_USER
        strb    w17, [sp, #T_MODE]
        b       1f
        .global save_server
save_server:
        strb    wzr, [sp, #T_MODE]
1:      stp     x0, x1, [sp, #TF_X(0)]
        stp     x2, x3, [sp, #TF_X(2)]
        stp     x4, x5, [sp, #TF_X(4)]
        stp     x6, x7, [sp, #TF_X(6)]
        stp     x8, x9, [sp, #TF_X(8)]
        stp     x10, x11, [sp, #TF_X(10)]
        stp     x12, x13, [sp, #TF_X(12)]
        stp     x14, x15, [sp, #TF_X(14)]
        mrs     x1, tpidr_el1
        count   x1, x2, CPU_N_ENTRY
save_rest:
        stp     x18, x19, [sp, #TF_X(18)]
        stp     x20, x21, [sp, #TF_X(20)]
        stp     x22, x23, [sp, #TF_X(22)]
        stp     x24, x25, [sp, #TF_X(24)]
        stp     x26, x27, [sp, #TF_X(26)]
        stp     x28, x29, [sp, #TF_X(28)]
        mrs     x0, sp_el0
        stp     x30, x0, [sp, #TF_X(30)]
        mrs     x0, elr_el1
        mrs     x1, spsr_el1
        stp     x0, x1, [sp, #TF_PC]
        mrs     x0, tpidr_el0
        str     x0, [sp, #T_TPIDR]
        mrs     x1, tpidr_el1
        mov     x0, sp
        ldr     x2, [x1, #CPU_STACK]
        mov     sp, x2
        mov     x29, xzr                        // backtraces end here
        blr     x16
        // fall through

/* ---- the way out: whoever schedule() says ------------------------------------------------ */
        .global exit_to_thread
exit_to_thread:
        bl      schedule
        mov     sp, x0
        cbz     x1, 2f
        .global thread_restore
thread_restore:                                 // sp = whose turn it is, all of its frame
1:      ldp     x0, x1, [sp, #TF_PC]
        msr     elr_el1, x0
        msr     spsr_el1, x1
        ldr     x0, [sp, #T_TPIDR]
        msr     tpidr_el0, x0
        ldp     x30, x0, [sp, #TF_X(30)]
        msr     sp_el0, x0
        ldp     x28, x29, [sp, #TF_X(28)]
        ldp     x26, x27, [sp, #TF_X(26)]
        ldp     x24, x25, [sp, #TF_X(24)]
        ldp     x22, x23, [sp, #TF_X(22)]
        ldp     x20, x21, [sp, #TF_X(20)]
        ldp     x18, x19, [sp, #TF_X(18)]
        ldp     x16, x17, [sp, #TF_X(16)]
        ldp     x14, x15, [sp, #TF_X(14)]
        ldp     x12, x13, [sp, #TF_X(12)]
        ldp     x10, x11, [sp, #TF_X(10)]
        ldp     x8, x9, [sp, #TF_X(8)]
        ldp     x6, x7, [sp, #TF_X(6)]
        ldp     x4, x5, [sp, #TF_X(4)]
        ldp     x2, x3, [sp, #TF_X(2)]
        ldp     x0, x1, [sp, #TF_X(0)]
        eret
2:      mrs     x1, tpidr_el1                   // other vectors, perhaps
        ldr     x0, [x1, #CPU_VECTORS]
        ldr     w1, [x1, #CPU_NO_FAST]
        ldr     w2, [sp, #T_SLOW]
        ldrb    w3, [sp, #T_MODE]
        orr     w2, w1, w2
        cbz     w2, 3f
        add     x0, x0, #vectors_server - vectors_native
        cbz     w3, 3f
        ldrb    w2, [sp, #T_STEPPING]
        orr     w1, w1, w2
        add     x0, x0, #vectors_user - vectors_server
        cbz     w1, 3f
        add     x0, x0, #vectors_watched - vectors_user
3:      msr     vbar_el1, x0
        b       1b

/* The call under way is off, as its thread was stopped: forget this core's stack. */
        .global abandon
abandon:
        mrs     x1, tpidr_el1
        ldr     x1, [x1, #CPU_STACK]
        mov     sp, x1
        mov     x29, xzr
        b       exit_to_thread

/* A fault of a native thread or of a server, or a call that does not exist. */
native_fault:
        adr     x16, fault_fast
        b       save_server

/* ---- the kernel's own end ------------------------------------------------------------------ */

/* sp = a frame with x0 and x1 saved, x1 = slot. The stack may be what broke: use another. */
entry_bad:
        stp     x2, x3, [sp, #TF_X(2)]
        stp     x4, x5, [sp, #TF_X(4)]
        stp     x6, x7, [sp, #TF_X(6)]
        stp     x8, x9, [sp, #TF_X(8)]
        stp     x10, x11, [sp, #TF_X(10)]
        stp     x12, x13, [sp, #TF_X(12)]
        stp     x14, x15, [sp, #TF_X(14)]
        stp     x16, x17, [sp, #TF_X(16)]
        stp     x18, x19, [sp, #TF_X(18)]
        stp     x20, x21, [sp, #TF_X(20)]
        stp     x22, x23, [sp, #TF_X(22)]
        stp     x24, x25, [sp, #TF_X(24)]
        stp     x26, x27, [sp, #TF_X(26)]
        stp     x28, x29, [sp, #TF_X(28)]
        add     x0, sp, #TF_SIZE
        stp     x30, x0, [sp, #TF_X(30)]
        mrs     x2, elr_el1
        mrs     x3, spsr_el1
        stp     x2, x3, [sp, #TF_PC]
        mov     x0, x1
        mov     x1, sp
        b       panic_exception
