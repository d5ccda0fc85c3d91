// SPDX-License-Identifier: MIT
// uses: kernel
/* Capability tables: what is found, copied, deleted and revoked; and random trees of copies. */
#include "machine.h"

static struct task *task[3];
static struct thread *self; /* a thread of task 0, current on core 0 */

static int setup(void **)
{
        machine_start(1);
        for (unsigned i = 0; i < 3; i++)
                task[i] = machine_task(200);
        self = machine_thread(task[0], 10, 0);
        thread_ready(self);
        machine_schedule(0);
        return 0;
}

static struct object *endpoint_at(uint64_t slot)
{
        assert_int_equal(SYSTEM_CALL(self, endpoint_create, slot, 0).error, E_OK);
        return cap_slot(task[0], slot)->object;
}

/* A capability of task 0 that manages another task: in slot 20 + number. */
static uint64_t manage(unsigned number)
{
        uint64_t slot = 20 + number;
        struct cap *cap;

        assert_int_equal(cap_reserve(task[0], slot, &cap), E_OK);
        cap_install(cap, &task[number]->object, CAP_TASK, RIGHT_MANAGE, 0);
        cap->parent_serial = UINT32_MAX; /* not the original */
        return slot;
}

static enum ouzel_error copy(uint64_t to_task, uint64_t to, uint64_t from, unsigned rights,
                             uint64_t badge)
{
        return SYSTEM_CALL(self, cap_copy, to_task, to, from, rights, badge).error;
}

/* ---- slots ---------------------------------------------------------------------------------- */

TEST(slot_zero_and_slots_beyond_the_table_do_not_exist)
{
        assert_true(!cap_slot(task[0], 0) || cap_slot(task[0], 0)->type == CAP_NONE);
        assert_null(cap_slot(task[0], SLOT_COUNT));
        assert_null(cap_slot(task[0], UINT64_MAX));
        assert_null(cap_slot(task[0], 1ul << 32 | 1));
        struct cap *cap;
        assert_int_equal(cap_reserve(task[0], 0, &cap), E_RANGE);
        assert_int_equal(cap_reserve(task[0], SLOT_COUNT, &cap), E_RANGE);
}

TEST(every_slot_can_be_had_and_is_another)
{
        static struct cap *all[SLOT_COUNT];

        for (uint64_t slot = SLOT_FIRST_FREE; slot < SLOT_COUNT; slot++) {
                assert_int_equal(cap_reserve(task[0], slot, &all[slot]), E_OK);
                assert_ptr_equal(cap_slot(task[0], slot), all[slot]);
                cap_install(all[slot], &task[0]->object, CAP_TASK, 0, slot);
        }
        for (uint64_t slot = SLOT_FIRST_FREE; slot < SLOT_COUNT; slot++)
                assert_int_equal(all[slot]->badge, slot);
}

TEST(a_page_of_the_table_is_charged_when_it_is_first_used)
{
        struct cap *cap;
        uint64_t used = task[0]->used;

        assert_null(cap_slot(task[0], 5 * CAPS_PER_PAGE));
        assert_int_equal(cap_reserve(task[0], 5 * CAPS_PER_PAGE, &cap), E_OK);
        assert_int_equal(task[0]->used, used + 1);
        assert_int_equal(cap_reserve(task[0], 6 * CAPS_PER_PAGE - 1, &cap), E_OK);
        assert_int_equal(task[0]->used, used + 1);
}

TEST(a_slot_without_quota_for_its_page_is_refused)
{
        struct cap *cap;

        while (kmem_alloc(task[0]))
                ;
        assert_int_equal(cap_reserve(task[0], 5 * CAPS_PER_PAGE, &cap), E_QUOTA);
        assert_null(cap_slot(task[0], 5 * CAPS_PER_PAGE));
        assert_int_equal(cap_reserve(task[0], 50, &cap), E_OK);
}

TEST(a_slot_that_is_taken_is_busy)
{
        struct cap *cap;

        endpoint_at(100);
        assert_int_equal(cap_reserve(task[0], 100, &cap), E_BUSY);
        assert_int_equal(SYSTEM_CALL(self, endpoint_create, 100, 0).error, E_BUSY);
}

