// SPDX-License-Identifier: MIT
/* tasks.c -- tasks, quotas and regions: who owns what, and what comes back. */
#include "test.h"

#define RW (ACCESS_READ | ACCESS_WRITE)
#define SOME_VA 0xffff000200000000ul

/* ---- tasks --------------------------------------------------------------------------------------- */

TEST(task_create_charges_its_quota_and_destroy_returns_it)
{
        struct usage before = usage_of(SLOT_TASK);
        unsigned slot = slots_new(2);
        struct ouzel_result r = RESULT_OF(task_create, slot, 50);

        EXPECT_OK(r.error);
        EXPECT_EQ(usage_of(SLOT_TASK).used, before.used + 50);
        struct ouzel_result info = RESULT_OF(task_info, slot);
        EXPECT_EQ(info.v1, 50);
        EXPECT_EQ(info.v2, 5);
        EXPECT_EQ(info.v3, r.v1);
        EXPECT_EQ(info.v4, 0);
        EXPECT_EQ(RESULT_OF(cap_probe, slot).v1, CAP_TASK | RIGHT_ALL << 8);
        EXPECT_EQ(RESULT_OF(cap_probe, slot + 1).v1, CAP_SPACE | RIGHT_ALL << 8);
        EXPECT_OK(CALL(task_destroy, slot));
        EXPECT_E(CALL(cap_probe, slot), E_CAP);
        EXPECT_E(CALL(cap_probe, slot + 1), E_CAP);
        EXPECT_EQ(usage_of(SLOT_TASK).used, before.used);
        EXPECT_EQ(usage_of(SLOT_TASK).free, before.free);
}

TEST(task_create_refuses)
{
        struct usage before = usage_of(SLOT_TASK);
        struct ouzel_result info = RESULT_OF(task_info, SLOT_TASK);
        unsigned slot = slots_new(2);

        EXPECT_E(CALL(task_create, 0, 10), E_RANGE);
        EXPECT_E(CALL(task_create, SLOT_COUNT, 10), E_RANGE);
        EXPECT_E(CALL(task_create, UINT64_MAX, 10), E_RANGE);
        EXPECT_E(CALL(task_create, SLOT_TASK, 10), E_BUSY);
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, slot + 1, SLOT_SLEEP, 0));
        EXPECT_E(CALL(task_create, slot, 10), E_BUSY); /* the space's slot is taken */
        EXPECT_E(CALL(cap_probe, slot), E_CAP);
        EXPECT_OK(CALL(cap_delete, slot + 1));
        for (unsigned quota = 0; quota < 5; quota++)
                EXPECT_E(CALL(task_create, slot, quota), E_QUOTA);
        EXPECT_E(CALL(task_create, slot, info.v1 - info.v2 + 1), E_QUOTA);
        EXPECT_E(CALL(task_create, slot, 1ul << 40), E_QUOTA);
        EXPECT_E(CALL(task_create, slot, UINT64_MAX), E_QUOTA);
        EXPECT_EQ(usage_of(SLOT_TASK).used, before.used);
        EXPECT_EQ(usage_of(SLOT_TASK).free, before.free);
        EXPECT_OK(CALL(task_create, slot, info.v1 - info.v2)); /* all there is */
        unsigned more = slots_new(2);
        EXPECT_E(CALL(task_create, more, 5), E_QUOTA);
        EXPECT_E(CALL(endpoint_create, more, 0), E_QUOTA);
        EXPECT_E(CALL(notification_create, more, 0), E_QUOTA);
        EXPECT_E(CALL(space_create, more, 0), E_QUOTA);
        EXPECT_E(CALL(thread_create, more, SLOT_TASK, 0, 1, 0), E_QUOTA);
        EXPECT_E(CALL(irq_create, more, 100, 0), E_QUOTA);
        EXPECT_E(CALL(cap_copy, SLOT_TASK, 4000, SLOT_SLEEP, 0), E_QUOTA);
        EXPECT_E(CALL(cap_probe, more), E_CAP);
}

