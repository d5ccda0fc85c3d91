/* SPDX-License-Identifier: MIT */
/* unit.h -- what every host test includes: cmocka, a way to write a test, and dice. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs all of the above */

/* A test is a sentence. main() lists it; one that is forgotten there does not compile. */
#define TEST(name) static void name(void **)

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The same numbers in every run, so that what fails once fails again. [xorshift64*, Vigna 2016] */
static uint64_t dice_state = 0x9e3779b97f4a7c15;
static inline uint64_t dice(uint64_t sides)
{
        dice_state ^= dice_state >> 12;
        dice_state ^= dice_state << 25;
        dice_state ^= dice_state >> 27;
        return (dice_state * 0x2545f4914f6cdd1d >> 16) % sides;
}

#endif
