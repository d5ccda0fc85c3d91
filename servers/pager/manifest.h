/* SPDX-License-Identifier: MIT */
/*
 * manifest.h -- what the system consists of: a text that a person writes. Pure; the same
 * parser checks it when an image is built. docs/manifest.md describes it to its writers.
 */
#ifndef MANIFEST_H
#define MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_ENTRIES 16
#define MANIFEST_DEVICES 32
#define MANIFEST_CALLS   8

struct manifest_entry {
        bool is_linux;        /* the Linux server; else a native program */
        unsigned line;
        char name[24], file[40], append[256];
        uint64_t memory;      /* bytes; MANIFEST_REST = what is left, or the largest piece */
        uint64_t extra;       /* bytes that it may ask for later */
        uint64_t quota;       /* bytes of kernel memory */
        unsigned priority, core, cores, restart;
        bool control;         /* gets the control capability: console, counters, power */
        bool manual;          /* not started at boot */
        bool private;         /* native: no page is mapped from the archive */
        bool wx;              /* process spaces may map its memory writable and executable */
        bool called;          /* some program calls it: it needs an endpoint */
        unsigned n_calls, calls_line;
        uint8_t calls[MANIFEST_CALLS]; /* entries that it gets an endpoint to */
        char call_names[MANIFEST_CALLS][24];
        unsigned n_devices;
        char devices[MANIFEST_DEVICES][40]; /* device-tree `compatible` strings */
};
#define MANIFEST_REST UINT64_MAX

struct manifest {
        struct manifest_entry entry[MANIFEST_ENTRIES];
        unsigned n;
};

/* False: error holds "line N: what is wrong". */
bool manifest_parse(const char *text, size_t size, struct manifest *m, char *error,
                    size_t error_size);

#endif
