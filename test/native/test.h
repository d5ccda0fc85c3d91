/* SPDX-License-Identifier: MIT */
/*
 * test.h -- what Ouzel's own tests are written with: a native program that makes tasks,
 * threads and spaces, and looks at what the kernel does with them.
 *
 * Tests run one after the other on one thread at priority PRIO_TEST. A watchdog above it ends
 * the run when a test hangs. After each test everything that it made is taken down, and then
 * the quota must be what it was, and the kernel's own check must find nothing.
 */
#ifndef TEST_H
#define TEST_H

#include <ouzel/user.h>
#include <ouzel/vcpu.h>
#include <stdbool.h>
#include <string.h>

/* ---- a test and what it expects --------------------------------------------------------- */

struct test { const char *name; void (*run)(void); };

#define TEST(name)                                                                         \
        static void test_##name(void);                                                     \
        __attribute__((used, section(".tests"))) static const struct test entry_##name = { \
                #name, test_##name};                                                       \
        static void test_##name(void)

/* The first failure of a test is what is reported. Any thread of ours may fail. */
void fail(const char *file, int line, const char *what, uint64_t got, uint64_t want, bool error);
bool failed(void);
void not_applicable(const char *why); /* and return from the test */

#define EXPECT(condition)                                                                  \
        do {                                                                               \
                if (!(condition))                                                          \
                        fail(__FILE__, __LINE__, #condition, 0, 1, false);                 \
        } while (0)
#define EXPECT_EQ(value, expected)                                                         \
        do {                                                                               \
                uint64_t got_ = (uint64_t)(value), want_ = (uint64_t)(expected);           \
                if (got_ != want_)                                                         \
                        fail(__FILE__, __LINE__, #value, got_, want_, false);              \
        } while (0)
/* A call and the enum ouzel_error that it should return. */
#define EXPECT_E(call, expected)                                                           \
        do {                                                                               \
                uint64_t got_ = (uint64_t)(call), want_ = (uint64_t)(expected);            \
                if (got_ != want_)                                                         \
                        fail(__FILE__, __LINE__, #call, got_, want_, true);                \
        } while (0)
#define EXPECT_OK(call) EXPECT_E(call, E_OK)

/* ---- what there is ----------------------------------------------------------------------- */

#define PRIO_WATCHDOG 100 /* what the manifest gives us */
#define PRIO_CRASH    99  /* takes the faults that nobody expects */
#define PRIO_TEST     90
#define PRIO_WORKER   80

/* Our own slots. Tests take theirs with slots_new. */
enum { SLOT_WATCH = 16, SLOT_TEST_THREAD, SLOT_CRASH, SLOT_CRASH_THREAD, SLOT_SLEEP,
       SLOT_TEST_FIRST = 128, SLOT_TEST_LAST = 1023, SLOT_NEVER = 1100 /* always empty */ };

extern uint64_t hz;          /* ticks of now() in a second */
extern unsigned cores;
extern uint64_t block_pa, block_size; /* the memory that we own */
extern uint64_t image_size;  /* of it, what our program takes */
extern const char *boot_args;

unsigned slots_new(unsigned n);
static inline unsigned slot_new(void) { return slots_new(1); }
bool boot_number(const char *name, uint64_t *value); /* name=NUMBER of the boot arguments */

/* Frames of our own memory, zeroed, for as long as the test runs; mapped at frame_va. */
uint64_t frames_new(unsigned n);
uint64_t frames_aligned(unsigned n, uint64_t align); /* 0: there are none */
#define WINDOW_VA 0xffff000040000000ul
static inline void *frame_va(uint64_t pa) { return (void *)(WINDOW_VA + (pa - block_pa)); }
/* 512 pages of our own space where tests may map; the table is there. */
#define TEST_VA 0xffff000080000000ul

/* ---- threads ------------------------------------------------------------------------------ */

struct worker {
        void (*run)(uint64_t);
        uint64_t argument;
        uint64_t own_slot; /* of its thread, in its own task */
        unsigned slot;     /* in ours */
        uint32_t done;
};

/* A worker's settings; zeros are: our task, core 0, PRIO_WORKER, SLOT_CRASH, no buffer. */
struct worker_options {
        unsigned task, core, prio, fault_endpoint;
        uint64_t buffer;
};
/* Make a thread and start it in run(argument). Its stack is 4 KiB. */
struct worker *worker_start_with(struct worker_options options, void (*run)(uint64_t),
                                 uint64_t argument);
#define worker_start(run, argument, ...) \
        worker_start_with((struct worker_options){__VA_ARGS__}, (run), (uint64_t)(argument))
struct worker *worker_make_with(struct worker_options options, void (*run)(uint64_t),
                                uint64_t argument); /* the same, not started */
#define worker_make(run, argument, ...) \
        worker_make_with((struct worker_options){__VA_ARGS__}, (run), (uint64_t)(argument))
void worker_restart(struct worker *w);        /* a stopped one, from its beginning */
bool worker_join(struct worker *w);           /* wait until run returned; fails after 30 s */
bool worker_ended(const struct worker *w);
bool wait_state(unsigned thread, unsigned state); /* fails after 5 s */
unsigned state_of(unsigned thread);
void sleep_us(uint64_t us);   /* of the test's own thread: lets workers run */
void spin_us(uint64_t us);
bool wait_until(const uint32_t *flag, uint32_t at_least); /* fails after 30 s */

/*
 * May a thread of a task (0: ours) on a core do this at an address? If not, `m` is the fault
 * message that came instead. ACCESS_EXEC calls what is there; ACCESS_WRITE writes the number
 * that is there already.
 */
bool may_access(unsigned task, unsigned core, uint64_t va, unsigned access, struct message *m);
#define SLOT_PROBE 30 /* in the other task: may_access needs it */
/* Instructions into a frame of ours, for execution anywhere. */
void code_put(uint64_t pa, const uint32_t *instructions, unsigned n);
#define INSTRUCTION_RET 0xd65f03c0u

/* A device whose interrupt comes when it is told to; it is mapped for as long as the test runs.
 * False where the machine has none: the test is not applicable. */
bool irq_source_begin(void);
void irq_source_fire(void);
void irq_source_quiet(void);
#define SLOT_IRQ_SOURCE 64 /* its capability: SLOT_LINE(0) of <ouzel/pager.h> */

/* ---- tasks ---------------------------------------------------------------------------------- */

/* A task with our program in it, so that its threads can run our functions and see our data;
 * its space is in the slot behind. */
unsigned task_new(unsigned quota);
unsigned task_bare(unsigned quota); /* nothing in it */
unsigned endpoint_new(unsigned core);
unsigned notification_new(unsigned core);
struct usage { uint64_t used, regions, free; };
struct usage usage_of(unsigned task);

/* ---- random numbers, from a seed ------------------------------------------------------------- */

struct random { uint64_t state; };
uint64_t random_next(struct random *r);
static inline uint64_t random_below(struct random *r, uint64_t n) { return random_next(r) % n; }

#endif
