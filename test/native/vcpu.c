// SPDX-License-Identifier: MIT
/* vcpu.c -- the second mode: a server of fifty instructions (vcpu_asm.S), and its programs. */
#include "test.h"

#include <setjmp.h>

#define RW (ACCESS_READ | ACCESS_WRITE)
#define RX (ACCESS_READ | ACCESS_EXEC)
#define CODE_VA 0x10000ul  /* of a program */
#define DATA_VA 0x400000ul
#define EC(esr) ((unsigned)((esr) >> 26))
enum { EC_SVC = 0x15, EC_MSR = 0x18, EC_FETCH = 0x20, EC_FETCH_SAME = 0x21, EC_DATA = 0x24,
       EC_DATA_SAME = 0x25, EC_STEP = 0x32, EC_BRK = 0x3c };
#define EL1H 5
#define PSTATE_I (1ul << 7)
#define PSTATE_SS (1ul << 21)
#define NO_DEADLINE UINT64_MAX

uint64_t vcpu_run(uint64_t x[31], struct vcpu_block *block); /* vcpu_asm.S */
void vcpu_spin_unmasked(const uint32_t *until, struct vcpu_block *block);
extern const char vcpu_vectors[], user_code[], user_code_end[];
extern const uint32_t u_svc[], u_brk[], u_read[], u_write[], u_loop[], u_steps[], u_fp[],
        u_forbidden[], u_forbidden_end[], u_allowed[];
#define PROGRAM(label) (CODE_VA + (uint64_t)((const char *)(label) - user_code))

/* One vCPU and its program. */
struct vcpu {
        struct worker *worker;
        struct vcpu_block *block;
        uint64_t block_pa, data_pa; /* the program's page at DATA_VA */
        unsigned space, endpoint;   /* of its faults */
        uint64_t x[31];
        void (*server)(struct vcpu *v);
        const void *vectors;
};
static struct vcpu vcpus[2];

static void server_main(uint64_t vcpu)
{
        struct vcpu *v = (struct vcpu *)vcpu;

        EXPECT_OK(CALL(vcpu_enable, v->worker->own_slot, v->block, v->vectors));
        v->block->deadline = NO_DEADLINE;
        EXPECT_OK(CALL(vcpu_set_space, v->space));
        v->server(v);
}

static unsigned process_new(uint64_t data_pa)
{
        static const char *const code = user_code;
        unsigned space = slot_new();
        uint64_t code_pa = frames_new(1);

        code_put(code_pa, (const uint32_t *)(const void *)code,
                 (unsigned)(user_code_end - user_code) / 4);
        EXPECT_OK(CALL(space_create, space, 0));
        EXPECT_OK(CALL(space_update, space, CODE_VA, code_pa, RX, 1));
        EXPECT_OK(CALL(space_update, space, DATA_VA, data_pa, RW, 1));
        return space;
}

static struct vcpu *vcpu_make(unsigned n, void (*server)(struct vcpu *v), unsigned core)
{
        struct vcpu *v = &vcpus[n];

        *v = (struct vcpu){.server = server, .vectors = vcpu_vectors};
        v->block_pa = frames_new(1);
        v->block = frame_va(v->block_pa);
        v->data_pa = frames_new(1);
        v->space = process_new(v->data_pa);
        v->endpoint = endpoint_new(0);
        v->worker = worker_make(server_main, v, .core = core, .buffer = v->block_pa,
                                .fault_endpoint = v->endpoint);
        return v;
}

static struct vcpu *vcpu_start(void (*server)(struct vcpu *v))
{
        struct vcpu *v = vcpu_make(0, server, 0);

        worker_restart(v->worker);
        return v;
}

static void vcpu_test(void (*server)(struct vcpu *v))
{
        worker_join(vcpu_start(server)->worker);
}

/* Run the program from an address until something happens; returns the vector. */
static uint64_t run_from(struct vcpu *v, uint64_t pc)
{
        v->block->elr = pc;
        v->block->spsr = 0;
        return vcpu_run(v->x, v->block);
}

/* ... which must be an exception of this class. */
static void run_expect(struct vcpu *v, uint64_t pc, unsigned ec)
{
        EXPECT_EQ(run_from(v, pc), 0x400);
        EXPECT_EQ(EC(v->block->esr), ec);
}

/* Exceptions in server mode; by the test's own rules. */
struct server_frame { uint64_t x[18], x29, x30, elr, spsr, esr, far, x18, unused; };
void server_exception(uint64_t offset, struct server_frame *frame);
static struct { uint32_t n; uint64_t offset, elr, spsr, esr, far; } seen;
static struct vcpu *leaves_handler; /* for a program, and goes on there */
static jmp_buf outside;

void server_exception(uint64_t offset, struct server_frame *frame)
{
        if (leaves_handler) {
                run_expect(leaves_handler, PROGRAM(u_svc), EC_SVC);
                longjmp(outside, 1);
        }
        seen.offset = offset;
        seen.elr = frame->elr;
        seen.spsr = frame->spsr;
        seen.esr = frame->esr;
        seen.far = frame->far;
        if (offset == 0x200)
                frame->elr += 4; /* what faulted is skipped */
        __atomic_fetch_add(&seen.n, 1, __ATOMIC_RELEASE);
}

