/* SPDX-License-Identifier: MIT */
/*
 * rules.h -- the rules of docs/design.md once more: which mappings may be. Each rule by itself, in
 * arithmetic too wide to overflow. The validator is tested and fuzzed against it.
 */
#ifndef RULES_H
#define RULES_H

#include "validate.h"

#define K4 (1ul << 12)
#define M2 (1ul << 21)
#define G1 (1ul << 30)

typedef unsigned __int128 wide;

#define BROKEN(error) (1u << (error))

static inline bool overlaps(wide start, wide end, wide from, wide to)
{
        return start < to && from < end;
}

static inline bool held(const struct region_set *set, const struct mapping *m, uint32_t rights,
                        uint32_t type)
{
        for (uint32_t i = 0; i < set->n; i++) {
                const struct region *r = &set->r[i];
                if ((r->rights & REGION_DEVICE) == type && (r->rights & rights) == rights &&
                    r->start <= m->pa && (wide)m->pa + m->size <= r->end)
                        return true;
        }
        return false;
}

/* All rules that the mapping breaks, as bits. */
static inline unsigned rules_broken(const struct region_set *set, const struct mapping *m)
{
        wide va_end = (wide)m->va + m->size, pa_end = (wide)m->pa + m->size;
        bool r = m->flags & ACCESS_READ, w = m->flags & ACCESS_WRITE, x = m->flags & ACCESS_EXEC;
        bool device = m->flags & MAP_DEVICE;
        unsigned broken = 0;

        if (m->page != K4 && m->page != M2 && m->page != G1)
                return BROKEN(E_INVALID); /* nothing else makes sense then */
        if (m->va % m->page || m->pa % m->page || m->size % m->page)
                broken |= BROKEN(E_ALIGN);
        if (!m->size || pa_end > (wide)1 << 48)
                broken |= BROKEN(E_RANGE);
        if (!m->own && va_end > PROCESS_VA_END)
                broken |= BROKEN(E_RANGE);
        if (m->own && (m->va < TASK_VA_START || va_end > (wide)1 << 64 ||
                       overlaps(m->va, va_end, KERNEL_SLOT_VA, KERNEL_SLOT_END)))
                broken |= BROKEN(E_RANGE);
        if (!r || m->flags >> 5 || (device && (m->flags & MAP_NONCACHED)))
                broken |= BROKEN(E_INVALID);
        if (device && x)
                broken |= BROKEN(E_TYPE);
        if (w && x && m->own)
                broken |= BROKEN(E_WX);
        if (!held(set, m, 0, 0) && !held(set, m, 0, REGION_DEVICE))
                broken |= BROKEN(E_OWNER);
        else if (!held(set, m, 0, device ? REGION_DEVICE : 0))
                broken |= BROKEN(E_TYPE);
        else if (!held(set, m, m->flags & ACCESS_ALL, device ? REGION_DEVICE : 0))
                broken |= BROKEN(E_RIGHTS);
        else if (w && x && !held(set, m, ACCESS_ALL | REGION_WX, device ? REGION_DEVICE : 0))
                broken |= BROKEN(E_WX);
        return broken;
}

#endif
