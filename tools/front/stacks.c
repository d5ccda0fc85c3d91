// SPDX-License-Identifier: MIT
/*
 * stacks.c -- a plugin of QEMU's: counts all instructions from reset on, by stacks of functions.
 *
 *   -plugin file=stacks.so,symbols=FILE,out=FILE
 *
 * symbols: lines of "ADDRESS LAYER NAME", by address; one reaches to the next, and the first is
 * at 0. out, when QEMU ends: lines of "LAYER;NAME;NAME... COUNT".
 *
 * Which function calls which is guessed from where blocks are: at a function's first address it
 * was called, elsewhere it was returned to. Each layer has a stack of its own. For one CPU.
 * Debian has no header for plugins, so what is used is declared here. [QEMU
 * docs/devel/tcg-plugins]
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
                                           void (*)(uint64_t id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned cpu, void *),
                                          int flags, void *);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*)(uint64_t id, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);

#define EXPORT __attribute__((visibility("default")))
EXPORT extern int qemu_plugin_version;
int qemu_plugin_version = API;
EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

#define DEEPEST 200

enum layer { PROGRAM, LINUX, OUZEL, PAGER, OTHER, LAYERS };
static const char *const layers[LAYERS] = {"program", "linux", "ouzel", "pager", "?"};

struct symbol { uint64_t va; enum layer layer; char name[128]; };
/* A function, called by its parent. */
struct node { struct node *parent, *child, *next; const struct symbol *symbol; uint64_t count; };
/* First: of its function. Vector: where an exception takes Linux. */
struct block { const struct symbol *symbol; size_t instructions; bool first, vector; };

static struct symbol *symbols;
static size_t n_symbols;
static struct node roots[LAYERS];
static struct { struct node *at; unsigned depth; } stacks[LAYERS];
static enum layer before = OTHER; /* that ran last ... */
static enum layer user = OTHER;   /* ... other than Ouzel's kernel */
static const char *out;

static struct node *called(struct node *parent, const struct symbol *symbol)
{
        struct node *n = parent->child;

        while (n && n->symbol != symbol)
                n = n->next;
        if (n)
                return n;
        n = calloc(1, sizeof(*n));
        if (!n)
                abort();
        *n = (struct node){.parent = parent, .next = parent->child, .symbol = symbol};
        return parent->child = n;
}

static void push(enum layer l, const struct symbol *symbol)
{
        if (stacks[l].depth == DEEPEST)
                return;
        stacks[l].at = called(stacks[l].at, symbol);
        stacks[l].depth++;
}

/* Down to where the function was left; if it is nowhere, it takes the place of what is on top. */
static void back(enum layer l, const struct symbol *symbol)
{
        unsigned depth = stacks[l].depth;
        struct node *n = stacks[l].at;

        while (depth && n->symbol != symbol) {
                n = n->parent;
                depth--;
        }
        if (depth) {
                stacks[l].at = n;
                stacks[l].depth = depth;
                return;
        }
        if (stacks[l].depth) {
                stacks[l].at = stacks[l].at->parent;
                stacks[l].depth--;
        }
        push(l, symbol);
}

static void empty(enum layer l)
{
        stacks[l].at = &roots[l];
        stacks[l].depth = 0;
}

static void block_runs(unsigned cpu, void *data)
{
        const struct block *b = data;
        enum layer l = b->symbol->layer;

        (void)cpu;
        /* Ouzel's kernel leaves nothing on its stack; nor does Linux when a program runs. */
        if (!stacks[l].at || (l == OUZEL && before != OUZEL) || (b->vector && user == PROGRAM))
                empty(l);
        if (!stacks[l].depth || stacks[l].at->symbol != b->symbol) {
                if (b->first || b->vector)
                        push(l, b->symbol);
                else
                        back(l, b->symbol);
        }
        stacks[l].at->count += b->instructions;
        before = l;
        if (l != OUZEL)
                user = l;
}

static const struct symbol *find(uint64_t va)
{
        size_t low = 0, high = n_symbols;

        while (high - low > 1) {
                size_t middle = (low + high) / 2;
                if (symbols[middle].va <= va)
                        low = middle;
                else
                        high = middle;
        }
        return &symbols[low];
}

static void block_made(uint64_t id, struct qemu_plugin_tb *tb)
{
        struct block *b = malloc(sizeof(*b)); /* QEMU may run it as long as it lives */
        uint64_t va = qemu_plugin_tb_vaddr(tb);

        (void)id;
        if (!b)
                abort();
        b->symbol = find(va);
        b->instructions = qemu_plugin_tb_n_insns(tb);
        b->first = b->symbol->va == va;
        b->vector = b->symbol->layer == LINUX && !strcmp(b->symbol->name, "vectors");
        qemu_plugin_register_vcpu_tb_exec_cb(tb, block_runs, 0, b);
}

static void write_path(FILE *f, const struct node *n, enum layer l)
{
        if (n->parent)
                write_path(f, n->parent, l);
        fprintf(f, "%s%s", n->symbol ? ";" : "", n->symbol ? n->symbol->name : layers[l]);
}

static void write_nodes(FILE *f, const struct node *n, enum layer l)
{
        if (n->count) {
                write_path(f, n, l);
                fprintf(f, " %lu\n", n->count);
        }
        for (const struct node *c = n->child; c; c = c->next)
                write_nodes(f, c, l);
}

static void write_all(uint64_t id, void *unused)
{
        FILE *f = fopen(out, "w");

        (void)id;
        (void)unused;
        for (enum layer l = 0; f && l < LAYERS; l++)
                write_nodes(f, &roots[l], l);
        if (!f || fclose(f))
                fprintf(stderr, "stacks: can't write %s\n", out);
}

static bool read_symbols(const char *path)
{
        FILE *f = fopen(path, "r");
        char name[32];
        struct symbol s;

        while (f && fscanf(f, "%lx %31s %127s", &s.va, name, s.name) == 3) {
                s.layer = PROGRAM;
                while (s.layer < OTHER && strcmp(layers[s.layer], name))
                        s.layer++;
                symbols = realloc(symbols, (n_symbols + 1) * sizeof(s));
                if (!symbols)
                        abort();
                symbols[n_symbols++] = s;
        }
        if (f)
                fclose(f);
        return n_symbols && !symbols[0].va;
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
        bool read = false;

        (void)info;
        for (int i = 0; i < argc; i++) {
                if (!strncmp(argv[i], "symbols=", 8))
                        read = read_symbols(argv[i] + 8);
                if (!strncmp(argv[i], "out=", 4))
                        out = strdup(argv[i] + 4);
        }
        if (!read || !out) {
                fprintf(stderr, "stacks: expected symbols=FILE,out=FILE, the first symbol at 0\n");
                return 1;
        }
        qemu_plugin_register_vcpu_tb_trans_cb(id, block_made);
        qemu_plugin_register_atexit_cb(id, write_all, NULL);
        return 0;
}
