/* SPDX-License-Identifier: MIT */
/* shell.h -- a small shell on the serial console: what the system is doing, and to try it. */
#ifndef SHELL_H
#define SHELL_H

#include <ouzel/pager.h>
#include <ouzel/user.h>
#include <stdbool.h>

/* Slots of our own. */
enum { SLOT_SLEEP = SLOT_FIRST_FREE, SLOT_CRASH_THREAD, SLOT_CRASH_ENDPOINT };

struct command {
        const char *name, *arguments, *help;
        void (*run)(int argc, char **argv); /* argv[0] is the name */
};
extern const struct command commands[]; /* ends with a NULL name */

/* main.c */
/* Ask the pager; w is what goes and what comes. */
enum ouzel_error pager(uint64_t label, uint64_t w[MSG_WORDS]);
enum ouzel_error pager_ask(uint64_t label, uint64_t a, uint64_t b, uint64_t w[MSG_WORDS]);
/* What failed and why, in words; true if something did. */
bool failed(const char *what, enum ouzel_error error);
bool number(const char *text, uint64_t *value);
void sleep_until(uint64_t deadline); /* in CNTVCT ticks */
uint64_t timer_hz(void);
unsigned cores(void);

/* programs.c */
struct program { char name[PAGER_NAME]; bool runs; uint64_t task; };
unsigned programs_load(struct program *p, unsigned max); /* how many there are */
int program_find(const char *name); /* its number; says that there is none: -1 */
void command_programs(int argc, char **argv);
void command_start(int argc, char **argv);
void command_stop(int argc, char **argv);
void command_restart(int argc, char **argv);
void command_date(int argc, char **argv);

/* objects.c */
const char *task_name(uint64_t id); /* by names_load */
void names_load(void);
void command_tasks(int argc, char **argv);
void command_threads(int argc, char **argv);
void command_memory(int argc, char **argv);
void command_regions(int argc, char **argv);
void command_interrupts(int argc, char **argv);

/* machine.c */
void command_counters(int argc, char **argv);
void command_info(int argc, char **argv);
void command_check(int argc, char **argv);
void command_poweroff(int argc, char **argv);
void command_reboot(int argc, char **argv);

/* trace.c, crash.c */
void command_trace(int argc, char **argv);
void command_crash(int argc, char **argv);

#endif
