/* SPDX-License-Identifier: MIT */
/*
 * validate.h -- may this mapping be? Pure: no hardware, compiles on the host, where it is
 * tested, fuzzed and proved.
 */
#ifndef VALIDATE_H
#define VALIDATE_H

#include <ouzel/abi.h>

#include "region.h"

struct mapping {
        uint64_t va, pa, size; /* size: the whole of it; page: 4 KiB, 2 MiB or 1 GiB */
        uint64_t page;
        uint32_t flags; /* ACCESS_* | MAP_DEVICE | MAP_NONCACHED */
        bool own;       /* in a task's own space; else in a process space */
};

/* The range lies in what a space may hold. */
bool va_allowed(uint64_t va, uint64_t size, bool own);
/* E_OK, or why not. `regions` are those of the space's task. */
enum ouzel_error validate(struct region_set *regions, const struct mapping *m);

#endif
