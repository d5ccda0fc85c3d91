// SPDX-License-Identifier: MIT
/* notify.c -- notifications, and interrupts as notifications. */
#include "test.h"

#define RW (ACCESS_READ | ACCESS_WRITE)

static struct ouzel_result got;

static void waits(uint64_t slot)
{
        got = RESULT_OF(notify_wait, slot, 0);
}

TEST(notify_poll_takes_all_bits_once)
{
        unsigned n = notification_new(0);

        EXPECT_E(CALL(notify_poll, n), E_AGAIN);
        EXPECT_OK(CALL(notify_signal, n, 1));
        EXPECT_OK(CALL(notify_signal, n, 0x8000000000000000));
        EXPECT_OK(CALL(notify_signal, n, 1));
        struct ouzel_result r = RESULT_OF(notify_poll, n);
        EXPECT_OK(r.error);
        EXPECT_EQ(r.v1, 0x8000000000000001);
        EXPECT_E(CALL(notify_poll, n), E_AGAIN);
        EXPECT_OK(CALL(notify_signal, n, 0)); /* no bits: nothing to take */
        EXPECT_E(CALL(notify_poll, n), E_AGAIN);
}

TEST(notify_wait_gets_what_is_there_or_waits)
{
        unsigned n = notification_new(0);

        EXPECT_OK(CALL(notify_signal, n, 6));
        struct worker *w = worker_start(waits, n);
        worker_join(w);
        EXPECT_EQ(got.v1, 6);
        worker_restart(w);
        wait_state(w->slot, STATE_waiting);
        EXPECT_OK(CALL(notify_signal, n, 0)); /* wakes nobody */
        sleep_us(500);
        EXPECT_EQ(state_of(w->slot), STATE_waiting);
        EXPECT_OK(CALL(notify_signal, n, 9));
        worker_join(w);
        EXPECT_OK(got.error);
        EXPECT_EQ(got.v1, 9);
        EXPECT_E(CALL(notify_poll, n), E_AGAIN);
}

TEST(notify_wait_times_out)
{
        unsigned n = notification_new(0);
        uint64_t deadline = now() + hz / 200;
        struct ouzel_result r = RESULT_OF(notify_wait, n, deadline);

        EXPECT_E(r.error, E_TIMEOUT);
        EXPECT_EQ(r.v1, 0);
        EXPECT(now() >= deadline);
        EXPECT_E(CALL(notify_wait, n, now() - 1), E_TIMEOUT); /* at once */
        EXPECT_E(CALL(notify_wait, n, 1), E_TIMEOUT);
        EXPECT_OK(CALL(notify_signal, n, 1));
        EXPECT_OK(CALL(notify_wait, n, 1)); /* what is there counts more than the clock */
        EXPECT_OK(CALL(notify_signal, n, 1)); /* a signal after a time-out is not lost */
        EXPECT_OK(CALL(notify_poll, n));
}

TEST(notify_many_timeouts_come_in_order)
{
        struct worker *w[8];
        unsigned n = notification_new(0);

        for (unsigned i = 0; i < 8; i++) {
                w[i] = worker_start(waits, n);
                wait_state(w[i]->slot, STATE_waiting);
        }
        for (unsigned i = 0; i < 8; i++) { /* one signal wakes one */
                EXPECT_OK(CALL(notify_signal, n, i + 1));
                sleep_us(200);
                unsigned waiting = 0;
                for (unsigned k = 0; k < 8; k++)
                        waiting += state_of(w[k]->slot) == STATE_waiting;
                EXPECT_EQ(waiting, 7 - i);
        }
}

TEST(notify_refuses)
{
        unsigned n = notification_new(0), send = slot_new(), recv = slot_new(), ep = endpoint_new(0);

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, send, n, RIGHT_SEND));
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, recv, n, RIGHT_RECV));
        EXPECT_E(CALL(notify_signal, recv, 1), E_RIGHTS);
        EXPECT_E(CALL(notify_wait, send, 1), E_RIGHTS);
        EXPECT_E(CALL(notify_poll, send), E_RIGHTS);
        EXPECT_E(CALL(notify_poll, n), E_AGAIN);
        static const uint64_t bad[] = {0, SLOT_NEVER, SLOT_TASK, SLOT_COUNT, UINT64_MAX};
        for (unsigned i = 0; i < 5; i++) {
                EXPECT_E(CALL(notify_signal, bad[i], 1), E_CAP);
                EXPECT_E(CALL(notify_wait, bad[i], 1), E_CAP);
                EXPECT_E(CALL(notify_poll, bad[i]), E_CAP);
        }
        EXPECT_E(CALL(notify_signal, ep, 1), E_CAP);
        if (cores > 1) {
                unsigned other = notification_new(1);
                EXPECT_E(CALL(notify_wait, other, 1), E_RANGE); /* wait on its own core */
                EXPECT_E(CALL(notify_wait, other, 0), E_RANGE);
                EXPECT_OK(CALL(notify_signal, other, 1));
                EXPECT_OK(CALL(notify_poll, other));
        }
}

