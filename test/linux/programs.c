// SPDX-License-Identifier: MIT
/*
 * programs.c -- what unmodified Linux programs count on, and what they must not be able to do.
 *
 * A static arm64 program, run by busybox on the machine that just booted, on Ouzel and on the
 * native build alike: every result must be the same there.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <asm/hwcap.h>
#include <elf.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>

#include "harness.h"

/* ---- catching what a program must not do ----------------------------------------------- */

static sigjmp_buf escape;
static volatile int caught, caught_code;
static void *volatile caught_at;

static void catch_signal(int signal, siginfo_t *info, void *context)
{
        (void)context;
        caught = signal;
        caught_code = info->si_code;
        caught_at = info->si_addr;
        siglongjmp(escape, 1);
}

static void catch_all(void)
{
        struct sigaction action = {.sa_sigaction = catch_signal, .sa_flags = SA_SIGINFO};

        sigaction(SIGSEGV, &action, NULL);
        sigaction(SIGBUS, &action, NULL);
        sigaction(SIGILL, &action, NULL);
        sigaction(SIGTRAP, &action, NULL);
        caught = 0;
}

/* The signal that a statement causes, or 0. */
#define SIGNAL_OF(statement)                                                                \
        ({                                                                                  \
                catch_all();                                                                \
                if (!sigsetjmp(escape, 1)) {                                                \
                        statement;                                                          \
                }                                                                           \
                caught;                                                                     \
        })

static const uint64_t others_memory[] = {
        0xffff7f8000000000, /* Ouzel: physical memory */
        0xffff7fc000000000, /* Ouzel: its text */
        0xffff7fd000000000, /* Ouzel: device registers */
        0xffff000000000000, /* Linux: its view of memory; or a task's */
        0xffff000010000000, 0xffff000040200000,
        0xffff800080000000, /* Linux: its text */
        0xffff800080200000, 0xfffffdffc0000000, 0xfffffffffffff000,
};
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

TEST(kernel_memory_cannot_be_read)
{
        for (unsigned i = 0; i < COUNT_OF(others_memory); i++) {
                volatile uint64_t *p = (uint64_t *)others_memory[i];
                if (SIGNAL_OF((void)*p) != SIGSEGV)
                        fail("%lx was read", others_memory[i]);
        }
}

TEST(kernel_memory_cannot_be_written)
{
        for (unsigned i = 0; i < COUNT_OF(others_memory); i++) {
                volatile uint64_t *p = (uint64_t *)others_memory[i];
                if (SIGNAL_OF(*p = 0) != SIGSEGV)
                        fail("%lx was written", others_memory[i]);
        }
}

TEST(kernel_memory_cannot_be_executed)
{
        for (unsigned i = 0; i < COUNT_OF(others_memory); i++) {
                void (*volatile p)(void) = (void (*)(void))others_memory[i];
                if (SIGNAL_OF(p()) != SIGSEGV)
                        fail("%lx was executed", others_memory[i]);
        }
}

TEST(kernel_memory_cannot_be_read_through_a_system_call)
{
        int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);

        EXPECT(fd >= 0);
        for (unsigned i = 0; i < COUNT_OF(others_memory); i++) {
                EXPECT(write(fd, (void *)others_memory[i], 8) == -1 && errno == EFAULT);
                EXPECT(pread(fd, (void *)others_memory[i], 0, 0) <= 0);
        }
        EXPECT(write(fd, "abcdefgh", 8) == 8);
        for (unsigned i = 0; i < COUNT_OF(others_memory); i++)
                EXPECT(pread(fd, (void *)others_memory[i], 8, 0) == -1 && errno == EFAULT);
}

/* Every system call number of Ouzel, and some more: all are Linux's. */
#define SVC(n)                                                                              \
        do {                                                                                \
                register long x8 __asm__("x8") = SYS_getpid;                                \
                register long x0 __asm__("x0") = 0;                                         \
                __asm__ volatile("svc %1" : "+r"(x0) : "i"(n), "r"(x8) : "memory");         \
                if (x0 != pid)                                                              \
                        fail("svc #%d gave %lx", n, x0);                                    \
        } while (0)
TEST(every_svc_is_for_linux)
{
        long pid = getpid();

        SVC(0); SVC(1); SVC(2); SVC(3); SVC(4); SVC(5); SVC(6); SVC(7); SVC(8); SVC(9);
        SVC(10); SVC(11); SVC(12); SVC(13); SVC(14); SVC(15); SVC(16); SVC(17); SVC(18);
        SVC(19); SVC(20); SVC(21); SVC(22); SVC(23); SVC(24); SVC(25); SVC(26); SVC(27);
        SVC(28); SVC(29); SVC(30); SVC(31); SVC(32); SVC(33); SVC(34); SVC(35); SVC(36);
        SVC(37); SVC(38); SVC(39); SVC(40); SVC(41); SVC(42); SVC(43); SVC(44); SVC(45);
        SVC(46); SVC(47); SVC(48); SVC(49); SVC(50); SVC(63); SVC(255); SVC(4096); SVC(65535);
}

#define REFUSED(text)                                                                       \
        do {                                                                                \
                int signal_ = SIGNAL_OF(__asm__ volatile(text ::: "x0", "memory"));         \
                if (signal_ != SIGILL)                                                      \
                        fail("%s: signal %d", text, signal_);                               \
        } while (0)
TEST(privileged_instructions_are_refused)
{
        REFUSED("msr daifset, #2");
        REFUSED("mrs x0, ttbr0_el1");
        REFUSED("mrs x0, ttbr1_el1");
        REFUSED("msr ttbr0_el1, xzr");
        REFUSED("mrs x0, sctlr_el1");
        REFUSED("msr sctlr_el1, xzr");
        REFUSED("mrs x0, tpidr_el1");
        REFUSED("msr vbar_el1, xzr");
        REFUSED("mrs x0, currentel");
        REFUSED("mrs x0, sp_el0");
        REFUSED("msr spsel, #1");
        REFUSED("mrs x0, esr_el1");
        REFUSED("tlbi vmalle1");
        REFUSED("ic iallu");
        REFUSED("dc ivac, xzr");
        REFUSED("at s1e1r, xzr");
        REFUSED("eret");
        REFUSED("hvc #0");
        REFUSED("smc #0");
}

TEST(timers_cannot_be_touched)
{
        REFUSED("msr cntv_ctl_el0, xzr");
        REFUSED("mrs x0, cntv_ctl_el0");
        REFUSED("msr cntv_cval_el0, xzr");
        REFUSED("mrs x0, cntv_tval_el0");
        REFUSED("msr cntp_ctl_el0, xzr");
        REFUSED("mrs x0, cntp_cval_el0");
        REFUSED("mrs x0, cntkctl_el1");
}

TEST(counters_and_cache_operations_work)
{
        uint64_t a, b, ctr, zid;
        static uint8_t line[4096] __attribute__((aligned(4096)));

        __asm__ volatile("mrs %0, cntvct_el0" : "=r"(a));
        __asm__ volatile("mrs %0, ctr_el0; mrs %1, dczid_el0" : "=r"(ctr), "=r"(zid));
        EXPECT((ctr & 0xf) >= 2);
        memset(line, 1, sizeof(line));
        __asm__ volatile("dc cvau, %0; dc cvac, %0; dc civac, %0; ic ivau, %0; dsb ish; isb"
                         :: "r"(line) : "memory");
        EXPECT(line[0] == 1);
        if (!(zid & 16)) {
                __asm__ volatile("dc zva, %0" :: "r"(line) : "memory");
                EXPECT(line[0] == 0);
        }
        __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(b));
        EXPECT(b > a);
}

