// SPDX-License-Identifier: MIT
// uses: src/kernel/validate.c src/kernel/region.c
/*
 * The validator against a model of its own: each rule of docs/design.md by itself, in
 * arithmetic too wide to overflow. What the validator allows must break no rule, what breaks
 * none must be allowed, and the reason that it gives must be true.
 */
#include "rules.h"
#include "unit.h"

#define OWNED 0x40000000ul /* 1 GiB from here is the region of most tests */
#define RWX ACCESS_ALL
#define KNOWN_FLAGS (ACCESS_ALL | MAP_DEVICE | MAP_NONCACHED)

static struct region one_region[8];
static struct region_set set = {one_region, 1, 8, 0, 0};

static void own(uint64_t start, uint64_t end, uint32_t rights)
{
        set = (struct region_set){one_region, 1, 8, 0, 0};
        one_region[0] = (struct region){start, end, rights, REGION_ORIGINAL, 0};
}

static struct mapping page_at(uint64_t va, uint64_t pa, uint32_t flags)
{
        return (struct mapping){va, pa, K4, K4, flags, true};
}

static enum ouzel_error ask(struct mapping m)
{
        return validate(&set, &m);
}

static void check(struct mapping m)
{
        enum ouzel_error error = validate(&set, &m);
        unsigned broken = rules_broken(&set, &m);

        if (error == E_OK ? broken != 0 : !(broken & BROKEN(error)))
                fail_msg("va %lx pa %lx size %lx page %lx flags %x own %d rights %x: error %d, "
                         "broken rules %x", m.va, m.pa, m.size, m.page, m.flags, m.own,
                         one_region[0].rights, error, broken);
}

/* ---- sweeps --------------------------------------------------------------------------------- */

static const uint64_t addresses[] = {
        0, 1, K4, M2, G1, PROCESS_VA_END - G1, PROCESS_VA_END - M2, PROCESS_VA_END - K4,
        PROCESS_VA_END, PROCESS_VA_END + K4, 1ul << 63, TASK_VA_START - G1, TASK_VA_START - K4,
        TASK_VA_START, TASK_VA_START + M2 + 1, KERNEL_SLOT_VA - G1, KERNEL_SLOT_VA - K4,
        KERNEL_SLOT_VA, KERNEL_SLOT_VA + G1, KERNEL_SLOT_END - M2, KERNEL_SLOT_END - K4,
        KERNEL_SLOT_END, KERNEL_SLOT_END + K4, 0ul - G1, 0ul - M2, 0ul - K4, 0ul - 1,
};
static const uint64_t frames[] = {
        0, OWNED - G1, OWNED - K4, OWNED, OWNED + 2048, OWNED + K4, OWNED + M2, OWNED + G1 - M2,
        OWNED + G1 - K4, OWNED + G1, (1ul << 48) - K4, 1ul << 48, 0ul - K4,
};
static const uint64_t sizes[] = {0, 1, K4, 3 * K4, M2, G1, G1 + M2, 1ul << 48, 0ul - K4};
static const uint64_t pages[] = {0, 1, 4095, K4, 2 * K4, 1ul << 16, M2, G1, 1ul << 39};

TEST(every_address_size_and_page_agrees_with_the_rules)
{
        own(OWNED, OWNED + G1, ACCESS_READ | ACCESS_WRITE);
        for (unsigned v = 0; v < LENGTH(addresses); v++)
                for (unsigned p = 0; p < LENGTH(frames); p++)
                        for (unsigned s = 0; s < LENGTH(sizes); s++)
                                for (unsigned g = 0; g < LENGTH(pages); g++)
                                        for (unsigned o = 0; o < 2; o++)
                                                check((struct mapping){addresses[v], frames[p],
                                                        sizes[s], pages[g], ACCESS_READ, o});
}

