/* SPDX-License-Identifier: MIT */
/*
 * pager.h -- the root server: owns all memory and devices, and gives them out.
 *
 * One thread, one endpoint: whatever happens to a program (fault, exit, request) is a message
 * with the program's index as badge. It never calls a client, so a client can't block it.
 */
#ifndef PAGER_H
#define PAGER_H

#include <ouzel/user.h>
#include <ouzel/vcpu.h>

#include "archive.h"
#include "manifest.h"
#include "memory.h"

/* All RAM that we own, at one place in our space: DIRECT + physical address. */
#define DIRECT 0xffff100000000000ul
static inline void *direct(uint64_t pa)
{
        return (void *)(DIRECT + pa);
}

/* Slots: our endpoint, then a block of slots for each program. */
#define SLOT_EP      16
#define SLOT_BADGED  17 /* scratch: the endpoint with a program's badge */
#define SLOTS_OF(i)  (64 + (i) * 256)
enum { AT_TASK, AT_SPACE, AT_ENDPOINT, AT_THREAD, AT_IRQ = 32 }; /* in a program's block */

#define MAX_SEGMENTS 8
struct program {
        const struct manifest_entry *entry;
        bool running;
        unsigned restarts, irqs, threads;
        uint64_t block, size;     /* its memory, contiguous */
        uint64_t quota_before;    /* what we had used before it started */
        struct { uint64_t va, size, offset; unsigned rights; } segment[MAX_SEGMENTS];
        unsigned n_segments;
};
extern struct program programs[MANIFEST_ENTRIES];
extern struct memory memory;
extern const uint8_t *archive;
extern size_t archive_size;
extern const void *machine_fdt;

/* The file from the archive, its checksum right; else says what is wrong. */
bool file_get(const char *name, struct archive_file *file);
/* Task, endpoint capability, memory: common to programs and Linux. Says what failed. */
bool program_make(struct program *p, uint64_t size, uint64_t align);
void program_end(struct program *p); /* everything comes back */
unsigned program_index(const struct program *p);
bool linux_start(struct program *p); /* linux.c */

#endif