/* ---- entry and return -------------------------------------------------------------------------- */

static void svc_and_brk(struct vcpu *v)
{
        run_expect(v, PROGRAM(u_svc), EC_SVC);
        EXPECT_EQ(v->block->esr & 0xffff, 0x123);
        EXPECT_EQ(v->block->elr, PROGRAM(u_svc) + 4);
        EXPECT_EQ(v->block->spsr & 0x1f, 0);
        EXPECT_EQ(v->block->masked, 1);
        run_expect(v, PROGRAM(u_svc) + 4, EC_SVC); /* svc #0, vcpu_return's own number */
        EXPECT_EQ(v->block->esr & 0xffff, 0);
        run_expect(v, PROGRAM(u_brk), EC_BRK);
        EXPECT_EQ(v->block->elr, PROGRAM(u_brk));
}

TEST(vcpu_return_runs_a_program_until_its_exception)
{
        vcpu_test(svc_and_brk);
}

/* The kernel's own numbers, and of the others one in 13. */
static void every_immediate(struct vcpu *v)
{
        for (unsigned i = 0; i < 65536 && !failed(); i += i < 128 ? 1 : 13) {
                run_expect(v, DATA_VA + 0x100000 + 4ul * i, EC_SVC);
                EXPECT_EQ(v->block->esr & 0xffff, i);
                EXPECT_EQ(v->block->elr, DATA_VA + 0x100000 + 4ul * i + 4);
        }
}

TEST(vcpu_program_can_not_call_the_kernel_with_any_immediate)
{
        uint64_t code = frames_new(64);
        struct vcpu *v = vcpu_make(0, every_immediate, 0);
        uint32_t *to = frame_va(code);

        for (uint32_t i = 0; i < 65536; i++)
                to[i] = 0xd4000001 | i << 5; /* svc #i */
        __builtin___clear_cache((char *)to, (char *)(to + 65536));
        EXPECT_OK(CALL(space_update, v->space, DATA_VA + 0x100000, code, RX, 64));
        worker_restart(v->worker);
        worker_join(v->worker);
}

static void registers(struct vcpu *v)
{
        struct random random = {.state = 7};
        uint64_t x[31], sp, tpidr;

        for (unsigned round = 0; round < 200 && !failed(); round++) {
                for (unsigned i = 0; i < 31; i++)
                        v->x[i] = x[i] = random_next(&random);
                v->block->x18 = x[18];
                v->block->sp = sp = random_next(&random) & ~15ul;
                v->block->elr = PROGRAM(u_svc);
                v->block->spsr = (random_next(&random) & 15) << 28;
                uint64_t flags = v->block->spsr;
                tpidr = random_next(&random);
                __asm__ volatile("msr tpidr_el0, %0" ::"r"(tpidr));
                EXPECT_EQ(vcpu_run(v->x, v->block), 0x400);
                EXPECT_EQ(EC(v->block->esr), EC_SVC);
                for (unsigned i = 0; i < 31; i++)
                        EXPECT_EQ(v->x[i], x[i]);
                EXPECT_EQ(v->block->sp, sp);
                EXPECT_EQ(v->block->spsr, flags);
                __asm__ volatile("mrs %0, tpidr_el0" : "=r"(sp));
                EXPECT_EQ(sp, tpidr);
        }
}

TEST(vcpu_entry_and_return_keep_every_register)
{
        vcpu_test(registers);
}

TEST(vcpu_registers_are_kept_on_the_slow_paths_too)
{
        CALL(trace_control, SLOT_CONTROL, 1ul << 63);
        vcpu_test(registers);
        CALL(trace_control, SLOT_CONTROL, 1ul << TRACE_vcpu);
        vcpu_test(registers);
}

static void state_bits(struct vcpu *v)
{
        /* Interrupt masks, EL, anything else that a program may not have, is not taken. */
        v->block->elr = PROGRAM(u_svc);
        v->block->spsr = 0xf0000000 | 0x3c0;
        EXPECT_EQ(vcpu_run(v->x, v->block), 0x400);
        EXPECT_EQ(v->block->spsr, 0xf0000000);
}

TEST(vcpu_return_takes_flags_only_from_spsr)
{
        vcpu_test(state_bits);
}

static void fp(struct vcpu *v)
{
        double a = 1.5, b;

        for (unsigned i = 0; i < 20; i++) {
                __asm__ volatile("fmov d0, %x0\n\tfmov d1, %x0" ::"r"(a) : "v0", "v1");
                run_expect(v, PROGRAM(u_fp), EC_SVC);
                __asm__ volatile("fmov %x0, d31" : "=r"(b)::"v31");
                EXPECT(b == 3.0);
        }
}

TEST(vcpu_fp_registers_belong_to_both_modes)
{
        vcpu_test(fp);
}

/* ---- what a program may do ---------------------------------------------------------------------- */

