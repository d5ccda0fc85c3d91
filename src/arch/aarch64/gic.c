// SPDX-License-Identifier: MIT
/*
 * gic.c -- GICv2 and GICv3, with EOImode 1: taking an interrupt drops its priority at once,
 * and its owner deactivates it later.
 * [GICv2: Arm IHI 0048B; GICv3: Arm IHI 0069H; sections named below]
 */
#include "gic.h"

#include "arch.h"
#include "console.h"

static volatile uint8_t *dist, *cpu_if, *redist[MAX_CPUS];
static bool v3;
static uint8_t interface[MAX_CPUS]; /* v2: each core's bit in ITARGETSR and SGIR */

static uint32_t rd(volatile uint8_t *base, unsigned reg)
{
        return *(volatile uint32_t *)(volatile void *)(base + reg);
}
static void wr(volatile uint8_t *base, unsigned reg, uint32_t v)
{
        *(volatile uint32_t *)(volatile void *)(base + reg) = v;
}

/* Distributor. [IHI 0048B 4.3; IHI 0069H 12.9] */
enum { GICD_CTLR = 0, GICD_TYPER = 4, GICD_IGROUPR = 0x80, GICD_ISENABLER = 0x100,
       GICD_ICENABLER = 0x180, GICD_ICPENDR = 0x280, GICD_ICACTIVER = 0x380,
       GICD_IPRIORITYR = 0x400, GICD_ITARGETSR = 0x800, GICD_ICFGR = 0xc00, GICD_SGIR = 0xf00,
       GICD_IROUTER = 0x6000 };
/* CPU interface of GICv2. [IHI 0048B 4.4] */
enum { GICC_CTLR = 0, GICC_PMR = 4, GICC_IAR = 0xc, GICC_EOIR = 0x10, GICC_DIR = 0x1000 };
/* Redistributor: RD_base and SGI_base 64 KiB behind it. [IHI 0069H 12.10] */
enum { GICR_CTLR = 0, GICR_TYPER = 8, GICR_WAKER = 0x14, SGI_BASE = 0x10000 };

#define PRIORITY 0xa0 /* one for all; below the mask */

/* ICC_* system registers of GICv3. [IHI 0069H 12.2] */
#define ICC_PMR   "S3_0_C4_C6_0"
#define ICC_IAR1  "S3_0_C12_C12_0"
#define ICC_EOIR1 "S3_0_C12_C12_1"
#define ICC_DIR   "S3_0_C12_C11_1"
#define ICC_SGI1R "S3_0_C12_C11_5"
#define ICC_CTLR  "S3_0_C12_C12_4"
#define ICC_SRE   "S3_0_C12_C12_5"
#define ICC_IGRPEN1 "S3_0_C12_C12_7"
#define ICC_WRITE(reg, v) __asm__ volatile("msr " reg ", %0" ::"r"((uint64_t)(v)) : "memory")

/* Until the bit reads as zero: microseconds, if the hardware is well. */
static void wait_clear(volatile uint8_t *base, unsigned reg, uint32_t bit, const char *what)
{
        uint64_t end = timer_now() + timer_hz();

        while (rd(base, reg) & bit)
                if (timer_now() > end)
                        panic("interrupt controller: %s did not end within 1 s: is it powered, "
                              "and its address in the device tree right?", what);
}

static void wait_write_done(void) /* GICD_CTLR.RWP */
{
        wait_clear(dist, GICD_CTLR, 1u << 31, "a register write");
}

void gic_init(unsigned version, volatile void *d, volatile void *c, unsigned *lines)
{
        v3 = version == 3;
        dist = d;
        cpu_if = c;
        unsigned n = 32 * ((rd(dist, GICD_TYPER) & 31) + 1);
        if (n > 1020)
                n = 1020;
        wr(dist, GICD_CTLR, 0);
        if (v3)
                wait_write_done();
        for (unsigned i = 32; i < n; i += 32) {
                wr(dist, GICD_ICENABLER + i / 8, ~0u);
                wr(dist, GICD_ICPENDR + i / 8, ~0u);
                wr(dist, GICD_ICACTIVER + i / 8, ~0u);
                if (v3) /* group 1, non-secure; GICv2 in the non-secure view is group 1 */
                        wr(dist, GICD_IGROUPR + i / 8, ~0u);
        }
        for (unsigned i = 32; i < n; i += 4)
                wr(dist, GICD_IPRIORITYR + i, PRIORITY * 0x01010101u);
        /* v3: affinity routing (bit 4), group 1 non-secure on (bit 1). v2: on. */
        wr(dist, GICD_CTLR, v3 ? 1 << 4 | 1 << 1 : 1);
        if (v3)
                wait_write_done();
        *lines = n;
}

void gic_redistributor(unsigned cpu, volatile void *base)
{
        redist[cpu] = base;
}

uint64_t gic_redist_typer(volatile void *base)
{
        volatile uint8_t *r = base;
        return rd(r, GICR_TYPER) | (uint64_t)rd(r, GICR_TYPER + 4) << 32;
}

