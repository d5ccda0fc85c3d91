// SPDX-License-Identifier: MIT
/*
 * The kernel's string functions under other names, against plain loops: every length up to
 * some words, every alignment, and not a byte beside.
 */
#include "unit.h"

#define memcpy  kernel_memcpy
#define memmove kernel_memmove
#define memset  kernel_memset
#define memcmp  kernel_memcmp
#define memchr  kernel_memchr
#define strlen  kernel_strlen
#define strnlen kernel_strnlen
#define strcmp  kernel_strcmp
#define strncmp kernel_strncmp
#define strchr  kernel_strchr
#define strrchr kernel_strrchr
#include "../../src/kernel/string.c"

#define ROOM 160
#include "bytes.h"

TEST(memcpy_copies_every_length_at_every_alignment)
{
        for (unsigned d = 0; d < 9; d++)
                for (unsigned s = 0; s < 9; s++)
                        for (unsigned n = 0; n < 100; n++) {
                                scramble(from);
                                scramble(to);
                                for (unsigned i = 0; i < ROOM; i++)
                                        want[i] = i >= d && i < d + n ? from[i - d + s] : to[i];
                                assert_ptr_equal(memcpy(to + d, from + s, n), to + d);
                                expect(to);
                        }
}

TEST(memmove_copies_over_itself_in_both_directions)
{
        for (unsigned d = 0; d < 40; d++)
                for (unsigned s = 0; s < 40; s++)
                        for (unsigned n = 0; n < 70; n += 1 + n / 20) {
                                scramble(to);
                                for (unsigned i = 0; i < ROOM; i++)
                                        want[i] = i >= d && i < d + n ? to[i - d + s] : to[i];
                                assert_ptr_equal(memmove(to + d, to + s, n), to + d);
                                expect(to);
                        }
}

TEST(memset_fills_every_length_at_every_alignment)
{
        for (unsigned d = 0; d < 9; d++)
                for (unsigned n = 0; n < 120; n++)
                        for (int byte = -1; byte < 300; byte += 99) {
                                scramble(to);
                                for (unsigned i = 0; i < ROOM; i++)
                                        want[i] = i >= d && i < d + n ? (unsigned char)byte : to[i];
                                assert_ptr_equal(memset(to + d, byte, n), to + d);
                                expect(to);
                        }
}

TEST(memcmp_finds_the_first_byte_that_differs)
{
        for (unsigned n = 1; n < 40; n++)
                for (unsigned at = 0; at < n; at++) {
                        scramble(from);
                        for (unsigned i = 0; i < ROOM; i++)
                                to[i] = i < at ? from[i] : (unsigned char)~from[i];
                        int sign = from[at] < to[at] ? -1 : 1;
                        assert_true(memcmp(from, to, n) * sign > 0);
                        assert_int_equal(memcmp(from, to, at), 0);
                }
}

TEST(memcmp_compares_bytes_as_unsigned)
{
        assert_true(memcmp("\x80", "\x7f", 1) > 0);
}

TEST(memchr_finds_the_first_of_several)
{
        static const char text[] = "abcabc";

        assert_ptr_equal(memchr(text, 'b', 6), text + 1);
        assert_ptr_equal(memchr(text, 0x100 + 'c', 6), text + 2); /* the low byte counts */
        assert_null(memchr(text, 'd', 6));
        assert_null(memchr(text, 'c', 2));
        assert_null(memchr(text, 'a', 0));
}

TEST(strlen_stops_at_the_end_and_strnlen_at_its_limit_too)
{
        for (unsigned n = 0; n < 100; n++) {
                char text[101];
                memset(text, 'x', sizeof(text));
                text[n] = 0;
                assert_int_equal(strlen(text), n);
                for (unsigned max = 0; max <= n + 1; max++)
                        assert_int_equal(strnlen(text, max), max < n ? max : n);
        }
}

TEST(strcmp_orders_by_unsigned_bytes)
{
        static const char *const in_order[] = {"", "a", "aa", "ab", "abc", "abd", "b", "\x80"};

        for (int i = 0; i < (int)LENGTH(in_order); i++)
                for (int k = 0; k < (int)LENGTH(in_order); k++) {
                        int got = strcmp(in_order[i], in_order[k]);
                        assert_int_equal(got > 0, i > k);
                        assert_int_equal(got < 0, i < k);
                }
}

TEST(strncmp_looks_at_no_more_than_its_limit)
{
        assert_int_equal(strncmp("abc", "abd", 2), 0);
        assert_true(strncmp("abc", "abd", 3) < 0);
        assert_int_equal(strncmp("abc", "abc", 100), 0);
        assert_int_equal(strncmp("x", "y", 0), 0);
}

TEST(strchr_finds_the_first_and_strrchr_the_last)
{
        static const char text[] = "path/to/file";

        assert_ptr_equal(strchr(text, '/'), text + 4);
        assert_ptr_equal(strrchr(text, '/'), text + 7);
        assert_null(strchr(text, 'x'));
        assert_null(strrchr(text, 'x'));
        assert_ptr_equal(strchr(text, 0), text + 12);
        assert_ptr_equal(strrchr(text, 0), text + 12);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(memcpy_copies_every_length_at_every_alignment),
                cmocka_unit_test(memmove_copies_over_itself_in_both_directions),
                cmocka_unit_test(memset_fills_every_length_at_every_alignment),
                cmocka_unit_test(memcmp_finds_the_first_byte_that_differs),
                cmocka_unit_test(memcmp_compares_bytes_as_unsigned),
                cmocka_unit_test(memchr_finds_the_first_of_several),
                cmocka_unit_test(strlen_stops_at_the_end_and_strnlen_at_its_limit_too),
                cmocka_unit_test(strcmp_orders_by_unsigned_bytes),
                cmocka_unit_test(strncmp_looks_at_no_more_than_its_limit),
                cmocka_unit_test(strchr_finds_the_first_and_strrchr_the_last),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
