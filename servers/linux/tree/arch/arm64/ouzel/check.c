// SPDX-License-Identifier: GPL-2.0-only
/*
 * check.c -- debugfs ouzel/: is every shadow table what it should be; what was rejected.
 */
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/workqueue.h>

#include <asm/fixmap.h>
#include <asm/ouzel.h>

static unsigned long check_space(struct seq_file *m, u16 slot, const char *who)
{
	struct ouzel_result r = OUZEL_RESULT(space_check, slot);

	if (r.error == E_DIFFERS)
		seq_printf(m, "%s: %llu entries differ, first at %016llx\n", who, r.v1, r.v2);
	else if (r.error)
		seq_printf(m, "%s: %s\n", who, ouzel_error_text(r.error));
	return r.error != E_OK;
}

/*
 * Reading it checks our own space and that of every process. Tables change while this runs;
 * the kernel applies what is queued first and compares with the space locked, so what it
 * finds is a change that nobody queued, or one in the few instructions between an entry's
 * store and its queueing: read it again.
 */
static int check_show(struct seq_file *m, void *v)
{
	unsigned long spaces = 1, wrong = check_space(m, SLOT_SPACE, "kernel");
	struct task_struct *task;
	struct mm_struct *mm;
	char name[TASK_COMM_LEN + 16];

	rcu_read_lock();
	for_each_process(task) {
		task_lock(task);
		mm = task->mm;
		if (mm && READ_ONCE(mm->context.space)) {
			snprintf(name, sizeof(name), "%d (%s)", task->pid, task->comm);
			wrong += check_space(m, mm->context.slot, name);
			spaces++;
		}
		task_unlock(task);
	}
	rcu_read_unlock();
	seq_printf(m, "%lu spaces, %lu wrong\n", spaces, wrong);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(check);

static int blocks_show(struct seq_file *m, void *v)
{
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		struct vcpu_block *b = (void *)__fix_to_virt(FIX_OUZEL_BLOCK0 - cpu);

		seq_printf(m, "cpu%u faults %llu rejected %016llx %s\n", cpu, b->faults,
			   b->reject_va, ouzel_error_text(b->reject_error));
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(blocks);

/*
 * Kernel memory that was charged to us, and what for: the shadow of our own table, which grows
 * with it (Linux, too, keeps the tables of its own mappings); a space, its root and its tables
 * for each process; vCPUs, lines and capabilities.
 */
static int quota_show(struct seq_file *m, void *v)
{
	struct ouzel_result own = OUZEL_RESULT(space_check, SLOT_SPACE), task, r;
	u64 pages = 0, spaces = 0;
	unsigned int slot;

	for (slot = SERVER_SLOT_DYNAMIC; slot < SLOT_COUNT; slot++) {
		r = OUZEL_RESULT(space_check, slot);
		if (r.error == E_CAP)
			continue;	/* no process has it now */
		if (r.error)
			return -EIO;	/* `check` tells more */
		pages += r.v1 + 2;
		spaces++;
	}
	task = OUZEL_RESULT(task_info, SLOT_TASK);
	if (own.error || task.error)
		return -EIO;
	seq_printf(m, "%llu of %llu pages: %llu own tables, %llu for %llu spaces, %lld others\n",
		   task.v2, task.v1, own.v1, pages, spaces, task.v2 - own.v1 - pages);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(quota);

/* An entry that the kernel would not install is a bug of ours, or a region taken away. */
static void reject_look(struct work_struct *work);
static DECLARE_DELAYED_WORK(reject_work, reject_look);

static void reject_look(struct work_struct *work)
{
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		struct vcpu_block *b = (void *)__fix_to_virt(FIX_OUZEL_BLOCK0 - cpu);

		if (READ_ONCE(b->reject_error)) {
			pr_warn_once("ouzel: the mapping of %016llx was rejected: %s\n",
				     b->reject_va, ouzel_error_text(b->reject_error));
			return;		/* once is enough */
		}
	}
	schedule_delayed_work(&reject_work, 10 * HZ);
}

static int __init check_init(void)
{
	struct dentry *dir = debugfs_create_dir("ouzel", NULL);

	debugfs_create_file("check", 0400, dir, NULL, &check_fops);
	debugfs_create_file("vcpus", 0400, dir, NULL, &blocks_fops);
	debugfs_create_file("quota", 0400, dir, NULL, &quota_fops);
	schedule_delayed_work(&reject_work, HZ);
	return 0;
}
late_initcall(check_init);
