// SPDX-License-Identifier: MIT
/*
 * main.c -- instructions per operation of the kernel. README.md says how it is counted.
 *
 * Each measurement is made twice, with few rounds and with many: the difference has only the
 * rounds in it, and neither the start of the worker nor the reading of clock and counters.
 * The worker and whom it works with have lower priorities than this thread, which waits until
 * the result comes.
 */
#include "bench.h"

#include <ouzel/user.h>
#include <ouzel/vcpu.h>

#include <stdbool.h>
#include <stdio.h>

/* loops.S */
typedef const char code[];
extern code loops_start, loops_end, worker, server, waiter, toucher, small_pager, yielder, spinner,
        timer_rounds, vcpu_user_start, vectors_empty, vectors_fault, user_code, user_syscalls,
        user_faults, loop_empty, loop_null, loop_call, loop_call_words, loop_signal, loop_update,
        loop_update_list, loop_list_only, loop_yield, loop_task, loop_set_space;

#define PAGE      4096ul
#define WINDOW    0xffff000040000000ul /* our free memory, all of it, in our space */
#define TOUCH_VA  0xffff000080000000ul /* what a faulting thread touches, in its task */
#define MAP_VA    0xffff0000c0000000ul /* what is mapped and unmapped, in our space */
#define MAP_SIZE  (16ul << 20)

#define PRIO_WORKER  90
#define PRIO_PARTNER 90
#define PRIO_WAITER  95 /* runs as soon as it is signalled */
#define PRIO_SPINNER 80

static const enum ouzel_counter counted[] = {COUNT_entries, COUNT_ttbr, COUNT_isb, COUNT_dsb,
                                             COUNT_tlbi};
static const char *const counter_names[] = {"entries", "ttbr", "isb", "dsb", "tlbi"};
#define COUNTED (sizeof(counted) / sizeof(counted[0]))

struct sample { uint64_t rounds, ticks, counters[COUNTED]; };

static uint64_t args[10]; /* x19..x28 of the worker; x19 = rounds */
static uint64_t memory_next, memory_start, memory_end;
static unsigned rows;
static uint64_t loop_cost; /* subs and b.ne, in hundredths of an instruction */

static _Noreturn void failed(const char *what, enum ouzel_error error)
{
        printf("bench: %s: %s\n", what, error_text(error));
        for (;;)
                CALL(system_control, SLOT_CONTROL, SYSTEM_OFF);
}

static void must(const char *what, enum ouzel_error error)
{
        if (error)
                failed(what, error);
}
#define MUST(call, ...) must(#call, CALL(call, __VA_ARGS__))

/* ---- memory ------------------------------------------------------------------------------- */

static uint64_t frame(void)
{
        if (memory_next == memory_end)
                failed("memory", E_QUOTA);
        memory_next += PAGE;
        return memory_next - PAGE;
}

static void *window(uint64_t pa)
{
        return (void *)(WINDOW + pa - memory_start);
}

static uint64_t frame_of(const void *va)
{
        struct ouzel_result r = RESULT_OF(space_query, SLOT_SPACE, va);

        must("space_query", (enum ouzel_error)r.error);
        return r.v1 & ~(PAGE - 1);
}

static void memory_init(uint64_t used)
{
        struct ouzel_result r = RESULT_OF(region_query, SLOT_TASK, 0);

        must("region_query", (enum ouzel_error)r.error);
        memory_start = r.v1;
        memory_end = r.v1 + r.v2;
        memory_next = r.v1 + used;
        MUST(space_update, SLOT_SPACE, window(memory_next), memory_next,
             ACCESS_READ | ACCESS_WRITE, (memory_end - memory_next) / PAGE);
        for (const char *p = loops_start; p < user_code + PAGE; p += PAGE)
                *(const volatile char *)p; /* the pager maps it now, not while we count */
}

/* Tables for a range of a space, and nothing in them. */
static void tables_make(unsigned space, uint64_t va, uint64_t size)
{
        for (uint64_t at = va; at < va + size; at += 2ul << 20) {
                MUST(space_update, space, at, memory_start, ACCESS_READ, 1);
                MUST(space_update, space, at, 0, 0, 1);
        }
}

