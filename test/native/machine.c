// SPDX-License-Identifier: MIT
/* machine.c -- calls about the machine as a whole: console, counters, trace, facts, the check. */
#include "test.h"

/* ---- system calls that do not exist --------------------------------------------------------------- */

#define NO_CALL(nr)                                                       \
        do {                                                              \
                struct ouzel_result r_;                                   \
                OUZEL_CALL(nr, r_, SLOT_TASK, 2, 3, 4, 5);                \
                EXPECT_E(r_.error, E_NOCALL);                             \
        } while (0)

TEST(calls_with_bad_numbers_are_refused)
{
        for (unsigned slow = 0; slow < 2; slow++) {
                CALL(trace_control, SLOT_CONTROL, slow ? 1ul << 63 : 0);
                NO_CALL(54);
                NO_CALL(55);
                NO_CALL(56);
                NO_CALL(63);
                NO_CALL(64);
                NO_CALL(127);
                NO_CALL(128);
                NO_CALL(255);
                NO_CALL(256);
                NO_CALL(4096);
                NO_CALL(32768);
                NO_CALL(65534);
                NO_CALL(65535);
        }
}

/* ---- who has no control capability ------------------------------------------------------------------ */

static struct { enum ouzel_error error[10]; } without;

static void asks(uint64_t unused)
{
        (void)unused;
        without.error[0] = CALL(debug_write, 1, '!');
        without.error[1] = CALL(debug_read, 0);
        without.error[2] = CALL(counters_read, 0, COUNT_entries);
        without.error[3] = CALL(trace_control, 0, 1);
        without.error[4] = CALL(trace_read, 0, 0, 0);
        without.error[5] = CALL(object_next, 0, CAP_TASK, 0);
        without.error[6] = CALL(kernel_info, 0, INFO_CPUS);
        without.error[7] = CALL(kernel_check, 0);
        without.error[8] = CALL(system_control, 0, SYSTEM_OFF);
        without.error[9] = CALL(irq_create, 40, 100, 0);
}

TEST(control_calls_need_the_capability)
{
        unsigned task = task_new(24);
        struct worker *w = worker_start(asks, 0, .task = task);

        worker_join(w);
        for (unsigned i = 0; i < 10; i++)
                EXPECT_E(without.error[i], E_CAP);
        /* Something else in its slot is none. */
        EXPECT_OK(CALL(cap_copy, task, SLOT_CONTROL, SLOT_CRASH, RIGHT_ALL));
        worker_restart(w);
        worker_join(w);
        for (unsigned i = 0; i < 10; i++)
                EXPECT_E(without.error[i], E_CAP);
}

/* Ours may not be granted to another task, so it is we who have less of it for a moment. */
static void with_rights(unsigned rights, const enum ouzel_error *want)
{
        unsigned keep = slot_new();

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, keep, SLOT_CONTROL,
                       CONTROL_IRQ | CONTROL_DEBUG | CONTROL_SYSTEM));
        EXPECT_OK(CALL(cap_delete, SLOT_CONTROL));
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, SLOT_CONTROL, keep, rights));
        without.error[1] = CALL(debug_read, 0);
        without.error[2] = CALL(counters_read, 0, COUNT_entries);
        without.error[3] = CALL(trace_control, 0, 0);
        without.error[5] = CALL(object_next, 0, CAP_TASK, 0);
        without.error[6] = CALL(kernel_info, 0, INFO_CPUS);
        without.error[7] = CALL(kernel_check, 0);
        without.error[8] = CALL(system_control, 0, 99);
        without.error[9] = CALL(irq_create, SLOT_TASK, 100, 0);
        EXPECT_OK(CALL(cap_delete, SLOT_CONTROL));
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, SLOT_CONTROL, keep,
                       CONTROL_IRQ | CONTROL_DEBUG | CONTROL_SYSTEM));
        for (unsigned i = 1; i < 10; i++)
                if (i != 4)
                        EXPECT_E(without.error[i], want[i]);
}