TEST(every_flag_and_every_right_agrees_with_the_rules)
{
        for (uint32_t rights = 0; rights < 32; rights++)
                for (uint32_t flags = 0; flags < 128; flags++)
                        for (unsigned p = 0; p < LENGTH(frames); p++)
                                for (unsigned o = 0; o < 2; o++) {
                                        own(OWNED, OWNED + G1, rights);
                                        check((struct mapping){o ? TASK_VA_START : 0, frames[p],
                                                K4, K4, flags, o});
                                }
}

TEST(every_pair_of_regions_agrees_with_the_rules)
{
        for (uint32_t a = 0; a < 32; a++)
                for (uint32_t b = 0; b < 32; b++)
                        for (uint32_t flags = 0; flags < 32; flags++) {
                                own(OWNED, OWNED + M2, a);
                                one_region[1] = (struct region){OWNED + K4, OWNED + 2 * M2, b, 1, 1};
                                set.n = 2;
                                struct mapping m = page_at(0, OWNED, flags);
                                m.own = false;
                                check(m);
                                m.pa = OWNED + M2 - K4; /* both regions have it */
                                check(m);
                                m.size = 2 * K4; /* only one of them has all of it */
                                check(m);
                                m.pa = OWNED + 2 * M2 - K4; /* half of it is nobody's */
                                check(m);
                        }
}

TEST(a_million_random_mappings_agree_with_the_rules)
{
        for (unsigned i = 0; i < 1000000; i++) {
                set.n = (uint32_t)dice(5);
                set.hint = (uint32_t)dice(9);
                for (uint32_t k = 0; k < set.n; k++) {
                        uint64_t start = OWNED + dice(16) * K4;
                        one_region[k] = (struct region){start, start + dice(16) * K4,
                                                        (uint32_t)dice(32), 0, 0};
                }
                struct mapping m = {
                        addresses[dice(LENGTH(addresses))] + dice(3) * K4 - K4,
                        OWNED + dice(32) * (dice(8) ? K4 : K4 / 2), dice(8) * K4,
                        dice(4) ? K4 : pages[dice(LENGTH(pages))], (uint32_t)dice(64), dice(2),
                };
                check(m);
        }
}

/* ---- each refusal, by its name ----------------------------------------------------------------- */

TEST(a_page_that_is_owned_with_its_rights_may_be_mapped)
{
        own(OWNED, OWNED + G1, ACCESS_READ);
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED, ACCESS_READ)), E_OK);
}

TEST(all_three_page_sizes_may_be_mapped)
{
        own(OWNED, OWNED + G1, ACCESS_READ);
        for (unsigned i = 0; i < 3; i++) {
                uint64_t page = K4 << 9 * i;
                assert_int_equal(ask((struct mapping){0, OWNED, page, page, ACCESS_READ, false}),
                                 E_OK);
        }
}

TEST(no_other_page_size_exists)
{
        own(OWNED, OWNED + G1, ACCESS_READ);
        for (unsigned bit = 0; bit < 64; bit++) {
                uint64_t page = 1ul << bit;
                if (page != K4 && page != M2 && page != G1)
                        assert_int_equal(ask((struct mapping){0, OWNED, K4, page, ACCESS_READ,
                                                              false}), E_INVALID);
        }
        assert_int_equal(ask((struct mapping){0, OWNED, K4, 0, ACCESS_READ, false}), E_INVALID);
}

TEST(an_address_is_aligned_to_its_page_in_every_bit)
{
        own(OWNED, OWNED + G1, ACCESS_READ);
        for (uint64_t page = K4; page <= G1; page <<= 9)
                for (uint64_t bit = 1; bit < page; bit <<= 1)
                        assert_int_equal(ask((struct mapping){bit, OWNED, page, page, ACCESS_READ,
                                                              false}), E_ALIGN);
}

TEST(a_frame_is_aligned_to_its_page_in_every_bit)
{
        own(OWNED, OWNED + G1, ACCESS_READ);
        for (uint64_t page = K4; page <= G1; page <<= 9)
                for (uint64_t bit = 1; bit < page; bit <<= 1)
                        assert_int_equal(ask((struct mapping){0, OWNED | bit, page, page,
                                                              ACCESS_READ, false}), E_ALIGN);
}

