// SPDX-License-Identifier: MIT
/* linux.c -- start the Linux server: its memory, its image, its device tree, its vCPUs. */
#include "pager.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#define MIB (1ul << 20)
#define MORE_LEAST (16 * MIB) /* smaller pieces are left to native programs */
#define FDT_SIZE (2 * MIB) /* QEMU pads its tree to 1 MiB; Linux takes 2 at most */

struct server_segment { uint64_t start, end, rights; };
struct server_header { uint64_t magic, abi, entry, file, n; struct server_segment segment[8]; };

/* The Image is what it says it is, and has our port. */
static bool image_check(const struct archive_file *file, struct server_header *h, uint64_t *size)
{
        if (file->size < 4096 || memcmp(file->data + 56, "ARM\x64", 4)) {
                printf("pager: linux: `%s` is not an arm64 kernel Image\n", file->name);
                return false;
        }
        memcpy(size, file->data + 16, 8);
        memcpy(h, file->data + SERVER_HEADER, sizeof(*h));
        if (h->magic != SERVER_MAGIC) {
                printf("pager: linux: `%s` has no Ouzel header: build it with CONFIG_OUZEL=y\n",
                       file->name);
                return false;
        }
        if (h->abi != SERVER_ABI || h->n > 8 || *size > 1ul << 30 || file->size > *size) {
                printf("pager: linux: `%s` is for another version of Ouzel (ABI %lu, here %d), or "
                       "corrupt\n", file->name, h->abi, SERVER_ABI);
                return false;
        }
        if (file->size < h->file) {
                printf("pager: linux: `%s` is cut off: %u of at least %lu bytes are there\n",
                       file->name, file->size, h->file);
                return false;
        }
        for (unsigned i = 0; i < h->n; i++) {
                const struct server_segment *s = &h->segment[i];
                if (s->start >= s->end || ((s->start | s->end) & 4095) || s->end > *size ||
                    ((s->rights & ACCESS_WRITE) && (s->rights & ACCESS_EXEC))) {
                        printf("pager: linux: `%s`: segment %u of its Ouzel header is wrong\n",
                               file->name, i);
                        return false;
                }
        }
        return true;
}

/* For megabytes: the compiler moves a piece by FP registers, of which memcpy() keeps off. The
 * archive's sum has used them already. */
static void copy(char *to, const void *from, uint64_t size)
{
        const char *s = from;

        for (; size >= 128; size -= 128, to += 128, s += 128)
                __builtin_memcpy(to, s, 128);
        memcpy(to, s, size);
}

static void image_load(struct program *p, const struct archive_file *file,
                       const struct server_header *h, uint64_t size)
{
        char *image = direct(p->block);

        copy(image, file->data, file->size);
        memset(image + file->size, 0, size - file->size);
        for (unsigned i = 0; i < h->n; i++)
                if (h->segment[i].rights & ACCESS_EXEC)
                        __builtin___clear_cache(image + h->segment[i].start,
                                                image + h->segment[i].end);
}

/* ---- device tree --------------------------------------------------------------------------- */

static bool disabled(const void *fdt, int node)
{
        const char *status = fdt_getprop(fdt, node, "status", NULL);

        return status && strcmp(status, "okay") && strcmp(status, "ok");
}

static void disable(void *fdt, int node)
{
        fdt_setprop_string(fdt, node, "status", "disabled");
}

/* Linux's controller takes a GIC's specifiers; where the machine's are others, they change. */
static void device_pass(struct program *p, void *fdt, const struct bus_path *at,
                        const struct controller *c)
{
        fdt32_t gic[3 * 32];
        int node = at->node[at->depth], len, n = 0;

        if (!device_grant(p, fdt, at, c)) {
                disable(fdt, node);
                return;
        }
        const fdt32_t *irq = fdt_getprop(fdt, node, "interrupts", &len);
        if (!irq || c->cells > 2 || !interrupts_to(fdt, at, c))
                return;
        for (; n < 32 && len >= c->cells * 4; irq += c->cells, len -= c->cells * 4, n++) {
                gic[n * 3] = 0;
                gic[n * 3 + 1] = cpu_to_fdt32(line_of(c, irq) - 32);
                gic[n * 3 + 2] = cpu_to_fdt32(4);
        }
        fdt_setprop(fdt, node, "interrupts", gic, (int)(n * 3 * sizeof(gic[0])));
}

