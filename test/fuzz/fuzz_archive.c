// SPDX-License-Identifier: MIT
// uses: servers/pager/archive.c
/* Any bytes are read within their bounds, each file once, and to an end. */
#include "fuzz.h"

#include "archive.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct archive_file file, found;
        enum archive_status status;
        size_t offset = 0, before = 0;

        while ((status = archive_next(data, size, &offset, &file)) == ARCHIVE_FILE) {
                MUST(offset > before); /* it comes to an end */
                before = offset;
                MUST(file.data >= data && file.data <= data + size);
                MUST(file.size <= (size_t)(data + size - file.data));
                MUST((const uint8_t *)file.name + strlen(file.name) < file.data);
                archive_sum(file.data, file.size);
                MUST(archive_find(data, size, file.name, &found) == ARCHIVE_FILE);
                MUST(!strcmp(found.name, file.name) && found.data <= file.data);
        }
        MUST(status == ARCHIVE_END || offset == before);
        return 0;
}
