/* SPDX-License-Identifier: MIT */
/*
 * kernel.h -- the kernel's objects, and what its files offer each other.
 *
 * Who may touch what:
 *   - A thread's scheduling and IPC state belongs to its custody core (thread.custody),
 *     interrupts masked. That is its own core, or the home core of the endpoint it waits on.
 *   - An endpoint or notification belongs to its home core. Other cores send the operation
 *     there through the core's inbox.
 *   - Capability tables, regions, the task tree and object life are changed under the big
 *     lock and read without one: whoever removes something calls quiesce() before freeing,
 *     so a system call on another core can finish with what it looked up.
 *   - Page tables are guarded by their space's lock, which is never held over quiesce().
 * Lock order: big lock, drain lock, space lock, then the leaf locks (pool, asid, console).
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <ouzel/abi.h>
#include <ouzel/vcpu.h>

#include "arch.h"
#include "cpu.h"
#include "layout.h"
#include "region.h"
#include "trapframe.h"

#define PAGE_SIZE 4096ul
#define PAGE_SHIFT 12
#define MAX_TASKS 256
#define CONTAINER(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

typedef uint64_t vaddr_t;
typedef uint64_t pte_t;

struct spinlock { uint32_t held; };

/* Every object is one page of the pool, charged to `owner`, and starts like this. */
struct object {
        uint8_t type; /* CAP_* */
        uint16_t id;
        uint32_t caps; /* capabilities to it, in all tables */
        struct task *owner;
        struct object *next_owned, *prev_owned; /* the owner's objects */
};

/*
 * Looked up without a lock: `kind` first, with acquire, then the rest. What is read is of one
 * capability: cap_install writes kind last, with release, and a slot that was cleared is
 * filled again only after a quiesce(), when nobody can be between the two reads (cap_reserve).
 */
struct cap {
        union {
                uint32_t kind; /* the four below: type is the lowest byte */
                struct {
                        uint8_t type, rights;
                        uint8_t revoked; /* by cap_revoke, 0 but while it runs */
                        uint8_t copied; /* has copies that name it as their parent */
                };
        };
        uint32_t serial; /* 0 = empty */
        struct object *object;
        uint64_t badge;
        union {
                uint32_t parent_serial; /* 0 = original */
                uint32_t cleared;       /* empty: quiesces at the time it was cleared */
        };
        uint16_t parent_task, parent_slot;
};

/* An item in a core's inbox. In at most one inbox at a time; the owner of the item knows. */
struct inbox_item {
        struct inbox_item *next;
        void (*run)(struct inbox_item *);
};

struct timer {
        struct timer *next; /* by deadline, in the core's list */
        uint64_t deadline;
        void (*fire)(struct timer *);
        bool queued;
};

/* Pages that hold tables, so that all can go without a look into them: see kmem.c. */
struct table_list { uint32_t first, n; };

struct memory_piece { paddr_t start; uint64_t size; };

/*
 * What a walk to a last-level table found: ours, and, as long as the server unlinked none of
 * its own and lost no memory since (task->flushes is the same), that. In a process space only.
 */
struct walk {
        vaddr_t last; /* the last address that the tables serve; 0 = this is none */
        pte_t *table;
        const pte_t *guest;
        uint64_t flushes;
};
#define WALKS 4

struct space {
        struct object object;
        uint64_t ttbr1; /* assembly: SPACE_TTBR1 */
        struct spinlock lock;
        bool own;  /* a task's own space (high half); else a process space (low half) */
        paddr_t root;  /* our table */
        paddr_t guest; /* the server's table, 0 = none */
        struct task *task; /* whose regions its mappings must lie in */
        uint64_t slot; /* of the first capability to it, which lives as long; own: none */
        uint32_t asid, asid_generation; /* asid: server mode; asid + 1: user mode */
        struct table_list tables; /* pages below the root */
        struct walk walks[WALKS]; /* by the lowest bits of va >> 21; lock held */
        /* Memory of the task's that it may map in any way, as of a version of its regions. */
        struct memory_piece known[2];
        uint32_t known_version;
        uint32_t users;  /* vCPUs that have it as their process, or ended so; atomic */
        struct space *next, *prev; /* all_spaces */
};