/* ---- a measurement ------------------------------------------------------------------------ */

static void counters(uint64_t *v)
{
        for (unsigned i = 0; i < COUNTED; i++)
                v[i] = RESULT_OF(counters_read, UINT64_MAX, counted[i]).v1;
}

static void thread(unsigned slot, unsigned task, unsigned prio, uint64_t buffer)
{
        /* What it does wrong comes to us, in place of its result. */
        MUST(thread_create, slot, task, SLOT_DONE, prio, buffer);
}

/* Let the threads of lower priority run until they wait. */
static void settle(void)
{
        enum ouzel_error e = CALL(notify_wait, SLOT_IDLE, now() + 100);

        if (e != E_TIMEOUT)
                failed("waiting for the threads to be ready", e);
}

static void partner(unsigned task, unsigned prio, const char *start, uint64_t x0, uint64_t x1)
{
        thread(SLOT_PARTNER, task, prio, 0);
        MUST(thread_start, SLOT_PARTNER, start, 0, x0, x1);
        settle();
}

/* Start the worker and wait for what it reports. */
static struct sample finish(uint64_t rounds, const char *start, uint64_t x0, uint64_t x1)
{
        struct sample s = {.rounds = rounds};
        uint64_t before[COUNTED];
        struct message m = {0};

        /* The FP registers are ours and in use: that must not cost the others anything. */
        __asm__ volatile("fmov d0, #1.0" ::: "v0");
        counters(before);
        MUST(thread_start, SLOT_WORKER, start, 0, x0, x1);
        must("the worker's result", ipc_recv(SLOT_DONE, &m));
        counters(s.counters);
        for (unsigned i = 0; i < COUNTED; i++)
                s.counters[i] -= before[i];
        if (m.tag != MSG_TAG(0, 2)) {
                printf("bench: a thread failed: label %lx, address %lx, pc %lx, esr %lx\n",
                       m.tag >> TAG_LABEL_SHIFT, m.w[0], m.w[2], m.w[3]);
                failed("measuring", E_STATE);
        }
        s.ticks = m.w[1] - m.w[0];
        MUST(cap_delete, SLOT_WORKER);
        return s;
}

static struct sample run(const char *loop, uint64_t rounds)
{
        args[0] = rounds;
        thread(SLOT_WORKER, SLOT_TASK, PRIO_WORKER, 0);
        return finish(rounds, worker, (uint64_t)args, (uint64_t)loop);
}

/* Instructions per round, in hundredths. */
static uint64_t cost(struct sample few, struct sample many)
{
        return (many.ticks - few.ticks) * INSTRUCTIONS_PER_TICK * 100 /
               (many.rounds - few.rounds);
}

static void print_hundredths(const char *name, uint64_t v)
{
        printf(" %s=%lu", name, v / 100);
        if (v % 100)
                printf(".%02lu", v % 100);
}

/* `less`: what was no part of the operations, in hundredths of an instruction per round. */
static void row(const char *name, struct sample few, struct sample many, unsigned per_round,
                uint64_t less)
{
        uint64_t n = (many.rounds - few.rounds) * per_round;

        printf("BENCH name=%s", name);
        /* To a tenth: a tick is 16 instructions, and some rows have but hundreds of rounds. */
        print_hundredths("ouzel", ((cost(few, many) - less) / per_round + 5) / 10 * 10);
        for (unsigned i = 0; i < COUNTED; i++)
                print_hundredths(counter_names[i],
                                 ((many.counters[i] - few.counters[i]) * 100 + n / 2) / n);
        printf("\n");
        rows++;
}

/* The plain case: a loop with one operation in each round. */
static void measure(const char *name, const char *loop, unsigned per_round)
{
        struct sample few = run(loop, 256), many = run(loop, 256 + 4096);

        row(name, few, many, per_round, loop_cost);
}

/* ---- native rows -------------------------------------------------------------------------- */

static void calls(void)
{
        struct sample few = run(loop_empty, 256), many = run(loop_empty, 256 + 4096);

        loop_cost = cost(few, many);
        args[1] = SLOT_DONE;
        measure("null_call", loop_null, 1);
}

