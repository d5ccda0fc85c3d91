// SPDX-License-Identifier: MIT
/*
 * thread.c -- threads, and the scheduler: strict priorities, round-robin in one priority,
 * budgets per period.
 *
 * Each core schedules its own threads; nothing here is shared. Timer deadlines (waits,
 * budgets, vCPU clocks) are one list per core, and the hardware timer is set to whatever
 * comes first only when that changes.
 */
#include "fpu.h"
#include "mmu.h"
#include "string.h"
#include "sys.h"

#define SLICE_MS 10
#define PERIOD_MAX (1ul << 48) /* ticks; so that no deadline overflows */

struct cpu cpus[MAX_CPUS];

/* ---- timers ---------------------------------------------------------------------------- */

void timer_add(struct timer *timer, uint64_t deadline, void (*fire)(struct timer *))
{
        struct timer **p = &this_cpu()->timers;

        timer->deadline = deadline;
        timer->fire = fire;
        timer->queued = true;
        while (*p && (*p)->deadline <= deadline)
                p = &(*p)->next;
        timer->next = *p;
        *p = timer;
}

void timer_remove(struct timer *timer)
{
        struct timer **p = &this_cpu()->timers;

        if (!timer->queued)
                return;
        while (*p != timer)
                p = &(*p)->next;
        *p = timer->next;
        timer->queued = false;
}

void timers_run(struct cpu *cpu)
{
        while (cpu->timers && cpu->timers->deadline <= timer_now()) {
                struct timer *timer = cpu->timers;
                cpu->timers = timer->next;
                timer->queued = false;
                timer->fire(timer);
        }
}

/* ---- ready queues ---------------------------------------------------------------------- */

static void queue_top_find(struct cpu *cpu)
{
        for (int i = 3; i >= 0; i--) {
                if (cpu->ready_bits[i]) {
                        cpu->queue_top = i * 64 + 63 - __builtin_clzl(cpu->ready_bits[i]);
                        return;
                }
        }
        cpu->queue_top = -1;
}

static void queue_add(struct cpu *cpu, struct thread *t, bool first)
{
        unsigned prio = t->prio;
        struct thread *next = first ? cpu->ready[prio].head : NULL;
        struct thread *prev = first ? NULL : cpu->ready[prio].tail;

        t->next = next;
        t->prev = prev;
        *(next ? &next->prev : &cpu->ready[prio].tail) = t;
        *(prev ? &prev->next : &cpu->ready[prio].head) = t;
        cpu->ready_bits[prio / 64] |= 1ul << (prio % 64);
        if ((int)prio > cpu->queue_top)
                cpu->queue_top = prio;
}

static inline void front_set(struct cpu *cpu, struct thread *t)
{
        t->state = STATE_ready;
        cpu->front = t;
        cpu->ready_top = t->prio;
}

static void ready_push(struct cpu *cpu, struct thread *t)
{
        if ((int)t->prio <= cpu->ready_top) {
                t->state = STATE_ready;
                queue_add(cpu, t, false);
                return;
        }
        if (UNLIKELY(cpu->front))
                queue_add(cpu, cpu->front, true);
        front_set(cpu, t);
}

static inline struct thread *front_take(struct cpu *cpu)
{
        struct thread *t = cpu->front;

        cpu->front = NULL;
        cpu->ready_top = cpu->queue_top;
        return t;
}

static void ready_remove(struct cpu *cpu, struct thread *t)
{
        unsigned prio = t->prio;

        if (cpu->front == t) {
                front_take(cpu);
                return;
        }
        *(t->prev ? &t->prev->next : &cpu->ready[prio].head) = t->next;
        *(t->next ? &t->next->prev : &cpu->ready[prio].tail) = t->prev;
        t->next = t->prev = NULL;
        if (!cpu->ready[prio].head) {
                cpu->ready_bits[prio / 64] &= ~(1ul << (prio % 64));
                queue_top_find(cpu);
                if (!cpu->front)
                        cpu->ready_top = cpu->queue_top;
        }
}

static void refill_fire(struct timer *timer)
{
        struct thread *t = CONTAINER(timer, struct thread, refill);

        t->left = t->budget;
        timer_add(&t->refill, timer->deadline + t->period, refill_fire);
        if (t->state == STATE_depleted)
                thread_ready(t);
}

void thread_slow(struct thread *t, unsigned set, unsigned clear)
{
        t->slow = (t->slow & ~clear) | set;
        t->rank = !t->slow ? (int32_t)t->prio
                  : INT32_MIN + (t->slow & (SLOW_VCPU | SLOW_BUDGET | SLOW_IDLE) ? 1 << RANK_HEAVY
                                                                                  : 0);
}

