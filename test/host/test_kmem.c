// SPDX-License-Identifier: MIT
// uses: kernel
/* The kernel's pool of pages, and the quotas that it is charged to. */
#include "machine.h"

#include <stdlib.h>

static int setup(void **)
{
        machine_start(1);
        return 0;
}

static bool zeroed(const void *page)
{
        const uint64_t *word = page;

        for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
                if (word[i])
                        return false;
        return true;
}

TEST(a_page_is_zeroed_and_the_pools)
{
        uint64_t *page = kmem_alloc(root_task);

        assert_non_null(page);
        assert_int_equal((uint64_t)page % PAGE_SIZE, 0);
        assert_true(kmem_owns(virt_to_phys(page)));
        assert_true(zeroed(page));
}

TEST(a_page_that_is_had_again_is_zeroed_again)
{
        uint64_t *page = kmem_alloc(root_task);

        memset(page, 0xff, PAGE_SIZE);
        kmem_free(root_task, page);
        assert_ptr_equal(kmem_alloc(root_task), page);
        assert_true(zeroed(page));
}

TEST(every_page_of_the_pool_is_given_once_and_then_none)
{
        uint64_t left = root_task->quota - root_task->used, n = 0;
        uint8_t *seen = calloc(1, kmem_pages());
        void *page;

        assert_int_equal(left, kmem_free_pages());
        while ((page = kmem_alloc(root_task))) {
                uint64_t index = (virt_to_phys(page) - boot.pool.start) / PAGE_SIZE;
                assert_true(index < kmem_pages());
                assert_false(seen[index]++);
                n++;
        }
        assert_int_equal(n, left);
        assert_int_equal(kmem_free_pages(), 0);
        assert_null(kmem_alloc(root_task));
        free(seen);
}

TEST(a_refused_page_changes_no_count)
{
        struct task *task = machine_task(8);

        while (kmem_alloc(task))
                ;
        uint64_t used = task->used, left = kmem_free_pages(), root = root_task->used;
        assert_int_equal(used, task->quota);
        assert_null(kmem_alloc(task));
        assert_int_equal(task->used, used);
        assert_int_equal(kmem_free_pages(), left);
        assert_int_equal(root_task->used, root);
}

TEST(one_task_cannot_use_up_what_another_counts_on)
{
        struct task *greedy = machine_task(1000), *modest = machine_task(20);
        uint64_t n = 0, left = modest->quota - modest->used;

        while (kmem_alloc(greedy))
                ;
        while (kmem_alloc(root_task))
                ;
        while (kmem_alloc(modest))
                n++;
        assert_int_equal(n, left);
}

TEST(a_quota_is_taken_to_its_last_page_and_no_further)
{
        struct task task = {.quota = 10, .used = 3};

        assert_false(quota_take(&task, 8));
        assert_true(quota_take(&task, 7));
        assert_false(quota_take(&task, 1));
        assert_true(quota_take(&task, 0));
        quota_return(&task, 10);
        assert_int_equal(task.used, 0);
}

TEST(a_huge_request_does_not_wrap_round)
{
        struct task task = {.quota = 10, .used = 3};

        for (unsigned bit = 4; bit < 64; bit++)
                assert_false(quota_take(&task, 1ul << bit));
        assert_false(quota_take(&task, UINT64_MAX));
        assert_false(quota_take(&task, UINT64_MAX - 2));
        assert_int_equal(task.used, 3);
}

TEST(a_tasks_quota_comes_out_of_its_parents)
{
        uint64_t before = root_task->used;
        struct task *task = machine_task(50);

        assert_int_equal(root_task->used, before + 50);
        assert_int_equal(task->quota, 50);
        assert_true(task->used <= 50);
}

TEST(a_task_of_too_small_a_quota_is_refused)
{
        enum ouzel_error error;
        uint64_t used = root_task->used, left = kmem_free_pages();

        for (uint64_t quota = 0; quota < 5; quota++) {
                assert_null(task_new(root_task, quota, &error));
                assert_int_equal(error, E_QUOTA);
        }
        assert_int_equal(root_task->used, used);
        assert_int_equal(kmem_free_pages(), left);
}

TEST(a_task_of_more_than_its_parent_has_is_refused)
{
        enum ouzel_error error;
        uint64_t used = root_task->used;

        assert_null(task_new(root_task, root_task->quota - used + 1, &error));
        assert_int_equal(error, E_QUOTA);
        assert_null(task_new(root_task, UINT64_MAX, &error));
        assert_int_equal(error, E_QUOTA);
        assert_int_equal(root_task->used, used);
}

