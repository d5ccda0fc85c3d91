// SPDX-License-Identifier: MIT
/*
 * files.c -- file work of several clients on a disk's ext4, as dbench does it: every client has
 * a folder of its own, and makes calls in about the proportions of dbench's table of a Windows
 * client's (its client.txt). Each client's dice are its own, so both sides make the same calls;
 * all clients together make as many, whatever their number.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "rows.h"

#define GROUP "debian"
#define TOP "/mnt/root/clients" /* on the disk: start.sh mounts it */
#define NAMES 24                /* that a client's files may have */
#define FILE_SIZE (256 * KIB)   /* at most */
#define IO_SIZE (64 * KIB)

struct client {
        unsigned number, calls;
        uint64_t dice, sum;
        int fd;
};

static unsigned dice(struct client *c, unsigned sides)
{
        c->dice = c->dice * 6364136223846793005 + 1442695040888963407;
        return (unsigned)(c->dice >> 33) % sides;
}

static const char *some_name(struct client *c)
{
        static char names[2][64];
        static unsigned turn;
        char *name = names[++turn % 2]; /* rename() needs two */

        snprintf(name, sizeof(names[0]), TOP "/%u/file%u", c->number, dice(c, NAMES));
        return name;
}

static void call_open(struct client *c)
{
        int fd = open(some_name(c), O_RDWR | (dice(c, 4) ? 0 : O_CREAT) | O_CLOEXEC, 0600);

        if (fd < 0) {
                c->sum++;
                return;
        }
        if (c->fd >= 0)
                close(c->fd);
        c->fd = fd;
}

static void call_read(struct client *c)
{
        static unsigned char data[IO_SIZE];
        ssize_t size = pread(c->fd, data, 1 + dice(c, IO_SIZE), dice(c, FILE_SIZE - IO_SIZE));

        REQUIRE(size >= 0);
        c->sum += (uint64_t)size + (size ? data[size - 1] : 0);
}

static void call_write(struct client *c)
{
        static unsigned char data[IO_SIZE];
        unsigned size = 1 + dice(c, IO_SIZE);

        data[0] = data[size - 1] = (unsigned char)size;
        REQUIRE(pwrite(c->fd, data, size, dice(c, FILE_SIZE - IO_SIZE)) == size);
}

static void call_stat(struct client *c)
{
        struct stat st;

        c->sum += stat(some_name(c), &st) ? 1 : (uint64_t)st.st_size;
}

static void call_fstat(struct client *c)
{
        struct stat st;

        REQUIRE(!fstat(c->fd, &st));
        c->sum += (uint64_t)st.st_size;
}

static void call_statfs(struct client *c)
{
        struct statfs st;

        REQUIRE(!statfs(TOP, &st));
        c->sum += (uint64_t)st.f_bsize; /* what is free depends on all clients */
}

static void call_list(struct client *c)
{
        struct dirent *entry;
        char name[64];
        DIR *folder;

        snprintf(name, sizeof(name), TOP "/%u", c->number);
        folder = opendir(name);
        REQUIRE(folder);
        while ((entry = readdir(folder)))
                c->sum += strlen(entry->d_name); /* their order is ext4's secret */
        closedir(folder);
}

static void call_rename(struct client *c)
{
        const char *from = some_name(c);

        c->sum += (uint64_t)rename(from, some_name(c)) & 1;
}

static void call_unlink(struct client *c)
{
        c->sum += (uint64_t)unlink(some_name(c)) & 1;
}

static void call_times(struct client *c)
{
        REQUIRE(!futimens(c->fd, NULL));
}

static void call_fsync(struct client *c)
{
        REQUIRE(!fsync(c->fd));
}

/* What one of `of` calls is. dbench: per 100 of WriteX 201 NTCreateX (142 of them end in a
   Close), 314 ReadX, 176 QueryPath, 70 Find, 40 Unlink, 33 QueryFS, 32 QueryFile, 16 SetFile,
   14 Flush, 8 Rename. */
static const struct {
        unsigned of;
        void (*call)(struct client *);
} mix[] = {
        { 314, call_read },   { 201, call_open },   { 176, call_stat },  { 100, call_write },
        { 70, call_list },    { 40, call_unlink },  { 33, call_statfs }, { 32, call_fstat },
        { 16, call_times },   { 14, call_fsync },   { 8, call_rename },
};

static void one_call(struct client *c)
{
        unsigned all = 0, n;

        for (unsigned i = 0; i < sizeof(mix) / sizeof(mix[0]); i++)
                all += mix[i].of;
        n = dice(c, all);
        for (unsigned i = 0;; n -= mix[i++].of)
                if (n < mix[i].of) {
                        mix[i].call(c);
                        return;
                }
}

static void client(void *argument)
{
        struct client *c = argument;

        for (unsigned i = 0; i < c->calls; i++)
                one_call(c);
}

/* A client starts with a folder of files that have something in them, and with one open. */
static void prepare(struct client *c)
{
        char name[64];

        snprintf(name, sizeof(name), TOP "/%u", c->number);
        REQUIRE(!mkdir(name, 0700));
        for (unsigned i = 0; i < NAMES; i++) {
                snprintf(name, sizeof(name), TOP "/%u/file%u", c->number, i);
                c->fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                REQUIRE(c->fd >= 0);
                for (unsigned n = 0; n < 3; n++)
                        call_write(c);
                if (i + 1 < NAMES)
                        close(c->fd);
        }
}

static uint64_t clients(unsigned n, unsigned ops)
{
        struct client *all = mmap(NULL, n * sizeof(*all), PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        uint64_t sum = 0;
        pid_t children[8];

        REQUIRE(all != MAP_FAILED && !system("rm -rf " TOP) && !mkdir(TOP, 0700));
        for (unsigned i = 0; i < n; i++) {
                all[i] = (struct client){ .number = i, .calls = ops / n, .dice = i + 1 };
                prepare(&all[i]);
        }
        sync();
        soak(); /* what waits for the disk is not counted */
        begin();
        for (unsigned i = 0; i < n; i++)
                children[i] = spawn(client, &all[i]);
        for (unsigned i = 0; i < n; i++)
                REQUIRE(join(children[i]));
        end();
        did(ops / n * n);
        for (unsigned i = 0; i < n; i++)
                sum = sum * 31 + all[i].sum;
        return sum;
}

ROW(files_1, 8000, "file call of a mix as dbench's, on a disk's ext4; 1 client")
{
        return clients(1, ops);
}

ROW(files_4, 8000, "file call of the same mix, 4 clients at once")
{
        return clients(4, ops);
}
