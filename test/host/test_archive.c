// SPDX-License-Identifier: MIT
// uses: servers/pager/archive.c
/* The boot archive's reader: what is whole is read, what is damaged is called so. */
#include "archive.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

static uint8_t built[4096];
static size_t built_size;

static int setup(void **)
{
        built_size = 0;
        return 0;
}

static void put_bytes(const void *data, size_t size)
{
        memcpy(built + built_size, data, size);
        built_size += size;
        while (built_size % 4)
                built[built_size++] = 0;
}

/* A file as cpio(5) says: "newc", with checksum. */
static void put_file(const char *name, const void *data, uint32_t size)
{
        char header[200];
        uint32_t sum = 0;
        int n;

        for (uint32_t i = 0; i < size; i++)
                sum += ((const uint8_t *)data)[i];
        n = snprintf(header, sizeof(header),
                     "070702%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s", 1, 0100644, 0,
                     0, 1, 0, size, 0, 0, 0, 0, (unsigned)strlen(name) + 1, sum, name);
        put_bytes(header, (size_t)n + 1);
        put_bytes(data, size);
}

static void build_three(void)
{
        setup(NULL);
        put_file("manifest", "program a\n", 10);
        put_file("a", "\x7f" "ELF and so on", 14);
        put_file("empty", "", 0);
        put_file("TRAILER!!!", "", 0);
}

/* All of an archive, from memory that ends where it does; how it ended, and how many files. */
static enum archive_status walk(const uint8_t *archive, size_t size, unsigned *files)
{
        uint8_t *exact = malloc(size ? size : 1);
        struct archive_file file;
        enum archive_status status;
        size_t offset = 0;

        memcpy(exact, archive, size);
        *files = 0;
        while ((status = archive_next(exact, size, &offset, &file)) == ARCHIVE_FILE) {
                assert_true(file.data >= exact && file.data + file.size <= exact + size);
                assert_true((const uint8_t *)file.name + strlen(file.name) < file.data);
                archive_sum(file.data, file.size); /* reads every byte of it */
                ++*files;
        }
        free(exact);
        return status;
}

TEST(three_files_are_read_with_names_contents_and_sums)
{
        static const char *const names[] = {"manifest", "a", "empty"};
        static const uint32_t sizes[] = {10, 14, 0};
        struct archive_file file;
        size_t offset = 0;

        build_three();
        for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(archive_next(built, built_size, &offset, &file), ARCHIVE_FILE);
                assert_string_equal(file.name, names[i]);
                assert_int_equal(file.size, sizes[i]);
                assert_int_equal(archive_sum(file.data, file.size), file.sum);
        }
        assert_int_equal(archive_next(built, built_size, &offset, &file), ARCHIVE_END);
}

TEST(a_file_is_found_by_its_whole_name)
{
        struct archive_file file;

        build_three();
        assert_int_equal(archive_find(built, built_size, "a", &file), ARCHIVE_FILE);
        assert_memory_equal(file.data, "\x7f" "ELF", 4);
        assert_int_equal(archive_find(built, built_size, "manifest", &file), ARCHIVE_FILE);
        assert_int_equal(archive_find(built, built_size, "mani", &file), ARCHIVE_END);
        assert_int_equal(archive_find(built, built_size, "manifests", &file), ARCHIVE_END);
        assert_int_equal(archive_find(built, built_size, "", &file), ARCHIVE_END);
}

TEST(of_two_files_of_one_name_the_first_is_found)
{
        struct archive_file file;

        put_file("a", "1", 1);
        put_file("a", "2", 1);
        put_file("TRAILER!!!", "", 0);
        assert_int_equal(archive_find(built, built_size, "a", &file), ARCHIVE_FILE);
        assert_int_equal(file.data[0], '1');
}

