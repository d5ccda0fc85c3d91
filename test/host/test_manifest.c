// SPDX-License-Identifier: MIT
// uses: servers/pager/manifest.c
/* The manifest's parser: every setting, every message with its line, every limit, garbage. */
#include "manifest.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

static struct manifest m;
static char error[200];

/* From memory that ends where the text does, so that reading on is caught. */
static bool parse_bytes(const char *text, size_t size)
{
        char *exact = malloc(size ? size : 1);

        memcpy(exact, text, size);
        error[0] = 0;
        bool ok = manifest_parse(exact, size, &m, error, sizeof(error));
        free(exact);
        return ok;
}

static bool parse(const char *text)
{
        return parse_bytes(text, strlen(text));
}

static void good(const char *text)
{
        if (!parse(text))
                fail_msg("refused: %s", error);
}

static void bad(const char *text, const char *message)
{
        assert_false(parse(text));
        if (strncmp(error, message, strlen(message)) != 0)
                fail_msg("expected \"%s\", got \"%s\"", message, error);
}

/* A setting of a program in line 3, below a name and a file. */
static void bad_setting(const char *setting, const char *message)
{
        char text[1024], full[300];

        snprintf(text, sizeof(text), "program a\n file x\n %s\n", setting);
        snprintf(full, sizeof(full), "line 3: %s", message);
        bad(text, full);
}

static const struct manifest_entry *with(const char *setting)
{
        char text[1024];

        snprintf(text, sizeof(text), "program a\n file x\n %s\n", setting);
        good(text);
        return &m.entry[0];
}

static const char *repeated(const char *what, unsigned n)
{
        static char text[4096];

        text[0] = 0;
        while (n--)
                strcat(text, what);
        return text;
}

/* ---- what is right ------------------------------------------------------------------------ */

TEST(an_empty_manifest_names_no_programs)
{
        good("");
        assert_int_equal(m.n, 0);
        good("\n\n  \n\t\n# only a comment\n   # another");
        assert_int_equal(m.n, 0);
}

TEST(a_program_has_a_name_a_file_and_defaults)
{
        good("program a\n        file b\n");
        assert_int_equal(m.n, 1);
        assert_string_equal(m.entry[0].name, "a");
        assert_string_equal(m.entry[0].file, "b");
        assert_false(m.entry[0].is_linux);
        assert_int_equal(m.entry[0].memory, 1 << 20);
        assert_int_equal(m.entry[0].quota, 256 << 10);
        assert_int_equal(m.entry[0].priority, 100);
        assert_int_equal(m.entry[0].core, 0);
        assert_int_equal(m.entry[0].cores, 1);
        assert_int_equal(m.entry[0].restart, 0);
        assert_false(m.entry[0].control);
        assert_int_equal(m.entry[0].n_devices, 0);
        assert_int_equal(m.entry[0].line, 1);
}

TEST(linux_has_defaults_of_its_own)
{
        good("linux\n file l\n");
        assert_string_equal(m.entry[0].name, "linux");
        assert_true(m.entry[0].is_linux);
        assert_true(m.entry[0].memory == MANIFEST_REST && m.entry[0].quota == MANIFEST_REST);
        assert_int_equal(m.entry[0].priority, 64);
        assert_int_equal(m.entry[0].restart, 3);
}

TEST(sizes_have_units)
{
        assert_int_equal(with("memory 8192")->memory, 8192);
        assert_int_equal(with("memory 64K")->memory, 64 << 10);
        assert_int_equal(with("memory 3M")->memory, 3 << 20);
        assert_int_equal(with("memory 2G")->memory, 2ul << 30);
        assert_int_equal(with("memory 1024G")->memory, 1ul << 40);
        assert_true(with("memory rest")->memory == MANIFEST_REST);
        assert_int_equal(with("quota 16K")->quota, 16 << 10);
        assert_true(with("quota rest")->quota == MANIFEST_REST);
}

TEST(memory_and_quota_are_not_mixed_up)
{
        with("memory 64K\n quota 128K");
        assert_int_equal(m.entry[0].memory, 64 << 10);
        assert_int_equal(m.entry[0].quota, 128 << 10);
}

TEST(every_priority_from_0_to_254_is_taken)
{
        char setting[32];

        for (unsigned i = 0; i <= 254; i++) {
                snprintf(setting, sizeof(setting), "priority %u", i);
                assert_int_equal(with(setting)->priority, i);
        }
}