void thread_ready(struct thread *t)
{
        struct cpu *cpu = this_cpu();

        t->custody = cpu;
        if (UNLIKELY(t->slow)) {
                thread_slow(t, 0, SLOW_REMOTE); /* it is home */
                if (t->budget && !t->left) {
                        t->state = STATE_depleted;
                        return;
                }
        }
        if (t->prio >= cpu->current->prio || /* an equal's slice has to begin */
            cpu->current->state != STATE_running || cpu->current == &cpu->idle)
                cpu->resched = 1;
        ready_push(cpu, t);
}

static void wake_here(struct inbox_item *item)
{
        struct thread *t = CONTAINER(item, struct thread, item);

        t->in_inbox = false;
        thread_ready(t);
}

void thread_wake(struct thread *t)
{
        if (t->cpu == this_cpu()) {
                thread_ready(t);
        } else {
                t->state = STATE_remote;
                t->in_inbox = true;
                t->item.run = wake_here;
                custody_give(t, t->cpu);
                inbox_push(t->cpu, &t->item);
        }
}

/* ---- floating point: kept with the core until somebody else uses it ---------------------- */

void fp_release(struct thread *t)
{
        struct cpu *cpu = this_cpu();

        if (cpu->fp_owner != t)
                return;
        fp_save(t->fp, &t->fpcr, &t->fpsr);
        cpu->fp_owner = NULL;
}

void fp_enable_current(void)
{
        struct cpu *cpu = this_cpu();
        struct thread *t = cpu->current;

        fp_allow(true);
        cpu->fp_on = 1;
        if (cpu->fp_owner == t)
                return;
        if (cpu->fp_owner)
                fp_release(cpu->fp_owner);
        /* A thread that never used FP starts from zeros: nothing of another's is left. */
        fp_load(t->fp, &t->fpcr, &t->fpsr);
        cpu->fp_owner = t;
}

/* ---- switching --------------------------------------------------------------------------- */

static void spaces_switch(struct cpu *cpu, struct thread *t)
{
        uint64_t ttbr0 = empty_l0_pa, ttbr1;

        if (t->vcpu) {
                vcpu_switch_in(t);
                if (t->process)
                        ttbr0 = t->process->root;
                ttbr1 = t->mode == MODE_USER ? t->ttbr1_user : t->ttbr1_server;
        } else {
                if (!t->space->ttbr1)
                        asid_ensure(t->space);
                ttbr1 = t->space->ttbr1;
        }
        mmu_switch(ttbr0, ttbr1);
        bool step = t->stepping && t->mode == MODE_USER;
        if (step != cpu->stepping) {
                cpu_single_step(step);
                cpu->stepping = step;
        }
}

static void account(struct cpu *cpu, struct thread *t)
{
        uint64_t now = timer_now(), ran = now - t->started;

        t->started = now;
        t->left = ran < t->left ? t->left - ran : 0;
        if (!t->left)
                cpu->resched = 1;
}

void timer_program(struct cpu *cpu)
{
        struct thread *t = cpu->current;
        uint64_t next = cpu->timers ? cpu->timers->deadline : UINT64_MAX;

        if (t != &cpu->idle && cpu->ready_top == (int)t->prio) {
                if (cpu->slice_end == UINT64_MAX) /* it begins when there is somebody to wait */
                        cpu->slice_end = timer_now() + timer_hz() / 1000 * SLICE_MS;
                if (cpu->slice_end < next)
                        next = cpu->slice_end;
        }
        if (t->budget && t->started + t->left < next)
                next = t->started + t->left;
        if (next != cpu->timer_programmed) {
                cpu->timer_programmed = next;
                timer_set(next);
                COUNT(isb); /* timer_set's */
        }
}

static void idle_loop(struct cpu *cpu)
{
        while (cpu->ready_top < 0) {
                timer_program(cpu);
                cpu_wait();
                irq_handle();
                cross_poll();
                inbox_run();
                timers_run(cpu);
        }
}

static inline void run(struct cpu *cpu, struct thread *t)
{
        t->state = STATE_running;
        cpu->current = t;
        cpu->slice_end = UINT64_MAX;
        cpu->counters[COUNT_switches]++;
}

/*
 * A switch between two ordinary threads, to one that comes before all others: nothing is to
 * be looked at but what is here. False, with nothing changed, if that is not so.
 */
