// SPDX-License-Identifier: MIT
/*
 * console.c -- the serial line, polled: for what the kernel has to say, and for programs
 * until they have a driver. PL011 [Arm DDI 0183G 3.2] and the mini-UART of the BCM283x, a
 * 16550 without most of it [BCM2835 ARM Peripherals, 2.2].
 */
#include "console.h"

static volatile uint32_t *uart;
static unsigned type;

enum { PL011_DR = 0, PL011_FR = 0x18 / 4, PL011_LCRH = 0x2c / 4, PL011_CR = 0x30 / 4,
       FR_RXFE = 1 << 4, FR_TXFF = 1 << 5, CR_UARTEN = 1, CR_TXE_RXE = 3 << 8 };
/* From where the device tree's node starts: 0x40 into the block that the manual describes. */
enum { MU_IO = 0, MU_LSR = 0x14 / 4, LSR_RX = 1, LSR_TX_EMPTY = 1 << 5 };

void console_init(volatile void *base, unsigned kind)
{
        uart = base;
        type = kind;
        /* The boot loader has set the line up; where there was none, all but the speed. */
        if (kind == CONSOLE_PL011 && !(uart[PL011_CR] & CR_UARTEN)) {
                uart[PL011_LCRH] = 3 << 5 | 1 << 4; /* 8 bits, FIFOs on */
                uart[PL011_CR] = CR_UARTEN | CR_TXE_RXE;
        }
}

/* Whoever has the UART besides may have it wait for ever: then what we say is lost, until it goes
 * on, and we wait no more than once. */
#define POLLS_MAX (1 << 16)

static void out(char c)
{
        static bool stuck;
        unsigned polls = stuck ? 1 : POLLS_MAX;

        if (type == CONSOLE_PL011) {
                while ((uart[PL011_FR] & FR_TXFF) && --polls)
                        ;
                uart[PL011_DR] = (unsigned char)c;
        } else if (type == CONSOLE_MINI_UART) {
                while (!(uart[MU_LSR] & LSR_TX_EMPTY) && --polls)
                        ;
                uart[MU_IO] = (unsigned char)c;
        }
        stuck = !polls;
}

void console_putc(char c)
{
        if (c == '\n')
                out('\r');
        out(c);
}

int console_getc(void)
{
        if (type == CONSOLE_PL011)
                return uart[PL011_FR] & FR_RXFE ? -1 : (int)(uart[PL011_DR] & 0xff);
        if (type == CONSOLE_MINI_UART)
                return uart[MU_LSR] & LSR_RX ? (int)(uart[MU_IO] & 0xff) : -1;
        return -1;
}
