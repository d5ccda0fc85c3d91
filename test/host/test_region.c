// SPDX-License-Identifier: MIT
// uses: src/kernel/region.c
/*
 * Region sets against a bitmap: a set owns, for each kind of region (rights, granter, depth),
 * some of 64 pages. What the set says after any history must be what the bitmaps say.
 */
#include "region.h"
#include "unit.h"

#include <ouzel/abi.h>
#include <pthread.h>

#define PAGE 4096ul
#define PAGES 64
#define ROOM 512

static struct region space_a[ROOM], space_b[ROOM];
static struct region_set a, b;

static int setup(void **)
{
        a = (struct region_set){space_a, 0, ROOM, 0, 0};
        b = (struct region_set){space_b, 0, ROOM, 0, 0};
        return 0;
}

static struct region kind(unsigned n)
{
        static const uint32_t rights[] = {ACCESS_READ, ACCESS_READ | ACCESS_WRITE, ACCESS_ALL,
                                          ACCESS_READ | ACCESS_WRITE | REGION_DEVICE};
        return (struct region){0, 0, rights[n & 3], n >> 2 & 1, (uint16_t)(n >> 3 & 3)};
}
#define KINDS 32

static struct region pages(struct region r, uint64_t start, uint64_t end)
{
        r.start = start * PAGE;
        r.end = end * PAGE;
        return r;
}

static bool same_kind(const struct region *x, const struct region *y)
{
        return x->rights == y->rights && x->from == y->from && x->depth == y->depth;
}

static uint64_t span(uint64_t start, uint64_t end)
{
        return (end - start >= 64 ? ~0ul : (1ul << (end - start)) - 1) << start;
}

/* What the set owns of a kind, as a bitmap. */
static uint64_t owned(const struct region_set *set, unsigned n)
{
        struct region k = kind(n);
        uint64_t map = 0;

        for (uint32_t i = 0; i < set->n; i++)
                if (same_kind(&set->r[i], &k))
                        map |= span(set->r[i].start / PAGE, set->r[i].end / PAGE);
        return map;
}

static void random_span(uint64_t *start, uint64_t *end)
{
        *start = dice(PAGES - 1);
        *end = *start + 1 + dice(dice(2) ? 4 : PAGES - *start - 1);
        if (*end > PAGES - 1)
                *end = PAGES - 1;
}

static void fill(struct region_set *set, uint64_t *map, unsigned times)
{
        uint64_t start, end;

        while (times--) {
                unsigned n = (unsigned)dice(KINDS);
                random_span(&start, &end);
                assert_true(region_add(set, pages(kind(n), start, end)));
                map[n] |= span(start, end);
        }
}

static void expect_same(const struct region_set *set, const uint64_t *map)
{
        for (unsigned n = 0; n < KINDS; n++)
                assert_int_equal(owned(set, n), map[n]);
}

/* ---- against the bitmap -------------------------------------------------------------------- */

TEST(adding_at_random_owns_what_was_added)
{
        for (unsigned round = 0; round < 500; round++) {
                uint64_t map[KINDS] = {0};
                setup(NULL);
                fill(&a, map, 100);
                expect_same(&a, map);
        }
}

TEST(cutting_at_random_leaves_the_rest)
{
        for (unsigned round = 0; round < 2000; round++) {
                uint64_t map[KINDS] = {0}, start, end;
                setup(NULL);
                fill(&a, map, 20);
                while (a.n) {
                        uint32_t i = (uint32_t)dice(a.n);
                        unsigned n = 0;
                        for (struct region k = kind(0); !same_kind(&k, &a.r[i]); k = kind(++n))
                                assert_true(n < KINDS);
                        uint64_t before = span(a.r[i].start / PAGE, a.r[i].end / PAGE);
                        random_span(&start, &end);
                        region_cut(&a, i, start * PAGE, end * PAGE);
                        map[n] &= ~(before & span(start, end));
                        expect_same(&a, map);
                        if (!dice(8))
                                break;
                }
        }
}