static inline bool switch_simply(struct cpu *cpu, struct thread *old)
{
        struct thread *t = cpu->front;
        bool running = old->state == STATE_running; /* if not, it may even be t */
        int32_t best = cpu->queue_top; /* of all others; -1 at least, so above who may not */

        if (!t || (old->rank & 1 << RANK_HEAVY) || cpu->no_fast)
                return false;
        if (running) {
                if (old->rank <= best)
                        return false;
                best = old->rank;
        }
        if (t->rank <= best) /* for equals there are slices, and those have a timer */
                return false;
        uint64_t ttbr1 = t->space->ttbr1;
        if (!ttbr1 || (cpu->timers && cpu->timers->deadline < cpu->timer_programmed))
                return false;
        cpu->resched = 0;
        front_take(cpu);
        if (running)
                front_set(cpu, old);
        run(cpu, t);
        if (cpu_ttbr1() != ttbr1) {
                cpu_set_ttbr1(ttbr1);
                cpu->counters[COUNT_ttbr]++;
        }
        if (cpu->fp_on) { /* should they be its own, its first FP instruction tells */
                fp_allow(false);
                cpu->fp_on = 0;
        }
        return true;
}

/* Who runs after `old`, which may be `old`. */
static struct thread *next(struct cpu *cpu, struct thread *old)
{
        struct thread *t;

        cpu->resched = 0;
        bool running = old->state == STATE_running && old != &cpu->idle;
        if (running && old->budget && !old->left) {
                old->state = STATE_depleted;
                running = false;
        }
        if (running && cpu->ready_top <= (int)old->prio &&
            (cpu->ready_top < (int)old->prio || timer_now() < cpu->slice_end))
                return old;
        if (cpu->ready_top < 0) {
                cpu->current = &cpu->idle;
                mmu_leave();
                idle_loop(cpu);
                cpu->resched = 0;
        }
        t = cpu->front ? cpu->front : cpu->ready[cpu->ready_top].head;
        ready_remove(cpu, t);
        run(cpu, t);
        TRACE(switch, old->object.id, t->object.id, t->prio);
        if (t->budget)
                t->started = timer_now();
        if (running)
                ready_push(cpu, old);
        return t;
}

static __attribute__((noinline)) struct run schedule_fully(struct cpu *cpu)
{
        struct thread *t = cpu->current;

        do {
                if (t->budget)
                        account(cpu, t); /* also if it has just begun to wait */
                if (cpu->resched || t->state != STATE_running || t == &cpu->idle)
                        t = next(cpu, t);
                if (t->vcpu)
                        vcpu_deliver(t); /* may stop it */
        } while (t->state != STATE_running || cpu->resched);
        if (t->slow & SLOW_TAKES)
                cap_take(t);
        spaces_switch(cpu, t);
        if (t->vcpu || cpu->fp_owner == t) {
                if (!cpu->fp_on || cpu->fp_owner != t)
                        fp_enable_current();
        } else if (cpu->fp_on) {
                fp_allow(false);
                cpu->fp_on = 0;
        }
        timer_program(cpu);
        return (struct run){t, false};
}

/*
 * The way out of the kernel, after anything that may have changed who should run. Returns
 * the thread whose frame entry.S restores, with address space and FP access switched to it.
 */
struct run schedule(void)
{
        struct cpu *cpu = this_cpu();

        if (switch_simply(cpu, cpu->current))
                return (struct run){cpu->current, true};
        return schedule_fully(cpu);
}

void sched_init_cpu(struct cpu *cpu)
{
        cpu->ready_top = cpu->queue_top = -1;
        cpu->current = &cpu->idle;
        cpu->idle.cpu = cpu->idle.custody = cpu;
        cpu->idle.state = STATE_running;
        thread_slow(&cpu->idle, SLOW_IDLE, 0);
        cpu->timer_programmed = UINT64_MAX;
        timer_set(UINT64_MAX);
}

/* ---- life ---------------------------------------------------------------------------------- */

struct thread *thread_new(struct task *owner, struct task *task, struct endpoint *fault_endpoint,
                          uint64_t fault_badge, unsigned prio, struct cpu *cpu, paddr_t buffer,
                          enum ouzel_error *error)
{
        struct thread *t = kmem_alloc(owner);

        if (!t) {
                *error = E_QUOTA;
                return NULL;
        }
        object_init(&t->object, CAP_THREAD, owner);
        t->task = task;
        t->space = task->space;
        t->caps = task->caps;
        t->cpu = t->custody = cpu;
        t->prio = prio;
        thread_slow(t, 0, 0);
        t->buffer = buffer;
        t->fault_endpoint = fault_endpoint;
        t->fault_badge = fault_badge;
        return t;
}

