# SPDX-License-Identifier: MIT
"""The Raspberry Pis: device trees, boot images, QEMU's machines for them."""
import contextlib
import os
import re
import subprocess
from dataclasses import dataclass

import build
import packages
from say import BUILD, ROOT, Failure


@dataclass(frozen=True)
class Board:
    name: str
    title: str
    machine: str      # QEMU's name
    cpu: str
    trees: tuple      # ((source in dts/, what the firmware looks for on the card), ...)
    firmware: tuple   # out of raspi-firmware
    qemu_tree: str    # the first of them, as QEMU's model has the board


RPI3 = Board("rpi3", "Raspberry Pi 3", "raspi3b", "cortex-a53",
             (("rpi3", "bcm2710-rpi-3-b.dtb"), ("rpi3-plus", "bcm2710-rpi-3-b-plus.dtb")),
             ("bootcode.bin", "start.elf", "fixup.dat"), "rpi3")
RPI4 = Board("rpi4", "Raspberry Pi 4", "raspi4b", "cortex-a72",
             (("rpi4", "bcm2711-rpi-4-b.dtb"),), ("start4.elf", "fixup4.dat"),
             "qemu-rpi4")
ALL = {board.name: board for board in (RPI3, RPI4)}


class Missing(Failure):
    """No QEMU for this board here: what needs it did not run, which is not a failure."""


FOLDER = os.path.join(BUILD, "boards")
QEMU_WITH_RASPI4 = (9, 0)
U_BOOT_VIRT = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"


def source():
    """Linux's source tree, where the boards' device trees come from."""
    top = os.path.join(BUILD, "linux", "source")
    if not os.path.isdir(os.path.join(top, "arch", "arm64", "boot", "dts")):
        build.linux("ouzel")
    return top


@contextlib.contextmanager
def replacing(path):
    """A name to write to, which becomes path at the end: another run may read that meanwhile."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = f"{path}.{os.getpid()}"
    yield new
    os.replace(new, path)


def changed(path, data):
    """Write data unless it is there already, so that nothing is rebuilt for nothing."""
    if os.path.exists(path):
        with open(path, "rb") as f:
            if f.read() == data:
                return path
    with replacing(path) as new, open(new, "wb") as f:
        f.write(data)
    return path


def compile_tree(name, overlay=False):
    """dts/NAME.dts as a blob, with the labels that overlays refer to."""
    path = os.path.join(ROOT, "dts", name + ".dts")
    with open(path, "rb") as f:
        text = f.read()
    if not overlay:
        top = source()
        include = [os.path.join(top, part) for part in (
            "include", "arch/arm64/boot/dts", "scripts/dtc/include-prefixes")]
        text = pipe(["cpp", "-nostdinc", "-undef", "-D__DTS__", "-x", "assembler-with-cpp",
                     *[word for folder in include for word in ("-I", folder)], path], b"")
    return changed(os.path.join(FOLDER, name + (".dtbo" if overlay else ".dtb")),
                   pipe(["dtc", "-@", "-q", "-I", "dts", "-O", "dtb", "-"], text))


def pipe(argv, data):
    run = subprocess.run(argv, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if run.returncode:
        raise Failure(f"{argv[0]}: {run.stderr.decode(errors='replace').strip()}")
    return run.stdout


def tree(board, mini_uart=False):
    """What the firmware would pass: the board's tree, with the overlay of config.txt; less what
    QEMU's model of the board lacks."""
    packages.ensure(packages.TREES)
    base = compile_tree(board.qemu_tree)
    if mini_uart:
        return base
    merged = os.path.join(FOLDER, board.qemu_tree + "-disable-bt.dtb")
    with replacing(merged) as new:
        pipe(["fdtoverlay", "-i", base, "-o", new, compile_tree("disable-bt", True)], b"")
    return merged


# ---- QEMU ----------------------------------------------------------------------------------

def version(argv, env=None):
    try:
        out = subprocess.run([*argv, "--version"], stdout=subprocess.PIPE, text=True, check=False,
                             env={**os.environ, **(env or {})}).stdout
    except FileNotFoundError:
        return (0, 0)
    found = re.search(r"version (\d+)\.(\d+)", out)
    return tuple(int(n) for n in found.groups()) if found else (0, 0)


def qemu(board):
    """(argv, environment) of a QEMU that has the board. raspi4b is in QEMU 9 and later.

    The machine's own if it is new enough; else the backports', unpacked in build/apt and used
    for this board alone: what everything else is tested and counted with does not change, and
    no root is needed.
    """
    own = ["qemu-system-aarch64"]
    if board is not RPI4 or version(own) >= QEMU_WITH_RASPI4:
        return own, {}
    try:
        argv, env = packages.newer_qemu()
    except Failure as e:
        raise Missing(f"no QEMU 9 or later for {board.machine}: {e}") from e
    if version(argv, env) < QEMU_WITH_RASPI4:
        raise Missing(f"QEMU {'.'.join(map(str, version(own)))} has no {board.machine}, 9.0 and "
                      "later have; and the one from this Debian's backports does not run here")
    return argv, env