TEST(a_size_is_whole_pages_in_every_bit)
{
        own(OWNED, OWNED + G1, ACCESS_READ);
        for (uint64_t page = K4; page <= G1; page <<= 9)
                for (uint64_t bit = 1; bit < page; bit <<= 1)
                        assert_int_equal(ask((struct mapping){0, OWNED, page | bit, page,
                                                              ACCESS_READ, false}), E_ALIGN);
}

TEST(nothing_of_no_size_is_mapped)
{
        own(OWNED, OWNED + G1, ACCESS_READ);
        assert_int_equal(ask((struct mapping){0, OWNED, 0, K4, ACCESS_READ, false}), E_RANGE);
        assert_int_equal(ask((struct mapping){TASK_VA_START, OWNED, 0, K4, ACCESS_READ, true}),
                         E_RANGE);
}

TEST(a_process_ends_at_48_bits)
{
        assert_true(va_allowed(0, PROCESS_VA_END, false));
        assert_true(va_allowed(PROCESS_VA_END - K4, K4, false));
        assert_false(va_allowed(PROCESS_VA_END - K4, 2 * K4, false));
        assert_false(va_allowed(PROCESS_VA_END, K4, false));
        assert_false(va_allowed(TASK_VA_START, K4, false));
}

TEST(a_task_has_the_high_half)
{
        assert_true(va_allowed(TASK_VA_START, K4, true));
        assert_false(va_allowed(TASK_VA_START - K4, K4, true));
        assert_false(va_allowed(TASK_VA_START - K4, 2 * K4, true));
        assert_false(va_allowed(0, K4, true));
        assert_true(va_allowed(0ul - K4, K4, true));
}

TEST(a_task_never_reaches_into_the_kernels_slot)
{
        assert_true(va_allowed(KERNEL_SLOT_VA - K4, K4, true));
        assert_false(va_allowed(KERNEL_SLOT_VA - K4, 2 * K4, true));
        for (uint64_t va = KERNEL_SLOT_VA; va < KERNEL_SLOT_END; va += G1)
                assert_false(va_allowed(va, K4, true));
        assert_false(va_allowed(KERNEL_SLOT_END - K4, 2 * K4, true));
        assert_true(va_allowed(KERNEL_SLOT_END, K4, true));
}

TEST(a_range_around_the_kernels_slot_is_refused)
{
        assert_false(va_allowed(KERNEL_SLOT_VA - K4, KERNEL_SLOT_END - KERNEL_SLOT_VA + 2 * K4,
                                true));
        assert_false(va_allowed(TASK_VA_START, 0ul - TASK_VA_START, true));
}

TEST(an_address_range_that_wraps_round_is_refused)
{
        assert_false(va_allowed(0ul - K4, 2 * K4, true));
        assert_false(va_allowed(0ul - K4, 2 * K4, false));
        assert_false(va_allowed(K4, 0ul - K4, false));
}

TEST(a_frame_range_that_wraps_round_is_refused)
{
        own(0, ~0ul, ACCESS_READ);
        assert_int_equal(ask((struct mapping){0, 0ul - K4, 2 * K4, K4, ACCESS_READ, false}),
                         E_RANGE);
}

TEST(frames_end_at_48_bits_whatever_is_owned)
{
        own(0, ~0ul, ACCESS_READ);
        assert_int_equal(ask(page_at(TASK_VA_START, (1ul << 48) - K4, ACCESS_READ)), E_OK);
        assert_int_equal(ask(page_at(TASK_VA_START, 1ul << 48, ACCESS_READ)), E_RANGE);
        assert_int_equal(ask((struct mapping){0, (1ul << 48) - K4, 2 * K4, K4, ACCESS_READ, false}),
                         E_RANGE);
}

TEST(a_mapping_that_cannot_be_read_is_none)
{
        own(OWNED, OWNED + G1, RWX);
        for (uint32_t flags = 0; flags < 8; flags += 2)
                assert_int_equal(ask(page_at(TASK_VA_START, OWNED, flags)), E_INVALID);
}

