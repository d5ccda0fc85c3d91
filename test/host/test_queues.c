// SPDX-License-Identifier: MIT
// uses: kernel
/*
 * Every list that a thread can be in: ready, senders, receivers, waiters, inboxes, timers. Each
 * by itself, and all of them under random calls of many threads on four cores.
 */
#include "machine.h"

static struct task *task;

static int setup_cores(unsigned cores)
{
        machine_start(cores);
        task = machine_task(400);
        return 0;
}
static int setup(void **) { return setup_cores(4); }

/* ---- actors ----------------------------------------------------------------------------------- */

static uint64_t next_slot;

static uint64_t slot_for(struct object *object, unsigned type)
{
        struct cap *cap;
        uint64_t slot = ++next_slot % 4000 + 100;

        assert_int_equal(cap_reserve(task, slot, &cap), E_OK);
        cap_install(cap, object, type, RIGHT_ALL, 0);
        return slot;
}

static struct endpoint *new_endpoint(unsigned core, uint64_t *slot)
{
        struct endpoint *ep = kmem_alloc(task);

        object_init(&ep->object, CAP_ENDPOINT, task);
        ep->cpu = &cpus[core];
        *slot = slot_for(&ep->object, CAP_ENDPOINT);
        return ep;
}

static struct notification *new_notification(unsigned core, uint64_t *slot)
{
        struct notification *n = kmem_alloc(task);

        object_init(&n->object, CAP_NOTIFICATION, task);
        n->cpu = &cpus[core];
        *slot = slot_for(&n->object, CAP_NOTIFICATION);
        return n;
}

static struct thread *ready(struct thread *t)
{
        machine_cpu = t->cpu;
        thread_ready(t);
        return t;
}

/* A thread that runs on its core now: whoever did is of lower priority, or waits. */
static struct thread *actor(unsigned prio, unsigned core)
{
        struct thread *t = ready(machine_thread(task, prio, core));

        assert_ptr_equal(machine_schedule(core), t);
        return t;
}

/* A call by a current thread, and what its core does then. */
#define DO(t, ...)                                                                           \
        do {                                                                                 \
                struct thread *t_ = (t);                                                     \
                SYSTEM_CALL(t_, __VA_ARGS__);                                                \
                machine_schedule(t_->cpu->id);                                               \
        } while (0)

static void stop(struct thread *t)
{
        big_lock();
        thread_halt(t);
        big_unlock();
}

/* ---- ready threads --------------------------------------------------------------------------- */

TEST(the_ready_thread_of_the_highest_priority_runs_first)
{
        struct thread *by_prio[256];
        unsigned order[256];

        for (unsigned i = 0; i < 256; i++)
                order[i] = i;
        for (unsigned i = 255; i; i--) {
                unsigned k = (unsigned)dice(i + 1), swap = order[i];
                order[i] = order[k];
                order[k] = swap;
        }
        for (unsigned i = 0; i < 256; i++)
                by_prio[order[i]] = ready(machine_thread(task, order[i], 0));
        for (unsigned prio = 256; prio--;) {
                assert_ptr_equal(machine_schedule(0), by_prio[prio]);
                assert_int_equal(cpus[0].ready_top, (int)prio - 1);
                thread_block(by_prio[prio], STATE_stopped);
        }
        assert_null(machine_schedule(0));
}

TEST(threads_of_one_priority_take_turns)
{
        struct thread *t[5];

        for (unsigned i = 0; i < 5; i++)
                t[i] = ready(machine_thread(task, 50, 0));
        for (unsigned i = 0; i < 23; i++) {
                assert_ptr_equal(machine_schedule(0), t[i % 5]);
                SYSTEM_CALL(t[i % 5], thread_yield);
        }
}

TEST(a_time_slice_ends)
{
        struct thread *a = ready(machine_thread(task, 50, 0)), *b = ready(machine_thread(task, 50, 0));

        assert_ptr_equal(machine_schedule(0), a);
        machine_time += 9999;
        cpus[0].resched = 1;
        assert_ptr_equal(machine_schedule(0), a);
        machine_time += 1;
        cpus[0].resched = 1; /* as the timer's interrupt leaves it */
        assert_ptr_equal(machine_schedule(0), b);
}

