// SPDX-License-Identifier: MIT
/* machine.c -- see machine.h. */
#include "machine.h"

#include "fpu.h"
#include "gic.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define POOL_SIZE (16ul << 20)
#define KERNEL_SIZE (2ul << 20)

struct cpu *machine_cpu;
char *machine_ram;
uint64_t machine_time;
unsigned machine_flushes, machine_asid_flushes;
uint32_t machine_flushed_asid;
uint64_t machine_ttbr1[MAX_CPUS];
bool machine_quiet;

static bool interrupt[MAX_CPUS]; /* sent, and not taken yet */
static jmp_buf idle;
static paddr_t next_page;

/* ---- what src/arch would supply ------------------------------------------------------------- */

struct boot_info boot;
paddr_t kernel_l0_pa, empty_l0_pa;
uint64_t kernel_l0_entry;
unsigned asid_bits = 16;

void printk(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        if (!machine_quiet)
                vprintf(format, args);
        va_end(args);
}

/* A test may expect it: cmocka's expect_assert_failure. */
void panic(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vprintf(format, args);
        va_end(args);
        printf("\n");
        mock_assert(0, "panic", __FILE__, __LINE__);
        abort();
}

const char *esr_text(uint64_t esr, char *buf, size_t size)
{
        snprintf(buf, size, "esr %lx", esr);
        return buf;
}

void console_putc(char) {}
int console_getc(void) { return -1; }
void system_off(void) { panic("system_off"); }
void system_reset(void) { panic("system_reset"); }
void abandon(void) { panic("abandon"); }

uint64_t timer_now(void) { return machine_time; }
uint64_t timer_hz(void) { return 1000000; }
void timer_set(uint64_t) {}

unsigned irqchip_ack(void) { return IRQ_NONE; }
void irqchip_drop(unsigned) {}
void irqchip_deactivate(unsigned) {}
unsigned irqchip_enable(unsigned, unsigned cpu, bool) { return cpu; }
void irqchip_disable(unsigned) {}
void irqchip_send_ipi(unsigned cpu) { interrupt[cpu] = true; }
bool irqchip_valid(unsigned irq) { return irq >= 32 && irq < 288; }

void tlb_finish(struct tlb_batch *tlb)
{
        tlb->n = 0;
        tlb->all = tlb->added = false;
}
void tlb_flush_page(vaddr_t) {}
void tlb_flush_all(void) { machine_flushes++; }
void tlb_flush_asids(uint32_t asid)
{
        machine_asid_flushes++;
        machine_flushed_asid = asid;
}
void pte_replace(pte_t *p, pte_t new, vaddr_t va, struct tlb_batch *tlb)
{
        tlb_add(tlb, va);
        *p = new;
}
uint64_t cpu_ttbr1(void) { return machine_ttbr1[machine_cpu->id]; }
void cpu_set_ttbr1(uint64_t ttbr1) { machine_ttbr1[machine_cpu->id] = ttbr1; }
void mmu_switch(uint64_t, uint64_t ttbr1) { cpu_set_ttbr1(ttbr1); }
void mmu_leave(void) { cpu_set_ttbr1(kernel_l0_pa); }
bool mmu_drop(paddr_t root)
{
        bool has = (cpu_ttbr1() & PTE_ADDRESS) == root;

        if (has)
                mmu_leave();
        return has;
}
unsigned mmu_asid(void) { return (unsigned)(machine_ttbr1[machine_cpu->id] >> 48); }
void cache_sync_code(const void *, uint64_t) {}

void fp_save(uint8_t *, uint64_t *, uint64_t *) {}
void fp_load(const uint8_t *, const uint64_t *, const uint64_t *) {}
void fp_allow(bool) {}
bool mrs_emulate(struct thread *, uint64_t) { return false; }
uint64_t cpu_esr(void) { return 0; }
uint64_t cpu_far(void) { return 0; }

/* ---- turns ------------------------------------------------------------------------------------ */

/* A core that is not in the kernel takes its interrupt, as exception_irq() would let it. */
static void take_interrupt(unsigned core)
{
        struct cpu *self = machine_cpu;

        interrupt[core] = false;
        machine_cpu = &cpus[core];
        cross_poll();
        inbox_run();
        machine_cpu = self;
}

void cpu_relax(void)
{
        for (unsigned i = 0; i < MAX_CPUS; i++)
                if (interrupt[i] && &cpus[i] != machine_cpu)
                        take_interrupt(i);
}

void cpu_wait(void)
{
        longjmp(idle, 1);
}

struct thread *machine_schedule(unsigned core)
{
        if (interrupt[core])
                take_interrupt(core);
        machine_cpu = &cpus[core];
        timers_run(machine_cpu); /* as the timer's interrupt would */
        return setjmp(idle) ? NULL : schedule().thread;
}

void machine_settle(void)
{
        bool again;

        do {
                again = false;
                for (unsigned i = 0; i < MAX_CPUS; i++) {
                        if (!cpus[i].online)
                                continue;
                        again |= interrupt[i];
                        machine_schedule(i);
                }
        } while (again);
}

