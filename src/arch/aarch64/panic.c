// SPDX-License-Identifier: MIT
/* panic.c -- printk, and a crash that a person can read. */
#include <stdarg.h>

#include "arch_asm.h"
#include "console.h"
#include "kernel.h"
#include "rpi.h"
#include "string.h"

static struct spinlock print_lock;
static uint32_t panicking; /* 1 + the number of the core that panics; 0 = none does */

static uint32_t panic_self(void)
{
        uint64_t mpidr; /* not struct cpu: a core that comes up has none yet */

        __asm__("mrs %0, mpidr_el1" : "=r"(mpidr));
        for (uint32_t i = 1; i < boot.n_cpus; i++)
                if (boot.mpidr[i] == (mpidr & 0xff00fffffful))
                        return 1 + i;
        return 1;
}

static _Noreturn void halt(void)
{
        for (;;)
                __asm__ volatile("wfi"); /* interrupts are masked: it may wake, not act */
}

void panic_stop_here(void)
{
        uint32_t who = READ_ONCE(panicking);

        if (who && who != panic_self())
                halt();
}

struct out { char *at, *end; }; /* NULL: straight to the console */

static void put(struct out *out, char c)
{
        if (!out->at)
                console_putc(c);
        else if (out->at < out->end)
                *out->at++ = c;
}

static void put_text(struct out *out, const char *s, int width, bool left)
{
        if (!s)
                s = "(null)";
        int fill = width - (int)strlen(s);
        for (; !left && fill > 0; fill--)
                put(out, ' ');
        while (*s)
                put(out, *s++);
        for (; left && fill > 0; fill--)
                put(out, ' ');
}

static void put_number(struct out *out, uint64_t v, unsigned base, int width, char pad)
{
        char digits[24];
        int n = 0;

        do {
                digits[n++] = "0123456789abcdef"[v % base];
                v /= base;
        } while (v);
        for (; width > n; width--)
                put(out, pad);
        while (n)
                put(out, digits[--n]);
}

/* %c %s %-s %d %u %x with l, ll, z, width and 0; %p. */
static void format_out(struct out *out, const char *f, va_list args)
{
        for (; *f; f++) {
                if (*f != '%') {
                        put(out, *f);
                        continue;
                }
                char pad = ' ';
                int width = 0, l = 0;
                bool left = *++f == '-';
                f += left;
                if (*f == '0')
                        pad = '0';
                for (; *f >= '0' && *f <= '9'; f++)
                        width = width * 10 + *f - '0';
                for (; *f == 'l' || *f == 'z'; f++)
                        l = 1;
                if (*f == 's') {
                        put_text(out, va_arg(args, const char *), width, left);
                } else if (*f == 'c') {
                        put(out, (char)va_arg(args, int));
                } else if (*f == 'd') {
                        int64_t v = l ? va_arg(args, int64_t) : va_arg(args, int);
                        if (v < 0)
                                put(out, '-');
                        put_number(out, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, width, pad);
                } else if (*f == 'u' || *f == 'x') {
                        uint64_t v = l ? va_arg(args, uint64_t) : va_arg(args, unsigned);
                        put_number(out, v, *f == 'u' ? 10 : 16, width, pad);
                } else if (*f == 'p') {
                        put_number(out, (uint64_t)va_arg(args, void *), 16, 16, '0');
                } else {
                        put(out, *f);
                }
        }
}

void printk(const char *format, ...)
{
        struct out out = {0};
        va_list args;

        bool alone = READ_ONCE(panicking); /* its holder may be a core that we stopped */

        panic_stop_here();
        va_start(args, format);
        if (!alone) {
                spin_lock(&print_lock);
                panic_stop_here(); /* while we waited */
        }
        format_out(&out, format, args);
        if (!alone)
                spin_unlock(&print_lock);
        va_end(args);
}

static void snprint(char *buf, size_t size, const char *format, ...)
{
        struct out out = {buf, buf + size - 1};
        va_list args;

        va_start(args, format);
        format_out(&out, format, args);
        va_end(args);
        *out.at = 0;
}

/* Fault status codes. [Arm ARM D19.2.37, ISS of a data abort, DFSC] Level -1: has none. */
static const char *status_text(unsigned status, int *level)
{
        static const char *const with_level[] = {"address size fault", "translation fault",
                                                 "access flag fault", "permission fault"};

        *level = (int)(status & 3);
        if (status < 0x10)
                return with_level[status >> 2];
        if (status >= 0x14 && status < 0x18)
                return "external abort of a table walk";
        if (status >= 0x1c && status < 0x20)
                return "ECC error of a table walk";
        *level = -1;
        switch (status) {
        case 0x10: return "external abort";
        case 0x11: return "tag check fault";
        case 0x18: return "ECC error";
        case 0x21: return "alignment fault";
        case 0x30: return "TLB conflict";
        case 0x31: return "unsupported atomic update";
        case 0x34: return "lockdown fault";
        case 0x35: return "unsupported exclusive access";
        default: return "unknown fault";
        }
}

/* Exception classes that need no more than a name. [D19.2.37, EC] */
static const struct { uint8_t ec; const char *text; } classes[] = {
        {0x00, "undefined instruction"}, {0x01, "WFI or WFE"}, {0x07, "FP access"},
        {0x09, "pointer authentication"}, {0x0a, "64-byte store"}, {0x0d, "branch target"},
        {0x0e, "illegal execution state"}, {0x16, "hvc"}, {0x17, "smc"},
        {0x18, "trapped system instruction"}, {0x19, "SVE access"}, {0x1c, "pointer check"},
        {0x1d, "SME access"}, {0x22, "pc not aligned"}, {0x26, "sp not aligned"},
        {0x2c, "FP exception"}, {0x2f, "SError"}, {0x30, "breakpoint"}, {0x31, "breakpoint"},
        {0x32, "single step"}, {0x33, "single step"}, {0x34, "watchpoint"}, {0x35, "watchpoint"},
};

