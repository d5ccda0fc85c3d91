#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check what a person should not have to: the mechanical part of CONTRIBUTING's style.

Every file of ours has an SPDX line near its top, with the licence of its place; lines of at most
100 columns (120 in tests, whose names are sentences); no blanks at the ends of lines or of the
file; line feeds alone; no tabs where .editorconfig says spaces. Shell scripts pass shellcheck.
"""
import os
import re
import shutil
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TEXT = (".c", ".h", ".S", ".lds", ".def", ".dts", ".dtsi", ".py", ".sh", ".cmake", ".txt", ".md",
        ".json", ".manifest", ".yml")
# Patches are what they are, a licence is a licence, configurations are Linux's.
FOREIGN = re.compile(r"^(LICENSES?/|LICENSE$|servers/linux/patches/|servers/linux/config)")
# What has no comments, or is data that a program reads.
NO_SPDX = re.compile(r"\.(md|json|manifest)$|^board/initrd/etc/|^\.gitignore$")
# Linux's style: tabs of eight.
TABS = re.compile(r"^servers/linux/tree/|(^|/)(Makefile|Kconfig)$|check-privileged\.sh$")
# Tables: a row is a line. And prose, which editors wrap.
WIDE = re.compile(r"\.(def|md)$|check-privileged\.sh$")


def files():
    if os.path.exists(os.path.join(TOP, ".git")):  # a clone; its owner may be another user
        names = subprocess.run(["git", "-c", "safe.directory=*", "-C", TOP, "ls-files", "-z",
                                "--cached", "--others", "--exclude-standard"],
                               stdout=subprocess.PIPE, check=True).stdout.decode().split("\0")
    else:
        names = [os.path.relpath(os.path.join(folder, name), TOP)
                 for folder, _, found in os.walk(TOP) for name in found]
        names = [name for name in names if not name.startswith("build/")]
    for name in sorted(names):
        path = os.path.join(TOP, name)
        if name and os.path.isfile(path) and not os.path.islink(path) and not FOREIGN.match(name):
            yield name, path


def licence(name):
    return "GPL-2.0-only" if name.startswith("servers/linux/") else "MIT"


def check(name, data):
    """What is wrong with a file: (line, text)."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        yield 1, "is not UTF-8"
        return
    if "\r" in text:
        yield 1, "has carriage returns"
    lines = text.split("\n")
    if lines.pop() != "":
        yield len(lines) + 1, "has no line feed at its end"
    if lines and not lines[-1].strip():
        yield len(lines), "ends with empty lines"
    spdx = [n for n, line in enumerate(lines[:4]) if "SPDX-License-Identifier: " in line]
    if not NO_SPDX.search(name):
        if not spdx:
            yield 1, "has no SPDX line at its top"
        elif licence(name) not in lines[spdx[0]]:
            yield spdx[0] + 1, f"is {licence(name)} here"
    for n, line in enumerate(lines, 1):
        width = len(line.expandtabs(8))
        limit = 120 if name.startswith("test/") else 100
        if width > limit and "://" not in line and not WIDE.search(name):
            yield n, f"is {width} columns wide, at most {limit}"
        if line != line.rstrip():
            yield n, "has blanks at its end"
        if "\t" in line and not TABS.search(name):
            yield n, "has a tab"


def shellcheck(scripts):
    if not shutil.which("shellcheck"):
        sys.exit("shellcheck is missing: apt install shellcheck (or let ./ouzel do it)")
    return subprocess.run(["shellcheck", "--severity=warning", "--external-sources", *scripts],
                          cwd=TOP, stdout=subprocess.PIPE, text=True).stdout


def main():
    wrong, scripts, n = [], [], 0
    for name, path in files():
        with open(path, "rb") as f:
            data = f.read()
        head = data[:64].split(b"\n")[0]
        if re.match(rb"#!.*\b(ba|da)?sh\b", head):
            scripts.append(name)
        if not name.endswith(TEXT) and b"\0" in data:
            continue
        n += 1
        wrong += [f"{name}:{line}: {text}" for line, text in check(name, data)]
    said = shellcheck(scripts)
    if said:
        wrong.append(said.strip())
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{n} files, {len(scripts)} scripts")


main()
