/* SPDX-License-Identifier: MIT */
/* memory.h -- which frames are free. Pure: no system calls, compiles on the host. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define MEMORY_RANGES 512 /* what the machine has, and between all pieces that programs may have */

struct memory {
        struct { uint64_t start, end; } range[MEMORY_RANGES]; /* free; sorted, disjoint */
        unsigned n;
        uint64_t free; /* bytes */
};

/* [start, end) becomes free; merges with its neighbours. False: too fragmented to note. */
bool memory_add(struct memory *m, uint64_t start, uint64_t end);
/* [start, end) is not free any more, whatever of it was. False: too fragmented to note. */
bool memory_remove(struct memory *m, uint64_t start, uint64_t end);
/* Lowest fit; align is a power of two. 0 if there is none. */
uint64_t memory_take(struct memory *m, uint64_t size, uint64_t align);
/* The largest aligned piece: its size, a multiple of align. */
uint64_t memory_largest(const struct memory *m, uint64_t align);

#endif
