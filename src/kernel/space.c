// SPDX-License-Identifier: MIT
/*
 * space.c -- shadow tables: the page tables that the hardware walks.
 *
 * Four levels of 4 KiB tables, all pages of the pool, charged to the space's owner. Only
 * this file and sync.c write them, with the space's lock held, through pte_change and
 * table_drop, which know about barriers.
 */
#include "space.h"

#include "string.h"
#include "sys.h"

struct space *all_spaces;

void *page_anyhow(struct task *owner)
{
        void *page;

        while (!(page = kmem_alloc(owner)))
                if (!owner->space || !space_reclaim(owner->space))
                        return NULL;
        return page;
}

struct space *space_new(struct task *owner, bool own, enum ouzel_error *error)
{
        struct space *space = page_anyhow(owner);
        pte_t *root = space ? page_anyhow(owner) : NULL;

        if (!root) {
                if (space)
                        kmem_free(owner, space);
                *error = E_QUOTA;
                return NULL;
        }
        object_init(&space->object, CAP_SPACE, owner);
        space->own = own;
        space->task = owner;
        space->slot = UINT64_MAX;
        space->root = virt_to_phys(root);
        if (own)
                root[LEVEL_INDEX(KERNEL_SLOT_VA, 0)] = kernel_l0_entry;
        space->next = all_spaces;
        if (all_spaces)
                all_spaces->prev = space;
        __atomic_store_n(&all_spaces, space, __ATOMIC_RELEASE); /* see space_reclaim */
        *error = E_OK;
        return space;
}

static void walks_forget(struct space *space)
{
        memset(space->walks, 0, sizeof(space->walks));
}

/* Free what hangs below an entry that no walker can reach any more. */
static void subtree_free(struct space *space, pte_t entry, unsigned level)
{
        pte_t *table = table_at(entry);

        walks_forget(space);
        if (level < 2)
                for (unsigned i = 0; i < 512; i++)
                        if ((table[i] & 3) == 3)
                                subtree_free(space, table[i], level + 1);
        kmem_table_free(space->object.owner, &space->tables, table);
}

void table_drop(struct space *space, pte_t *entry, unsigned level)
{
        struct tlb_batch tlb;
        pte_t old = *entry;

        if (!(old & PTE_VALID))
                return;
        WRITE_ONCE(*entry, 0);
        tlb_all(&tlb, space);
        tlb_finish(&tlb); /* leaves below, and the walk caches' copies of the tables */
        if (level < 3 && (old & PTE_TABLE))
                subtree_free(space, old, level);
}

/* Lock held. */
static void clear_locked(struct space *space)
{
        struct tlb_batch tlb;
        pte_t *root = table_at(space->root);

        walks_forget(space);
        if (!space->tables.n)
                return;
        for (unsigned i = 0; i < 512; i++)
                if (root[i] && root[i] != kernel_l0_entry)
                        WRITE_ONCE(root[i], 0);
        tlb_all(&tlb, space);
        tlb_finish(&tlb); /* after this the tables are ours alone */
        kmem_tables_free(space->object.owner, &space->tables);
}

void space_clear(struct space *space)
{
        spin_lock(&space->lock);
        clear_locked(space);
        spin_unlock(&space->lock);
}

/* No big lock: a space that leaves the list meanwhile still leads on, until we are done. */
static bool reclaim_among(struct space *first, struct space *keep)
{
        for (struct space *s = first; s && s != keep; s = READ_ONCE(s->next)) {
                if (s->object.owner != keep->object.owner || !s->guest || s->own ||
                    s->tables.n < 2)
                        continue;
                if (!spin_try(&s->lock))
                        continue;
                clear_locked(s);
                spin_unlock(&s->lock);
                return true;
        }
        return false;
}

/*
 * Some table page of the owner's, by forgetting another process's mappings, if they are a shadow:
 * that is a cache. Called with `keep` locked, so others are only tried.
 */
bool space_reclaim(struct space *keep)
{
        return reclaim_among(READ_ONCE(keep->next), keep) ||
               reclaim_among(READ_ONCE(all_spaces), keep);
}

void space_unlink(struct space *space)
{
        if (space->prev)
                WRITE_ONCE(space->prev->next, space->next);
        else
                WRITE_ONCE(all_spaces, space->next);
        if (space->next)
                space->next->prev = space->prev;
}