TEST(a_better_thread_preempts_and_a_worse_one_does_not)
{
        struct thread *middle = actor(50, 0), *high;

        ready(machine_thread(task, 49, 0));
        ready(machine_thread(task, 50, 0));
        assert_ptr_equal(machine_schedule(0), middle);
        high = ready(machine_thread(task, 51, 0));
        assert_ptr_equal(machine_schedule(0), high);
        thread_block(high, STATE_stopped);
        /* The one of its own priority waited longer than who was preempted. */
        struct thread *next = machine_schedule(0);
        assert_int_equal(next->prio, 50);
}

TEST(a_thread_that_is_stopped_is_ready_no_more)
{
        struct thread *t[3];

        for (unsigned i = 0; i < 3; i++)
                t[i] = ready(machine_thread(task, 50, 0));
        stop(t[1]);
        assert_ptr_equal(machine_schedule(0), t[0]);
        thread_block(t[0], STATE_stopped);
        assert_ptr_equal(machine_schedule(0), t[2]);
        thread_block(t[2], STATE_stopped);
        assert_null(machine_schedule(0));
        assert_int_equal(cpus[0].ready_top, -1);
}

TEST(cores_schedule_their_own_threads)
{
        struct thread *t[4];

        for (unsigned i = 0; i < 4; i++)
                t[i] = ready(machine_thread(task, 10 * i, i));
        for (unsigned i = 0; i < 4; i++)
                assert_ptr_equal(machine_schedule(i), t[i]);
}

/* ---- budgets ------------------------------------------------------------------------------------ */

TEST(a_thread_without_budget_left_waits_for_its_next_period)
{
        struct thread *low = ready(machine_thread(task, 10, 0)), *boss = actor(200, 0);
        struct thread *t = machine_thread(task, 100, 0);
        uint64_t slot = slot_for(&t->object, CAP_THREAD);

        assert_int_equal(SYSTEM_CALL(boss, thread_set, slot, 100, 0, 300, 1000).error, E_OK);
        assert_int_equal(SYSTEM_CALL(boss, thread_start, slot, 0x1000, 0).error, E_OK);
        thread_block(boss, STATE_stopped);
        assert_ptr_equal(machine_schedule(0), t);
        machine_time += 299;
        assert_ptr_equal(machine_schedule(0), t);
        machine_time += 1;
        assert_ptr_equal(machine_schedule(0), low);
        assert_int_equal(t->state, STATE_depleted);
        machine_time += 699;
        assert_ptr_equal(machine_schedule(0), low);
        machine_time += 1;
        assert_ptr_equal(machine_schedule(0), t);
        assert_int_equal(t->left, 300);
}

/* ---- senders and receivers --------------------------------------------------------------------- */

TEST(senders_wait_by_priority_and_in_one_priority_in_order)
{
        static const unsigned prio[] = {50, 20, 50, 90, 20, 90, 50, 1, 255};
        static const unsigned served[] = {8, 3, 5, 0, 2, 6, 1, 4, 7};
        struct thread *t[LENGTH(prio)];
        uint64_t ep;

        new_endpoint(0, &ep);
        for (unsigned i = 0; i < LENGTH(prio); i++) {
                t[i] = actor(prio[i], 0);
                DO(t[i], ipc_send, ep, MSG_TAG(i, 1), 1000 + i);
                assert_int_equal(t[i]->state, STATE_sending);
        }
        /* One at a time: who sent is ready again, and may be better than the receiver. */
        struct thread *receiver = machine_thread(task, 255, 0);
        for (unsigned i = 0; i < LENGTH(served); i++) {
                ready(receiver);
                while (machine_schedule(0) != receiver)
                        thread_block(current(), STATE_stopped);
                DO(receiver, ipc_recv, ep);
                assert_int_equal(receiver->regs.x[1], MSG_TAG(served[i], 1));
                assert_int_equal(receiver->regs.x[2], 1000 + served[i]);
                assert_int_equal(t[served[i]]->regs.x[0], E_OK);
                thread_block(receiver, STATE_stopped);
        }
}

