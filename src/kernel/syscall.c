// SPDX-License-Identifier: MIT
/* syscall.c -- the table that entry.S dispatches by, and the kernel's own exceptions. */
#include "fpu.h"
#include "mmu.h"
#include "sys.h"

/* What assembly assumes. */
_Static_assert(SYS_vcpu_return == 0 && SYS_ipc_call == 1 && SYS_ipc_reply_recv == 2, "vectors");
_Static_assert(SYS_COUNT == 54, "NR_SYSCALLS in entry.S");
_Static_assert(STATE_running == 2 && STATE_receiving == 4 && STATE_calling == 5, "ipc_fast.S");

/*
 * A PLAIN function's entry is one byte past it: instructions are aligned to 4, so the bit
 * is free to tell entry.S which way to call.
 */
#define ENTRY_FAST(name)   ((const char *)sys_##name)
#define ENTRY_SWITCH(name) ((const char *)sys_##name)
#define ENTRY_PLAIN(name)  ((const char *)sys_##name + 1)
extern const char *const syscall_table[];
const char *const syscall_table[] = {
#define SYSCALL(nr, name, kind, nargs, what) [nr] = ENTRY_##kind(name),
#include <ouzel/syscalls.def>
#undef SYSCALL
};

void exception_native(struct thread *t);
void exception_irq(struct thread *t);

/* From a native thread, or from a vCPU in server mode. */
void exception_native(struct thread *t)
{
        uint64_t esr = cpu_esr(), far = cpu_far();
        unsigned ec = ESR_EC(esr);

        TRACE(fault, esr, far, t->regs.pc);
        if (ec == EC_SVC64) {
                t->regs.x[0] = E_NOCALL;
                return;
        }
        if (ec == EC_FP) {
                fp_enable_current();
                return;
        }
        if (t->vcpu) {
                vcpu_server_exception(t, esr, far);
                return;
        }
        unsigned access = esr_denied_access(esr);
        if (access) {
                COUNT(faults);
                ipc_fault(t, LABEL_PAGE_FAULT, esr, far, access);
        } else {
                ipc_fault(t, LABEL_EXCEPTION, esr, far, 0);
        }
}

void exception_irq(struct thread *t)
{
        (void)t;
        irq_handle();
}
