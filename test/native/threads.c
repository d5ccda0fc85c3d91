// SPDX-License-Identifier: MIT
/* threads.c -- threads: their life, and who runs when. */
#include "test.h"

#define RW (ACCESS_READ | ACCESS_WRITE)

static uint32_t count[8];

static void counts(uint64_t n)
{
        for (;;)
                __atomic_fetch_add(&count[n], 1, __ATOMIC_RELAXED);
}

static void counts_once(uint64_t n)
{
        __atomic_fetch_add(&count[n], 1, __ATOMIC_RELEASE);
}

static void never(uint64_t unused)
{
        (void)unused;
        fail(__FILE__, __LINE__, "it ran", 1, 0, false);
}

/* ---- life ---------------------------------------------------------------------------------------- */

TEST(thread_create_start_and_info)
{
        uint64_t used = usage_of(SLOT_TASK).used;
        struct worker *w = worker_make(counts_once, 0, .prio = 33, .core = cores - 1);
        struct ouzel_result r = RESULT_OF(thread_info, w->slot);

        count[0] = 0;
        EXPECT_EQ(usage_of(SLOT_TASK).used, used + 1);
        EXPECT_OK(r.error);
        EXPECT_EQ(r.v1, STATE_stopped);
        EXPECT_EQ(r.v2, RESULT_OF(task_info, SLOT_TASK).v3);
        EXPECT_EQ(r.v3, (cores - 1) | 33 << 8);
        worker_restart(w);
        worker_join(w);
        EXPECT_EQ(count[0], 1);
        worker_restart(w); /* a stopped one may start again, from its beginning */
        worker_join(w);
        EXPECT_EQ(count[0], 2);
        EXPECT_E(CALL(thread_info, SLOT_NEVER), E_CAP);
        EXPECT_E(CALL(thread_info, SLOT_TASK), E_CAP);
        EXPECT_OK(CALL(cap_delete, w->slot));
        EXPECT_EQ(usage_of(SLOT_TASK).used, used);
}

TEST(thread_create_refuses)
{
        uint64_t pa = frames_new(1);
        unsigned slot = slot_new(), task = task_bare(10), weak = slot_new(), receive = slot_new();
        struct usage before = usage_of(SLOT_TASK);

        EXPECT_E(CALL(thread_create, slot, SLOT_TASK, 0, 10 | 8 << 8, 0), E_RANGE);
        EXPECT_E(CALL(thread_create, slot, SLOT_TASK, 0, 10 | cores << 8, 0), E_RANGE);
        EXPECT_E(CALL(thread_create, slot, SLOT_TASK, 0, 1ul << 63, 0), E_RANGE);
        EXPECT_E(CALL(thread_create, 0, SLOT_TASK, 0, 10, 0), E_RANGE);
        EXPECT_E(CALL(thread_create, SLOT_COUNT, SLOT_TASK, 0, 10, 0), E_RANGE);
        EXPECT_E(CALL(thread_create, SLOT_TASK, SLOT_TASK, 0, 10, 0), E_BUSY);
        EXPECT_E(CALL(thread_create, slot, SLOT_TASK, 0, PRIO_TEST + 1, 0), E_RIGHTS);
        EXPECT_E(CALL(thread_create, slot, SLOT_TASK, 0, 255, 0), E_RIGHTS);
        EXPECT_E(CALL(thread_create, slot, SLOT_TASK, 0, 10, pa + 8), E_ALIGN);
        EXPECT_E(CALL(thread_create, slot, SLOT_NEVER, 0, 10, 0), E_CAP);
        EXPECT_E(CALL(thread_create, slot, SLOT_SPACE, 0, 10, 0), E_CAP);
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, task, RIGHT_GRANT));
        EXPECT_E(CALL(thread_create, slot, weak, 0, 10, 0), E_RIGHTS);
        EXPECT_E(CALL(thread_create, slot, SLOT_TASK, SLOT_NEVER, 10, 0), E_CAP);
        EXPECT_E(CALL(thread_create, slot, SLOT_TASK, SLOT_SLEEP, 10, 0), E_CAP);
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, receive, SLOT_CRASH, RIGHT_RECV));
        EXPECT_E(CALL(thread_create, slot, SLOT_TASK, receive, 10, 0), E_RIGHTS);
        EXPECT_E(CALL(thread_create, slot, task, 0, 10, pa), E_OWNER); /* not that task's */
        EXPECT_E(CALL(thread_create, slot, SLOT_TASK, 0, 10, block_pa + block_size), E_OWNER);
        EXPECT_OK(CALL(region_grant, task, pa, 4096, ACCESS_READ));
        EXPECT_E(CALL(thread_create, slot, task, 0, 10, pa), E_OWNER); /* may not be written */
        EXPECT_E(CALL(cap_probe, slot), E_CAP);
        EXPECT_EQ(usage_of(SLOT_TASK).used, before.used);
}

TEST(thread_start_refuses)
{
        struct worker *w = worker_make(counts, 0);
        unsigned weak = slot_new();

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, w->slot, RIGHT_GRANT));
        EXPECT_E(CALL(thread_start, weak, never, 0), E_RIGHTS);
        EXPECT_E(CALL(thread_start, SLOT_NEVER, never, 0), E_CAP);
        EXPECT_E(CALL(thread_start, SLOT_TASK, never, 0), E_CAP);
        EXPECT_E(CALL(thread_start, SLOT_TEST_THREAD, never, 0), E_STATE); /* it runs */
        EXPECT_EQ(state_of(w->slot), STATE_stopped);
        count[0] = 0;
        worker_restart(w);
        wait_until(&count[0], 10);
        EXPECT_E(CALL(thread_start, w->slot, never, 0), E_STATE); /* ready, so not stopped */
}

TEST(thread_stop_and_its_refusals)
{
        unsigned weak = slot_new();

        for (unsigned core = 0; core < cores; core++) {
                struct worker *w = worker_make(counts, 0, .core = core);
                EXPECT_OK(CALL(thread_stop, w->slot)); /* stopped already: nothing happens */
                count[0] = 0;
                worker_restart(w);
                wait_until(&count[0], 10);
                EXPECT_OK(CALL(thread_stop, w->slot));
                uint32_t last = count[0];
                sleep_us(500);
                EXPECT_EQ(count[0], last);
                EXPECT_EQ(state_of(w->slot), STATE_stopped);
                CALL(cap_delete, w->slot);
        }
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, SLOT_TEST_THREAD, RIGHT_GRANT));
        EXPECT_E(CALL(thread_stop, weak), E_RIGHTS);
        EXPECT_E(CALL(thread_stop, SLOT_NEVER), E_CAP);
        EXPECT_E(CALL(thread_stop, SLOT_SPACE), E_CAP);
}

TEST(thread_set_refuses)
{
        struct worker *w = worker_make(counts, 0);
        unsigned weak = slot_new(), s = w->slot;
        const uint64_t ms = hz / 1000;

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, s, RIGHT_GRANT));
        EXPECT_E(CALL(thread_set, weak, 10, 0, 0, 0), E_RIGHTS);
        EXPECT_E(CALL(thread_set, SLOT_NEVER, 10, 0, 0, 0), E_CAP);
        EXPECT_E(CALL(thread_set, SLOT_SPACE, 10, 0, 0, 0), E_CAP);
        EXPECT_E(CALL(thread_set, s, 256, 0, 0, 0), E_RANGE);
        EXPECT_E(CALL(thread_set, s, UINT64_MAX, 0, 0, 0), E_RANGE);
        EXPECT_E(CALL(thread_set, s, 10, cores, 0, 0), E_RANGE);
        EXPECT_E(CALL(thread_set, s, 10, UINT64_MAX, 0, 0), E_RANGE);
        EXPECT_E(CALL(thread_set, s, PRIO_TEST + 1, 0, 0, 0), E_RIGHTS);
        EXPECT_E(CALL(thread_set, s, 10, 0, 2 * ms, ms), E_INVALID);
        EXPECT_E(CALL(thread_set, s, 10, 0, 0, ms), E_INVALID);
        EXPECT_E(CALL(thread_set, s, 10, 0, 1, ms), E_INVALID);
        EXPECT_E(CALL(thread_set, s, 10, 0, ms, UINT64_MAX), E_INVALID);
        EXPECT_EQ(RESULT_OF(thread_info, s).v3, PRIO_WORKER << 8);
        if (cores > 1) {
                count[0] = 0;
                worker_restart(w);
                wait_until(&count[0], 10);
                EXPECT_E(CALL(thread_set, s, 10, 1, 0, 0), E_STATE); /* not while it runs */
                EXPECT_EQ(RESULT_OF(thread_info, s).v3, PRIO_WORKER << 8);
        }
}

