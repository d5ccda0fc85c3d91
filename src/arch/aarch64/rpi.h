/* SPDX-License-Identifier: MIT */
#ifndef RPI_H
#define RPI_H

#include <stdbool.h>
#include <stdint.h>

void watchdog_init(volatile void *base);
void watchdog_fire(bool off); /* power off, or reset; returns if there is none */
void led_init(volatile void *gpio, unsigned pin, bool low);
void led_blink(unsigned n);   /* n times, again and again; returns if there is none */

#endif
