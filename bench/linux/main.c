// SPDX-License-Identifier: MIT
/*
 * main.c -- runs rows, one process each, and says what they took.
 *
 *   rows [--divide N] [--repeat N] [--ops N] [--mem MIB] [--trace] NAME...
 *   rows                                       with the arguments in /test/plan
 *   rows --list                                name, group and operation of each
 *
 * It says, for tools/front/compare.py to read:
 *
 *   ROW start NAME
 *   ROW NAME group=G unit=U ops=N time=T check=C ctxt=N [COUNTER=N...]
 *   ROW NAME failed WHY
 *   ROWS n
 *
 * With --trace it waits for a line on its input before and after what is measured, and says so
 * (ROW trace begin, ROW trace end): somebody switches a log of all instructions on and off then,
 * and cuts it at mark_begin and mark_end.
 *
 * time, ctxt (switches of tasks, by Linux's count) and the counters are of all operations
 * together. The counters are those of Ouzel's kernel, from debugfs; native Linux has none.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rows.h"

#define COUNTERS_FILE "/sys/kernel/debug/ouzel/counters"
#define MAX_COUNTERS 32
#define SOAK_INSTRUCTIONS 3 /* per round of soaker() */

struct counters {
        unsigned n;
        struct {
                char name[24];
                uint64_t value;
        } each[MAX_COUNTERS];
};

static struct row *rows, **rows_end = &rows;
static unsigned row_count;
static int counters_fd = -1;
static struct counters before, after, reading; /* reading: what one reading adds itself */
static uint64_t time_before, time_after, soaked_before, soaked_after, ctxt_before, ctxt_after;
static unsigned ops_done; /* operations, if not as many as asked for */
static const char *unit = "instructions";
static uint64_t memory_kib, started;
static bool tracing;
static volatile uint64_t *soaked; /* rounds, shared with the soaker */
static pid_t soaker_pid;

void row_add(struct row *row)
{
        *rows_end = row;
        rows_end = &row->next;
}

/* ---- measuring ------------------------------------------------------------------------- */

/* Nanoseconds, which under -icount shift=0 are instructions. The counter's own step is 16 ns
   on QEMU's machine: rows have operations enough to make nothing of that. */
static uint64_t now(void)
{
        static uint64_t scale;
        uint64_t count, hz;

        if (!scale) {
                __asm__("mrs %0, cntfrq_el0" : "=r"(hz));
                scale = 1000000000 / hz;
        }
        /* isb: the counter may otherwise be read before what comes before. [D11.2.1] */
        __asm__ volatile("isb\n mrs %0, cntvct_el0" : "=r"(count) : : "memory");
        return count * scale;
}

static void counters_get(struct counters *c)
{
        char text[2048], *line, *rest = text;
        ssize_t size;

        c->n = 0;
        if (counters_fd < 0)
                return;
        size = pread(counters_fd, text, sizeof(text) - 1, 0);
        REQUIRE(size > 0);
        text[size] = 0;
        while ((line = strsep(&rest, "\n")) && *line && c->n < MAX_COUNTERS) {
                REQUIRE(sscanf(line, "%23s %lu", c->each[c->n].name, &c->each[c->n].value) == 2);
                c->n++;
        }
}

/* The number behind a word in one of /proc's files; 0 if it is not there. */
static uint64_t proc_number(const char *path, const char *word)
{
        static char text[64 * KIB];
        size_t size = 0;
        ssize_t n = 1;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        char *at;

        while (n > 0 && size < sizeof(text) - 1) {
                n = read(fd, text + size, sizeof(text) - 1 - size);
                size += n > 0 ? (size_t)n : 0;
        }
        close(fd);
        text[size] = 0;
        at = strstr(text, word);
        return at ? strtoul(at + strlen(word) + strspn(at + strlen(word), " :"), NULL, 10) : 0;
}

/* Switches of tasks since boot, by Linux's own count. */
static uint64_t task_switches(void)
{
        return proc_number("/proc/stat", "\nctxt ");
}

static void counters_sub(struct counters *c, const struct counters *less)
{
        REQUIRE(c->n == less->n);
        for (unsigned i = 0; i < c->n; i++)
                c->each[i].value -= less->each[i].value;
}

static void counters_start(void)
{
        struct counters first;

        counters_fd = open(COUNTERS_FILE, O_RDONLY | O_CLOEXEC);
        /* Three times, so that what is done once only is not taken for the usual. */
        for (unsigned i = 0; i < 3; i++) {
                counters_get(&first);
                counters_get(&reading);
        }
        counters_sub(&reading, &first);
}

/* Known by their addresses to whoever reads a log of instructions. */
__attribute__((noinline)) void mark_begin(void)
{
        __asm__ volatile("");
}

