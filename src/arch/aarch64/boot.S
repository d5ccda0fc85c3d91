/* SPDX-License-Identifier: MIT */
/*
 * boot.S -- from the first instruction to C at the kernel's own addresses.
 *
 * In: MMU and data cache off, x0 = device tree, EL1 or EL2, loaded anywhere in memory at a
 * 2 MiB boundary. [Linux Documentation/arch/arm64/booting.rst]
 * Until the MMU is on all addresses are physical, taken relative to the pc. Memory that is
 * written here with the cache off is invalidated before (a stale dirty line could be written
 * over it) and after (a line could have been fetched meanwhile).
 */
#include "arch_asm.h"

        .section .head.text, "ax"
        .global image_start
image_start:
        b       primary_entry                   // code0
        .long   0                               // code1
        .quad   0                               // text_offset
        .quad   __image_size                    // image_size; mkimage adds the boot archive
        .quad   0xa                             // little-endian, 4 KiB pages, anywhere
        .quad   0, 0, 0
        .ascii  "ARM\x64"
        .long   0

/* Leave EL2 if we are there. x20 = the level that we came in at. Returns at EL1. */
drop_to_el1:
        mrs     x20, CurrentEL
        lsr     x20, x20, #2
        cmp     x20, #2
        b.eq    1f
        msr     spsel, #1
        ret
1:      msr     sctlr_el2, xzr                  // replaced below; E2H must go with MMU off
        isb                                     // before HCR changes what EL2 means
        // HCR_EL2: RW, EL1 is AArch64; API and APK, as EL0 could else trap to EL2 with PACGA,
        // which no control of EL1 stops. [D19.2.48] No other traps, no stage 2, E2H = 0.
        ldr     x1, =(1 << 41) | (1 << 40) | (1 << 31)
        msr     hcr_el2, x1
        isb                                     // from here on E2H = 0: CNTHCTL, CPTR as below
        ldr     x1, =0x30c50830                 // SCTLR_EL2: RES1 bits, MMU and caches off
        msr     sctlr_el2, x1
        mov     x1, #3                          // CNTHCTL_EL2: EL1 may use the physical timer
        msr     cnthctl_el2, x1                 // and counter. [D19.8.2, E2H = 0]
        msr     cntvoff_el2, xzr                // virtual time is physical time
        mrs     x1, midr_el1
        msr     vpidr_el2, x1                   // what EL1 reads as MIDR
        mrs     x1, mpidr_el1
        msr     vmpidr_el2, x1                  // and as MPIDR
        mov     x1, #0x33ff                     // CPTR_EL2: RES1, no traps of FP. [D19.2.31]
        msr     cptr_el2, x1
        msr     hstr_el2, xzr                   // no traps of AArch32 system registers
        msr     vttbr_el2, xzr
        mrs     x1, id_aa64mmfr1_el1
        ubfx    x1, x1, #40, #4                 // HCX
        cbz     x1, 4f
        msr     S3_4_C1_C2_2, xzr               // HCRX_EL2: nothing of the newer kinds
4:      mrs     x1, id_aa64mmfr0_el1
        ubfx    x1, x1, #56, #4                 // FGT: unknown after reset
        cbz     x1, 5f
        msr     S3_4_C1_C1_4, xzr               // HFGRTR_EL2, and below HFGWTR, HFGITR,
        msr     S3_4_C1_C1_5, xzr               // HDFGRTR, HDFGWTR: no fine-grained traps of
        msr     S3_4_C1_C1_6, xzr               // what ARMv8 has. [D19.2]
        msr     S3_4_C3_C1_4, xzr
        msr     S3_4_C3_C1_5, xzr
5:
        mrs     x1, id_aa64dfr0_el1
        ubfx    x1, x1, #8, #4
        cbz     x1, 2f
        cmp     x1, #15
        b.eq    2f
        mrs     x1, pmcr_el0                    // MDCR_EL2.HPMN = PMCR.N: all counters EL1's
        ubfx    x1, x1, #11, #5
        msr     mdcr_el2, x1
2:      mrs     x1, id_aa64pfr0_el1
        ubfx    x1, x1, #24, #4                 // GIC system registers?
        cbz     x1, 3f
        mrs     x1, S3_4_C12_C9_5               // ICC_SRE_EL2
        mov     x2, #9
        orr     x1, x1, x2                      // SRE, and Enable: EL1 may use them
        msr     S3_4_C12_C9_5, x1
        isb                                     // SRE before ICH registers exist
        msr     S3_4_C12_C11_0, xzr             // ICH_HCR_EL2: no virtual interrupts
