// SPDX-License-Identifier: MIT
// uses: servers/pager/memory.c
/* The pager's free memory against a bitmap of 64 pages. */
#include "memory.h"
#include "unit.h"

#define PAGE 4096ul
#define PAGES 64

static struct memory m;

static int setup(void **)
{
        m = (struct memory){0};
        return 0;
}

static uint64_t span(uint64_t start, uint64_t end)
{
        return start >= end ? 0 : (end - start >= 64 ? ~0ul : (1ul << (end - start)) - 1) << start;
}

static void expect(uint64_t map)
{
        uint64_t got = 0;

        for (unsigned i = 0; i < m.n; i++) {
                assert_true(m.range[i].start < m.range[i].end);
                assert_true(!i || m.range[i - 1].end < m.range[i].start); /* sorted, apart */
                got |= span(m.range[i].start / PAGE, m.range[i].end / PAGE);
        }
        assert_int_equal(got, map);
        assert_int_equal(m.free, (uint64_t)__builtin_popcountl(map) * PAGE);
}

TEST(adding_and_removing_at_random_keeps_the_right_pages)
{
        for (unsigned round = 0; round < 500; round++) {
                uint64_t map = 0;
                setup(NULL);
                for (unsigned step = 0; step < 100; step++) {
                        uint64_t start = dice(PAGES), end = start + dice(dice(2) ? 5 : PAGES);
                        if (end > PAGES)
                                end = PAGES;
                        if (dice(2)) {
                                assert_true(memory_add(&m, start * PAGE, end * PAGE));
                                map |= span(start, end);
                        } else {
                                assert_true(memory_remove(&m, start * PAGE, end * PAGE));
                                map &= ~span(start, end);
                        }
                        expect(map);
                }
        }
}

TEST(taking_at_random_finds_the_lowest_fit)
{
        for (unsigned round = 0; round < 3000; round++) {
                uint64_t map = 0;
                setup(NULL);
                for (unsigned i = 0; i < 8; i++) {
                        uint64_t start = dice(PAGES), end = start + dice(16);
                        end = end > PAGES ? PAGES : end;
                        memory_add(&m, start * PAGE, end * PAGE);
                        map |= span(start, end);
                }
                uint64_t size = 1 + dice(8), align = 1ul << dice(4), best = 0;
                for (uint64_t at = align; !best && at + size <= PAGES; at += align)
                        if ((map & span(at, at + size)) == span(at, at + size))
                                best = at;
                assert_int_equal(memory_take(&m, size * PAGE, align * PAGE), best * PAGE);
                expect(best ? map & ~span(best, best + size) : map);
        }
}

TEST(the_largest_piece_can_be_taken_and_a_larger_one_cannot)
{
        for (unsigned round = 0; round < 3000; round++) {
                setup(NULL);
                for (unsigned i = 0; i < 8; i++) {
                        uint64_t start = 1 + dice(PAGES);
                        memory_add(&m, start * PAGE, (start + dice(16)) * PAGE);
                }
                uint64_t align = PAGE << dice(4), largest = memory_largest(&m, align);
                assert_int_equal(largest % align, 0);
                struct memory copy = m;
                assert_int_equal(memory_take(&copy, largest + align, align), 0);
                if (largest)
                        assert_true(memory_take(&m, largest, align) != 0);
        }
}

TEST(what_was_taken_and_given_back_is_free_as_before)
{
        memory_add(&m, 16 * PAGE, 64 * PAGE);
        uint64_t at[8];
        for (unsigned i = 0; i < 8; i++)
                at[i] = memory_take(&m, (1 + i) * PAGE, PAGE);
        for (unsigned i = 0; i < 8; i++)
                assert_true(memory_add(&m, at[i ^ 5], at[i ^ 5] + (1 + (i ^ 5)) * PAGE));
        assert_int_equal(m.n, 1);
        assert_int_equal(m.free, 48 * PAGE);
}

