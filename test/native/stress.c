// SPDX-License-Identifier: MIT
/*
 * stress.c -- random sequences, from a seed that is printed. The boot arguments
 * `ouzel.only=random ouzel.seed=N ouzel.calls=N` repeat one, or make it longer.
 */
#include "test.h"

#include <stdio.h>

#define RW (ACCESS_READ | ACCESS_WRITE)
#define SOME_VA 0xffff000200000000ul

static uint64_t seed_of_run(const char *what)
{
        uint64_t seed = 0x0123456789ul + cores;

        boot_number("ouzel.seed", &seed);
        printf("tests: %s: ouzel.seed=%lu\n", what, seed);
        return seed;
}

/* ---- the same messages by both paths ----------------------------------------------------------------- */

#define CLIENTS 3
#define MESSAGES 150
/* Slots of a client's task. */
enum { AT_PLAIN = 40, AT_BADGED, AT_RECEIVE_ONLY, AT_NOTIFICATION, AT_EMPTY, AT_THING, AT_TAKEN };
#define AT_INNER 41 /* in the server's task */

static uint64_t hashes[CLIENTS];

static void mix(uint64_t *hash, uint64_t value)
{
        *hash = (*hash ^ value) * 0x100000001b3;
        *hash ^= *hash >> 29;
}

/* Its answer depends on the message alone, so it does not matter who comes first. */
static void server(uint64_t endpoint)
{
        struct message m = {0};
        enum ouzel_error e = ipc_recv(endpoint, &m);

        while (!e) {
                struct message answer = {.tag = MSG_TAG(m.badge ^ m.w[0], m.w[1] % 9)};
                if (m.tag & TAG_CAP)
                        answer.tag ^= 1ul << 40;
                for (unsigned i = 0; i < MSG_WORDS; i++)
                        answer.w[i] = m.w[i] * 3 + m.tag;
                if (m.w[2] % 4 == 0 && endpoint != AT_INNER) { /* it asks another one first */
                        struct message inner = m;
                        inner.tag &= ~(uint64_t)TAG_CAP;
                        inner.w[2] = 1;
                        EXPECT_OK(ipc_call(AT_INNER, &inner));
                        answer.w[0] += inner.w[0] + inner.tag;
                }
                if (m.w[3] % 8 == 0) {
                        answer.tag |= TAG_CAP;
                        answer.cap = AT_THING;
                }
                m = answer;
                e = ipc_reply_recv(endpoint, &m);
        }
}

static void client(uint64_t argument)
{
        static const unsigned to[] = {AT_PLAIN, AT_BADGED, AT_PLAIN, AT_BADGED, AT_PLAIN,
                                      AT_RECEIVE_ONLY, AT_NOTIFICATION, AT_EMPTY};
        static const unsigned into[] = {0, 0, 0, 50, 50, AT_TAKEN, 9999, 50};
        unsigned me = argument & 3;
        struct random random = {.state = argument};
        uint64_t hash = 1;

        for (unsigned i = 0; i < MESSAGES && !failed(); i++) {
                struct message m = {.tag = random_next(&random) & ~0xfffful};
                m.tag |= random_below(&random, 9);
                for (unsigned k = 0; k < MSG_WORDS; k++)
                        m.w[k] = random_next(&random);
                if (random_below(&random, 8) == 0)
                        m.tag |= TAG_CAP;
                m.cap = random_below(&random, 2) ? AT_THING : AT_EMPTY;
                m.receive = into[random_below(&random, 8)];
                mix(&hash, ipc_call(to[random_below(&random, 8)], &m));
                mix(&hash, m.tag);
                for (unsigned k = 0; k < MSG_WORDS; k++)
                        mix(&hash, m.w[k]);
                struct ouzel_result r = RESULT_OF(cap_probe, 50);
                mix(&hash, r.error);
                mix(&hash, r.error ? 0 : r.v1);
                CALL(cap_delete, 50);
        }
        hashes[me] = hash;
}

static unsigned server_task(unsigned endpoint, unsigned inner, unsigned thing)
{
        unsigned task = task_new(28);

        EXPECT_OK(CALL(cap_copy, task, AT_PLAIN, endpoint, RIGHT_RECV));
        EXPECT_OK(CALL(cap_copy, task, AT_INNER, inner, RIGHT_SEND | RIGHT_RECV));
        EXPECT_OK(CALL(cap_copy, task, AT_THING, thing, RIGHT_SEND | RIGHT_GRANT));
        return task;
}

