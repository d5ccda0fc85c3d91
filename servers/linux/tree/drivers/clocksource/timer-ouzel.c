// SPDX-License-Identifier: GPL-2.0-only
/*
 * timer-ouzel.c -- time on the Ouzel microkernel. The counter is the architected one, read
 * directly, by the vDSO too; the deadline is a word in the vCPU block that the kernel reads.
 *
 * Stands in for arm_arch_timer.c, whose interface others use.
 */
#include <linux/clockchips.h>
#include <linux/clocksource.h>
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/of_irq.h>
#include <linux/percpu.h>
#include <linux/sched_clock.h>

#include <asm/arch_timer.h>
#include <asm/ouzel.h>
#include <clocksource/arm_arch_timer.h>

#define VIRTUAL	2	/* which of the node's interrupts: the virtual timer's */

static DEFINE_PER_CPU(struct clock_event_device, event);
static int irq;
static u32 rate;

u32 arch_timer_get_rate(void)
{
	return rate;
}

static u64 notrace counter(void)
{
	return __arch_counter_get_cntvct();
}

u64 (*arch_timer_read_counter)(void) __ro_after_init = counter;
EXPORT_SYMBOL_GPL(arch_timer_read_counter);

bool arch_timer_evtstrm_available(void)
{
	return false;	/* it is switched on by a privileged register */
}

static u64 clocksource_read(struct clocksource *cs)
{
	return counter();
}

static struct clocksource clocksource = {
	.name		= "arch_sys_counter",
	.id		= CSID_ARM_ARCH_COUNTER,
	.rating		= 400,
	.read		= clocksource_read,
	.mask		= CLOCKSOURCE_MASK(56),
	.flags		= CLOCK_SOURCE_IS_CONTINUOUS,
	.vdso_clock_mode = VDSO_CLOCKMODE_ARCHTIMER,
};

/*
 * The kernel looks at the deadline when `armed` has passed, and finds a later one then. Only
 * an earlier one must be told.
 */
static int set_next(unsigned long delta, struct clock_event_device *e)
{
	struct vcpu_block *block = ouzel_block();
	u64 deadline = counter() + delta;

	WRITE_ONCE(block->deadline, deadline);
	if (deadline < READ_ONCE(block->armed))
		OUZEL(vcpu_timer);
	return 0;
}

static int shutdown(struct clock_event_device *e)
{
	WRITE_ONCE(ouzel_block()->deadline, U64_MAX);
	return 0;
}

static irqreturn_t fired(int irq, void *id)
{
	struct clock_event_device *e = this_cpu_ptr(&event);

	e->event_handler(e);
	return IRQ_HANDLED;
}

static int starting(unsigned int cpu)
{
	struct clock_event_device *e = this_cpu_ptr(&event);

	e->name = "ouzel";
	e->features = CLOCK_EVT_FEAT_ONESHOT;
	e->rating = 450;
	e->cpumask = cpumask_of(cpu);
	e->irq = irq;
	e->set_next_event = set_next;
	e->set_state_shutdown = shutdown;
	e->set_state_oneshot_stopped = shutdown;
	shutdown(e);
	clockevents_config_and_register(e, rate, 0xf, LONG_MAX);
	enable_percpu_irq(irq, 0);
	return 0;
}

static int dying(unsigned int cpu)
{
	disable_percpu_irq(irq);
	shutdown(NULL);
	return 0;
}

static int __init timer_ouzel_init(struct device_node *node)
{
	int error;

	rate = arch_timer_get_cntfrq();
	irq = irq_of_parse_and_map(node, VIRTUAL);
	if (!rate || !irq)
		return -EINVAL;
	error = request_percpu_irq(irq, fired, "timer", &event);
	if (error)
		return error;
	pr_info("timer-ouzel: %u.%02u MHz\n", rate / 1000000, rate / 10000 % 100);
	clocksource_register_hz(&clocksource, rate);
	sched_clock_register(counter, 56, rate);
	return cpuhp_setup_state(CPUHP_AP_ARM_ARCH_TIMER_STARTING,
				 "clockevents/ouzel:starting", starting, dying);
}
TIMER_OF_DECLARE(ouzel, "ouzel,timer", timer_ouzel_init);
