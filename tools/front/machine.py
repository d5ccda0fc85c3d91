# SPDX-License-Identifier: MIT
"""The QEMU machine: its command line, a run at the terminal, and an unattended run."""
import os
import re
import select
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

import boards
from say import Failure, say

# A prompt, and busybox's question where the cursor is.
PROMPT = re.compile(rb"(?:^|[\r\n])[^\r\n]{0,60}[#>$] (?:\x1b\[6n)?$")


@dataclass
class Machine:
    image: str
    initrd: str = None
    append: str = ""
    disks: list = field(default_factory=list)
    forwards: list = field(default_factory=list)
    smp: int = 1
    mem: str = "1G"
    gic: int = 2
    cpu: str = "cortex-a72"
    el2: bool = False
    icount: bool = False
    goodbye: bytes = b"\x04"  # what, typed at the prompt, makes an unattended guest end
    extra: list = field(default_factory=list)
    board: object = None      # boards.py; None: QEMU's virt
    mini_uart: bool = False   # a board whose console that is
    tree: str = None          # a board's device tree, if it is not to be its own
    card: str = None          # a board's SD card
    firmware: str = None      # U-Boot, started instead of the image
    scratch: str = None       # a disk for this machine alone, removed in the end

    def __enter__(self):
        return self

    def __exit__(self, *args):
        if self.scratch:
            os.remove(self.scratch)

    def command(self, serial=("-serial", "mon:stdio")):
        if self.board:
            return self.board_command(serial)
        argv = ["qemu-system-aarch64", "-machine",
                f"virt,gic-version={self.gic}" + (",virtualization=on" if self.el2 else ""),
                "-cpu", self.cpu, "-smp", str(self.smp), "-m", self.mem, "-nographic", *serial,
                "-global", "virtio-mmio.force-legacy=false"]
        argv += ["-bios", self.firmware] if self.firmware else ["-kernel", self.image]
        if self.initrd:
            argv += ["-initrd", self.initrd]
        if self.append:
            argv += ["-append", self.append]
        if self.icount:
            argv += ["-icount", "shift=0,sleep=off"]
        net = "user,id=net"
        for host, guest in self.forwards:
            net += f",hostfwd=tcp:127.0.0.1:{host}-:{guest}"
        argv += ["-netdev", net, "-device", "virtio-net-device,netdev=net",
                 "-device", "virtio-rng-device"]
        # virt hands out its virtio slots from the top, Linux finds them from the bottom.
        for n, disk in reversed(list(enumerate(self.disks))):
            name = disk.replace(",", ",,")
            argv += ["-drive", f"if=none,id=disk{n},format={disk_format(disk)},file={name}",
                     "-device", f"virtio-blk-device,drive=disk{n}"]
        return argv + self.extra

    def board_command(self, serial):
        argv = [*boards.qemu(self.board)[0], "-machine", self.board.machine,
                "-smp", str(self.smp), "-display", "none",
                *(("-serial", "null") if self.mini_uart else ()), *serial,
                "-kernel", self.firmware or self.image,
                "-dtb", self.tree or boards.tree(self.board, self.mini_uart)]
        if self.initrd:
            argv += ["-initrd", self.initrd]
        if self.append:
            argv += ["-append", self.append]
        if self.card:
            # What is written is kept until the machine ends, not in the file.
            argv += ["-drive", f"if=sd,id=card,format={disk_format(self.card)},snapshot=on,"
                     f"file={self.card.replace(',', ',,')}"]
        return argv + self.extra

    def environment(self):
        return {**os.environ, **(boards.qemu(self.board)[1] if self.board else {})}


def disk_format(path):
    with open(path, "rb") as f:
        return "qcow2" if f.read(4) == b"QFI\xfb" else "raw"


def check_file(path, what):
    if not os.path.isfile(path):
        raise Failure(f"{what} {path}: there is no such file")
    if not os.access(path, os.R_OK):
        raise Failure(f"{what} {path}: not readable")


def check_output(path, what):
    """Before long work whose result goes there."""
    if not path:
        return
    place = path if os.path.exists(path) else os.path.dirname(path) or "."
    if os.path.isdir(path) or not os.access(place, os.W_OK):
        raise Failure(f"{what} {path}: can't be written")