TEST(identification_registers_agree_with_hwcaps)
{
        uint64_t isar0, pfr0, caps = getauxval(AT_HWCAP);

        EXPECT(caps & HWCAP_CPUID);
        __asm__("mrs %0, id_aa64isar0_el1; mrs %1, id_aa64pfr0_el1" : "=r"(isar0), "=r"(pfr0));
        EXPECT(!!(caps & HWCAP_ATOMICS) == (((isar0 >> 20) & 15) >= 2));
        EXPECT(!!(caps & HWCAP_AES) == (((isar0 >> 4) & 15) >= 1));
        EXPECT(!!(caps & HWCAP_CRC32) == (((isar0 >> 16) & 15) >= 1));
        EXPECT(!!(caps & HWCAP_SVE) == (((pfr0 >> 32) & 15) >= 1));
        EXPECT((pfr0 & 0xff) == 0x11 || (pfr0 & 0xff) == 0x22); /* EL0, EL1 */
}

/* ---- registers ------------------------------------------------------------------------- */

/* Fill all registers with what depends on seed, do `what`, compare. Returns what differs. */
#define LOAD_X(n) "ldr x" #n ", [x0, #" #n " * 8]\n"
#define LOAD_Q(n) "ldr q" #n ", [x1, #" #n " * 16]\n"
#define STORE_X(n) "str x" #n ", [x0, #" #n " * 8]\n"
#define STORE_Q(n) "str q" #n ", [x1, #" #n " * 16]\n"
#define ALL_X(m) m(2) m(3) m(4) m(5) m(6) m(7) m(8) m(9) m(10) m(11) m(12) m(13) m(14) m(15) \
        m(16) m(17) m(18) m(19) m(20) m(21) m(22) m(23) m(24) m(25) m(26) m(27) m(28)
#define ALL_Q(m) m(0) m(1) m(2) m(3) m(4) m(5) m(6) m(7) m(8) m(9) m(10) m(11) m(12) m(13)  \
        m(14) m(15) m(16) m(17) m(18) m(19) m(20) m(21) m(22) m(23) m(24) m(25) m(26) m(27) \
        m(28) m(29) m(30) m(31)
void exchange(uint64_t *x, uint64_t *q, uint64_t spins);
__asm__(".text\n.global exchange\nexchange:\n"
        "stp x29, x30, [sp, #-192]!\n stp x19, x20, [sp, #16]\n stp x21, x22, [sp, #32]\n"
        "stp x23, x24, [sp, #48]\n stp x25, x26, [sp, #64]\n stp x27, x28, [sp, #80]\n"
        "stp d8, d9, [sp, #96]\n stp d10, d11, [sp, #112]\n stp d12, d13, [sp, #128]\n"
        "stp d14, d15, [sp, #144]\n str x18, [sp, #160]\n stp x0, x1, [sp, #176]\n"
        "mov x30, x2\n" ALL_Q(LOAD_Q) ALL_X(LOAD_X)
        "cbz x30, 2f\n"
        "1: sub x30, x30, #1\n cbnz x30, 1b\n b 3f\n"
        "2: ldr x30, [sp, #176]\n ldr x8, [x30, #248]\n svc #0\n ldr x8, [x30, #64]\n"
        "3: ldp x0, x1, [sp, #176]\n" ALL_Q(STORE_Q) ALL_X(STORE_X)
        "ldp x19, x20, [sp, #16]\n ldp x21, x22, [sp, #32]\n ldp x23, x24, [sp, #48]\n"
        "ldp x25, x26, [sp, #64]\n ldp x27, x28, [sp, #80]\n ldp d8, d9, [sp, #96]\n"
        "ldp d10, d11, [sp, #112]\n ldp d12, d13, [sp, #128]\n ldp d14, d15, [sp, #144]\n"
        "ldr x18, [sp, #160]\n ldp x29, x30, [sp], #192\n ret\n");

static void registers_kept(uint64_t seed, uint64_t spins)
{
        uint64_t x[32], q[64];

        for (unsigned i = 0; i < 32; i++)
                x[i] = seed * 0x9e3779b97f4a7c15 + i;
        for (unsigned i = 0; i < 64; i++)
                q[i] = ~seed * 0xc2b2ae3d27d4eb4f + i;
        x[31] = SYS_getppid; /* touches no argument register */
        exchange(x, q, spins);
        for (unsigned i = 2; i < 29; i++)
                if (x[i] != seed * 0x9e3779b97f4a7c15 + i)
                        fail("x%u became %lx (seed %lu)", i, x[i], seed);
        for (unsigned i = 0; i < 64; i++)
                if (q[i] != ~seed * 0xc2b2ae3d27d4eb4f + i)
                        fail("v%u became %lx (seed %lu)", i / 2, q[i], seed);
}

TEST(a_system_call_keeps_registers)
{
        for (unsigned i = 1; i < 2000; i++)
                registers_kept(i, 0);
}

TEST(processes_do_not_see_each_others_registers)
{
        pid_t pids[4];

        /* All on one CPU, so that they take turns in the middle of their loops. */
        on_cpu(0);
        for (unsigned i = 0; i < 4; i++) {
                pids[i] = fork();
                if (!pids[i]) {
                        for (unsigned n = 0; n < 60; n++)
                                registers_kept(1000 * i + n + 1, 200000);
                        _exit(0);
                }
        }
        for (unsigned i = 0; i < 4; i++)
                wait_for(pids[i]);
}

static volatile int alarms;
static void on_alarm(int signal) { (void)signal; alarms++; }

TEST(a_signal_keeps_registers)
{
        struct itimerval timer = {{0, 2000}, {0, 2000}};

        signal(SIGALRM, on_alarm);
        EXPECT(setitimer(ITIMER_REAL, &timer, NULL) == 0);
        for (unsigned i = 1; alarms < 50 && i < 3000; i++)
                registers_kept(i, 100000);
        EXPECT(alarms >= 50);
}

/* registers.S has looked at all of them, and ends with the first that is not zero. */
static void registers_are_zero_in_a_new_program(uint64_t seed)
{
        int status;
        pid_t pid = fork();

        if (!pid) {
                registers_kept(seed, 10);
                execl("/test/bin/registers", "registers", NULL);
                _exit(127);
        }
        EXPECT(waitpid(pid, &status, 0) == pid);
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        if (code > 0 && code < 32)
                fail("x%d is not zero", code - 1);
        if (code >= 64 && code < 96)
                fail("v%d is not zero", code - 64);
        if (code)
                fail("registers ended with %x", status);
}

TEST(new_programs_start_with_clean_registers)
{
        pid_t pids[3];

        on_cpu(0);
        registers_are_zero_in_a_new_program(7);
        /* And where other processes have theirs in use. */
        for (unsigned i = 0; i < 3; i++) {
                pids[i] = fork();
                if (!pids[i])
                        for (unsigned n = 0;; n++)
                                registers_kept(1000 * i + n + 1, 100000);
        }
        for (unsigned i = 0; i < 20; i++)
                registers_are_zero_in_a_new_program(i + 5000);
        for (unsigned i = 0; i < 3; i++) {
                int status;
                kill(pids[i], SIGKILL);
                EXPECT(waitpid(pids[i], &status, 0) == pids[i] && WIFSIGNALED(status));
        }
        registers_are_zero_in_a_new_program(8);
}

