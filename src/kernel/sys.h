/* SPDX-License-Identifier: MIT */
/* sys.h -- one prototype for each system call, by its kind, out of the one list. */
#ifndef SYS_H
#define SYS_H

#include "kernel.h"

#define PROTOTYPE_FAST(name) void sys_##name(struct thread *self);
#define PROTOTYPE_SWITCH(name) void sys_##name(struct thread *self);
#define PROTOTYPE_PLAIN(name) \
        struct result sys_##name(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
#define SYSCALL(nr, name, kind, nargs, what) PROTOTYPE_##kind(name)
#include <ouzel/syscalls.def>
#undef SYSCALL

/* Heads of PLAIN calls, by how many of the five arguments they read. */
#define SYS0(n)                sys_##n(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t)
#define SYS1(n, a)             sys_##n(uint64_t a, uint64_t, uint64_t, uint64_t, uint64_t)
#define SYS2(n, a, b)          sys_##n(uint64_t a, uint64_t b, uint64_t, uint64_t, uint64_t)
#define SYS3(n, a, b, c)       sys_##n(uint64_t a, uint64_t b, uint64_t c, uint64_t, uint64_t)
#define SYS4(n, a, b, c, d)    sys_##n(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t)
#define SYS5(n, a, b, c, d, e) sys_##n(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)

#endif
