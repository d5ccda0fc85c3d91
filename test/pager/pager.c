// SPDX-License-Identifier: MIT
/*
 * pager.c -- tests of the pager, by programs of its own. The manifest's `append` says what each
 * of them is: the one with the tests looks on while the others are started, called and die.
 */
#include <ouzel/pager.h>
#include <ouzel/user.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PAGE      4096ul
#define NOTHING   0xffff00dead000000
#define WINDOW_VA 0xffff000040000000
#define MEMORY_VA 0xffff000050000000

enum { SLOT_SLEEP = SLOT_FIRST_FREE, SLOT_MADE }; /* from SLOT_MADE on: what the greedy make */
/* Programs, in the manifest's order. */
enum { TESTS, PARTNER, CRASHER, LEAVER, GIANT, GLUTTON, FARAWAY, CRAMPED, RIVAL,
       ELSEWHERE, PROGRAMS };
/* What the partner can be asked. */
enum { SAY_BADGE = 1, COUNT_UP, ASK_STATUS, ASK_DEVICE, READ_CLOCK, ASK_NONSENSE, DIE };

/* A page of each kind: the archive's, the archive's until written, zeros. */
static const _Alignas(4096) char constant[PAGE] = "constant";
static _Alignas(4096) char data[2 * PAGE] = "data";
static _Alignas(4096) char zeros[64 * PAGE];
static uint64_t counter = 41;

static enum ouzel_error ask(uint64_t label, uint64_t a, uint64_t b, uint64_t w[MSG_WORDS])
{
        struct message m = {.tag = MSG_TAG(label, 2), .w = {a, b}};
        enum ouzel_error e = ipc_call(SLOT_PARENT, &m);

        memcpy(w, m.w, sizeof(m.w));
        return e ? e : (enum ouzel_error)(m.tag >> TAG_LABEL_SHIFT);
}

/* Requests of all kinds with words of all kinds; not those that end, start or print. */
static void nonsense(uint64_t seed, unsigned n)
{
        uint64_t w[MSG_WORDS];

        for (; n; n--) {
                struct message m;
                seed = seed * 6364136223846793005 + 1442695040888963407; /* Knuth's MMIX */
                uint64_t label = seed >> 33 & 0x3f, kind = seed >> 40 & 3;
                if (label <= 3 || label == PAGER_PRINT || label == PAGER_START ||
                    label == PAGER_STOP)
                        continue;
                m.tag = MSG_TAG(label, 8);
                for (unsigned i = 0; i < MSG_WORDS; i++)
                        m.w[i] = kind == 0 ? seed >> 50 & 15 : kind == 1 ? seed << i
                                 : kind == 2 ? (seed >> 50 & 15) * PAGE : -(seed >> 60);
                m.cap = m.receive = 0;
                if (seed >> 45 & 1)
                        ipc_call(SLOT_PARENT, &m);
                else /* nobody waits for the answer */
                        ipc_send(SLOT_PARENT, &m);
        }
        ask(PAGER_DEVICE, 0, 0, w);
}

/* ---- the other programs ------------------------------------------------------------------- */

static _Noreturn void die(void)
{
        for (;;)
                *(volatile uint64_t *)NOTHING = 1;
}

static uint64_t read_clock(void)
{
        uint64_t w[MSG_WORDS];

        if (ask(PAGER_DEVICE, 0, 0, w) ||
            CALL(space_update, SLOT_SPACE, WINDOW_VA, w[0], ACCESS_READ | MAP_DEVICE, 1))
                return 0;
        return *(volatile uint32_t *)WINDOW_VA;
}

