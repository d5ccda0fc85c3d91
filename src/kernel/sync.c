// SPDX-License-Identifier: MIT
/*
 * sync.c -- shadow sync: make a space's shadow equal to the server's own table.
 *
 * The server's table is read as it is now, from its root, through frames that the server
 * owns; every leaf is validated. Nothing of it is ever trusted, so it may be garbage, or
 * change under our hands. What validation rejects is unmapped.
 *
 * A process space is a cache: leaving an entry out is always correct (the server sees a
 * fault on an entry that it thinks valid and queues it again). So is the server's own
 * space: a fault in server mode asks here before it is delivered.
 */
#include "space.h"
#include "sys.h"

/*
 * What one holding of a space's lock works with. The pieces of the server's memory are those
 * found when they were last looked for: whoever takes memory away changes the regions' version,
 * and walks this space when it gets the lock.
 */
struct sync {
        struct space *space;
        struct memory_piece *piece; /* two, the space's */
        unsigned tables;            /* of the server's that were walked, in this call */
        uint64_t flushes;           /* before the first of them was */
        struct tlb_batch tlb;
};

/*
 * What one call walks at most: 16 GiB in pages, or in blocks of 2 MiB. A table that leads back to
 * itself describes 2^36 pages; interrupts, and perhaps other cores, wait meanwhile.
 */
#define TABLES_MAX (1u << 13)

static inline void sync_begin(struct sync *s, struct space *space)
{
        spin_lock(&space->lock);
        s->space = space;
        s->flushes = __atomic_load_n(&space->task->flushes, __ATOMIC_ACQUIRE);
        s->piece = space->known;
        if (UNLIKELY(space->known_version != READ_ONCE(space->task->regions.version)))
                s->piece[0].size = s->piece[1].size = 0;
        tlb_begin(&s->tlb, space);
}

static inline void sync_end(struct sync *s)
{
        if (UNLIKELY(s->tlb.n))
                tlb_finish(&s->tlb);
        else if (s->tlb.added)
                tlb_added();
        spin_unlock(&s->space->lock);
}

/* A page that the server may map in any way. Sizes of 0 hold nothing. */
static inline bool ordinary(const struct memory_piece piece[2], paddr_t pa)
{
        return LIKELY(pa - piece[0].start < piece[0].size) ||
               pa - piece[1].start < piece[1].size;
}

static bool owned(struct sync *s, paddr_t pa, uint64_t size, uint32_t rights)
{
        struct region_set *set = &s->space->task->regions;
        const uint32_t any = ACCESS_ALL | REGION_WX;
        uint32_t version = READ_ONCE(set->version);
        struct region r;

        if (size == PAGE_SIZE && !(rights & REGION_DEVICE) && ordinary(s->piece, pa))
                return true;
        if (!region_copy(set, pa, pa + size, rights, &r))
                return false;
        if ((r.rights & (any | REGION_DEVICE)) == any) {
                if (s->space->known_version != version)
                        s->piece[0].size = 0; /* may have been taken away since */
                struct memory_piece *at = &s->piece[1]; /* the larger is first: it is asked first */
                if (r.end - r.start > s->piece[0].size) {
                        *at = s->piece[0];
                        at = &s->piece[0];
                }
                *at = (struct memory_piece){r.start, r.end - r.start};
                s->space->known_version = version;
        }
        return true;
}