static void child_make(void)
{
        MUST(task_create, SLOT_CHILD, 64);
        MUST(region_grant, SLOT_CHILD, memory_start, memory_end - memory_start, ACCESS_ALL);
        MUST(cap_copy, SLOT_CHILD, SLOT_DONE, SLOT_DONE, RIGHT_SEND, 0);
        MUST(cap_copy, SLOT_CHILD, SLOT_ENDPOINT, SLOT_ENDPOINT, RIGHT_RECV, 0);
        for (const char *p = loops_start; p < loops_end; p += PAGE)
                MUST(space_update, SLOT_CHILD_SPACE, p, frame_of(p), ACCESS_READ | ACCESS_EXEC, 1);
}

static void ipc(void)
{
        args[1] = SLOT_ENDPOINT;
        for (unsigned i = 2; i < 10; i++)
                args[i] = i;
        partner(SLOT_CHILD, PRIO_PARTNER, server, SLOT_ENDPOINT, MSG_TAG(0, 0));
        measure("ipc_call_round_trip_inter", loop_call, 1);
        MUST(cap_delete, SLOT_PARTNER);
        partner(SLOT_TASK, PRIO_PARTNER, server, SLOT_ENDPOINT, MSG_TAG(0, 0));
        measure("ipc_call_round_trip_intra", loop_call, 1);
        MUST(cap_delete, SLOT_PARTNER);
        partner(SLOT_CHILD, PRIO_PARTNER, server, SLOT_ENDPOINT, MSG_TAG(0, MSG_WORDS));
        measure("ipc_call_round_trip_8_words", loop_call_words, 1);
        MUST(cap_delete, SLOT_PARTNER);
}

static void signals(void)
{
        args[1] = SLOT_NOTIFY;
        partner(SLOT_TASK, PRIO_WAITER, waiter, SLOT_NOTIFY, 0);
        measure("signal_wait_round_trip", loop_signal, 1);
        MUST(cap_delete, SLOT_PARTNER);
}

/* Each round goes on where the last one ended, so the range is emptied between runs. */
static void map_range(bool mapped)
{
        for (uint64_t va = MAP_VA; va < MAP_VA + MAP_SIZE; va += 2ul << 20)
                MUST(space_update, SLOT_SPACE, va, memory_start,
                     mapped ? ACCESS_READ | ACCESS_WRITE : 0, 512);
}

static void map(const char *name, unsigned flags, unsigned pages)
{
        struct sample s[2];

        for (unsigned i = 0; i < 2; i++) {
                map_range(flags == 0);
                args[1] = SLOT_SPACE;
                args[2] = MAP_VA;
                args[3] = memory_start;
                args[4] = flags;
                args[5] = pages;
                args[6] = pages * PAGE;
                s[i] = run(loop_update, pages > 1 ? i ? 60 : 12 : i ? 256 + 2048 : 256);
        }
        row(name, s[0], s[1], pages, loop_cost + 200); /* and its add and cbnz */
        map_range(false);
}

static void map_list(void)
{
        uint64_t buffer = frame();
        struct ouzel_update *list = window(buffer);
        struct sample only[2], s[2];

        args[1] = SLOT_SPACE;
        args[2] = (uint64_t)list;
        args[3] = 64;
        args[6] = 64 * PAGE;
        for (unsigned i = 0; i < 2; i++) {
                for (unsigned k = 0; k < 64; k++)
                        list[k] = (struct ouzel_update){MAP_VA - 64 * PAGE + k * PAGE,
                                                        memory_start + k * PAGE,
                                                        ACCESS_READ | ACCESS_WRITE, 1};
                map_range(false);
                only[i] = run(loop_list_only, i ? 60 : 12);
                for (unsigned k = 0; k < 64; k++)
                        list[k].va = MAP_VA - 64 * PAGE + k * PAGE;
                thread(SLOT_WORKER, SLOT_TASK, PRIO_WORKER, buffer);
                s[i] = finish(args[0], worker, (uint64_t)args, (uint64_t)loop_update_list);
        }
        row("map_list_64", s[0], s[1], 64, cost(only[0], only[1]));
        map_range(false);
}

