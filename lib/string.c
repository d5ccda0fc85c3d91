// SPDX-License-Identifier: MIT
/*
 * string.c -- memcpy, memmove and memset in place of picolibc's, which Debian builds for size: a
 * byte at a time. The pager moves a Linux image with them, and libfdt device trees, which was
 * most of the time to boot.
 */
#include <stdint.h>
#include <string.h>

/* Any alignment: memory of programs is Normal memory, where unaligned access is allowed. */
typedef uint64_t word __attribute__((aligned(1), may_alias));
#define PIECE (4 * sizeof(word))

/* All of it is read before any of it is written. */
static inline void piece_move(void *to, const void *from)
{
        const word *s = from;
        word *d = to, a = s[0], b = s[1], c = s[2], e = s[3];

        d[0] = a;
        d[1] = b;
        d[2] = c;
        d[3] = e;
}

/* Also for a move to below. */
void *memcpy(void *to, const void *from, size_t n)
{
        unsigned char *d = to;
        const unsigned char *s = from;

        for (; n >= PIECE; n -= PIECE, d += PIECE, s += PIECE)
                piece_move(d, s);
        while (n--)
                *d++ = *s++;
        return to;
}

void *memmove(void *to, const void *from, size_t n)
{
        unsigned char *d = to;
        const unsigned char *s = from;

        if (d <= s || d >= s + n)
                return memcpy(to, from, n);
        while (n >= PIECE) {
                n -= PIECE;
                piece_move(d + n, s + n);
        }
        while (n--)
                d[n] = s[n];
        return to;
}

void *memset(void *to, int byte, size_t n)
{
        unsigned char *d = to;
        uint64_t w = 0x0101010101010101u * (unsigned char)byte;

        for (; n >= PIECE; n -= PIECE, d += PIECE) {
                word *p = (word *)(void *)d;
                p[0] = p[1] = p[2] = p[3] = w;
        }
        while (n--)
                *d++ = (unsigned char)byte;
        return to;
}
