// SPDX-License-Identifier: MIT
// uses: kernel
/*
 * Address space identifiers: no two spaces that may run have the same, whatever generation it
 * is, and none is used again before the TLBs forgot it.
 */
#include "machine.h"

#include <stdlib.h>

#define PAIRS (1u << (asid_bits - 1)) /* the first of them is nobody's */

static struct space *spaces[40000];
static unsigned n_spaces;

/* Spaces of no task, as asid.c needs them: it looks at the list of all, and at their roots. */
static struct space *new_space(void)
{
        struct space *space = calloc(1, sizeof(*space));

        space->own = true;
        space->root = MACHINE_RAM + PAGE_SIZE * (100 + n_spaces);
        space->next = all_spaces;
        if (all_spaces)
                all_spaces->prev = space;
        all_spaces = space;
        assert_true(n_spaces < LENGTH(spaces));
        spaces[n_spaces++] = space;
        return space;
}

static void drop_space(unsigned i)
{
        struct space *space = spaces[i];

        asid_free(space);
        if (space->prev)
                space->prev->next = space->next;
        else
                all_spaces = space->next;
        if (space->next)
                space->next->prev = space->prev;
        free(space);
        spaces[i] = spaces[--n_spaces];
}

static int teardown(void **)
{
        while (n_spaces)
                drop_space(0);
        return 0;
}

static int setup_bits(unsigned bits)
{
        machine_start(4);
        all_spaces = NULL;
        asid_bits = bits;
        asid_init();
        return 0;
}
static int setup(void **) { return setup_bits(8); }
static int setup_16(void **) { return setup_bits(16); }

static uint32_t pair_of(const struct space *space)
{
        return (uint32_t)(space->ttbr1 >> 49);
}

/* A space runs on a core: as schedule() does it. */
static void run_on(struct space *space, unsigned core)
{
        machine_cpu = &cpus[core];
        if (!space->ttbr1)
                asid_ensure(space);
        mmu_switch(empty_l0_pa, space->ttbr1);
}

static void expect_apart(void)
{
        static uint8_t seen[32768];

        memset(seen, 0, PAIRS);
        for (unsigned i = 0; i < n_spaces; i++) {
                const struct space *space = spaces[i];
                if (!space->ttbr1)
                        continue;
                uint32_t pair = pair_of(space);
                assert_true(pair > 0 && pair < PAIRS);
                assert_false(seen[pair]++);
                assert_int_equal(space->asid, pair * 2); /* server mode: the even one */
                assert_int_equal(space->ttbr1 & 0xffffffffffff, space->root);
        }
}

TEST(a_space_gets_a_pair_and_keeps_it)
{
        struct space *space = new_space();

        asid_ensure(space);
        uint64_t ttbr1 = space->ttbr1;
        assert_true(ttbr1 != 0);
        asid_ensure(space);
        assert_int_equal(space->ttbr1, ttbr1);
        expect_apart();
}

TEST(a_process_space_has_the_empty_upper_half)
{
        struct space *space = new_space();

        space->own = false;
        asid_ensure(space);
        assert_int_equal(space->ttbr1 & 0xffffffffffff, kernel_l0_pa);
}

TEST(as_many_spaces_as_there_are_pairs_need_no_flush)
{
        unsigned before = machine_flushes;

        for (unsigned i = 0; i < PAIRS; i++) /* from wherever the last test left off */
                asid_ensure(new_space());
        assert_true(machine_flushes <= before + 1);
        expect_apart();
}

TEST(when_pairs_run_out_all_are_flushed_once_and_taken_back)
{
        while (machine_flushes == 0) {
                asid_ensure(new_space());
                assert_true(n_spaces <= PAIRS);
        }
        assert_int_equal(machine_flushes, 1);
        unsigned have = 0;
        for (unsigned i = 0; i < n_spaces; i++)
                have += spaces[i]->ttbr1 != 0;
        assert_int_equal(have, 1); /* the one that asked: no other was on a core */
        expect_apart();
}

TEST(a_space_that_is_on_a_core_keeps_its_pair_over_a_rollover)
{
        uint64_t ttbr1[4];

        for (unsigned i = 0; i < 4; i++) {
                run_on(new_space(), i);
                ttbr1[i] = spaces[i]->ttbr1;
        }
        unsigned before = machine_flushes;
        machine_cpu = &cpus[0];
        while (machine_flushes == before)
                asid_ensure(new_space());
        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(spaces[i]->ttbr1, ttbr1[i]);
        expect_apart();
}

TEST(a_space_on_two_cores_keeps_one_pair)
{
        struct space *space = new_space();

        run_on(space, 1);
        run_on(space, 2);
        uint64_t ttbr1 = space->ttbr1;
        unsigned before = machine_flushes;
        machine_cpu = &cpus[0];
        while (machine_flushes == before)
                asid_ensure(new_space());
        assert_int_equal(space->ttbr1, ttbr1);
        expect_apart();
}