TEST(thread_pointer_is_kept)
{
        uint64_t before, after;

        __asm__ volatile("mrs %0, tpidr_el0" : "=r"(before));
        for (unsigned i = 0; i < 50; i++) {
                usleep(1000);
                sched_yield();
        }
        __asm__ volatile("mrs %0, tpidr_el0" : "=r"(after));
        EXPECT(before == after);
}

/* ---- memory ---------------------------------------------------------------------------- */

TEST(new_memory_is_zero)
{
        for (unsigned round = 0; round < 8; round++) {
                uint8_t *p = map(4 * MIB, RW);
                for (size_t i = 0; i < 4 * MIB; i += 8)
                        if (*(uint64_t *)(p + i))
                                fail("%lx at %zx", *(uint64_t *)(p + i), i);
                memset(p, 0x5a, 4 * MIB);
                EXPECT(munmap(p, 4 * MIB) == 0);
                EXPECT(SIGNAL_OF((void)*(volatile uint8_t *)p) == SIGSEGV);
                EXPECT(caught_at == p && caught_code == SEGV_MAPERR);
        }
}

TEST(protection_takes_effect_at_once)
{
        uint8_t *p = map(16 * PAGE, RW);

        memset(p, 1, 16 * PAGE);
        for (unsigned i = 0; i < 200; i++) {
                volatile uint8_t *q = p + i % 16 * PAGE;
                EXPECT(mprotect((void *)q, PAGE, PROT_READ) == 0);
                EXPECT(*q == 1);
                EXPECT(SIGNAL_OF(*q = 2) == SIGSEGV && caught_code == SEGV_ACCERR);
                EXPECT(caught_at == q);
                EXPECT(mprotect((void *)q, PAGE, PROT_NONE) == 0);
                EXPECT(SIGNAL_OF((void)*q) == SIGSEGV && caught_code == SEGV_ACCERR);
                EXPECT(mprotect((void *)q, PAGE, RW) == 0);
                *q = 1;
        }
}

TEST(fork_copies_on_write)
{
        volatile uint64_t *p = (uint64_t *)map(2 * MIB, RW);
        pid_t pid;

        for (size_t i = 0; i < 2 * MIB / 8; i += 512)
                p[i] = i;
        for (unsigned round = 0; round < 20; round++) {
                pid = fork();
                if (!pid) {
                        for (size_t i = 0; i < 2 * MIB / 8; i += 512) {
                                EXPECT(p[i] == i);
                                p[i] = ~i;
                                EXPECT(p[i] == ~i);
                        }
                        _exit(0);
                }
                wait_for(pid);
                for (size_t i = 0; i < 2 * MIB / 8; i += 512)
                        EXPECT(p[i] == i);
        }
}

TEST(parent_writes_while_children_read)
{
        volatile uint64_t *p = (uint64_t *)map(64 * PAGE, RW);

        for (unsigned round = 0; round < 50; round++) {
                pid_t pid;
                for (unsigned i = 0; i < 64; i++)
                        p[i * 512] = round;
                pid = fork();
                if (!pid) {
                        for (unsigned n = 0; n < 10; n++)
                                for (unsigned i = 0; i < 64; i++)
                                        EXPECT(p[i * 512] == round);
                        _exit(0);
                }
                for (unsigned i = 0; i < 64; i++)
                        p[i * 512] = ~0ul;
                wait_for(pid);
        }
}