/* A leaf of the server's, as we would install it; 0 if not present or not allowed. */
static pte_t leaf_convert(struct sync *s, pte_t guest, unsigned level, enum ouzel_error *error)
{
        unsigned attr = PTE_ATTR_OF(guest);
        bool own = s->space->own;
        uint64_t size = LEVEL_SIZE(level);
        paddr_t pa = guest & PTE_ADDRESS & ~(size - 1);
        uint64_t never = own ? (guest & PTE_PXN) << 1 : guest & PTE_UXN; /* as PTE_UXN */
        uint32_t rights = ACCESS_READ | (guest & PTE_RO ? 0 : ACCESS_WRITE) |
                          (never ? 0 : ACCESS_EXEC);

        if (!(guest & PTE_AF))
                return 0; /* old: the server wants to see the access */
        if (!own && !(guest & PTE_USER))
                return 0; /* nobody at EL0 may */
        if (UNLIKELY((rights & (ACCESS_WRITE | ACCESS_EXEC)) == (ACCESS_WRITE | ACCESS_EXEC))) {
                if (own) {
                        *error = E_WX;
                        return 0;
                }
                rights |= REGION_WX;
        }
        if (UNLIKELY(attr >= ATTR_DEVICE_NGNRNE)) {
                if (attr > ATTR_DEVICE || !never) {
                        *error = E_TYPE;
                        return 0;
                }
                rights |= REGION_DEVICE;
        }
        if (!owned(s, pa, size, rights)) {
                /* A framebuffer that the server would have write-combined: as a device then. */
                if (attr != ATTR_NC || !never || !owned(s, pa, size, rights | REGION_DEVICE)) {
                        *error = E_OWNER;
                        return 0;
                }
                attr = ATTR_DEVICE;
        }
        return pa | never | (guest & PTE_RO) | leaf_base(level, attr);
}

static void reject(struct space *space, vaddr_t va, enum ouzel_error error)
{
        struct thread *t = current();

        if (t->block && t->task == space->task) {
                t->block->reject_va = va;
                t->block->reject_error = error;
        }
}

/* The same for a page, telling who asks what was rejected. */
static pte_t page_convert(struct sync *s, pte_t guest, vaddr_t va)
{
        enum ouzel_error error = E_OK;
        pte_t leaf = (guest & 3) == 3 ? leaf_convert(s, guest, 3, &error) : 0;

        if (error)
                reject(s->space, va, error);
        return leaf;
}

/* A page of a process, in ordinary memory: what most entries are. */
static inline bool plain(pte_t guest, const struct memory_piece piece[2])
{
        const pte_t is = PTE_VALID | PTE_TABLE | PTE_USER | PTE_AF | PTE_ATTR(ATTR_WB);

        return LIKELY((guest & (is | PTE_ATTR(7))) == is) && ordinary(piece, guest & PTE_ADDRESS);
}

/* A page that the server names as a table of its own, if it owns it. */
static inline bool guest_table(struct sync *s, paddr_t pa, const pte_t **table)
{
        pa &= PTE_ADDRESS;
        *table = phys_to_virt(pa);
        return LIKELY(ordinary(s->piece, pa)) || owned(s, pa, PAGE_SIZE, ACCESS_READ);
}

/* Unmap [va, end) of what one entry at `level` covers. Blocks that are cut go whole. */
static void unmap_span(struct sync *s, vaddr_t va, vaddr_t end)
{
        while (va < end) {
                pte_t *table = table_at(s->space->root);
                unsigned level = 0;
                pte_t entry;

                for (;; level++) {
                        entry = table[LEVEL_INDEX(va, level)];
                        if (level == 3 || (entry & 3) != 3)
                                break;
                        if (!(va & (LEVEL_SIZE(level) - 1)) && end - va >= LEVEL_SIZE(level)) {
                                table_drop(s->space, &table[LEVEL_INDEX(va, level)], level);
                                entry = 0;
                                break;
                        }
                        table = table_at(entry);
                }
                if (entry & PTE_VALID)
                        pte_change(&table[LEVEL_INDEX(va, level)], 0, va, &s->tlb);
                vaddr_t next = (va & ~(LEVEL_SIZE(level) - 1)) + LEVEL_SIZE(level);
                if (next < va)
                        return; /* the end of the address space */
                va = next;
        }
}

/* Our last-level table over va; else NULL, and whether a larger leaf is there. */
static inline pte_t *shadow_table(struct space *space, vaddr_t va, bool *block)
{
        struct walk *walk = walk_of(space, va);
        pte_t *table = table_at(space->root);

        if (LIKELY(walk_serves(walk, va)))
                return walk->table;
        for (unsigned level = 0; level < 3; level++) {
                pte_t entry = table[LEVEL_INDEX(va, level)];
                if ((entry & 3) != 3) {
                        *block = entry & PTE_VALID;
                        return NULL;
                }
                table = table_at(entry);
        }
        walk_found(walk, va, table);
        return table;
}

