/* SPDX-License-Identifier: MIT */
/*
 * vcpu.h -- the block that a vCPU shares with the kernel. Included by the kernel, by the
 * Linux server, and by assembly on both sides.
 *
 * A vCPU is a thread with two modes, both at EL0. In server mode (Linux's kernel) TTBR1 is
 * the task's own space; in user mode (a Linux program) TTBR1 holds nothing but Ouzel.
 * TTBR0 is the process space chosen by vcpu_set_space in both. x18 points to the block in
 * server mode.
 *
 * Entry to server mode. The kernel leaves x0..x17, x19..x30, FP and TPIDR_EL0 alone, writes
 * elr, spsr, esr and far below, sets `masked` to 1, and continues at vbar + offset, where
 * the offset is that of the hardware's VBAR_EL1 table:
 *      from user mode    0x400 sync, 0x480 irq; user's SP to `sp`, user's x18 to `x18`;
 *                        SP becomes what it was at the last vcpu_return to user mode
 *      from server mode  0x200 sync, 0x280 irq; SP stays; spsr says EL1h, its I bit is the
 *                        old `masked`; ESR's class is the "current EL" one
 * vcpu_return (svc #0). By spsr.M: EL0t returns to user mode: pc = elr, SP = sp, x18 = x18,
 * and SP of server mode is kept for the next entry; EL1h stays in server mode: pc = elr,
 * masked = spsr.I, SP and x18 stay as they are. Of spsr only NZCV and SS are
 * taken. The sync ring is drained and what is pending and not masked is delivered first.
 *
 * vcpu_poll and vcpu_wait change no register but x0: they are part of unmasking and idling.
 *
 * The kernel touches the block only from the vCPU's own core while the vCPU is not
 * executing, except sync_head, which whoever drains advances. So the server's single
 * stores and exclusives are atomic against the kernel; a plain read-modify-write is not.
 */
#ifndef OUZEL_VCPU_H
#define OUZEL_VCPU_H

/* Offsets; the kernel and the server each assert them against the struct. */
#define VB_ATTENTION     0x000 /* one 8-byte load tells vcpu_return if there is work */
#define VB_PENDING       0x000 /* u8: kernel: something undelivered. Server: read only */
#define VB_WORK          0x001 /* u8: server: eoi was written; kernel clears */
#define VB_SYNC          0x002 /* u8: server: the ring was added to; kernel clears */
#define VB_MASKED        0x008 /* u8: virtual DAIF.I: nonzero = interrupts masked */
#define VB_ELR           0x010
#define VB_SPSR          0x018
#define VB_ESR           0x020
#define VB_FAR           0x028
#define VB_SP            0x030 /* user mode's SP_EL0 */
#define VB_X18           0x038 /* user mode's x18 */
#define VB_IRQS          0x040 /* pending lines, by the index of irq_bind; server: xchg 0 */
#define VB_IPIS          0x048 /* bits of vcpu_signal; server: xchg 0 */
#define VB_TIMER         0x050 /* nonzero: the deadline passed; server clears */
#define VB_EOI           0x058 /* server: lines to deactivate; kernel clears (set VB_WORK) */
#define VB_DEADLINE      0x060 /* server: CNTVCT when the timer fires; ~0 = never */
#define VB_ARMED         0x068 /* kernel: it will look at the deadline then, or ~0 */
#define VB_SYNC_HEAD     0x070 /* u32: next element to drain (kernel) */
#define VB_SYNC_TAIL     0x074 /* u32: next element to write (server, store-release) */
#define VB_SERVER        0x080 /* 128 bytes that are the server's own: percpu, current ... */
#define VB_FAULTS        0x100 /* u64: kernel: mapping faults solved by draining */
#define VB_REJECT_VA     0x108 /* kernel: the last entry that validation rejected ... */
#define VB_REJECT_ERROR  0x110 /* ... and the enum ouzel_error; server may clear */
#define VB_RING          0x200 /* the sync ring */
#define VB_SIZE          0x1000

#define SYNC_RING        128   /* elements, a power of two; index = counter % SYNC_RING */

#ifndef __ASSEMBLER__
/*
 * "The entries for these pages changed": the kernel walks the server's own table of that
 * space from its root as it is at drain time, validates, and makes the shadow equal. So an
 * element is idempotent, order-free, and safe against tables that were freed meanwhile.
 */