TEST(every_core_and_every_number_of_cores_is_taken)
{
        char setting[32];

        for (unsigned i = 0; i <= 7; i++) {
                snprintf(setting, sizeof(setting), "core %u", i);
                assert_int_equal(with(setting)->core, i);
                assert_int_equal(m.entry[0].cores, 1);
                snprintf(setting, sizeof(setting), "cores %u", i + 1);
                assert_int_equal(with(setting)->cores, i + 1);
                assert_int_equal(m.entry[0].core, 0);
        }
}

TEST(restart_takes_0_to_1000)
{
        assert_int_equal(with("restart 0")->restart, 0);
        assert_int_equal(with("restart 1000")->restart, 1000);
}

TEST(control_is_a_word_alone)
{
        assert_true(with("control")->control);
}

TEST(devices_come_in_one_line_or_several)
{
        with("devices arm,pl011 virtio,mmio\n devices arm,pl031");
        assert_int_equal(m.entry[0].n_devices, 3);
        assert_string_equal(m.entry[0].devices[0], "arm,pl011");
        assert_string_equal(m.entry[0].devices[2], "arm,pl031");
}

TEST(as_many_devices_as_the_limit_are_taken)
{
        char text[1024];

        snprintf(text, sizeof(text), "program a\n file x\n devices%s\n",
                 repeated(" d", MANIFEST_DEVICES));
        good(text);
        assert_int_equal(m.entry[0].n_devices, MANIFEST_DEVICES);
}

TEST(append_takes_the_line_as_it_is)
{
        good("linux\n file l\n append   a=b   # \"c\"  d\n");
        assert_string_equal(m.entry[0].append, "a=b   # \"c\"  d");
}

TEST(comments_and_tabs_and_blanks_do_not_matter)
{
        good("# head\nprogram\ta  # the first\n\n\tfile\t b#c # why\n# foot");
        assert_int_equal(m.n, 1);
        assert_string_equal(m.entry[0].file, "b#c");
        assert_int_equal(m.entry[0].line, 2);
}

TEST(the_last_line_needs_no_line_feed)
{
        good("program a\n file x");
        assert_string_equal(m.entry[0].file, "x");
}

TEST(programs_keep_their_order_and_their_settings)
{
        good("program a\n file x\n priority 1\nlinux\n file y\n append q\nprogram c\n file z\n");
        assert_int_equal(m.n, 3);
        assert_int_equal(m.entry[0].priority, 1);
        assert_int_equal(m.entry[2].priority, 100);
        assert_string_equal(m.entry[1].append, "q");
        assert_string_equal(m.entry[2].append, "");
        assert_int_equal(m.entry[2].line, 7);
}

TEST(as_many_programs_as_the_limit_are_taken)
{
        char text[2048] = "", one[40];

        for (unsigned i = 0; i < MANIFEST_ENTRIES; i++) {
                snprintf(one, sizeof(one), "program p%u\n file x\n", i);
                strcat(text, one);
        }
        good(text);
        assert_int_equal(m.n, MANIFEST_ENTRIES);
        strcat(text, "program more\n file x\n");
        bad(text, "line 33: more than 16 programs");
}

TEST(names_of_the_greatest_length_are_taken_whole)
{
        char text[400];

        snprintf(text, sizeof(text), "program %s\n", repeated("n", 23));
        snprintf(text + strlen(text), 100, " file %s\n", repeated("f", 39));
        snprintf(text + strlen(text), 100, " devices %s\n", repeated("d", 39));
        good(text);
        assert_int_equal(strlen(m.entry[0].name), 23);
        assert_int_equal(strlen(m.entry[0].file), 39);
        assert_int_equal(strlen(m.entry[0].devices[0]), 39);
}

/* ---- what is wrong, and the line that says so ------------------------------------------------ */

TEST(a_setting_before_any_program_is_refused)
{
        bad("\n file x\n", "line 2: a setting before any `program` or `linux`");
}

TEST(an_unknown_block_is_refused)
{
        bad("task a\n", "line 1: `task` begins no block");
}

TEST(a_program_without_a_name_is_refused)
{
        bad("\n\nprogram\n", "line 3: expected `program NAME`");
        bad("program a b\n", "line 1: expected `program NAME`");
}

TEST(linux_with_a_name_is_refused)
{
        bad("linux l\n", "line 1: `linux` takes no name");
}

TEST(a_name_that_is_too_long_is_refused)
{
        char text[100];

        snprintf(text, sizeof(text), "program %s\n", repeated("n", 24));
        bad(text, "line 1: name `nnnnnnnnnnnnnnnnnnnnnnnn` is too long");
}

