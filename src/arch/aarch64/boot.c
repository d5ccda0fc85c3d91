// SPDX-License-Identifier: MIT
/*
 * boot.c -- what machine is this? Reads the device tree for what the kernel needs before
 * user space exists (memory, cores, interrupt controller, timer, console), maps it, and
 * says at each stage what it found. The pager reads the rest.
 */
#include <libfdt.h>

#include "arch_asm.h"
#include "bus.h"
#include "console.h"
#include "gic.h"
#include "history.h"
#include "mmu.h"
#include "rpi.h"
#include "string.h"

struct boot_info boot;
paddr_t kernel_l0_pa, empty_l0_pa;
uint64_t kernel_l0_entry;
unsigned asid_bits;

extern char image_start[], __rodata_end[], __image_end[];
extern pte_t kernel_l0[], kernel_l1[], empty_l0[];
extern char kernel_stacks[];
extern char secondary_entry[], secondary_spin[];
static paddr_t image_pa;
static const void *fdt;
static int chosen; /* /chosen, negative if there is none */
static uint64_t spin_release[MAX_CPUS]; /* spin-table: where the core looks; 0 = PSCI */
uint64_t spin_mpidr[MAX_CPUS];          /* boot.S: which core am I? */
static enum { PSCI_NONE, PSCI_HVC, PSCI_SMC } psci_conduit;
static uint32_t psci_cpu_on;
static uint64_t entry_level; /* exception level that we were entered at */
static uint32_t no_redistributor; /* a bit per core that can't take interrupts */

void boot_main(paddr_t fdt_pa, paddr_t image, uint64_t level);
void boot_secondary(unsigned cpu);

uint64_t kernel_stack_top(unsigned cpu)
{
        return (uint64_t)kernel_stacks + (cpu + 1) * (uint64_t)KERNEL_STACK_STEP;
}

static paddr_t image_phys(const void *va)
{
        return (uint64_t)va - KERNEL_IMAGE_VA + image_pa;
}

/* ---- tables of the kernel's slot ------------------------------------------------------------ */

#define TABLE_POOL 40 /* 8 ranges of RAM with ragged edges, and the devices */
static __attribute__((aligned(4096))) pte_t pool[TABLE_POOL][512];
static unsigned pool_used;

#define KERNEL_DATA   (PTE_AF | PTE_SH_INNER | PTE_ATTR(ATTR_WB) | PTE_UXN | PTE_PXN)
#define KERNEL_DEVICE (PTE_AF | PTE_ATTR(ATTR_DEVICE) | PTE_UXN | PTE_PXN)

static pte_t *next_table(pte_t *entry)
{
        if (!(*entry & PTE_VALID)) {
                if (pool_used == TABLE_POOL)
                        panic("memory map too ragged: more than %u table pages", TABLE_POOL);
                *entry = image_phys(pool[pool_used++]) | PTE_TABLE | PTE_VALID;
        }
        paddr_t pa = *entry & PTE_ADDRESS;
        return (pte_t *)(pa - image_pa + KERNEL_IMAGE_VA); /* all of them are in our image */
}

/* Only ever from invalid to valid, or to the same again: nothing to flush. */
static void map_kernel(vaddr_t va, paddr_t pa, uint64_t size, pte_t attr)
{
        while (size) {
                pte_t *e = &kernel_l1[va >> 30 & 511];
                uint64_t step = 1ul << 30;
                if ((va | pa) & (step - 1) || size < step || ((*e & 3) == 3)) {
                        e = &next_table(e)[va >> 21 & 511];
                        step = 1ul << 21;
                        if ((va | pa) & (step - 1) || size < step || (*e & 3) == 3) {
                                e = &next_table(e)[va >> 12 & 511];
                                step = 4096;
                        }
                }
                if (!(*e & PTE_VALID))
                        *e = pa | attr | PTE_VALID | (step == 4096 ? PTE_TABLE : 0);
                va += step, pa += step, size -= step;
        }
        __asm__ volatile("dsb ishst\n\tisb" ::: "memory"); /* walkers see it before it is used */
}

