// SPDX-License-Identifier: MIT
/*
 * check.c -- is everything as it should be? Walks all tasks, objects and page tables. Asked
 * for by tests after they did their worst. The big lock is held.
 */
#include "space.h"

static uint64_t broken;
static bool verbose;

static void complain(const char *what, uint64_t a, uint64_t b)
{
        broken++;
        if (verbose && broken <= 20)
                printk("ouzel: check: %s (%lx, %lx)\n", what, (unsigned long)a, (unsigned long)b);
}

/* Pages that a table tree takes; every leaf in it is owned, and not the kernel's. */
static uint64_t check_table(struct space *space, pte_t *table, unsigned level, vaddr_t base)
{
        uint64_t tables = 0;

        for (unsigned i = 0; i < 512; i++) {
                pte_t entry = table[i];
                vaddr_t va = base + ((uint64_t)i << LEVEL_SHIFT(level));
                if (!(entry & PTE_VALID) || entry == kernel_l0_entry)
                        continue;
                if (level < 3 && (entry & PTE_TABLE)) {
                        if (!kmem_owns(entry & PTE_ADDRESS))
                                complain("a table outside the kernel's pool", va, entry);
                        else
                                tables += 1 + check_table(space, table_at(entry), level + 1, va);
                        continue;
                }
                uint64_t size = LEVEL_SIZE(level);
                paddr_t pa = entry & PTE_ADDRESS & ~(size - 1);
                unsigned attr = PTE_ATTR_OF(entry);
                uint32_t rights = ACCESS_READ | (entry & PTE_RO ? 0 : ACCESS_WRITE) |
                                  (entry & PTE_UXN ? 0 : ACCESS_EXEC) |
                                  (attr >= ATTR_DEVICE_NGNRNE ? REGION_DEVICE : 0);
                if (kmem_owns(pa) || (pa < boot.kernel.end && pa + size > boot.kernel.start))
                        complain("a frame of the kernel's is mapped", va, pa);
                if (!region_find(&space->task->regions, pa, pa + size, rights))
                        complain("a mapping beyond ownership", va, entry);
                if (!(entry & PTE_PXN) || !(entry & PTE_NG) || !(entry & PTE_USER))
                        complain("a leaf with the wrong attributes", va, entry);
                if (space->own && (rights & 6) == 6)
                        complain("writable and executable", va, entry);
        }
        return tables;
}

static uint64_t check_space(struct space *space)
{
        uint64_t tables;

        spin_lock(&space->lock);
        tables = check_table(space, table_at(space->root), 0, space->own ? TASK_VA_START : 0);
        if (tables != space->tables.n)
                complain("table pages miscounted", tables, space->tables.n);
        if (space->own && table_at(space->root)[LEVEL_INDEX(KERNEL_SLOT_VA, 0)] != kernel_l0_entry)
                complain("the kernel's slot was changed", space->object.id, 0);
        spin_unlock(&space->lock);
        return 2 + tables;
}

static void check_task(struct task *task)
{
        uint64_t pages = 2; /* the task, its regions */

        for (unsigned p = 0; p < CAP_PAGES; p++) {
                if (!task->caps[p])
                        continue;
                pages++;
                for (unsigned i = 0; i < CAPS_PER_PAGE; i++) {
                        struct cap *cap = &task->caps[p][i];
                        if (cap->type != CAP_NONE && cap->type != CAP_CONTROL &&
                            cap->object->type != cap->type)
                                complain("a capability of the wrong type", task->object.id,
                                         p * CAPS_PER_PAGE + i);
                }
        }
        for (struct object *o = task->owned; o; o = o->next_owned) {
                if (o->owner != task)
                        complain("an object in the wrong list", task->object.id, o->id);
                switch (o->type) {
                case CAP_TASK:
                        pages += CONTAINER(o, struct task, object)->quota;
                        break;
                case CAP_SPACE:
                        pages += check_space(CONTAINER(o, struct space, object));
                        break;
                case CAP_THREAD: {
                        struct thread *t = CONTAINER(o, struct thread, object);
                        if (t->caller && t->caller->partner != t)
                                complain("a caller that waits for somebody else", t->object.id,
                                         t->caller->object.id);
                        if (t->state == STATE_calling && t->partner && t->partner->caller != t)
                                complain("a server that forgot its caller", t->object.id,
                                         t->partner->object.id);
                        pages++;
                        break;
                }
                default:
                        pages++;
                }
        }
        if (pages != task->used)
                complain("quota sum wrong: counted, charged", pages, task->used);
        if (task->used > task->quota)
                complain("over quota", task->used, task->quota);
        for (unsigned i = 0; i < task->regions.n; i++) {
                struct region *r = &task->regions.r[i];
                if (r->start >= r->end || (r->start & 0xfff) || (r->end & 0xfff))
                        complain("a malformed region", r->start, r->end);
                if (r->start < boot.pool.end && r->end > boot.pool.start)
                        complain("a region in the kernel's pool", r->start, r->end);
        }
}

uint64_t kernel_check(bool say)
{
        broken = 0;
        verbose = say;
        for (unsigned i = 0; i < MAX_TASKS; i++)
                if (tasks[i])
                        check_task(tasks[i]);
        return broken;
}
