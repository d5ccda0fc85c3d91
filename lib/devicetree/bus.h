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

/*
 * A node, and what it is below: node[0] is the root, node[depth] the node itself. A tree says no
 * node's parent, so finding one is a walk from its start: done once for all that is asked of a
 * node, or not at all by who comes from above.
 */
#define BUS_DEPTH 8
struct bus_path { int depth, node[BUS_DEPTH]; };

/* False: no such node, or deeper than any device that we give away. */
bool bus_path(const void *fdt, int node, struct bus_path *path);
/* n cells (32 bits, big-endian) as one number: the last two count. */
uint64_t bus_cells(const fdt32_t *p, int n);
/* Entry `index` of a node's reg as the CPU sees it; false if there is none, or no way to it. */
bool bus_reg(const void *fdt, const struct bus_path *path, unsigned index, uint64_t *base,
             uint64_t *size);
/* From an address on the bus that the node's parent is to the CPU's. */
bool bus_translate(const void *fdt, const struct bus_path *path, uint64_t *address);

#endif