static void user_faults(struct vcpu *v)
{
        uint64_t *data = frame_va(v->data_pa);

        *data = 99;
        v->x[1] = DATA_VA;
        run_expect(v, PROGRAM(u_read), EC_SVC);
        EXPECT_EQ(v->x[0], 99);
        v->x[0] = 5;
        run_expect(v, PROGRAM(u_write), EC_SVC);
        EXPECT_EQ(*data, 5);
        v->x[1] = DATA_VA + 4096; /* not there */
        run_expect(v, PROGRAM(u_read), EC_DATA);
        EXPECT_EQ(v->block->far, DATA_VA + 4096);
        EXPECT_EQ(v->block->elr, PROGRAM(u_read));
        /* The server maps it, and the program goes on as if nothing had been. */
        EXPECT_OK(CALL(space_update, v->space, DATA_VA + 4096, v->data_pa, ACCESS_READ, 1));
        run_expect(v, v->block->elr, EC_SVC);
        EXPECT_EQ(v->x[0], 5);
        run_expect(v, PROGRAM(u_write), EC_DATA); /* but it may not write */
        EXPECT(v->block->esr & 1 << 6);
        run_expect(v, DATA_VA, EC_FETCH);
        EXPECT_EQ(v->block->elr, DATA_VA);
        run_expect(v, 0, EC_FETCH);
        run_expect(v, PROGRAM(u_svc) + 2, 0x22); /* pc not aligned */
}

TEST(vcpu_user_faults_are_the_servers)
{
        vcpu_test(user_faults);
}

static void out_of_reach(struct vcpu *v)
{
        const uint64_t bad[] = {(uint64_t)v->block, (uint64_t)vcpu_vectors, (uint64_t)v,
                                KERNEL_SLOT_VA, KERNEL_SLOT_VA + block_pa, KERNEL_SLOT_END - 8,
                                0xffff7fc000000000, TASK_VA_START, 0ul - 8, WINDOW_VA};

        /* Once through the server itself, so that its translations are in the TLB. */
        (void)*(volatile uint64_t *)v->block;
        for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                v->x[1] = bad[i];
                run_expect(v, PROGRAM(u_read), EC_DATA);
                EXPECT_EQ(v->block->far, bad[i]);
                run_expect(v, PROGRAM(u_write), EC_DATA);
                run_expect(v, bad[i] & ~3ul, EC_FETCH);
        }
        v->x[1] = 1ul << 52; /* not an address at all */
        run_expect(v, PROGRAM(u_read), EC_DATA);
}

TEST(vcpu_program_reaches_neither_the_server_nor_the_kernel)
{
        vcpu_test(out_of_reach);
}

static void forbidden(struct vcpu *v)
{
        for (const uint32_t *p = u_forbidden; p < u_forbidden_end; p++) {
                v->x[0] = 0x5a;
                v->x[1] = DATA_VA;
                EXPECT_EQ(run_from(v, PROGRAM(p)), 0x400);
                if (v->block->elr != PROGRAM(p))
                        fail(__FILE__, __LINE__, "an instruction was executed", *p, 0, false);
                EXPECT(EC(v->block->esr) == EC_MSR || EC(v->block->esr) == 0);
                EXPECT_EQ(v->x[0], 0x5a); /* it has read nothing */
        }
}

TEST(vcpu_program_can_not_touch_timers_or_anything_privileged)
{
        vcpu_test(forbidden);
}

static void allowed(struct vcpu *v)
{
        v->x[1] = DATA_VA;
        v->x[0] = 0x77;
        memset(frame_va(v->data_pa), 0xff, 64);
        run_expect(v, PROGRAM(u_allowed), EC_SVC);
        EXPECT_EQ(v->x[5], 0x77);
        EXPECT_EQ(v->x[2], hz);
        EXPECT_EQ(v->x[6], 0);
        EXPECT_EQ(*(uint64_t *)frame_va(v->data_pa), 0); /* dc zva */
}

TEST(vcpu_program_may_do_what_costs_nothing)
{
        vcpu_test(allowed);
}

static void steps(struct vcpu *v)
{
        v->x[0] = 0;
        for (unsigned i = 1; i <= 2; i++) {
                v->block->elr = PROGRAM(u_steps) + 4ul * (i - 1);
                v->block->spsr = PSTATE_SS;
                EXPECT_EQ(vcpu_run(v->x, v->block), 0x400);
                EXPECT_EQ(EC(v->block->esr), EC_STEP);
                EXPECT_EQ(v->x[0], i);
                EXPECT_EQ(v->block->elr, PROGRAM(u_steps) + 4ul * i);
        }
        run_expect(v, v->block->elr, EC_SVC); /* and no step any more */
}

TEST(vcpu_single_step)
{
        vcpu_test(steps);
}

/* ---- spaces of programs ------------------------------------------------------------------------- */

static unsigned other_space;

static void two_spaces(struct vcpu *v)
{
        for (unsigned i = 0; i < 50; i++) {
                EXPECT_OK(CALL(vcpu_set_space, i & 1 ? other_space : v->space));
                v->x[1] = DATA_VA;
                run_expect(v, PROGRAM(u_read), EC_SVC);
                EXPECT_EQ(v->x[0], i & 1 ? 222 : 111);
                /* The server sees the same one. */
                EXPECT_EQ(*(volatile uint64_t *)DATA_VA, i & 1 ? 222 : 111);
        }
        EXPECT_OK(CALL(vcpu_set_space, 0));
        run_expect(v, PROGRAM(u_svc), EC_FETCH);
        EXPECT_OK(CALL(vcpu_set_space, v->space));
        run_expect(v, PROGRAM(u_svc), EC_SVC);
}

