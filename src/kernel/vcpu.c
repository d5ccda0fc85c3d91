// SPDX-License-Identifier: MIT
/*
 * vcpu.c -- a thread with two modes: Linux (server mode) and its programs (user mode).
 *
 * entry.S does the two hot paths, an exception from user mode and the return to it, alone.
 * Here is everything else: interrupts, faults in server mode, returns with something to do.
 * The block is the server's memory: what is read from it is believed only as far as it
 * concerns the server itself.
 */
#include "mmu.h"
#include "sys.h"
#include "validate.h"

#define SPSR_NZCV   (15ul << 28)
#define SPSR_SS     (1ul << 21)
#define SPSR_I      (1ul << 7)
#define SPSR_MODE   0x1ful
#define SPSR_EL1H   5ul
#define NESTED_MAX  64 /* no sane kernel nests exceptions deeper without ever returning */

/* A server that can't take its own exceptions: its pager decides. */
static void stuck(struct thread *t, uint64_t esr, uint64_t far)
{
        ipc_fault(t, LABEL_VCPU_STUCK, esr, far, 0);
}

/* Enter the server's vector table: 0 synchronous, 0x80 interrupt. */
static void enter(struct thread *t, unsigned kind, uint64_t esr, uint64_t far)
{
        struct vcpu_block *block = t->block;
        uint64_t offset;

        block->elr = t->regs.pc;
        block->spsr = t->regs.pstate & (SPSR_NZCV | SPSR_SS);
        if (t->mode == MODE_USER) {
                block->sp = t->regs.sp;
                block->x18 = t->regs.x[18];
                t->regs.sp = t->server_sp;
                offset = 0; /* t->vector is the lower-EL half */
        } else {
                if (++t->nested > NESTED_MAX) {
                        stuck(t, esr, far);
                        return;
                }
                block->spsr |= SPSR_EL1H | (block->masked ? SPSR_I : 0);
                offset = -0x200ul;
        }
        block->esr = esr;
        block->far = far;
        block->masked = 1;
        t->stepping = false;
        t->regs.x[18] = t->block_va;
        t->regs.pc = t->vector + offset + kind;
        t->regs.pstate = 0;
        t->mode = MODE_SERVER;
        TRACE(vcpu, t->object.id, t->regs.pc, esr);
}

/* On its own core: there is something for it. */
void vcpu_pending(struct thread *t)
{
        t->block->pending = 1;
        if (t->state == STATE_vcpu_waiting)
                thread_ready(t);
}

void vcpu_deliver(struct thread *t)
{
        struct vcpu_block *block = t->block;

        if (!block->pending || (t->mode == MODE_SERVER && block->masked))
                return;
        block->pending = 0;
        enter(t, 0x80, 0, 0);
}

static void signals_take(struct thread *t)
{
        uint64_t ipis = __atomic_exchange_n(&t->ipi_in, 0, __ATOMIC_SEQ_CST);
        uint64_t irqs = __atomic_exchange_n(&t->irq_in, 0, __ATOMIC_SEQ_CST);
        if (!t->block)
                return;
        t->block->ipis |= ipis;
        t->block->irqs |= irqs;
        vcpu_pending(t);
}

static void signals_arrive(struct inbox_item *item)
{
        struct thread *t = CONTAINER(item, struct thread, signal_item);

        __atomic_store_n(&t->signal_queued, 0, __ATOMIC_SEQ_CST); /* before the bits are read */
        signals_take(t);
}

static void signal_send(struct thread *t, uint64_t *in, uint64_t bits)
{
        __atomic_fetch_or(in, bits, __ATOMIC_SEQ_CST);
        if (t->cpu == this_cpu()) {
                signals_take(t); /* the item may be in our inbox all the same, and stays */
        } else if (!__atomic_exchange_n(&t->signal_queued, 1, __ATOMIC_SEQ_CST)) {
                t->signal_item.run = signals_arrive;
                inbox_push(t->cpu, &t->signal_item);
        }
}

void vcpu_signal_irq(struct thread *t, unsigned bit)
{
        signal_send(t, &t->irq_in, 1ul << bit);
}

/* ---- time ------------------------------------------------------------------------------- */

static void deadline_fire(struct timer *timer);

/* deadline: what the block says, read once: the server may change it at any time. */
static void deadline_arm(struct thread *t, uint64_t deadline)
{
        if (t->timeout.queued && t->timeout.deadline == deadline)
                return;
        timer_remove(&t->timeout);
        if (deadline != UINT64_MAX)
                timer_add(&t->timeout, deadline, deadline_fire);
        t->block->armed = deadline;
}

