# SPDX-License-Identifier: MIT
"""Boots with something wrong: each has to say what, and what to do, and what can run, runs.

test_NAME(start) returns what went wrong, or None.
"""
import os
import struct
import subprocess

from say import ROOT, Failure

WAIT = 60
PROMPT = rb"ouzel> $"


def run(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Failure(f"{argv[0]}: {done.stdout.strip()}")


def says(guest, *patterns):
    """All of these, in any order, and the machine did not hang silently before."""
    for pattern in patterns:
        if not guest.expect(pattern, WAIT):
            return f"expected {pattern.decode()}, got {bytes(guest.output[-400:])!r}"
    return None


def read(path):
    with open(path, "rb") as f:
        return bytearray(f.read())


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)
    return path


# ---- images ---------------------------------------------------------------------------------

def archive_header(start):
    """Where it is in the image: right behind the kernel."""
    return os.path.getsize(os.path.join(start.build, "kernel.bin"))


def entries(start, image):
    """Where the files of an image's boot archive are: {name: (offset of header, of data, size)}"""
    at = archive_header(start) + 4096
    found = {}
    while image[at:at + 6] == b"070702":
        size, length = (int(image[at + n:at + n + 8], 16) for n in (54, 94))
        name = image[at + 110:at + 110 + length - 1].decode()
        data = at + (110 + length + 3) // 4 * 4
        found[name] = (at, data, size)
        at = data + (size + 3) // 4 * 4
    return found


