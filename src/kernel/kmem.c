// SPDX-License-Identifier: MIT
/*
 * kmem.c -- the kernel's fixed share of memory, in pages, each charged to a task.
 *
 * The root task's quota is the whole pool, and a task's quota is taken out of its parent's.
 * So the quotas of all tasks never add up to more than the pool: an allocation within quota
 * always finds a page, and one beyond it fails without touching anybody else's.
 */
#include "kernel.h"

#include "string.h"

static struct range pool;
static struct spinlock pool_lock;
static void *free_list;   /* each free page starts with a pointer to the next */
static paddr_t untouched; /* pages from here to pool.end were never used */
static uint64_t n_free;

/* The neighbours of a page in the list that it is in; numbers are those of pages, plus one. */
struct link { uint32_t next, prev; };
static struct link *links; /* behind the pool, since a page is all its owner's */

void kmem_init(struct range range)
{
        uint64_t bytes = (range.end - range.start) / PAGE_SIZE * sizeof(struct link);

        pool = range;
        pool.end -= (bytes + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
        links = phys_to_virt(pool.end);
        free_list = NULL;
        untouched = pool.start;
        n_free = kmem_pages();
}

bool quota_take(struct task *task, uint64_t pages)
{
        uint64_t used = READ_ONCE(task->used);

        do {
                if (pages > task->quota - used)
                        return false;
        } while (!__atomic_compare_exchange_n(&task->used, &used, used + pages, true,
                                              __ATOMIC_RELAXED, __ATOMIC_RELAXED));
        return true;
}

void quota_return(struct task *task, uint64_t pages)
{
        __atomic_fetch_sub(&task->used, pages, __ATOMIC_RELAXED);
}

void *kmem_alloc(struct task *task)
{
        void *page = NULL;

        if (!quota_take(task, 1))
                return NULL;
        spin_lock(&pool_lock);
        if (free_list) {
                page = free_list;
                free_list = *(void **)page;
        } else if (untouched < pool.end) {
                page = phys_to_virt(untouched);
                untouched += PAGE_SIZE;
        }
        if (page)
                n_free--;
        spin_unlock(&pool_lock);
        if (!page)
                panic("pool empty although within quota");
        cpu_page_zero(page);
        return page;
}

void kmem_free(struct task *task, void *page)
{
        spin_lock(&pool_lock);
        *(void **)page = free_list;
        free_list = page;
        n_free++;
        spin_unlock(&pool_lock);
        quota_return(task, 1);
}

static uint32_t number_of(const void *page)
{
        return (virt_to_phys(page) - pool.start) / PAGE_SIZE + 1;
}

void *kmem_table(struct task *task, struct table_list *list)
{
        void *table = kmem_alloc(task);

        if (table) {
                uint32_t me = number_of(table);
                links[me - 1] = (struct link){list->first, 0};
                if (list->first)
                        links[list->first - 1].prev = me;
                list->first = me;
                list->n++;
        }
        return table;
}

void kmem_table_free(struct task *task, struct table_list *list, void *table)
{
        struct link l = links[number_of(table) - 1];

        if (l.next)
                links[l.next - 1].prev = l.prev;
        if (l.prev)
                links[l.prev - 1].next = l.next;
        else
                list->first = l.next;
        list->n--;
        kmem_free(task, table);
}

void kmem_tables_free(struct task *task, struct table_list *list)
{
        uint32_t at = list->first;

        if (!at)
                return;
        spin_lock(&pool_lock);
        for (; at; at = links[at - 1].next) {
                void **page = phys_to_virt(pool.start + (at - 1) * PAGE_SIZE);
                *page = free_list;
                free_list = page;
        }
        n_free += list->n;
        spin_unlock(&pool_lock);
        quota_return(task, list->n);
        list->first = list->n = 0;
}

uint64_t kmem_pages(void)
{
        return (pool.end - pool.start) >> PAGE_SHIFT;
}

uint64_t kmem_free_pages(void)
{
        return READ_ONCE(n_free);
}

bool kmem_owns(paddr_t pa)
{
        return pa >= pool.start && pa < pool.end;
}