static void partner(void)
{
        struct message m = {0};
        enum ouzel_error e = ipc_recv(SLOT_SERVICE, &m);
        uint64_t w[MSG_WORDS];

        for (; !e; e = ipc_reply_recv(SLOT_SERVICE, &m)) {
                uint64_t label = m.tag >> TAG_LABEL_SHIFT, badge = m.badge;
                m = (struct message){.tag = MSG_TAG(0, MSG_WORDS)};
                switch (label) {
                case SAY_BADGE: m.w[0] = badge; break;
                case COUNT_UP: m.w[0] = ++counter; break;
                case ASK_STATUS: m.w[0] = ask(PAGER_STATUS, 0, 0, w); break;
                case ASK_DEVICE:
                        m.w[0] = ask(PAGER_DEVICE, 0, 0, w);
                        memcpy(&m.w[1], w, 5 * sizeof(w[0]));
                        m.w[6] = ask(PAGER_DEVICE, 1, 0, w);
                        break;
                case READ_CLOCK: m.w[0] = read_clock(); break;
                case ASK_NONSENSE: nonsense(1, 1500); break;
                case DIE: die();
                }
        }
}

/* Takes what it can get, and dies with all of it. */
static void crasher(void)
{
        uint64_t w[MSG_WORDS];
        unsigned slot = SLOT_MADE;

        memset(zeros, 1, sizeof(zeros));
        memset(data, 1, sizeof(data));
        ask(PAGER_MEMORY_GET, 64 << 10, 0, w);
        ask(PAGER_MEMORY_GET, 64 << 10, 0, w);
        CALL(endpoint_create, slot++, 0);
        CALL(notification_create, slot++, 0);
        CALL(space_create, slot++, 0);
        for (unsigned i = 0; i < 3; i++, slot += 2)
                if (!CALL(task_create, slot, 8))
                        CALL(region_grant, slot, w[0], PAGE, ACCESS_READ);
        while (!CALL(thread_create, slot++, SLOT_TASK, SLOT_PARENT, 1, 0))
                ; /* until its quota is used up */
        die();
}

/* ---- the tests ------------------------------------------------------------------------------ */

#define EXPECT(what)                     \
        do {                             \
                if (!(what))             \
                        return #what;    \
        } while (0)
static const char not_here[] = "n/a"; /* this machine has one core only */
/* Why it failed, or NULL. */
#define TEST(name) static const char *name(void)

static void sleep_ms(uint64_t ms)
{
        uint64_t hz = RESULT_OF(kernel_info, SLOT_CONTROL, INFO_TIMER_HZ).v1;

        CALL(notify_wait, SLOT_SLEEP, now() + ms * hz / 1000);
}

static uint64_t call_partner(uint64_t label, enum ouzel_error *e, uint64_t w[MSG_WORDS])
{
        struct message m = {.tag = MSG_TAG(label, 0)};

        *e = ipc_call(SLOT_CALLS(0), &m);
        memcpy(w, m.w, sizeof(m.w));
        return m.w[0];
}

static bool runs(unsigned program)
{
        uint64_t w[MSG_WORDS];

        return !ask(PAGER_PROGRAM, program, 0, w) && (w[0] & PAGER_RUNS);
}

static unsigned deaths(unsigned program)
{
        uint64_t w[MSG_WORDS];

        return ask(PAGER_USE, program, 0, w) ? 0 : (unsigned)w[6];
}

/* Wait until it runs or does not; false after 5 seconds. */
static bool becomes(unsigned program, bool running)
{
        for (unsigned i = 0; i < 500; i++, sleep_ms(10))
                if (runs(program) == running)
                        return true;
        return false;
}

/* All that a program could keep: pages of the pager's and of the kernel's. */
struct held { uint64_t memory, quota, pool; };

static struct held held(void)
{
        uint64_t w[MSG_WORDS];

        ask(PAGER_STATUS, 0, 0, w);
        return (struct held){w[0], w[6], RESULT_OF(kernel_info, SLOT_CONTROL,
                                                   INFO_KERNEL_MEMORY).v2};
}

static bool same(struct held a, struct held b)
{
        if (a.memory == b.memory && a.quota == b.quota && a.pool == b.pool)
                return true;
        printf("memory %lu and then %lu, in quotas %lu, %lu, pool %lu, %lu\n", a.memory, b.memory,
               a.quota, b.quota, a.pool, b.pool);
        return false;
}

static bool in_archive(uint64_t pa)
{
        struct ouzel_result r = RESULT_OF(kernel_info, SLOT_CONTROL, INFO_ARCHIVE);

        return pa >= r.v1 && pa < r.v1 + r.v2;
}