TEST(the_receiver_that_came_last_is_served_first)
{
        struct thread *t[4];
        uint64_t ep;

        new_endpoint(0, &ep);
        for (unsigned i = 0; i < 4; i++) {
                t[i] = actor(10, 0);
                DO(t[i], ipc_recv, ep);
        }
        struct thread *sender = actor(20, 0);
        for (unsigned i = 4; i--;) {
                DO(sender, ipc_send, ep, MSG_TAG(i, 0));
                assert_int_equal(t[i]->state, STATE_ready);
                assert_int_equal(t[i]->regs.x[1], MSG_TAG(i, 0));
        }
        DO(sender, ipc_send, ep, 0);
        assert_int_equal(sender->state, STATE_sending);
}

TEST(a_stopped_sender_leaves_the_queue_wherever_it_is)
{
        for (unsigned gone = 0; gone < 4; gone++) {
                struct thread *t[4];
                uint64_t slot;

                setup(NULL);
                struct endpoint *ep = new_endpoint(0, &slot);
                for (unsigned i = 0; i < 4; i++) {
                        t[i] = actor(40 - i, 0);
                        DO(t[i], ipc_send, slot, 0);
                }
                stop(t[gone]);
                assert_int_equal(t[gone]->regs.x[0], E_CANCELED);
                struct thread *at = ep->senders;
                for (unsigned i = 0; i < 4; i++) {
                        if (i == gone)
                                continue;
                        assert_ptr_equal(at, t[i]);
                        at = at->next;
                }
                assert_null(at);
                assert_ptr_equal(ep->senders_tail, t[gone == 3 ? 2 : 3]);
        }
}

TEST(a_stopped_receiver_leaves_the_queue_wherever_it_is)
{
        for (unsigned gone = 0; gone < 3; gone++) {
                struct thread *t[3];
                uint64_t slot;

                setup(NULL);
                struct endpoint *ep = new_endpoint(0, &slot);
                for (unsigned i = 0; i < 3; i++) {
                        t[i] = actor(10, 0);
                        DO(t[i], ipc_recv, slot);
                }
                stop(t[gone]);
                struct thread *at = ep->receivers;
                for (unsigned i = 3; i--;) {
                        if (i == gone)
                                continue;
                        assert_ptr_equal(at, t[i]);
                        at = at->next;
                }
                assert_null(at);
        }
}

TEST(a_call_goes_and_its_answer_comes_back)
{
        uint64_t ep;

        new_endpoint(0, &ep);
        struct thread *server = actor(50, 0);
        DO(server, ipc_recv, ep);
        struct thread *client = actor(10, 0);
        DO(client, ipc_call, ep, MSG_TAG(5, 2), 11, 22);
        assert_ptr_equal(current(), server);
        assert_int_equal(client->state, STATE_calling);
        assert_int_equal(server->regs.x[2], 11);
        assert_int_equal(server->regs.x[3], 22);
        DO(server, ipc_reply_recv, ep, MSG_TAG(6, 1), 33);
        assert_ptr_equal(current(), client);
        assert_int_equal(client->regs.x[0], E_OK);
        assert_int_equal(client->regs.x[1], MSG_TAG(6, 1));
        assert_int_equal(client->regs.x[2], 33);
        assert_null(server->caller);
}

TEST(a_chain_of_forty_calls_unwinds)
{
        struct thread *t[40];
        uint64_t ep[40];

        for (unsigned i = 0; i < 40; i++) {
                new_endpoint(i & 3, &ep[i]);
                t[i] = actor(10, i & 3);
                DO(t[i], ipc_recv, ep[i]);
        }
        struct thread *first = actor(10, 0);
        DO(first, ipc_call, ep[0], MSG_TAG(1, 0));
        for (unsigned i = 0; i < 39; i++) {
                machine_settle();
                assert_ptr_equal(cpus[i & 3].current, t[i]);
                DO(t[i], ipc_call, ep[i + 1], MSG_TAG(1, 0));
        }
        machine_settle();
        for (unsigned i = 40; i--;) {
                machine_settle();
                assert_ptr_equal(cpus[i & 3].current, t[i]);
                DO(t[i], ipc_reply_recv, ep[i], MSG_TAG(100 + i, 0));
        }
        machine_settle();
        assert_ptr_equal(cpus[0].current, first);
        assert_int_equal(first->regs.x[1], MSG_TAG(100, 0));
        machine_expect_sound();
}

