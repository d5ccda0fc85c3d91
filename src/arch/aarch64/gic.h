/* SPDX-License-Identifier: MIT */
/* gic.h -- the interrupt controllers, besides what arch.h has. */
#ifndef GIC_H
#define GIC_H

#include <stdbool.h>
#include <stdint.h>

void gic_init(unsigned version, volatile void *dist, volatile void *cpu_if, unsigned *lines);
void gic_redistributor(unsigned cpu, volatile void *base); /* v3, before gic_init_core */
uint64_t gic_redist_typer(volatile void *base);            /* affinity 63:32, Last bit 4 */
void gic_init_core(unsigned cpu);

/* bcm2836.c: the Raspberry Pi 3's; boot.gic_version is 0 then. */
void bcm2836_init(volatile void *local, volatile void *devices);
void bcm2836_init_core(void);
unsigned bcm2836_ack(void);
void bcm2836_deactivate(unsigned irq);
void bcm2836_enable(unsigned irq);
void bcm2836_disable(unsigned irq);
void bcm2836_send_ipi(unsigned cpu);

#endif
