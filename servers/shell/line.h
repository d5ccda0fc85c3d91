/* SPDX-License-Identifier: MIT */
/* line.h -- editing of one line, with history and completion. Pure: bytes in, bytes out. */
#ifndef LINE_H
#define LINE_H

#include <stdbool.h>

#define LINE_SIZE    128
#define LINE_HISTORY 32

enum line_state { LINE_MORE, LINE_DONE, LINE_END }; /* END: Ctrl-D on an empty line */

struct line {
        const char *prompt;
        void (*put)(char c);
        const char *(*complete)(unsigned i); /* words to complete the first word with, or NULL */
        char text[LINE_SIZE];
        unsigned length, cursor;
        char history[LINE_HISTORY][LINE_SIZE]; /* the newest is at (n - 1) % LINE_HISTORY */
        unsigned n, at;                        /* lines ever noted; which is shown: n = none */
        unsigned escape, parameter;            /* in an escape sequence: how far */
        bool after_return;                     /* the last byte was a carriage return */
};

/* Begin a line: shows the prompt. */
void line_begin(struct line *l);
/* Show it again, where somebody else has written. */
void line_show(struct line *l);
/* One byte typed. On LINE_DONE `text` is the line, and was noted in the history. */
enum line_state line_byte(struct line *l, unsigned char c);

#endif