TEST(the_end_of_a_server_is_told_to_its_caller)
{
        uint64_t ep;

        new_endpoint(0, &ep);
        struct thread *server = actor(50, 0);
        DO(server, ipc_recv, ep);
        struct thread *client = actor(10, 0);
        DO(client, ipc_call, ep, 0);
        stop(server);
        assert_ptr_equal(machine_schedule(0), client);
        assert_int_equal(client->regs.x[0], E_DEAD);
}

TEST(the_answer_to_a_stopped_caller_goes_nowhere)
{
        uint64_t ep;

        new_endpoint(0, &ep);
        struct thread *server = actor(50, 0);
        DO(server, ipc_recv, ep);
        struct thread *client = actor(10, 0);
        DO(client, ipc_call, ep, 0);
        stop(client);
        assert_null(server->caller);
        DO(server, ipc_reply_recv, ep, MSG_TAG(9, 0));
        assert_int_equal(server->state, STATE_receiving);
        assert_int_equal(client->regs.x[0], E_CANCELED);
        machine_expect_sound();
}

TEST(the_end_of_an_endpoint_is_told_to_all_who_wait)
{
        struct thread *t[3];
        uint64_t ep;

        for (unsigned kind = 0; kind < 2; kind++) {
                new_endpoint(0, &ep);
                for (unsigned i = 0; i < 3; i++) {
                        t[i] = actor(10, 0);
                        if (kind)
                                DO(t[i], ipc_recv, ep);
                        else
                                DO(t[i], ipc_call, ep, 0);
                }
                struct thread *owner = actor(90, 0);
                DO(owner, cap_delete, ep);
                for (unsigned i = 0; i < 3; i++) {
                        assert_int_equal(t[i]->state, STATE_ready);
                        assert_int_equal(t[i]->regs.x[0], E_DEAD);
                        stop(t[i]);
                }
                stop(owner);
                machine_schedule(0);
        }
        machine_expect_sound();
}

/* ---- inboxes -------------------------------------------------------------------------------------- */

static struct inbox_item items[8];
static unsigned ran[16], n_ran;

static void note(struct inbox_item *item)
{
        ran[n_ran++] = (unsigned)(item - items);
        if (item == &items[2]) { /* while it runs, another comes */
                items[7].run = note;
                inbox_push(this_cpu(), &items[7]);
        }
}

TEST(what_comes_to_an_inbox_is_done_in_order)
{
        n_ran = 0;
        for (unsigned i = 0; i < 6; i++) {
                items[i].run = note;
                inbox_push(&cpus[2], &items[i]);
        }
        assert_int_equal(n_ran, 0);
        machine_cpu = &cpus[2];
        inbox_run();
        for (unsigned i = 0; i < 6; i++)
                assert_int_equal(ran[i], i);
        assert_int_equal(n_ran, 6);
        inbox_run();
        assert_int_equal(n_ran, 7);
        assert_int_equal(ran[6], 7);
}

TEST(a_core_is_interrupted_once_for_many_items)
{
        uint64_t before = cpus[0].counters[COUNT_ipis];

        machine_cpu = &cpus[0];
        for (unsigned i = 3; i < 7; i++) {
                items[i].run = note;
                inbox_push(&cpus[1], &items[i]);
        }
        assert_int_equal(cpus[0].counters[COUNT_ipis], before + 1);
        machine_settle();
}

