/* SPDX-License-Identifier: MIT */
/*
 * pager.h -- the root server: owns all memory and devices, and gives them out.
 *
 * One thread, one endpoint: whatever happens to a program (fault, exit, request) is a message
 * with the program's index as badge. It never calls a client, so a client can't block it.
 */
#ifndef PAGER_H
#define PAGER_H

#include <bus.h>
#include <libfdt.h>
#include <ouzel/pager.h>
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
static inline uint64_t physical(const void *p)
{
        return (uint64_t)p - DIRECT;
}

/* One page for a device's registers, while we need them. */
#define SCRATCH (DIRECT + (1ul << 46))

/* Slots: our endpoint, then a block of slots for each program. */
#define SLOT_EP      16
#define SLOTS_OF(i)  (64 + (i) * 256)
enum { AT_TASK, AT_SPACE, AT_ENDPOINT, AT_SERVICE, AT_THREAD, AT_IRQ = 32 };

#define MAX_SEGMENTS 8
#define MAX_PRIVATE  4096 /* pages of a native program that can't be the archive's own */
#define MAX_DEVICES  64
#define LINUX_MORE   8

/* A part of a native program's space. Its pages are made when they are first touched. */
struct segment {
        uint64_t va, size;
        const uint8_t *file; /* in the archive, for the first `file_size` bytes from va on */
        uint64_t file_size;
        bool shared;         /* the archive's pages can be mapped as they are */
        bool zeros;          /* zeros follow what the file has */
        uint64_t offset;     /* of its private pages in the program's memory */
        unsigned rights;
};
struct program {
        const struct manifest_entry *entry;
        bool running;
        unsigned restarts, deaths, threads;
        uint64_t block, size;     /* its memory, contiguous */
        struct { uint64_t start, end; } more[LINUX_MORE]; /* Linux: other pieces of it */
        unsigned n_more;
        uint64_t extra;           /* bytes that it asked for later */
        uint64_t quota;           /* pages of kernel memory that its task was given */
        struct segment segment[MAX_SEGMENTS];
        unsigned n_segments;
        uint8_t private[MAX_PRIVATE / 8]; /* which private pages are in use: a bit each */
        struct { uint64_t pa, size; unsigned irq, irqs; bool virtio; } device[MAX_DEVICES];
        struct { uint32_t line, flags; } irq[64];
        unsigned devices, irqs;
        uint64_t faults, zeroed, mapped, copied;
};
extern struct program programs[MANIFEST_ENTRIES];
extern struct manifest manifest;
extern struct memory memory;
extern const uint8_t *archive;
extern size_t archive_size;
extern const void *machine_fdt;

static inline unsigned program_index(const struct program *p)
{
        return (unsigned)(p - programs);
}
static inline unsigned slot_of(const struct program *p, unsigned at)
{
        return SLOTS_OF(program_index(p)) + at;
}
static inline const char *name_of(const struct program *p)
{
        return p->entry->name;
}
static inline uint64_t memory_rights(const struct program *p) /* to what it is granted */
{
        return ACCESS_ALL | (p->entry->wx ? REGION_WX : 0);
}

/* main.c: the file from the archive, its checksum right; else says what is wrong. */
bool file_get(const char *name, struct archive_file *file);

/* programs.c */
bool program_start(struct program *p); /* says what failed */
void program_end(struct program *p);   /* everything comes back */
void program_over(struct program *p, bool again); /* ... and is it started again? */
void nothing_runs(void); /* switches the machine off if that is so */
/* Memory that is given or taken: nothing of who had it, in the caches or behind them. */
void memory_clear(uint64_t pa, uint64_t size);
void memory_free(uint64_t start, uint64_t end); /* back to what is free */
/* Task, endpoint capabilities, memory: common to native programs and Linux. */
bool program_make(struct program *p, uint64_t size, uint64_t align);

/* native.c: programs of our own kind */
bool native_start(struct program *p);
/* True if the page is there now; false if the program may not have it. */
bool native_fault(struct program *p, uint64_t va, unsigned access);

/* linux.c */
bool linux_start(struct program *p);

/* devices.c */
/*
 * The machine's interrupt controller, as specifiers name its lines. Line numbers are the
 * kernel's: a GIC's, or as if it were one.
 */
struct controller { int cells; uint32_t phandle; };
int controller_find(const void *fdt, struct controller *c); /* its node; negative: none known */
bool interrupts_to(const void *fdt, const struct bus_path *at, const struct controller *c);
uint32_t line_of(const struct controller *c, const fdt32_t *specifier); /* 0: not ours to give */
bool device_wanted(const struct program *p, const void *fdt, int node);
/* False: it is another program's, or can't be given; it says so. */
bool device_grant(struct program *p, const void *fdt, const struct bus_path *at,
                  const struct controller *c);
void devices_native(struct program *p); /* all that the manifest names */
void devices_reset(const struct program *p); /* it is gone: they use its memory no more */

/* requests.c: what programs ask; puts the answer's words into m. */
enum ouzel_error request(struct program *p, uint64_t label, uint64_t w[MSG_WORDS]);
void memory_return(struct program *p); /* what it asked for and didn't give back */

#endif