/* What is not in the direct map: device registers, mostly. */
static volatile void *window_map(paddr_t pa, uint64_t size, pte_t attr)
{
        static uint64_t used;
        uint64_t offset = pa & 4095;
        vaddr_t va = DEVICE_MAP_VA + used;

        size = (offset + size + 4095) & ~4095ul;
        map_kernel(va, pa - offset, size, attr);
        used += size + 4096; /* a hole between devices */
        return (volatile void *)(va + offset);
}

static volatile void *device_map(paddr_t pa, uint64_t size)
{
        return window_map(pa, size, KERNEL_DEVICE);
}

/* RAM, as data. The kernel's own code and constants are in RAM too: there, read-only. */
static void map_ram(paddr_t start, paddr_t end)
{
        paddr_t ro_end = image_phys(__rodata_end);

        if (start <= image_pa && ro_end <= end) {
                map_kernel(DIRECT_MAP_VA + start, start, image_pa - start, KERNEL_DATA);
                map_kernel(DIRECT_MAP_VA + image_pa, image_pa, ro_end - image_pa,
                           KERNEL_DATA | PTE_RO);
                start = ro_end;
        }
        map_kernel(DIRECT_MAP_VA + start, start, end - start, KERNEL_DATA);
}

/* ---- device tree ---------------------------------------------------------------------------- */

#define DIRECT_MAP_SIZE (256ul << 30)

static bool reg(int node, unsigned index, uint64_t *base, uint64_t *size)
{
        static struct bus_path path; /* of the node that was asked for last */

        if (node <= 0 || (path.node[path.depth] != node && !bus_path(fdt, node, &path)))
                return false;
        return bus_reg(fdt, &path, index, base, size);
}

static void range_sort(struct range *r, unsigned n)
{
        for (unsigned i = 1; i < n; i++)
                for (unsigned k = i; k && r[k].start < r[k - 1].start; k--) {
                        struct range t = r[k];
                        r[k] = r[k - 1];
                        r[k - 1] = t;
                }
}

/* If there is no room for the second half of a split range, that half is lost: safe. */
static void range_cut(struct range *r, unsigned *n, paddr_t start, paddr_t end)
{
        for (unsigned i = 0; i < *n; i++) {
                if (start >= r[i].end || end <= r[i].start)
                        continue;
                if (start > r[i].start && end < r[i].end && *n < BOOT_RANGES)
                        r[(*n)++] = (struct range){end, r[i].end};
                if (start > r[i].start)
                        r[i].end = start;
                else if (end < r[i].end)
                        r[i].start = end;
                else
                        r[i--] = r[--*n];
        }
}

/* Whole pages; what touches or overlaps becomes one. Sorted. */
static void range_add(struct range *r, unsigned *n, paddr_t start, paddr_t end)
{
        for (unsigned i = 0; i < *n;) {
                if (start > r[i].end || end < r[i].start) {
                        i++;
                        continue;
                }
                start = r[i].start < start ? r[i].start : start;
                end = r[i].end > end ? r[i].end : end;
                r[i] = r[--*n];
                i = 0; /* it may touch more of them now */
        }
        if (*n == BOOT_RANGES)
                panic("the device tree has more than %u ranges of memory or interrupt-controller "
                      "registers: raise BOOT_RANGES", BOOT_RANGES);
        r[(*n)++] = (struct range){start, end};
        range_sort(r, *n);
}

/* Nobody's device: memory, and what could undo our hold of the interrupts. */
static void reserve(paddr_t start, paddr_t end)
{
        if (start < end)
                range_add(boot.reserved, &boot.n_reserved, start & ~4095ul,
                          (end + 4095) & ~4095ul);
}

static bool disabled(int node)
{
        const char *status = fdt_getprop(fdt, node, "status", NULL);

        return status && strcmp(status, "okay") && strcmp(status, "ok");
}

/* Boot loaders reserve these two, so that nobody takes them for free: they are RAM still. */
static bool loaded(struct range *file)
{
        if (file->start >= file->end)
                return true;
        for (unsigned i = 0; i < boot.n_reserved; i++) /* so far: all memory */
                if (file->start >= boot.reserved[i].start && file->end <= boot.reserved[i].end) {
                        range_add(boot.ram, &boot.n_ram, file->start & ~4095ul,
                                  (file->end + 4095) & ~4095ul);
                        return true;
                }
        return false;
}