TEST(a_call_over_four_cores_is_a_call)
{
        for (unsigned home = 0; home < 4; home++)
                for (unsigned s = 0; s < 4; s++)
                        for (unsigned c = 0; c < 4; c++)
                                for (unsigned first = 0; first < 2; first++) {
                                        uint64_t ep;

                                        setup(NULL);
                                        new_endpoint(home, &ep);
                                        struct thread *server = NULL, *client;
                                        if (first) {
                                                server = actor(50, s);
                                                DO(server, ipc_recv, ep);
                                                machine_settle();
                                        }
                                        client = actor(10, c);
                                        DO(client, ipc_call, ep, MSG_TAG(3, 1), 77);
                                        machine_settle();
                                        if (!first) {
                                                server = actor(50, s);
                                                DO(server, ipc_recv, ep);
                                                machine_settle();
                                        }
                                        assert_ptr_equal(cpus[s].current, server);
                                        assert_int_equal(server->regs.x[2], 77);
                                        DO(server, ipc_reply_recv, ep, MSG_TAG(4, 1), 88);
                                        machine_settle();
                                        assert_ptr_equal(cpus[c].current, client);
                                        assert_int_equal(client->regs.x[0], E_OK);
                                        assert_int_equal(client->regs.x[2], 88);
                                        machine_expect_sound();
                                }
}

/* ---- notifications and timers ------------------------------------------------------------------- */

TEST(bits_add_up_until_they_are_taken)
{
        uint64_t slot;

        new_notification(0, &slot);
        struct thread *t = actor(10, 0);
        for (unsigned i = 0; i < 64; i += 3)
                assert_int_equal(SYSTEM_CALL(t, notify_signal, slot, 1ul << i).error, E_OK);
        struct result r = SYSTEM_CALL(t, notify_poll, slot);
        assert_int_equal(r.error, E_OK);
        assert_int_equal(r.value, 0x9249249249249249);
        assert_int_equal(SYSTEM_CALL(t, notify_poll, slot).error, E_AGAIN);
}

TEST(a_waiter_gets_the_bits_from_whatever_core)
{
        for (unsigned core = 0; core < 4; core++) {
                uint64_t slot;

                setup(NULL);
                new_notification(0, &slot);
                struct thread *waiter = actor(50, 0);
                DO(waiter, notify_wait, slot, 0);
                assert_int_equal(waiter->state, STATE_waiting);
                struct thread *t = actor(10, core);
                SYSTEM_CALL(t, notify_signal, slot, 1);
                if (core)
                        SYSTEM_CALL(t, notify_signal, slot, 4);
                machine_settle();
                assert_ptr_equal(cpus[0].current, waiter);
                assert_int_equal(waiter->regs.x[0], E_OK);
                assert_int_equal(waiter->regs.x[1], core ? 5 : 1);
        }
}

TEST(a_wait_ends_at_its_deadline_and_not_before)
{
        uint64_t slot;

        new_notification(0, &slot);
        struct thread *t = actor(10, 0);
        DO(t, notify_wait, slot, machine_time + 100);
        machine_time += 99;
        assert_null(machine_schedule(0));
        machine_time += 1;
        assert_ptr_equal(machine_schedule(0), t);
        assert_int_equal(t->regs.x[0], E_TIMEOUT);
        assert_null(cpus[0].timers);
        DO(t, notify_wait, slot, machine_time); /* it has passed */
        assert_ptr_equal(current(), t);
        assert_int_equal(t->regs.x[0], E_TIMEOUT);
}

static struct timer timers[6];
static unsigned fired[12], n_fired;

static void fire(struct timer *timer)
{
        fired[n_fired++] = (unsigned)(timer - timers);
        if (timer == &timers[0] && n_fired < 6) /* again */
                timer_add(timer, timer->deadline + 10, fire);
}

TEST(timers_fire_by_deadline_and_equal_ones_in_order)
{
        static const unsigned at[] = {500, 300, 300, 900, 100, 300};
        static const unsigned order[] = {4, 1, 2, 5, 3};

        n_fired = 0;
        memset(timers, 0, sizeof(timers));
        machine_cpu = &cpus[0];
        for (unsigned i = 1; i < 6; i++)
                timer_add(&timers[i], machine_time + at[i], fire);
        machine_time += 2000;
        machine_schedule(0);
        assert_int_equal(n_fired, 5);
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(fired[i], order[i]);
}

