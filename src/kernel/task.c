// SPDX-License-Identifier: MIT
/* task.c -- tasks, what they own, and how all of it ends. */
#include "mmu.h"
#include "string.h"
#include "sys.h"

struct task *tasks[MAX_TASKS];
struct task *root_task;

#define TASK_MIN_QUOTA 5 /* task, regions, space, its root table, one page of capabilities */

static struct object control; /* what control capabilities stand for */

/* Object pages: the struct object may lie anywhere in the page. */
static void object_free(struct object *object)
{
        struct task *owner = object->owner;

        object_unlink(object);
        kmem_free(owner, (void *)((uint64_t)object & ~(PAGE_SIZE - 1)));
}

struct task *task_new(struct task *parent, uint64_t quota, enum ouzel_error *error)
{
        struct task *task;
        unsigned id = 0;

        while (id < MAX_TASKS && tasks[id])
                id++;
        *error = E_LIMIT;
        if (id == MAX_TASKS)
                return NULL;
        *error = E_QUOTA;
        if (quota < TASK_MIN_QUOTA || (parent && !quota_take(parent, quota)))
                return NULL;
        struct task first = {.quota = quota}; /* charged until the task has its own page */
        task = kmem_alloc(&first);
        task->regions.r = kmem_alloc(&first);
        task->regions.max = PAGE_SIZE / sizeof(struct region);
        task->quota = quota;
        task->used = first.used;
        task->parent = parent;
        if (parent) {
                object_init(&task->object, CAP_TASK, parent);
        } else {
                task->object.type = CAP_TASK;
        }
        task->object.id = id;
        task->space = space_new(task, true, error);
        if (!task->space) {
                kmem_free(&first, task->regions.r);
                if (parent) {
                        object_unlink(&task->object);
                        quota_return(parent, quota);
                }
                kmem_free(&first, task);
                return NULL;
        }
        __atomic_store_n(&tasks[id], task, __ATOMIC_RELEASE);
        return task;
}

/* Regions that nobody supports any more go, and then every mapping that rested on them. */
static void regions_settle(void)
{
        bool again;

        do {
                again = false;
                for (unsigned t = 0; t < MAX_TASKS; t++)
                        for (unsigned f = 0; tasks[t] && f < MAX_TASKS; f++)
                                if (tasks[f])
                                        again |= region_trim(&tasks[t]->regions, f,
                                                             &tasks[f]->regions);
        } while (again);
        for (unsigned t = 0; t < MAX_TASKS; t++)
                if (tasks[t])
                        sync_forget(tasks[t]);
        quiesce(); /* nobody is still mapping by the old regions */
        for (unsigned t = 0; t < MAX_TASKS; t++) {
                struct task *task = tasks[t];
                for (struct object *o = task ? task->owned : NULL; o; o = o->next_owned) {
                        if (o->type != CAP_THREAD)
                                continue;
                        /* A buffer that its task lost: the thread can't go on with it. */
                        struct thread *thread = CONTAINER(o, struct thread, object);
                        paddr_t pa = thread->buffer;
                        if (pa && !region_find(&thread->task->regions, pa, pa + PAGE_SIZE,
                                               ACCESS_READ | ACCESS_WRITE)) {
                                thread_halt(thread);
                                thread->buffer = 0;
                                vcpu_end(thread);
                        }
                }
        }
        spaces_revoke();
}