struct task {
        struct object object;
        struct task *parent;
        struct cap *caps[CAP_PAGES];
        struct region_set regions;
        struct space *space;
        struct object *owned; /* all objects charged to it */
        struct thread *vcpus[MAX_CPUS];
        unsigned vcpus_end; /* from here on there was never one */
        uint64_t flushes; /* by vCPUs that had unlinked tables, and losses of memory; atomic */
        uint64_t quota, used; /* pages; used includes what was given to child tasks */
        bool dying;
};

struct thread {
        struct trapframe regs; /* while not running */
        uint64_t tpidr;
        struct vcpu_block *block;
        uint64_t block_va, server_sp;
        uint64_t nested; /* exceptions from server mode since the last vcpu_return */
        uint64_t vector, ttbr1_server, ttbr1_user;
        struct cpu *cpu;
        struct space *space;
        struct cap **caps;
        struct thread *caller;
        uint8_t state, mode;
        bool stepping;
        __attribute__((aligned(8))) struct thread *partner;
        struct thread *next;
        struct endpoint *waits_on;
        int32_t rank; /* by thread_slow() */
        uint32_t prio, slow;
        uint8_t op; /* SYS_* of an IPC under way */
        bool in_inbox, vcpu;
        struct object object;
        struct task *task;
        struct cpu *custody;
        struct thread *prev; /* ready queues and endpoint queues are doubly linked */
        struct notification *waits_for;
        uint64_t badge;   /* of the message it is sending */
        struct endpoint *fault_endpoint;
        uint64_t fault_badge;
        uint64_t fault_message[MSG_WORDS + 1];
        /* A capability on its way: where it is copied from. Taken by cap_take. */
        uint32_t take_serial;
        uint16_t take_task, take_slot;
        struct inbox_item item;
        struct timer timeout, refill;
        uint64_t budget, period, left, started; /* timer ticks */
        paddr_t buffer;
        struct space *process; /* vCPU: what TTBR0 holds */
        /* From other cores, on the way to the block. Atomic. */
        uint64_t ipi_in, irq_in;
        struct inbox_item signal_item;
        uint32_t signal_queued;
        struct spinlock drain_lock;
        struct irq *irqs[64];  /* vCPU: lines by index */
        __attribute__((aligned(16))) uint8_t fp[512];
        uint64_t fpcr, fpsr;
};

struct endpoint {
        struct object object;
        struct cpu *cpu;
        struct thread *receivers; /* last come, first served: its caches are warm */
        struct thread *senders, *senders_tail; /* highest priority first */
};

struct notification {
        struct object object;
        struct cpu *cpu;
        uint64_t bits; /* atomic */
        struct thread *waiters;
        struct inbox_item item;
        uint32_t in_inbox;
};

struct irq {
        struct object object;
        unsigned line;
        bool edge, masked, held; /* held: came while masked, is still active */
        struct cpu *cpu;
        struct notification *notification;
        struct thread *vcpu;
        unsigned bit;
};

struct trace_event { uint64_t time, what, a, b, c; };
#define TRACE_EVENTS 512

/* Nobody but its own core touches it, except inbox (atomic) and what lock.c says. */
struct cpu {
        struct thread *current;
        uint64_t stack;
        uint32_t resched, no_fast, fp_on;
        int32_t ready_top;
        uint64_t n_entry, n_fast, n_ttbr, n_ventry, n_vreturn;
        uint64_t vectors[3], history; /* VBAR_EL1: native, server, user mode; history.c */
        unsigned id;
        bool online, stepping;
        struct thread *fp_owner;
        uint64_t counters[COUNT_MAX], n_added; /* n_added: sync elements that took one DSB */
        struct inbox_item *inbox;
        struct timer *timers;
        uint64_t timer_programmed;
        uint64_t slice_end; /* of the running thread; UINT64_MAX = nobody waits for it yet */
        /* Ready threads. Who comes before all others waits in `front`, the rest in queues. */
        struct thread *front;
        int32_t queue_top; /* ready_top, but for `front` */
        uint64_t ready_bits[4];
        struct { struct thread *head, *tail; } ready[256];
        uint64_t trace_next; /* events since boot; the last TRACE_EVENTS are kept */
        struct trace_event trace[TRACE_EVENTS];
        struct thread idle;
};
extern struct cpu cpus[MAX_CPUS];

