// SPDX-License-Identifier: MIT
/* devices.c -- device registers and interrupt lines, by the nodes of the device tree. */
#include "pager.h"

#include <stdio.h>
#include <string.h>

bool device_wanted(const struct program *p, const void *fdt, int node)
{
        int size;
        const char *names = fdt_getprop(fdt, node, "compatible", &size);

        for (unsigned i = 0; names && i < p->entry->n_devices; i++)
                if (fdt_stringlist_contains(names, size, p->entry->devices[i]))
                        return true;
        return false;
}

/* ---- interrupts -------------------------------------------------------------------------- */

int controller_find(const void *fdt, struct controller *c)
{
        static const char *const known[] = {"arm,gic-v3", "arm,cortex-a15-gic", "arm,gic-400",
                                            "arm,cortex-a7-gic", "brcm,bcm2836-armctrl-ic"};
        unsigned best = sizeof(known) / sizeof(known[0]);
        int node = -1, len;

        for (int at = 0; at >= 0 && best; at = fdt_next_node(fdt, at, NULL)) {
                const char *names = fdt_getprop(fdt, at, "compatible", &len);
                for (unsigned i = 0; names && i < best; i++)
                        if (fdt_stringlist_contains(names, len, known[i])) {
                                best = i; /* of several the first that we know */
                                node = at;
                        }
        }
        const fdt32_t *cells = node < 0 ? NULL : fdt_getprop(fdt, node, "#interrupt-cells", &len);
        if (!cells)
                return -1;
        c->cells = (int)fdt32_to_cpu(*cells);
        c->phandle = fdt_get_phandle(fdt, node);
        return c->cells < 2 || c->cells > 4 || !c->phandle ? -1 : node;
}

uint32_t line_of(const struct controller *c, const fdt32_t *specifier)
{
        uint32_t kind = fdt32_to_cpu(specifier[0]), n = fdt32_to_cpu(specifier[1]);

        if (c->cells == 2) /* BCM2836: bank and bit */
                return 32 + kind * 32 + n;
        return kind == 0 ? 32 + n : 0; /* SPIs only: PPIs are the kernel's */
}

bool interrupts_to(const void *fdt, const struct bus_path *at, const struct controller *c)
{
        for (int depth = at->depth; depth >= 0; depth--) {
                const fdt32_t *parent = fdt_getprop(fdt, at->node[depth], "interrupt-parent", NULL);
                if (parent)
                        return fdt32_to_cpu(*parent) == c->phandle;
        }
        return false;
}

/* Its index among the program's lines, or -1. Devices may share a line. */
static int line_give(struct program *p, uint32_t line, uint32_t flags)
{
        unsigned slot = slot_of(p, AT_IRQ + p->irqs);
        enum ouzel_error e = E_LIMIT;

        for (unsigned i = 0; i < p->irqs; i++)
                if (p->irq[i].line == line)
                        return (int)i;
        if (p->irqs < sizeof(p->irq) / sizeof(p->irq[0]))
                e = CALL(irq_create, slot, line, flags);
        if (!e)
                e = CALL(cap_copy, slot_of(p, AT_TASK), SLOT_LINE(p->irqs), slot, RIGHT_MANAGE, 0);
        if (e) {
                printf("pager: %s: interrupt %u: %s\n", name_of(p), line, error_text(e));
                return -1;
        }
        p->irq[p->irqs].flags = flags;
        p->irq[p->irqs].line = line;
        return (int)p->irqs++;
}

/* What a device record says of its lines: the first, and how many follow it in a row. */
static void interrupts_grant(struct program *p, const void *fdt, const struct bus_path *at,
                             const struct controller *c, unsigned device)
{
        int len;
        const fdt32_t *irq = fdt_getprop(fdt, at->node[at->depth], "interrupts", &len);

        if (!irq || !c->cells || !interrupts_to(fdt, at, c))
                return;
        for (; len >= c->cells * 4; irq += c->cells, len -= c->cells * 4) {
                uint32_t line = line_of(c, irq);
                /* GIC: 1 rising, 2 falling; 4 and 8 are levels, as all of BCM2836 are */
                bool edge = c->cells > 2 && (fdt32_to_cpu(irq[2]) & 3);
                int index = line ? line_give(p, line, edge ? IRQ_EDGE : 0) : -1;
                if (index < 0 || device >= p->devices)
                        continue;
                if (!p->device[device].irqs)
                        p->device[device].irq = (unsigned)index;
                p->device[device].irqs++;
        }
}

/* ---- registers --------------------------------------------------------------------------- */

/* Another program that has a device in these pages. */
static const struct program *owner_of(const struct program *p, uint64_t start, uint64_t end)
{
        for (const struct program *q = programs; q < programs + manifest.n; q++)
                for (unsigned i = 0; q != p && q->running && i < q->devices; i++)
                        if ((q->device[i].pa & ~4095ul) < end &&
                            q->device[i].pa + q->device[i].size > start)
                                return q;
        return NULL;
}

