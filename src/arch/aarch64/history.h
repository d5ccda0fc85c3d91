/* SPDX-License-Identifier: MIT */
/* history.h -- which vector tables a core has: with the branch history overwritten, or not. */
#ifndef HISTORY_H
#define HISTORY_H

/* mitigations=off, ouzel.bhb=on, ouzel.bhb=off, in the node /chosen (negative: there is none). */
void history_arguments(const void *fdt, int chosen);
void history_init(unsigned core); /* on that core, before it leaves the kernel */

#endif
