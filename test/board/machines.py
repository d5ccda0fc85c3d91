# SPDX-License-Identifier: MIT
"""Boards in QEMU, from their cards: as they should be, and as they should not. Each test gets a
function that starts a machine (runner.py:Starter), and returns what went wrong, or None."""
import os
import shutil
import socket
import struct
import time

import boards
import card
import initrd
from say import BUILD

BOOT = 300    # seconds until the prompt comes; an emulated machine is slow
ANSWER = 90
PROMPT = rb"[~/\w]* # (?:\x1b\[6n)?$"
IMAGES = os.path.join(BUILD, "gcc")


def board_of(start):
    return boards.ALL[start.args.board]


def send(guest, text, wanted, seconds=ANSWER):
    """Type a line; the first match of WANTED in what comes after it, then the prompt."""
    start = len(guest.output)
    guest.type(text.encode() + b"\r")
    match = guest.expect(wanted, seconds, start)
    return match and guest.expect(PROMPT, seconds, match.end()) and match


def board_machine(board, **more):
    """As ./ouzel run --board has it."""
    fields = {"image": os.path.join(IMAGES, board.name + ".img"), "initrd": initrd.make("ouzel"),
              "append": card.command_line(), "card": card.path(board), "smp": 4, "board": board,
              **more}
    return fields


def changed_tree(board, *edits):
    """The board's tree with some properties set, by fdtput; removed with the machine's end."""
    path = os.path.join(boards.FOLDER, f"test-{os.getpid()}.dtb")
    shutil.copyfile(boards.tree(board), path)
    for node, name, kind, *values in edits:
        card.run(["fdtput", "-p", "-t", kind, path, node, name, *values])
    return path


def root_is_on_the_card(guest, boot=BOOT):
    if not guest.expect(PROMPT, boot):
        return "no prompt"
    if not send(guest, "grep ' / ' /proc/mounts", rb"[\r\n]/dev/mmcblk0p2 / ext4"):
        return "the root file system is not the card's"
    if not send(guest, "nproc", rb"[\r\n]4\r"):
        return "not four CPUs"
    guest.type(b"poweroff\r")
    if not guest.finish(ANSWER):
        return "poweroff did not end the machine"
    return None if guest.job.returncode == 0 else f"QEMU's exit code is {guest.job.returncode}"


def test_prompt_from_card(start):
    board = board_of(start)
    return root_is_on_the_card(start(**board_machine(board)))


def test_mini_uart(start):
    """Without the overlay the tree names the mini-UART: the kernel and Linux follow."""
    board = board_of(start)
    guest = start(**board_machine(board, mini_uart=True, append=""))
    if not guest.expect(PROMPT, BOOT):
        return "no prompt"
    found = send(guest, "cat /sys/class/tty/console/active", rb"[\r\n ]ttyS[0-9]")
    return None if found else "Linux's console is not the mini-UART"


def test_reboot(start):
    board = board_of(start)
    guest = start(**board_machine(board))
    if not guest.expect(PROMPT, BOOT):
        return "no prompt"
    at = len(guest.output)
    guest.type(b"reboot\r")
    said = guest.expect(rb"pager: linux restarts", BOOT, at)
    if not said:
        return "the pager does not say that Linux restarts"
    if not guest.expect(PROMPT, BOOT, said.end()):
        return "no prompt after reboot"
    kernels = guest.output.count(b"ouzel: entered at EL")  # a reset of the board brings one more
    return None if kernels == 1 else f"the kernel started {kernels} times"


def without_root(path):
    """A copy of a card whose second partition is not in the table."""
    scratch = f"{path}.no-root-{os.getpid()}"
    with open(path, "rb") as f, open(scratch, "wb") as out:
        out.truncate(os.path.getsize(path))
        table = bytearray(f.read(512))
        table[446 + 16:446 + 32] = bytes(16)
        out.write(table)
    return scratch


def test_root_missing(start):
    board = board_of(start)
    scratch = without_root(card.path(board))
    try:
        guest = start(**board_machine(board, card=scratch))
        if not guest.expect(rb"root=/dev/mmcblk0p2 did not come.*(?s:.*)mmcblk0", BOOT):
            return "no message that names the root partition, and what there is"
        return None if guest.expect(PROMPT, ANSWER) else "no prompt in the RAM disk"
    finally:
        os.remove(scratch)


def test_card_missing(start):
    board = board_of(start)
    guest = start(**board_machine(board, card=None))
    if not guest.expect(rb"root=/dev/mmcblk0p2 did not come", BOOT):
        return "no message that names the root partition"
    return None if guest.expect(PROMPT, ANSWER) else "no prompt in the RAM disk"


