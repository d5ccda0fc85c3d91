/* SPDX-License-Identifier: MIT */
/*
 * abi.h -- what programs and the kernel agree on. Included by both, and by assembly.
 *
 * A system call is `svc #number` (syscalls.def). Arguments are in x0..x5; for message
 * passing x1 is the tag and x2..x9 are the message registers. On return x0 is an enum
 * ouzel_error; further results start at x1. A call keeps x19..x30 and sp, and clobbers
 * x1..x18 and the flags, as a function call does (vcpu.h says what a vCPU may count on).
 * docs/abi.md has the reference.
 */
#ifndef OUZEL_ABI_H
#define OUZEL_ABI_H

#if defined(__KERNEL__) && !defined(__ASSEMBLER__)
#include <linux/types.h> /* the Linux server */
#elif !defined(__ASSEMBLER__)
#include <stdint.h>
#endif

/* ---- errors ------------------------------------------------------------------------- */
#define OUZEL_ERRORS(E)                                                                     \
        E(0, OK, "no error")                                                                \
        E(1, CAP, "no such capability, or one of another type")                             \
        E(2, RIGHTS, "the capability or region lacks a right that this needs")              \
        E(3, RANGE, "an address or number is outside what is allowed here")                 \
        E(4, ALIGN, "an address or size is not aligned")                                    \
        E(5, OWNER, "the physical range is not owned by the caller")                        \
        E(6, QUOTA, "the task's kernel-memory quota is used up")                            \
        E(7, BUSY, "the object is in use, or the slot is not empty")                        \
        E(8, DEAD, "the partner or object went away while waiting")                         \
        E(9, TIMEOUT, "the deadline passed")                                                \
        E(10, AGAIN, "nothing there now")                                                   \
        E(11, INVALID, "an argument makes no sense")                                        \
        E(12, TYPE, "the memory type does not fit: device as normal, or normal as device")  \
        E(13, WX, "a mapping may not be both writable and executable")                      \
        E(14, LIMIT, "a fixed limit of the kernel was reached")                             \
        E(15, NOCALL, "no such system call")                                                \
        E(16, STATE, "the thread is not in a state for this")                               \
        E(17, MAPPED, "a different mapping is in the way")                                  \
        E(18, CANCELED, "the wait was ended by thread_stop or a restart")                   \
        E(19, DIFFERS, "the shadow differs from the server's table, or an invariant broke")

#ifndef __ASSEMBLER__
enum ouzel_error {
#define OUZEL_E(nr, name, text) E_##name = nr,
        OUZEL_ERRORS(OUZEL_E)
#undef OUZEL_E
};

enum ouzel_syscall {
#define SYSCALL(nr, name, kind, nargs, what) SYS_##name = nr,
#include <ouzel/syscalls.def>
#undef SYSCALL
        SYS_COUNT
};
#endif

/* ---- messages ----------------------------------------------------------------------- */
/*
 * Tag (x1): bits 0-3 number of message words that carry meaning (0..8), bit 4 a capability
 * goes with it (x10 = the sender's slot; the receiver named a free slot in x11, 0 = none;
 * the received tag has bit 4 set only if it arrived), bits 16-63 label.
 * All eight message registers are always transferred: zero what is not to be seen.
 * A receiver gets: x0 error, x1 tag, x2..x9 words, x10 badge of the sender's capability.
 * ipc_call and ipc_reply_recv/ipc_recv take x11 as the receive slot.
 */
#define MSG_WORDS        8
#define TAG_WORDS_MASK   0xf
#define TAG_CAP          (1 << 4)
#define TAG_LABEL_SHIFT  16
#define MSG_TAG(label, words) (((unsigned long)(label) << TAG_LABEL_SHIFT) | (words))

/* Labels of messages that the kernel sends on behalf of a thread, to its fault endpoint. */
#define LABEL_PAGE_FAULT 0xf001 /* w0 address, w1 ACCESS_*, w2 pc, w3 ESR, w4 thread id */
#define LABEL_EXCEPTION  0xf002 /* w0 FAR, w1 0, w2 pc, w3 ESR, w4 thread id, w5 sp, w6 lr */
#define LABEL_VCPU_STUCK 0xf003 /* as LABEL_EXCEPTION: a server that can't take exceptions */
/* Answer label 0 resumes the thread at the same pc; any other label leaves it stopped. */

/* Rights of regions, mappings, and what a page fault wanted. */
#define ACCESS_READ      1
#define ACCESS_WRITE     2
#define ACCESS_EXEC      4
#define ACCESS_ALL       7

/* ---- capabilities ------------------------------------------------------------------- */
#define CAP_NONE         0
#define CAP_TASK         1
#define CAP_THREAD       2
#define CAP_SPACE        3
#define CAP_ENDPOINT     4
#define CAP_NOTIFICATION 5
#define CAP_IRQ          6
#define CAP_CONTROL      7 /* the right to ask for machine-wide things: see CONTROL_* */

#define RIGHT_SEND       (1 << 0) /* endpoint: call, send; notification: signal */
#define RIGHT_RECV       (1 << 1) /* endpoint: recv, reply_recv; notification: wait, poll */
#define RIGHT_MANAGE     (1 << 2) /* task, thread, space, irq: change it */
#define RIGHT_GRANT      (1 << 3) /* may be copied to another task, or passed in a message */
#define RIGHT_ALL        0xf
#define CONTROL_IRQ      (1 << 0) /* rights of a CAP_CONTROL: irq_create */
#define CONTROL_DEBUG    (1 << 1) /* debug_write, debug_read, trace, counters, object_next */
#define CONTROL_SYSTEM   (1 << 2) /* system_control, kernel_check */
#define CONTROL_GRANT    (1 << 3) /* as RIGHT_GRANT */

