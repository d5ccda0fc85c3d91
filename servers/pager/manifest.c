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

#define FAIL(...)                                                              \
        do {                                                                   \
                int n_ = snprintf(error, error_size, "line %u: ", line);       \
                snprintf(error + n_, error_size - (size_t)n_, __VA_ARGS__);    \
                return false;                                                  \
        } while (0)

static bool finish(const struct manifest *m, unsigned line, char *error, size_t error_size)
{
        const struct manifest_entry *e = m->n ? &m->entry[m->n - 1] : NULL;

        if (e && !e->file[0])
                FAIL("`%s` has no `file`", e->name);
        return true;
}

/* `calls` may name programs that come later: found when all have been read. */
static bool calls_find(struct manifest *m, char *error, size_t error_size)
{
        for (struct manifest_entry *e = m->entry; e < m->entry + m->n; e++) {
                unsigned line = e->calls_line;
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
        const char *end = text + size;
        unsigned line = 0;

        memset(m, 0, sizeof(*m));
        while (text < end) {
                char buffer[512], *word[WORDS], *p = buffer;
                const char *next = memchr(text, '\n', (size_t)(end - text));
                size_t length = (size_t)((next ? next : end) - text);
                unsigned n = 0;
                uint64_t v;

                line++;
                if (length >= sizeof(buffer))
                        FAIL("longer than %zu characters", sizeof(buffer) - 1);
                for (size_t i = 0; i < length; i++)
                        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 127)
                                FAIL("character %zu is no text (code %u); lines end with a line "
                                     "feed alone", i + 1, (unsigned)(unsigned char)text[i]);
                memcpy(buffer, text, length);
                buffer[length] = 0;
                text = next ? next + 1 : end;
                const char *rest = "";
                while (*p) {
                        while (*p == ' ' || *p == '\t')
                                *p++ = 0;
                        if (!*p || *p == '#')
                                break;
                        if (n == 1 && !strcmp(word[0], "append")) { /* takes the line as it is */
                                rest = p;
                                break;
                        }
                        if (n == WORDS)
                                FAIL("more than %d words", WORDS);
                        word[n++] = p;
                        while (*p && *p != ' ' && *p != '\t')
                                p++;
                }
                *p = p == rest ? *p : 0;
                if (!n)
                        continue;
                bool top = buffer[0];
                if (top) {
                        bool is_linux = !strcmp(word[0], "linux");
                        if (!is_linux && strcmp(word[0], "program"))
                                FAIL("`%s` begins no block; expected `program NAME` or `linux`, or "
                                     "an indented setting", word[0]);
                        if (n != (is_linux ? 1 : 2))
                                FAIL(is_linux ? "`linux` takes no name" : "expected `program NAME`");
                        if (!finish(m, line, error, error_size))
                                return false;
                        if (m->n == MANIFEST_ENTRIES)
                                FAIL("more than %d programs", MANIFEST_ENTRIES);
                        struct manifest_entry *e = &m->entry[m->n];
                        if (!copy(e->name, sizeof(e->name), is_linux ? "linux" : word[1]))
                                FAIL("name `%s` is too long", word[1]);
                        for (unsigned i = 0; i < m->n; i++)
                                if (!strcmp(m->entry[i].name, e->name))
                                        FAIL("`%s` is there already, in line %u", e->name,
                                             m->entry[i].line);
                        m->n++;
                        e->is_linux = is_linux;
                        e->line = line;
                        e->memory = is_linux ? MANIFEST_REST : 1 << 20;
                        e->quota = is_linux ? MANIFEST_REST : 256 << 10;
                        e->priority = is_linux ? 64 : 100;
                        e->cores = 1;
                        e->restart = is_linux ? 3 : 0;
                        continue;
                }
                if (!m->n)
                        FAIL("a setting before any `program` or `linux`");
                struct manifest_entry *e = &m->entry[m->n - 1];
                const char *key = word[0];
                if (!strcmp(key, "append")) {
                        if (!copy(e->append, sizeof(e->append), rest))
                                FAIL("command line is longer than %zu characters",
                                     sizeof(e->append) - 1);
                        continue;
                }
                bool *flag = !strcmp(key, "control") ? &e->control
                             : !strcmp(key, "manual") ? &e->manual
                             : !strcmp(key, "private") ? &e->private : NULL;
                if (flag) {
                        if (n != 1)
                                FAIL("`%s` takes no value", key);
                        *flag = true;
                        continue;
                }
                if (!strcmp(key, "calls")) {
                        e->calls_line = line;
                        for (unsigned i = 1; i < n; i++) {
                                if (e->n_calls == MANIFEST_CALLS)
                                        FAIL("more than %d programs to call", MANIFEST_CALLS);
                                if (!copy(e->call_names[e->n_calls++], sizeof(e->call_names[0]),
                                          word[i]))
                                        FAIL("name `%s` is too long", word[i]);
                        }
                        continue;
                }
                if (!strcmp(key, "devices")) {
                        for (unsigned i = 1; i < n; i++) {
                                if (e->n_devices == MANIFEST_DEVICES)
                                        FAIL("more than %d devices", MANIFEST_DEVICES);
                                if (!copy(e->devices[e->n_devices++], sizeof(e->devices[0]),
                                          word[i]))
                                        FAIL("device `%s` has too long a name", word[i]);
                        }
                        continue;
                }
                if (n != 2)
                        FAIL("`%s` takes one value", key);
                if (!strcmp(key, "file")) {
                        if (!copy(e->file, sizeof(e->file), word[1]))
                                FAIL("file name `%s` is too long", word[1]);
                } else if (!strcmp(key, "memory") || !strcmp(key, "quota")) {
                        if (!strcmp(word[1], "rest"))
                                v = MANIFEST_REST;
                        else if (!number(word[1], 1ul << 40, &v) || !v || v % 4096)
                                FAIL("`%s` is no size: expected a multiple of 4096 such as 64K, 1M, "
                                     "2G, or `rest`", word[1]);
                        *(key[0] == 'm' ? &e->memory : &e->quota) = v;
                } else if (!strcmp(key, "extra")) {
                        if (!number(word[1], 1ul << 40, &e->extra) || e->extra % 4096)
                                FAIL("`%s` is no size: expected a multiple of 4096 such as 64K",
                                     word[1]);
                } else if (!strcmp(key, "priority")) {
                        if (!number(word[1], 254, &v))
                                FAIL("`%s` is no priority: expected 0 to 254", word[1]);
                        e->priority = (unsigned)v;
                } else if (!strcmp(key, "core") || !strcmp(key, "cores")) {
                        bool many = key[4];
                        if (!number(word[1], many ? 8 : 7, &v) || (many && !v))
                                FAIL("`%s`: expected %s", word[1],
                                     many ? "1 to 8 cores" : "core 0 to 7");
                        *(many ? &e->cores : &e->core) = (unsigned)v;
                } else if (!strcmp(key, "restart")) {
                        if (!number(word[1], 1000, &v))
                                FAIL("`%s`: expected how often, 0 to 1000", word[1]);
                        e->restart = (unsigned)v;
                } else {
                        FAIL("unknown setting `%s`; there are file, memory, quota, extra, "
                             "priority, core, cores, devices, calls, restart, control, manual, "
                             "private, append", key);
                }
        }
        line++;
        return finish(m, line, error, error_size) && calls_find(m, error, error_size);
}
