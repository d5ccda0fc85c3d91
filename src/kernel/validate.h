/* SPDX-License-Identifier: MIT */
/*
 * validate.h -- may this mapping be? Pure: no hardware, compiles on the host, where it is
 * tested, fuzzed and proved.
 *
 * The comments that begin with an @ are the proof's (ACSL): what is said there in mathematical
 * integers, which never overflow, holds for every input. `./ouzel prove` checks it.
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

/*@ predicate process_range(integer va, integer size) =
  @   0 < size && va + size <= PROCESS_VA_END;
  @ predicate own_range(integer va, integer size) =
  @   0 < size && TASK_VA_START <= va && va + size <= 0x10000000000000000 &&
  @   (va + size <= KERNEL_SLOT_VA || KERNEL_SLOT_END <= va);
  @ predicate wx(struct mapping *m) =
  @   (m->flags & ACCESS_WRITE) != 0 && (m->flags & ACCESS_EXEC) != 0;
  @ logic uint32_t wanted(struct mapping *m) = (uint32_t)(
  @   (m->flags & ACCESS_ALL) | ((m->flags & MAP_DEVICE) != 0 ? REGION_DEVICE : 0) |
  @   ((m->flags & ACCESS_WRITE) != 0 && (m->flags & ACCESS_EXEC) != 0 ? REGION_WX : 0));
  @*/

/* The range lies in what a space may hold. */
/*@ assigns \nothing;
  @ ensures \result <==> (own ? own_range(va, size) : process_range(va, size));
  @*/
bool va_allowed(uint64_t va, uint64_t size, bool own);

/* E_OK, or why not. `regions` are those of the space's task. */
/*@ requires readable(regions) && \valid_read(m) && \separated(regions, m);
  @ assigns regions->hint;
  @ ensures owner: \result == E_OK ==> owned(regions, m->pa, m->pa + m->size, wanted(m));
  @ ensures where: \result == E_OK ==>
  @   (m->own ? own_range(m->va, m->size) : process_range(m->va, m->size));
  @ ensures page: \result == E_OK ==>
  @   m->page == 0x1000 || m->page == 0x200000 || m->page == 0x40000000;
  @ ensures aligned: \result == E_OK ==> (m->va & (m->page - 1)) == 0 &&
  @   (m->pa & (m->page - 1)) == 0 && (m->size & (m->page - 1)) == 0;
  @ ensures fits: \result == E_OK ==> m->pa + m->size <= 0x1000000000000;
  @ ensures device_not_executable: \result == E_OK ==>
  @   (m->flags & MAP_DEVICE) != 0 ==> (m->flags & ACCESS_EXEC) == 0;
  @ ensures not_writable_and_executable: \result == E_OK ==> wx(m) ==> !m->own;
  @ ensures no_other_flag: \result == E_OK ==>
  @   (m->flags & (uint32_t)~(ACCESS_ALL | MAP_DEVICE | MAP_NONCACHED)) == 0;
  @*/
enum ouzel_error validate(struct region_set *regions, const struct mapping *m);

#endif