TEST(more_tasks_than_there_is_room_for_are_refused)
{
        enum ouzel_error error;

        for (unsigned i = 1; i < MAX_TASKS; i++)
                machine_task(8);
        assert_null(task_new(root_task, 8, &error));
        assert_int_equal(error, E_LIMIT);
        machine_expect_sound();
}

TEST(the_end_of_a_task_brings_every_page_back)
{
        uint64_t used = root_task->used, left = kmem_free_pages();
        struct task *task = machine_task(300), *child;
        enum ouzel_error error;
        uint64_t done;

        child = task_new(task, 20, &error);
        assert_non_null(child);
        machine_thread(task, 10, 0);
        machine_thread(child, 10, 0);
        region_add(&task->regions, (struct region){boot.kernel.end, boot.pool.start, ACCESS_READ,
                                                   0, 1});
        for (unsigned i = 0; i < 100; i++) /* a table of its own for each */
                assert_int_equal(space_map(task->space, TASK_VA_START + ((uint64_t)i << 21),
                                           boot.kernel.end, ACCESS_READ, 1, &done), E_OK);
        machine_expect_sound();
        big_lock();
        object_destroy(&task->object);
        big_unlock();
        assert_int_equal(root_task->used, used);
        assert_int_equal(kmem_free_pages(), left);
        machine_expect_sound();
}

TEST(a_mapping_that_runs_out_of_quota_half_way_keeps_what_it_did)
{
        struct task *task = machine_task(8); /* what every task has, and one table of each level */
        uint64_t done;

        region_add(&task->regions, (struct region){boot.kernel.end, boot.pool.start, ACCESS_READ,
                                                   0, 1});
        assert_int_equal(space_map(task->space, TASK_VA_START + (2ul << 20) - 5 * PAGE_SIZE,
                                   boot.kernel.end, ACCESS_READ, 10, &done), E_QUOTA);
        assert_int_equal(done, 5);
        assert_int_equal(task->used, task->quota);
        machine_expect_sound();
}

TEST(random_charges_of_eight_tasks_add_up)
{
        struct task *task[8];
        void *page[8][64];
        unsigned n[8] = {0};
        uint64_t left;

        for (unsigned i = 0; i < 8; i++)
                task[i] = machine_task(10 + 8 * i);
        left = kmem_free_pages();
        for (unsigned step = 0; step < 100000; step++) {
                unsigned i = (unsigned)dice(8), all = 0;
                uint64_t own = task[i]->used - n[i];
                if (dice(2)) {
                        void *p = kmem_alloc(task[i]);
                        assert_int_equal(p == NULL, own + n[i] == task[i]->quota);
                        if (p)
                                page[i][n[i]++] = p;
                } else if (n[i]) {
                        unsigned k = (unsigned)dice(n[i]);
                        memset(page[i][k], 0xa5, PAGE_SIZE);
                        kmem_free(task[i], page[i][k]);
                        page[i][k] = page[i][--n[i]];
                }
                for (unsigned k = 0; k < 8; k++)
                        all += n[k];
                assert_int_equal(kmem_free_pages(), left - all);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(a_page_is_zeroed_and_the_pools, setup),
                cmocka_unit_test_setup(a_page_that_is_had_again_is_zeroed_again, setup),
                cmocka_unit_test_setup(every_page_of_the_pool_is_given_once_and_then_none, setup),
                cmocka_unit_test_setup(a_refused_page_changes_no_count, setup),
                cmocka_unit_test_setup(one_task_cannot_use_up_what_another_counts_on, setup),
                cmocka_unit_test_setup(a_quota_is_taken_to_its_last_page_and_no_further, setup),
                cmocka_unit_test_setup(a_huge_request_does_not_wrap_round, setup),
                cmocka_unit_test_setup(a_tasks_quota_comes_out_of_its_parents, setup),
                cmocka_unit_test_setup(a_task_of_too_small_a_quota_is_refused, setup),
                cmocka_unit_test_setup(a_task_of_more_than_its_parent_has_is_refused, setup),
                cmocka_unit_test_setup(more_tasks_than_there_is_room_for_are_refused, setup),
                cmocka_unit_test_setup(the_end_of_a_task_brings_every_page_back, setup),
                cmocka_unit_test_setup(a_mapping_that_runs_out_of_quota_half_way_keeps_what_it_did,
                                       setup),
                cmocka_unit_test_setup(random_charges_of_eight_tasks_add_up, setup),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
