// SPDX-License-Identifier: MIT
#include "pager.h"

#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct program programs[MANIFEST_ENTRIES];
struct memory memory;
const uint8_t *archive;
size_t archive_size;
const void *machine_fdt;

static struct manifest manifest;

unsigned program_index(const struct program *p)
{
        return (unsigned)(p - programs);
}

static const char *name_of(const struct program *p)
{
        return p->entry->name;
}

/* ---- memory ------------------------------------------------------------------------------ */

/* Map a range of ours in our own window, in the largest pages that fit. */
static void window_map(uint64_t start, uint64_t end)
{
        static const struct { uint64_t size; uint32_t flag; } sizes[] = {
                {1ul << 30, MAP_SIZE_1G}, {1ul << 21, MAP_SIZE_2M}, {1ul << 12, MAP_SIZE_4K}};

        while (start < end) {
                for (unsigned i = 0; i < 3; i++) {
                        uint64_t size = sizes[i].size;
                        if ((start & (size - 1)) || end - start < size)
                                continue;
                        uint64_t n = (end - start) / size;
                        if (i < 2) { /* up to where a larger page fits is not worth the search */
                                uint64_t larger = sizes[i ? i - 1 : 0].size;
                                uint64_t stop = (start + larger) & ~(larger - 1);
                                if (i && stop < end && (stop - start) / size < n)
                                        n = (stop - start) / size;
                        } else {
                                uint64_t stop = (start + (2ul << 20)) & ~((2ul << 20) - 1);
                                if (stop < end)
                                        n = (stop - start) / size;
                        }
                        enum ouzel_error e = CALL(space_update, SLOT_SPACE, DIRECT + start, start,
                                                  ACCESS_READ | ACCESS_WRITE | sizes[i].flag, n);
                        if (e)
                                printf("pager: can't map %lx: %s\n", start, error_text(e));
                        start += n * size;
                        break;
                }
        }
}

static void memory_init(void)
{
        struct ouzel_result r;

        for (unsigned i = 0; !(r = RESULT_OF(region_query, SLOT_TASK, i)).error; i++) {
                if (r.v3 & REGION_DEVICE)
                        continue;
                window_map(r.v1, r.v1 + r.v2);
                memory_add(&memory, r.v1, r.v1 + r.v2);
        }
        /* Not free: our own image and stack, the archive, device tree, RAM disk. */
        for (uint64_t va = NATIVE_LINK_VA - 0x10000; va < NATIVE_LINK_VA + (4ul << 20); va += 4096)
                if (!(r = RESULT_OF(space_query, SLOT_SPACE, va)).error)
                        memory_remove(&memory, r.v1 & ~4095ul, (r.v1 & ~4095ul) + 4096);
        static const enum ouzel_info keep[] = {INFO_FDT, INFO_ARCHIVE, INFO_INITRD};
        for (unsigned i = 0; i < 3; i++) {
                r = RESULT_OF(kernel_info, SLOT_CONTROL, keep[i]);
                memory_remove(&memory, r.v1 & ~4095ul, (r.v1 + r.v2 + 4095) & ~4095ul);
        }
}

/* ---- programs ------------------------------------------------------------------------------ */

bool file_get(const char *name, struct archive_file *file)
{
        switch (archive_find(archive, archive_size, name, file)) {
        case ARCHIVE_CORRUPT:
                printf("pager: the boot archive is corrupt before `%s`: make the image again\n",
                       name);
                return false;
        case ARCHIVE_END:
                printf("pager: the boot archive has no file `%s`: add it where the image is made\n",
                       name);
                return false;
        default:
                if (archive_sum(file->data, file->size) == file->sum)
                        return true;
                printf("pager: `%s` in the boot archive is corrupt (checksum): make the image "
                       "again\n", name);
                return false;
        }
}