struct result machine_call(struct thread *t, enum ouzel_syscall nr, uint64_t a, uint64_t b,
                           uint64_t c, uint64_t d, uint64_t e)
{
#define PLAIN_FUNCTION(name)  .plain = sys_##name
#define FAST_FUNCTION(name)   .of_thread = sys_##name
#define SWITCH_FUNCTION(name) .of_thread = sys_##name
        static const struct {
                struct result (*plain)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
                void (*of_thread)(struct thread *);
        } table[] = {
#define SYSCALL(number, name, kind, nargs, what) [number] = {kind##_FUNCTION(name)},
#include <ouzel/syscalls.def>
#undef SYSCALL
        };
        struct result r;

        machine_cpu = t->cpu;
        assert_ptr_equal(current(), t);
        assert_int_equal(t->state, STATE_running);
        if (table[nr].plain) {
                r = table[nr].plain(a, b, c, d, e);
                t->regs.x[0] = r.error;
                t->regs.x[1] = r.value;
        } else {
                uint64_t arguments[] = {a, b, c, d, e};
                memcpy(t->regs.x, arguments, sizeof(arguments));
                table[nr].of_thread(t);
                r = RESULT(t->regs.x[0], t->regs.x[1]);
        }
        return r;
}

/* ---- a fresh machine ---------------------------------------------------------------------------- */

static void install(struct task *task, uint64_t slot, struct object *object, unsigned type)
{
        struct cap *cap;

        assert_int_equal(cap_reserve(task, slot, &cap), E_OK);
        cap_install(cap, object, type, RIGHT_ALL, 0);
}

void machine_start(unsigned cores)
{
        static struct object control;
        paddr_t end = MACHINE_RAM + MACHINE_RAM_SIZE;
        enum ouzel_error error;

        if (machine_ram)
                munmap(machine_ram, MACHINE_RAM_SIZE);
        machine_ram = mmap(NULL, MACHINE_RAM_SIZE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(machine_ram != MAP_FAILED);
        boot = (struct boot_info){
                .ram = {{MACHINE_RAM, end}}, .n_ram = 1,
                .kernel = {MACHINE_RAM, MACHINE_RAM + KERNEL_SIZE},
                .pool = {end - POOL_SIZE, end}, .n_cpus = cores, .online = cores,
        };
        kernel_l0_pa = MACHINE_RAM;
        empty_l0_pa = MACHINE_RAM + PAGE_SIZE;
        kernel_l0_entry = (MACHINE_RAM + 2 * PAGE_SIZE) | PTE_TABLE | PTE_VALID;
        memset(cpus, 0, sizeof(cpus));
        memset(tasks, 0, sizeof(tasks));
        memset(interrupt, 0, sizeof(interrupt));
        memset(machine_ttbr1, 0, sizeof(machine_ttbr1));
        all_spaces = NULL;
        machine_time = 1000;
        machine_flushes = machine_asid_flushes = 0;
        machine_quiet = false;
        for (unsigned i = 0; i < cores; i++) {
                machine_cpu = &cpus[i];
                cpus[i].id = i;
                sched_init_cpu(&cpus[i]);
                cpus[i].online = true;
        }
        machine_cpu = &cpus[0];
        kmem_init(boot.pool);
        asid_init();
        root_task = task_new(NULL, kmem_pages(), &error);
        assert_non_null(root_task);
        assert_true(region_add(&root_task->regions,
                               (struct region){boot.kernel.end, boot.pool.start,
                                               ACCESS_ALL | REGION_WX, REGION_ORIGINAL, 0}));
        assert_true(region_add(&root_task->regions,
                               (struct region){0, MACHINE_RAM,
                                               ACCESS_READ | ACCESS_WRITE | REGION_DEVICE,
                                               REGION_ORIGINAL, 0}));
        next_page = boot.kernel.end;
        install(root_task, SLOT_TASK, &root_task->object, CAP_TASK);
        install(root_task, SLOT_SPACE, &root_task->space->object, CAP_SPACE);
        install(root_task, SLOT_CONTROL, &control, CAP_CONTROL);
}

void machine_expect_sound(void)
{
        machine_settle();
        big_lock();
        uint64_t broken = kernel_check(true);
        big_unlock();
        assert_int_equal(broken, 0);
}

paddr_t machine_page(void)
{
        paddr_t pa = next_page;

        next_page += PAGE_SIZE;
        assert_true(next_page <= boot.pool.start);
        return pa;
}

struct task *machine_task(uint64_t quota)
{
        enum ouzel_error error;
        struct task *task = task_new(root_task, quota, &error);

        assert_non_null(task);
        install(task, SLOT_TASK, &task->object, CAP_TASK);
        install(task, SLOT_SPACE, &task->space->object, CAP_SPACE);
        return task;
}

struct thread *machine_thread(struct task *task, unsigned prio, unsigned core)
{
        enum ouzel_error error;
        struct thread *t = thread_new(task, task, NULL, 0, prio, &cpus[core], 0, &error);

        assert_non_null(t);
        return t;
}
