// SPDX-License-Identifier: MIT
#include "memory.h"

static void count(struct memory *m)
{
        m->free = 0;
        for (unsigned i = 0; i < m->n; i++)
                m->free += m->range[i].end - m->range[i].start;
}

static void erase(struct memory *m, unsigned i)
{
        m->n--;
        for (; i < m->n; i++)
                m->range[i] = m->range[i + 1];
}

bool memory_add(struct memory *m, uint64_t start, uint64_t end)
{
        unsigned i = 0;

        if (start >= end)
                return true;
        while (i < m->n && m->range[i].end < start)
                i++;
        if (i < m->n && m->range[i].start <= end) { /* touches: grow, and swallow what follows */
                if (start < m->range[i].start)
                        m->range[i].start = start;
                if (end > m->range[i].end)
                        m->range[i].end = end;
                while (i + 1 < m->n && m->range[i + 1].start <= m->range[i].end) {
                        if (m->range[i + 1].end > m->range[i].end)
                                m->range[i].end = m->range[i + 1].end;
                        erase(m, i + 1);
                }
        } else {
                if (m->n == MEMORY_RANGES)
                        return false;
                for (unsigned k = m->n++; k > i; k--)
                        m->range[k] = m->range[k - 1];
                m->range[i].start = start;
                m->range[i].end = end;
        }
        count(m);
        return true;
}

bool memory_remove(struct memory *m, uint64_t start, uint64_t end)
{
        for (unsigned i = 0; i < m->n && start < end;) {
                uint64_t s = m->range[i].start, e = m->range[i].end;
                if (end <= s || start >= e) {
                        i++;
                } else if (start <= s && end >= e) {
                        erase(m, i);
                } else if (start <= s) {
                        m->range[i++].start = end;
                } else if (end >= e) {
                        m->range[i++].end = start;
                } else {
                        if (m->n == MEMORY_RANGES)
                                return false;
                        m->range[i].end = start;
                        count(m);
                        return memory_add(m, end, e);
                }
        }
        count(m);
        return true;
}

uint64_t memory_take(struct memory *m, uint64_t size, uint64_t align)
{
        for (unsigned i = 0; i < m->n && size; i++) {
                uint64_t start = m->range[i].start ? m->range[i].start : 1; /* 0 is no answer */
                uint64_t at = (start + align - 1) & ~(align - 1);
                if (at >= start && at <= m->range[i].end &&
                    m->range[i].end - at >= size)
                        return memory_remove(m, at, at + size) ? at : 0;
        }
        return 0;
}

uint64_t memory_largest(const struct memory *m, uint64_t align)
{
        uint64_t best = 0;

        for (unsigned i = 0; i < m->n; i++) {
                uint64_t start = m->range[i].start ? m->range[i].start : 1; /* as memory_take */
                uint64_t at = (start + align - 1) & ~(align - 1);
                uint64_t end = m->range[i].end & ~(align - 1);
                if (at < end && end - at > best)
                        best = end - at;
        }
        return best;
}
