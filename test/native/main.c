// SPDX-License-Identifier: MIT
/* main.c -- runs the tests, and takes down what each of them made. */
#include "test.h"

#include <stdio.h>

#define LIMIT_S    60 /* a test that takes longer hangs */
#define STACK_SIZE 4096
#define WORKERS    48
#define RUNS_MAX   8

uint64_t hz, block_pa, block_size, image_size;
unsigned cores;
const char *boot_args = "";

extern const struct test __tests_start[], __tests_end[]; /* program.lds */

static unsigned next_slot = SLOT_TEST_FIRST;
static uint64_t next_frame;
static struct worker workers[WORKERS];
static unsigned n_workers;
static __attribute__((aligned(16))) uint8_t stacks[WORKERS][STACK_SIZE];
static __attribute__((aligned(16))) uint8_t test_stack[32768], crash_stack[STACK_SIZE];

/* Our image in our own space: runs of pages with the same rights. */
static struct run { uint64_t va, pa, pages; unsigned rights; } runs[RUNS_MAX];
static unsigned n_runs;

static const struct test *running;
static unsigned n_done;

/* ---- failures ------------------------------------------------------------------------------ */

static struct {
        uint32_t taken, ready;
        const char *file, *what;
        int line;
        uint64_t got, want;
        bool error;
} failure;
static const char *na;

void fail(const char *file, int line, const char *what, uint64_t got, uint64_t want, bool error)
{
        if (__atomic_exchange_n(&failure.taken, 1, __ATOMIC_RELAXED))
                return;
        failure.file = file;
        failure.line = line;
        failure.what = what;
        failure.got = got;
        failure.want = want;
        failure.error = error;
        __atomic_store_n(&failure.ready, 1, __ATOMIC_RELEASE);
}

bool failed(void)
{
        return __atomic_load_n(&failure.taken, __ATOMIC_RELAXED);
}

void not_applicable(const char *why)
{
        na = why;
}

static const char *error_name(uint64_t error)
{
        static const char *const names[] = {
#define OUZEL_E(nr, name, text) [nr] = #name,
                OUZEL_ERRORS(OUZEL_E)
#undef OUZEL_E
        };

        return error < sizeof(names) / sizeof(names[0]) ? names[error] : "?";
}

static void report(void)
{
        n_done++;
        if (!__atomic_load_n(&failure.ready, __ATOMIC_ACQUIRE)) {
                printf("TEST %s: %s%s%s\n", running->name, na ? "n/a" : "ok", na ? " " : "",
                       na ? na : "");
                return;
        }
        const char *slash = strrchr(failure.file, '/');
        printf("TEST %s: FAILED %s:%d: %s: ", running->name, slash ? slash + 1 : failure.file,
               failure.line, failure.what);
        if (failure.error)
                printf("got %s, expected %s\n", error_name(failure.got), error_name(failure.want));
        else
                printf("got 0x%lx, expected 0x%lx\n", failure.got, failure.want);
}

/* ---- memory, slots ----------------------------------------------------------------------------- */

unsigned slots_new(unsigned n)
{
        unsigned slot = next_slot;

        if (slot + n > SLOT_TEST_LAST) {
                fail(__FILE__, __LINE__, "slots for a test", slot, SLOT_TEST_LAST, false);
                return SLOT_TEST_LAST;
        }
        next_slot += n;
        return slot;
}

uint64_t frames_aligned(unsigned n, uint64_t align)
{
        uint64_t pa = (next_frame + align - 1) & ~(align - 1);

        if (pa + n * 4096ul > block_pa + block_size)
                return 0;
        next_frame = pa + n * 4096ul;
        memset(frame_va(pa), 0, n * 4096ul);
        return pa;
}

uint64_t frames_new(unsigned n)
{
        uint64_t pa = frames_aligned(n, 4096);

        if (!pa)
                fail(__FILE__, __LINE__, "frames for a test", n, 0, false);
        return pa;
}

struct usage usage_of(unsigned task)
{
        struct ouzel_result r = RESULT_OF(task_info, task);

        return (struct usage){.used = r.v2, .regions = r.v4, .free = r.v5};
}

