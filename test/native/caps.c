// SPDX-License-Identifier: MIT
/* caps.c -- capabilities: copy, delete, revoke, and what never may happen to them. */
#include "test.h"

static unsigned type_of(unsigned slot)
{
        struct ouzel_result r = RESULT_OF(cap_probe, slot);

        return r.error ? CAP_NONE : r.v1 & 0xff;
}

static unsigned rights_of(unsigned slot)
{
        return (unsigned)(RESULT_OF(cap_probe, slot).v1 >> 8);
}

TEST(cap_probe_tells_type_and_rights)
{
        unsigned slots[] = {SLOT_TASK, SLOT_SPACE, SLOT_PARENT, SLOT_CONTROL, SLOT_WATCH,
                              SLOT_TEST_THREAD};
        static const unsigned types[] = {CAP_TASK, CAP_SPACE, CAP_ENDPOINT, CAP_CONTROL,
                                         CAP_NOTIFICATION, CAP_THREAD};

        for (unsigned i = 0; i < 6; i++)
                EXPECT_EQ(type_of(slots[i]), types[i]);
        EXPECT_EQ(rights_of(SLOT_TASK), RIGHT_MANAGE | RIGHT_GRANT);
        EXPECT_EQ(rights_of(SLOT_SPACE), RIGHT_MANAGE);
        EXPECT_EQ(rights_of(SLOT_TEST_THREAD), RIGHT_ALL);
        static const uint64_t bad[] = {0, SLOT_NEVER, SLOT_COUNT - 1, SLOT_COUNT, SLOT_COUNT + 1,
                                       1ul << 32 | 1, UINT64_MAX};
        for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                EXPECT_E(CALL(cap_probe, bad[i]), E_CAP);
}

TEST(cap_copy_gives_equal_or_fewer_rights)
{
        unsigned n = notification_new(0), copy = slot_new();

        for (unsigned rights = 0; rights <= RIGHT_ALL; rights++) {
                EXPECT_OK(CALL(cap_copy, SLOT_TASK, copy, n, rights));
                EXPECT_EQ(type_of(copy), CAP_NOTIFICATION);
                EXPECT_EQ(rights_of(copy), rights);
                unsigned again = slot_new();
                for (unsigned more = 0; more <= RIGHT_ALL; more++) {
                        EXPECT_E(CALL(cap_copy, SLOT_TASK, again, copy, more),
                                 more & ~rights ? E_RIGHTS : E_OK);
                        CALL(cap_delete, again);
                }
                EXPECT_OK(CALL(cap_delete, copy));
        }
}

TEST(cap_copy_refuses)
{
        unsigned n = notification_new(0), to = slot_new(), task = task_bare(8);
        unsigned weak = slot_new(), bound = slot_new();

        EXPECT_E(CALL(cap_copy, SLOT_TASK, to, n, RIGHT_ALL + 1), E_INVALID);
        EXPECT_E(CALL(cap_copy, SLOT_TASK, to, n, UINT64_MAX), E_INVALID);
        EXPECT_E(CALL(cap_copy, SLOT_NEVER, to, n, 0), E_CAP);
        EXPECT_E(CALL(cap_copy, n, to, n, 0), E_CAP); /* into no task */
        EXPECT_E(CALL(cap_copy, SLOT_TASK, to, SLOT_NEVER, 0), E_CAP);
        EXPECT_E(CALL(cap_copy, SLOT_TASK, to, 0, 0), E_CAP);
        EXPECT_E(CALL(cap_copy, SLOT_TASK, 0, n, 0), E_RANGE);
        EXPECT_E(CALL(cap_copy, SLOT_TASK, SLOT_COUNT, n, 0), E_RANGE);
        EXPECT_E(CALL(cap_copy, SLOT_TASK, UINT64_MAX, n, 0), E_RANGE);
        EXPECT_E(CALL(cap_copy, SLOT_TASK, n, n, 0), E_BUSY);
        EXPECT_E(CALL(cap_copy, SLOT_TASK, SLOT_SPACE, n, 0), E_BUSY);
        EXPECT_E(CALL(cap_copy, task, SLOT_TASK, n, 0), E_BUSY);
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, task, RIGHT_GRANT));
        EXPECT_E(CALL(cap_copy, weak, 20, n, 0), E_RIGHTS); /* may not manage that task */
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, bound, n, RIGHT_SEND));
        EXPECT_E(CALL(cap_copy, task, 20, bound, RIGHT_SEND), E_RIGHTS); /* may not be granted */
        EXPECT_EQ(type_of(to), CAP_NONE);
        EXPECT_OK(CALL(cap_copy, task, 20, n, RIGHT_SEND)); /* so slot 20 was left empty */
}