/* Slots of a new task's capability table. Slot 0 is never valid. */
#define SLOT_NONE        0
#define SLOT_TASK        1 /* the task itself (root server: all rights) */
#define SLOT_SPACE       2 /* its own space */
#define SLOT_PARENT      3 /* by convention: endpoint to whoever started it */
#define SLOT_CONTROL     4 /* by convention: a control capability, where it has one */
#define SLOT_FIRST_FREE  16
#define SLOT_COUNT       8192

/* ---- regions and mappings ----------------------------------------------------------- */
#define REGION_DEVICE    (1 << 3) /* or'ed to the rights: device memory */
#define REGION_WX        (1 << 4) /* process spaces may map it writable and executable */

/*
 * space_update(space, va, pa, flags, count): flags = ACCESS_* (0 unmaps) | MAP_* below.
 * count contiguous pages of the size given, va and pa advancing together; not more than
 * UPDATE_PAGES_MAX, as interrupts wait meanwhile.
 * On error x1 = index of the rejected page; those before it hold.
 */
#define MAP_DEVICE       (1 << 3)  /* Device-nGnRE; must be a device region */
#define MAP_NONCACHED    (1 << 4)  /* Normal non-cacheable; a normal region */
#define MAP_SIZE_4K      (0 << 8)
#define MAP_SIZE_2M      (1 << 8)
#define MAP_SIZE_1G      (2 << 8)
#define MAP_SIZE_MASK    (3 << 8)
#define UPDATE_PAGES_MAX (1 << 18)
#ifndef __ASSEMBLER__
struct ouzel_update { /* space_update_list: an array of these at the start of the buffer */
        uint64_t va, pa;
        uint32_t flags, count;
};
#define UPDATE_LIST_MAX 170 /* 4096 / sizeof(struct ouzel_update) */
#endif

/*
 * Addresses. A task's own space is the high half of the address space, less the kernel's
 * slot; a space made by space_create is the low half (a Linux process).
 */
#define TASK_VA_START    0xffff000000000000
#define KERNEL_SLOT_VA   0xffff7f8000000000 /* 512 GiB that are the kernel's */
#define KERNEL_SLOT_END  0xffff800000000000
#define PROCESS_VA_END   0x0001000000000000
#define NATIVE_LINK_VA   0xffff000010000000 /* where native programs are linked */

/* ---- irq ---------------------------------------------------------------------------- */
#define IRQ_EDGE         (1 << 0) /* irq_create(slot, line, flags); level without it */

/* ---- system control, facts ---------------------------------------------------------- */
#define SYSTEM_OFF       0
#define SYSTEM_RESET     1

#ifndef __ASSEMBLER__
/* kernel_info(control, what): x1 (and x2, x3) = the fact. */
enum ouzel_info {
        INFO_CPUS,           /* x1 number of running cores */
        INFO_FDT,            /* x1 physical address, x2 size: a region of the root task's */
        INFO_ARCHIVE,        /* x1 physical address, x2 size */
        INFO_INITRD,         /* x1 physical address, x2 size; 0 if there is none */
        INFO_KERNEL_MEMORY,  /* x1 pages in the pool, x2 pages free */
        INFO_TIMER_HZ,       /* x1 CNTFRQ */
        INFO_CONSOLE,        /* x1 physical address, x2 interrupt line, x3 type (1 = PL011) */
        INFO_GIC,            /* x1 version (2, 3), x2 number of lines */
        INFO_VERSION,        /* x1 ABI version */
};
#define OUZEL_ABI_VERSION 1

/* counters_read(core, counter); core -1 sums all. */
#define OUZEL_COUNTERS(C)                                                                   \
        C(entries, "kernel entries")                                                        \
        C(returns, "returns to EL0")                                                        \
        C(ttbr, "TTBR writes")                                                              \
        C(isb, "ISB")                                                                       \
        C(dsb, "DSB")                                                                       \
        C(tlbi, "TLBI")                                                                     \
        C(faults, "page faults")                                                            \
        C(ipc_fast, "IPC on the fast path")                                                 \
        C(ipc_slow, "IPC on the slow path")                                                 \
        C(irqs, "interrupts")                                                               \
        C(switches, "thread switches")                                                      \
        C(sync, "shadow-sync elements")                                                     \
        C(ipis, "inter-processor interrupts sent")
enum ouzel_counter {
#define OUZEL_C(name, what) COUNT_##name,
        OUZEL_COUNTERS(OUZEL_C)
#undef OUZEL_C
        COUNT_MAX
};

/* Trace event classes: bits of trace_control's mask. trace_read: x1 time, x2 class, x3..x5. */
#define OUZEL_TRACES(T)                                                                     \
        T(entry) T(switch) T(ipc) T(fault) T(map) T(irq) T(vcpu) T(object)
enum ouzel_trace {
#define OUZEL_T(name) TRACE_##name,
        OUZEL_TRACES(OUZEL_T)
#undef OUZEL_T
        TRACE_MAX
};

/* thread_info: x1 state, x2 task id, x3 cpu | prio << 8, x4 thread id, x5 pc. */
#define OUZEL_STATES(S)                                                                     \
        S(stopped) S(ready) S(running) S(sending) S(receiving) S(calling) S(waiting)        \
        S(vcpu_waiting) S(remote) S(depleted)
enum ouzel_state {
#define OUZEL_S(name) STATE_##name,
        OUZEL_STATES(OUZEL_S)
#undef OUZEL_S
};
#endif

#endif