TEST(an_archive_that_is_cut_off_anywhere_is_corrupt)
{
        unsigned files;

        build_three();
        for (size_t size = 0; size < built_size; size++)
                assert_int_equal(walk(built, size, &files), ARCHIVE_CORRUPT);
        assert_int_equal(walk(built, built_size, &files), ARCHIVE_END);
        assert_int_equal(files, 3);
}

TEST(what_lies_before_the_damage_is_found)
{
        struct archive_file file;

        build_three();
        size_t offset = 0;
        archive_next(built, built_size, &offset, &file);
        built[offset] ^= 1; /* the second file's magic */
        assert_int_equal(archive_find(built, built_size, "manifest", &file), ARCHIVE_FILE);
        assert_int_equal(archive_find(built, built_size, "a", &file), ARCHIVE_CORRUPT);
}

TEST(the_place_of_the_damage_is_told)
{
        struct archive_file file;
        size_t offset = 0, second;

        build_three();
        archive_next(built, built_size, &offset, &file);
        second = offset;
        built[second] = 'x';
        assert_int_equal(archive_next(built, built_size, &offset, &file), ARCHIVE_CORRUPT);
        assert_int_equal(offset, second);
}

TEST(an_offset_beyond_the_end_is_corrupt)
{
        struct archive_file file;
        size_t offset = 1ul << 60;

        build_three();
        assert_int_equal(archive_next(built, built_size, &offset, &file), ARCHIVE_CORRUPT);
}

TEST(no_magic_but_the_one_with_checksums_is_taken)
{
        static const char *const magics[] = {"070701", "070707", "070703", "\x7f" "ELF..", "      "};
        unsigned files;

        for (unsigned i = 0; i < LENGTH(magics); i++) {
                build_three();
                memcpy(built, magics[i], 6);
                assert_int_equal(walk(built, built_size, &files), ARCHIVE_CORRUPT);
        }
}

TEST(a_size_that_is_no_number_is_corrupt)
{
        static const unsigned fields[] = {54, 94, 102};
        unsigned files;

        for (unsigned f = 0; f < LENGTH(fields); f++)
                for (unsigned byte = 0; byte < 256; byte++) {
                        build_three();
                        built[fields[f]] = (uint8_t)byte;
                        bool hex = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') ||
                                   (byte >= 'A' && byte <= 'F');
                        enum archive_status status = walk(built, built_size, &files);
                        if (!hex)
                                assert_int_equal(status, ARCHIVE_CORRUPT);
                }
}

TEST(capital_digits_are_digits)
{
        struct archive_file file;
        size_t offset = 0;

        put_file("a", "0123456789", 10);
        built[54 + 7] = 'A';
        assert_int_equal(archive_next(built, built_size, &offset, &file), ARCHIVE_FILE);
        assert_int_equal(file.size, 10);
}

TEST(a_file_larger_than_the_archive_is_corrupt)
{
        unsigned files;

        build_three();
        memcpy(built + 54, "ffffffff", 8);
        assert_int_equal(walk(built, built_size, &files), ARCHIVE_CORRUPT);
        memcpy(built + 54, "7fffffff", 8);
        assert_int_equal(walk(built, built_size, &files), ARCHIVE_CORRUPT);
}

TEST(a_name_longer_than_the_archive_is_corrupt)
{
        unsigned files;

        build_three();
        memcpy(built + 94, "ffffffff", 8);
        assert_int_equal(walk(built, built_size, &files), ARCHIVE_CORRUPT);
}

TEST(a_name_of_no_length_or_without_an_end_is_corrupt)
{
        unsigned files;

        build_three();
        memcpy(built + 94, "00000000", 8);
        assert_int_equal(walk(built, built_size, &files), ARCHIVE_CORRUPT);
        build_three();
        memcpy(built + 94, "00000003", 8); /* of "manifest" */
        assert_int_equal(walk(built, built_size, &files), ARCHIVE_CORRUPT);
}