TEST(cap_copy_badge_is_given_once)
{
        unsigned ep = endpoint_new(0), a = slot_new(), b = slot_new(), n = notification_new(0);

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, a, ep, RIGHT_ALL, 9));
        EXPECT_E(CALL(cap_copy, SLOT_TASK, b, a, RIGHT_ALL, 10), E_RIGHTS);
        EXPECT_E(CALL(cap_copy, SLOT_TASK, b, a, RIGHT_ALL, 9), E_RIGHTS);
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, b, a, RIGHT_ALL, 0)); /* it keeps 9 */
        EXPECT_E(CALL(cap_copy, SLOT_TASK, slot_new(), b, RIGHT_ALL, 10), E_RIGHTS);
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, slot_new(), n, RIGHT_ALL, 3));
        EXPECT_E(CALL(cap_copy, SLOT_TASK, slot_new(), SLOT_TASK, 0, 3), E_RIGHTS);
        EXPECT_E(CALL(cap_copy, SLOT_TASK, slot_new(), SLOT_CONTROL, 0, 3), E_RIGHTS);
}

TEST(cap_copy_of_control_only_weakens)
{
        unsigned task = task_bare(8), less = slot_new();

        EXPECT_E(CALL(cap_copy, task, SLOT_CONTROL, SLOT_CONTROL, CONTROL_DEBUG), E_RIGHTS);
        EXPECT_E(CALL(cap_copy, SLOT_TASK, less, SLOT_CONTROL, CONTROL_GRANT), E_RIGHTS);
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, less, SLOT_CONTROL, CONTROL_DEBUG));
        EXPECT_E(CALL(cap_copy, SLOT_TASK, slot_new(), less, CONTROL_SYSTEM), E_RIGHTS);
}

TEST(cap_copy_takes_quota_of_the_receiver_for_its_table)
{
        unsigned task = task_bare(7), n = notification_new(0);

        EXPECT_EQ(usage_of(task).used, 5);
        EXPECT_OK(CALL(cap_copy, task, 200, n, RIGHT_SEND));
        EXPECT_OK(CALL(cap_copy, task, 201, n, RIGHT_SEND));
        EXPECT_EQ(usage_of(task).used, 6);
        EXPECT_OK(CALL(cap_copy, task, 500, n, RIGHT_SEND));
        EXPECT_E(CALL(cap_copy, task, 1000, n, RIGHT_SEND), E_QUOTA);
        EXPECT_EQ(usage_of(task).used, 7);
        EXPECT_OK(CALL(cap_copy, task, 502, n, RIGHT_SEND));
}

TEST(cap_delete_empties_a_slot)
{
        unsigned n = notification_new(0), copy = slot_new();

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, copy, n, RIGHT_SEND));
        EXPECT_OK(CALL(cap_delete, copy));
        EXPECT_EQ(type_of(copy), CAP_NONE);
        EXPECT_OK(CALL(notify_signal, n, 1)); /* the object lives on */
        EXPECT_E(CALL(cap_delete, copy), E_CAP);
}

TEST(cap_delete_of_the_original_ends_the_object_and_all_copies)
{
        unsigned n = notification_new(0), copy = slot_new(), second = slot_new();
        unsigned task = task_bare(8);
        uint64_t used = usage_of(SLOT_TASK).used;

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, copy, n, RIGHT_ALL));
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, second, copy, RIGHT_ALL));
        EXPECT_OK(CALL(cap_copy, task, 20, n, RIGHT_ALL));
        EXPECT_OK(CALL(cap_delete, n));
        EXPECT_EQ(type_of(copy), CAP_NONE);
        EXPECT_EQ(type_of(second), CAP_NONE);
        EXPECT_OK(CALL(cap_copy, task, 20, SLOT_SLEEP, RIGHT_SEND)); /* slot 20 is free again */
        EXPECT_EQ(usage_of(SLOT_TASK).used, used - 1);
}

static uint32_t deleted;

static void deletes_slot(uint64_t slot)
{
        EXPECT_OK(CALL(cap_delete, slot));
        __atomic_store_n(&deleted, 1, __ATOMIC_RELEASE);
}

TEST(cap_delete_refuses)
{
        unsigned task = task_new(40);

        EXPECT_E(CALL(cap_delete, 0), E_CAP);
        EXPECT_E(CALL(cap_delete, SLOT_TASK), E_CAP);
        EXPECT_E(CALL(cap_delete, SLOT_SPACE), E_CAP);
        EXPECT_E(CALL(cap_delete, SLOT_NEVER), E_CAP);
        EXPECT_E(CALL(cap_delete, SLOT_COUNT), E_CAP);
        EXPECT_E(CALL(cap_delete, UINT64_MAX), E_CAP);
        EXPECT_E(CALL(cap_delete, task), E_BUSY);             /* task_destroy ends a task */
        EXPECT_E(CALL(cap_delete, SLOT_TEST_THREAD), E_BUSY); /* the calling thread */
        EXPECT_EQ(type_of(task), CAP_TASK);
        /* The space's is a copy, and so is what the task has of it: it keeps its space. */
        EXPECT_OK(CALL(cap_copy, task, 30, task + 1, RIGHT_ALL, 0));
        EXPECT_OK(CALL(cap_delete, task + 1));
        deleted = 0;
        worker_start(deletes_slot, 30, .task = task);
        wait_until(&deleted, 1); /* by one who goes on */
        EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
        EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
}