static struct ouzel_result page_of(const volatile char *va)
{
        (void)*va;
        return RESULT_OF(space_query, SLOT_SPACE, va);
}

TEST(constants_are_the_archives_own_pages)
{
        struct ouzel_result r = page_of(constant);

        EXPECT(!strcmp(constant, "constant"));
        EXPECT(in_archive(r.v1));
        EXPECT((r.v2 & ACCESS_ALL) == ACCESS_READ);
        EXPECT((RESULT_OF(space_query, SLOT_SPACE, page_of).v2 & ACCESS_ALL) ==
               (ACCESS_READ | ACCESS_EXEC));
        return NULL;
}

TEST(data_is_copied_at_the_first_write)
{
        volatile char *p = data + PAGE - 1;
        struct ouzel_result before = page_of(p), after;
        uint64_t use[2][MSG_WORDS];

        EXPECT(in_archive(before.v1) && (before.v2 & ACCESS_ALL) == ACCESS_READ);
        EXPECT(!ask(PAGER_USE, TESTS, 0, use[0]));
        *p = 7;
        after = page_of(p);
        EXPECT(!ask(PAGER_USE, TESTS, 0, use[1]));
        EXPECT(!in_archive(after.v1));
        EXPECT((after.v2 & ACCESS_ALL) == (ACCESS_READ | ACCESS_WRITE));
        EXPECT(!strcmp(data, "data") && *p == 7 && data[PAGE - 2] == 0);
        EXPECT(use[1][3] == use[0][3] + 1); /* one page, not its neighbours */
        EXPECT(in_archive(page_of(data + PAGE).v1));
        return NULL;
}

TEST(what_the_file_has_not_is_zero)
{
        uint64_t use[2][MSG_WORDS];

        EXPECT(!ask(PAGER_USE, TESTS, 0, use[0]));
        for (unsigned long i = 0; i < sizeof(zeros); i++)
                EXPECT(zeros[i] == 0);
        EXPECT(!ask(PAGER_USE, TESTS, 0, use[1]));
        EXPECT(use[1][1] > use[0][1]);
        EXPECT(!in_archive(page_of(zeros).v1));
        return NULL;
}

TEST(a_restarted_program_finds_its_data_as_at_first)
{
        uint64_t w[MSG_WORDS];
        enum ouzel_error e;

        EXPECT(call_partner(COUNT_UP, &e, w) == 42 && !e);
        EXPECT(call_partner(COUNT_UP, &e, w) == 43 && !e);
        EXPECT(!ask(PAGER_STOP, PARTNER, 0, w));
        EXPECT(!ask(PAGER_START, PARTNER, 0, w));
        EXPECT(call_partner(COUNT_UP, &e, w) == 42 && !e);
        return NULL;
}

TEST(a_server_knows_who_calls)
{
        uint64_t w[MSG_WORDS];
        enum ouzel_error e;

        EXPECT(call_partner(SAY_BADGE, &e, w) == TESTS + 1 && !e);
        return NULL;
}

TEST(who_waits_for_a_program_that_dies_learns_it)
{
        uint64_t w[MSG_WORDS];
        unsigned before = deaths(PARTNER);
        enum ouzel_error e;

        call_partner(DIE, &e, w);
        EXPECT(e == E_DEAD);
        EXPECT(becomes(PARTNER, true));
        EXPECT(deaths(PARTNER) == before + 1);
        EXPECT(call_partner(COUNT_UP, &e, w) == 42 && !e); /* the endpoint is the same */
        return NULL;
}