def monitor(path, command):
    """One command to QEMU's monitor, on a socket; what it said."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(path)
        s.sendall(command.encode() + b"\n")
        said, end = b"", time.monotonic() + 20
        while said.count(b"(qemu)") < 2 and time.monotonic() < end:
            said += s.recv(4096)
        return said


def test_card_removed(start):
    """The shell is in the RAM disk. Linux looks once a second whether the card is still there, and
    says that it is not; who wants it then is refused at once, and nothing hangs."""
    board = board_of(start)
    path = f"/tmp/ouzel-monitor-{os.getpid()}"
    guest = start(**board_machine(board, append="", extra=["-monitor", f"unix:{path},server=on,"
                                                           "wait=off"]))
    try:
        if not guest.expect(PROMPT, BOOT):
            return "no prompt"
        read = "dd if=/dev/mmcblk0 of=/dev/null bs=64k count=16 skip={}"
        if not guest.expect(rb"mmcblk0: p1 p2", ANSWER) or \
                not send(guest, read.format(0), rb"16\+0 records in"):
            return "the card can't be read"
        at = len(guest.output)
        monitor(path, "eject -f card")
        if not guest.expect(rb"mmc0: card \w+ removed", BOOT, at):
            return "Linux does not say that the card was removed"
        if not send(guest, read.format(512), rb"can't open '/dev/mmcblk0'"):
            return "what is gone can be opened"
        if not send(guest, "echo $((6 * 7))$((1 + 1))", rb"[\r\n]422"):
            return "no answer afterwards"
        guest.type(b"poweroff\r")
        return None if guest.finish(ANSWER) else "poweroff did not end the machine"
    finally:
        if os.path.exists(path):
            os.remove(path)


def test_256_mib(start):
    """All but 256 MiB is reserved in the device tree, as a small board's would be missing."""
    board = board_of(start)
    cells = ["0"] if board is boards.RPI4 else []
    hole = "/reserved-memory/hole@10000000"
    tree = changed_tree(board, (hole, "reg", "x", *cells, "10000000", "2c000000"),
                        (hole, "no-map", "s"))
    guest = start(**board_machine(board, tree=tree))
    if not guest.expect(PROMPT, BOOT):
        return "no prompt"
    found = send(guest, "free -m", rb"Mem: +([0-9]+) ")
    if not found or not 128 <= int(found.group(1)) < 256:
        return f"Linux has {found and found.group(1)} MiB"
    return None


def test_core_missing(start):
    """A core that is released at another place than the tree says never comes: without it, then."""
    board = board_of(start)
    tree = changed_tree(board, ("/cpus/cpu@1", "cpu-release-addr", "x", "0", "7f8"))
    guest = start(**board_machine(board, tree=tree))
    if not guest.expect(rb"core 1 .*did not start: no answer within 1 s", BOOT):
        return "the kernel does not say which core did not start"
    if not guest.expect(PROMPT, BOOT):
        return "no prompt"
    return None if send(guest, "nproc", rb"[\r\n]3\r") else "not three CPUs"


def test_other_boards_image(start):
    """The other Pi's image: it says which of its devices there are none of."""
    board = board_of(start)
    other = boards.RPI3 if board is boards.RPI4 else boards.RPI4
    fields = board_machine(board, append="",
                           image=os.path.join(IMAGES, other.name + ".img"))
    guest = start(**fields)
    said = rb"linux: not on this machine: .*brcm,bcm2"
    return None if guest.expect(said, BOOT) else "no message that names devices"


def test_tree_without_controller(start):
    """A tree that lacks the interrupt controller: the kernel names what it wants, and stops."""
    board = board_of(start)
    at = "40041000" if board is boards.RPI4 else "40000000"
    tree = changed_tree(board, (f"/soc/interrupt-controller@{at}", "compatible", "s",
                                "nobody,knows"))
    guest = start(**board_machine(board, tree=tree))
    if not guest.expect(rb"panic on core 0.*: no interrupt controller: expected", BOOT):
        return "no message that names the controllers"
    return None


def test_cut_off_image(start):
    """A card that was not written to its end: the archive's end mark is not there."""
    board = board_of(start)
    whole = os.path.join(IMAGES, board.name + ".img")
    scratch = f"{whole}.cut-{os.getpid()}"
    with open(whole, "rb") as f, open(scratch, "wb") as out:
        data = bytearray(f.read())
        struct.pack_into("<Q", data, 16, len(data))
        out.write(data[:len(data) // 2])
    try:
        guest = start(**board_machine(board, image=scratch))
        found = guest.expect(rb"boot archive of [0-9]+ KiB.* lacks its end", BOOT)
        return None if found else "no message that the image was cut off"
    finally:
        os.remove(scratch)


def test_uboot(start):
    """U-Boot from where the firmware would load it, boot.scr from the card, the root there."""
    board = board_of(start)
    return root_is_on_the_card(start(**board_machine(
        board, initrd=None, firmware=card.firmware(board)["u-boot.bin"])), 4 * BOOT)


def test_uboot_virt(start):
    disk = card.uboot_disk(os.path.join(IMAGES, "linux.img"), initrd.make("ouzel"),
                           "console=ttyAMA0 ouzel.once")
    try:
        guest = start(image=None, firmware=boards.U_BOOT_VIRT, disks=[disk])
        if not guest.expect(rb"Ouzel: loading from virtio", BOOT):
            return "U-Boot did not run the script"
        if not guest.expect(PROMPT, BOOT):
            return "no prompt"
        found = send(guest, "cat /proc/cmdline", rb"ouzel.once")
        return None if found else "the command line did not come through"
    finally:
        os.remove(disk)


def test_uboot_without_image(start):
    disk = card.uboot_disk(os.path.join(IMAGES, "linux.img"), None, "")
    try:
        card.run(["mdel", "-i", f"{disk}@@{card.BOOT_START}", "::ouzel.img"])
        guest = start(image=None, firmware=boards.U_BOOT_VIRT, disks=[disk])
        found = guest.expect(rb"Ouzel: no ouzel.img beside boot.scr", BOOT)
        return None if found else "no message that names the file"
    finally:
        os.remove(disk)
