// SPDX-License-Identifier: GPL-2.0-only
/*
 * boot.c -- from the first instruction to start_kernel().
 *
 * Natively head.S and pi/map_kernel.c turn the MMU on and map the image. Here the pager has
 * mapped it; what remains is to write Linux's own tables, as pi/map_kernel.c would, and to
 * tell the kernel that they are what counts from now on.
 */
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/of_fdt.h>

#include <asm/fixmap.h>
#include <asm/kernel-pgtable.h>
#include <asm/ouzel.h>
#include <asm/pgtable.h>
#include <asm/sections.h>
#include <asm/setup.h>
#include <asm/virt.h>

void __pi_map_range(u64 *pgd, u64 start, u64 end, u64 pa, pgprot_t prot,
		    int level, pte_t *tbl, bool may_use_cont, u64 va_offset);

extern char vectors[];

static void __init map_segment(u64 *next_table, void *start, void *end, pgprot_t prot)
{
	__pi_map_range(next_table, (u64)start, (u64)end, __pa_symbol(start), prot, 0,
		       (pte_t *)init_pg_dir, false, kimage_voffset);
}

/* From head.S; returns the address of our block. Before that: no current, no per-CPU data. */
struct vcpu_block *__init ouzel_early_init(phys_addr_t fdt, phys_addr_t blocks,
					   phys_addr_t image)
{
	unsigned long va = __fix_to_virt(FIX_OUZEL_BLOCK0);
	u64 next_table;
	int i;

	kimage_voffset = (u64)_text - image;
	__fdt_pointer = fdt;
	__boot_cpu_mode[0] = BOOT_CPU_MODE_EL1;	/* as [1] is: no EL2 for us, no KVM */

	/* The segments and rights of map_kernel(); INIT_DIR_SIZE counts on these cuts. */
	next_table = __pa_symbol(init_pg_dir) + PAGE_SIZE;
	map_segment(&next_table, _text, _stext, PAGE_KERNEL);
	map_segment(&next_table, _stext, _etext, PAGE_KERNEL_ROX);
	map_segment(&next_table, __start_rodata, __inittext_begin, PAGE_KERNEL);
	map_segment(&next_table, __inittext_begin, __inittext_end, PAGE_KERNEL_ROX);
	map_segment(&next_table, __initdata_begin, __initdata_end, PAGE_KERNEL);
	map_segment(&next_table, _data, _end, PAGE_KERNEL);
	memcpy(swapper_pg_dir, init_pg_dir, PAGE_SIZE);

	early_fixmap_init();
	for (i = 0; i < NR_CPUS; i++)
		__set_fixmap(FIX_OUZEL_BLOCK0 - i, blocks + i * VB_SIZE, PAGE_KERNEL);

	/* Our tables take over. What is in them and not yet in the shadow comes by faults. */
	if (OUZEL(space_sync, SLOT_SPACE, _text, (_end - _text) >> PAGE_SHIFT,
		  __pa_symbol(swapper_pg_dir)) ||
	    OUZEL(space_sync, SLOT_SPACE, va, NR_CPUS, 0) ||
	    OUZEL(vcpu_enable, SERVER_SLOT_VCPU(0), va, vectors))
		asm volatile("brk 0x800");	/* the pager reports it, with the pc */
	return (struct vcpu_block *)va;
}