TEST(control_calls_need_their_right)
{
        static const enum ouzel_error debug[] = {0, E_AGAIN, E_OK, E_OK, 0, E_OK, E_OK, E_RIGHTS,
                                                 E_RIGHTS, E_RIGHTS};
        static const enum ouzel_error system[] = {0, E_RIGHTS, E_RIGHTS, E_RIGHTS, 0, E_RIGHTS,
                                                  E_OK, E_OK, E_INVALID, E_RIGHTS};
        static const enum ouzel_error irq[] = {0, E_RIGHTS, E_RIGHTS, E_RIGHTS, 0, E_RIGHTS, E_OK,
                                               E_RIGHTS, E_RIGHTS, E_BUSY};

        with_rights(CONTROL_DEBUG, debug);
        with_rights(CONTROL_SYSTEM, system);
        with_rights(CONTROL_IRQ, irq);
}

TEST(system_control_refuses_what_it_does_not_know)
{
        EXPECT_E(CALL(system_control, 0, 2), E_INVALID);
        EXPECT_E(CALL(system_control, 0, UINT64_MAX), E_INVALID);
}

TEST(debug_write_and_read)
{
        EXPECT_OK(CALL(debug_write, 0));
        EXPECT_E(CALL(debug_write, 25), E_RANGE);
        EXPECT_E(CALL(debug_write, UINT64_MAX), E_RANGE);
        EXPECT_E(CALL(debug_read, 0), E_AGAIN);
}

TEST(kernel_info_tells_facts)
{
        uint64_t frequency;

        __asm__("mrs %0, cntfrq_el0" : "=r"(frequency));
        EXPECT_EQ(RESULT_OF(kernel_info, 0, INFO_TIMER_HZ).v1, frequency);
        EXPECT_EQ(RESULT_OF(kernel_info, 0, INFO_VERSION).v1, OUZEL_ABI_VERSION);
        struct ouzel_result r = RESULT_OF(kernel_info, 0, INFO_KERNEL_MEMORY);
        EXPECT(r.v1 > r.v2 && r.v2 > 0);
        r = RESULT_OF(kernel_info, 0, INFO_GIC);
        EXPECT((r.v1 == 0 || r.v1 == 2 || r.v1 == 3) && r.v2 >= 64);
        r = RESULT_OF(kernel_info, 0, INFO_ARCHIVE);
        EXPECT(r.v1 && r.v2);
        EXPECT_EQ(RESULT_OF(kernel_info, 0, INFO_CPUS).v1, cores);
        EXPECT_OK(CALL(kernel_info, 0, INFO_CONSOLE));
        EXPECT_OK(CALL(kernel_info, 0, INFO_INITRD));
        EXPECT_OK(CALL(kernel_info, 0, INFO_FDT));
        EXPECT_E(CALL(kernel_info, 0, INFO_VERSION + 1), E_RANGE);
        EXPECT_E(CALL(kernel_info, 0, UINT64_MAX), E_RANGE);
}

/* ---- counters, trace ------------------------------------------------------------------------------------ */

TEST(counters_count)
{
        for (unsigned i = 0; i < COUNT_MAX; i++) {
                uint64_t sum = 0;
                for (unsigned core = 0; core < cores; core++)
                        sum += RESULT_OF(counters_read, core, i).v1;
                EXPECT(RESULT_OF(counters_read, UINT64_MAX, i).v1 >= sum);
        }
        uint64_t before = RESULT_OF(counters_read, 0, COUNT_entries).v1;
        for (unsigned i = 0; i < 100; i++)
                CALL(cap_probe, SLOT_TASK);
        uint64_t entries = RESULT_OF(counters_read, 0, COUNT_entries).v1 - before;
        EXPECT(entries >= 101 && entries < 300); /* and a tick or two */
        before = RESULT_OF(counters_read, 0, COUNT_tlbi).v1;
        uint64_t pa = frames_new(1);
        CALL(space_update, SLOT_SPACE, TEST_VA, pa, ACCESS_READ, 1);
        CALL(space_update, SLOT_SPACE, TEST_VA, 0, 0, 1);
        EXPECT(RESULT_OF(counters_read, 0, COUNT_tlbi).v1 > before);
        before = RESULT_OF(counters_read, UINT64_MAX, COUNT_faults).v1;
        may_access(0, 0, TEST_VA, ACCESS_READ, NULL);
        EXPECT_EQ(RESULT_OF(counters_read, UINT64_MAX, COUNT_faults).v1, before + 1);
        before = RESULT_OF(counters_read, 0, COUNT_switches).v1;
        sleep_us(100);
        EXPECT(RESULT_OF(counters_read, 0, COUNT_switches).v1 > before);
        EXPECT_E(CALL(counters_read, 8, 0), E_RANGE);
        EXPECT_E(CALL(counters_read, UINT64_MAX - 1, 0), E_RANGE);
        EXPECT_E(CALL(counters_read, 0, COUNT_MAX), E_RANGE);
        EXPECT_E(CALL(counters_read, 0, UINT64_MAX), E_RANGE);
}

