/* SPDX-License-Identifier: MIT */
/*
 * server.h -- the head of a Linux server that is none: an arm64 Image header and an Ouzel
 * header (include/ouzel/vcpu.h), for servers that misbehave (test/linux/bad_input.py).
 */
#include <ouzel/abi.h>
#include <ouzel/vcpu.h>

#define SYSCALL(nr, name, kind, nargs, what) .equ SYS_##name, nr;
#include <ouzel/syscalls.def>
#undef SYSCALL

        .text
start:  nop
        b       .
        .quad   0                       // load offset
        .quad   end - start             // size in memory
        .quad   0xa                     // little-endian, 4 KiB pages, anywhere
        .quad   0, 0, 0
        .ascii  "ARM\x64"
        .word   0
        .org    start + SERVER_HEADER
        .quad   SERVER_MAGIC, SERVER_ABI
        .quad   entry - start
        .quad   end - start
        .quad   1
        .quad   0, end - start, ACCESS_READ | ACCESS_EXEC
        .org    start + 0x1000
entry:
