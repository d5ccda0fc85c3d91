// SPDX-License-Identifier: MIT
// uses: servers/shell/line.c
/* The shell's line editor, against a terminal of one line. */
#include "line.h"
#include "unit.h"

static struct line l;
static char screen[512]; /* what the terminal shows of this line */
static unsigned column;

static void put(char c)
{
        if (c == '\b') {
                assert_true(column > 0);
                column--;
        } else if (c == '\n') {
                memset(screen, 0, sizeof(screen));
                column = 0;
        } else if (c != '\a') {
                assert_true(column < sizeof(screen) - 1);
                screen[column++] = c;
        }
}

static const char *word(unsigned i)
{
        static const char *const words[] = {"tasks", "threads", "trace", "date", NULL};

        return words[i];
}

static enum line_state type(const char *bytes)
{
        enum line_state state = LINE_MORE;

        for (; *bytes; bytes++)
                state = line_byte(&l, (unsigned char)*bytes);
        return state;
}

/* The line, what the terminal shows of it, and where its cursor is, agree. */
static void shows(const char *text, unsigned cursor)
{
        char seen[sizeof(screen)];
        size_t n;

        assert_string_equal(l.text, text);
        assert_int_equal(l.length, strlen(text));
        assert_int_equal(l.cursor, cursor);
        memcpy(seen, screen, sizeof(seen));
        for (n = strlen(seen); n > 2 && seen[n - 1] == ' ' && n > 2 + strlen(text); n--)
                seen[n - 1] = 0;
        assert_memory_equal(seen, "> ", 2);
        assert_string_equal(seen + 2, text);
        assert_int_equal(column, cursor + 2);
}

static int begin(void **)
{
        memset(&l, 0, sizeof(l));
        memset(screen, 0, sizeof(screen));
        column = 0;
        l.prompt = "> ";
        l.put = put;
        l.complete = word;
        line_begin(&l);
        return 0;
}

static void enter(const char *text)
{
        assert_int_equal(type(text), LINE_MORE);
        assert_int_equal(type("\r"), LINE_DONE);
        line_begin(&l);
}

TEST(what_is_typed_appears)
{
        assert_int_equal(type("tasks"), LINE_MORE);
        shows("tasks", 5);
        assert_int_equal(type("\r"), LINE_DONE);
        assert_string_equal(l.text, "tasks");
}

TEST(return_and_line_feed_are_one_end)
{
        assert_int_equal(type("a\r"), LINE_DONE);
        line_begin(&l);
        assert_int_equal(type("\n"), LINE_MORE);
        assert_int_equal(type("b\n"), LINE_DONE);
        line_begin(&l);
        assert_int_equal(type("\n"), LINE_DONE);
}

TEST(the_cursor_moves_and_stops_at_the_ends)
{
        type("abc\x1b[D\x1b[D");
        shows("abc", 1);
        type("\x1b[D\x1b[D\x1b[D");
        shows("abc", 0);
        type("\x1b[C\x1b[C\x1b[C\x1b[C\x1b[C");
        shows("abc", 3);
        type("\x01");
        shows("abc", 0);
        type("\x05");
        shows("abc", 3);
        type("\x1b[1~");
        shows("abc", 0);
        type("\x1b[4~");
        shows("abc", 3);
        type("\x1bOH");
        shows("abc", 0);
}

TEST(letters_go_in_and_out_anywhere)
{
        type("ad\x1b[Dbc");
        shows("abcd", 3);
        type("\x7f");
        shows("abd", 2);
        type("\x01\x1b[3~");
        shows("bd", 0);
        type("\x7f");
        shows("bd", 0);
        type("\x04");
        shows("d", 0);
        type("\x05\x1b[3~");
        shows("d", 1);
}

TEST(words_and_halves_of_the_line_go)
{
        type("one two  three\x17");
        shows("one two  ", 9);
        type("\x17");
        shows("one ", 4);
        type("two\x1b[D\x1b[D\x0b");
        shows("one t", 5);
        type("\x1b[D\x15");
        shows("t", 0);
}

TEST(a_full_line_takes_no_more)
{
        for (unsigned i = 0; i < LINE_SIZE + 20; i++)
                type("x");
        assert_int_equal(l.length, LINE_SIZE - 1);
        assert_int_equal(strlen(l.text), LINE_SIZE - 1);
}

TEST(history_goes_back_and_forth)
{
        enter("one");
        enter("two");
        enter("two"); /* twice in a row is once */
        enter("");
        type("\x1b[A");
        shows("two", 3);
        type("\x1b[A");
        shows("one", 3);
        type("\x1b[A");
        shows("one", 3);
        type("\x1b[B");
        shows("two", 3);
        type("\x1b[B");
        shows("", 0);
        type("\x1b[B");
        shows("", 0);
}

TEST(history_keeps_the_last_lines)
{
        char text[8];

        for (unsigned i = 0; i < LINE_HISTORY + 10; i++) {
                text[0] = 'a' + (char)(i / 10);
                text[1] = '0' + (char)(i % 10);
                text[2] = 0;
                enter(text);
        }
        for (unsigned i = 0; i < LINE_HISTORY + 10; i++)
                type("\x10");
        shows("b0", 2);
}

TEST(tab_completes_what_is_certain)
{
        type("da\t");
        shows("date ", 5);
        type("\t");
        shows("date ", 5);
        type("\x15t\t");
        shows("t", 1);
        type("r\t");
        shows("trace ", 6);
        type("\x15x\t");
        shows("x", 1);
}

TEST(interrupt_drops_the_line_and_end_needs_an_empty_one)
{
        type("abc\x03");
        shows("", 0);
        assert_int_equal(type("abc\x04"), LINE_MORE);
        assert_int_equal(type("\x15\x04"), LINE_END);
}

/* Whatever comes: the text stays within its bounds, and the terminal shows it. */
TEST(any_bytes_keep_line_and_terminal_together)
{
        for (unsigned i = 0; i < 200000; i++) {
                static const char common[] = "\x1b[ABCDHF3~ \t\x7f\x01\x05\x15\x17\x0b" "abc";
                unsigned r = (unsigned)dice(1024);
                unsigned char c = r % 4 ? (unsigned char)common[r / 4 % (sizeof(common) - 1)]
                                        : (unsigned char)(r / 4);
                if (c == 12) /* clears the screen: not a terminal of one line */
                        continue;
                if (line_byte(&l, c) == LINE_DONE)
                        line_begin(&l);
                assert_true(l.cursor <= l.length && l.length < LINE_SIZE);
                assert_int_equal(strlen(l.text), l.length);
                assert_int_equal(column, l.cursor + 2);
                assert_memory_equal(screen + 2, l.text, l.length);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(what_is_typed_appears, begin),
                cmocka_unit_test_setup(return_and_line_feed_are_one_end, begin),
                cmocka_unit_test_setup(the_cursor_moves_and_stops_at_the_ends, begin),
                cmocka_unit_test_setup(letters_go_in_and_out_anywhere, begin),
                cmocka_unit_test_setup(words_and_halves_of_the_line_go, begin),
                cmocka_unit_test_setup(a_full_line_takes_no_more, begin),
                cmocka_unit_test_setup(history_goes_back_and_forth, begin),
                cmocka_unit_test_setup(history_keeps_the_last_lines, begin),
                cmocka_unit_test_setup(tab_completes_what_is_certain, begin),
                cmocka_unit_test_setup(interrupt_drops_the_line_and_end_needs_an_empty_one, begin),
                cmocka_unit_test_setup(any_bytes_keep_line_and_terminal_together, begin),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
