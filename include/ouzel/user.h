/* SPDX-License-Identifier: MIT */
/*
 * user.h -- the system calls as C functions, for native programs. docs/abi.md says what each
 * does. A call returns an enum ouzel_error; further results go through pointers.
 */
#ifndef OUZEL_USER_H
#define OUZEL_USER_H

#include <ouzel/abi.h>
#include <stddef.h>

struct ouzel_result { uint64_t error, v1, v2, v3, v4, v5; };

/* All calls but messages: arguments in x0..x4, results in x0..x5. */
#define OUZEL_CALL(nr, result, a, b, c, d, e)                                               \
        do {                                                                                \
                register uint64_t x0_ __asm__("x0") = (uint64_t)(a);                        \
                register uint64_t x1_ __asm__("x1") = (uint64_t)(b);                        \
                register uint64_t x2_ __asm__("x2") = (uint64_t)(c);                        \
                register uint64_t x3_ __asm__("x3") = (uint64_t)(d);                        \
                register uint64_t x4_ __asm__("x4") = (uint64_t)(e);                        \
                register uint64_t x5_ __asm__("x5") = 0;                                    \
                __asm__ volatile("svc %6"                                                   \
                                 : "+r"(x0_), "+r"(x1_), "+r"(x2_), "+r"(x3_), "+r"(x4_),   \
                                   "+r"(x5_)                                                \
                                 : "i"(nr)                                                  \
                                 : "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",      \
                                   "x14", "x15", "x16", "x17", "x18", "memory", "cc");      \
                (result) = (struct ouzel_result){x0_, x1_, x2_, x3_, x4_, x5_};             \
        } while (0)

/* ouzel_NAME(a, b, c, d, e) for every call of the list, whole results. */
#define SYSCALL(nr, name, kind, nargs, what)                                                \
        static inline struct ouzel_result ouzel_##name(uint64_t a, uint64_t b, uint64_t c,  \
                                                       uint64_t d, uint64_t e)              \
        {                                                                                   \
                struct ouzel_result r;                                                      \
                OUZEL_CALL(nr, r, a, b, c, d, e);                                           \
                return r;                                                                   \
        }
#include <ouzel/syscalls.def>
#undef SYSCALL

/* The error alone, with as many arguments as wanted: CALL(cap_delete, slot). */
static inline enum ouzel_error ouzel_error_of(struct ouzel_result r)
{
        return (enum ouzel_error)r.error;
}
#define CALL(...) ouzel_error_of(RESULT_OF(__VA_ARGS__))
/* Everything that it returns: RESULT_OF(task_info, SLOT_TASK).v2. */
#define RESULT_OF_(name, a, b, c, d, e, ...) ouzel_##name((uint64_t)(a), (uint64_t)(b), \
        (uint64_t)(c), (uint64_t)(d), (uint64_t)(e))
#define RESULT_OF(...) RESULT_OF_(__VA_ARGS__, 0, 0, 0, 0, 0)

struct message {
        uint64_t tag;          /* MSG_TAG(label, words) | TAG_CAP */
        uint64_t w[MSG_WORDS];
        uint64_t badge;        /* received: of the sender's capability */
        uint64_t cap;          /* to send with TAG_CAP: slot */
        uint64_t receive;      /* free slot for a capability that comes, or 0 */
};

#define OUZEL_MESSAGE(nr)                                                                   \
        register uint64_t x0 __asm__("x0") = endpoint;                                      \
        register uint64_t x1 __asm__("x1") = m->tag;                                        \
        register uint64_t x2 __asm__("x2") = m->w[0];                                       \
        register uint64_t x3 __asm__("x3") = m->w[1];                                       \
        register uint64_t x4 __asm__("x4") = m->w[2];                                       \
        register uint64_t x5 __asm__("x5") = m->w[3];                                       \
        register uint64_t x6 __asm__("x6") = m->w[4];                                       \
        register uint64_t x7 __asm__("x7") = m->w[5];                                       \
        register uint64_t x8 __asm__("x8") = m->w[6];                                       \
        register uint64_t x9 __asm__("x9") = m->w[7];                                       \
        register uint64_t x10 __asm__("x10") = m->cap;                                      \
        register uint64_t x11 __asm__("x11") = m->receive;                                  \
        __asm__ volatile("svc %12"                                                          \
                         : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x5),      \
                           "+r"(x6), "+r"(x7), "+r"(x8), "+r"(x9), "+r"(x10), "+r"(x11)     \
                         : "i"(nr)                                                          \
                         : "x12", "x13", "x14", "x15", "x16", "x17", "x18", "memory",       \
                           "cc");                                                           \
        m->tag = x1;                                                                        \
        m->w[0] = x2; m->w[1] = x3; m->w[2] = x4; m->w[3] = x5;                             \
        m->w[4] = x6; m->w[5] = x7; m->w[6] = x8; m->w[7] = x9;                             \
        m->badge = x10;                                                                     \
        return (enum ouzel_error)x0

static inline enum ouzel_error ipc_call(uint64_t endpoint, struct message *m)
{
        OUZEL_MESSAGE(SYS_ipc_call);
}
static inline enum ouzel_error ipc_reply_recv(uint64_t endpoint, struct message *m)
{
        OUZEL_MESSAGE(SYS_ipc_reply_recv);
}
static inline enum ouzel_error ipc_send(uint64_t endpoint, struct message *m)
{
        OUZEL_MESSAGE(SYS_ipc_send);
}
static inline enum ouzel_error ipc_recv(uint64_t endpoint, struct message *m)
{
        OUZEL_MESSAGE(SYS_ipc_recv);
}

const char *error_text(enum ouzel_error error);
extern uint64_t ouzel_printed; /* bytes that stdout took so far */
static inline uint64_t now(void)
{
        uint64_t v;
        __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(v)); /* not ahead of its place */
        return v;
}

#endif