/* What is installed for a plain page. */
static inline pte_t plain_leaf(pte_t guest)
{
        return (guest & (PTE_ADDRESS | PTE_RO | PTE_UXN)) | leaf_base(3, ATTR_WB);
}

/* A run of entries of one last-level table. */
static void sync_pages(struct sync *s, const pte_t *guest, vaddr_t va, uint64_t count)
{
        struct memory_piece piece[2] = {{0, 0}, {0, 0}};
        bool block = false;
        struct walk *walk = walk_of(s->space, va);
        pte_t *shadow = shadow_table(s->space, va, &block);

        if (block) { /* where the server now has pages */
                unmap_span(s, va, va + PAGE_SIZE);
                tlb_finish(&s->tlb); /* break before a table is made there */
        }
        const pte_t *first = guest;
        guest += LEVEL_INDEX(va, 3);
        for (; !shadow; guest++, va += PAGE_SIZE, count--) { /* up to the first page */
                if (!count)
                        return;
                if (!(READ_ONCE(*guest) & PTE_VALID))
                        continue;
                if (!space_entry(s->space, va, 3, true)) {
                        reject(s->space, va, E_QUOTA);
                        return;
                }
                shadow = walk->table;
                break;
        }
        shadow += LEVEL_INDEX(va, 3);
        if (!s->space->own) { /* whose pages are never plain */
                walk->guest = first;
                walk->flushes = s->flushes;
                piece[0] = s->piece[0];
                piece[1] = s->piece[1];
        }
        for (const pte_t *end = guest + count; guest < end; guest++, va += PAGE_SIZE) {
                pte_t entry = READ_ONCE(*guest), leaf = 0;
                if (LIKELY(plain(entry, piece)))
                        leaf = plain_leaf(entry);
                else if (UNLIKELY(entry & PTE_VALID))
                        leaf = page_convert(s, entry, va);
                pte_change(shadow++, leaf, va, &s->tlb);
        }
}

static void sync_block(struct sync *s, pte_t guest, vaddr_t va, unsigned level)
{
        struct space *space = s->space;
        vaddr_t base = va & ~(LEVEL_SIZE(level) - 1);
        enum ouzel_error error = E_OK;
        pte_t leaf = leaf_convert(s, guest, level, &error);
        pte_t *entry;

        if (error)
                reject(space, va, error);
        if (!leaf) {
                vaddr_t end = base + LEVEL_SIZE(level);
                unmap_span(s, base, end ? end : end - 1);
                return;
        }
        entry = space_entry(space, base, level, true);
        if (!entry) { /* no memory, or a larger block is in the way */
                unmap_span(s, base, base + PAGE_SIZE);
                tlb_finish(&s->tlb); /* break before a table is made there */
                entry = space_entry(space, base, level, true);
        }
        if (!entry) {
                reject(space, va, E_QUOTA);
                return;
        }
        if ((*entry & 3) == 3)
                table_drop(space, entry, level); /* pages become a block */
        pte_change(entry, leaf, base, &s->tlb);
}

/* How far down the server maps va: 3 and the last table; else the level of what it has there,
 * and that in *leaf if it is one. */
static inline unsigned guest_walk(struct sync *s, vaddr_t va, const pte_t **table, pte_t *leaf)
{
        paddr_t pa = s->space->guest;

        *leaf = 0;
#pragma GCC unroll 3
        for (unsigned level = 0; level < 3; level++) {
                if (!guest_table(s, pa, table))
                        return level;
                pte_t entry = READ_ONCE((*table)[LEVEL_INDEX(va, level)]);
                if (UNLIKELY((entry & 3) != 3)) {
                        if (level && (entry & PTE_VALID))
                                *leaf = entry;
                        return level;
                }
                pa = entry;
        }
        return guest_table(s, pa, table) ? 3 : 2;
}

