// SPDX-License-Identifier: MIT
/* boot.c -- the first rows: how Linux got here, and what memory is taken before anything ran. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "rows.h"

#define GROUP "boot"

ROW(boot, 1, "from reset to the first row: firmware, kernels, Linux's start, busybox's init")
{
        value(ops, start_time(), "instructions");
        return 0;
}

#undef GROUP
#define GROUP "memory"

/* A number out of a file of `name number` lines; 0 if there is no such file. */
static uint64_t fact(const char *path, const char *name)
{
        char text[4096], *at;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t size;

        if (fd < 0)
                return 0;
        size = read(fd, text, sizeof(text) - 1);
        close(fd);
        REQUIRE(size > 0);
        text[size] = 0;
        at = strstr(text, name);
        REQUIRE(at);
        return strtoul(at + strlen(name), NULL, 10);
}

uint64_t taken(void)
{
        return fact("/proc/meminfo", "MemTotal:") - fact("/proc/meminfo", "MemFree:") +
               fact("/sys/kernel/debug/ouzel/memory", "used ") * 4;
}

ROW(taken_after_boot, 1, "KiB of the machine that programs can't have: kernels, pager, tables")
{
        value(ops, machine_kib() - fact("/proc/meminfo", "MemAvailable:"), "KiB");
        return 0;
}