/* Take a thread that waits or is ready out of what it is in; on its custody core. */
void thread_cancel(struct thread *t, enum ouzel_error error)
{
        if (t->cpu == this_cpu()) /* else it is a vCPU's deadline: the caller's timers_off */
                timer_remove(&t->timeout);
        if (t->state == STATE_ready)
                ready_remove(this_cpu(), t);
        ipc_detach(t);
        notify_detach(t);
        thread_slow(t, 0, SLOW_FAULT | SLOW_TAKES);
        t->take_serial = 0;
        t->regs.x[0] = error;
        t->state = STATE_stopped;
}

struct halt { struct thread *t; bool done; };

static void halt_here(void *argument)
{
        struct halt *halt = argument;
        struct thread *t = halt->t;

        if (!custody_ours(t) || t->in_inbox)
                return; /* it moved on: the caller asks again, where it is now */
        if (t->state != STATE_stopped)
                thread_cancel(t, E_CANCELED);
        if (t->caller) { /* nobody will answer it any more */
                struct thread *caller = t->caller;
                t->caller = NULL;
                ipc_dead(caller);
        }
        if (t == this_cpu()->current) { /* what it was doing here is off: see big_lock */
                this_cpu()->current = &this_cpu()->idle;
                this_cpu()->resched = 1;
        }
        halt->done = true;
}

static void timers_off(void *argument)
{
        struct thread *t = argument;

        timer_remove(&t->timeout);
        timer_remove(&t->refill);
        if (t->block)
                t->block->armed = UINT64_MAX; /* as it says, we look at no deadline now */
        fp_release(t);
}

void thread_halt(struct thread *t)
{
        struct halt halt = {.t = t};

        while (!halt.done) {
                cross_call(READ_ONCE(t->custody), halt_here, &halt);
                inbox_run();
        }
        t->custody = t->cpu;
        cross_call(t->cpu, timers_off, t); /* FP registers too: it may move */
}

/* It is stopped, and an ordinary thread from now on. */
void vcpu_end(struct thread *t)
{
        for (unsigned i = 0; i < 64; i++) {
                if (t->irqs[i])
                        t->irqs[i]->vcpu = NULL;
                t->irqs[i] = NULL;
        }
        for (unsigned i = 0; i < MAX_CPUS; i++)
                if (t->task->vcpus[i] == t)
                        t->task->vcpus[i] = NULL;
        /* Still one of its users: the core may have it in TTBR0 until it switches. */
        t->process = NULL;
        t->vcpu = t->stepping = false;
        thread_slow(t, 0, SLOW_VCPU);
        quiesce(); /* nobody is draining its ring, or about to signal it, any more ... */
        quiesce(); /* ... and what they have sent has arrived */
        t->block = NULL;
        t->block_va = 0;
}

/* ---- system calls --------------------------------------------------------------------------- */

static struct thread *thread_at(uint64_t slot, unsigned rights, enum ouzel_error *error)
{
        struct cap *cap = cap_find(current()->task, slot, CAP_THREAD, rights, error);

        return cap ? CONTAINER(cap->object, struct thread, object) : NULL;
}

struct result SYS5(thread_create, slot, task_slot, endpoint_slot, prio_cpu, buffer)
{
        struct task *self = current()->task, *task = NULL;
        unsigned prio = prio_cpu & 0xff;
        uint64_t core = prio_cpu >> 8;
        struct cap *cap, *task_cap, *ep_cap = NULL;
        enum ouzel_error error;
        struct thread *t = NULL;

        if (core >= MAX_CPUS || !cpus[core].online)
                return ERROR(E_RANGE);
        if (prio > current()->prio)
                return ERROR(E_RIGHTS); /* nobody makes a thread that outranks it */
        if (buffer & (PAGE_SIZE - 1))
                return ERROR(E_ALIGN);
        big_lock();
        error = cap_reserve(self, slot, &cap);
        if (!error) {
                task_cap = cap_find(self, task_slot, CAP_TASK, RIGHT_MANAGE, &error);
                if (task_cap)
                        task = CONTAINER(task_cap->object, struct task, object);
        }
        if (!error && endpoint_slot)
                ep_cap = cap_find(self, endpoint_slot, CAP_ENDPOINT, RIGHT_SEND, &error);
        if (!error && buffer && !region_find(&task->regions, buffer, buffer + PAGE_SIZE,
                                             ACCESS_READ | ACCESS_WRITE))
                error = E_OWNER;
        if (!error)
                t = thread_new(self, task,
                               ep_cap ? CONTAINER(ep_cap->object, struct endpoint, object) : NULL,
                               ep_cap ? ep_cap->badge : 0, prio, &cpus[core], buffer, &error);
        if (!error)
                cap_install(cap, &t->object, CAP_THREAD, RIGHT_ALL, 0);
        big_unlock();
        return RESULT(error, error ? 0 : t->object.id);
}