static inline struct thread *current(void) { return this_cpu()->current; }
#define COUNT(event) (this_cpu()->counters[COUNT_##event]++)
#define COUNT_N(event, n) (this_cpu()->counters[COUNT_##event] += (n))

/* ---- results of PLAIN system calls: x0 and x1; more go to current()->regs.x[2..5] ------- */
struct result { uint64_t error, value; };
#define RESULT(e, v) ((struct result){(e), (v)})
#define ERROR(e) ((struct result){(e), 0})

/* ---- lock.c: locks, calls to other cores ------------------------------------------------ */
void spin_wait(struct spinlock *lock);
static inline bool spin_try(struct spinlock *lock)
{
        return !__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE);
}
static inline void spin_lock(struct spinlock *lock)
{
        if (UNLIKELY(!spin_try(lock)))
                spin_wait(lock);
}
static inline void spin_unlock(struct spinlock *lock)
{
        __atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}
void big_lock(void);
void big_unlock(void);
/* Run function(argument) on a core, or on all others, and wait. Big lock held. */
void cross_call(struct cpu *cpu, void (*function)(void *), void *argument);
void cross_call_others(void (*function)(void *), void *argument);
extern uint32_t cross_todo; /* a bit per core that is being called */
void cross_serve(void);
static inline void cross_poll(void) /* serve a call for this core, if there is one */
{
        if (UNLIKELY(READ_ONCE(cross_todo) & 1u << this_cpu()->id))
                cross_serve();
}
/* To another core, last of all: whoever sees it may change the thread. */
static inline void custody_give(struct thread *t, struct cpu *cpu)
{
        __atomic_store_n(&t->custody, cpu, __ATOMIC_RELEASE);
}
static inline bool custody_ours(const struct thread *t)
{
        return __atomic_load_n(&t->custody, __ATOMIC_ACQUIRE) == this_cpu();
}
void quiesce(void);    /* when it returns, no other core holds what was unlinked before */
extern uint32_t quiesces; /* how many there were, and one; changed under the big lock */
void inbox_push(struct cpu *cpu, struct inbox_item *item);
void inbox_empty(void);
static inline void inbox_run(void)
{
        if (READ_ONCE(this_cpu()->inbox))
                inbox_empty();
}

/* ---- kmem.c: the kernel's fixed pool, charged to quotas ---------------------------------- */
void kmem_init(struct range pool);
void *kmem_alloc(struct task *task); /* a zeroed page, or NULL: quota used up */
void kmem_free(struct task *task, void *page);
void *kmem_table(struct task *task, struct table_list *list);
void kmem_table_free(struct task *task, struct table_list *list, void *table);
void kmem_tables_free(struct task *task, struct table_list *list); /* all of them */
bool quota_take(struct task *task, uint64_t pages);
void quota_return(struct task *task, uint64_t pages);
uint64_t kmem_pages(void), kmem_free_pages(void);
bool kmem_owns(paddr_t pa);