TEST(vcpu_set_space_switches_programs)
{
        struct vcpu *v = vcpu_make(0, two_spaces, 0);
        uint64_t pa = frames_new(1);

        other_space = process_new(pa);
        *(uint64_t *)frame_va(v->data_pa) = 111;
        *(uint64_t *)frame_va(pa) = 222;
        worker_restart(v->worker);
        worker_join(v->worker);
}

static unsigned weak_space;

static void set_space_refusals(struct vcpu *v)
{
        EXPECT_E(CALL(vcpu_set_space, SLOT_NEVER), E_CAP);
        EXPECT_E(CALL(vcpu_set_space, SLOT_TASK), E_CAP);
        EXPECT_E(CALL(vcpu_set_space, SLOT_SPACE), E_CAP); /* a task's own */
        EXPECT_E(CALL(vcpu_set_space, weak_space), E_RIGHTS);
        run_expect(v, PROGRAM(u_svc), EC_SVC); /* it still has the one it had */
}

TEST(vcpu_set_space_refuses)
{
        struct vcpu *v = vcpu_make(0, set_space_refusals, 0);

        weak_space = slot_new();
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak_space, v->space, 0));
        worker_restart(v->worker);
        worker_join(v->worker);
}

static uint32_t go_on, reached;

static void loses_its_space(struct vcpu *v)
{
        run_expect(v, PROGRAM(u_svc), EC_SVC);
        __atomic_store_n(&reached, 1, __ATOMIC_RELEASE);
        while (!__atomic_load_n(&go_on, __ATOMIC_ACQUIRE))
                ;
        run_expect(v, PROGRAM(u_svc), EC_FETCH);
}

TEST(vcpu_whose_space_is_deleted_has_an_empty_one)
{
        for (unsigned core = 0; core < (cores > 1 ? 2 : 1); core++) {
                struct vcpu *v = vcpu_make(0, loses_its_space, core);
                go_on = reached = 0;
                worker_restart(v->worker);
                wait_until(&reached, 1);
                EXPECT_OK(CALL(cap_delete, v->space));
                __atomic_store_n(&go_on, 1, __ATOMIC_RELEASE);
                worker_join(v->worker);
        }
}

/* ---- interrupts ------------------------------------------------------------------------------------ */

static uint32_t asks; /* how often it asked for a signal; at last, all ones */

/* Again, if the signal came before its first instruction: the host may be busy. */
static void user_interrupt(struct vcpu *v)
{
        v->x[0] = 0;
        for (uint32_t i = 1; i < 1000 && !v->x[0]; i++) {
                v->block->sp = 0x7770;
                v->block->ipis = 0;
                __atomic_store_n(&asks, i, __ATOMIC_RELEASE);
                EXPECT_EQ(run_from(v, PROGRAM(u_loop)), 0x480);
                EXPECT(v->block->elr == PROGRAM(u_loop) || v->block->elr == PROGRAM(u_loop) + 4);
                EXPECT_EQ(v->block->sp, 0x7770);
                EXPECT_EQ(v->block->ipis, 5);
                EXPECT_EQ(v->block->pending, 0);
                EXPECT_EQ(v->block->masked, 1);
        }
        EXPECT(v->x[0] > 0);
        __atomic_store_n(&asks, UINT32_MAX, __ATOMIC_RELEASE);
}

TEST(vcpu_signal_interrupts_a_program)
{
        for (unsigned core = 0; core < (cores > 1 ? 2 : 1); core++) {
                struct vcpu *v = vcpu_make(0, user_interrupt, core);
                asks = 0;
                worker_restart(v->worker);
                for (uint32_t n = 1; wait_until(&asks, n) && asks != UINT32_MAX; n++) {
                        sleep_us(3000);
                        EXPECT_OK(CALL(vcpu_signal, v->worker->slot, 5));
                }
                worker_join(v->worker);
        }
}

static uint32_t phase;

static void masked(struct vcpu *v)
{
        seen.n = 0;
        __atomic_store_n(&phase, 1, __ATOMIC_RELEASE);
        while (!*(volatile uint8_t *)&v->block->pending) /* masked: it is told, and goes on */
                ;
        EXPECT_EQ(v->block->ipis, 1);
        EXPECT_EQ(seen.n, 0);
        EXPECT_OK(CALL(vcpu_poll, 0)); /* still masked */
        EXPECT_EQ(seen.n, 0);
        v->block->masked = 0; /* unmask: one store, one look */
        EXPECT_OK(CALL(vcpu_poll, 0));
        EXPECT_EQ(seen.n, 1);
        EXPECT_EQ(seen.offset, 0x280);
        EXPECT_EQ(seen.spsr & 0x1f, EL1H);
        EXPECT_EQ(seen.spsr & PSTATE_I, 0);
        EXPECT_EQ(v->block->masked, 0); /* as before */
        EXPECT_EQ(v->block->pending, 0);
        v->block->masked = 1;
}

TEST(vcpu_masked_interrupt_waits_for_poll)
{
        phase = 0;
        struct vcpu *v = vcpu_start(masked);
        wait_until(&phase, 1);
        EXPECT_OK(CALL(vcpu_signal, v->worker->slot, 1));
        worker_join(v->worker);
}

