// SPDX-License-Identifier: MIT
/*
 * boot.c -- what machine is this? Reads the device tree for what the kernel needs before
 * user space exists (memory, cores, interrupt controller, timer, console), maps it, and
 * says at each stage what it found. The pager reads the rest.
 */
#include <libfdt.h>

#include "console.h"
#include "gic.h"
#include "mmu.h"
#include "string.h"

struct boot_info boot;
paddr_t kernel_l0_pa, empty_l0_pa;
uint64_t kernel_l0_entry;
unsigned asid_bits;

extern char image_start[], __image_end[];
extern pte_t kernel_l0[], kernel_l1[], empty_l0[];
extern char kernel_stacks[];
extern char secondary_entry[], secondary_spin[];
static paddr_t image_pa;
static const void *fdt;
static uint64_t spin_release[MAX_CPUS]; /* spin-table: where the core looks; 0 = PSCI */
uint64_t spin_mpidr[MAX_CPUS];          /* boot.S: which core am I? */
static bool psci_smc;

void boot_main(paddr_t fdt_pa, paddr_t image, uint64_t level);
void boot_secondary(unsigned cpu);

uint64_t kernel_stack_top(unsigned cpu)
{
        return (uint64_t)kernel_stacks + (cpu + 1) * 16384ul;
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
                        if ((va | pa) & (step - 1) || size < step) {
                                if ((*e & 3) == 1) { /* boot.S's block for the device tree */
                                        va += 4096, pa += 4096, size -= 4096;
                                        continue;
                                }
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

static volatile void *device_map(paddr_t pa, uint64_t size)
{
        static uint64_t used;
        uint64_t offset = pa & 4095;
        vaddr_t va = DEVICE_MAP_VA + used;

        size = (offset + size + 4095) & ~4095ul;
        map_kernel(va, pa - offset, size, KERNEL_DEVICE);
        used += size + 4096; /* a hole between devices */
        return (volatile void *)(va + offset);
}

/* ---- device tree ---------------------------------------------------------------------------- */

static uint64_t cells(const fdt32_t *p, int n)
{
        uint64_t v = 0;

        while (n--)
                v = v << 32 | fdt32_to_cpu(*p++);
        return v;
}

/* Entry `index` of a node's reg, in its parent's cells; without translation: the boards that
 * we know have their memory and interrupt controllers at the top, or under an identity. */
static bool reg(int node, unsigned index, uint64_t *base, uint64_t *size)
{
        int parent = fdt_parent_offset(fdt, node), len;
        int na = fdt_address_cells(fdt, parent), ns = fdt_size_cells(fdt, parent);
        const fdt32_t *p = fdt_getprop(fdt, node, "reg", &len);

        if (!p || na < 1 || ns < 0 || (index + 1) * (unsigned)(na + ns) * 4 > (unsigned)len)
                return false;
        p += index * (unsigned)(na + ns);
        *base = cells(p, na);
        *size = ns ? cells(p + na, ns) : 0;
        /* One level of `ranges`, as on the Pi: child address, parent address, size. */
        const fdt32_t *r = fdt_getprop(fdt, parent, "ranges", &len);
        if (r && len > 0) {
                int pa = fdt_address_cells(fdt, fdt_parent_offset(fdt, parent));
                int entry = na + pa + ns;
                for (; len >= entry * 4; r += entry, len -= entry * 4) {
                        uint64_t child = cells(r, na), n = cells(r + na + pa, ns);
                        if (*base >= child && *base - child < n) {
                                *base = *base - child + cells(r + na, pa);
                                break;
                        }
                }
        }
        return true;
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

static void reserve(paddr_t start, paddr_t end)
{
        if (boot.n_reserved < BOOT_RANGES)
                boot.reserved[boot.n_reserved++] =
                        (struct range){start & ~4095ul, (end + 4095) & ~4095ul};
}

static void find_memory(void)
{
        uint64_t base, size, total = 0;
        int node;

        fdt_for_each_subnode(node, fdt, 0) {
                const char *type = fdt_getprop(fdt, node, "device_type", NULL);
                if (!type || strcmp(type, "memory"))
                        continue;
                for (unsigned i = 0; reg(node, i, &base, &size); i++) {
                        paddr_t start = (base + 4095) & ~4095ul, end = (base + size) & ~4095ul;
                        if (end > 256ul << 30)
                                end = 256ul << 30; /* the direct map's size */
                        if (start >= end || boot.n_ram == BOOT_RANGES)
                                continue;
                        boot.ram[boot.n_ram++] = (struct range){start, end};
                        total += end - start;
                        reserve(start, end);
                }
        }
        if (!boot.n_ram)
                panic("no memory: expected a node with device_type = \"memory\" in the device "
                      "tree; check that the board's own device tree is passed");
        printk("ouzel: memory: %lu MiB in %u range%s, first at %lx\n", total >> 20, boot.n_ram,
               boot.n_ram == 1 ? "" : "s", boot.ram[0].start);
        /* What the firmware keeps. */
        for (int i = 0; i < fdt_num_mem_rsv(fdt); i++)
                if (!fdt_get_mem_rsv(fdt, i, &base, &size) && size)
                        range_cut(boot.ram, &boot.n_ram, base & ~4095ul,
                                  (base + size + 4095) & ~4095ul);
        int parent = fdt_path_offset(fdt, "/reserved-memory");
        if (parent >= 0)
                fdt_for_each_subnode(node, fdt, parent)
                        for (unsigned i = 0; reg(node, i, &base, &size); i++)
                                range_cut(boot.ram, &boot.n_ram, base & ~4095ul,
                                          (base + size + 4095) & ~4095ul);
        range_sort(boot.ram, boot.n_ram);
        for (unsigned i = 0; i < boot.n_ram; i++)
                map_kernel(DIRECT_MAP_VA + boot.ram[i].start, boot.ram[i].start,
                           boot.ram[i].end - boot.ram[i].start, KERNEL_DATA);
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
                uint64_t id = cells(p, na) & 0xff00fffffful;
                all++;
                if (id == own || boot.n_cpus == MAX_CPUS)
                        continue;
                const char *method = fdt_getprop(fdt, node, "enable-method", NULL);
                const fdt32_t *release = fdt_getprop(fdt, node, "cpu-release-addr", NULL);
                if (method && !strcmp(method, "spin-table") && release)
                        spin_release[boot.n_cpus] = cells(release, 2);
                boot.mpidr[boot.n_cpus++] = id;
        }
        printk("ouzel: cores: %lu in the device tree, %u used at most\n", all ? all : 1, MAX_CPUS);
        int psci = fdt_path_offset(fdt, "/psci");
        const char *method = psci >= 0 ? fdt_getprop(fdt, psci, "method", NULL) : NULL;
        psci_smc = method && !strcmp(method, "smc");
}

static void find_gic(void)
{
        static const char *const v2[] = {"arm,cortex-a15-gic", "arm,gic-400", "arm,cortex-a7-gic"};
        uint64_t dist, dist_size, cpu, cpu_size;
        int node = fdt_node_offset_by_compatible(fdt, -1, "arm,gic-v3");

        boot.gic_version = 3;
        for (unsigned i = 0; node < 0 && i < 3; i++) {
                node = fdt_node_offset_by_compatible(fdt, -1, v2[i]);
                boot.gic_version = 2;
        }
        if (node < 0 || !reg(node, 0, &dist, &dist_size) || !reg(node, 1, &cpu, &cpu_size))
                panic("no interrupt controller: expected a GICv2 (arm,gic-400, "
                      "arm,cortex-a15-gic) or arm,gic-v3 node with registers in the device tree");
        reserve(dist, dist + dist_size);
        if (boot.gic_version == 2) {
                reserve(cpu, cpu + cpu_size);
                gic_init(2, device_map(dist, dist_size), device_map(cpu, cpu_size),
                         &boot.gic_lines);
                /* Also the virtual interface of a GICv2 (hypervisor's): nobody's device. */
                for (unsigned i = 2; reg(node, i, &cpu, &cpu_size); i++)
                        reserve(cpu, cpu + cpu_size);
        } else {
                unsigned found = 0;
                for (unsigned i = 1; reg(node, i, &cpu, &cpu_size); i++) {
                        if (cpu_size < 0x20000)
                                continue; /* not redistributors */
                        reserve(cpu, cpu + cpu_size);
                        volatile char *base = device_map(cpu, cpu_size);
                        for (uint64_t at = 0; at + 0x20000 <= cpu_size;) {
                                uint64_t typer = gic_redist_typer(base + at);
                                uint64_t a = typer >> 32; /* Aff3..Aff0 in 8 bits each */
                                uint64_t id = (a & 0xffffff) | (a & 0xff000000) << 8;
                                for (unsigned c = 0; c < boot.n_cpus; c++)
                                        if (boot.mpidr[c] == id) {
                                                gic_redistributor(c, base + at);
                                                found++;
                                        }
                                /* Four frames with virtual LPIs (bit 1), else two. */
                                at += typer & 2 ? 0x40000 : 0x20000;
                                if (typer & 16)
                                        break; /* Last */
                        }
                }
                if (found < boot.n_cpus)
                        panic("GICv3: %u redistributors for %u cores in the device tree", found,
                              boot.n_cpus);
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
        if (p && len >= 36)
                boot.timer_irq = 16 + fdt32_to_cpu(p[7]); /* third of the specifiers */
        printk("ouzel: timer: %lu kHz, virtual, interrupt %u\n", timer_hz() / 1000,
               boot.timer_irq);
        if (!timer_hz())
                panic("CNTFRQ_EL0 is 0: the firmware must set the timer's frequency");
}

static void find_console(void)
{
        int chosen = fdt_path_offset(fdt, "/chosen"), node = -1, len;
        const char *path = chosen >= 0 ? fdt_getprop(fdt, chosen, "stdout-path", &len) : NULL;
        uint64_t base, size;

        if (path) {
                const char *colon = memchr(path, ':', (size_t)len); /* options follow */
                node = fdt_path_offset_namelen(fdt, path, colon ? (int)(colon - path)
                                                                : (int)strlen(path));
        }
        if (node < 0)
                node = fdt_node_offset_by_compatible(fdt, -1, "arm,pl011");
        if (node < 0 || !reg(node, 0, &base, &size))
                return; /* silent, but not dead */
        unsigned kind = CONSOLE_NONE;
        if (!fdt_node_check_compatible(fdt, node, "arm,pl011"))
                kind = CONSOLE_PL011;
        else if (!fdt_node_check_compatible(fdt, node, "brcm,bcm2835-aux-uart"))
                kind = CONSOLE_MINI_UART;
        boot.console_pa = base;
        boot.console_type = kind;
        const fdt32_t *irq = fdt_getprop(fdt, node, "interrupts", &len);
        if (irq && len >= 12)
                boot.console_irq = 32 + fdt32_to_cpu(irq[1]);
        if (kind)
                console_init(device_map(base, 0x1000), kind);
}

static uint64_t chosen_address(const char *name)
{
        int chosen = fdt_path_offset(fdt, "/chosen"), len;
        const fdt32_t *p = chosen >= 0 ? fdt_getprop(fdt, chosen, name, &len) : NULL;

        return p ? cells(p, len / 4) : 0;
}

/* The boot archive follows the image: a header page that tools/mkimage.py wrote. */
struct archive_header { char magic[8]; uint64_t size; };

static void find_archive(void)
{
        paddr_t pa = boot.kernel.end;
        struct archive_header h;

        memcpy(&h, phys_to_virt(pa), sizeof(h));
        if (memcmp(h.magic, "OUZELARC", 8)) {
                printk("ouzel: boot archive: none behind the kernel at %lx\n", pa);
                return;
        }
        boot.archive = (struct range){pa + 4096, pa + 4096 + h.size};
        for (unsigned i = 0; i < boot.n_ram; i++)
                if (boot.archive.start >= boot.ram[i].start && boot.archive.end <= boot.ram[i].end) {
                        printk("ouzel: boot archive: %lu KiB at %lx\n", h.size >> 10,
                               boot.archive.start);
                        return;
                }
        panic("boot archive of %lu KiB at %lx does not fit into memory: it is corrupt, or the "
              "image was loaded too high", h.size >> 10, boot.archive.start);
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
        fdt = phys_to_virt(fdt_pa);
        if (!fdt_pa || fdt_check_header(fdt))
                panic("no device tree at %lx", fdt_pa); /* silent: the console is in it */
        find_console();
        printk("\nouzel: entered at EL%lu%s\n", level, level == 2 ? ", dropped to EL1" : "");
        boot.kernel = (struct range){image_pa, image_phys(__image_end)};
        boot.fdt = (struct range){fdt_pa, fdt_pa + fdt_totalsize(fdt)};
        boot.initrd.start = chosen_address("linux,initrd-start");
        boot.initrd.end = chosen_address("linux,initrd-end");
        if (boot.initrd.end <= boot.initrd.start)
                boot.initrd = (struct range){0};
        find_memory();
        find_cpus();
        find_timer();
        find_gic();
        range_sort(boot.reserved, boot.n_reserved);
        find_archive();
        if (boot.initrd.start)
                printk("ouzel: initial RAM disk: %lu KiB at %lx\n",
                       (boot.initrd.end - boot.initrd.start) >> 10, boot.initrd.start);
        choose_pool();
        gic_init_core(0);
        kernel_main();
}

/* ---- other cores ------------------------------------------------------------------------------ */

/* PSCI, SMC calling convention. [Arm DEN 0022, 5.1] */
enum { PSCI_SYSTEM_OFF = 0x84000008u, PSCI_SYSTEM_RESET = 0x84000009u,
                  PSCI_CPU_ON = 0xc4000003u };

static int64_t psci(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
        register uint64_t x0 __asm__("x0") = function;
        register uint64_t x1 __asm__("x1") = a;
        register uint64_t x2 __asm__("x2") = b;
        register uint64_t x3 __asm__("x3") = c;

        if (psci_smc)
                __asm__ volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"x4", "x5",
                                 "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
                                 "x16", "x17", "memory");
        else
                __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"x4", "x5",
                                 "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
                                 "x16", "x17", "memory");
        return (int64_t)x0;
}

static uint32_t answered;

void boot_secondary(unsigned cpu)
{
        leave_identity();
        gic_init_core(cpu);
        __atomic_fetch_or(&answered, 1u << cpu, __ATOMIC_RELEASE);
        kernel_main_secondary(cpu);
}

static void clean_to_memory(const void *start, const void *end)
{
        for (uint64_t at = (uint64_t)start & ~63ul; at < (uint64_t)end; at += 64)
                __asm__ volatile("dc civac, %0" ::"r"(at) : "memory");
        __asm__ volatile("dsb sy" ::: "memory"); /* in memory before a core without cache reads */
}

unsigned boot_start_secondaries(void)
{
        unsigned running = 1;

        for (unsigned i = 0; i < MAX_CPUS; i++)
                spin_mpidr[i] = i < boot.n_cpus ? boot.mpidr[i] : UINT64_MAX;
        /* They read code, tables and spin_mpidr with their caches off. */
        clean_to_memory(image_start, __image_end);
        for (unsigned i = 1; i < boot.n_cpus; i++) {
                int64_t error = 0;
                if (spin_release[i]) {
                        uint64_t *release = phys_to_virt(spin_release[i]);
                        *release = image_phys(secondary_spin);
                        clean_to_memory(release, release + 1);
                        __asm__ volatile("sev" ::: "memory"); /* they wait in WFE */
                } else {
                        error = psci(PSCI_CPU_ON, boot.mpidr[i], image_phys(secondary_entry), i);
                }
                uint64_t end = timer_now() + timer_hz();
                while (!error && !(__atomic_load_n(&answered, __ATOMIC_ACQUIRE) & 1u << i) &&
                       timer_now() < end)
                        ;
                if (__atomic_load_n(&answered, __ATOMIC_ACQUIRE) & 1u << i) {
                        running++;
                        printk("ouzel: core %u answered\n", i);
                } else {
                        printk("ouzel: core %u (MPIDR %lx) did not start: %s %d; going on "
                               "without it\n", i, boot.mpidr[i],
                               error ? "PSCI said" : "no answer in 1 s,", (int)error);
                }
        }
        return running;
}

void system_off(void)
{
        psci(PSCI_SYSTEM_OFF, 0, 0, 0);
        panic("the firmware did not switch off; it is safe to do so");
}

void system_reset(void)
{
        psci(PSCI_SYSTEM_RESET, 0, 0, 0);
        panic("the firmware did not reset; it is safe to switch off");
}