TEST(a_timer_that_is_removed_does_not_fire)
{
        for (unsigned gone = 1; gone < 6; gone++) {
                n_fired = 0;
                memset(timers, 0, sizeof(timers));
                machine_cpu = &cpus[0];
                for (unsigned i = 1; i < 6; i++)
                        timer_add(&timers[i], machine_time + 10 * i, fire);
                timer_remove(&timers[gone]);
                timer_remove(&timers[gone]); /* it is not there: nothing happens */
                machine_time += 100;
                machine_schedule(0);
                assert_int_equal(n_fired, 4);
                for (unsigned i = 0; i < 4; i++)
                        assert_int_equal(fired[i], i + 1 + (i + 1 >= gone));
        }
}

TEST(a_timer_may_set_itself_again)
{
        n_fired = 0;
        memset(timers, 0, sizeof(timers));
        machine_cpu = &cpus[0];
        timer_add(&timers[0], machine_time + 10, fire);
        machine_time += 35;
        machine_schedule(0);
        assert_int_equal(n_fired, 3); /* at 10, 20 and 30 */
        timer_remove(&timers[0]);
        assert_null(cpus[0].timers);
}

/* ---- all of it at random -------------------------------------------------------------------------- */

#define THREADS 24
#define ENDPOINTS 5
#define NOTIFICATIONS 4
static struct thread *crowd[THREADS];
static struct endpoint *endpoints[ENDPOINTS];
static struct notification *notifications[NOTIFICATIONS];
static uint64_t thread_slot[THREADS], ep_slot[ENDPOINTS], n_slot[NOTIFICATIONS];

static unsigned index_of(const struct thread *t)
{
        for (unsigned i = 0; i < THREADS; i++)
                if (crowd[i] == t)
                        return i;
        fail_msg("a thread in a list that is none of ours");
        return 0;
}

/* Each thread is where its state says, once, and each list is in its order. */
static void expect_lists(void)
{
        unsigned seen[THREADS] = {0};

        for (unsigned c = 0; c < 4; c++) {
                int top = -1;
                for (unsigned prio = 0; prio < 256; prio++) {
                        struct thread *last = NULL;
                        for (struct thread *t = cpus[c].ready[prio].head; t; t = t->next) {
                                assert_ptr_equal(t->prev, last);
                                assert_int_equal(t->state, STATE_ready);
                                assert_int_equal(t->prio, prio);
                                assert_ptr_equal(t->cpu, &cpus[c]);
                                seen[index_of(t)]++;
                                last = t;
                        }
                        assert_ptr_equal(cpus[c].ready[prio].tail, last);
                        assert_int_equal(cpus[c].ready_bits[prio / 64] >> (prio % 64) & 1, !!last);
                        if (last)
                                top = (int)prio;
                }
                assert_int_equal(cpus[c].queue_top, top);
                if (cpus[c].front) {
                        assert_int_equal(cpus[c].front->state, STATE_ready);
                        assert_true((int)cpus[c].front->prio >= top);
                        top = (int)cpus[c].front->prio;
                        seen[index_of(cpus[c].front)]++;
                }
                assert_int_equal(cpus[c].ready_top, top);
                uint64_t deadline = 0;
                for (struct timer *timer = cpus[c].timers; timer; timer = timer->next) {
                        assert_true(timer->queued && timer->deadline >= deadline);
                        deadline = timer->deadline;
                }
                if (cpus[c].current != &cpus[c].idle) {
                        assert_int_equal(cpus[c].current->state, STATE_running);
                        seen[index_of(cpus[c].current)]++;
                }
                assert_null(cpus[c].inbox);
        }
        for (unsigned i = 0; i < ENDPOINTS; i++) {
                struct thread *last = NULL;
                for (struct thread *t = endpoints[i]->senders; t; t = t->next) {
                        assert_ptr_equal(t->prev, last);
                        assert_int_equal(t->state, STATE_sending);
                        assert_ptr_equal(t->waits_on, endpoints[i]);
                        seen[index_of(t)]++;
                        last = t;
                }
                assert_ptr_equal(endpoints[i]->senders_tail, last);
                for (struct thread *t = endpoints[i]->receivers; t; t = t->next) {
                        assert_int_equal(t->state, STATE_receiving);
                        assert_ptr_equal(t->waits_on, endpoints[i]);
                        seen[index_of(t)]++;
                }
                assert_true(!endpoints[i]->senders || !endpoints[i]->receivers);
        }
        for (unsigned i = 0; i < NOTIFICATIONS; i++)
                for (struct thread *t = notifications[i]->waiters; t; t = t->next) {
                        assert_int_equal(t->state, STATE_waiting);
                        assert_ptr_equal(t->waits_for, notifications[i]);
                        assert_int_equal(notifications[i]->bits, 0);
                        seen[index_of(t)]++;
                }
        for (unsigned i = 0; i < THREADS; i++) {
                const struct thread *t = crowd[i];
                bool listed = t->state != STATE_stopped && t->state != STATE_calling &&
                              t->state != STATE_depleted;
                if (seen[i] != listed)
                        fail_msg("thread %u, state %u, is in %u lists", i, t->state, seen[i]);
                if (t->state == STATE_calling)
                        assert_ptr_equal(t->partner->caller, t);
                if (t->caller)
                        assert_int_equal(t->caller->state, STATE_calling);
        }
}

