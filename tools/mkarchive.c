// SPDX-License-Identifier: MIT
/*
 * mkarchive -- check a manifest, and make the boot archive (cpio, newc with checksums).
 *
 * usage: mkarchive OUT MANIFEST NAME=FILE...
 *
 * The manifest is checked by the pager's own parser, and every file that it names must be
 * among the arguments. OUT is written only if all is well. Byte for byte the same for the
 * same inputs.
 */
#include "archive.h"
#include "manifest.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *out;

#define PAD "pad" /* the name of what fills up to a page */

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
        if (ferror(f)) /* a folder, for instance */
                fail("mkarchive: can't read %s", path);
        fclose(f);
        *size = n;
        return data;
}

/* Of an entry, what comes before the data. */
static size_t head_size(const char *name)
{
        return (110 + strlen(name) + 1 + 3) & ~(size_t)3;
}

static void entry(const char *name, const uint8_t *data, size_t size)
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

/* Files of a page and more begin on a page, so that the pager can map them where they are: an
 * entry of zeros goes before them. */
static void put(const char *name, const uint8_t *data, size_t size)
{
        static const uint8_t zeros[4096];
        size_t at = (size_t)ftell(out) + head_size(name);

        if (size >= 4096 && at % 4096)
                entry(PAD, zeros, (4096 - (at + head_size(PAD)) % 4096) % 4096);
        entry(name, data, size);
}

/* The arguments NAME=FILE, once they have been looked at. */
struct input { const char *name; uint8_t *data; size_t size; };

static void check_inputs(const struct input *in, int n)
{
        for (int i = 0; i < n; i++) {
                if (!strcmp(in[i].name, "manifest") || !strcmp(in[i].name, "TRAILER!!!") ||
                    !strcmp(in[i].name, PAD))
                        fail("mkarchive: a file can't be called `%s`: the archive has its own",
                             in[i].name);
                for (int k = 0; k < i; k++)
                        if (!strcmp(in[i].name, in[k].name))
                                fail("mkarchive: two files are called `%s`", in[i].name);
                if (in[i].size > UINT32_MAX)
                        fail("mkarchive: `%s` is larger than 4 GiB", in[i].name);
        }
}

/* Every file that the manifest names is there. */
static void check_manifest(const char *path, const struct manifest *m, const struct input *in,
                           int n)
{
        for (unsigned i = 0; i < m->n; i++) {
                const struct manifest_entry *e = &m->entry[i];
                int k = 0;
                while (k < n && strcmp(in[k].name, e->file))
                        k++;
                if (k == n)
                        fail("%s: line %u: `%s` wants a file `%s`, which is not given", path,
                             e->line, e->name, e->file);
        }
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
        int n = argc - 3;
        struct input *in = calloc((size_t)n + 1, sizeof(*in));
        if (!in)
                fail("mkarchive: no memory");
        for (int i = 0; i < n; i++) {
                char *equals = strchr(argv[3 + i], '=');
                if (!equals || equals == argv[3 + i] || !equals[1])
                        fail("mkarchive: expected NAME=FILE, got %s", argv[3 + i]);
                *equals = 0;
                in[i].name = argv[3 + i];
                in[i].data = read_file(equals + 1, &in[i].size);
        }
        check_inputs(in, n);
        check_manifest(argv[2], &manifest, in, n);
        out = fopen(argv[1], "wb");
        if (!out)
                fail("mkarchive: can't write %s", argv[1]);
        put("manifest", text, size);
        for (int i = 0; i < n; i++)
                put(in[i].name, in[i].data, in[i].size);
        put("TRAILER!!!", NULL, 0);
        bool failed = ferror(out);
        if (fclose(out) || failed)
                fail("mkarchive: can't write %s", argv[1]);
        return 0;
}
