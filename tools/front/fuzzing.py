# SPDX-License-Identifier: MIT
"""./ouzel fuzz: feed what reads untrusted input with inputs that libFuzzer finds."""
import glob
import os
import re
import struct
import subprocess

import build
import packages
from say import BUILD, LOGS, ROOT, Failure, say, short

FOLDER = os.path.join(BUILD, "fuzz")
TARGETS = sorted(re.sub(r".*/fuzz_(\w+)\.c$", r"\1", path)
                 for path in glob.glob(os.path.join(ROOT, "test", "fuzz", "fuzz_*.c")))


# ---- seeds: made, not kept -----------------------------------------------------------------

def cpio(files):
    """An archive as tools/mkarchive.c makes it."""
    out = b""
    for name, data in [*files, ("TRAILER!!!", b"")]:
        fields = (1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, sum(data))
        out += b"070702" + b"".join(b"%08x" % n for n in fields) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return out


def seeds_manifest():
    for path in sorted(glob.glob(os.path.join(ROOT, "board", "*.manifest"))):
        with open(path, "rb") as f:
            yield f.read()
    # Every message of the parser has the words that lead to it.
    with open(os.path.join(ROOT, "servers", "pager", "manifest.c")) as f:
        words = sorted(set(re.findall(r'"([a-z]+)"', f.read())))
    for word in words:
        yield f"program a\n file a\n {word} 1\nlinux\n file l\n {word} 64K x\n".encode()


def seeds_archive():
    yield cpio([])
    yield cpio([("manifest", b"program a\n file a\n"), ("a", b"\x7fELF" + bytes(60))])
    yield cpio([("a", b""), ("a", b"1"), ("longer/name", b"12")])


def seeds_validate():
    region = struct.pack("<BHHBB", 12, 0x400, 16, 7, 0)  # 16 pages at 4 MiB
    for flags in (1, 3, 5, 9, 7, 17):
        for own in (0, 1):
            mapping = struct.pack("<BHBHBHBBB", 12 | own << 6, 16, 12, 0x404, 12, 2, 0, flags, own)
            yield b"\x01" + region + b"\x00" + mapping


def corpus(target):
    folder = os.path.join(FOLDER, "corpus", target)
    os.makedirs(folder, exist_ok=True)
    for number, seed in enumerate(globals()["seeds_" + target]()):
        with open(os.path.join(folder, f"seed-{number}"), "wb") as f:
            f.write(seed)
    return folder


# ---- runs ----------------------------------------------------------------------------------

def prepare():
    packages.ensure(packages.BUILDING, packages.CLANG, packages.FUZZING)
    build.cmake("fuzz", ())


def one(target, seconds):
    """Fuzz a target for so long; None, or what is wrong."""
    os.makedirs(LOGS, exist_ok=True)
    log = os.path.join(LOGS, f"fuzz-{target}.log")
    found = os.path.join(FOLDER, f"found-{target}-")
    argv = [os.path.join(FOLDER, "test", "fuzz", f"fuzz_{target}"), f"-max_total_time={seconds}",
            "-timeout=10", "-max_len=4096", f"-artifact_prefix={found}", corpus(target)]
    with open(log, "w") as out:
        code = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out).returncode
    with open(log, errors="replace") as f:
        text = f.read()
    done = re.search(r"Done (\d+) runs in (\d+) second", text)
    if code or not done:
        input_file = re.search(re.escape(found) + r"\S+", text)
        return (f"exit code {code}; all of it: {short(log)}"
                + (f"; the input: {short(input_file.group(0))}" if input_file else ""))
    covered = re.findall(r"cov: (\d+)", text)
    say(f"{target}: {int(done.group(1)):,} inputs in {done.group(2)} s, "
        f"{covered[-1] if covered else 0} places reached, nothing wrong")
    return None


def run(targets, seconds):
    for target in targets:
        if target not in TARGETS:
            raise Failure(f"nothing to fuzz is called '{target}': there are {', '.join(TARGETS)}")
    prepare()
    bad = 0
    for target in targets or TARGETS:
        why = one(target, seconds)
        if why:
            bad += 1
            print(f"FAILED {target}: {why}")
    return 1 if bad else 0