TEST(revoking_at_random_takes_what_the_granter_gave_and_no_more)
{
        for (unsigned round = 0; round < 2000; round++) {
                uint64_t map[KINDS] = {0}, start, end;
                setup(NULL);
                fill(&a, map, 30);
                uint16_t from = (uint16_t)dice(2);
                random_span(&start, &end);
                bool changed = false;
                for (unsigned n = 0; n < KINDS; n++) {
                        if (kind(n).from != from)
                                continue;
                        changed |= (map[n] & span(start, end)) != 0;
                        map[n] &= ~span(start, end);
                }
                assert_int_equal(region_revoke(&a, from, start * PAGE, end * PAGE), changed);
                expect_same(&a, map);
        }
}

TEST(trimming_at_random_keeps_what_the_granter_supports)
{
        for (unsigned round = 0; round < 2000; round++) {
                uint64_t map[KINDS] = {0}, granter[KINDS] = {0};
                setup(NULL);
                fill(&a, map, 30);
                fill(&b, granter, (unsigned)dice(40));
                uint16_t from = (uint16_t)dice(2);
                bool changed = false;
                for (unsigned n = 0; n < KINDS; n++) {
                        struct region r = kind(n);
                        uint64_t support = 0;
                        for (unsigned k = 0; k < KINDS; k++) {
                                struct region g = kind(k);
                                bool device = g.rights & REGION_DEVICE;
                                if (g.depth < r.depth && (g.rights | r.rights) == g.rights &&
                                    device == !!(r.rights & REGION_DEVICE))
                                        support |= granter[k];
                        }
                        if (r.from != from)
                                continue;
                        changed |= (map[n] & ~support) != 0;
                        map[n] &= support;
                }
                assert_int_equal(region_trim(&a, from, &b), changed);
                expect_same(&a, map);
                assert_false(region_trim(&a, from, &b)); /* nothing is left to trim */
        }
}

TEST(finding_at_random_finds_a_region_that_holds_it_all)
{
        for (unsigned round = 0; round < 5000; round++) {
                uint64_t map[KINDS] = {0}, start, end;
                setup(NULL);
                fill(&a, map, 20);
                random_span(&start, &end);
                uint32_t rights = kind((unsigned)dice(4)).rights;
                a.hint = (uint32_t)dice(40);
                bool there = false;
                for (uint32_t i = 0; i < a.n; i++)
                        there |= a.r[i].start <= start * PAGE && end * PAGE <= a.r[i].end &&
                                 (a.r[i].rights & rights) == rights &&
                                 (a.r[i].rights & REGION_DEVICE) == (rights & REGION_DEVICE);
                const struct region *r = region_find(&a, start * PAGE, end * PAGE, rights);
                assert_int_equal(r != NULL, there);
                if (r)
                        assert_true(r->start <= start * PAGE && r->end >= end * PAGE &&
                                    (r->rights & rights) == rights);
        }
}

/* Pages of one kind that touch are one region: else what is owned could not be mapped. */
TEST(what_touches_becomes_one_region_in_whatever_order_it_comes)
{
        for (unsigned round = 0; round < 2000; round++) {
                uint64_t map[KINDS] = {0};
                setup(NULL);
                fill(&a, map, 60);
                for (uint32_t i = 0; i < a.n; i++)
                        for (uint32_t k = 0; k < i; k++)
                                assert_false(same_kind(&a.r[i], &a.r[k]) &&
                                             a.r[i].start <= a.r[k].end &&
                                             a.r[k].start <= a.r[i].end);
        }
}

