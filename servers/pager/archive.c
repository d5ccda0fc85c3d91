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

uint32_t archive_sum(const uint8_t *data, size_t size)
{
        uint32_t sum = 0;

        while (size >= 8) { /* eight bytes at a time, in four lanes of 16 bits */
                uint64_t lanes = 0;
                for (unsigned n = 0; n < 128 && size >= 8; n++, data += 8, size -= 8) {
                        uint64_t w;
                        __builtin_memcpy(&w, data, 8); /* one load, also when freestanding */
                        lanes += (w & 0x00ff00ff00ff00ff) + (w >> 8 & 0x00ff00ff00ff00ff);
                }
                sum += (uint32_t)((lanes & 0xffff) + (lanes >> 16 & 0xffff) +
                                  (lanes >> 32 & 0xffff) + (lanes >> 48));
        }
        while (size--)
                sum += *data++;
        return sum;
}