TEST(task_create_ends_at_the_kernels_limit)
{
        unsigned first = 0, n;

        for (n = 0; n < 256; n++) {
                unsigned slot = slots_new(2);
                enum ouzel_error e = CALL(task_create, slot, 5);
                first = first ? first : slot;
                if (e) {
                        EXPECT_E(e, E_LIMIT);
                        break;
                }
        }
        EXPECT(n > 200 && n < 256);
        EXPECT_OK(CALL(task_destroy, first));
        EXPECT_OK(CALL(task_create, first, 5)); /* its number is free again */
}

TEST(task_info_refuses)
{
        unsigned weak = slot_new(), task = task_bare(10);

        EXPECT_E(CALL(task_info, 0), E_CAP);
        EXPECT_E(CALL(task_info, SLOT_NEVER), E_CAP);
        EXPECT_E(CALL(task_info, SLOT_SPACE), E_CAP);
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, task, 0));
        EXPECT_OK(CALL(task_info, weak)); /* no right is needed to look */
}

TEST(task_destroy_refuses)
{
        unsigned weak = slot_new(), task = task_bare(10);

        EXPECT_E(CALL(task_destroy, SLOT_TASK), E_BUSY); /* oneself */
        EXPECT_E(CALL(task_destroy, 0), E_CAP);
        EXPECT_E(CALL(task_destroy, SLOT_NEVER), E_CAP);
        EXPECT_E(CALL(task_destroy, SLOT_SPACE), E_CAP);
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, task, RIGHT_GRANT));
        EXPECT_E(CALL(task_destroy, weak), E_RIGHTS);
        EXPECT_OK(CALL(task_info, task));
}

static struct { enum ouzel_error error; } child;

static void destroy_slot(uint64_t slot)
{
        child.error = CALL(task_destroy, slot);
}

TEST(task_destroy_of_an_ancestor_is_refused)
{
        unsigned task = task_new(24), ours = slot_new();

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, ours, SLOT_TASK, RIGHT_MANAGE | RIGHT_GRANT));
        EXPECT_OK(CALL(cap_copy, task, 20, ours, RIGHT_MANAGE));
        worker_join(worker_start(destroy_slot, 20, .task = task));
        EXPECT_E(child.error, E_BUSY);
        worker_join(worker_start(destroy_slot, SLOT_TASK, .task = task));
        EXPECT_E(child.error, E_BUSY);
}

/* What a child task has made, all of it, with threads that wait in every way. */
static void make_much(uint64_t unused)
{
        (void)unused;
        child.error = CALL(task_create, 30, 8);
        child.error |= CALL(endpoint_create, 32, 0);
        child.error |= CALL(notification_create, 33, 0);
        child.error |= CALL(space_create, 34, 0);
        child.error |= CALL(thread_create, 35, SLOT_TASK, 0, 10, 0);
        child.error |= CALL(thread_create, 36, 30, 32, 10, 0);
        child.error |= CALL(cap_copy, 30, 20, 33, RIGHT_ALL);
}

TEST(task_destroy_takes_all_that_it_made)
{
        for (unsigned i = 0; i < 5; i++) {
                struct usage before = usage_of(SLOT_TASK);
                unsigned task = task_new(64);
                struct worker *w = worker_start(make_much, 0, .task = task, .core = i % cores);
                worker_join(w);
                EXPECT_OK(child.error);
                EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
                EXPECT_OK(CALL(task_destroy, task));
                EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
                EXPECT_EQ(usage_of(SLOT_TASK).used, before.used); /* w's thread went with it */
                EXPECT_E(CALL(thread_info, w->slot), E_CAP);
        }
}

static uint32_t spins;

static void spin(uint64_t unused)
{
        (void)unused;
        for (;;)
                __atomic_fetch_add(&spins, 1, __ATOMIC_RELAXED);
}