/* The last translations go at sync_end. */
static void sync_span(struct sync *s, vaddr_t va, vaddr_t last)
{
        for (;;) {
                const pte_t *table;
                pte_t leaf;

                if (UNLIKELY(++s->tables > TABLES_MAX)) { /* the first access finds the rest */
                        unmap_span(s, va, last + 1 ? last + 1 : last);
                        return;
                }
                unsigned level = guest_walk(s, va, &table, &leaf);
                vaddr_t end = va | (LEVEL_SIZE(level < 3 ? level : 2) - 1); /* inclusive */

                if (end > last)
                        end = last;
                if (LIKELY(level == 3))
                        sync_pages(s, table, va, ((end - va) >> PAGE_SHIFT) + 1);
                else if (leaf)
                        sync_block(s, leaf, va, level);
                else
                        unmap_span(s, va, end + 1 ? end + 1 : end);
                if (end >= last)
                        return;
                va = end + 1;
        }
}

static bool sync_allowed(struct space *space, vaddr_t va, uint64_t pages)
{
        return !(va & (PAGE_SIZE - 1)) && pages && pages <= 1ul << 36 &&
               va_allowed(va, pages << PAGE_SHIFT, space->own);
}

/* What was found before is not used by a drain that begins after this. */
void sync_forget(struct task *task)
{
        __atomic_fetch_add(&task->flushes, 1, __ATOMIC_ACQ_REL);
}

/* The space that an element names. */
static inline struct space *element_space(struct task *task, uint32_t slot)
{
        enum ouzel_error error;
        struct cap *cap = cap_find(task, slot, CAP_SPACE, RIGHT_MANAGE, &error);

        return cap ? CONTAINER(cap->object, struct space, object) : NULL;
}

/* From here on the server adds a new element instead of using this one; what it wrote to its
 * table before it last saw this one not taken is read after this. */
static inline uint64_t element_take(struct vcpu_sync *e)
{
        uint64_t claim = __atomic_exchange_n(&e->claim, 0, __ATOMIC_ACQ_REL);

        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        return claim;
}

/*
 * What most elements are: pages of a process in ordinary memory, below tables that were found
 * lately (so their addresses are allowed). Whether the tables are those for all of them.
 */
static inline bool walk_suits(const struct space *space, const struct walk *walk, vaddr_t va,
                              uint64_t pages)
{
        vaddr_t end = va + (pages << PAGE_SHIFT); /* pages: 32 bits */

        return LIKELY(pages && walk_serves(walk, va) && walk_serves(walk, end - 1) &&
                      !(va & (PAGE_SIZE - 1)) &&
                      walk->flushes == READ_ONCE(space->task->flushes));
}

/*
 * Pages where none was and ordinary ones or none are. Returns how many are left: from the first
 * that is another. Their entries in both tables lie equally far apart.
 */
static inline uint64_t pages_add(const struct space *space, const struct walk *walk, vaddr_t va,
                                 uint64_t pages)
{
        const uint64_t apart = (uint64_t)walk->table - (uint64_t)walk->guest;
        const pte_t *guest = walk->guest + LEVEL_INDEX(va, 3), *end = guest + pages;

        do {
                pte_t entry = READ_ONCE(*guest), *shadow = (pte_t *)((uint64_t)guest + apart);
                if (UNLIKELY(*shadow & PTE_VALID))
                        break;
                if (LIKELY(plain(entry, space->known)))
                        WRITE_ONCE(*shadow, plain_leaf(entry));
                else if (entry & PTE_VALID)
                        break;
        } while (++guest < end);
        return (uint64_t)(end - guest);
}

/*
 * Pages from i on, of which at most one that was there is changed. False: there was more, and
 * sync_span must do all. Either way, what was done is in force.
 */
