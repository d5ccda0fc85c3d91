// SPDX-License-Identifier: MIT
/*
 * QEMU as its plugin tools/front/stacks.c sees it: makes blocks of two instructions at the
 * addresses of its arguments, and runs them in that order.
 *
 * usage: stacks SYMBOLS OUT ADDRESS...
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct qemu_plugin_tb { uint64_t va; };
static void (*made)(uint64_t id, struct qemu_plugin_tb *);
static void (*ended)(uint64_t id, void *);

extern int qemu_plugin_version;
int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
                                           void (*call)(uint64_t id, struct qemu_plugin_tb *))
{
        (void)id;
        made = call;
}

void qemu_plugin_register_atexit_cb(uint64_t id, void (*call)(uint64_t id, void *), void *data)
{
        (void)id;
        (void)data;
        ended = call;
}

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb)
{
        return tb ? 2 : 0;
}

uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb)
{
        return tb->va;
}

/* It runs as soon as it is made. */
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
                                          void (*run)(unsigned cpu, void *), int flags, void *data)
{
        (void)tb;
        (void)flags;
        run(0, data);
}

int main(int argc, char **argv)
{
        char symbols[512], out[512], *arguments[] = {symbols, out};

        if (argc < 3 || qemu_plugin_version != 1)
                return 2;
        snprintf(symbols, sizeof(symbols), "symbols=%s", argv[1]);
        snprintf(out, sizeof(out), "out=%s", argv[2]);
        if (qemu_plugin_install(1, NULL, 2, arguments))
                return 1;
        for (int i = 3; i < argc; i++) {
                struct qemu_plugin_tb tb = {strtoull(argv[i], NULL, 16)};
                made(1, &tb);
        }
        ended(1, NULL);
        return 0;
}
