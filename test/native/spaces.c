// SPDX-License-Identifier: MIT
/* spaces.c -- page tables: what may be mapped where, and what may not. */
#include "test.h"

#define RW (ACCESS_READ | ACCESS_WRITE)
#define RX (ACCESS_READ | ACCESS_EXEC)
#define MIB2 (2ul << 20)
#define SOME_VA 0xffff000200000000ul /* in other tasks, where nothing is */

/* The devices of board/tests.manifest on QEMU's virt machine; 0 where there are none. */
static uint64_t device_pa(void)
{
        struct ouzel_result r;

        for (unsigned i = 0; !(r = RESULT_OF(region_query, SLOT_TASK, i)).error; i++)
                if (r.v3 & REGION_DEVICE)
                        return r.v1;
        return 0;
}

static uint64_t word(uint64_t va)
{
        return *(volatile uint64_t *)va;
}

TEST(space_update_maps_protects_and_unmaps)
{
        uint64_t pa = frames_new(2);
        struct message m;

        *(uint64_t *)frame_va(pa) = 0x1234;
        EXPECT(!may_access(0, 0, TEST_VA, ACCESS_READ, &m));
        EXPECT_EQ(m.tag, MSG_TAG(LABEL_PAGE_FAULT, 7));
        EXPECT_EQ(m.w[0], TEST_VA);
        EXPECT_EQ(m.w[1], ACCESS_READ);
        EXPECT_OK(CALL(space_update, SLOT_SPACE, TEST_VA, pa, RW, 2));
        EXPECT_EQ(word(TEST_VA), 0x1234);
        *(volatile uint64_t *)(TEST_VA + 4096) = 77;
        EXPECT_EQ(*(uint64_t *)frame_va(pa + 4096), 77);
        EXPECT_OK(CALL(space_update, SLOT_SPACE, TEST_VA, pa, ACCESS_READ, 1));
        EXPECT(may_access(0, 0, TEST_VA, ACCESS_READ, NULL));
        EXPECT(!may_access(0, 0, TEST_VA, ACCESS_WRITE, &m));
        EXPECT_EQ(m.w[1], ACCESS_WRITE);
        EXPECT(may_access(0, 0, TEST_VA + 4096, ACCESS_WRITE, NULL));
        EXPECT(!may_access(0, 0, TEST_VA + 4096, ACCESS_EXEC, &m));
        EXPECT_EQ(m.w[1], ACCESS_EXEC);
        EXPECT_OK(CALL(space_update, SLOT_SPACE, TEST_VA, 0, 0, 2));
        EXPECT(!may_access(0, 0, TEST_VA, ACCESS_READ, NULL));
        EXPECT(!may_access(0, 0, TEST_VA + 4096, ACCESS_READ, NULL));
}

TEST(space_update_executable)
{
        static const uint32_t code[] = {INSTRUCTION_RET};
        uint64_t pa = frames_new(1);

        code_put(pa, code, 1);
        EXPECT_OK(CALL(space_update, SLOT_SPACE, TEST_VA, pa, RX, 1));
        EXPECT(may_access(0, 0, TEST_VA, ACCESS_EXEC, NULL));
        EXPECT(!may_access(0, 0, TEST_VA, ACCESS_WRITE, NULL));
}

TEST(space_query_tells_what_is_mapped)
{
        static const unsigned flags[] = {ACCESS_READ, RW, RX, RW | MAP_NONCACHED};
        uint64_t pa = frames_new(1);
        unsigned weak = slot_new();

        for (unsigned i = 0; i < 4; i++) {
                EXPECT_OK(CALL(space_update, SLOT_SPACE, TEST_VA + 4096, pa, flags[i], 1));
                struct ouzel_result r = RESULT_OF(space_query, SLOT_SPACE, TEST_VA + 4096 + 24);
                EXPECT_OK(r.error);
                EXPECT_EQ(r.v1, pa + 24);
                EXPECT_EQ(r.v2, flags[i]);
        }
        EXPECT_E(CALL(space_query, SLOT_SPACE, TEST_VA), E_AGAIN);
        EXPECT_E(CALL(space_query, SLOT_SPACE, KERNEL_SLOT_VA), E_RANGE);
        EXPECT_E(CALL(space_query, SLOT_SPACE, KERNEL_SLOT_END - 1), E_RANGE);
        EXPECT_E(CALL(space_query, SLOT_SPACE, 0x1000), E_RANGE);
        EXPECT_E(CALL(space_query, SLOT_NEVER, TEST_VA), E_CAP);
        EXPECT_E(CALL(space_query, SLOT_TASK, TEST_VA), E_CAP);
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, SLOT_SPACE, 0));
        EXPECT_E(CALL(space_query, weak, TEST_VA), E_RIGHTS);
}

TEST(space_update_refuses_wrong_capabilities)
{
        uint64_t pa = frames_new(1);
        unsigned weak = slot_new();

        EXPECT_E(CALL(space_update, 0, TEST_VA, pa, RW, 1), E_CAP);
        EXPECT_E(CALL(space_update, SLOT_NEVER, TEST_VA, pa, RW, 1), E_CAP);
        EXPECT_E(CALL(space_update, UINT64_MAX, TEST_VA, pa, RW, 1), E_CAP);
        EXPECT_E(CALL(space_update, SLOT_TASK, TEST_VA, pa, RW, 1), E_CAP);
        EXPECT_E(CALL(space_update, SLOT_CRASH, TEST_VA, pa, RW, 1), E_CAP);
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, SLOT_SPACE, 0));
        EXPECT_E(CALL(space_update, weak, TEST_VA, pa, RW, 1), E_RIGHTS);
        EXPECT_E(CALL(space_query, SLOT_SPACE, TEST_VA), E_AGAIN);
}

/* One refused update of a space: what it says, and that nothing was done. */
static void refused(unsigned space, uint64_t va, uint64_t pa, uint64_t flags, uint64_t count,
                    enum ouzel_error error, int line)
{
        struct ouzel_result r = RESULT_OF(space_update, space, va, pa, flags, count);

        if (r.error != error)
                fail(__FILE__, line, "space_update", r.error, error, true);
        if (r.v1 != 0)
                fail(__FILE__, line, "pages done", r.v1, 0, false);
}
#define REFUSED(va, pa, flags, count, error) \
        refused(space, (va), (pa), (flags), (count), (error), __LINE__)

TEST(space_update_refuses_bad_flags)
{
        uint64_t pa = frames_new(1);
        unsigned space = SLOT_SPACE;

        for (unsigned bit = 5; bit < 64; bit++)
                if (bit != 8 && bit != 9)
                        REFUSED(TEST_VA, pa, RW | 1ul << bit, 1, E_INVALID);
        REFUSED(TEST_VA, pa, ACCESS_WRITE, 1, E_INVALID);
        REFUSED(TEST_VA, pa, ACCESS_EXEC, 1, E_INVALID);
        REFUSED(TEST_VA, pa, RW | MAP_DEVICE | MAP_NONCACHED, 1, E_INVALID);
        REFUSED(TEST_VA, pa, RW | MAP_SIZE_MASK, 1, E_INVALID);
        REFUSED(TEST_VA, pa, MAP_SIZE_MASK, 1, E_INVALID);
        REFUSED(TEST_VA, pa, RW | ACCESS_EXEC, 1, E_WX);
        EXPECT_E(CALL(space_query, SLOT_SPACE, TEST_VA), E_AGAIN);
}

TEST(space_update_refuses_misaligned)
{
        uint64_t pa = frames_new(1), big = frames_aligned(512, MIB2);
        unsigned space = SLOT_SPACE;

        for (unsigned bit = 0; bit < 12; bit++) {
                REFUSED(TEST_VA | 1ul << bit, pa, RW, 1, E_ALIGN);
                REFUSED(TEST_VA, pa | 1ul << bit, RW, 1, E_ALIGN);
                REFUSED(TEST_VA | 1ul << bit, 0, 0, 1, E_ALIGN);
        }
        for (unsigned bit = 12; big && bit < 21; bit++) {
                REFUSED(TEST_VA | 1ul << bit, big, RW | MAP_SIZE_2M, 1, E_ALIGN);
                REFUSED(TEST_VA, big | 1ul << bit, RW | MAP_SIZE_2M, 1, E_ALIGN);
        }
        REFUSED(TEST_VA, big, RW | MAP_SIZE_1G, 1, big & ((1ul << 30) - 1) ? E_ALIGN : E_OWNER);
}

TEST(space_update_refuses_out_of_range)
{
        uint64_t pa = frames_new(4);
        unsigned space = SLOT_SPACE;

        REFUSED(TEST_VA, pa, RW, 0, E_RANGE);
        REFUSED(TEST_VA, 0, 0, 0, E_RANGE);
        static const uint64_t bad[] = {0, 0x1000, PROCESS_VA_END, TASK_VA_START - 4096,
                                       KERNEL_SLOT_VA, KERNEL_SLOT_VA + 4096,
                                       KERNEL_SLOT_END - 4096, 1ul << 63};
        for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                REFUSED(bad[i], pa, RW, 1, E_RANGE);
                REFUSED(bad[i], 0, 0, 1, E_RANGE);
        }
        REFUSED(KERNEL_SLOT_VA - 4096, pa, RW, 1ul << 40, E_RANGE);
        REFUSED(KERNEL_SLOT_VA - 4096, 0, 0, 2, E_RANGE); /* its end is the kernel's */
        REFUSED(0ul - 4096, 0, 0, 2, E_RANGE);            /* its end is behind the last page */
        REFUSED(TEST_VA, pa, RW, UINT64_MAX, E_RANGE);
        REFUSED(TEST_VA, pa, RW, 1ul << 52, E_RANGE);
        REFUSED(TEST_VA, pa, RW | MAP_SIZE_2M, 1ul << 43, E_RANGE);
        REFUSED(TEST_VA, pa, RW | MAP_SIZE_1G, 1ul << 34, E_RANGE);
        REFUSED(TEST_VA, 1ul << 48, RW, 1, E_RANGE);
        REFUSED(TEST_VA, 0ul - 4096, RW, 1, E_RANGE);
        space = slot_new();
        EXPECT_OK(CALL(space_create, space, 0));
        REFUSED(PROCESS_VA_END, pa, RW, 1, E_RANGE);
        REFUSED(PROCESS_VA_END - 4096, 0, 0, 2, E_RANGE);
        REFUSED(TEST_VA, pa, RW, 1, E_RANGE);
}

/* What this task owns is a needle; everything else must be out of reach. */
TEST(space_update_refuses_every_frame_that_is_not_owned)
{
        unsigned space = SLOT_SPACE, tried = 0;
        struct random random = {.state = 42};

        for (uint64_t pa = 0; pa < 16ul << 30; pa += 256ul << 10) { /* the kernel's is in it */
                if (pa >= block_pa && pa < block_pa + block_size)
                        continue;
                struct ouzel_result r = RESULT_OF(space_update, space, TEST_VA, pa, ACCESS_READ, 1);
                if (r.error != E_OWNER && !(r.error == E_TYPE && device_pa()))
                        fail(__FILE__, __LINE__, "a foreign frame", pa, r.error, false);
                tried++;
        }
        for (unsigned i = 0; i < 2000; i++) {
                uint64_t pa = random_next(&random) >> (16 + random_below(&random, 24)) & ~4095ul;
                if (pa + 4096 > block_pa && pa < block_pa + block_size)
                        continue;
                struct ouzel_result r = RESULT_OF(space_update, space, TEST_VA, pa, ACCESS_READ, 1);
                EXPECT(r.error == E_OWNER || r.error == E_TYPE);
        }
        EXPECT(tried > 60000);
        /* The pages next to ours, and ranges that begin or end outside. */
        REFUSED(TEST_VA, block_pa - 4096, ACCESS_READ, 1, E_OWNER);
        REFUSED(TEST_VA, block_pa + block_size, ACCESS_READ, 1, E_OWNER);
        REFUSED(TEST_VA, block_pa - 4096, ACCESS_READ, 2, E_OWNER);
        EXPECT_E(CALL(space_query, SLOT_SPACE, TEST_VA), E_AGAIN);
}

TEST(space_update_stops_at_the_first_page_that_may_not_be)
{
        uint64_t end = block_pa + block_size;
        struct ouzel_result r = RESULT_OF(space_update, SLOT_SPACE, TEST_VA, end - 3 * 4096, RW, 5);

        EXPECT_E(r.error, E_OWNER);
        EXPECT_EQ(r.v1, 3); /* those before hold, those after were not tried */
        for (unsigned i = 0; i < 5; i++)
                EXPECT_E(CALL(space_query, SLOT_SPACE, TEST_VA + i * 4096),
                         i < 3 ? E_OK : E_AGAIN);
}

TEST(space_update_devices)
{
        uint64_t device = device_pa(), pa = frames_new(1);
        unsigned space = SLOT_SPACE;

        REFUSED(TEST_VA, pa, RW | MAP_DEVICE, 1, E_TYPE); /* normal memory as a device */
        if (!device) {
                not_applicable("no device was granted");
                return;
        }
        REFUSED(TEST_VA, device, RW, 1, E_TYPE);
        REFUSED(TEST_VA, device, ACCESS_READ, 1, E_TYPE);
        REFUSED(TEST_VA, device, RX, 1, E_TYPE);
        REFUSED(TEST_VA, device, RW | MAP_NONCACHED, 1, E_TYPE);
        REFUSED(TEST_VA, device, RX | MAP_DEVICE, 1, E_TYPE);
        REFUSED(TEST_VA, device, RW | ACCESS_EXEC | MAP_DEVICE, 1, E_TYPE);
        EXPECT_OK(CALL(space_update, SLOT_SPACE, TEST_VA, device, RW | MAP_DEVICE, 1));
        EXPECT_EQ(RESULT_OF(space_query, SLOT_SPACE, TEST_VA).v2, RW | MAP_DEVICE);
        /* PrimeCell peripheral and cell IDs. [DDI 0224 3.3, 3.4] */
        EXPECT_EQ(*(volatile uint32_t *)(TEST_VA + 0xff0), 0x0d);
        EXPECT_EQ(*(volatile uint32_t *)(TEST_VA + 0xff4), 0xf0);
        EXPECT(!may_access(0, 0, TEST_VA, ACCESS_EXEC, NULL));
}

TEST(space_update_2_mib_pages)
{
        uint64_t big = frames_aligned(512, MIB2);
        unsigned task = task_new(24), space = task + 1;

        if (!big) {
                fail(__FILE__, __LINE__, "no aligned 2 MiB", 0, 1, false);
                return;
        }
        EXPECT_OK(CALL(region_grant, task, big, MIB2, RW));
        EXPECT_OK(CALL(space_update, space, SOME_VA, big, RW | MAP_SIZE_2M, 1));
        struct ouzel_result r = RESULT_OF(space_query, space, SOME_VA + 0x123456);
        EXPECT_OK(r.error);
        EXPECT_EQ(r.v1, big + 0x123456);
        EXPECT_EQ(r.v2, RW | MAP_SIZE_2M);
        EXPECT(may_access(task, 0, SOME_VA + MIB2 - 4, ACCESS_WRITE, NULL));
        /* Other sizes are in the way of each other, both ways. */
        REFUSED(SOME_VA + 4096, big + 4096, RW, 1, E_MAPPED);
        REFUSED(SOME_VA + 4096, 0, 0, 1, E_MAPPED);
        EXPECT_OK(CALL(space_update, space, SOME_VA, 0, MAP_SIZE_2M, 1));
        EXPECT_E(CALL(space_query, space, SOME_VA), E_AGAIN);
        EXPECT_OK(CALL(space_update, space, SOME_VA + 4096, big, RW, 1));
        REFUSED(SOME_VA, big, RW | MAP_SIZE_2M, 1, E_MAPPED);
        /* The first page of the table is not there: this once dropped the table. */
        REFUSED(SOME_VA, 0, MAP_SIZE_2M, 1, E_MAPPED);
        EXPECT_OK(CALL(space_query, space, SOME_VA + 4096));
        REFUSED(SOME_VA, 0, MAP_SIZE_1G, 1, E_MAPPED);
}

TEST(space_update_for_another_task)
{
        uint64_t pa = frames_new(2);
        unsigned task = task_new(24), space = task + 1;

        REFUSED(SOME_VA, pa, ACCESS_READ, 1, E_OWNER); /* ours, but not its own */
        EXPECT_OK(CALL(region_grant, task, pa, 4096, ACCESS_READ));
        REFUSED(SOME_VA, pa, RW, 1, E_RIGHTS); /* it may only read */
        REFUSED(SOME_VA, pa, RX, 1, E_RIGHTS);
        EXPECT_OK(CALL(space_update, space, SOME_VA, pa, ACCESS_READ, 1));
        EXPECT(may_access(task, 0, SOME_VA, ACCESS_READ, NULL));
        EXPECT(!may_access(task, 0, SOME_VA, ACCESS_WRITE, NULL));
        /* All or nothing of the frames that the caller owns. */
        REFUSED(SOME_VA + 4096, block_pa + block_size - 4096, ACCESS_READ, 2, E_OWNER);
}

TEST(space_update_quota_used_up_half_way)
{
        uint64_t pa = frames_new(1024);
        unsigned task = task_bare(5 + 4), space = task + 1; /* room for four tables */

        EXPECT_OK(CALL(region_grant, task, pa, 1024 * 4096, RW));
        /* Levels 1 and 2, and two of level 3, are four; the third one has no room. */
        struct ouzel_result r = RESULT_OF(space_update, space, SOME_VA + MIB2 - 8 * 4096, pa, RW,
                                          1024);
        EXPECT_E(r.error, E_QUOTA);
        EXPECT_EQ(r.v1, 8 + 512);
        EXPECT_OK(CALL(space_query, space, SOME_VA + 2 * MIB2 - 4096));
        EXPECT_E(CALL(space_query, space, SOME_VA + 2 * MIB2), E_AGAIN);
        EXPECT_EQ(usage_of(task).used, 9);
        EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
        /* It is full, not broken: what has its tables goes on. */
        EXPECT_OK(CALL(space_update, space, SOME_VA, pa, RW, 512));
        EXPECT_OK(CALL(space_clear, space));
        EXPECT_EQ(usage_of(task).used, 5);
        EXPECT_OK(CALL(space_update, space, SOME_VA + 8 * MIB2, pa, RW, 1));
}

TEST(space_update_remaps_to_another_frame)
{
        uint64_t a = frames_new(1), b = frames_new(1);

        *(uint64_t *)frame_va(a) = 1;
        *(uint64_t *)frame_va(b) = 2;
        for (unsigned i = 0; i < 100; i++) { /* break before make, every time */
                EXPECT_OK(CALL(space_update, SLOT_SPACE, TEST_VA, i & 1 ? a : b, RW, 1));
                EXPECT_EQ(word(TEST_VA), i & 1 ? 1 : 2);
        }
}

/* An unmap of terabytes where nothing is took minutes with interrupts off. */
TEST(space_update_of_a_huge_range_does_not_stop_the_machine)
{
        unsigned task = task_bare(8);
        uint64_t start = now();

        for (unsigned n = 20; n <= 34; n++)
                CALL(space_update, task + 1, TASK_VA_START, 0, 0, 1ul << n);
        CALL(space_update, SLOT_SPACE, KERNEL_SLOT_END, 0, 0, 1ul << 34);
        EXPECT(now() - start < hz);
        EXPECT_E(CALL(space_update, task + 1, TASK_VA_START, 0, 0, 1ul << 36), E_RANGE);
}

/* ---- the list form ------------------------------------------------------------------------------ */

static struct { unsigned space, count; struct ouzel_result result; } list;

static void list_main(uint64_t unused)
{
        (void)unused;
        list.result = RESULT_OF(space_update_list, list.space, list.count);
}

static struct ouzel_result list_run(struct worker *w, unsigned space, unsigned count)
{
        list.space = space;
        list.count = count;
        worker_restart(w);
        worker_join(w);
        return list.result;
}

TEST(space_update_list_does_all_of_it)
{
        uint64_t buffer = frames_new(1), pa = frames_new(UPDATE_LIST_MAX);
        struct worker *w = worker_make(list_main, 0, .buffer = buffer);
        struct ouzel_update *u = frame_va(buffer);

        for (unsigned i = 0; i < UPDATE_LIST_MAX; i++)
                u[i] = (struct ouzel_update){TEST_VA + i * 8192ul, pa + i * 4096ul, RW, 1};
        struct ouzel_result r = list_run(w, SLOT_SPACE, UPDATE_LIST_MAX);
        EXPECT_OK(r.error);
        EXPECT_EQ(r.v1, UPDATE_LIST_MAX);
        for (unsigned i = 0; i < UPDATE_LIST_MAX; i++) {
                EXPECT_EQ(RESULT_OF(space_query, SLOT_SPACE, u[i].va).v1, u[i].pa);
                u[i].flags = 0;
        }
        u[0].count = 3; /* with a hole */
        r = list_run(w, SLOT_SPACE, 2);
        EXPECT_OK(r.error);
        EXPECT_EQ(r.v1, 2);
        EXPECT_E(CALL(space_query, SLOT_SPACE, TEST_VA), E_AGAIN);
        EXPECT_E(CALL(space_query, SLOT_SPACE, TEST_VA + 8192), E_AGAIN);
        EXPECT_OK(CALL(space_query, SLOT_SPACE, TEST_VA + 16384));
}

TEST(space_update_list_says_which_element_and_page)
{
        uint64_t buffer = frames_new(1), pa = frames_new(4);
        struct worker *w = worker_make(list_main, 0, .buffer = buffer);
        struct ouzel_update *u = frame_va(buffer);

        u[0] = (struct ouzel_update){TEST_VA, pa, RW, 2};
        u[1] = (struct ouzel_update){TEST_VA + 8192, block_pa + block_size - 4096, RW, 2};
        u[2] = (struct ouzel_update){TEST_VA + 0x10000, pa, RW, 1};
        struct ouzel_result r = list_run(w, SLOT_SPACE, 3);
        EXPECT_E(r.error, E_OWNER);
        EXPECT_EQ(r.v1, 1); /* the second element ... */
        EXPECT_EQ(r.v2, 1); /* ... its second page */
        EXPECT_OK(CALL(space_query, SLOT_SPACE, TEST_VA + 4096));
        EXPECT_OK(CALL(space_query, SLOT_SPACE, TEST_VA + 8192));
        EXPECT_E(CALL(space_query, SLOT_SPACE, TEST_VA + 0x3000), E_AGAIN);
        EXPECT_E(CALL(space_query, SLOT_SPACE, TEST_VA + 0x10000), E_AGAIN);
}

TEST(space_update_list_refuses_more_pages_than_one_update_may_have)
{
        uint64_t buffer = frames_new(1), pa = frames_new(1);
        struct worker *w = worker_make(list_main, 0, .buffer = buffer);
        struct ouzel_update *u = frame_va(buffer);

        u[0] = (struct ouzel_update){TEST_VA, pa, RW, 1};
        u[1] = (struct ouzel_update){TEST_VA + (1ul << 30), 0, 0, UPDATE_PAGES_MAX - 1};
        u[2] = (struct ouzel_update){TEST_VA, 0, 0, 1};
        struct ouzel_result r = list_run(w, SLOT_SPACE, 3);
        EXPECT_E(r.error, E_RANGE);
        EXPECT_EQ(r.v1, 2);
        EXPECT_EQ(r.v2, 0);
        EXPECT_OK(CALL(space_query, SLOT_SPACE, TEST_VA)); /* the third was not done */
        EXPECT_OK(list_run(w, SLOT_SPACE, 2).error);
}

TEST(space_update_list_refuses)
{
        uint64_t buffer = frames_new(1);
        struct worker *without = worker_make(list_main, 0);
        struct worker *w = worker_make(list_main, 0, .buffer = buffer);
        unsigned weak = slot_new();

        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, SLOT_SPACE, 0));
        EXPECT_E(list_run(without, SLOT_SPACE, 1).error, E_STATE);
        EXPECT_E(list_run(w, SLOT_SPACE, 0).error, E_RANGE);
        EXPECT_E(list_run(w, SLOT_SPACE, UPDATE_LIST_MAX + 1).error, E_RANGE);
        EXPECT_E(list_run(w, SLOT_SPACE, UINT32_MAX).error, E_RANGE);
        EXPECT_E(list_run(w, SLOT_TASK, 1).error, E_CAP);
        EXPECT_E(list_run(w, SLOT_NEVER, 1).error, E_CAP);
        EXPECT_E(list_run(w, weak, 1).error, E_RIGHTS);
}

/* ---- create, clear --------------------------------------------------------------------------------- */

TEST(space_create_and_its_refusals)
{
        unsigned slot = slot_new();
        uint64_t root = frames_new(1), before = usage_of(SLOT_TASK).used;

        EXPECT_E(CALL(space_create, 0, 0), E_RANGE);
        EXPECT_E(CALL(space_create, SLOT_COUNT, 0), E_RANGE);
        EXPECT_E(CALL(space_create, UINT64_MAX, 0), E_RANGE);
        EXPECT_E(CALL(space_create, SLOT_SPACE, 0), E_BUSY);
        EXPECT_E(CALL(space_create, slot, root + 8), E_ALIGN);
        EXPECT_E(CALL(space_create, slot, block_pa + block_size), E_OWNER);
        EXPECT_E(CALL(space_create, slot, 1ul << 52), E_OWNER);
        EXPECT_EQ(usage_of(SLOT_TASK).used, before);
        EXPECT_OK(CALL(space_create, slot, root));
        EXPECT_EQ(usage_of(SLOT_TASK).used, before + 2);
        EXPECT_EQ(RESULT_OF(cap_probe, slot).v1, CAP_SPACE | RIGHT_ALL << 8);
        EXPECT_OK(CALL(cap_delete, slot));
        EXPECT_EQ(usage_of(SLOT_TASK).used, before);
}

static struct { enum ouzel_error error[40]; unsigned n; } made;

/* Runs in a small task: makes process spaces until it can't. */
static void spaces_until_full(uint64_t unused)
{
        (void)unused;
        for (made.n = 0; made.n < 40; made.n++) {
                made.error[made.n] = CALL(space_create, 70 + made.n, 0);
                if (made.error[made.n])
                        break;
        }
}

TEST(space_create_quota)
{
        unsigned task = task_new(16);
        uint64_t used = usage_of(task).used;
        struct worker *w = worker_start(spaces_until_full, 0, .task = task);

        worker_join(w);
        EXPECT_E(made.error[made.n], E_QUOTA);
        EXPECT_EQ(made.n, (16 - used) / 2);
        EXPECT_EQ(usage_of(task).used, used + 2 * made.n); /* not one page of the failed one */
}

TEST(space_clear_and_its_refusals)
{
        uint64_t pa = frames_new(1);
        unsigned space = slot_new(), weak = slot_new();

        EXPECT_OK(CALL(space_create, space, 0));
        EXPECT_OK(CALL(space_update, space, 0x400000, pa, RW, 1));
        uint64_t used = usage_of(SLOT_TASK).used;
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, space, 0));
        EXPECT_E(CALL(space_clear, weak), E_RIGHTS);
        EXPECT_E(CALL(space_clear, SLOT_NEVER), E_CAP);
        EXPECT_E(CALL(space_clear, SLOT_CRASH), E_CAP);
        EXPECT_E(CALL(space_clear, SLOT_SPACE), E_BUSY);
        EXPECT_OK(CALL(space_query, space, 0x400000));
        EXPECT_OK(CALL(space_clear, space));
        EXPECT_E(CALL(space_query, space, 0x400000), E_AGAIN);
        EXPECT_EQ(usage_of(SLOT_TASK).used, used - 3); /* its tables came back */
}

TEST(space_of_a_process_may_be_writable_and_executable_where_the_region_is)
{
        uint64_t pa = frames_new(2);
        unsigned space = slot_new(), task = task_new(24);

        EXPECT_OK(CALL(space_create, space, 0));
        EXPECT_OK(CALL(space_update, space, 0x10000, pa, ACCESS_ALL, 1));
        EXPECT_EQ(RESULT_OF(space_query, space, 0x10000).v2, ACCESS_ALL);
        /* A grant may leave that out, and may not bring it back. */
        EXPECT_OK(CALL(region_grant, task, pa, 4096, ACCESS_ALL));
        EXPECT_OK(CALL(region_grant, task, pa + 4096, 4096, ACCESS_ALL | REGION_WX));
}

/* ---- on other cores ---------------------------------------------------------------------------------- */

static uint32_t rounds;

static void hammer(uint64_t va) /* until the page is gone */
{
        for (;;) {
                *(volatile uint32_t *)va += 1;
                __atomic_fetch_add(&rounds, 1, __ATOMIC_RELAXED);
        }
}

/* A translation that another core uses all the time is gone there when the call returns. */
static void shoot_down(bool revoke)
{
        uint64_t pa = frames_new(1);
        unsigned task = task_new(24), ep = endpoint_new(0);
        struct message m = {0};

        EXPECT_OK(CALL(region_grant, task, pa, 4096, RW));
        EXPECT_OK(CALL(space_update, task + 1, SOME_VA, pa, RW, 1));
        rounds = 0;
        struct worker *w = worker_start(hammer, SOME_VA, .task = task, .core = cores - 1,
                                        .fault_endpoint = ep, .prio = PRIO_WORKER);
        wait_until(&rounds, 1000);
        if (revoke)
                EXPECT_OK(CALL(region_revoke, task, pa, 4096));
        else
                EXPECT_OK(CALL(space_update, task + 1, SOME_VA, 0, 0, 1));
        uint32_t last = *(volatile uint32_t *)frame_va(pa);
        spin_us(200);
        EXPECT_EQ(*(volatile uint32_t *)frame_va(pa), last);
        EXPECT_OK(ipc_recv(ep, &m));
        EXPECT_EQ(m.tag >> TAG_LABEL_SHIFT, LABEL_PAGE_FAULT);
        EXPECT_EQ(m.w[0], SOME_VA);
        CALL(thread_stop, w->slot);
}

TEST(space_update_unmaps_on_every_core)
{
        for (unsigned i = 0; i < 4; i++) {
                shoot_down(false);
                if (failed())
                        return;
        }
}

TEST(region_revoke_unmaps_on_every_core)
{
        for (unsigned i = 0; i < 4; i++) {
                shoot_down(true);
                if (failed())
                        return;
        }
}