TEST(a_capability_is_found_by_type_and_rights)
{
        enum ouzel_error error;

        endpoint_at(100);
        assert_int_equal(copy(SLOT_TASK, 101, 100, RIGHT_SEND, 0), E_OK);
        for (unsigned type = CAP_TASK; type <= CAP_CONTROL; type++) {
                bool found = cap_find(task[0], 101, type, 0, &error) != NULL;
                assert_int_equal(found, type == CAP_ENDPOINT);
                if (!found)
                        assert_int_equal(error, E_CAP);
        }
        for (unsigned rights = 0; rights < 16; rights++) {
                bool found = cap_find(task[0], 101, CAP_ENDPOINT, rights, &error) != NULL;
                assert_int_equal(found, !(rights & ~RIGHT_SEND));
                if (!found)
                        assert_int_equal(error, E_RIGHTS);
        }
}

TEST(an_empty_slot_has_no_capability)
{
        enum ouzel_error error;

        assert_null(cap_find(task[0], 100, CAP_ENDPOINT, 0, &error));
        assert_int_equal(error, E_CAP);
        assert_int_equal(SYSTEM_CALL(self, cap_probe, 100).error, E_CAP);
        assert_int_equal(SYSTEM_CALL(self, cap_probe, 5000).error, E_CAP);
}

TEST(probing_tells_type_and_rights)
{
        endpoint_at(100);
        copy(SLOT_TASK, 101, 100, RIGHT_SEND | RIGHT_GRANT, 0);
        struct result r = SYSTEM_CALL(self, cap_probe, 101);
        assert_int_equal(r.error, E_OK);
        assert_int_equal(r.value, CAP_ENDPOINT | (RIGHT_SEND | RIGHT_GRANT) << 8);
}

/* ---- copies ----------------------------------------------------------------------------------- */

TEST(a_copy_never_has_more_rights_than_its_source)
{
        endpoint_at(100);
        for (unsigned has = 0; has < 16; has++)
                for (unsigned wants = 0; wants < 16; wants++) {
                        assert_int_equal(copy(SLOT_TASK, 101, 100, has, 0), E_OK);
                        enum ouzel_error error = copy(SLOT_TASK, 102, 101, wants, 0);
                        assert_int_equal(error, wants & ~has ? E_RIGHTS : E_OK);
                        if (!error) {
                                assert_int_equal(cap_slot(task[0], 102)->rights, wants);
                                SYSTEM_CALL(self, cap_delete, 102);
                        }
                        SYSTEM_CALL(self, cap_delete, 101);
                }
}

TEST(rights_that_do_not_exist_are_refused)
{
        endpoint_at(100);
        for (unsigned bit = 4; bit < 32; bit++)
                assert_int_equal(copy(SLOT_TASK, 101, 100, 1u << bit, 0), E_INVALID);
}

TEST(a_copy_to_another_task_needs_the_right_to_grant)
{
        uint64_t other = manage(1);

        endpoint_at(100);
        assert_int_equal(copy(SLOT_TASK, 101, 100, RIGHT_SEND, 0), E_OK);
        assert_int_equal(copy(other, 50, 101, RIGHT_SEND, 0), E_RIGHTS);
        assert_int_equal(copy(other, 50, 100, RIGHT_SEND, 0), E_OK);
        assert_ptr_equal(cap_slot(task[1], 50)->object, cap_slot(task[0], 100)->object);
}

TEST(a_copy_needs_the_right_to_manage_the_receiver)
{
        struct cap *cap;

        endpoint_at(100);
        cap_reserve(task[0], 30, &cap);
        cap_install(cap, &task[1]->object, CAP_TASK, RIGHT_GRANT, 0);
        assert_int_equal(copy(30, 50, 100, RIGHT_SEND, 0), E_RIGHTS);
        assert_int_equal(copy(31, 50, 100, RIGHT_SEND, 0), E_CAP);
        assert_int_equal(copy(100, 50, 100, RIGHT_SEND, 0), E_CAP);
}

