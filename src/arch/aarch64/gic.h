/* SPDX-License-Identifier: MIT */
/* gic.h -- what boot.c needs of the interrupt controller besides arch.h. */
#ifndef GIC_H
#define GIC_H

#include <stdbool.h>
#include <stdint.h>

void gic_init(unsigned version, volatile void *dist, volatile void *cpu_if, unsigned *lines);
void gic_redistributor(unsigned cpu, volatile void *base); /* v3, before gic_init_core */
uint64_t gic_redist_typer(volatile void *base);            /* affinity 63:32, Last bit 4 */
void gic_init_core(unsigned cpu);

#endif