static uint64_t chosen_address(const char *name)
{
        int len;
        const fdt32_t *p = chosen >= 0 ? fdt_getprop(fdt, chosen, name, &len) : NULL;

        return p ? bus_cells(p, len / 4) : 0;
}

static void find_memory(void)
{
        uint64_t base, size, total = 0;
        int node;

        fdt_for_each_subnode(node, fdt, 0) {
                const char *type = fdt_getprop(fdt, node, "device_type", NULL);
                if (!type || strcmp(type, "memory") || disabled(node))
                        continue;
                for (unsigned i = 0; reg(node, i, &base, &size); i++) {
                        paddr_t start = (base + 4095) & ~4095ul, end = (base + size) & ~4095ul;
                        if (end > DIRECT_MAP_SIZE) {
                                printk("ouzel: memory above %lu GiB is left alone\n",
                                       DIRECT_MAP_SIZE >> 30);
                                reserve(DIRECT_MAP_SIZE > start ? DIRECT_MAP_SIZE : start, end);
                                end = DIRECT_MAP_SIZE;
                        }
                        if (start >= end)
                                continue;
                        range_add(boot.ram, &boot.n_ram, start, end);
                        reserve(start, end);
                }
        }
        if (!boot.n_ram)
                panic("no memory: expected a node with device_type = \"memory\" in the device "
                      "tree; check that the board's own device tree is passed");
        for (unsigned i = 0; i < boot.n_ram; i++)
                total += boot.ram[i].end - boot.ram[i].start;
        printk("ouzel: memory: %lu MiB in %u range%s, first at %lx\n", total >> 20, boot.n_ram,
               boot.n_ram == 1 ? "" : "s", boot.ram[0].start);
        /* What the firmware keeps. */
        for (int i = 0; i < fdt_num_mem_rsv(fdt); i++)
                if (!fdt_get_mem_rsv(fdt, i, &base, &size) && size)
                        range_cut(boot.ram, &boot.n_ram, base & ~4095ul,
                                  (base + size + 4095) & ~4095ul);
        boot.initrd = (struct range){chosen_address("linux,initrd-start"),
                                     chosen_address("linux,initrd-end")};
        if (!loaded(&boot.fdt))
                panic("the device tree at %lx is not in memory that it describes", boot.fdt.start);
        bool initrd = loaded(&boot.initrd);
        if (boot.initrd.end > boot.initrd.start)
                printk("ouzel: initial RAM disk: %lu KiB at %lx%s\n",
                       (boot.initrd.end - boot.initrd.start) >> 10, boot.initrd.start,
                       initrd ? "" : ", which is not in memory: ignored");
        if (!initrd || boot.initrd.end <= boot.initrd.start)
                boot.initrd = (struct range){0};
        int parent = fdt_path_offset(fdt, "/reserved-memory");
        if (parent >= 0)
                fdt_for_each_subnode(node, fdt, parent)
                        for (unsigned i = 0; !disabled(node) && reg(node, i, &base, &size); i++) {
                                range_cut(boot.ram, &boot.n_ram, base & ~4095ul,
                                          (base + size + 4095) & ~4095ul);
                                /* The firmware's own is not always in a memory node. */
                                if (fdt_getprop(fdt, node, "no-map", NULL))
                                        reserve(base, base + size);
                        }
        range_sort(boot.ram, boot.n_ram);
        for (unsigned i = 0; i < boot.n_ram; i++)
                map_ram(boot.ram[i].start, boot.ram[i].end);
        fdt = phys_to_virt(boot.fdt.start);
        /* Drop boot.S's window: it may reach into memory that is not to be mapped. */
        WRITE_ONCE(kernel_l1[FDT_WINDOW_INDEX], 0);
        /* The walker sees the hole before old translations are dropped; only this core has
         * any; and no access that follows uses one. */
        __asm__ volatile("dsb nshst\n\ttlbi vmalle1\n\tdsb nsh\n\tisb" ::: "memory");
}

