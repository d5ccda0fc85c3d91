/* SPDX-License-Identifier: MIT */
/* history.h -- which vector tables a core has: with the branch history overwritten, or not. */
#ifndef HISTORY_H
#define HISTORY_H

void history_arguments(const void *fdt); /* mitigations=off, ouzel.bhb=on, ouzel.bhb=off */
void history_init(unsigned core);        /* on that core, before it leaves the kernel */

#endif
