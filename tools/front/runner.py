# SPDX-License-Identifier: MIT
"""Run one test program, in QEMU or here, and write its results (test/README.md) to a file.

The file has a line per result, "ok name" or "FAILED name: why"; beside it, with .log, is all
that the program said (while Linux runs, in .ouzel.now or .native.now). Exit code 0 if nothing
failed.
"""
import argparse
import concurrent.futures
import dataclasses
import importlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import boards
import initrd
import packages
from machine import Guest, Machine, clean
from say import BUILD, ROOT, Failure

LINE = re.compile(r"^TEST (\S+): (ok|n/a|FAILED)\b *(.*?)\s*$", re.M)
END = re.compile(r"^TESTS (\d+)\s*$", re.M)
# What a test is called in its source: C's TEST(name), the shell's check name, cmocka's list.
NAMES = {".c": re.compile(r"^TEST\((\w+)\)", re.M), ".sh": re.compile(r"^\s*check (\w+) ", re.M)}
BUILDING = threading.Lock()  # both sides need the same
CMOCKA = re.compile(r"cmocka_unit_test\w*\(\s*(\w+)")


class Overdue(Exception):
    """Not even what has a limit of its own came to an end."""


class Results:
    def __init__(self):
        self.lines, self.failed, self.seen = [], 0, {}
        self.absent = set()  # of those seen: no result came

    def add(self, name, verdict, why=""):
        self.seen[name] = verdict, why
        if verdict == "FAILED":
            self.failed += 1
            self.lines.append(f"FAILED {name}: {why or 'no reason given'}")
        elif verdict == "ok":
            self.lines.append(f"ok {name}")

    def missing(self, names, why):
        for name in names:
            if name not in self.seen:
                self.add(name, "FAILED", why)
                self.absent.add(name)


def expected(files, pattern=None):
    names = []
    for file in files:
        with open(file) as f:
            names += (pattern or NAMES[os.path.splitext(file)[1]]).findall(f.read())
    return names


def kind_of(image):
    """Which build of Linux an image starts."""
    return "ouzel" if image.endswith(".img") else "native"


class Listener:
    """Keeps what a guest says in a file as it says it: long tests can be watched."""

    def __init__(self, args):
        self.path = f"{args.results}.{kind_of(args.image)}.now"

    def __enter__(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.file = open(self.path, "wb")
        return self.file

    def __exit__(self, kind, *args):
        self.file.close()
        if kind is not Overdue: # else it is all that there is
            os.remove(self.path)


def judge(results, text, names, ended, what, code=0):
    """What a guest or a script said; whether it ended by itself, and with which exit code."""
    for name, verdict, why in LINE.findall(text):
        results.add(name, verdict, why)
    why = "did not run"
    crash = re.search(r"^.*(\bpanic\b(?!=)|PANIC|crashed|\bOops\b).*$", text, re.M)
    if crash:
        why += f"; {crash.group(0).strip()}"
    elif not ended:
        why += f"; {what} did not end in time"
    results.missing(names, why)
    end = END.search(text)
    if not end:
        results.missing(["the_end"], "no final line: " + why)
    elif int(end.group(1)) != len(LINE.findall(text)):
        results.add("the_end", "FAILED", f"{end.group(1)} tests announced, "
                    f"{len(LINE.findall(text))} seen")
    if not ended:
        results.missing(["the_end"], f"{what} said all, but did not end in time")
    elif code:
        results.missing(["the_end"], f"{what} said all, but ended with exit code {code}")


COMPLAINT = re.compile(r"^.*(WARNING: CPU|\bBUG: |Internal error:|Unable to handle kernel|"
                       r"soft lockup|rcu: INFO|blocked for more than|was rejected).*$", re.M)


def judge_linux(args, results, text):
    """What no test in Linux would see: that it was started again, lacks CPUs, has complained."""
    boots = len(re.findall(r"\] Booting Linux on", text))
    if boots > 1:
        results.missing(["starts_once"], f"Linux was started {boots} times")
    want = 4 if args.board else args.smp
    up = re.search(r"smp: Brought up \d+ nodes?, (\d+) CPUs?", text)
    if up and int(up.group(1)) != want:
        results.missing(["all_cpus"], f"{up.group(1)} of {want} CPUs came up")
    # boot.sh provokes some after it has looked itself; the selftests may.
    said = COMPLAINT.search(text.split("TEST no_complaints")[0])
    if said and not args.selftests:
        results.missing(["no_complaint_on_the_console"], said.group(0).strip())


def exit_code(guest):
    return guest.job.returncode if guest.ended else 0


def make_machine(args, **more):
    more = {"append": args.append, **more}
    if args.board:
        board = boards.ALL[args.board]
        return Machine(image=args.image, smp=4, board=board, card=args.card, **more)
    return Machine(image=args.image, smp=args.smp, gic=args.gic, cpu=args.cpu, mem=args.mem,
                   el2=args.el2, **more)


def native(args, results):
    guest = Guest(make_machine(args))
    try:
        ended = guest.finish(args.limit)
    finally:
        guest.kill()
    judge(results, clean(guest.output), expected(args.names), ended, "the machine",
          exit_code(guest))
    return clean(guest.output)


def build_word(args):
    """For tests in Linux: which build they run on (on_ouzel in check.sh and harness.h)."""
    return f"ouzel.build={kind_of(args.image)}"


def test_ramdisk(args):
    """The initial RAM disk with test/linux in /test, and programs in /test/bin, besides."""
    trees = [(os.path.join(ROOT, "test", "linux"), "test")]
    if args.selftests:
        linux_build = os.path.join(BUILD, "linux")
        selftests = os.path.join(linux_build, "selftests")
        args.programs = os.path.join(selftests, "bin")
        with BUILDING:
            libraries = [packages.unpacked(p, "arm64") for p in ("libcap-dev", "libnuma-dev")]
            subprocess.run([os.path.join(ROOT, "test", "linux", "selftests-build.sh"),
                            os.path.join(linux_build, "source"), selftests, *libraries],
                           check=True)
    if args.programs:
        trees.append((args.programs, "test/bin"))
    kind = kind_of(args.image)
    return initrd.make(kind, f"initrd-test-{kind}-{os.getpid()}.cpio", trees)


class Nobody:
    """The host's side of a test that needs none."""
    machine, append = {}, ""

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass

    def step(self, guest):
        pass

    def results(self):
        return []


def test_module(name):
    """test/linux/NAME.py"""
    sys.path.insert(0, os.path.join(ROOT, "test", "linux"))
    return importlib.import_module(name)


def linux(args, results):
    ramdisk = test_ramdisk(args)
    name, kind = os.path.splitext(os.path.basename(args.names[0]))
    script = f"/test/bin/{name}" if kind == ".c" else f"/test/{name}{kind}"
    host = test_module(name).Host() if args.host else Nobody()
    with host, Listener(args) as echo, tempfile.TemporaryDirectory(dir=BUILD) as folder:
        disks = []
        if args.selftests:  # some want a file system that is on a disk
            disks = [os.path.join(folder, "disk.img")]
            subprocess.run(["mke2fs", "-q", "-t", "ext4", *disks, "64M"], check=True)
        append = f"panic=5 ouzel.test={script} {build_word(args)} {host.append}"
        if not args.board:  # its tree names the console
            append = "console=ttyAMA0 " + append
        guest = Guest(make_machine(args, initrd=ramdisk, append=append,
                                   **{"disks": disks, **host.machine}), echo)
        end = time.monotonic() + args.limit
        try:
            while not guest.finish(0.3) and time.monotonic() < end:
                host.step(guest)
        finally:
            guest.kill()
            os.remove(ramdisk)
        judge(results, clean(guest.output), expected(args.names), guest.ended, "Linux",
              exit_code(guest))
        judge_linux(args, results, clean(guest.output))
        for name, why in host.results():
            results.add(name, "FAILED" if why else "ok", why or "")
    return clean(guest.output)


def tests_of(module):
    return [(name[5:], test) for name, test in vars(module).items() if name.startswith("test_")]


def console(args, results):
    ramdisk = test_ramdisk(args)
    text = ""
    try:
        for name, test in tests_of(test_module("console")):
            guest = Guest(make_machine(args, initrd=ramdisk, append="console=ttyAMA0 panic=5"))
            try:
                why = test(guest)
            finally:
                guest.kill()
            text += f"---- {name}\n{clean(guest.output)}\n"
            results.add(name, "FAILED" if why else "ok", why or "")
    finally:
        os.remove(ramdisk)
    return text


class Starter:
    """What the tests of a Python file start machines with: start(mem="512M") is a Guest."""

    def __init__(self, args, folder):
        self.args, self.folder, self.guests = args, folder, []
        self.image = args.image
        self.build = os.path.dirname(args.image)

    def __call__(self, **changes):
        machine = dataclasses.replace(make_machine(self.args), **changes)
        self.guests.append(Guest(machine))
        return self.guests[-1]

    def path(self, name):
        return os.path.join(self.folder, name)


def guests(args, results):
    """Every test_NAME(start) of a Python file; it returns what went wrong, or None."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.dirname(args.script))
    spec = importlib.util.spec_from_file_location("tests", args.script)
    tests = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tests)
    text = ""
    names = [n for n in vars(tests) if re.fullmatch("test_" + args.select, n)]
    for one in args.select.strip("()").split("|"):
        if not any(re.fullmatch("test_" + one, n) for n in names):
            results.missing([one], "no test has such a name")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            start = Starter(args, folder)
            try:
                why = getattr(tests, name)(start)
            except Failure as e:
                why = str(e)
            finally:
                for guest in start.guests:
                    guest.kill()
        for guest in start.guests:
            text += f"---- {name}\n{clean(guest.output)}\n"
        results.add(name[5:], "FAILED" if why else "ok", why or "")
    return text


class Lab:
    """Makes images that are wrong somewhere, and boots them: see test/linux/bad_input.py."""

    def __init__(self, args, folder):
        self.args, self.folder, self.text = args, folder, ""
        self.build = os.path.dirname(args.image)

    def file(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def linux(self):
        with open(os.path.join(BUILD, "linux", "ouzel", "arch", "arm64", "boot", "Image"),
                  "rb") as f:
            return f.read()

    def server(self, name):
        with open(os.path.join(self.build, "bad-servers", name), "rb") as f:
            return f.read()

    def ramdisk(self):
        path = test_ramdisk(self.args)
        with open(path, "rb") as f:
            data = f.read()
        os.remove(path)
        return data

    def image(self, linux=None, manifest=None, flip=False, cut=1, programs=()):
        """A boot image with this Linux and manifest, native programs beside it, a wrong bit in it,
        or only part of it."""
        linux = self.file("linux", linux or self.linux())
        path = os.path.join(ROOT, "board", "linux.manifest")
        if manifest:
            path = self.file("manifest", manifest.encode())
        archive, out = os.path.join(self.folder, "cpio"), os.path.join(self.folder, "image")
        subprocess.run([os.path.join(self.build, "mkarchive"), archive, path,
                        *(f"{name}={self.build}/bin/{name}" for name in ("pager", *programs)),
                        f"linux={linux}"], check=True)
        if flip:
            with open(archive, "r+b") as f:
                f.seek(-(os.path.getsize(linux) // 2), os.SEEK_END)
                bit = bytes([f.read(1)[0] ^ 1])
                f.seek(-1, os.SEEK_CUR)
                f.write(bit)
        subprocess.run([sys.executable, os.path.join(ROOT, "tools", "mkimage.py"),
                        os.path.join(self.build, "kernel.bin"), archive, "-o", out], check=True)
        os.truncate(out, int(os.path.getsize(out) * cut))
        return out

    def says(self, image, *patterns, asks=(), disk=None, initrd=None, mem=None, append=""):
        """Boot it. What is wrong: it does not say all this, in this order, does not answer ASKS
        ((line to type, pattern)...) afterwards, or does not end."""
        guest = Guest(Machine(image=image, smp=self.args.smp, mem=mem or self.args.mem,
                              initrd=initrd and self.file("initrd", initrd),
                              disks=[self.file("disk", disk)] if disk else [],
                              append=f"console=ttyAMA0 panic=5 {append}"))
        start, why = 0, None
        try:
            for pattern in patterns:
                match = guest.expect(pattern.encode(), 100, start)
                if not match:
                    why = f"did not say: {pattern}"
                    break
                start = match.end()
            for line, pattern in () if why else asks:
                start = len(guest.output)
                guest.type(line.encode() + b"\r")
                if not guest.expect(pattern.encode(), 100, start):
                    why = f"did not answer `{line}` with: {pattern}"
                    break
            last = (*patterns, *(pattern for _, pattern in asks))[-1]
            if not why and re.search("(switching|powers) off$", last) and not guest.finish(20):
                why = "the machine did not end"
        finally:
            guest.kill()
            self.text += clean(guest.output)
        return why


def refusals(args, results):
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(args, folder)
        for name, test in tests_of(test_module("bad_input")):
            lab.text += f"---- {name}\n"
            why = test(lab)
            results.add(name, "FAILED" if why else "ok", why or "")
    return lab.text


def unclean(disk):
    """What is wrong with an ext4 file system that should have been unmounted; else ""."""
    fsck = subprocess.run(["e2fsck", "-fn", disk], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if fsck.returncode:
        return fsck.stdout[-300:]
    # e2fsck -n leaves a journal alone that is still to be replayed, and finds nothing wrong.
    said = subprocess.run(["dumpe2fs", "-h", disk], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True).stdout
    if not re.search(r"^Filesystem state: +clean$", said, re.M) or "needs_recovery" in said:
        return "it was not unmounted"
    return ""


DEBIAN_PROMPT = rb"root@ouzel:[^\r\n]*# "


def debian(args, results):
    """A copy of the Debian root file system boots; the first name runs in it, as root."""
    import debian as root
    kind = kind_of(args.image)
    script = args.names[0]
    with tempfile.TemporaryDirectory(dir=BUILD) as folder, Listener(args) as echo:
        disk, tests = os.path.join(folder, "root.img"), os.path.join(folder, "tests.img")
        subprocess.run(["cp", "--sparse=always", root.image(), disk], check=True)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-L", "tests", "-d",
                        os.path.dirname(script), tests, "64M"], check=True)
        guest = Guest(make_machine(args, disks=[disk, tests, *root.modules(kind)],
                                   append="console=ttyAMA0 panic=5 root=/dev/vda rw "
                                   + build_word(args)), echo)
        end = time.monotonic() + args.limit
        try:
            if guest.expect(DEBIAN_PROMPT, args.limit):
                results.add("reaches_a_prompt", "ok")
                command = " ".join([*args.set, "/mnt/" + os.path.basename(script)])
                guest.type(f"mount LABEL=tests /mnt && {command}; umount /mnt; poweroff\r"
                           .encode())
                guest.finish(end - time.monotonic())
            ended = guest.ended
        finally:
            guest.kill()
        results.missing(["reaches_a_prompt"], "no shell on the console")
        judge(results, clean(guest.output), expected(args.names), ended, "Debian")
        judge_linux(args, results, clean(guest.output))
        bad = f"QEMU's exit code is {exit_code(guest)}" if ended else "the machine went on"
        results.add("poweroff_ends_it", "FAILED" if not ended or exit_code(guest) else "ok", bad)
        why = unclean(disk)
        results.add("file_system_is_clean", "FAILED" if why else "ok", why)
    return clean(guest.output)


def both(args, results):
    """The same tests on Ouzel (--image) and on the native build (--native): what counts is
    that the results are the same. Those that fail on both are in the log."""
    # At the same time, so that what else the host has to do is the same for both.
    sides = [argparse.Namespace(**{**vars(args), "image": image})
             for image in (args.image, args.native)]
    found = [Results(), Results()]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        texts = list(pool.map(globals()[args.inside], sides, found))
    compare(found, results, fails_on_both())
    return "\n\n######## native\n\n".join(texts)


def fails_on_both():
    """{name: why} of the tests that are known to (docs/linux.md, 4)."""
    with open(os.path.join(ROOT, "test", "linux", "fails-on-both")) as f:
        lines = [line.split(maxsplit=1) for line in f if line.strip() and line[0] != "#"]
    return dict(lines)


def compare(found, results, known):
    """What has no result on either side is not equal, nor what fails on both for no known
    reason: there the test may be broken."""
    ours, native = ({name: verdict(*said) for name, said in one.seen.items()
                     if name not in one.absent} for one in found)
    for name in sorted(found[0].seen.keys() | found[1].seen.keys()):
        a, b = ours.get(name), native.get(name)
        if a == b == "n/a":
            continue
        equal = a and a == b and (name in known or not a.startswith("FAILED"))
        results.add(name, "ok" if equal else "FAILED",
                    f"{a or 'no result'} on Ouzel, {b or 'no result'} natively")


def verdict(said, why):
    """ "ok", "FAILED" or "n/a", with the exit code, and the numbers of what a selftest did in
    detail."""
    if said == "n/a":
        return said
    counts = re.search(r"[0-9]+ ok, [0-9]+ not ok, [0-9]+ skipped", why)
    code = re.match(r"exit [0-9]+", why) if said == "FAILED" else None
    return said + (f", {code.group()}" if code else "") + (f" ({counts.group()})" if counts else "")


def host(args, results):
    try:
        run = subprocess.run([args.program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=args.limit, errors="replace")
        text, code = run.stdout, run.returncode
    except subprocess.TimeoutExpired as e:
        text, code = (e.stdout or b"").decode(errors="replace"), "time-out"
    for verdict, name in re.findall(r"^\[ +(OK|FAILED) +\] (\w+)", text, re.M):
        if name not in results.seen:
            results.add(name, "ok" if verdict == "OK" else "FAILED", "see the log")
    results.missing(expected(args.names, CMOCKA), f"did not run; exit code {code}")
    if code and not results.failed:
        results.add("exit_code", "FAILED", str(code))
    return text


def command(args, results):
    run = subprocess.Popen([args.script, *args.names], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           start_new_session=True)
    try:
        text = run.communicate()[0]
    except Overdue:
        os.killpg(run.pid, signal.SIGKILL) # its machines, too
        raise
    name = os.path.splitext(os.path.basename(args.script))[0]
    results.add(name, "FAILED" if run.returncode else "ok", text.strip())
    return text


def script(args, results):
    """A shell script here that uses test/linux/check.sh, given the program that it tests."""
    try:
        run = subprocess.run(["sh", args.script, args.program], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             timeout=args.limit, errors="replace")
        text, ended = run.stdout, True
    except subprocess.TimeoutExpired as e:
        text, ended = (e.stdout or b"").decode(errors="replace"), False
    judge(results, text, expected([args.script]), ended, "the script")
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", help="where to write")
    parser.add_argument("--limit", type=int, default=300, help="seconds that only a hang takes")
    parser.add_argument("kind", choices=("native", "linux", "console", "guests", "refusals",
                                         "debian", "both", "host", "script", "command"))
    parser.add_argument("--image")
    parser.add_argument("--native", help="both: the native Image to compare with")
    parser.add_argument("--inside", choices=("linux", "debian"), default="linux",
                        help="both: what kind of test")
    parser.add_argument("--selftests", action="store_true",
                        help="build the kernel's selftests first, and take them along")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="a variable for a script in Debian")
    parser.add_argument("--names", nargs="*", default=[],
                        help="sources that name the tests; what a script is given")
    parser.add_argument("--program")
    parser.add_argument("--programs", help="a folder of Linux programs")
    parser.add_argument("--host", action="store_true",
                        help="the host has a part in it: NAME.py beside NAME.sh")
    parser.add_argument("--script")
    parser.add_argument("--board", choices=boards.ALL, help="not QEMU's virt")
    parser.add_argument("--card", help="the board's SD card")
    parser.add_argument("--no-machine", action="store_true", help="the script starts none")
    parser.add_argument("--select", default=".*", help="these tests of the script (regex)")
    parser.add_argument("--smp", type=int, default=1)
    parser.add_argument("--gic", type=int, default=2)
    parser.add_argument("--cpu", default="cortex-a72")
    parser.add_argument("--mem", default="1024M")
    parser.add_argument("--el2", action="store_true")
    parser.add_argument("--append", default="", help="boot arguments for native programs")
    args = parser.parse_args()

    def overdue(*_):
        raise Overdue(f"did not end within {args.limit} s")
    signal.signal(signal.SIGALRM, overdue)
    signal.alarm(args.limit + 30)  # before ctest ends all of it, at 60, without results

    results, text, here = Results(), "", True
    start = time.monotonic()
    try:
        if args.image and not os.path.exists(args.image):
            raise Failure(f"{args.image} is missing: build it first (./ouzel image)")
        if args.board and not args.no_machine:
            boards.qemu(boards.ALL[args.board])
        text = globals()[args.kind](args, results)
    except boards.Missing as e:
        print(f"n/a: {e}") # counts as nothing: it did not run
        here = False
    except Failure as e:
        results.missing(expected(args.names) or ["start"], str(e))
        print(e)
    except Overdue as e:
        results.add("the_end", "FAILED", str(e))
        print(e)
    signal.alarm(0)
    if here and not results.lines:
        results.add("the_end", "FAILED", "no result at all")
    os.makedirs(os.path.dirname(args.results), exist_ok=True)
    with open(args.results + ".log", "w") as f:
        f.write(text)
    with open(args.results, "w") as f:
        f.write("".join(line.replace("\n", " ") + "\n" for line in results.lines))
    bad = [line for line in results.lines if line.startswith("FAILED")]
    print("\n".join(bad[:10] + [f"... and {len(bad) - 10} more"] * (len(bad) > 10)))
    passed = len(results.lines) - results.failed
    print(f"{passed} passed, {results.failed} failed, {time.monotonic() - start:.0f} s; "
          f"all of it: {os.path.relpath(args.results, ROOT)}.log")
    if results.failed:
        print("\n".join(text.splitlines()[-20:]))
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
