/* SPDX-License-Identifier: MIT */
/* space.h -- what space.c and sync.c share about shadow tables. The space's lock is held. */
#ifndef SPACE_H
#define SPACE_H

#include "mmu.h"
#include "validate.h"

/* The entry for va at a level, making tables on the way if asked. NULL: nothing there, no
 * memory, or (make) a block is in the way. Without make, a block that covers va is returned. */
pte_t *space_entry(struct space *space, vaddr_t va, unsigned level, bool make);
/* Make an entry invalid, with all below it, and free the tables. */
void table_drop(struct space *space, pte_t *entry, unsigned level);
bool space_reclaim(struct space *keep);
pte_t leaf_make(paddr_t pa, unsigned level, unsigned access, unsigned attr);

#endif
