// SPDX-License-Identifier: MIT
/* notify.c -- notifications: a word of bits that can be set from anywhere without waiting. */
#include "sys.h"

/* On the notification's core: the first who waits, without a deadline, gets these bits. */
static inline void wake(struct notification *n, struct thread *t, uint64_t bits)
{
        n->waiters = t->next;
        t->waits_for = NULL;
        t->regs.x[0] = E_OK;
        t->regs.x[1] = bits;
        thread_ready(t);
}

static uint64_t take(struct notification *n)
{
        return READ_ONCE(n->bits) ? __atomic_exchange_n(&n->bits, 0, __ATOMIC_ACQ_REL) : 0;
}

static void give(struct notification *n)
{
        struct thread *t = n->waiters;
        uint64_t bits = t ? take(n) : 0;

        if (!bits)
                return;
        timer_remove(&t->timeout);
        wake(n, t, bits);
}

static void give_remote(struct inbox_item *item)
{
        struct notification *n = CONTAINER(item, struct notification, item);

        __atomic_store_n(&n->in_inbox, 0, __ATOMIC_SEQ_CST); /* before the bits are read */
        give(n);
}

static __attribute__((noinline)) void signal_anyhow(struct notification *n, uint64_t bits)
{
        __atomic_fetch_or(&n->bits, bits, __ATOMIC_SEQ_CST);
        if (n->cpu == this_cpu()) {
                give(n);
        } else if (!__atomic_exchange_n(&n->in_inbox, 1, __ATOMIC_SEQ_CST)) {
                n->item.run = give_remote;
                inbox_push(n->cpu, &n->item);
        }
}

void notification_signal(struct notification *n, uint64_t bits)
{
        struct thread *t = n->cpu == this_cpu() ? n->waiters : NULL;

        if (t && bits && !READ_ONCE(n->bits) && !t->timeout.queued)
                wake(n, t, bits); /* nothing else is on its way: leave the word alone */
        else
                signal_anyhow(n, bits);
}

static inline __attribute__((always_inline)) struct notification *
notification_at(uint64_t slot, unsigned rights, enum ouzel_error *error)
{
        struct cap *cap = cap_find(current()->task, slot, CAP_NOTIFICATION, rights, error);

        return cap ? CONTAINER(cap->object, struct notification, object) : NULL;
}

struct result SYS2(notify_signal, slot, bits)
{
        enum ouzel_error error = E_OK;
        struct notification *n = notification_at(slot, RIGHT_SEND, &error);

        if (!error)
                notification_signal(n, bits);
        return ERROR(error);
}

struct result SYS1(notify_poll, slot)
{
        enum ouzel_error error = E_OK;
        struct notification *n = notification_at(slot, RIGHT_RECV, &error);
        uint64_t bits = n ? take(n) : 0;

        return RESULT(n && !bits ? E_AGAIN : error, bits);
}

void notify_detach(struct thread *t)
{
        struct thread **p;

        if (!t->waits_for)
                return;
        for (p = &t->waits_for->waiters; *p != t;)
                p = &(*p)->next;
        *p = t->next;
        t->next = NULL;
        t->waits_for = NULL;
}

static void timeout_fire(struct timer *timer)
{
        struct thread *t = CONTAINER(timer, struct thread, timeout);

        notify_detach(t);
        t->regs.x[0] = E_TIMEOUT;
        t->regs.x[1] = 0;
        thread_ready(t);
}

static inline void wait(struct thread *self, struct notification *n)
{
        self->next = n->waiters;
        n->waiters = self;
        self->waits_for = n;
        thread_block(self, STATE_waiting);
}

static __attribute__((noinline)) void wait_until(struct thread *self, struct notification *n,
                                                 uint64_t deadline)
{
        if (deadline <= timer_now()) {
                self->regs.x[0] = E_TIMEOUT;
                return;
        }
        wait(self, n);
        timer_add(&self->timeout, deadline, timeout_fire);
}

void sys_notify_wait(struct thread *self)
{
        enum ouzel_error error = E_OK;
        uint64_t deadline = self->regs.x[1], bits;
        struct notification *n = notification_at(self->regs.x[0], RIGHT_RECV, &error);

        if (!error && n->cpu != self->cpu)
                error = E_RANGE; /* wait on the notification's own core */
        else if (!error && self->vcpu)
                error = E_STATE; /* its timer is its block's: vcpu_wait */
        self->regs.x[0] = error;
        self->regs.x[1] = 0;
        if (error)
                return;
        bits = take(n);
        if (bits) {
                self->regs.x[1] = bits;
                return;
        }
        if (deadline)
                wait_until(self, n, deadline);
        else
                wait(self, n);
}

static void drop_here(void *argument)
{
        struct notification *n = argument;

        while (n->waiters) {
                struct thread *t = n->waiters;
                notify_detach(t);
                timer_remove(&t->timeout);
                t->regs.x[0] = E_DEAD;
                thread_ready(t);
        }
}

void notification_drop(struct notification *n)
{
        for (unsigned i = 0; i < MAX_TASKS; i++) {
                for (struct object *o = tasks[i] ? tasks[i]->owned : NULL; o; o = o->next_owned) {
                        if (o->type == CAP_IRQ &&
                            CONTAINER(o, struct irq, object)->notification == n) {
                                struct irq *irq = CONTAINER(o, struct irq, object);
                                irqchip_disable(irq->line);
                                irq->notification = NULL;
                        }
                }
        }
        quiesce(); /* signals on their way are done */
        cross_call(n->cpu, drop_here, n);
}

struct result SYS2(notification_create, slot, core)
{
        struct task *self = current()->task;
        struct notification *n = NULL;
        enum ouzel_error error;
        struct cap *cap;

        if (core >= MAX_CPUS || !cpus[core].online)
                return ERROR(E_RANGE);
        big_lock();
        error = cap_reserve(self, slot, &cap);
        if (!error && !(n = kmem_alloc(self)))
                error = E_QUOTA;
        if (!error) {
                object_init(&n->object, CAP_NOTIFICATION, self);
                n->cpu = &cpus[core];
                cap_install(cap, &n->object, CAP_NOTIFICATION, RIGHT_ALL, 0);
        }
        big_unlock();
        return ERROR(error);
}