/* ---- cap.c ------------------------------------------------------------------------------- */
/* NULL: out of range or no page. Slot 0 is always empty. */
static inline struct cap *cap_slot(struct task *task, uint64_t slot)
{
        struct cap *page = slot < SLOT_COUNT ? READ_ONCE(task->caps[slot >> CAPS_SHIFT]) : NULL;

        return page ? &page[slot & (CAPS_PER_PAGE - 1)] : NULL;
}
static inline struct cap *cap_find(struct task *task, uint64_t slot, unsigned type,
                                   unsigned rights, enum ouzel_error *error)
{
        struct cap *cap = cap_slot(task, slot);
        uint32_t kind = cap ? __atomic_load_n(&cap->kind, __ATOMIC_ACQUIRE) : CAP_NONE;

        if (LIKELY((kind & (0xff | rights << 8)) == (type | rights << 8)))
                return cap;
        *error = (kind & 0xff) == type ? E_RIGHTS : E_CAP;
        return NULL;
}
/* Room for a capability: makes the table's page where needed. Big lock held. */
enum ouzel_error cap_reserve(struct task *task, uint64_t slot, struct cap **out);
void cap_install(struct cap *cap, struct object *object, unsigned type, unsigned rights,
                 uint64_t badge);
enum ouzel_error cap_derive(struct task *to, uint64_t to_slot, struct task *from,
                            uint64_t from_slot, unsigned rights, uint64_t badge);
void cap_take(struct thread *t); /* what came with a message, into the receiver's table */
void cap_remove_object(struct object *object); /* every capability to it; caller quiesces */
void object_init(struct object *object, unsigned type, struct task *owner);
void object_unlink(struct object *object);

/* ---- task.c ------------------------------------------------------------------------------ */
extern struct task *tasks[MAX_TASKS];
extern struct task *root_task;
struct task *task_new(struct task *parent, uint64_t quota, enum ouzel_error *error);
void root_task_start(void);
void object_destroy(struct object *object); /* big lock held; quiesces and frees */

/* ---- space.c, sync.c, asid.c ------------------------------------------------------------- */
extern struct space *all_spaces;
/* kmem_alloc, and where the quota is used up, by forgetting some process's mappings. */
void *page_anyhow(struct task *owner);
struct space *space_new(struct task *owner, bool own, enum ouzel_error *error);
void space_unlink(struct space *space); /* from all_spaces; quiesce before space_free */
void space_free(struct space *space);
void space_clear(struct space *space);
void spaces_revoke(void); /* drop all that regions no longer allow */
enum ouzel_error space_map(struct space *space, vaddr_t va, paddr_t pa, uint32_t flags,
                           uint64_t count, uint64_t *done);
pte_t space_lookup(struct space *space, vaddr_t va, unsigned *level);
/* Whether EL0 may do this there, and what is there. */
bool space_allows(struct space *space, vaddr_t va, unsigned access, paddr_t *pa);
/* afresh: from the server's root, whatever is remembered of its tables. */
enum ouzel_error sync_range(struct space *space, vaddr_t va, uint64_t pages, bool afresh);
void sync_drain(struct thread *vcpu);
void sync_drain_task(struct task *task);
void sync_forget(struct task *task); /* what was found of its tables and memory */
void asid_init(void);
/* Gives it ASIDs and a ttbr1. A process's may be gone on return: see forget_here. */
void asid_ensure(struct space *space);
void asid_free(struct space *space);

/* ---- thread.c: threads and the scheduler -------------------------------------------------- */
void sched_init_cpu(struct cpu *cpu);
void thread_ready(struct thread *t);   /* on its own core; sets resched where needed */
void thread_wake(struct thread *t);    /* from its custody core: ready, on whatever core */
static inline void thread_block(struct thread *t, enum ouzel_state state) /* the current one */
{
        t->state = state;
        this_cpu()->resched = 1;
}
void thread_slow(struct thread *t, unsigned set, unsigned clear); /* its SLOW_* and rank */
void thread_cancel(struct thread *t, enum ouzel_error error); /* out of any queue */
void thread_halt(struct thread *t);    /* stop it on whatever core; big lock held */
void vcpu_end(struct thread *t);
struct thread *thread_new(struct task *owner, struct task *task, struct endpoint *fault_endpoint,
                          uint64_t fault_badge, unsigned prio, struct cpu *cpu, paddr_t buffer,
                          enum ouzel_error *error);
