// SPDX-License-Identifier: MIT
/*
 * native.c -- native programs: ELF64 files of the boot archive, paged on demand.
 *
 * A page is made when it is first touched. One that the archive has as a whole is mapped from
 * there, read-only; the first write copies it (`private` in the manifest: the first touch).
 * What the file does not have is zeros. Pages
 * that can be written (or that no page of the archive matches) have their place in the
 * program's own memory, set aside at its start, so that a fault never finds memory short.
 */
#include "pager.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>

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
#define ARGS_SIZE  512 /* at its top: the arguments of main */
#define PAGE       4096ul
#define AHEAD      16 /* pages that one fault maps at most */

static uint64_t pages_up(uint64_t bytes)
{
        return (bytes + PAGE - 1) & ~(PAGE - 1);
}

static bool elf_check(const struct archive_file *file, struct elf_header *elf)
{
        if (file->size >= sizeof(*elf)) {
                memcpy(elf, file->data, sizeof(*elf));
                if (!memcmp(elf->ident, "\177ELF\2\1", 6) && elf->machine == 183 &&
                    elf->phnum <= 64 && elf->phoff <= file->size &&
                    elf->phnum * sizeof(struct elf_segment) <= file->size - elf->phoff)
                        return true;
        }
        printf("pager: `%s` is not an ELF64 program for AArch64\n", file->name);
        return false;
}

/* Note a segment; `used` is how much of the program's memory is set aside. */
static bool segment_add(struct program *p, const struct archive_file *file,
                        const struct elf_segment *from, uint64_t *used)
{
        uint64_t shift = from->vaddr & (PAGE - 1);
        struct segment s = {
                .va = from->vaddr - shift,
                .rights = (from->flags & 4 ? ACCESS_READ : 0) |
                          (from->flags & 2 ? ACCESS_WRITE : 0) |
                          (from->flags & 1 ? ACCESS_EXEC : 0),
        };

        if (from->offset > file->size || from->filesz > file->size - from->offset ||
            from->filesz > from->memsz || from->offset < shift) {
                printf("pager: `%s` is cut off, or its segments lie\n", file->name);
                return false;
        }
        if (from->memsz > p->entry->memory || from->memsz > 1ul << 40) {
                printf("pager: `%s` does not fit into %lu KiB: give it more in line %u of the "
                       "manifest\n", file->name, p->entry->memory >> 10, p->entry->line);
                return false;
        }
        if (p->n_segments == MAX_SEGMENTS) {
                printf("pager: `%s` has more than %u segments\n", file->name, MAX_SEGMENTS);
                return false;
        }
        s.size = pages_up(shift + from->memsz);
        if (from->filesz) {
                s.file = file->data + from->offset - shift;
                s.file_size = shift + from->filesz;
                s.shared = !p->entry->private && !(physical(s.file) & (PAGE - 1));
        }
        s.zeros = from->filesz < from->memsz;
        s.offset = *used;
        if ((s.rights & ACCESS_WRITE) || !s.shared || s.zeros)
                *used += s.size;
        p->segment[p->n_segments++] = s;
        return true;
}

/* The whole of page `at` of a segment may be mapped from the archive. */
static bool in_archive(const struct segment *s, uint64_t at)
{
        return s->shared && (at + PAGE <= s->file_size || (at < s->file_size && !s->zeros));
}

static bool private_has(const struct program *p, uint64_t offset)
{
        return p->private[offset / PAGE / 8] >> (offset / PAGE % 8) & 1;
}

/* Give a private page its contents, once. The program's memory was zeroed at its start. */
static void private_make(struct program *p, const struct segment *s, uint64_t at)
{
        uint64_t offset = s->offset + at;
        uint8_t *page = direct(p->block + offset);

        if (private_has(p, offset))
                return;
        p->private[offset / PAGE / 8] |= (uint8_t)(1u << (offset / PAGE % 8));
        if (at >= s->file_size) {
                p->zeroed++;
                return;
        }
        uint64_t n = s->file_size - at < PAGE ? s->file_size - at : PAGE;
        memcpy(page, s->file + at, n);
        p->copied++;
        if (s->rights & ACCESS_EXEC) /* to where instruction fetches look. [Arm ARM B2.4.4] */
                __builtin___clear_cache((char *)page, (char *)page + PAGE);
}

/* Map one page, and those behind it that are of the same kind: all of the archive's, or all of
 * the program's own. One that a write may still copy stays the archive's until then. */
static enum ouzel_error pages_map(struct program *p, const struct segment *s, uint64_t at,
                                  unsigned access)
{
        bool archived = in_archive(s, at) && !(access & ACCESS_WRITE) &&
                        !((s->rights & ACCESS_WRITE) && private_has(p, s->offset + at));
        unsigned n = 1;

        if (archived) {
                while (n < AHEAD && at + n * PAGE < s->size && in_archive(s, at + n * PAGE) &&
                       !((s->rights & ACCESS_WRITE) && private_has(p, s->offset + at + n * PAGE)))
                        n++;
                p->mapped += n;
                return CALL(space_update, slot_of(p, AT_SPACE), s->va + at, physical(s->file + at),
                            s->rights & ~(unsigned)ACCESS_WRITE, n);
        }
        private_make(p, s, at);
        while (n < AHEAD && at + n * PAGE < s->size && !in_archive(s, at + n * PAGE))
                private_make(p, s, at + n++ * PAGE);
        return CALL(space_update, slot_of(p, AT_SPACE), s->va + at, p->block + s->offset + at,
                    s->rights, n);
}

bool native_fault(struct program *p, uint64_t va, unsigned access)
{
        for (unsigned i = 0; i < p->n_segments; i++) {
                const struct segment *s = &p->segment[i];
                if (va < s->va || va - s->va >= s->size)
                        continue;
                if (access & ~s->rights)
                        return false;
                p->faults++;
                enum ouzel_error e = pages_map(p, s, (va - s->va) & ~(PAGE - 1), access);
                if (e)
                        printf("pager: page at %lx of `%s`: %s\n", va, name_of(p), error_text(e));
                return !e;
        }
        return false;
}

/* The frames of the archive that may be mapped are the program's, too, to read. */
static enum ouzel_error archive_grant(struct program *p)
{
        enum ouzel_error e = E_OK;

        for (unsigned i = 0; i < p->n_segments && !e; i++) {
                const struct segment *s = &p->segment[i];
                if (!s->shared)
                        continue;
                __builtin___clear_cache((char *)s->file, (char *)s->file + s->file_size);
                e = CALL(region_grant, slot_of(p, AT_TASK), physical(s->file),
                         pages_up(s->file_size), s->rights & ~(unsigned)ACCESS_WRITE);
        }
        return e;
}

/* What the manifest appends for the program, and the machine's own boot arguments. */
static void args_put(const struct program *p, char *to)
{
        const char *args = fdt_getprop(machine_fdt, fdt_path_offset(machine_fdt, "/chosen"),
                                       "bootargs", NULL);
        const char *own = p->entry->append;

        snprintf(to, ARGS_SIZE, "%s%s%s", own, *own && args ? " " : "", args ? args : "");
}

bool native_start(struct program *p)
{
        struct archive_file file;
        struct elf_header elf;
        struct elf_segment seg;
        uint64_t used = 0, size = p->entry->memory;

        if (!file_get(p->entry->file, &file) || !elf_check(&file, &elf))
                return false;
        if (size == MANIFEST_REST)
                size = memory_largest(&memory, PAGE);
        p->n_segments = 0;
        p->faults = p->zeroed = p->mapped = p->copied = 0;
        memset(p->private, 0, sizeof(p->private));
        for (unsigned i = 0; i < elf.phnum; i++) {
                memcpy(&seg, file.data + elf.phoff + i * sizeof(seg), sizeof(seg));
                if (seg.type == 1 && seg.memsz && !segment_add(p, &file, &seg, &used))
                        return false;
        }
        seg = (struct elf_segment){.flags = 6, .memsz = STACK_SIZE,
                                   .vaddr = NATIVE_LINK_VA - STACK_SIZE};
        if (!segment_add(p, &file, &seg, &used))
                return false;
        if (used > size || used / PAGE > MAX_PRIVATE) {
                printf("pager: `%s` needs %lu KiB of its own, and gets %lu (at most %lu): line %u "
                       "of the manifest\n", file.name, used >> 10, size >> 10,
                       MAX_PRIVATE * PAGE >> 10, p->entry->line);
                return false;
        }
        if (!program_make(p, size, PAGE))
                return false;
        memory_clear(p->block, p->size);
        devices_native(p);
        enum ouzel_error e = archive_grant(p);
        if (!e)
                e = CALL(thread_create, slot_of(p, AT_THREAD), slot_of(p, AT_TASK),
                         slot_of(p, AT_ENDPOINT), p->entry->priority | p->entry->core << 8, 0);
        p->threads = !e;
        args_put(p, (char *)direct(p->block + used) - ARGS_SIZE); /* the stack came last */
        if (!e)
                e = CALL(thread_start, slot_of(p, AT_THREAD), elf.entry, NATIVE_LINK_VA - ARGS_SIZE,
                         used, NATIVE_LINK_VA - ARGS_SIZE);
        if (!e)
                return true;
        printf("pager: can't start `%s`: %s\n", name_of(p), error_text(e));
        program_end(p);
        return false;
}