static __attribute__((noinline)) bool pages_change(const struct space *space,
                                                   const struct walk *walk, vaddr_t va,
                                                   uint64_t i, uint64_t pages)
{
        const struct memory_piece piece[2] = {space->known[0], space->known[1]};
        const pte_t *guest = walk->guest + LEVEL_INDEX(va, 3);
        pte_t *shadow = walk->table + LEVEL_INDEX(va, 3);
        bool changed = false, added = i; /* by pages_add */

        do {
                pte_t entry = READ_ONCE(guest[i]), old = shadow[i], leaf = 0;
                if (LIKELY(plain(entry, piece)))
                        leaf = plain_leaf(entry);
                else if (UNLIKELY(entry & PTE_VALID))
                        break;
                if (old == leaf)
                        continue;
                if (!(old & PTE_VALID)) {
                        WRITE_ONCE(shadow[i], leaf);
                        added = true;
                        continue;
                }
                if (changed)
                        break; /* sync_span has them invalidated together */
                changed = true;
                bool other = leaf && ((old ^ leaf) & ~PTE_MUTABLE); /* a page copied on write */
                WRITE_ONCE(shadow[i], other ? 0 : leaf); /* break ... */
                tlb_flush_page(va + (i << PAGE_SHIFT)); /* (what was added is seen, too) */
                WRITE_ONCE(shadow[i], leaf); /* ... before make */
                added = other;
        } while (++i < pages);
        if (added)
                tlb_added();
        return i == pages;
}

static __attribute__((noinline)) bool sync_try(struct space *space, vaddr_t va, uint64_t pages)
{
        const struct walk *walk = walk_of(space, va);

        spin_lock(&space->lock);
        bool done = walk_suits(space, walk, va, pages) && pages_change(space, walk, va, 0, pages);
        spin_unlock(&space->lock);
        return done;
}

enum ouzel_error sync_range(struct space *space, vaddr_t va, uint64_t pages, bool afresh)
{
        struct thread *self = current();
        struct sync s;

        if (!sync_allowed(space, va, pages))
                return E_RANGE;
        if (!space->guest)
                return E_STATE;
        s.tables = 0;
        spin_lock(&self->drain_lock); /* who flushes waits until we are out of the tables */
        if (afresh || !sync_try(space, va, pages)) {
                sync_begin(&s, space);
                sync_span(&s, va, va + (pages << PAGE_SHIFT) - 1);
                sync_end(&s);
        }
        spin_unlock(&self->drain_lock);
        return E_OK;
}

/* From head on, which was taken already: that is its claim. */
static __attribute__((noinline)) void drain_elements(struct thread *t, uint32_t head,
                                                     uint32_t tail, uint64_t claim)
{
        struct vcpu_block *block = t->block;
        struct sync s;

        s.space = NULL;
        s.tables = 0;
        for (;;) {
                struct vcpu_sync *e = &block->ring[head % SYNC_RING];
                uint64_t pages = claim >> 32;
                struct space *space = element_space(t->task, (uint32_t)claim);
                vaddr_t va = READ_ONCE(e->va);

                if (LIKELY(space && space->guest && sync_allowed(space, va, pages))) {
                        if (space != s.space) {
                                if (s.space)
                                        sync_end(&s);
                                sync_begin(&s, space);
                        }
                        sync_span(&s, va, va + (pages << PAGE_SHIFT) - 1);
                }
                if (++head == tail)
                        break;
                claim = element_take(&block->ring[head % SYNC_RING]);
        }
        if (s.space)
                sync_end(&s);
        __atomic_store_n(&block->sync_head, tail, __ATOMIC_RELEASE);
        spin_unlock(&t->drain_lock);
}

/* The last element, taken already, of any space. */
static __attribute__((noinline)) void drain_last(struct thread *t, uint32_t tail, uint64_t claim,
                                                 vaddr_t va)
{
        struct space *space = element_space(t->task, (uint32_t)claim);

        COUNT(sync);
        if (space && sync_try(space, va, claim >> 32)) {
                __atomic_store_n(&t->block->sync_head, tail, __ATOMIC_RELEASE);
                spin_unlock(&t->drain_lock);
        } else {
                drain_elements(t, tail - 1, tail, claim);
        }
}

