// SPDX-License-Identifier: MIT
/* machine.c -- counters, facts, invariants, and the end. */
#include "shell.h"

#include <stdio.h>
#include <string.h>

static const struct { const char *name, *what; } counters[] = {
#define OUZEL_C(name, what) {#name, what},
        OUZEL_COUNTERS(OUZEL_C)
#undef OUZEL_C
};

static void counter_show(unsigned which)
{
        printf("%-10s", counters[which].name);
        for (unsigned core = 0; core < cores(); core++)
                printf("%10lu", RESULT_OF(counters_read, core, which).v1);
        printf("  %s\n", counters[which].what);
}

void command_counters(int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                unsigned k = 0;
                while (k < COUNT_MAX && strcmp(counters[k].name, argv[i]))
                        k++;
                if (k == COUNT_MAX) {
                        printf("there is no counter `%s`; `counters` shows all\n", argv[i]);
                        return;
                }
        }
        printf("%-10s", "core");
        for (unsigned core = 0; core < cores(); core++)
                printf("%10u", core);
        printf("\n");
        for (unsigned k = 0; k < COUNT_MAX; k++) {
                bool wanted = argc == 1;
                for (int i = 1; i < argc; i++)
                        wanted |= !strcmp(counters[k].name, argv[i]);
                if (wanted)
                        counter_show(k);
        }
}

static struct ouzel_result fact(enum ouzel_info what)
{
        return RESULT_OF(kernel_info, SLOT_CONTROL, what);
}

static void file_show(const char *name, enum ouzel_info what)
{
        struct ouzel_result r = fact(what);

        if (r.v2)
                printf("%-15s %lu KiB at %lx\n", name, r.v2 >> 10, r.v1);
        else
                printf("%-15s none\n", name);
}

void command_info(int argc, char **argv)
{
        struct ouzel_result console = fact(INFO_CONSOLE), gic = fact(INFO_GIC),
                            pool = fact(INFO_KERNEL_MEMORY);
        uint64_t hz = timer_hz(), t = now();

        (void)argc, (void)argv;
        printf("ABI             version %lu\n", fact(INFO_VERSION).v1);
        printf("cores           %u\n", cores());
        printf("timer           %lu kHz; running for %lu.%02lu s\n", hz / 1000, t / hz,
               t % hz * 100 / hz);
        printf("interrupts      GICv%lu, %lu lines\n", gic.v1, gic.v2);
        printf("console         %s at %lx, interrupt %lu\n",
               console.v3 == 1 ? "PL011" : console.v3 == 2 ? "mini-UART" : "none", console.v1,
               console.v2);
        printf("kernel objects  %lu pages, %lu free\n", pool.v1, pool.v2);
        file_show("device tree", INFO_FDT);
        file_show("boot archive", INFO_ARCHIVE);
        file_show("RAM disk", INFO_INITRD);
}

void command_check(int argc, char **argv)
{
        struct ouzel_result r = RESULT_OF(kernel_check, SLOT_CONTROL);

        (void)argc, (void)argv;
        if (r.error == E_DIFFERS)
                printf("%lu invariants of the kernel are broken: see above\n", r.v1);
        else if (!failed("check", (enum ouzel_error)r.error))
                printf("every invariant of the kernel holds\n");
}

void command_poweroff(int argc, char **argv)
{
        (void)argc, (void)argv;
        fflush(stdout);
        failed("poweroff", CALL(system_control, SLOT_CONTROL, SYSTEM_OFF));
}

void command_reboot(int argc, char **argv)
{
        (void)argc, (void)argv;
        fflush(stdout);
        failed("reboot", CALL(system_control, SLOT_CONTROL, SYSTEM_RESET));
}
