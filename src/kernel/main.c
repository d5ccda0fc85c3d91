// SPDX-License-Identifier: MIT
/* main.c -- from a booted machine to the first program. */
#include "mmu.h"

static void cpu_init(unsigned id)
{
        struct cpu *cpu = &cpus[id];

        cpu->id = id;
        cpu->stack = kernel_stack_top(id);
        cpu_set_this(cpu);
        sched_init_cpu(cpu);
        __atomic_store_n(&cpu->online, true, __ATOMIC_RELEASE);
}

void kernel_main(void)
{
        cpu_init(0);
        kmem_init(boot.pool);
        asid_init();
        boot.online = boot_start_secondaries();
        root_task_start();
        printk("ouzel: kernel ready: %u of %u cores, %lu pages for its objects\n", boot.online,
               boot.n_cpus, (unsigned long)kmem_pages());
        exit_to_thread();
}

void kernel_main_secondary(unsigned id)
{
        cpu_init(id);
        exit_to_thread();
}
