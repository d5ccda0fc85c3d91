// SPDX-License-Identifier: MIT
#include "pager.h"

#include <stdio.h>
#include <string.h>

struct program programs[MANIFEST_ENTRIES];
struct memory memory;
const uint8_t *archive;
size_t archive_size;
const void *machine_fdt;

struct manifest manifest;

/* ---- memory -------------------------------------------------------------------------------- */

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

/* ---- what happens to programs -------------------------------------------------------------- */

/* What a fault was, from its syndrome. [Arm ARM D19.2.37] */
static const char *cause(uint64_t esr)
{
        switch (esr >> 26) {
        case 0x00: return "undefined instruction";
        case 0x07: return "floating point";
        case 0x0e: return "illegal execution state";
        case 0x18: return "privileged instruction";
        case 0x20: case 0x21: return "instruction fetch";
        case 0x22: return "pc not aligned";
        case 0x24: case 0x25: return (esr & 0x140) == 0x40 ? "write" : "read"; /* WnR, not CM */
        case 0x26: return "sp not aligned";
        case 0x2f: return "system error";
        case 0x3c: return "brk";
        }
        return "exception";
}

/* Of an abort, why: DFSC and IFSC, whose low two bits are the level. */
static const char *abort_kind(uint64_t esr)
{
        switch (esr >> 2 & 15) {
        case 0: return ", address size fault";
        case 1: return ", nothing mapped there";
        case 2: return ", access flag";
        case 3: return ", not permitted there";
        case 4: return ", external abort";
        case 8: return ", not aligned";
        }
        return "";
}

static void report(const struct program *p, uint64_t label, const uint64_t w[MSG_WORDS])
{
        unsigned class = (unsigned)(w[3] >> 26);
        bool abort = (class & ~5u) == 0x20; /* of a fetch or of data, of its own level or not */

        printf("pager: `%s` thread %lu%s: %s", name_of(p), w[4],
               label == LABEL_VCPU_STUCK ? " can't take its own exceptions" : " died",
               cause(w[3]));
        if (abort)
                printf(" at %lx%s", w[0], abort_kind(w[3]));
        printf("; pc %lx, sp %lx, lr %lx, esr %lx\n", w[2], w[5], w[6], w[3]);
}

#define WORDS_MAX 8192 /* what the port sends; nothing else runs while it is printed */

static void last_words(const struct program *p, uint64_t pa, uint64_t size)
{
        if (size > WORDS_MAX)
                size = WORDS_MAX;
        if (pa < p->block || size > p->size || pa - p->block > p->size - size)
                return;
        fwrite(direct(pa), 1, size, stdout);
        if (size && ((char *)direct(pa))[size - 1] != '\n')
                putchar('\n');
}

/* The Linux server's own requests: after each of them it is over. */
static void server_call(struct program *p, uint64_t label, const uint64_t w[MSG_WORDS])
{
        switch (label) {
        case SERVER_CALL_POWEROFF:
                printf("pager: linux powers off\n");
                CALL(system_control, SLOT_CONTROL, SYSTEM_OFF);
                break;
        case SERVER_CALL_RESTART:
                printf("pager: linux restarts\n");
                program_end(p);
                program_start(p);
                nothing_runs();
                break;
        default:
                printf("pager: linux panicked; its last words:\n");
                last_words(p, w[0], w[1]);
                program_over(p, true);
        }
}

/* One message. The label of the answer, whose words take the place of the message's. */
static unsigned handle(const struct message *m, uint64_t w[MSG_WORDS])
{
        uint64_t label = m->tag >> TAG_LABEL_SHIFT;

        memcpy(w, m->w, MSG_WORDS * sizeof(w[0]));
        if (!m->badge || m->badge > manifest.n || !programs[m->badge - 1].running)
                return E_STATE;
        struct program *p = &programs[m->badge - 1];
        switch (label) {
        case LABEL_PAGE_FAULT:
                if (!p->entry->is_linux && native_fault(p, w[0], (unsigned)w[1]))
                        return 0;
                /* fall through */
        case LABEL_EXCEPTION:
        case LABEL_VCPU_STUCK:
                report(p, label, w);
                program_over(p, true);
                return 1;
        case PAGER_EXIT:
                if (w[0])
                        printf("pager: `%s` exited with %ld\n", name_of(p), (long)w[0]);
                program_over(p, w[0] != 0);
                return 1;
        case SERVER_CALL_POWEROFF:
        case SERVER_CALL_RESTART:
        case SERVER_CALL_PANIC:
                if (!p->entry->is_linux)
                        return E_RIGHTS;
                server_call(p, label, w);
                return 1;
        }
        return request(p, label, w);
}

static void read_manifest(void)
{
        struct archive_file file;
        char error[200] = "not there";

        if (file_get("manifest", &file) &&
            manifest_parse((const char *)file.data, file.size, &manifest, error, sizeof(error)))
                return;
        printf("pager: manifest: %s: nothing to start, switching off\n", error);
        CALL(system_control, SLOT_CONTROL, SYSTEM_OFF);
}

/* The pages of our capability table that programs will need, and the tables over SCRATCH: now, so
 * that what we have of the kernel's memory is the same before and after each of them. */
static void table_fill(void)
{
        CALL(space_update, SLOT_SPACE, SCRATCH, physical(archive) & ~4095ul, ACCESS_READ, 1);
        CALL(space_update, SLOT_SPACE, SCRATCH, 0, 0, 1);
        for (unsigned slot = SLOTS_OF(0); slot < SLOTS_OF(manifest.n); slot += 128)
                if (!CALL(cap_copy, SLOT_TASK, slot, SLOT_SPACE, 0, 0))
                        CALL(cap_delete, slot);
}

static void start_all(void)
{
        unsigned running = 0, wanted = 0;

        for (unsigned i = 0; i < manifest.n; i++) {
                programs[i].entry = &manifest.entry[i];
                if (manifest.entry[i].manual)
                        continue;
                wanted++;
                running += program_start(&programs[i]);
        }
        printf("pager: %u of %u programs run\n", running, wanted);
        if (running)
                return;
        printf("pager: nothing runs: switching off\n");
        CALL(system_control, SLOT_CONTROL, SYSTEM_OFF);
}

int main(void)
{
        struct ouzel_result r = RESULT_OF(kernel_info, SLOT_CONTROL, INFO_ARCHIVE);
        struct message m = {0};
        uint64_t w[MSG_WORDS];

        memory_init();
        archive = direct(r.v1);
        archive_size = r.v2;
        machine_fdt = direct(RESULT_OF(kernel_info, SLOT_CONTROL, INFO_FDT).v1);
        printf("pager: %lu MiB free in %u ranges\n", memory.free >> 20, memory.n);
        enum ouzel_error e = CALL(endpoint_create, SLOT_EP, 0);
        if (e)
                printf("pager: no endpoint: %s\n", error_text(e));
        read_manifest();
        table_fill();
        start_all();
        e = ipc_recv(SLOT_EP, &m);
        for (;;) {
                if (e)
                        printf("pager: receive: %s\n", error_text(e));
                unsigned label = handle(&m, w);
                bool fault = m.tag >> TAG_LABEL_SHIFT >= LABEL_PAGE_FAULT;
                memset(&m, 0, sizeof(m));
                m.tag = MSG_TAG(label, fault ? 0 : MSG_WORDS);
                if (!fault && !label)
                        memcpy(m.w, w, sizeof(w));
                e = ipc_reply_recv(SLOT_EP, &m);
        }
}