struct vcpu_sync {
        uint64_t va; /* page aligned */
        union {
                struct {
                        uint32_t space; /* capability slot; SLOT_SPACE is the server's own */
                        uint32_t pages; /* 4 KiB pages */
                };
                /* The kernel takes an element by exchanging this for 0, then a full barrier; then
                 * it reads the table. Until then the server may extend it by a release exchange,
                 * or after a full barrier see that it covers a page: both make stores seen. */
                uint64_t claim;
        };
};
/*
 * The kernel may remember where it found a last-level table. Who unlinks one calls vcpu_flush
 * before the page becomes something else, as TLBs demand it for what they remember.
 */
struct vcpu_block {
        uint8_t  pending, work, sync, reserved0[5];
        uint8_t  masked, reserved1[7];
        uint64_t elr, spsr, esr, far, sp, x18;
        uint64_t irqs, ipis, timer, eoi;
        uint64_t deadline, armed;
        uint32_t sync_head, sync_tail;
        uint64_t reserved2;
        uint64_t server[16];
        uint64_t faults, reject_va, reject_error;
        uint8_t  reserved3[VB_RING - 0x118];
        struct vcpu_sync ring[SYNC_RING];
};
#endif

/*
 * The server's own tables: ARMv8 stage 1, 4 KiB granule, 48 bits, four levels, in frames
 * that the server owns. The root is the second argument of space_create; for SLOT_SPACE the
 * server names it with space_sync(SLOT_SPACE, va, pages, root), and later passes root 0 to
 * keep it. A range that the table does not map is unmapped in the shadow. What the kernel takes
 * from a leaf: valid, AF, address,
 * AttrIndx, AP, UXN, PXN. MAIR_EL1 is: 0 Normal WB, 1 Normal WB (tagged), 2 Normal NC,
 * 3 Device-nGnRnE, 4 Device-nGnRE. A leaf of a process space is installed as it is (without
 * Contiguous, with nG and PXN); one of the server's own space gets EL0 access, UXN = PXN.
 */

/*
 * Where the pager puts things for the Linux server's boot CPU (thread_start of vCPU 0):
 * x0 = physical address of the device tree, x1 = physical address of vCPU block 0,
 * sp = physical load address of the image (2 MiB aligned). The image
 * is mapped at its link address 0xffff800080000000, text executable, the rest writable,
 * as its Ouzel header says (see servers/linux). Nothing else is mapped. Block n is at
 * block 0 + n * VB_SIZE; it is the buffer that thread_create was given for vCPU n, and the
 * server maps it where it likes. Every vCPU starts as an ordinary thread (its faults are
 * messages to the pager); the server turns it into a vCPU with
 * vcpu_enable(SERVER_SLOT_VCPU(n), the block's address in its own space, its vector table),
 * for itself on the boot CPU, before thread_start for the others.
 */
#define SERVER_IMAGE_VA      0xffff800080000000
#define SERVER_SLOT_VCPU(n)  (32 + (n))  /* thread capabilities of the vCPUs */
#define SERVER_SLOT_IRQ(n)   (64 + (n))  /* interrupt n of the irqchip node's ouzel,lines */
#define SERVER_SLOT_DYNAMIC  256         /* from here on slots are the server's to use */

/* Calls from the server to SLOT_PARENT: label, and w0.. */
#define SERVER_CALL_POWEROFF 1
#define SERVER_CALL_RESTART  2
#define SERVER_CALL_PANIC    3 /* w0 physical address of the text, w1 its length */

/*
 * The Image's Ouzel header, at this offset of the file, right behind the arm64 Image
 * header: the magic, then offsets from the start of the image, all page aligned.
 */
#define SERVER_HEADER        0x40
#define SERVER_MAGIC         0x4c455a554f584e4c /* "LNXOUZEL" in little-endian order */
#define SERVER_ABI           2
/*
 * u64 magic, abi, entry offset, file (a whole file has at least so many bytes), n, then
 * n (<= 8) of { u64 start, end, rights (ACCESS_*) }
 */

/* vcpu_flush also: forgets where the server's tables were, since some were unlinked ... */
#define FLUSH_UNLINKED       1
#define FLUSH_INSTRUCTIONS   2 /* ... and empties the instruction caches of all cores */

#endif