static void random_call(struct thread *t)
{
        uint64_t ep = ep_slot[dice(ENDPOINTS)], n = n_slot[dice(NOTIFICATIONS)];
        unsigned other = (unsigned)dice(THREADS);

        switch (dice(12)) {
        case 0: case 1: SYSTEM_CALL(t, ipc_call, ep, MSG_TAG(1, 2), 1, 2); break;
        case 2: SYSTEM_CALL(t, ipc_send, ep, MSG_TAG(2, 1), 3); break;
        case 3: case 4: SYSTEM_CALL(t, ipc_recv, ep); break;
        case 5: case 6: SYSTEM_CALL(t, ipc_reply_recv, ep, MSG_TAG(3, 0)); break;
        case 7: SYSTEM_CALL(t, notify_signal, n, 1ul << dice(64)); break;
        case 8: SYSTEM_CALL(t, notify_wait, n, dice(2) ? machine_time + dice(50) : 0); break;
        case 9: SYSTEM_CALL(t, thread_yield); break;
        case 10:
                if (dice(3))
                        SYSTEM_CALL(t, thread_start, thread_slot[other], 0x1000, 0);
                else
                        SYSTEM_CALL(t, thread_stop, thread_slot[other]);
                break;
        case 11:
                if (crowd[other] == t || dice(2))
                        break;
                /* Priority, core and now and then a budget; on what is stopped, or fits. */
                if (dice(3))
                        SYSTEM_CALL(t, thread_set, thread_slot[other], dice(t->prio + 1), dice(4), 0,
                                    0);
                else
                        SYSTEM_CALL(t, thread_set, thread_slot[other], dice(t->prio + 1), dice(4), 20,
                                    100);
                break;
        }
}

TEST(random_calls_on_four_cores_leave_every_list_in_order)
{
        for (unsigned round = 0; round < 10; round++) {
                setup(NULL);
                for (unsigned i = 0; i < ENDPOINTS; i++)
                        endpoints[i] = new_endpoint(i % 4, &ep_slot[i]);
                for (unsigned i = 0; i < NOTIFICATIONS; i++)
                        notifications[i] = new_notification(i, &n_slot[i]);
                for (unsigned i = 0; i < THREADS; i++) {
                        crowd[i] = machine_thread(task, (unsigned)dice(4) * 60 + 10, (unsigned)dice(4));
                        thread_slot[i] = slot_for(&crowd[i]->object, CAP_THREAD);
                        ready(crowd[i]);
                }
                for (unsigned step = 0; step < 20000; step++) {
                        unsigned core = (unsigned)dice(4);
                        struct thread *t = machine_schedule(core);
                        machine_time += dice(20);
                        if (t)
                                random_call(t);
                        machine_schedule(core);
                        if (step % 8 == 0) {
                                machine_settle();
                                expect_lists();
                        }
                        /* All wait for each other: somebody from outside starts one. */
                        unsigned i = (unsigned)dice(THREADS);
                        if (dice(4) == 0 && crowd[i]->state == STATE_stopped)
                                ready(crowd[i]);
                        else if (dice(30) == 0)
                                stop(crowd[i]);
                }
                machine_settle();
                expect_lists();
                machine_expect_sound();
        }
}

