/* SPDX-License-Identifier: MIT */
/*
 * bus.h -- where the devices of a device tree are, for the kernel and the pager. Pure.
 * Addresses on a bus are its own until its `ranges`, and those of the buses above it, have
 * made them the CPU's. [Devicetree Specification 0.4, 2.3.6 and 2.3.8]
 */
#ifndef BUS_H
#define BUS_H

#include <libfdt.h>
#include <stdbool.h>
#include <stdint.h>

/* n cells (32 bits, big-endian) as one number: the last two count. */
uint64_t bus_cells(const fdt32_t *p, int n);
/* Entry `index` of a node's reg as the CPU sees it; false if there is none, or no way to it. */
bool bus_reg(const void *fdt, int node, unsigned index, uint64_t *base, uint64_t *size);
/* From an address on the bus that `bus` is to the CPU's. */
bool bus_translate(const void *fdt, int bus, uint64_t *address);

#endif