/*
 * Whatever has registers is granted if the manifest names it, else disabled. Devices are
 * below the root and below buses; what is below a device is reached through it, and what has
 * no registers (clocks, regulators, LEDs, firmware behind a mailbox) does no harm.
 */
static void devices_sort(struct program *p, void *fdt, struct bus_path *at,
                         const struct controller *c)
{
        int bus = at->node[at->depth], node;

        if (at->depth + 1 == BUS_DEPTH)
                return;
        at->depth++;
        fdt_for_each_subnode(node, fdt, bus) {
                at->node[at->depth] = node;
                const char *name = fdt_get_name(fdt, node, NULL);
                const char *type = fdt_getprop(fdt, node, "device_type", NULL);
                if (fdt_get_phandle(fdt, node) == c->phandle || disabled(fdt, node) ||
                    (type && !strcmp(type, "memory")))
                        continue;
                if (!fdt_node_check_compatible(fdt, node, "simple-bus"))
                        devices_sort(p, fdt, at, c);
                else if (device_wanted(p, fdt, node))
                        device_pass(p, fdt, at, c);
                else if (fdt_getprop(fdt, node, "reg", NULL) || !strncmp(name, "pmu", 3) ||
                         !strcmp(name, "arm-pmu"))
                        disable(fdt, node);
        }
        at->depth--;
}

/* Some are optional; if it is most of them, the image is another board's. */
static void absent_say(const struct program *p, const void *fdt)
{
        const char *before = "pager: linux: not on this machine: ";
        bool here[MANIFEST_DEVICES] = {false};

        for (int len, node = 0; node >= 0; node = fdt_next_node(fdt, node, NULL)) {
                const char *names = fdt_getprop(fdt, node, "compatible", &len);
                for (unsigned i = 0; names && i < p->entry->n_devices; i++)
                        if (!here[i])
                                here[i] = fdt_stringlist_contains(names, len,
                                                                  p->entry->devices[i]);
        }
        for (unsigned i = 0; i < p->entry->n_devices; i++)
                if (!here[i]) {
                        printf("%s%s", before, p->entry->devices[i]);
                        before = " ";
                }
        if (before[1] == 0)
                printf("\n");
}

static void set64(void *fdt, int node, const char *name, uint64_t v)
{
        fdt_setprop_u64(fdt, node, name, v);
}

/* One entry of a reg in the root's cells, in pieces if its size does not fit into them. */
static int reg_append(void *fdt, int node, uint64_t start, uint64_t size)
{
        int na = fdt_address_cells(fdt, 0), ns = fdt_size_cells(fdt, 0), error = 0;
        uint64_t most = ns > 1 ? UINT64_MAX : 1ul << 31;

        for (uint64_t n; size && !error; start += n, size -= n) {
                n = size < most ? size : most;
                if (na > 1)
                        error = fdt_appendprop_u64(fdt, node, "reg", start);
                else
                        error = fdt_appendprop_u32(fdt, node, "reg", (uint32_t)start);
                if (!error && ns > 1)
                        error = fdt_appendprop_u64(fdt, node, "reg", n);
                else if (!error)
                        error = fdt_appendprop_u32(fdt, node, "reg", (uint32_t)n);
        }
        return error;
}

/* Linux's memory, and nothing that the firmware has put into what is not Linux's. */
static void memory_describe(struct program *p, void *fdt, uint64_t ram_end)
{
        bool first = true;
        int node, parent = fdt_path_offset(fdt, "/reserved-memory");

        while (fdt_num_mem_rsv(fdt) > 0)
                fdt_del_mem_rsv(fdt, 0);
        if (parent >= 0)
                fdt_for_each_subnode(node, fdt, parent)
                        if (fdt_getprop(fdt, node, "reg", NULL))
                                disable(fdt, node);
        fdt_for_each_subnode(node, fdt, 0) {
                const char *type = fdt_getprop(fdt, node, "device_type", NULL);
                if (!type || strcmp(type, "memory"))
                        continue;
                if (!first) {
                        disable(fdt, node);
                        continue;
                }
                first = false;
                fdt_delprop(fdt, node, "reg");
                reg_append(fdt, node, p->block, ram_end - p->block);
                for (unsigned i = 0; i < p->n_more; i++)
                        reg_append(fdt, node, p->more[i].start, p->more[i].end - p->more[i].start);
        }
}