/* Its threads that have it as their process get the empty one. Each core does it for its own:
 * none is switched to meanwhile. */
static void forget_here(void *argument)
{
        struct space *space = argument;

        for (unsigned i = 0; i < MAX_TASKS; i++) {
                for (struct object *o = tasks[i] ? tasks[i]->owned : NULL; o; o = o->next_owned) {
                        struct thread *t = CONTAINER(o, struct thread, object);
                        if (o->type == CAP_THREAD && t->cpu == this_cpu() && t->process == space)
                                t->process = NULL;
                }
        }
        if (mmu_drop(space->root))
                this_cpu()->resched = 1; /* schedule() chooses again */
}

void space_free(struct space *space)
{
        /* A thread of its task may be gone, but its core not yet have switched to another. */
        if (space->users || space->own) {
                cross_call_others(forget_here, space);
                forget_here(space);
        }
        /* No core has its root, and no translation is left: so nobody walks the tables. */
        asid_free(space);
        if (space->own) /* cached under the ASIDs of its processes, too */
                tlb_flush_all();
        kmem_tables_free(space->object.owner, &space->tables);
        kmem_free(space->object.owner, table_at(space->root));
}

static __attribute__((noinline)) pte_t *entry_walk(struct space *space, vaddr_t va,
                                                   unsigned level, bool make)
{
        pte_t *table = table_at(space->root);

        for (unsigned l = 0; l < level; l++) {
                pte_t *entry = &table[LEVEL_INDEX(va, l)];
                if (!(*entry & PTE_VALID)) {
                        void *new;
                        if (!make)
                                return NULL;
                        while (!(new = kmem_table(space->object.owner, &space->tables)))
                                if (!space_reclaim(space))
                                        return NULL;
                        /* Zeros first: a walker on another core may follow at once. */
                        cpu_store_barrier();
                        WRITE_ONCE(*entry, virt_to_phys(new) | PTE_TABLE | PTE_VALID);
                } else if (!(*entry & PTE_TABLE)) {
                        if (!make)
                                return entry; /* the block that covers it */
                        return NULL;
                }
                table = table_at(*entry);
        }
        if (level == 3)
                walk_found(walk_of(space, va), va, table);
        return &table[LEVEL_INDEX(va, level)];
}

pte_t *space_entry(struct space *space, vaddr_t va, unsigned level, bool make)
{
        const struct walk *walk = walk_of(space, va);

        if (level == 3 && walk_serves(walk, va))
                return &walk->table[LEVEL_INDEX(va, 3)];
        return entry_walk(space, va, level, make);
}

pte_t space_lookup(struct space *space, vaddr_t va, unsigned *level)
{
        pte_t *table = table_at(space->root), entry = 0;
        unsigned l;

        if (!va_allowed(va & ~(PAGE_SIZE - 1), PAGE_SIZE, space->own))
                return 0;
        for (l = 0; l <= 3; l++) {
                entry = READ_ONCE(table[LEVEL_INDEX(va, l)]);
                if (!(entry & PTE_VALID))
                        return 0;
                if (l == 3 || !(entry & PTE_TABLE))
                        break;
                table = table_at(entry);
        }
        *level = l;
        return entry;
}

static paddr_t leaf_phys(pte_t entry, unsigned level, vaddr_t va)
{
        uint64_t offset = LEVEL_SIZE(level) - 1;

        return (entry & PTE_ADDRESS & ~offset) | (va & offset);
}

static unsigned leaf_access(pte_t entry)
{
        unsigned access = 0;

        if ((entry & (PTE_VALID | PTE_USER)) == (PTE_VALID | PTE_USER))
                access = ACCESS_READ | (entry & PTE_RO ? 0 : ACCESS_WRITE) |
                         (entry & PTE_UXN ? 0 : ACCESS_EXEC);
        return access;
}

bool space_allows(struct space *space, vaddr_t va, unsigned access, paddr_t *pa)
{
        unsigned level = 3;

        spin_lock(&space->lock); /* other cores change tables, and free them */
        pte_t entry = space_lookup(space, va, &level);
        spin_unlock(&space->lock);
        *pa = leaf_phys(entry, level, va);
        return (access & ~leaf_access(entry)) == 0;
}

