// SPDX-License-Identifier: MIT
/* main.c -- read a line, find the command, run it. */
#include "shell.h"

#include "line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 16
#define HELP_COLUMN 28
#define POLL_MS 2 /* how often we look for what was typed */

static void command_help(int argc, char **argv);

const struct command commands[] = {
        {"help", "[COMMAND]", "what there is", command_help},
        {"programs", "", "what the manifest names, and how it is", command_programs},
        {"start", "PROGRAM", "let the pager start it", command_start},
        {"stop", "PROGRAM", "let the pager end it; all that it had comes back", command_stop},
        {"restart", "PROGRAM", "both", command_restart},
        {"tasks", "", "tasks, and their kernel memory", command_tasks},
        {"threads", "", "threads, and what they do", command_threads},
        {"memory", "", "who has how much memory, and what is free", command_memory},
        {"regions", "[PROGRAM|pager|free]", "the physical ranges that each owns", command_regions},
        {"interrupts", "", "who has which line, and how many came", command_interrupts},
        {"counters", "[COUNTER...]", "events of each core since boot", command_counters},
        {"trace", "on [CLASS...] | off | show [CLASS...] [N]", "the last events of each core",
         command_trace},
        {"info", "", "facts about the machine", command_info},
        {"date", "[next]", "ask the driver of the clock; next: wait for its interrupt",
         command_date},
        {"check", "", "check every invariant of the kernel", command_check},
        {"crash", "[shell] [KIND]", "a thread of ours, or all of the shell, does something bad",
         command_crash},
        {"reboot", "", "start the machine again", command_reboot},
        {"poweroff", "", "end (or Ctrl-D at the prompt)", command_poweroff},
        {NULL, NULL, NULL, NULL},
};

/* ---- for all commands ---------------------------------------------------------------------- */

enum ouzel_error pager(uint64_t label, uint64_t w[MSG_WORDS])
{
        struct message m = {.tag = MSG_TAG(label, MSG_WORDS)};

        memcpy(m.w, w, sizeof(m.w));
        enum ouzel_error e = ipc_call(SLOT_PARENT, &m);
        memcpy(w, m.w, sizeof(m.w));
        return e ? e : (enum ouzel_error)(m.tag >> TAG_LABEL_SHIFT);
}

enum ouzel_error pager_ask(uint64_t label, uint64_t a, uint64_t b, uint64_t w[MSG_WORDS])
{
        memset(w, 0, MSG_WORDS * sizeof(w[0]));
        w[0] = a;
        w[1] = b;
        return pager(label, w);
}

bool failed(const char *what, enum ouzel_error error)
{
        if (error)
                printf("%s: %s\n", what, error_text(error));
        return error != E_OK;
}

bool number(const char *text, uint64_t *value)
{
        char *end;

        *value = strtoul(text, &end, 0);
        return *text >= '0' && *text <= '9' && !*end;
}

uint64_t timer_hz(void)
{
        return RESULT_OF(kernel_info, SLOT_CONTROL, INFO_TIMER_HZ).v1;
}

unsigned cores(void)
{
        return (unsigned)RESULT_OF(kernel_info, SLOT_CONTROL, INFO_CPUS).v1;
}

void sleep_until(uint64_t deadline)
{
        CALL(notify_wait, SLOT_SLEEP, deadline);
}

/* ---- the prompt ---------------------------------------------------------------------------- */

/* By its name, or a beginning that only one has. */
static const struct command *find(const char *typed)
{
        const struct command *found = NULL;

        for (const struct command *c = commands; c->name; c++) {
                if (!strcmp(c->name, typed))
                        return c;
                if (!strncmp(c->name, typed, strlen(typed))) {
                        if (found) {
                                printf("`%s` could be `%s` or `%s`\n", typed, found->name, c->name);
                                return NULL;
                        }
                        found = c;
                }
        }
        if (!found)
                printf("there is no command `%s`; `help` lists them\n", typed);
        return found;
}

static void command_help(int argc, char **argv)
{
        if (argc > 1) {
                const struct command *c = find(argv[1]);
                if (c)
                        printf("%s %s\n    %s\n", c->name, c->arguments, c->help);
                return;
        }
        for (const struct command *c = commands; c->name; c++) {
                int n = printf("%s %s", c->name, c->arguments);
                printf("%s%*s%s\n", n < HELP_COLUMN ? "" : "\n",
                       n < HELP_COLUMN ? HELP_COLUMN - n : HELP_COLUMN, "", c->help);
        }
        printf("Commands can be shortened. Cursor keys edit and recall, Tab completes.\n");
}

static void run(char *text)
{
        char *word[WORDS], *rest = text;
        int n = 0;

        for (char *w; (w = strtok_r(rest, " \t", &rest));) {
                if (n == WORDS) {
                        printf("more than %d words\n", WORDS);
                        return;
                }
                word[n++] = w;
        }
        if (!n || word[0][0] == '#')
                return;
        const struct command *c = find(word[0]);
        if (!c)
                return;
        if (n > 1 && !c->arguments[0]) {
                printf("`%s` takes nothing after it\n", c->name);
                return;
        }
        c->run(n, word);
}

static const char *command_name(unsigned i)
{
        return commands[i].name;
}

static void put(char c)
{
        putchar(c);
}

/* What the pager has printed so far: reports of it, and what other programs say. */
static uint64_t others_printed(void)
{
        uint64_t w[MSG_WORDS];

        return pager_ask(PAGER_STATUS, 0, 0, w) ? 0 : w[7];
}

static unsigned char read_byte(struct line *line)
{
        static uint64_t printed;
        struct ouzel_result r;

        fflush(stdout);
        if (!line->length)
                printed = others_printed();
        for (unsigned i = 1; (r = RESULT_OF(debug_read, SLOT_CONTROL)).error; i++) {
                if (r.error != E_AGAIN) {
                        printf("shell: can't read the console: %s\n",
                               error_text((enum ouzel_error)r.error));
                        exit(1);
                }
                if (i % 64 == 0 && printed != others_printed()) {
                        printed = others_printed();
                        line_show(line);
                        fflush(stdout);
                }
                sleep_until(now() + timer_hz() / 1000 * POLL_MS);
        }
        return (unsigned char)r.v1;
}

int main(void)
{
        static struct line line = {.prompt = "ouzel> ", .put = put, .complete = command_name};
        enum line_state state;

        failed("shell", CALL(notification_create, SLOT_SLEEP, 0));
        printf("\nOuzel's shell. `help` lists the commands; Ctrl-D ends.\n");
        for (;;) {
                line_begin(&line);
                while ((state = line_byte(&line, read_byte(&line))) == LINE_MORE)
                        ;
                if (state == LINE_END) {
                        printf("poweroff\n");
                        command_poweroff(1, NULL);
                } else {
                        run(line.text);
                }
        }
}
