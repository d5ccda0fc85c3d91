// SPDX-License-Identifier: MIT
/*
 * crash.c -- do something bad, and see what becomes of it. A thread's fault is a message to
 * whatever endpoint the thread was made with: here our own, so the shell is its pager. The
 * shell's own fault goes to the real one, which says so and starts it again.
 */
#include "shell.h"

#include <stdio.h>
#include <string.h>

enum kind { CRASH_WRITE, CRASH_READ, CRASH_CODE, CRASH_EXECUTE, CRASH_UNDEFINED, CRASH_PRIVILEGED,
            CRASH_BRK, CRASH_STACK };
static const struct { const char *name, *what; } kinds[] = {
        [CRASH_WRITE] = {"write", "write to where nothing is"},
        [CRASH_READ] = {"read", "read the kernel's memory"},
        [CRASH_CODE] = {"code", "write to its own code"},
        [CRASH_EXECUTE] = {"execute", "jump into its own data"},
        [CRASH_UNDEFINED] = {"undefined", "an instruction that is none"},
        [CRASH_PRIVILEGED] = {"privileged", "an instruction of the kernel's"},
        [CRASH_BRK] = {"brk", "a breakpoint"},
        [CRASH_STACK] = {"stack", "call with no stack"},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static uint64_t data[2] = {0xd65f03c0d65f03c0}; /* ret */
static _Alignas(16) char stack[4096];

static _Noreturn void crash(uint64_t kind)
{
        switch ((enum kind)kind) {
        case CRASH_WRITE:
                *(volatile uint64_t *)0xffff00dead000000 = 1;
                break;
        case CRASH_READ:
                (void)*(volatile uint64_t *)KERNEL_SLOT_VA;
                break;
        case CRASH_CODE:
                *(volatile uint32_t *)(uint64_t)crash = 0;
                break;
        case CRASH_EXECUTE:
                ((void (*)(void))(uint64_t)data)();
                break;
        case CRASH_UNDEFINED:
                __asm__ volatile("udf #0");
                break;
        case CRASH_PRIVILEGED:
                __asm__ volatile("msr vbar_el1, xzr");
                break;
        case CRASH_BRK:
                __asm__ volatile("brk #0");
                break;
        case CRASH_STACK:
                __asm__ volatile("mov sp, %0\n\tstr xzr, [sp, #-16]!" ::"r"(0ul) : "memory");
                break;
        }
        for (;;) /* it did not crash: that would be a bug of the kernel's */
                __asm__ volatile("svc %0" ::"i"(SYS_thread_yield)
                                 : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9",
                                   "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "cc",
                                   "memory");
}

/* Whatever the thread may touch is there: so every fault of it is the one that we want. */
static void touch(void)
{
        const volatile char *code = (const char *)(uint64_t)crash;

        (void)code[0];
        (void)code[1024];
        memset(stack, 0, sizeof(stack));
        data[1]++;
}

static void crash_thread(enum kind kind)
{
        struct message m = {0};
        struct ouzel_result t;

        if (failed("crash", CALL(endpoint_create, SLOT_CRASH_ENDPOINT, 0)))
                return;
        touch();
        t = RESULT_OF(thread_create, SLOT_CRASH_THREAD, SLOT_TASK, SLOT_CRASH_ENDPOINT, 1, 0);
        if (!failed("crash", (enum ouzel_error)t.error)) {
                printf("thread %lu: %s\n", t.v1, kinds[kind].what);
                fflush(stdout);
                if (!failed("crash", CALL(thread_start, SLOT_CRASH_THREAD, (uint64_t)crash,
                                          (uint64_t)stack + sizeof(stack), kind, 0)) &&
                    !failed("crash", ipc_recv(SLOT_CRASH_ENDPOINT, &m)))
                        printf("the kernel reports: %s of thread %lu, address %lx, pc %lx, esr "
                               "%lx\n", m.tag >> TAG_LABEL_SHIFT == LABEL_PAGE_FAULT
                               ? "page fault" : "exception", m.w[4], m.w[0], m.w[2], m.w[3]);
                CALL(cap_delete, SLOT_CRASH_THREAD);
                printf("the thread is gone, the shell goes on\n");
        }
        CALL(cap_delete, SLOT_CRASH_ENDPOINT);
}

void command_crash(int argc, char **argv)
{
        bool all = argc > 1 && !strcmp(argv[1], "shell");
        const char *name = argc > 1 + all ? argv[1 + all] : "write";

        for (unsigned i = 0; i < KINDS && argc <= 2 + all; i++) {
                if (strcmp(kinds[i].name, name))
                        continue;
                if (!all) {
                        crash_thread((enum kind)i);
                        return;
                }
                printf("the shell itself: %s\n", kinds[i].what);
                fflush(stdout);
                crash(i);
        }
        printf("crash [shell] KIND, where KIND is\n");
        for (unsigned i = 0; i < KINDS; i++)
                printf("    %-12s%s\n", kinds[i].name, kinds[i].what);
}
