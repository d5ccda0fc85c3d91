# SPDX-License-Identifier: MIT
"""./ouzel lint: the mechanical part of the style, and clang-tidy."""
import concurrent.futures
import json
import os
import subprocess

import build
import packages
from say import ROOT, say

# What clang-tidy looks at: what is compiled from these, with clang's own command lines.
PLACES = ("src/kernel/", "src/arch/", "lib/", "servers/pager/")


def tidy(source):
    run = subprocess.run(["clang-tidy", "--quiet", "-p", os.path.join(ROOT, "build", "clang"),
                          source], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    said = run.stdout.strip()
    if run.returncode and not said:
        said = f"{source}: clang-tidy failed: {run.stderr.strip()}"
    return said


def run():
    packages.ensure(packages.BUILDING, packages.CLANG, packages.TESTING, packages.LINTING)
    style = subprocess.run([os.path.join(ROOT, "tools", "check-style.py")]).returncode
    folder = build.cross("clang")
    with open(os.path.join(folder, "compile_commands.json")) as f:
        sources = sorted({entry["file"] for entry in json.load(f)})
    sources = [path for path in sources
               if os.path.relpath(path, ROOT).startswith(PLACES) and path.endswith(".c")]
    say(f"clang-tidy: {len(sources)} files")
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for said in pool.map(tidy, sources):
            if said:
                bad += 1
                print(said, flush=True)
    say(f"clang-tidy: {bad} of {len(sources)} files have findings")
    return 1 if style or bad else 0