def attended(machine, timeout=None):
    """QEMU takes over this terminal; returns its exit code."""
    say("starting QEMU. To leave it: Ctrl-a x. To its monitor and back: Ctrl-a c.")
    # Ctrl-C is the guest's: QEMU turns the terminal's signals off, and we ignore what comes
    # before it has done so.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    qemu = subprocess.Popen(machine.command(), env=machine.environment())
    try:
        return qemu.wait(timeout)
    except subprocess.TimeoutExpired as e:
        raise Failure(f"the guest did not end within {timeout} s (--timeout): stopped") from e
    finally:
        qemu.terminate()  # so that it gives the terminal back as it was
        try:
            qemu.wait(10)
        except subprocess.TimeoutExpired:
            qemu.kill()
            qemu.wait()
        signal.signal(signal.SIGINT, before)


def clean(output):
    """A guest's output as text: no carriage returns, no terminal control."""
    text = bytes(output).decode(errors="replace").replace("\r", "")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


class Guest:
    """A running machine whose console is ours: read what it says, type, wait for the end."""

    def __init__(self, machine, echo=None):
        self.output = bytearray()
        self.echo = echo
        try:
            self.job = subprocess.Popen(machine.command(("-serial", "stdio", "-monitor", "none")),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, bufsize=0,
                                        env=machine.environment())
        except FileNotFoundError as e:
            raise Failure(f"{e.filename} is missing (QEMU's package is qemu-system-arm, dtc's "
                          "device-tree-compiler): `./ouzel` installs what a command needs") from e
        os.set_blocking(self.job.stdout.fileno(), False)
        self.wait_for = selectors.DefaultSelector()
        self.wait_for.register(self.job.stdout, selectors.EVENT_READ)
        self.ended = False

    def pump(self, seconds):
        """Take what the guest says for at most so long; False when it has ended."""
        if self.ended or not self.wait_for.select(max(0, seconds)):
            return not self.ended
        data = self.job.stdout.read(65536)
        if data == b"":
            self.ended = True
            self.job.wait()
        elif data:
            self.output += data
            if self.echo:
                self.echo.write(data)
                self.echo.flush()
        return not self.ended

    def type(self, data):
        try:
            self.job.stdin.write(data)
        except BrokenPipeError:
            pass

    def expect(self, pattern, seconds, start=0):
        """Wait until the output from START on matches; the match, or None."""
        end = time.monotonic() + seconds
        while True:
            match = re.compile(pattern).search(self.output, start)
            if match or self.ended or time.monotonic() >= end:
                return match
            self.pump(min(1, end - time.monotonic()))

    def finish(self, seconds):
        """Wait for the end; True if it came by itself."""
        end = time.monotonic() + seconds
        while not self.ended and time.monotonic() < end:
            self.pump(min(1, end - time.monotonic()))
        return self.ended

    def cpu_seconds(self):
        """What QEMU took of this machine's CPUs (proc(5): fields 14 and 15 of stat); None when it
        has ended."""
        try:
            with open(f"/proc/{self.job.pid}/stat") as f:
                fields = f.read().rpartition(")")[2].split()
        except FileNotFoundError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self):
        if self.job.poll() is None:
            self.job.kill()
            self.job.wait()


def unattended(machine, timeout):
    """No terminal: standard input is typed at the prompt, and its end ends the guest.

    Returns 0 if the guest ended by itself, QEMU's code if that failed, 124 on the limit.
    """
    guest = Guest(machine, echo=sys.stdout.buffer)
    end = time.monotonic() + timeout
    pending, closed, ending, answered = b"", False, False, -1
    try:
        while time.monotonic() < end:
            if not guest.pump(0.2):
                return guest.job.returncode
            while not closed and select.select([sys.stdin], [], [], 0)[0]:
                data = os.read(sys.stdin.fileno(), 65536)
                closed = not data
                pending += data
            # A line goes in when the guest asks for one: what is typed earlier, a driver
            # that is just starting may throw away.
            if len(guest.output) == answered or not PROMPT.search(bytes(guest.output[-80:])):
                continue
            line, newline, rest = pending.partition(b"\n")
            if newline or (line and closed):
                guest.type(line + b"\r")
                pending = rest
            elif closed and not ending:
                guest.type(machine.goodbye)
                ending = True
            else:
                continue
            answered = len(guest.output)
        print(flush=True)
        say(f"the guest did not end within {timeout} s (--timeout): stopped")
        return 124
    finally:
        guest.kill()
