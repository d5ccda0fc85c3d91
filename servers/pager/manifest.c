// SPDX-License-Identifier: MIT
#include "manifest.h"

#include <stdio.h>
#include <string.h>

#define WORDS 40

static bool number(const char *s, uint64_t max, uint64_t *v)
{
        *v = 0;
        if (!*s)
                return false;
        for (; *s >= '0' && *s <= '9'; s++) {
                uint64_t digit = (uint64_t)(*s - '0');
                if (digit > max || *v > (max - digit) / 10)
                        return false;
                *v = *v * 10 + digit;
        }
        unsigned shift = *s == 'K' ? 10 : *s == 'M' ? 20 : *s == 'G' ? 30 : 0;
        if (shift && (s++, *v > max >> shift))
                return false;
        *v <<= shift;
        return !*s;
}

static bool copy(char *to, size_t size, const char *from)
{
        size_t n = strlen(from);

        if (n >= size)
                return false;
        memcpy(to, from, n + 1);
        return true;
}

struct parser {
        struct manifest *m;
        unsigned line;
        char *error;
        size_t error_size;
        char buffer[512]; /* the line, cut into words */
        char *word[WORDS];
        unsigned n;
        const char *rest; /* what follows `append`, as it is */
};

#define FAIL(...)                                                              \
        do {                                                                   \
                int n_ = snprintf(p->error, p->error_size, "line %u: ", p->line); \
                snprintf(p->error + n_, p->error_size - (size_t)n_, __VA_ARGS__); \
                return false;                                                  \
        } while (0)

/* The line as words, up to a comment. */
static bool words(struct parser *p, const char *text, size_t length)
{
        char *at = p->buffer;

        p->n = 0;
        p->rest = "";
        if (length >= sizeof(p->buffer))
                FAIL("longer than %zu characters", sizeof(p->buffer) - 1);
        for (size_t i = 0; i < length; i++)
                if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 127)
                        FAIL("character %zu is no text (code %u); lines end with a line feed "
                             "alone", i + 1, (unsigned)(unsigned char)text[i]);
        memcpy(p->buffer, text, length);
        p->buffer[length] = 0;
        while (*at) {
                while (*at == ' ' || *at == '\t')
                        *at++ = 0;
                if (!*at || *at == '#')
                        break;
                if (p->n == 1 && !strcmp(p->word[0], "append")) { /* takes the line as it is */
                        p->rest = at;
                        return true;
                }
                if (p->n == WORDS)
                        FAIL("more than %d words", WORDS);
                p->word[p->n++] = at;
                while (*at && *at != ' ' && *at != '\t')
                        at++;
        }
        *at = 0;
        return true;
}

/* The last program is complete. */
static bool finish(struct parser *p)
{
        const struct manifest_entry *e = p->m->n ? &p->m->entry[p->m->n - 1] : NULL;

        if (e && !e->file[0])
                FAIL("`%s` has no `file`", e->name);
        return true;
}

static bool begin(struct parser *p)
{
        struct manifest *m = p->m;
        bool is_linux = !strcmp(p->word[0], "linux");

        if (!is_linux && strcmp(p->word[0], "program"))
                FAIL("`%s` begins no block; expected `program NAME` or `linux`, or an indented "
                     "setting", p->word[0]);
        if (p->n != (is_linux ? 1 : 2))
                FAIL(is_linux ? "`linux` takes no name" : "expected `program NAME`");
        if (!finish(p))
                return false;
        if (m->n == MANIFEST_ENTRIES)
                FAIL("more than %d programs", MANIFEST_ENTRIES);
        struct manifest_entry *e = &m->entry[m->n];
        if (!copy(e->name, sizeof(e->name), is_linux ? "linux" : p->word[1]))
                FAIL("name `%s` is too long", p->word[1]);
        for (unsigned i = 0; i < m->n; i++)
                if (!strcmp(m->entry[i].name, e->name))
                        FAIL("`%s` is there already, in line %u", e->name, m->entry[i].line);
        m->n++;
        e->is_linux = is_linux;
        e->line = p->line;
        e->memory = is_linux ? MANIFEST_REST : 1 << 20;
        e->quota = is_linux ? MANIFEST_REST : 256 << 10;
        e->priority = is_linux ? 64 : 100;
        e->cores = 1;
        e->restart = is_linux ? 3 : 0;
        e->wx = is_linux; /* whose programs make code as they run */
        return true;
}

static bool calls(struct parser *p, struct manifest_entry *e)
{
        e->calls_line = p->line;
        for (unsigned i = 1; i < p->n; i++) {
                if (e->n_calls == MANIFEST_CALLS)
                        FAIL("more than %d programs to call", MANIFEST_CALLS);
                if (!copy(e->call_names[e->n_calls++], sizeof(e->call_names[0]), p->word[i]))
                        FAIL("name `%s` is too long", p->word[i]);
        }
        return true;
}