static void unmasked(struct vcpu *v)
{
        seen.n = 0;
        __atomic_store_n(&phase, 1, __ATOMIC_RELEASE);
        vcpu_spin_unmasked(&seen.n, v->block);
        EXPECT_EQ(seen.offset, 0x280);
        EXPECT_EQ(v->block->ipis, 2);
}

TEST(vcpu_interrupt_in_server_mode)
{
        for (unsigned core = 0; core < (cores > 1 ? 2 : 1); core++) {
                struct vcpu *v = vcpu_make(0, unmasked, core);
                phase = 0;
                worker_restart(v->worker);
                wait_until(&phase, 1);
                EXPECT_OK(CALL(vcpu_signal, v->worker->slot, 2));
                worker_join(v->worker);
        }
}

static void pending_at_return(struct vcpu *v)
{
        EXPECT_OK(CALL(vcpu_signal, v->worker->own_slot, 8)); /* to itself, masked */
        EXPECT_EQ(v->block->pending, 1);
        v->x[0] = 0x33;
        EXPECT_EQ(run_from(v, PROGRAM(u_svc)), 0x480);
        EXPECT_EQ(v->block->elr, PROGRAM(u_svc)); /* before its first instruction */
        EXPECT_EQ(v->x[0], 0x33);
        EXPECT_EQ(v->block->pending, 0);
}

TEST(vcpu_return_delivers_what_is_pending_first)
{
        vcpu_test(pending_at_return);
}

static void waits(struct vcpu *v)
{
        EXPECT_OK(CALL(vcpu_wait, 0));
        EXPECT_EQ(v->block->ipis, 4);
        EXPECT_EQ(v->block->pending, 1); /* masked: not delivered */
        EXPECT_OK(CALL(vcpu_wait, 0));   /* does not wait again before it is */
}

TEST(vcpu_wait_ends_with_a_signal)
{
        struct vcpu *v = vcpu_start(waits);

        wait_state(v->worker->slot, STATE_vcpu_waiting);
        sleep_us(1000);
        EXPECT_EQ(state_of(v->worker->slot), STATE_vcpu_waiting);
        EXPECT_OK(CALL(vcpu_signal, v->worker->slot, 4));
        worker_join(v->worker);
}

static void deadline(struct vcpu *v)
{
        uint64_t start = now();

        v->block->deadline = start + hz / 4; /* far away, as the host may be busy */
        EXPECT_OK(CALL(vcpu_timer, 0));
        EXPECT_EQ(v->block->armed, start + hz / 4);
        EXPECT_EQ(run_from(v, PROGRAM(u_loop)), 0x480);
        EXPECT(now() >= start + hz / 4);
        EXPECT_EQ(v->block->timer, 1);
        EXPECT_EQ(v->block->deadline, NO_DEADLINE);
        EXPECT_EQ(v->block->armed, NO_DEADLINE);
        /* Moved further away without a call: it fires at the later one. */
        v->block->timer = 0;
        start = now();
        v->block->deadline = start + hz / 10;
        EXPECT_OK(CALL(vcpu_timer, 0));
        v->block->deadline = start + hz / 8;
        EXPECT_OK(CALL(vcpu_wait, 0));
        EXPECT(now() >= start + hz / 8);
        EXPECT_EQ(v->block->timer, 1);
        /* vcpu_wait takes an earlier one by itself. */
        v->block->timer = 0;
        v->block->masked = 0;
        CALL(vcpu_poll, 0);
        v->block->masked = 1;
        v->block->deadline = now() + hz / 1000;
        EXPECT_OK(CALL(vcpu_wait, 0));
        EXPECT_EQ(v->block->timer, 1);
}

TEST(vcpu_timer_fires_at_its_deadline)
{
        vcpu_test(deadline);
}

static void device_interrupt(struct vcpu *v)
{
        irq_source_fire();
        EXPECT_EQ(run_from(v, PROGRAM(u_loop)), 0x480);
        EXPECT_EQ(v->block->irqs, 1ul << 9);
        EXPECT_EQ(v->block->ipis, 0);
        v->block->irqs = 0;
        irq_source_quiet();
        v->block->eoi = 1ul << 9; /* deactivate: after this it may come again */
        v->block->work = 1;
        irq_source_fire();
        EXPECT_EQ(run_from(v, PROGRAM(u_loop)), 0x480);
        EXPECT_EQ(v->block->irqs, 1ul << 9);
        EXPECT_EQ(v->block->work, 0);
        EXPECT_EQ(v->block->eoi, 0);
        irq_source_quiet();
        v->block->eoi = 1ul << 9;
        v->block->work = 1;
        run_expect(v, PROGRAM(u_svc), EC_SVC);
}

TEST(vcpu_gets_interrupt_lines_of_devices)
{
        struct vcpu *v = vcpu_make(0, device_interrupt, cores - 1);

        if (!irq_source_begin())
                return;
        EXPECT_OK(CALL(vcpu_enable, v->worker->slot, v->block, vcpu_vectors));
        EXPECT_OK(CALL(irq_bind, SLOT_IRQ_SOURCE, v->worker->slot, 9, 0));
        unsigned line = slot_new();
        EXPECT_OK(CALL(irq_create, line, RESULT_OF(kernel_info, 0, INFO_GIC).v2 - 1, 0));
        EXPECT_E(CALL(irq_bind, line, v->worker->slot, 9, 0), E_BUSY); /* another has the bit */
        worker_restart(v->worker);
        worker_join(v->worker);
}