TEST(the_odd_one_of_a_pair_on_a_core_counts_as_the_pair)
{
        struct space *space = new_space();

        run_on(space, 1);
        mmu_switch(empty_l0_pa, space->ttbr1 | 1ul << 48); /* user mode */
        uint64_t ttbr1 = space->ttbr1;
        unsigned before = machine_flushes;
        machine_cpu = &cpus[0];
        while (machine_flushes == before)
                asid_ensure(new_space());
        assert_int_equal(space->ttbr1, ttbr1);
}

TEST(a_pair_is_flushed_before_it_is_another_spaces)
{
        struct space *space = new_space();

        asid_ensure(space);
        uint32_t asid = space->asid;
        unsigned before = machine_asid_flushes;
        drop_space(0);
        assert_int_equal(machine_asid_flushes, before + 1);
        assert_int_equal(machine_flushed_asid, asid);
}

TEST(a_pair_of_an_older_generation_is_nobodys_to_give_back)
{
        struct space *old = new_space();

        asid_ensure(old);
        unsigned before = machine_flushes;
        while (machine_flushes == before)
                asid_ensure(new_space());
        /* All pairs are the new generation's: freeing the old one must not free any. */
        unsigned flushes = machine_asid_flushes;
        drop_space(0);
        assert_int_equal(machine_asid_flushes, flushes);
        before = machine_flushes;
        while (machine_flushes == before) {
                asid_ensure(new_space());
                if (machine_flushes == before)
                        expect_apart();
        }
        expect_apart();
}

TEST(a_space_without_a_pair_has_nothing_to_free)
{
        new_space();
        unsigned before = machine_asid_flushes;
        drop_space(0);
        assert_int_equal(machine_asid_flushes, before);
}

static void random_spaces(unsigned most, unsigned steps)
{
        uint8_t on[4] = {0};

        for (unsigned step = 0; step < steps; step++) {
                unsigned i = n_spaces ? (unsigned)dice(n_spaces) : 0;
                if (n_spaces < 8 || (n_spaces < most && dice(2))) {
                        new_space();
                } else if (dice(3) == 0) {
                        bool running = false;
                        for (unsigned c = 0; c < 4; c++)
                                running |= on[c] && machine_ttbr1[c] >> 49 == pair_of(spaces[i]) &&
                                           spaces[i]->ttbr1;
                        if (!running)
                                drop_space(i);
                } else {
                        unsigned core = (unsigned)dice(4);
                        run_on(spaces[i], core);
                        on[core] = 1;
                        /* What runs on another core still has the pair that it runs with. */
                        for (unsigned c = 0; c < 4; c++) {
                                unsigned owners = 0;
                                for (unsigned k = 0; k < n_spaces; k++)
                                        owners += spaces[k]->ttbr1 == machine_ttbr1[c];
                                assert_true(!on[c] || owners == 1);
                        }
                }
                if (step % 8 == 0)
                        expect_apart();
        }
}

TEST(random_spaces_on_four_cores_never_share_a_pair)
{
        random_spaces(300, 30000);
        assert_true(machine_flushes > 10);
}

TEST(sixteen_bits_serve_32767_spaces_and_roll_over_then)
{
        for (unsigned i = 0; i < 32767; i++)
                asid_ensure(new_space());
        assert_true(machine_flushes <= 1);
        expect_apart();
        unsigned before = machine_flushes;
        for (unsigned i = 0; i < 32767; i++) {
                struct space *space = spaces[dice(n_spaces)];
                if (!space->ttbr1)
                        asid_ensure(space);
        }
        asid_ensure(new_space());
        assert_true(machine_flushes <= before + 1);
        expect_apart();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_space_gets_a_pair_and_keeps_it, setup, teardown),
                cmocka_unit_test_setup_teardown(a_process_space_has_the_empty_upper_half,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(as_many_spaces_as_there_are_pairs_need_no_flush,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(when_pairs_run_out_all_are_flushed_once_and_taken_back,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(a_space_that_is_on_a_core_keeps_its_pair_over_a_rollover,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(a_space_on_two_cores_keeps_one_pair,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(the_odd_one_of_a_pair_on_a_core_counts_as_the_pair,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(a_pair_is_flushed_before_it_is_another_spaces,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(a_pair_of_an_older_generation_is_nobodys_to_give_back,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(a_space_without_a_pair_has_nothing_to_free,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(random_spaces_on_four_cores_never_share_a_pair,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(sixteen_bits_serve_32767_spaces_and_roll_over_then,
                                                setup_16, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