void timers_run(struct cpu *cpu);      /* those whose deadline is over */
/* Exit path: who runs now, with all switched. `same`: by the vectors of who ran before. */
struct run { struct thread *thread; uint64_t same; };
struct run schedule(void);
void timer_add(struct timer *timer, uint64_t deadline, void (*fire)(struct timer *));
void timer_remove(struct timer *timer);
void timer_program(struct cpu *cpu);   /* the hardware timer to what comes first */
void fp_release(struct thread *t);     /* its registers to memory, on this core */
void fp_enable_current(void);

/* ---- ipc.c, notify.c, irq.c ---------------------------------------------------------------- */
void ipc_fault(struct thread *t, uint64_t label, uint64_t esr, uint64_t far, uint64_t access);
void ipc_detach(struct thread *t); /* out of queues; partners learn that it is gone */
void notify_detach(struct thread *t);
void ipc_dead(struct thread *caller); /* whoever was to answer it is gone */
void endpoint_drop(struct endpoint *ep);
void notification_drop(struct notification *n);
void notification_signal(struct notification *n, uint64_t bits);
void irq_handle(void);
void irq_drop(struct irq *irq);

/* ---- exceptions: ESR_EL1 [Arm ARM D19.2.37] -------------------------------------------------- */
#define ESR_EC(esr) ((unsigned)((esr) >> 26))
#define ESR_WNR     (1u << 6) /* of a data abort: a write ... */
#define ESR_CM      (1u << 8) /* ... or cache maintenance, which only has to be allowed to read */
enum { EC_FP = 0x07, EC_SVC64 = 0x15, EC_IABORT = 0x20, EC_DABORT = 0x24 };

/* What page tables denied to EL0 (translation, access flag, permission); 0: something else. */
static inline unsigned esr_denied_access(uint64_t esr)
{
        unsigned status = esr & 0x3f;

        if (status < 4 || status > 15)
                return 0;
        switch (ESR_EC(esr)) {
        case EC_IABORT:
                return ACCESS_EXEC;
        case EC_DABORT:
                return (esr & (ESR_CM | ESR_WNR)) == ESR_WNR ? ACCESS_WRITE : ACCESS_READ;
        }
        return 0;
}

/* ---- vcpu.c ---------------------------------------------------------------------------------- */
void vcpu_signal_irq(struct thread *t, unsigned bit);
void vcpu_server_exception(struct thread *t, uint64_t esr, uint64_t far);
void exception_user(struct thread *t);  /* entry.S calls it */
void vcpu_deliver(struct thread *t);    /* enter the interrupt vector if something is pending */
void vcpu_switch_in(struct thread *t);  /* refresh ttbr values */
void vcpu_attention(struct thread *t);  /* vcpu_return's slow half */
void vcpu_pending(struct thread *t);    /* something was added for it: tell it */
bool mrs_emulate(struct thread *t, uint64_t esr); /* idregs.c */