/* All clients' results, by one path. */
static void both_paths_run(uint64_t seed, bool spread)
{
        unsigned ep = endpoint_new(0), inner = endpoint_new(0), thing = notification_new(0);
        unsigned other = spread ? cores - 1 : 0;
        struct worker *w[CLIENTS];

        worker_start(server, AT_INNER, .task = server_task(inner, inner, thing), .prio = 60);
        worker_start(server, AT_PLAIN, .task = server_task(ep, inner, thing), .prio = 70);
        for (unsigned i = 0; i < CLIENTS; i++) {
                unsigned task = task_new(28);
                EXPECT_OK(CALL(cap_copy, task, AT_PLAIN, ep, RIGHT_SEND));
                EXPECT_OK(CALL(cap_copy, task, AT_BADGED, ep, RIGHT_SEND, i + 77));
                EXPECT_OK(CALL(cap_copy, task, AT_RECEIVE_ONLY, ep, RIGHT_RECV));
                EXPECT_OK(CALL(cap_copy, task, AT_NOTIFICATION, thing, RIGHT_SEND));
                EXPECT_OK(CALL(cap_copy, task, AT_THING, thing, RIGHT_RECV | RIGHT_GRANT));
                EXPECT_OK(CALL(cap_copy, task, AT_TAKEN, thing, 0));
                w[i] = worker_start(client, (seed << 2 | i), .task = task, .prio = 50 + 10 * i,
                                    .core = i == 1 ? other : 0);
        }
        for (unsigned i = 0; i < CLIENTS; i++)
                worker_join(w[i]);
}

TEST(random_messages_by_the_fast_and_the_slow_path_are_the_same)
{
        uint64_t seed = seed_of_run("random messages"), fast[CLIENTS];

        for (unsigned round = 0; round < 2 && !failed(); round++, seed++) {
                uint64_t count = RESULT_OF(counters_read, UINT64_MAX, COUNT_ipc_fast).v1;
                both_paths_run(seed, round);
                memcpy(fast, hashes, sizeof(fast));
                uint64_t between = RESULT_OF(counters_read, UINT64_MAX, COUNT_ipc_fast).v1;
                EXPECT(between > count + MESSAGES / 4);
                EXPECT_OK(CALL(trace_control, 0, 1ul << 63));
                both_paths_run(seed, round);
                EXPECT_EQ(RESULT_OF(counters_read, UINT64_MAX, COUNT_ipc_fast).v1, between);
                EXPECT_OK(CALL(trace_control, 0, 0));
                for (unsigned i = 0; i < CLIENTS; i++)
                        EXPECT_EQ(hashes[i], fast[i]);
        }
}

/* ---- random calls -------------------------------------------------------------------------------------- */