static void find_cpus(void)
{
        int parent = fdt_path_offset(fdt, "/cpus"), node;
        int na = parent >= 0 ? fdt_address_cells(fdt, parent) : 1;
        uint64_t own, all = 0;

        __asm__ volatile("mrs %0, mpidr_el1" : "=r"(own));
        own &= 0xff00fffffful;
        boot.mpidr[0] = own;
        boot.n_cpus = 1;
        fdt_for_each_subnode(node, fdt, parent) {
                const char *type = fdt_getprop(fdt, node, "device_type", NULL);
                const fdt32_t *p = fdt_getprop(fdt, node, "reg", NULL);
                if (!type || strcmp(type, "cpu") || !p)
                        continue;
                uint64_t id = bus_cells(p, na) & 0xff00fffffful;
                all++;
                if (id == own || boot.n_cpus == MAX_CPUS)
                        continue;
                const char *method = fdt_getprop(fdt, node, "enable-method", NULL);
                const fdt32_t *release = fdt_getprop(fdt, node, "cpu-release-addr", NULL);
                if (method && !strcmp(method, "spin-table") && release)
                        spin_release[boot.n_cpus] = bus_cells(release, 2);
                boot.mpidr[boot.n_cpus++] = id;
        }
        printk("ouzel: cores: %lu in the device tree, %u used at most\n", all ? all : 1, MAX_CPUS);
}

/* PSCI functions, SMC calling convention. [Arm DEN 0022, 5.1] */
enum { PSCI_SYSTEM_OFF = 0x84000008u, PSCI_SYSTEM_RESET = 0x84000009u, PSCI_CPU_ON = 0xc4000003u };

static void find_psci(void)
{
        int node = fdt_node_offset_by_compatible(fdt, -1, "arm,psci-0.2"), len;

        if (node < 0)
                node = fdt_node_offset_by_compatible(fdt, -1, "arm,psci-1.0");
        psci_cpu_on = PSCI_CPU_ON;
        if (node < 0) { /* before 0.2 the device tree had the numbers, and there was no OFF */
                node = fdt_node_offset_by_compatible(fdt, -1, "arm,psci");
                const fdt32_t *p = node >= 0 ? fdt_getprop(fdt, node, "cpu_on", &len) : NULL;
                psci_cpu_on = p && len >= 4 ? fdt32_to_cpu(*p) : 0;
        }
        const char *method = node >= 0 ? fdt_getprop(fdt, node, "method", NULL) : NULL;
        if (method && !strcmp(method, "smc"))
                psci_conduit = PSCI_SMC;
        else if (method && !strcmp(method, "hvc") && entry_level != 2)
                psci_conduit = PSCI_HVC;
        else if (method)
                printk("ouzel: PSCI by \"%s\" can't be used: %s\n", method,
                       entry_level == 2 ? "we were entered at EL2, nobody is above us"
                                  : "expected \"smc\" or \"hvc\"");
}

static unsigned interrupt_cells = 3; /* of the GIC's interrupt specifiers */

/* One region of redistributors: a pair of 64 KiB frames per core, or two with virtual LPIs. */
static void find_redistributors(paddr_t pa, uint64_t size)
{
        volatile char *base = device_map(pa, size);

        for (uint64_t at = 0; at + 0x20000 <= size;) {
                uint64_t typer = gic_redist_typer(base + at);
                uint64_t a = typer >> 32; /* Aff3..Aff0 in 8 bits each */
                uint64_t id = (a & 0xffffff) | (a & 0xff000000) << 8;
                for (unsigned c = 0; c < boot.n_cpus; c++)
                        if (boot.mpidr[c] == id) {
                                gic_redistributor(c, base + at);
                                no_redistributor &= ~(1u << c);
                        }
                at += typer & 2 ? 0x40000 : 0x20000; /* VLPIS */
                if (typer & 16)
                        break; /* Last */
        }
}

/* The Raspberry Pi 3's two; the second is in a page with the firmware's mailbox, which others
 * need, so that page stays a device's. */