TEST(task_destroy_while_its_threads_run)
{
        for (unsigned i = 0; i < 6 && !failed(); i++) {
                unsigned task = task_new(24);
                spins = 0;
                worker_start(spin, 0, .task = task, .core = 0);
                worker_start(spin, 0, .task = task, .core = cores - 1);
                wait_until(&spins, 100);
                EXPECT_OK(CALL(task_destroy, task));
                uint32_t last = spins;
                sleep_us(100);
                EXPECT_EQ(spins, last);
        }
}

/*
 * A task may manage its parent, and own a thread in it: if that thread destroys the task, it
 * would free itself while it runs.
 */
static uint64_t parent_thread_slot;

static void makes_thread_in_parent(uint64_t argument)
{
        (void)argument;
        child.error = CALL(thread_create, 40, 20, 0, 10, 0); /* slot 20: the parent */
        child.error |= CALL(cap_copy, 20, parent_thread_slot, 40, RIGHT_MANAGE);
}

static void ends_its_owner(uint64_t task)
{
        child.error = CALL(task_destroy, task);
        CALL(thread_stop, parent_thread_slot);
}

TEST(task_destroy_of_the_owner_of_the_calling_thread_is_refused)
{
        static __attribute__((aligned(16))) uint8_t stack[4096];
        unsigned task = task_new(32), ours = slot_new();

        parent_thread_slot = slot_new();
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, ours, SLOT_TASK, RIGHT_MANAGE | RIGHT_GRANT));
        EXPECT_OK(CALL(cap_copy, task, 20, ours, RIGHT_MANAGE));
        worker_join(worker_start(makes_thread_in_parent, 0, .task = task));
        EXPECT_OK(child.error);
        child.error = E_OK;
        EXPECT_OK(CALL(thread_start, parent_thread_slot, ends_its_owner, stack + sizeof(stack),
                       task));
        wait_state(parent_thread_slot, STATE_stopped);
        EXPECT_E(child.error, E_BUSY);
        EXPECT_OK(CALL(task_info, task));
}

/*
 * A task in a task in a task ...: ending the outermost ends them all, and the kernel has one
 * stack of 16 KiB for that.
 */
struct nest { uint32_t depth; enum ouzel_error error; };
static struct nest nest;
static uint64_t nest_image_pa, nest_image_size;
static struct { uint64_t va, pa, pages, rights; } nest_runs[8];
static unsigned n_nest_runs;
static __attribute__((aligned(16))) uint8_t nest_stacks[2][4096];

static void nest_deeper(uint64_t levels)
{
        enum ouzel_error e = CALL(task_create, 20, 9 * levels);

        if (!e)
                e = CALL(region_grant, 20, nest_image_pa, nest_image_size, ACCESS_ALL);
        for (unsigned i = 0; i < n_nest_runs && !e; i++)
                e = CALL(space_update, 21, nest_runs[i].va, nest_runs[i].pa, nest_runs[i].rights,
                         nest_runs[i].pages);
        if (!e)
                e = CALL(thread_create, 22, 20, 0, 10, 0);
        if (!e)
                e = CALL(cap_copy, 20, 23, 22, RIGHT_MANAGE);
        nest.error = e;
        if (!e) {
                __atomic_fetch_add(&nest.depth, 1, __ATOMIC_RELEASE);
                if (levels > 1) /* the outer one has done its part, and its stack is free */
                        e = CALL(thread_start, 22, nest_deeper,
                                 nest_stacks[levels & 1] + sizeof(nest_stacks[0]), levels - 1);
                nest.error |= e;
        }
        CALL(thread_stop, 23); /* the first one has none, and returns */
}