TEST(a_device_comes_with_its_interrupt)
{
        uint64_t w[MSG_WORDS];
        enum ouzel_error e;

        EXPECT(call_partner(ASK_DEVICE, &e, w) == E_OK && !e);
        EXPECT(w[1] == 0x9010000 && w[2] == PAGE); /* where QEMU's virt has it */
        EXPECT(w[3] == SLOT_LINE(0) && w[4] == 32 + 2 && w[5] == 1);
        EXPECT(w[6] == E_RANGE);
        EXPECT(call_partner(READ_CLOCK, &e, w) > 1700000000);
        EXPECT(!ask(PAGER_LINE, PARTNER, 0, w) && w[0] == 34);
        EXPECT(ask(PAGER_LINE, PARTNER, 1, w) == E_RANGE);
        EXPECT(ask(PAGER_DEVICE, 0, 0, w) == E_RANGE); /* we have none */
        return NULL;
}

TEST(a_device_is_one_programs_alone)
{
        uint64_t w[MSG_WORDS];
        enum ouzel_error e;

        EXPECT(!ask(PAGER_START, RIVAL, 0, w));
        EXPECT(!ask(PAGER_USE, RIVAL, 0, w) && w[4] == 0 && w[5] == 0);
        for (unsigned i = 0; !ask(PAGER_REGION, RIVAL, i, w); i++)
                EXPECT(!(w[2] & REGION_DEVICE));
        EXPECT(!ask(PAGER_STOP, RIVAL, 0, w));
        EXPECT(call_partner(READ_CLOCK, &e, w) > 1700000000);
        return NULL;
}

TEST(only_control_may_ask_about_others)
{
        uint64_t w[MSG_WORDS];
        enum ouzel_error e;

        EXPECT(call_partner(ASK_STATUS, &e, w) == E_RIGHTS && !e);
        return NULL;
}

TEST(requests_that_make_no_sense_are_refused)
{
        uint64_t w[MSG_WORDS];

        EXPECT(ask(PAGER_PROGRAM, PROGRAMS, 0, w) == E_RANGE);
        EXPECT(ask(PAGER_USE, 1ul << 40, 0, w) == E_RANGE);
        EXPECT(ask(PAGER_REGION, TESTS, 10000, w) == E_RANGE);
        EXPECT(ask(PAGER_REGION, CRAMPED, 0, w) == E_CAP); /* it does not run */
        EXPECT(ask(PAGER_FREE, 10000, 0, w) == E_RANGE);
        EXPECT(ask(PAGER_STOP + 1, 0, 0, w) == E_NOCALL);
        EXPECT(ask(0x7fff, 0, 0, w) == E_NOCALL);
        EXPECT(ask(PAGER_PRINT, 57, 0, w) == E_RANGE);
        EXPECT(ask(1, 0, 0, w) == E_RIGHTS); /* SERVER_CALL_POWEROFF: Linux's */
        EXPECT(ask(PAGER_START, PARTNER, 0, w) == E_BUSY);
        EXPECT(ask(PAGER_STOP, CRASHER, 0, w) == E_STATE);
        return NULL;
}

TEST(nonsense_does_no_harm)
{
        struct held before;
        uint64_t w[MSG_WORDS];
        enum ouzel_error e;

        EXPECT(!ask(PAGER_STOP, PARTNER, 0, w) && !ask(PAGER_START, PARTNER, 0, w));
        before = held(); /* with the partner as at its start */
        nonsense(2, 1500);
        call_partner(ASK_NONSENSE, &e, w);
        EXPECT(!e && runs(PARTNER));
        EXPECT(!ask(PAGER_STOP, PARTNER, 0, w) && !ask(PAGER_START, PARTNER, 0, w));
        while (!ask(PAGER_PROGRAM, TESTS, 0, w) && w[4]) /* what we got of it */
                for (uint64_t i = 0; !ask(PAGER_REGION, TESTS, i, w); i++)
                        for (uint64_t pa = w[0], end = pa + w[1]; pa < end; pa += PAGE)
                                ask(PAGER_MEMORY_PUT, pa, 0, w);
        EXPECT(same(before, held()));
        EXPECT(RESULT_OF(kernel_check, SLOT_CONTROL).error == E_OK);
        return NULL;
}

