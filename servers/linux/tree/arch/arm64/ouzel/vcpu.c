// SPDX-License-Identifier: GPL-2.0-only
/*
 * vcpu.c -- CPUs: each Linux CPU is a vCPU on a core of its own. Natively PSCI.
 */
#include <linux/cpu.h>
#include <linux/init.h>
#include <linux/sched/task_stack.h>
#include <linux/smp.h>

#include <asm/cpu_ops.h>
#include <asm/debug-monitors.h>
#include <asm/exception.h>
#include <asm/fixmap.h>
#include <asm/ouzel.h>
#include <asm/ptrace.h>
#include <asm/smp_plat.h>
#include <asm/traps.h>

extern char vectors[];
void ouzel_secondary_entry(void);

static const char *const error_texts[] = {
#define TEXT(nr, name, text) [nr] = text,
	OUZEL_ERRORS(TEXT)
#undef TEXT
};

const char *ouzel_error_text(enum ouzel_error error)
{
	return error < ARRAY_SIZE(error_texts) ? error_texts[error] : "unknown error";
}

static unsigned long block_va(unsigned int cpu)
{
	return __fix_to_virt(FIX_OUZEL_BLOCK0 - cpu);
}

static int vcpu_init(unsigned int cpu)
{
	return 0;
}

/* The thread is there, made by the pager; it becomes a vCPU only once. */
static int vcpu_prepare(unsigned int cpu)
{
	enum ouzel_error error = OUZEL(vcpu_enable, SERVER_SLOT_VCPU(cpu), block_va(cpu), vectors);

	if (error)
		pr_err("CPU%u: can't be a vCPU: %s\n", cpu, ouzel_error_text(error));
	return error ? -ENODEV : 0;
}

static int vcpu_boot(unsigned int cpu)
{
	struct vcpu_block *block = (struct vcpu_block *)block_va(cpu);
	struct task_struct *idle = READ_ONCE(secondary_data.task);
	enum ouzel_error error;

	block->masked = 1;
	block->deadline = U64_MAX;
	error = OUZEL(thread_start, SERVER_SLOT_VCPU(cpu), ouzel_secondary_entry,
		      task_pt_regs(idle), idle, 0);
	if (error)
		pr_err("CPU%u: can't start: %s\n", cpu, ouzel_error_text(error));
	return error ? -EIO : 0;
}

#ifdef CONFIG_HOTPLUG_CPU
static bool vcpu_can_disable(unsigned int cpu)
{
	return cpu != 0;	/* the pager reports on the vCPU that it started */
}

/* The last CPU's flush looks at no ring but its own: what we have queued must be in force. */
static int vcpu_disable(unsigned int cpu)
{
	if (!cpu)
		return -EPERM;
	OUZEL(vcpu_sync);
	return 0;
}

/* On the CPU itself: nothing wakes it but being stopped. */
static void vcpu_die(unsigned int cpu)
{
	ouzel_block()->deadline = U64_MAX;
	for (;;)
		OUZEL(vcpu_wait);
}

static int vcpu_kill(unsigned int cpu)
{
	return OUZEL(thread_stop, SERVER_SLOT_VCPU(cpu)) ? -EIO : 0;
}
#endif

const struct cpu_operations ouzel_cpu_ops = {
	.name		= "ouzel",
	.cpu_init	= vcpu_init,
	.cpu_prepare	= vcpu_prepare,
	.cpu_boot	= vcpu_boot,
#ifdef CONFIG_HOTPLUG_CPU
	.cpu_can_disable = vcpu_can_disable,
	.cpu_disable	= vcpu_disable,
	.cpu_die	= vcpu_die,
	.cpu_kill	= vcpu_kill,
#endif
};

/*
 * On the way to a program that is being stepped, all other work done: a uprobe's step ends there.
 * With MDSCR_EL1.SS set and SPSR.SS clear hardware takes the step exception before the next
 * instruction: that is how a step over a system call ends. The kernel knows no state but "step
 * one" (SS set), so the trap is made here; true if it was.
 */
bool ouzel_step_done(struct pt_regs *regs)
{
	if (!test_thread_flag(TIF_SINGLESTEP) || regs->pstate & DBG_SPSR_SS)
		return false;
	local_irq_enable();
	do_el0_softstep(ESR_ELx_EC_SOFTSTP_LOW << ESR_ELx_EC_SHIFT, regs);
	local_irq_disable();
	return true;
}