static void calls_endpoint(uint64_t slot)
{
        struct message m = {0};

        ipc_call((unsigned)slot, &m);
}

/* Another core may be changing what this would. */
TEST(thread_set_refuses_a_thread_that_waits_at_another_core)
{
        struct message m = {0};
        unsigned there = endpoint_new(cores - 1);

        for (unsigned i = 0; i < 2; i++) {
                struct worker *w = worker_start(calls_endpoint, there);
                wait_state(w->slot, STATE_sending);
                if (i) {
                        EXPECT_OK(ipc_recv(there, &m));
                        EXPECT_EQ(state_of(w->slot), STATE_calling);
                }
                /* The test's own thread, who would answer, is on core 0. */
                EXPECT_E(CALL(thread_set, w->slot, 50, 0, 0, 0),
                         cores > 1 && !i ? E_STATE : E_OK);
                EXPECT_OK(CALL(thread_stop, w->slot));
                EXPECT_OK(CALL(thread_set, w->slot, 51, 0, 0, 0));
                EXPECT_EQ(RESULT_OF(thread_info, w->slot).v3, 51u << 8);
        }
}

static void uses_fp(uint64_t value)
{
        uint64_t back;

        __asm__ volatile("fmov d9, %0" ::"r"(value) : "v9");
        CALL(thread_yield, 0);
        __asm__ volatile("fmov %0, d9" : "=r"(back));
        EXPECT_EQ(back, value);
}

TEST(thread_set_moves_a_stopped_thread)
{
        struct worker *w = worker_make(uses_fp, 0x1234);

        for (unsigned i = 0; i < 20; i++) {
                EXPECT_OK(CALL(thread_set, w->slot, 50 + i, i % cores, 0, 0));
                EXPECT_EQ(RESULT_OF(thread_info, w->slot).v3, i % cores | (50 + i) << 8);
                worker_restart(w);
                worker_join(w);
        }
}

TEST(thread_stop_and_move_under_load)
{
        struct worker *w[8];

        for (unsigned i = 0; i < 2 * cores && i < 8; i++) {
                count[i] = 0;
                w[i] = worker_start(counts, i, .core = i % cores);
        }
        for (unsigned round = 0; round < 40 && !failed(); round++) {
                unsigned i = round % (2 * cores < 8 ? 2 * cores : 8);
                EXPECT_OK(CALL(thread_stop, w[i]->slot));
                uint32_t last = count[i];
                EXPECT_OK(CALL(thread_set, w[i]->slot, PRIO_WORKER, (round / 3) % cores, 0, 0));
                EXPECT_EQ(count[i], last);
                worker_restart(w[i]);
                sleep_us(100);
        }
        EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
}

/* Calls that take the kernel's big lock, so that it is mostly waited for. */
static uint32_t calls;

static void calls_all_the_time(uint64_t argument)
{
        if (argument != 0x5117)
                fail(__FILE__, __LINE__, "began with the end of another call", argument, 0x5117,
                     false);
        for (;;) {
                CALL(cap_copy, SLOT_TASK, 100, SLOT_TASK, 0);
                CALL(cap_delete, 100);
                CALL(thread_start, SLOT_NEVER, 0); /* one that sees the whole frame */
                __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
        }
}

/*
 * A thread that waited for the lock when it was stopped went on with its call afterwards: on
 * the registers that it had been started with again, or in memory that was free by then.
 */
