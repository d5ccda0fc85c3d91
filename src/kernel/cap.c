// SPDX-License-Identifier: MIT
/*
 * cap.c -- capability tables: what a task may name.
 *
 * A table is a directory of pages that are made when a slot in them is first filled. A copy
 * remembers where it was copied from; cap_revoke finds copies by scanning, as revoking is
 * rare and using is not.
 */
#include "sys.h"

static uint32_t next_serial = 1;

enum ouzel_error cap_reserve(struct task *task, uint64_t slot, struct cap **out)
{
        if (slot == SLOT_NONE || slot >= SLOT_COUNT)
                return E_RANGE;
        if (!task->caps[slot >> CAPS_SHIFT]) {
                void *page = page_anyhow(task);
                if (!page)
                        return E_QUOTA;
                /* Zeroed before anyone on another core can see it. */
                __atomic_store_n(&task->caps[slot >> CAPS_SHIFT], page, __ATOMIC_RELEASE);
        }
        *out = cap_slot(task, slot);
        if ((*out)->type != CAP_NONE)
                return E_BUSY;
        /* A lookup on another core may have seen the type that was there: it must not get
         * the object, badge or rights that come now. */
        if ((*out)->cleared == quiesces)
                quiesce();
        return E_OK;
}

void cap_install(struct cap *cap, struct object *object, unsigned type, unsigned rights,
                 uint64_t badge)
{
        cap->object = object;
        cap->badge = badge;
        cap->serial = next_serial;
        next_serial += 2; /* odd: never 0, whenever it comes round */
        cap->parent_serial = 0;
        object->caps++;
        /* This makes it valid: last, for lookups on other cores. */
        __atomic_store_n(&cap->kind, type | rights << 8, __ATOMIC_RELEASE);
}

static void cap_clear(struct cap *cap)
{
        cap->object->caps--;
        WRITE_ONCE(cap->kind, CAP_NONE);
        cap->serial = 0;
        cap->cleared = quiesces;
}

enum ouzel_error cap_derive(struct task *to, uint64_t to_slot, struct task *from,
                            uint64_t from_slot, unsigned rights, uint64_t badge)
{
        struct cap *source = cap_slot(from, from_slot), *cap;
        enum ouzel_error error;

        if (!source || source->type == CAP_NONE)
                return E_CAP;
        if ((rights & ~source->rights) || (to != from && !(source->rights & RIGHT_GRANT)))
                return E_RIGHTS;
        /* A badge says who sends: whoever has one can't choose another. */
        if (badge && (source->badge || (source->type != CAP_ENDPOINT &&
                                        source->type != CAP_NOTIFICATION)))
                return E_RIGHTS;
        error = cap_reserve(to, to_slot, &cap);
        if (error)
                return error;
        cap_install(cap, source->object, source->type, rights, badge ? badge : source->badge);
        cap->parent_serial = source->serial;
        cap->parent_task = from->object.id;
        cap->parent_slot = from_slot;
        source->copied = 1;
        return E_OK;
}

/*
 * In the receiver's own context, before it runs: no lock is held there, so the big one may
 * be taken. If the sender's capability went away meanwhile, nothing arrives.
 */
void cap_take(struct thread *t)
{
        uint64_t slot = t->regs.x[11];
        struct task *from;
        struct cap *source;

        big_lock();
        from = tasks[t->take_task];
        source = from ? cap_slot(from, t->take_slot) : NULL;
        if (source && source->serial == t->take_serial && source->type != CAP_NONE &&
            cap_derive(t->task, slot, from, t->take_slot, source->rights, 0) == E_OK)
                t->regs.x[1] |= TAG_CAP;
        t->take_serial = 0;
        thread_slow(t, 0, SLOW_TAKES);
        big_unlock();
}

/* Call f on every capability of every task. */
#define FOR_EACH_CAP(task_, cap_)                                                          \
        for (unsigned t_ = 0; t_ < MAX_TASKS; t_++)                                        \
                if (((task_) = tasks[t_]))                                                 \
                        for (unsigned p_ = 0; p_ < CAP_PAGES; p_++)                        \
                                if ((task_)->caps[p_])                                     \
                                        for ((cap_) = (task_)->caps[p_];                   \
                                             (cap_) < (task_)->caps[p_] + CAPS_PER_PAGE;   \
                                             (cap_)++)

void cap_remove_object(struct object *object)
{
        struct task *task;
        struct cap *cap;

        if (!object->caps)
                return;
        FOR_EACH_CAP(task, cap)
                if (cap->type != CAP_NONE && cap->object == object)
                        cap_clear(cap);
}

/* Before a capability goes alone: its copies become copies of what it was copied from, so
 * that revoking that one still finds them. */