/* Memory begins at 0 on a Raspberry Pi; an answer of 0 means that there is none. */
TEST(page_zero_is_never_the_answer)
{
        memory_add(&m, 0, 3 * PAGE);
        assert_int_equal(memory_largest(&m, PAGE), 2 * PAGE);
        assert_int_equal(memory_take(&m, PAGE, PAGE), PAGE);
        assert_int_equal(memory_take(&m, PAGE, PAGE), 2 * PAGE);
        assert_int_equal(memory_take(&m, PAGE, PAGE), 0);
        assert_int_equal(m.free, PAGE);
}

TEST(nothing_fits_into_nothing)
{
        assert_int_equal(memory_take(&m, PAGE, PAGE), 0);
        assert_int_equal(memory_largest(&m, PAGE), 0);
}

TEST(nothing_of_no_size_is_taken)
{
        memory_add(&m, PAGE, 8 * PAGE);
        assert_int_equal(memory_take(&m, 0, PAGE), 0);
        assert_int_equal(m.free, 7 * PAGE);
}

TEST(what_can_not_be_aligned_is_not_taken)
{
        memory_add(&m, PAGE, 4 * PAGE);
        assert_int_equal(memory_take(&m, PAGE, 4 * PAGE), 0);
        assert_int_equal(memory_largest(&m, 4 * PAGE), 0);
}

TEST(an_empty_range_adds_and_removes_nothing)
{
        assert_true(memory_add(&m, 5 * PAGE, 5 * PAGE));
        assert_int_equal(m.n, 0);
        memory_add(&m, PAGE, 4 * PAGE);
        assert_true(memory_remove(&m, 2 * PAGE, 2 * PAGE));
        assert_int_equal(m.n, 1);
        assert_int_equal(m.free, 3 * PAGE);
}

TEST(too_many_pieces_are_refused_and_lose_nothing)
{
        for (unsigned i = 0; i < MEMORY_RANGES; i++)
                assert_true(memory_add(&m, (1 + 2 * i) * PAGE, (2 + 2 * i) * PAGE));
        uint64_t before = m.free;
        assert_false(memory_add(&m, 5 * MEMORY_RANGES * PAGE, (5 * MEMORY_RANGES + 1) * PAGE));
        assert_int_equal(m.free, before);
        assert_true(memory_add(&m, 2 * PAGE, 3 * PAGE)); /* closes a gap */
        assert_int_equal(m.n, MEMORY_RANGES - 1);
}

TEST(a_split_without_room_is_refused_and_removes_nothing)
{
        memory_add(&m, PAGE, 4 * PAGE);
        for (unsigned i = 1; i < MEMORY_RANGES; i++)
                assert_true(memory_add(&m, (3 + 2 * i) * PAGE, (4 + 2 * i) * PAGE));
        uint64_t before = m.free;
        assert_false(memory_remove(&m, 2 * PAGE, 3 * PAGE));
        assert_int_equal(m.free, before);
        assert_int_equal(memory_take(&m, PAGE, PAGE), PAGE); /* at an edge it needs no room */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(adding_and_removing_at_random_keeps_the_right_pages, setup),
                cmocka_unit_test_setup(taking_at_random_finds_the_lowest_fit, setup),
                cmocka_unit_test_setup(the_largest_piece_can_be_taken_and_a_larger_one_cannot, setup),
                cmocka_unit_test_setup(what_was_taken_and_given_back_is_free_as_before, setup),
                cmocka_unit_test_setup(page_zero_is_never_the_answer, setup),
                cmocka_unit_test_setup(nothing_fits_into_nothing, setup),
                cmocka_unit_test_setup(nothing_of_no_size_is_taken, setup),
                cmocka_unit_test_setup(what_can_not_be_aligned_is_not_taken, setup),
                cmocka_unit_test_setup(an_empty_range_adds_and_removes_nothing, setup),
                cmocka_unit_test_setup(too_many_pieces_are_refused_and_lose_nothing, setup),
                cmocka_unit_test_setup(a_split_without_room_is_refused_and_removes_nothing, setup),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