/* Our interrupt controller and timer, in the place of the machine's. */
static void controller_describe(struct program *p, void *fdt, int node)
{
        /* Linux's driver takes the third: the virtual timer, PPI 11. */
        const fdt32_t ppi[3] = {cpu_to_fdt32(1), cpu_to_fdt32(11), cpu_to_fdt32(4)};
        uint32_t phandle = fdt_get_phandle(fdt, node);
        int child;

        while ((child = fdt_first_subnode(fdt, node)) >= 0)
                fdt_del_node(fdt, child);
        fdt_delprop(fdt, node, "reg");
        fdt_delprop(fdt, node, "interrupts");
        fdt_delprop(fdt, node, "interrupt-parent");
        fdt_setprop_string(fdt, node, "compatible", "ouzel,irqchip");
        fdt_setprop_u32(fdt, node, "#interrupt-cells", 3);
        for (unsigned i = 0; i < p->irqs; i++)
                fdt_appendprop_u32(fdt, node, "ouzel,lines", p->irq[i].line);
        int timer = fdt_path_offset(fdt, "/timer");
        if (timer < 0)
                return;
        fdt_setprop_string(fdt, timer, "compatible", "ouzel,timer");
        fdt_setprop_u32(fdt, timer, "interrupt-parent", phandle);
        fdt_delprop(fdt, timer, "interrupts");
        for (unsigned i = 0; i < 3 * 3; i++)
                fdt_appendprop_u32(fdt, timer, "interrupts", fdt32_to_cpu(ppi[i % 3]));
}

/* The vCPUs, in order. */
static void cpus_describe(void *fdt, unsigned vcpus)
{
        int cpus = fdt_path_offset(fdt, "/cpus"), node;
        unsigned n = 0;

        fdt_for_each_subnode(node, fdt, cpus) {
                const char *type = fdt_getprop(fdt, node, "device_type", NULL);
                if (!type || strcmp(type, "cpu"))
                        continue;
                if (n++ < vcpus)
                        fdt_setprop_string(fdt, node, "enable-method", "ouzel");
                else
                        disable(fdt, node);
        }
}

/* What Linux gets is the machine's tree, less what is not its own. */
static bool tree_make(struct program *p, void *fdt, uint64_t ram_end, unsigned vcpus,
                      uint64_t initrd, uint64_t initrd_size)
{
        struct controller c;
        struct bus_path root = {0};
        int error = fdt_open_into(machine_fdt, fdt, FDT_SIZE);

        if (error) {
                printf("pager: linux: device tree: %s\n", fdt_strerror(error));
                return false;
        }
        if (controller_find(fdt, &c) < 0) {
                printf("pager: linux: no interrupt controller in the device tree\n");
                return false;
        }
        memory_describe(p, fdt, ram_end);
        absent_say(p, fdt);
        devices_sort(p, fdt, &root, &c);
        controller_describe(p, fdt, controller_find(fdt, &c));
        cpus_describe(fdt, vcpus);
        int psci = fdt_path_offset(fdt, "/psci");
        if (psci >= 0)
                fdt_del_node(fdt, psci);
        int chosen = fdt_path_offset(fdt, "/chosen");
        if (chosen < 0)
                chosen = fdt_add_subnode(fdt, 0, "chosen");
        char append[2048]; /* arm64's COMMAND_LINE_SIZE */
        const char *extra = fdt_getprop(fdt, chosen, "bootargs", NULL);
        if (snprintf(append, sizeof(append), "%s%s%s", p->entry->append, extra ? " " : "",
                     extra ? extra : "") >= (int)sizeof(append))
                printf("pager: linux: the command line is too long, and cut: %zu bytes at most\n",
                       sizeof(append) - 1);
        fdt_setprop_string(fdt, chosen, "bootargs", append);
        fdt_delprop(fdt, chosen, "linux,initrd-start");
        fdt_delprop(fdt, chosen, "linux,initrd-end");
        if (initrd_size) {
                set64(fdt, chosen, "linux,initrd-start", initrd);
                set64(fdt, chosen, "linux,initrd-end", initrd + initrd_size);
        }
        return !fdt_pack(fdt);
}

/* ---- start --------------------------------------------------------------------------------- */

/*
 * "memory rest": the other free pieces, too. On a Raspberry Pi 4 only the first GiB can be
 * reached by all devices, and the first 3 GiB by those behind PCIe; Linux knows that by the
 * dma-ranges in the device tree, and must have some of each.
 */
