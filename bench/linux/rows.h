/* SPDX-License-Identifier: MIT */
/*
 * rows.h -- what a row of `./ouzel bench linux` is written with.
 *
 * The program runs unchanged on Linux on Ouzel and on native Linux, in QEMU with -icount, where
 * a nanosecond of the guest's clock is one instruction. A row does its operation `ops` times
 * between begin() and end(), and returns a number that must be the same on both sides: what was
 * read, how many children ended well. Each row runs in a process of its own.
 */
#ifndef ROWS_H
#define ROWS_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#define PAGE 4096ul
#define KIB 1024ul
#define MIB (1024 * KIB)

struct row {
        const char *name, *group, *what;
        unsigned ops;
        uint64_t (*run)(unsigned ops);
        struct row *next;
};
void row_add(struct row *row);

/* ROW(name, ops, what one operation is) { begin(); ... end(); return check; }, GROUP defined. */
#define ROW(name_, ops_, what_)                                                             \
        static uint64_t run_##name_(unsigned ops);                                          \
        static struct row row_##name_ = { #name_, GROUP, what_, ops_, run_##name_, NULL };  \
        __attribute__((constructor)) static void add_##name_(void) { row_add(&row_##name_); } \
        static uint64_t run_##name_(unsigned ops)

/* Start and end of what is measured, at most one pair in a row. */
void begin(void);
void end(void);
/* How many operations it was, if not as many as asked for. */
void did(unsigned ops);
/* Instead of begin() and end(): a number in a unit of its own, for all operations together. */
void value(unsigned ops, uint64_t value, const char *unit);
/* Memory that the machine has, as --mem said. */
uint64_t machine_kib(void);
/* The clock when the program started, less what the first CPU had idled until then. */
uint64_t start_time(void);
void mark_begin(void);
void mark_end(void);
/* From here on a process of the lowest class takes what time is left, and is not counted: for
   rows that wait, since a machine that idles has instructions per wait, but no end of it. */
void soak(void);
/* From here on nobody of this row interrupts whoever wakes him (SCHED_BATCH). Otherwise the
   scheduler's accounts of the past decide whether he does, and with that which system calls an
   operation needs, and how many switches. Rows of single operations do this by themselves. */
void batch(void);

/* What has to be so, or the row says which line failed, and has no numbers. */
#define REQUIRE(condition) ((condition) ? (void)0 : row_fails(__FILE__, __LINE__, #condition))
__attribute__((noreturn)) void row_fails(const char *file, int line, const char *what);

/* What Linux has put off (RCU, frees, its workers) is done by then, and its allocator tidy. An idle
   machine's clock jumps, so the wait takes no time. */
void settle(void);
/* KiB that are in use: Linux's own, and those of Ouzel's kernel on its behalf. */
uint64_t taken(void);

/* A child that runs f(argument) and exits with 0; join waits for it and adds up. */
pid_t spawn(void (*f)(void *), void *argument);
unsigned join(pid_t child);
/* The same from inside: all of size bytes, or the row fails. */
void read_all(int fd, void *data, size_t size);
void write_all(int fd, const void *data, size_t size);
/* A file in /tmp (tmpfs) of that size whose bytes are known, open for both. */
int known_file(size_t size);
uint64_t sum_words(const void *data, size_t size);

#endif