void gic_init_core(unsigned cpu)
{
        if (!boot.gic_version) {
                bcm2836_init_core();
                return;
        }
        volatile uint8_t *ppi = v3 ? redist[cpu] + SGI_BASE : dist;

        if (v3) { /* wake: clear ProcessorSleep, wait for ChildrenAsleep. [IHI 0069H 11.1] */
                wr(redist[cpu], GICR_WAKER, rd(redist[cpu], GICR_WAKER) & ~2u);
                wait_clear(redist[cpu], GICR_WAKER, 4, "a core's wake-up");
                wr(ppi, GICD_IGROUPR, ~0u);
        }
        wr(ppi, GICD_ICENABLER, ~0u);
        if (v3) /* GICR_CTLR.RWP: none of them comes any more */
                wait_clear(redist[cpu], GICR_CTLR, 1u << 3, "a register write");
        wr(ppi, GICD_ICPENDR, ~0u);
        wr(ppi, GICD_ICACTIVER, ~0u);
        for (unsigned i = 0; i < 32; i += 4)
                wr(ppi, GICD_IPRIORITYR + i, PRIORITY * 0x01010101u);
        wr(ppi, GICD_ISENABLER, 1u << IRQ_IPI | 1u << boot.timer_irq);
        if (v3) {
                ICC_WRITE(ICC_SRE, 7);
                __asm__ volatile("isb" ::: "memory"); /* SRE before the other ICC registers */
                uint64_t sre;
                __asm__ volatile("mrs %0, " ICC_SRE : "=r"(sre));
                if (!(sre & 1))
                        panic("GICv3: the system registers are off: the firmware must set "
                              "ICC_SRE_EL3 (and a hypervisor ICC_SRE_EL2) SRE and Enable");
                ICC_WRITE(ICC_PMR, 0xf0);
                ICC_WRITE(ICC_CTLR, 1 << 1); /* EOImode */
                ICC_WRITE(ICC_IGRPEN1, 1);
                __asm__ volatile("isb" ::: "memory"); /* on before somebody waits for one */
        } else {
                interface[cpu] = rd(dist, GICD_ITARGETSR); /* reads as the reader's own bit */
                wr(cpu_if, GICC_PMR, 0xf0);
                /* Non-secure view: enable group 1 (bit 0), EOImodeNS (bit 9). */
                wr(cpu_if, GICC_CTLR, 1 << 9 | 1);
        }
}

unsigned irqchip_ack(void)
{
        uint64_t iar;

        panic_stop_here(); /* the IPI that got us here may say so */
        if (!boot.gic_version)
                return bcm2836_ack();
        if (v3)
                __asm__ volatile("mrs %0, " ICC_IAR1 : "=r"(iar)::"memory");
        else /* whole: an SGI's EOIR and DIR want its sender, bits 12:10, back */
                iar = rd(cpu_if, GICC_IAR);
        /* The acknowledge happened before what follows touches the device, or reads what the
         * sender of an SGI has written. [IHI 0069H 4.1.1] */
        __asm__ volatile("dsb sy" ::: "memory");
        return iar;
}

void irqchip_drop(unsigned irq)
{
        if (v3) {
                ICC_WRITE(ICC_EOIR1, irq);
                __asm__ volatile("isb" ::: "memory"); /* dropped before the next one is taken */
        } else if (boot.gic_version) {
                wr(cpu_if, GICC_EOIR, irq);
        }
}

void irqchip_deactivate(unsigned irq)
{
        if (v3) {
                /* ICC_DIR_EL1 works from any core for SPIs. [IHI 0069H 12.2.9] */
                ICC_WRITE(ICC_DIR, irq);
                __asm__ volatile("isb" ::: "memory");
        } else if (!boot.gic_version) {
                bcm2836_deactivate(irq);
        } else if (irq % 1024 >= 32) {
                /* GICC_DIR is for this core's; an SPI is deactivated at the distributor, which
                 * is the same for all. [IHI 0048B 4.3.10 GICD_ICACTIVER] */
                wr(dist, GICD_ICACTIVER + irq / 32 * 4, 1u << (irq % 32));
        } else {
                wr(cpu_if, GICC_DIR, irq);
        }
}

bool irqchip_valid(unsigned irq)
{
        return irq >= 32 && irq < boot.gic_lines;
}

unsigned irqchip_enable(unsigned irq, unsigned cpu, bool edge)
{
        if (!boot.gic_version) {
                bcm2836_enable(irq);
                return 0;
        }
        unsigned reg = GICD_ICFGR + irq / 16 * 4, shift = irq % 16 * 2 + 1;
        uint32_t cfg = rd(dist, reg) & ~(1u << shift);

        wr(dist, reg, cfg | (uint32_t)edge << shift); /* disabled now: may be changed */
        if (v3) {
                uint64_t a = boot.mpidr[cpu] & 0xff00fffffful;
                *(volatile uint64_t *)(volatile void *)(dist + GICD_IROUTER + irq * 8) = a;
        } else {
                dist[GICD_ITARGETSR + irq] = interface[cpu];
        }
        wr(dist, GICD_ISENABLER + irq / 32 * 4, 1u << (irq % 32));
        return cpu;
}

void irqchip_disable(unsigned irq)
{
        if (!boot.gic_version) {
                bcm2836_disable(irq);
                return;
        }
        wr(dist, GICD_ICENABLER + irq / 32 * 4, 1u << (irq % 32));
        if (v3)
                wait_write_done();
}

void irqchip_send_ipi(unsigned cpu)
{
        /* What the IPI is about must be visible before the other core takes it. */
        __asm__ volatile("dsb ishst" ::: "memory");
        if (v3) {
                uint64_t m = boot.mpidr[cpu];
                uint64_t v = 1ul << (m & 15) | (uint64_t)IRQ_IPI << 24 | (m >> 4 & 15) << 44 |
                             (m >> 8 & 255) << 16 | (m >> 16 & 255) << 32 | (m >> 32 & 255) << 48;
                ICC_WRITE(ICC_SGI1R, v);
                __asm__ volatile("isb" ::: "memory"); /* sent before we wait for an answer */
        } else if (!boot.gic_version) {
                bcm2836_send_ipi(cpu);
        } else {
                wr(dist, GICD_SGIR, (uint32_t)interface[cpu] << 16 | IRQ_IPI);
        }
}