static void page_faults(void)
{
        struct sample s[2];

        tables_make(SLOT_CHILD_SPACE, TOUCH_VA, 2ul << 20);
        partner(SLOT_TASK, PRIO_PARTNER, small_pager, SLOT_ENDPOINT, frame());
        for (unsigned i = 0; i < 2; i++) {
                uint64_t rounds = i ? 500 : 100;
                MUST(thread_create, SLOT_WORKER, SLOT_CHILD, SLOT_ENDPOINT, PRIO_WORKER, 0);
                s[i] = finish(rounds, toucher, rounds, TOUCH_VA);
                MUST(space_update, SLOT_CHILD_SPACE, TOUCH_VA, 0, 0, 512);
        }
        row("page_fault_round_trip", s[0], s[1], 1, loop_cost);
        MUST(cap_delete, SLOT_PARTNER);
}

static void threads(void)
{
        struct sample s[2];

        partner(SLOT_TASK, PRIO_PARTNER, yielder, 0, 0);
        measure("thread_switch", loop_yield, 2);
        MUST(cap_delete, SLOT_PARTNER);

        partner(SLOT_TASK, PRIO_SPINNER, spinner, 0, 0);
        for (unsigned i = 0; i < 2; i++) {
                args[0] = i ? 17 * INSTRUCTIONS_PER_TICK : INSTRUCTIONS_PER_TICK;
                args[1] = SLOT_NOTIFY;
                args[2] = 1000;
                thread(SLOT_WORKER, SLOT_TASK, PRIO_WORKER, 0);
                s[i] = finish(args[0], timer_rounds, (uint64_t)args, 0);
        }
        row("irq_to_thread", s[0], s[1], 1,
            100); /* the branch before the clock is read */
        MUST(cap_delete, SLOT_PARTNER);

        args[1] = SLOT_SCRATCH;
        args[2] = 16;
        s[0] = run(loop_task, 4);
        s[1] = run(loop_task, 12);
        row("task_create_destroy", s[0], s[1], 1, loop_cost + 200); /* and its two cbnz */
}

/* ---- vCPU rows ---------------------------------------------------------------------------- */

static void vcpu(const char *vectors)
{
        uint64_t buffer = frame();

        thread(SLOT_WORKER, SLOT_TASK, PRIO_WORKER, buffer);
        MUST(vcpu_enable, SLOT_WORKER, window(buffer), vectors);
}

/* A run whose measuring is done in user mode, and whose result comes in a page. */
static struct sample user_run(const char *start, const char *vectors, uint64_t result_frame)
{
        struct sample s = {.rounds = args[0]};
        volatile uint64_t *result = window(result_frame);
        uint64_t before[COUNTED];

        vcpu(vectors);
        result[1] = 0;
        args[8] = SLOT_PROCESS;
        args[9] = USER_CODE + (uint64_t)(start - user_code);
        counters(before);
        MUST(thread_start, SLOT_WORKER, vcpu_user_start, 0, args);
        /* Long enough for all of it, so that nothing of ours comes in between. */
        enum ouzel_error e = CALL(notify_wait, SLOT_IDLE, now() + 100000);
        counters(s.counters);
        for (unsigned i = 0; i < COUNTED; i++)
                s.counters[i] -= before[i];
        if (e != E_TIMEOUT || !result[1])
                failed("a program in user mode did not end", e);
        s.ticks = result[1] - result[0];
        MUST(cap_delete, SLOT_WORKER);
        return s;
}

static void vcpu_syscalls(void)
{
        uint64_t result = frame();
        struct sample s[2];

        MUST(space_create, SLOT_PROCESS, 0);
        MUST(space_update, SLOT_PROCESS, USER_CODE, frame_of(user_code),
             ACCESS_READ | ACCESS_EXEC, 1);
        MUST(space_update, SLOT_PROCESS, USER_RESULT, result, ACCESS_READ | ACCESS_WRITE, 1);
        for (unsigned i = 0; i < 2; i++) {
                args[0] = i ? 256 + 4096 : 256;
                s[i] = user_run(user_syscalls, vectors_empty, result);
        }
        row("vcpu_syscall_round_trip", s[0], s[1], 1, loop_cost);
        MUST(cap_delete, SLOT_PROCESS);
}

