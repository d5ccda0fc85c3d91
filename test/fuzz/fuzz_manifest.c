// SPDX-License-Identifier: MIT
// uses: servers/pager/manifest.c
/* Any text is a manifest within its limits, or has an error with its line. */
#include "fuzz.h"

#include "manifest.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct manifest m, again;
        char error[200] = "";
        unsigned line;

        if (!manifest_parse((const char *)data, size, &m, error, sizeof(error))) {
                MUST(sscanf(error, "line %u: ", &line) == 1 && line >= 1 && line <= size + 1);
                return 0;
        }
        MUST(m.n <= MANIFEST_ENTRIES);
        for (unsigned i = 0; i < m.n; i++) {
                const struct manifest_entry *e = &m.entry[i];
                MUST(e->name[0] && e->file[0]);
                MUST(memchr(e->name, 0, sizeof(e->name)) && memchr(e->file, 0, sizeof(e->file)));
                MUST(memchr(e->append, 0, sizeof(e->append)));
                MUST(e->n_devices <= MANIFEST_DEVICES);
                MUST(e->priority <= 254 && e->core < 8 && e->cores >= 1 && e->cores <= 8);
                MUST(e->memory == MANIFEST_REST || (e->memory && e->memory % 4096 == 0));
                for (unsigned k = 0; k < i; k++)
                        MUST(strcmp(e->name, m.entry[k].name) != 0);
        }
        MUST(manifest_parse((const char *)data, size, &again, error, sizeof(error)));
        MUST(!memcmp(&m, &again, sizeof(m)));
        return 0;
}
