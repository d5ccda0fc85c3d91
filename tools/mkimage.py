#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make a bootable image: the kernel's flat binary with the boot archive behind it.

usage: mkimage.py kernel.bin archive.cpio -o image

The kernel finds the archive by a header page {"OUZELARC", size} right behind itself, and
knows by an end mark behind the archive that it was loaded whole. The arm64 Image header's
image_size, at offset 16, is set to cover all, so that a boot loader keeps other things
(device tree, initial RAM disk) clear of them.
"""
import argparse
import struct

PAGE = 4096


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kernel")
    parser.add_argument("archive")
    parser.add_argument("-o", "--output", required=True)
    args = parser.parse_args()
    kernel = bytearray(open(args.kernel, "rb").read())
    archive = open(args.archive, "rb").read()
    if kernel[56:60] != b"ARM\x64":
        parser.exit(1, f"{args.kernel}: no arm64 Image header\n")
    if len(kernel) % PAGE:
        parser.exit(1, f"{args.kernel}: not a multiple of {PAGE} bytes long\n")
    mark = b"\0" * (-len(archive) % 8) + b"OUZELEND"
    total = len(kernel) + PAGE + len(archive) + len(mark)
    struct.pack_into("<Q", kernel, 16, (total + PAGE - 1) // PAGE * PAGE)
    header = struct.pack("<8sQ", b"OUZELARC", len(archive)).ljust(PAGE, b"\0")
    with open(args.output, "wb") as out:
        out.write(kernel + header + archive + mark)


if __name__ == "__main__":
    main()