/* ---- trace.c, check.c ---------------------------------------------------------------------- */
extern uint64_t trace_mask;
void trace_add(enum ouzel_trace what, uint64_t a, uint64_t b, uint64_t c);
#define TRACE(what, a, b, c)                                                               \
        do {                                                                               \
                if (UNLIKELY(trace_mask & (1ul << TRACE_##what)))                          \
                        trace_add(TRACE_##what, (a), (b), (c));                            \
        } while (0)
uint64_t kernel_check(bool verbose); /* number of broken invariants */

/* ---- the layout that assembly knows ------------------------------------------------------- */
#define LAYOUT(type, member, offset) \
        _Static_assert(offsetof(struct type, member) == (offset), #type "." #member)
LAYOUT(thread, regs, 0);
LAYOUT(thread, tpidr, T_TPIDR);
LAYOUT(thread, block, T_BLOCK);
LAYOUT(thread, block_va, T_BLOCK_VA);
LAYOUT(thread, server_sp, T_SERVER_SP);
LAYOUT(thread, nested, T_SERVER_SP + 8);
LAYOUT(thread, vector, T_VECTOR);
LAYOUT(thread, ttbr1_server, T_TTBR1_SERVER);
LAYOUT(thread, ttbr1_user, T_TTBR1_USER);
LAYOUT(thread, cpu, T_CPU);
LAYOUT(thread, space, T_SPACE);
LAYOUT(thread, caps, T_CAPS);
LAYOUT(thread, caller, T_CALLER);
LAYOUT(thread, partner, T_PARTNER);
LAYOUT(thread, next, T_NEXT);
LAYOUT(thread, slow, T_SLOW);
LAYOUT(thread, prio, T_PRIO);
LAYOUT(thread, state, T_STATE);
LAYOUT(thread, mode, T_MODE);
LAYOUT(thread, stepping, T_STEPPING);
LAYOUT(thread, rank, T_RANK);
LAYOUT(thread, waits_on, T_WAITS_ON);
LAYOUT(thread, object.id, T_ID);
LAYOUT(thread, fault_endpoint, T_FAULT_EP);
LAYOUT(thread, fault_badge, T_FAULT_EP + 8);
LAYOUT(cpu, current, CPU_CURRENT);
LAYOUT(cpu, counters[COUNT_faults], CPU_N_FAULTS);
LAYOUT(cpu, stack, CPU_STACK);
LAYOUT(cpu, resched, CPU_RESCHED);
LAYOUT(cpu, no_fast, CPU_NO_FAST);
LAYOUT(cpu, fp_on, CPU_FP_ON);
LAYOUT(cpu, ready_top, CPU_READY_TOP);
LAYOUT(cpu, n_entry, CPU_N_ENTRY);
LAYOUT(cpu, n_fast, CPU_N_FAST);
LAYOUT(cpu, n_ttbr, CPU_N_TTBR);
LAYOUT(cpu, n_ventry, CPU_N_VENTRY);
LAYOUT(cpu, n_vreturn, CPU_N_VRETURN);
LAYOUT(cpu, vectors[0], CPU_VECTORS);
LAYOUT(cpu, vectors[1], CPU_VECTORS_SERVER);
LAYOUT(cpu, vectors[2], CPU_VECTORS_USER);
LAYOUT(cpu, history, CPU_HISTORY);
LAYOUT(cap, object, CAP_OBJECT);
LAYOUT(cap, badge, CAP_BADGE);
LAYOUT(cap, type, CAP_TYPE);
LAYOUT(cap, rights, CAP_TYPE + 1);
LAYOUT(endpoint, cpu, EP_CPU);
LAYOUT(endpoint, receivers, EP_RECEIVERS);
LAYOUT(endpoint, senders, EP_SENDERS);
LAYOUT(space, ttbr1, SPACE_TTBR1);
LAYOUT(vcpu_block, pending, VB_ATTENTION);
LAYOUT(vcpu_block, masked, VB_MASKED);
LAYOUT(vcpu_block, elr, VB_ELR);
LAYOUT(vcpu_block, esr, VB_ESR);
LAYOUT(vcpu_block, sp, VB_SP);
LAYOUT(vcpu_block, x18, VB_X18);
LAYOUT(vcpu_block, irqs, VB_IRQS);
LAYOUT(vcpu_block, deadline, VB_DEADLINE);
LAYOUT(vcpu_block, sync_head, VB_SYNC_HEAD);
LAYOUT(vcpu_block, server, VB_SERVER);
LAYOUT(vcpu_block, faults, VB_FAULTS);
LAYOUT(vcpu_block, ring, VB_RING);
_Static_assert(sizeof(struct cap) == 1 << CAP_SHIFT, "cap");
_Static_assert(sizeof(struct thread) <= PAGE_SIZE && sizeof(struct task) <= PAGE_SIZE, "page");
_Static_assert(sizeof(struct vcpu_block) <= VB_SIZE, "block");

#endif