bool program_make(struct program *p, uint64_t size, uint64_t align)
{
        unsigned slots = SLOTS_OF(program_index(p));
        struct ouzel_result info = RESULT_OF(task_info, SLOT_TASK);
        uint64_t quota = p->entry->quota / 4096;
        enum ouzel_error e;

        p->quota_before = info.v2;
        if (p->entry->quota == MANIFEST_REST) /* an eighth stays for us and who comes later */
                quota = (info.v1 - info.v2) / 8 * 7;
        p->block = memory_take(&memory, size, align);
        if (!p->block) {
                printf("pager: no %lu KiB of contiguous memory for `%s` (%lu KiB free): give the "
                       "machine more, or ask for less in line %u of the manifest\n", size >> 10,
                       name_of(p), memory.free >> 10, p->entry->line);
                return false;
        }
        p->size = size;
        p->running = true;
        e = CALL(task_create, slots + AT_TASK, quota);
        if (!e)
                e = CALL(region_grant, slots + AT_TASK, p->block, size,
                         ACCESS_ALL | REGION_WX);
        if (!e)
                e = CALL(cap_copy, SLOT_TASK, slots + AT_ENDPOINT, SLOT_EP,
                         RIGHT_SEND | RIGHT_GRANT, program_index(p) + 1);
        if (!e)
                e = CALL(cap_copy, slots + AT_TASK, SLOT_PARENT, slots + AT_ENDPOINT, RIGHT_SEND, 0);
        if (!e && p->entry->control)
                e = CALL(cap_copy, slots + AT_TASK, SLOT_CONTROL, SLOT_CONTROL,
                         CONTROL_DEBUG | CONTROL_SYSTEM | CONTROL_IRQ, 0);
        if (!e)
                return true;
        printf("pager: can't make a task of %lu KiB quota for `%s`: %s\n", quota * 4, name_of(p),
               error_text(e));
        program_end(p);
        return false;
}

void program_end(struct program *p)
{
        unsigned slots = SLOTS_OF(program_index(p));

        p->running = false;
        for (unsigned i = 0; i < p->threads; i++)
                CALL(cap_delete, slots + AT_THREAD + i);
        for (unsigned i = 0; i < p->irqs; i++)
                CALL(cap_delete, slots + AT_IRQ + i);
        CALL(task_destroy, slots + AT_TASK);
        CALL(cap_delete, slots + AT_ENDPOINT);
        memory_add(&memory, p->block, p->block + p->size);
        p->threads = p->irqs = 0;
        p->block = 0;
        struct ouzel_result info = RESULT_OF(task_info, SLOT_TASK);
        if (info.v2 > p->quota_before + 2) /* pages of our own table may have come */
                printf("pager: `%s` left %lu pages of quota behind\n", name_of(p),
                       info.v2 - p->quota_before);
}