TEST(a_name_given_twice_is_refused_with_both_lines)
{
        bad("program a\n file x\n\nprogram a\n file y\n", "line 4: `a` is there already, in line 1");
        bad("linux\n file x\nprogram linux\n", "line 3: `linux` is there already, in line 1");
}

TEST(a_program_without_a_file_is_refused_at_the_next)
{
        bad("program a\nprogram b\n file x\n", "line 2: `a` has no `file`");
}

TEST(the_last_program_without_a_file_is_refused_at_the_end)
{
        bad("program a\n file x\nprogram b\n core 1\n", "line 5: `b` has no `file`");
}

TEST(a_file_name_that_is_too_long_is_refused)
{
        char setting[100];

        snprintf(setting, sizeof(setting), "file %s", repeated("f", 40));
        bad_setting(setting, "file name `ffff");
}

TEST(a_size_that_is_none_is_refused)
{
        static const char *const sizes[] = {"0", "-1", "x", "4095", "1k", "1KB", "1T", "0x1000",
                                            "1.5M", "K", "", "1025G", "18446744073709551616",
                                            "99999999999999999999G", "Rest"};
        char setting[100], message[100];

        for (unsigned i = 0; i < LENGTH(sizes); i++)
                for (unsigned k = 0; k < 2; k++) {
                        snprintf(setting, sizeof(setting), "%s %s", k ? "memory" : "quota", sizes[i]);
                        snprintf(message, sizeof(message), "`%s` is no size", sizes[i]);
                        bad_setting(setting, *sizes[i] ? message : k ? "`memory` takes one value"
                                                                    : "`quota` takes one value");
                }
}

TEST(a_priority_beyond_254_is_refused)
{
        bad_setting("priority 255", "`255` is no priority: expected 0 to 254");
        bad_setting("priority 99999999999999999999", "`99999999999999999999` is no priority");
        bad_setting("priority high", "`high` is no priority");
        bad_setting("priority -1", "`-1` is no priority");
}

TEST(a_core_beyond_7_is_refused)
{
        bad_setting("core 8", "`8`: expected core 0 to 7");
        bad_setting("core 10", "`10`: expected core 0 to 7");
        bad_setting("core 99", "`99`: expected core 0 to 7");
        bad_setting("core x", "`x`: expected core 0 to 7");
}

TEST(no_cores_and_more_than_8_are_refused)
{
        bad_setting("cores 0", "`0`: expected 1 to 8 cores");
        bad_setting("cores 9", "`9`: expected 1 to 8 cores");
        bad_setting("cores 1K", "`1K`: expected 1 to 8 cores");
}

TEST(restarting_more_than_1000_times_is_refused)
{
        bad_setting("restart 1001", "`1001`: expected how often, 0 to 1000");
        bad_setting("restart often", "`often`: expected how often");
}

TEST(control_with_a_value_is_refused)
{
        bad_setting("control yes", "`control` takes no value");
}

TEST(append_is_a_native_programs_arguments)
{
        assert_string_equal(with("append clock  # not a comment")->append, "clock  # not a comment");
}

/* ---- programs that call programs ------------------------------------------------------------ */

TEST(calls_name_programs_before_and_after)
{
        good("program a\n file x\nprogram b\n file x\n calls c a\nprogram c\n file x\n");
        assert_int_equal(m.entry[1].n_calls, 2);
        assert_int_equal(m.entry[1].calls[0], 2);
        assert_int_equal(m.entry[1].calls[1], 0);
        assert_true(m.entry[0].called && m.entry[2].called && !m.entry[1].called);
}

TEST(calls_of_nobody_or_oneself_are_refused)
{
        bad_setting("calls b", "`a` calls `b`, and there is no such program");
        bad_setting("calls a", "`a` calls itself");
        bad_setting("calls b b b b b b b b b", "more than 8 programs to call");
        bad_setting("calls xxxxxxxxxxxxxxxxxxxxxxxx", "name `xxxxxxxxxxxxxxxxxxxxxxxx` is too long");
}

TEST(manual_and_extra)
{
        assert_true(with("manual")->manual);
        assert_false(with("control")->manual);
        bad_setting("manual yes", "`manual` takes no value");
        assert_int_equal(with("extra 1M")->extra, 1 << 20);
        assert_int_equal(with("extra 0")->extra, 0);
        bad_setting("extra 5", "`5` is no size: expected a multiple of 4096");
}

TEST(writable_and_executable_memory_is_asked_for)
{
        assert_false(with("control")->wx);
        assert_true(with("wx")->wx);
        good("linux\n file l\n");
        assert_true(m.entry[0].wx);
        bad_setting("wx no", "`wx` takes no value");
}

