#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check that docs/abi.md describes every system call, and no other.

Each call of include/ouzel/syscalls.def has a heading "### name" (any level, more text may
follow), and below it, before the next heading, says what it does, its arguments, returns and
refusals: the words "Arguments", "Returns" and "Refuses" begin a paragraph or list item.
"""
import os
import re
import sys

top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
with open(os.path.join(top, "include/ouzel/syscalls.def")) as f:
    calls = re.findall(r"^SYSCALL\(\d+,\s*(\w+),", f.read(), re.M)
try:
    with open(os.path.join(top, "docs/abi.md")) as f:
        text = f.read()
except FileNotFoundError:
    sys.exit("docs/abi.md is missing")

parts = re.split(r"^#+ +`?(\w+)`?.*$", text, flags=re.M)
described = dict(zip(parts[1::2], parts[2::2]))
wrong = []
for call in calls:
    if call not in described:
        wrong.append(f"{call} has no heading")
        continue
    for word in ("Arguments", "Returns", "Refuses"):
        if not re.search(rf"^[-*_ ]*{word}\b", described[call], re.M):
            wrong.append(f"{call} does not say: {word}")
# Headings that look like calls but are not in the list: renamed, or removed.
prefixes = {call.split("_")[0] + "_" for call in calls}
for name in described:
    if name not in calls and name.startswith(tuple(prefixes)):
        wrong.append(f"{name} is described, but is no call")
if wrong:
    sys.exit("docs/abi.md: " + "; ".join(wrong))
print(f"{len(calls)} calls described")
