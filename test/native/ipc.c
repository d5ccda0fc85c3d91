// SPDX-License-Identifier: MIT
/* ipc.c -- messages: what arrives, who waits for whom, and what happens when somebody goes. */
#include "test.h"

#define STOP_LABEL 0xdead

/* A message that differs in every word, of n words. */
static struct message pattern(uint64_t seed, unsigned n)
{
        struct message m = {.tag = MSG_TAG(seed & 0xffff, n)};

        for (unsigned i = 0; i < MSG_WORDS; i++)
                m.w[i] = seed * 0x9e3779b97f4a7c15 + i;
        return m;
}

static uint32_t served;

/* Answers what it gets, each word plus one, with the badge as label; ends at STOP_LABEL. */
static void echo(uint64_t endpoint)
{
        struct message m = {0};
        enum ouzel_error e = ipc_recv(endpoint, &m);

        while (!e && m.tag >> TAG_LABEL_SHIFT != STOP_LABEL) {
                m.tag = MSG_TAG(m.badge, m.tag & TAG_WORDS_MASK);
                for (unsigned i = 0; i < MSG_WORDS; i++)
                        m.w[i]++;
                m.cap = m.receive = 0;
                __atomic_fetch_add(&served, 1, __ATOMIC_RELAXED);
                e = ipc_reply_recv(endpoint, &m);
        }
        EXPECT_OK(e);
}

static void echo_stop(unsigned endpoint)
{
        struct message m = {.tag = MSG_TAG(STOP_LABEL, 0)};

        EXPECT_OK(ipc_send(endpoint, &m));
}

static void echo_check(unsigned endpoint, uint64_t seed, uint64_t badge)
{
        struct message sent = pattern(seed, seed % (MSG_WORDS + 1)), m = sent;

        EXPECT_OK(ipc_call(endpoint, &m));
        EXPECT_EQ(m.tag, MSG_TAG(badge, sent.tag & TAG_WORDS_MASK));
        EXPECT_EQ(m.badge, 0);
        for (unsigned i = 0; i < MSG_WORDS; i++)
                EXPECT_EQ(m.w[i], sent.w[i] + 1);
}

/* In another task, its end of the endpoint is in this slot. */
#define SLOT_SERVICE 20

static struct worker *echo_task(unsigned endpoint, unsigned core)
{
        unsigned task = task_new(24);

        EXPECT_OK(CALL(cap_copy, task, SLOT_SERVICE, endpoint, RIGHT_RECV));
        return worker_start(echo, SLOT_SERVICE, .task = task, .core = core);
}

TEST(ipc_call_echoes_every_length)
{
        unsigned ep = endpoint_new(0);
        struct worker *w = worker_start(echo, ep);

        for (unsigned n = 0; n < 3 * (MSG_WORDS + 1); n++)
                echo_check(ep, n, 0);
        echo_stop(ep);
        worker_join(w);
}

TEST(ipc_call_between_tasks)
{
        unsigned ep = endpoint_new(0);
        struct worker *w = echo_task(ep, 0);

        for (unsigned n = 0; n < 100; n++)
                echo_check(ep, n, 0);
        echo_stop(ep);
        worker_join(w);
}

TEST(ipc_badge_tells_who_calls)
{
        unsigned ep = endpoint_new(0), a = slot_new(), b = slot_new();
        struct worker *w = worker_start(echo, ep);

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, a, ep, RIGHT_SEND, 0x1234));
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, b, ep, RIGHT_SEND, 7));
        echo_check(a, 1, 0x1234);
        echo_check(b, 2, 7);
        echo_check(ep, 3, 0);
        echo_stop(ep);
        worker_join(w);
}

TEST(ipc_fast_path_is_taken_and_the_mask_avoids_it)
{
        unsigned ep = endpoint_new(0);
        struct worker *w = echo_task(ep, 0);

        wait_state(w->slot, STATE_receiving);
        for (unsigned slow = 0; slow < 2; slow++) {
                EXPECT_OK(CALL(trace_control, SLOT_CONTROL, slow ? 1ul << 63 : 0));
                uint64_t before = RESULT_OF(counters_read, 0, COUNT_ipc_fast).v1;
                for (unsigned n = 0; n < 50; n++)
                        echo_check(ep, n, 0);
                uint64_t fast = RESULT_OF(counters_read, 0, COUNT_ipc_fast).v1 - before;
                if (slow)
                        EXPECT_EQ(fast, 0);
                else /* a tick may have come between */
                        EXPECT(fast > 60 && fast <= 100);
        }
        echo_stop(ep);
        worker_join(w);
}

