/* SPDX-License-Identifier: MIT */
/*
 * machine.h -- a machine for the kernel to run on in a host test: memory, up to eight cores
 * that take turns, a clock that moves when told to. All of src/kernel is the real one but
 * main.c (and string.c: the host has its own); src/arch is what machine.c stands in for.
 *
 * Programs are not executed: a test makes the calls of whatever thread is current on a core.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include "unit.h"

#include "mmu.h"
#include "sys.h"

extern uint64_t machine_time;        /* what timer_now() says */
extern unsigned machine_flushes;     /* of the whole TLB */
extern unsigned machine_asid_flushes; /* of a pair of ASIDs */
extern uint32_t machine_flushed_asid; /* the last of them */
extern uint64_t machine_ttbr1[MAX_CPUS];
extern bool machine_quiet; /* printk says nothing */

/* A fresh machine, with a root task that owns all memory but the kernel's. */
void machine_start(unsigned cores);
/* The kernel's own check finds nothing, and no interrupt is on its way. */
void machine_expect_sound(void);
/* Memory of the root task, for the test to use. */
paddr_t machine_page(void);

/* Let a core leave the kernel: who runs there now, or NULL if it is idle. */
struct thread *machine_schedule(unsigned core);
/* All cores, until no interrupt is on its way. */
void machine_settle(void);
/* What a current thread's system call leads to: x0 and x1. Arguments beyond are x2.. */
struct result machine_call(struct thread *t, enum ouzel_syscall nr, uint64_t a, uint64_t b,
                           uint64_t c, uint64_t d, uint64_t e);
#define SYSTEM_CALL_(t, name, a, b, c, d, e, ...) machine_call(t, SYS_##name, a, b, c, d, e)
#define SYSTEM_CALL(t, ...) SYSTEM_CALL_(t, __VA_ARGS__, 0, 0, 0, 0, 0, 0)

/* A task of the root's, and a thread that waits to be run. They can't fail. */
struct task *machine_task(uint64_t quota);
struct thread *machine_thread(struct task *task, unsigned prio, unsigned core);

#endif
