// SPDX-License-Identifier: MIT
/*
 * ipc.c -- synchronous messages: the slow path, which does everything and is the reference.
 * ipc_fast.S does the common same-core cases with the same results.
 *
 * An endpoint is operated on by its home core only. A thread that calls, sends or receives
 * from another core is handed to the home core (its custody) and comes back with the result
 * in its frame. A caller that waits for its answer is in the custody of the server's core,
 * where the answer will be given. So no lock is needed anywhere here.
 */
#include "sys.h"

static void deliver(struct thread *from, struct thread *to, uint64_t badge)
{
        bool fault = from->slow & SLOW_FAULT;
        const uint64_t *message = fault ? from->fault_message : &from->regs.x[1];

        to->regs.x[0] = E_OK;
        to->regs.x[1] = message[0] & ~(uint64_t)TAG_CAP;
        for (unsigned i = 1; i <= MSG_WORDS; i++)
                to->regs.x[1 + i] = message[i];
        to->regs.x[10] = badge;
        to->take_serial = 0;
        if (!fault && (message[0] & TAG_CAP) && to->regs.x[11]) {
                to->take_serial = from->take_serial;
                to->take_task = from->take_task;
                to->take_slot = from->take_slot;
                thread_slow(to, SLOW_TAKES, 0);
        }
        from->take_serial = 0;
        COUNT(ipc_slow);
        TRACE(ipc, from->object.id, to->object.id, message[0]);
}

/* A thread whose part is done: it goes on at once if it is the one in this system call. */
static void finish(struct thread *t)
{
        t->waits_on = NULL;
        if (t == current() && t->state == STATE_running)
                return;
        thread_wake(t);
}

static void wait_for_answer(struct thread *caller, struct thread *server)
{
        server->caller = caller;
        caller->partner = server;
        caller->waits_on = NULL;
        caller->state = STATE_calling;
        if (caller->cpu != server->cpu)
                thread_slow(caller, SLOW_REMOTE, 0);
        if (caller == current())
                this_cpu()->resched = 1;
        custody_give(caller, server->cpu);
}

static void senders_add(struct endpoint *ep, struct thread *t)
{
        struct thread *after = ep->senders_tail;

        while (after && after->prio < t->prio)
                after = after->prev;
        t->prev = after;
        t->next = after ? after->next : ep->senders;
        if (after)
                after->next = t;
        else
                ep->senders = t;
        if (t->next)
                t->next->prev = t;
        else
                ep->senders_tail = t;
}

static void senders_remove(struct endpoint *ep, struct thread *t)
{
        if (t->prev)
                t->prev->next = t->next;
        else
                ep->senders = t->next;
        if (t->next)
                t->next->prev = t->prev;
        else
                ep->senders_tail = t->prev;
        t->next = t->prev = NULL;
}

static void wait_in_queue(struct thread *t, struct endpoint *ep, enum ouzel_state state)
{
        t->waits_on = ep;
        t->custody = ep->cpu;
        t->state = state;
        if (t == current())
                this_cpu()->resched = 1;
}

/* `t` calls or sends; on the endpoint's core. */
static void send_here(struct thread *t, struct endpoint *ep)
{
        struct thread *to = ep->receivers;

        if (!to) {
                senders_add(ep, t);
                wait_in_queue(t, ep, STATE_sending);
                return;
        }
        ep->receivers = to->next;
        to->next = NULL;
        deliver(t, to, t->badge);
        if (t->op == SYS_ipc_call)
                wait_for_answer(t, to);
        else {
                t->regs.x[0] = E_OK;
                finish(t);
        }
        finish(to);
}

/* `t` receives; on the endpoint's core. */
static void recv_here(struct thread *t, struct endpoint *ep)
{
        struct thread *from = ep->senders;

        if (!from) {
                t->next = ep->receivers;
                ep->receivers = t;
                if (t->cpu != ep->cpu)
                        thread_slow(t, SLOW_REMOTE, 0);
                wait_in_queue(t, ep, STATE_receiving);
                return;
        }
        senders_remove(ep, from);
        deliver(from, t, from->badge);
        if (from->op == SYS_ipc_call)
                wait_for_answer(from, t);
        else {
                from->regs.x[0] = E_OK;
                finish(from);
        }
        finish(t);
}