TEST(ipc_call_refuses_wrong_slots_and_rights)
{
        unsigned ep = endpoint_new(0), receive = slot_new(), n = notification_new(0);
        const struct message sent = pattern(9, 3);
        struct message m;

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, receive, ep, RIGHT_RECV));
        static const uint64_t bad[] = {0, SLOT_NEVER, SLOT_COUNT, SLOT_COUNT + 128, 1ul << 32,
                                       UINT64_MAX, SLOT_TASK, SLOT_SPACE, SLOT_CONTROL};
        for (unsigned slow = 0; slow < 2; slow++) {
                CALL(trace_control, SLOT_CONTROL, slow ? 1ul << 63 : 0);
                for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                        m = sent;
                        EXPECT_E(ipc_call(bad[i], &m), E_CAP);
                        EXPECT(m.tag == sent.tag && !memcmp(m.w, sent.w, sizeof(m.w)));
                        m = sent;
                        EXPECT_E(ipc_send(bad[i], &m), E_CAP);
                        m = sent;
                        EXPECT_E(ipc_recv(bad[i], &m), E_CAP);
                        m = sent;
                        EXPECT_E(ipc_reply_recv(bad[i], &m), E_CAP);
                }
                m = sent;
                EXPECT_E(ipc_call(n, &m), E_CAP); /* a notification is no endpoint */
                m = sent;
                EXPECT_E(ipc_call(receive, &m), E_RIGHTS);
                m = sent;
                EXPECT_E(ipc_send(receive, &m), E_RIGHTS);
        }
}

TEST(ipc_receive_needs_its_right)
{
        unsigned ep = endpoint_new(0), send = slot_new();
        struct message m = {0};

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, send, ep, RIGHT_SEND));
        EXPECT_E(ipc_recv(send, &m), E_RIGHTS);
        EXPECT_E(ipc_reply_recv(send, &m), E_RIGHTS);
}

/* ---- send ------------------------------------------------------------------------------------ */

static uint32_t n_sent;

static void sender(uint64_t endpoint)
{
        for (unsigned i = 0; i < 5; i++) {
                struct message m = pattern(i, i);
                EXPECT_OK(ipc_send(endpoint, &m));
                __atomic_fetch_add(&n_sent, 1, __ATOMIC_RELEASE);
        }
}

TEST(ipc_send_waits_for_a_receiver_and_goes_on)
{
        unsigned ep = endpoint_new(0);

        n_sent = 0;
        struct worker *w = worker_start(sender, ep);
        wait_state(w->slot, STATE_sending);
        EXPECT_EQ(n_sent, 0);
        for (unsigned i = 0; i < 5; i++) {
                struct message want = pattern(i, i), m = {0};
                EXPECT_OK(ipc_recv(ep, &m));
                EXPECT_EQ(m.tag, want.tag);
                EXPECT(!memcmp(m.w, want.w, sizeof(m.w)));
        }
        worker_join(w);
        EXPECT_EQ(n_sent, 5);
}

TEST(ipc_senders_queue_by_priority)
{
        static const unsigned prio[] = {20, 60, 40, 60, 10};
        static const unsigned order[] = {60, 60, 40, 20, 10};
        unsigned ep = endpoint_new(0);
        struct worker *w[5];

        for (unsigned i = 0; i < 5; i++) {
                unsigned badged = slot_new();
                EXPECT_OK(CALL(cap_copy, SLOT_TASK, badged, ep, RIGHT_SEND, prio[i]));
                w[i] = worker_start(sender, badged, .prio = prio[i]);
                wait_state(w[i]->slot, STATE_sending);
        }
        for (unsigned i = 0; i < 5; i++) {
                struct message m = {0};
                EXPECT_OK(ipc_recv(ep, &m)); /* the test outranks them: they don't come back */
                EXPECT_EQ(m.badge, order[i]);
        }
        for (unsigned i = 0; i < 20; i++) {
                struct message m = {0};
                EXPECT_OK(ipc_recv(ep, &m));
        }
        for (unsigned i = 0; i < 5; i++)
                worker_join(w[i]);
}

