// SPDX-License-Identifier: MIT
/*
 * lock.c -- spin locks, the big lock, calls to other cores, and the inboxes.
 *
 * The kernel runs with interrupts masked, so a core that spins can't take an IPI. Everyone
 * who waits for the big lock therefore serves cross calls while waiting; that is safe as
 * the big lock is always taken before anything is looked up or changed. If the waiting thread
 * itself is stopped by such a call, its system call ends there.
 */
#include "kernel.h"

void spin_wait(struct spinlock *lock)
{
        do
                while (READ_ONCE(lock->held))
                        cpu_relax();
        while (!spin_try(lock));
}

static struct spinlock big;

/* The one cross call under way; the big lock makes it one. */
static struct {
        void (*function)(void *);
        void *argument;
} cross;
uint32_t cross_todo;

void big_lock(void)
{
        const struct thread *self = current();

        while (__atomic_exchange_n(&big.held, 1, __ATOMIC_ACQUIRE))
                while (READ_ONCE(big.held)) {
                        cross_poll();
                        cpu_relax();
                }
        if (current() != self) { /* it was stopped while it waited, and is perhaps no more */
                big_unlock();
                abandon();
        }
}

void big_unlock(void)
{
        spin_unlock(&big);
}

void cross_serve(void)
{
        uint32_t me = 1u << this_cpu()->id;

        if (!(__atomic_load_n(&cross_todo, __ATOMIC_ACQUIRE) & me))
                return;
        inbox_run();
        cross.function(cross.argument);
        __atomic_fetch_and(&cross_todo, ~me, __ATOMIC_RELEASE);
}

static void cross_start(uint32_t mask, void (*function)(void *), void *argument)
{
        cross.function = function;
        cross.argument = argument;
        __atomic_store_n(&cross_todo, mask, __ATOMIC_RELEASE);
        /* The IPI must not overtake the store above: irqchip_send_ipi has the barrier. */
        for (unsigned i = 0; i < MAX_CPUS; i++) {
                if (mask & 1u << i) {
                        irqchip_send_ipi(i);
                        COUNT(ipis);
                }
        }
        while (__atomic_load_n(&cross_todo, __ATOMIC_ACQUIRE))
                cpu_relax();
}

void cross_call(struct cpu *cpu, void (*function)(void *), void *argument)
{
        if (cpu == this_cpu())
                function(argument);
        else
                cross_start(1u << cpu->id, function, argument);
}

void cross_call_others(void (*function)(void *), void *argument)
{
        uint32_t mask = 0;

        for (unsigned i = 0; i < MAX_CPUS; i++)
                if (cpus[i].online && &cpus[i] != this_cpu())
                        mask |= 1u << i;
        if (mask)
                cross_start(mask, function, argument);
}

static void nothing(void *argument)
{
        (void)argument;
}

uint32_t quiesces = 1;

void quiesce(void)
{
        cross_call_others(nothing, NULL);
        quiesces++;
        inbox_run();
}

void inbox_push(struct cpu *cpu, struct inbox_item *item)
{
        struct inbox_item *old = READ_ONCE(cpu->inbox);

        do {
                item->next = old;
        } while (!__atomic_compare_exchange_n(&cpu->inbox, &old, item, true, __ATOMIC_RELEASE,
                                              __ATOMIC_RELAXED));
        if (!old) { /* else an IPI is on its way already */
                irqchip_send_ipi(cpu->id);
                COUNT(ipis);
        }
}

void inbox_empty(void)
{
        struct inbox_item *list = __atomic_exchange_n(&this_cpu()->inbox, NULL, __ATOMIC_ACQUIRE);
        struct inbox_item *in_order = NULL;

        while (list) { /* pushed last is first: turn round, so that nobody is overtaken */
                struct inbox_item *next = list->next;
                list->next = in_order;
                in_order = list;
                list = next;
        }
        while (in_order) {
                struct inbox_item *item = in_order;
                in_order = item->next;
                item->run(item);
        }
}
