/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ouzel.h -- Linux as an unprivileged server on the Ouzel microkernel: the vCPU block, and
 * calls to the kernel. The contract is in <ouzel/vcpu.h> and <ouzel/abi.h>, which are the
 * kernel's own headers.
 *
 * x18 always points to this CPU's vCPU block (-ffixed-x18), so what natively is a system
 * register is one load or store here, which preemption can't tear.
 */
#ifndef __ASM_OUZEL_H
#define __ASM_OUZEL_H

#include <ouzel/abi.h>
#include <ouzel/vcpu.h>

/* The block's 128 bytes that are the server's own. */
#define VB_CURRENT	(VB_SERVER + 0)		/* natively SP_EL0 */
#define VB_PERCPU	(VB_SERVER + 8)		/* natively TPIDR_EL1 */
#define VB_STASH	(VB_SERVER + 16)	/* x0 of kernel_ventry's overflow check */

#ifdef __ASSEMBLY__

#define SYSCALL(nr, name, kind, nargs, what) .equ SYS_##name, nr;
#include <ouzel/syscalls.def>
#undef SYSCALL

#else

#include <linux/stringify.h>

static __always_inline struct vcpu_block *ouzel_block(void)
{
	struct vcpu_block *block;

	/* volatile: after a reschedule it may be another CPU's. */
	asm volatile("mov %0, x18" : "=r" (block));
	return block;
}

struct ouzel_result {
	u64 error, v1, v2;
};

/* A call keeps x19..x30 and sp; everything else is lost, as in a function call. */
static __always_inline struct ouzel_result
__ouzel_call(const u32 nr, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4)
{
	register u64 x0 asm("x0") = a0;
	register u64 x1 asm("x1") = a1;
	register u64 x2 asm("x2") = a2;
	register u64 x3 asm("x3") = a3;
	register u64 x4 asm("x4") = a4;

	asm volatile("svc	%[nr]"
		     : "+r" (x0), "+r" (x1), "+r" (x2), "+r" (x3), "+r" (x4)
		     : [nr] "i" (nr)
		     : "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
		       "x16", "x17", "cc", "memory");
	return (struct ouzel_result){ x0, x1, x2 };
}

static __always_inline enum ouzel_error ouzel_error(struct ouzel_result r)
{
	return r.error;
}

#define __OUZEL_ARGS(nr, a0, a1, a2, a3, a4, ...) \
	__ouzel_call(nr, (u64)(a0), (u64)(a1), (u64)(a2), (u64)(a3), (u64)(a4))
/* OUZEL_RESULT(space_check, slot) gives the results too, OUZEL(...) the error alone. */
#define OUZEL_RESULT(name, ...) __OUZEL_ARGS(SYS_##name, ##__VA_ARGS__, 0, 0, 0, 0, 0)
#define OUZEL(name, ...) ouzel_error(OUZEL_RESULT(name, ##__VA_ARGS__))

const char *ouzel_error_text(enum ouzel_error error);

/*
 * The virtual DAIF.I. Unmasking must look whether something came in meanwhile: between the
 * store and the load the kernel delivers by itself, before the store it only set `pending`.
 * vcpu_poll changes nothing but x0, so no registers are lost on the way that is never taken.
 */
#define __OUZEL_POLL(tmp)					\
	"	mov	" tmp ", x0\n"				\
	"	svc	%[poll]\n"				\
	"	mov	x0, " tmp "\n"

static __always_inline void ouzel_irq_mask(void)
{
	asm volatile("strb	%w0, [x18, %1]" : : "r" (1), "i" (VB_MASKED) : "memory");
}

static __always_inline void ouzel_irq_unmask(void)
{
	unsigned long tmp;

	asm volatile(
	"	strb	wzr, [x18, %[masked]]\n"
	"	ldrb	%w[tmp], [x18, %[pending]]\n"
	"	cbz	%w[tmp], 1f\n"
	__OUZEL_POLL("%[tmp]")
	"1:"
	: [tmp] "=&r" (tmp)
	: [masked] "i" (VB_MASKED), [pending] "i" (VB_PENDING), [poll] "i" (SYS_vcpu_poll)
	: "memory");
}

/* flags: what ouzel_irq_flags gave, nonzero = masked */
static __always_inline void ouzel_irq_restore(unsigned long flags)
{
	unsigned long tmp;

	asm volatile(
	"	strb	%w[flags], [x18, %[masked]]\n"
	"	ldrb	%w[tmp], [x18, %[pending]]\n"
	"	cbz	%w[tmp], 1f\n"
	"	cbnz	%w[flags], 1f\n"
	__OUZEL_POLL("%[tmp]")
	"1:"
	: [tmp] "=&r" (tmp)
	: [flags] "r" (flags), [masked] "i" (VB_MASKED), [pending] "i" (VB_PENDING),
	  [poll] "i" (SYS_vcpu_poll)
	: "memory");
}

static __always_inline unsigned long ouzel_irq_flags(void)
{
	unsigned long flags;

	asm volatile("ldrb	%w0, [x18, %1]" : "=r" (flags) : "i" (VB_MASKED) : "memory");
	return flags;
}

/*
 * LDRB or STRB of VB_MASKED, by x18: what natively is an MRS or MSR of DAIF. A kprobe can't step
 * it elsewhere with interrupts masked, since that is what it reads or ends.
 */
static __always_inline bool ouzel_insn_is_daif(u32 insn)
{
	return (insn & ~((1U << 22) | 31)) == (0x39000000 | VB_MASKED << 10 | 18 << 5);
}

/* ---- start and end ---- */
struct vcpu_block *ouzel_early_init(phys_addr_t fdt, phys_addr_t blocks, phys_addr_t image);

/* ---- shadow sync: mmu.c ---- */
struct mm_struct;
struct pt_regs;
void ouzel_sync(struct mm_struct *mm, u32 space, unsigned long addr, unsigned long pages);
void ouzel_sync_more(struct mm_struct *mm, u32 space, unsigned long addr, unsigned long pages);
void arch_sync_kernel_mappings(unsigned long start, unsigned long end);
void ouzel_flush(struct mm_struct *mm, bool unlinked);
void ouzel_icache_inval_all(void);
int ouzel_space_new(struct mm_struct *mm);
void ouzel_space_free(struct mm_struct *mm);
bool ouzel_step_done(struct pt_regs *regs);
#define OUZEL_TIF_STEP	(IS_ENABLED(CONFIG_OUZEL) ? _TIF_SINGLESTEP : 0)

#endif /* __ASSEMBLY__ */
#endif