/* Everything of the test's goes: threads first, then tasks, then the rest. */
static void take_down(void)
{
        static const unsigned order[] = {CAP_THREAD, CAP_TASK, CAP_NONE};

        for (unsigned i = 0; i < 3; i++) {
                for (unsigned slot = next_slot; slot-- > SLOT_TEST_FIRST;) {
                        struct ouzel_result r = RESULT_OF(cap_probe, slot);
                        unsigned type = r.v1 & 0xff;
                        if (r.error || (order[i] != CAP_NONE && type != order[i]))
                                continue;
                        if (type == CAP_TASK)
                                CALL(task_destroy, slot);
                        CALL(cap_delete, slot);
                }
        }
        CALL(space_update, SLOT_SPACE, TEST_VA, 0, 0, 512);
        CALL(trace_control, SLOT_CONTROL, 0);
        next_slot = SLOT_TEST_FIRST;
        next_frame = block_pa + image_size;
        n_workers = 0;
}

/* ---- time ----------------------------------------------------------------------------------------- */

void sleep_us(uint64_t us)
{
        ouzel_notify_wait(SLOT_SLEEP, now() + us * hz / 1000000 + 1, 0, 0, 0);
}

void spin_us(uint64_t us)
{
        uint64_t end = now() + us * hz / 1000000;

        while (now() < end)
                ;
}

bool wait_until(const uint32_t *flag, uint32_t at_least)
{
        uint64_t end = now() + 30 * hz;

        while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) < at_least) {
                if (now() > end || failed()) {
                        fail(__FILE__, __LINE__, "wait_until",
                             __atomic_load_n(flag, __ATOMIC_ACQUIRE), at_least, false);
                        return false;
                }
                sleep_us(50);
        }
        return true;
}

/* ---- threads ---------------------------------------------------------------------------------------- */

static void worker_main(struct worker *w, uint64_t unused)
{
        (void)unused;
        w->run(w->argument);
        __atomic_store_n(&w->done, 1, __ATOMIC_RELEASE);
        CALL(thread_stop, w->own_slot);
        __builtin_trap(); /* can't be: somebody started it again in the middle */
}

struct worker *worker_make_with(struct worker_options o, void (*run)(uint64_t), uint64_t argument)
{
        if (n_workers == WORKERS) {
                fail(__FILE__, __LINE__, "workers for a test", n_workers, WORKERS, false);
                return &workers[0];
        }
        struct worker *w = &workers[n_workers++];
        unsigned task = o.task ? o.task : SLOT_TASK;

        *w = (struct worker){.run = run, .argument = argument, .slot = slot_new()};
        w->own_slot = w->slot;
        EXPECT_OK(CALL(thread_create, w->slot, task,
                       o.fault_endpoint ? o.fault_endpoint : SLOT_CRASH,
                       (o.prio ? o.prio : PRIO_WORKER) | o.core << 8, o.buffer));
        if (task != SLOT_TASK) {
                w->own_slot = 64 + (uint64_t)(w - workers);
                EXPECT_OK(CALL(cap_copy, task, w->own_slot, w->slot, RIGHT_MANAGE));
        }
        return w;
}

void worker_restart(struct worker *w)
{
        w->done = 0;
        EXPECT_OK(CALL(thread_start, w->slot, worker_main, stacks[w - workers + 1], w));
}

struct worker *worker_start_with(struct worker_options o, void (*run)(uint64_t), uint64_t argument)
{
        struct worker *w = worker_make_with(o, run, argument);

        worker_restart(w);
        return w;
}

unsigned state_of(unsigned thread)
{
        struct ouzel_result r = RESULT_OF(thread_info, thread);

        return r.error ? 0xff : (unsigned)r.v1;
}

bool wait_state(unsigned thread, unsigned state)
{
        uint64_t end = now() + 5 * hz;

        while (state_of(thread) != state) {
                if (now() > end || failed()) {
                        fail(__FILE__, __LINE__, "wait_state", state_of(thread), state, false);
                        return false;
                }
                sleep_us(50);
        }
        return true;
}

bool worker_ended(const struct worker *w)
{
        return __atomic_load_n(&w->done, __ATOMIC_ACQUIRE);
}

bool worker_join(struct worker *w)
{
        if (!wait_until(&w->done, 1))
                return false;
        return wait_state(w->slot, STATE_stopped);
}

/* Faults of threads that should have none. */
static void crash_main(void)
{
        struct message m = {0};
        enum ouzel_error e = ipc_recv(SLOT_CRASH, &m);

        for (;;) {
                if (!e)
                        fail("pc, fault address", (int)m.w[4], "a thread crashed", m.w[2], m.w[0],
                             false);
                m = (struct message){.tag = MSG_TAG(1, 0)};
                e = ipc_reply_recv(SLOT_CRASH, &m);
        }
}

