/* SPDX-License-Identifier: MIT */
/*
 * region.h -- who owns which physical ranges. Pure: no hardware, compiles on the host.
 *
 * A task's ownership is a set of regions. A region that was granted names the task that
 * granted it, and has a depth one greater than the region that it was cut from: so support
 * runs strictly downwards, and two tasks can't keep a revoked range alive between them.
 *
 * Changed by one at a time (the big lock); region_find may run meanwhile, and starts over then:
 * it never sees half of a change.
 */
#ifndef REGION_H
#define REGION_H

#include <ouzel/abi.h>
#include <stdbool.h>
#include <stdint.h>

#define REGION_ORIGINAL 0xffff /* `from` of what the root task got at boot */

struct region {
        uint64_t start, end;
        uint32_t rights; /* ACCESS_* | REGION_* */
        uint16_t from;   /* task id of the granter */
        uint16_t depth;
};

struct region_set {
        struct region *r;
        uint32_t n, max;
        uint32_t hint; /* index of the last hit */
        uint32_t version; /* odd while it is being changed */
};

/*@ predicate holds(struct region *r, integer start, integer end, uint32_t rights) =
  @   r->start <= start && end <= r->end && (rights & (uint32_t)~r->rights) == 0 &&
  @   ((rights ^ r->rights) & REGION_DEVICE) == 0;
  @ predicate holds_nth(struct region_set *regions, integer i, integer start, integer end,
  @                     uint32_t rights) = holds(&regions->r[i], start, end, rights);
  @ predicate owned(struct region_set *regions, integer start, integer end,
  @                 uint32_t rights) =
  @   start < end && \exists integer i; 0 <= i < regions->n &&
  @   holds_nth(regions, i, start, end, rights);
  @ predicate readable(struct region_set *regions) =
  @   \valid(regions) && \valid_read(regions->r + (0 .. regions->n - 1)) &&
  @   \separated(regions, regions->r + (0 .. regions->n - 1));
  @*/

/* One region that holds all of [start, end) with at least these rights, of exactly this
 * memory type (REGION_DEVICE in rights); NULL if there is none. */
/*@ requires readable(regions);
  @ assigns regions->hint;
  @ ensures \result != \null <==> owned(regions, start, end, rights);
  @*/
const struct region *region_find(struct region_set *regions, uint64_t start, uint64_t end,
                                 uint32_t rights);
/* The same for who holds no lock: whether there is one, and a copy of it (copy may be NULL). */
bool region_copy(struct region_set *set, uint64_t start, uint64_t end, uint32_t rights,
                 struct region *copy);
/* Add a region; false when the set is full. Becomes one with those of its kind that it touches:
 * what is owned in one piece can be mapped in one. */
bool region_add(struct region_set *set, struct region r);
/* Take [start, end) out of region i. Where a split finds no room the upper part goes too:
 * owning less is always safe. */
void region_cut(struct region_set *set, uint32_t i, uint64_t start, uint64_t end);
/* Remove what `from` granted in [start, end). True if something changed. */
bool region_revoke(struct region_set *set, uint16_t from, uint64_t start, uint64_t end);
/* Cut from `set` whatever it got from task `from` and `granter` no longer supports. */
bool region_trim(struct region_set *set, uint16_t from, const struct region_set *granter);

#endif