static void memory_more(struct program *p)
{
        uint64_t size;

        while (p->n_more < LINUX_MORE && (size = memory_largest(&memory, 2 * MIB)) >= MORE_LEAST) {
                uint64_t at = memory_take(&memory, size, 2 * MIB);
                if (!at)
                        return;
                enum ouzel_error e = CALL(region_grant, slot_of(p, AT_TASK), at, size,
                                          memory_rights(p));
                if (e) {
                        printf("pager: linux: memory at %lx: %s\n", at, error_text(e));
                        memory_free(at, at + size);
                        return;
                }
                p->more[p->n_more].start = at;
                p->more[p->n_more++].end = at + size;
        }
}

#define CORES_MAX 8 /* the kernel uses no more */

bool linux_start(struct program *p)
{
        unsigned slots = slot_of(p, 0);
        struct ouzel_result r = RESULT_OF(kernel_info, SLOT_CONTROL, INFO_CPUS);
        unsigned vcpus = p->entry->cores < r.v1 ? p->entry->cores : (unsigned)r.v1;
        struct archive_file file;
        struct server_header h;
        uint64_t image_size, size = p->entry->memory;
        enum ouzel_error e = E_OK;

        if (!file_get(p->entry->file, &file) || !image_check(&file, &h, &image_size))
                return false;
        if (size == MANIFEST_REST)
                size = memory_largest(&memory, 2 * MIB);
        struct ouzel_result rd = RESULT_OF(kernel_info, SLOT_CONTROL, INFO_INITRD);
        if (size < image_size + rd.v2 + 32 * MIB) {
                printf("pager: linux: %lu MiB are too little for an image of %lu MiB and a RAM "
                       "disk of %lu MiB: give the machine more memory\n", size / MIB,
                       image_size / MIB, rd.v2 / MIB);
                return false;
        }
        if (!program_make(p, size, 2 * MIB))
                return false;
        if (p->entry->memory == MANIFEST_REST)
                memory_more(p);
        for (unsigned i = 0; i < p->n_more; i++)
                size += p->more[i].end - p->more[i].start;
        /* From the top: vCPU blocks, device tree, RAM disk. The first are not in its /memory. */
        uint64_t end = p->block + p->size;
        uint64_t blocks = end - 2 * MIB;
        uint64_t initrd = (blocks - rd.v2) & ~(2 * MIB - 1);
        uint64_t tree = initrd - 2 * MIB;
        memset(direct(blocks), 0, vcpus * VB_SIZE);
        image_load(p, &file, &h, image_size);
        copy(direct(initrd), direct(rd.v1), rd.v2);
        if (!tree_make(p, direct(tree), blocks, vcpus, initrd, rd.v2)) {
                program_end(p);
                return false;
        }
        for (unsigned i = 0; i < h.n && !e; i++)
                e = CALL(space_update, slots + AT_SPACE, SERVER_IMAGE_VA + h.segment[i].start,
                         p->block + h.segment[i].start, h.segment[i].rights,
                         (h.segment[i].end - h.segment[i].start) / 4096);
        for (unsigned i = 0, core = 0; i < vcpus && !e; i++) {
                do /* E_RANGE: this core did not start; there are as many that did */
                        e = CALL(thread_create, slots + AT_THREAD + i, slots + AT_TASK,
                                 slots + AT_ENDPOINT, p->entry->priority | core << 8,
                                 blocks + i * VB_SIZE);
                while (e == E_RANGE && core++ < CORES_MAX);
                core++;
                if (e)
                        break;
                p->threads++;
                e = CALL(cap_copy, slots + AT_TASK, SERVER_SLOT_VCPU(i), slots + AT_THREAD + i,
                         RIGHT_MANAGE, 0);
        }
        if (!e)
                e = CALL(thread_start, slots + AT_THREAD, SERVER_IMAGE_VA + h.entry, p->block, tree,
                         blocks);
        if (e) {
                printf("pager: can't start linux: %s\n", error_text(e));
                program_end(p);
                return false;
        }
        /* A seed is for one: the next Linux, if there is one, has none that others know. */
        fdt_nop_property((void *)machine_fdt, fdt_path_offset(machine_fdt, "/chosen"), "rng-seed");
        printf("pager: linux: %lu MiB in %u range%s, image at %lx, %u vCPU%s, %u interrupts\n",
               size / MIB, 1 + p->n_more, p->n_more ? "s" : "", p->block, vcpus,
               vcpus == 1 ? "" : "s", p->irqs);
        return true;
}