/* ---- capabilities in messages ------------------------------------------------------------------ */

static struct message got;
static enum ouzel_error got_error;

static void receive_one(uint64_t endpoint_slot)
{
        got = (struct message){.receive = endpoint_slot >> 32};
        got_error = ipc_recv(endpoint_slot & 0xffffffff, &got);
}

TEST(ipc_a_capability_goes_with_a_message)
{
        unsigned ep = endpoint_new(0), thing = notification_new(0), task = task_new(24);
        unsigned copy = slot_new();

        EXPECT_OK(CALL(cap_copy, task, SLOT_SERVICE, ep, RIGHT_RECV));
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, copy, thing, RIGHT_SEND | RIGHT_GRANT, 5));
        struct worker *w = worker_start(receive_one, SLOT_SERVICE | 50ul << 32, .task = task);
        struct message m = {.tag = MSG_TAG(1, 0) | TAG_CAP, .cap = copy};
        EXPECT_OK(ipc_send(ep, &m));
        worker_join(w);
        EXPECT_OK(got_error);
        EXPECT_EQ(got.tag, MSG_TAG(1, 0) | TAG_CAP);
        /* It is in the other task's slot 50, and a copy of ours: revoking takes it back. */
        EXPECT_E(CALL(cap_copy, task, 50, ep, RIGHT_SEND), E_BUSY);
        EXPECT_OK(CALL(cap_revoke, copy));
        EXPECT_OK(CALL(cap_copy, task, 50, ep, RIGHT_SEND));
}

TEST(ipc_a_capability_that_may_not_be_granted_does_not_go)
{
        unsigned ep = endpoint_new(0), thing = notification_new(0), weak = slot_new();
        struct worker *w = worker_start(receive_one, ep | (uint64_t)slot_new() << 32);

        wait_state(w->slot, STATE_receiving);
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, thing, RIGHT_SEND));
        struct message m = {.tag = MSG_TAG(1, 0) | TAG_CAP, .cap = weak};
        EXPECT_E(ipc_send(ep, &m), E_RIGHTS);
        m = (struct message){.tag = MSG_TAG(1, 0) | TAG_CAP, .cap = SLOT_NEVER};
        EXPECT_E(ipc_send(ep, &m), E_CAP);
        m = (struct message){.tag = MSG_TAG(1, 0) | TAG_CAP, .cap = UINT64_MAX};
        EXPECT_E(ipc_call(ep, &m), E_CAP);
        EXPECT_EQ(state_of(w->slot), STATE_receiving);
        m = (struct message){.tag = MSG_TAG(2, 0)};
        EXPECT_OK(ipc_send(ep, &m));
        worker_join(w);
        EXPECT_EQ(got.tag, MSG_TAG(2, 0));
}

TEST(ipc_a_capability_needs_a_free_slot_or_stays_away)
{
        unsigned ep = endpoint_new(0), thing = notification_new(0);
        const uint64_t bad[] = {0, ep, SLOT_COUNT, UINT32_MAX};

        for (unsigned i = 0; i < 4; i++) {
                struct worker *w = worker_start(receive_one, ep | bad[i] << 32);
                struct message m = {.tag = MSG_TAG(i, 1) | TAG_CAP, .cap = thing, .w = {77}};
                EXPECT_OK(ipc_send(ep, &m));
                worker_join(w);
                EXPECT_OK(got_error);
                EXPECT_EQ(got.tag, MSG_TAG(i, 1)); /* the message came, it did not */
                EXPECT_EQ(got.w[0], 77);
        }
}

static void reply_with_cap(uint64_t endpoint_thing)
{
        struct message m = {0};

        EXPECT_OK(ipc_recv(endpoint_thing & 0xffffffff, &m));
        m = (struct message){.tag = MSG_TAG(3, 0) | TAG_CAP, .cap = endpoint_thing >> 32};
        ipc_reply_recv(endpoint_thing & 0xffffffff, &m);
}