static void operate(struct thread *t, struct endpoint *ep)
{
        if (t->op == SYS_ipc_recv)
                recv_here(t, ep);
        else
                send_here(t, ep);
}

static void operate_remote(struct inbox_item *item)
{
        struct thread *t = CONTAINER(item, struct thread, item);

        t->in_inbox = false;
        operate(t, t->waits_on);
}

static void submit(struct thread *t, struct endpoint *ep, enum ouzel_syscall op)
{
        t->op = op;
        if (ep->cpu == this_cpu()) {
                operate(t, ep);
                return;
        }
        t->waits_on = ep;
        t->state = STATE_remote;
        t->in_inbox = true;
        t->item.run = operate_remote;
        custody_give(t, ep->cpu);
        this_cpu()->resched = 1;
        inbox_push(ep->cpu, &t->item);
}

static struct endpoint *endpoint_at(struct thread *t, unsigned rights, enum ouzel_error *error,
                                    uint64_t *badge)
{
        struct cap *cap = cap_find(t->task, t->regs.x[0], CAP_ENDPOINT, rights, error);

        if (!cap)
                return NULL;
        *badge = cap->badge;
        return CONTAINER(cap->object, struct endpoint, object);
}

/* The capability that goes with a message must exist, and may be given away. */
static enum ouzel_error passing(struct thread *t)
{
        struct cap *cap;

        t->take_serial = 0;
        if (!(t->regs.x[1] & TAG_CAP))
                return E_OK;
        cap = cap_slot(t->task, t->regs.x[10]);
        if (!cap || __atomic_load_n(&cap->kind, __ATOMIC_ACQUIRE) == CAP_NONE)
                return E_CAP;
        if (!(cap->rights & RIGHT_GRANT))
                return E_RIGHTS;
        t->take_serial = cap->serial;
        t->take_task = t->task->object.id;
        t->take_slot = t->regs.x[10];
        return E_OK;
}

static void send(struct thread *self, enum ouzel_syscall op)
{
        enum ouzel_error error = E_OK;
        struct endpoint *ep = endpoint_at(self, RIGHT_SEND, &error, &self->badge);

        if (ep)
                error = passing(self);
        if (error)
                self->regs.x[0] = error;
        else
                submit(self, ep, op);
}

void sys_ipc_call(struct thread *self)
{
        send(self, SYS_ipc_call);
}

void sys_ipc_send(struct thread *self)
{
        send(self, SYS_ipc_send);
}

void sys_ipc_recv(struct thread *self)
{
        enum ouzel_error error = E_OK;
        uint64_t badge;
        struct endpoint *ep = endpoint_at(self, RIGHT_RECV, &error, &badge);

        if (ep && self->caller)
                error = E_STATE; /* it would be forgotten: ipc_reply_recv answers it */
        if (!error)
                submit(self, ep, SYS_ipc_recv);
        else
                self->regs.x[0] = error;
}

/* The kernel's own fault message was answered: label 0 lets the thread go on. */
static void fault_answered(struct thread *t, uint64_t tag)
{
        thread_slow(t, 0, SLOW_FAULT);
        if (tag >> TAG_LABEL_SHIFT == 0) {
                thread_wake(t);
        } else {
                t->state = STATE_stopped;
                custody_give(t, t->cpu);
        }
}

void sys_ipc_reply_recv(struct thread *self)
{
        enum ouzel_error error = E_OK;
        uint64_t badge;
        struct endpoint *ep = endpoint_at(self, RIGHT_RECV, &error, &badge);
        struct thread *caller = self->caller;

        if (ep && caller)
                error = passing(self);
        if (error) {
                self->regs.x[0] = error;
                return;
        }
        if (caller) {
                self->caller = NULL;
                caller->partner = NULL;
                if (caller->slow & SLOW_FAULT) {
                        fault_answered(caller, self->regs.x[1]);
                } else {
                        deliver(self, caller, 0);
                        thread_wake(caller);
                }
        }
        submit(self, ep, SYS_ipc_recv);
}