TEST(a_flag_that_does_not_exist_is_refused_in_every_bit)
{
        own(OWNED, OWNED + G1, RWX);
        for (unsigned bit = 0; bit < 32; bit++)
                if (!(KNOWN_FLAGS & 1u << bit))
                        assert_int_equal(ask(page_at(TASK_VA_START, OWNED, ACCESS_READ | 1u << bit)),
                                         E_INVALID);
}

TEST(a_task_maps_nothing_writable_and_executable)
{
        own(OWNED, OWNED + G1, RWX | REGION_WX);
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED, RWX)), E_WX);
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED, ACCESS_READ | ACCESS_WRITE)), E_OK);
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED, ACCESS_READ | ACCESS_EXEC)), E_OK);
}

TEST(a_process_is_writable_and_executable_only_where_the_region_says_so)
{
        struct mapping m = {0, OWNED, K4, K4, RWX, false};

        own(OWNED, OWNED + G1, RWX);
        assert_int_equal(ask(m), E_WX);
        own(OWNED, OWNED + G1, RWX | REGION_WX);
        assert_int_equal(ask(m), E_OK);
}

TEST(device_memory_is_mapped_as_device_memory)
{
        own(OWNED, OWNED + G1, ACCESS_READ | ACCESS_WRITE | REGION_DEVICE);
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED, ACCESS_READ | MAP_DEVICE)), E_OK);
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED, ACCESS_READ)), E_TYPE);
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED, ACCESS_READ | MAP_NONCACHED)), E_TYPE);
}

TEST(normal_memory_is_not_mapped_as_device_memory)
{
        own(OWNED, OWNED + G1, RWX);
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED, ACCESS_READ | MAP_DEVICE)), E_TYPE);
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED, ACCESS_READ | MAP_NONCACHED)), E_OK);
}

TEST(device_memory_is_never_executable)
{
        own(OWNED, OWNED + G1, RWX | REGION_WX | REGION_DEVICE);
        for (unsigned o = 0; o < 2; o++) {
                struct mapping m = page_at(o ? TASK_VA_START : 0, OWNED,
                                           ACCESS_READ | ACCESS_EXEC | MAP_DEVICE);
                m.own = o;
                assert_int_equal(ask(m), E_TYPE);
                m.flags |= ACCESS_WRITE;
                assert_int_equal(ask(m), E_TYPE);
        }
}

TEST(device_memory_is_not_uncached_normal_memory_too)
{
        own(OWNED, OWNED + G1, ACCESS_READ | REGION_DEVICE);
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED,
                                     ACCESS_READ | MAP_DEVICE | MAP_NONCACHED)), E_INVALID);
}

TEST(who_owns_nothing_maps_nothing)
{
        set.n = 0;
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED, ACCESS_READ)), E_OWNER);
}

TEST(a_foreign_frame_is_refused_as_foreign)
{
        own(OWNED, OWNED + G1, RWX);
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED - K4, ACCESS_READ)), E_OWNER);
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED + G1, ACCESS_READ)), E_OWNER);
}

TEST(frames_that_are_owned_in_part_are_refused_as_foreign)
{
        own(OWNED, OWNED + G1, RWX);
        assert_int_equal(ask((struct mapping){0, OWNED - K4, 2 * K4, K4, ACCESS_READ, false}),
                         E_OWNER);
        assert_int_equal(ask((struct mapping){0, OWNED + G1 - K4, 2 * K4, K4, ACCESS_READ, false}),
                         E_OWNER);
}

TEST(an_owned_frame_without_the_right_is_refused_for_the_right)
{
        own(OWNED, OWNED + G1, ACCESS_READ);
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED, ACCESS_READ | ACCESS_WRITE)), E_RIGHTS);
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED, ACCESS_READ | ACCESS_EXEC)), E_RIGHTS);
        own(OWNED, OWNED + G1, ACCESS_WRITE);
        assert_int_equal(ask(page_at(TASK_VA_START, OWNED, ACCESS_READ)), E_RIGHTS);
}

