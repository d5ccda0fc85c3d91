// SPDX-License-Identifier: GPL-2.0-only
/*
 * irq-ouzel.c -- interrupts of a server on the Ouzel microkernel.
 *
 * Device lines are capabilities that the pager gave us; the node's ouzel,lines lists their
 * numbers, in the order of the capability slots. The specifiers in the device tree are the
 * GIC's, for which we stand. What is pending is in the vCPU block, the EOI is written there
 * and takes effect when the kernel is entered for other reasons; no line is ever touched.
 *
 * hwirq: 0-15 inter-processor, 16-31 this CPU's own (27 = the timer), 32... device lines.
 */
#include <linux/cpu.h>
#include <linux/init.h>
#include <linux/irq.h>
#include <linux/irqchip.h>
#include <linux/irqdomain.h>
#include <linux/of.h>
#include <linux/smp.h>

#include <asm/exception.h>
#include <asm/ouzel.h>
#include <asm/smp_plat.h>

#define LINES		64
#define IPIS		16
#define TIMER		27
#define FIRST_LINE	32

static struct irq_domain *domain;
static u32 lines[LINES];
static unsigned int n_lines;

static int line_index(irq_hw_number_t hwirq)
{
	unsigned int i;

	for (i = 0; i < n_lines; i++)
		if (lines[i] == hwirq)
			return i;
	return -1;
}

/* chip_data of a device line is its index. */
static unsigned int index_of(struct irq_data *d)
{
	return (unsigned long)irq_data_get_irq_chip_data(d);
}

/* ---- device lines ---- */

static void line_mask(struct irq_data *d)
{
	OUZEL(irq_mask, SERVER_SLOT_IRQ(index_of(d)), 1);
}

static void line_unmask(struct irq_data *d)
{
	OUZEL(irq_mask, SERVER_SLOT_IRQ(index_of(d)), 0);
}

/* Interrupts are masked: nobody reads the block between the two stores. */
static void line_eoi(struct irq_data *d)
{
	struct vcpu_block *block = ouzel_block();
	unsigned int index = index_of(d);

	if (cpumask_test_cpu(smp_processor_id(), irq_data_get_effective_affinity_mask(d))) {
		block->eoi |= BIT_ULL(index);
		barrier();
		WRITE_ONCE(block->work, 1);
	} else {	/* it moved while we handled it */
		OUZEL(irq_ack, SERVER_SLOT_IRQ(index));
	}
}

static int line_set_affinity(struct irq_data *d, const struct cpumask *mask, bool force)
{
	unsigned int slot = SERVER_SLOT_IRQ(index_of(d));
	unsigned int cpu = force ? cpumask_first(mask) : cpumask_any_and(mask, cpu_online_mask);
	enum ouzel_error error;

	if (cpu >= nr_cpu_ids)
		return -EINVAL;
	error = OUZEL(irq_bind, slot, SERVER_SLOT_VCPU(cpu), index_of(d), 0);
	if (error) {
		pr_err("irq-ouzel: line %lu: %s\n", d->hwirq, ouzel_error_text(error));
		return -EIO;
	}
	/* An EOI that the old CPU wrote, and the kernel has not seen, is lost with the binding. */
	OUZEL(irq_ack, slot);
	irq_data_update_effective_affinity(d, cpumask_of(cpu));
	return IRQ_SET_MASK_OK_DONE;
}

/* Level or edge: the kernel knows, by the same device tree. */
static int line_set_type(struct irq_data *d, unsigned int type)
{
	return 0;
}

static struct irq_chip line_chip = {
	.name			= "ouzel",
	.irq_mask		= line_mask,
	.irq_unmask		= line_unmask,
	.irq_eoi		= line_eoi,
	.irq_set_affinity	= line_set_affinity,
	.irq_set_type		= line_set_type,
	.flags			= IRQCHIP_SET_TYPE_MASKED | IRQCHIP_SKIP_SET_WAKE,
};

/* ---- this CPU's own ---- */

static void own_nop(struct irq_data *d)
{
}

static void own_send_ipis(struct irq_data *d, const struct cpumask *mask)
{
	unsigned int cpu;

	smp_mb();	/* what the others are to see is written before they are told */
	for_each_cpu(cpu, mask)
		OUZEL(vcpu_signal, SERVER_SLOT_VCPU(cpu), BIT_ULL(d->hwirq));
}