static __attribute__((noinline)) void fault_unheard(struct thread *t, uint64_t esr, uint64_t far)
{
        char text[80];

        printk("ouzel: thread %u of task %u stopped: %s, pc %lx, address %lx; it has no fault "
               "endpoint\n", t->object.id, t->task->object.id, esr_text(esr, text, sizeof(text)),
               (unsigned long)t->regs.pc, (unsigned long)far);
        thread_block(t, STATE_stopped);
}

/* abi.h has the words of the labels. */
void ipc_fault(struct thread *t, uint64_t label, uint64_t esr, uint64_t far, uint64_t access)
{
        uint64_t *m = t->fault_message;

        if (UNLIKELY(!t->fault_endpoint)) {
                fault_unheard(t, esr, far);
                return;
        }
        m[0] = MSG_TAG(label, 7);
        m[1] = far;
        m[2] = access;
        m[3] = t->regs.pc;
        m[4] = esr;
        m[5] = t->object.id;
        m[6] = t->regs.sp;
        m[7] = t->regs.x[30];
        m[8] = 0;
        thread_slow(t, SLOW_FAULT, 0);
        t->badge = t->fault_badge;
        submit(t, t->fault_endpoint, SYS_ipc_call);
}

void ipc_dead(struct thread *t)
{
        t->partner = NULL;
        t->waits_on = NULL;
        t->take_serial = 0; /* the capability that was to go with its message stays */
        if (t->slow & SLOW_FAULT) {
                thread_slow(t, 0, SLOW_FAULT);
                t->state = STATE_stopped;
                custody_give(t, t->cpu);
        } else {
                t->regs.x[0] = E_DEAD;
                thread_wake(t);
        }
}

void ipc_detach(struct thread *t)
{
        struct endpoint *ep = t->waits_on;

        if (t->state == STATE_sending) {
                senders_remove(ep, t);
        } else if (t->state == STATE_receiving) {
                struct thread **p = &ep->receivers;
                while (*p != t)
                        p = &(*p)->next;
                *p = t->next;
                t->next = NULL;
        } else if (t->state == STATE_calling && t->partner) {
                t->partner->caller = NULL;
        }
        t->waits_on = NULL;
        t->partner = NULL;
}

static void drop_here(void *argument)
{
        struct endpoint *ep = argument;

        while (ep->senders) {
                struct thread *t = ep->senders;
                senders_remove(ep, t);
                ipc_dead(t);
        }
        while (ep->receivers) {
                struct thread *t = ep->receivers;
                ep->receivers = t->next;
                t->next = NULL;
                ipc_dead(t);
        }
}

void endpoint_drop(struct endpoint *ep)
{
        for (unsigned i = 0; i < MAX_TASKS; i++) {
                for (struct object *o = tasks[i] ? tasks[i]->owned : NULL; o; o = o->next_owned) {
                        if (o->type != CAP_THREAD)
                                continue;
                        struct thread *t = CONTAINER(o, struct thread, object);
                        if (t->fault_endpoint == ep)
                                t->fault_endpoint = NULL;
                }
        }
        quiesce(); /* faults on their way to it have arrived in its queue */
        cross_call(ep->cpu, drop_here, ep);
}

struct result SYS2(endpoint_create, slot, core)
{
        struct task *self = current()->task;
        struct endpoint *ep = NULL;
        enum ouzel_error error;
        struct cap *cap;

        if (core >= MAX_CPUS || !cpus[core].online)
                return ERROR(E_RANGE);
        big_lock();
        error = cap_reserve(self, slot, &cap);
        if (!error && !(ep = kmem_alloc(self)))
                error = E_QUOTA;
        if (!error) {
                object_init(&ep->object, CAP_ENDPOINT, self);
                ep->cpu = &cpus[core];
                cap_install(cap, &ep->object, CAP_ENDPOINT, RIGHT_ALL, 0);
        }
        big_unlock();
        return ERROR(error);
}
