// SPDX-License-Identifier: MIT
#include "bus.h"

uint64_t bus_cells(const fdt32_t *p, int n)
{
        uint64_t v = 0;

        while (n--)
                v = v << 32 | fdt32_to_cpu(*p++);
        return v;
}

bool bus_path(const void *fdt, int node, struct bus_path *path)
{
        path->depth = 0;
        for (int at = 0, depth = 0; at >= 0 && at <= node && depth >= 0;
             at = fdt_next_node(fdt, at, &depth)) {
                if (depth < BUS_DEPTH)
                        path->node[depth] = at;
                if (at == node && depth < BUS_DEPTH) {
                        path->depth = depth;
                        return true;
                }
        }
        return false;
}

bool bus_translate(const void *fdt, const struct bus_path *path, uint64_t *address)
{
        for (int depth = path->depth - 1; depth > 0; depth--) {
                int bus = path->node[depth], up = path->node[depth - 1], len;
                int na = fdt_address_cells(fdt, bus), ns = fdt_size_cells(fdt, bus);
                int pa = fdt_address_cells(fdt, up);
                const fdt32_t *r = fdt_getprop(fdt, bus, "ranges", &len);

                if (!r || na < 1 || ns < 1 || pa < 1)
                        return false; /* what is below is not in the CPU's address space */
                bool found = len == 0; /* empty: the same addresses */
                for (int entry = na + pa + ns; !found && len >= entry * 4; len -= entry * 4) {
                        uint64_t child = bus_cells(r, na);
                        if (*address >= child &&
                            *address - child < bus_cells(r + na + pa, ns)) {
                                *address = *address - child + bus_cells(r + na, pa);
                                found = true;
                        }
                        r += entry;
                }
                if (!found)
                        return false;
        }
        return true;
}

bool bus_reg(const void *fdt, const struct bus_path *path, unsigned index, uint64_t *base,
             uint64_t *size)
{
        if (path->depth < 1)
                return false; /* the root is on no bus */
        int node = path->node[path->depth], parent = path->node[path->depth - 1], len;
        int na = fdt_address_cells(fdt, parent), ns = fdt_size_cells(fdt, parent);
        const fdt32_t *p = fdt_getprop(fdt, node, "reg", &len);

        if (!p || na < 1 || ns < 0 || (index + 1) * (unsigned)(na + ns) * 4 > (unsigned)len)
                return false;
        p += index * (unsigned)(na + ns);
        *base = bus_cells(p, na);
        *size = ns ? bus_cells(p + na, ns) : 0;
        return bus_translate(fdt, path, base);
}