static void task_free(struct task *task)
{
        uint16_t id = task->object.id;
        struct task *parent = task->parent;
        struct object *o;

        task->dying = true;
        /* Threads first, so that nothing of it runs while the rest goes. They may have been
         * made by others: then their makers keep a stopped thread without a task. */
        for (unsigned t = 0; t < MAX_TASKS; t++)
                for (o = tasks[t] ? tasks[t]->owned : NULL; o; o = o->next_owned)
                        if (o->type == CAP_THREAD &&
                            CONTAINER(o, struct thread, object)->task == task)
                                thread_halt(CONTAINER(o, struct thread, object));
        while (task->owned != &task->space->object) /* its first, so the last of the list */
                object_destroy(task->owned);
again:
        for (unsigned t = 0; t < MAX_TASKS; t++) {
                for (o = tasks[t] ? tasks[t]->owned : NULL; o; o = o->next_owned) {
                        if (o->type == CAP_THREAD &&
                            CONTAINER(o, struct thread, object)->task == task) {
                                object_destroy(o);
                                goto again;
                        }
                }
        }
        task->regions.n = 0;
        __atomic_store_n(&tasks[id], NULL, __ATOMIC_RELEASE);
        for (unsigned t = 0; t < MAX_TASKS; t++)
                if (tasks[t]) /* what it granted has lost its support */
                        region_revoke(&tasks[t]->regions, id, 0, UINT64_MAX);
        cap_remove_object(&task->space->object);
        space_unlink(task->space);
        regions_settle(); /* which quiesces */
        for (unsigned p = 0; p < CAP_PAGES; p++) {
                if (!task->caps[p])
                        continue;
                for (struct cap *cap = task->caps[p]; cap < task->caps[p] + CAPS_PER_PAGE; cap++)
                        if (cap->type != CAP_NONE)
                                cap->object->caps--;
                kmem_free(task, task->caps[p]);
        }
        space_free(task->space);
        object_free(&task->space->object);
        kmem_free(task, task->regions.r);
        object_unlink(&task->object);
        uint64_t quota = task->quota;
        kmem_free(parent, task); /* whose used is the task's last page; it is gone from here on */
        quota_return(parent, quota - 1);
}

/* Its child tasks first, the innermost before all: tasks nest deeper than our stack is. */
static void tasks_free(struct task *top)
{
        struct task *task;

        do {
                task = top;
                for (struct object *o = task->owned; o;) {
                        if (o->type == CAP_TASK) {
                                task = CONTAINER(o, struct task, object);
                                o = task->owned;
                        } else {
                                o = o->next_owned;
                        }
                }
                cap_remove_object(&task->object);
                task_free(task);
        } while (task != top);
}

void object_destroy(struct object *object)
{
        cap_remove_object(object);
        switch (object->type) {
        case CAP_TASK:
                tasks_free(CONTAINER(object, struct task, object));
                return;
        case CAP_THREAD:
                thread_halt(CONTAINER(object, struct thread, object));
                vcpu_end(CONTAINER(object, struct thread, object));
                break;
        case CAP_SPACE:
                space_unlink(CONTAINER(object, struct space, object));
                quiesce(); /* nobody is in it, nor takes its tables: space_reclaim */
                space_free(CONTAINER(object, struct space, object));
                break;
        case CAP_ENDPOINT:
                quiesce();
                endpoint_drop(CONTAINER(object, struct endpoint, object));
                break;
        case CAP_NOTIFICATION:
                quiesce();
                notification_drop(CONTAINER(object, struct notification, object));
                break;
        case CAP_IRQ:
                irq_drop(CONTAINER(object, struct irq, object));
                quiesce(); /* no core is forwarding it any more */
                break;
        }
        object_free(object);
}

/* ---- system calls ---------------------------------------------------------------------- */

struct result SYS2(task_create, slot, quota)
{
        struct task *self = current()->task, *task;
        struct cap *cap, *space_cap, *own;
        enum ouzel_error error;

        big_lock();
        error = cap_reserve(self, slot, &cap);
        if (!error)
                error = cap_reserve(self, slot + 1, &space_cap);
        if (!error)
                task = task_new(self, quota, &error);
        if (!error) {
                error = cap_reserve(task, SLOT_TASK, &own);
                if (error) { /* quota too small for a capability table */
                        task_free(task);
                } else {
                        cap_install(own, &task->object, CAP_TASK, RIGHT_MANAGE | RIGHT_GRANT, 0);
                        own->parent_serial = UINT32_MAX; /* not the original */
                        cap_reserve(task, SLOT_SPACE, &own);
                        cap_install(own, &task->space->object, CAP_SPACE, RIGHT_MANAGE, 0);
                        own->parent_serial = UINT32_MAX;
                        cap_install(cap, &task->object, CAP_TASK, RIGHT_ALL, 0);
                        cap_install(space_cap, &task->space->object, CAP_SPACE, RIGHT_ALL, 0);
                        space_cap->parent_serial = UINT32_MAX; /* the task's end is the space's */
                        TRACE(object, SYS_task_create, task->object.id, quota);
                }
        }
        uint64_t id = error ? 0 : task->object.id;
        big_unlock();
        return RESULT(error, id);
}