TEST(a_copy_is_charged_to_the_receiver)
{
        uint64_t other = manage(1), used = task[1]->used;

        endpoint_at(100);
        assert_int_equal(copy(other, 7 * CAPS_PER_PAGE, 100, RIGHT_SEND, 0), E_OK);
        assert_int_equal(task[1]->used, used + 1);
        while (kmem_alloc(task[1]))
                ;
        assert_int_equal(copy(other, 8 * CAPS_PER_PAGE, 100, RIGHT_SEND, 0), E_QUOTA);
}

TEST(a_copy_of_nothing_or_into_a_taken_slot_is_refused)
{
        endpoint_at(100);
        assert_int_equal(copy(SLOT_TASK, 101, 99, 0, 0), E_CAP);
        assert_int_equal(copy(SLOT_TASK, 101, SLOT_COUNT, 0, 0), E_CAP);
        assert_int_equal(copy(SLOT_TASK, 100, 100, 0, 0), E_BUSY);
        assert_int_equal(copy(SLOT_TASK, 0, 100, 0, 0), E_RANGE);
        assert_int_equal(copy(SLOT_TASK, SLOT_COUNT, 100, 0, 0), E_RANGE);
}

TEST(a_badge_is_given_once_and_then_stays)
{
        endpoint_at(100);
        assert_int_equal(copy(SLOT_TASK, 101, 100, RIGHT_ALL, 7), E_OK);
        assert_int_equal(copy(SLOT_TASK, 102, 101, RIGHT_ALL, 8), E_RIGHTS);
        assert_int_equal(copy(SLOT_TASK, 102, 101, RIGHT_ALL, 7), E_RIGHTS);
        assert_int_equal(copy(SLOT_TASK, 102, 101, RIGHT_ALL, 0), E_OK);
        assert_int_equal(cap_slot(task[0], 102)->badge, 7);
}

TEST(only_endpoints_and_notifications_have_badges)
{
        assert_int_equal(SYSTEM_CALL(self, notification_create, 100, 0).error, E_OK);
        assert_int_equal(copy(SLOT_TASK, 101, 100, RIGHT_ALL, 7), E_OK);
        assert_int_equal(copy(SLOT_TASK, 102, SLOT_TASK, RIGHT_MANAGE, 7), E_RIGHTS);
        assert_int_equal(copy(SLOT_TASK, 102, SLOT_SPACE, RIGHT_MANAGE, 7), E_RIGHTS);
}

/* ---- the end of capabilities ------------------------------------------------------------------- */

TEST(deleting_the_original_ends_the_object_and_every_copy)
{
        uint64_t other = manage(1), used = task[0]->used;

        endpoint_at(100);
        copy(SLOT_TASK, 101, 100, RIGHT_ALL, 1);
        copy(other, 50, 101, RIGHT_SEND, 0);
        assert_int_equal(SYSTEM_CALL(self, cap_delete, 100).error, E_OK);
        assert_int_equal(SYSTEM_CALL(self, cap_probe, 101).error, E_CAP);
        assert_int_equal(cap_slot(task[1], 50)->type, CAP_NONE);
        assert_int_equal(task[0]->used, used);
        machine_expect_sound();
}

TEST(deleting_a_copy_leaves_the_object_and_the_others)
{
        endpoint_at(100);
        copy(SLOT_TASK, 101, 100, RIGHT_ALL, 1);
        copy(SLOT_TASK, 102, 101, RIGHT_ALL, 0);
        assert_int_equal(SYSTEM_CALL(self, cap_delete, 101).error, E_OK);
        assert_int_equal(SYSTEM_CALL(self, cap_probe, 102).error, E_OK);
        assert_int_equal(SYSTEM_CALL(self, cap_probe, 100).error, E_OK);
}