pte_t leaf_make(paddr_t pa, unsigned level, unsigned access, unsigned attr)
{
        return pa | leaf_base(level, attr) | (access & ACCESS_WRITE ? 0 : PTE_RO) |
               (access & ACCESS_EXEC ? 0 : PTE_UXN);
}

/* Pages, validated, as far as their entries are in one table. `done` counts. */
static enum ouzel_error map_run(struct space *space, vaddr_t va, pte_t leaf, unsigned level,
                                uint64_t count, uint64_t *done, struct tlb_batch *tlb)
{
        pte_t *entry = space_entry(space, va, level, true);
        uint64_t n = 512 - LEVEL_INDEX(va, level), size = LEVEL_SIZE(level);

        if (!entry) {
                unsigned found;
                return space_lookup(space, va, &found) ? E_MAPPED : E_QUOTA;
        }
        if (n > count)
                n = count;
        for (pte_t *end = entry + n; entry < end; entry++, va += size, leaf += size) {
                if (level < 3 && (*entry & 3) == 3) {
                        *done += n - (uint64_t)(end - entry);
                        return E_MAPPED; /* smaller pages are there */
                }
                pte_change(entry, leaf, va, tlb);
        }
        *done += n;
        return E_OK;
}

static enum ouzel_error unmap_one(struct space *space, vaddr_t va, unsigned level,
                                  struct tlb_batch *tlb)
{
        pte_t *entry = space_entry(space, va, level, false);
        unsigned found;

        if (!entry || !(*entry & PTE_VALID))
                return E_OK;
        if (!space_lookup(space, va, &found) || found != level)
                return E_MAPPED; /* a larger page, or smaller ones: unmap them as such */
        pte_change(entry, 0, va, tlb);
        return E_OK;
}

enum ouzel_error space_map(struct space *space, vaddr_t va, paddr_t pa, uint32_t flags,
                           uint64_t count, uint64_t *done)
{
        unsigned size = flags >> 8 & 3;
        unsigned level = 3 - size;
        struct mapping m = {va, pa, 0, LEVEL_SIZE(level), flags & ~(uint32_t)MAP_SIZE_MASK,
                            space->own};
        enum ouzel_error error = E_OK;
        struct tlb_batch tlb;

        *done = 0;
        if (size == 3)
                return E_INVALID;
        if (count == 0 || count > UPDATE_PAGES_MAX)
                return E_RANGE;
        m.size = count * m.page;
        if (flags & ACCESS_ALL) {
                error = validate(&space->task->regions, &m);
                if (error && count > 1) { /* up to the first page that may not be */
                        m.size = m.page;
                        while (*done < count && !(error = validate(&space->task->regions, &m))) {
                                (*done)++;
                                m.va += m.page;
                                m.pa += m.page;
                        }
                        count = *done;
                } else if (error) {
                        return error;
                }
        } else if (!va_allowed(va, m.size, space->own)) {
                return E_RANGE;
        } else if (va & (m.page - 1)) {
                return E_ALIGN;
        }
        unsigned attr = flags & MAP_DEVICE ? ATTR_DEVICE
                        : flags & MAP_NONCACHED ? ATTR_NC : ATTR_WB;
        pte_t leaf = leaf_make(pa, level, flags, attr);
        tlb_begin(&tlb, space);
        spin_lock(&space->lock);
        for (*done = 0; *done < count;) {
                uint64_t offset = *done * m.page;
                enum ouzel_error e;
                if (flags & ACCESS_ALL) {
                        e = map_run(space, va + offset, leaf + offset, level, count - *done, done,
                                    &tlb);
                } else {
                        e = unmap_one(space, va + offset, level, &tlb);
                        *done += !e;
                }
                if (e) {
                        error = e;
                        break;
                }
        }
        tlb_finish(&tlb);
        spin_unlock(&space->lock);
        TRACE(map, va, flags, *done);
        return error;
}

/* The region of the last search holds this page, too. As region_find() asks, but in place. */
static inline bool page_held(struct region_set *set, paddr_t pa, uint32_t access)
{
        uint32_t version = __atomic_load_n(&set->version, __ATOMIC_ACQUIRE), hint = set->hint;
        const struct region *r = &set->r[hint];
        /* Pages and regions are page aligned. No right is missing, and it is no device. */
        bool held = hint < set->n && pa >= r->start && pa < r->end &&
                    !(access & ~r->rights) && !(r->rights & REGION_DEVICE);

        /* All that was read is read before the version is again. */
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        return held && !(version & 1) &&
               version == __atomic_load_n(&set->version, __ATOMIC_RELAXED);
}