static bool descends(const struct task *task, const struct task *from)
{
        while (task && task != from)
                task = task->parent;
        return task;
}

void sys_task_destroy(struct thread *self)
{
        enum ouzel_error error = E_OK;
        struct cap *cap;

        big_lock();
        cap = cap_find(self->task, self->regs.x[0], CAP_TASK, RIGHT_MANAGE, &error);
        if (cap) {
                struct task *task = CONTAINER(cap->object, struct task, object);
                if (descends(self->task, task) || descends(self->object.owner, task))
                        error = E_BUSY; /* not oneself, nor what one lives on */
                else
                        object_destroy(cap->object);
        }
        big_unlock();
        self->regs.x[0] = error;
}

struct result SYS1(task_info, slot)
{
        enum ouzel_error error = E_OK;
        struct thread *self = current();
        struct cap *cap = cap_find(self->task, slot, CAP_TASK, 0, &error);

        if (!cap)
                return ERROR(error);
        struct task *task = CONTAINER(cap->object, struct task, object);
        self->regs.x[2] = task->used;
        self->regs.x[3] = task->object.id;
        self->regs.x[4] = task->regions.n;
        self->regs.x[5] = kmem_free_pages();
        return RESULT(E_OK, task->quota);
}

static struct task *task_at(uint64_t slot, unsigned rights, enum ouzel_error *error)
{
        struct cap *cap = cap_find(current()->task, slot, CAP_TASK, rights, error);

        return cap ? CONTAINER(cap->object, struct task, object) : NULL;
}

struct result SYS4(region_grant, slot, pa, size, rights)
{
        struct task *self = current()->task, *to;
        enum ouzel_error error = E_OK;

        if ((pa | size) & (PAGE_SIZE - 1))
                return ERROR(E_ALIGN);
        if (!size || pa + size < pa)
                return ERROR(E_RANGE);
        if ((rights & ~(uint64_t)(ACCESS_ALL | REGION_DEVICE | REGION_WX)) ||
            !(rights & ACCESS_ALL))
                return ERROR(E_INVALID);
        if ((rights & REGION_DEVICE) && (rights & (ACCESS_EXEC | REGION_WX)))
                return ERROR(E_TYPE);
        big_lock();
        to = task_at(slot, RIGHT_MANAGE, &error);
        if (to) {
                const struct region *own = region_find(&self->regions, pa, pa + size, rights);
                if (!own)
                        error = region_find(&self->regions, pa, pa + size,
                                            rights & REGION_DEVICE) ? E_RIGHTS : E_OWNER;
                else if (own->depth == UINT16_MAX ||
                         !region_add(&to->regions,
                                     (struct region){pa, pa + size, rights, self->object.id,
                                                     own->depth + 1}))
                        error = E_LIMIT;
        }
        big_unlock();
        return ERROR(error);
}

struct result SYS3(region_revoke, slot, pa, size)
{
        struct task *self = current()->task, *from;
        enum ouzel_error error = E_OK;

        if ((pa | size) & (PAGE_SIZE - 1))
                return ERROR(E_ALIGN);
        if (!size || pa + size < pa)
                return ERROR(E_RANGE);
        big_lock();
        from = task_at(slot, RIGHT_MANAGE, &error);
        if (from) {
                if (region_revoke(&from->regions, self->object.id, pa, pa + size))
                        regions_settle();
                else
                        error = E_OWNER; /* nothing there came from the caller */
        }
        big_unlock();
        return ERROR(error);
}

struct result SYS2(region_query, slot, index)
{
        enum ouzel_error error = E_OK;
        struct thread *self = current();
        struct task *task;

