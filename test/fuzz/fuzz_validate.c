// SPDX-License-Identifier: MIT
// uses: src/kernel/validate.c src/kernel/region.c
/*
 * The validator against the rules (test/host/rules.h). Input: a count of regions, the regions,
 * and one mapping; shifts make it likely that some of them meet.
 */
#include "fuzz.h"

#include "rules.h"

#include <string.h>

static const uint8_t *at, *end;

static uint64_t take(unsigned bytes)
{
        uint64_t v = 0;
        size_t n = (size_t)(end - at) < bytes ? (size_t)(end - at) : bytes;

        memcpy(&v, at, n);
        at += n;
        return v;
}

/* Any number; mostly one of few bits at a round place. */
static uint64_t address(void)
{
        uint64_t kind = take(1);

        if (kind >= 0xf0)
                return take(8);
        return (take(2) << (kind & 63)) + (kind & 64 ? TASK_VA_START : 0) - (kind >> 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const uint64_t pages[] = {K4, M2, G1, 0, K4 * 2, K4, K4, K4};
        struct region r[8];
        struct region_set set = {.r = r, .max = 8};
        struct mapping m;

        at = data;
        end = data + size;
        for (uint64_t n = take(1) % 9; n; n--) {
                uint64_t start = address() & ~(K4 - 1);
                r[set.n++] = (struct region){start, start + take(2) * K4, (uint32_t)take(1) & 31,
                                             (uint16_t)take(1), 0};
        }
        set.hint = (uint32_t)take(1);
        m.va = address();
        m.pa = address();
        m.size = address();
        m.page = pages[take(1) & 7];
        m.flags = (uint32_t)take(1);
        m.own = take(1) & 1;
        enum ouzel_error error = validate(&set, &m);
        unsigned broken = rules_broken(&set, &m);
        MUST(error == E_OK ? !broken : broken & BROKEN(error));
        MUST(validate(&set, &m) == error); /* the remembered region changes nothing */
        return 0;
}
