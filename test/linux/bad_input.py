# SPDX-License-Identifier: MIT
"""A Linux, a disk or a machine that is not right: a message names it, and nothing hangs.

Each test boots something bad and returns what went wrong, or None. `lab` makes images and
machines; the pager switches the machine off when no program runs any more.
"""
import subprocess

ONCE = "linux\n\tfile linux\n\tmemory rest\n\trestart 1\n\tcontrol\n" \
       "\tdevices arm,pl011 arm,pl031 arm,pl061 virtio,mmio\n\tappend console=ttyAMA0\n"
LIMIT = r"`linux` was restarted 1 times: enough"
OFF = r"nothing runs( any more)?: switching off"
# The native shell, and a Linux that has no console: that is the shell's.
BESIDE = "program shell\n\tfile shell\n\tmemory 1M\n\tquota 256K\n\tpriority 100\n\tcontrol\n" \
         "linux\n\tfile linux\n\tmemory rest\n\tpriority 50\n\trestart 1\n\tdevices virtio,mmio\n"
AGAIN = r"starting `linux` again \(1 of 1\)"


def panics(why, first=""):
    """What the pager says of a Linux that panics twice. The words (FIRST, and then WHY) have to be
    those that it passes on: on the console Linux itself has said them before, and that proves
    nothing."""
    lines = r"(?:(?!pager: ).*\n)*(?!pager: ).*"
    words = r"pager: linux panicked; its last words:\r*\n" + (lines + first if first else "") + \
            lines + "Kernel panic - not syncing: " + why
    return words, AGAIN, words, LIMIT, OFF


def test_not_a_kernel_at_all(lab):
    return lab.says(lab.image(linux=b"#!/bin/sh\n" * 1000),
                    r"`linux` is not an arm64 kernel Image", OFF)


def test_a_native_kernel(lab):
    return lab.says(lab.image(linux=b"\0" * 56 + b"ARM\x64" + b"\0" * 8192),
                    r"`linux` has no Ouzel header: build it with CONFIG_OUZEL=y", OFF)


def test_another_version_of_the_port(lab):
    image = bytearray(lab.linux())
    image[0x48] = 77
    return lab.says(lab.image(linux=bytes(image)), r"another version of Ouzel \(ABI 77", OFF)


def test_a_kernel_that_is_cut_off(lab):
    image = lab.linux()
    return lab.says(lab.image(linux=image[:len(image) - 5000]),
                    r"`linux` is cut off: %d of at least [0-9]+ bytes" % (len(image) - 5000), OFF)


def test_an_image_that_is_cut_off(lab):
    # As a whole, as a broken download is: the kernel itself sees it.
    return lab.says(lab.image(cut=0.7), r"lacks its end: the image was cut off")


def test_one_bit_of_the_kernel_is_wrong(lab):
    return lab.says(lab.image(flip=True), r"`linux` in the boot archive is corrupt", OFF)


def test_segments_that_overlap_the_end(lab):
    image = bytearray(lab.linux())
    image[0x40 + 40 + 8:0x40 + 40 + 16] = (1 << 40).to_bytes(8, "little")
    return lab.says(lab.image(linux=bytes(image)), r"segment 0 of its Ouzel header is wrong", OFF)


def test_too_little_memory(lab):
    return lab.says(lab.image(), r"too little|no [0-9]+ KiB of contiguous memory", OFF, mem="64M")


def test_a_disk_that_is_no_file_system(lab):
    return lab.says(lab.image(manifest=ONCE), *panics(r"VFS: Unable to mount root fs on .*vda"),
                    disk=b"no file system " * 70000, append="root=/dev/vda rw")


def test_no_disk_where_root_should_be(lab):
    return lab.says(lab.image(manifest=ONCE), *panics(r"VFS: Unable to mount root fs",
                                                      r"Cannot open root device \"/dev/vdz\""),
                    append="root=/dev/vdz rw")


