// SPDX-License-Identifier: MIT
/* linux.c -- start the Linux server: its memory, its image, its device tree, its vCPUs. */
#include "pager.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#define MIB (1ul << 20)
#define FDT_SIZE (2 * MIB) /* QEMU pads its tree to 1 MiB; Linux takes 2 at most */

struct server_segment { uint64_t start, end, rights; };
struct server_header { uint64_t magic, abi, entry, n; struct server_segment segment[8]; };

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

/* ---- device tree --------------------------------------------------------------------------- */

static void set64(void *fdt, int node, const char *name, uint64_t v)
{
        fdt_setprop_u64(fdt, node, name, v);
}

/* What Linux gets is the machine's tree, less what is not its own. */
static bool tree_make(struct program *p, void *fdt, uint64_t ram_end, unsigned vcpus,
                      uint64_t initrd, uint64_t initrd_size)
{
        fdt32_t lines[64];
        int node, error = fdt_open_into(machine_fdt, fdt, FDT_SIZE);

        if (error) {
                printf("pager: linux: device tree: %s\n", fdt_strerror(error));
                return false;
        }
        while (fdt_num_mem_rsv(fdt) > 0)
                fdt_del_mem_rsv(fdt, 0);
        /* Top-level nodes: keep what we know, and what the manifest grants. */
        for (node = fdt_first_subnode(fdt, 0); node >= 0; node = fdt_next_subnode(fdt, node)) {
                const char *name = fdt_get_name(fdt, node, NULL);
                const char *type = fdt_getprop(fdt, node, "device_type", NULL);
                if (type && !strcmp(type, "memory")) {
                        fdt64_t reg[2] = {cpu_to_fdt64(p->block), cpu_to_fdt64(ram_end - p->block)};
                        fdt_setprop(fdt, node, "reg", reg, sizeof(reg));
                        continue;
                }
                if (fdt_getprop(fdt, node, "interrupt-controller", NULL) &&
                    !strncmp(name, "intc", 4))
                        continue; /* below */
                if (!strcmp(name, "chosen") || !strcmp(name, "cpus") || !strcmp(name, "aliases") ||
                    !strcmp(name, "timer") || !strcmp(name, "gpio-keys") ||
                    (!fdt_getprop(fdt, node, "reg", NULL) && strcmp(name, "psci") &&
                     strncmp(name, "pmu", 3)))
                        continue;
                if (device_wanted(p, fdt, node)) {
                        device_grant(p, fdt, node);
                        continue;
                }
                fdt_setprop_string(fdt, node, "status", "disabled");
        }
        int psci = fdt_path_offset(fdt, "/psci");
        if (psci >= 0)
                fdt_del_node(fdt, psci);
        int timer = fdt_path_offset(fdt, "/timer");
        if (timer >= 0)
                fdt_setprop_string(fdt, timer, "compatible", "ouzel,timer");
        /* The interrupt controller: ours, with the same specifiers. */
        static const char *const gics[] = {"arm,gic-v3", "arm,cortex-a15-gic", "arm,gic-400"};
        int gic = -1;
        for (unsigned i = 0; i < 3 && gic < 0; i++)
                gic = fdt_node_offset_by_compatible(fdt, -1, gics[i]);
        if (gic < 0) {
                printf("pager: linux: no interrupt controller in the device tree\n");
                return false;
        }
        int child;
        while ((child = fdt_first_subnode(fdt, gic)) >= 0)
                fdt_del_node(fdt, child);
        fdt_delprop(fdt, gic, "reg");
        fdt_delprop(fdt, gic, "interrupts");
        fdt_setprop_string(fdt, gic, "compatible", "ouzel,irqchip");
        for (unsigned i = 0; i < p->irqs; i++)
                lines[i] = cpu_to_fdt32(p->irq[i].line);
        fdt_setprop(fdt, gic, "ouzel,lines", lines, p->irqs * 4);
        /* CPUs: the vCPUs, in order. */
        int cpus = fdt_path_offset(fdt, "/cpus");
        unsigned n = 0;
        for (node = fdt_first_subnode(fdt, cpus); node >= 0; node = fdt_next_subnode(fdt, node)) {
                const char *type = fdt_getprop(fdt, node, "device_type", NULL);
                if (!type || strcmp(type, "cpu"))
                        continue;
                if (n++ < vcpus)
                        fdt_setprop_string(fdt, node, "enable-method", "ouzel");
                else
                        fdt_setprop_string(fdt, node, "status", "disabled");
        }
        int chosen = fdt_path_offset(fdt, "/chosen");
        char append[512];
        const char *extra = fdt_getprop(fdt, chosen, "bootargs", NULL);
        snprintf(append, sizeof(append), "%s%s%s", p->entry->append, extra ? " " : "",
                 extra ? extra : "");
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
                printf("pager: linux: %lu MiB are too little for an image of %lu MiB and a RAM disk "
                       "of %lu MiB: give the machine more memory\n", size / MIB, image_size / MIB,
                       rd.v2 / MIB);
                return false;
        }
        if (!program_make(p, size, 2 * MIB))
                return false;
        /* From the top: vCPU blocks, device tree, RAM disk. The first are not in its /memory. */
        uint64_t end = p->block + p->size;
        uint64_t blocks = end - 2 * MIB;
        uint64_t initrd = (blocks - rd.v2) & ~(2 * MIB - 1);
        uint64_t tree = initrd - 2 * MIB;
        memset(direct(blocks), 0, 2 * MIB);
        memset(direct(p->block), 0, image_size);
        memcpy(direct(p->block), file.data, file.size);
        __builtin___clear_cache(direct(p->block), (char *)direct(p->block) + file.size);
        if (rd.v2)
                memcpy(direct(initrd), direct(rd.v1), rd.v2);
        if (!tree_make(p, direct(tree), blocks, vcpus, initrd, rd.v2)) {
                program_end(p);
                return false;
        }
        for (unsigned i = 0; i < h.n && !e; i++)
                e = CALL(space_update, slots + AT_SPACE, SERVER_IMAGE_VA + h.segment[i].start,
                         p->block + h.segment[i].start, h.segment[i].rights,
                         (h.segment[i].end - h.segment[i].start) / 4096);
        for (unsigned i = 0; i < vcpus && !e; i++) {
                e = CALL(thread_create, slots + AT_THREAD + i, slots + AT_TASK,
                         slots + AT_ENDPOINT, p->entry->priority | i << 8, blocks + i * VB_SIZE);
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
        printf("pager: linux: %lu MiB at %lx, %u vCPU%s, %u interrupts\n", size / MIB, p->block,
               vcpus, vcpus == 1 ? "" : "s", p->irqs);
        return true;
}