/* ---- how a vCPU ends ----------------------------------------------------------------------------- */

/* As a CPU that goes off gives its lines to others. */
static void gives_its_line(struct vcpu *v)
{
        uint64_t end = now() + 5 * hz;

        irq_source_fire();
        while (!__atomic_load_n(&v->block->irqs, __ATOMIC_ACQUIRE) && now() < end)
                ;
        EXPECT_EQ(v->block->irqs, 1ul << 9);
        EXPECT_OK(CALL(irq_bind, SLOT_IRQ_SOURCE, vcpus[1].worker->slot, 10, 0));
        EXPECT_EQ(v->block->irqs, 0);
        while (!__atomic_load_n(&vcpus[1].block->irqs, __ATOMIC_ACQUIRE) && now() < end)
                CALL(thread_yield, 0);
        EXPECT_EQ(vcpus[1].block->irqs, 1ul << 10);
        irq_source_quiet();
        EXPECT_OK(CALL(irq_ack, SLOT_IRQ_SOURCE));
}

TEST(vcpu_that_gives_a_line_away_gives_what_came_on_it)
{
        struct vcpu *v = vcpu_make(0, gives_its_line, 0), *to = vcpu_make(1, svc_and_brk, cores - 1);

        if (!irq_source_begin())
                return;
        EXPECT_OK(CALL(vcpu_enable, v->worker->slot, v->block, vcpu_vectors));
        EXPECT_OK(CALL(vcpu_enable, to->worker->slot, to->block, vcpu_vectors));
        EXPECT_OK(CALL(irq_bind, SLOT_IRQ_SOURCE, v->worker->slot, 9, 0));
        worker_restart(v->worker);
        worker_join(v->worker);
}

static void waits_for_notification(struct vcpu *v)
{
        v->block->deadline = now() + hz / 100;
        EXPECT_OK(CALL(vcpu_timer, 0));
        /* Both would be the thread's one timer: the list of them became a circle. */
        EXPECT_E(CALL(notify_wait, SLOT_SLEEP, now() + hz / 200), E_STATE);
        EXPECT_E(CALL(notify_wait, SLOT_SLEEP, 0), E_STATE);
        EXPECT_OK(CALL(vcpu_wait, 0));
        EXPECT_EQ(v->block->timer, 1);
}

TEST(vcpu_does_not_wait_for_notifications)
{
        vcpu_test(waits_for_notification);
}

static unsigned call_endpoint;

static void calls_with_a_deadline(struct vcpu *v)
{
        struct message m = {0};

        v->block->deadline = now() + 1000 * hz;
        EXPECT_OK(CALL(vcpu_timer, 0));
        ipc_call(call_endpoint, &m);
}

/* The kernel looked for the timer on the wrong core, and found the end of the world. */
TEST(vcpu_with_a_deadline_can_be_ended_while_it_calls_another_core)
{
        struct message m = {0};

        for (unsigned i = 0; i < 2; i++) {
                struct vcpu *v = vcpu_make(0, calls_with_a_deadline, cores - 1);
                call_endpoint = endpoint_new(0);
                worker_restart(v->worker);
                wait_state(v->worker->slot, STATE_sending);
                if (i) {
                        EXPECT_OK(ipc_recv(call_endpoint, &m));
                        EXPECT_EQ(state_of(v->worker->slot), STATE_calling);
                }
                EXPECT_OK(CALL(cap_delete, v->worker->slot));
        }
        sleep_us(1000);
}

static void waits_with_a_deadline(struct vcpu *v)
{
        v->block->deadline = now() + 1000 * hz;
        EXPECT_OK(CALL(vcpu_wait, 0));
}

/*
 * The timer went, but the block still said when it would fire. Linux tells us only of earlier
 * deadlines: a CPU that it had switched off and on had no timer interrupts any more.
 */
TEST(vcpu_that_is_stopped_has_no_deadline_armed)
{
        struct vcpu *v = vcpu_make(0, waits_with_a_deadline, cores - 1);

        worker_restart(v->worker);
        wait_state(v->worker->slot, STATE_vcpu_waiting);
        EXPECT_EQ(v->block->armed, v->block->deadline);
        EXPECT_OK(CALL(thread_stop, v->worker->slot));
        EXPECT_EQ(v->block->armed, NO_DEADLINE);
}

static enum ouzel_error enabled;

static void spins_as_vcpu(uint64_t vcpu)
{
        struct vcpu *v = (struct vcpu *)vcpu;

        enabled = CALL(vcpu_enable, v->worker->own_slot, v->block, vcpu_vectors);
        __atomic_fetch_add(&reached, 1, __ATOMIC_RELEASE);
        while (!enabled)
                ;
}