        big_lock();
        task = task_at(slot, 0, &error);
        if (task && index >= task->regions.n)
                error = E_RANGE;
        struct region r = error ? (struct region){0} : task->regions.r[index];
        big_unlock();
        self->regs.x[2] = r.end - r.start;
        self->regs.x[3] = r.rights;
        return RESULT(error, r.start);
}

/* ---- the root task: the boot archive's `pager` ------------------------------------------ */

static void root_region(uint64_t start, uint64_t end, uint32_t rights)
{
        start = (start + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
        end &= ~(PAGE_SIZE - 1);
        if (start < end && !region_add(&root_task->regions, (struct region){start, end, rights,
                                                                            REGION_ORIGINAL, 0}))
                panic("memory map has too many ranges");
}

/* All RAM but the kernel's own; as devices, everything below 1 TiB that is not RAM. */
static void root_regions(void)
{
        const uint32_t ram = ACCESS_ALL | REGION_WX;
        const uint32_t device = ACCESS_READ | ACCESS_WRITE | REGION_DEVICE;
        paddr_t hole = 0;

        for (unsigned i = 0; i < boot.n_ram; i++) {
                struct range own[2] = {boot.kernel, boot.pool};
                if (own[0].start > own[1].start) {
                        own[0] = boot.pool;
                        own[1] = boot.kernel;
                }
                paddr_t at = boot.ram[i].start;
                for (unsigned k = 0; k < 2; k++) {
                        if (own[k].start < boot.ram[i].start || own[k].start >= boot.ram[i].end)
                                continue;
                        root_region(at, own[k].start, ram);
                        at = (own[k].end + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
                }
                root_region(at, boot.ram[i].end, ram);
        }
        for (unsigned i = 0; i < boot.n_reserved; i++) { /* sorted; RAM and the GIC */
                root_region(hole, boot.reserved[i].start, device);
                hole = boot.reserved[i].end;
        }
        root_region(hole, 1ul << 40, device);
}

/* ELF64, little-endian, AArch64: only what is needed here. [ELF-64 object file format] */
struct elf_header {
        uint8_t ident[16];
        uint16_t type, machine;
        uint32_t version;
        uint64_t entry, phoff, shoff;
        uint32_t flags;
        uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf_segment {
        uint32_t type, flags;
        uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

/* Hexadecimal field of a cpio "newc" header. [cpio(5)] */
static uint32_t hex8(const char *s)
{
        uint32_t v = 0;

        for (unsigned i = 0; i < 8; i++) {
                char c = s[i] | 0x20;
                v = v << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        return v;
}

/* Find a file in the boot archive. */
static const uint8_t *archive_find(const char *name, uint64_t *size)
{
        const char *p = phys_to_virt(boot.archive.start);
        uint64_t left = boot.archive.end - boot.archive.start;

        while (left >= 110 && !memcmp(p, "07070", 5)) {
                uint32_t filesize = hex8(p + 54), namesize = hex8(p + 94);
                uint64_t data = (110ul + namesize + 3) & ~3ul;
                uint64_t next = (data + filesize + 3) & ~3ul;
                if (!namesize || next > left)
                        panic("boot archive is cut off; expected %lu more bytes: make the image "
                              "again", (unsigned long)(next - left));
                if (namesize == strlen(name) + 1 && !memcmp(p + 110, name, namesize)) {
                        uint32_t sum = 0;
                        for (uint64_t i = data; i < data + filesize; i++)
                                sum += (uint8_t)p[i];
                        if (sum != hex8(p + 102))
                                panic("`%s` in the boot archive is corrupt (checksum): make the "
                                      "image again", name);
                        *size = filesize;
                        return (const uint8_t *)p + data;
                }
                p += next;
                left -= next;
        }
        return NULL;
}

/* Fresh RAM for the root task: from the end of the first region, never the archive. */
static paddr_t root_take(uint64_t size, const struct range *avoid, unsigned n)
{
        for (uint32_t i = 0; i < root_task->regions.n; i++) {
                struct region *r = &root_task->regions.r[i];
                if (r->rights & REGION_DEVICE)
                        continue;
                paddr_t at = r->end - size;
                for (unsigned k = 0; k < n;) {
                        if (at < avoid[k].end && at + size > avoid[k].start) {
                                at = (avoid[k].start - size) & ~(PAGE_SIZE - 1);
                                k = 0;
                        } else {
                                k++;
                        }
                }
                if (at >= r->start && at + size <= r->end)
                        return at;
        }
        panic("no %lu KiB of memory for the pager", (unsigned long)(size >> 10));
}

#define ROOT_STACK 0x10000ul

void root_task_start(void)
{
        enum ouzel_error error = E_OK;
        struct cap *cap;
        uint64_t size, done;

        root_task = task_new(NULL, kmem_pages(), &error);
        if (!root_task)
                panic("no root task: error %d", error);
        root_regions();
        cap_reserve(root_task, SLOT_TASK, &cap);
        cap_install(cap, &root_task->object, CAP_TASK, RIGHT_ALL, 0);
        cap_reserve(root_task, SLOT_SPACE, &cap);
        cap_install(cap, &root_task->space->object, CAP_SPACE, RIGHT_ALL, 0);
        cap_reserve(root_task, SLOT_CONTROL, &cap);
        cap_install(cap, &control, CAP_CONTROL, CONTROL_IRQ | CONTROL_DEBUG | CONTROL_SYSTEM |
                    CONTROL_GRANT, 0);

        if (boot.archive.start == boot.archive.end)
                panic("no boot archive behind the kernel: boot the image that `./ouzel` makes");
        const uint8_t *file = archive_find("pager", &size);
        if (!file)
                panic("boot archive has no file `pager`: make the image again");
        const struct elf_header *elf = (const void *)file;
        if (size < sizeof(*elf) || memcmp(elf->ident, "\177ELF\2\1", 6) || elf->machine != 183 ||
            elf->phoff + (uint64_t)elf->phnum * sizeof(struct elf_segment) > size)
                panic("`pager` in the boot archive is not an ELF64 program for AArch64");
        struct range avoid[5] = {boot.fdt, boot.archive, boot.initrd};
        paddr_t low = 0;
        for (unsigned i = 0; i <= elf->phnum; i++) {
                struct elf_segment seg;
                if (i < elf->phnum) {
                        memcpy(&seg, file + elf->phoff + i * sizeof(seg), sizeof(seg));
                        if (seg.type != 1 || !seg.memsz)
                                continue;
                } else { /* the stack, as if it were one more segment */
                        seg = (struct elf_segment){.flags = 6, .memsz = ROOT_STACK,
                                                   .vaddr = NATIVE_LINK_VA - ROOT_STACK};
                }
                uint64_t shift = seg.vaddr & (PAGE_SIZE - 1);
                uint64_t bytes = (shift + seg.memsz + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
                if (seg.offset > size || seg.filesz > size - seg.offset || seg.filesz > seg.memsz)
                        panic("`pager` in the boot archive is cut off");
                avoid[3] = (struct range){low, low ? UINT64_MAX : 0};
                paddr_t pa = root_take(bytes, avoid, 4);
                low = pa;
                uint8_t *to = phys_to_virt(pa);
                memset(to, 0, bytes);
                memcpy(to + shift, file + seg.offset, seg.filesz);
                cache_sync_code(to, bytes); /* it may be code */
                unsigned rights = (seg.flags & 4 ? ACCESS_READ : 0) |
                                  (seg.flags & 2 ? ACCESS_WRITE : 0) |
                                  (seg.flags & 1 ? ACCESS_EXEC : 0);
                error = space_map(root_task->space, seg.vaddr - shift, pa, rights,
                                  bytes >> PAGE_SHIFT, &done);
                if (error)
                        panic("segment %u of `pager` can't be mapped at %lx: error %d", i,
                              (unsigned long)seg.vaddr, error);
        }
        struct thread *t = thread_new(root_task, root_task, NULL, 0, 255, &cpus[0], 0, &error);
        if (!t)
                panic("no thread for the pager: error %d", error);
        t->regs.pc = elf->entry;
        t->regs.sp = NATIVE_LINK_VA;
        thread_ready(t);
}