TEST(memory_comes_on_request_and_goes_back)
{
        uint64_t w[MSG_WORDS];
        struct held before = held();

        EXPECT(!ask(PAGER_MEMORY_GET, 64 << 10, 0, w));
        uint64_t pa = w[0];
        EXPECT(!CALL(space_update, SLOT_SPACE, MEMORY_VA, pa, ACCESS_READ | ACCESS_WRITE, 16));
        for (unsigned i = 0; i < 16 * PAGE / 8; i++)
                EXPECT(((volatile uint64_t *)MEMORY_VA)[i] == 0);
        *(volatile uint64_t *)MEMORY_VA = 1;
        EXPECT(held().memory == before.memory - (64 << 10));
        EXPECT(!ask(PAGER_MEMORY_PUT, pa, 0, w));
        EXPECT(held().memory == before.memory);
        EXPECT(RESULT_OF(space_query, SLOT_SPACE, MEMORY_VA).error == E_AGAIN); /* unmapped */
        EXPECT(CALL(space_update, SLOT_SPACE, MEMORY_VA, pa, ACCESS_READ, 1) == E_OWNER);
        return NULL;
}

TEST(memory_beyond_the_manifest_is_refused)
{
        uint64_t w[MSG_WORDS];

        EXPECT(ask(PAGER_MEMORY_GET, (1 << 20) + PAGE, 0, w) == E_RIGHTS);
        EXPECT(ask(PAGER_MEMORY_GET, 1ul << 63, 0, w) == E_RIGHTS);
        EXPECT(ask(PAGER_MEMORY_GET, 5, 0, w) == E_ALIGN);
        EXPECT(ask(PAGER_MEMORY_GET, 0, 0, w) == E_INVALID);
        EXPECT(ask(PAGER_MEMORY_PUT, 0, 0, w) == E_OWNER);
        EXPECT(!ask(PAGER_MEMORY_GET, 1 << 20, 0, w));
        uint64_t pa = w[0];
        EXPECT(ask(PAGER_MEMORY_GET, PAGE, 0, w) == E_RIGHTS);
        EXPECT(ask(PAGER_MEMORY_PUT, pa + PAGE, 0, w) == E_OWNER);
        EXPECT(!ask(PAGER_MEMORY_PUT, pa, 0, w));
        EXPECT(ask(PAGER_MEMORY_PUT, pa, 0, w) == E_OWNER);
        return NULL;
}

/* Our manifest has no `wx`: no process of ours may have such a page, of neither memory. */
TEST(memory_is_not_writable_and_executable_unasked)
{
        unsigned space = SLOT_MADE;
        uint64_t w[MSG_WORDS];

        EXPECT(!ask(PAGER_MEMORY_GET, PAGE, 0, w));
        uint64_t own = RESULT_OF(space_query, SLOT_SPACE, (uint64_t)zeros).v1 & ~(PAGE - 1ul);
        EXPECT(!CALL(space_create, space, 0));
        EXPECT(!CALL(space_update, space, PAGE, own, ACCESS_READ | ACCESS_WRITE, 1));
        EXPECT(!CALL(space_update, space, PAGE, w[0], ACCESS_READ | ACCESS_EXEC, 1));
        EXPECT(CALL(space_update, space, PAGE, own, ACCESS_ALL, 1) == E_WX);
        EXPECT(CALL(space_update, space, PAGE, w[0], ACCESS_ALL, 1) == E_WX);
        EXPECT(!CALL(cap_delete, space));
        EXPECT(!ask(PAGER_MEMORY_PUT, w[0], 0, w));
        return NULL;
}

/* Let it live its life once, with all its restarts. */
static const char *live_and_die(unsigned program, unsigned times)
{
        unsigned before = deaths(program);
        uint64_t w[MSG_WORDS];

        EXPECT(!ask(PAGER_START, program, 0, w));
        EXPECT(becomes(program, false));
        EXPECT(deaths(program) == before + times);
        return NULL;
}

TEST(a_dead_programs_memory_comes_back_in_full)
{
        struct held before = held();
        const char *why = NULL;

        for (unsigned i = 0; i < 3 && !why; i++) {
                why = live_and_die(CRASHER, 3);
                EXPECT(same(before, held()));
        }
        EXPECT(RESULT_OF(kernel_check, SLOT_CONTROL).error == E_OK);
        return why;
}

