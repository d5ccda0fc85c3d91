// SPDX-License-Identifier: MIT
/* processes.c -- processes and threads: made, ended, and switched between. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rows.h"

#define GROUP "syscall"

static void nothing(void *unused)
{
        (void)unused;
}

ROW(fork_exit, 200, "fork(), exit of the child, wait")
{
        unsigned well = 0;

        begin();
        for (unsigned i = 0; i < ops; i++)
                well += join(spawn(nothing, NULL));
        end();
        return well;
}

static void become(void *command)
{
        char *const *argv = command;

        execv(argv[0], argv);
        _exit(127);
}

static unsigned fork_exec(unsigned ops, const char *const *argv)
{
        unsigned well = 0;

        begin();
        for (unsigned i = 0; i < ops; i++)
                well += join(spawn(become, (void *)argv));
        end();
        return well;
}

ROW(fork_exec, 100, "fork(), exec of a static program that does nothing, wait")
{
        return fork_exec(ops, (const char *[]){ "/proc/self/exe", "--exit", NULL });
}

ROW(sh_c, 50, "fork(), exec of busybox sh -c 'true | true', wait")
{
        return fork_exec(ops, (const char *[]){ "/bin/sh", "-c", "true | true", NULL });
}

/* ---- threads ----------------------------------------------------------------------------- */

static void *nothing_thread(void *argument)
{
        return argument;
}

ROW(thread_create_join, 500, "pthread_create() and pthread_join()")
{
        uint64_t well = 0;

        begin();
        for (unsigned i = 0; i < ops; i++) {
                pthread_t thread;
                void *result;
                REQUIRE(!pthread_create(&thread, NULL, nothing_thread, &well));
                REQUIRE(!pthread_join(thread, &result));
                well += result == &well;
        }
        end();
        return well;
}

static _Atomic uint32_t turn; /* whose it is: 0 or 1 */

static void take_turn(uint32_t mine)
{
        while (atomic_load(&turn) != mine)
                syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, !mine, NULL, NULL, 0);
}

static void give_turn(uint32_t other)
{
        atomic_store(&turn, other);
        syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *other_side(void *ops)
{
        for (unsigned i = 0; i < *(unsigned *)ops; i++) {
                take_turn(1);
                give_turn(0);
        }
        return NULL;
}

ROW(futex_pair, 2500, "two threads wake each other once, by futex: two waits, two wakes")
{
        pthread_t thread;

        REQUIRE(!pthread_create(&thread, NULL, other_side, &ops));
        begin();
        for (unsigned i = 0; i < ops; i++) {
                give_turn(1);
                take_turn(0);
        }
        end();
        REQUIRE(!pthread_join(thread, NULL));
        return ops;
}

struct yielding {
        _Atomic unsigned ended;
        unsigned ops;
};

static void yield_until(void *argument)
{
        struct yielding *y = argument;

        while (!atomic_load(&y->ended))
                sched_yield();
}

ROW(yield_pair, 5000, "sched_yield() of a process, with another that does the same")
{
        struct yielding *y = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pid_t child;

        REQUIRE(y != MAP_FAILED);
        child = spawn(yield_until, y);
        begin();
        for (unsigned i = 0; i < ops; i++)
                sched_yield();
        end();
        atomic_store(&y->ended, 1);
        return join(child);
}

/* ---- context switch: a token goes round in a ring of processes -------------------------- */

struct station {
        int from, to;
        unsigned rounds;
        size_t set;
};

static void pass_token(const struct station *s, char *set)
{
        char token;

        read_all(s->from, &token, 1);
        for (size_t at = 0; at < s->set; at += 64) /* a cache line each */
                set[at]++;
        write_all(s->to, &token, 1);
}

static void station(void *argument)
{
        struct station *s = argument;
        char *set = calloc(1, s->set + 1);

        REQUIRE(set);
        for (unsigned i = 0; i < s->rounds; i++)
                pass_token(s, set);
}

static uint64_t ring(unsigned ops, unsigned processes, size_t set)
{
        struct station stations[16];
        pid_t children[16];
        unsigned well = 0;
        char *own = calloc(1, set + 1), token = 't';
        int first[2];

        REQUIRE(own && !pipe(first));
        stations[0].from = first[0];
        for (unsigned i = 0; i < processes; i++) {
                int ends[2] = { first[0], first[1] };
                if (i + 1 < processes)
                        REQUIRE(!pipe(ends));
                stations[i].to = ends[1];
                if (i + 1 < processes)
                        stations[i + 1].from = ends[0];
                stations[i].rounds = ops / processes + 1; /* one to warm up */
                stations[i].set = set;
        }
        for (unsigned i = 1; i < processes; i++)
                children[i] = spawn(station, &stations[i]);
        write_all(first[1], &token, 1);
        pass_token(&stations[0], own);
        begin();
        for (unsigned i = 0; i < ops / processes; i++)
                pass_token(&stations[0], own);
        end();
        did(ops / processes * processes);
        for (unsigned i = 1; i < processes; i++)
                well += join(children[i]);
        return well;
}

ROW(switch_2_0k, 5000, "context switch, 2 processes that pass a token through pipes")
{
        return ring(ops, 2, 0);
}

ROW(switch_8_16k, 5000, "context switch, 8 processes that touch 16 KiB each")
{
        return ring(ops, 8, 16 * KIB);
}

ROW(switch_16_64k, 5000, "context switch, 16 processes that touch 64 KiB each")
{
        return ring(ops, 16, 64 * KIB);
}