/* After pages_add, which left some; more than all: its tables are not known. The space's lock is
 * held. */
static __attribute__((noinline)) void drain_more(struct thread *t, uint64_t claim,
                                                 struct space *space, vaddr_t va, uint64_t left)
{
        uint32_t tail = READ_ONCE(t->block->sync_head);
        uint64_t pages = claim >> 32;
        bool done = left <= pages &&
                    pages_change(space, walk_of(space, va), va, pages - left, pages);

        COUNT(sync);
        spin_unlock(&space->lock);
        if (done)
                spin_unlock(&t->drain_lock);
        else
                drain_elements(t, tail - 1, tail, claim);
}

/* All of any vCPU's. */
static __attribute__((noinline)) void drain_ring(struct thread *t)
{
        struct vcpu_block *block = t->block;

        spin_lock(&t->drain_lock);
        uint32_t head = READ_ONCE(block->sync_head);
        uint32_t tail = __atomic_load_n(&block->sync_tail, __ATOMIC_ACQUIRE), n = tail - head;
        if (UNLIKELY(n > SYNC_RING)) { /* not what the protocol allows; bounded all the same */
                n = SYNC_RING;
                head = tail - n;
        }
        if (!n) {
                spin_unlock(&t->drain_lock);
                return;
        }
        struct vcpu_sync *e = &block->ring[head % SYNC_RING];
        uint64_t claim = element_take(e);
        if (n == 1) {
                drain_last(t, tail, claim, READ_ONCE(e->va));
        } else {
                COUNT_N(sync, n);
                drain_elements(t, head, tail, claim);
        }
}

/*
 * Apply what this core's vCPU queued. Others may do it, too (drain_ring): the server's only
 * write is the tail, and the drain lock makes one core at a time the reader. On return all that
 * was queued when we looked is in force on every core.
 *
 * One element of new pages of its process is what a page fault leaves. All else is apart, so
 * that nothing of this needs a stack frame.
 */
void sync_drain(struct thread *t)
{
        struct vcpu_block *block = t->block;

        uint32_t head = block->sync_head;
        uint32_t tail = __atomic_load_n(&block->sync_tail, __ATOMIC_ACQUIRE);
        /* Another core may be at it: then the claim is gone already, or drain_ring waits. */
        if (UNLIKELY(tail - head != 1 || !spin_try(&t->drain_lock))) {
                drain_ring(t);
                return;
        }
        struct vcpu_sync *e = block->ring;
        e += head % SYNC_RING;
        uint64_t claim = element_take(e), pages = claim >> 32, left = UINT64_MAX;
        /* It stays until we serve calls of other cores: forget_here(). */
        struct space *space = t->process;
        vaddr_t va = READ_ONCE(e->va);

        /* Early: this vCPU runs again, and uses the element again, when all is done. */
        __atomic_store_n(&block->sync_head, tail, __ATOMIC_RELEASE);
        if (UNLIKELY(!space || space->slot != (uint32_t)claim || !spin_try(&space->lock))) {
                drain_last(t, tail, claim, va);
                return;
        }
        const struct walk *walk = walk_of(space, va);
        if (walk_suits(space, walk, va, pages))
                left = pages_add(space, walk, va, pages);
        if (UNLIKELY(left)) {
                drain_more(t, claim, space, va, left);
                return;
        }
        cpu_table_barrier(); /* as tlb_added() */
        this_cpu()->n_added++;
        spin_unlock(&space->lock);
        spin_unlock(&t->drain_lock);
}

/* All rings of a server: what one of its CPUs changed, another may have queued. */
void sync_drain_task(struct task *task)
{
        for (unsigned i = 0; i < READ_ONCE(task->vcpus_end); i++) {
                struct thread *t = READ_ONCE(task->vcpus[i]);
                if (!t)
                        continue;
                if (t->block->sync_head != __atomic_load_n(&t->block->sync_tail, __ATOMIC_ACQUIRE))
                        drain_ring(t);
                else { /* somebody may be in the middle of applying what was there */
                        spin_lock(&t->drain_lock);
                        spin_unlock(&t->drain_lock);
                }
        }
}