static bool find_bcm2836(void)
{
        int local = fdt_node_offset_by_compatible(fdt, -1, "brcm,bcm2836-l1-intc");
        int devices = fdt_node_offset_by_compatible(fdt, -1, "brcm,bcm2836-armctrl-ic");
        uint64_t l, d, size;

        if (local < 0 || devices < 0 || !reg(local, 0, &l, &size) || !reg(devices, 0, &d, &size))
                return false;
        reserve(l, l + 0x100);
        boot.gic_lines = 32 + 3 * 32;
        bcm2836_init(device_map(l, 0x100), device_map(d, 0x200));
        printk("ouzel: interrupts: BCM2836 at %lx: %u lines\n", l, boot.gic_lines);
        return true;
}

static void find_irqchip(void)
{
        static const char *const v2[] = {"arm,cortex-a15-gic", "arm,gic-400", "arm,cortex-a7-gic"};
        uint64_t dist, dist_size, cpu, cpu_size;
        int node = fdt_node_offset_by_compatible(fdt, -1, "arm,gic-v3"), child, len;

        for (unsigned i = 0; node < 0 && i < 3; i++)
                if ((node = fdt_node_offset_by_compatible(fdt, -1, v2[i])) >= 0)
                        boot.gic_version = 2;
        if (node < 0 && find_bcm2836())
                return;
        if (!boot.gic_version)
                boot.gic_version = 3;
        if (node < 0 || !reg(node, 0, &dist, &dist_size) || !reg(node, 1, &cpu, &cpu_size))
                panic("no interrupt controller: expected a GICv2 (arm,gic-400, "
                      "arm,cortex-a15-gic), arm,gic-v3 or brcm,bcm2836-l1-intc node with "
                      "registers in the device tree");
        const fdt32_t *n = fdt_getprop(fdt, node, "#interrupt-cells", &len);
        if (n && len >= 4)
                interrupt_cells = fdt32_to_cpu(*n);
        /* All of its registers, the hypervisor's half and the frames for messages too: an ITS
         * writes to memory where it is told to. */
        for (unsigned i = 0; reg(node, i, &cpu, &cpu_size); i++)
                reserve(cpu, cpu + cpu_size);
        fdt_for_each_subnode(child, fdt, node)
                for (unsigned i = 0; reg(child, i, &cpu, &cpu_size); i++)
                        reserve(cpu, cpu + cpu_size);
        reg(node, 1, &cpu, &cpu_size);
        if (boot.gic_version == 2) {
                gic_init(2, device_map(dist, dist_size), device_map(cpu, cpu_size),
                         &boot.gic_lines);
        } else {
                n = fdt_getprop(fdt, node, "#redistributor-regions", &len);
                unsigned regions = n && len >= 4 ? fdt32_to_cpu(*n) : 1;
                no_redistributor = (1u << boot.n_cpus) - 1;
                for (unsigned i = 0; i < regions && reg(node, 1 + i, &cpu, &cpu_size); i++)
                        find_redistributors(cpu, cpu_size);
                if (no_redistributor & 1)
                        panic("GICv3: no redistributor for this core (MPIDR %lx) in the device "
                              "tree's %u regions", boot.mpidr[0], regions);
                gic_init(3, device_map(dist, dist_size), NULL, &boot.gic_lines);
        }
        printk("ouzel: interrupts: GICv%u at %lx: %u lines\n", boot.gic_version, dist,
               boot.gic_lines);
}

static void find_timer(void)
{
        int node = fdt_node_offset_by_compatible(fdt, -1, "arm,armv8-timer"), len;
        const fdt32_t *p = node >= 0 ? fdt_getprop(fdt, node, "interrupts", &len) : NULL;

        boot.timer_irq = 27; /* the virtual timer's PPI 11, where the SBSA puts it */
        if (p && (unsigned)len >= 3 * interrupt_cells * 4) /* third of the specifiers */
                boot.timer_irq = 16 + (fdt32_to_cpu(p[2 * interrupt_cells + 1]) & 15);
        printk("ouzel: timer: %lu kHz, virtual, interrupt %u\n", timer_hz() / 1000,
               boot.timer_irq);
}

static unsigned console_kind(int node)
{
        if (node >= 0 && !fdt_node_check_compatible(fdt, node, "arm,pl011"))
                return CONSOLE_PL011;
        if (node >= 0 && !fdt_node_check_compatible(fdt, node, "brcm,bcm2835-aux-uart"))
                return CONSOLE_MINI_UART;
        return CONSOLE_NONE;
}

