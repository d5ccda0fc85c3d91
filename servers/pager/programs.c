// SPDX-License-Identifier: MIT
/* programs.c -- the life of a program, native or Linux: what it gets, and that it comes back. */
#include "pager.h"

#include <stdio.h>
#include <string.h>

/* Endpoints between programs: ours, so they outlive whoever is at either end. */
static enum ouzel_error endpoint_of(struct program *p)
{
        enum ouzel_error e = CALL(endpoint_create, slot_of(p, AT_SERVICE), p->entry->core);

        if (e == E_RANGE) /* that core does not run: nor will its program */
                e = CALL(endpoint_create, slot_of(p, AT_SERVICE), 0);
        return e == E_BUSY ? E_OK : e; /* it has been made for somebody before */
}

static enum ouzel_error endpoints_give(struct program *p)
{
        enum ouzel_error e = E_OK;

        if (p->entry->called) {
                e = endpoint_of(p);
                if (!e)
                        e = CALL(cap_copy, slot_of(p, AT_TASK), SLOT_SERVICE,
                                 slot_of(p, AT_SERVICE), RIGHT_RECV, 0);
        }
        for (unsigned i = 0; i < p->entry->n_calls && !e; i++) {
                struct program *to = &programs[p->entry->calls[i]];
                to->entry = &manifest.entry[p->entry->calls[i]]; /* not started yet, perhaps */
                e = endpoint_of(to);
                if (!e)
                        e = CALL(cap_copy, slot_of(p, AT_TASK), SLOT_CALLS(i),
                                 slot_of(to, AT_SERVICE), RIGHT_SEND, program_index(p) + 1);
        }
        return e;
}

bool program_make(struct program *p, uint64_t size, uint64_t align)
{
        struct ouzel_result info = RESULT_OF(task_info, SLOT_TASK);
        uint64_t quota = p->entry->quota / 4096;
        const char *what = "make a task";
        enum ouzel_error e;

        p->quota = 0;
        if (p->entry->quota == MANIFEST_REST) /* an eighth stays for us and who comes later */
                quota = (info.v1 - info.v2) / 8 * 7;
        p->block = memory_take(&memory, size, align);
        if (!p->block) {
                printf("pager: no %lu KiB of contiguous memory for `%s` (%lu KiB free): give the "
                       "machine more, or ask for less in line %u of the manifest\n", size >> 10,
                       name_of(p), memory.free >> 10, p->entry->line);
                return false;
        }
        p->size = size;
        p->running = true;
        e = CALL(task_create, slot_of(p, AT_TASK), quota);
        if (e == E_QUOTA) {
                printf("pager: no %lu KiB of kernel memory for `%s` (%lu KiB free): give the "
                       "machine more, or ask for less in line %u of the manifest\n", quota * 4,
                       name_of(p), (info.v1 - info.v2) * 4, p->entry->line);
                program_end(p);
                return false;
        }
        if (!e) {
                p->quota = quota;
                what = "grant memory";
                e = CALL(region_grant, slot_of(p, AT_TASK), p->block, size, memory_rights(p));
        }
        if (!e) {
                what = "give capabilities";
                e = CALL(cap_copy, SLOT_TASK, slot_of(p, AT_ENDPOINT), SLOT_EP,
                         RIGHT_SEND | RIGHT_GRANT, program_index(p) + 1);
        }
        if (!e)
                e = CALL(cap_copy, slot_of(p, AT_TASK), SLOT_PARENT, slot_of(p, AT_ENDPOINT),
                         RIGHT_SEND, 0);
        if (!e && p->entry->control)
                e = CALL(cap_copy, slot_of(p, AT_TASK), SLOT_CONTROL, SLOT_CONTROL,
                         CONTROL_DEBUG | CONTROL_SYSTEM | CONTROL_IRQ, 0);
        if (!e)
                e = endpoints_give(p);
        if (!e)
                return true;
        printf("pager: `%s`: can't %s: %s\n", name_of(p), what, error_text(e));
        program_end(p);
        return false;
}

static uint64_t kernel_pages_used(void)
{
        return RESULT_OF(task_info, SLOT_TASK).v2;
}

void memory_clear(uint64_t pa, uint64_t size)
{
        uint64_t ctr, at = (uint64_t)direct(pa), end = at + size;

        memset(direct(pa), 0, size);
        /* It may be mapped past the caches. [Arm ARM D19.2.34: CTR_EL0.DminLine, in words] */
        __asm__("mrs %0, ctr_el0" : "=r"(ctr));
        for (; at < end; at += 4ul << (ctr >> 16 & 15))
                __asm__ volatile("dc civac, %0" ::"r"(at) : "memory");
        __asm__ volatile("dsb sy" ::: "memory"); /* before anybody else has it */
}

void memory_free(uint64_t start, uint64_t end)
{
        if (!memory_add(&memory, start, end))
                printf("pager: memory from %lx to %lx is lost: too many pieces\n", start, end);
}

void program_end(struct program *p)
{
        uint64_t before = kernel_pages_used(), back = p->quota + p->threads + p->irqs;

        p->running = false;
        for (unsigned i = 0; i < p->threads; i++)
                CALL(cap_delete, slot_of(p, AT_THREAD + i));
        for (unsigned i = 0; i < p->irqs; i++)
                CALL(cap_delete, slot_of(p, AT_IRQ + i));
        CALL(task_destroy, slot_of(p, AT_TASK));
        CALL(cap_delete, slot_of(p, AT_ENDPOINT));
        devices_reset(p); /* before its memory is anybody's */
        memory_return(p);
        if (!p->entry->is_linux) /* who takes it is clean, but Linux: it takes what there is */
                memory_clear(p->block, p->size);
        memory_free(p->block, p->block + p->size);
        while (p->n_more) {
                p->n_more--;
                memory_free(p->more[p->n_more].start, p->more[p->n_more].end);
        }
        p->threads = p->irqs = p->devices = p->n_segments = 0;
        p->block = p->size = p->quota = 0;
        if (before - kernel_pages_used() != back)
                printf("pager: `%s` gave %lu pages of kernel memory back, it had %lu\n", name_of(p),
                       before - kernel_pages_used(), back);
}

bool program_start(struct program *p)
{
        struct ouzel_result cpus = RESULT_OF(kernel_info, SLOT_CONTROL, INFO_CPUS);

        if (p->entry->core >= cpus.v1) {
                printf("pager: `%s` wants core %u, only %lu run: say another in line %u of the "
                       "manifest\n", name_of(p), p->entry->core, cpus.v1, p->entry->line);
                return false;
        }
        return p->entry->is_linux ? linux_start(p) : native_start(p);
}

static bool anything_runs(void)
{
        for (unsigned i = 0; i < manifest.n; i++)
                if (programs[i].running)
                        return true;
        return false;
}

void nothing_runs(void)
{
        if (anything_runs())
                return;
        printf("pager: nothing runs any more: switching off\n");
        CALL(system_control, SLOT_CONTROL, SYSTEM_OFF);
}

void program_over(struct program *p, bool again)
{
        program_end(p);
        p->deaths += again;
        if (again && p->restarts < p->entry->restart) {
                p->restarts++;
                printf("pager: starting `%s` again (%u of %u)\n", name_of(p), p->restarts,
                       p->entry->restart);
                program_start(p);
        } else if (again && p->entry->restart) {
                printf("pager: `%s` was restarted %u times: enough\n", name_of(p), p->restarts);
        }
        nothing_runs();
}
