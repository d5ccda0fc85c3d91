/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ouzel_fault.h -- a fault on an entry that is there, and that the kernel does not install, since
 * what it maps is not ours: /dev/mem gives root any address that is no RAM of Linux's.
 */
#ifndef __ASM_OUZEL_FAULT_H
#define __ASM_OUZEL_FAULT_H

#include <linux/mm_types.h>
#include <asm/ouzel.h>

bool ouzel_rejected_here(struct mm_struct *mm, unsigned long addr);
/* Tells, once, if what was rejected is an entry of our own: that is a bug. */
void ouzel_rejected_own(const struct vcpu_block *block);

/* Any rejection since the last one that was looked into. */
static __always_inline bool ouzel_rejected(struct mm_struct *mm, unsigned long addr)
{
	return unlikely(READ_ONCE(ouzel_block()->reject_error)) && ouzel_rejected_here(mm, addr);
}

#endif