/* ELF64: what we need of it. [ELF-64 object file format] */
struct elf_header {
        uint8_t ident[16];
        uint16_t type, machine;
        uint32_t version;
        uint64_t entry, phoff, shoff;
        uint32_t flags;
        uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf_segment {
        uint32_t type, flags;
        uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

#define STACK_SIZE 0x8000ul
#define ARGS_SIZE  512 /* at its top: the machine's boot arguments, for whom they may concern */

static void args_put(char *to)
{
        const char *args = fdt_getprop(machine_fdt, fdt_path_offset(machine_fdt, "/chosen"),
                                       "bootargs", NULL);

        snprintf(to, ARGS_SIZE, "%s", args ? args : "");
}

static bool native_start(struct program *p)
{
        struct archive_file file;
        struct elf_header elf;
        struct elf_segment seg;
        uint64_t used = 0;
        unsigned slots = SLOTS_OF(program_index(p));

        if (!file_get(p->entry->file, &file))
                return false;
        memcpy(&elf, file.data, file.size < sizeof(elf) ? file.size : sizeof(elf));
        if (file.size < sizeof(elf) || memcmp(elf.ident, "\177ELF\2\1", 6) || elf.machine != 183 ||
            elf.phoff > file.size || elf.phnum > 64 ||
            elf.phnum * sizeof(seg) > file.size - elf.phoff) {
                printf("pager: `%s` is not an ELF64 program for AArch64\n", p->entry->file);
                return false;
        }
        if (!program_make(p, p->entry->memory, 4096))
                return false;
        memset(direct(p->block), 0, p->size);
        p->n_segments = 0;
        for (unsigned i = 0; i <= elf.phnum; i++) {
                if (i == elf.phnum) {
                        seg = (struct elf_segment){.type = 1, .flags = 6, .memsz = STACK_SIZE,
                                                   .vaddr = NATIVE_LINK_VA - STACK_SIZE};
                } else {
                        memcpy(&seg, file.data + elf.phoff + i * sizeof(seg), sizeof(seg));
                }
                if (seg.type != 1 || !seg.memsz)
                        continue;
                uint64_t shift = seg.vaddr & 4095;
                uint64_t bytes = (shift + seg.memsz + 4095) & ~4095ul;
                if (seg.offset > file.size || seg.filesz > file.size - seg.offset ||
                    seg.filesz > seg.memsz || bytes > p->size - used ||
                    p->n_segments == MAX_SEGMENTS) {
                        printf("pager: `%s` does not fit into %lu KiB, or is cut off\n",
                               p->entry->file, p->size >> 10);
                        program_end(p);
                        return false;
                }
                uint8_t *to = direct(p->block + used);
                memcpy(to + shift, file.data + seg.offset, seg.filesz);
                /* To where instruction fetches look. [Arm ARM B2.4.4] */
                __builtin___clear_cache((char *)to, (char *)to + bytes);
                p->segment[p->n_segments].va = seg.vaddr - shift;
                p->segment[p->n_segments].size = bytes;
                p->segment[p->n_segments].offset = used;
                p->segment[p->n_segments++].rights = (seg.flags & 4 ? ACCESS_READ : 0) |
                                                     (seg.flags & 2 ? ACCESS_WRITE : 0) |
                                                     (seg.flags & 1 ? ACCESS_EXEC : 0);
                used += bytes;
        }
        enum ouzel_error e = CALL(thread_create, slots + AT_THREAD, slots + AT_TASK,
                                  slots + AT_ENDPOINT, p->entry->priority | p->entry->core << 8, 0);
        p->threads = !e;
        args_put((char *)direct(p->block + used) - ARGS_SIZE); /* the stack came last */
        if (!e)
                e = CALL(thread_start, slots + AT_THREAD, elf.entry, NATIVE_LINK_VA - ARGS_SIZE,
                         used, NATIVE_LINK_VA - ARGS_SIZE);
        if (!e)
                return true;
        printf("pager: can't start `%s`: %s\n", name_of(p), error_text(e));
        program_end(p);
        return false;
}

static bool start(struct program *p)
{
        struct ouzel_result cpus = RESULT_OF(kernel_info, SLOT_CONTROL, INFO_CPUS);

        if (p->entry->core >= cpus.v1) {
                printf("pager: `%s` wants core %u, there are %lu\n", name_of(p), p->entry->core,
                       cpus.v1);
                return false;
        }
        return p->entry->is_linux ? linux_start(p) : native_start(p);
}

/* ---- what happens to programs ------------------------------------------------------------------ */

static bool fault(struct program *p, const struct message *m)
{
        uint64_t va = m->w[0] & ~4095ul;
        unsigned access = (unsigned)m->w[1];

        for (unsigned i = 0; i < p->n_segments && !p->entry->is_linux; i++) {
                uint64_t offset = va - p->segment[i].va;
                if (va < p->segment[i].va || offset >= p->segment[i].size)
                        continue;
                if (access & ~p->segment[i].rights)
                        return false;
                uint64_t pages = (p->segment[i].size - offset) / 4096;
                enum ouzel_error e =
                        CALL(space_update, SLOTS_OF(program_index(p)) + AT_SPACE, va,
                             p->block + p->segment[i].offset + offset, p->segment[i].rights,
                             pages < 16 ? pages : 16); /* some of what comes next */
                if (e)
                        printf("pager: page at %lx of `%s`: %s\n", va, name_of(p), error_text(e));
                return !e;
        }
        return false;
}

/* Exception classes in words. [Arm ARM D19.2.37] */
static const char *cause(uint64_t esr)
{
        switch (esr >> 26) {
        case 0x00: return "undefined instruction";
        case 0x0e: return "illegal execution state";
        case 0x18: return "privileged instruction";
        case 0x20: return "instruction fetch";
        case 0x22: return "pc not aligned";
        case 0x24: return esr & 64 ? "write" : "read";
        case 0x26: return "sp not aligned";
        case 0x2f: return "system error";
        case 0x3c: return "brk";
        }
        return "exception";
}

static void over(struct program *p, bool again)
{
        program_end(p);
        if (!again)
                return;
        if (p->restarts == p->entry->restart) {
                if (p->entry->restart)
                        printf("pager: `%s` was restarted %u times: enough\n", name_of(p),
                               p->restarts);
                return;
        }
        p->restarts++;
        printf("pager: starting `%s` again (%u of %u)\n", name_of(p), p->restarts,
               p->entry->restart);
        start(p);
}

static void last_words(struct program *p, uint64_t pa, uint64_t size)
{
        if (pa < p->block || size > p->size || pa - p->block > p->size - size)
                return;
        fwrite(direct(pa), 1, size, stdout);
        if (size && ((char *)direct(pa))[size - 1] != '\n')
                putchar('\n');
}

/* One message. Returns the label of the answer; 1 leaves a faulting thread stopped. */
static unsigned handle(const struct message *m)
{
        uint64_t label = m->tag >> TAG_LABEL_SHIFT;
        struct program *p = &programs[m->badge - 1];

        if (!m->badge || m->badge > manifest.n || !p->running)
                return 1;
        switch (label) {
        case LABEL_PAGE_FAULT:
                if (fault(p, m))
                        return 0;
                /* fall through */
        case LABEL_EXCEPTION:
        case LABEL_VCPU_STUCK:
                printf("pager: `%s` thread %lu%s: %s, address %lx, pc %lx, sp %lx, lr %lx, esr %lx\n",
                       name_of(p), m->w[4],
                       label == LABEL_VCPU_STUCK ? " can't take its own exceptions" : " died",
                       cause(m->w[3]), m->w[0], m->w[2], m->w[5], m->w[6], m->w[3]);
                over(p, true);
                return 1;
        case 0xe001:
                if (m->w[0])
                        printf("pager: `%s` exited with %ld\n", name_of(p), (long)m->w[0]);
                over(p, m->w[0] != 0);
                return 1;
        case SERVER_CALL_POWEROFF:
                if (!p->entry->is_linux)
                        return 1;
                printf("pager: linux powers off\n");
                CALL(system_control, SLOT_CONTROL, SYSTEM_OFF);
                return 1;
        case SERVER_CALL_RESTART:
                if (!p->entry->is_linux)
                        return 1;
                printf("pager: linux restarts\n");
                program_end(p);
                start(p);
                return 1;
        case SERVER_CALL_PANIC:
                if (!p->entry->is_linux)
                        return 1;
                printf("pager: linux panicked; its last words:\n");
                last_words(p, m->w[0], m->w[1]);
                over(p, true);
                return 1;
        }
        return 1;
}

int main(void)
{
        struct archive_file file;
        struct ouzel_result r;
        char error[160];

        r = RESULT_OF(kernel_info, SLOT_CONTROL, INFO_ARCHIVE);
        memory_init();
        archive = direct(r.v1);
        archive_size = r.v2;
        machine_fdt = direct(RESULT_OF(kernel_info, SLOT_CONTROL, INFO_FDT).v1);
        printf("pager: %lu MiB free in %u ranges\n", memory.free >> 20, memory.n);
        if (CALL(endpoint_create, SLOT_EP, 0))
                printf("pager: no endpoint\n");
        if (!file_get("manifest", &file) ||
            !manifest_parse((const char *)file.data, file.size, &manifest, error, sizeof(error))) {
                printf("pager: manifest: %s\n", error);
                CALL(system_control, SLOT_CONTROL, SYSTEM_OFF);
        }
        unsigned running = 0;
        for (unsigned i = 0; i < manifest.n; i++) {
                programs[i].entry = &manifest.entry[i];
                running += start(&programs[i]);
        }
        printf("pager: %u of %u programs run\n", running, manifest.n);
        struct message m = {0};
        enum ouzel_error e = ipc_recv(SLOT_EP, &m);
        for (;;) {
                if (e)
                        printf("pager: receive: %s\n", error_text(e));
                unsigned label = handle(&m);
                memset(&m, 0, sizeof(m));
                m.tag = MSG_TAG(label, 0);
                e = ipc_reply_recv(SLOT_EP, &m);
        }
}
