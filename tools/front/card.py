# SPDX-License-Identifier: MIT
"""The SD-card image of a Raspberry Pi: same inputs, same bytes.

    sector 0       partition table (MBR: what the Pi's boot ROM reads)
    1 MiB          FAT32: the firmware's files, config.txt, device tree, U-Boot, Ouzel
    BOOT_SIZE      ext4: the root file system; Debian's if there is one, else the RAM disk's tree
The whole is a power of two long, as QEMU wants of an SD card.
"""
import os
import shutil
import stat
import struct
import subprocess

import boards
import build
import initrd
import packages
from say import BUILD, ROOT, Failure, say, short

MIB = 1 << 20
BOOT_START, BOOT_SIZE = MIB, 127 * MIB
ROOT_START = BOOT_START + BOOT_SIZE
TIME = 1735689600  # 1 January 2025, as Linux's build has it: files have to have some date
SIGNATURE = 0x4f555a4c  # the disk's number in the partition table, and the FAT's
FAT32, LINUX = 0x0c, 0x83  # partition types
UUID = "6f757a65-6c00-4000-8000-000000000002"


def path(board):
    return os.path.join(BUILD, f"ouzel-{board.name}.img")


def run(argv, good=(0,), **env):
    """A tool that must succeed, with its clock stopped."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace",
                          env={**os.environ, "SOURCE_DATE_EPOCH": str(TIME), "TZ": "UTC",
                               "E2FSPROGS_FAKE_TIME": str(TIME), "MTOOLS_SKIP_CHECK": "1",
                               **env})
    if done.returncode not in good:
        raise Failure(f"{' '.join(argv[:3])}...: {done.stdout.strip()}")
    return done.stdout


def firmware(board):
    """{name on the card: file} of the GPU's firmware and U-Boot, as Debian packages them."""
    first = packages.foreign_file("raspi-firmware", "arm64",
                                  [f"/usr/lib/raspi-firmware/{board.firmware[0]}",
                                   f"/boot/firmware/{board.firmware[0]}"],
                                  component="non-free-firmware")
    files = {name: os.path.join(os.path.dirname(first), name) for name in board.firmware}
    files["LICENCE.broadcom"] = os.path.join(
        os.path.dirname(first).rsplit("/usr/lib/", 1)[0], "usr/share/doc/raspi-firmware/copyright")
    files["u-boot.bin"] = packages.foreign_file("u-boot-rpi", "arm64",
                                                ["/usr/lib/u-boot/rpi_arm64/u-boot.bin"])
    return files


def script():
    """boot.cmd, packed for U-Boot."""
    source = os.path.join(ROOT, "board", "card", "boot.cmd")
    packed = os.path.join(boards.FOLDER, "boot.scr")
    with boards.replacing(packed) as new:
        run(["mkimage", "-A", "arm64", "-O", "linux", "-T", "script", "-C", "none", "-n", "Ouzel",
             "-d", source, new])
    return packed


def boot_files(board, kernel, ramdisk):
    """{name on the card: file}: all of the boot partition."""
    files = firmware(board)
    for source, name in board.trees:
        files[name] = boards.compile_tree(source)
    files["overlays/disable-bt.dtbo"] = boards.compile_tree("disable-bt", True)
    files["config.txt"] = os.path.join(ROOT, "board", "card", "config.txt")
    files["cmdline.txt"] = boards.changed(os.path.join(boards.FOLDER, "cmdline.txt"),
                                          (command_line() + "\n").encode())
    files["boot.scr"] = script()
    files["ouzel.img"] = kernel
    files["initrd.img"] = ramdisk
    return files


def command_line():
    return "root=/dev/mmcblk0p2 rootwait panic=10"


