// SPDX-License-Identifier: MIT
/*
 * scaling.c -- memory that is taken, and operations with many processes or much memory around:
 * nothing in Ouzel's kernel may grow with either.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rows.h"

static void sleeper(void *unused)
{
        (void)unused;
        for (;;)
                pause();
}

static void sleepers(pid_t *children, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                children[i] = spawn(sleeper, NULL);
}

static void sleepers_end(pid_t *children, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                kill(children[i], SIGKILL);
        for (unsigned i = 0; i < n; i++)
                join(children[i]);
}

/* ---- memory ------------------------------------------------------------------------------ */

#define GROUP "memory"
#define SOME 200

ROW(taken_per_process, 1, "KiB that a forked process takes that does nothing")
{
        static pid_t children[SOME];
        uint64_t before;

        (void)ops; /* fewer would be less than what Linux keeps at hand */
        sleepers(children, SOME); /* once before, for what Linux keeps in its caches */
        sleepers_end(children, SOME);
        settle();
        before = taken();
        sleepers(children, SOME);
        settle();
        value(SOME, taken() - before, "KiB");
        sleepers_end(children, SOME);
        return SOME;
}

ROW(taken_per_mib, 1, "KiB that a touched MiB of anonymous memory takes")
{
        uint64_t before;
        char *area;

        (void)ops;
        settle();
        before = taken();
        area = mmap(NULL, SOME * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                    0);
        REQUIRE(area != MAP_FAILED);
        for (size_t at = 0; at < SOME * MIB; at += PAGE)
                area[at] = 1;
        settle();
        value(SOME, taken() - before, "KiB");
        return SOME;
}

/* ---- many processes ---------------------------------------------------------------------- */

#undef GROUP
#define GROUP "scaling"
#define MOST 2000

static void nothing(void *unused)
{
        (void)unused;
}

static uint64_t fork_among(unsigned others, unsigned ops)
{
        static pid_t children[MOST];
        unsigned well = 0;

        sleepers(children, others);
        settle();
        join(spawn(nothing, NULL));
        begin();
        for (unsigned i = 0; i < ops; i++)
                well += join(spawn(nothing, NULL));
        end();
        sleepers_end(children, others);
        return well;
}

ROW(fork_exit_1, 100, "fork(), exit, wait; no other process")
{
        return fork_among(0, ops);
}

ROW(fork_exit_100, 100, "fork(), exit, wait; 100 processes asleep")
{
        return fork_among(100, ops);
}

ROW(fork_exit_2000, 100, "fork(), exit, wait; 2000 processes asleep")
{
        return fork_among(MOST, ops);
}

struct link {
        int from, to;
        unsigned rounds;
};

static void pass_on(void *argument)
{
        struct link *l = argument;
        char c;

        for (unsigned i = 0; i < l->rounds; i++) {
                read_all(l->from, &c, 1);
                write_all(l->to, &c, 1);
        }
}

/* A token goes round among so many. */
static uint64_t ring(unsigned processes, unsigned ops)
{
        static pid_t children[MOST];
        unsigned rounds = ops / processes ? ops / processes : 1, well = 0;
        int first[2], ends[2], from;
        char c = 't';

        REQUIRE(!pipe(first));
        from = first[0];
        for (unsigned i = 1; i < processes; i++) {
                REQUIRE(!pipe(ends));
                struct link l = { from, ends[1], rounds + 1 };
                children[i] = spawn(pass_on, &l);
                if (from != first[0])
                        close(from);
                close(ends[1]);
                from = ends[0];
        }
        for (unsigned i = 0; i <= rounds; i++) {
                if (i == 1)
                        begin();
                write_all(first[1], &c, 1);
                read_all(from, &c, 1);
        }
        end();
        did(rounds * processes);
        for (unsigned i = 1; i < processes; i++)
                well += join(children[i]);
        return well;
}

ROW(ring_2, 8000, "context switch in a ring of 2 processes")
{
        return ring(2, ops);
}

ROW(ring_100, 8000, "context switch in a ring of 100 processes")
{
        return ring(100, ops);
}

ROW(ring_800, 8000, "context switch in a ring of 800 processes")
{
        return ring(800, ops);
}

/* ---- much memory ------------------------------------------------------------------------- */

static uint64_t fault_among(size_t mapped, unsigned ops)
{
        size_t size = mapped + ops * PAGE;
        char *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        REQUIRE(area != MAP_FAILED);
        for (size_t at = 0; at < mapped; at += PAGE)
                area[at] = 1;
        begin();
        for (size_t at = mapped; at < size; at += PAGE)
                *(volatile char *)(area + at) = 1;
        end();
        return ops;
}

ROW(fault_1m, 2048, "anonymous page fault, 1 MiB mapped")
{
        return fault_among(MIB, ops);
}

ROW(fault_64m, 2048, "anonymous page fault, 64 MiB mapped")
{
        return fault_among(64 * MIB, ops);
}

ROW(fault_1g, 2048, "anonymous page fault, 1 GiB mapped")
{
        return fault_among(1024 * MIB, ops);
}

static uint64_t unmap(size_t mapped)
{
        char *area = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                          0);

        REQUIRE(area != MAP_FAILED);
        for (size_t at = 0; at < mapped; at += PAGE)
                area[at] = 1;
        begin();
        REQUIRE(!munmap(area, mapped));
        end();
        return mapped;
}

ROW(unmap_1m, 1, "munmap() of a MiB, 1 of them")
{
        return unmap(ops * MIB);
}

ROW(unmap_64m, 64, "munmap() of a MiB, 64 of them")
{
        return unmap(ops * MIB);
}

ROW(unmap_1g, 1024, "munmap() of a MiB, 1024 of them")
{
        return unmap(ops * MIB);
}
