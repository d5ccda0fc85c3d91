// SPDX-License-Identifier: MIT
/* syscalls.c -- single system calls, signals, and the loop that shows whether a run is valid. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "rows.h"

#define GROUP "validity"

ROW(compute, 20000000, "round of a loop that calls nothing: must cost the same on both sides")
{
        uint64_t x = 88172645463325252;

        begin();
        for (unsigned i = 0; i < ops; i++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
        }
        end();
        return x;
}

#undef GROUP
#define GROUP "syscall"

ROW(getpid, 30000, "getpid() through syscall()")
{
        long pid = 0;

        begin();
        for (unsigned i = 0; i < ops; i++)
                pid |= syscall(SYS_getpid);
        end();
        return pid == getpid();
}

ROW(read, 20000, "read 1 byte of /dev/zero")
{
        int fd = open("/dev/zero", O_RDONLY);
        uint64_t done = 0;
        char c;

        REQUIRE(fd >= 0);
        begin();
        for (unsigned i = 0; i < ops; i++)
                done += (uint64_t)read(fd, &c, 1);
        end();
        return done;
}

ROW(write, 20000, "write 1 byte to /dev/null")
{
        int fd = open("/dev/null", O_WRONLY);
        uint64_t done = 0;

        REQUIRE(fd >= 0);
        begin();
        for (unsigned i = 0; i < ops; i++)
                done += (uint64_t)write(fd, "x", 1);
        end();
        return done;
}

ROW(stat, 10000, "stat() of a file in /tmp")
{
        struct stat st;
        uint64_t size = 0;
        int fd = open("/tmp/row.stat", O_RDWR | O_CREAT | O_TRUNC, 0600);

        REQUIRE(fd >= 0);
        write_all(fd, "12345", 5);
        begin();
        for (unsigned i = 0; i < ops; i++) {
                REQUIRE(!stat("/tmp/row.stat", &st));
                size += (uint64_t)st.st_size;
        }
        end();
        return size;
}

ROW(open_close, 5000, "open() and close() of a file in /tmp")
{
        int fd = open("/tmp/row.open", O_RDWR | O_CREAT, 0600);

        REQUIRE(fd >= 0);
        begin();
        for (unsigned i = 0; i < ops; i++) {
                int one = open("/tmp/row.open", O_RDONLY);
                REQUIRE(one >= 0);
                close(one);
        }
        end();
        return ops;
}

/* ---- signals ----------------------------------------------------------------------------- */

static volatile unsigned caught;

static void on_signal(int signal)
{
        (void)signal;
        caught++;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
        ucontext_t *c = context;

        (void)signal;
        (void)info;
        c->uc_mcontext.pc += 4; /* over the store */
        caught++;
}

ROW(signal_install, 20000, "sigaction()")
{
        struct sigaction action = { .sa_handler = on_signal };

        begin();
        for (unsigned i = 0; i < ops; i++)
                REQUIRE(!sigaction(SIGUSR1, &action, NULL));
        end();
        return ops;
}

ROW(signal_deliver, 8000, "kill() of oneself, the handler, and back")
{
        struct sigaction action = { .sa_handler = on_signal };
        pid_t self = getpid();

        REQUIRE(!sigaction(SIGUSR1, &action, NULL));
        begin();
        for (unsigned i = 0; i < ops; i++)
                kill(self, SIGUSR1);
        end();
        return caught;
}

ROW(protection_fault, 8000, "store to a read-only page, the handler, and back")
{
        struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
        uint32_t *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        REQUIRE(page != MAP_FAILED && !*page);
        REQUIRE(!sigaction(SIGSEGV, &action, NULL));
        begin();
        for (unsigned i = 0; i < ops; i++)
                __asm__ volatile("str %w0, [%1]" : : "r"(i), "r"(page) : "memory");
        end();
        return caught;
}

/* ---- waiting for many -------------------------------------------------------------------- */

#define MANY 100

static void many_pipes(int fds[MANY])
{
        for (unsigned i = 0; i < MANY; i++) {
                int ends[2];
                REQUIRE(!pipe(ends));
                fds[i] = ends[0];
                if (i == MANY - 1)
                        write_all(ends[1], "x", 1);
        }
}

ROW(select_100, 1500, "select() on 100 pipes, the last one ready")
{
        uint64_t ready = 0;
        int fds[MANY], top = 0;
        fd_set all;

        many_pipes(fds);
        FD_ZERO(&all);
        for (unsigned i = 0; i < MANY; i++) {
                FD_SET(fds[i], &all);
                top = fds[i] > top ? fds[i] : top;
        }
        begin();
        for (unsigned i = 0; i < ops; i++) {
                fd_set set = all;
                ready += (uint64_t)select(top + 1, &set, NULL, NULL, NULL);
        }
        end();
        return ready;
}

ROW(poll_100, 2000, "poll() on 100 pipes, the last one ready")
{
        struct pollfd set[MANY];
        uint64_t ready = 0;
        int fds[MANY];

        many_pipes(fds);
        for (unsigned i = 0; i < MANY; i++)
                set[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
        begin();
        for (unsigned i = 0; i < ops; i++)
                ready += (uint64_t)poll(set, MANY, -1);
        end();
        return ready;
}

ROW(epoll_100, 10000, "epoll_wait() on 100 pipes, the last one ready")
{
        struct epoll_event event = { .events = EPOLLIN };
        int fds[MANY], epoll = epoll_create1(0);
        uint64_t ready = 0;

        REQUIRE(epoll >= 0);
        many_pipes(fds);
        for (unsigned i = 0; i < MANY; i++)
                REQUIRE(!epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event));
        begin();
        for (unsigned i = 0; i < ops; i++)
                ready += (uint64_t)epoll_wait(epoll, &event, 1, -1);
        end();
        return ready;
}

ROW(nanosleep, 1000, "nanosleep() of 10 us, without the time asleep")
{
        struct timespec time = { .tv_nsec = 10000 };

        soak();
        begin();
        for (unsigned i = 0; i < ops; i++)
                REQUIRE(!nanosleep(&time, NULL));
        end();
        return ops;
}