TEST(notification_and_endpoint_create_refuse)
{
        unsigned slot = slot_new();
        uint64_t used = usage_of(SLOT_TASK).used;

        static const uint64_t cores_bad[] = {8, 255, 1ul << 32, UINT64_MAX};
        for (unsigned i = 0; i < 4; i++) {
                EXPECT_E(CALL(notification_create, slot, cores_bad[i]), E_RANGE);
                EXPECT_E(CALL(endpoint_create, slot, cores_bad[i]), E_RANGE);
        }
        if (cores < 8) {
                EXPECT_E(CALL(notification_create, slot, cores), E_RANGE);
                EXPECT_E(CALL(endpoint_create, slot, cores), E_RANGE);
        }
        static const uint64_t slots_bad[] = {0, SLOT_COUNT, UINT64_MAX};
        for (unsigned i = 0; i < 3; i++) {
                EXPECT_E(CALL(notification_create, slots_bad[i], 0), E_RANGE);
                EXPECT_E(CALL(endpoint_create, slots_bad[i], 0), E_RANGE);
        }
        EXPECT_E(CALL(notification_create, SLOT_TASK, 0), E_BUSY);
        EXPECT_E(CALL(endpoint_create, SLOT_CONTROL, 0), E_BUSY);
        EXPECT_EQ(usage_of(SLOT_TASK).used, used);
}

TEST(notification_that_goes_wakes_who_waits)
{
        for (unsigned core = 0; core < cores; core++) {
                unsigned n = notification_new(core);
                struct worker *w = worker_start(waits, n, .core = core);
                wait_state(w->slot, STATE_waiting);
                EXPECT_OK(CALL(cap_delete, n));
                worker_join(w);
                EXPECT_E(got.error, E_DEAD);
        }
}

TEST(notify_waiter_that_is_killed_leaves_the_queue)
{
        unsigned n = notification_new(0);
        struct worker *w[3];

        for (unsigned i = 0; i < 3; i++) {
                w[i] = worker_start(waits, n);
                wait_state(w[i]->slot, STATE_waiting);
        }
        EXPECT_OK(CALL(cap_delete, w[1]->slot));
        EXPECT_OK(CALL(cap_delete, w[2]->slot));
        EXPECT_OK(CALL(notify_signal, n, 1));
        worker_join(w[0]);
        EXPECT_OK(got.error);
}

static void waits_long(uint64_t slot)
{
        got = RESULT_OF(notify_wait, slot, now() + 3600 * hz);
}

TEST(notify_waiter_that_is_stopped_forgets_its_deadline)
{
        for (unsigned core = 0; core < cores; core++) {
                unsigned n = notification_new(core);
                for (unsigned i = 0; i < 5; i++) {
                        struct worker *w = worker_start(waits_long, n, .core = core);
                        wait_state(w->slot, STATE_waiting);
                        EXPECT_OK(CALL(thread_stop, w->slot));
                        EXPECT_OK(CALL(cap_delete, w->slot)); /* a timer of freed memory? */
                }
                sleep_us(1000);
        }
}

/* Two threads on two cores, each wakes the other. */
static unsigned ping_slot[2];
static uint32_t rallies;

static void rally(uint64_t me)
{
        for (unsigned i = 0; i < 100; i++) {
                struct ouzel_result r = RESULT_OF(notify_wait, ping_slot[me], 0);
                EXPECT_OK(r.error);
                EXPECT_EQ(r.v1, i + 1);
                __atomic_fetch_add(&rallies, 1, __ATOMIC_RELAXED);
                EXPECT_OK(CALL(notify_signal, ping_slot[!me], me ? i + 2 : i + 1));
        }
}

TEST(notify_across_cores)
{
        unsigned other = cores - 1;

        rallies = 0;
        ping_slot[0] = notification_new(0);
        ping_slot[1] = notification_new(other);
        struct worker *a = worker_start(rally, 0), *b = worker_start(rally, 1, .core = other);
        EXPECT_OK(CALL(notify_signal, ping_slot[0], 1));
        worker_join(a);
        worker_join(b);
        EXPECT_EQ(rallies, 200);
}

static uint64_t collected;
static uint32_t n_collected;

