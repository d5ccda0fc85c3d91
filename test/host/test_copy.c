// SPDX-License-Identifier: MIT
/*
 * What programs copy and fill memory with (lib/string.c), under other names, against plain
 * loops: every length up to some pieces, several alignments, and not a byte beside.
 */
#include "unit.h"

#define memcpy  lib_memcpy
#define memmove lib_memmove
#define memset  lib_memset
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
#include "../../lib/string.c"

#define LONGEST (3 * PIECE + 20)
#define ROOM    (LONGEST + 200)
#include "bytes.h"

TEST(memcpy_copies_every_length_at_every_alignment)
{
        for (unsigned n = 0; n < LONGEST; n++)
                for (unsigned d = 0; d < 9; d += 1 + n % 3)
                        for (unsigned s = 0; s < 9; s += 1 + n % 4) {
                                scramble(from);
                                scramble(to);
                                for (unsigned i = 0; i < ROOM; i++)
                                        want[i] = i >= d && i < d + n ? from[i - d + s] : to[i];
                                assert_ptr_equal(memcpy(to + d, from + s, n), to + d);
                                expect(to);
                        }
}

/* By less than a word, by less than a piece, by more; up and down; and not at all. */
TEST(memmove_copies_over_itself_in_both_directions)
{
        static const unsigned places[] = {0, 1, 7, 8, 9, 100, 127, 128, 129, 150};

        for (unsigned n = 0; n < LONGEST; n++)
                for (unsigned d = 0; d < LENGTH(places); d++)
                        for (unsigned s = n % 3; s < LENGTH(places); s += 3) {
                                unsigned at = places[d], of = places[s];
                                scramble(to);
                                for (unsigned i = 0; i < ROOM; i++)
                                        want[i] = i >= at && i < at + n ? to[i - at + of] : to[i];
                                assert_ptr_equal(memmove(to + at, to + of, n), to + at);
                                expect(to);
                        }
}

TEST(memset_fills_every_length_at_every_alignment)
{
        for (unsigned n = 0; n < LONGEST; n++)
                for (unsigned d = 0; d < 9; d++) {
                        int byte = (int)dice(400) - 100;
                        scramble(to);
                        for (unsigned i = 0; i < ROOM; i++)
                                want[i] = i >= d && i < d + n ? (unsigned char)byte : to[i];
                        assert_ptr_equal(memset(to + d, byte, n), to + d);
                        expect(to);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(memcpy_copies_every_length_at_every_alignment),
                cmocka_unit_test(memmove_copies_over_itself_in_both_directions),
                cmocka_unit_test(memset_fills_every_length_at_every_alignment),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
