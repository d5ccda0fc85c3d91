// SPDX-License-Identifier: MIT
#include "archive.h"

#include <stdbool.h>
#include <string.h>

#define HEADER 110

static bool hex(const uint8_t *s, uint32_t *v)
{
        *v = 0;
        for (unsigned i = 0; i < 8; i++) {
                unsigned c = s[i];
                if (c >= '0' && c <= '9')
                        c -= '0';
                else if ((c | 32) >= 'a' && (c | 32) <= 'f')
                        c = (c | 32) - 'a' + 10;
                else
                        return false;
                *v = *v << 4 | c;
        }
        return true;
}

enum archive_status archive_next(const uint8_t *archive, size_t size, size_t *offset,
                                 struct archive_file *file)
{
        size_t left = *offset < size ? size - *offset : 0;
        const uint8_t *p = archive + (left ? *offset : 0);
        uint32_t filesize, namesize, sum;

        if (left < HEADER || memcmp(p, "070702", 6) || !hex(p + 54, &filesize) ||
            !hex(p + 94, &namesize) || !hex(p + 102, &sum))
                return ARCHIVE_CORRUPT;
        if (!namesize || namesize > left - HEADER || p[HEADER + namesize - 1])
                return ARCHIVE_CORRUPT;
        size_t data = (HEADER + (size_t)namesize + 3) & ~(size_t)3;
        if (data > left || filesize > left - data)
                return ARCHIVE_CORRUPT;
        file->name = (const char *)p + HEADER;
        file->data = p + data;
        file->size = filesize;
        file->sum = sum;
        if (!strcmp(file->name, "TRAILER!!!"))
                return ARCHIVE_END;
        *offset += (data + filesize + 3) & ~(size_t)3;
        return ARCHIVE_FILE;
}

enum archive_status archive_find(const uint8_t *archive, size_t size, const char *name,
                                 struct archive_file *file)
{
        size_t offset = 0;
        enum archive_status status;

        while ((status = archive_next(archive, size, &offset, file)) == ARCHIVE_FILE)
                if (!strcmp(file->name, name))
                        break;
        return status;
}

/* Sixteen bytes as eight numbers; their sums wrap. */
typedef uint16_t lanes __attribute__((vector_size(16)));
#define BLOCK 4096 /* bytes: of 256 odd, or even, ones a lane holds the sum */

/*
 * A lane is 256 * odd + even. What is added up are lanes, and their odd bytes: two instructions
 * for sixteen bytes. The sum of the even ones is what is left.
 */
static uint32_t block_sum(const uint8_t *data)
{
        lanes all = {0}, odd = {0};
        uint32_t sum = 0;

        for (const uint8_t *end = data + BLOCK; data < end; data += 8 * sizeof(lanes)) {
#pragma GCC unroll 8
                for (unsigned i = 0; i < 8; i++) {
                        lanes w;
                        __builtin_memcpy(&w, data + i * sizeof(w), sizeof(w)); /* one load */
                        all += w;
                        odd += w >> 8;
                }
        }
        lanes even = all - (odd << 8);
        for (unsigned i = 0; i < 8; i++)
                sum += (uint32_t)even[i] + odd[i];
        return sum;
}

uint32_t archive_sum(const uint8_t *data, size_t size)
{
        uint32_t sum = 0;

        for (; size >= BLOCK; data += BLOCK, size -= BLOCK)
                sum += block_sum(data);
        while (size--)
                sum += *data++;
        return sum;
}