static bool registers_give(struct program *p, const char *what, uint64_t start, uint64_t size,
                           bool virtio)
{
        uint64_t first = start & ~4095ul, end = (start + size + 4095) & ~4095ul;
        const struct program *owner = owner_of(p, first, end);

        if (owner) {
                printf("pager: %s: %s at %lx belongs to `%s`\n", name_of(p), what, start,
                       name_of(owner));
                return false;
        }
        if (p->devices == MAX_DEVICES) {
                printf("pager: %s: %s at %lx is one too many\n", name_of(p), what, start);
                return false;
        }
        enum ouzel_error e = CALL(region_grant, slot_of(p, AT_TASK), first, end - first,
                                  ACCESS_READ | ACCESS_WRITE | REGION_DEVICE);

        if (e) {
                printf("pager: %s: %s at %lx: %s\n", name_of(p), what, start, error_text(e));
                return false;
        }
        p->device[p->devices].pa = start;
        p->device[p->devices].size = size;
        p->device[p->devices].irqs = p->device[p->devices].irq = 0;
        p->device[p->devices++].virtio = virtio;
        return true;
}

/* A PCI host bridge: its windows onto the bus, and the lines of INTA to INTD. */
static void pci_grant(struct program *p, const void *fdt, const struct bus_path *path,
                      const struct controller *c)
{
        int node = path->node[path->depth], bus = path->node[path->depth - 1];
        const char *name = fdt_get_name(fdt, node, NULL);
        int na = fdt_address_cells(fdt, bus), len;
        const fdt32_t *r = fdt_getprop(fdt, node, "ranges", &len);

        /* 3 cells of PCI address, the CPU's, 2 of size. [IEEE 1275 PCI Bus Binding] */
        for (; r && len >= (3 + na + 2) * 4; r += 3 + na + 2, len -= (3 + na + 2) * 4) {
                uint64_t at = bus_cells(r + 3, na);
                if (bus_translate(fdt, path, &at))
                        registers_give(p, name, at, bus_cells(r + 3 + na, 2), false);
        }
        const fdt32_t *map = fdt_getprop(fdt, node, "interrupt-map", &len);
        int parent = fdt_node_offset_by_phandle(fdt, c->phandle);
        const fdt32_t *pa = fdt_getprop(fdt, parent, "#address-cells", NULL);
        int skip = 3 + 1 + 1 + (pa ? (int)fdt32_to_cpu(*pa) : 0), entry = skip + c->cells;
        for (; map && c->cells > 2 && len >= entry * 4; map += entry, len -= entry * 4)
                if (fdt32_to_cpu(map[4]) == c->phandle && line_of(c, map + skip))
                        line_give(p, line_of(c, map + skip), 0);
}

bool device_grant(struct program *p, const void *fdt, const struct bus_path *at,
                  const struct controller *c)
{
        int node = at->node[at->depth];
        const char *type = fdt_getprop(fdt, node, "device_type", NULL);
        bool virtio = !fdt_node_check_compatible(fdt, node, "virtio,mmio");
        unsigned first = p->devices;
        uint64_t base, size;

        for (unsigned i = 0; bus_reg(fdt, at, i, &base, &size); i++)
                if (size && !registers_give(p, fdt_get_name(fdt, node, NULL), base, size, virtio))
                        return false;
        interrupts_grant(p, fdt, at, c, first);
        if (at->depth && type && !strcmp(type, "pci"))
                pci_grant(p, fdt, at, c);
        return true;
}

/*
 * A program that ends by a fault leaves its devices as they are, and a virtio device goes on
 * writing to the buffers that it was given. [Virtio 1.2: 4.2.2 MMIO registers; 2.1: a reset is
 * complete when Status reads 0] Other devices that do so know no such common way.
 */
#define VIRTIO_STATUS 0x70

void devices_reset(const struct program *p)
{
        for (unsigned i = 0; i < p->devices; i++) {
                uint64_t pa = p->device[i].pa;
                if (!p->device[i].virtio ||
                    CALL(space_update, SLOT_SPACE, SCRATCH, pa & ~4095ul,
                         ACCESS_READ | ACCESS_WRITE | MAP_DEVICE, 1))
                        continue;
                volatile uint32_t *status = (void *)(SCRATCH + (pa & 4095) + VIRTIO_STATUS);
                *status = 0;
                for (unsigned n = 0; *status && n < 1000000; n++)
                        ;
                CALL(space_update, SLOT_SPACE, SCRATCH, 0, 0, 1);
        }
}

void devices_native(struct program *p)
{
        struct controller c = {0}; /* without one: registers, and no interrupts */
        struct bus_path at;

        controller_find(machine_fdt, &c);
        for (unsigned i = 0; i < p->entry->n_devices; i++) {
                const char *name = p->entry->devices[i];
                int node = fdt_node_offset_by_compatible(machine_fdt, -1, name);
                if (node < 0)
                        printf("pager: `%s`: this machine has no device `%s`\n", name_of(p), name);
                for (; node >= 0; node = fdt_node_offset_by_compatible(machine_fdt, node, name))
                        if (bus_path(machine_fdt, node, &at))
                                device_grant(p, machine_fdt, &at, &c);
        }
}