TEST(ipc_a_capability_comes_with_an_answer)
{
        unsigned ep = endpoint_new(0), thing = notification_new(0), into = slot_new();
        struct worker *w = worker_start(reply_with_cap, ep | (uint64_t)thing << 32);
        struct message m = {.receive = into};

        EXPECT_OK(ipc_call(ep, &m));
        EXPECT_EQ(m.tag, MSG_TAG(3, 0) | TAG_CAP);
        EXPECT_EQ(RESULT_OF(cap_probe, into).v1 & 0xff, CAP_NOTIFICATION);
        EXPECT_OK(CALL(thread_stop, w->slot));
}

struct passing { unsigned endpoint, cap, into; };

static void call_with_cap(uint64_t passing)
{
        const struct passing *p = (const struct passing *)passing;

        got = (struct message){.tag = MSG_TAG(1, 0) | TAG_CAP, .cap = p->cap,
                               .receive = p->into};
        got_error = ipc_call(p->endpoint, &got);
}

/* It once got a copy of its own capability into its receive slot, as if one had come. */
TEST(ipc_a_capability_whose_call_failed_goes_nowhere)
{
        struct passing p = {endpoint_new(0), SLOT_SLEEP, slot_new()};
        struct worker *w = worker_start(call_with_cap, &p);

        wait_state(w->slot, STATE_sending);
        EXPECT_OK(CALL(cap_delete, p.endpoint));
        worker_join(w);
        EXPECT_E(got_error, E_DEAD);
        EXPECT_E(CALL(cap_probe, p.into), E_CAP);
}

TEST(ipc_a_capability_that_was_deleted_on_the_way_does_not_arrive)
{
        struct passing p = {endpoint_new(0), slot_new(), 0};
        unsigned into = slot_new();

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, p.cap, SLOT_SLEEP, RIGHT_ALL));
        struct worker *w = worker_start(call_with_cap, &p);
        wait_state(w->slot, STATE_sending);
        EXPECT_OK(CALL(cap_delete, p.cap));
        struct message m = {.receive = into};
        EXPECT_OK(ipc_recv(p.endpoint, &m));
        EXPECT_EQ(m.tag, MSG_TAG(1, 0));
        EXPECT_E(CALL(cap_probe, into), E_CAP);
        m = (struct message){.tag = MSG_TAG(9, 0)};
        EXPECT_E(ipc_reply_recv(SLOT_NEVER, &m), E_CAP); /* refused: the caller still waits */
        EXPECT_EQ(state_of(w->slot), STATE_calling);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void call_one(uint64_t endpoint)
{
        got = pattern(1, 1);
        got_error = ipc_call(endpoint, &got);
}

static void send_one(uint64_t endpoint)
{
        got = pattern(1, 1);
        got_error = ipc_send(endpoint, &got);
}

static void hold_one(uint64_t endpoint) /* takes a call and never answers it */
{
        struct message m = {0};

        ipc_recv(endpoint, &m);
        for (;;)
                CALL(thread_yield, 0);
}

TEST(ipc_partner_that_dies_is_an_error)
{
        unsigned ep = endpoint_new(0);
        struct worker *server = worker_start(hold_one, ep, .prio = 50);
        struct worker *caller = worker_start(call_one, ep, .prio = 60);

        wait_state(caller->slot, STATE_calling);
        EXPECT_OK(CALL(cap_delete, server->slot));
        worker_join(caller);
        EXPECT_E(got_error, E_DEAD);
}

TEST(ipc_partner_that_is_stopped_is_an_error)
{
        unsigned ep = endpoint_new(0);
        struct worker *server = worker_start(hold_one, ep, .prio = 50);
        struct worker *caller = worker_start(call_one, ep, .prio = 60);

        wait_state(caller->slot, STATE_calling);
        EXPECT_OK(CALL(thread_stop, server->slot));
        worker_join(caller);
        EXPECT_E(got_error, E_DEAD);
}

TEST(ipc_task_of_the_partner_that_dies_is_an_error)
{
        unsigned ep = endpoint_new(0), task = task_new(24);

        EXPECT_OK(CALL(cap_copy, task, SLOT_SERVICE, ep, RIGHT_RECV));
        worker_start(hold_one, SLOT_SERVICE, .task = task, .prio = 50);
        struct worker *caller = worker_start(call_one, ep, .prio = 60);
        wait_state(caller->slot, STATE_calling);
        EXPECT_OK(CALL(task_destroy, task));
        worker_join(caller);
        EXPECT_E(got_error, E_DEAD);
}