/* Every entry of the shadow is what validation makes of the server's. Lock held. */
static uint64_t check_walk(struct sync *s, pte_t *table, unsigned level, vaddr_t base,
                           vaddr_t *where)
{
        uint64_t wrong = 0;

        for (unsigned i = 0; i < 512; i++) {
                pte_t entry = table[i];
                vaddr_t va = base + ((uint64_t)i << LEVEL_SHIFT(level));
                if (!(entry & PTE_VALID) || entry == kernel_l0_entry)
                        continue;
                if (level < 3 && (entry & PTE_TABLE)) {
                        wrong += check_walk(s, table_at(entry), level + 1, va, where);
                        continue;
                }
                enum ouzel_error error = E_OK;
                const pte_t *guest;
                pte_t g;
                bool leaf = guest_walk(s, va, &guest, &g) == level;
                if (leaf && level == 3) {
                        g = READ_ONCE(guest[LEVEL_INDEX(va, 3)]);
                        leaf = (g & 3) == 3;
                }
                if (!leaf || !g || leaf_convert(s, g, level, &error) != entry) {
                        if (!wrong)
                                *where = va;
                        wrong++;
                }
        }
        return wrong;
}

static uint64_t sync_check(struct space *space, vaddr_t *where, uint64_t *tables)
{
        uint64_t wrong = 0;
        struct sync s;

        sync_begin(&s, space);
        if (space->guest)
                wrong = check_walk(&s, table_at(space->root), 0, space->own ? TASK_VA_START : 0,
                                   where);
        *tables = space->tables.n;
        sync_end(&s);
        return wrong;
}

/* ---- system calls ---------------------------------------------------------------------- */

static struct space *space_at(uint64_t slot, enum ouzel_error *error)
{
        struct cap *cap = cap_find(current()->task, slot, CAP_SPACE, RIGHT_MANAGE, error);

        return cap ? CONTAINER(cap->object, struct space, object) : NULL;
}

struct result SYS4(space_sync, slot, va, pages, root)
{
        enum ouzel_error error = E_OK;
        struct space *space = space_at(slot, &error);

        if (!space)
                return ERROR(error);
        if (root & (PAGE_SIZE - 1))
                return ERROR(E_ALIGN);
        if (space->task != current()->task)
                return ERROR(E_RIGHTS); /* the table is in the owner's memory */
        if (!sync_allowed(space, va, pages))
                return ERROR(E_RANGE);
        if (root && !region_find(&space->task->regions, root, root + PAGE_SIZE, ACCESS_READ))
                return ERROR(E_OWNER);
        if (root) {
                space->guest = root;
                sync_forget(space->task);
        }
        return ERROR(sync_range(space, va, pages, true));
}

struct result SYS1(space_check, slot)
{
        enum ouzel_error error = E_OK;
        struct space *space = space_at(slot, &error);
        vaddr_t where = 0;
        uint64_t wrong, tables;

        if (!space)
                return ERROR(error);
        if (!space->guest)
                return ERROR(E_STATE);
        sync_drain_task(space->task);
        wrong = sync_check(space, &where, &tables);
        current()->regs.x[2] = where;
        return wrong ? RESULT(E_DIFFERS, wrong) : RESULT(E_OK, tables);
}

struct result SYS0(vcpu_sync)
{
        struct thread *self = current();

        if (!self->vcpu)
                return ERROR(E_STATE);
        self->block->sync = 0;
        sync_drain(self);
        return ERROR(E_OK);
}

struct result SYS1(vcpu_flush, what)
{
        struct thread *self = current();

        if (!self->vcpu)
                return ERROR(E_STATE);
        self->block->sync = 0;
        if (what & FLUSH_INSTRUCTIONS)
                cpu_flush_instructions();
        if (what & FLUSH_UNLINKED)
                sync_forget(self->task);
        sync_drain_task(self->task);
        return ERROR(E_OK);
}
