// SPDX-License-Identifier: MIT
/* requests.c -- what programs ask of the pager: include/ouzel/pager.h. */
#include "pager.h"

#include <stdio.h>
#include <string.h>

#define MAX_EXTRAS 128

static struct { struct program *program; uint64_t pa, size; } extras[MAX_EXTRAS];

/* ---- more memory ----------------------------------------------------------------------- */

static enum ouzel_error memory_get(struct program *p, uint64_t size, uint64_t *pa)
{
        unsigned i = 0;

        if (size % 4096)
                return E_ALIGN;
        if (!size)
                return E_INVALID;
        if (size > p->entry->extra - p->extra)
                return E_RIGHTS;
        while (i < MAX_EXTRAS && extras[i].program)
                i++;
        if (i == MAX_EXTRAS)
                return E_LIMIT;
        *pa = memory_take(&memory, size, size >= 2ul << 20 ? 2ul << 20 : 4096);
        if (!*pa)
                return E_AGAIN;
        memory_clear(*pa, size);
        enum ouzel_error e = CALL(region_grant, slot_of(p, AT_TASK), *pa, size, memory_rights(p));
        if (e) {
                memory_free(*pa, *pa + size);
                return e;
        }
        extras[i].program = p;
        extras[i].pa = *pa;
        extras[i].size = size;
        p->extra += size;
        return E_OK;
}

static void extra_free(unsigned i)
{
        memory_clear(extras[i].pa, extras[i].size); /* Linux takes memory as it is */
        memory_free(extras[i].pa, extras[i].pa + extras[i].size);
        extras[i].program->extra -= extras[i].size;
        extras[i].program = NULL;
}

static enum ouzel_error memory_put(struct program *p, uint64_t pa)
{
        for (unsigned i = 0; i < MAX_EXTRAS; i++) {
                if (extras[i].program != p || extras[i].pa != pa)
                        continue;
                enum ouzel_error e = CALL(region_revoke, slot_of(p, AT_TASK), pa, extras[i].size);
                if (!e)
                        extra_free(i);
                return e;
        }
        return E_OWNER;
}

void memory_return(struct program *p)
{
        for (unsigned i = 0; i < MAX_EXTRAS; i++)
                if (extras[i].program == p)
                        extra_free(i); /* the task is gone, and its regions with it */
}

/* ---- what there is ----------------------------------------------------------------------- */

static enum ouzel_error device(const struct program *p, uint64_t w[MSG_WORDS])
{
        uint64_t i = w[0];

        if (i >= p->devices)
                return E_RANGE;
        w[0] = p->device[i].pa;
        w[1] = p->device[i].size;
        w[4] = p->device[i].irqs;
        w[2] = w[4] ? SLOT_LINE(p->device[i].irq) : 0;
        w[3] = w[4] ? p->irq[p->device[i].irq].line : 0;
        return E_OK;
}

/* What it has by the manifest: Linux may have several pieces. */
static uint64_t memory_of(const struct program *p)
{
        uint64_t size = p->size;

        for (unsigned i = 0; i < p->n_more; i++)
                size += p->more[i].end - p->more[i].start;
        return size;
}

static void status(uint64_t w[MSG_WORDS])
{
        struct ouzel_result info = RESULT_OF(task_info, SLOT_TASK);

        w[0] = memory.free;
        w[1] = memory.n;
        w[2] = memory_largest(&memory, 4096);
        w[3] = 0;
        for (unsigned i = 0; i < MANIFEST_ENTRIES; i++)
                w[3] += memory_of(&programs[i]) + programs[i].extra;
        w[3] += memory.free;
        w[4] = manifest.n;
        w[5] = info.v1;
        w[6] = info.v2;
        w[7] = ouzel_printed;
}

