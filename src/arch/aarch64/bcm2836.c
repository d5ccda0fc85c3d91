// SPDX-License-Identifier: MIT
/*
 * bcm2836.c -- interrupts of the Raspberry Pi 3, which has no GIC: per core a few sources of
 * its own (timers, mailboxes, "a device"), and behind the last 96 device lines in three banks
 * that all come on one core. There is no active state: a line is masked from when it is taken
 * until its owner is done with it.
 *
 * Lines are numbered as if there were a GIC: 1 the IPI, 27 the virtual timer, 32 + 32 * bank +
 * bit a device's; bank 0 is the "basic" one.
 * [L: BCM2836 ARM-local peripherals, QA7 rev 3.4, 4; P: BCM2835 ARM Peripherals, 7.5]
 */
#include "gic.h"

#include "arch.h"
#include "console.h"

enum { CONTROL = 0, PRESCALER = 0x8, ROUTING = 0xc, TIMERS = 0x40, MAILBOXES = 0x50,
       SOURCE = 0x60, MAILBOX_SET = 0x80, MAILBOX_CLEAR = 0xc0 };              /* [L 4] */
enum { SOURCE_VIRTUAL = 1 << 3, SOURCE_MAILBOX0 = 1 << 4, SOURCE_DEVICE = 1 << 8 }; /* [L 4.10] */
enum { BANKS = 3 };
static const uint8_t pending[BANKS] = {0x00, 0x04, 0x08}, on[BANKS] = {0x18, 0x10, 0x14},
                     off[BANKS] = {0x24, 0x1c, 0x20};                          /* [P 7.5] */

static volatile uint8_t *local, *devices;
static uint32_t enabled[BANKS], active[BANKS];

static uint32_t rd(volatile uint8_t *base, unsigned reg)
{
        return *(volatile uint32_t *)(volatile void *)(base + reg);
}
static void wr(volatile uint8_t *base, unsigned reg, uint32_t v)
{
        *(volatile uint32_t *)(volatile void *)(base + reg) = v;
}

static unsigned own(void) /* which of the four, as the hardware counts */
{
        uint64_t mpidr;

        __asm__("mrs %0, mpidr_el1" : "=r"(mpidr));
        return mpidr & 3;
}

void bcm2836_init(volatile void *l, volatile void *d)
{
        local = l;
        devices = d;
        /* The counter runs at the crystal's speed, undivided, as CNTFRQ says. [L 3.1.1] */
        wr(local, CONTROL, 0);
        wr(local, PRESCALER, 1u << 31);
        wr(local, ROUTING, own());
        for (unsigned i = 0; i < BANKS; i++)
                wr(devices, off[i], ~0u);
        wr(devices, 0xc, 0); /* no FIQ */
}

void bcm2836_init_core(void)
{
        wr(local, TIMERS + 4 * own(), SOURCE_VIRTUAL);
        wr(local, MAILBOX_CLEAR + 16 * own(), ~0u);
        wr(local, MAILBOXES + 4 * own(), 1);
}

unsigned bcm2836_ack(void)
{
        uint32_t source = rd(local, SOURCE + 4 * own());
        unsigned irq = IRQ_NONE;

        if (source & SOURCE_VIRTUAL)
                return boot.timer_irq;
        if (source & SOURCE_MAILBOX0) {
                wr(local, MAILBOX_CLEAR + 16 * own(), ~0u);
                irq = IRQ_IPI;
        }
        for (unsigned i = 0; i < BANKS && irq == IRQ_NONE && (source & SOURCE_DEVICE); i++) {
                uint32_t bits = rd(devices, pending[i]) & __atomic_load_n(&enabled[i],
                                                                          __ATOMIC_RELAXED);
                if (!bits)
                        continue;
                unsigned bit = (unsigned)__builtin_ctz(bits);
                __atomic_fetch_or(&active[i], 1u << bit, __ATOMIC_RELAXED);
                wr(devices, off[i], 1u << bit);
                irq = 32 + 32 * i + bit;
        }
        /* Cleared or masked before we look at why it came, and before it could come again. */
        __asm__ volatile("dsb sy" ::: "memory");
        return irq;
}

/* Two cores may be here and in bcm2836_ack at once: then a line comes once too often, and is
 * masked again by that. In order, as enable and deactivate each write what the other reads: one of
 * them switches the line on. */
void bcm2836_deactivate(unsigned irq)
{
        uint32_t bit = 1u << (irq % 32);
        unsigned bank = irq / 32 - 1;

        if (bank >= BANKS)
                return;
        __atomic_fetch_and(&active[bank], ~bit, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&enabled[bank], __ATOMIC_SEQ_CST) & bit)
                wr(devices, on[bank], bit);
}

void bcm2836_enable(unsigned irq)
{
        uint32_t bit = 1u << (irq % 32);
        unsigned bank = irq / 32 - 1;

        __atomic_fetch_or(&enabled[bank], bit, __ATOMIC_SEQ_CST);
        if (!(__atomic_load_n(&active[bank], __ATOMIC_SEQ_CST) & bit))
                wr(devices, on[bank], bit);
}

void bcm2836_disable(unsigned irq)
{
        __atomic_fetch_and(&enabled[irq / 32 - 1], ~(1u << (irq % 32)), __ATOMIC_SEQ_CST);
        wr(devices, off[irq / 32 - 1], 1u << (irq % 32));
}

void bcm2836_send_ipi(unsigned cpu)
{
        wr(local, MAILBOX_SET + 16 * (boot.mpidr[cpu] & 3), 1);
}
