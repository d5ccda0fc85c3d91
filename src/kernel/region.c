// SPDX-License-Identifier: MIT
#include "region.h"

#include <stddef.h>

/*@ requires \valid_read(r);
  @ assigns \nothing;
  @ ensures \result <==> holds(r, start, end, rights);
  @*/
static bool region_holds(const struct region *r, uint64_t start, uint64_t end, uint32_t rights)
{
        return start >= r->start && end <= r->end && (rights & ~r->rights) == 0 &&
               ((rights ^ r->rights) & REGION_DEVICE) == 0;
}

/*@ requires readable(regions);
  @ assigns regions->hint;
  @ ensures start < end ==> (\result != \null <==> owned(regions, start, end, rights));
  @*/
static const struct region *region_search(struct region_set *regions, uint64_t start, uint64_t end,
                                          uint32_t rights)
{
        uint32_t hint = regions->hint, n = regions->n;

        if (hint < n && region_holds(&regions->r[hint], start, end, rights))
                return &regions->r[hint];
        /*@ loop invariant 0 <= i <= n;
          @ loop invariant \forall integer k; 0 <= k < i ==>
          @   !holds_nth(regions, k, start, end, rights);
          @ loop assigns i;
          @ loop variant n - i;
          @*/
        for (uint32_t i = 0; i < n; i++) {
                if (region_holds(&regions->r[i], start, end, rights)) {
                        regions->hint = i;
                        return &regions->r[i];
                }
        }
        return NULL;
}

/* What is found, and a copy of it that no change can tear. */
static const struct region *region_look(struct region_set *set, uint64_t start, uint64_t end,
                                        uint32_t rights, struct region *copy)
{
        const struct region *found;
        uint32_t version;

        if (start >= end)
                return NULL;
        do {
                version = __atomic_load_n(&set->version, __ATOMIC_ACQUIRE);
                found = region_search(set, start, end, rights);
                if (found && copy)
                        *copy = *found;
                /* All that was read is read before the version is again. */
                __atomic_thread_fence(__ATOMIC_ACQUIRE);
        } while ((version & 1) || version != __atomic_load_n(&set->version, __ATOMIC_RELAXED));
        return found;
}

const struct region *region_find(struct region_set *set, uint64_t start, uint64_t end,
                                 uint32_t rights)
{
        return region_look(set, start, end, rights, NULL);
}

bool region_copy(struct region_set *set, uint64_t start, uint64_t end, uint32_t rights,
                 struct region *copy)
{
        return region_look(set, start, end, rights, copy) != NULL;
}

/* Between these two the version is odd, for all who see any of what is written. */
static void change_begin(struct region_set *set)
{
        __atomic_store_n(&set->version, set->version + 1, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void change_end(struct region_set *set)
{
        __atomic_store_n(&set->version, set->version + 1, __ATOMIC_RELEASE);
}

/* They touch or overlap, and say the same of their pages. */
static bool region_joins(const struct region *a, const struct region *b)
{
        return a->rights == b->rights && a->from == b->from && a->depth == b->depth &&
               a->start <= b->end && b->start <= a->end;
}

bool region_add(struct region_set *set, struct region new)
{
        change_begin(set);
        for (uint32_t i = 0; i < set->n;) {
                struct region *r = &set->r[i];
                if (!region_joins(r, &new)) {
                        i++;
                        continue;
                }
                if (r->start < new.start)
                        new.start = r->start;
                if (r->end > new.end)
                        new.end = r->end;
                *r = set->r[--set->n]; /* its neighbour may join, too */
        }
        bool room = set->n < set->max;
        if (room)
                set->r[set->n++] = new;
        change_end(set);
        return room;
}

void region_cut(struct region_set *set, uint32_t i, uint64_t start, uint64_t end)
{
        struct region *r = &set->r[i];
        struct region upper = *r;

        if (start >= r->end || end <= r->start)
                return;
        upper.start = end;
        change_begin(set);
        if (start > r->start) {
                r->end = start;
                if (end < upper.end && set->n < set->max)
                        set->r[set->n++] = upper;
        } else if (end < upper.end) {
                *r = upper;
        } else {
                *r = set->r[--set->n];
        }
        change_end(set);
}

bool region_revoke(struct region_set *set, uint16_t from, uint64_t start, uint64_t end)
{
        bool changed = false;

        for (uint32_t i = 0; i < set->n;) {
                struct region *r = &set->r[i];
                if (r->from == from && start < r->end && end > r->start) {
                        region_cut(set, i, start, end);
                        changed = true;
                        i = 0; /* the cut may have moved regions */
                } else {
                        i++;
                }
        }
        return changed;
}

static bool region_supports(const struct region *g, const struct region *r)
{
        return g->depth < r->depth && (r->rights & ~g->rights) == 0 &&
               ((r->rights ^ g->rights) & REGION_DEVICE) == 0;
}

/* The first part of r that no region of the granter supports; false if there is none. */
static bool region_gap(const struct region *r, const struct region_set *granter,
                       uint64_t *start, uint64_t *end)
{
        uint64_t at = r->start, next;
        bool moved;

        do {
                moved = false;
                next = r->end;
                for (uint32_t i = 0; i < granter->n; i++) {
                        const struct region *g = &granter->r[i];
                        if (!region_supports(g, r))
                                continue;
                        if (g->start <= at && g->end > at) {
                                at = g->end;
                                moved = true;
                        } else if (g->start > at && g->start < next) {
                                next = g->start;
                        }
                }
        } while (moved && at < r->end);
        *start = at;
        *end = next;
        return at < r->end;
}

bool region_trim(struct region_set *set, uint16_t from, const struct region_set *granter)
{
        bool changed = false;
        uint64_t start, end;

        for (uint32_t i = 0; i < set->n;) {
                if (set->r[i].from == from && region_gap(&set->r[i], granter, &start, &end)) {
                        region_cut(set, i, start, end);
                        changed = true;
                        i = 0;
                } else {
                        i++;
                }
        }
        return changed;
}