/* What helps when all else fails: rpi.c. */
static void find_board(void)
{
        int node = fdt_node_offset_by_compatible(fdt, -1, "brcm,bcm2835-pm-wdt"), len;
        int light = fdt_path_offset(fdt, "/leds/led-act");
        const fdt32_t *pin = light >= 0 ? fdt_getprop(fdt, light, "gpios", &len) : NULL;
        uint64_t base, size;

        if (node >= 0 && reg(node, 0, &base, &size))
                watchdog_init(device_map(base, 0x28));
        node = pin && len >= 12 ? fdt_node_offset_by_phandle(fdt, fdt32_to_cpu(pin[0])) : -1;
        if (node >= 0 && (!fdt_node_check_compatible(fdt, node, "brcm,bcm2711-gpio") ||
                          !fdt_node_check_compatible(fdt, node, "brcm,bcm2835-gpio")) &&
            reg(node, 0, &base, &size)) /* pin, and flags: 1 is active low */
                led_init(device_map(base, 0xb4), fdt32_to_cpu(pin[1]), fdt32_to_cpu(pin[2]) & 1);
}

static void find_console(void)
{
        int node = -1, len;
        const char *path = chosen >= 0 ? fdt_getprop(fdt, chosen, "stdout-path", &len) : NULL;
        uint64_t base, size;

        find_board();
        if (path) {
                const char *colon = memchr(path, ':', (size_t)len); /* options follow */
                node = fdt_path_offset_namelen(fdt, path, colon ? (int)(colon - path)
                                                                : (int)strnlen(path, (size_t)len));
        }
        if (console_kind(node) == CONSOLE_NONE) /* none named, or not one that we can drive */
                node = fdt_node_offset_by_compatible(fdt, -1, "arm,pl011");
        if (node < 0 || !reg(node, 0, &base, &size))
                return; /* silent, but not dead */
        boot.console_pa = base;
        boot.console_type = console_kind(node);
        const fdt32_t *irq = fdt_getprop(fdt, node, "interrupts", &len);
        if (irq && len >= 8) /* GIC: type 0, number, flags; BCM2836: bank, bit */
                boot.console_irq = 32 + fdt32_to_cpu(irq[1]) + 32 * fdt32_to_cpu(irq[0]);
        console_init(device_map(base, 0x1000), boot.console_type);
}

/* The boot archive follows the image: a header page that tools/mkimage.py wrote, the archive,
 * and its end mark at the next multiple of 8. */
struct archive_header { char magic[8]; uint64_t size; };

static void find_archive(void)
{
        paddr_t pa = boot.kernel.end;
        struct archive_header h = {0};
        const struct range *in = NULL;

        for (unsigned i = 0; i < boot.n_ram; i++)
                if (pa >= boot.ram[i].start && pa < boot.ram[i].end)
                        in = &boot.ram[i];
        if (in)
                memcpy(&h, phys_to_virt(pa), sizeof(h));
        if (memcmp(h.magic, "OUZELARC", 8)) {
                printk("ouzel: boot archive: none behind the kernel at %lx\n", pa);
                return;
        }
        if (h.size > in->end - pa - 4096 - 16)
                panic("boot archive of %lu KiB at %lx does not fit into memory: it is corrupt, or "
                      "the image was loaded too high", h.size >> 10, pa);
        boot.archive = (struct range){pa + 4096, pa + 4096 + h.size};
        if (memcmp(phys_to_virt((boot.archive.end + 7) & ~7ul), "OUZELEND", 8))
                panic("boot archive of %lu KiB at %lx lacks its end: the image was cut off, or "
                      "overwritten by what was loaded after it; load it again, and other files "
                      "clear of it", h.size >> 10, boot.archive.start);
        printk("ouzel: boot archive: %lu KiB at %lx\n", h.size >> 10, boot.archive.start);
}

