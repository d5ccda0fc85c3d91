// SPDX-License-Identifier: GPL-2.0-only
/*
 * counters.c -- debugfs ouzel/counters: the kernel's event counters, of all cores together;
 * ouzel/memory: pages that the kernel has for its objects and shadow tables, and our share.
 *
 * A line each, name and number. Reading the counters is itself a call per counter, always the
 * same, so that two readings tell what came between them: `./ouzel bench linux` does that.
 */
#include <linux/dcache.h>
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/seq_file.h>

#include <asm/ouzel.h>

static const char *const names[] = {
#define NAME(name, what) [COUNT_##name] = #name,
	OUZEL_COUNTERS(NAME)
#undef NAME
};

static int counters_show(struct seq_file *m, void *v)
{
	struct ouzel_result r;
	int i;

	for (i = 0; i < COUNT_MAX; i++) {
		r = OUZEL_RESULT(counters_read, -1, i);
		if (r.error)
			return -EPERM;	/* the manifest gave no control capability */
		seq_printf(m, "%s %llu\n", names[i], r.v1);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(counters);

static int memory_show(struct seq_file *m, void *v)
{
	struct ouzel_result own = OUZEL_RESULT(task_info, SLOT_TASK);
	struct ouzel_result all = OUZEL_RESULT(kernel_info, SLOT_CONTROL, INFO_KERNEL_MEMORY);

	if (own.error || all.error)
		return -EPERM;
	seq_printf(m, "quota %llu\nused %llu\npool %llu\nfree %llu\n", own.v1, own.v2, all.v1,
		   all.v2);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(memory);

static int __init counters_init(void)
{
	struct dentry *dir = debugfs_lookup("ouzel", NULL);	/* check.c's */

	debugfs_create_file("counters", 0400, dir, NULL, &counters_fops);
	debugfs_create_file("memory", 0400, dir, NULL, &memory_fops);
	dput(dir);
	return 0;
}
late_initcall_sync(counters_init);
