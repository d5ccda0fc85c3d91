// SPDX-License-Identifier: MIT
/*
 * irq.c -- interrupts as messages. A line belongs to one capability's object. The kernel
 * acknowledges and drops the priority; the line stays active, so it can't come again, until
 * the owner's irq_ack (or EOI in a vCPU block) deactivates it.
 */
#include "sys.h"

#define MAX_LINES 1020

static struct irq *lines[MAX_LINES];

static __attribute__((noinline)) void irq_forward(struct irq *irq)
{
        struct thread *vcpu = READ_ONCE(irq->vcpu); /* another core may take it away */
        struct notification *notification = READ_ONCE(irq->notification);

        if (irq->masked)
                irq->held = true;
        else if (vcpu)
                vcpu_signal_irq(vcpu, irq->bit);
        else if (notification)
                notification_signal(notification, 1ul << irq->bit);
}

/* Take all pending interrupts of this core. Who runs then is schedule()'s to say. */
void irq_handle(void)
{
        struct cpu *cpu = this_cpu();
        unsigned ack, line;
        struct irq *irq;

        while ((line = IRQ_NUMBER(ack = irqchip_ack())) < MAX_LINES) {
                COUNT(irqs);
                TRACE(irq, line, 0, 0);
                irqchip_drop(ack);
                if (line == boot.timer_irq) {
                        timer_set(UINT64_MAX); /* level: off until schedule() programs it */
                        COUNT(isb); /* timer_set's */
                        cpu->timer_programmed = UINT64_MAX;
                        cpu->resched = 1;
                        irqchip_deactivate(line);
                        timers_run(cpu);
                } else if (line < 32) {
                        irqchip_deactivate(ack);
                        cross_poll();
                        inbox_run();
                        cpu->resched = 1;
                } else if ((irq = READ_ONCE(lines[line]))) {
                        irq_forward(irq);
                } else {
                        irqchip_disable(line); /* nobody owns it any more */
                        irqchip_deactivate(line);
                }
        }
}

void irq_drop(struct irq *irq)
{
        lines[irq->line] = NULL; /* first: a core that takes it now turns it off, too */
        irqchip_disable(irq->line);
        irqchip_deactivate(irq->line);
        if (irq->vcpu)
                irq->vcpu->irqs[irq->bit] = NULL;
}

static struct irq *irq_at(uint64_t slot, enum ouzel_error *error)
{
        struct cap *cap = cap_find(current()->task, slot, CAP_IRQ, RIGHT_MANAGE, error);

        return cap ? CONTAINER(cap->object, struct irq, object) : NULL;
}

struct result SYS3(irq_create, slot, line, flags)
{
        struct task *self = current()->task;
        enum ouzel_error error = E_OK;
        struct irq *irq = NULL;
        struct cap *cap;

        if (!cap_find(self, SLOT_CONTROL, CAP_CONTROL, CONTROL_IRQ, &error))
                return ERROR(error);
        if (line >= MAX_LINES || !irqchip_valid(line))
                return ERROR(E_RANGE);
        if (flags & ~(uint64_t)IRQ_EDGE)
                return ERROR(E_INVALID);
        big_lock();
        error = lines[line] ? E_BUSY : cap_reserve(self, slot, &cap);
        if (!error && !(irq = kmem_alloc(self)))
                error = E_QUOTA;
        if (!error) {
                object_init(&irq->object, CAP_IRQ, self);
                irq->line = line;
                irq->edge = flags & IRQ_EDGE;
                cap_install(cap, &irq->object, CAP_IRQ, RIGHT_ALL, 0);
                lines[line] = irq;
        }
        big_unlock();
        return ERROR(error);
}

struct result SYS4(irq_bind, slot, target, bit, flags)
{
        struct task *self = current()->task;
        enum ouzel_error error = E_OK;
        struct thread *vcpu = NULL;
        struct notification *n = NULL;
        struct irq *irq;
        struct cap *cap;

        if (bit >= 64 || flags)
                return ERROR(E_INVALID);
        big_lock();
        irq = irq_at(slot, &error);
        if (irq) {
                cap = cap_find(self, target, CAP_NOTIFICATION, RIGHT_SEND, &error);
                if (cap) {
                        n = CONTAINER(cap->object, struct notification, object);
                } else {
                        error = E_OK;
                        cap = cap_find(self, target, CAP_THREAD, RIGHT_MANAGE, &error);
                        if (cap)
                                vcpu = CONTAINER(cap->object, struct thread, object);
                        if (cap && !vcpu->vcpu)
                                error = E_STATE;
                        else if (cap && vcpu->irqs[bit] && vcpu->irqs[bit] != irq)
                                error = E_BUSY;
                }
        }
        if (!error) {
                struct thread *old = irq->vcpu;
                uint64_t waits = 0;

                irqchip_disable(irq->line);
                quiesce(); /* nobody forwards it any more, and what was sent has arrived */
                if (old)
                        old->irqs[irq->bit] = NULL;
                if (old == current()) { /* what it has not taken goes with the line */
                        waits = old->block->irqs & 1ul << irq->bit;
                        old->block->irqs ^= waits;
                }
                irq->vcpu = vcpu;
                irq->notification = n;
                irq->bit = bit;
                if (vcpu)
                        vcpu->irqs[bit] = irq;
                irq->cpu = &cpus[irqchip_enable(irq->line, (vcpu ? vcpu->cpu : n->cpu)->id,
                                                irq->edge)];
                if (waits) {
                        irq_forward(irq);
                        this_cpu()->resched = 1; /* it may be for the caller itself */
                }
        }
        big_unlock();
        return ERROR(error);
}

struct result SYS1(irq_ack, slot)
{
        enum ouzel_error error = E_OK;
        struct irq *irq = irq_at(slot, &error);

        if (irq)
                irqchip_deactivate(irq->line);
        return ERROR(error);
}

static void unmask_here(void *argument)
{
        struct irq *irq = argument;

        irq->masked = false;
        if (irq->held) { /* it came while masked, and is still active */
                irq->held = false;
                irq_forward(irq);
        }
}

static void mask_here(void *argument)
{
        ((struct irq *)argument)->masked = true;
}

struct result SYS2(irq_mask, slot, masked)
{
        enum ouzel_error error = E_OK;
        struct irq *irq;

        if (masked > 1)
                return ERROR(E_INVALID);
        big_lock();
        irq = irq_at(slot, &error);
        if (irq) /* on the core that takes it: not while it is being forwarded */
                cross_call(irq->cpu ? irq->cpu : this_cpu(), masked ? mask_here : unmask_here,
                           irq);
        big_unlock();
        return ERROR(error);
}
