/* SPDX-License-Identifier: MIT */
/* arch.h -- all that src/kernel asks of the CPU and the board; src/arch/aarch64 supplies it. */
#ifndef ARCH_H
#define ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_CPUS 8
typedef uint64_t paddr_t;

/* ---- the kernel's slot: 512 GiB at KERNEL_SLOT_VA (abi.h) ----------------------------- */
#define DIRECT_MAP_VA 0xffff7f8000000000ul /* physical address 0; 256 GiB; RW, never exec */
#define KERNEL_IMAGE_VA 0xffff7fc000000000ul /* link address: text RX, rodata R, data RW */
#define DEVICE_MAP_VA 0xffff7fd000000000ul /* device registers, Device-nGnRE */

/* Set by boot.S and boot.c before kernel_main. */
extern paddr_t kernel_l0_pa;     /* TTBR1 root that holds nothing but the kernel's slot */
extern uint64_t kernel_l0_entry; /* descriptor of the slot: entry 255 of every TTBR1 root */
extern paddr_t empty_l0_pa;      /* TTBR0 root that maps nothing */

/* ---- what boot found (boot.c fills it from the device tree, with libfdt) --------------- */
struct range { paddr_t start, end; };
#define BOOT_RANGES 16
struct boot_info {
        struct range ram[BOOT_RANGES]; /* page aligned, sorted, disjoint, without no-map */
        unsigned n_ram;
        /* What can't be a device region: all RAM, no-map included, and the interrupt
         * controller's registers. Sorted, disjoint, page aligned. */
        struct range reserved[BOOT_RANGES];
        unsigned n_reserved;
        struct range kernel; /* image and bss, without the boot archive */
        struct range pool;   /* the kernel's fixed share: zeroed by nobody, direct-mapped */
        struct range fdt, archive, initrd; /* byte-exact; empty when start == end */
        uint64_t mpidr[MAX_CPUS];
        unsigned n_cpus; /* in the device tree, at most MAX_CPUS */
        unsigned online; /* cores that answered */
        unsigned stage;  /* of boot.c's, for the blink code */
        unsigned gic_version, gic_lines; /* version 0: BCM2836 */
        paddr_t console_pa;
        unsigned console_irq, console_type;
        unsigned timer_irq; /* virtual timer's PPI as an interrupt number (27) */
};
extern struct boot_info boot;

/* boot.c calls these, on the boot core once everything above is there, on the others once
 * each is up, with interrupts masked, on the core's kernel stack. They do not return. */
_Noreturn void kernel_main(void);
_Noreturn void kernel_main_secondary(unsigned cpu);
/* kernel_main calls this when the kernel is ready for the other cores. It waits until they
 * answer or a time-out passes, says which did not, and returns how many run. */
unsigned boot_start_secondaries(void);
uint64_t kernel_stack_top(unsigned cpu);
_Noreturn void abandon(void); /* entry.S: leave the kernel from wherever we are in it */
_Noreturn void exit_to_thread(void); /* entry.S: on this core, whoever schedule() says */

/* ---- messages and the end -------------------------------------------------------------- */
void printk(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
void console_putc(char c);
int console_getc(void); /* -1 if there is none */
_Noreturn void system_off(void);
_Noreturn void system_reset(void);
struct trapframe;
_Noreturn void panic_exception(unsigned slot, const struct trapframe *tf); /* entry.S */
/* "data abort, translation fault level 2, write" and so on, into buf. */
const char *esr_text(uint64_t esr, char *buf, size_t size);

/* ---- interrupts ------------------------------------------------------------------------ */
#define IRQ_IPI 1         /* the SGI that we use */
#define IRQ_NONE 1023
#define IRQ_NUMBER(ack) ((ack) & 1023)
unsigned irqchip_ack(void);              /* a token; IRQ_NUMBER of it is IRQ_NONE: nothing */
void irqchip_drop(unsigned ack);         /* priority drop (EOImode 1) */
void irqchip_deactivate(unsigned irq);   /* number or token; any core for SPIs (gic.c) */
unsigned irqchip_enable(unsigned irq, unsigned cpu, bool edge); /* the core that it comes on */
void irqchip_disable(unsigned irq);
void irqchip_send_ipi(unsigned cpu);
bool irqchip_valid(unsigned irq);        /* an SPI that exists */

/* ---- time: CNTVCT and the virtual timer (the one clock that a guest always has) --------- */
uint64_t timer_now(void);
uint64_t timer_hz(void);
void timer_set(uint64_t deadline); /* fires on this core; UINT64_MAX = off */

#endif
