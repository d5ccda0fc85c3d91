# SPDX-License-Identifier: MIT
"""The SD card's image: what the firmware, U-Boot and Linux will look for. No machine runs."""
import hashlib
import os
import re
import struct
import subprocess

import boards
import card
import initrd

PATH = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}


def board_of(start):
    return boards.ALL[start.args.board]


def parts(board):
    """[(type, start, size)] of the partition table, in bytes."""
    with open(card.path(board), "rb") as f:
        table = f.read(512)
    return [(kind, start * 512, size * 512) for kind, start, size in
            (struct.unpack_from("<4xB3xII", table, 446 + 16 * n) for n in range(4))]


def boot_file(board, name):
    """A file of the boot partition, read by mtools out of the image itself."""
    return subprocess.run(["mtype", "-i", f"{card.path(board)}@@{card.BOOT_START}", "::" + name],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False).stdout


def extract(board, index, to):
    _, start, size = parts(board)[index]
    with open(card.path(board), "rb") as f, open(to, "wb") as out:
        f.seek(start)
        out.write(f.read(size))
    return to


def check_fs(board, index, *argv):
    scratch = extract(board, index, f"{card.path(board)}.part{os.getpid()}")
    try:
        run = subprocess.run([*argv, scratch], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, check=False, env=PATH)
    finally:
        os.remove(scratch)
    return f"{argv[0]}: {run.stdout}" if run.returncode else None


def test_partition_table(start):
    board = board_of(start)
    with open(card.path(board), "rb") as f:
        if f.read(512)[510:] != b"\x55\xaa":
            return "no signature in sector 0"
    size = os.path.getsize(card.path(board))
    if size & (size - 1):
        return f"{size} bytes long: QEMU wants a power of two"
    (boot, start, length), (root, second, rest), *others = parts(board)
    if (boot, root) != (card.FAT32, card.LINUX) or any(kind for kind, *_ in others):
        return "expected a FAT32 and a Linux partition"
    if start % card.MIB or second % card.MIB or start + length > second or second + rest != size:
        return "partitions are not at whole MiB, overlap, or leave the card's end"
    return None


def test_boot_file_system(start):
    board = board_of(start)
    return check_fs(board, 0, "fsck.vfat", "-n")


def test_root_file_system(start):
    board = board_of(start)
    return check_fs(board, 1, "e2fsck", "-fn")


def config(text):
    """{key: value} of config.txt for this kind of board, as the firmware reads it: a filter
    holds until the next; the last of a key counts, but overlays add up."""
    active, found = True, {"dtoverlay": []}
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        section = re.fullmatch(r"\[(.*)\]", line)
        if section:
            active = section.group(1) in ("all", "pi3", "pi4")
        elif line and active:
            key, _, value = line.partition("=" if "=" in line else " ")
            if key == "dtoverlay":
                found[key].append(value)
            else:
                found[key] = value
    return found


def test_config_txt(start):
    board = board_of(start)
    text = boot_file(board, "config.txt").decode()
    if any(len(line) > 98 for line in text.splitlines()):
        return "a line is longer than the 98 characters that the firmware reads"
    found = config(text)
    for key, value in (("arm_64bit", "1"), ("enable_uart", "1"), ("kernel", "u-boot.bin"),
                       ("dtoverlay", ["disable-bt"])):
        if found.get(key) != value:
            return f"{key} is {found.get(key)!r}, expected {value!r}"
    # The lines to switch over to, as they are when their # is taken away.
    second = config(re.sub(r"^#(?=kernel=|initramfs )", "", text, flags=re.M))
    for name in (found["kernel"], second["kernel"], second["initramfs"].split()[0],
                 f"overlays/{found['dtoverlay'][0]}.dtbo"):
        if not boot_file(board, name):
            return f"config.txt names {name}, which is not there"
    return None


def test_firmware_files(start):
    board = board_of(start)
    for name in (*board.firmware, *(name for _, name in board.trees), "boot.scr", "cmdline.txt",
                 "initrd.img"):
        if not boot_file(board, name):
            return f"{name} is missing, or empty"
    return None


def test_kernel_is_an_image(start):
    board = board_of(start)
    image = boot_file(board, "ouzel.img")
    if image[56:60] != b"ARM\x64":
        return "no arm64 header"
    size, = struct.unpack_from("<Q", image, 16)
    if size < len(image) or size > 0x08000000:
        return f"its header says {size} bytes: less than it has, or it reaches the RAM disk"
    return None if b"OUZELEND" in image[-16:] else "it lacks its end mark"


def test_script(start):
    board = board_of(start)
    script = boot_file(board, "boot.scr")
    magic, header, made = struct.unpack_from(">III", script)
    if magic != 0x27051956:
        return "boot.scr is no U-Boot image"
    if made != card.TIME:
        return "its date is not the fixed one"
    for name in re.findall(r"\} (\S+\.img)\b", script[72:].decode(errors="replace")):
        if not boot_file(board, name):
            return f"it loads {name}, which is not there"
    return None


def test_trees(start):
    board = board_of(start)
    for name in [name for _, name in board.trees]:
        tree = boot_file(board, name)
        if struct.unpack_from(">I", tree) != (0xd00dfeed,):
            return f"{name} is no device tree"
        if b"__symbols__" not in tree:
            return f"{name} has no labels: overlays could not be applied"
    return None


def test_same_inputs_same_bytes(start):
    """Both file systems made again, in another place and another order of calls."""
    board = board_of(start)
    was = [hashlib.sha256(data).hexdigest() for data in halves(board)]
    kernel = os.path.join(boards.BUILD, "gcc", board.name + ".img")
    files = card.boot_files(board, kernel, initrd.make("ouzel"))
    again = os.path.join(boards.FOLDER, f"again-{os.getpid()}")
    root = card.ext4_of_tree(again, initrd.entries("ouzel"), parts(board)[1][2])
    digests = [digest(root)]
    digests.insert(0, digest(card.fat(again, dict(reversed(files.items())), card.BOOT_SIZE)))
    os.remove(again)
    for name, a, b in zip(("boot", "root"), was, digests):
        if a != b:
            return f"the {name} partition came out differently"
    return None


def halves(board):
    with open(card.path(board), "rb") as f:
        for _, start, size in parts(board)[:2]:
            f.seek(start)
            yield f.read(size)


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()