/* ---- what memory allows ----------------------------------------------------------------------------- */

#define LABEL_COULD 0x600d

static struct { uint64_t endpoint, va; unsigned access; } probe;

static void probe_main(uint64_t unused)
{
        struct message m = {.tag = MSG_TAG(LABEL_COULD, 0)};
        volatile uint32_t *p = (volatile uint32_t *)probe.va;

        (void)unused;
        if (probe.access == ACCESS_EXEC)
                ((void (*)(void))probe.va)();
        else if (probe.access == ACCESS_WRITE)
                *p = *p;
        else
                (void)*p;
        ipc_send(probe.endpoint, &m);
}

bool may_access(unsigned task, unsigned core, uint64_t va, unsigned access, struct message *m)
{
        unsigned ep = endpoint_new(0);
        struct message unused;

        if (!m)
                m = &unused;
        probe.endpoint = ep;
        if (task) {
                probe.endpoint = SLOT_PROBE;
                EXPECT_OK(CALL(cap_copy, task, SLOT_PROBE, ep, RIGHT_SEND));
        }
        probe.va = va;
        probe.access = access;
        struct worker *w = worker_start(probe_main, 0, .task = task, .core = core,
                                        .fault_endpoint = ep);
        *m = (struct message){0};
        EXPECT_OK(ipc_recv(ep, m));
        CALL(cap_delete, w->slot);
        CALL(cap_delete, ep);
        n_workers--;
        return m->tag >> TAG_LABEL_SHIFT == LABEL_COULD;
}

void code_put(uint64_t pa, const uint32_t *instructions, unsigned n)
{
        char *to = frame_va(pa);

        memcpy(to, instructions, n * 4ul);
        __builtin___clear_cache(to, to + n * 4ul); /* to where fetches look */
}

/* ---- tasks ------------------------------------------------------------------------------------------ */

unsigned endpoint_new(unsigned core)
{
        unsigned slot = slot_new();

        EXPECT_OK(CALL(endpoint_create, slot, core));
        return slot;
}

unsigned notification_new(unsigned core)
{
        unsigned slot = slot_new();

        EXPECT_OK(CALL(notification_create, slot, core));
        return slot;
}

unsigned task_bare(unsigned quota)
{
        unsigned slot = slots_new(2);

        EXPECT_OK(CALL(task_create, slot, quota));
        return slot;
}

unsigned task_new(unsigned quota)
{
        unsigned slot = task_bare(quota);

        EXPECT_OK(CALL(region_grant, slot, block_pa, image_size, ACCESS_ALL));
        for (unsigned i = 0; i < n_runs; i++)
                EXPECT_OK(CALL(space_update, slot + 1, runs[i].va, runs[i].pa, runs[i].rights,
                               runs[i].pages));
        return slot;
}

/* ---- random numbers ------------------------------------------------------------------------------- */

/* xorshift64*. [Vigna, An experimental exploration of Marsaglia's xorshift generators] */
uint64_t random_next(struct random *r)
{
        r->state += !r->state;
        r->state ^= r->state >> 12;
        r->state ^= r->state << 25;
        r->state ^= r->state >> 27;
        return r->state * 2685821657736338717ul;
}

/* ---- the run ---------------------------------------------------------------------------------------- */

/* What follows "name=" in the boot arguments, or NULL. */
static const char *boot_text(const char *name)
{
        size_t n = strlen(name);

        for (const char *p = boot_args; (p = strstr(p, name)); p += n)
                if (p[n] == '=' && (p == boot_args || p[-1] == ' '))
                        return p + n + 1;
        return NULL;
}

bool boot_number(const char *name, uint64_t *value)
{
        const char *p = boot_text(name);

        if (!p)
                return false;
        for (*value = 0; *p >= '0' && *p <= '9'; p++)
                *value = *value * 10 + (uint64_t)(*p - '0');
        return true;
}

/* ouzel.only=TEXT: only tests whose name has it. */
static bool wanted(const struct test *t)
{
        const char *only = boot_text("ouzel.only");
        size_t n = only ? strcspn(only, " ") : 0;

        for (const char *p = t->name; only && strlen(p) >= n; p++)
                if (!strncmp(p, only, n))
                        return true;
        return !only;
}

