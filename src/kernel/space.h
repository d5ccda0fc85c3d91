/* SPDX-License-Identifier: MIT */
/* space.h -- what space.c and sync.c share about shadow tables. The space's lock is held. */
#ifndef SPACE_H
#define SPACE_H

#include "mmu.h"
#include "validate.h"

static inline struct walk *walk_of(struct space *space, vaddr_t va)
{
        return &space->walks[(va >> LEVEL_SHIFT(2)) % WALKS];
}
/* Whether it is about va's tables. */
static inline bool walk_serves(const struct walk *walk, vaddr_t va)
{
        return walk->last == (va | (LEVEL_SIZE(2) - 1));
}
static inline void walk_found(struct walk *walk, vaddr_t va, pte_t *table)
{
        *walk = (struct walk){va | (LEVEL_SIZE(2) - 1), table, NULL, UINT64_MAX};
}

/* The entry for va at a level, making tables on the way if asked. NULL: nothing there, no
 * memory, or (make) a block is in the way. Without make, a block that covers va is returned. */
pte_t *space_entry(struct space *space, vaddr_t va, unsigned level, bool make);
/* Make an entry invalid, with all below it, and free the tables. */
void table_drop(struct space *space, pte_t *entry, unsigned level);
bool space_reclaim(struct space *keep);
pte_t leaf_make(paddr_t pa, unsigned level, unsigned access, unsigned attr);

#endif