/* The server may have moved the deadline further away since: then look again later. */
static void deadline_fire(struct timer *timer)
{
        struct thread *t = CONTAINER(timer, struct thread, timeout);
        struct vcpu_block *block = t->block;
        uint64_t deadline = READ_ONCE(block->deadline);

        if (deadline > timer_now()) {
                deadline_arm(t, deadline);
                return;
        }
        block->deadline = block->armed = UINT64_MAX;
        block->timer = 1;
        vcpu_pending(t);
}

struct result SYS0(vcpu_timer)
{
        struct thread *self = current();

        if (!self->vcpu)
                return ERROR(E_STATE);
        deadline_arm(self, READ_ONCE(self->block->deadline));
        timer_program(this_cpu()); /* no schedule() follows: the program may run on for long */
        return ERROR(E_OK);
}

/* ---- return ------------------------------------------------------------------------------- */

static void eoi(struct thread *t)
{
        uint64_t bits = t->block->eoi;

        t->block->eoi = 0;
        while (bits) {
                unsigned i = __builtin_ctzl(bits);
                bits &= bits - 1;
                const struct irq *irq = READ_ONCE(t->irqs[i]); /* irq_bind may take it away */
                if (irq)
                        irqchip_deactivate(irq->line);
        }
}

void vcpu_attention(struct thread *t)
{
        struct vcpu_block *block = t->block;

        if (block->work) {
                block->work = 0;
                eoi(t);
        }
        if (block->sync) {
                block->sync = 0;
                sync_drain(t);
        }
}

/* vcpu_return, when entry.S found more to do than going back to user mode. */
void sys_vcpu_return(struct thread *t)
{
        struct vcpu_block *block = t->block;
        uint64_t spsr;

        if (!block) {
                t->regs.x[0] = E_STATE;
                return;
        }
        vcpu_attention(t);
        spsr = READ_ONCE(block->spsr);
        t->nested = 0;
        switch (spsr & SPSR_MODE) {
        case 0:
                t->server_sp = t->regs.sp;
                t->regs.sp = block->sp;
                t->regs.x[18] = block->x18;
                t->mode = MODE_USER;
                t->stepping = spsr & SPSR_SS;
                break;
        case SPSR_EL1H:
                block->masked = (spsr & SPSR_I) != 0;
                break;
        default: /* 32-bit, or a level that is not there */
                stuck(t, 0, block->elr);
                return;
        }
        t->regs.pc = block->elr;
        t->regs.pstate = spsr & (SPSR_NZCV | (t->stepping ? SPSR_SS : 0));
}

/* ---- exceptions ------------------------------------------------------------------------------ */

/* From user mode, when entry.S may not do it alone (single-step, tracing). */
void exception_user(struct thread *t)
{
        enter(t, 0, cpu_esr(), cpu_far());
}

/* ESR as Linux knows it from exceptions of its own level. [Arm ARM D19.2.37, EC] */
static uint64_t esr_current(uint64_t esr)
{
        switch (ESR_EC(esr)) {
        case 0x20: case 0x24: case 0x30: case 0x32: case 0x34:
                return esr + (1ul << 26);
        }
        return esr;
}

static bool fault_solved(struct thread *t, uint64_t esr, uint64_t far)
{
        unsigned access = esr_denied_access(esr);

        if (!(far >> 55 & 1))
                far &= ~(0xfful << 56); /* a tag, with TCR_EL1.TBI0 */
        struct space *space = far >> 63 ? t->space : t->process;

        if (!access || !space || !space->guest)
                return false;
        bool queued = t->block->sync_head != t->block->sync_tail;
        paddr_t pa;

        if (queued)
                sync_drain(t);
        if (!(queued && space_allows(space, far, access, &pa)) &&
            (sync_range(space, far & ~(PAGE_SIZE - 1), 1, false) != E_OK ||
             !space_allows(space, far, access, &pa)))
                return false;
        t->block->faults++;
        return true;
}

/* A synchronous exception in server mode: ours to solve, or the server's to take. */
void vcpu_server_exception(struct thread *t, uint64_t esr, uint64_t far)
{
        if (fault_solved(t, esr, far) || mrs_emulate(t, esr))
                return;
        enter(t, 0, esr_current(esr), far);
}

/* ---- switching in -------------------------------------------------------------------------- */

