// SPDX-License-Identifier: MIT
/*
 * timer.c -- the virtual timer: the one that every guest has, and whose clock EL0 reads.
 * [Arm ARM D11.2; CNTV_CTL_EL0 D19.8.25: ENABLE bit 0, IMASK bit 1]
 */
#include "arch.h"

uint64_t timer_now(void)
{
        uint64_t v;
        /* No isb, so it may be read a little early [D11.2.1]: a deadline is then found not to
         * be over yet, and the timer says so when it is. */
        __asm__ volatile("mrs %0, cntvct_el0" : "=r"(v)::"memory");
        return v;
}

uint64_t timer_hz(void)
{
        uint64_t v;
        __asm__("mrs %0, cntfrq_el0" : "=r"(v));
        return v;
}

void timer_set(uint64_t deadline)
{
        if (deadline == UINT64_MAX) {
                __asm__ volatile("msr cntv_ctl_el0, %0\n\tisb" ::"r"(2ul)); /* off, at once */
                return;
        }
        __asm__ volatile("msr cntv_cval_el0, %0\n\tmsr cntv_ctl_el0, %1\n\t"
                         "isb" /* in force before interrupts are waited for */
                         ::"r"(deadline), "r"(1ul));
}