TEST(ipc_endpoint_that_goes_wakes_all_that_wait)
{
        void (*const how[])(uint64_t) = {call_one, send_one, receive_one};
        static const unsigned state[] = {STATE_sending, STATE_sending, STATE_receiving};

        for (unsigned i = 0; i < 3; i++) {
                unsigned ep = endpoint_new(0);
                struct worker *w = worker_start(how[i], ep);
                wait_state(w->slot, state[i]);
                EXPECT_OK(CALL(cap_delete, ep));
                worker_join(w);
                EXPECT_E(got_error, E_DEAD);
        }
}

TEST(ipc_thread_that_is_killed_leaves_every_queue)
{
        void (*const how[])(uint64_t) = {call_one, send_one, receive_one};
        static const unsigned state[] = {STATE_sending, STATE_sending, STATE_receiving};
        unsigned ep = endpoint_new(0);

        for (unsigned i = 0; i < 3; i++) {
                struct worker *w[3];
                for (unsigned k = 0; k < 3; k++) {
                        w[k] = worker_start(how[i], ep);
                        wait_state(w[k]->slot, state[i]);
                }
                EXPECT_OK(CALL(cap_delete, w[1]->slot)); /* first the one in the middle */
                EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
                EXPECT_OK(CALL(cap_delete, w[2]->slot));
                EXPECT_OK(CALL(cap_delete, w[0]->slot));
        }
        struct worker *server = worker_start(echo, ep); /* nothing of them is left in it */
        echo_check(ep, 5, 0);
        echo_stop(ep);
        worker_join(server);
}

TEST(ipc_caller_that_is_killed_is_forgotten_by_its_server)
{
        unsigned ep = endpoint_new(0);
        struct worker *caller = worker_start(call_one, ep);
        struct message m = {0};

        wait_state(caller->slot, STATE_sending);
        EXPECT_OK(ipc_recv(ep, &m));
        EXPECT_EQ(state_of(caller->slot), STATE_calling);
        EXPECT_OK(CALL(cap_delete, caller->slot));
        EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
        /* The answer goes to nobody, the next message is taken. */
        struct worker *next = worker_start(call_one, ep);
        wait_state(next->slot, STATE_sending);
        m = pattern(2, 2);
        EXPECT_OK(ipc_reply_recv(ep, &m));
        EXPECT_EQ(m.w[0], pattern(1, 1).w[0]);
}

TEST(ipc_canceled_by_stop_and_started_again)
{
        unsigned ep = endpoint_new(0);
        struct worker *w = worker_start(call_one, ep);

        wait_state(w->slot, STATE_sending);
        EXPECT_OK(CALL(thread_stop, w->slot));
        EXPECT_EQ(state_of(w->slot), STATE_stopped);
        struct worker *server = worker_start(echo, ep);
        worker_restart(w);
        worker_join(w);
        EXPECT_OK(got_error);
        echo_stop(ep);
        worker_join(server);
}

TEST(ipc_to_oneself_waits_and_hurts_nobody)
{
        unsigned ep = endpoint_new(0);
        struct worker *w = worker_start(call_one, ep); /* the only one that could receive */

        wait_state(w->slot, STATE_sending);
        sleep_us(1000);
        EXPECT_EQ(state_of(w->slot), STATE_sending);
        EXPECT_OK(CALL(thread_stop, w->slot));
        EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
}

/*
 * Receiving again without having answered would leave the first caller waiting for a server
 * that does not know it: when the server was gone, stopping the caller wrote into free memory.
 */
TEST(ipc_receive_before_the_answer_is_refused)
{
        unsigned ep = endpoint_new(0);
        struct worker *first = worker_start(call_one, ep);
        struct message m = {0};

        wait_state(first->slot, STATE_sending);
        EXPECT_OK(ipc_recv(ep, &m));
        struct worker *second = worker_start(send_one, ep);
        wait_state(second->slot, STATE_sending);
        EXPECT_E(ipc_recv(ep, &m), E_STATE);
        EXPECT_EQ(state_of(first->slot), STATE_calling);
        EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
        m = (struct message){0};
        EXPECT_OK(ipc_reply_recv(ep, &m));
        worker_join(first);
        worker_join(second);
}