/* The number of the next event of core 0. */
static uint64_t trace_end(void)
{
        uint64_t low = 0, high = 1ul << 40;

        while (low < high) {
                uint64_t middle = (low + high) / 2;
                if (CALL(trace_read, 0, 0, middle) == E_AGAIN)
                        high = middle;
                else
                        low = middle + 1;
        }
        return low;
}

TEST(trace_records_what_it_is_asked_to)
{
        uint64_t pa = frames_new(1), at = trace_end();

        CALL(space_update, SLOT_SPACE, TEST_VA, pa, ACCESS_READ, 1); /* off: nothing */
        EXPECT_EQ(trace_end(), at);
        EXPECT_OK(CALL(trace_control, 0, 1ul << TRACE_map));
        CALL(space_update, SLOT_SPACE, TEST_VA, pa, ACCESS_READ, 1);
        CALL(notify_poll, SLOT_SLEEP);
        CALL(space_update, SLOT_SPACE, TEST_VA, 0, 0, 1);
        EXPECT_OK(CALL(trace_control, 0, 0));
        EXPECT_EQ(trace_end(), at + 2);
        struct ouzel_result r = RESULT_OF(trace_read, 0, 0, at);
        EXPECT_OK(r.error);
        EXPECT(r.v1 <= now() && r.v1 > 0);
        EXPECT_EQ(r.v2, TRACE_map);
        EXPECT_EQ(r.v4, ACCESS_READ);
        EXPECT_EQ(r.v5, 1);
}

TEST(trace_ring_keeps_the_last)
{
        uint64_t at = trace_end();

        EXPECT_OK(CALL(trace_control, 0, 1ul << TRACE_map));
        for (unsigned i = 0; i < 600; i++)
                CALL(space_update, SLOT_SPACE, TEST_VA, 0, 0, 1);
        EXPECT_OK(CALL(trace_control, 0, 0));
        EXPECT_EQ(trace_end(), at + 600);
        struct ouzel_result r = RESULT_OF(trace_read, 0, 0, at);
        EXPECT_E(r.error, E_RANGE);
        EXPECT_EQ(r.v1, at + 600 - 512); /* the oldest that is left */
        EXPECT_OK(CALL(trace_read, 0, 0, at + 600 - 512));
        EXPECT_E(CALL(trace_read, 0, 0, at + 600), E_AGAIN);
        EXPECT_E(CALL(trace_read, 0, 8, 0), E_RANGE);
        EXPECT_E(CALL(trace_read, 0, UINT64_MAX, 0), E_RANGE);
}

TEST(trace_control_refuses_unknown_classes)
{
        for (unsigned bit = TRACE_MAX; bit < 63; bit++)
                EXPECT_E(CALL(trace_control, 0, 1ul << bit), E_INVALID);
        EXPECT_OK(CALL(trace_control, 0, (1ul << TRACE_MAX) - 1));
        EXPECT_OK(CALL(trace_control, 0, 0));
}

/* ---- objects ---------------------------------------------------------------------------------------------- */