def fat(image, files, size, label="OUZEL"):
    """A FAT file system in a file of its own, with {name: file}."""
    if os.path.exists(image):
        os.remove(image)
    run(["mkfs.vfat", "--invariant", "-F", "32", "-i", f"{SIGNATURE:08x}", "-n", label, "-C",
         image, str(size // 1024)])
    scratch = image + ".files"
    shutil.rmtree(scratch, ignore_errors=True)
    os.makedirs(scratch)
    try:
        made = set()
        for name in sorted(files):
            folder = os.path.dirname(name)
            if folder and folder not in made:
                run(["mmd", "-i", image, "::" + folder])
                made.add(folder)
            # mcopy -m keeps the file's date, so it gets a fixed one.
            copy = os.path.join(scratch, "file")
            shutil.copyfile(files[name], copy)
            os.utime(copy, (TIME, TIME))
            run(["mcopy", "-m", "-i", image, copy, "::" + name])
    finally:
        shutil.rmtree(scratch)
    return image


def ext4_of_tree(image, entries, size):
    """An ext4 file system out of cpio-like entries: (name, mode, data, device)."""
    if os.path.exists(image):
        os.remove(image)
    with open(image, "wb") as f:
        f.truncate(size)
    run(["mkfs.ext4", "-q", "-F", "-L", "ouzel-root", "-U", UUID, "-E",
         f"hash_seed={UUID},root_owner=0:0,nodiscard", "-O", "^metadata_csum_seed", image])
    put(image, entries)
    return image


def put(image, entries):
    """Entries into an ext4 file system; their folders are there, or come before them."""
    scratch = image + ".files"
    shutil.rmtree(scratch, ignore_errors=True)
    os.makedirs(scratch)
    commands = []
    try:
        # By debugfs, not mkfs -d: that needs root for owners, and keeps the files' ctime.
        for number, (name, mode, data, device) in enumerate(entries):
            target = "/" + name
            if stat.S_ISDIR(mode):
                commands.append(f"mkdir {target}")
            elif stat.S_ISCHR(mode):
                commands.append(f"cd {os.path.dirname(target)}")
                commands.append(f"mknod {os.path.basename(target)} c {device[0]} {device[1]}")
                commands.append("cd /")
            elif stat.S_ISLNK(mode):
                commands.append(f"symlink {target} {data.decode()}")
            else:
                copy = os.path.join(scratch, str(number))
                with open(copy, "wb") as f:
                    f.write(data)
                commands.append(f"write {copy} {target}")
            commands.append(f"set_inode_field {target} mode 0{mode:o}")
            for owner in ("uid", "gid"):
                commands.append(f"set_inode_field {target} {owner} 0")
        listing = os.path.join(scratch, "commands")
        with open(listing, "w") as f:
            f.write("\n".join(commands) + "\n")
        said = run(["debugfs", "-w", "-f", listing, image], DEBUGFS_PAGER="cat")
        bad = [line for line in said.splitlines()
               if line and not line.startswith(("debugfs", "Allocated inode"))]
        if bad:
            raise Failure(f"debugfs: {bad[0]}")
    finally:
        shutil.rmtree(scratch)


def modules(kind="ouzel"):
    """Entries of /usr/lib/modules, as the build of Linux has them."""
    top = os.path.join(BUILD, "linux", kind, "modules", "lib", "modules")
    for folder, folders, files in os.walk(top):
        folders.sort()
        at = os.path.join("usr/lib/modules", os.path.relpath(folder, top))
        for name in folders:
            yield os.path.normpath(os.path.join(at, name)), stat.S_IFDIR | 0o755, b"", None
        for name in sorted(files):
            with open(os.path.join(folder, name), "rb") as f:
                yield (os.path.normpath(os.path.join(at, name)), stat.S_IFREG | 0o644, f.read(),
                       None)


def ext4_of_debian(image, source, size):
    """Debian's root file system, shrunk or grown to the partition; on a card there is no other
    disk for the modules, and the root has another name."""
    run(["cp", "--sparse=always", source, image])
    run(["e2fsck", "-fy", image], good=(0, 1))  # 1: it was in use when its machine ended
    run(["resize2fs", image, f"{size // 1024}K"])
    with open(image, "r+b") as f:
        f.truncate(size)
    run(["debugfs", "-w", "-R", "rm /etc/fstab", image])
    put(image, [("etc/fstab", stat.S_IFREG | 0o644,
                 b"/dev/mmcblk0p2 / ext4 defaults,errors=remount-ro 0 1\n", None), *modules()])
    return image


def partition_table(*parts):
    """A master boot record of ((type, start, size)...), the first of them active."""
    unused = b"\xfe\xff\xff"  # cylinder, head, sector: long out of use
    table = b"".join(struct.pack("<B3sB3sII", 0 if n else 0x80, unused, kind, unused,
                                 start // 512, size // 512)
                     for n, (kind, start, size) in enumerate(parts))
    return b"\0" * 440 + struct.pack("<IH", SIGNATURE, 0) + table.ljust(64, b"\0") + b"\x55\xaa"


def place(image, part, offset):
    """Copy a part into the image, leaving holes where it has zeros."""
    with open(part, "rb") as source:
        image.seek(offset)
        while True:
            block = source.read(MIB)
            if not block:
                return
            if block.count(0) == len(block):
                image.seek(len(block), os.SEEK_CUR)
            else:
                image.write(block)


def uboot_disk(kernel, ramdisk, words):
    """A disk for U-Boot on QEMU's virt, which has no firmware to pass a command line."""
    packages.ensure(packages.U_BOOT)
    words = boards.changed(os.path.join(boards.FOLDER, "bootargs.env"),
                           f"bootargs={words}\n".encode())
    files = {"boot.scr": script(), "ouzel.img": kernel, "bootargs.env": words}
    if ramdisk:
        files["initrd.img"] = ramdisk
    disk = os.path.join(boards.FOLDER, f"uboot-{os.getpid()}.img")
    part = fat(disk + ".fat", files, BOOT_SIZE)
    with open(disk, "wb") as image:
        image.truncate(BOOT_START + BOOT_SIZE)
        image.write(partition_table((FAT32, BOOT_START, BOOT_SIZE)))
        place(image, part, BOOT_START)
    os.remove(part)
    return disk


def make(board, compiler="gcc", debian=None):
    """build/ouzel-BOARD.img; returns its path."""
    packages.ensure(packages.BUILDING, packages.LINUX, packages.TREES, packages.CARD)
    kernel = build.image(board.name, compiler)
    files = boot_files(board, kernel, initrd.make("ouzel"))
    total = 4096 * MIB if debian else 256 * MIB
    fat_part = fat(os.path.join(boards.FOLDER, board.name + "-boot.fat"), files, BOOT_SIZE)
    root_part = os.path.join(boards.FOLDER, board.name + "-root.ext4")
    if debian:
        ext4_of_debian(root_part, debian, total - ROOT_START)
    else:
        ext4_of_tree(root_part, initrd.entries("ouzel"), total - ROOT_START)
    scratch = path(board) + ".new"
    with open(scratch, "wb") as image:
        image.truncate(total)
        image.write(partition_table((FAT32, BOOT_START, BOOT_SIZE),
                                    (LINUX, ROOT_START, total - ROOT_START)))
        place(image, fat_part, BOOT_START)
        place(image, root_part, ROOT_START)
    os.replace(scratch, path(board))
    say(f"SD card image: {short(path(board))}, {total // MIB} MiB, "
        f"{os.stat(path(board)).st_blocks * 512 // MIB} MiB of them in use")
    return path(board)