TEST(a_changed_byte_of_a_file_changes_its_sum)
{
        struct archive_file file;

        build_three();
        archive_find(built, built_size, "a", &file);
        for (uint32_t i = 0; i < file.size; i++) {
                uint8_t *byte = (uint8_t *)(uintptr_t)file.data + i;
                *byte ^= 0x10;
                assert_int_not_equal(archive_sum(file.data, file.size), file.sum);
                *byte ^= 0x10;
        }
        assert_int_equal(archive_sum(file.data, file.size), file.sum);
}

TEST(the_sum_is_that_of_all_bytes_at_any_length)
{
        static uint8_t data[15000];
        uint32_t sum = 0;

        for (unsigned i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t)(dice(3) ? 0xff : dice(256));
        for (size_t n = 0; n < sizeof(data); n++) {
                if (n < 5000 || n % 64 < 2 || dice(50) == 0)
                        assert_int_equal(archive_sum(data, n), sum);
                sum += data[n];
        }
}

TEST(the_sum_does_not_overflow_its_lanes)
{
        size_t size = 8ul << 20;
        uint8_t *data = malloc(size);

        memset(data, 0xff, size);
        assert_int_equal(archive_sum(data, size), (uint32_t)(size * 0xff));
        free(data);
}

TEST(an_archive_with_any_byte_changed_is_read_within_its_bounds)
{
        uint8_t copy[sizeof(built)];
        unsigned files;

        build_three();
        for (size_t at = 0; at < built_size; at++)
                for (unsigned byte = 0; byte < 256; byte++) {
                        memcpy(copy, built, built_size);
                        copy[at] = (uint8_t)byte;
                        walk(copy, built_size, &files);
                        assert_true(files <= 4); /* a trailer by another name is a file */
                }
}

TEST(random_headers_are_read_within_their_bounds)
{
        static const char digits[] = "0123456789abcdefABCDEF0000000000000000000g";
        uint8_t bytes[600];
        unsigned files;

        for (unsigned round = 0; round < 100000; round++) {
                size_t size = dice(sizeof(bytes));
                for (size_t i = 0; i < size; i++)
                        bytes[i] = dice(8) ? (uint8_t)digits[dice(sizeof(digits))] : (uint8_t)dice(256);
                for (size_t at = 0; at + 6 <= size; at += 4 * (1 + dice(60)))
                        memcpy(bytes + at, "070702", 6);
                walk(bytes, size, &files);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(three_files_are_read_with_names_contents_and_sums, setup),
                cmocka_unit_test_setup(a_file_is_found_by_its_whole_name, setup),
                cmocka_unit_test_setup(of_two_files_of_one_name_the_first_is_found, setup),
                cmocka_unit_test_setup(an_archive_that_is_cut_off_anywhere_is_corrupt, setup),
                cmocka_unit_test_setup(what_lies_before_the_damage_is_found, setup),
                cmocka_unit_test_setup(the_place_of_the_damage_is_told, setup),
                cmocka_unit_test_setup(an_offset_beyond_the_end_is_corrupt, setup),
                cmocka_unit_test_setup(no_magic_but_the_one_with_checksums_is_taken, setup),
                cmocka_unit_test_setup(a_size_that_is_no_number_is_corrupt, setup),
                cmocka_unit_test_setup(capital_digits_are_digits, setup),
                cmocka_unit_test_setup(a_file_larger_than_the_archive_is_corrupt, setup),
                cmocka_unit_test_setup(a_name_longer_than_the_archive_is_corrupt, setup),
                cmocka_unit_test_setup(a_name_of_no_length_or_without_an_end_is_corrupt, setup),
                cmocka_unit_test_setup(a_changed_byte_of_a_file_changes_its_sum, setup),
                cmocka_unit_test_setup(the_sum_is_that_of_all_bytes_at_any_length, setup),
                cmocka_unit_test_setup(the_sum_does_not_overflow_its_lanes, setup),
                cmocka_unit_test_setup(an_archive_with_any_byte_changed_is_read_within_its_bounds,
                                       setup),
                cmocka_unit_test_setup(random_headers_are_read_within_their_bounds, setup),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