TEST(object_next_walks_tasks_and_threads)
{
        uint64_t id = RESULT_OF(task_info, SLOT_TASK).v3, made;
        unsigned slot = slots_new(2), tasks = 0, threads = 0, found = 0;
        struct ouzel_result r = RESULT_OF(task_create, slot, 11);

        made = r.v1;
        for (unsigned i = 0; !(r = RESULT_OF(object_next, 0, CAP_TASK, i)).error; i++) {
                tasks++;
                found += r.v1 == made && r.v2 == 11 && r.v3 == 5 && r.v4 == id;
        }
        EXPECT_E(r.error, E_AGAIN);
        EXPECT(tasks >= 3 && found == 1);
        for (unsigned i = 0; !(r = RESULT_OF(object_next, 0, CAP_THREAD, i)).error; i++)
                threads += r.v2 == id;
        EXPECT_E(r.error, E_AGAIN);
        EXPECT_EQ(threads, 3); /* the watchdog, the one for crashes, this one */
        EXPECT_E(CALL(object_next, 0, CAP_SPACE, 0), E_INVALID);
        EXPECT_E(CALL(object_next, 0, UINT64_MAX, 0), E_INVALID);
        EXPECT_E(CALL(object_next, 0, CAP_TASK, UINT64_MAX), E_AGAIN);
}

/* ---- faults of native threads --------------------------------------------------------------------------------- */

static void faults_at(uint64_t how)
{
        switch (how) {
        case 0: (void)*(volatile uint32_t *)TEST_VA; break;
        case 1: *(volatile uint32_t *)TEST_VA = 1; break;
        case 2: ((void (*)(void))TEST_VA)(); break;
        case 3: (void)*(volatile uint32_t *)KERNEL_SLOT_VA; break;
        case 4: *(volatile uint32_t *)(uint64_t)faults_at = 0; break; /* our text */
        case 5: __asm__ volatile("brk #5"); break;
        case 6: __asm__ volatile(".inst 0"); break;
        case 7: __asm__ volatile("msr daifset, #15"); break;
        case 8: __asm__ volatile("msr cntv_ctl_el0, xzr"); break;
        case 9: __asm__ volatile("mrs x0, ttbr1_el1" ::: "x0"); break;
        case 10: __asm__ volatile("br %0" ::"r"((uint64_t)faults_at + 2)); break;
        case 11: __asm__ volatile("tlbi vmalle1"); break;
        case 12: __asm__ volatile("hvc #0"); break;
        }
}

TEST(fault_messages_say_what_happened)
{
        static const struct { unsigned label, ec; uint64_t address, access; } want[] = {
                {LABEL_PAGE_FAULT, 0x24, TEST_VA, ACCESS_READ},
                {LABEL_PAGE_FAULT, 0x24, TEST_VA, ACCESS_WRITE},
                {LABEL_PAGE_FAULT, 0x20, TEST_VA, ACCESS_EXEC},
                {LABEL_PAGE_FAULT, 0x24, KERNEL_SLOT_VA, ACCESS_READ},
                {LABEL_PAGE_FAULT, 0x24, (uint64_t)faults_at, ACCESS_WRITE},
                {LABEL_EXCEPTION, 0x3c, 0, 0}, {LABEL_EXCEPTION, 0x00, 0, 0},
                {LABEL_EXCEPTION, 0x18, 0, 0}, {LABEL_EXCEPTION, 0x18, 0, 0},
                {LABEL_EXCEPTION, 0x18, 0, 0}, {LABEL_EXCEPTION, 0x22, 0, 0},
                {LABEL_EXCEPTION, 0x18, 0, 0}, {LABEL_EXCEPTION, 0x00, 0, 0}};
        unsigned ep = endpoint_new(0), badged = slot_new();

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, badged, ep, RIGHT_SEND, 0xbad));
        for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]) && !failed(); i++) {
                struct worker *w = worker_start(faults_at, i, .fault_endpoint = badged,
                                                .core = i % cores);
                struct message m = {0};
                EXPECT_OK(ipc_recv(ep, &m));
                EXPECT_EQ(m.tag, MSG_TAG(want[i].label, 7));
                EXPECT_EQ(m.badge, 0xbad);
                EXPECT_EQ(m.w[1], want[i].access);
                if (want[i].label == LABEL_PAGE_FAULT)
                        EXPECT_EQ(m.w[0], want[i].address);
                unsigned ec = (unsigned)(m.w[3] >> 26);
                EXPECT(ec == want[i].ec || (want[i].ec == 0x18 && ec == 0));
                EXPECT_EQ(m.w[4], RESULT_OF(thread_info, w->slot).v4);
                EXPECT_EQ(state_of(w->slot), STATE_calling);
                EXPECT_OK(CALL(cap_delete, w->slot));
        }
}