def ext4(lab, damaged=False):
    """An empty file system; or its superblock, and what is not one for all the rest."""
    path = lab.file("ext4", b"")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", path, "16M"], check=True)
    with open(path, "rb") as f:
        data = f.read()
    rest = b"no file system " * (len(data) // 15)
    return rest[:1024] + data[1024:2048] + rest[2048:] if damaged else data


def test_a_root_file_system_that_is_only_a_superblock(lab):
    return lab.says(lab.image(manifest=ONCE), *panics(r"VFS: Unable to mount root fs",
                                                      r"EXT4-fs \(vda\): .*corrupted"),
                    disk=ext4(lab, damaged=True), append="root=/dev/vda rw")


def test_a_root_file_system_without_init(lab):
    return lab.says(lab.image(manifest=ONCE), *panics(r"No working init found",
                                                      r"Mounted root \(ext4 filesystem\)"),
                    disk=ext4(lab), append="root=/dev/vda rw")


# The same from an initial RAM disk: /init says it, and stays there, with a shell.
STAYS = r"staying in the initial RAM disk(?s:.*)# "
POWEROFF = [("poweroff", r"pager: linux powers off")]


def test_a_root_that_init_cannot_mount(lab):
    return lab.says(lab.image(manifest=ONCE), r"EXT4-fs \(vda\): .*corrupted",
                    r"ouzel: root=/dev/vda can't be mounted", STAYS, asks=POWEROFF,
                    disk=ext4(lab, damaged=True), initrd=lab.ramdisk(), append="root=/dev/vda rw")


def test_a_root_where_init_finds_no_init(lab):
    return lab.says(lab.image(manifest=ONCE), r"ouzel: root=/dev/vda has neither /init nor", STAYS,
                    asks=POWEROFF, disk=ext4(lab), initrd=lab.ramdisk(),
                    append="root=/dev/vda rw")


def test_an_initial_ram_disk_of_garbage(lab):
    return lab.says(lab.image(manifest=ONCE), r"Initramfs unpacking failed|rootfs image is not",
                    *panics(r"VFS: Unable to mount root fs"), initrd=b"\x1f\x8bgarbage" * 5000)


def test_a_server_that_jumps_to_nowhere(lab):
    return lab.says(lab.image(linux=lab.server("nowhere"), manifest=ONCE),
                    r"`linux` thread [0-9]+ died: instruction fetch at 1230, nothing mapped", LIMIT, OFF)


def test_a_server_without_vectors(lab):
    return lab.says(lab.image(linux=lab.server("vectors"), manifest=ONCE),
                    r"`linux` thread [0-9]+ can't take its own exceptions", LIMIT, OFF)


def test_a_server_that_faults_for_ever(lab):
    return lab.says(lab.image(linux=lab.server("loop"), manifest=ONCE),
                    r"`linux` thread [0-9]+ can't take its own exceptions", LIMIT, OFF)


def test_a_server_that_is_privileged(lab):
    return lab.says(lab.image(linux=lab.server("privileged"), manifest=ONCE),
                    r"`linux` thread [0-9]+ died: (undefined|privileged) instruction", LIMIT, OFF)


def test_a_stack_of_linux_that_overflows(lab):
    # It is on its guard page then; what it says comes from another stack.
    return lab.says(lab.image(manifest=ONCE), r"Insufficient stack space to handle exception",
                    r"pc : recurse.*trap_test", *panics(r"kernel stack overflow"),
                    initrd=lab.ramdisk(), append="ouzel.test=/test/overflow.sh")


# ---- with a native program beside it: the shell, which answers whatever becomes of Linux -------

def shell_answers(linux):
    """Lines to type, and the answers: LINUX is how the list of programs has it."""
    return (("help", r"Commands can be shortened"),
            ("programs", r"\nshell +runs(?s:.*)\nlinux +" + linux),
            ("regions", r"\npager +[0-9a-f]+ +\d+ KiB(?s:.*)\nshell +[0-9a-f]+ +1024 KiB"
                        r"(?s:.*)\nfree +[0-9a-f]+ +\d+ KiB"),
            ("check", r"every invariant of the kernel holds"))


def beside(lab, *patterns, then="stopped .* 1 of 1", **image):
    return lab.says(lab.image(manifest=BESIDE, programs=["shell"], **image), *patterns,
                    asks=shell_answers(then))


def test_the_shell_goes_on_when_linux_is_corrupt(lab):
    return beside(lab, r"`linux` in the boot archive is corrupt", r"pager: 1 of 2 programs run",
                  then="stopped .* 0 of 1", flip=True)


def test_the_shell_goes_on_when_linux_is_cut_off(lab):
    image = lab.linux()
    return beside(lab, r"`linux` is cut off: [0-9]+ of at least", r"pager: 1 of 2 programs run",
                  then="stopped .* 0 of 1", linux=image[:len(image) - 5000])


def test_the_shell_goes_on_when_linux_jumps_to_nowhere(lab):
    died = r"`linux` thread [0-9]+ died: instruction fetch at 1230, nothing mapped there"
    return beside(lab, r"pager: 2 of 2 programs run", died, AGAIN, died, LIMIT,
                  linux=lab.server("nowhere"))


def test_the_shell_goes_on_when_linux_faults_for_ever(lab):
    died = r"`linux` thread [0-9]+ can't take its own exceptions: undefined instruction"
    return beside(lab, r"pager: 2 of 2 programs run", died, AGAIN, died, LIMIT,
                  linux=lab.server("loop"))


def test_the_shell_goes_on_when_linux_panics(lab):
    return beside(lab, r"pager: 2 of 2 programs run",
                  *panics(r"VFS: Unable to mount root fs")[:-1])


def test_the_shell_goes_on_while_linux_spins_and_can_stop_it(lab):
    return lab.says(lab.image(manifest=BESIDE, programs=["shell"], linux=lab.server("spin")),
                    r"pager: 2 of 2 programs run",
                    asks=(*shell_answers("runs"), ("threads", r"\n +\d+  linux +0 +50  "),
                          ("stop linux", r"`linux` was stopped"), *shell_answers("stopped")))