TEST(revoking_deletes_the_copies_of_copies_and_keeps_the_original)
{
        uint64_t one = manage(1), two = manage(2);

        endpoint_at(100);
        copy(SLOT_TASK, 101, 100, RIGHT_ALL, 1);
        copy(one, 50, 101, RIGHT_ALL, 0);
        copy(two, 60, 101, RIGHT_ALL, 0);
        copy(SLOT_TASK, 103, 100, RIGHT_ALL, 2);
        assert_int_equal(SYSTEM_CALL(self, cap_revoke, 101).error, E_OK);
        assert_int_equal(cap_slot(task[1], 50)->type, CAP_NONE);
        assert_int_equal(cap_slot(task[2], 60)->type, CAP_NONE);
        assert_int_equal(SYSTEM_CALL(self, cap_probe, 101).error, E_OK);
        assert_int_equal(SYSTEM_CALL(self, cap_probe, 103).error, E_OK);
        assert_int_equal(SYSTEM_CALL(self, cap_revoke, 100).error, E_OK);
        assert_int_equal(SYSTEM_CALL(self, cap_probe, 101).error, E_CAP);
        assert_int_equal(SYSTEM_CALL(self, cap_probe, 103).error, E_CAP);
        assert_int_equal(SYSTEM_CALL(self, cap_probe, 100).error, E_OK);
}

TEST(who_deletes_the_middle_copy_does_not_save_the_last_from_revoking)
{
        endpoint_at(100);
        copy(SLOT_TASK, 101, 100, RIGHT_ALL, 1);
        copy(SLOT_TASK, 102, 101, RIGHT_ALL, 0);
        copy(SLOT_TASK, 103, 102, RIGHT_ALL, 0);
        SYSTEM_CALL(self, cap_delete, 101);
        SYSTEM_CALL(self, cap_delete, 102);
        assert_int_equal(SYSTEM_CALL(self, cap_probe, 103).error, E_OK);
        SYSTEM_CALL(self, cap_revoke, 100);
        assert_int_equal(SYSTEM_CALL(self, cap_probe, 103).error, E_CAP);
}

TEST(a_slot_that_is_used_again_is_not_the_parent_of_old_copies)
{
        endpoint_at(100);
        copy(SLOT_TASK, 101, 100, RIGHT_ALL, 1);
        copy(SLOT_TASK, 102, 101, RIGHT_ALL, 0);
        SYSTEM_CALL(self, cap_delete, 101);
        endpoint_at(101);
        SYSTEM_CALL(self, cap_revoke, 101);
        assert_int_equal(SYSTEM_CALL(self, cap_probe, 102).error, E_OK);
}

/* A lookup on another core reads a capability's type, and a moment later its object. */
TEST(a_slot_is_filled_again_only_when_no_other_core_can_be_reading_it)
{
        const uint64_t *ipis;

        machine_start(2);
        task[0] = machine_task(200);
        self = machine_thread(task[0], 10, 0);
        thread_ready(self);
        machine_schedule(0);
        ipis = &cpus[0].counters[COUNT_ipis];
        endpoint_at(100);
        assert_int_equal(*ipis, 0); /* nobody has ever seen anything in this slot */
        assert_int_equal(copy(SLOT_TASK, 101, 100, RIGHT_SEND, 7), E_OK);
        assert_int_equal(SYSTEM_CALL(self, cap_delete, 101).error, E_OK);
        assert_int_equal(*ipis, 0);
        assert_int_equal(copy(SLOT_TASK, 102, 100, RIGHT_SEND, 8), E_OK);
        assert_int_equal(*ipis, 0); /* another slot */
        assert_int_equal(copy(SLOT_TASK, 101, 100, RIGHT_SEND, 8), E_OK);
        assert_int_equal(*ipis, 1); /* the other core left the kernel in between */
        assert_int_equal(SYSTEM_CALL(self, cap_delete, 101).error, E_OK);
        assert_int_equal(SYSTEM_CALL(self, cap_delete, 102).error, E_OK);
        assert_int_equal(SYSTEM_CALL(self, cap_revoke, 100).error, E_OK);
        assert_int_equal(*ipis, 2); /* revoking waits for it anyway: once is enough */
        assert_int_equal(copy(SLOT_TASK, 101, 100, RIGHT_SEND, 8), E_OK);
        assert_int_equal(copy(SLOT_TASK, 102, 100, RIGHT_SEND, 8), E_OK);
        assert_int_equal(*ipis, 2);
        machine_expect_sound();
}

