// SPDX-License-Identifier: MIT
/*
 * apps.c -- whole programs: apps.sh says what each does. Measured from the shell that starts
 * them to the end of all, and what they print is the result that must be the same.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "rows.h"

#define GROUP "application"

struct step {
        const char *verb, *name;
        unsigned n;
        int out;
};

static void run_step(void *argument)
{
        struct step *s = argument;
        char n[16];

        snprintf(n, sizeof(n), "%u", s->n);
        dup2(s->out, STDOUT_FILENO);
        execl("/bin/sh", "sh", "/test/apps.sh", s->verb, s->name, n, NULL);
        _exit(127);
}

/* Its output's hash (FNV-1a). */
static uint64_t app(const char *name, unsigned n)
{
        struct step prepare = { "prepare", name, n, STDERR_FILENO }, run = { "run", name, n, -1 };
        uint64_t hash = 14695981039346656037u;
        unsigned char text[512];
        ssize_t size;
        int ends[2];
        pid_t child;

        REQUIRE(join(spawn(run_step, &prepare)));
        soak(); /* first: it would keep the pipe open */
        REQUIRE(!pipe2(ends, O_CLOEXEC));
        run.out = ends[1];
        begin();
        child = spawn(run_step, &run);
        close(ends[1]);
        while ((size = read(ends[0], text, sizeof(text))) > 0)
                for (ssize_t i = 0; i < size; i++)
                        hash = (hash ^ text[i]) * 1099511628211;
        REQUIRE(join(child));
        end();
        return hash;
}

ROW(tar_gzip, 10, "tar | gzip of 200 files in memory, and its list (busybox), per folder of 20")
{
        return app("tar_gzip", ops);
}

ROW(untar, 10, "gunzip | tar x, and md5sum of all (busybox), per folder of 20 files")
{
        return app("untar", ops);
}

ROW(shell_loop, 20000, "round of a shell's loop, every 100th with $(echo | cat)")
{
        return app("shell_loop", ops);
}

ROW(find_grep, 10, "find, grep, sort, md5sum over files in memory, per folder of 20")
{
        return app("find_grep", ops);
}

#undef GROUP
#define GROUP "debian"

ROW(gcc, 1, "make of three files of bzip2 by gcc -O1")
{
        return app("gcc", ops);
}

/* hackbench as it comes switches tasks 10 to 70 times in 800 messages, on either side, as chance
   has it, and a switch is dear: as SCHED_BATCH 11 to 17 times. */
ROW(hackbench, 60, "800 messages of hackbench -g 2 (SCHED_BATCH): 80 processes, socket pairs")
{
        batch();
        return app("hackbench", ops);
}

ROW(hackbench_threads, 60, "800 messages of hackbench -T -g 2 (SCHED_BATCH): 80 threads")
{
        batch();
        return app("hackbench_threads", ops);
}

ROW(sqlite, 10000, "row of a table that SQLite fills, indexes, changes, on ext4")
{
        return app("sqlite", ops);
}

ROW(redis, 2000, "request of each of 5 kinds, redis-benchmark -c 20 over loopback")
{
        return app("redis", ops);
}

ROW(python_start, 5, "start of python3, with json and re")
{
        return app("python_start", ops);
}

ROW(python, 20, "round of pieces.py: numbers, objects, texts, files, threads, children")
{
        return app("python", ops);
}
