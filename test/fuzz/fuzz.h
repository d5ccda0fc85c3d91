/* SPDX-License-Identifier: MIT */
/* fuzz.h -- what libFuzzer calls, and a way to say that something is wrong. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                      \
        do {                                                                                 \
                if (!(condition)) {                                                          \
                        fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__,         \
                                #condition);                                                 \
                        abort();                                                             \
                }                                                                            \
        } while (0)

#endif
