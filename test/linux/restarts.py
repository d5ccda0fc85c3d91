# SPDX-License-Identifier: MIT
"""Linux ends while it is at work, and the pager starts it again: the kernel goes on, and in the
next life all that Linux was given works. Each test gets a function that starts a machine
(runner.py:Starter), and returns what went wrong, or None."""
import hashlib

import initrd
from console import BOOT, prompt, send
from devices import MIB, pattern

# On every CPU, while Linux ends: reads of the disk, and packets on their way.
BUSY = "echo 4 >/proc/sys/vm/drop_caches; for n in $(seq $(nproc)); do (while :; do " \
       "echo 3 >/proc/sys/vm/drop_caches; md5sum /dev/vda; ping -c 2 10.0.2.2; done) " \
       ">/dev/null 2>&1 & done; sleep 2; echo bus''y"


def booted(start):
    """A machine that has reached its prompt, and the checksum of its disk."""
    content = pattern(4 * MIB, 3)
    with open(start.path("disk"), "wb") as f:
        f.write(content)
    guest = start(initrd=initrd.make("ouzel"), disks=[start.path("disk")],
                  append="console=ttyAMA0 panic=5")
    return guest, hashlib.md5(content).hexdigest().encode()


def lacks(guest, cores, checksum, when):
    """What of its machine Linux can't use."""
    if not send(guest, "nproc", rb"[\r\n]%d\r" % cores):
        return f"not {cores} CPUs {when}"
    if not send(guest, "ping -c 3 -W 5 10.0.2.2", rb", 3 packets received"):
        return f"the gateway does not answer {when}"
    if not send(guest, "md5sum /dev/vda", rb"[\r\n]%s " % checksum):
        return f"the disk reads otherwise {when}"
    return None


def next_life(guest, checksum, cores, start):
    """It is there, by the pager alone, with all that the first had."""
    if not prompt(guest, BOOT, start):
        return "no prompt in the next life"
    if guest.output.count(b"ouzel: entered at EL") != 1:
        return "the kernel started again: the whole machine was reset"
    if b"pager: `linux` gave" in guest.output:
        return "not all of the kernel's memory came back"
    return lacks(guest, cores, checksum, "in the next life")


def test_panic(start):
    guest, checksum = booted(start)
    cores = start.args.smp
    if not prompt(guest, BOOT):
        return "no prompt"
    why = lacks(guest, cores, checksum, "in the first life")
    if why:
        return why
    if not send(guest, BUSY, rb"[\r\n]busy"):
        return "no load"
    at = len(guest.output)
    # On the last CPU: the others are stopped by it.
    guest.type(b"taskset %x sh -c 'echo c >/proc/sysrq-trigger'\r" % (1 << cores - 1))
    words = guest.expect(rb"pager: linux panicked; its last words:\r*\n(?:(?!pager: ).*\n)*"
                         rb"(?!pager: ).*Kernel panic - not syncing: sysrq triggered crash"
                         rb"(?:(?!pager: ).*\n)*(?!pager: ).*CPU: %d " % (cores - 1), BOOT, at)
    if not words:
        return "the pager does not say the last words of a Linux that panicked"
    again = guest.expect(rb"pager: starting `linux` again \(1 of 5\)", BOOT, words.end())
    if not again:
        return "the pager does not start Linux again"
    return next_life(guest, checksum, cores, again.end())


def test_reboot(start):
    guest, checksum = booted(start)
    if not prompt(guest, BOOT):
        return "no prompt"
    if not send(guest, BUSY, rb"[\r\n]busy"):
        return "no load"
    at = len(guest.output)
    guest.type(b"reboot -f\r")
    said = guest.expect(rb"pager: linux restarts", BOOT, at)
    if not said:
        return "the pager does not say that Linux restarts"
    return next_life(guest, checksum, start.args.smp, said.end())
