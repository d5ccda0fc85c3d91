/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * head.S -- the Image's headers, and where the boot CPU and the others start on Ouzel.
 */
#include <linux/init.h>
#include <linux/linkage.h>
#include <asm/asm-offsets.h>
#include <asm/assembler.h>
#include <asm/image.h>
#include <asm/ouzel.h>
#include <asm/ptrace.h>
#include <asm/thread_info.h>

	__HEAD
	/* The arm64 Image header. Whoever branches here has no Ouzel below it: stay. */
.Limage:
	nop
	b	.
	.quad	0				// image load offset
	le64sym	_kernel_size_le
	le64sym	_kernel_flags_le
	.quad	0
	.quad	0
	.quad	0
	.ascii	ARM64_IMAGE_MAGIC
	.long	0

	/* The Ouzel header: see <ouzel/vcpu.h>. Offsets come from image.h. */
	.org	.Limage + SERVER_HEADER
	.quad	SERVER_MAGIC
	.quad	SERVER_ABI
	le64sym	_ouzel_entry_le
	le64sym	_ouzel_file_le
	.quad	5
	le64sym	_ouzel_head_le
	le64sym	_ouzel_text_le
	.quad	ACCESS_READ
	le64sym	_ouzel_text_le
	le64sym	_ouzel_rodata_le
	.quad	ACCESS_READ | ACCESS_EXEC
	/* read-only data: writable until mark_rodata_ro(), as natively */
	le64sym	_ouzel_rodata_le
	le64sym	_ouzel_inittext_le
	.quad	ACCESS_READ | ACCESS_WRITE
	le64sym	_ouzel_inittext_le
	le64sym	_ouzel_initdata_le
	.quad	ACCESS_READ | ACCESS_EXEC
	le64sym	_ouzel_initdata_le
	le64sym	_ouzel_end_le
	.quad	ACCESS_READ | ACCESS_WRITE

	/* The same as head.S natively does, but for the registers. */
	.macro	init_cpu_task tsk, tmp1, tmp2
	str	\tsk, [x18, #VB_CURRENT]

	ldr	\tmp1, [\tsk, #TSK_STACK]
	add	sp, \tmp1, #THREAD_SIZE
	sub	sp, sp, #PT_REGS_SIZE

	stp	xzr, xzr, [sp, #S_STACKFRAME]
	add	x29, sp, #S_STACKFRAME

	adr_l	\tmp1, __per_cpu_offset
	ldr	w\tmp2, [\tsk, #TSK_TI_CPU]
	ldr	\tmp1, [\tmp1, \tmp2, lsl #3]
	set_this_cpu_offset \tmp1
	.endm

	__INIT
/*
 * The boot CPU: an ordinary thread yet, with the image mapped as the header says and nothing
 * else. x0 = physical address of the device tree, x1 = of vCPU block 0, sp = of the image.
 */
SYM_CODE_START(ouzel_entry)
	mov	x2, sp
	adr_l	x3, early_init_stack
	mov	sp, x3
	mov	x29, xzr
	mov	x30, xzr
	bl	ouzel_early_init		// returns the virtual address of block 0
	mov	x18, x0
	adr_l	x4, init_task
	init_cpu_task x4, x5, x6
	bl	start_kernel
	ASM_BUG()
SYM_CODE_END(ouzel_entry)

	.text
/*
 * The others, vCPUs from the start: x18 = the block, x0 = the idle task, sp = anything.
 */
SYM_CODE_START(ouzel_secondary_entry)
	init_cpu_task x0, x1, x2
	bl	secondary_start_kernel
	ASM_BUG()
SYM_CODE_END(ouzel_secondary_entry)
