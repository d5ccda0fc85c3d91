#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: ksyms.py NM kernel.elf ksyms.c -- the kernel's functions, for its backtraces."""
import subprocess
import sys

nm, elf, out = sys.argv[1:4]
lines = subprocess.run([nm, "-n", "--defined-only", elf], check=True, capture_output=True,
                       text=True).stdout.splitlines()
base = 0xFFFF7FC000000000
symbols = [(int(address, 16) - base, name)
           for address, kind, name in (line.split() for line in lines)
           if kind in "tT" and not name.startswith("$")]
names, at = "", []
for _, name in symbols:
    at.append(len(names))
    names += name + "\0"
with open(out, "w") as f:
    f.write("typedef unsigned int u32;\nstruct symbol { u32 offset, name; };\n")
    f.write(f"const u32 ksym_count = {len(symbols)};\n")
    rows = ",".join(f"{{{offset},{name}}}" for (offset, _), name in zip(symbols, at))
    f.write(f"const struct symbol ksyms[] = {{{rows}}};\n")
    f.write('const char ksym_names[] = "' + names.replace("\0", "\\0") + '";\n')