void vcpu_switch_in(struct thread *t)
{
        struct space *space;
        uint64_t ttbr1;

        while (!(ttbr1 = READ_ONCE((space = t->process ? t->process : t->space)->ttbr1))) {
                mmu_leave(); /* what this core had may go while we wait ... */
                asid_ensure(space); /* ... and so may the process */
        }
        ttbr1 &= ~0ul << 48; /* its ASID: no other read of it would be as new */
        t->ttbr1_server = t->space->root | ttbr1;
        t->ttbr1_user = kernel_l0_pa | (ttbr1 + (1ul << 48));
}

/* ---- system calls -------------------------------------------------------------------------- */

struct result SYS3(vcpu_enable, slot, block_va, vectors)
{
        struct task *self = current()->task;
        enum ouzel_error error = E_OK;
        struct thread *t = NULL;
        unsigned i = 0;

        if ((block_va & (PAGE_SIZE - 1)) || (vectors & 0x7ff))
                return ERROR(E_ALIGN);
        if (!va_allowed(block_va, PAGE_SIZE, true) || !va_allowed(vectors, 0x800, true))
                return ERROR(E_RANGE);
        big_lock();
        struct cap *cap = cap_find(self, slot, CAP_THREAD, RIGHT_MANAGE, &error);
        if (cap) {
                t = CONTAINER(cap->object, struct thread, object);
                if (t->task != self)
                        error = E_RIGHTS; /* a server makes its own vCPUs */
                else if (!t->buffer || (t != current() && t->state != STATE_stopped))
                        error = E_STATE;
                while (i < MAX_CPUS && self->vcpus[i] && self->vcpus[i] != t)
                        i++;
                if (!error && i == MAX_CPUS)
                        error = E_LIMIT;
        }
        if (!error) {
                t->block = phys_to_virt(t->buffer);
                t->block->armed = UINT64_MAX;
                t->block->masked = 1;
                t->block_va = block_va;
                t->vector = vectors + 0x400;
                thread_slow(t, SLOW_VCPU, 0);
                t->vcpu = true;
                if (i >= self->vcpus_end)
                        WRITE_ONCE(self->vcpus_end, i + 1);
                __atomic_store_n(&self->vcpus[i], t, __ATOMIC_RELEASE); /* with its block */
                if (t == current())
                        this_cpu()->resched = 1; /* schedule() sets what a vCPU has: TTBRs, FP */
        }
        big_unlock();
        return ERROR(error);
}

struct result SYS1(vcpu_set_space, slot)
{
        struct thread *self = current();
        enum ouzel_error error = E_OK;
        struct space *space = NULL;

        if (!self->vcpu)
                return ERROR(E_STATE);
        if (slot) {
                struct cap *cap = cap_find(self->task, slot, CAP_SPACE, RIGHT_MANAGE, &error);
                if (!cap)
                        return ERROR(error);
                space = CONTAINER(cap->object, struct space, object);
                if (space->own)
                        return ERROR(E_CAP);
                if (space->task != self->task)
                        return ERROR(E_RIGHTS); /* a server's programs run in its own spaces */
        }
        if (space == self->process)
                return ERROR(E_OK);
        if (self->process)
                __atomic_fetch_sub(&self->process->users, 1, __ATOMIC_RELAXED);
        if (space)
                __atomic_fetch_add(&space->users, 1, __ATOMIC_RELAXED);
        self->process = space;
        vcpu_switch_in(self);
        mmu_switch(self->process ? self->process->root : empty_l0_pa, self->ttbr1_server);
        return ERROR(E_OK);
}

void sys_vcpu_wait(struct thread *self)
{
        self->regs.x[0] = E_OK;
        if (!self->vcpu) {
                self->regs.x[0] = E_STATE;
                return;
        }
        vcpu_attention(self);
        uint64_t deadline = READ_ONCE(self->block->deadline);
        if (deadline < self->block->armed)
                deadline_arm(self, deadline);
        if (!self->block->pending)
                thread_block(self, STATE_vcpu_waiting);
}

/* Delivery itself is schedule()'s, on the way out. */
void sys_vcpu_poll(struct thread *self)
{
        self->regs.x[0] = self->vcpu ? E_OK : E_STATE;
}

struct result SYS2(vcpu_signal, slot, bits)
{
        enum ouzel_error error = E_OK;
        struct cap *cap = cap_find(current()->task, slot, CAP_THREAD, RIGHT_MANAGE, &error);
        struct thread *t = cap ? CONTAINER(cap->object, struct thread, object) : NULL;

        if (t && !t->vcpu)
                error = E_STATE;
        if (error)
                return ERROR(error);
        signal_send(t, &t->ipi_in, bits);
        if (t == current())
                this_cpu()->resched = 1; /* deliver it on the way out */
        return ERROR(E_OK);
}