3:      adr     x1, vectors_early
        msr     vbar_el2, x1
        ldr     x1, =SCTLR_OFF
        msr     sctlr_el1, x1                   // EL1 starts with MMU and caches off too
        mov     x1, #0x3c5                      // SPSR: EL1h, all masked
        msr     spsr_el2, x1
        msr     elr_el2, x30
        eret

/* Invalidate [x0, x1) in the data cache, to the point of coherency. Clobbers x2, x3. */
invalidate:
        mrs     x2, ctr_el0
        ubfx    x2, x2, #16, #4
        mov     x3, #4
        lsl     x2, x3, x2                      // smallest line, in bytes
        sub     x3, x2, #1
        bic     x0, x0, x3
1:      dc      ivac, x0
        add     x0, x0, x2
        cmp     x0, x1
        b.lo    1b
        dsb     sy                              // done before the memory is used
        ret

/* Map [x1, x2) at its place in the L3 table x0; x3 = attributes, x4 = image's base. */
map_pages:
1:      cmp     x1, x2
        b.hs    2f
        sub     x5, x1, x4
        lsr     x5, x5, #12
        orr     x6, x1, x3
        str     x6, [x0, x5, lsl #3]
        add     x1, x1, #4096
        b       1b
2:      ret

primary_entry:
        mov     x21, x0                         // device tree
        msr     daifset, #15                    // as the boot protocol says, or not
        bl      drop_to_el1
        adr_l   x0, __bss_start                 // tables and stacks are there too
        adr_l   x1, __bss_end
        bl      invalidate
        adr_l   x0, __bss_start
        adr_l   x1, __bss_end
1:      stp     xzr, xzr, [x0], #16
        cmp     x0, x1
        b.lo    1b

        // The kernel's image, page by page with its rights.
        adr_l   x4, image_start
        adr_l   x0, image_l3
        adr_l   x1, image_start
        adr_l   x2, __text_end
        ldr     x3, =PAGE_TEXT
        bl      map_pages
        adr_l   x2, __rodata_end
        ldr     x3, =PAGE_RODATA
        bl      map_pages
        adr_l   x2, __image_end
        ldr     x3, =PAGE_DATA
        bl      map_pages
        adr_l   x1, kernel_stacks               // the guards are holes
        sub     x1, x1, x4
        lsr     x1, x1, #12
        add     x1, x0, x1, lsl #3
        add     x2, x1, #(8 * KERNEL_STACK_STEP / 4096 * 8)
1:      str     xzr, [x1, #(KERNEL_STACK_LAST / 4096 * 8)]
        add     x1, x1, #(KERNEL_STACK_STEP / 4096 * 8)
        cmp     x1, x2
        b.lo    1b
        adr_l   x1, image_l2
        orr     x0, x0, #3
        str     x0, [x1]
        adr_l   x2, kernel_l1
        orr     x1, x1, #3
        str     x1, [x2, #(256 * 8)]            // KERNEL_IMAGE_VA: 256 GiB into the slot
        adr_l   x0, kernel_l0
        orr     x1, x2, #3
        str     x1, [x0, #(255 * 8)]            // the slot

        // The device tree, for C to read, in a window of its own: the 2 MiB block that it
        // starts in, and the next. C drops it when the direct map is there.
        adr_l   x1, fdt_l2
        orr     x6, x1, #3
        str     x6, [x2, #(FDT_WINDOW_INDEX * 8)]
        lsr     x5, x21, #21
        lsl     x5, x5, #21
        ldr     x3, =BLOCK_DATA
        orr     x7, x5, x3
        str     x7, [x1]
        add     x7, x7, #(1 << 21)
        str     x7, [x1, #8]

        // Identity: the 1 GiB around us, for the few instructions while the MMU goes on.
        adr_l   x0, identity_l0
        adr_l   x1, identity_l1
        orr     x2, x1, #3
        str     x2, [x0]
        lsr     x5, x4, #30
        ldr     x3, =BLOCK_TEXT
        lsl     x6, x5, #30
        orr     x6, x6, x3
        str     x6, [x1, x5, lsl #3]

        adr_l   x0, __bss_start
        adr_l   x1, __bss_end
        bl      invalidate                      // lines fetched while we wrote around them
        adr_l   x24, image_start
        mov     x22, #0                         // logical core
        ldr     x23, =primary_virtual
        b       mmu_on

/* Other cores: by PSCI with x0 = core number, or out of the spin table. */
        .global secondary_entry, secondary_spin
secondary_spin:
        mrs     x0, mpidr_el1
        ldr     x1, =0xff00ffffff
        and     x0, x0, x1
        adr_l   x1, spin_mpidr                  // cleaned to memory by boot.c
        mov     x2, #0
1:      ldr     x3, [x1, x2, lsl #3]
        cmp     x3, x0
        b.eq    2f
        add     x2, x2, #1
        cmp     x2, #8
        b.lo    1b
        b       .
2:      mov     x0, x2
secondary_entry:
        mov     x22, x0
        msr     daifset, #15
        bl      drop_to_el1
        ldr     x23, =secondary_virtual

/* x22 = core, x23 = where to go on, at its virtual address. */
mmu_on:
        ic      iallu                           // whatever was fetched with the cache off
        tlbi    vmalle1                         // TLBs hold anything after reset
        dsb     nsh                             // both done, for this core
        ldr     x0, =MAIR_VALUE
        msr     mair_el1, x0
        ldr     x0, =TCR_VALUE
        mrs     x1, id_aa64mmfr0_el1
        ubfx    x2, x1, #0, #4                  // PARange, at most 48 bits for our tables
        cmp     x2, #5
        mov     x3, #5
        csel    x2, x2, x3, lo
        bfi     x0, x2, #32, #3                 // TCR_EL1.IPS
        ubfx    x2, x1, #4, #4                  // ASIDBits: 2 = 16 bits
        cmp     x2, #2
        cset    x2, eq
        bfi     x0, x2, #36, #1                 // TCR_EL1.AS
        msr     tcr_el1, x0
        adr_l   x0, identity_l0
        msr     ttbr0_el1, x0
        adr_l   x0, kernel_l0
        msr     ttbr1_el1, x0
        mov     x0, #1 << 20                    // FPEN: FP at EL0 traps until a thread uses it
        msr     cpacr_el1, x0
        mov     x0, #(1 << 12)                  // MDSCR_EL1.TDCC: the debugger's channel is
        msr     mdscr_el1, x0                   // not EL0's; no debug events. [D19.3]
        msr     osdlr_el1, xzr                  // the OS locks, set by a reset, would hold back
        msr     oslar_el1, xzr                  // single steps. [D19.3]
        mov     x0, #2                          // CNTKCTL_EL1.EL0VCTEN: EL0 may read CNTVCT,
        msr     cntkctl_el1, x0                 // and touch no timer. [D19.8.17]
        mrs     x0, id_aa64dfr0_el1
        ubfx    x0, x0, #8, #4                  // is there a PMU?
        cbz     x0, 1f
        cmp     x0, #15
        b.eq    1f
        msr     pmuserenr_el0, xzr              // its counters are not EL0's
1:      mrs     x0, id_aa64pfr0_el1
        ubfx    x0, x0, #44, #4                 // activity monitors?
        cbz     x0, 2f
        msr     S3_3_C13_C2_3, xzr              // AMUSERENR_EL0: not EL0's either
2:      isb                                     // all of the above before translation starts
        ldr     x0, =SCTLR_ON
        msr     sctlr_el1, x0
        isb                                     // fetch by the new translation from here on
        br      x23

/* At virtual addresses now: a stack, our vectors, and C. TTBR0 is still the identity. */
primary_virtual:
        bl      stack_and_vectors
        mov     x0, x21
        mov     x1, x24
        mov     x2, x20
        b       boot_main
secondary_virtual:
        bl      stack_and_vectors
        mov     x0, x22
        b       boot_secondary

stack_and_vectors:
        adr_l   x0, vectors_native
        msr     vbar_el1, x0
        msr     tpidr_el1, xzr
        adr_l   x0, kernel_stacks
        add     x1, x22, #1
        mov     x2, #KERNEL_STACK_STEP
        madd    x0, x1, x2, x0
        mov     sp, x0
        mov     x29, xzr                        // backtraces end here
        ret

        .balign 0x800
vectors_early:                                  // an exception at EL2 before EL1 runs: stop
        .rept   16
        .balign 0x80
        wfe
        b       .-4
        .endr

        .bss
        .balign 4096
        .global kernel_l0, kernel_l1, empty_l0
kernel_l0:      .skip 4096
kernel_l1:      .skip 4096
empty_l0:       .skip 4096
image_l2:       .skip 4096
image_l3:       .skip 4096
fdt_l2:         .skip 4096
identity_l0:    .skip 4096
identity_l1:    .skip 4096
        .global kernel_stacks
kernel_stacks:  .skip KERNEL_STACK_STEP * 8
