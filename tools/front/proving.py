# SPDX-License-Identifier: MIT
"""./ouzel prove: that the validator's contracts hold for every input (Frama-C's WP plug-in)."""
import os
import re
import subprocess

import packages
from say import LOGS, ROOT, Failure, say, short, step

# What is proved, and the sources. region_find is region_search, repeated while another core
# changes the set: its contract is taken, theirs are proved.
FUNCTIONS = ("va_allowed", "validate", "region_search", "region_holds")
SOURCES = ("src/kernel/validate.c", "src/kernel/region.c")


def run(seconds):
    packages.ensure(packages.PROVING)
    # Which provers there are: written where why3 looks for it, and nowhere else of the user's.
    config = os.path.join(LOGS, "why3.conf")
    os.makedirs(LOGS, exist_ok=True)
    if not os.path.exists(config):
        step("looking for provers", ["why3", "config", "detect", "-C", config + ".new"],
             "why3-detect")
        os.replace(config + ".new", config)
    log = os.path.join(LOGS, "prove.log")
    argv = ["frama-c", "-cpp-extra-args=-Iinclude -Isrc/kernel", "-machdep", "gcc_x86_64",
            "-wp", "-wp-rte", "-wp-prover", "z3,cvc4", "-wp-timeout", str(seconds),
            "-wp-par", "2", "-wp-fct", ",".join(FUNCTIONS), *SOURCES]
    say("proving " + ", ".join(FUNCTIONS) + " (some minutes)")
    with open(log, "w") as out:
        print("+", *argv, file=out, flush=True)
        code = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=ROOT,
                              env={**os.environ, "WHY3CONFIG": config}).returncode
    with open(log) as f:
        text = f.read()
    found = re.search(r"Proved goals:\s+(\d+) / (\d+)", text)
    if code or not found:
        raise Failure(f"Frama-C failed (exit code {code}): {short(log)}")
    proved, goals = map(int, found.groups())
    for line in re.findall(r"^\[wp\] .*Goal (\S+) : (?!Valid|Passed)(.*)$", text, re.M):
        print("not proved: " + " ".join(line))
    print(f"{proved} of {goals} goals proved; all of it: {short(log)}")
    return 0 if proved == goals else 1