/*
 * What pagers do most, without detours: one small page of normal memory, not both writable and
 * executable, in a table that was used lately (so its address is allowed), into nothing or out
 * of it. It allows a part of what validate() does. False, with nothing changed: ask that.
 */
static inline bool map_quickly(struct space *space, struct task *self, vaddr_t va, paddr_t pa,
                               uint32_t access)
{
        bool done = false;

        if ((va | pa) & (PAGE_SIZE - 1))
                return false;
        if (access && (!(access & ACCESS_READ) || access == ACCESS_ALL ||
                       !page_held(&space->task->regions, pa, access) ||
                       (space->task != self && !page_held(&self->regions, pa, access))))
                return false;
        spin_lock(&space->lock);
        const struct walk *walk = walk_of(space, va);
        if (walk_serves(walk, va)) {
                pte_t *entry = &walk->table[LEVEL_INDEX(va, 3)];
                done = !(*entry & PTE_VALID) == !!access;
                if (done && access) {
                        WRITE_ONCE(*entry, leaf_make(pa, 3, access, ATTR_WB));
                        tlb_added();
                } else if (done) {
                        WRITE_ONCE(*entry, 0);
                        tlb_flush_page(va);
                }
        }
        spin_unlock(&space->lock);
        return done;
}

/* Remove from every shadow table what its task's regions no longer allow. */
static void revoke_walk(struct space *space, pte_t *table, unsigned level, vaddr_t base,
                        struct tlb_batch *tlb)
{
        for (unsigned i = 0; i < 512; i++) {
                pte_t entry = table[i];
                vaddr_t va = base + ((uint64_t)i << LEVEL_SHIFT(level));
                if (!(entry & PTE_VALID) || entry == kernel_l0_entry)
                        continue;
                if (level < 3 && (entry & PTE_TABLE)) {
                        revoke_walk(space, table_at(entry), level + 1, va, tlb);
                        continue;
                }
                unsigned attr = PTE_ATTR_OF(entry);
                unsigned access = leaf_access(entry);
                bool device = attr == ATTR_DEVICE || attr == ATTR_DEVICE_NGNRNE;
                paddr_t pa = entry & PTE_ADDRESS & ~(LEVEL_SIZE(level) - 1);
                if (!region_find(&space->task->regions, pa, pa + LEVEL_SIZE(level),
                                 access | (device ? REGION_DEVICE : 0)))
                        pte_change(&table[i], 0, va, tlb);
        }
}

void spaces_revoke(void)
{
        for (struct space *space = all_spaces; space; space = space->next) {
                struct tlb_batch tlb = {.space = space};
                spin_lock(&space->lock);
                space->known[0].size = space->known[1].size = 0; /* the version may come round */
                revoke_walk(space, table_at(space->root), 0, space->own ? TASK_VA_START : 0, &tlb);
                tlb_finish(&tlb);
                spin_unlock(&space->lock);
        }
}

/* ---- system calls ---------------------------------------------------------------------- */

static inline __attribute__((always_inline)) struct space *space_at(uint64_t slot,
                                                                    enum ouzel_error *error)
{
        struct cap *cap = cap_find(current()->task, slot, CAP_SPACE, RIGHT_MANAGE, error);

        return cap ? CONTAINER(cap->object, struct space, object) : NULL;
}

struct result SYS2(space_create, slot, guest)
{
        struct task *self = current()->task;
        struct space *space = NULL;
        enum ouzel_error error;
        struct cap *cap;

        if (guest & (PAGE_SIZE - 1))
                return ERROR(E_ALIGN);
        big_lock();
        error = cap_reserve(self, slot, &cap);
        if (!error && guest && !region_find(&self->regions, guest, guest + PAGE_SIZE, ACCESS_READ))
                error = E_OWNER;
        if (!error)
                space = space_new(self, false, &error);
        if (!error) {
                space->guest = guest;
                space->slot = slot;
                cap_install(cap, &space->object, CAP_SPACE, RIGHT_ALL, 0);
        }
        big_unlock();
        return ERROR(error);
}

