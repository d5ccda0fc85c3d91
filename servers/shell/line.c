// SPDX-License-Identifier: MIT
#include "line.h"

#include <string.h>

enum { CTRL_A = 1, CTRL_B, CTRL_C, CTRL_D, CTRL_E, CTRL_F, CTRL_H = 8, TAB, NEWLINE, CTRL_K,
       CTRL_L, RETURN, CTRL_N = 14, CTRL_P = 16, CTRL_U = 21, CTRL_W = 23, ESCAPE = 27,
       BACKSPACE = 127 };

static void put_text(const struct line *l, const char *s)
{
        while (*s)
                l->put(*s++);
}

static void put_left(const struct line *l, unsigned n)
{
        while (n--)
                l->put('\b');
}

/* From the cursor on, as it is now; `gone` columns behind it are to be blank. */
static void show_rest(struct line *l, unsigned gone)
{
        unsigned n = l->length - l->cursor;

        for (unsigned i = l->cursor; i < l->length; i++)
                l->put(l->text[i]);
        for (unsigned i = 0; i < gone; i++)
                l->put(' ');
        put_left(l, n + gone);
}

void line_begin(struct line *l)
{
        l->length = l->cursor = 0;
        l->text[0] = 0;
        l->at = l->n;
        l->escape = 0;
        put_text(l, l->prompt);
}

static void insert(struct line *l, char c)
{
        if (l->length == LINE_SIZE - 1) {
                l->put('\a');
                return;
        }
        memmove(l->text + l->cursor + 1, l->text + l->cursor, l->length - l->cursor + 1);
        l->text[l->cursor++] = c;
        l->length++;
        l->put(c);
        show_rest(l, 0);
}

static void erase(struct line *l, unsigned from, unsigned to)
{
        if (from == to)
                return;
        put_left(l, l->cursor > from ? l->cursor - from : 0);
        memmove(l->text + from, l->text + to, l->length - to + 1);
        l->length -= to - from;
        l->cursor = from;
        show_rest(l, to - from);
}

static void move(struct line *l, unsigned to)
{
        if (to > l->length)
                return; /* also to the left of the first */
        if (to < l->cursor)
                put_left(l, l->cursor - to);
        for (; l->cursor < to; l->cursor++)
                l->put(l->text[l->cursor]);
        l->cursor = to;
}

void line_show(struct line *l)
{
        unsigned cursor = l->cursor;

        put_text(l, l->prompt);
        l->cursor = 0;
        move(l, l->length);
        move(l, cursor);
}

static void replace(struct line *l, const char *text)
{
        move(l, l->length);
        erase(l, 0, l->length);
        while (*text)
                insert(l, *text++);
}

static void recall(struct line *l, unsigned to)
{
        unsigned oldest = l->n > LINE_HISTORY ? l->n - LINE_HISTORY : 0;

        if (to < oldest || to > l->n)
                return; /* also before the first */
        l->at = to;
        replace(l, to == l->n ? "" : l->history[to % LINE_HISTORY]);
}

static void note(struct line *l)
{
        if (!l->length || (l->n && !strcmp(l->history[(l->n - 1) % LINE_HISTORY], l->text)))
                return;
        memcpy(l->history[l->n++ % LINE_HISTORY], l->text, l->length + 1);
}

/* The first word: as far as all words that begin so agree; a space if there is only one. */
static void complete(struct line *l)
{
        const char *word, *first = NULL;
        size_t common = 0;

        if (!l->complete || l->cursor != l->length || memchr(l->text, ' ', l->length))
                return;
        for (unsigned i = 0; (word = l->complete(i)); i++) {
                if (strncmp(word, l->text, l->length))
                        continue;
                size_t n = 0;
                while (first && word[n] && word[n] == first[n])
                        n++;
                common = first ? (n < common ? n : common) : strlen(word) + 1;
                if (!first)
                        first = word;
        }
        if (!first)
                return;
        for (size_t i = l->length; i < common && first[i]; i++)
                insert(l, first[i]);
        if (common > strlen(first))
                insert(l, ' ');
}

/* The last byte of ESC [ n x or ESC O x. [ECMA-48 8.3; xterm] */
static void escape_end(struct line *l, unsigned char c)
{
        switch (c == '~' ? "?H?DF??HF"[l->parameter < 9 ? l->parameter : 0] : c) {
        case 'A': recall(l, l->at - 1); break;
        case 'B': recall(l, l->at + 1); break;
        case 'C': move(l, l->cursor + 1); break;
        case 'D':
                if (c != '~')
                        move(l, l->cursor - 1);
                else if (l->cursor < l->length) /* the delete key */
                        erase(l, l->cursor, l->cursor + 1);
                break;
        case 'H': move(l, 0); break;
        case 'F': move(l, l->length); break;
        default: break;
        }
}

static bool in_escape(struct line *l, unsigned char c)
{
        if (l->escape == 1) {
                l->escape = c == '[' || c == 'O' ? 2 : 0;
                l->parameter = 0;
                return true;
        }
        if (l->escape != 2)
                return false;
        if (c >= '0' && c <= '9') {
                l->parameter = (l->parameter * 10 + c - '0') % 100;
        } else if (c >= 0x40 && c < 0x7f) {
                l->escape = 0;
                escape_end(l, c);
        }
        return true;
}

enum line_state line_byte(struct line *l, unsigned char c)
{
        bool after_return = l->after_return;

        l->after_return = c == RETURN;
        if (in_escape(l, c))
                return LINE_MORE;
        switch (c) {
        case NEWLINE:
                if (after_return)
                        return LINE_MORE; /* a terminal that sends both */
                /* fall through */
        case RETURN:
                l->put('\n');
                note(l);
                return LINE_DONE;
        case CTRL_C:
                put_text(l, "^C\n");
                line_begin(l);
                break;
        case CTRL_D:
                if (!l->length)
                        return LINE_END;
                if (l->cursor < l->length)
                        erase(l, l->cursor, l->cursor + 1);
                break;
        case CTRL_H:
        case BACKSPACE:
                if (l->cursor)
                        erase(l, l->cursor - 1, l->cursor);
                break;
        case CTRL_L:
                put_text(l, "\x1b[H\x1b[2J");
                line_show(l);
                break;
        case CTRL_W: {
                unsigned from = l->cursor;
                while (from && l->text[from - 1] == ' ')
                        from--;
                while (from && l->text[from - 1] != ' ')
                        from--;
                erase(l, from, l->cursor);
                break;
        }
        case CTRL_A: move(l, 0); break;
        case CTRL_B: move(l, l->cursor - 1); break;
        case CTRL_E: move(l, l->length); break;
        case CTRL_F: move(l, l->cursor + 1); break;
        case CTRL_K: erase(l, l->cursor, l->length); break;
        case CTRL_N: recall(l, l->at + 1); break;
        case CTRL_P: recall(l, l->at - 1); break;
        case CTRL_U: erase(l, 0, l->cursor); break;
        case ESCAPE: l->escape = 1; break;
        case TAB: complete(l); break;
        default:
                if (c >= ' ')
                        insert(l, (char)c);
        }
        return LINE_MORE;
}