TEST(thread_that_is_ended_in_the_middle_of_a_call)
{
        struct random random = {.state = 3};
        struct worker *w[8];
        unsigned n = cores < 3 ? cores : 3;

        for (unsigned i = 0; i < n; i++)
                w[i] = worker_start(calls_all_the_time, 0x5117, .task = task_new(40), .core = i);
        for (unsigned round = 0; round < 25 && !failed(); round++) {
                unsigned i = (unsigned)random_below(&random, n);
                EXPECT_OK(CALL(thread_stop, w[i]->slot));
                worker_restart(w[i]);
                spin_us(random_below(&random, 30));
                if (round % 16 == 0)
                        sleep_us(50); /* those on our core, too */
        }
        wait_until(&calls, 3); /* they do go on, however slow this machine is */
        for (unsigned round = 0; round < 3 && !failed(); round++) {
                unsigned task = task_new(40);
                worker_start(calls_all_the_time, 0x5117, .task = task, .core = cores - 1);
                uint32_t before = calls;
                wait_until(&calls, before + 3);
                EXPECT_OK(CALL(task_destroy, task));
        }
        EXPECT(calls > 10);
}

/* ---- who runs ----------------------------------------------------------------------------------------- */

TEST(sched_strict_priorities)
{
        memset(count, 0, sizeof(count));
        worker_start(counts, 0, .prio = 40);
        struct worker *high = worker_start(counts, 1, .prio = 50);
        wait_until(&count[1], 1);
        sleep_us(30000);
        EXPECT_EQ(count[0], 0); /* never, as long as the other wants */
        EXPECT_OK(CALL(thread_stop, high->slot));
        wait_until(&count[0], 1);
        uint32_t last = count[1];
        EXPECT_OK(CALL(thread_set, high->slot, 30, 0, 0, 0)); /* now it is the lower one */
        worker_restart(high);
        sleep_us(30000);
        EXPECT_EQ(count[1], last);
}

TEST(sched_priority_changes_of_a_ready_thread)
{
        memset(count, 0, sizeof(count));
        struct worker *a = worker_start(counts, 0, .prio = 50);
        worker_start(counts, 1, .prio = 40);
        wait_until(&count[0], 1);
        EXPECT_EQ(count[1], 0);
        EXPECT_OK(CALL(thread_set, a->slot, 30, 0, 0, 0));
        uint32_t last = count[0];
        wait_until(&count[1], 1);
        EXPECT_EQ(count[0], last);
}

/* Who had the last 32 turns: the order is the kernel's, however slow the machine below. */
static uint8_t turns[64];
static uint32_t n_turns, last_turn;

static void notes_turns(uint64_t me)
{
        for (;;) {
                if (__atomic_exchange_n(&last_turn, (uint32_t)me, __ATOMIC_RELAXED) == me)
                        continue;
                uint32_t n = __atomic_fetch_add(&n_turns, 1, __ATOMIC_RELEASE);
                turns[n % 64] = (uint8_t)me;
        }
}

TEST(sched_round_robin_in_one_priority)
{
        unsigned had[4] = {0};

        n_turns = last_turn = 0;
        for (unsigned i = 1; i <= 3; i++)
                worker_start(notes_turns, i, .prio = 50);
        wait_until(&n_turns, 32);
        for (unsigned i = 2; i < 32; i++)
                had[turns[i]]++;
        for (unsigned i = 1; i <= 3; i++) /* ten each, if none was too short to be noticed */
                EXPECT(had[i] >= 7 && had[i] <= 13);
}

/* No timer of a test's runs here: the equal's slice must have begun of itself. */
static unsigned to_equal, to_test;
static uint32_t equal_ran;

static void is_woken(uint64_t unused)
{
        (void)unused;
        CALL(notify_wait, to_equal, 0);
        __atomic_store_n(&equal_ran, 1, __ATOMIC_RELEASE);
}

static void wakes_an_equal(uint64_t unused)
{
        uint64_t end = now() + 2 * hz;

        (void)unused;
        EXPECT_OK(CALL(notify_signal, to_equal, 1)); /* which goes on here, and not there */
        while (!__atomic_load_n(&equal_ran, __ATOMIC_ACQUIRE) && now() < end)
                ;
        EXPECT_OK(CALL(notify_signal, to_test, equal_ran ? 1 : 2));
}

TEST(sched_an_equal_that_was_woken_has_its_turn)
{
        to_equal = notification_new(0);
        to_test = notification_new(0);
        equal_ran = 0;
        struct worker *woken = worker_start(is_woken, 0);
        wait_state(woken->slot, STATE_waiting);
        worker_start(wakes_an_equal, 0);
        EXPECT_EQ(RESULT_OF(notify_wait, to_test, 0).v1, 1);
        worker_join(woken);
}