/* The kernel's share: 1/32 of memory, at least 8 MiB, as high as nothing else is in it. */
static void choose_pool(void)
{
        uint64_t total = 0, size;

        for (unsigned i = 0; i < boot.n_ram; i++)
                total += boot.ram[i].end - boot.ram[i].start;
        size = total / 32 < 8ul << 20 ? 8ul << 20 : total / 32;
        size = (size + (2ul << 20) - 1) & ~((2ul << 20) - 1);
        struct range avoid[] = {boot.kernel, boot.archive, boot.fdt, boot.initrd};
        for (unsigned i = boot.n_ram; i-- > 0;) {
                paddr_t at = (boot.ram[i].end - size) & ~((2ul << 20) - 1);
                if (boot.ram[i].end - boot.ram[i].start < size)
                        continue;
                for (unsigned k = 0; k < 4; k++) {
                        if (at < avoid[k].end && at + size > avoid[k].start) {
                                at = (avoid[k].start - size) & ~((2ul << 20) - 1);
                                k = (unsigned)-1;
                        }
                        if (at > boot.ram[i].end)
                                break; /* went below zero */
                }
                if (at >= boot.ram[i].start && at + size <= boot.ram[i].end) {
                        boot.pool = (struct range){at, at + size};
                        printk("ouzel: kernel: %lu KiB at %lx, %lu MiB for its objects at %lx\n",
                               (boot.kernel.end - boot.kernel.start) >> 10, boot.kernel.start,
                               size >> 20, at);
                        return;
                }
        }
        panic("no %lu MiB of contiguous memory for the kernel's objects: give the machine more "
              "memory", size >> 20);
}

static void leave_identity(void)
{
        /* Nothing of the low half any more; isb before old translations are dropped, and after,
         * so that no fetch uses one. */
        __asm__ volatile("msr ttbr0_el1, %0\n\tisb\n\ttlbi vmalle1\n\tdsb nsh\n\tisb"
                         ::"r"(empty_l0_pa) : "memory");
}

static void say_hello(void)
{
        printk("\nouzel: entered at EL%lu%s\n", entry_level,
               entry_level == 2 ? ", dropped to EL1" : "");
        if (!timer_hz()) /* what follows has time-outs */
                panic("CNTFRQ_EL0 is 0: the firmware must set the timer's frequency");
}

/* In the order that the blink code (docs/boards.md) counts them. */
static void (*const stages[])(void) = {
        find_console, say_hello, find_memory, find_cpus, find_psci, find_irqchip, find_timer,
        find_archive, choose_pool};

void boot_main(paddr_t fdt_pa, paddr_t image, uint64_t level)
{
        uint64_t mmfr0;

        image_pa = image;
        kernel_l0_pa = image_phys(kernel_l0);
        empty_l0_pa = image_phys(empty_l0);
        kernel_l0_entry = kernel_l0[255];
        leave_identity();
        __asm__("mrs %0, id_aa64mmfr0_el1" : "=r"(mmfr0));
        asid_bits = (mmfr0 >> 4 & 15) == 2 ? 16 : 8;
        fdt = (const void *)(DIRECT_MAP_VA + ((uint64_t)FDT_WINDOW_INDEX << 30) +
                             (fdt_pa & ((2ul << 20) - 1)));
        if (!fdt_pa || fdt_check_header(fdt) || fdt_totalsize(fdt) > 2ul << 20)
                panic("no device tree at %lx", fdt_pa); /* silent: the console is in it */
        boot.kernel = (struct range){image_pa, image_phys(__image_end)};
        boot.fdt = (struct range){fdt_pa, fdt_pa + fdt_totalsize(fdt)};
        chosen = fdt_path_offset(fdt, "/chosen");
        entry_level = level;
        for (unsigned i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
                boot.stage = i + 1;
                stages[i]();
        }
        boot.stage++;
        history_arguments(fdt, chosen);
        history_init(0);
        gic_init_core(0);
        kernel_main();
}

/* ---- other cores ----------------------------------------------------------------------- */

/* The firmware's error, or -1 (not supported) if there is none to ask. */
static int64_t psci(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
        register uint64_t x0 __asm__("x0") = function;
        register uint64_t x1 __asm__("x1") = a;
        register uint64_t x2 __asm__("x2") = b;
        register uint64_t x3 __asm__("x3") = c;

        if (psci_conduit == PSCI_NONE)
                return -1;
        if (psci_conduit == PSCI_SMC)
                __asm__ volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"x4", "x5",
                                 "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
                                 "x16", "x17", "memory");
        else
                __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"x4", "x5",
                                 "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
                                 "x16", "x17", "memory");
        return (int64_t)x0;
}