static void collects(uint64_t n)
{
        for (;;) {
                struct ouzel_result r = RESULT_OF(notify_wait, n, 0);
                __atomic_fetch_or(&collected, r.v1, __ATOMIC_RELAXED);
                __atomic_fetch_add(&n_collected, 1, __ATOMIC_RELEASE);
        }
}

static void signals(uint64_t n_bit)
{
        for (unsigned i = 0; i < 8; i++)
                EXPECT_OK(CALL(notify_signal, n_bit & 0xffff, 1ul << ((n_bit >> 16) * 8 + i)));
}

TEST(notify_no_bit_is_lost_from_many_cores)
{
        for (unsigned round = 0; round < 4 && !failed(); round++) {
                unsigned n = notification_new(round % cores);
                struct worker *c = worker_start(collects, n, .core = round % cores), *w[8];
                collected = 0;
                for (unsigned i = 0; i < 8; i++)
                        w[i] = worker_start(signals, n | i << 16, .core = i % cores);
                for (unsigned i = 0; i < 8; i++)
                        worker_join(w[i]);
                uint64_t end = now() + 5 * hz;
                while (collected != UINT64_MAX && now() < end)
                        sleep_us(100);
                EXPECT_EQ(collected, UINT64_MAX);
                for (unsigned i = 0; i < 8; i++)
                        CALL(cap_delete, w[i]->slot);
                CALL(cap_delete, c->slot);
                CALL(cap_delete, n);
        }
}

/* ---- interrupts ------------------------------------------------------------------------------------ */

/* PL031, the clock of QEMU's virt machine: it interrupts at a time that is now. [DDI 0224] */
enum { RTC_DR = 0x00, RTC_MR = 0x04, RTC_IMSC = 0x10, RTC_MIS = 0x18, RTC_ICR = 0x1c };

#define SOURCE_VA (TEST_VA + 0x10000)
static volatile uint32_t *rtc(unsigned reg)
{
        return (volatile uint32_t *)(SOURCE_VA + reg);
}

bool irq_source_begin(void)
{
        struct ouzel_result r;

        for (unsigned i = 0; !(r = RESULT_OF(region_query, SLOT_TASK, i)).error; i++) {
                if (!(r.v3 & REGION_DEVICE))
                        continue;
                EXPECT_OK(CALL(space_update, SLOT_SPACE, SOURCE_VA, r.v1, RW | MAP_DEVICE, 1));
                if (*rtc(0xfe0) == 0x31) { /* peripheral ID */
                        *rtc(RTC_ICR) = 1;
                        *rtc(RTC_IMSC) = 1;
                        return true;
                }
        }
        not_applicable("this machine has no PL031");
        return false;
}

void irq_source_fire(void)
{
        *rtc(RTC_MR) = *rtc(RTC_DR);
}

void irq_source_quiet(void)
{
        *rtc(RTC_ICR) = 1;
}

static void rtc_quiet(void)
{
        irq_source_quiet();
        EXPECT_OK(CALL(irq_ack, SLOT_IRQ_SOURCE));
}

TEST(irq_comes_as_a_notification_until_it_is_acknowledged)
{
        unsigned n = notification_new(0);

        if (!irq_source_begin())
                return;
        EXPECT_OK(CALL(irq_bind, SLOT_IRQ_SOURCE, n, 7, 0));
        for (unsigned i = 0; i < 5; i++) {
                EXPECT_E(CALL(notify_poll, n), E_AGAIN);
                irq_source_fire();
                struct ouzel_result r = RESULT_OF(notify_wait, n, now() + 5 * hz);
                EXPECT_OK(r.error);
                EXPECT_EQ(r.v1, 1 << 7);
                /* The line is still up, but it comes once until the acknowledge. */
                spin_us(200);
                EXPECT_E(CALL(notify_poll, n), E_AGAIN);
                if (i == 2) { /* acknowledged, and the device was not silenced: again */
                        EXPECT_OK(CALL(irq_ack, SLOT_IRQ_SOURCE));
                        EXPECT_OK(CALL(notify_wait, n, now() + 5 * hz));
                }
                rtc_quiet();
        }
}

TEST(irq_wakes_a_thread_on_another_core)
{
        unsigned n = notification_new(cores - 1);

        if (!irq_source_begin())
                return;
        struct worker *w = worker_start(waits, n, .core = cores - 1);
        EXPECT_OK(CALL(irq_bind, SLOT_IRQ_SOURCE, n, 63, 0));
        wait_state(w->slot, STATE_waiting);
        irq_source_fire();
        worker_join(w);
        EXPECT_EQ(got.v1, 1ul << 63);
        rtc_quiet();
}