static uint32_t turn;

static void takes_turns(uint64_t me)
{
        for (unsigned i = 0; i < 200; i++) {
                __atomic_store_n(&turn, (uint32_t)me, __ATOMIC_RELAXED);
                EXPECT_OK(CALL(thread_yield, 0));
                count[me] += turn != me; /* the other ran */
        }
        CALL(notify_signal, to_test, 1 << me);
}

/* We sleep till the end: whoever looks in between takes a turn from one of them. */
TEST(thread_yield_lets_the_others_run)
{
        to_test = notification_new(0);
        memset(count, 0, sizeof(count));
        struct worker *a = worker_start(takes_turns, 0), *b = worker_start(takes_turns, 1);

        uint64_t ended = RESULT_OF(notify_wait, to_test, 0).v1;
        if (ended != 3)
                ended |= RESULT_OF(notify_wait, to_test, 0).v1;
        EXPECT_EQ(ended, 3);
        EXPECT(worker_join(a) && worker_join(b));
        EXPECT(count[0] > 195 && count[1] > 195);
        EXPECT_OK(CALL(thread_yield, 0)); /* alone at its priority: it goes on */
}

/*
 * How long it ran, by steps of the clock: a longer one is somebody else's time, or the machine's
 * below. With a notification it waits a moment after each 200 us.
 */
static uint64_t ran;

static void measures(uint64_t notification)
{
        uint64_t step = hz / 20000, last = now(), rest = last;

        for (;;) {
                uint64_t at = now();
                if (at - last < step)
                        ran += at - last;
                last = at;
                if (notification && at - rest > hz / 5000) {
                        ouzel_notify_wait(notification, now() + hz / 10000, 0, 0, 0);
                        last = rest = now();
                }
        }
}

/* 2 ms out of 10. */
static void budget_check(unsigned notification)
{
        struct worker *w = worker_make(measures, notification, .prio = 60);
        uint64_t ms = hz / 1000;

        ran = 0;
        EXPECT_OK(CALL(thread_set, w->slot, 60, 0, 2 * ms, 10 * ms));
        uint64_t start = now();
        worker_restart(w);
        sleep_us(300000);
        EXPECT_OK(CALL(thread_stop, w->slot));
        EXPECT(ran > 0);
        EXPECT(ran < (now() - start) / 4 + 4 * ms);
}

TEST(sched_budget_is_a_limit)
{
        memset(count, 0, sizeof(count));
        worker_start(counts, 1, .prio = 10); /* gets what the other leaves */
        budget_check(0);
        EXPECT(count[1] > 0);
}

/* Time was charged only to a thread that the clock stopped, not to one that waited. */
TEST(sched_budget_counts_the_time_before_a_wait)
{
        budget_check(notification_new(0));
}

TEST(sched_budget_can_be_lifted)
{
        struct worker *w = worker_make(counts, 0, .prio = 60);
        uint64_t ms = hz / 1000;

        memset(count, 0, sizeof(count));
        EXPECT_OK(CALL(thread_set, w->slot, 60, 0, ms, 1000 * ms));
        worker_restart(w);
        wait_state(w->slot, STATE_depleted);
        uint32_t last = count[0];
        sleep_us(3000);
        EXPECT_EQ(count[0], last);
        EXPECT_OK(CALL(thread_set, w->slot, 60, 0, 0, 0));
        wait_until(&count[0], last + 1000);
        EXPECT_OK(CALL(thread_set, w->slot, 60, 0, ms, 10 * ms));
        wait_state(w->slot, STATE_depleted);
        EXPECT_OK(CALL(thread_stop, w->slot)); /* and stopped while depleted ... */
        sleep_us(20000);
        EXPECT_EQ(state_of(w->slot), STATE_stopped); /* ... it is not woken by its refill */
}

/* ---- what a thread starts with --------------------------------------------------------------------------- */

static uint64_t first_registers[33];

void stores_registers(void); /* threads_asm.S */

