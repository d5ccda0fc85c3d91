// SPDX-License-Identifier: MIT
/*
 * asid.c -- address space identifiers, in pairs: the even one for server mode (and native
 * tasks), the odd one for user mode. Pair 0 is never given out: it is what runs with empty
 * tables.
 *
 * When they run out, a new generation starts: every space that is not on a core right now
 * loses its pair (its ttbr1 becomes 0, which the fast path takes as "ask first"), and the
 * TLBs are emptied once.
 */
#include "mmu.h"
#include "string.h"

#define MAX_PAIRS 32768

static uint64_t used[MAX_PAIRS / 64];
static uint32_t generation = 1, next_pair = 1, pairs;
static struct spinlock asid_lock;
static uint32_t active[MAX_CPUS];

void asid_init(void)
{
        pairs = 1u << (asid_bits - 1);
        used[0] = 1;
}

static void take(struct space *space, uint32_t pair)
{
        used[pair / 64] |= 1ul << (pair % 64);
        space->asid = pair * 2;
        space->asid_generation = generation;
        cpu_table_barrier(); /* who changes an entry that is walked from now on, sees the ASID */
        WRITE_ONCE(space->ttbr1, (space->own ? space->root : kernel_l0_pa) |
                                         (uint64_t)space->asid << 48);
}

static bool try_take(struct space *space)
{
        for (uint32_t n = 0; n < pairs; n++) {
                uint32_t pair = next_pair + n < pairs ? next_pair + n : next_pair + n - pairs;
                if (used[pair / 64] == UINT64_MAX) {
                        n += 63 - pair % 64; /* a full word */
                        continue;
                }
                if (!(used[pair / 64] & 1ul << (pair % 64))) {
                        next_pair = pair + 1 < pairs ? pair + 1 : 1;
                        take(space, pair);
                        return true;
                }
        }
        return false;
}

static void note_active(void *argument)
{
        (void)argument;
        active[this_cpu()->id] = mmu_asid() / 2;
}

/* Big lock held. */
static void rollover(void)
{
        for (struct space *s = all_spaces; s; s = s->next)
                WRITE_ONCE(s->ttbr1, 0);
        /* From here on nobody switches to a pair of old without asking. */
        cross_call_others(note_active, NULL);
        note_active(NULL);
        spin_lock(&asid_lock);
        generation++;
        memset(used, 0, sizeof(used));
        used[0] = 1;
        for (struct space *s = all_spaces; s; s = s->next)
                for (unsigned i = 0; i < MAX_CPUS; i++)
                        if (cpus[i].online && active[i] && s->asid / 2 == active[i] &&
                            s->asid_generation == generation - 1) {
                                take(s, active[i]);
                                break;
                        }
        /*
         * Before anybody is given a pair that was another's. It ends with a DSB, so it is done
         * on all cores when the lock is free; whoever takes a pair holds the lock later, and who
         * only reads a space's ttbr1 reads what was written later. Neither needs one more.
         */
        tlb_flush_all();
        spin_unlock(&asid_lock);
}

/* Big lock held. */
static bool is_alive(const struct space *space)
{
        const struct space *s = all_spaces;

        while (s && s != space)
                s = s->next;
        return s;
}

void asid_ensure(struct space *space)
{
        bool done;

        spin_lock(&asid_lock);
        done = READ_ONCE(space->ttbr1) != 0 || try_take(space);
        spin_unlock(&asid_lock);
        if (done)
                return;
        big_lock(); /* then look again: another core may have been here first, or ended it */
        while (is_alive(space) && !space->ttbr1) {
                spin_lock(&asid_lock);
                done = try_take(space);
                spin_unlock(&asid_lock);
                if (!done)
                        rollover();
        }
        big_unlock();
}

void asid_free(struct space *space)
{
        if (!space->asid)
                return;
        spin_lock(&asid_lock);
        if (space->asid_generation == generation) {
                tlb_flush_asids(space->asid); /* before somebody else gets the pair */
                used[space->asid / 128] &= ~(1ul << (space->asid / 2 % 64));
        }
        space->asid = 0;
        spin_unlock(&asid_lock);
}
