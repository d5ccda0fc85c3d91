/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ouzel_sysreg.h -- what read_sysreg() and write_sysreg() are on Ouzel.
 *
 * Every register that arm64 code names must be listed here, as one of
 *	direct	  usable at EL0 as it is, or an identification register, whose MRS the kernel
 *		  traps and answers
 *	block	  in the vCPU block
 *	constant  reads as something fixed; a write changes nothing
 * Code that is not thrown away and names another does not compile: somebody has to decide.
 *
 * A listed name expands to "0, what to do", so that __ouzel_second() finds the latter there,
 * and its default otherwise.
 */
#ifndef __ASM_OUZEL_SYSREG_H
#define __ASM_OUZEL_SYSREG_H

#include <linux/stringify.h>
#include <asm/ouzel.h>

#define __ouzel_mrs(r) ({ u64 __val; asm volatile("mrs %0, " #r : "=r" (__val)); __val; })
#define __ouzel_msr(v, r) asm volatile("msr " #r ", %x0" : : "rZ" ((u64)(v)))
#define __ouzel_drop(v) do { if (0) (void)(v); } while (0)
#define __ouzel_third(a, b, ...) b
#define __ouzel_second(...) __ouzel_third(__VA_ARGS__)
u64 __ouzel_read_unlisted(void) __compiletime_error("decide what this register is on Ouzel");
void __ouzel_write_unlisted(u64 v) __compiletime_error("decide what this register is on Ouzel");

#define __ouzel_load(offset) ({							\
	u64 __val;								\
	asm volatile("ldr %0, [x18, %1]" : "=r" (__val) : "i" (offset));	\
	__val;									\
})

/* direct */
#define __ouzel_read_tpidr_el0		0, __ouzel_mrs(tpidr_el0)
#define __ouzel_set_tpidr_el0(v)	__ouzel_msr(v, tpidr_el0)
#define __ouzel_write_tpidr_el0		0, __ouzel_set_tpidr_el0
#define __ouzel_read_cntfrq_el0		0, __ouzel_mrs(cntfrq_el0)
#define __ouzel_read_cntvct_el0		0, __ouzel_mrs(cntvct_el0)
#define __ouzel_read_fpcr		0, __ouzel_mrs(fpcr)
#define __ouzel_read_fpsr		0, __ouzel_mrs(fpsr)
#define __ouzel_read_id_aa64mmfr0_el1	0, __ouzel_mrs(id_aa64mmfr0_el1)
#define __ouzel_read_id_aa64mmfr1_el1	0, __ouzel_mrs(id_aa64mmfr1_el1)

/* block */
#define __ouzel_read_esr_el1		0, __ouzel_load(VB_ESR)
#define __ouzel_read_far_el1		0, __ouzel_load(VB_FAR)
#define __ouzel_read_elr_el1		0, __ouzel_load(VB_ELR)
#define __ouzel_read_daif		0, (ouzel_irq_flags() ? PSR_I_BIT | PSR_F_BIT : 0)
#define __ouzel_write_daif		0, __ouzel_set_daif
#define __ouzel_set_daif(v) do {						\
	if ((v) & PSR_I_BIT)							\
		ouzel_irq_mask();						\
	else									\
		ouzel_irq_unmask();						\
} while (0)

/*
 * Constant. MMU, caches and traps are the kernel's; features with a control bit here are
 * hidden in the identification registers. Single-step is by SPSR.SS alone.
 */
#define __ouzel_read_CurrentEL		0, CurrentEL_EL1
#define __ouzel_read_sctlr_el1		0, 0UL
#define __ouzel_write_sctlr_el1	0, __ouzel_drop
#define __ouzel_read_tcr_el1		0, 0UL
#define __ouzel_write_tcr_el1	0, __ouzel_drop
#define __ouzel_read_cpacr_el1		0, 0UL
#define __ouzel_write_cpacr_el1	0, __ouzel_drop
#define __ouzel_read_CPACR_EL1		0, 0UL
#define __ouzel_write_CPACR_EL1	0, __ouzel_drop
#define __ouzel_read_SCTLR_EL1		0, 0UL
#define __ouzel_write_SCTLR_EL1	0, __ouzel_drop
#define __ouzel_read_REG_TCR2_EL1	0, 0UL
#define __ouzel_write_REG_TCR2_EL1	0, __ouzel_drop
#define __ouzel_read_mdscr_el1		0, 0UL
#define __ouzel_write_mdscr_el1	0, __ouzel_drop
#define __ouzel_write_osdlr_el1	0, __ouzel_drop
#define __ouzel_write_oslar_el1	0, __ouzel_drop
#define __ouzel_read_cntkctl_el1	0, 0UL
#define __ouzel_write_cntkctl_el1	0, __ouzel_drop
#define __ouzel_write_tpidrro_el0	0, __ouzel_drop	/* compat programs: none here */
#define __ouzel_write_contextidr_el1	0, __ouzel_drop
#define __ouzel_read_tpidr_el1		0, 0UL
#define __ouzel_write_tpidr_el2	0, __ouzel_drop
#define __ouzel_read_tpidr_el2		0, 0UL
#define __ouzel_read_hcr_el2		0, 0UL
#define __ouzel_write_hcr_el2	0, __ouzel_drop
#define __ouzel_write_vbar_el1	0, __ouzel_drop
/*
 * Not readable at EL0: two levels, L1 split, coherency at L2, as every Armv8-A core with at
 * least that has it. Zero would claim that data caches need no cleaning.
 */
#define __ouzel_read_clidr_el1		0, (3UL | 4UL << 3 | 1UL << 21 | 2UL << 24 | 1UL << 27)

#define read_sysreg(r)	((u64)(__ouzel_second(__ouzel_read_##r, __ouzel_read_unlisted(), )))
#define write_sysreg(v, r) __ouzel_second(__ouzel_write_##r, __ouzel_write_unlisted, )(v)

/* By number: op0 19:18, op1 17:15, CRn 14:11, CRm 10:7, op2 7:5, as sys_reg() has them. */
#define __ouzel_id(r)								\
	(sys_reg_Op0(r) == 3 && sys_reg_CRn(r) == 0 &&				\
	 (sys_reg_Op1(r) == 0 || sys_reg_Op1(r) == 3))
#define __ouzel_direct(r)							\
	(__ouzel_id(r) || (sys_reg_Op0(r) == 3 && sys_reg_Op1(r) == 3 &&	\
			   (sys_reg_CRn(r) == 2 || sys_reg_CRn(r) == 14)))

#define read_sysreg_s(r) ({							\
	u64 __val = 0;								\
	if (__ouzel_direct(r))							\
		asm volatile(__mrs_s("%0", r) : "=r" (__val));			\
	__val;									\
})
#define write_sysreg_s(v, r)	__ouzel_drop(v)

#endif
