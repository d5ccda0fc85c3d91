// SPDX-License-Identifier: MIT
#include "string.h"

#include <stdint.h>

/* Two words at a time where both ends allow it: page clears and copies are what counts. */
void *memcpy(void *to, const void *from, size_t n)
{
        unsigned char *d = to;
        const unsigned char *s = from;

        if ((((uintptr_t)d | (uintptr_t)s) & 7) == 0) {
                for (; n >= 16; n -= 16, d += 16, s += 16) {
                        uint64_t a = ((const uint64_t *)(const void *)s)[0];
                        uint64_t b = ((const uint64_t *)(const void *)s)[1];
                        ((uint64_t *)(void *)d)[0] = a;
                        ((uint64_t *)(void *)d)[1] = b;
                }
        }
        while (n--)
                *d++ = *s++;
        return to;
}

void *memmove(void *to, const void *from, size_t n)
{
        unsigned char *d = to;
        const unsigned char *s = from;

        if (d <= s)
                return memcpy(to, from, n);
        while (n--)
                d[n] = s[n];
        return to;
}

void *memset(void *to, int byte, size_t n)
{
        unsigned char *d = to;
        uint64_t word = 0x0101010101010101ul * (unsigned char)byte;

        if (((uintptr_t)d & 7) == 0) {
                for (; n >= 32; n -= 32, d += 32) {
                        uint64_t *w = (uint64_t *)(void *)d;
                        w[0] = w[1] = w[2] = w[3] = word;
                }
        }
        while (n--)
                *d++ = byte;
        return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
        const unsigned char *p = a, *q = b;

        for (; n; n--, p++, q++)
                if (*p != *q)
                        return *p - *q;
        return 0;
}

void *memchr(const void *s, int byte, size_t n)
{
        const unsigned char *p = s;

        for (; n; n--, p++)
                if (*p == (unsigned char)byte)
                        return (void *)p;
        return NULL;
}

size_t strnlen(const char *s, size_t max)
{
        size_t n = 0;

        while (n < max && s[n])
                n++;
        return n;
}

size_t strlen(const char *s)
{
        return strnlen(s, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
        for (; n; n--, a++, b++)
                if (*a != *b || !*a)
                        return (unsigned char)*a - (unsigned char)*b;
        return 0;
}

int strcmp(const char *a, const char *b)
{
        return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
        for (;; s++) {
                if (*s == (char)c)
                        return (char *)s;
                if (!*s)
                        return NULL;
        }
}

char *strrchr(const char *s, int c)
{
        char *last = NULL;

        for (;; s++) {
                if (*s == (char)c)
                        last = (char *)s;
                if (!*s)
                        return last;
        }
}