TEST(a_command_line_that_is_too_long_is_refused)
{
        char text[600];

        snprintf(text, sizeof(text), "linux\n file l\n append %s\n", repeated("x", 255));
        good(text);
        snprintf(text, sizeof(text), "linux\n file l\n append %s\n", repeated("x", 256));
        bad(text, "line 3: command line is longer than 255 characters");
}

TEST(too_many_devices_are_refused)
{
        char setting[1024];

        snprintf(setting, sizeof(setting), "devices%s", repeated(" d", MANIFEST_DEVICES + 1));
        bad_setting(setting, "more than 32 devices");
}

TEST(a_device_with_too_long_a_name_is_refused)
{
        char setting[100];

        snprintf(setting, sizeof(setting), "devices %s", repeated("d", 40));
        bad_setting(setting, "device `dddd");
}

TEST(a_setting_without_a_value_or_with_two_is_refused)
{
        static const char *const keys[] = {"file", "memory", "quota", "priority", "core", "cores",
                                           "restart"};
        char setting[100], message[100];

        for (unsigned i = 0; i < LENGTH(keys); i++) {
                snprintf(message, sizeof(message), "`%s` takes one value", keys[i]);
                bad_setting(keys[i], message);
                snprintf(setting, sizeof(setting), "%s 1 2", keys[i]);
                bad_setting(setting, message);
        }
}

TEST(an_unknown_setting_is_refused_and_the_known_ones_are_named)
{
        bad_setting("colour blue", "unknown setting `colour`; there are file, memory, quota");
}

TEST(a_line_that_is_too_long_is_refused)
{
        char text[700];

        snprintf(text, sizeof(text), "\n# %s\n", repeated("x", 509));
        good(text);
        snprintf(text, sizeof(text), "\n# %s\n", repeated("x", 510));
        bad(text, "line 2: longer than 511 characters");
}

TEST(too_many_words_are_refused)
{
        char setting[200];

        snprintf(setting, sizeof(setting), "devices%s", repeated(" d", 40));
        bad_setting(setting, "more than 40 words");
}

TEST(a_byte_that_is_no_text_is_refused_with_its_place)
{
        assert_false(parse_bytes("program a\n file x\0y\n", 20));
        assert_string_equal(error, "line 2: character 8 is no text (code 0); lines end with a line "
                            "feed alone");
        bad("program a\r\n", "line 1: character 10 is no text (code 13)");
        bad("program \x7f\n", "line 1: character 9 is no text (code 127)");
}

/* ---- garbage ---------------------------------------------------------------------------------- */

static void expect_sane(bool ok)
{
        assert_true(m.n <= MANIFEST_ENTRIES);
        if (!ok) {
                assert_int_equal(strncmp(error, "line ", 5), 0);
                assert_true(strlen(error) < sizeof(error));
                return;
        }
        for (unsigned i = 0; i < m.n; i++) {
                const struct manifest_entry *e = &m.entry[i];
                assert_true(e->name[0] && e->file[0] && e->n_devices <= MANIFEST_DEVICES);
                assert_true(e->priority <= 254 && e->core <= 7 && e->cores >= 1 && e->cores <= 8);
                assert_true(e->memory == MANIFEST_REST || e->memory % 4096 == 0);
        }
}

TEST(random_bytes_give_a_manifest_or_a_message)
{
        char text[600];

        for (unsigned round = 0; round < 20000; round++) {
                size_t size = dice(sizeof(text));
                for (size_t i = 0; i < size; i++)
                        text[i] = (char)dice(256);
                expect_sane(parse_bytes(text, size));
        }
}

TEST(random_words_give_a_manifest_or_a_message)
{
        static const char *const words[] = {"program", "linux", "file", "memory", "quota", "rest",
                "priority", "core", "cores", "restart", "control", "devices", "append", "a", "b",
                "64K", "1M", "8", "255", "\n", "\n", "\n ", "\n\t", " ", " ", "#", "\nprogram p",
                "\n file f", "\nlinux"};
        char text[2000];

        for (unsigned round = 0; round < 100000; round++) {
                text[0] = 0;
                for (uint64_t n = dice(60); n; n--) {
                        strcat(text, words[dice(LENGTH(words))]);
                        strcat(text, dice(4) ? " " : "");
                }
                expect_sane(parse(text));
        }
}