/* ---- chains ------------------------------------------------------------------------------------ */

#define CHAIN 24
static unsigned chain_ep[CHAIN + 1];

/* Number i answers with what number i + 1 says, plus one; the last one with zero. */
static void link(uint64_t i)
{
        struct message m = {0};
        enum ouzel_error e = ipc_recv(chain_ep[i], &m);

        while (!e) {
                enum ouzel_error inner = E_OK;
                m = (struct message){0};
                if (i + 1 < CHAIN)
                        inner = ipc_call(chain_ep[i + 1], &m);
                m = (struct message){.tag = MSG_TAG(inner, 1), .w = {m.w[0] + 1}};
                e = ipc_reply_recv(chain_ep[i], &m);
        }
}

static void chain_make(struct worker **w)
{
        for (unsigned i = 0; i < CHAIN; i++) {
                chain_ep[i] = endpoint_new(i % cores);
                w[i] = worker_start(link, i, .core = i / 2 % cores);
        }
}

TEST(ipc_deep_call_chains_come_back)
{
        struct worker *w[CHAIN];

        chain_make(w);
        for (unsigned i = 0; i < 20; i++) {
                struct message m = {0};
                EXPECT_OK(ipc_call(chain_ep[0], &m));
                EXPECT_EQ(m.tag, MSG_TAG(E_OK, 1));
                EXPECT_EQ(m.w[0], CHAIN);
        }
}

TEST(ipc_deep_call_chain_breaks_in_the_middle)
{
        struct worker *w[CHAIN];
        struct message m = {0};

        chain_make(w);
        EXPECT_OK(CALL(cap_delete, chain_ep[CHAIN / 2])); /* number 11 finds nobody any more */
        EXPECT_OK(ipc_call(chain_ep[0], &m));
        EXPECT_EQ(m.w[0], CHAIN / 2);
        /* And while the whole chain hangs: stop the one in the middle. */
        EXPECT_OK(CALL(thread_stop, w[CHAIN / 2 - 1]->slot));
        struct worker *caller = worker_start(call_one, chain_ep[0]);
        wait_state(w[CHAIN / 2 - 2]->slot, STATE_sending);
        EXPECT_OK(CALL(thread_stop, w[4]->slot));
        worker_join(caller);
        EXPECT_OK(got_error);
        EXPECT_EQ(got.w[0], 4); /* number 3 was told that number 4 is dead */
        EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
}

/* ---- registers ------------------------------------------------------------------------------------ */

/* A call from assembly, where every register that it must keep has its own value. */
static uint64_t call_keeps_registers(unsigned endpoint)
{
        register uint64_t x0 __asm__("x0") = endpoint;

        __asm__ volatile("stp x19, x20, [sp, #-96]!\n\t"
                         "stp x21, x22, [sp, #16]\n\t"
                         "stp x23, x24, [sp, #32]\n\t"
                         "stp x25, x26, [sp, #48]\n\t"
                         "stp x27, x28, [sp, #64]\n\t"
                         "stp x29, x30, [sp, #80]\n\t"
                         "mov x19, #1019\n\tmov x20, #1020\n\tmov x21, #1021\n\t"
                         "mov x22, #1022\n\tmov x23, #1023\n\tmov x24, #1024\n\t"
                         "mov x25, #1025\n\tmov x26, #1026\n\tmov x27, #1027\n\t"
                         "mov x28, #1028\n\tmov x29, #1029\n\tmov x30, #1030\n\t"
                         "mov x1, #0\n\tmov x11, #0\n\t"
                         "svc #1\n\t"
                         "sub x19, x19, #1019\n\tsub x20, x20, #1020\n\t"
                         "sub x21, x21, #1021\n\tsub x22, x22, #1022\n\t"
                         "sub x23, x23, #1023\n\tsub x24, x24, #1024\n\t"
                         "sub x25, x25, #1025\n\tsub x26, x26, #1026\n\t"
                         "sub x27, x27, #1027\n\tsub x28, x28, #1028\n\t"
                         "sub x29, x29, #1029\n\tsub x30, x30, #1030\n\t"
                         "orr x0, x0, x19\n\torr x0, x0, x20\n\torr x0, x0, x21\n\t"
                         "orr x0, x0, x22\n\torr x0, x0, x23\n\torr x0, x0, x24\n\t"
                         "orr x0, x0, x25\n\torr x0, x0, x26\n\torr x0, x0, x27\n\t"
                         "orr x0, x0, x28\n\torr x0, x0, x29\n\torr x0, x0, x30\n\t"
                         "ldp x21, x22, [sp, #16]\n\t"
                         "ldp x23, x24, [sp, #32]\n\t"
                         "ldp x25, x26, [sp, #48]\n\t"
                         "ldp x27, x28, [sp, #64]\n\t"
                         "ldp x29, x30, [sp, #80]\n\t"
                         "ldp x19, x20, [sp], #96"
                         : "+r"(x0)::"x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9",
                           "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18",
                           "memory", "cc");
        return x0;
}

