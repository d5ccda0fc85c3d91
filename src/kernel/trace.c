// SPDX-License-Identifier: MIT
/*
 * trace.c -- a ring of events per core, compiled in always. Off, it costs a load and a
 * branch where it stands in C, and nothing in the assembly paths: those are left while
 * tracing is on (CPU_NO_FAST).
 */
#include "sys.h"

uint64_t trace_mask;

void trace_add(enum ouzel_trace what, uint64_t a, uint64_t b, uint64_t c)
{
        struct cpu *cpu = this_cpu();

        cpu->trace[cpu->trace_next++ % TRACE_EVENTS] =
                (struct trace_event){timer_now(), what, a, b, c};
}

static bool control(unsigned right, enum ouzel_error *error)
{
        return cap_find(current()->task, SLOT_CONTROL, CAP_CONTROL, right, error) != NULL;
}

/* Bit 63: leave the fast paths even without tracing, to compare them with the slow ones. */
#define SLOW_ONLY (1ul << 63)

static void no_fast_here(void *argument)
{
        struct cpu *cpu = this_cpu();

        cpu->no_fast = argument != NULL;
        cpu->vectors[2] = cpu->vectors[0] + (argument ? 3 : 2) * VECTORS_SIZE;
        cpu->resched = 1; /* other vectors, from the way out on */
}

struct result SYS2(trace_control, slot, mask)
{
        enum ouzel_error error = E_OK;

        (void)slot;
        if (!control(CONTROL_DEBUG, &error))
                return ERROR(error);
        if (mask & ~(SLOW_ONLY | ((1ul << TRACE_MAX) - 1)))
                return ERROR(E_INVALID);
        big_lock();
        trace_mask = mask & ~SLOW_ONLY;
        cross_call_others(no_fast_here, mask ? &trace_mask : NULL);
        no_fast_here(mask ? &trace_mask : NULL);
        big_unlock();
        return ERROR(E_OK);
}

struct result SYS3(trace_read, slot, core, index)
{
        enum ouzel_error error = E_OK;
        struct thread *self = current();

        (void)slot;
        if (!control(CONTROL_DEBUG, &error))
                return ERROR(error);
        if (core >= MAX_CPUS || !cpus[core].online)
                return ERROR(E_RANGE);
        uint64_t n = cpus[core].trace_next;
        if (index >= n)
                return ERROR(E_AGAIN); /* index is an event's number since boot */
        if (n > TRACE_EVENTS && index < n - TRACE_EVENTS)
                return RESULT(E_RANGE, n - TRACE_EVENTS); /* overwritten: the oldest left */
        struct trace_event e = cpus[core].trace[index % TRACE_EVENTS];
        self->regs.x[2] = e.what;
        self->regs.x[3] = e.a;
        self->regs.x[4] = e.b;
        self->regs.x[5] = e.c;
        return RESULT(E_OK, e.time);
}

static uint64_t counter(const struct cpu *cpu, unsigned which)
{
        uint64_t n = cpu->counters[which];

        switch (which) { /* what the shortest paths count, each with one counter */
        case COUNT_entries:
                return n + cpu->n_entry + cpu->n_fast + cpu->n_ventry + cpu->n_vreturn;
        case COUNT_returns: /* every entry has one, but for those that end in idle */
                return n + cpu->n_entry + cpu->n_fast + cpu->n_ventry + cpu->n_vreturn;
        case COUNT_ttbr:
                return n + cpu->n_ttbr + cpu->n_ventry + cpu->n_vreturn;
        case COUNT_ipc_fast:
                return n + cpu->n_fast;
        case COUNT_sync:
        case COUNT_dsb:
                return n + cpu->n_added;
        }
        return n;
}

struct result SYS2(counters_read, core, which)
{
        enum ouzel_error error = E_OK;
        uint64_t sum = 0;

        if (!control(CONTROL_DEBUG, &error))
                return ERROR(error);
        if (which >= COUNT_MAX || (core != UINT64_MAX && (core >= MAX_CPUS || !cpus[core].online)))
                return ERROR(E_RANGE);
        for (unsigned i = 0; i < MAX_CPUS; i++)
                if (cpus[i].online && (core == UINT64_MAX || core == i))
                        sum += counter(&cpus[i], which);
        return RESULT(E_OK, sum);
}

/* ---- facts, objects, console, end ---------------------------------------------------------- */