TEST(task_destroy_of_many_nested_tasks)
{
        const uint64_t levels = cores == 1 ? 155 : 20; /* each level stops all cores */
        unsigned task = task_new(9 * (unsigned)levels + 30);
        struct ouzel_result r;

        nest_image_pa = block_pa;
        nest_image_size = image_size;
        n_nest_runs = 0;
        for (uint64_t va = NATIVE_LINK_VA; !(r = RESULT_OF(space_query, task + 1, va)).error;
             va += 4096) {
                unsigned i = n_nest_runs;
                if (i && nest_runs[i - 1].rights == (r.v2 & ACCESS_ALL) &&
                    nest_runs[i - 1].pa + nest_runs[i - 1].pages * 4096 == r.v1) {
                        nest_runs[i - 1].pages++;
                } else if (i < 8) {
                        nest_runs[i].va = va;
                        nest_runs[i].pa = r.v1;
                        nest_runs[i].pages = 1;
                        nest_runs[n_nest_runs++].rights = r.v2 & ACCESS_ALL;
                }
        }
        nest = (struct nest){0};
        worker_start(nest_deeper, levels, .task = task);
        while (nest.depth < levels && !nest.error && !failed())
                wait_until(&nest.depth, nest.depth + 1);
        EXPECT_OK(nest.error);
        EXPECT_OK(CALL(task_destroy, task));
}

/* ---- regions -------------------------------------------------------------------------------------- */

TEST(region_grant_and_query)
{
        uint64_t pa = frames_new(4);
        unsigned task = task_bare(10);
        struct ouzel_result r;

        EXPECT_E(CALL(region_query, task, 0), E_RANGE);
        EXPECT_OK(CALL(region_grant, task, pa, 8192, ACCESS_READ));
        EXPECT_OK(CALL(region_grant, task, pa + 8192, 4096, RW));
        r = RESULT_OF(region_query, task, 0);
        EXPECT(!r.error && r.v1 == pa && r.v2 == 8192 && r.v3 == ACCESS_READ);
        r = RESULT_OF(region_query, task, 1);
        EXPECT(!r.error && r.v1 == pa + 8192 && r.v2 == 4096 && r.v3 == RW);
        EXPECT_E(CALL(region_query, task, 2), E_RANGE);
        EXPECT_E(CALL(region_query, task, UINT64_MAX), E_RANGE);
        EXPECT_E(CALL(region_query, SLOT_NEVER, 0), E_CAP);
        EXPECT_E(CALL(region_query, SLOT_SPACE, 0), E_CAP);
        EXPECT_OK(CALL(region_grant, task, pa + 12288, 4096, RW)); /* adjacent: one region */
        EXPECT_EQ(RESULT_OF(region_query, task, 1).v2, 8192);
        EXPECT_EQ(usage_of(task).regions, 2);
}

TEST(region_grant_refuses)
{
        uint64_t pa = frames_new(2);
        unsigned task = task_bare(10), weak = slot_new();

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, task, RIGHT_GRANT));
        EXPECT_E(CALL(region_grant, task, pa + 1, 4096, RW), E_ALIGN);
        EXPECT_E(CALL(region_grant, task, pa, 4095, RW), E_ALIGN);
        EXPECT_E(CALL(region_grant, task, pa, 0, RW), E_RANGE);
        EXPECT_E(CALL(region_grant, task, pa, 0ul - 4096, RW), E_RANGE);
        EXPECT_E(CALL(region_grant, task, 0ul - 4096, 8192, RW), E_RANGE);
        EXPECT_E(CALL(region_grant, task, pa, 4096, 0), E_INVALID);
        EXPECT_E(CALL(region_grant, task, pa, 4096, REGION_WX), E_INVALID);
        for (unsigned bit = 5; bit < 64; bit++)
                EXPECT_E(CALL(region_grant, task, pa, 4096, RW | 1ul << bit), E_INVALID);
        EXPECT_E(CALL(region_grant, task, pa, 4096, ACCESS_ALL | REGION_DEVICE), E_TYPE);
        EXPECT_E(CALL(region_grant, task, pa, 4096, RW | REGION_DEVICE | REGION_WX), E_TYPE);
        EXPECT_E(CALL(region_grant, SLOT_NEVER, pa, 4096, RW), E_CAP);
        EXPECT_E(CALL(region_grant, SLOT_SPACE, pa, 4096, RW), E_CAP);
        EXPECT_E(CALL(region_grant, weak, pa, 4096, RW), E_RIGHTS);
        EXPECT_E(CALL(region_grant, task, block_pa + block_size, 4096, ACCESS_READ), E_OWNER);
        EXPECT_E(CALL(region_grant, task, block_pa - 4096, 8192, ACCESS_READ), E_OWNER);
        EXPECT_E(CALL(region_grant, task, pa, 4096, RW | REGION_DEVICE), E_OWNER);
        EXPECT_EQ(usage_of(task).regions, 0);
}

