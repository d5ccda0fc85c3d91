/* SPDX-License-Identifier: MIT */
/*
 * harness.h -- tests in a Linux program: TEST(name) { ... }, EXPECT(what), and run_tests() from
 * main(). Each test runs in a process of its own, so that a crash is its failure and nothing
 * else's. Results as test/README.md has them.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define MIB (1ul << 20)

struct test {
        const char *name;
        void (*run)(void);
        struct test *next;
};
static struct test *tests, **tests_end = &tests;
static int report; /* a pipe: why the test failed */

static _Noreturn void fail(const char *format, ...)
{
        char text[200];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        if (write(report, text, strlen(text)) < 0)
                _exit(2);
        _exit(1);
}

/* The test is for other machines than this. */
#define NOT_HERE 77 /* exit code */
static inline _Noreturn void skip(const char *why)
{
        _exit(write(report, why, strlen(why)) < 0 ? 2 : NOT_HERE);
}

#define EXPECT(what)                                                                        \
        do {                                                                                \
                if (!(what))                                                                \
                        fail("line %d: %s (errno %d)", __LINE__, #what, errno);             \
        } while (0)
#define TEST(name)                                                                          \
        static void name(void);                                                             \
        __attribute__((constructor)) static void add_##name(void)                           \
        {                                                                                   \
                static struct test test = {#name, name, NULL};                              \
                *tests_end = &test;                                                         \
                tests_end = &test.next;                                                     \
        }                                                                                   \
        static void name(void)

static inline uint8_t *map(size_t size, int protection)
{
        uint8_t *p = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        EXPECT(p != MAP_FAILED);
        return p;
}
#define RW (PROT_READ | PROT_WRITE)

static inline void on_cpu(unsigned cpu)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        EXPECT(sched_setaffinity(0, sizeof(set), &set) == 0);
}

static inline void put(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY);

        if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
                fail("%s: '%s' refused (errno %d)", path, text, errno);
        close(fd);
}

static inline void read_text(const char *path, char *text, size_t size)
{
        int fd = open(path, O_RDONLY);
        ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

        if (n < 0)
                fail("%s (errno %d)", path, errno);
        text[n] = 0;
        close(fd);
}

/* The runner says so: should debugfs lack our files, that is a failure, not native Linux. */
static inline bool on_ouzel(void)
{
        char text[2049];

        read_text("/proc/cmdline", text, sizeof(text));
        return strstr(text, "ouzel.build=ouzel");
}

static inline void wait_for(pid_t pid)
{
        int status;

        EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status))
                fail("a child ended with %x", status);
}

/* All tests, or the one of this name. */
static inline int run_tests(const char *only)
{
        unsigned count = 0;

        setvbuf(stdout, NULL, _IOLBF, 0);
        for (struct test *t = tests; t; t = t->next) {
                int fds[2], status;
                char why[201] = "";

                if (only && strcmp(only, t->name))
                        continue;
                count++;
                if (pipe(fds))
                        return 2;
                pid_t pid = fork();
                if (!pid) {
                        close(fds[0]);
                        report = fds[1];
                        alarm(120);
                        t->run();
                        _exit(0);
                }
                close(fds[1]);
                if (pid < 0 || waitpid(pid, &status, 0) != pid) {
                        printf("TEST %s: FAILED fork or wait: errno %d\n", t->name, errno);
                        close(fds[0]);
                        continue;
                }
                /* A grandchild may have said it, and may still hold the pipe. */
                fcntl(fds[0], F_SETFL, O_NONBLOCK);
                if (read(fds[0], why, 200) < 0)
                        why[0] = 0;
                close(fds[0]);
                if (WIFEXITED(status) && !WEXITSTATUS(status))
                        printf("TEST %s: ok\n", t->name);
                else if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_HERE)
                        printf("TEST %s: n/a %s\n", t->name, why);
                else if (WIFSIGNALED(status))
                        printf("TEST %s: FAILED killed by signal %d %s\n", t->name,
                               WTERMSIG(status), why);
                else
                        printf("TEST %s: FAILED %s\n", t->name, why);
        }
        printf("TESTS %u\n", count);
        return 0;
}

#endif