static void cap_adopt(const struct cap *gone)
{
        struct task *task;
        struct cap *cap;

        FOR_EACH_CAP(task, cap) {
                if (cap->type != CAP_NONE && cap->parent_serial == gone->serial) {
                        cap->parent_serial = gone->parent_serial;
                        cap->parent_task = gone->parent_task;
                        cap->parent_slot = gone->parent_slot;
                }
        }
}

/* What it was copied from, if that is still there. */
static struct cap *parent_of(const struct cap *cap)
{
        struct task *task = cap->parent_serial ? tasks[cap->parent_task] : NULL;
        struct cap *parent = task ? cap_slot(task, cap->parent_slot) : NULL;

        return parent && parent->serial == cap->parent_serial ? parent : NULL;
}

/*
 * Delete all copies of cap, and their copies. What is known of a capability is noted in it, so
 * each is climbed over twice at most, however long the chains of copies are.
 */
static void cap_revoke(struct cap *origin)
{
        enum { UNKNOWN, GOES, STAYS };
        struct cap *cap, *at;
        struct task *task;

        origin->revoked = GOES;
        FOR_EACH_CAP(task, cap) {
                if (cap->type == CAP_NONE)
                        continue;
                for (at = cap; at && at->revoked == UNKNOWN; at = parent_of(at))
                        at->revoked = STAYS;
                if (at && at->revoked == GOES)
                        for (at = cap; at->revoked == STAYS; at = parent_of(at))
                                at->revoked = GOES;
        }
        origin->revoked = STAYS;
        FOR_EACH_CAP(task, cap) {
                if (cap->type != CAP_NONE && cap->revoked == GOES)
                        cap_clear(cap);
                else
                        cap->revoked = UNKNOWN;
        }
}

void object_init(struct object *object, unsigned type, struct task *owner)
{
        static uint16_t ids[CAP_CONTROL + 1];

        object->type = type;
        object->id = ++ids[type];
        object->caps = 0;
        object->owner = owner;
        object->prev_owned = NULL;
        object->next_owned = owner->owned;
        if (owner->owned)
                owner->owned->prev_owned = object;
        owner->owned = object;
}

void object_unlink(struct object *object)
{
        if (object->prev_owned)
                object->prev_owned->next_owned = object->next_owned;
        else
                object->owner->owned = object->next_owned;
        if (object->next_owned)
                object->next_owned->prev_owned = object->prev_owned;
}

/* ---- system calls ---------------------------------------------------------------------- */

struct result SYS1(cap_probe, slot)
{
        struct cap *cap = cap_slot(current()->task, slot);

        if (!cap || cap->type == CAP_NONE)
                return ERROR(E_CAP);
        return RESULT(E_OK, cap->type | (uint64_t)cap->rights << 8);
}

struct result SYS5(cap_copy, to_task, to_slot, from_slot, rights, badge)
{
        struct task *self = current()->task;
        enum ouzel_error error;
        struct cap *to;

        if (rights > RIGHT_ALL)
                return ERROR(E_INVALID);
        big_lock();
        to = cap_find(self, to_task, CAP_TASK, RIGHT_MANAGE, &error);
        if (to)
                error = cap_derive(CONTAINER(to->object, struct task, object), to_slot, self,
                                   from_slot, rights, badge);
        big_unlock();
        return ERROR(error);
}

struct result SYS1(cap_delete, slot)
{
        struct task *self = current()->task;
        struct cap *cap;

        big_lock();
        cap = cap_slot(self, slot);
        if (!cap || cap->type == CAP_NONE || slot == SLOT_TASK || slot == SLOT_SPACE) {
                big_unlock();
                return ERROR(E_CAP);
        }
        struct object *object = cap->object;
        /* The owner deletes the original: the object goes, and every copy with it. */
        bool whole = object && cap->parent_serial == 0 && object->owner == self &&
                     cap->type != CAP_CONTROL;
        if (whole && cap->type == CAP_TASK) {
                big_unlock();
                return ERROR(E_BUSY); /* task_destroy ends a task */
        }
        if (whole && cap->type == CAP_THREAD &&
            CONTAINER(object, struct thread, object) == current()) {
                big_unlock();
                return ERROR(E_BUSY);
        }
        if (!whole && cap->copied)
                cap_adopt(cap);
        cap_clear(cap);
        if (whole)
                object_destroy(object);
        big_unlock();
        return ERROR(E_OK);
}

struct result SYS1(cap_revoke, slot)
{
        struct cap *cap;

        big_lock();
        cap = cap_slot(current()->task, slot);
        if (!cap || cap->type == CAP_NONE) {
                big_unlock();
                return ERROR(E_CAP);
        }
        cap_revoke(cap);
        quiesce(); /* on return nobody uses what was just taken away */
        big_unlock();
        return ERROR(E_OK);
}