const char *esr_text(uint64_t esr, char *buf, size_t size)
{
        unsigned ec = esr >> 26 & 0x3f, status = esr & 0x3f, imm = esr & 0xffff;
        int level;

        if (ec == 0x20 || ec == 0x21 || ec == 0x24 || ec == 0x25) {
                const char *text = status_text(status, &level);
                const char *what = ec < 0x24 ? "instruction fetch"
                                   : esr & 1 << 8 ? "cache maintenance" /* CM: no read or write */
                                   : esr & 1 << 6 ? "data write" : "data read"; /* WnR */
                if (level >= 0)
                        snprint(buf, size, "%s, %s level %d", what, text, level);
                else
                        snprint(buf, size, "%s, %s", what, text);
                return buf;
        }
        if (ec == 0x15 || ec == 0x3c) {
                snprint(buf, size, "%s %u", ec == 0x15 ? "svc" : "brk", imm);
                return buf;
        }
        for (unsigned i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
                if (classes[i].ec == ec) {
                        snprint(buf, size, "%s", classes[i].text);
                        return buf;
                }
        snprint(buf, size, "exception class %02x", ec);
        return buf;
}

/*
 * The table that tools/ksyms.py makes from the first link: offsets from the image's start,
 * ascending, and names. The first link itself has an empty one (kernel.lds).
 */
struct symbol { uint32_t offset, name; };
extern const struct symbol ksyms[];
extern const char ksym_names[];
extern const uint32_t ksym_count;
extern char image_start[], __text_end[], __image_end[], kernel_stacks[];

static void print_place(const char *how, uint64_t pc)
{
        uint32_t offset = pc - (uint64_t)image_start, best = 0;

        printk("  %s %016lx", how, pc);
        if (ksym_count && pc >= (uint64_t)image_start && pc < (uint64_t)__text_end) {
                for (uint32_t i = 0; i < ksym_count && ksyms[i].offset <= offset; i++)
                        best = i;
                printk(" %s+0x%x", ksym_names + ksyms[best].name, offset - ksyms[best].offset);
        }
        printk("\n");
}

/* Frame records {caller's record, return address}. [AAPCS64 6.4.6] All stacks are in the
 * image; the records go up the stack, so that a broken one can't lead in a circle. */
static void backtrace(const uint64_t *fp)
{
        for (unsigned i = 0; i < 16; i++) {
                uint64_t at = (uint64_t)fp;
                if (at < (uint64_t)__text_end || at > (uint64_t)__image_end - 16 || (at & 15))
                        break;
                if (!fp[1])
                        break;
                print_place("by", fp[1] - 4);
                if (fp[0] <= at)
                        break;
                fp = (const uint64_t *)fp[0];
        }
}

/* One core panics and has the console to itself; the others stop where they are. */
static void panic_begin(void)
{
        uint32_t nobody = 0, self = panic_self();

        if (!__atomic_compare_exchange_n(&panicking, &nobody, self, false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST)) {
                static bool again;
                if (nobody == self && !again) { /* a fault in what follows here */
                        again = true;
                        printk("\nouzel: a second panic while printing the first\n");
                        print_place("by", (uint64_t)__builtin_return_address(0) - 4);
                }
                halt();
        }
        for (unsigned i = 0; i < MAX_CPUS; i++)
                if (cpus[i].online && i != self - 1)
                        irqchip_send_ipi(i); /* irqchip_ack stops there */
        /* Let a line that is being printed end; not for long: its core may be ourselves. */
        for (unsigned i = 0; i < 1000000 && READ_ONCE(print_lock.held); i++)
                __asm__ volatile("yield");
}

void stop_machine(void)
{
        panic_begin();
        halt();
}

static void print_headline(void)
{
        struct cpu *cpu = this_cpu();

        printk("\nouzel: panic on core %u", panic_self() - 1);
        if (cpu && cpu->current)
                printk(", thread %u", cpu->current->object.id);
        printk(": ");
}

void panic(const char *format, ...)
{
        struct out out = {0};
        va_list args;

        panic_begin();
        print_headline();
        va_start(args, format);
        format_out(&out, format, args);
        va_end(args);
        printk("\n");
        backtrace(__builtin_frame_address(0));
        led_blink(boot.stage);
        halt();
}

void panic_exception(unsigned slot, const struct trapframe *tf)
{
        static const char *const kinds[] = {"synchronous", "interrupt", "FIQ", "SError"};
        static const char *const from[] = {"EL1 on SP_EL0", "EL1", "EL0", "32-bit EL0"};
        uint64_t esr, far;
        char text[80];

        __asm__ volatile("mrs %0, esr_el1\n\tmrs %1, far_el1" : "=r"(esr), "=r"(far));
        panic_begin();
        print_headline();
        printk("%s exception from %s: %s, address %lx\n", kinds[slot & 3], from[slot >> 2 & 3],
               esr_text(esr, text, sizeof(text)), far);
        uint64_t at = far - (uint64_t)kernel_stacks;
        if (at < MAX_CPUS * KERNEL_STACK_STEP && at % KERNEL_STACK_STEP >= KERNEL_STACK_LAST &&
            at % KERNEL_STACK_STEP < KERNEL_STACK_LAST + KERNEL_STACK_GUARD)
                printk("  the kernel's stack is full: %u bytes\n", KERNEL_STACK_SIZE);
        for (unsigned i = 0; i < 31; i++)
                printk("%s%u %016lx%s", i < 10 ? " x" : "x", i, tf->x[i], i % 4 == 3 ? "\n" : "  ");
        printk(" sp %016lx\n pc %016lx  pstate %lx  esr %lx\n", tf->sp, tf->pc, tf->pstate, esr);
        print_place("at", tf->pc);
        print_place("lr", tf->x[30]);
        backtrace((const uint64_t *)tf->x[29]);
        led_blink(boot.stage);
        halt();
}
