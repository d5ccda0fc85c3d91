// SPDX-License-Identifier: GPL-2.0-only
/*
 * power.c -- the end: poweroff, restart and panic are calls to the pager, who started us.
 */
#include <linux/console.h>
#include <linux/init.h>
#include <linux/kmsg_dump.h>
#include <linux/panic_notifier.h>
#include <linux/reboot.h>
#include <linux/serial_core.h>

#include <asm/ouzel.h>
#include <asm/sections.h>

/* A message of two words to the pager. It need not answer. */
static void parent_call(unsigned int label, u64 w0, u64 w1)
{
	register u64 x0 asm("x0") = SLOT_PARENT;
	register u64 x1 asm("x1") = MSG_TAG(label, 2);
	register u64 x2 asm("x2") = w0;
	register u64 x3 asm("x3") = w1;
	register u64 x4 asm("x4") = 0, x5 asm("x5") = 0, x6 asm("x6") = 0, x7 asm("x7") = 0;
	register u64 x8 asm("x8") = 0, x9 asm("x9") = 0, x10 asm("x10") = 0;
	register u64 x11 asm("x11") = 0;	/* no slot to receive a capability */

	asm volatile("svc	%[nr]"
		     : "+r" (x0), "+r" (x1), "+r" (x2), "+r" (x3), "+r" (x4), "+r" (x5),
		       "+r" (x6), "+r" (x7), "+r" (x8), "+r" (x9), "+r" (x10), "+r" (x11)
		     : [nr] "i" (SYS_ipc_call)
		     : "x12", "x13", "x14", "x15", "x16", "x17", "cc", "memory");
}

static int power_off(struct sys_off_data *data)
{
	parent_call(SERVER_CALL_POWEROFF, 0, 0);
	return NOTIFY_DONE;
}

static int restart(struct sys_off_data *data)
{
	parent_call(SERVER_CALL_RESTART, 0, 0);
	return NOTIFY_DONE;
}

/* The end of the log goes to the pager, which prints it and starts us again, or not. */
static char last_words[8192] __aligned(PAGE_SIZE);

static void dump(struct kmsg_dumper *dumper, struct kmsg_dump_detail *detail)
{
	struct kmsg_dump_iter iter;
	size_t size = 0;

	if (detail->reason != KMSG_DUMP_PANIC)
		return;
	kmsg_dump_rewind(&iter);
	kmsg_dump_get_buffer(&iter, false, last_words, sizeof(last_words), &size);
	console_flush_on_panic(CONSOLE_FLUSH_PENDING);
	parent_call(SERVER_CALL_PANIC, __pa_symbol(last_words), size);
}

static struct kmsg_dumper dumper = {
	.dump = dump,
	.max_reason = KMSG_DUMP_PANIC,
};

static int __init power_init(void)
{
	register_sys_off_handler(SYS_OFF_MODE_POWER_OFF, SYS_OFF_PRIO_FIRMWARE, power_off, NULL);
	register_sys_off_handler(SYS_OFF_MODE_RESTART, SYS_OFF_PRIO_FIRMWARE, restart, NULL);
	return kmsg_dump_register(&dumper);
}
early_initcall(power_init);

/* ---- earlycon=ouzel: the kernel's console, where the pager allows it ---- */

static void early_write(struct console *console, const char *s, unsigned int n)
{
	u64 words[3];

	for (; n; s += min(n, 24U), n -= min(n, 24U)) {
		memset(words, 0, sizeof(words));
		memcpy(words, s, min(n, 24U));
		OUZEL(debug_write, min(n, 24U), words[0], words[1], words[2]);
	}
}

static int __init early_setup(struct earlycon_device *device, const char *options)
{
	device->con->write = early_write;
	return 0;
}
EARLYCON_DECLARE(ouzel, early_setup);
