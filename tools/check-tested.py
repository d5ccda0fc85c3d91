#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check that every system call is named in a test of its success and in one of its refusals.

Looks at test/native/*.c: a call counts as tested for a refusal where another error than E_OK is
expected of it (or it is tried without the control capability, machine.c), and for its success
where it is used otherwise.
"""
import glob
import os
import re
import sys

top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
with open(os.path.join(top, "include/ouzel/syscalls.def")) as f:
    calls = re.findall(r"^SYSCALL\(\d+,\s*(\w+),", f.read(), re.M)
text = ""
for name in sorted(glob.glob(os.path.join(top, "test/native/*.c"))):
    with open(name) as f:
        text += f.read()
statements = re.split(r";|\{|\}", text)

# What can't be refused, and what does not come back from its success.
NO_REFUSAL = {"thread_yield"}
ELSEWHERE = {"debug_read"}  # its success: somebody has to type (test/shell)
NO_RETURN = {"vcpu_return": r"vcpu_run\(", "system_control": r"SYSTEM_OFF\)"}
wrong = []
for call in calls:
    named = re.compile(rf"\b(?:(?:CALL|RESULT_OF)\({call}\b|ouzel_{call}\(|{call}\()")
    uses = [s for s in statements if named.search(s)]
    refused = [s for s in uses
               if re.search(r"\bE_(?!OK\b)[A-Z]+\b", s) or "without.error[" in s]
    ok = [s for s in uses if s not in refused]
    if call in NO_RETURN:
        ok = re.findall(NO_RETURN[call], text)
    if call == "space_update":
        refused += re.findall(r"REFUSED\(", text)
    if call == "space_update_list":
        refused += re.findall(r"list_run\([^;]*E_", text)
    if not ok and call not in ELSEWHERE:
        wrong.append(f"{call}: no test of its success")
    if not refused and call not in NO_REFUSAL:
        wrong.append(f"{call}: no test of a refusal")
if wrong:
    sys.exit("; ".join(wrong))
print(f"{len(calls)} calls, each with a test of its success and of its refusals")