__attribute__((noinline)) void mark_end(void)
{
        __asm__ volatile("");
}

/* Not asleep: after an idle time Linux does at once what it had put off, and it would be in the
   log. */
static void trace_wait(const char *what)
{
        struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
        char line[16];

        printf("ROW trace %s\n", what);
        fflush(stdout);
        while (!poll(&input, 1, 0))
                continue;
        REQUIRE(read(STDIN_FILENO, line, sizeof(line)) > 0);
}

void begin(void)
{
        if (tracing)
                trace_wait("begin");
        ctxt_before = task_switches();
        counters_get(&before);
        soaked_before = soaked ? *soaked : 0;
        mark_begin();
        time_before = now();
}

void end(void)
{
        time_after = now();
        mark_end();
        soaked_after = soaked ? *soaked : 0;
        counters_get(&after);
        ctxt_after = task_switches();
        if (tracing)
                trace_wait("end");
}

void value(unsigned ops, uint64_t value, const char *of)
{
        ops_done = ops;
        time_before = 0;
        time_after = value;
        unit = of;
}

uint64_t machine_kib(void)
{
        return memory_kib;
}

uint64_t start_time(void)
{
        return started;
}

void did(unsigned ops)
{
        ops_done = ops;
}

static void soaker(void *unused)
{
        struct sched_param param = { 0 };

        (void)unused;
        REQUIRE(!sched_setscheduler(0, SCHED_IDLE, &param));
        __asm__ volatile("mov x9, #0\n"
                         "1: add x9, x9, #1\n" /* three instructions: SOAK_INSTRUCTIONS */
                         "str x9, [%0]\n"
                         "b 1b"
                         :
                         : "r"(soaked)
                         : "x9", "memory");
}

void soak(void)
{
        soaked = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        REQUIRE(soaked != MAP_FAILED);
        soaker_pid = spawn(soaker, NULL);
        while (!*soaked)
                sched_yield();
}

void batch(void)
{
        struct sched_param param = { 0 };

        REQUIRE(!sched_setscheduler(0, SCHED_BATCH, &param));
}

/* ---- what rows use --------------------------------------------------------------------- */

void row_fails(const char *file, int line, const char *what)
{
        char text[300];
        int n = snprintf(text, sizeof(text), "ROW %s failed %s:%d: %s: %s\n",
                         program_invocation_short_name, file, line, what, strerror(errno));

        /* From whichever process of the row this is, whatever stdio holds there. */
        if (write(STDOUT_FILENO, text, (size_t)n) < 0)
                _exit(3);
        _exit(2);
}

pid_t spawn(void (*f)(void *), void *argument)
{
        pid_t child = fork();

        REQUIRE(child >= 0);
        if (child)
                return child;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        f(argument);
        _exit(0);
}

unsigned join(pid_t child)
{
        int status;

        REQUIRE(waitpid(child, &status, 0) == child);
        return WIFEXITED(status) && !WEXITSTATUS(status);
}

/* Linux's allocator gives back what is empty, and sorts what is half full: else an operation that
   allocates much, such as fork(), costs up to half more after a row that left holes. */
static void shrink_slabs(void)
{
        DIR *caches = opendir("/sys/kernel/slab");
        struct dirent *cache;
        char name[300];

        REQUIRE(caches);
        while ((cache = readdir(caches))) {
                snprintf(name, sizeof(name), "/sys/kernel/slab/%s/shrink", cache->d_name);
                int fd = open(name, O_WRONLY | O_CLOEXEC);
                if (fd >= 0) {
                        write_all(fd, "1", 1);
                        close(fd);
                }
        }
        closedir(caches);
}

void settle(void)
{
        usleep(500000);
        shrink_slabs();
}

void read_all(int fd, void *data, size_t size)
{
        for (char *at = data; size;) {
                ssize_t n = read(fd, at, size);
                REQUIRE(n > 0);
                at += n;
                size -= (size_t)n;
        }
}

void write_all(int fd, const void *data, size_t size)
{
        for (const char *at = data; size;) {
                ssize_t n = write(fd, at, size);
                REQUIRE(n > 0);
                at += n;
                size -= (size_t)n;
        }
}

int known_file(size_t size)
{
        static uint64_t block[8 * KIB];
        char name[] = "/tmp/row.XXXXXX";
        int fd = mkostemp(name, O_CLOEXEC);
        uint64_t x = 1;

        REQUIRE(fd >= 0 && !unlink(name));
        for (size_t done = 0; done < size; done += sizeof(block)) {
                for (unsigned i = 0; i < sizeof(block) / sizeof(block[0]); i++)
                        block[i] = x = x * 6364136223846793005 + 1442695040888963407;
                write_all(fd, block, size - done < sizeof(block) ? size - done : sizeof(block));
        }
        return fd;
}