struct result SYS2(kernel_info, slot, what)
{
        enum ouzel_error error = E_OK;
        uint64_t *x = current()->regs.x;

        (void)slot;
        if (!control(0, &error))
                return ERROR(error);
        x[2] = x[3] = 0;
        switch (what) {
        case INFO_CPUS:
                return RESULT(E_OK, boot.online);
        case INFO_FDT:
                x[2] = boot.fdt.end - boot.fdt.start;
                return RESULT(E_OK, boot.fdt.start);
        case INFO_ARCHIVE:
                x[2] = boot.archive.end - boot.archive.start;
                return RESULT(E_OK, boot.archive.start);
        case INFO_INITRD:
                x[2] = boot.initrd.end - boot.initrd.start;
                return RESULT(E_OK, boot.initrd.start);
        case INFO_KERNEL_MEMORY:
                x[2] = kmem_free_pages();
                return RESULT(E_OK, kmem_pages());
        case INFO_TIMER_HZ:
                return RESULT(E_OK, timer_hz());
        case INFO_CONSOLE:
                x[2] = boot.console_irq;
                x[3] = boot.console_type;
                return RESULT(E_OK, boot.console_pa);
        case INFO_GIC:
                x[2] = boot.gic_lines;
                return RESULT(E_OK, boot.gic_version);
        case INFO_VERSION:
                return RESULT(E_OK, OUZEL_ABI_VERSION);
        }
        return ERROR(E_RANGE);
}

/* kind CAP_TASK: x1 id, x2 quota, x3 used, x4 parent; CAP_THREAD: as thread_info. */
struct result SYS3(object_next, slot, kind, index)
{
        enum ouzel_error error = E_OK;
        uint64_t *x = current()->regs.x;
        uint64_t value = 0;

        (void)slot;
        if (!control(CONTROL_DEBUG, &error))
                return ERROR(error);
        if (kind != CAP_TASK && kind != CAP_THREAD)
                return ERROR(E_INVALID);
        big_lock();
        error = E_AGAIN;
        for (unsigned i = 0; i < MAX_TASKS && error; i++) {
                struct task *task = tasks[i];
                if (!task)
                        continue;
                if (kind == CAP_TASK && index-- == 0) {
                        value = i;
                        x[2] = task->quota;
                        x[3] = task->used;
                        x[4] = task->parent ? task->parent->object.id : i;
                        error = E_OK;
                }
                for (struct object *o = task->owned; kind == CAP_THREAD && o && error;
                     o = o->next_owned) {
                        if (o->type != CAP_THREAD || index-- != 0)
                                continue;
                        struct thread *t = CONTAINER(o, struct thread, object);
                        value = t->state;
                        x[2] = t->task->object.id;
                        x[3] = t->cpu->id | t->prio << 8;
                        x[4] = t->object.id;
                        x[5] = t->regs.pc;
                        error = E_OK;
                }
        }
        big_unlock();
        return RESULT(error, value);
}

struct result SYS4(debug_write, count, a, b, c)
{
        enum ouzel_error error = E_OK;
        uint64_t words[] = {a, b, c};

        if (!control(CONTROL_DEBUG, &error))
                return ERROR(error);
        if (count > sizeof(words))
                return ERROR(E_RANGE);
        for (unsigned i = 0; i < count; i++)
                console_putc(words[i / 8] >> (i % 8 * 8) & 0xff);
        return ERROR(E_OK);
}

struct result SYS1(debug_read, slot)
{
        enum ouzel_error error = E_OK;
        int c;

        (void)slot;
        if (!control(CONTROL_DEBUG, &error))
                return ERROR(error);
        c = console_getc();
        return c < 0 ? ERROR(E_AGAIN) : RESULT(E_OK, c);
}

struct result SYS2(system_control, slot, what)
{
        enum ouzel_error error = E_OK;

        (void)slot;
        if (!control(CONTROL_SYSTEM, &error))
                return ERROR(error);
        if (what == SYSTEM_OFF)
                system_off();
        if (what == SYSTEM_RESET)
                system_reset();
        return ERROR(E_INVALID);
}

struct result SYS1(kernel_check, slot)
{
        enum ouzel_error error = E_OK;
        uint64_t wrong;

        (void)slot;
        if (!control(CONTROL_SYSTEM, &error))
                return ERROR(error);
        big_lock();
        quiesce();
        wrong = kernel_check(true);
        big_unlock();
        return RESULT(wrong ? E_DIFFERS : E_OK, wrong);
}
