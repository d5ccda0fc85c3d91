// SPDX-License-Identifier: MIT
/* trace.c -- the rings of all cores, as one list in the order of time. */
#include "shell.h"

#include <stdio.h>
#include <string.h>

#define MAX_CORES   8
#define RING        512 /* events that each core keeps */
#define SHOW        30  /* as many as fit a screen, unless another number is asked for */
#define MAX_THREADS 64

static const char *const classes[] = {
#define OUZEL_T(name) #name,
        OUZEL_TRACES(OUZEL_T)
#undef OUZEL_T
};

static uint64_t mask; /* what we switched on */

/* argv[from...]: classes as a mask, and perhaps a number at the end. False: nonsense. */
static bool parse(int argc, char **argv, int from, uint64_t *wanted, uint64_t *n)
{
        *wanted = 0;
        for (int i = from; i < argc; i++) {
                unsigned k = 0;
                while (k < TRACE_MAX && strcmp(classes[k], argv[i]))
                        k++;
                if (k < TRACE_MAX) {
                        *wanted |= 1ul << k;
                } else if (!n || i != argc - 1 || !number(argv[i], n)) {
                        printf("`%s` is no class of events; there are", argv[i]);
                        for (k = 0; k < TRACE_MAX; k++)
                                printf(" %s", classes[k]);
                        printf("\n");
                        return false;
                }
        }
        if (!*wanted)
                *wanted = (1ul << TRACE_MAX) - 1;
        return true;
}

static void control(uint64_t new_mask)
{
        if (failed("trace", CALL(trace_control, SLOT_CONTROL, new_mask)))
                return;
        mask = new_mask;
        printf("trace:");
        for (unsigned k = 0; k < TRACE_MAX; k++)
                if (mask & 1ul << k)
                        printf(" %s", classes[k]);
        printf("%s\n", mask ? "" : " off");
}

/* ---- who is who ---------------------------------------------------------------------------- */

static struct { uint64_t id, task; } threads[MAX_THREADS];
static unsigned n_threads;

static void threads_load(void)
{
        struct ouzel_result r;

        names_load();
        for (n_threads = 0; n_threads < MAX_THREADS; n_threads++) {
                r = RESULT_OF(object_next, SLOT_CONTROL, CAP_THREAD, n_threads);
                if (r.error)
                        return;
                threads[n_threads].id = r.v4;
                threads[n_threads].task = r.v2;
        }
}

static const char *thread_text(uint64_t id, char *text, size_t size)
{
        for (unsigned i = 0; i < n_threads; i++) {
                if (threads[i].id == id) {
                        snprintf(text, size, "%lu (%s)", id, task_name(threads[i].task));
                        return text;
                }
        }
        snprintf(text, size, id ? "%lu" : "idle", id);
        return text;
}

/* ---- show ---------------------------------------------------------------------------------- */

struct cursor { uint64_t at, end; struct ouzel_result event; bool has; };

static void event_show(unsigned core, const struct ouzel_result *e, uint64_t hz)
{
        char a[40], b[40];
        uint64_t t = e->v1;

        printf("%4lu.%06lu  %u  %-7s", t / hz, t % hz * 1000000 / hz, core,
               e->v2 < TRACE_MAX ? classes[e->v2] : "?");
        switch (e->v2) {
        case TRACE_switch:
                printf("%s -> %s, priority %lu\n", thread_text(e->v3, a, sizeof(a)),
                       thread_text(e->v4, b, sizeof(b)), e->v5);
                break;
        case TRACE_ipc:
                printf("%s -> %s, label %lx, %lu words\n", thread_text(e->v3, a, sizeof(a)),
                       thread_text(e->v4, b, sizeof(b)), e->v5 >> TAG_LABEL_SHIFT,
                       e->v5 & TAG_WORDS_MASK);
                break;
        case TRACE_fault:
                printf("esr %lx, address %lx, pc %lx\n", e->v3, e->v4, e->v5);
                break;
        case TRACE_map:
                printf("up to %lx, flags %lx, %lu pages\n", e->v3, e->v4, e->v5);
                break;
        case TRACE_irq:
                printf("line %lu\n", e->v3);
                break;
        case TRACE_vcpu:
                printf("%s enters at %lx, esr %lx\n", thread_text(e->v3, a, sizeof(a)), e->v4,
                       e->v5);
                break;
        case TRACE_object:
                printf("call %lu, object %lu, %lx\n", e->v3, e->v4, e->v5);
                break;
        default:
                printf("%lx %lx %lx\n", e->v3, e->v4, e->v5);
        }
}

/* The next event of the wanted classes; those that were overwritten meanwhile are gone. */
static void advance(struct cursor *c, unsigned core, uint64_t wanted)
{
        for (c->has = false; c->at < c->end && !c->has;) {
                c->event = RESULT_OF(trace_read, SLOT_CONTROL, core, c->at);
                if (c->event.error == E_RANGE && c->event.v1 > c->at) {
                        c->at = c->event.v1;
                        continue;
                }
                if (c->event.error)
                        return;
                c->at++;
                c->has = wanted >> c->event.v2 & 1;
        }
}

static void cursor_begin(struct cursor *c, unsigned core)
{
        struct ouzel_result r = RESULT_OF(trace_read, SLOT_CONTROL, core, 0);

        c->at = r.error == E_RANGE ? r.v1 : 0;
        for (c->end = c->at; !RESULT_OF(trace_read, SLOT_CONTROL, core, c->end).error; c->end++)
                if (c->end - c->at == RING)
                        break;
}

/* Take the oldest event of all cores; false when there is none. */
static bool next(struct cursor *c, unsigned n, uint64_t wanted, unsigned *core,
                 struct ouzel_result *event)
{
        *core = n;
        for (unsigned i = 0; i < n; i++)
                if (c[i].has && (*core == n || c[i].event.v1 < c[*core].event.v1))
                        *core = i;
        if (*core == n)
                return false;
        *event = c[*core].event;
        advance(&c[*core], *core, wanted);
        return true;
}

static void show(uint64_t wanted, uint64_t count)
{
        struct cursor c[MAX_CORES], start[MAX_CORES];
        unsigned n = cores() < MAX_CORES ? cores() : MAX_CORES, core;
        struct ouzel_result event;
        uint64_t all = 0, hz = timer_hz();

        threads_load();
        for (unsigned i = 0; i < n; i++) {
                cursor_begin(&c[i], i);
                advance(&c[i], i, wanted);
                start[i] = c[i];
        }
        while (next(c, n, wanted, &core, &event))
                all++;
        if (!all) {
                printf("no events%s\n", mask ? "" : "; `trace on` starts recording");
                return;
        }
        printf("  seconds   core class\n");
        for (uint64_t i = 0; next(start, n, wanted, &core, &event); i++)
                if (i + count >= all)
                        event_show(core, &event, hz);
}

void command_trace(int argc, char **argv)
{
        uint64_t wanted, n = SHOW;

        if (argc > 1 && !strcmp(argv[1], "on")) {
                if (parse(argc, argv, 2, &wanted, NULL))
                        control(wanted);
        } else if (argc == 2 && !strcmp(argv[1], "off")) {
                control(0);
        } else if (argc == 1 || !strcmp(argv[1], "show")) {
                if (parse(argc, argv, 2, &wanted, &n))
                        show(wanted, n);
        } else {
                printf("trace on [CLASS...], trace off, or trace show [CLASS...] [N]\n");
        }
}