TEST(a_task_cannot_lose_itself_or_its_space)
{
        assert_int_equal(SYSTEM_CALL(self, cap_delete, SLOT_TASK).error, E_CAP);
        assert_int_equal(SYSTEM_CALL(self, cap_delete, SLOT_SPACE).error, E_CAP);
        assert_int_equal(SYSTEM_CALL(self, cap_delete, 0).error, E_CAP);
        assert_int_equal(SYSTEM_CALL(self, cap_delete, 100).error, E_CAP);
        assert_int_equal(SYSTEM_CALL(self, cap_revoke, 100).error, E_CAP);
}

/* ---- random trees ------------------------------------------------------------------------------- */

#define SLOTS 60
#define FIRST 200
/* What should be in slot FIRST + i of each task: which endpoint, and whose copy it is. */
static struct model {
        int endpoint, parent; /* -1: none */
        unsigned rights;
        uint64_t badge;
} model[3 * SLOTS];

static void model_clear(int i)
{
        for (int k = 0; k < 3 * SLOTS; k++)
                if (model[k].endpoint >= 0 && model[k].parent == i)
                        model[k].parent = model[i].parent;
        model[i].endpoint = -1;
}

static void model_revoke(int i)
{
        for (int k = 0; k < 3 * SLOTS; k++)
                if (model[k].endpoint >= 0 && model[k].parent == i) {
                        model_revoke(k);
                        model[k].endpoint = -1;
                }
}

static void expect_model(void)
{
        unsigned caps[8] = {0};

        for (int i = 0; i < 3 * SLOTS; i++) {
                const struct cap *cap = cap_slot(task[i / SLOTS], (uint64_t)(FIRST + i % SLOTS));
                bool there = cap && cap->type != CAP_NONE;
                assert_int_equal(there, model[i].endpoint >= 0);
                if (!there)
                        continue;
                assert_int_equal(cap->rights, model[i].rights);
                assert_int_equal(cap->badge, model[i].badge);
                caps[model[i].endpoint]++;
                assert_ptr_equal(cap->object, cap_slot(task[0], (uint64_t)(100 + model[i].endpoint))
                                                      ->object);
        }
        for (unsigned e = 0; e < 8; e++)
                assert_int_equal(cap_slot(task[0], 100 + e)->object->caps, caps[e] + 1);
}

