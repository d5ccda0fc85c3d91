// SPDX-License-Identifier: MIT
/* libouzel.c -- what picolibc needs from below, and the texts of errors. */
#include <ouzel/pager.h>
#include <ouzel/user.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

uint64_t ouzel_printed;
static char pending[24];
static unsigned n_pending;

static void flush(void)
{
        struct message m = {.tag = MSG_TAG(PAGER_PRINT, 4), .w = {n_pending}};
        uint64_t *w = &m.w[1];

        for (unsigned i = 0; i < n_pending; i++)
                w[i / 8] |= (uint64_t)(unsigned char)pending[i] << (i % 8 * 8);
        /* Who may not use the console asks the pager to. */
        if (n_pending && ouzel_debug_write(n_pending, w[0], w[1], w[2], 0).error)
                ipc_call(SLOT_PARENT, &m);
        ouzel_printed += n_pending;
        n_pending = 0;
}

static int put(char c, FILE *file)
{
        (void)file;
        pending[n_pending++] = c;
        if (c == '\n' || n_pending == sizeof(pending))
                flush();
        return 0;
}

static int get(FILE *file)
{
        (void)file;
        flush();
        for (;;) {
                struct ouzel_result r = ouzel_debug_read(0, 0, 0, 0, 0);
                if (!r.error)
                        return (int)r.v1;
                if (r.error != E_AGAIN)
                        return EOF;
                ouzel_thread_yield(0, 0, 0, 0, 0);
        }
}

static int flush_file(FILE *file)
{
        (void)file;
        flush();
        return 0;
}

static FILE console = FDEV_SETUP_STREAM(put, get, flush_file, _FDEV_SETUP_RW);
FILE *const stdin = &console;
FILE *const stdout = &console;
FILE *const stderr = &console;

extern char __heap_start[], __heap_end[];

void *sbrk(ptrdiff_t n)
{
        static char *at = __heap_start;
        char *old = at;

        if (n > __heap_end - at || n < __heap_start - at) {
                errno = ENOMEM;
                return (void *)-1;
        }
        at += n;
        return old;
}

_Noreturn void _exit(int status)
{
        struct message m = {.tag = MSG_TAG(PAGER_EXIT, 1), .w = {(uint64_t)status}};

        flush();
        ipc_call(SLOT_PARENT, &m);
        for (;;) /* nobody to tell: as a fault, at least it is seen */
                __asm__ volatile("brk #0");
}

const char *error_text(enum ouzel_error error)
{
        static const char *const texts[] = {
#define OUZEL_E(nr, name, text) [nr] = text,
                OUZEL_ERRORS(OUZEL_E)
#undef OUZEL_E
        };

        return error < sizeof(texts) / sizeof(texts[0]) ? texts[error] : "unknown error";
}