static void ready_here(void *argument)
{
        thread_ready(argument);
}

void sys_thread_start(struct thread *self)
{
        enum ouzel_error error = E_OK;
        struct thread *t;

        big_lock();
        t = thread_at(self->regs.x[0], RIGHT_MANAGE, &error);
        if (t && (t->state != STATE_stopped || t->task->dying))
                error = E_STATE;
        if (!error) {
                uint64_t pc = self->regs.x[1], sp = self->regs.x[2];
                uint64_t x0 = self->regs.x[3], x1 = self->regs.x[4];
                memset(&t->regs, 0, sizeof(t->regs));
                t->regs.pc = pc;
                t->regs.sp = sp;
                t->regs.x[0] = x0;
                t->regs.x[1] = x1;
                t->regs.x[18] = t->block_va;
                t->mode = MODE_SERVER;
                t->stepping = false;
                t->nested = 0;
                cross_call(t->cpu, ready_here, t);
        }
        big_unlock();
        self->regs.x[0] = error;
}

void sys_thread_stop(struct thread *self)
{
        enum ouzel_error error = E_OK;
        struct thread *t;

        big_lock();
        t = thread_at(self->regs.x[0], RIGHT_MANAGE, &error);
        self->regs.x[0] = error;
        if (t)
                thread_halt(t);
        big_unlock();
}

struct setting {
        struct thread *t;
        unsigned prio;
        uint64_t budget, period;
        enum ouzel_error error;
};

static void set_here(void *argument)
{
        struct setting *set = argument;
        struct thread *t = set->t;

        if (!custody_ours(t)) {
                set->error = E_STATE; /* another core may be changing what we would */
                return;
        }
        bool queued = t->state == STATE_ready;
        if (queued)
                ready_remove(this_cpu(), t);
        t->prio = set->prio;
        timer_remove(&t->refill);
        t->budget = t->left = set->budget;
        t->period = set->period;
        thread_slow(t, set->budget ? SLOW_BUDGET : 0, SLOW_BUDGET);
        t->started = timer_now();
        if (set->budget)
                timer_add(&t->refill, t->started + set->period, refill_fire);
        if (queued || t->state == STATE_depleted)
                thread_ready(t);
        this_cpu()->resched = 1;
}

void sys_thread_set(struct thread *self)
{
        enum ouzel_error error = E_OK;
        struct setting set = {.prio = self->regs.x[1], .budget = self->regs.x[3],
                              .period = self->regs.x[4]};
        uint64_t core = self->regs.x[2];

        big_lock();
        set.t = thread_at(self->regs.x[0], RIGHT_MANAGE, &error);
        if (set.t) {
                if (core >= MAX_CPUS || !cpus[core].online || self->regs.x[1] > 255)
                        error = E_RANGE;
                else if (set.prio > self->prio)
                        error = E_RIGHTS;
                else if (set.budget > set.period || (set.period && !set.budget) ||
                         set.period > PERIOD_MAX ||
                         (set.budget && set.budget < timer_hz() / 100000))
                        error = E_INVALID; /* at least 10 us, at most the whole period */
                else if (set.t->cpu != &cpus[core] &&
                         (set.t->state != STATE_stopped || set.t->caller))
                        error = E_STATE; /* stop it first: then nothing of it is anywhere */
        }
        if (!error) {
                struct cpu *old = set.t->cpu;
                if (old != &cpus[core]) {
                        set.t->cpu = set.t->custody = &cpus[core];
                        quiesce(); /* no signal is on its way to the old one */
                        cross_call(old, timers_off, set.t);
                }
                cross_call(set.t->cpu, set_here, &set);
                error = set.error;
        }
        big_unlock();
        self->regs.x[0] = error;
}

struct result SYS1(thread_info, slot)
{
        enum ouzel_error error = E_OK;
        struct thread *self = current();
        struct thread *t = thread_at(slot, 0, &error);

        if (!t)
                return ERROR(error);
        self->regs.x[2] = t->task->object.id;
        self->regs.x[3] = t->cpu->id | t->prio << 8;
        self->regs.x[4] = t->object.id;
        self->regs.x[5] = t->regs.pc;
        return RESULT(E_OK, t->state);
}

void sys_thread_yield(struct thread *self)
{
        self->regs.x[0] = E_OK;
        this_cpu()->slice_end = 0;
        this_cpu()->resched = 1;
}