TEST(a_manifest_with_one_byte_changed_gives_a_manifest_or_a_message)
{
        static const char text[] = "program shell\n file shell\n memory 2M\n quota rest\n core 1\n"
                                   "linux\n file linux\n cores 4\n devices arm,pl011\n append a b\n";
        char copy[sizeof(text)];

        for (size_t at = 0; at < sizeof(text) - 1; at++)
                for (unsigned byte = 0; byte < 256; byte++) {
                        memcpy(copy, text, sizeof(text));
                        copy[at] = (char)byte;
                        expect_sane(parse_bytes(copy, sizeof(text) - 1));
                }
        for (size_t size = 0; size < sizeof(text); size++)
                expect_sane(parse_bytes(text, size));
}

TEST(a_small_buffer_for_the_message_is_not_overrun)
{
        for (size_t size = 12; size < 80; size++) {
                char *small = malloc(size);
                assert_false(manifest_parse("nonsense\n", 9, &m, small, size));
                assert_true(strlen(small) < size);
                free(small);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_empty_manifest_names_no_programs),
                cmocka_unit_test(a_program_has_a_name_a_file_and_defaults),
                cmocka_unit_test(linux_has_defaults_of_its_own),
                cmocka_unit_test(sizes_have_units),
                cmocka_unit_test(memory_and_quota_are_not_mixed_up),
                cmocka_unit_test(every_priority_from_0_to_254_is_taken),
                cmocka_unit_test(every_core_and_every_number_of_cores_is_taken),
                cmocka_unit_test(restart_takes_0_to_1000),
                cmocka_unit_test(control_is_a_word_alone),
                cmocka_unit_test(devices_come_in_one_line_or_several),
                cmocka_unit_test(as_many_devices_as_the_limit_are_taken),
                cmocka_unit_test(append_takes_the_line_as_it_is),
                cmocka_unit_test(comments_and_tabs_and_blanks_do_not_matter),
                cmocka_unit_test(the_last_line_needs_no_line_feed),
                cmocka_unit_test(programs_keep_their_order_and_their_settings),
                cmocka_unit_test(as_many_programs_as_the_limit_are_taken),
                cmocka_unit_test(names_of_the_greatest_length_are_taken_whole),
                cmocka_unit_test(a_setting_before_any_program_is_refused),
                cmocka_unit_test(an_unknown_block_is_refused),
                cmocka_unit_test(a_program_without_a_name_is_refused),
                cmocka_unit_test(linux_with_a_name_is_refused),
                cmocka_unit_test(a_name_that_is_too_long_is_refused),
                cmocka_unit_test(a_name_given_twice_is_refused_with_both_lines),
                cmocka_unit_test(a_program_without_a_file_is_refused_at_the_next),
                cmocka_unit_test(the_last_program_without_a_file_is_refused_at_the_end),
                cmocka_unit_test(a_file_name_that_is_too_long_is_refused),
                cmocka_unit_test(a_size_that_is_none_is_refused),
                cmocka_unit_test(a_priority_beyond_254_is_refused),
                cmocka_unit_test(a_core_beyond_7_is_refused),
                cmocka_unit_test(no_cores_and_more_than_8_are_refused),
                cmocka_unit_test(restarting_more_than_1000_times_is_refused),
                cmocka_unit_test(control_with_a_value_is_refused),
                cmocka_unit_test(append_is_a_native_programs_arguments),
                cmocka_unit_test(calls_name_programs_before_and_after),
                cmocka_unit_test(calls_of_nobody_or_oneself_are_refused),
                cmocka_unit_test(manual_and_extra),
                cmocka_unit_test(writable_and_executable_memory_is_asked_for),
                cmocka_unit_test(a_command_line_that_is_too_long_is_refused),
                cmocka_unit_test(too_many_devices_are_refused),
                cmocka_unit_test(a_device_with_too_long_a_name_is_refused),
                cmocka_unit_test(a_setting_without_a_value_or_with_two_is_refused),
                cmocka_unit_test(an_unknown_setting_is_refused_and_the_known_ones_are_named),
                cmocka_unit_test(a_line_that_is_too_long_is_refused),
                cmocka_unit_test(too_many_words_are_refused),
                cmocka_unit_test(a_byte_that_is_no_text_is_refused_with_its_place),
                cmocka_unit_test(random_bytes_give_a_manifest_or_a_message),
                cmocka_unit_test(random_words_give_a_manifest_or_a_message),
                cmocka_unit_test(a_manifest_with_one_byte_changed_gives_a_manifest_or_a_message),
                cmocka_unit_test(a_small_buffer_for_the_message_is_not_overrun),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