static void run_test(const struct test *t)
{
        memset(&failure, 0, sizeof(failure));
        na = NULL;
        running = t;
        CALL(notify_signal, SLOT_WATCH, 1);
        struct usage before = usage_of(SLOT_TASK);
        t->run();
        take_down();
        struct usage after = usage_of(SLOT_TASK);
        if (!failed()) { /* what a failed test leaves is not the point */
                EXPECT_EQ(after.used, before.used);
                EXPECT_EQ(after.regions, before.regions);
                EXPECT_EQ(after.free, before.free);
        }
        EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
        report();
}

static _Noreturn void power_off(void)
{
        printf("TESTS %u\n", n_done);
        fflush(stdout);
        for (;;)
                CALL(system_control, SLOT_CONTROL, SYSTEM_OFF);
}

static _Noreturn void test_main(uint64_t tls)
{
        __asm__ volatile("msr tpidr_el0, %0" ::"r"(tls)); /* errno: only one of us prints */
        for (const struct test *t = __tests_start; t < __tests_end; t++)
                if (wanted(t))
                        run_test(t);
        power_off();
}

/* Bring all of the program in, so that no fault of its pager's is in the way later. */
static void image_touch(void)
{
        extern char _start[], __heap_end[];
        uint64_t first = (uint64_t)_start & ~4095ul;

        first = first < NATIVE_LINK_VA ? first : NATIVE_LINK_VA;
        for (uint64_t va = first; va < (uint64_t)__heap_end; va += 4096) {
                (void)*(volatile char *)va;
                struct ouzel_result r = RESULT_OF(space_query, SLOT_SPACE, va);
                struct run *last = n_runs ? &runs[n_runs - 1] : NULL;
                unsigned rights = r.v2 & ACCESS_ALL;
                if (last && last->rights == rights && last->pa + last->pages * 4096 == r.v1)
                        last->pages++;
                else if (n_runs < RUNS_MAX)
                        runs[n_runs++] = (struct run){va, r.v1, 1, rights};
        }
}

static void init(void)
{
        struct ouzel_result r = RESULT_OF(region_query, SLOT_TASK, 0);
        enum ouzel_error e;

        block_pa = r.v1;
        block_size = r.v2;
        next_frame = block_pa + image_size;
        hz = RESULT_OF(kernel_info, SLOT_CONTROL, INFO_TIMER_HZ).v1;
        cores = (unsigned)RESULT_OF(kernel_info, SLOT_CONTROL, INFO_CPUS).v1;
        image_touch();
        e = CALL(space_update, SLOT_SPACE, WINDOW_VA + image_size, next_frame,
                 ACCESS_READ | ACCESS_WRITE, (block_size - image_size) / 4096);
        if (!e) /* for the table */
                e = CALL(space_update, SLOT_SPACE, TEST_VA, next_frame, ACCESS_READ, 1);
        /* Pages of the capability table come once and stay. */
        for (unsigned slot = 128; !e && slot <= SLOT_NEVER; slot += 128) {
                e = CALL(cap_copy, SLOT_TASK, slot, SLOT_SPACE, 0);
                CALL(cap_delete, slot);
        }
        if (!e)
                e = CALL(notification_create, SLOT_WATCH, 0);
        if (!e)
                e = CALL(notification_create, SLOT_SLEEP, 0);
        if (!e)
                e = CALL(endpoint_create, SLOT_CRASH, 0);
        if (!e)
                e = CALL(thread_create, SLOT_CRASH_THREAD, SLOT_TASK, SLOT_PARENT, PRIO_CRASH);
        if (!e)
                e = CALL(thread_start, SLOT_CRASH_THREAD, crash_main,
                         crash_stack + sizeof(crash_stack));
        if (!e)
                e = CALL(thread_create, SLOT_TEST_THREAD, SLOT_TASK, SLOT_PARENT, PRIO_TEST);
        take_down();
        if (e) {
                printf("tests: can't begin: %s\n", error_text(e));
                power_off();
        }
}

int main(uint64_t used, const char *args)
{
        uint64_t tls;

        image_size = used;
        if (args)
                boot_args = args;
        printf("tests: %s\n", boot_args);
        init();
        __asm__("mrs %0, tpidr_el0" : "=r"(tls));
        CALL(thread_start, SLOT_TEST_THREAD, test_main, test_stack + sizeof(test_stack), tls);
        while (ouzel_notify_wait(SLOT_WATCH, now() + LIMIT_S * hz, 0, 0, 0).error == E_OK)
                ; /* the next test has begun */
        CALL(thread_stop, SLOT_TEST_THREAD);
        if (!failed())
                fail("main", LIMIT_S, "seconds, and no end", LIMIT_S, 0, false);
        report();
        power_off();
}
