/* SPDX-License-Identifier: MIT */
#ifndef CONSOLE_H
#define CONSOLE_H

#include "arch.h"

enum { CONSOLE_NONE, CONSOLE_PL011, CONSOLE_MINI_UART }; /* INFO_CONSOLE's type */
void panic_stop_here(void); /* does not return if another core panics */
_Noreturn void stop_machine(void); /* all cores, with nothing more to say */
void console_init(volatile void *base, unsigned kind); /* registers, mapped as a device */

#endif