/* Every call, with whatever arguments: nothing that a task does may break the kernel. */
typedef struct ouzel_result call_function(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
static call_function *const calls[] = {
#define SYSCALL(nr, name, kind, nargs, what) [nr] = ouzel_##name,
#include <ouzel/syscalls.def>
#undef SYSCALL
};

#define FRAMES 16
#define CALLERS 4
enum { AT_NOTE = 20, AT_ENDPOINT, AT_VICTIM, AT_VICTIM_SPACE, AT_OTHER }; /* what they are given */

static struct {
        uint64_t pa;
        uint32_t n_calls[CALLERS];
} stress;

static uint64_t some_argument(struct random *r)
{
        static const uint64_t odd[] = {
                0, 1, 2, 3, 4095, 4096, 4097, SLOT_COUNT - 1, SLOT_COUNT, 1ul << 32, 1ul << 47,
                1ul << 48, 1ul << 63, UINT64_MAX, 0ul - 4096, TASK_VA_START, KERNEL_SLOT_VA,
                KERNEL_SLOT_END, KERNEL_SLOT_VA - 4096, PROCESS_VA_END - 4096, 0x40200000,
                0x08000000, 0x09000000, 0x80000000};

        switch (random_below(r, 12)) {
        case 0: return odd[random_below(r, sizeof(odd) / sizeof(odd[0]))];
        case 1: return stress.pa + random_below(r, FRAMES) * 4096;
        case 2: return SOME_VA + random_below(r, 600) * 4096;
        case 3: return random_below(r, 64) * 4096; /* low addresses, small sizes */
        case 4: return random_next(r);
        case 5: return random_below(r, 4096);
        case 6: return random_below(r, 16);
        default: return 16 + random_below(r, 60); /* mostly slots */
        }
}

/* Threads that it makes run nothing but this, or nothing at all. */
__attribute__((noinline)) static void runs_in_circles(void)
{
        for (;;)
                __asm__ volatile("" ::: "memory");
}

static void calls_at_random(uint64_t argument)
{
        unsigned me = argument % CALLERS;
        struct random r = {.state = argument};

        for (;;) {
                uint64_t a[5];
                unsigned nr = (unsigned)random_below(&r, SYS_COUNT);
                for (unsigned i = 0; i < 5; i++)
                        a[i] = some_argument(&r);
                if (nr == SYS_thread_start)
                        a[1] = random_below(&r, 2) ? (uint64_t)runs_in_circles
                                                   : SOME_VA + random_below(&r, 8) * 4096;
                if (nr == SYS_thread_create && random_below(&r, 4)) {
                        a[1] = SLOT_TASK;
                        a[2] = AT_ENDPOINT; /* else the console is full of its threads' ends */
                        a[3] = random_below(&r, 70) | random_below(&r, cores) << 8;
                        a[4] = random_below(&r, 2) ? stress.pa + 4096 * me : 0;
                }
                if ((nr == SYS_space_update || nr == SYS_space_sync) && random_below(&r, 4)) {
                        a[0] = random_below(&r, 2) ? SLOT_SPACE : AT_VICTIM_SPACE;
                        a[1] = SOME_VA + random_below(&r, 600) * 4096;
                        a[2] = stress.pa + random_below(&r, FRAMES) * 4096;
                        a[3] = random_below(&r, 8);
                        a[4] = 1 + random_below(&r, 4);
                }
                if (nr == SYS_space_sync && a[0] == SLOT_SPACE)
                        continue; /* it would lose its own program, as it has no table of it */
                if (nr == SYS_region_grant && random_below(&r, 4)) {
                        a[0] = AT_VICTIM;
                        a[1] = stress.pa + random_below(&r, FRAMES) * 4096;
                        a[2] = 4096 * (1 + random_below(&r, 3));
                        a[3] = 1 + random_below(&r, 7);
                }
                if (nr == SYS_space_update && a[1] < SOME_VA && a[1] >= NATIVE_LINK_VA)
                        continue; /* not its own program */
                calls[nr](a[0], a[1], a[2], a[3], a[4]);
                __atomic_fetch_add(&stress.n_calls[me], 1, __ATOMIC_RELAXED);
        }
}

static void fault_catcher(uint64_t endpoint)
{
        struct message m = {0};

        ipc_recv(endpoint, &m);
        for (;;) {
                m = (struct message){.tag = MSG_TAG(1, 0)};
                ipc_reply_recv(endpoint, &m);
        }
}

/* A task for a caller: some memory, capabilities of every kind, and a little quota. */
static unsigned caller_task(unsigned note, unsigned endpoint, unsigned victim)
{
        unsigned task = task_new(80);

        EXPECT_OK(CALL(region_grant, task, stress.pa, FRAMES * 4096, ACCESS_ALL | REGION_WX));
        EXPECT_OK(CALL(cap_copy, task, AT_NOTE, note, RIGHT_ALL));
        EXPECT_OK(CALL(cap_copy, task, AT_ENDPOINT, endpoint, RIGHT_ALL));
        EXPECT_OK(CALL(cap_copy, task, AT_VICTIM, victim, RIGHT_ALL));
        EXPECT_OK(CALL(cap_copy, task, AT_VICTIM_SPACE, victim + 1, RIGHT_ALL));
        return task;
}

static void random_calls(uint64_t seed, unsigned n, uint64_t wanted)
{
        unsigned catch = endpoint_new(0), note = notification_new(cores - 1);
        unsigned endpoint = endpoint_new(cores / 2), victim = task_bare(40);
        struct worker *w[CALLERS];
        unsigned task[CALLERS];
        uint32_t before[CALLERS] = {0};
        uint64_t done = 0, end = now() + 20 * hz, serial = 0;

        memset(&stress, 0, sizeof(stress));
        stress.pa = frames_new(FRAMES);
        worker_start(fault_catcher, catch, .prio = PRIO_WORKER + 5);
        for (unsigned i = 0; i < n; i++) /* all, before the first may end the victim */
                task[i] = caller_task(note, endpoint, victim);
        for (unsigned i = 0; i < n; i++)
                w[i] = worker_start(calls_at_random, (seed + i) * CALLERS + i, .task = task[i],
                                    .core = i % cores, .prio = 70, .fault_endpoint = catch,
                                    .buffer = stress.pa + i * 4096);
        while (done < wanted && now() < end && !failed()) {
                sleep_us(500);
                for (unsigned i = 0; i < n; i++) {
                        uint32_t count = __atomic_load_n(&stress.n_calls[i], __ATOMIC_RELAXED);
                        done += count - before[i];
                        if (count != before[i]) {
                                before[i] = count;
                                continue;
                        }
                        if (state_of(w[i]->slot) == STATE_ready ||
                            state_of(w[i]->slot) == STATE_running)
                                continue;
                        /* It waits for somebody who never comes, or has stopped itself. */
                        if (CALL(thread_stop, w[i]->slot))
                                continue; /* its task is gone */
                        w[i]->argument += CALLERS * (1000 + serial++);
                        worker_restart(w[i]);
                }
        }
        for (unsigned i = 0; i < n; i++)
                CALL(thread_stop, w[i]->slot);
        EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
        EXPECT(done > 50);
        printf("tests: %lu calls\n", done);
}

TEST(random_calls_leave_the_kernel_whole)
{
        uint64_t seed = seed_of_run("random calls"), wanted = 6000;

        boot_number("ouzel.calls", &wanted);
        random_calls(seed, 1, wanted);
}

TEST(random_calls_on_all_cores_leave_the_kernel_whole)
{
        uint64_t seed = seed_of_run("random calls on all cores"), wanted = 6000;

        boot_number("ouzel.calls", &wanted);
        random_calls(seed + 1000, CALLERS, wanted);
}
