// SPDX-License-Identifier: MIT
/*
 * rpi.c -- what a Raspberry Pi has no firmware call for: off and reset, by the watchdog; and a
 * light when there is no other way to say where a boot ended.
 */
#include "rpi.h"

#include "arch.h"

static volatile uint32_t *pm, *gpio;
static unsigned led;
static bool led_low; /* lights when the pin is low */

static void wait_ms(unsigned ms)
{
        uint64_t hz = timer_hz() ? timer_hz() : 19200000; /* the Pi 3's crystal */
        uint64_t end = timer_now() + hz / 1000 * ms;

        while (timer_now() < end)
                ;
}

/* ---- power management. In no manual: by Linux's drivers/watchdog/bcm2835_wdt.c ------------ */

enum { RSTC = 0x1c / 4, RSTS = 0x20 / 4, WDOG = 0x24 / 4, PASSWORD = 0x5a << 24,
       RSTC_FULL_RESET = 2 << 4, RSTC_WRCFG = 3 << 4, RSTS_PARTITION = 0x555 };

void watchdog_init(volatile void *base)
{
        pm = base;
}

/* Returns only if there is no watchdog. Partition 63, all bits, tells the firmware to halt. */
void watchdog_fire(bool off)
{
        if (!pm)
                return;
        pm[RSTS] = PASSWORD | (pm[RSTS] & 0xffffffu & ~(uint32_t)RSTS_PARTITION) |
                   (off ? RSTS_PARTITION : 0);
        pm[WDOG] = PASSWORD | 10; /* of 1/65536 s */
        pm[RSTC] = PASSWORD | (pm[RSTC] & 0xffffffu & ~(uint32_t)RSTC_WRCFG) | RSTC_FULL_RESET;
        wait_ms(1000);
}

/* ---- activity LED [BCM2835 ARM Peripherals, 6.1: the Pi 4 kept these registers] ------------ */

enum { GPFSEL = 0, GPSET = 0x1c / 4, GPCLR = 0x28 / 4, OUTPUT = 1 };

void led_init(volatile void *base, unsigned pin, bool low)
{
        gpio = base;
        led = pin;
        led_low = low;
}

static void led_switch(bool on)
{
        gpio[(on != led_low ? GPSET : GPCLR) + led / 32] = 1u << (led % 32);
}

void led_blink(unsigned n)
{
        if (!gpio)
                return;
        unsigned shift = led % 10 * 3;
        gpio[GPFSEL + led / 10] = (gpio[GPFSEL + led / 10] & ~(7u << shift)) |
                                  (uint32_t)OUTPUT << shift;
        for (;;) {
                for (unsigned i = 0; i < n; i++) {
                        led_switch(true);
                        wait_ms(200);
                        led_switch(false);
                        wait_ms(300);
                }
                wait_ms(1500);
        }
}
