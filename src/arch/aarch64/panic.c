// SPDX-License-Identifier: MIT
/* panic.c -- printk, and a crash that a person can read. */
#include <stdarg.h>

#include "kernel.h"
#include "string.h"

static struct spinlock print_lock;
static bool panicking;

struct out { char *at, *end; }; /* NULL: straight to the console */

static void put(struct out *out, char c)
{
        if (!out->at)
                console_putc(c);
        else if (out->at < out->end)
                *out->at++ = c;
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

/* %c %s %d %u %x with l, ll, width and 0; %p. */
static void format_out(struct out *out, const char *f, va_list args)
{
        for (; *f; f++) {
                if (*f != '%') {
                        put(out, *f);
                        continue;
                }
                char pad = ' ';
                int width = 0, l = 0;
                if (*++f == '0')
                        pad = '0';
                for (; *f >= '0' && *f <= '9'; f++)
                        width = width * 10 + *f - '0';
                for (; *f == 'l'; f++)
                        l = 1;
                if (*f == 's') {
                        const char *s = va_arg(args, const char *);
                        for (int n = (int)strlen(s); width > n; width--)
                                put(out, ' ');
                        while (*s)
                                put(out, *s++);
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

        va_start(args, format);
        if (!panicking)
                spin_lock(&print_lock);
        format_out(&out, format, args);
        if (!panicking)
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

/* Fault status codes. [Arm ARM D19.2.37, ISS of a data abort, DFSC] */
static const char *status_text(unsigned status)
{
        switch (status & 0x3c) {
        case 0x00: return "address size fault";
        case 0x04: return "translation fault";
        case 0x08: return "access flag fault";
        case 0x0c: return "permission fault";
        }
        switch (status) {
        case 0x10: return "external abort";
        case 0x21: return "alignment fault";
        case 0x30: return "TLB conflict";
        }
        return "fault";
}

const char *esr_text(uint64_t esr, char *buf, size_t size)
{
        unsigned ec = esr >> 26, status = esr & 0x3f;
        const char *write = esr & 1 << 6 ? "write" : "read";

        switch (ec) {
        case 0x00: snprint(buf, size, "undefined instruction"); break;
        case 0x07: snprint(buf, size, "FP access"); break;
        case 0x0e: snprint(buf, size, "illegal execution state"); break;
        case 0x15: snprint(buf, size, "svc %u", (unsigned)(esr & 0xffff)); break;
        case 0x18: snprint(buf, size, "trapped system instruction"); break;
        case 0x20: case 0x21:
                snprint(buf, size, "instruction fetch, %s level %u", status_text(status),
                        status & 3);
                break;
        case 0x22: snprint(buf, size, "pc not aligned"); break;
        case 0x24: case 0x25:
                snprint(buf, size, "data %s, %s level %u", write, status_text(status), status & 3);
                break;
        case 0x26: snprint(buf, size, "sp not aligned"); break;
        case 0x2f: snprint(buf, size, "SError"); break;
        case 0x32: case 0x33: snprint(buf, size, "single step"); break;
        case 0x3c: snprint(buf, size, "brk %u", (unsigned)(esr & 0xffff)); break;
        default: snprint(buf, size, "exception class %02x", ec);
        }
        return buf;
}

/*
 * The table that tools/ksyms.py makes from the first link: offsets from the image's start,
 * ascending, and names. The first link itself has an empty one.
 */
struct symbol { uint32_t offset, name; };
extern const struct symbol ksyms[] __attribute__((weak));
extern const char ksym_names[] __attribute__((weak));
extern const uint32_t ksym_count __attribute__((weak));

static const char *symbol_text(uint64_t pc)
{
        static char text[96];
        uint32_t offset = pc - KERNEL_IMAGE_VA, best = 0;

        if (!&ksym_count || pc < KERNEL_IMAGE_VA || pc >= KERNEL_IMAGE_VA + (2ul << 20)) {
                snprint(text, sizeof(text), "%016lx", pc);
                return text;
        }
        for (uint32_t i = 0; i < ksym_count && ksyms[i].offset <= offset; i++)
                best = i;
        snprint(text, sizeof(text), "%016lx %s+0x%x", pc, ksym_names + ksyms[best].name,
                offset - ksyms[best].offset);
        return text;
}

static void backtrace(uint64_t pc, const uint64_t *fp)
{
        printk("  at %s\n", symbol_text(pc));
        for (unsigned i = 0; i < 16; i++) {
                uint64_t at = (uint64_t)fp;
                if (at < KERNEL_IMAGE_VA || at >= KERNEL_IMAGE_VA + (2ul << 20) || (at & 15))
                        break;
                if (!fp[1])
                        break;
                printk("  by %s\n", symbol_text(fp[1] - 4));
                fp = (const uint64_t *)fp[0];
        }
}

static bool panic_begin(void)
{
        if (__atomic_exchange_n(&panicking, true, __ATOMIC_SEQ_CST))
                return false; /* another core, or ourselves, is at it */
        return true;
}

static _Noreturn void halt(void)
{
        for (;;)
                __asm__ volatile("wfi");
}

void panic(const char *format, ...)
{
        struct cpu *cpu = this_cpu();
        struct out out = {0};
        va_list args;

        if (!panic_begin())
                halt();
        printk("\nouzel: panic on core %u, thread %u: ", cpu ? cpu->id : 0,
               cpu && cpu->current ? cpu->current->object.id : 0);
        va_start(args, format);
        format_out(&out, format, args);
        va_end(args);
        printk("\n");
        backtrace((uint64_t)__builtin_return_address(0) - 4, __builtin_frame_address(0));
        halt();
}

void panic_exception(unsigned slot, const struct trapframe *tf)
{
        static const char *const kinds[] = {"synchronous", "interrupt", "FIQ", "SError"};
        static const char *const from[] = {"EL1 on SP_EL0", "EL1", "EL0", "32-bit EL0"};
        struct cpu *cpu = this_cpu();
        uint64_t esr, far;
        char text[80];

        if (!panic_begin())
                halt();
        __asm__ volatile("mrs %0, esr_el1\n\tmrs %1, far_el1" : "=r"(esr), "=r"(far));
        printk("\nouzel: panic on core %u, thread %u: %s exception from %s: %s, address %lx\n",
               cpu ? cpu->id : 0, cpu && cpu->current ? cpu->current->object.id : 0,
               kinds[slot & 3], from[slot >> 2 & 3], esr_text(esr, text, sizeof(text)), far);
        for (unsigned i = 0; i < 31; i++)
                printk("%s%u %016lx%s", i < 10 ? " x" : "x", i, tf->x[i], i % 4 == 3 ? "\n" : "  ");
        printk(" sp %016lx\n pc %016lx  pstate %lx  esr %lx\n", tf->sp, tf->pc, tf->pstate, esr);
        backtrace(tf->pc, (const uint64_t *)tf->x[29]);
        halt();
}