TEST(a_full_set_loses_at_most_what_it_should_keep_and_never_gains)
{
        for (unsigned round = 0; round < 2000; round++) {
                uint64_t map[KINDS] = {0}, start, end;
                setup(NULL);
                a.max = 6;
                for (unsigned step = 0; step < 60; step++) {
                        unsigned n = (unsigned)dice(KINDS);
                        random_span(&start, &end);
                        if (dice(3)) {
                                if (region_add(&a, pages(kind(n), start, end)))
                                        map[n] |= span(start, end);
                        } else {
                                uint16_t from = (uint16_t)dice(2);
                                region_revoke(&a, from, start * PAGE, end * PAGE);
                                for (unsigned k = 0; k < KINDS; k++)
                                        if (kind(k).from == from)
                                                map[k] &= ~span(start, end);
                        }
                        assert_true(a.n <= a.max);
                        for (unsigned k = 0; k < KINDS; k++) {
                                assert_int_equal(owned(&a, k) & ~map[k], 0);
                                map[k] = owned(&a, k);
                        }
                }
        }
}

/* ---- single cases --------------------------------------------------------------------------- */

TEST(nothing_is_found_in_an_empty_set)
{
        assert_null(region_find(&a, 0, PAGE, 0));
}

TEST(an_empty_range_is_never_found)
{
        region_add(&a, (struct region){0, ~0ul, ACCESS_ALL, 0, 0});
        assert_null(region_find(&a, PAGE, PAGE, ACCESS_READ));
        assert_null(region_find(&a, 2 * PAGE, PAGE, ACCESS_READ));
}

TEST(the_third_piece_joins_its_two_neighbours)
{
        struct region k = kind(0);

        assert_true(region_add(&a, pages(k, 0, 1)));
        assert_true(region_add(&a, pages(k, 2, 3)));
        assert_true(region_add(&a, pages(k, 1, 2)));
        assert_int_equal(a.n, 1);
        assert_non_null(region_find(&a, 0, 3 * PAGE, ACCESS_READ));
}

TEST(regions_of_different_rights_stay_apart)
{
        assert_true(region_add(&a, pages(kind(0), 0, 1)));
        assert_true(region_add(&a, pages(kind(1), 1, 2)));
        assert_int_equal(a.n, 2);
        assert_null(region_find(&a, 0, 2 * PAGE, ACCESS_READ));
}

TEST(regions_of_different_granters_stay_apart)
{
        assert_true(region_add(&a, pages(kind(0), 0, 1)));
        assert_true(region_add(&a, pages(kind(4), 1, 2)));
        assert_int_equal(a.n, 2);
}

TEST(a_full_set_takes_no_more_but_still_merges)
{
        a.max = 1;
        assert_true(region_add(&a, pages(kind(0), 0, 1)));
        assert_false(region_add(&a, pages(kind(0), 5, 6)));
        assert_true(region_add(&a, pages(kind(0), 1, 2)));
        assert_int_equal(a.n, 1);
        assert_int_equal(a.r[0].end, 2 * PAGE);
}

TEST(a_cut_in_the_middle_of_a_full_set_loses_the_upper_part)
{
        a.max = 1;
        assert_true(region_add(&a, pages(kind(0), 0, 10)));
        region_cut(&a, 0, 4 * PAGE, 5 * PAGE);
        assert_int_equal(a.n, 1);
        assert_int_equal(owned(&a, 0), span(0, 4));
}

TEST(a_cut_beside_a_region_changes_nothing)
{
        region_add(&a, pages(kind(0), 4, 8));
        region_cut(&a, 0, 0, 4 * PAGE);
        region_cut(&a, 0, 8 * PAGE, 9 * PAGE);
        assert_int_equal(owned(&a, 0), span(4, 8));
}

TEST(a_cut_of_all_removes_the_region)
{
        region_add(&a, pages(kind(0), 4, 8));
        region_cut(&a, 0, 0, ~0ul);
        assert_int_equal(a.n, 0);
}

TEST(two_tasks_cannot_keep_a_revoked_range_alive_between_them)
{
        /* Each says that the other granted it: depth decides, one of them has no support. */
        region_add(&a, (struct region){0, PAGE, ACCESS_READ, 2, 2});
        region_add(&b, (struct region){0, PAGE, ACCESS_READ, 1, 3});
        bool changed;
        do {
                changed = region_trim(&a, 2, &b);
                changed |= region_trim(&b, 1, &a);
        } while (changed);
        assert_int_equal(a.n, 0);
        assert_int_equal(b.n, 0);
}