/* The copies of 3 tasks among each other; task 0's thread speaks for all of them. */
TEST(random_copies_deletions_and_revocations_agree_with_a_model)
{
        for (int i = 0; i < 3 * SLOTS; i++)
                model[i].endpoint = -1;
        for (unsigned e = 0; e < 8; e++)
                endpoint_at(100 + e);
        for (unsigned step = 0; step < 30000; step++) {
                int i = (int)dice(3 * SLOTS), k = (int)dice(3 * SLOTS);
                uint64_t si = (uint64_t)(FIRST + i % SLOTS), sk = (uint64_t)(FIRST + k % SLOTS);
                unsigned rights = (unsigned)(dice(16) | dice(16));
                uint64_t badge = dice(3);
                struct task *ti = task[i / SLOTS], *tk = task[k / SLOTS];
                switch (dice(8)) {
                case 0: { /* from an original */
                        uint64_t e = dice(8);
                        enum ouzel_error error = cap_derive(ti, si, task[0], 100 + e, rights, badge);
                        assert_int_equal(error, model[i].endpoint >= 0 ? E_BUSY : E_OK);
                        if (!error)
                                model[i] = (struct model){(int)e, -1 - (int)e - 1, rights, badge};
                        break;
                }
                case 1: /* deleting: by the task itself */
                        if (ti != task[0])
                                break;
                        assert_int_equal(SYSTEM_CALL(self, cap_delete, si).error,
                                         model[i].endpoint < 0 ? E_CAP : E_OK);
                        if (model[i].endpoint >= 0)
                                model_clear(i);
                        break;
                case 2:
                        if (ti != task[0] || dice(4))
                                break;
                        assert_int_equal(SYSTEM_CALL(self, cap_revoke, si).error,
                                         model[i].endpoint < 0 ? E_CAP : E_OK);
                        if (model[i].endpoint >= 0)
                                model_revoke(i);
                        break;
                case 3: { /* of an original, now and then */
                        uint64_t e = dice(8);
                        if (dice(8))
                                break;
                        assert_int_equal(SYSTEM_CALL(self, cap_revoke, 100 + e).error, E_OK);
                        for (int n = 0; n < 3 * SLOTS; n++)
                                if (model[n].endpoint == (int)e)
                                        model[n].endpoint = -1;
                        break;
                }
                default: {
                        enum ouzel_error error = cap_derive(tk, sk, ti, si, rights, badge), want;
                        if (model[i].endpoint < 0)
                                want = E_CAP;
                        else if ((rights & ~model[i].rights) ||
                                 (ti != tk && !(model[i].rights & RIGHT_GRANT)) ||
                                 (badge && model[i].badge))
                                want = E_RIGHTS;
                        else
                                want = model[k].endpoint >= 0 ? E_BUSY : E_OK;
                        assert_int_equal(error, want);
                        if (!error)
                                model[k] = (struct model){model[i].endpoint, i, rights,
                                                          badge ? badge : model[i].badge};
                }
                }
                if (step % 16 == 0)
                        expect_model();
        }
        machine_expect_sound();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(slot_zero_and_slots_beyond_the_table_do_not_exist, setup),
                cmocka_unit_test_setup(every_slot_can_be_had_and_is_another, setup),
                cmocka_unit_test_setup(a_page_of_the_table_is_charged_when_it_is_first_used, setup),
                cmocka_unit_test_setup(a_slot_without_quota_for_its_page_is_refused, setup),
                cmocka_unit_test_setup(a_slot_that_is_taken_is_busy, setup),
                cmocka_unit_test_setup(a_capability_is_found_by_type_and_rights, setup),
                cmocka_unit_test_setup(an_empty_slot_has_no_capability, setup),
                cmocka_unit_test_setup(probing_tells_type_and_rights, setup),
                cmocka_unit_test_setup(a_copy_never_has_more_rights_than_its_source, setup),
                cmocka_unit_test_setup(rights_that_do_not_exist_are_refused, setup),
                cmocka_unit_test_setup(a_copy_to_another_task_needs_the_right_to_grant, setup),
                cmocka_unit_test_setup(a_copy_needs_the_right_to_manage_the_receiver, setup),
                cmocka_unit_test_setup(a_copy_is_charged_to_the_receiver, setup),
                cmocka_unit_test_setup(a_copy_of_nothing_or_into_a_taken_slot_is_refused, setup),
                cmocka_unit_test_setup(a_badge_is_given_once_and_then_stays, setup),
                cmocka_unit_test_setup(only_endpoints_and_notifications_have_badges, setup),
                cmocka_unit_test_setup(deleting_the_original_ends_the_object_and_every_copy, setup),
                cmocka_unit_test_setup(deleting_a_copy_leaves_the_object_and_the_others, setup),
                cmocka_unit_test_setup(revoking_deletes_the_copies_of_copies_and_keeps_the_original,
                                       setup),
                cmocka_unit_test_setup(who_deletes_the_middle_copy_does_not_save_the_last_from_revoking,
                                       setup),
                cmocka_unit_test_setup(a_slot_that_is_used_again_is_not_the_parent_of_old_copies,
                                       setup),
                cmocka_unit_test_setup(
                        a_slot_is_filled_again_only_when_no_other_core_can_be_reading_it, setup),
                cmocka_unit_test_setup(a_task_cannot_lose_itself_or_its_space, setup),
                cmocka_unit_test_setup(random_copies_deletions_and_revocations_agree_with_a_model,
                                       setup),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