TEST(thread_starts_with_registers_of_zero)
{
        struct worker *w = worker_make(never, 0);

        memset(first_registers, 0xff, sizeof(first_registers));
        EXPECT_OK(CALL(thread_start, w->slot, stores_registers, 0x1230, first_registers, w->slot));
        wait_state(w->slot, STATE_stopped);
        EXPECT_EQ(first_registers[0], first_registers);
        EXPECT_EQ(first_registers[1], w->slot);
        for (unsigned i = 2; i < 31; i++)
                EXPECT_EQ(first_registers[i], 0);
        EXPECT_EQ(first_registers[31], 0x1230);
        EXPECT_EQ(first_registers[32], 0);
}

/* ---- floating point ----------------------------------------------------------------------------------------- */

static void fp_keeps(uint64_t seed)
{
        uint64_t v[64], got[64];

        for (unsigned i = 0; i < 64; i++)
                v[i] = seed * 1000 + i;
        for (unsigned round = 0; round < 30 && !failed(); round++) {
                __asm__ volatile(
                        "ld1 {v0.16b-v3.16b}, [%0], #64\n\tld1 {v4.16b-v7.16b}, [%0], #64\n\t"
                        "ld1 {v8.16b-v11.16b}, [%0], #64\n\tld1 {v12.16b-v15.16b}, [%0], #64\n\t"
                        "ld1 {v16.16b-v19.16b}, [%0], #64\n\tld1 {v20.16b-v23.16b}, [%0], #64\n\t"
                        "ld1 {v24.16b-v27.16b}, [%0], #64\n\tld1 {v28.16b-v31.16b}, [%0]\n\t"
                        "sub %0, %0, #448\n\t"
                        "mov x0, #0\n\tsvc #27\n\t" /* thread_yield */
                        "mov x0, #0\n\tsvc #27\n\t"
                        "st1 {v0.16b-v3.16b}, [%1], #64\n\tst1 {v4.16b-v7.16b}, [%1], #64\n\t"
                        "st1 {v8.16b-v11.16b}, [%1], #64\n\tst1 {v12.16b-v15.16b}, [%1], #64\n\t"
                        "st1 {v16.16b-v19.16b}, [%1], #64\n\tst1 {v20.16b-v23.16b}, [%1], #64\n\t"
                        "st1 {v24.16b-v27.16b}, [%1], #64\n\tst1 {v28.16b-v31.16b}, [%1]\n\t"
                        "sub %1, %1, #448"
                        : : "r"(v), "r"(got)
                        : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10",
                          "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "v0", "v1",
                          "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12",
                          "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22",
                          "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory",
                          "cc");
                EXPECT(!memcmp(v, got, sizeof(v)));
                uint64_t fpcr = (seed & 3) << 22, back; /* rounding mode: each its own */
                __asm__ volatile("msr fpcr, %0" ::"r"(fpcr));
                CALL(thread_yield, 0);
                __asm__ volatile("mrs %0, fpcr" : "=r"(back));
                EXPECT_EQ(back, fpcr);
        }
}

TEST(fp_registers_are_kept_apart)
{
        struct worker *w[6];

        for (unsigned slow = 0; slow < 2; slow++) {
                CALL(trace_control, SLOT_CONTROL, slow ? 1ul << 63 : 0);
                for (unsigned i = 0; i < 6; i++)
                        w[i] = worker_start(fp_keeps, i + 1, .core = i / 3 % cores);
                for (unsigned i = 0; i < 6; i++)
                        worker_join(w[i]);
        }
}

static uint64_t leaked;

static void fp_looks(uint64_t unused)
{
        uint64_t a, b, c;

        (void)unused;
        __asm__ volatile("fmov %0, d0\n\tfmov %1, d17\n\tmov %2, v31.d[1]"
                         : "=r"(a), "=r"(b), "=r"(c));
        leaked = a | b | c;
}

static void fp_fills(uint64_t unused)
{
        (void)unused;
        __asm__ volatile("movi v0.16b, #0xff\n\tmovi v17.16b, #0xff\n\tmovi v31.16b, #0xff" ::
                         : "v0", "v17", "v31");
        sleep_us(1);
}

TEST(fp_registers_of_another_thread_are_never_seen)
{
        for (unsigned i = 0; i < 10; i++) {
                unsigned task = task_new(24);
                worker_join(worker_start(fp_fills, 0));
                worker_join(worker_start(fp_looks, 0, .task = task));
                EXPECT_EQ(leaked, 0);
                CALL(task_destroy, task);
        }
}