TEST(support_may_come_from_several_regions_of_the_granter)
{
        region_add(&b, pages(kind(0), 0, 2));
        region_add(&b, pages(kind(1), 2, 4));
        region_add(&a, (struct region){0, 4 * PAGE, ACCESS_READ, 7, 1});
        assert_false(region_trim(&a, 7, &b));
        assert_int_equal(a.n, 1);
}

TEST(trimming_leaves_alone_what_another_granted)
{
        region_add(&a, (struct region){0, 4 * PAGE, ACCESS_READ, 7, 1});
        assert_false(region_trim(&a, 8, &b));
        assert_int_equal(a.n, 1);
}

/*
 * Another core maps while the set is changed. Two owned pages with a foreign one between them
 * take turns in one slot: whoever read the start of one and the end of the other would own
 * what lies between.
 */
static uint64_t between_found;
static bool over;

static void *search_between(void *)
{
        while (!__atomic_load_n(&over, __ATOMIC_RELAXED))
                for (unsigned i = 0; i < 1000; i++)
                        between_found += region_find(&a, PAGE, 2 * PAGE, ACCESS_READ) != NULL;
        return NULL;
}

TEST(a_search_never_sees_half_of_a_change)
{
        pthread_t reader;

        over = false;
        between_found = 0;
        assert_int_equal(pthread_create(&reader, NULL, search_between, NULL), 0);
        for (unsigned i = 0; i < 5000000; i++) {
                region_add(&a, pages(kind(0), 0, 1));
                region_add(&a, pages(kind(0), 2, 3));
                region_cut(&a, 0, 0, PAGE); /* the other one moves to its place */
                region_cut(&a, 0, 2 * PAGE, 3 * PAGE);
        }
        __atomic_store_n(&over, true, __ATOMIC_RELAXED);
        pthread_join(reader, NULL);
        assert_int_equal(between_found, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(adding_at_random_owns_what_was_added, setup),
                cmocka_unit_test_setup(cutting_at_random_leaves_the_rest, setup),
                cmocka_unit_test_setup(revoking_at_random_takes_what_the_granter_gave_and_no_more,
                                       setup),
                cmocka_unit_test_setup(trimming_at_random_keeps_what_the_granter_supports, setup),
                cmocka_unit_test_setup(finding_at_random_finds_a_region_that_holds_it_all, setup),
                cmocka_unit_test_setup(what_touches_becomes_one_region_in_whatever_order_it_comes,
                                       setup),
                cmocka_unit_test_setup(a_full_set_loses_at_most_what_it_should_keep_and_never_gains,
                                       setup),
                cmocka_unit_test_setup(nothing_is_found_in_an_empty_set, setup),
                cmocka_unit_test_setup(an_empty_range_is_never_found, setup),
                cmocka_unit_test_setup(the_third_piece_joins_its_two_neighbours, setup),
                cmocka_unit_test_setup(regions_of_different_rights_stay_apart, setup),
                cmocka_unit_test_setup(regions_of_different_granters_stay_apart, setup),
                cmocka_unit_test_setup(a_full_set_takes_no_more_but_still_merges, setup),
                cmocka_unit_test_setup(a_cut_in_the_middle_of_a_full_set_loses_the_upper_part,
                                       setup),
                cmocka_unit_test_setup(a_cut_beside_a_region_changes_nothing, setup),
                cmocka_unit_test_setup(a_cut_of_all_removes_the_region, setup),
                cmocka_unit_test_setup(two_tasks_cannot_keep_a_revoked_range_alive_between_them,
                                       setup),
                cmocka_unit_test_setup(support_may_come_from_several_regions_of_the_granter, setup),
                cmocka_unit_test_setup(trimming_leaves_alone_what_another_granted, setup),
                cmocka_unit_test_setup(a_search_never_sees_half_of_a_change, setup),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