static bool devices(struct parser *p, struct manifest_entry *e)
{
        for (unsigned i = 1; i < p->n; i++) {
                if (e->n_devices == MANIFEST_DEVICES)
                        FAIL("more than %d devices", MANIFEST_DEVICES);
                if (!copy(e->devices[e->n_devices++], sizeof(e->devices[0]), p->word[i]))
                        FAIL("device `%s` has too long a name", p->word[i]);
        }
        return true;
}

static bool size_of(struct parser *p, const char *text, bool rest, uint64_t *v)
{
        *v = MANIFEST_REST;
        if (rest && !strcmp(text, "rest"))
                return true;
        if (!number(text, 1ul << 40, v) || *v % 4096 || (rest && !*v))
                FAIL("`%s` is no size: expected a multiple of 4096 such as 64K, 1M, 2G%s", text,
                     rest ? ", or `rest`" : "");
        return true;
}

/* A setting of one value. */
static bool value(struct parser *p, struct manifest_entry *e, const char *key, const char *text)
{
        uint64_t v;

        if (!strcmp(key, "file")) {
                if (!copy(e->file, sizeof(e->file), text))
                        FAIL("file name `%s` is too long", text);
        } else if (!strcmp(key, "memory")) {
                return size_of(p, text, true, &e->memory);
        } else if (!strcmp(key, "quota")) {
                return size_of(p, text, true, &e->quota);
        } else if (!strcmp(key, "extra")) {
                return size_of(p, text, false, &e->extra);
        } else if (!strcmp(key, "priority")) {
                if (!number(text, 254, &v))
                        FAIL("`%s` is no priority: expected 0 to 254", text);
                e->priority = (unsigned)v;
        } else if (!strcmp(key, "core")) {
                if (!number(text, 7, &v))
                        FAIL("`%s`: expected core 0 to 7", text);
                e->core = (unsigned)v;
        } else if (!strcmp(key, "cores")) {
                if (!number(text, 8, &v) || !v)
                        FAIL("`%s`: expected 1 to 8 cores", text);
                e->cores = (unsigned)v;
        } else if (!strcmp(key, "restart")) {
                if (!number(text, 1000, &v))
                        FAIL("`%s`: expected how often, 0 to 1000", text);
                e->restart = (unsigned)v;
        } else {
                FAIL("unknown setting `%s`; there are file, memory, quota, extra, priority, core, "
                     "cores, devices, calls, restart, control, manual, private, wx, append",
                     key);
        }
        return true;
}

static bool setting(struct parser *p)
{
        const char *key = p->word[0];

        if (!p->m->n)
                FAIL("a setting before any `program` or `linux`");
        struct manifest_entry *e = &p->m->entry[p->m->n - 1];
        bool *flag = !strcmp(key, "control") ? &e->control
                     : !strcmp(key, "manual") ? &e->manual
                     : !strcmp(key, "private") ? &e->private
                     : !strcmp(key, "wx") ? &e->wx : NULL;
        if (flag) {
                if (p->n != 1)
                        FAIL("`%s` takes no value", key);
                *flag = true;
                return true;
        }
        if (!strcmp(key, "append")) {
                if (!copy(e->append, sizeof(e->append), p->rest))
                        FAIL("command line is longer than %zu characters", sizeof(e->append) - 1);
                return true;
        }
        if (!strcmp(key, "calls"))
                return calls(p, e);
        if (!strcmp(key, "devices"))
                return devices(p, e);
        if (p->n != 2)
                FAIL("`%s` takes one value", key);
        return value(p, e, key, p->word[1]);
}

/* `calls` may name programs that come later: found when all have been read. */
static bool calls_find(struct parser *p)
{
        struct manifest *m = p->m;

        for (struct manifest_entry *e = m->entry; e < m->entry + m->n; e++) {
                p->line = e->calls_line;
                for (unsigned i = 0; i < e->n_calls; i++) {
                        unsigned k = 0;
                        while (k < m->n && strcmp(m->entry[k].name, e->call_names[i]))
                                k++;
                        if (k == m->n)
                                FAIL("`%s` calls `%s`, and there is no such program", e->name,
                                     e->call_names[i]);
                        if (&m->entry[k] == e)
                                FAIL("`%s` calls itself", e->name);
                        e->calls[i] = (uint8_t)k;
                        m->entry[k].called = true;
                }
        }
        return true;
}

bool manifest_parse(const char *text, size_t size, struct manifest *m, char *error,
                    size_t error_size)
{
        struct parser parser = {.m = m, .error = error, .error_size = error_size}, *p = &parser;
        const char *end = text + size;

        memset(m, 0, sizeof(*m));
        while (text < end) {
                const char *next = memchr(text, '\n', (size_t)(end - text));
                p->line++;
                if (!words(p, text, (size_t)((next ? next : end) - text)))
                        return false;
                text = next ? next + 1 : end;
                if (p->n && !(p->buffer[0] ? begin(p) : setting(p)))
                        return false;
        }
        p->line++;
        return finish(p) && calls_find(p);
}
