# SPDX-License-Identifier: MIT
"""./ouzel debug: QEMU stopped at its first instruction, and gdb with all that it can know."""
import os
import signal
import socket
import struct
import subprocess

from say import BUILD, ROOT, Failure, say, short

RAM = {"virt": 0x40000000}  # QEMU's hw/arm/virt.c: where memory begins; at 0 on a Raspberry Pi


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def load_offset(image, board):
    """How far below its link address QEMU loads the kernel (Linux: arm64/booting.rst).

    QEMU's hw/arm/boot.c puts an Image at its text_offset, and 2 MiB further up where its own
    first instructions are in the way.
    """
    with open(image, "rb") as f:
        text_offset, = struct.unpack_from("<Q", f.read(64), 8)
    if text_offset < 4096:
        text_offset += 2 << 20
    return RAM.get(board, 0) + text_offset - 0xffff7fc000000000


def script(machine, args, port):
    """What gdb does first."""
    lines = ["set pagination off", "set confirm off", "set architecture aarch64"]
    if args.baseline:
        lines += [f"file {BUILD}/linux/native/vmlinux"]
    else:
        folder = os.path.join(BUILD, args.compiler)
        lines += [f"file {folder}/kernel.elf",
                  # Until the MMU is on, the kernel runs where it was loaded.
                  f"add-symbol-file {folder}/kernel.elf -o "
                  f"{load_offset(machine.image, args.board):#x}",
                  f"add-symbol-file {folder}/bin/pager"]
        if not args.native and os.path.exists(f"{BUILD}/linux/ouzel/vmlinux"):
            lines += [f"add-symbol-file {BUILD}/linux/ouzel/vmlinux"]
        lines += [f"source {ROOT}/tools/gdb/ouzel.py"]
    return lines + [f"target remote 127.0.0.1:{port}"]


def run(machine, args):
    port = free_port()
    folder = os.path.join(BUILD, "debug")
    os.makedirs(folder, exist_ok=True)
    log = os.path.join(folder, "console.log")
    open(log, "w").close()
    # gdb has the terminal, so the guest's console is a pty; what it says is also in a file.
    serial = ("-chardev", f"pty,id=console,logfile={log}", "-serial", "chardev:console",
              "-monitor", "none")
    argv = machine.command(serial) + ["-S", "-gdb", f"tcp:127.0.0.1:{port}"]
    qemu = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True,
                            env=machine.environment())
    try:
        pty = ""
        for line in qemu.stdout:
            if "redirected to" in line:
                pty = line.split("redirected to ")[1].split()[0]
                break
            print(line, end="")
        if not pty:
            raise Failure("QEMU did not start, see above")
        say(f"the guest's console: tail -f {short(log)}; to type there: screen {pty}")
        say("gdb: continue starts the machine, Ctrl-C stops it; apropos ouzel: more commands; "
            "quit ends both")
        commands = os.path.join(folder, "gdbinit")
        with open(commands, "w") as f:
            f.write("\n".join(script(machine, args, port)) + "\n")
        gdb = ["gdb-multiarch", "-q", "-nx", "-x", commands]
        if args.execute:
            gdb += ["-batch"]
            for text in args.execute:
                gdb += ["-ex", text]
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is gdb's
        try:
            return subprocess.run(gdb, timeout=args.timeout).returncode
        except subprocess.TimeoutExpired as e:
            raise Failure(f"gdb did not end within {args.timeout} s (--timeout): stopped") from e
        finally:
            signal.signal(signal.SIGINT, before)
    finally:
        qemu.kill()
        qemu.wait()