TEST(shared_memory_is_shared)
{
        volatile uint64_t *p = mmap(NULL, 16 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pid_t pid = fork();

        if (!pid) {
                for (unsigned i = 0; i < 16; i++)
                        p[i * 512] = i + 1;
                _exit(0);
        }
        wait_for(pid);
        for (unsigned i = 0; i < 16; i++)
                EXPECT(p[i * 512] == i + 1);
}

TEST(mremap_moves_pages)
{
        uint8_t *p = map(8 * MIB, RW), *q;

        for (size_t i = 0; i < 8 * MIB; i += PAGE)
                *(uint64_t *)(p + i) = i;
        q = mremap(p, 8 * MIB, 24 * MIB, MREMAP_MAYMOVE);
        EXPECT(q != MAP_FAILED);
        for (size_t i = 0; i < 8 * MIB; i += PAGE)
                EXPECT(*(uint64_t *)(q + i) == i);
        EXPECT(*(uint64_t *)(q + 16 * MIB) == 0);
        p = map(4 * MIB, PROT_NONE);
        EXPECT(mremap(q + 2 * MIB, 2 * MIB, 2 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
        for (size_t i = 0; i < 2 * MIB; i += PAGE)
                EXPECT(*(uint64_t *)(p + i) == 2 * MIB + i);
        EXPECT(SIGNAL_OF((void)*(volatile uint8_t *)(q + 2 * MIB)) == SIGSEGV);
}

TEST(dropped_pages_are_zero_again)
{
        uint8_t *p = map(MIB, RW);

        for (unsigned i = 0; i < 20; i++) {
                memset(p, i + 1, MIB);
                EXPECT(madvise(p, MIB, MADV_DONTNEED) == 0);
                for (size_t n = 0; n < MIB; n += PAGE)
                        EXPECT(p[n] == 0);
        }
}

TEST(huge_pages)
{
        uint8_t *p = map(16 * MIB, RW), *at = (uint8_t *)(((uintptr_t)p + 2 * MIB) & -(2 * MIB));

        EXPECT(madvise(at, 8 * MIB, MADV_HUGEPAGE) == 0);
        for (size_t i = 0; i < 8 * MIB; i += PAGE)
                *(uint64_t *)(at + i) = i;
        /* Split one: a hole in its middle, another protection at its end. */
        EXPECT(munmap(at + MIB, PAGE) == 0);
        EXPECT(mprotect(at + 2 * MIB - PAGE, PAGE, PROT_READ) == 0);
        EXPECT(SIGNAL_OF((void)*(volatile uint8_t *)(at + MIB)) == SIGSEGV);
        EXPECT(SIGNAL_OF(*(volatile uint8_t *)(at + 2 * MIB - 8) = 1) == SIGSEGV);
        for (size_t i = 0; i < 8 * MIB; i += PAGE)
                if (i != MIB)
                        EXPECT(*(uint64_t *)(at + i) == i);
}

TEST(hugetlb_pages)
{
        int fd = open("/proc/sys/vm/nr_hugepages", O_WRONLY);
        uint8_t *p;

        EXPECT(fd >= 0 && write(fd, "4", 1) == 1);
        p = mmap(NULL, 4 * MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
        EXPECT(p != MAP_FAILED);
        memset(p, 0x77, 4 * MIB);
        pid_t pid = fork();
        if (!pid) {
                memset(p, 0x11, 2 * MIB);
                _exit(p[2 * MIB] != 0x77);
        }
        wait_for(pid);
        EXPECT(p[0] == 0x77 && p[4 * MIB - 1] == 0x77);
        EXPECT(munmap(p, 4 * MIB) == 0);
        EXPECT(pwrite(fd, "0", 1, 0) == 1);
}

/* Two processes have one table for a whole GiB of huge pages, until one unmaps its part: what it
 * maps there afterwards is new. */
TEST(hugetlb_table_is_shared_no_longer)
{
        int sysctl = open("/proc/sys/vm/nr_hugepages", O_WRONLY);
        int fd = memfd_create("shared", MFD_HUGETLB);
        uint8_t *p = mmap(NULL, 2048 * MIB, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        EXPECT(sysctl >= 0 && write(sysctl, "2", 1) == 1);
        EXPECT(fd >= 0 && ftruncate(fd, 1024 * MIB) == 0 && p != MAP_FAILED);
        p = (uint8_t *)(((uintptr_t)p + 1024 * MIB - 1) & -(1024 * MIB));
        EXPECT(mmap(p, 1024 * MIB, RW, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0) == p);
        p[0] = 0x77;
        pid_t pid = fork();
        if (!pid) {
                if (p[0]++ != 0x77)
                        _exit(1);
                if (munmap(p, 1024 * MIB) || mmap(p, 2 * MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS |
                                                  MAP_FIXED, -1, 0) != p)
                        _exit(2);
                _exit(p[0]);
        }
        wait_for(pid);
        EXPECT(p[0] == 0x78);
        EXPECT(munmap(p, 1024 * MIB) == 0 && close(fd) == 0);
        EXPECT(pwrite(sysctl, "0", 1, 0) == 1);
}

static const uint32_t return_42[] = {0x52800540, 0xd65f03c0}; /* mov w0, #42; ret */

TEST(code_that_was_just_written_runs)
{
        uint32_t *p = (uint32_t *)map(PAGE, RW);

        memcpy(p, return_42, sizeof(return_42));
        EXPECT(SIGNAL_OF(((int (*)(void))p)()) == SIGSEGV); /* not executable yet */
        for (unsigned i = 0; i < 100; i++) {
                EXPECT(mprotect(p, PAGE, RW) == 0);
                p[0] = 0x52800000 | i << 5;
                EXPECT(mprotect(p, PAGE, PROT_READ | PROT_EXEC) == 0);
                __builtin___clear_cache((char *)p, (char *)p + 8);
                EXPECT(((int (*)(void))p)() == (int)i);
        }
}

TEST(writable_and_executable_memory_for_compilers)
{
        uint32_t *p = (uint32_t *)map(PAGE, RW | PROT_EXEC);

        memcpy(p, return_42, sizeof(return_42));
        for (unsigned i = 0; i < 200; i++) {
                p[0] = 0x52800000 | i << 5;
                __builtin___clear_cache((char *)p, (char *)p + 8);
                EXPECT(((int (*)(void))p)() == (int)i);
        }
}

TEST(a_file_is_mapped)
{
        int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
        volatile uint8_t *p, *q;

        EXPECT(fd >= 0 && ftruncate(fd, 3 * PAGE) == 0);
        EXPECT(pwrite(fd, "file", 4, PAGE) == 4);
        p = mmap(NULL, 8 * PAGE, RW, MAP_SHARED, fd, 0);
        q = mmap(NULL, 3 * PAGE, RW, MAP_PRIVATE, fd, 0);
        EXPECT(p != MAP_FAILED && q != MAP_FAILED);
        EXPECT(p[PAGE] == 'f' && q[PAGE + 1] == 'i');
        q[PAGE] = 'g';
        EXPECT(p[PAGE] == 'f');
        p[2 * PAGE] = 'x';
        char c;
        EXPECT(pread(fd, &c, 1, 2 * PAGE) == 1 && c == 'x');
        EXPECT(q[2 * PAGE] == 'x');
        EXPECT(SIGNAL_OF((void)p[3 * PAGE]) == SIGBUS);
        EXPECT(ftruncate(fd, PAGE) == 0);
        EXPECT(SIGNAL_OF((void)p[PAGE]) == SIGBUS);
}

TEST(the_stack_grows_and_ends)
{
        struct rlimit limit = {MIB, MIB};
        pid_t pid;
        int status;

        EXPECT(setrlimit(RLIMIT_STACK, &limit) == 0);
        pid = fork();
        if (!pid) {
                volatile uint8_t *p = __builtin_alloca(600 << 10);
                for (size_t i = 0; i < 600 << 10; i += PAGE)
                        p[(600 << 10) - 1 - i] = 1;
                p = __builtin_alloca(8 << 20);
                p[0] = 1;
                _exit(0);
        }
        EXPECT(waitpid(pid, &status, 0) == pid);
        EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

TEST(many_small_mappings)
{
        uint8_t *p[512];

        for (unsigned round = 0; round < 4; round++) {
                for (unsigned i = 0; i < 512; i++) {
                        p[i] = map(2 * PAGE, i & 1 ? RW : PROT_READ);
                        EXPECT(p[i][PAGE] == 0);
                        if (i & 1)
                                p[i][0] = i;
                }
                for (unsigned i = 0; i < 512; i++) {
                        EXPECT(p[i][0] == (i & 1 ? i & 255 : 0));
                        EXPECT(munmap(p[i], 2 * PAGE) == 0);
                }
        }
}

static volatile bool zap_stop;
static uint8_t *volatile zap_at;
static void *zap_reader(void *argument)
{
        uint64_t *bad = argument;

        while (!zap_stop) {
                uint8_t *p = zap_at;
                for (unsigned i = 0; i < 16; i++) {
                        uint64_t v = *(volatile uint64_t *)(p + i * PAGE);
                        if (v != 0 && v != 0x1234)
                                *bad = v;
                }
        }
        return NULL;
}

TEST(pages_taken_away_are_gone_on_all_cpus)
{
        pthread_t threads[3];
        uint64_t bad = 0;

        /* Readers may see zero or what was written, never another page's content. */
        zap_at = map(16 * PAGE, RW);
        for (unsigned i = 0; i < 3; i++)
                EXPECT(pthread_create(&threads[i], NULL, zap_reader, &bad) == 0);
        for (unsigned round = 0; round < 400; round++) {
                for (unsigned i = 0; i < 16; i++)
                        *(volatile uint64_t *)(zap_at + i * PAGE) = 0x1234;
                EXPECT(madvise(zap_at, 16 * PAGE, MADV_DONTNEED) == 0);
                uint8_t *other = map(16 * PAGE, RW);
                memset(other, 0xee, 16 * PAGE);
                EXPECT(munmap(other, 16 * PAGE) == 0);
        }
        zap_stop = true;
        for (unsigned i = 0; i < 3; i++)
                pthread_join(threads[i], NULL);
        if (bad)
                fail("a reader saw %lx", bad);
}

TEST(memory_of_another_process_by_permission_only)
{
        volatile uint64_t *secret = (uint64_t *)map(PAGE, RW);
        uint64_t copy = 0;
        int ready[2];
        char c;

        *secret = 0x1111;
        EXPECT(pipe(ready) == 0);
        pid_t pid = fork();
        if (!pid) {
                *secret = 0x2222;
                EXPECT(write(ready[1], "x", 1) == 1);
                pause();
                _exit(0);
        }
        EXPECT(read(ready[0], &c, 1) == 1);
        struct iovec to = {&copy, 8}, from = {(void *)secret, 8};
        EXPECT(process_vm_readv(pid, &to, 1, &from, 1, 0) == 8 && copy == 0x2222);
        char name[64];
        snprintf(name, sizeof(name), "/proc/%d/mem", pid);
        int fd = open(name, O_RDWR);
        copy = 0x3333;
        EXPECT(fd >= 0 && pwrite(fd, &copy, 8, (off_t)secret) == 8);
        copy = 0;
        EXPECT(pread(fd, &copy, 8, (off_t)secret) == 8 && copy == 0x3333);
        EXPECT(*secret == 0x1111);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

static uint8_t *missing;
static int missing_answer;
static int missing_reader(void *argument)
{
        uint8_t got = ((volatile uint8_t *)missing)[PAGE + 5];

        (void)argument;
        return write(missing_answer, &got, 1) != 1;
}

TEST(userfaultfd_fills_pages)
{
        int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
        struct uffdio_api api = {.api = UFFD_API};
        uint8_t *p = map(4 * PAGE, RW), *content = map(PAGE, RW);

        EXPECT(fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0);
        struct uffdio_register reg = {.range = {(uint64_t)p, 4 * PAGE},
                                      .mode = UFFDIO_REGISTER_MODE_MISSING};
        EXPECT(ioctl(fd, UFFDIO_REGISTER, &reg) == 0);
        int answer[2];
        EXPECT(pipe(answer) == 0);
        /* CLONE_VM: a second thread of control in the same memory. */
        static uint8_t stack[16384] __attribute__((aligned(16)));
        missing = p;
        missing_answer = answer[1];
        pid_t pid = clone(missing_reader, stack + sizeof(stack), CLONE_VM | CLONE_FILES | SIGCHLD,
                          NULL);
        EXPECT(pid > 0);
        struct uffd_msg msg;
        EXPECT(read(fd, &msg, sizeof(msg)) == sizeof(msg));
        EXPECT(msg.event == UFFD_EVENT_PAGEFAULT);
        EXPECT((msg.arg.pagefault.address & -PAGE) == (uint64_t)p + PAGE);
        memset(content, 0x44, PAGE);
        struct uffdio_copy copy = {.dst = (uint64_t)p + PAGE, .src = (uint64_t)content,
                                   .len = PAGE};
        EXPECT(ioctl(fd, UFFDIO_COPY, &copy) == 0);
        uint8_t got = 0;
        EXPECT(read(answer[0], &got, 1) == 1 && got == 0x44);
        wait_for(pid);
}

/* ---- signals, debugging ---------------------------------------------------------------- */

TEST(fault_address_and_code_are_told)
{
        uint8_t *p = map(2 * PAGE, PROT_READ);

        EXPECT(SIGNAL_OF(*(volatile uint32_t *)(p + 0x234) = 1) == SIGSEGV);
        EXPECT(caught_at == p + 0x234 && caught_code == SEGV_ACCERR);
        volatile uint32_t *volatile low = (uint32_t *)0x10;
        EXPECT(SIGNAL_OF(*low = 1) == SIGSEGV);
        EXPECT(caught_at == (void *)0x10 && caught_code == SEGV_MAPERR);
        EXPECT(SIGNAL_OF(__asm__ volatile("udf #0")) == SIGILL);
        EXPECT(SIGNAL_OF(__asm__ volatile("brk #1")) == SIGTRAP);
        EXPECT(SIGNAL_OF(((void (*volatile)(void))0x2)()) != 0);
        EXPECT(SIGNAL_OF(__asm__ volatile("ldxr x0, [%0]" :: "r"(p + 1) : "x0")) == SIGBUS);
}

TEST(signals_on_another_stack)
{
        static uint8_t stack[65536];
        stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
        struct sigaction action = {.sa_sigaction = catch_signal,
                                   .sa_flags = SA_SIGINFO | SA_ONSTACK};

        EXPECT(sigaltstack(&other, NULL) == 0);
        caught = 0;
        sigaction(SIGSEGV, &action, NULL);
        if (!sigsetjmp(escape, 1)) {
                /* No stack at all: only another one can take the signal. */
                __asm__ volatile("mov x0, #0; mov sp, x0; str xzr, [sp, #-16]!" ::: "x0",
                                 "memory");
        }
        EXPECT(caught == SIGSEGV);
}

TEST(signals_are_queued_and_blocked)
{
        sigset_t set;
        siginfo_t info;
        struct timespec none = {0, 0};

        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN);
        sigprocmask(SIG_BLOCK, &set, NULL);
        for (int i = 0; i < 20; i++)
                EXPECT(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}) == 0);
        for (int i = 0; i < 20; i++) {
                EXPECT(sigtimedwait(&set, &info, &none) == SIGRTMIN);
                EXPECT(info.si_value.sival_int == i);
        }
        EXPECT(sigtimedwait(&set, &info, &none) == -1 && errno == EAGAIN);
}

TEST(interrupted_calls_are_restarted)
{
        struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
        struct itimerval timer = {{0, 0}, {0, 100000}};
        int fds[2];
        char c = 0;

        EXPECT(pipe(fds) == 0);
        sigaction(SIGALRM, &action, NULL);
        pid_t pid = fork();
        if (!pid) {
                usleep(500000);
                _exit(write(fds[1], "y", 1) != 1);
        }
        alarms = 0;
        EXPECT(setitimer(ITIMER_REAL, &timer, NULL) == 0);
        EXPECT(read(fds[0], &c, 1) == 1 && c == 'y' && alarms == 1);
        wait_for(pid);
        action.sa_flags = 0;
        sigaction(SIGALRM, &action, NULL);
        EXPECT(setitimer(ITIMER_REAL, &timer, NULL) == 0);
        EXPECT(read(fds[0], &c, 1) == -1 && errno == EINTR);
        struct timespec t = {0, 300000000}, left;
        EXPECT(setitimer(ITIMER_REAL, &timer, NULL) == 0);
        EXPECT(nanosleep(&t, &left) == -1 && errno == EINTR && left.tv_nsec > 100000000);
}

TEST(a_debugger_steps_and_changes)
{
        int status;
        pid_t pid = fork();

        if (!pid) {
                register long x19 __asm__("x19") = 0;
                ptrace(PTRACE_TRACEME, 0, 0, 0);
                __asm__ volatile("brk #0\n add %0, %0, #1\n add %0, %0, #1\n add %0, %0, #1\n"
                                 "brk #0" : "+r"(x19));
                _exit((int)x19);
        }
        struct { uint64_t x[31], sp, pc, pstate; } regs;
        struct iovec iov = {&regs, sizeof(regs)};
        EXPECT(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        EXPECT(WSTOPSIG(status) == SIGTRAP);
        EXPECT(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov) == 0);
        regs.pc += 4;
        uint64_t pc = regs.pc;
        EXPECT(ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &iov) == 0);
        for (unsigned i = 1; i <= 3; i++) {
                EXPECT(ptrace(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
                EXPECT(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
                EXPECT(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov) == 0);
                if (regs.pc != pc + 4 * i || regs.x[19] != i)
                        fail("step %u: pc %lx instead of %lx, x19 %lu", i, regs.pc, pc + 4 * i,
                             regs.x[19]);
        }
        EXPECT(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
        EXPECT(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        EXPECT(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov) == 0);
        regs.pc += 4;
        regs.x[19] = 42;
        EXPECT(ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &iov) == 0);
        EXPECT(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
        EXPECT(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
        EXPECT(WEXITSTATUS(status) == 42);
}

TEST(a_debugger_steps_once_and_lets_go)
{
        /* What the step left behind must not stop it again: gdb steps over each breakpoint. */
        int status;
        pid_t pid = fork();

        if (!pid) {
                ptrace(PTRACE_TRACEME, 0, 0, 0);
                raise(SIGSTOP);
                _exit(17);
        }
        EXPECT(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        EXPECT(ptrace(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
        EXPECT(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        EXPECT(WSTOPSIG(status) == SIGTRAP);
        EXPECT(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
        EXPECT(waitpid(pid, &status, 0) == pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 17)
                fail("status %x after a step and PTRACE_CONT", status);
}

TEST(a_debugger_patches_code)
{
        /* A breakpoint in text that both processes share: copy on write of a code page. */
        extern const uint32_t patch_here[];
        int status;
        pid_t pid = fork();

        if (!pid) {
                ptrace(PTRACE_TRACEME, 0, 0, 0);
                raise(SIGSTOP);
                __asm__ volatile(".global patch_here\npatch_here: nop" ::: "memory");
                _exit(0);
        }
        EXPECT(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        uint64_t at = (uint64_t)patch_here & ~7ul;
        long old = ptrace(PTRACE_PEEKTEXT, pid, at, 0);
        unsigned shift = ((uint64_t)patch_here & 4) * 8;
        long trap = (long)(((uint64_t)old & ~(0xfffffffful << shift)) | 0xd4200000ul << shift);
        EXPECT(ptrace(PTRACE_POKETEXT, pid, at, trap) == 0);
        EXPECT(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
        EXPECT(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        EXPECT(WSTOPSIG(status) == SIGTRAP);
        EXPECT(ptrace(PTRACE_POKETEXT, pid, at, old) == 0);
        EXPECT(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
        wait_for(pid);
        EXPECT(*patch_here == 0xd503201f);
}

TEST(system_calls_are_traced)
{
        int status;
        unsigned stops = 0;
        pid_t pid = fork();

        if (!pid) {
                ptrace(PTRACE_TRACEME, 0, 0, 0);
                raise(SIGSTOP);
                for (unsigned i = 0; i < 10; i++)
                        syscall(SYS_getppid);
                _exit(0);
        }
        EXPECT(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        EXPECT(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
        for (;;) {
                EXPECT(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0);
                EXPECT(waitpid(pid, &status, 0) == pid);
                if (WIFEXITED(status))
                        break;
                if (WSTOPSIG(status) == (SIGTRAP | 0x80))
                        stops++;
        }
        if (stops < 21 || stops > 24)
                fail("%u stops for 10 calls", stops);
}

/* ---- threads and time ------------------------------------------------------------------ */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static unsigned counter, turn;
static _Thread_local unsigned own;

static void *count_up(void *argument)
{
        (void)argument;
        for (unsigned i = 0; i < 20000; i++) {
                pthread_mutex_lock(&mutex);
                counter++;
                own++;
                pthread_mutex_unlock(&mutex);
        }
        return (void *)(uintptr_t)own;
}

TEST(threads_and_mutexes)
{
        pthread_t threads[8];

        for (unsigned i = 0; i < 8; i++)
                EXPECT(pthread_create(&threads[i], NULL, count_up, NULL) == 0);
        for (unsigned i = 0; i < 8; i++) {
                void *n;
                pthread_join(threads[i], &n);
                EXPECT((uintptr_t)n == 20000);
        }
        EXPECT(counter == 160000);
}

static void *take_turns(void *argument)
{
        unsigned mine = (unsigned)(uintptr_t)argument;

        for (unsigned i = 0; i < 500; i++) {
                pthread_mutex_lock(&mutex);
                while (turn % 3 != mine)
                        pthread_cond_wait(&condition, &mutex);
                turn++;
                pthread_cond_broadcast(&condition);
                pthread_mutex_unlock(&mutex);
        }
        return NULL;
}

TEST(threads_and_conditions)
{
        pthread_t threads[3];

        for (uintptr_t i = 0; i < 3; i++)
                EXPECT(pthread_create(&threads[i], NULL, take_turns, (void *)i) == 0);
        for (unsigned i = 0; i < 3; i++)
                pthread_join(threads[i], NULL);
        EXPECT(turn == 1500);
}

static int64_t now(clockid_t clock)
{
        struct timespec t;

        EXPECT(clock_gettime(clock, &t) == 0);
        return t.tv_sec * 1000000000l + t.tv_nsec;
}

TEST(clocks_agree)
{
        int64_t vdso = now(CLOCK_MONOTONIC), last = vdso;
        struct timespec t;
        uint64_t ticks, hz;

        EXPECT(getauxval(AT_SYSINFO_EHDR));
        EXPECT(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t) == 0);
        int64_t call = t.tv_sec * 1000000000l + t.tv_nsec;
        EXPECT(call >= vdso && call - vdso < 1000000000);
        for (unsigned i = 0; i < 100000; i++) {
                vdso = now(CLOCK_MONOTONIC);
                if (vdso < last)
                        fail("the clock went back by %ld ns", last - vdso);
                last = vdso;
        }
        /* Against the counter: 300 ms by one are 300 ms by the other. */
        __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks));
        __asm__("mrs %0, cntfrq_el0" : "=r"(hz));
        int64_t start = now(CLOCK_MONOTONIC);
        usleep(300000);
        int64_t passed = now(CLOCK_MONOTONIC) - start;
        uint64_t end;
        __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(end));
        int64_t counted = (int64_t)((end - ticks) * 1000000 / (hz / 1000));
        EXPECT(passed >= 300000000);
        if (counted - passed > 20000000 || passed - counted > 20000000)
                fail("%ld ns passed, %ld by the counter", passed, counted);
}

/* What happens to a child that must not ask Linux for the time. */
static int without_clock_calls(void (*what)(void))
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 1, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_gettimeofday, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP), /* kills, and logs nothing */
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {COUNT_OF(code), code};
        int status;
        pid_t pid = fork();

        if (!pid) {
                EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
                EXPECT(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
                what();
                _exit(0);
        }
        EXPECT(waitpid(pid, &status, 0) == pid);
        return status;
}

static void read_clocks(void)
{
        struct timeval t;

        for (unsigned i = 0; i < 1000; i++) {
                now(CLOCK_MONOTONIC);
                now(CLOCK_REALTIME);
                EXPECT(gettimeofday(&t, NULL) == 0);
        }
}

static void ask_for_the_time(void)
{
        struct timespec t;

        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
}

TEST(clocks_are_read_without_a_system_call)
{
        int status = without_clock_calls(ask_for_the_time);

        EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
        status = without_clock_calls(read_clocks);
        if (status)
                fail("reading the clocks ended with %x", status);
}

TEST(sleeps_are_not_short)
{
        for (long ns = 100000; ns < 40000000; ns *= 3) {
                struct timespec t = {0, ns};
                int64_t start = now(CLOCK_MONOTONIC);
                EXPECT(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL) == 0);
                EXPECT(now(CLOCK_MONOTONIC) - start >= ns);
        }
}

TEST(processor_time_is_counted)
{
        struct rusage usage;
        volatile uint64_t n = 0;
        int64_t start = now(CLOCK_PROCESS_CPUTIME_ID);

        while (now(CLOCK_PROCESS_CPUTIME_ID) - start < 100000000)
                n++;
        EXPECT(getrusage(RUSAGE_SELF, &usage) == 0);
        EXPECT(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec > 0 ||
               usage.ru_utime.tv_usec + usage.ru_stime.tv_usec >= 80000);
}

TEST(timers_by_file)
{
        int timer = timerfd_create(CLOCK_MONOTONIC, 0), event = eventfd(0, 0);
        int poller = epoll_create1(0);
        struct itimerspec spec = {{0, 20000000}, {0, 20000000}};
        struct epoll_event e = {.events = EPOLLIN, .data.fd = timer}, got;
        uint64_t expired, sum = 0;

        EXPECT(timerfd_settime(timer, 0, &spec, NULL) == 0);
        EXPECT(epoll_ctl(poller, EPOLL_CTL_ADD, timer, &e) == 0);
        e.data.fd = event;
        EXPECT(epoll_ctl(poller, EPOLL_CTL_ADD, event, &e) == 0);
        while (sum < 10) {
                EXPECT(epoll_wait(poller, &got, 1, 5000) == 1 && got.data.fd == timer);
                EXPECT(read(timer, &expired, 8) == 8);
                sum += expired;
        }
        close(timer);
        EXPECT(eventfd_write(event, 3) == 0);
        EXPECT(epoll_wait(poller, &got, 1, 5000) == 1 && got.data.fd == event);
}

TEST(a_thread_moves_between_cpus)
{
        int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);

        for (int i = 0; i < 40; i++) {
                on_cpu((unsigned)(i % cpus));
                EXPECT(sched_getcpu() == i % cpus);
                registers_kept((uint64_t)i + 1, 1000);
        }
}

/* glibc has registered it for each thread. */
static volatile struct rseq *own_rseq(void)
{
        EXPECT(__rseq_size >= offsetof(struct rseq, flags) + 4);
        return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

TEST(rseq_names_the_cpu)
{
        unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN), cpu;

        for (unsigned i = 0; i < 40; i++) {
                on_cpu(i % cpus);
                EXPECT(own_rseq()->cpu_id == i % cpus && own_rseq()->cpu_id_start == i % cpus);
                EXPECT(syscall(SYS_getcpu, &cpu, NULL, NULL) == 0 && cpu == i % cpus);
        }
}

enum { UNSEEN, ABORTED, LATE };

/* A restartable sequence that waits for *flag. ABORTED, or UNSEEN: what set the flag came while
 * it waited, and did not abort it. LATE: the flag was set before it began. */
static unsigned sequence_until(volatile unsigned *flag)
{
        volatile struct rseq *rseq = own_rseq();
        unsigned how;

        __asm__ volatile(".pushsection .data\n .balign 32\n"
                         "6: .long 0, 0\n .quad 1f, 3f - 1f, 4f\n .popsection\n"
                         "mov %w0, %3\n adrp x9, 6b\n add x9, x9, :lo12:6b\n str x9, %1\n"
                         "1: ldr w9, [%2]\n cbnz w9, 5f\n mov %w0, %4\n"
                         "2: ldr w9, [%2]\n cbz w9, 2b\n"
                         "3: b 5f\n"
                         ".inst %6\n" /* else Linux doesn't go there */
                         "4: mov %w0, %5\n"
                         "5:" : "=&r"(how), "=m"(rseq->rseq_cs)
                         : "r"(flag), "i"(LATE), "i"(UNSEEN), "i"(ABORTED), "i"(RSEQ_SIG_CODE)
                         : "x9", "memory");
        EXPECT(how != ABORTED || !rseq->rseq_cs); /* Linux has cleared it */
        rseq->rseq_cs = 0;
        return how;
}

/* How often it was aborted until the flag was set: by that, and by what else came in between. */
static unsigned aborts_until(volatile unsigned *flag)
{
        unsigned aborts = 0;

        while (!*flag) {
                unsigned how = sequence_until(flag);
                EXPECT(how != UNSEEN);
                aborts += how == ABORTED;
        }
        return aborts;
}

static volatile unsigned ticked;
static void on_tick(int signal) { (void)signal; ticked = 1; }

TEST(rseq_is_aborted_by_a_signal)
{
        struct itimerval timer = {{0, 0}, {0, 2000}};
        unsigned aborts = 0;

        signal(SIGVTALRM, on_tick);
        for (unsigned i = 0; i < 20; i++) {
                ticked = 0;
                EXPECT(setitimer(ITIMER_VIRTUAL, &timer, NULL) == 0);
                aborts += aborts_until(&ticked);
        }
        EXPECT(aborts >= 10);
}

TEST(rseq_is_aborted_by_another_process)
{
        volatile unsigned *flag = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        unsigned aborts = 0;

        on_cpu(0);
        EXPECT(flag != MAP_FAILED);
        for (unsigned i = 0; i < 20; i++) {
                *flag = 0;
                pid_t pid = fork();
                if (!pid) {
                        usleep(2000);
                        *flag = 1;
                        _exit(0);
                }
                aborts += aborts_until(flag);
                wait_for(pid);
        }
        EXPECT(aborts >= 10);
}

TEST(a_cpu_goes_off_and_on)
{
        int fd;
        char c;

        if (sysconf(_SC_NPROCESSORS_CONF) < 2)
                skip("one CPU");
        fd = open("/sys/devices/system/cpu/cpu1/online", O_RDWR);
        EXPECT(fd >= 0);
        for (unsigned i = 0; i < 3; i++) {
                EXPECT(write(fd, "0", 1) == 1);
                EXPECT(pread(fd, &c, 1, 0) == 1 && c == '0');
                EXPECT(write(fd, "1", 1) == 1);
                EXPECT(pread(fd, &c, 1, 0) == 1 && c == '1');
                on_cpu(1);
                registers_kept(i + 1, 1000);
                on_cpu(0);
        }
}

TEST(futexes_time_out)
{
        uint32_t word = 5;
        struct timespec t = {0, 30000000};
        int64_t start = now(CLOCK_MONOTONIC);

        EXPECT(syscall(SYS_futex, &word, FUTEX_WAIT, 4, &t) == -1 && errno == EAGAIN);
        EXPECT(syscall(SYS_futex, &word, FUTEX_WAIT, 5, &t) == -1 && errno == ETIMEDOUT);
        EXPECT(now(CLOCK_MONOTONIC) - start >= 30000000);
        EXPECT(syscall(SYS_futex, 0x10, FUTEX_WAIT, 5, &t) == -1 && errno == EFAULT);
}

TEST(memory_barriers_by_system_call)
{
        EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0);
        for (unsigned i = 0; i < 50; i++)
                EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) == 0);
        EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0) == 0);
}

/* ---- processes ------------------------------------------------------------------------- */

TEST(programs_start_programs)
{
        for (unsigned i = 0; i < 60; i++) {
                pid_t pid = fork();
                if (!pid) {
                        execl("/proc/self/exe", "programs", "--exit", "7", NULL);
                        _exit(3);
                }
                int status;
                EXPECT(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
                EXPECT(WEXITSTATUS(status) == 7);
        }
}

TEST(vfork_and_exec)
{
        for (unsigned i = 0; i < 30; i++) {
                pid_t pid = vfork();
                if (!pid) {
                        execl("/bin/true", "true", NULL);
                        _exit(3);
                }
                wait_for(pid);
        }
}

TEST(many_processes_at_once)
{
        pid_t pids[100];

        for (unsigned i = 0; i < 100; i++) {
                pids[i] = fork();
                if (!pids[i]) {
                        uint8_t *p = map(16 * PAGE, RW);
                        memset(p, (int)i, 16 * PAGE);
                        sched_yield();
                        for (unsigned n = 0; n < 16; n++)
                                EXPECT(p[n * PAGE] == i);
                        _exit(0);
                }
                EXPECT(pids[i] > 0);
        }
        for (unsigned i = 0; i < 100; i++)
                wait_for(pids[i]);
}

TEST(pipes_between_processes)
{
        int there[2], back[2];
        uint32_t n;

        EXPECT(pipe(there) == 0 && pipe(back) == 0);
        pid_t pid = fork();
        if (!pid) {
                close(there[1]);
                while (read(there[0], &n, 4) == 4) {
                        n++;
                        EXPECT(write(back[1], &n, 4) == 4);
                }
                _exit(0);
        }
        for (uint32_t i = 0; i < 3000; i++) {
                EXPECT(write(there[1], &i, 4) == 4);
                EXPECT(read(back[0], &n, 4) == 4 && n == i + 1);
        }
        close(there[1]);
        wait_for(pid);
}

TEST(sockets_over_loopback)
{
        int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
        struct sockaddr_in a = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof(a);
        static uint8_t out[100000], in[100000];

        EXPECT(bind(server, (void *)&a, sizeof(a)) == 0 && listen(server, 1) == 0);
        EXPECT(getsockname(server, (void *)&a, &size) == 0);
        pid_t pid = fork();
        if (!pid) {
                int s = accept(server, NULL, NULL);
                ssize_t n;
                while ((n = read(s, in, sizeof(in))) > 0)
                        EXPECT(write(s, in, (size_t)n) == n);
                _exit(0);
        }
        for (unsigned i = 0; i < sizeof(out); i++)
                out[i] = (uint8_t)(i * 7 + i / 256);
        EXPECT(connect(client, (void *)&a, sizeof(a)) == 0);
        for (size_t done = 0; done < sizeof(out); done += 10000) {
                EXPECT(write(client, out + done, 10000) == 10000);
                EXPECT(recv(client, in + done, 10000, MSG_WAITALL) == 10000);
        }
        EXPECT(memcmp(in, out, sizeof(out)) == 0);
        shutdown(client, SHUT_WR);
        wait_for(pid);
}

TEST(seccomp_filters)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {4, code};

        EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        EXPECT(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
        for (unsigned i = 0; i < 200; i++) {
                EXPECT(syscall(SYS_getppid) == -1 && errno == 77);
                EXPECT(syscall(SYS_getpid) == getpid());
        }
}

TEST(io_uring_works)
{
        struct io_uring_params params = {0};
        int fd = (int)syscall(SYS_io_uring_setup, 4, &params);

        EXPECT(fd >= 0);
        uint8_t *sq = mmap(NULL, params.sq_off.array + params.sq_entries * 4, RW,
                           MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
        uint8_t *cq = mmap(NULL, params.cq_off.cqes +
                           params.cq_entries * sizeof(struct io_uring_cqe), RW,
                           MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_CQ_RING);
        struct io_uring_sqe *sqe = mmap(NULL, params.sq_entries * sizeof(*sqe), RW,
                                        MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
        EXPECT(sq != MAP_FAILED && cq != MAP_FAILED && sqe != MAP_FAILED);
        uint32_t *tail = (uint32_t *)(sq + params.sq_off.tail);
        uint32_t mask = *(uint32_t *)(sq + params.sq_off.ring_mask);
        for (unsigned i = 0; i < 50; i++) {
                uint32_t at = *tail & mask;
                memset(&sqe[at], 0, sizeof(*sqe));
                sqe[at].opcode = IORING_OP_NOP;
                sqe[at].user_data = 1000 + i;
                ((uint32_t *)(sq + params.sq_off.array))[at] = at;
                __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
                EXPECT(syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0)
                       == 1);
                uint32_t *head = (uint32_t *)(cq + params.cq_off.head);
                uint32_t cq_mask = *(uint32_t *)(cq + params.cq_off.ring_mask);
                struct io_uring_cqe *cqe = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
                EXPECT(cqe[*head & cq_mask].user_data == 1000 + i);
                __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
        }
}

TEST(pidfd_and_clone3)
{
        int pidfd = -1;
        struct { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size,
                 tls; } args = {.flags = 0x1000 /* CLONE_PIDFD */, .pidfd = (uint64_t)&pidfd,
                                .exit_signal = SIGCHLD};
        siginfo_t info = {0};
        long pid = syscall(SYS_clone3, &args, sizeof(args));

        EXPECT(pid >= 0);
        if (!pid)
                _exit(9);
        struct pollfd p = {pidfd, POLLIN, 0};
        EXPECT(poll(&p, 1, 5000) == 1);
        EXPECT(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) == 0 && info.si_status == 9);
}

TEST(namespaces_and_control_groups)
{
        pid_t pid = fork();

        if (!pid) {
                EXPECT(unshare(CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWIPC) == 0);
                EXPECT(sethostname("inside", 6) == 0);
                pid_t inner = fork();
                if (!inner)
                        _exit(getpid() != 1);
                wait_for(inner);
                _exit(0);
        }
        wait_for(pid);
        char name[16] = "";
        gethostname(name, sizeof(name));
        EXPECT(strcmp(name, "inside") != 0);
}

TEST(memory_file_and_seals)
{
        int fd = (int)syscall(SYS_memfd_create, "m", 2u /* MFD_ALLOW_SEALING */);

        EXPECT(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0);
        EXPECT(fcntl(fd, 1033 /* F_ADD_SEALS */, 8 | 2 /* WRITE, SHRINK */) == 0);
        EXPECT(write(fd, "x", 1) == -1 && errno == EPERM);
        EXPECT(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0) == MAP_FAILED);
}

TEST(a_core_is_dumped)
{
        struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
        int fd = open("/proc/sys/kernel/core_pattern", O_WRONLY), status;
        uint8_t header[20] = {0};

        EXPECT(fd >= 0 && write(fd, "/tmp/core", 9) == 9);
        pid_t pid = fork();
        if (!pid) {
                setrlimit(RLIMIT_CORE, &limit);
                raise(SIGABRT);
        }
        EXPECT(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WCOREDUMP(status));
        fd = open("/tmp/core", O_RDONLY);
        EXPECT(fd >= 0 && read(fd, header, 20) == 20);
        EXPECT(memcmp(header, "\177ELF", 4) == 0 && header[16] == ET_CORE && header[18] == 183);
        unlink("/tmp/core");
}

TEST(swap_out_and_in)
{
        uint8_t *p = map(4 * MIB, RW);

        for (size_t i = 0; i < 4 * MIB; i += PAGE)
                *(uint64_t *)(p + i) = i ^ 0x5555;
        /* Without swap space this only ages the pages; they must be there in any case. */
        EXPECT(madvise(p, 4 * MIB, 21 /* MADV_PAGEOUT */) == 0);
        EXPECT(madvise(p, 4 * MIB, 20 /* MADV_COLD */) == 0);
        for (size_t i = 0; i < 4 * MIB; i += PAGE)
                EXPECT(*(uint64_t *)(p + i) == (i ^ 0x5555));
}

/* ---------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
        if (argc > 2 && !strcmp(argv[1], "--exit"))
                return atoi(argv[2]);
        return run_tests(argc > 1 ? argv[1] : NULL);
}
