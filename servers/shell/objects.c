// SPDX-License-Identifier: MIT
/* objects.c -- tasks, threads, memory, interrupts: the kernel's list and the pager's. */
#include "shell.h"

#include <stdio.h>
#include <string.h>

#define MAX_PROGRAMS 32

static struct program names[MAX_PROGRAMS];
static unsigned n_names;

void names_load(void)
{
        n_names = programs_load(names, MAX_PROGRAMS);
}

const char *task_name(uint64_t id)
{
        if (id == 0)
                return "pager"; /* the root task */
        for (unsigned i = 0; i < n_names; i++)
                if (names[i].runs && names[i].task == id)
                        return names[i].name;
        return "-";
}

void command_tasks(int argc, char **argv)
{
        struct ouzel_result r;

        (void)argc, (void)argv;
        names_load();
        printf("task  name             parent  kernel memory KiB: quota    used\n");
        for (unsigned i = 0; !(r = RESULT_OF(object_next, SLOT_CONTROL, CAP_TASK, i)).error; i++)
                printf("%4lu  %-16s%7lu%25lu%8lu\n", r.v1, task_name(r.v1), r.v4, r.v2 * 4,
                       r.v3 * 4);
        if (r.error != E_AGAIN)
                failed("tasks", (enum ouzel_error)r.error);
}

static const char *state_name(uint64_t state)
{
        static const char *const names_of[] = {
#define OUZEL_S(name) #name,
                OUZEL_STATES(OUZEL_S)
#undef OUZEL_S
        };

        return state < sizeof(names_of) / sizeof(names_of[0]) ? names_of[state] : "?";
}

void command_threads(int argc, char **argv)
{
        struct ouzel_result r;

        (void)argc, (void)argv;
        names_load();
        printf("thread  task             core  priority  state         pc\n");
        for (unsigned i = 0; !(r = RESULT_OF(object_next, SLOT_CONTROL, CAP_THREAD, i)).error; i++)
                printf("%6lu  %-16s%5lu%10lu  %-12s  %lx\n", r.v4, task_name(r.v2), r.v3 & 0xff,
                       r.v3 >> 8, state_name(r.v1), r.v5);
        if (r.error != E_AGAIN)
                failed("threads", (enum ouzel_error)r.error);
}

/* ---- memory -------------------------------------------------------------------------------- */

void command_memory(int argc, char **argv)
{
        struct ouzel_result pool = RESULT_OF(kernel_info, SLOT_CONTROL, INFO_KERNEL_MEMORY);
        uint64_t w[MSG_WORDS], status[MSG_WORDS];

        (void)argc, (void)argv;
        if (failed("pager", pager_ask(PAGER_STATUS, 0, 0, status)))
                return;
        printf("for programs     %8lu KiB\n", status[3] >> 10);
        names_load();
        for (unsigned i = 0; i < n_names; i++)
                if (names[i].runs && !pager_ask(PAGER_PROGRAM, i, 0, w))
                        printf("  %-14s %8lu KiB  at %lx%s\n", names[i].name,
                               (w[2] + w[4]) >> 10, w[1], w[4] ? ", and more later" : "");
        printf("  free           %8lu KiB  in %lu range%s, the largest %lu KiB\n", status[0] >> 10,
               status[1], status[1] == 1 ? "" : "s", status[2] >> 10);
        printf("for the kernel   %8lu KiB\n", pool.v1 * 4);
        printf("  in quotas      %8lu KiB\n", status[6] * 4);
        printf("  not given out  %8lu KiB\n", (status[5] - status[6]) * 4);
        printf("  free           %8lu KiB\n", pool.v2 * 4);
}

static void regions_show(const char *name, uint64_t who)
{
        uint64_t w[MSG_WORDS];

        for (unsigned i = 0; !pager_ask(PAGER_REGION, who, i, w); i++) {
                uint64_t r = w[2];
                printf("%-16s %16lx %12lu KiB  %c%c%c%s%s\n", i ? "" : name, w[0], w[1] >> 10,
                       r & ACCESS_READ ? 'r' : '-', r & ACCESS_WRITE ? 'w' : '-',
                       r & ACCESS_EXEC ? 'x' : '-', r & REGION_DEVICE ? " device" : "",
                       r & REGION_WX ? " wx" : "");
        }
}

static void free_show(void)
{
        uint64_t w[MSG_WORDS];

        for (unsigned i = 0; !pager_ask(PAGER_FREE, i, 0, w); i++)
                printf("%-16s %16lx %12lu KiB\n", i ? "" : "free", w[0], w[1] >> 10);
}

void command_regions(int argc, char **argv)
{
        int only = -1;

        if (argc > 2) {
                printf("`regions`, or `regions` and one program, `pager` or `free`\n");
                return;
        }
        bool all = argc < 2, pager_only = !all && !strcmp(argv[1], "pager"),
             free_only = !all && !strcmp(argv[1], "free");
        if (!all && !pager_only && !free_only && (only = program_find(argv[1])) < 0)
                return;
        names_load();
        printf("owner                       start           size  rights\n");
        if (all || pager_only)
                regions_show("pager", UINT64_MAX);
        for (unsigned i = 0; i < n_names; i++)
                if (names[i].runs && (all || only == (int)i))
                        regions_show(names[i].name, i);
        if (all || free_only)
                free_show();
}

/* ---- interrupts ---------------------------------------------------------------------------- */

void command_interrupts(int argc, char **argv)
{
        struct ouzel_result gic = RESULT_OF(kernel_info, SLOT_CONTROL, INFO_GIC);
        uint64_t w[MSG_WORDS];
        unsigned n = 0;

        (void)argc, (void)argv;
        printf("GICv%lu, %lu lines; taken", gic.v1, gic.v2);
        for (unsigned i = 0; i < cores(); i++)
                printf(" %lu on core %u%s", RESULT_OF(counters_read, i, COUNT_irqs).v1, i,
                       i + 1 < cores() ? "," : "\n");
        names_load();
        for (unsigned i = 0; i < n_names; i++)
                for (unsigned k = 0; names[i].runs && !pager_ask(PAGER_LINE, i, k, w); k++, n++)
                        printf("line %3lu  %-5s  %s\n", w[0], w[1] & IRQ_EDGE ? "edge" : "level",
                               names[i].name);
        if (!n)
                printf("no program has a line\n");
}