TEST(the_end_of_the_task_ends_threads_in_every_state)
{
        uint64_t used = root_task->used - task->quota, left = kmem_free_pages() + task->used;

        for (unsigned i = 0; i < ENDPOINTS; i++)
                endpoints[i] = new_endpoint(i % 4, &ep_slot[i]);
        for (unsigned i = 0; i < NOTIFICATIONS; i++)
                notifications[i] = new_notification(i, &n_slot[i]);
        left = kmem_free_pages() + task->used;
        for (unsigned i = 0; i < THREADS; i++) {
                crowd[i] = machine_thread(task, (unsigned)dice(4) * 60 + 10, (unsigned)dice(4));
                thread_slot[i] = slot_for(&crowd[i]->object, CAP_THREAD);
                ready(crowd[i]);
        }
        for (unsigned step = 0; step < 300; step++) {
                struct thread *t = machine_schedule((unsigned)dice(4));
                if (t)
                        random_call(t);
        }
        machine_settle();
        machine_cpu = &cpus[0];
        big_lock();
        object_destroy(&task->object);
        big_unlock();
        machine_settle();
        assert_int_equal(root_task->used, used);
        assert_true(kmem_free_pages() >= left);
        for (unsigned c = 0; c < 4; c++) {
                assert_int_equal(cpus[c].ready_top, -1);
                assert_null(cpus[c].timers);
                assert_ptr_equal(cpus[c].current, &cpus[c].idle);
        }
        machine_expect_sound();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(the_ready_thread_of_the_highest_priority_runs_first, setup),
                cmocka_unit_test_setup(threads_of_one_priority_take_turns, setup),
                cmocka_unit_test_setup(a_time_slice_ends, setup),
                cmocka_unit_test_setup(a_better_thread_preempts_and_a_worse_one_does_not, setup),
                cmocka_unit_test_setup(a_thread_that_is_stopped_is_ready_no_more, setup),
                cmocka_unit_test_setup(cores_schedule_their_own_threads, setup),
                cmocka_unit_test_setup(a_thread_without_budget_left_waits_for_its_next_period,
                                       setup),
                cmocka_unit_test_setup(senders_wait_by_priority_and_in_one_priority_in_order,
                                       setup),
                cmocka_unit_test_setup(the_receiver_that_came_last_is_served_first, setup),
                cmocka_unit_test_setup(a_stopped_sender_leaves_the_queue_wherever_it_is, setup),
                cmocka_unit_test_setup(a_stopped_receiver_leaves_the_queue_wherever_it_is, setup),
                cmocka_unit_test_setup(a_call_goes_and_its_answer_comes_back, setup),
                cmocka_unit_test_setup(a_chain_of_forty_calls_unwinds, setup),
                cmocka_unit_test_setup(the_end_of_a_server_is_told_to_its_caller, setup),
                cmocka_unit_test_setup(the_answer_to_a_stopped_caller_goes_nowhere, setup),
                cmocka_unit_test_setup(the_end_of_an_endpoint_is_told_to_all_who_wait, setup),
                cmocka_unit_test_setup(what_comes_to_an_inbox_is_done_in_order, setup),
                cmocka_unit_test_setup(a_core_is_interrupted_once_for_many_items, setup),
                cmocka_unit_test_setup(a_call_over_four_cores_is_a_call, setup),
                cmocka_unit_test_setup(bits_add_up_until_they_are_taken, setup),
                cmocka_unit_test_setup(a_waiter_gets_the_bits_from_whatever_core, setup),
                cmocka_unit_test_setup(a_wait_ends_at_its_deadline_and_not_before, setup),
                cmocka_unit_test_setup(timers_fire_by_deadline_and_equal_ones_in_order, setup),
                cmocka_unit_test_setup(a_timer_that_is_removed_does_not_fire, setup),
                cmocka_unit_test_setup(a_timer_may_set_itself_again, setup),
                cmocka_unit_test_setup(random_calls_on_four_cores_leave_every_list_in_order, setup),
                cmocka_unit_test_setup(the_end_of_the_task_ends_threads_in_every_state, setup),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
