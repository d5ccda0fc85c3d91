/* SPDX-License-Identifier: MIT */
/*
 * vcpu_asm.S -- the smallest server there is: it runs a program in user mode until the first
 * exception comes, as if that were a function call; and programs for it.
 */
#include <ouzel/vcpu.h>

#define SAVED   VB_SERVER       /* where a program's registers go */
#define USER_X0 (VB_SERVER + 8) /* its x0 and x1, until they are there */

        .text

/* uint64_t vcpu_run(uint64_t x[31], struct vcpu_block *block): the vector's offset, or, where
 * vcpu_return was refused, 0x1000 plus the error. x18 is the block's. */
        .global vcpu_run
vcpu_run:
        stp     x29, x30, [sp, #-96]!
        stp     x19, x20, [sp, #16]
        stp     x21, x22, [sp, #32]
        stp     x23, x24, [sp, #48]
        stp     x25, x26, [sp, #64]
        stp     x27, x28, [sp, #80]
        str     x0, [x1, #SAVED]
        ldp     x2, x3, [x0, #8 * 2]
        ldp     x4, x5, [x0, #8 * 4]
        ldp     x6, x7, [x0, #8 * 6]
        ldp     x8, x9, [x0, #8 * 8]
        ldp     x10, x11, [x0, #8 * 10]
        ldp     x12, x13, [x0, #8 * 12]
        ldp     x14, x15, [x0, #8 * 14]
        ldp     x16, x17, [x0, #8 * 16]
        ldr     x19, [x0, #8 * 19]
        ldp     x20, x21, [x0, #8 * 20]
        ldp     x22, x23, [x0, #8 * 22]
        ldp     x24, x25, [x0, #8 * 24]
        ldp     x26, x27, [x0, #8 * 26]
        ldp     x28, x29, [x0, #8 * 28]
        ldr     x30, [x0, #8 * 30]
        ldp     x0, x1, [x0]
        svc     #0
        add     x0, x0, #0x1000
        b       vcpu_run_end

/* x18 = the block, x0 = the vector's offset; SP as vcpu_run left it. */
user_exception:
        str     x1, [x18, #USER_X0 + 8]
        ldr     x1, [x18, #SAVED]
        stp     x2, x3, [x1, #8 * 2]
        stp     x4, x5, [x1, #8 * 4]
        stp     x6, x7, [x1, #8 * 6]
        stp     x8, x9, [x1, #8 * 8]
        stp     x10, x11, [x1, #8 * 10]
        stp     x12, x13, [x1, #8 * 12]
        stp     x14, x15, [x1, #8 * 14]
        stp     x16, x17, [x1, #8 * 16]
        ldr     x2, [x18, #VB_X18]
        stp     x2, x19, [x1, #8 * 18]
        stp     x20, x21, [x1, #8 * 20]
        stp     x22, x23, [x1, #8 * 22]
        stp     x24, x25, [x1, #8 * 24]
        stp     x26, x27, [x1, #8 * 26]
        stp     x28, x29, [x1, #8 * 28]
        str     x30, [x1, #8 * 30]
        ldp     x2, x3, [x18, #USER_X0]
        stp     x2, x3, [x1]
vcpu_run_end:
        ldp     x19, x20, [sp, #16]
        ldp     x21, x22, [sp, #32]
        ldp     x23, x24, [sp, #48]
        ldp     x25, x26, [sp, #64]
        ldp     x27, x28, [sp, #80]
        ldp     x29, x30, [sp], #96
        ret

/* An exception in server mode: server_exception(offset, frame) may change the frame's pc. */
server_exception_entry:
        stp     x2, x3, [sp, #8 * 2]
        stp     x4, x5, [sp, #8 * 4]
        stp     x6, x7, [sp, #8 * 6]
        stp     x8, x9, [sp, #8 * 8]
        stp     x10, x11, [sp, #8 * 10]
        stp     x12, x13, [sp, #8 * 12]
        stp     x14, x15, [sp, #8 * 14]
        stp     x16, x17, [sp, #8 * 16]
        stp     x29, x30, [sp, #8 * 18]
        ldp     x2, x3, [x18, #VB_ELR]          // and VB_SPSR
        stp     x2, x3, [sp, #8 * 20]
        ldp     x2, x3, [x18, #VB_ESR]          // and VB_FAR
        stp     x2, x3, [sp, #8 * 22]
        str     x18, [sp, #8 * 24]
        mov     x1, sp
        bl      server_exception
        ldr     x18, [sp, #8 * 24]
        ldp     x2, x3, [sp, #8 * 20]
        stp     x2, x3, [x18, #VB_ELR]
        ldp     x2, x3, [sp, #8 * 2]
        ldp     x4, x5, [sp, #8 * 4]
        ldp     x6, x7, [sp, #8 * 6]
        ldp     x8, x9, [sp, #8 * 8]
        ldp     x10, x11, [sp, #8 * 10]
        ldp     x12, x13, [sp, #8 * 12]
        ldp     x14, x15, [sp, #8 * 14]
        ldp     x16, x17, [sp, #8 * 16]
        ldp     x29, x30, [sp, #8 * 18]
        ldp     x0, x1, [sp], #8 * 26
        svc     #0

.macro  from_server offset
        .org    vcpu_vectors + \offset
        stp     x0, x1, [sp, #-8 * 26]!
        mov     x0, #\offset
        b       server_exception_entry
.endm
.macro  from_user offset
        .org    vcpu_vectors + \offset
        str     x0, [x18, #USER_X0]
        mov     x0, #\offset
        b       user_exception
.endm

        .balign 0x800
        .global vcpu_vectors
vcpu_vectors:
        from_server 0x200
        from_server 0x280
        from_user 0x400
        from_user 0x480
        .org    vcpu_vectors + 0x800

/* Server mode, unmasked: spins until *x0 is not zero; interrupts may come. x1 = the block. */
        .global vcpu_spin_unmasked
vcpu_spin_unmasked:
        strb    wzr, [x1, #VB_MASKED]
1:      ldr     w2, [x0]
        cbz     w2, 1b
        mov     w2, #1
        strb    w2, [x1, #VB_MASKED]
        ret

/* ---- programs: position independent, they begin with user_code ------------------------- */
        .balign 4096
        .global user_code
user_code:
        .global u_svc
u_svc:  svc     #0x123
        svc     #0
        .global u_brk
u_brk:  brk     #7
        .global u_read
u_read: ldr     x0, [x1]
        svc     #1
        .global u_write
u_write: str    x0, [x1]
        svc     #1
        .global u_loop
u_loop: add     x0, x0, #1
        b       u_loop
        .global u_steps
u_steps: add    x0, x0, #1
        add     x0, x0, #1
        svc     #1
        .global u_fp
u_fp:   fadd    d0, d0, d1
        mov     v31.16b, v0.16b
        svc     #1

/* Each of these is the server's to judge; none may do anything. */
        .global u_forbidden
u_forbidden:
        msr     cntv_ctl_el0, x0
        msr     cntv_cval_el0, x0
        msr     cntv_tval_el0, x0
        mrs     x0, cntv_ctl_el0
        mrs     x0, cntv_cval_el0
        msr     cntp_ctl_el0, x0
        msr     cntp_cval_el0, x0
        mrs     x0, cntp_ctl_el0
        msr     daifset, #15
        msr     daif, x0
        mrs     x0, daif
        msr     spsel, #1
        mrs     x0, currentel
        msr     ttbr0_el1, x0
        msr     ttbr1_el1, x0
        msr     sctlr_el1, x0
        msr     vbar_el1, x0
        msr     tpidr_el1, x0
        mrs     x0, tpidr_el1
        msr     mair_el1, x0
        msr     cpacr_el1, x0
        mrs     x0, far_el1
        msr     mdscr_el1, x0
        msr     pmcr_el0, x0
        mrs     x0, pmccntr_el0
        tlbi    vmalle1is
        tlbi    vmalle1
        ic      ialluis
        dc      isw, x0
        dc      ivac, x1
        at      s1e1r, x1
        hvc     #0
        smc     #0
        eret
        .inst   0
        .global u_forbidden_end
u_forbidden_end:

/* All of these it may do without anybody noticing. x1 = an address that it may write. */
        .global u_allowed
u_allowed:
        mrs     x2, cntvct_el0
        mrs     x2, cntfrq_el0
        mrs     x3, ctr_el0
        mrs     x4, dczid_el0
        msr     tpidr_el0, x0
        mrs     x5, tpidr_el0
        mrs     x6, tpidrro_el0
        mrs     x7, nzcv
        msr     nzcv, x7
        mrs     x7, fpcr
        msr     fpcr, x7
        dc      cvau, x1
        dc      cvac, x1
        dc      civac, x1
        ic      ivau, x1
        dsb     ish
        isb
        dc      zva, x1
        wfe
        yield
        sevl
        svc     #1
        .global user_code_end
user_code_end:
