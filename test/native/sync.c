// SPDX-License-Identifier: MIT
/* sync.c -- shadow tables: a space made equal to a table that its owner keeps in its memory. */
#include "test.h"

#define RW (ACCESS_READ | ACCESS_WRITE)
#define VA 0x40000000ul

/* Entries as the server writes them. [Arm ARM D8.3; vcpu.h says what the kernel takes] */
#define TABLE     3ul
#define PAGE      3ul
#define BLOCK     1ul
#define AF        (1ul << 10)
#define USER      (1ul << 6)
#define READ_ONLY (1ul << 7)
#define UXN       (1ul << 54)
#define PXN       (1ul << 53)
#define ATTR(n)   ((uint64_t)(n) << 2)
#define NORMAL    (AF | USER | PXN | UXN)

/* A table of four levels for 2 MiB at VA. */
static struct {
        uint64_t root, l1, l2, l3; /* physical */
        uint64_t *leaf;            /* the 512 last entries */
        uint64_t *l2_entry;
        unsigned space;
} t;

static void table_make(void)
{
        t.root = frames_new(1);
        t.l1 = frames_new(1);
        t.l2 = frames_new(1);
        t.l3 = frames_new(1);
        *(uint64_t *)frame_va(t.root + 8 * (VA >> 39)) = t.l1 | TABLE;
        *(uint64_t *)frame_va(t.l1 + 8 * (VA >> 30 & 511)) = t.l2 | TABLE;
        t.l2_entry = frame_va(t.l2 + 8 * (VA >> 21 & 511));
        *t.l2_entry = t.l3 | TABLE;
        t.leaf = frame_va(t.l3);
        t.space = slot_new();
        EXPECT_OK(CALL(space_create, t.space, t.root));
}

static struct ouzel_result mapped(uint64_t va)
{
        return RESULT_OF(space_query, t.space, va);
}

static void sync(uint64_t va, uint64_t pages)
{
        EXPECT_OK(CALL(space_sync, t.space, va, pages, 0));
        EXPECT_OK(CALL(space_check, t.space));
}

TEST(space_sync_makes_the_shadow_equal)
{
        uint64_t pa = frames_new(4);

        table_make();
        for (unsigned i = 0; i < 4; i++)
                t.leaf[i] = (pa + i * 4096) | PAGE | NORMAL | (i & 1 ? READ_ONLY : 0);
        EXPECT_E(mapped(VA).error, E_AGAIN); /* nothing happens by itself */
        sync(VA, 2);
        EXPECT_EQ(mapped(VA).v1, pa);
        EXPECT_EQ(mapped(VA).v2, RW);
        EXPECT_EQ(mapped(VA + 4096).v2, ACCESS_READ);
        EXPECT_E(mapped(VA + 8192).error, E_AGAIN);
        sync(VA, 512);
        EXPECT_EQ(mapped(VA + 12288).v1, pa + 12288);
        t.leaf[0] = 0; /* gone */
        t.leaf[1] = (pa + 8192) | PAGE | NORMAL; /* another frame, and writable */
        sync(VA, 2);
        EXPECT_E(mapped(VA).error, E_AGAIN);
        EXPECT_EQ(mapped(VA + 4096).v1, pa + 8192);
        EXPECT_EQ(mapped(VA + 4096).v2, RW);
        *t.l2_entry = 0; /* the whole table */
        EXPECT_OK(CALL(space_sync, t.space, VA, 1, 0));
        EXPECT_E(mapped(VA + 8192).error, E_OK); /* only what was named */
        sync(VA, 512);
        for (unsigned i = 0; i < 4; i++)
                EXPECT_E(mapped(VA + i * 4096).error, E_AGAIN);
}

TEST(space_sync_leaves_out_what_may_not_be)
{
        uint64_t pa = frames_new(1), end = block_pa + block_size;

        table_make();
        const uint64_t bad[] = {
                pa | PAGE | (NORMAL & ~AF),   /* old: the server wants to see the access */
                pa | PAGE | (NORMAL & ~USER), /* nobody at EL0 may */
                end | PAGE | NORMAL,          /* not owned */
                0x40200000 | PAGE | NORMAL,   /* the kernel itself */
                pa | PAGE | NORMAL | ATTR(4), /* normal memory as a device */
                pa | PAGE | NORMAL | ATTR(5), /* a type that there is not */
                pa | BLOCK | NORMAL,          /* not valid at this level */
        };
        const unsigned n = sizeof(bad) / sizeof(bad[0]);
        for (unsigned i = 0; i < n; i++)
                t.leaf[i] = bad[i];
        t.leaf[n] = pa | PAGE | NORMAL;
        sync(VA, 512);
        for (unsigned i = 0; i < n; i++)
                EXPECT_E(mapped(VA + i * 4096).error, E_AGAIN);
        EXPECT_OK(mapped(VA + n * 4096).error); /* the others are not in the way of it */
        /* A good entry that becomes a bad one goes. */
        t.leaf[n] = end | PAGE | NORMAL;
        sync(VA + n * 4096, 1);
        EXPECT_E(mapped(VA + n * 4096).error, E_AGAIN);
}

TEST(space_sync_takes_tables_only_where_they_are_owned)
{
        table_make();
        t.leaf[0] = frames_new(1) | PAGE | NORMAL;
        sync(VA, 1);
        EXPECT_OK(mapped(VA).error);
        *t.l2_entry = (block_pa + block_size) | TABLE;
        sync(VA, 1);
        EXPECT_E(mapped(VA).error, E_AGAIN);
        *t.l2_entry = 0x40200000 | TABLE; /* the kernel's text, as if it were a table */
        sync(VA, 512);
        EXPECT_E(mapped(VA).error, E_AGAIN);
}

TEST(space_sync_of_blocks)
{
        uint64_t big = frames_aligned(512, 2ul << 20), page = frames_new(1);

        table_make();
        if (!big) {
                fail(__FILE__, __LINE__, "no aligned 2 MiB", 0, 1, false);
                return;
        }
        t.leaf[3] = page | PAGE | NORMAL;
        sync(VA, 512);
        *t.l2_entry = big | BLOCK | NORMAL; /* pages become a block ... */
        sync(VA + 0x5000, 1);
        EXPECT_EQ(mapped(VA + 0x3000).v1, big + 0x3000);
        EXPECT_EQ(mapped(VA).v2, RW | MAP_SIZE_2M);
        *t.l2_entry = t.l3 | TABLE; /* ... and pages again */
        sync(VA, 512);
        EXPECT_E(mapped(VA).error, E_AGAIN);
        EXPECT_EQ(mapped(VA + 0x3000).v1, page);
}

/* A shadow can be made again; what was mapped by hand nobody would bring back. */
TEST(space_whose_quota_runs_out_takes_tables_of_shadows_alone)
{
        uint64_t pa = frames_new(1), va = VA;
        unsigned plain = slot_new(), greedy = slot_new();

        table_make();
        t.leaf[0] = pa | PAGE | NORMAL;
        sync(VA, 1);
        EXPECT_OK(CALL(space_create, plain, 0));
        EXPECT_OK(CALL(space_create, greedy, 0));
        EXPECT_OK(CALL(space_update, plain, VA, pa, RW, 1));
        while (!CALL(space_update, greedy, va, pa, RW, 1))
                va += 2 << 20; /* a table each */
        EXPECT_E(CALL(space_update, greedy, va, pa, RW, 1), E_QUOTA);
        EXPECT_EQ(RESULT_OF(space_query, plain, VA).v1, pa);
        EXPECT_E(mapped(VA).error, E_AGAIN);
        EXPECT_OK(CALL(space_clear, greedy));
        sync(VA, 1);
        EXPECT_EQ(mapped(VA).v1, pa);
}

TEST(space_check_finds_what_differs)
{
        uint64_t pa = frames_new(1);

        table_make();
        t.leaf[5] = pa | PAGE | NORMAL;
        sync(VA, 512);
        t.leaf[5] |= READ_ONLY; /* and nobody was told */
        struct ouzel_result r = RESULT_OF(space_check, t.space);
        EXPECT_E(r.error, E_DIFFERS);
        EXPECT_EQ(r.v1, 1);
        EXPECT_EQ(r.v2, VA + 5 * 4096);
        sync(VA, 512);
        r = RESULT_OF(space_check, t.space);
        EXPECT_OK(r.error);
        EXPECT_EQ(r.v1, 3); /* tables that it takes, one at each level below the root */
        unsigned plain = slot_new(), weak = slot_new();
        EXPECT_OK(CALL(space_create, plain, 0));
        EXPECT_E(CALL(space_check, plain), E_STATE);
        EXPECT_E(CALL(space_check, SLOT_NEVER), E_CAP);
        EXPECT_E(CALL(space_check, SLOT_TASK), E_CAP);
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, t.space, 0));
        EXPECT_E(CALL(space_check, weak), E_RIGHTS);
}

TEST(space_sync_refuses)
{
        unsigned plain = slot_new(), weak = slot_new(), task = task_bare(10);

        table_make();
        EXPECT_OK(CALL(space_create, plain, 0));
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, t.space, 0));
        EXPECT_E(CALL(space_sync, SLOT_NEVER, VA, 1, 0), E_CAP);
        EXPECT_E(CALL(space_sync, SLOT_TASK, VA, 1, 0), E_CAP);
        EXPECT_E(CALL(space_sync, weak, VA, 1, 0), E_RIGHTS);
        EXPECT_E(CALL(space_sync, task + 1, TEST_VA, 1, t.root), E_RIGHTS); /* another task's */
        EXPECT_E(CALL(space_sync, t.space, VA, 1, t.root + 8), E_ALIGN);
        EXPECT_E(CALL(space_sync, t.space, VA + 8, 1, 0), E_RANGE);
        EXPECT_E(CALL(space_sync, t.space, VA, 0, 0), E_RANGE);
        EXPECT_E(CALL(space_sync, t.space, VA, UINT64_MAX, 0), E_RANGE);
        EXPECT_E(CALL(space_sync, t.space, PROCESS_VA_END, 1, 0), E_RANGE);
        EXPECT_E(CALL(space_sync, t.space, PROCESS_VA_END - 4096, 2, 0), E_RANGE);
        EXPECT_E(CALL(space_sync, t.space, KERNEL_SLOT_VA, 1, 0), E_RANGE);
        EXPECT_E(CALL(space_sync, t.space, VA, 1, block_pa + block_size), E_OWNER);
        EXPECT_E(CALL(space_sync, plain, VA, 1, 0), E_STATE);
        EXPECT_OK(CALL(space_sync, plain, VA, 1, t.root)); /* it has one now */
        EXPECT_OK(CALL(space_check, plain));
}

/* A table that leads back to itself at every level describes 2^36 pages. */
TEST(space_sync_of_a_table_without_end_ends)
{
        uint64_t *root, start;

        table_make();
        root = frame_va(t.root);
        for (unsigned i = 0; i < 512; i++)
                root[i] = t.root | TABLE | NORMAL;
        start = now();
        CALL(space_sync, t.space, 0, 1ul << 36, 0);
        EXPECT(now() - start < 20 * hz); /* not hours */
}

TEST(space_sync_when_the_quota_is_used_up_leaves_out_the_rest)
{
        unsigned slot = slots_new(2);
        struct ouzel_result info = RESULT_OF(task_info, SLOT_TASK);
        uint64_t pa = frames_new(1);

        table_make();
        t.leaf[0] = pa | PAGE | NORMAL;
        info = RESULT_OF(task_info, SLOT_TASK);
        EXPECT_OK(CALL(task_create, slot, info.v1 - info.v2 - 1)); /* one page is left */
        EXPECT_OK(CALL(space_sync, t.space, VA, 512, 0)); /* three tables are needed */
        EXPECT_E(mapped(VA).error, E_AGAIN);
        EXPECT_OK(CALL(space_check, t.space)); /* to leave out an entry is always right */
        EXPECT_OK(CALL(task_destroy, slot));
        sync(VA, 512);
        EXPECT_EQ(mapped(VA).v1, pa);
}

TEST(space_sync_writable_and_executable_where_the_region_is)
{
        table_make();
        t.leaf[0] = frames_new(1) | PAGE | NORMAL | READ_ONLY;
        sync(VA, 1);
        EXPECT_EQ(mapped(VA).v2, ACCESS_READ);
        t.leaf[0] &= ~(READ_ONLY | UXN);
        sync(VA, 1);
        EXPECT_EQ(mapped(VA).v2, ACCESS_ALL);
}

/* ---- through the ring of a vCPU -------------------------------------------------------------------- */

extern const char vcpu_vectors[]; /* vcpu_asm.S */
static struct vcpu_block *block;
static struct worker *ring_worker;
static uint32_t step;
static bool is_process; /* the space is the vCPU's own process */

static void ring_add(uint64_t va, uint32_t space, uint32_t pages)
{
        uint32_t tail = block->sync_tail;
        struct vcpu_sync *e = &block->ring[tail % SYNC_RING];

        e->va = va;
        e->space = space;
        e->pages = pages;
        block->sync = 1;
        __atomic_store_n(&block->sync_tail, tail + 1, __ATOMIC_RELEASE);
}

/* What a worker begins with that is a vCPU of a process, or of none. */
static void vcpu_begin(const struct worker *w, struct vcpu_block *its_block, unsigned process)
{
        EXPECT_OK(CALL(vcpu_enable, w->own_slot, its_block, vcpu_vectors));
        its_block->deadline = UINT64_MAX;
        EXPECT_OK(CALL(vcpu_set_space, process));
}

static void ring_begin(void) { vcpu_begin(ring_worker, block, is_process ? t.space : 0); }

/* A vCPU that has frames of its own, and says so when it came to its end. */
static void ring_run(void (*main)(uint64_t), uint64_t pa)
{
        uint64_t block_frame = frames_new(1);

        table_make();
        block = frame_va(block_frame);
        ring_worker = worker_make(main, pa, .buffer = block_frame);
        step = 0;
        worker_restart(ring_worker);
        worker_join(ring_worker);
        EXPECT_EQ(step, 1);
}

static void ring_main(uint64_t pa)
{
        vcpu_begin(ring_worker, block, 0);
        t.leaf[0] = pa | PAGE | NORMAL;
        ring_add(VA, t.space, 1);
        EXPECT_E(mapped(VA).error, E_AGAIN);
        EXPECT_OK(CALL(vcpu_sync, 0));
        EXPECT_EQ(mapped(VA).v1, pa);
        EXPECT_EQ(block->sync_head, block->sync_tail);
        EXPECT_EQ(block->sync, 0);
        /* Full to the last element, in any order, with nonsense among it. */
        for (unsigned i = 0; i < SYNC_RING; i++) {
                t.leaf[i] = i % 3 ? pa | PAGE | NORMAL : 0;
                if (i % 5 == 0)
                        ring_add(VA + 4096ul * i + 1, t.space, 1); /* not a page */
                else if (i % 5 == 1)
                        ring_add(VA, SLOT_NEVER, 4);
                else if (i % 5 == 2)
                        ring_add(VA, t.space, 0xffffffff);
                else
                        ring_add(VA + 4096ul * (i & ~3u), t.space, 8);
        }
        EXPECT_OK(CALL(vcpu_flush, 0));
        EXPECT_EQ(block->sync_head, block->sync_tail);
        EXPECT_OK(CALL(space_sync, t.space, VA, 512, 0));
        EXPECT_OK(CALL(space_check, t.space));
        for (unsigned i = 0; i < SYNC_RING; i++)
                EXPECT_E(mapped(VA + 4096ul * i).error, i % 3 ? E_OK : E_AGAIN);
        /* Counters that no protocol allows: it ends all the same. */
        block->sync_head = 5;
        __atomic_store_n(&block->sync_tail, 0x80000000, __ATOMIC_RELEASE);
        EXPECT_OK(CALL(vcpu_sync, 0));
        EXPECT_EQ(block->sync_head, 0x80000000);
        /* What was rejected is told. */
        block->reject_va = block->reject_error = 0;
        t.leaf[7] = (block_pa + block_size) | PAGE | NORMAL;
        ring_add(VA + 7 * 4096, t.space, 1);
        block->pending = 1; /* so it does not wait, but drains */
        EXPECT_OK(CALL(vcpu_wait, 0));
        EXPECT_EQ(block->reject_va, VA + 7 * 4096);
        EXPECT_EQ(block->reject_error, E_OWNER);
        block->pending = 0;
        __atomic_store_n(&step, 1, __ATOMIC_RELEASE);
}

TEST(vcpu_sync_drains_the_ring) { ring_run(ring_main, frames_new(1)); }

/* Both as a process that the vCPU has, and as another. */
static void ring_run_twice(void (*main)(uint64_t), uint64_t pa)
{
        is_process = false;
        ring_run(main, pa);
        is_process = true;
        ring_run(main, pa);
}

/* One element, applied; the rest as it was. */
static void ring_sync(uint64_t va, uint32_t pages)
{
        ring_add(va, t.space, pages);
        EXPECT_OK(CALL(vcpu_sync, 0));
        EXPECT_OK(CALL(space_check, t.space));
}

static void changes_main(uint64_t pa)
{
        ring_begin();
        for (unsigned i = 0; i < 3; i++) { /* new ones, from the second on in a known table */
                t.leaf[i] = (pa + 4096 * i) | PAGE | NORMAL;
                ring_sync(VA + 4096 * i, 1);
                EXPECT_EQ(mapped(VA + 4096 * i).v1, pa + 4096 * i);
                EXPECT_EQ(mapped(VA + 4096 * i).v2, RW);
        }
        t.leaf[1] |= READ_ONLY; /* the rights of one, among others that stay */
        ring_sync(VA, 16);
        EXPECT_EQ(mapped(VA + 4096).v2, ACCESS_READ);
        EXPECT_EQ(mapped(VA).v2, RW);
        t.leaf[0] |= READ_ONLY; /* of two at once */
        t.leaf[1] &= ~READ_ONLY;
        ring_sync(VA, 16);
        EXPECT_EQ(mapped(VA).v2, ACCESS_READ);
        EXPECT_EQ(mapped(VA + 4096).v2, RW);
        t.leaf[2] = (pa + 3 * 4096) | PAGE | NORMAL; /* another frame */
        ring_sync(VA + 2 * 4096, 1);
        EXPECT_EQ(mapped(VA + 2 * 4096).v1, pa + 3 * 4096);
        t.leaf[3] = (block_pa + block_size) | PAGE | NORMAL; /* not owned, between two that are */
        t.leaf[4] = pa | PAGE | NORMAL;
        ring_sync(VA, 16);
        EXPECT_E(mapped(VA + 3 * 4096).error, E_AGAIN);
        EXPECT_EQ(mapped(VA + 4 * 4096).v1, pa);
        t.leaf[4] = pa | PAGE | (NORMAL & ~AF); /* old */
        ring_sync(VA + 4 * 4096, 1);
        EXPECT_E(mapped(VA + 4 * 4096).error, E_AGAIN);
        t.leaf[0] = t.leaf[1] = t.leaf[2] = 0;
        ring_add(VA + 4096, t.space, 0); /* of no page */
        EXPECT_OK(CALL(vcpu_sync, 0));
        EXPECT_OK(mapped(VA + 4096).error);
        ring_sync(VA, 16);
        for (unsigned i = 0; i < 16; i++)
                EXPECT_E(mapped(VA + 4096 * i).error, E_AGAIN);
        t.leaf[511] = pa | PAGE | NORMAL;
        ring_sync(VA + 511 * 4096, 2); /* and into what no table is for */
        EXPECT_OK(mapped(VA + 511 * 4096).error);
        EXPECT_E(mapped(VA + 512 * 4096).error, E_AGAIN);
        __atomic_store_n(&step, 1, __ATOMIC_RELEASE);
}

TEST(vcpu_sync_of_changes) { ring_run_twice(changes_main, frames_new(4)); }

/* The kernel may remember the table that it saw; who unlinks it says so, and then it does not. */
static void unlinks_main(uint64_t pa)
{
        uint64_t other = pa + 4096, other_root = pa + 2 * 4096;

        ring_begin();
        for (unsigned i = 0; i < 2; i++) {
                t.leaf[i] = pa | PAGE | NORMAL;
                ring_sync(VA + 4096 * i, 1);
        }
        memset(frame_va(other), 0, 4096);
        ((uint64_t *)frame_va(other))[1] = pa | PAGE | NORMAL | READ_ONLY;
        *t.l2_entry = other | TABLE;
        EXPECT_OK(CALL(vcpu_flush, FLUSH_UNLINKED));
        ring_sync(VA, 2);
        EXPECT_E(mapped(VA).error, E_AGAIN);
        EXPECT_EQ(mapped(VA + 4096).v2, ACCESS_READ);
        *t.l2_entry = 0;
        EXPECT_OK(CALL(vcpu_flush, FLUSH_UNLINKED));
        ring_sync(VA, 2);
        EXPECT_E(mapped(VA + 4096).error, E_AGAIN);
        *t.l2_entry = t.l3 | TABLE;
        ring_sync(VA, 2);
        EXPECT_EQ(mapped(VA + 4096).v2, RW);
        memset(frame_va(other_root), 0, 4096); /* another root is as good as a flush */
        EXPECT_OK(CALL(space_sync, t.space, VA + 0x100000, 1, other_root));
        ring_sync(VA, 2);
        EXPECT_E(mapped(VA + 4096).error, E_AGAIN);
        __atomic_store_n(&step, 1, __ATOMIC_RELEASE);
}

TEST(vcpu_flush_forgets_unlinked_tables) { ring_run_twice(unlinks_main, frames_new(3)); }

/* A server of its own task, to which another grants memory, and takes some of it away. */
#define BLOCK_VA 0xffff000090000000ul
#define SLOT_OTHERS 201

static void loses_main(uint64_t pa)
{
        block = (struct vcpu_block *)BLOCK_VA;
        vcpu_begin(ring_worker, block, 0);
        EXPECT_E(CALL(vcpu_set_space, SLOT_OTHERS), E_RIGHTS); /* another task's */
        t.space = 200;
        EXPECT_OK(CALL(space_create, t.space, t.root));
        EXPECT_OK(CALL(vcpu_set_space, t.space));
        for (unsigned i = 0; i < 2; i++) { /* the second in a known table, of known memory */
                ring_sync(VA + 4096 * i, 1);
                EXPECT_EQ(mapped(VA + 4096 * i).v1, pa + 4096 * i);
        }
        __atomic_store_n(&step, 1, __ATOMIC_RELEASE);
        wait_until(&step, 2);
        EXPECT_E(mapped(VA + 4096).error, E_AGAIN); /* it went with the memory */
        for (unsigned i = 1; i <= 4; i++) /* first what is lost: what is known must not count */
                ring_sync(VA + 4096 * (i % 4), 1);
        EXPECT_EQ(mapped(VA).v1, pa);
        EXPECT_E(mapped(VA + 4096).error, E_AGAIN);
        EXPECT_E(mapped(VA + 2 * 4096).error, E_AGAIN);
        EXPECT_EQ(mapped(VA + 3 * 4096).v1, pa + 3 * 4096);
        EXPECT_OK(CALL(vcpu_set_space, 0));
        EXPECT_OK(CALL(cap_delete, t.space));
        __atomic_store_n(&step, 3, __ATOMIC_RELEASE);
}

TEST(vcpu_sync_after_a_loss_of_memory)
{
        uint64_t pa = frames_new(4), block_frame = frames_new(1);
        unsigned task = task_new(40);

        table_make();
        const uint64_t tables[] = {t.root, t.l1, t.l2, t.l3};
        for (unsigned i = 0; i < 4; i++) {
                t.leaf[i] = (pa + 4096 * i) | PAGE | NORMAL;
                EXPECT_OK(CALL(region_grant, task, tables[i], 4096, ACCESS_READ));
        }
        EXPECT_OK(CALL(region_grant, task, pa, 4 * 4096, ACCESS_ALL | REGION_WX));
        EXPECT_OK(CALL(region_grant, task, block_frame, 4096, RW));
        EXPECT_OK(CALL(space_update, task + 1, BLOCK_VA, block_frame, RW, 1));
        EXPECT_OK(CALL(cap_copy, task, SLOT_OTHERS, t.space, RIGHT_ALL));
        step = 0;
        ring_worker = worker_make(loses_main, pa, .task = task, .buffer = block_frame);
        worker_restart(ring_worker);
        wait_until(&step, 1);
        EXPECT_OK(CALL(region_revoke, task, pa + 4096, 2 * 4096));
        __atomic_store_n(&step, 2, __ATOMIC_RELEASE);
        wait_until(&step, 3);
        worker_join(ring_worker);
        EXPECT_EQ(step, 3);
}

/* A flush on one core applies what another core's vCPU has queued and not drained. */
static void queues(uint64_t pa)
{
        vcpu_begin(ring_worker, block, 0);
        for (uint32_t i = 1; i <= 40; i++) {
                t.leaf[3] = i & 1 ? pa | PAGE | NORMAL : 0;
                ring_add(VA + 3 * 4096, t.space, 1);
                __atomic_store_n(&step, 2 * i, __ATOMIC_RELEASE);
                while (__atomic_load_n(&step, __ATOMIC_ACQUIRE) == 2 * i)
                        CALL(thread_yield, 0);
        }
}

static struct vcpu_block *flush_block;
static struct worker *flush_worker;

static void flushes(uint64_t unused)
{
        (void)unused;
        vcpu_begin(flush_worker, flush_block, 0);
        for (uint32_t i = 1; i <= 40; i++) {
                while (__atomic_load_n(&step, __ATOMIC_ACQUIRE) != 2 * i)
                        CALL(thread_yield, 0);
                EXPECT_OK(CALL(vcpu_flush, i & 4 ? FLUSH_INSTRUCTIONS : 0));
                EXPECT_E(mapped(VA + 3 * 4096).error, i & 1 ? E_OK : E_AGAIN);
                __atomic_store_n(&step, 2 * i + 1, __ATOMIC_RELEASE);
        }
}

/* The worker `main` has t's space and the ring, `other` a block of its own, on another core. */
static void two_vcpus(void (*main)(uint64_t), void (*other)(uint64_t))
{
        uint64_t frames = frames_new(2), pa = frames_new(1);

        table_make();
        step = 0;
        block = frame_va(frames);
        flush_block = frame_va(frames + 4096);
        ring_worker = worker_make(main, pa, .buffer = frames);
        flush_worker = worker_make(other, 0, .buffer = frames + 4096, .core = cores - 1);
        worker_restart(ring_worker);
        worker_restart(flush_worker);
}

TEST(vcpu_flush_drains_the_rings_of_all_vcpus)
{
        two_vcpus(queues, flushes);
        worker_join(ring_worker);
        worker_join(flush_worker);
}

/*
 * While other cores empty the ring, and hold the space's lock, its vCPU fills it whenever it has
 * room: what was taken and not yet applied has none.
 */
static void refills(uint64_t pa)
{
        vcpu_begin(ring_worker, block, 0);
        for (unsigned round = 0; round < 20 && !failed(); round++) {
                for (unsigned i = 0; i < 512; i++) {
                        t.leaf[i] = t.leaf[i] ? 0 : pa | PAGE | NORMAL;
                        while (block->sync_tail - __atomic_load_n(&block->sync_head,
                                                                  __ATOMIC_ACQUIRE) == SYNC_RING)
                                CALL(thread_yield, 0);
                        ring_add(VA + 4096ul * i, t.space, 1);
                }
                EXPECT_OK(CALL(vcpu_flush, 0));
                EXPECT_OK(CALL(space_check, t.space));
        }
        __atomic_store_n(&step, 1, __ATOMIC_RELEASE);
}

static bool refilled(void) { return __atomic_load_n(&step, __ATOMIC_ACQUIRE); }

static void empties(uint64_t unused)
{
        (void)unused;
        vcpu_begin(flush_worker, flush_block, 0);
        while (!refilled()) {
                EXPECT_OK(CALL(vcpu_flush, 0));
                CALL(thread_yield, 0);
        }
}

static void holds_the_lock(uint64_t unused)
{
        (void)unused;
        while (!refilled()) {
                CALL(space_check, t.space); /* something differs, often */
                CALL(thread_yield, 0);
        }
}

TEST(vcpu_flush_of_a_ring_that_is_filled_again)
{
        two_vcpus(refills, empties);
        struct worker *holder = worker_start(holds_the_lock, 0, .core = cores / 2);
        worker_join(ring_worker);
        worker_join(flush_worker);
        worker_join(holder);
}