/* WAITING until the core answers or the boot core gives it up: whoever is first. */
enum { WAITING, ANSWERED, GIVEN_UP };
static uint32_t core_state[MAX_CPUS];

static bool core_decide(unsigned cpu, uint32_t state)
{
        uint32_t was = WAITING;

        return __atomic_compare_exchange_n(&core_state[cpu], &was, state, false, __ATOMIC_ACQ_REL,
                                           __ATOMIC_ACQUIRE);
}

void boot_secondary(unsigned cpu)
{
        leave_identity();
        history_init(cpu);
        gic_init_core(cpu);
        while (!core_decide(cpu, ANSWERED))
                __asm__ volatile("wfi"); /* too late: nobody counts on this core */
        kernel_main_secondary(cpu);
}

static void clean_to_memory(const volatile void *start, const volatile void *end)
{
        uint64_t ctr;

        __asm__("mrs %0, ctr_el0" : "=r"(ctr));
        uint64_t line = 4ul << (ctr >> 16 & 15);
        for (uint64_t at = (uint64_t)start & ~(line - 1); at < (uint64_t)end; at += line)
                __asm__ volatile("dc civac, %0" ::"r"(at) : "memory");
        __asm__ volatile("dsb sy" ::: "memory"); /* in memory before a core without cache reads */
}

/* Why it can't be started, or NULL. */
static const char *core_start(unsigned i)
{
        if (no_redistributor & 1u << i)
                return "the device tree has no GICv3 redistributor for it";
        if (spin_release[i]) {
                /* The address is in memory that the firmware reserved, as a rule: not mapped. */
                volatile uint64_t *release = (volatile void *)window_map(spin_release[i], 8,
                                                                         KERNEL_DATA);
                *release = image_phys(secondary_spin);
                clean_to_memory(release, release + 1);
                __asm__ volatile("sev" ::: "memory"); /* they wait in WFE */
                return NULL;
        }
        if (psci_conduit == PSCI_NONE || !psci_cpu_on)
                return "the device tree has neither PSCI nor a cpu-release-addr for it";
        switch (psci(psci_cpu_on, boot.mpidr[i], image_phys(secondary_entry), i)) {
        case 0: return NULL;
        case -2: return "PSCI: no such core (invalid parameters)";
        case -3: return "PSCI: denied";
        case -4: return "PSCI: it is on already";
        default: return "PSCI: the firmware failed";
        }
}

unsigned boot_start_secondaries(void)
{
        unsigned running = 1;

        for (unsigned i = 0; i < MAX_CPUS; i++)
                spin_mpidr[i] = i < boot.n_cpus ? boot.mpidr[i] : UINT64_MAX;
        /* They read code, tables and spin_mpidr with their caches off; but no stack. */
        clean_to_memory(image_start, kernel_stacks);
        clean_to_memory(kernel_stacks + MAX_CPUS * KERNEL_STACK_STEP, __image_end);
        for (unsigned i = 1; i < boot.n_cpus; i++) {
                const char *why = core_start(i);
                uint64_t end = timer_now() + timer_hz();
                while (!why && __atomic_load_n(&core_state[i], __ATOMIC_ACQUIRE) == WAITING)
                        if (timer_now() >= end && core_decide(i, GIVEN_UP))
                                why = "no answer within 1 s";
                if (why) {
                        printk("ouzel: core %u (MPIDR %lx) did not start: %s; going on without "
                               "it\n", i, boot.mpidr[i], why);
                        continue;
                }
                running++;
                printk("ouzel: core %u answered\n", i);
        }
        return running;
}

void system_off(void)
{
        psci(PSCI_SYSTEM_OFF, 0, 0, 0);
        watchdog_fire(true);
        printk("ouzel: the firmware can't switch off: stopped, it is safe to pull the plug\n");
        stop_machine();
}

void system_reset(void)
{
        psci(PSCI_SYSTEM_RESET, 0, 0, 0);
        watchdog_fire(false);
        printk("ouzel: the firmware can't reset: stopped, it is safe to pull the plug\n");
        stop_machine();
}