/* The block was gone, but it still counted as a vCPU: its next start was the kernel's end. */
TEST(vcpu_that_loses_its_block_is_an_ordinary_thread)
{
        struct vcpu *v = &vcpus[0];
        unsigned task = task_new(32);

        *v = (struct vcpu){.block_pa = frames_new(1)};
        v->block = frame_va(v->block_pa);
        EXPECT_OK(CALL(region_grant, task, v->block_pa, 4096, RW));
        EXPECT_OK(CALL(space_update, task + 1, v->block, v->block_pa, RW, 1));
        v->worker = worker_make(spins_as_vcpu, v, .task = task, .core = cores - 1,
                                .buffer = v->block_pa);
        reached = 0;
        worker_restart(v->worker);
        wait_until(&reached, 1);
        EXPECT_OK(enabled);
        EXPECT_OK(CALL(vcpu_signal, v->worker->slot, 1));
        EXPECT_OK(CALL(region_revoke, task, v->block_pa, 4096));
        EXPECT_EQ(state_of(v->worker->slot), STATE_stopped);
        EXPECT_E(CALL(vcpu_signal, v->worker->slot, 1), E_STATE);
        worker_restart(v->worker);
        worker_join(v->worker);
        EXPECT_E(enabled, E_STATE); /* no buffer any more */
}

/* ---- faults of the server itself -------------------------------------------------------------------- */

static void own_fault(struct vcpu *v)
{
        uint64_t value = 42;

        seen.n = 0;
        v->block->masked = 0;
        __asm__ volatile("ldr %0, [%1]" : "+r"(value) : "r"(TEST_VA + 0x1000) : "x18", "memory");
        EXPECT_EQ(value, 42); /* skipped by the handler */
        EXPECT_EQ(seen.n, 1);
        EXPECT_EQ(seen.offset, 0x200);
        EXPECT_EQ(EC(seen.esr), EC_DATA_SAME);
        EXPECT_EQ(seen.far, TEST_VA + 0x1000);
        EXPECT_EQ(seen.spsr & (0x1f | PSTATE_I), EL1H);
        EXPECT_EQ(v->block->masked, 0);
        v->block->masked = 1;
        __asm__ volatile("ldr %0, [%1]" : "+r"(value) : "r"(DATA_VA + 0x10000) : "x18", "memory");
        EXPECT_EQ(seen.n, 2);
        EXPECT_EQ(seen.spsr & (0x1f | PSTATE_I), EL1H | PSTATE_I);
        EXPECT_EQ(v->block->masked, 1);
}

TEST(vcpu_faults_in_server_mode_come_at_the_current_level)
{
        vcpu_test(own_fault);
}

/* As where many tasks of a server sleep in page faults, and programs run meanwhile. */
static void leaves_exceptions(struct vcpu *v)
{
        leaves_handler = v;
        for (volatile unsigned i = 0; i < 200; i++)
                if (!setjmp(outside))
                        __asm__ volatile("brk #0" ::: "x18", "memory");
        leaves_handler = NULL;
}

TEST(vcpu_exceptions_that_were_left_for_a_program_are_not_nested)
{
        vcpu_test(leaves_exceptions);
        EXPECT(!leaves_handler); /* it got there */
        leaves_handler = NULL;
}

static void id_registers(struct vcpu *v)
{
        uint64_t midr, pfr0, mmfr0, pfr1 = 1;

        (void)v;
        seen.n = 0;
        __asm__ volatile("mrs %0, midr_el1" : "=r"(midr));
        __asm__ volatile("mrs %0, id_aa64pfr0_el1" : "=r"(pfr0));
        __asm__ volatile("mrs %0, id_aa64mmfr0_el1" : "=r"(mmfr0));
        __asm__ volatile("mrs %0, id_aa64pfr1_el1" : "=r"(pfr1));
        EXPECT_EQ(seen.n, 0);
        EXPECT_EQ(midr >> 16 & 15, 15); /* "by the ID registers" */
        EXPECT_EQ(pfr0 & 0xff, 0x11);
        EXPECT_EQ(pfr0 >> 32, 0); /* no SVE, nothing that the port can't drive */
        EXPECT_EQ(pfr1, 0);
        EXPECT((mmfr0 & 15) <= 5);
}

TEST(vcpu_server_reads_id_registers)
{
        vcpu_test(id_registers);
}

/* Its report, and that it stays where it is. */
static void expect_stuck(struct vcpu *v)
{
        struct message m = {0};

        EXPECT_OK(ipc_recv(v->endpoint, &m));
        EXPECT_EQ(m.tag, MSG_TAG(LABEL_VCPU_STUCK, 7));
        EXPECT_EQ(state_of(v->worker->slot), STATE_calling);
        EXPECT_OK(CALL(kernel_check, SLOT_CONTROL));
        EXPECT_OK(CALL(thread_stop, v->worker->slot));
}

static void runs_svc(struct vcpu *v)
{
        run_from(v, PROGRAM(u_svc));
        fail(__FILE__, __LINE__, "came back", 1, 0, false);
}

TEST(vcpu_vectors_that_are_not_mapped_are_reported)
{
        struct vcpu *v = vcpu_make(0, runs_svc, 0);

        v->vectors = (const void *)(TEST_VA + 0x10000);
        worker_restart(v->worker);
        expect_stuck(v);
}

static void bad_stack(struct vcpu *v)
{
        (void)v;
        __asm__ volatile("mov sp, %0\n\tldr x0, [%0]" ::"r"(TEST_VA + 0x1000) : "x0", "memory");
}

