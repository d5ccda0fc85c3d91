#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turn the kernel's function names into assembly, for the backtrace of a panic.

usage: ksyms.py [--nm nm] kernel.elf -o ksyms.S

Link the kernel without it first, run this, then link again with the result. The table lies
behind all code, so the second link moves no function.
"""
import argparse
import subprocess


def functions(nm, elf):
    """(address, name) of the functions and labels in .text, ascending, one per address."""
    lines = subprocess.run([nm, "-n", elf], check=True, capture_output=True, text=True).stdout
    found = {}
    for line in lines.splitlines():
        address, kind, name = line.rsplit(maxsplit=2) if len(line.split()) == 3 else ("", "", "")
        if kind in "tT" and kind and not name.startswith(("$", ".L")):
            found.setdefault(int(address, 16), name)
    return sorted(found.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kernel")
    parser.add_argument("-o", "--output")
    parser.add_argument("--nm", default="aarch64-linux-gnu-nm")
    args = parser.parse_args()
    symbols = functions(args.nm, args.kernel)
    if not symbols:
        parser.exit(1, f"{args.kernel}: no functions\n")
    out = ["/* made by tools/ksyms.py */", '.section .rodata.ksyms, "a"', ".balign 4",
           ".global ksyms, ksym_names, ksym_count",
           f"ksym_count: .long {len(symbols)}", "ksyms:"]
    at = 0
    base = symbols[0][0]
    for address, name in symbols:
        out.append(f".long {address - base:#x}, {at}")
        at += len(name) + 1
    out.append("ksym_names:")
    out += [f'.asciz "{name}"' for _, name in symbols]
    with open(args.output, "w", encoding="ascii") as file:
        file.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
