/* SPDX-License-Identifier: MIT */
/* archive.h -- the boot archive: cpio, "newc" with checksums (070702). Pure. [cpio(5)] */
#ifndef ARCHIVE_H
#define ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

struct archive_file { const char *name; const uint8_t *data; uint32_t size; uint32_t sum; };

enum archive_status { ARCHIVE_FILE, ARCHIVE_END, ARCHIVE_CORRUPT };

/* The file at *offset, which moves on to the next. On ARCHIVE_CORRUPT *offset says where. */
enum archive_status archive_next(const uint8_t *archive, size_t size, size_t *offset,
                                 struct archive_file *file);
/* ARCHIVE_FILE if found; a corrupt archive is searched up to the damage. */
enum archive_status archive_find(const uint8_t *archive, size_t size, const char *name,
                                 struct archive_file *file);
/* The sum of all bytes, as the header's checksum field wants it. */
uint32_t archive_sum(const uint8_t *data, size_t size);

#endif
