// SPDX-License-Identifier: MIT
/* memory.c -- page faults and mappings. */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "rows.h"

#define GROUP "syscall"
#define AROUND (64 * KIB) /* Linux maps what is cached around a fault: fault_around_bytes */

ROW(anon_fault, 4096, "first write to a page of anonymous memory")
{
        char *area = mmap(NULL, ops * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                          -1, 0);

        REQUIRE(area != MAP_FAILED);
        begin();
        for (unsigned i = 0; i < ops; i++)
                *(volatile char *)(area + i * PAGE) = 1;
        end();
        return ops;
}

ROW(file_fault, 512, "first read in 64 KiB of a mapped file: one fault, 16 pages")
{
        int fd = known_file(ops * AROUND);
        char *area = mmap(NULL, ops * AROUND, PROT_READ, MAP_SHARED, fd, 0);
        uint64_t sum = 0;

        REQUIRE(area != MAP_FAILED);
        begin();
        for (unsigned i = 0; i < ops; i++)
                sum += *(volatile uint64_t *)(area + i * AROUND);
        end();
        return sum;
}

ROW(mmap_1m, 100, "mmap() of 1 MiB, a write to each page, munmap()")
{
        begin();
        for (unsigned i = 0; i < ops; i++) {
                char *area = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                REQUIRE(area != MAP_FAILED);
                for (size_t at = 0; at < MIB; at += PAGE)
                        *(volatile char *)(area + at) = 1;
                REQUIRE(!munmap(area, MIB));
        }
        end();
        return ops;
}

ROW(mprotect_pair, 4000, "mprotect() of a page to read-only and back, and a write to it")
{
        char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        REQUIRE(page != MAP_FAILED);
        *(volatile char *)page = 1;
        begin();
        for (unsigned i = 0; i < ops; i++) {
                REQUIRE(!mprotect(page, PAGE, PROT_READ));
                REQUIRE(!mprotect(page, PAGE, PROT_READ | PROT_WRITE));
                (*(volatile char *)page)++;
        }
        end();
        return (unsigned char)*page;
}

ROW(file_reread, 24, "read() of a cached file, 1 MiB by 64 KiB")
{
        static char buffer[64 * KIB];
        int fd = known_file(MIB);
        uint64_t sum = 0;

        begin();
        for (unsigned i = 0; i < ops; i++)
                for (size_t at = 0; at < MIB; at += sizeof(buffer)) {
                        REQUIRE(pread(fd, buffer, sizeof(buffer), (off_t)at) == sizeof(buffer));
                        sum += sum_words(buffer, PAGE);
                }
        end();
        return sum;
}

ROW(mmap_reread, 24, "1 MiB of a cached file mapped, read and unmapped")
{
        int fd = known_file(MIB);
        uint64_t sum = 0;

        begin();
        for (unsigned i = 0; i < ops; i++) {
                void *area = mmap(NULL, MIB, PROT_READ, MAP_SHARED, fd, 0);
                REQUIRE(area != MAP_FAILED);
                sum += sum_words(area, MIB);
                REQUIRE(!munmap(area, MIB));
        }
        end();
        return sum;
}