uint64_t sum_words(const void *data, size_t size)
{
        const uint64_t *words = data;
        uint64_t sum = 0;

        for (size_t i = 0; i < size / sizeof(*words); i++)
                sum += words[i];
        return sum;
}

/* ---- one row --------------------------------------------------------------------------- */

static void report(const struct row *row, unsigned ops, uint64_t check)
{
        uint64_t time = time_after - time_before;

        if (soaked)
                time -= (soaked_after - soaked_before) * SOAK_INSTRUCTIONS;
        if (after.n) {
                counters_sub(&after, &before);
                counters_sub(&after, &reading);
        }
        printf("ROW %s group=%s unit=%s ops=%u time=%lu check=%lx ctxt=%lu", row->name,
               row->group, unit, ops_done ? ops_done : ops, time, check,
               ctxt_after - ctxt_before);
        for (unsigned i = 0; i < after.n; i++)
                printf(" %s=%ld", after.each[i].name, (long)after.each[i].value);
        printf("\n");
}

static void run_row(const struct row *row, unsigned ops)
{
        pid_t child;
        int status;

        printf("ROW start %s\n", row->name);
        fflush(stdout);
        if (!tracing)
                settle(); /* no row does what the one before has left */
        child = fork();
        REQUIRE(child >= 0);
        if (!child) {
                char name[64];
                snprintf(name, sizeof(name), "%s", row->name);
                program_invocation_short_name = name; /* for row_fails() */
                if (!tracing)
                        setpgid(0, 0); /* so that all of a row can be ended */
                if (!strcmp(row->group, "syscall") || !strcmp(row->group, "scaling"))
                        batch();
                counters_start();
                uint64_t check = row->run(ops);
                if (soaker_pid)
                        kill(soaker_pid, SIGKILL);
                report(row, ops, check);
                fflush(stdout);
                _exit(0);
        }
        REQUIRE(waitpid(child, &status, 0) == child);
        if (!tracing)
                kill(-child, SIGKILL);
        if (WIFSIGNALED(status))
                printf("ROW %s failed by signal %d\n", row->name, WTERMSIG(status));
        fflush(stdout);
        row_count++;
}

/* ops: 0 = the row's own number of operations, divided */
static void run_named(const char *name, unsigned ops, unsigned divide, unsigned repeat)
{
        for (struct row *row = rows; row; row = row->next) {
                if (strcmp(row->name, name))
                        continue;
                if (!ops)
                        ops = row->ops / divide ? row->ops / divide : 1;
                for (unsigned i = 0; i < repeat; i++)
                        run_row(row, ops);
                return;
        }
        printf("ROW %s failed there is no such row\n", name);
}

/* /test/plan holds arguments, one a line. */
static char **plan(void)
{
        static char text[8 * KIB];
        static char *words[500] = { NULL };
        unsigned n = 1;
        int fd = open("/test/plan", O_RDONLY | O_CLOEXEC);

        if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0) {
                printf("rows: no arguments, and no /test/plan\n");
                exit(1);
        }
        close(fd);
        words[0] = text;
        for (char *rest = text; n < 499 && (words[n] = strsep(&rest, "\n"));)
                n += *words[n] != 0;
        words[n] = NULL;
        return words;
}

int main(int argc, char **argv)
{
        unsigned ops = 0, divide = 1, repeat = 1;

        if (argc > 1 && !strcmp(argv[1], "--exit"))
                return 0; /* what the rows that exec execute */
        started = now();
        started -= proc_number("/proc/timer_list", ".idle_sleeptime") + /* of CPU 0, in ns */
                   proc_number("/proc/timer_list", ".iowait_sleeptime");
        if (argc == 1)
                argv = plan();
        for (argv++; *argv; argv++) {
                if (!strcmp(*argv, "--list")) {
                        for (struct row *row = rows; row; row = row->next)
                                printf("%s\t%s\t%s\n", row->name, row->group, row->what);
                        return 0;
                }
                if (!strcmp(*argv, "--trace"))
                        tracing = true;
                else if (!strcmp(*argv, "--mem") && argv[1])
                        memory_kib = strtoul(*++argv, NULL, 10) * KIB;
                else if (!strcmp(*argv, "--ops") && argv[1])
                        ops = (unsigned)atoi(*++argv);
                else if (!strcmp(*argv, "--divide") && argv[1])
                        divide = (unsigned)atoi(*++argv);
                else if (!strcmp(*argv, "--repeat") && argv[1])
                        repeat = (unsigned)atoi(*++argv);
                else
                        run_named(*argv, ops, divide ? divide : 1, repeat);
        }
        printf("ROWS %u\n", row_count);
        return 0;
}
