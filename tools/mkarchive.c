// SPDX-License-Identifier: MIT
/*
 * mkarchive -- check a manifest, and make the boot archive (cpio, newc with checksums).
 *
 * usage: mkarchive OUT MANIFEST NAME=FILE...
 *
 * The manifest is checked by the pager's own parser, and every file that it names must be
 * among the arguments. Byte for byte the same for the same inputs.
 */
#include "archive.h"
#include "manifest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *out;

static _Noreturn void fail(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
        exit(1);
}

static uint8_t *read_file(const char *path, size_t *size)
{
        FILE *f = fopen(path, "rb");
        uint8_t *data = NULL;
        size_t n = 0, got;

        if (!f)
                fail("mkarchive: can't open %s", path);
        do {
                data = realloc(data, n + (1 << 20));
                if (!data)
                        fail("mkarchive: no memory for %s", path);
                got = fread(data + n, 1, 1 << 20, f);
                n += got;
        } while (got);
        fclose(f);
        *size = n;
        return data;
}

static void put(const char *name, const uint8_t *data, size_t size)
{
        static unsigned inode;
        size_t n = strlen(name) + 1;

        /* magic, inode, mode, uid, gid, links, mtime, size, device, rdevice, namesize, check */
        fprintf(out, "070702%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", ++inode,
                0100644, 0, 0, 1, 0, size, 0, 0, 0, 0, n, archive_sum(data, size));
        fwrite(name, 1, n, out);
        for (size_t i = 110 + n; i % 4; i++)
                fputc(0, out);
        if (size)
                fwrite(data, 1, size, out);
        for (size_t i = size; i % 4; i++)
                fputc(0, out);
}

int main(int argc, char **argv)
{
        static struct manifest manifest;
        char error[200];
        size_t size;

        if (argc < 3)
                fail("usage: mkarchive OUT MANIFEST NAME=FILE...");
        uint8_t *text = read_file(argv[2], &size);
        if (!manifest_parse((const char *)text, size, &manifest, error, sizeof(error)))
                fail("%s: %s", argv[2], error);
        for (unsigned i = 0; i < manifest.n; i++) {
                const char *file = manifest.entry[i].file;
                size_t n = strlen(file);
                int k = 3;
                while (k < argc && !(strlen(argv[k]) > n && !strncmp(argv[k], file, n) &&
                                     argv[k][n] == '='))
                        k++;
                if (k == argc)
                        fail("%s: line %u: `%s` wants a file `%s`, which is not given", argv[2],
                             manifest.entry[i].line, manifest.entry[i].name, file);
        }
        out = fopen(argv[1], "wb");
        if (!out)
                fail("mkarchive: can't write %s", argv[1]);
        put("manifest", text, size);
        for (int k = 3; k < argc; k++) {
                char *equals = strchr(argv[k], '=');
                if (!equals)
                        fail("mkarchive: expected NAME=FILE, got %s", argv[k]);
                *equals = 0;
                uint8_t *data = read_file(equals + 1, &size);
                put(argv[k], data, size);
                free(data);
        }
        put("TRAILER!!!", NULL, 0);
        if (fclose(out))
                fail("mkarchive: can't write %s", argv[1]);
        return 0;
}
