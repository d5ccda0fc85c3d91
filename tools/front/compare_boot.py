# SPDX-License-Identifier: MIT
"""./ouzel bench linux --profile boot: which functions take the instructions from reset on.

A plugin of QEMU's (stacks.c) counts every instruction of each block that runs, by stacks of
functions; a log of 100 million of them would be too long. It ends when the row says that it
starts. Programs count as one: which of them runs, nobody knows.
"""
import os
import subprocess
from collections import Counter

import boards
from compare_profile import Elf
from say import BUILD, ROOT, Failure, say, short

USER = 1 << 48  # programs are below
RAM = range(0x4000_0000, 0x8000_0000)  # where Linux, or Ouzel, runs before the MMU is on


def plugin(scratch):
    """Compile it for the QEMU that there is."""
    path = os.path.join(scratch, "stacks.so")
    # What is declared in stacks.c has not changed; from QEMU 9 on older numbers are refused.
    api = 1 if boards.version(["qemu-system-aarch64"]) < (9, 0) else 2
    subprocess.run(["gcc", "-std=gnu2x", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                    f"-DAPI={api}", "-o", path,
                    os.path.join(ROOT, "tools", "front", "stacks.c")], check=True)
    return path


def symbols(folder, kind):
    """[(address, layer, function)], sorted, from address 0 on."""
    found = [(0, "program", "programs"), (RAM.start, "?", "before-the-MMU-is-on"),
             (RAM.stop, "program", "programs"), (USER, "?", "nowhere")]
    elves = [Elf(os.path.join(BUILD, "linux", kind, "vmlinux"), "linux")]
    if kind == "ouzel":
        elves += [Elf(os.path.join(folder, "kernel.elf"), "ouzel"),
                  Elf(os.path.join(folder, "bin", "pager"), "pager")]
    for elf in elves:
        found += [(va, elf.layer, name) for va, name in zip(elf.starts, elf.names)]
    return sorted(found)


def count(side, folder, limit, scratch):
    """{(layer, function...): instructions} of a side whose plan is the row `boot`."""
    names, out = (os.path.join(scratch, f"{side.kind}.{what}") for what in ("symbols", "stacks"))
    with open(names, "w") as f:
        f.writelines(f"{va:x} {layer} {name}\n" for va, layer, name in symbols(folder, side.kind))
    files = {"file": plugin(scratch), "symbols": names, "out": out}
    side.machine.extra += ["-plugin", ",".join(f"{key}={os.path.relpath(path)}"
                                               for key, path in files.items())]
    say(f"boot, {side.kind}: block by block")
    side.start()
    try:
        if not side.guest.expect(rb"ROW start boot", limit):
            raise Failure(f"{side.kind}: no row within {limit} s: "
                          + side.guest.output[-300:].decode(errors="replace"))
        side.guest.job.terminate()  # QEMU ends as it should, and the plugin writes
        side.guest.finish(60)
    finally:
        side.end()
    if not os.path.exists(out):
        raise Failure(f"{short(out)} was not written: this QEMU takes no plugins")
    return read(out)


def read(path):
    found = Counter()
    with open(path) as f:
        for line in f:
            stack, n = line.rsplit(" ", 1)
            found[tuple(stack.split(";"))] += int(n)
    return found
