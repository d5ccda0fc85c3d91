// SPDX-License-Identifier: MIT
/* programs.c -- what the pager started, and telling it what to do with them. */
#include "shell.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool load(unsigned i, struct program *p, uint64_t w[MSG_WORDS])
{
        if (pager_ask(PAGER_PROGRAM, i, 0, w))
                return false;
        memcpy(p->name, &w[5], PAGER_NAME);
        p->name[PAGER_NAME - 1] = 0;
        p->runs = w[0] & PAGER_RUNS;
        p->task = w[3];
        return true;
}

unsigned programs_load(struct program *p, unsigned max)
{
        uint64_t w[MSG_WORDS];
        unsigned n = 0;

        while (n < max && load(n, &p[n], w))
                n++;
        return n;
}

int program_find(const char *name)
{
        struct program p;
        uint64_t w[MSG_WORDS];

        for (unsigned i = 0; load(i, &p, w); i++)
                if (!strcmp(p.name, name))
                        return (int)i;
        printf("the manifest names no program `%s`; `programs` lists them\n", name);
        return -1;
}

void command_programs(int argc, char **argv)
{
        uint64_t w[MSG_WORDS], use[MSG_WORDS];
        struct program p;

        (void)argc, (void)argv;
        printf("program          state    task  memory KiB  faults  zeroed  mapped  copied  died  "
               "restarts\n");
        for (unsigned i = 0; load(i, &p, w); i++) {
                if (failed(p.name, pager_ask(PAGER_USE, i, 0, use)))
                        return;
                printf("%-16s %-8s", p.name, p.runs ? "runs" : "stopped");
                if (p.runs)
                        printf("%5lu%12lu", p.task, (w[2] + w[4]) >> 10);
                else
                        printf("%17s", "");
                printf("%8lu%8lu%8lu%8lu%6lu%6lu of %lu\n", use[0], use[1], use[2], use[3], use[6],
                       w[0] >> 8 & 0xffffff, w[0] >> 32);
        }
}

/* The one argument that these take; -1 if it makes no sense. */
static int program_named(int argc, char **argv)
{
        if (argc == 2)
                return program_find(argv[1]);
        printf("%s what? `programs` lists what there is\n", argv[0]);
        return -1;
}

static bool told(uint64_t label, int i, const char *name)
{
        uint64_t w[MSG_WORDS];
        enum ouzel_error e = pager_ask(label, (uint64_t)i, 0, w);

        if (label == PAGER_STOP && e == E_STATE)
                printf("`%s` does not run\n", name);
        else if (label == PAGER_START && e == E_BUSY)
                printf("`%s` runs already\n", name);
        else if (label == PAGER_START && e == E_AGAIN)
                printf("`%s` could not be started: the pager said why\n", name);
        else
                return !failed(name, e);
        return false;
}

void command_start(int argc, char **argv)
{
        int i = program_named(argc, argv);

        if (i >= 0 && told(PAGER_START, i, argv[1]))
                printf("`%s` was started\n", argv[1]);
}

void command_stop(int argc, char **argv)
{
        int i = program_named(argc, argv);

        if (i >= 0 && told(PAGER_STOP, i, argv[1]))
                printf("`%s` was stopped\n", argv[1]);
}

void command_restart(int argc, char **argv)
{
        int i = program_named(argc, argv);

        if (i >= 0 && told(PAGER_STOP, i, argv[1]) && told(PAGER_START, i, argv[1]))
                printf("`%s` was started again\n", argv[1]);
}

/* The clock's driver is a program of its own: the first that our manifest lets us call. */
void command_date(int argc, char **argv)
{
        struct message m = {.tag = MSG_TAG(argc > 1 ? 2 : 1, 0)};
        struct program p;
        uint64_t w[MSG_WORDS];
        char text[40];
        unsigned i = 0;

        if (argc > 2 || (argc == 2 && strcmp(argv[1], "next"))) {
                printf("`date`, or `date next`\n");
                return;
        }
        while (load(i, &p, w) && strcmp(p.name, "clock"))
                i++;
        if (strcmp(p.name, "clock") || !p.runs) {
                printf("no program `clock` runs\n");
                return;
        }
        if (failed("clock", ipc_call(SLOT_CALLS(0), &m)))
                return;
        if (failed("clock", (enum ouzel_error)(m.tag >> TAG_LABEL_SHIFT)))
                return;
        time_t seconds = (time_t)m.w[0];
        struct tm tm;
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&seconds, &tm));
        printf("%s\n", text);
}
