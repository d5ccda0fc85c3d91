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
#define WORDS 16
#define PIECE (WORDS * sizeof(word))

/* All of it is read before any of it is written. */
static inline void piece_move(void *to, const void *from)
{
        const word *s = from;
        word *d = to, w[WORDS];

#pragma GCC unroll 16
        for (unsigned i = 0; i < WORDS; i++)
                w[i] = s[i];
#pragma GCC unroll 16
        for (unsigned i = 0; i < WORDS; i++)
                d[i] = w[i];
}

/* Also for a move to below. */
void *memcpy(void *to, const void *from, size_t n)
{
        unsigned char *d = to;
        const unsigned char *s = from;

        for (; n >= PIECE; n -= PIECE, d += PIECE, s += PIECE)
                piece_move(d, s);
        for (; n >= sizeof(word); n -= sizeof(word), d += sizeof(word), s += sizeof(word))
                *(word *)(void *)d = *(const word *)(const void *)s;
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
        while (n >= sizeof(word)) {
                n -= sizeof(word);
                *(word *)(void *)(d + n) = *(const word *)(const void *)(s + n);
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
#pragma GCC unroll 16
                for (unsigned i = 0; i < WORDS; i++)
                        p[i] = w;
        }
        for (; n >= sizeof(word); n -= sizeof(word), d += sizeof(word))
                *(word *)(void *)d = w;
        while (n--)
                *d++ = (unsigned char)byte;
        return to;
}