/* Entries of a server's own table. [Arm ARM D8.3] */
#define ENTRY_TABLE 3ul
#define ENTRY_PAGE  (3ul | 1ul << 6 | 1ul << 10) /* EL0 may, accessed */
#define ENTRY_RO    (1ul << 7)
#define ENTRY_UXN   (1ul << 54)

static void vcpu_faults(void)
{
        uint64_t result = frame(), data = frame(), table[4];
        struct sample s[2];

        for (unsigned i = 0; i < 4; i++)
                table[i] = frame();
        *(uint64_t *)window(table[0]) = table[1] | ENTRY_TABLE;
        *(uint64_t *)window(table[1]) = table[2] | ENTRY_TABLE;
        ((uint64_t *)window(table[2]))[USER_CODE >> 21] = table[3] | ENTRY_TABLE;
        for (unsigned i = 0; i < 2; i++) {
                uint64_t *last = window(table[3]);
                last[0] = frame_of(user_code) | ENTRY_PAGE | ENTRY_RO;
                last[1] = result | ENTRY_PAGE | ENTRY_UXN;
                for (unsigned k = 2; k < 512; k++)
                        last[k] = 0;
                MUST(space_create, SLOT_PROCESS, table[0]);
                MUST(space_sync, SLOT_PROCESS, USER_CODE, 2, 0);
                args[0] = i ? 500 : 100;
                args[1] = (uint64_t)&last[2];
                args[2] = data | ENTRY_PAGE | ENTRY_UXN;
                args[3] = 0;
                args[4] = SLOT_PROCESS | 1ul << 32;
                args[5] = 1;
                args[6] = USER_DATA;
                s[i] = user_run(user_faults, vectors_fault, result);
                MUST(cap_delete, SLOT_PROCESS);
        }
        row("vcpu_fault_round_trip", s[0], s[1], 1, loop_cost);
}

static void vcpu_spaces(void)
{
        struct sample s[2];

        MUST(space_create, SLOT_PROCESS, 0);
        MUST(space_create, SLOT_PROCESS + 1, 0);
        args[1] = SLOT_PROCESS;
        args[2] = SLOT_PROCESS + 1;
        for (unsigned i = 0; i < 2; i++) {
                args[0] = i ? 256 + 4096 : 256;
                vcpu(vectors_empty);
                s[i] = finish(args[0], worker, (uint64_t)args, (uint64_t)loop_set_space);
        }
        row("vcpu_set_space", s[0], s[1], 2, loop_cost);
        MUST(cap_delete, SLOT_PROCESS);
        MUST(cap_delete, SLOT_PROCESS + 1);
}

int main(int used) /* bytes of our memory that the pager used for us */
{
        uint64_t hz = RESULT_OF(kernel_info, SLOT_CONTROL, INFO_TIMER_HZ).v1;

        if (hz * INSTRUCTIONS_PER_TICK != 1000000000)
                printf("bench: the clock runs at %lu Hz, not at 62.5 MHz: numbers are wrong\n", hz);
        memory_init((uint64_t)used);
        MUST(endpoint_create, SLOT_DONE, 0);
        MUST(endpoint_create, SLOT_ENDPOINT, 0);
        MUST(notification_create, SLOT_NOTIFY, 0);
        MUST(notification_create, SLOT_IDLE, 0);
        child_make();
        tables_make(SLOT_SPACE, MAP_VA, MAP_SIZE);
        calls();
        ipc();
        signals();
        map("map_4k", ACCESS_READ | ACCESS_WRITE, 1);
        map("unmap_4k", 0, 1);
        map("map_batch_64", ACCESS_READ | ACCESS_WRITE, 64);
        map_list();
        page_faults();
        threads();
        vcpu_syscalls();
        vcpu_faults();
        vcpu_spaces();
        printf("BENCHES %u\n", rows);
        CALL(system_control, SLOT_CONTROL, SYSTEM_OFF);
        return 1;
}