static uint64_t given_pa;
static struct { enum ouzel_error error[8]; } tried;

/* In a task that may read two pages, and write none; slot 20 is a task of its own. */
static void grants_on(uint64_t unused)
{
        (void)unused;
        tried.error[0] = CALL(task_create, 20, 8);
        tried.error[1] = CALL(region_grant, 20, given_pa, 4096, ACCESS_READ);
        tried.error[2] = CALL(region_grant, 20, given_pa, 4096, RW);
        tried.error[3] = CALL(region_grant, 20, given_pa, 4096, ACCESS_READ | ACCESS_EXEC);
        tried.error[4] = CALL(region_grant, 20, given_pa, 4096, ACCESS_READ | REGION_WX);
        tried.error[5] = CALL(space_update, 21, SOME_VA, given_pa, ACCESS_READ, 1);
        tried.error[6] = CALL(space_update, SLOT_SPACE, SOME_VA, given_pa, RW, 1);
        tried.error[7] = CALL(space_update, SLOT_SPACE, SOME_VA, given_pa, ACCESS_READ, 2);
}

static unsigned granted_on(unsigned quota)
{
        unsigned task = task_new(quota);

        given_pa = frames_new(2);
        EXPECT_OK(CALL(region_grant, task, given_pa, 8192, ACCESS_READ));
        worker_join(worker_start(grants_on, 0, .task = task));
        return task;
}

TEST(region_grant_onwards_gives_no_more_than_one_has)
{
        static const enum ouzel_error want[] = {E_OK, E_OK, E_RIGHTS, E_RIGHTS, E_RIGHTS, E_OK,
                                                E_RIGHTS, E_OK};

        granted_on(40);
        for (unsigned i = 0; i < 8; i++)
                EXPECT_E(tried.error[i], want[i]);
}

TEST(region_revoke_takes_it_from_all_that_got_it_onwards)
{
        unsigned task = granted_on(40);

        EXPECT_OK(CALL(space_query, task + 1, SOME_VA));
        EXPECT_OK(CALL(region_revoke, task, given_pa, 4096));
        EXPECT_E(CALL(space_query, task + 1, SOME_VA), E_AGAIN);
        EXPECT_OK(CALL(space_query, task + 1, SOME_VA + 4096)); /* not that one */
        EXPECT_OK(CALL(kernel_check, SLOT_CONTROL)); /* the grandchild's mapping went as well */
        EXPECT_EQ(usage_of(task).regions, 2);        /* the image, and one page */
        EXPECT_E(CALL(region_revoke, task, given_pa, 4096), E_OWNER);
}

TEST(region_revoke_refuses)
{
        uint64_t pa = frames_new(2);
        unsigned task = task_bare(10), weak = slot_new();

        EXPECT_OK(CALL(region_grant, task, pa, 4096, RW));
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, task, RIGHT_GRANT));
        EXPECT_E(CALL(region_revoke, task, pa + 8, 4096), E_ALIGN);
        EXPECT_E(CALL(region_revoke, task, pa, 100), E_ALIGN);
        EXPECT_E(CALL(region_revoke, task, pa, 0), E_RANGE);
        EXPECT_E(CALL(region_revoke, task, 0ul - 4096, 8192), E_RANGE);
        EXPECT_E(CALL(region_revoke, SLOT_NEVER, pa, 4096), E_CAP);
        EXPECT_E(CALL(region_revoke, SLOT_SPACE, pa, 4096), E_CAP);
        EXPECT_E(CALL(region_revoke, weak, pa, 4096), E_RIGHTS);
        EXPECT_E(CALL(region_revoke, task, pa + 4096, 4096), E_OWNER);
        EXPECT_E(CALL(region_revoke, SLOT_TASK, block_pa, block_size), E_OWNER); /* from above */
        EXPECT_EQ(usage_of(task).regions, 1);
}

TEST(region_revoke_in_the_middle_leaves_both_ends)
{
        uint64_t pa = frames_new(5);
        unsigned task = task_bare(12), space = task + 1;

        EXPECT_OK(CALL(region_grant, task, pa, 5 * 4096, RW));
        EXPECT_OK(CALL(space_update, space, SOME_VA, pa, RW, 5));
        EXPECT_OK(CALL(region_revoke, task, pa + 8192, 4096));
        for (unsigned i = 0; i < 5; i++)
                EXPECT_E(CALL(space_query, space, SOME_VA + i * 4096), i == 2 ? E_AGAIN : E_OK);
        EXPECT_EQ(usage_of(task).regions, 2);
        EXPECT_E(CALL(space_update, space, SOME_VA, pa, RW, 3), E_OWNER);
}

TEST(region_grant_twice_and_less_the_second_time)
{
        uint64_t pa = frames_new(1);
        unsigned task = task_bare(12), space = task + 1;

        EXPECT_OK(CALL(region_grant, task, pa, 4096, RW));
        EXPECT_OK(CALL(region_grant, task, pa, 4096, ACCESS_READ));
        EXPECT_OK(CALL(space_update, space, SOME_VA, pa, RW, 1));
        EXPECT_OK(CALL(region_revoke, task, pa, 4096)); /* both */
        EXPECT_EQ(usage_of(task).regions, 0);
        EXPECT_E(CALL(space_query, space, SOME_VA), E_AGAIN);
}

TEST(region_table_is_finite)
{
        uint64_t pa = frames_new(400);
        unsigned task = task_bare(12), n = 0;
        enum ouzel_error e = E_OK;

        for (; n < 200 && !e; n += !e) /* with gaps, so that they don't become one */
                e = CALL(region_grant, task, pa + n * 8192ul, 4096, RW);
        EXPECT_E(e, E_LIMIT);
        EXPECT(n >= 100 && n <= 170);
        EXPECT_EQ(usage_of(task).regions, n);
        EXPECT_OK(CALL(region_revoke, task, pa, 4096));
        EXPECT_OK(CALL(region_grant, task, pa, 4096, RW));
        EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
}

TEST(region_granted_to_oneself_is_no_gain)
{
        uint64_t pa = frames_new(1);

        EXPECT_OK(CALL(region_grant, SLOT_TASK, pa, 4096, ACCESS_READ));
        EXPECT_OK(CALL(region_revoke, SLOT_TASK, pa, 4096));
        EXPECT_OK(CALL(space_update, SLOT_SPACE, TEST_VA, pa, RW, 1)); /* the original is whole */
}

TEST(region_revoke_of_a_buffer_stops_its_thread)
{
        uint64_t pa = frames_new(1);
        unsigned task = task_new(24);

        EXPECT_OK(CALL(region_grant, task, pa, 4096, RW));
        spins = 0;
        struct worker *w = worker_start(spin, 0, .task = task, .buffer = pa, .core = cores - 1);
        wait_until(&spins, 100);
        EXPECT_OK(CALL(region_revoke, task, pa, 4096));
        EXPECT_EQ(state_of(w->slot), STATE_stopped);
        worker_restart(w); /* it may run again, without one */
        uint32_t last = spins;
        wait_until(&spins, last + 100);
}