static enum ouzel_error print(const uint64_t w[MSG_WORDS])
{
        if (w[0] > (MSG_WORDS - 1) * sizeof(w[0]))
                return E_RANGE;
        fwrite(&w[1], 1, w[0], stdout);
        fflush(stdout);
        return E_OK;
}

static void program_tell(const struct program *p, uint64_t w[MSG_WORDS])
{
        w[0] = (p->running ? PAGER_RUNS : 0) | (uint64_t)p->restarts << 8 |
               (uint64_t)p->entry->restart << 32;
        w[1] = p->block;
        w[2] = memory_of(p);
        w[3] = p->running ? RESULT_OF(task_info, slot_of(p, AT_TASK)).v3 : 0;
        w[4] = p->extra;
        memcpy(&w[5], p->entry->name, PAGER_NAME);
}

static void use_tell(const struct program *p, uint64_t w[MSG_WORDS])
{
        w[0] = p->faults;
        w[1] = p->zeroed;
        w[2] = p->mapped;
        w[3] = p->copied;
        w[4] = p->devices;
        w[5] = p->irqs;
        w[6] = p->deaths;
}

static enum ouzel_error region_tell(const struct program *p, uint64_t w[MSG_WORDS])
{
        struct ouzel_result r = RESULT_OF(region_query, p ? slot_of(p, AT_TASK) : SLOT_TASK, w[1]);

        w[0] = r.v1;
        w[1] = r.v2;
        w[2] = r.v3;
        return (enum ouzel_error)r.error;
}

static enum ouzel_error free_tell(uint64_t w[MSG_WORDS])
{
        uint64_t i = w[0];

        if (i >= memory.n)
                return E_RANGE;
        w[0] = memory.range[i].start;
        w[1] = memory.range[i].end - memory.range[i].start;
        return E_OK;
}

static enum ouzel_error line_tell(const struct program *p, uint64_t w[MSG_WORDS])
{
        uint64_t i = w[1];

        if (i >= p->irqs)
                return E_RANGE;
        w[0] = p->irq[i].line;
        w[1] = p->irq[i].flags;
        return E_OK;
}

/* ---- start and stop ------------------------------------------------------------------------ */

static enum ouzel_error start(struct program *p)
{
        if (p->running)
                return E_BUSY;
        p->restarts = 0;
        return program_start(p) ? E_OK : E_AGAIN;
}

static enum ouzel_error stop(struct program *p)
{
        if (!p->running)
                return E_STATE;
        program_over(p, false);
        return E_OK;
}

/* Requests of programs with `control`. */
static enum ouzel_error managed(uint64_t label, uint64_t w[MSG_WORDS])
{
        struct program *p = w[0] < manifest.n ? &programs[w[0]] : NULL;

        switch (label) {
        case PAGER_STATUS:
                status(w);
                return E_OK;
        case PAGER_FREE:
                return free_tell(w);
        case PAGER_REGION:
                return p || w[0] == UINT64_MAX ? region_tell(p, w) : E_RANGE;
        }
        if (!p)
                return E_RANGE;
        switch (label) {
        case PAGER_PROGRAM:
                program_tell(p, w);
                return E_OK;
        case PAGER_USE:
                use_tell(p, w);
                return E_OK;
        case PAGER_LINE:
                return line_tell(p, w);
        case PAGER_START:
                return start(p);
        case PAGER_STOP:
                return stop(p);
        }
        return E_NOCALL;
}

enum ouzel_error request(struct program *p, uint64_t label, uint64_t w[MSG_WORDS])
{
        switch (label) {
        case PAGER_MEMORY_GET:
                return memory_get(p, w[0], &w[0]);
        case PAGER_MEMORY_PUT:
                return memory_put(p, w[0]);
        case PAGER_DEVICE:
                return device(p, w);
        case PAGER_PRINT:
                return print(w);
        }
        if (label < PAGER_STATUS || label > PAGER_STOP)
                return E_NOCALL;
        return p->entry->control ? managed(label, w) : E_RIGHTS;
}