TEST(a_programs_memory_comes_back_from_another_core)
{
        struct held before = held();
        const char *why = NULL;

        if (RESULT_OF(kernel_info, SLOT_CONTROL, INFO_CPUS).v1 < 2)
                return not_here;
        for (unsigned i = 0; i < 3 && !why; i++) {
                why = live_and_die(ELSEWHERE, 3);
                EXPECT(same(before, held()));
        }
        EXPECT(RESULT_OF(kernel_check, SLOT_CONTROL).error == E_OK);
        return why;
}

TEST(a_stopped_programs_memory_comes_back_in_full)
{
        uint64_t w[MSG_WORDS];
        struct held before;

        EXPECT(!ask(PAGER_STOP, PARTNER, 0, w)); /* it has a device, an interrupt, an endpoint */
        before = held();
        for (unsigned i = 0; i < 3; i++) {
                EXPECT(!ask(PAGER_START, PARTNER, 0, w));
                EXPECT(held().memory == before.memory - (768 << 10));
                EXPECT(!ask(PAGER_STOP, PARTNER, 0, w));
                EXPECT(same(before, held()));
        }
        EXPECT(!ask(PAGER_START, PARTNER, 0, w));
        EXPECT(RESULT_OF(kernel_check, SLOT_CONTROL).error == E_OK);
        return NULL;
}

TEST(a_program_that_ends_well_is_not_started_again)
{
        return live_and_die(LEAVER, 0);
}

TEST(what_can_not_start_takes_nothing)
{
        uint64_t w[MSG_WORDS];
        struct held before = held();

        for (unsigned p = GIANT; p <= CRAMPED; p++) {
                EXPECT(ask(PAGER_START, p, 0, w) == E_AGAIN);
                EXPECT(!runs(p));
        }
        EXPECT(same(before, held()));
        return NULL;
}

static const struct { const char *name; const char *(*run)(void); } tests[] = {
#define T(name) {#name, name}
        T(constants_are_the_archives_own_pages),
        T(data_is_copied_at_the_first_write),
        T(what_the_file_has_not_is_zero),
        T(a_restarted_program_finds_its_data_as_at_first),
        T(a_server_knows_who_calls),
        T(who_waits_for_a_program_that_dies_learns_it),
        T(a_device_comes_with_its_interrupt),
        T(a_device_is_one_programs_alone),
        T(only_control_may_ask_about_others),
        T(requests_that_make_no_sense_are_refused),
        T(nonsense_does_no_harm),
        T(memory_comes_on_request_and_goes_back),
        T(memory_beyond_the_manifest_is_refused),
        T(memory_is_not_writable_and_executable_unasked),
        T(a_dead_programs_memory_comes_back_in_full),
        T(a_programs_memory_comes_back_from_another_core),
        T(a_stopped_programs_memory_comes_back_in_full),
        T(a_program_that_ends_well_is_not_started_again),
        T(what_can_not_start_takes_nothing),
};
#define N (sizeof(tests) / sizeof(tests[0]))

int main(uint64_t used, const char *args)
{
        (void)used;
        if (!strncmp(args, "partner", 7)) {
                partner();
                return 1;
        }
        if (!strncmp(args, "crasher", 7))
                crasher();
        if (!strncmp(args, "rival", 5)) {
                CALL(notification_create, SLOT_SLEEP, 0);
                CALL(notify_wait, SLOT_SLEEP, 0);
        }
        if (strncmp(args, "tests", 5))
                return 0; /* the leaver */
        CALL(notification_create, SLOT_SLEEP, 0);
        for (unsigned i = 0; i < N; i++) {
                const char *why = tests[i].run();
                if (why == not_here)
                        printf("TEST %s: n/a there is one core only\n", tests[i].name);
                else
                        printf("TEST %s: %s%s\n", tests[i].name, why ? "FAILED " : "ok",
                               why ? why : "");
        }
        printf("TESTS %lu\n", N);
        CALL(system_control, SLOT_CONTROL, SYSTEM_OFF);
        return 1;
}