TEST(vcpu_stack_that_is_not_mapped_is_reported)
{
        struct vcpu *v = vcpu_start(bad_stack);

        expect_stuck(v);
}

static void bad_mode(struct vcpu *v)
{
        static const uint64_t modes[] = {0x10, 4, 9, 0x1f};

        v->block->elr = PROGRAM(u_svc);
        v->block->spsr = modes[v->x[0]];
        vcpu_run(v->x, v->block);
}

TEST(vcpu_return_to_a_mode_that_is_not_there_is_reported)
{
        for (unsigned i = 0; i < 4; i++) {
                struct vcpu *v = vcpu_make(0, bad_mode, 0);
                v->x[0] = i;
                worker_restart(v->worker);
                expect_stuck(v);
        }
}

TEST(vcpu_that_is_stuck_can_be_started_afresh)
{
        struct vcpu *v = vcpu_make(0, bad_mode, 0);
        struct message m = {0};

        worker_restart(v->worker);
        EXPECT_OK(ipc_recv(v->endpoint, &m));
        EXPECT_EQ(m.tag, MSG_TAG(LABEL_VCPU_STUCK, 7));
        EXPECT_OK(CALL(thread_stop, v->worker->slot));
        v->server = svc_and_brk;
        worker_restart(v->worker);
        worker_join(v->worker);
}

/* ---- refusals -------------------------------------------------------------------------------------- */

TEST(vcpu_calls_refuse_ordinary_threads)
{
        EXPECT_E(CALL(vcpu_return, 0), E_STATE);
        EXPECT_E(CALL(vcpu_set_space, 0), E_STATE);
        EXPECT_E(CALL(vcpu_wait, 0), E_STATE);
        EXPECT_E(CALL(vcpu_poll, 0), E_STATE);
        EXPECT_E(CALL(vcpu_sync, 0), E_STATE);
        EXPECT_E(CALL(vcpu_flush, 0), E_STATE);
        EXPECT_E(CALL(vcpu_timer, 0), E_STATE);
        EXPECT_E(CALL(vcpu_signal, SLOT_TEST_THREAD, 1), E_STATE);
        EXPECT_E(CALL(vcpu_signal, SLOT_NEVER, 1), E_CAP);
        EXPECT_E(CALL(vcpu_signal, SLOT_SPACE, 1), E_CAP);
        unsigned weak = slot_new();
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, SLOT_TEST_THREAD, 0));
        EXPECT_E(CALL(vcpu_signal, weak, 1), E_RIGHTS);
}

TEST(vcpu_enable_refuses)
{
        struct vcpu *v = vcpu_make(0, svc_and_brk, 0);
        unsigned t = v->worker->slot, weak = slot_new();
        uint64_t block = (uint64_t)v->block, vectors = (uint64_t)vcpu_vectors;

        EXPECT_E(CALL(vcpu_enable, t, block + 8, vectors), E_ALIGN);
        EXPECT_E(CALL(vcpu_enable, t, block, vectors + 0x400), E_ALIGN);
        EXPECT_E(CALL(vcpu_enable, t, 0x1000, vectors), E_RANGE);
        EXPECT_E(CALL(vcpu_enable, t, KERNEL_SLOT_VA, vectors), E_RANGE);
        EXPECT_E(CALL(vcpu_enable, t, block, KERNEL_SLOT_END - 0x800), E_RANGE);
        EXPECT_E(CALL(vcpu_enable, t, block, 0), E_RANGE);
        EXPECT_E(CALL(vcpu_enable, SLOT_NEVER, block, vectors), E_CAP);
        EXPECT_E(CALL(vcpu_enable, SLOT_SPACE, block, vectors), E_CAP);
        EXPECT_OK(CALL(cap_copy, SLOT_TASK, weak, t, 0));
        EXPECT_E(CALL(vcpu_enable, weak, block, vectors), E_RIGHTS);
        EXPECT_E(CALL(vcpu_enable, SLOT_TEST_THREAD, block, vectors), E_STATE); /* no buffer */
        unsigned task = task_new(24);
        struct worker *theirs = worker_make(server_main, 0, .task = task);
        EXPECT_E(CALL(vcpu_enable, theirs->slot, block, vectors), E_RIGHTS);
        EXPECT_E(CALL(vcpu_signal, t, 1), E_STATE); /* so none of it was done */
        /* Waiting is not stopped. */
        EXPECT_OK(CALL(thread_start, t, server_main, 0, v));
}

TEST(vcpu_enable_of_more_than_eight_is_refused)
{
        struct worker *w;
        uint64_t pa = frames_new(9);

        for (unsigned i = 0; i < 9; i++) {
                w = worker_make(server_main, 0, .buffer = pa + i * 4096);
                EXPECT_E(CALL(vcpu_enable, w->slot, frame_va(pa + i * 4096), vcpu_vectors),
                         i < 8 ? E_OK : E_LIMIT);
        }
}

static void list_of_updates(struct vcpu *v)
{
        (void)v;
        EXPECT_E(CALL(space_update_list, SLOT_SPACE, 1), E_STATE); /* the buffer is the block */
}

TEST(vcpu_has_no_update_list)
{
        vcpu_test(list_of_updates);
}
