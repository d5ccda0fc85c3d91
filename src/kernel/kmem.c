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

void kmem_init(struct range range)
{
        pool = range;
        free_list = NULL;
        untouched = range.start;
        n_free = (range.end - range.start) >> PAGE_SHIFT;
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
        memset(page, 0, PAGE_SIZE);
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