def damaged(start, name, offset=None):
    """The image with one bit of a file's middle, or of its header, changed."""
    image = read(start.image)
    header, data, size = entries(start, image)[name]
    image[data + size // 2 if offset is None else header + offset] ^= 1
    return write(start.path("damaged.img"), image)


def with_manifest(start, text, **files):
    """An image with this manifest; FILES besides, or instead of, what is built."""
    paths = {p: os.path.join(start.build, "bin", p) for p in ("pager", "shell", "demo")}
    paths |= {name: write(start.path(name), data) for name, data in files.items()}
    run(os.path.join(start.build, "mkarchive"), start.path("cpio"),
        write(start.path("manifest"), text.encode()), *(f"{n}={p}" for n, p in paths.items()))
    run("python3", os.path.join(ROOT, "tools", "mkimage.py"),
        os.path.join(start.build, "kernel.bin"), start.path("cpio"), "-o", start.path("made.img"))
    return start.path("made.img")


SHELL = "program shell\n file shell\n memory 1M\n control\n"


def test_image_that_was_cut_off(start):
    image = read(start.image)
    path = write(start.path("cut.img"), image[:len(image) - 5000])
    return says(start(image=path),
                rb"boot archive of \d+ KiB at [0-9a-f]+ lacks its end: the image was cut off, "
                rb"or\s+overwritten .*; load it again")


def test_image_without_an_archive(start):
    path = os.path.join(start.build, "kernel.bin")
    return says(start(image=path), rb"no boot archive behind the kernel: boot the image that "
                                   rb"`./ouzel` makes")


def test_archive_that_claims_too_much(start):
    image = read(start.image)
    struct.pack_into("<Q", image, archive_header(start) + 8, 1 << 40)
    return says(start(image=write(start.path("big.img"), image)),
                rb"boot archive of \d+ KiB at [0-9a-f]+ does not fit into memory: it is corrupt")


def test_pager_that_is_corrupt(start):
    return says(start(image=damaged(start, "pager")),
                rb"`pager` in the boot archive is corrupt \(checksum\): make the image again")


def test_program_that_is_corrupt(start):
    guest = start(image=damaged(start, "demo"))
    return says(guest, rb"pager: `demo` in the boot archive is corrupt \(checksum\): make the "
                       rb"image again", rb"pager: 1 of 2 programs run", PROMPT)


def test_archive_that_is_corrupt_in_the_middle(start):
    guest = start(image=damaged(start, "demo", 0))
    return says(guest, rb"pager: the boot archive is corrupt before `demo`: make the image again",
                rb"pager: 1 of 2 programs run", PROMPT)


def test_manifest_that_is_corrupt(start):
    guest = start(image=damaged(start, "manifest"))
    why = says(guest, rb"pager: `manifest` in the boot archive is corrupt \(checksum\)",
               rb"nothing to start, switching off")
    return why or (None if guest.finish(WAIT) else "the machine did not switch off")


# ---- manifests ---------------------------------------------------------------------------------

def test_manifest_that_wants_more_memory_than_there_is(start):
    guest = start(image=with_manifest(start, SHELL + "program big\n file demo\n memory 64G\n"))
    return says(guest, rb"pager: no 67108864 KiB of contiguous memory for `big` \(\d+ KiB free\): "
                       rb"give the machine more, or ask for less in line 5 of the manifest",
                rb"pager: 1 of 2 programs run", PROMPT)


def test_manifest_that_wants_more_kernel_memory_than_there_is(start):
    guest = start(image=with_manifest(start, "program big\n file demo\n quota 1G\n" + SHELL))
    return says(guest, rb"pager: no 1048576 KiB of kernel memory for `big` \(\d+ KiB free\): give "
                       rb"the machine more, or ask for less in line 1 of the manifest",
                rb"pager: 1 of 2 programs run", PROMPT)


def test_manifest_that_wants_a_core_that_is_not_there(start):
    guest = start(image=with_manifest(start, SHELL + "program far\n file demo\n core 3\n"))
    return says(guest, rb"pager: `far` wants core 3, only 1 run: say another in line 5 of the "
                       rb"manifest", rb"pager: 1 of 2 programs run", PROMPT)


def test_manifest_that_wants_a_device_that_is_not_there(start):
    guest = start(image=with_manifest(start, SHELL + " devices acme,rocket\n"))
    return says(guest, rb"pager: `shell`: this machine has no device `acme,rocket`", PROMPT)


def test_manifest_of_which_nothing_can_start(start):
    guest = start(image=with_manifest(start, "program far\n file demo\n core 3\n"))
    why = says(guest, rb"pager: nothing runs: switching off")
    return why or (None if guest.finish(WAIT) else "the machine did not switch off")


# ---- programs ----------------------------------------------------------------------------------

def with_program(start, data, why):
    guest = start(image=with_manifest(start, SHELL + "program bad\n file bad\n", bad=data))
    return says(guest, why, PROMPT)


def elf(start):
    """A program, and where its first segment's header is in it."""
    data = read(os.path.join(start.build, "bin", "demo"))
    return data, struct.unpack_from("<Q", data, 32)[0]


def test_program_that_is_none(start):
    return with_program(start, b"#!/bin/sh\n" * 1000,
                        rb"pager: `bad` is not an ELF64 program for AArch64")


def test_program_that_was_cut_off(start):
    data, _ = elf(start)
    return with_program(start, data[:8192], rb"pager: `bad` is cut off, or its segments lie")


def test_program_with_a_header_table_outside_of_it(start):
    data, _ = elf(start)
    struct.pack_into("<Q", data, 32, 1 << 63)
    return with_program(start, data, rb"pager: `bad` is not an ELF64 program for AArch64")


def test_program_with_a_segment_larger_than_everything(start):
    data, segment = elf(start)
    struct.pack_into("<Q", data, segment + 40, (1 << 64) - 1)
    return with_program(start, data, rb"pager: `bad` does not fit into 1024 KiB: give it more in "
                                     rb"line 5 of the manifest")


def test_program_that_wants_to_be_in_the_kernels_slot(start):
    data, segment = elf(start)
    struct.pack_into("<Q", data, segment + 16, 0xffff7f8000000000)
    struct.pack_into("<Q", data, 24, 0xffff7f8000000000)  # and to begin there
    return with_program(start, data, rb"(?s)pager: page at ffff7f8000000000 of `bad`: an address "
                                     rb".* outside what is allowed here\r\n.*`bad` thread \d+ "
                                     rb"died: instruction fetch at ffff7f8000000000")


# ---- device trees --------------------------------------------------------------------------------

IMAGE, TREE = 0x44000000, 0x4c000000  # where a boot loader might put them


def tree(start, smp=1):
    """The machine's own device tree, to be edited."""
    path = start.path("virt.dtb")
    run("qemu-system-aarch64", "-machine", f"virt,gic-version=2,dumpdtb={path}", "-cpu",
        "cortex-a72", "-smp", str(smp), "-m", "1024M", "-nographic", "-nic", "none")
    return path


def with_tree(start, dtb, **changes):
    """QEMU's -kernel adds to a device tree what it lacks: so a boot loader of our own, which
    only sets x0 and jumps."""
    loader = struct.pack("<8I2Q",
                         0x58000100,  # ldr x0, tree
                         0x58000124,  # ldr x4, image
                         0xaa1f03e1, 0xaa1f03e2, 0xaa1f03e3,  # mov x1 to x3, xzr
                         0xd61f0080,  # br x4
                         0xd503201f, 0xd503201f, TREE, IMAGE)
    return start(image=write(start.path("loader"), loader),
                 extra=["-device", f"loader,file={start.image},addr={IMAGE},force-raw=on",
                        "-device", f"loader,file={dtb},addr={TREE},force-raw=on"], **changes)


def test_device_tree_as_it_is(start):
    """The loader above does boot, and nothing of the following is its own doing."""
    return says(with_tree(start, tree(start)), PROMPT)


def test_device_tree_without_memory(start):
    dtb = tree(start)
    run("fdtput", "-r", dtb, "/memory@40000000")
    return says(with_tree(start, dtb), rb"no memory: expected a node with device_type = \"memory\" "
                                       rb"in the device\s+tree; check that the board's own device "
                                       rb"tree is passed")


def test_device_tree_without_interrupt_controller(start):
    dtb = tree(start)
    run("fdtput", "-r", dtb, "/intc@8000000")
    return says(with_tree(start, dtb), rb"no interrupt controller: expected a GICv2")


def test_device_tree_that_lies_outside_its_memory(start):
    dtb = tree(start)
    run("fdtput", "-t", "x", dtb, "/memory@40000000", "reg", "0", "40000000", "0", "8000000")
    return says(with_tree(start, dtb), rb"the device tree at 4c000000 is not in memory that it "
                                       rb"describes")


def test_core_that_does_not_exist(start):
    dtb = tree(start, 4)
    run("fdtput", "-t", "x", dtb, "/cpus/cpu@2", "reg", "99")
    return says(with_tree(start, dtb, smp=4),
                rb"ouzel: core 2 \(MPIDR 99\) did not start: PSCI: no such core .*; going on "
                rb"without it",
                rb"kernel ready: 3 of 4 cores", PROMPT)


def test_core_that_nobody_can_start(start):
    dtb = tree(start, 2)
    run("fdtput", "-r", dtb, "/psci")
    return says(with_tree(start, dtb, smp=2),
                rb"ouzel: core 1 \(MPIDR 1\) did not start: the device tree has neither PSCI nor a "
                rb"cpu-release-addr", rb"kernel ready: 1 of 2 cores", PROMPT)


def test_core_that_does_not_answer(start):
    dtb = tree(start, 2)
    run("fdtput", "-t", "s", dtb, "/cpus/cpu@1", "enable-method", "spin-table")
    run("fdtput", "-t", "x", dtb, "/cpus/cpu@1", "cpu-release-addr", "0", "40001000")
    return says(with_tree(start, dtb, smp=2),
                rb"ouzel: core 1 \(MPIDR 1\) did not start: no answer within 1 s; going on without",
                rb"kernel ready: 1 of 2 cores", PROMPT)
