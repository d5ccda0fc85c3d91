// SPDX-License-Identifier: MIT
/*
 * users.c -- a mix of work for 1 to 32 users at once, as AIM's multi-user suite does it: every
 * user is a process that does the same list of jobs, and what counts is the jobs per time.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rows.h"

#define GROUP "users"

static uint64_t files(unsigned user)
{
        static char data[16 * KIB];
        char name[40], other[48];
        struct stat st;
        uint64_t size = 0;

        for (unsigned i = 0; i < 20; i++) {
                snprintf(name, sizeof(name), "/tmp/user%u.%u", user, i);
                snprintf(other, sizeof(other), "%s.new", name);
                int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
                REQUIRE(fd >= 0);
                memset(data, (int)i, sizeof(data));
                write_all(fd, data, sizeof(data));
                REQUIRE(pread(fd, data, sizeof(data), 0) == sizeof(data));
                close(fd);
                REQUIRE(!rename(name, other) && !stat(other, &st) && !unlink(other));
                size += (uint64_t)st.st_size + (unsigned char)data[i];
        }
        return size;
}

static uint64_t numbers(void)
{
        double x = 1, sum = 0;

        for (unsigned i = 1; i < 60000; i++) {
                x = x * 1.0000001 + 0.5 / i;
                sum += x;
        }
        return (uint64_t)sum;
}

static int compare_words(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

static uint64_t memory(void)
{
        size_t n = 64 * KIB;
        uint32_t *words = mmap(NULL, n * sizeof(*words), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        uint32_t x = 1, middle;

        REQUIRE(words != MAP_FAILED);
        for (size_t i = 0; i < n; i++)
                words[i] = x = x * 1664525 + 1013904223;
        qsort(words, n / 8, sizeof(*words), compare_words);
        middle = words[n / 16];
        REQUIRE(!munmap(words, n * sizeof(*words)));
        return middle;
}

static void half(void *fd)
{
        char data[512];

        for (unsigned i = 0; i < 100; i++) {
                read_all(*(int *)fd, data, sizeof(data));
                write_all(*(int *)fd, data, sizeof(data));
        }
}

static uint64_t talk(void)
{
        char data[512] = "talk";
        int ends[2];
        pid_t child;

        REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
        child = spawn(half, &ends[1]);
        for (unsigned i = 0; i < 100; i++) {
                write_all(ends[0], data, sizeof(data));
                read_all(ends[0], data, sizeof(data));
        }
        close(ends[0]);
        close(ends[1]);
        return join(child) + (uint64_t)data[0];
}

static void shell(void *unused)
{
        (void)unused;
        execl("/bin/sh", "sh", "-c", "exec test \"$(seq 300 | sort -r | grep -c 7)\" = 57", NULL);
        _exit(127);
}

static void nothing(void *unused)
{
        (void)unused;
}

static uint64_t processes(void)
{
        unsigned well = 0;

        for (unsigned i = 0; i < 8; i++)
                well += join(spawn(nothing, NULL));
        for (unsigned i = 0; i < 2; i++)
                well += join(spawn(shell, NULL));
        return well;
}

#define JOBS 5 /* that a user does in a round */

struct mix {
        unsigned user, rounds;
        _Atomic uint64_t *sum;
};

static void user(void *argument)
{
        struct mix *m = argument;

        for (unsigned i = 0; i < m->rounds; i++)
                *m->sum += files(m->user) + numbers() + memory() + talk() + processes();
}

static unsigned rounds_each(unsigned n, unsigned ops)
{
        return ops / JOBS / n ? ops / JOBS / n : 1;
}

static uint64_t mixed(unsigned n, unsigned ops)
{
        _Atomic uint64_t *sum = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pid_t children[32];

        REQUIRE(sum != MAP_FAILED);
        for (unsigned i = 0; i < n; i++) {
                struct mix m = { i, rounds_each(n, ops), sum };
                children[i] = spawn(user, &m);
        }
        for (unsigned i = 0; i < n; i++)
                REQUIRE(join(children[i]));
        return *sum;
}

static uint64_t users(unsigned n, unsigned ops)
{
        uint64_t sum;

        soak();
        begin();
        sum = mixed(n, ops);
        end();
        did(n * rounds_each(n, ops) * JOBS);
        return sum;
}

/* All do 160 jobs together, so that time per job is what compares. */
ROW(users_1, 160, "job of a mix: files, numbers, memory, sockets, processes; 1 user")
{
        return users(1, ops);
}

ROW(users_2, 160, "job of the same mix, 2 users at once")
{
        return users(2, ops);
}

ROW(users_4, 160, "job of the same mix, 4 users at once")
{
        return users(4, ops);
}

ROW(users_8, 160, "job of the same mix, 8 users at once")
{
        return users(8, ops);
}

ROW(users_16, 160, "job of the same mix, 16 users at once")
{
        return users(16, ops);
}

ROW(users_32, 160, "job of the same mix, 32 users at once")
{
        return users(32, ops);
}

#undef GROUP
#define GROUP "memory"

/* The most that was taken, looked at every millisecond, until nobody is there to look for. */
static void watch(void *most)
{
        for (;;) {
                uint64_t now = taken();
                if (now > *(volatile uint64_t *)most)
                        *(volatile uint64_t *)most = now;
                usleep(1000);
        }
}

ROW(taken_at_peak, 160, "KiB that the mix of 32 users takes at its peak, in all")
{
        uint64_t *most = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                              0);
        uint64_t sum, first = taken();
        pid_t watcher;

        REQUIRE(most != MAP_FAILED);
        watcher = spawn(watch, most);
        sum = mixed(32, ops);
        kill(watcher, SIGKILL);
        join(watcher);
        value(1, *most - first, "KiB");
        return sum;
}