TEST(cap_revoke_takes_back_every_copy_of_a_copy)
{
        unsigned n = notification_new(0), a = slot_new(), b = slot_new(), c = slot_new();
        unsigned other = slot_new();

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, a, n, RIGHT_ALL));
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, b, a, RIGHT_ALL));
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, c, b, RIGHT_SEND));
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, other, n, RIGHT_SEND));
        EXPECT_OK(CALL(cap_revoke, a));
        EXPECT_EQ(type_of(a), CAP_NOTIFICATION); /* itself stays */
        EXPECT_EQ(type_of(b), CAP_NONE);
        EXPECT_EQ(type_of(c), CAP_NONE);
        EXPECT_EQ(type_of(other), CAP_NOTIFICATION); /* not a copy of it */
        EXPECT_OK(CALL(cap_revoke, n));
        EXPECT_EQ(type_of(a), CAP_NONE);
        EXPECT_EQ(type_of(other), CAP_NONE);
        EXPECT_OK(CALL(notify_signal, n, 1));
}

/* Down the slots, up, and to and fro. */
TEST(cap_revoke_of_a_long_chain_of_copies)
{
        unsigned first = slots_new(300), origin = notification_new(0), other = slot_new();

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, other, origin, RIGHT_ALL));
        for (unsigned way = 0; way < 3; way++) {
                unsigned last = other;
                for (unsigned i = 0; i < 300; i++) {
                        unsigned at = way == 0 ? 299 - i : way == 1 ? i : i & 1 ? i / 2 : 299 - i / 2;
                        EXPECT_OK(CALL(cap_copy, SLOT_TASK, first + at, last, RIGHT_ALL));
                        last = first + at;
                }
                EXPECT_OK(CALL(cap_revoke, way == 2 ? origin : other));
                for (unsigned i = 0; i < 300; i++)
                        EXPECT_EQ(type_of(first + i), CAP_NONE);
                EXPECT_EQ(type_of(other), way == 2 ? CAP_NONE : CAP_NOTIFICATION);
        }
        EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
}

TEST(cap_revoke_finds_copies_whose_middle_was_deleted)
{
        unsigned n = notification_new(0), a = slot_new(), b = slot_new(), c = slot_new();

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, a, n, RIGHT_ALL));
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, b, a, RIGHT_ALL));
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, c, b, RIGHT_ALL));
        EXPECT_OK(CALL(cap_delete, b));
        /* Its slot is used for something else meanwhile: no parent by accident. */
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, b, SLOT_SLEEP, RIGHT_ALL));
        EXPECT_OK(CALL(cap_revoke, b));
        EXPECT_EQ(type_of(c), CAP_NOTIFICATION);
        EXPECT_OK(CALL(cap_revoke, a));
        EXPECT_EQ(type_of(c), CAP_NONE);
}

TEST(cap_revoke_refuses)
{
        EXPECT_E(CALL(cap_revoke, 0), E_CAP);
        EXPECT_E(CALL(cap_revoke, SLOT_NEVER), E_CAP);
        EXPECT_E(CALL(cap_revoke, SLOT_COUNT), E_CAP);
        EXPECT_E(CALL(cap_revoke, UINT64_MAX), E_CAP);
}

static uint32_t rounds;
static enum ouzel_error last_error;

static void uses_a_capability(uint64_t slot)
{
        while (!(last_error = CALL(notify_signal, slot, 1)))
                __atomic_fetch_add(&rounds, 1, __ATOMIC_RELEASE);
}

TEST(cap_revoke_while_another_core_uses_it)
{
        for (unsigned i = 0; i < 6 && !failed(); i++) {
                unsigned n = notification_new(0), task = task_new(24);
                EXPECT_OK(CALL(cap_copy, task, 20, n, RIGHT_SEND));
                rounds = 0;
                struct worker *w = worker_start(uses_a_capability, 20, .task = task,
                                                .core = cores - 1);
                wait_until(&rounds, 20);
                EXPECT_OK(CALL(cap_revoke, n));
                CALL(notify_poll, n);
                sleep_us(100);
                EXPECT_E(CALL(notify_poll, n), E_AGAIN); /* no signal came after the revoke */
                worker_join(w);
                /* It may have been seen half gone. */
                EXPECT(last_error == E_CAP || last_error == E_RIGHTS);
                CALL(task_destroy, task);
        }
}

TEST(cap_delete_of_the_object_while_another_core_uses_it)
{
        for (unsigned i = 0; i < 6 && !failed(); i++) {
                unsigned n = notification_new(0), task = task_new(24);
                EXPECT_OK(CALL(cap_copy, task, 20, n, RIGHT_SEND));
                rounds = 0;
                struct worker *w = worker_start(uses_a_capability, 20, .task = task,
                                                .core = cores - 1);
                wait_until(&rounds, 20);
                EXPECT_OK(CALL(cap_delete, n));
                worker_join(w);
                /* It may have been seen half gone. */
                EXPECT(last_error == E_CAP || last_error == E_RIGHTS);
                CALL(task_destroy, task);
        }
}