TEST(ipc_keeps_the_registers_that_it_says)
{
        unsigned ep = endpoint_new(0);
        struct worker *w = echo_task(ep, 0);

        wait_state(w->slot, STATE_receiving);
        for (unsigned slow = 0; slow < 2; slow++) {
                CALL(trace_control, SLOT_CONTROL, slow ? 1ul << 63 : 0);
                EXPECT_EQ(call_keeps_registers(ep), 0);
        }
        echo_stop(ep);
        worker_join(w);
}

/* Each thread has its own TPIDR_EL0 across switches, by either path. */
static void tpidr_call(uint64_t endpoint)
{
        for (unsigned i = 0; i < 50; i++) {
                uint64_t mine = 0x1000 + i, v;
                struct message m = {0};
                __asm__ volatile("msr tpidr_el0, %0" ::"r"(mine));
                EXPECT_OK(ipc_call(endpoint, &m));
                __asm__ volatile("mrs %0, tpidr_el0" : "=r"(v));
                EXPECT_EQ(v, mine);
        }
}

static void tpidr_serve(uint64_t endpoint)
{
        struct message m = {0};
        uint64_t v;

        __asm__ volatile("msr tpidr_el0, %0" ::"r"(0xabcdul));
        ipc_recv(endpoint, &m);
        for (unsigned i = 0; i < 50; i++) {
                __asm__ volatile("mrs %0, tpidr_el0" : "=r"(v));
                EXPECT_EQ(v, 0xabcd);
                m = (struct message){0};
                ipc_reply_recv(endpoint, &m);
        }
}

TEST(ipc_keeps_tpidr_apart)
{
        for (unsigned slow = 0; slow < 2; slow++) {
                unsigned ep = endpoint_new(0);
                CALL(trace_control, SLOT_CONTROL, slow ? 1ul << 63 : 0);
                worker_start(tpidr_serve, ep);
                worker_join(worker_start(tpidr_call, ep));
        }
}

/* ---- on several cores --------------------------------------------------------------------------- */

TEST(ipc_across_cores)
{
        if (cores < 2) {
                not_applicable("one core");
                return;
        }
        for (unsigned home = 0; home < 2; home++) {
                unsigned ep = endpoint_new(home);
                struct worker *w = echo_task(ep, 1);
                for (unsigned n = 0; n < 60; n++)
                        echo_check(ep, n, 0);
                echo_stop(ep);
                worker_join(w);
        }
}

static void client(uint64_t endpoint_n)
{
        for (unsigned i = 0; i < 100 && !failed(); i++)
                echo_check(endpoint_n & 0xffffffff, i, endpoint_n >> 32);
}

TEST(ipc_many_clients_on_all_cores_one_server)
{
        unsigned ep = endpoint_new(cores - 1);
        struct worker *server = echo_task(ep, cores - 1), *w[16];

        served = 0;
        for (unsigned i = 0; i < 2 * cores; i++) {
                unsigned badged = slot_new();
                EXPECT_OK(CALL(cap_copy, SLOT_TASK, badged, ep, RIGHT_SEND, i + 1));
                w[i] = worker_start(client, badged | (uint64_t)(i + 1) << 32, .core = i % cores);
        }
        for (unsigned i = 0; i < 2 * cores; i++)
                worker_join(w[i]);
        EXPECT_EQ(served, 100 * 2 * cores);
        echo_stop(ep);
        worker_join(server);
}
