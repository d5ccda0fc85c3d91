// SPDX-License-Identifier: GPL-2.0-only
/*
 * trap_test.c -- a module for a test: `echo N >/sys/kernel/debug/ouzel/trap` makes Linux execute
 * the Nth of the instructions below, none of which it may. The writer must die of it, with an
 * oops that says where, and the system go on. After the last of them comes what ends Linux: it
 * leaves its stack.
 */
#include <linux/debugfs.h>
#include <linux/kstrtox.h>
#include <linux/module.h>

static noinline unsigned long recurse(volatile unsigned long *from)
{
	volatile unsigned long here[64];

	here[0] = *from + 1;
	return here[0] ? recurse(here) + here[0] : 0;
}

static noinline void execute(unsigned int n)
{
	switch (n) {
	case 0: asm volatile("msr ttbr0_el1, xzr"); break;
	case 1: asm volatile("msr vbar_el1, xzr"); break;
	case 2: asm volatile("mrs x0, sctlr_el1" : : : "x0"); break;
	case 3: asm volatile("msr daifset, #0xf"); break;
	case 4: asm volatile("tlbi vmalle1"); break;
	case 5: asm volatile("at s1e1r, xzr"); break;
	case 6: asm volatile("msr cntv_ctl_el0, xzr"); break;
	case 7: asm volatile("msr cntp_cval_el0, xzr"); break;
	case 8: asm volatile("mrs x0, sp_el0" : : : "x0"); break;
	case 9: asm volatile("eret"); break;
	case 10: asm volatile("hvc #0"); break;
	case 11: asm volatile("smc #0"); break;
	case 12: recurse(&(unsigned long){0}); break;
	}
}

static ssize_t trap_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	unsigned int n;
	int error = kstrtouint_from_user(from, size, 0, &n);

	if (error)
		return error;
	execute(n);
	return -ENODATA;	/* nobody minded */
}

static const struct file_operations trap_fops = { .owner = THIS_MODULE, .write = trap_write };
static struct dentry *file;

static int __init trap_init(void)
{
	file = debugfs_create_file("trap", 0200, debugfs_lookup("ouzel", NULL), NULL, &trap_fops);
	return 0;
}

static void __exit trap_exit(void)
{
	debugfs_remove(file);
}

module_init(trap_init);
module_exit(trap_exit);
MODULE_DESCRIPTION("Executes what only a privileged kernel may");
MODULE_LICENSE("GPL");
