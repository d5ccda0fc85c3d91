# SPDX-License-Identifier: MIT
"""The front door: ./ouzel COMMAND [options]."""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time

import boards
import build
import debian
import initrd
import machine
import packages
from say import BUILD, Failure, say, short

COMMANDS = """\
commands:
  run      boot Linux on Ouzel in QEMU, to a shell prompt (--native: Ouzel's own shell)
  test     build and run every test; ends with one line that counts them
  soak     an hour of mixed stress in Debian, with the shadow tables checked all along
  bench    count instructions per operation, as a table (--json FILE)
  bench linux   what Linux costs on Ouzel, against native Linux, row by row
  image    make the boot image, and say where it is
  debug    QEMU stopped at its first instruction, with gdb attached
  fuzz     feed the validator and the pager's parsers with inputs that libFuzzer finds
  prove    prove the validator's contracts for every input (Frama-C)
  lint     check the style, and look for mistakes with clang-tidy
  clean    remove what was built (--all: Linux and Debian, too)
  help     this text; './ouzel COMMAND --help' says more

Missing Debian packages are installed first; what and why is said before.
"""


def size(text):
    if not re.fullmatch(r"[0-9]+[MG]?", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no size: use 512M or 2G")
    megabytes = int(text.rstrip("MG")) << (10 if text.endswith("G") else 0)
    if not 256 <= megabytes <= 8192:
        raise argparse.ArgumentTypeError(f"{text}: from 256M to 8G")
    return f"{megabytes}M"


def cores(text):
    if not text.isdigit() or not 1 <= int(text) <= 8:
        raise argparse.ArgumentTypeError(f"'{text}': from 1 to 8 cores")
    return int(text)


def pattern(text):
    try:
        re.compile(text)
    except re.error as e:
        raise argparse.ArgumentTypeError(f"'{text}' is no regular expression: {e}") from e
    return text


def forward(text):
    match = re.fullmatch(r"([0-9]+):([0-9]+)", text)
    if not match or not all(0 < int(port) < 65536 for port in match.groups()):
        raise argparse.ArgumentTypeError(f"'{text}': HOSTPORT:GUESTPORT, such as 8080:80")
    return match.groups()


def parser():
    top = argparse.ArgumentParser(
        prog="./ouzel", epilog=COMMANDS, add_help=True, usage="./ouzel COMMAND [options]",
        description="Build, run, test and debug Ouzel.",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", help=argparse.SUPPRESS)

    def command(name, text, *groups):
        one = commands.add_parser(name, prog=f"./ouzel {name}", description=text,
                                  usage=f"./ouzel {name} [options]")
        for group in groups:
            group(one)
        return one

    def compiled(one):
        one.add_argument("--compiler", choices=("gcc", "clang"), default="gcc",
                         help="what compiles Ouzel (Linux is always gcc's; default gcc)")

    def hardware(one):
        one.add_argument("--board", choices=("virt", *boards.ALL), default="virt",
                         help="virt (the default), or a Raspberry Pi 3 or 4 with its SD card; "
                              "they have four cores, and memory and core type of their own")
        one.add_argument("--uboot", action="store_true",
                         help="start through U-Boot, from a disk or the card")
        one.add_argument("--smp", type=cores, metavar="N",
                         help="cores, 1 to 8 (default 1; a Raspberry Pi's 4)")
        one.add_argument("--mem", type=size, metavar="SIZE",
                         help="memory, 256M to 8G (default 1G)")
        one.add_argument("--gic", type=int, choices=(2, 3),
                         help="version of the interrupt controller (default 2)")
        one.add_argument("--cpu", choices=("cortex-a53", "cortex-a72", "max"),
                         help="core type (default cortex-a72)")
        one.add_argument("--el2", action="store_true", help="enter at EL2, as firmware may")
        one.add_argument("--icount", action="store_true",
                         help="one instruction is one nanosecond, however busy the host is: slower")

    def system(one):
        what = one.add_mutually_exclusive_group()
        what.add_argument("--native", action="store_true",
                          help="no Linux: Ouzel's own small shell")
        what.add_argument("--baseline", action="store_true",
                          help="no Ouzel: the same Linux source, native on the same machine")
        one.add_argument("--initrd", metavar="FILE", help="an initial RAM disk of yours")
        one.add_argument("--root", choices=("debian",),
                         help="a Debian 12 root file system (made first, about 10 minutes)")
        one.add_argument("--disk", action="append", default=[], metavar="FILE",
                         help="a disk image, raw or qcow2, as the next virtio disk; repeatable")
        one.add_argument("--append", default="", metavar="TEXT",
                         help="more for Linux's command line (with --native: Ouzel's)")
        one.add_argument("--forward", action="append", default=[], type=forward,
                         metavar="HOSTPORT:GUESTPORT",
                         help="a TCP port of the host that leads to one of the guest; repeatable")

    run = command("run", "Boot Linux on Ouzel in QEMU. Ctrl-a x leaves QEMU. If standard input "
                  "is no terminal, its lines are typed at the prompt, and its end ends the "
                  "guest.", hardware, system, compiled)
    run.add_argument("--timeout", type=number, metavar="SECONDS",
                     help="stop a guest that hangs (default 900 without a terminal, else never)")
    test = command("test", "Build with gcc and clang, run unit tests on the host, Ouzel's own "
                   "tests and Linux in QEMU. The last line counts the results; the exit code is "
                   "0 if none failed.")
    test.add_argument("--full", action="store_true", help="the long tests, too")
    test.add_argument("--only", type=pattern, metavar="REGEX",
                      help="only the ctest tests that match")
    soak = command("soak", "Mixed stress in Debian on 4 cores, while the kernel is asked whether "
                   "each shadow table is right; afterwards its memory must be back. The exit "
                   "code is 0 if all went well.", compiled)
    soak.add_argument("--minutes", type=number, default=60, help="how long (default 60)")
    bench = command("bench", "Count instructions per operation of Ouzel itself. './ouzel bench "
                    "linux --help': of Linux on it, against native Linux.")
    bench.add_argument("--json", metavar="FILE", help="also write the rows to FILE")
    bench.add_argument("--compare", metavar="OLD.json", help="also say which rows cost more than "
                       "in an earlier run's --json")
    bench_linux(bench)
    image = command("image", "Make a boot image.", compiled)
    image.add_argument("--native", action="store_true", help="Ouzel's own shell, no Linux")
    image.add_argument("--board", choices=("virt", *boards.ALL), default="virt",
                       help="rpi3, rpi4: an SD card's image (docs/boards.md)")
    image.add_argument("--root", choices=("debian",),
                       help="Debian on the card's root partition (made first, about 10 minutes); "
                            "else a small system with busybox")
    debug = command("debug", "Start QEMU stopped at its first instruction, with gdb attached, the "
            "kernel's, pager's and Linux's symbols loaded, and commands to look at Ouzel: "
            "see docs/debugging.md.", hardware, system, compiled)
    debug.add_argument("--execute", action="append", metavar="COMMAND",
                       help="run this gdb command and end; repeatable")
    debug.add_argument("--timeout", type=number, metavar="SECONDS",
                       help="with --execute: stop a guest that goes on (default: never)")
    fuzz = command("fuzz", "Feed the validator, the manifest's parser and the archive's reader "
                   "with inputs that libFuzzer finds. What it learns stays in build/fuzz/corpus.")
    fuzz.add_argument("targets", nargs="*", metavar="TARGET", help="only these (default: all)")
    fuzz.add_argument("--seconds", type=int, default=60, metavar="N",
                      help="how long for each (default 60)")
    prove = command("prove", "Prove with Frama-C's WP that the validator does what its contracts "
                    "say (src/kernel/validate.h), for every input.")
    prove.add_argument("--seconds", type=int, default=60, metavar="N",
                       help="how long a prover may take for one goal (default 60)")
    command("lint", "Check what of the style a program can check (tools/check-style.py), and look "
            "for mistakes with clang-tidy. Exit code 0: nothing found.")
    clean = command("clean", "Remove what was built.")
    clean.add_argument("--all", action="store_true",
                       help="also Linux, downloaded packages and Debian root file systems")
    command("help", "Say what there is.")
    return top


def number(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}': a number from 1 on")
    return int(text)


def bench_linux(bench):
    kinds = bench.add_subparsers(dest="kind", metavar="linux", help=argparse.SUPPRESS)
    one = kinds.add_parser(
        "linux", prog="./ouzel bench linux", usage="./ouzel bench linux [options]",
        description="Run the same programs on the Linux server and on the native build of the "
        "same Linux, in QEMU, and compare: instructions per operation, their ratio, and what the "
        "kernel did (entries, TTBR writes, barriers, TLB invalidations, shadow-sync elements). "
        "Exit code 0 if every row ran, gave the same result on both sides, and the row that "
        "calls nothing cost the same. See docs/performance.md.")
    one.add_argument("--row", action="append", default=[], type=pattern, metavar="NAME",
                     help="only this row (a regular expression), or the rows of this "
                     "group; repeatable")
    one.add_argument("--repeat", type=number, default=1, metavar="N",
                     help="each row N times: the median, and the least and most in --json")
    one.add_argument("--divide", type=number, default=1, metavar="N",
                     help="1/N of the operations: quicker, less exact")
    one.add_argument("--smp", type=cores, default=1, metavar="N",
                     help="cores, 1 to 8 (all cores' instructions are added up)")
    one.add_argument("--mem", type=size, default="2048M", metavar="SIZE",
                     help="memory, 256M to 8G (default 2G)")
    one.add_argument("--limit", type=number, default=1800, metavar="SECONDS",
                     help="stop machines that hang (default 1800)")
    # Without a value of its own, these leave what stands before "linux".
    one.add_argument("--json", metavar="FILE", default=argparse.SUPPRESS,
                     help="also write the rows to FILE")
    one.add_argument("--profile", type=pattern, metavar="ROW",
                     help="instead: which functions take the instructions of this row, on both "
                     "sides, as a table and flame graphs")
    one.add_argument("--html", metavar="FILE", help="also make a page with plots; with "
                     "--profile, where its flame graphs go (default "
                     "build/bench-linux/profile-ROW.html)")
    one.add_argument("--compare", metavar="OLD.json", default=argparse.SUPPRESS,
                     help="also say what changed since an earlier run's --json")
    one.add_argument("--full", action="store_true", help="scaling by processes and memory, too")


def make_board(args, board):
    """A Raspberry Pi with its card, as ./ouzel image makes it; what is written there is lost."""
    if args.baseline or args.initrd or args.disk or args.forward:
        raise Failure("--baseline, --initrd, --disk and --forward are virt's: not with --board "
                      + board.name)
    if args.native and (args.uboot or args.root):
        raise Failure("--uboot and --root are about a card, and --native makes none")
    if args.smp not in (None, 4) or args.mem or args.gic or args.cpu or args.el2 or args.icount:
        raise Failure(f"QEMU's {board.machine} is what it is, with four cores: leave out --smp, "
                      "--mem, --gic, --cpu, --el2 and --icount")
    packages.ensure(packages.BUILDING, packages.RUNNING, packages.TREES)
    one = machine.Machine(image=None, smp=4, board=board,
                          goodbye=b"poweroff\r" if args.root else b"\x04")
    if args.native:
        one.image, one.append = build.image("native", args.compiler), args.append
        return one
    import card
    root = debian.image() if args.root else None
    one.card = card.make(board, args.compiler, root)
    one.image, one.initrd = build.image(board.name, args.compiler), initrd.make("ouzel")
    words = [card.command_line()]
    if not args.root:
        words.append(terminal_words())
    one.append = " ".join(words + [args.append]).strip()
    if args.uboot:
        one.firmware, one.initrd = card.firmware(board)["u-boot.bin"], None
    return one


def terminal_words():
    """For board/initrd/sbin/session: the terminal's size, or one shell only."""
    lines, columns = shutil.get_terminal_size()[::-1]
    return f"ouzel.size={lines}x{columns}" if sys.stdin.isatty() else "ouzel.once"


def make_machine(args):
    """Build what the options ask for, and describe the machine that runs it."""
    if args.board in boards.ALL:
        return make_board(args, boards.ALL[args.board])
    for path in args.disk:
        machine.check_file(path, "--disk")
    if args.initrd:
        machine.check_file(args.initrd, "--initrd")
    if args.native and (args.initrd or args.root or args.disk):
        raise Failure("--native starts no Linux: --initrd, --root and --disk mean nothing then")
    if args.uboot and args.baseline:
        raise Failure("--uboot starts Ouzel: not with --baseline")
    packages.ensure(packages.BUILDING, packages.RUNNING,
                    {} if args.native else packages.LINUX)
    disks = list(args.disk)
    if args.root:  # first: it may ask for a password, Linux's build takes long
        disks.insert(0, debian.image())
    kind = "native" if args.baseline else "ouzel"
    if args.native:
        kernel = build.image("native", args.compiler)
    elif args.baseline:
        kernel = build.linux("native")
    else:
        kernel = build.image("linux", args.compiler)
    words, ramdisk = [], args.initrd
    if not args.native:
        words = ["console=ttyAMA0", "panic=5"]
    if args.root:
        disks += debian.modules(kind)
        words += ["root=/dev/vda", "rw"]
    elif not args.native and not ramdisk:
        ramdisk = initrd.make(kind)
        words.append(terminal_words())
    append, firmware, scratch = " ".join([*words, args.append]).strip(), None, None
    if args.uboot:
        import card
        scratch = card.uboot_disk(kernel, ramdisk, append)
        disks.append(scratch)
        firmware, ramdisk, append = boards.U_BOOT_VIRT, None, ""
    return machine.Machine(image=kernel, initrd=ramdisk, append=append, firmware=firmware,
                           disks=disks, forwards=args.forward, smp=args.smp or 1,
                           mem=args.mem or "1024M", gic=args.gic or 2,
                           cpu=args.cpu or "cortex-a72", el2=args.el2, icount=args.icount,
                           goodbye=b"poweroff\r" if args.root else b"\x04", scratch=scratch)


def run(args):
    with make_machine(args) as one:
        if sys.stdin.isatty():
            return machine.attended(one, args.timeout)
        return machine.unattended(one, args.timeout or 900)


def test(args):
    import check
    return check.run(full=args.full, only=args.only)


def soak(args):
    import check
    return check.soak(args.minutes, args.compiler)


def bench(args):
    if args.kind == "linux":
        import compare
        return compare.run(args)
    import counting
    return counting.run(args.json, args.compare)


def image(args):
    if args.board == "virt":
        if args.root:
            raise Failure("--root is a card's: with --board rpi3 or rpi4 (./ouzel run --root "
                          "debian is for virt)")
        build.image("native" if args.native else "linux", args.compiler)
        return 0
    if args.native:
        raise Failure("--native makes no card: not with --board " + args.board)
    import card
    board = boards.ALL[args.board]
    made = card.make(board, args.compiler, debian.image() if args.root else None)
    say("to write it to a card (all that is on the card is lost; lsblk shows its name):")
    say(f"  sudo dd if={short(made)} of=/dev/sdX bs=4M conv=fsync status=progress")
    say("then docs/boards.md: the serial cable, and what you should see")
    return 0


def debug(args):
    import debugging
    if args.timeout and not args.execute:
        raise Failure("--timeout is for --execute")
    packages.ensure(packages.DEBUGGING)
    with make_machine(args) as one:
        return debugging.run(one, args)


def fuzz(args):
    import fuzzing
    return fuzzing.run(args.targets, args.seconds)


def prove(args):
    import proving
    return proving.run(args.seconds)


def lint(_args):
    import linting
    return linting.run()


def clean(args):
    keep = () if args.all else ("linux", "apt", "debian")
    if not os.path.isdir(BUILD):
        return 0
    for name in sorted(os.listdir(BUILD)):
        if name not in keep:
            path = os.path.join(BUILD, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.remove(path)
    left = [name for name in keep if os.path.exists(os.path.join(BUILD, name))]
    if left:
        say(f"kept {', '.join(short(os.path.join(BUILD, n)) for n in left)} (--all removes them)")
    return 0


def main():
    top = parser()
    args = top.parse_args()
    if args.command in (None, "help"):
        top.print_help()
        return 0
    start = time.monotonic()
    try:
        return globals()[args.command](args)
    except Failure as e:
        print(f"ouzel: {e}", file=sys.stderr)
        return 1
    except (OSError, subprocess.CalledProcessError) as e:  # a file or a tool: the text names it
        print(f"ouzel: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nouzel: stopped after {time.monotonic() - start:.0f} s", file=sys.stderr)
        return 130


sys.exit(main())
