// SPDX-License-Identifier: GPL-2.0-only
/*
 * check.c -- debugfs ouzel/: is every shadow table what it should be; what was rejected.
 */
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/pagewalk.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/workqueue.h>

#include <asm/fixmap.h>
#include <asm/ouzel.h>
#include <asm/ouzel_fault.h>

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

/* Tables of init_mm, below its root. */
static int p4d_count(p4d_t *p4d, unsigned long addr, unsigned long next, struct mm_walk *walk)
{
	*(u64 *)walk->private += p4d_present(*p4d);
	return 0;
}

static int pud_count(pud_t *pud, unsigned long addr, unsigned long next, struct mm_walk *walk)
{
	*(u64 *)walk->private += pud_present(*pud) && !pud_leaf(*pud);
	return 0;
}

static int pmd_count(pmd_t *pmd, unsigned long addr, unsigned long next, struct mm_walk *walk)
{
	*(u64 *)walk->private += pmd_present(*pmd) && !pmd_leaf(*pmd);
	return 0;
}

static u64 tables_of_ours(void)
{
	static const struct mm_walk_ops ops = {
		.p4d_entry = p4d_count,
		.pud_entry = pud_count,
		.pmd_entry = pmd_count,
	};
	u64 count = 0;

	mmap_read_lock(&init_mm);
	walk_kernel_page_table_range(PAGE_OFFSET, PAGE_MASK, &ops, NULL, &count);
	mmap_read_unlock(&init_mm);
	return count;
}

/*
 * Kernel memory that was charged to us, and what for: the shadow of our own table, whose tables
 * stay as ours do; a space, its root and its tables for each process; and the rest: vCPUs,
 * lines, capabilities, and the spaces of processes that are over, until the last CPU whose
 * active_mm they are has another.
 */
static int quota_show(struct seq_file *m, void *v)
{
	struct ouzel_result before = OUZEL_RESULT(task_info, SLOT_TASK), after, own, r;
	unsigned long *seen = bitmap_zalloc(SLOT_COUNT, GFP_KERNEL);
	struct task_struct *process, *task;
	unsigned int spaces = 0;
	u64 pages = 0;

	if (!seen)
		return -ENOMEM;
	own = OUZEL_RESULT(space_check, SLOT_SPACE);
	rcu_read_lock();
	for_each_process(process) {
		task = find_lock_task_mm(process);
		if (!task)
			continue;
		/* vfork()'s child has its parent's */
		if (!test_and_set_bit(task->mm->context.slot, seen)) {
			r = OUZEL_RESULT(space_check, task->mm->context.slot);
			if (!r.error) {
				pages += 2 + r.v1;
				spaces++;
			}
		}
		task_unlock(task);
	}
	rcu_read_unlock();
	bitmap_free(seen);
	after = OUZEL_RESULT(task_info, SLOT_TASK);
	if (before.error || own.error || after.error)
		return -EIO;
	/* Processes come and go meanwhile: what is counted above is in one of the two, at least. */
	after.v2 = max(before.v2, after.v2);
	seq_printf(m, "%llu of %llu pages: %llu for our %llu tables, %llu for %u processes, "
		   "%lld others\n", after.v2, after.v1, own.v1, tables_of_ours(), pages, spaces,
		   after.v2 - own.v1 - pages);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(quota);

/*
 * An entry of our own that the kernel would not install is a bug, or a region taken away; of a
 * process it may be /dev/mem, and its fault tells (ouzel_rejected_here()).
 */
void ouzel_rejected_own(const struct vcpu_block *block)
{
	enum ouzel_error error = READ_ONCE(block->reject_error);
	u64 va = READ_ONCE(block->reject_va);

	if (error && is_ttbr1_addr(va))
		pr_warn_once("ouzel: the mapping of %016llx was rejected: %s\n", va,
			     ouzel_error_text(error));
}

static void reject_look(struct work_struct *work);
static DECLARE_DELAYED_WORK(reject_work, reject_look);

static void reject_look(struct work_struct *work)
{
	unsigned int cpu;

	for_each_online_cpu(cpu)
		ouzel_rejected_own((void *)__fix_to_virt(FIX_OUZEL_BLOCK0 - cpu));
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