static void faults_and_goes_on(uint64_t va)
{
        *(volatile uint64_t *)va = 0x1234; /* resolved by the test */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        *(volatile uint64_t *)(va + 8) += 1;
}

TEST(fault_answer_resumes_or_leaves_it_stopped)
{
        unsigned ep = endpoint_new(0);
        uint64_t pa = frames_new(1);
        struct worker *w = worker_start(faults_and_goes_on, TEST_VA, .fault_endpoint = ep,
                                        .core = cores - 1);
        struct message m = {0};

        EXPECT_OK(ipc_recv(ep, &m));
        EXPECT_EQ(m.w[0], TEST_VA);
        EXPECT_OK(CALL(space_update, SLOT_SPACE, TEST_VA, pa, ACCESS_READ | ACCESS_WRITE, 1));
        struct worker *second = worker_start(faults_and_goes_on, TEST_VA + 0x1000,
                                             .fault_endpoint = ep);
        wait_state(second->slot, STATE_sending);
        m = (struct message){0};
        EXPECT_OK(ipc_reply_recv(ep, &m)); /* label 0: the first goes on */
        EXPECT_EQ(m.w[0], TEST_VA + 0x1000);
        worker_join(w);
        EXPECT_EQ(*(uint64_t *)frame_va(pa), 0x1234);
        EXPECT_EQ(*(uint64_t *)frame_va(pa + 8), 1);
        struct worker *third = worker_start(faults_and_goes_on, TEST_VA + 0x2000,
                                            .fault_endpoint = ep);
        m = (struct message){.tag = MSG_TAG(1, 0)};
        EXPECT_OK(ipc_reply_recv(ep, &m)); /* any other: it stays stopped */
        EXPECT_EQ(state_of(second->slot), STATE_stopped);
        EXPECT_EQ(m.w[0], TEST_VA + 0x2000);
        EXPECT_OK(CALL(thread_stop, third->slot));
}

TEST(fault_without_a_pager_stops_the_thread)
{
        unsigned ep = endpoint_new(0);
        struct worker *waits = worker_start(faults_at, 0, .fault_endpoint = ep);

        wait_state(waits->slot, STATE_sending);
        EXPECT_OK(CALL(cap_delete, ep)); /* nobody will ever answer it */
        wait_state(waits->slot, STATE_stopped);
        worker_restart(waits); /* and has no endpoint any more: the kernel says so */
        wait_state(waits->slot, STATE_stopped);
}

static void bad_stack(uint64_t unused)
{
        (void)unused;
        __asm__ volatile("mov sp, %0\n\tstp x0, x1, [sp, #-16]!" ::"r"(TEST_VA) : "memory");
}

TEST(fault_of_a_bad_stack_is_one_message)
{
        unsigned ep = endpoint_new(0);
        struct message m = {0};

        struct worker *w = worker_start(bad_stack, 0, .fault_endpoint = ep);
        EXPECT_OK(ipc_recv(ep, &m));
        EXPECT_EQ(m.tag >> TAG_LABEL_SHIFT, LABEL_PAGE_FAULT);
        EXPECT_EQ(m.w[0], TEST_VA - 16);
        CALL(thread_stop, w->slot);
        /* A system call does not look at the stack: it may be anything. */
        __asm__ volatile("mov x19, sp\n\tmov sp, %0\n\tmov x0, #1\n\tsvc #5\n\tmov sp, x19"
                         ::"r"(TEST_VA) : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8",
                         "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18",
                         "x19", "memory", "cc");
}