TEST(irq_mask_holds_it_back)
{
        unsigned n = notification_new(0);

        if (!irq_source_begin())
                return;
        EXPECT_OK(CALL(irq_bind, SLOT_IRQ_SOURCE, n, 0, 0));
        EXPECT_OK(CALL(irq_mask, SLOT_IRQ_SOURCE, 1));
        irq_source_fire();
        spin_us(500);
        EXPECT_E(CALL(notify_poll, n), E_AGAIN);
        EXPECT_OK(CALL(irq_mask, SLOT_IRQ_SOURCE, 0));
        EXPECT_OK(CALL(notify_wait, n, now() + 5 * hz));
        rtc_quiet();
        EXPECT_E(CALL(irq_mask, SLOT_IRQ_SOURCE, 2), E_INVALID);
        EXPECT_E(CALL(irq_mask, SLOT_IRQ_SOURCE, UINT64_MAX), E_INVALID);
        EXPECT_E(CALL(irq_mask, SLOT_NEVER, 0), E_CAP);
        EXPECT_E(CALL(irq_mask, SLOT_TASK, 0), E_CAP);
        unsigned weak = slot_new();
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, SLOT_IRQ_SOURCE, 0));
        EXPECT_E(CALL(irq_mask, weak, 0), E_RIGHTS);
        EXPECT_E(CALL(irq_ack, weak), E_RIGHTS);
        EXPECT_E(CALL(irq_bind, weak, n, 0, 0), E_RIGHTS);
        EXPECT_E(CALL(irq_ack, SLOT_NEVER), E_CAP);
        EXPECT_E(CALL(irq_ack, n), E_CAP);
}

TEST(irq_whose_notification_goes_is_off)
{
        unsigned n = notification_new(0);

        if (!irq_source_begin())
                return;
        EXPECT_OK(CALL(irq_bind, SLOT_IRQ_SOURCE, n, 0, 0));
        EXPECT_OK(CALL(cap_delete, n));
        irq_source_fire();
        spin_us(500);
        n = notification_new(0); /* bound again, it comes: the line is level */
        EXPECT_OK(CALL(irq_bind, SLOT_IRQ_SOURCE, n, 1, 0));
        EXPECT_OK(CALL(notify_wait, n, now() + 5 * hz));
        rtc_quiet();
}

TEST(irq_create_and_bind_refuse)
{
        unsigned slot = slot_new(), n = notification_new(0), recv = slot_new(), edge = slot_new();
        uint64_t lines = RESULT_OF(kernel_info, SLOT_CONTROL, INFO_GIC).v2;
        uint64_t used = usage_of(SLOT_TASK).used;

        static const uint64_t bad[] = {0, 15, 16, 27, 31, 1020, 1023, 4096, UINT64_MAX};
        for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                EXPECT_E(CALL(irq_create, slot, bad[i], 0), E_RANGE);
        EXPECT_E(CALL(irq_create, slot, lines, 0), E_RANGE);
        EXPECT_E(CALL(irq_create, slot, lines - 1, 2), E_INVALID);
        EXPECT_E(CALL(irq_create, 0, lines - 1, 0), E_RANGE);
        EXPECT_E(CALL(irq_create, SLOT_TASK, lines - 1, 0), E_BUSY);
        EXPECT_EQ(usage_of(SLOT_TASK).used, used);
        EXPECT_OK(CALL(irq_create, slot, lines - 1, 0));
        EXPECT_E(CALL(irq_create, edge, lines - 1, 0), E_BUSY); /* one owner of a line */
        EXPECT_OK(CALL(irq_create, edge, lines - 2, IRQ_EDGE));
        EXPECT_E(CALL(irq_bind, slot, n, 64, 0), E_INVALID);
        EXPECT_E(CALL(irq_bind, slot, n, 0, 1), E_INVALID);
        EXPECT_E(CALL(irq_bind, SLOT_NEVER, n, 0, 0), E_CAP);
        EXPECT_E(CALL(irq_bind, n, n, 0, 0), E_CAP);
        EXPECT_E(CALL(irq_bind, slot, SLOT_NEVER, 0, 0), E_CAP);
        EXPECT_E(CALL(irq_bind, slot, SLOT_TASK, 0, 0), E_CAP);
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, recv, n, RIGHT_RECV));
        EXPECT_E(CALL(irq_bind, slot, recv, 0, 0), E_CAP); /* it must be able to signal */
        EXPECT_E(CALL(irq_bind, slot, SLOT_TEST_THREAD, 0, 0), E_STATE); /* no vCPU */
        EXPECT_OK(CALL(irq_bind, slot, n, 0, 0));
        EXPECT_OK(CALL(irq_bind, edge, n, 0, 0));
        EXPECT_OK(CALL(cap_delete, slot)); /* the line is free again */
        EXPECT_OK(CALL(irq_create, slot, lines - 1, 0));
}