TEST(rights_of_two_regions_do_not_add_up)
{
        own(OWNED, OWNED + M2, ACCESS_READ | ACCESS_WRITE);
        one_region[1] = (struct region){OWNED, OWNED + M2, ACCESS_READ | ACCESS_EXEC, 1, 1};
        set.n = 2;
        assert_int_equal(ask((struct mapping){0, OWNED, K4, K4, RWX, false}), E_RIGHTS);
}

TEST(the_remembered_region_never_changes_an_answer)
{
        static const uint32_t flags[] = {ACCESS_READ, ACCESS_READ | ACCESS_WRITE, RWX,
                                         ACCESS_READ | MAP_DEVICE};
        own(OWNED, OWNED + M2, ACCESS_READ);
        one_region[1] = (struct region){OWNED, OWNED + 2 * M2, RWX, 1, 1};
        one_region[2] = (struct region){OWNED, OWNED + M2, ACCESS_READ | REGION_DEVICE, 1, 1};
        set.n = 3;
        for (unsigned f = 0; f < LENGTH(flags); f++) {
                struct mapping m = {0, OWNED + M2 - K4, K4, K4, flags[f], false};
                set.hint = 0;
                enum ouzel_error first = validate(&set, &m);
                for (uint32_t hint = 0; hint < 6; hint++) {
                        set.hint = hint;
                        assert_int_equal(validate(&set, &m), first);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_address_size_and_page_agrees_with_the_rules),
                cmocka_unit_test(every_flag_and_every_right_agrees_with_the_rules),
                cmocka_unit_test(every_pair_of_regions_agrees_with_the_rules),
                cmocka_unit_test(a_million_random_mappings_agree_with_the_rules),
                cmocka_unit_test(a_page_that_is_owned_with_its_rights_may_be_mapped),
                cmocka_unit_test(all_three_page_sizes_may_be_mapped),
                cmocka_unit_test(no_other_page_size_exists),
                cmocka_unit_test(an_address_is_aligned_to_its_page_in_every_bit),
                cmocka_unit_test(a_frame_is_aligned_to_its_page_in_every_bit),
                cmocka_unit_test(a_size_is_whole_pages_in_every_bit),
                cmocka_unit_test(nothing_of_no_size_is_mapped),
                cmocka_unit_test(a_process_ends_at_48_bits),
                cmocka_unit_test(a_task_has_the_high_half),
                cmocka_unit_test(a_task_never_reaches_into_the_kernels_slot),
                cmocka_unit_test(a_range_around_the_kernels_slot_is_refused),
                cmocka_unit_test(an_address_range_that_wraps_round_is_refused),
                cmocka_unit_test(a_frame_range_that_wraps_round_is_refused),
                cmocka_unit_test(frames_end_at_48_bits_whatever_is_owned),
                cmocka_unit_test(a_mapping_that_cannot_be_read_is_none),
                cmocka_unit_test(a_flag_that_does_not_exist_is_refused_in_every_bit),
                cmocka_unit_test(a_task_maps_nothing_writable_and_executable),
                cmocka_unit_test(a_process_is_writable_and_executable_only_where_the_region_says_so),
                cmocka_unit_test(device_memory_is_mapped_as_device_memory),
                cmocka_unit_test(normal_memory_is_not_mapped_as_device_memory),
                cmocka_unit_test(device_memory_is_never_executable),
                cmocka_unit_test(device_memory_is_not_uncached_normal_memory_too),
                cmocka_unit_test(who_owns_nothing_maps_nothing),
                cmocka_unit_test(a_foreign_frame_is_refused_as_foreign),
                cmocka_unit_test(frames_that_are_owned_in_part_are_refused_as_foreign),
                cmocka_unit_test(an_owned_frame_without_the_right_is_refused_for_the_right),
                cmocka_unit_test(rights_of_two_regions_do_not_add_up),
                cmocka_unit_test(the_remembered_region_never_changes_an_answer),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
