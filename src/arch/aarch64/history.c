// SPDX-License-Identifier: MIT
/*
 * history.c -- Spectre-BHB: a program fills the branch history that predictions in the kernel
 * depend on. On the cores that are affected, so many taken branches right after an entry from
 * EL0 overwrite it; then VBAR_EL1 points to tables that run them first (entry.S). [Arm: Spectre-
 * BHB white paper; Linux 6.12 arch/arm64/kernel/proton-pack.c has the counts]
 */
#include <libfdt.h>

#include "history.h"
#include "kernel.h"
#include "string.h"

extern char vectors_native[], vectors_history[];

#define ARM 0x41 /* MIDR_EL1.Implementer */
static const struct { uint16_t part; uint8_t branches; } affected[] = {
        {0xd07, 8}, {0xd08, 8},                           /* Cortex-A57, A72 */
        {0xd0b, 24}, {0xd0e, 24}, {0xd0d, 24}, {0xd0c, 24}, /* A76, A76AE, A77, Neoverse N1 */
        {0xd41, 32}, {0xd42, 32}, {0xd4b, 32},            /* A78, A78AE, A78C */
        {0xd44, 32}, {0xd4c, 32}, {0xd48, 32},            /* X1, X1C, X2 */
        {0xd47, 32}, {0xd49, 32}, {0xd40, 32},            /* A710, Neoverse N2, V1 */
        {0xd4d, 38}, {0xd81, 38},                         /* A715, A720 */
        {0xd4e, 132}, {0xd4f, 132},                       /* X3, Neoverse V2 */
};

static enum { AUTO, OFF, ON } wish;

static bool has_word(const char *list, const char *word)
{
        size_t n = strlen(word);

        for (; list; list = strchr(list, ' ')) {
                list += *list == ' ';
                if (!strncmp(list, word, n) && (!list[n] || list[n] == ' '))
                        return true;
        }
        return false;
}

/* Of this core; and why, if there are none. */
static unsigned branches_needed(const char **why)
{
        uint64_t midr, pfr0, mmfr1;
        unsigned n = 0;

        __asm__("mrs %0, midr_el1" : "=r"(midr));
        __asm__("mrs %0, id_aa64pfr0_el1" : "=r"(pfr0));
        __asm__("mrs %0, id_aa64mmfr1_el1" : "=r"(mmfr1));
        for (unsigned i = 0; i < sizeof(affected) / sizeof(affected[0]); i++)
                if ((midr >> 24 & 0xff) == ARM && (midr >> 4 & 0xfff) == affected[i].part)
                        n = affected[i].branches;
        *why = NULL;
        if (!n)
                *why = "not among the cores that are known to be affected";
        else if (mmfr1 >> 60) /* ECBHB: history from before an exception is not used */
                *why = "the core keeps it apart";
        else if (wish == OFF)
                *why = "mitigations=off";
        else if (wish == AUTO && !(pfr0 >> 56 & 15)) /* CSV2 */
                *why = "Spectre v2 is open on this core, and it would not help alone "
                       "(ouzel.bhb=on has it anyway)";
        return *why ? 0 : n;
}

void history_init(unsigned core)
{
        const char *why;
        unsigned n = branches_needed(&why);
        uint64_t base = (uint64_t)(n ? vectors_history : vectors_native);

        for (unsigned i = 0; i < 3; i++)
                cpus[core].vectors[i] = base + i * VECTORS_SIZE;
        cpus[core].history = n;
        if (core)
                return; /* what it says of one core holds for most machines' others */
        if (n)
                printk("ouzel: branch history: %u branches at each entry from EL0\n", n);
        else
                printk("ouzel: branch history: left alone: %s\n", why);
}

void history_arguments(const void *fdt, int chosen)
{
        int len = 0;
        const char *words = chosen >= 0 ? fdt_getprop(fdt, chosen, "bootargs", &len) : NULL;

        if (len < 1 || words[len - 1])
                return; /* none, or no string */
        if (has_word(words, "ouzel.bhb=on"))
                wish = ON;
        else if (has_word(words, "mitigations=off") || has_word(words, "ouzel.bhb=off"))
                wish = OFF;
}