static struct irq_chip own_chip = {
	.name			= "ouzel-cpu",
	.irq_mask		= own_nop,
	.irq_unmask		= own_nop,
	.irq_eoi		= own_nop,
	.ipi_send_mask		= own_send_ipis,
	.flags			= IRQCHIP_SKIP_SET_WAKE,
};

/* ---- entry ---- */

static void __exception_irq_entry handle(struct pt_regs *regs)
{
	struct vcpu_block *block = ouzel_block();
	u64 ipis, irqs;

	if (READ_ONCE(block->timer)) {
		WRITE_ONCE(block->timer, 0);
		generic_handle_domain_irq(domain, TIMER);
	}
	for (ipis = READ_ONCE(block->ipis) ? xchg(&block->ipis, 0) : 0; ipis; ipis &= ipis - 1)
		generic_handle_domain_irq(domain, __ffs(ipis));
	for (irqs = READ_ONCE(block->irqs) ? xchg(&block->irqs, 0) : 0; irqs; irqs &= irqs - 1)
		generic_handle_domain_irq(domain, lines[__ffs(irqs)]);
}

/* ---- domain ---- */

static int translate(struct irq_domain *d, struct irq_fwspec *fwspec, unsigned long *hwirq,
		     unsigned int *type)
{
	if (fwspec->param_count == 1 && fwspec->param[0] < IPIS) {
		*hwirq = fwspec->param[0];
		*type = IRQ_TYPE_EDGE_RISING;
		return 0;
	}
	if (fwspec->param_count < 3 || fwspec->param[0] > 1)
		return -EINVAL;
	*hwirq = fwspec->param[1] + (fwspec->param[0] ? 16 : FIRST_LINE);
	*type = fwspec->param[2] & IRQ_TYPE_SENSE_MASK;
	return 0;
}

static int alloc(struct irq_domain *d, unsigned int virq, unsigned int n, void *arg)
{
	irq_hw_number_t hwirq;
	unsigned int type, i;
	int error = translate(d, arg, &hwirq, &type);

	if (error)
		return error;
	for (i = 0; i < n; i++, virq++, hwirq++) {
		int index = line_index(hwirq);

		if (hwirq < FIRST_LINE) {
			irq_set_percpu_devid(virq);
			irq_domain_set_info(d, virq, hwirq, &own_chip, NULL,
					    handle_percpu_devid_irq, NULL, NULL);
		} else if (index >= 0) {
			irq_domain_set_info(d, virq, hwirq, &line_chip, (void *)(long)index,
					    handle_fasteoi_irq, NULL, NULL);
			irq_set_probe(virq);
			irqd_set_single_target(irq_get_irq_data(virq));
			/* When it moves, an edge may come to the new CPU before the old is done. */
			irqd_set_resend_when_in_progress(irq_get_irq_data(virq));
		} else {
			pr_err("irq-ouzel: line %lu was not granted to us\n", hwirq);
			return -ENOENT;
		}
	}
	return 0;
}

static void release(struct irq_domain *d, unsigned int virq, unsigned int n)
{
	while (n--)
		irq_domain_reset_irq_data(irq_domain_get_irq_data(d, virq++));
}

static const struct irq_domain_ops domain_ops = {
	.translate	= translate,
	.alloc		= alloc,
	.free		= release,
};

static int __init irq_ouzel_init(struct device_node *node, struct device_node *parent)
{
	struct irq_fwspec ipis = { .param_count = 1 };
	int n = of_property_count_u32_elems(node, "ouzel,lines");
	int base;

	if (n > 0)
		of_property_read_u32_array(node, "ouzel,lines", lines, n_lines = min(n, LINES));
	domain = irq_domain_add_linear(node, 1024, &domain_ops, NULL);
	if (!domain)
		panic("irq-ouzel: no memory");
	set_handle_irq(handle);
	ipis.fwnode = domain->fwnode;
	base = irq_domain_alloc_irqs(domain, 8, NUMA_NO_NODE, &ipis);
	if (WARN_ON(base <= 0))
		return -ENOMEM;
	set_smp_ipi_range(base, 8);
	pr_info("irq-ouzel: %u lines\n", n_lines);
	return 0;
}
IRQCHIP_DECLARE(ouzel, "ouzel,irqchip", irq_ouzel_init);
