// SPDX-License-Identifier: MIT
/*
 * shadow.c -- the shadow tables under load. Processes do to their memory whatever Linux offers,
 * at random, each knowing what every page must hold; meanwhile and afterwards the kernel is
 * asked whether each shadow is what it should be, and at the end whether all it took came back.
 *
 * SHADOW_SECONDS in the environment: how long, in all.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "harness.h"

#define ARENA       (8 * MIB)
#define PAGES       (ARENA / PAGE)
#define CHECK       "/sys/kernel/debug/ouzel/check"
#define QUOTA       "/sys/kernel/debug/ouzel/quota"
#define MADV_COLD_  20
#define MADV_PAGEOUT_ 21
#define MADV_COLLAPSE_ 25

static unsigned long seconds(void)
{
        const char *text = getenv("SHADOW_SECONDS");

        return text ? strtoul(text, NULL, 10) : 12;
}

static unsigned cpus(void) { return (unsigned)sysconf(_SC_NPROCESSORS_ONLN); }

static time_t now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec;
}

/* ---- a process and what it knows -------------------------------------------------------- */

static uint64_t seed;
static uint64_t next_random(void) /* xorshift64 */
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return seed;
}

static uint8_t *arena;           /* a reservation of twice ARENA; the pages are in one half */
static uint64_t content[PAGES];  /* the first and last word of each page; 0 = untouched */

static volatile uint64_t *page(unsigned i) { return (uint64_t *)(arena + i * PAGE); }

static void verify(unsigned i)
{
        uint64_t a = page(i)[0], b = page(i)[511];

        if (a != content[i] || b != content[i])
                fail("page %u at %p has %lx %lx instead of %lx", i, (void *)page(i), a, b,
                     content[i]);
}

static void store(unsigned i)
{
        content[i] = next_random() | 1;
        page(i)[0] = content[i];
        page(i)[511] = content[i];
}

static void span(unsigned *first, unsigned *n)
{
        *first = next_random() % PAGES;
        *n = 1 + next_random() % (next_random() % 8 ? 16 : 600);
        if (*n > PAGES - *first)
                *n = PAGES - *first;
}

static void forget(unsigned first, unsigned n) { memset(content + first, 0, n * 8); }

static void child_works(void)
{
        pid_t pid = fork();

        EXPECT(pid >= 0);
        if (!pid) {
                for (unsigned k = 0; k < 60; k++) {
                        unsigned i = next_random() % PAGES;
                        verify(i);
                        if (k & 1)
                                store(i);
                        verify(i);
                }
                if (next_random() % 3)
                        _exit(0);
                execl("/bin/true", "true", NULL);
                _exit(9);
        }
        /* What we write now, the child must not see, and the other way round. */
        for (unsigned k = 0; k < 20; k++)
                store(next_random() % PAGES);
        wait_for(pid);
}

/* In as large pieces as go: mremap() takes no more than one kind of mapping at a time. */
static void move_piece(uint8_t *from, uint8_t *to, size_t size)
{
        if (mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to)
                return;
        EXPECT(errno == EFAULT && size > PAGE);
        move_piece(from, to, size / 2);
        move_piece(from + size / 2, to + size / 2, size / 2);
}

/* Move the pages to the other half, so that whole tables move where they can. */
static void move(uint8_t **halves)
{
        uint8_t *to = arena == halves[0] ? halves[1] : halves[0], *from = arena;

        move_piece(from, to, ARENA);
        arena = to;
        /* Nothing is left there; keep the place. */
        EXPECT(mmap(from, ARENA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
               == from);
}

#define KINDS 14
static void step(unsigned what, uint8_t **halves)
{
        unsigned first, n;
        void *at;

        span(&first, &n);
        at = arena + first * PAGE;
        switch (what) {
        case 0: case 1: case 2:
                for (unsigned i = 0; i < n && i < 64; i++)
                        store(first + i);
                break;
        case 3:
                for (unsigned i = 0; i < n; i++)
                        verify(first + i);
                break;
        case 4:
                EXPECT(madvise(at, n * PAGE, MADV_DONTNEED) == 0);
                forget(first, n);
                break;
        case 5:
                EXPECT(mprotect(at, n * PAGE, PROT_READ) == 0);
                for (unsigned i = 0; i < n; i++)
                        verify(first + i);
                EXPECT(mprotect(at, n * PAGE, RW) == 0);
                store(first);
                break;
        case 6:
                EXPECT(mprotect(at, n * PAGE, PROT_NONE) == 0);
                EXPECT(mprotect(at, n * PAGE, RW) == 0);
                break;
        case 7:
                EXPECT(munmap(at, n * PAGE) == 0);
                EXPECT(mmap(at, n * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
                       == at);
                forget(first, n);
                break;
        case 8:
                madvise(arena, ARENA, next_random() & 1 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
                break;
        case 9:
                madvise((void *)((uintptr_t)at & -(2 * MIB)), 2 * MIB, MADV_COLLAPSE_);
                break;
        case 10:
                madvise(at, n * PAGE, next_random() & 1 ? MADV_COLD_ : MADV_PAGEOUT_);
                break;
        case 11:
                move(halves);
                break;
        case 12:
                child_works();
                break;
        case 13:
                madvise(at, n * PAGE, next_random() & 1 ? MADV_MERGEABLE : MADV_UNMERGEABLE);
                break;
        }
}

static void worker(unsigned number, time_t end)
{
        uint8_t *both = map(2 * ARENA + 2 * MIB, PROT_NONE);
        uint8_t *halves[2];

        seed = 0x9e3779b97f4a7c15 * (number + 1);
        halves[0] = (uint8_t *)(((uintptr_t)both + 2 * MIB - 1) & -(2 * MIB));
        halves[1] = halves[0] + ARENA;
        arena = halves[0];
        EXPECT(mprotect(arena, ARENA, RW) == 0);
        for (unsigned i = 0; i < KINDS || now() < end; i++) /* each kind once, then any */
                step(i < KINDS ? i : next_random() % KINDS, halves);
        for (unsigned i = 0; i < PAGES; i++)
                verify(i);
        _exit(0);
}

/* ---- other kinds of load ------------------------------------------------------------------ */

static uint8_t *shared;
static volatile bool stop;
static uint64_t wrong_value;

static void *reader(void *argument)
{
        (void)argument;
        while (!stop)
                for (unsigned i = 0; i < 64; i++) {
                        uint64_t v = *(volatile uint64_t *)(shared + i * PAGE);
                        if (v && v != 0x1234)
                                wrong_value = v;
                }
        return NULL;
}

/* Threads on all CPUs read what one takes away, puts back, protects and moves. */
static void zapper(time_t end)
{
        pthread_t threads[3];

        shared = map(64 * PAGE, RW);
        for (unsigned i = 0; i < 3; i++)
                EXPECT(pthread_create(&threads[i], NULL, reader, NULL) == 0);
        while (now() < end) {
                for (unsigned i = 0; i < 64; i++)
                        *(volatile uint64_t *)(shared + i * PAGE) = 0x1234;
                EXPECT(mprotect(shared, 32 * PAGE, PROT_READ) == 0);
                EXPECT(madvise(shared, 64 * PAGE, MADV_DONTNEED) == 0);
                EXPECT(mprotect(shared, 32 * PAGE, RW) == 0);
                uint8_t *other = map(64 * PAGE, RW); /* the same frames, most likely */
                memset(other, 0xee, 64 * PAGE);
                EXPECT(munmap(other, 64 * PAGE) == 0);
        }
        stop = true;
        for (unsigned i = 0; i < 3; i++)
                pthread_join(threads[i], NULL);
        if (wrong_value)
                fail("a reader saw %lx", wrong_value);
        _exit(0);
}

static void *drops_pages(void *argument)
{
        volatile uint8_t *p = map(64 * PAGE, RW);

        (void)argument;
        while (!stop) {
                for (unsigned i = 0; i < 64; i++)
                        p[i * PAGE] = 1;
                EXPECT(madvise((void *)p, 64 * PAGE, MADV_DONTNEED) == 0);
        }
        return NULL;
}

/* A table comes and goes with what it maps, while other threads flush the same mm. */
static void tables_go(time_t end)
{
        uint8_t *p = map(6 * MIB, PROT_NONE);
        pthread_t threads[2];

        for (unsigned i = 0; i < 2; i++)
                EXPECT(pthread_create(&threads[i], NULL, drops_pages, NULL) == 0);
        EXPECT(munmap(p, 6 * MIB) == 0);
        p = (uint8_t *)(((uintptr_t)p + 2 * MIB) & -(2 * MIB));
        for (uint64_t i = 1; now() < end; i++) {
                size_t size = 2 * MIB - PAGE; /* too small for a block */
                volatile uint64_t *at = (volatile uint64_t *)(p + i * 37 % 511 * PAGE);
                EXPECT(mmap(p, size, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
                EXPECT(*at == 0);
                *at = i;
                EXPECT(*at == i);
                EXPECT(munmap(p, size) == 0);
        }
        stop = true;
        for (unsigned i = 0; i < 2; i++)
                pthread_join(threads[i], NULL);
        _exit(0);
}

static void *filler(void *argument)
{
        int fd = *(int *)argument;
        uint8_t *content_page = map(PAGE, RW);
        struct uffd_msg msg;

        while (read(fd, &msg, sizeof(msg)) == sizeof(msg)) {
                uint64_t at = msg.arg.pagefault.address & -PAGE;
                for (unsigned i = 0; i < 512; i++)
                        ((uint64_t *)content_page)[i] = at + i;
                struct uffdio_copy copy = {.dst = at, .src = (uint64_t)content_page, .len = PAGE};
                if (ioctl(fd, UFFDIO_COPY, &copy) && errno != EEXIST && errno != EAGAIN)
                        fail("UFFDIO_COPY: errno %d", errno);
        }
        return NULL;
}

static void user_faults(time_t end)
{
        int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
        struct uffdio_api api = {.api = UFFD_API};
        uint8_t *p = map(64 * PAGE, RW);
        pthread_t thread;

        EXPECT(fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0);
        struct uffdio_register reg = {.range = {(uint64_t)p, 64 * PAGE},
                                      .mode = UFFDIO_REGISTER_MODE_MISSING};
        EXPECT(ioctl(fd, UFFDIO_REGISTER, &reg) == 0);
        EXPECT(pthread_create(&thread, NULL, filler, &fd) == 0);
        while (now() < end) {
                for (unsigned i = 0; i < 64; i++) {
                        uint64_t at = (uint64_t)p + i * PAGE;
                        EXPECT(((volatile uint64_t *)at)[i] == at + i);
                }
                EXPECT(madvise(p, 64 * PAGE, MADV_DONTNEED) == 0);
        }
        _exit(0);
}

static void execs(time_t end)
{
        while (now() < end) {
                pid_t pid = vfork();
                if (!pid) {
                        execl("/bin/true", "true", NULL);
                        _exit(9);
                }
                wait_for(pid);
        }
        _exit(0);
}

/* ---- what the kernel says ------------------------------------------------------------------- */

/* A change between its store and its queueing looks wrong, unless the host has stopped the CPU
 * just there, for a moment: what stays wrong is. */
static void shadow_is_right(void)
{
        char text[600];

        for (unsigned attempt = 0; attempt < 8; attempt++) {
                if (attempt)
                        usleep(100000);
                int fd = open(CHECK, O_RDONLY);
                ssize_t n = read(fd, text, sizeof(text) - 1);
                EXPECT(fd >= 0 && n > 0);
                close(fd);
                text[n] = 0;
                if (strstr(text, " 0 wrong"))
                        return;
        }
        text[150] = 0;
        fail("%s", text);
}

static void load(unsigned long duration, bool watch)
{
        unsigned n = 2 * cpus() + 4, i = 0;
        time_t end = now() + (time_t)duration;
        pid_t pids[64];

        EXPECT(n <= 64);
        for (; i < n; i++) {
                pids[i] = fork();
                EXPECT(pids[i] >= 0);
                if (pids[i])
                        continue;
                switch (n - i) {
                case 1: zapper(end); break;
                case 2: user_faults(end); break;
                case 3: execs(end); break;
                case 4: tables_go(end); break;
                default: worker(i, end);
                }
        }
        while (watch && now() < end) {
                shadow_is_right();
                usleep(200000);
        }
        for (i = 0; i < n; i++)
                wait_for(pids[i]);
}

static void prepare(void)
{
        alarm((unsigned)seconds() + 120);
        put("/sys/kernel/mm/ksm/run", "1");
}

/* Alone: what others flush would hide that the kernel still knows a table that is gone. */
TEST(tables_that_go_while_others_flush)
{
        alarm(60);
        tables_go(now() + 4);
}

TEST(memory_and_shadow_are_right_under_load)
{
        prepare();
        load(seconds() * 2 / 3, on_ouzel());
        if (on_ouzel())
                shadow_is_right();
}

struct quota { unsigned long used, of, own, tables, pages, processes; long others; };

static struct quota quota(void)
{
        struct quota q;
        char text[160];

        read_text(QUOTA, text, sizeof(text));
        EXPECT(sscanf(text, "%lu of %lu pages: %lu for our %lu tables, %lu for %lu processes, "
                      "%ld others", &q.used, &q.of, &q.own, &q.tables, &q.pages, &q.processes,
                      &q.others) == 7);
        return q;
}

/*
 * The one with the fewest others of a few looks: what ended a moment ago may still be on its way
 * out, or be where ksmd and khugepaged went to sleep; and an idle CPU keeps the memory of the
 * process that it ran last, even if that is over, until it runs another: us.
 */
static struct quota quota_settled(void)
{
        struct quota least = {.others = LONG_MAX}, q;

        put("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", "10");
        put("/sys/kernel/mm/ksm/sleep_millisecs", "10");
        for (unsigned i = 0; i < 8 * cpus(); i++) {
                on_cpu(i % cpus());
                usleep(100000);
                q = quota();
                if (q.others < least.others)
                        least = q;
        }
        return least;
}

TEST(quota_comes_back_when_processes_end)
{
        struct quota before, after;

        if (!on_ouzel())
                skip("natively nobody has a quota");
        prepare();
        /* Once before: pages of its capability table stay. */
        load(seconds() / 6, false);
        before = quota_settled();
        load(seconds() / 6, false);
        after = quota_settled();
        if (after.others != before.others || after.processes != before.processes)
                fail("pages of kernel memory for neither processes nor own tables: %ld, then %ld; "
                     "processes: %lu, then %lu", before.others, after.others, before.processes,
                     after.processes);
        /* What is left that may differ: tables of ours, and of processes that are there. */
        if (after.used > before.used + 32)
                fail("%lu pages of kernel memory before, %lu after", before.used, after.used);
        if (after.own > after.tables)
                fail("%lu pages for a shadow of %lu tables", after.own, after.tables);
}

/* ---- huge pages ------------------------------------------------------------------------- */

#define HUGE_SIZE (64 * MIB)

/* A field of /proc/self/smaps about the mapping that AT is in. */
static unsigned long smaps_kib(const void *at, const char *field)
{
        unsigned long start, end, kib = 0;
        char line[256];
        bool here = false;
        FILE *f = fopen("/proc/self/smaps", "r");

        EXPECT(f);
        while (fgets(line, sizeof(line), f)) {
                if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
                        here = (unsigned long)at >= start && (unsigned long)at < end;
                else if (here && !strncmp(line, field, strlen(field)))
                        kib = strtoul(line + strlen(field), NULL, 10);
        }
        fclose(f);
        return kib;
}

/* Every page of it is touched; how many pages of kernel memory for processes that took. */
static long pages_for_huge(uint8_t *p)
{
        long before = on_ouzel() ? (long)quota().pages : 0, after;

        for (size_t i = 0; i < HUGE_SIZE; i += PAGE)
                *(volatile size_t *)(p + i) = i;
        after = on_ouzel() ? (long)quota().pages : 0;
        for (size_t i = 0; i < HUGE_SIZE; i += PAGE)
                EXPECT(*(volatile size_t *)(p + i) == i);
        return after - before;
}

/* With small pages there were one table, and one page, for each 2 MiB. */
TEST(huge_pages_are_blocks_in_the_shadow)
{
        uint8_t *p = map(HUGE_SIZE + 2 * MIB, RW);

        p = (uint8_t *)(((uintptr_t)p + 2 * MIB - 1) & -(2 * MIB));
        EXPECT(madvise(p, HUGE_SIZE, MADV_HUGEPAGE) == 0);
        long pages = pages_for_huge(p);
        unsigned long kib = smaps_kib(p, "AnonHugePages:");
        if (kib < 56 << 10)
                fail("%lu KiB are in huge pages", kib);
        if (pages > 8)
                fail("%ld pages of kernel memory for 64 MiB", pages);
}

TEST(hugetlb_pages_are_blocks_in_the_shadow)
{
        int fd = open("/proc/sys/vm/nr_hugepages", O_RDWR);
        char before[16] = "";

        EXPECT(fd >= 0 && read(fd, before, sizeof(before) - 1) > 0);
        EXPECT(pwrite(fd, "32", 2, 0) == 2);
        uint8_t *p = mmap(NULL, HUGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
        EXPECT(p != MAP_FAILED);
        long pages = pages_for_huge(p);
        unsigned long kib = smaps_kib(p, "Private_Hugetlb:");
        EXPECT(munmap(p, HUGE_SIZE) == 0);
        EXPECT(pwrite(fd, before, strlen(before), 0) == (ssize_t)strlen(before));
        if (kib != 64 << 10)
                fail("%lu KiB are in huge pages", kib);
        if (pages > 8)
                fail("%ld pages of kernel memory for 64 MiB", pages);
}

int main(int argc, char **argv)
{
        return run_tests(argc > 1 ? argv[1] : NULL);
}