/*
 * The caller must own the frames, and so must the space's own task: a task can map for
 * another only what it granted to it.
 */
static enum ouzel_error update(struct space *space, struct task *self, vaddr_t va, paddr_t pa,
                               uint64_t flags, uint64_t count, uint64_t *done)
{
        struct mapping m = {va, pa, 0, LEVEL_SIZE(3 - (flags >> 8 & 3)),
                            flags & ~(uint32_t)MAP_SIZE_MASK, space->own};

        *done = 0;
        if (flags >> 32 || (flags >> 8 & 3) == 3)
                return E_INVALID;
        if (space->task != self && (flags & ACCESS_ALL) && count && count < 1ul << 36) {
                m.size = count * m.page;
                enum ouzel_error error = validate(&self->regions, &m);
                if (error)
                        return error;
        }
        return space_map(space, va, pa, flags, count, done);
}

/* x1 = how many were done. */
static __attribute__((noinline)) struct result update_result(struct space *space,
                                                             struct task *self, vaddr_t va,
                                                             paddr_t pa, uint64_t flags,
                                                             uint64_t count)
{
        uint64_t done;

        if (count == 1 && flags <= ACCESS_ALL && !this_cpu()->no_fast &&
            map_quickly(space, self, va, pa, (uint32_t)flags))
                return RESULT(E_OK, 1);
        enum ouzel_error error = update(space, self, va, pa, flags, count, &done);
        return RESULT(error, done);
}

struct result SYS5(space_update, slot, va, pa, flags, count)
{
        enum ouzel_error error = E_OK;
        struct space *space = space_at(slot, &error);

        return error ? ERROR(error)
                     : update_result(space, current()->task, va, pa, flags, count);
}

struct result SYS2(space_update_list, slot, count)
{
        enum ouzel_error error = E_OK;
        struct thread *self = current();
        struct space *space = space_at(slot, &error);
        uint64_t done = 0, i = 0, left = UPDATE_PAGES_MAX; /* of all */

        if (!space)
                return ERROR(error);
        if (!self->buffer || self->vcpu)
                return ERROR(E_STATE);
        if (!count || count > UPDATE_LIST_MAX)
                return ERROR(E_RANGE);
        const struct ouzel_update *list = phys_to_virt(self->buffer);
        for (; i < count && !error; i++) {
                struct ouzel_update u; /* read once: others may write the buffer meanwhile */
                u.va = READ_ONCE(list[i].va);
                u.pa = READ_ONCE(list[i].pa);
                u.flags = READ_ONCE(list[i].flags);
                u.count = READ_ONCE(list[i].count);
                struct result r = u.count > left ? ERROR(E_RANGE)
                                                 : update_result(space, self->task, u.va, u.pa,
                                                                 u.flags, u.count);
                left -= u.count; /* unless that was the last */
                error = (enum ouzel_error)r.error;
                done = r.value;
        }
        self->regs.x[2] = done; /* of the last one tried */
        return RESULT(error, error ? i - 1 : i);
}

struct result SYS2(space_query, slot, va)
{
        enum ouzel_error error = E_OK;
        struct space *space = space_at(slot, &error);
        unsigned level = 3;
        pte_t entry;

        if (!space)
                return ERROR(error);
        if (!va_allowed(va & ~(PAGE_SIZE - 1), PAGE_SIZE, space->own))
                return ERROR(E_RANGE);
        spin_lock(&space->lock);
        entry = space_lookup(space, va, &level);
        spin_unlock(&space->lock);
        if (!entry)
                return ERROR(E_AGAIN);
        unsigned attr = PTE_ATTR_OF(entry);
        current()->regs.x[2] = leaf_access(entry) | (uint64_t)(3 - level) << 8 |
                               (attr == ATTR_NC ? MAP_NONCACHED : 0) |
                               (attr >= ATTR_DEVICE_NGNRNE ? MAP_DEVICE : 0);
        return RESULT(E_OK, leaf_phys(entry, level, va));
}

struct result SYS1(space_clear, slot)
{
        enum ouzel_error error = E_OK;
        struct space *space = space_at(slot, &error);

        if (space && space == current()->space)
                error = E_BUSY; /* the caller runs in it */
        else if (space)
                space_clear(space);
        return ERROR(error);
}
