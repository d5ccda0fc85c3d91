// SPDX-License-Identifier: MIT
/* devices.c -- device registers and interrupt lines, by the nodes of the device tree. */
#include "pager.h"

#include <libfdt.h>
#include <stdio.h>

bool device_wanted(const struct program *p, const void *fdt, int node)
{
        for (unsigned i = 0; i < p->entry->n_devices; i++)
                if (!fdt_node_check_compatible(fdt, node, p->entry->devices[i]))
                        return true;
        return false;
}

static uint64_t cells(const fdt32_t *p, int n)
{
        uint64_t v = 0;

        while (n--)
                v = v << 32 | fdt32_to_cpu(*p++);
        return v;
}

static void registers_grant(struct program *p, const void *fdt, int node)
{
        int parent = fdt_parent_offset(fdt, node), len;
        int na = fdt_address_cells(fdt, parent), ns = fdt_size_cells(fdt, parent);
        const fdt32_t *reg = fdt_getprop(fdt, node, "reg", &len);

        for (; reg && len >= (na + ns) * 4; reg += na + ns, len -= (na + ns) * 4) {
                uint64_t start = cells(reg, na), size = cells(reg + na, ns);
                uint64_t first = start & ~4095ul, end = (start + size + 4095) & ~4095ul;
                enum ouzel_error e = CALL(region_grant, slot_of(p, AT_TASK), first, end - first,
                                          ACCESS_READ | ACCESS_WRITE | REGION_DEVICE);
                if (e && e != E_LIMIT)
                        printf("pager: %s: %s at %lx: %s\n", name_of(p),
                               fdt_get_name(fdt, node, NULL), start, error_text(e));
                if (!e && p->devices < MAX_DEVICES) {
                        p->device[p->devices].pa = start;
                        p->device[p->devices].size = size;
                        p->device[p->devices].irqs = 0;
                        p->device[p->devices++].irq = p->irqs;
                }
        }
}

void device_grant(struct program *p, const void *fdt, int node)
{
        unsigned first = p->devices, before = p->irqs;
        int len;

        registers_grant(p, fdt, node);
        const fdt32_t *irq = fdt_getprop(fdt, node, "interrupts", &len);
        for (; irq && len >= 12; irq += 3, len -= 12) {
                if (fdt32_to_cpu(irq[0]) != 0 || p->irqs == 64)
                        continue; /* SPIs only: PPIs are the kernel's */
                uint32_t line = 32 + fdt32_to_cpu(irq[1]);
                uint32_t flags = fdt32_to_cpu(irq[2]) & 3 ? IRQ_EDGE : 0; /* 1 rising, 2 falling */
                enum ouzel_error e = CALL(irq_create, slot_of(p, AT_IRQ + p->irqs), line, flags);
                if (!e) {
                        e = CALL(cap_copy, slot_of(p, AT_TASK), SLOT_LINE(p->irqs),
                                 slot_of(p, AT_IRQ + p->irqs), RIGHT_MANAGE, 0);
                        p->irq[p->irqs].flags = flags;
                        p->irq[p->irqs++].line = line;
                }
                if (e)
                        printf("pager: %s: interrupt %u: %s\n", name_of(p), line, error_text(e));
        }
        if (first < p->devices) /* they are those of the node's first registers */
                p->device[first].irqs = p->irqs - before;
}

void devices_native(struct program *p)
{
        for (unsigned i = 0; i < p->entry->n_devices; i++) {
                const char *name = p->entry->devices[i];
                int node = fdt_node_offset_by_compatible(machine_fdt, -1, name);
                if (node < 0)
                        printf("pager: `%s`: this machine has no device `%s`\n", name_of(p), name);
                for (; node >= 0; node = fdt_node_offset_by_compatible(machine_fdt, node, name))
                        device_grant(p, machine_fdt, node);
        }
}
