#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""both.py -- what the runner makes of a list of tests that ran on both builds."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tools", "front"))

import runner  # noqa: E402

NAMES = ["works", "fails", "breaks", "counts", "differs", "ends"]


def side(text):
    found = runner.Results()
    runner.judge(found, text, NAMES, True, "Linux")
    return found


def said(ours, native):
    results = runner.Results()
    runner.compare([side(ours), side(native)], results, {"fails": "on both, as is known"})
    return {name: verdict for name, (verdict, _) in results.seen.items()}


WHOLE = """TEST works: ok
TEST fails: FAILED exit 1
TEST breaks: {1}
TEST counts: ok detail: 3 ok, 0 not ok, 1 skipped
TEST differs: {0}
TEST ends: n/a no such device
TESTS 6
"""
STOPPED = "TEST works: ok\nKernel panic - not syncing\n"
equal = said(WHOLE.format("ok", "ok"), WHOLE.format("ok", "ok"))
different = said(WHOLE.format("ok", "ok"), WHOLE.format("FAILED exit 2", "ok"))
fewer = said(WHOLE.format("ok", "ok"), WHOLE.format("ok", "ok").replace("3 ok", "2 ok"))
broken = said(*[WHOLE.format("ok", "FAILED exit 127: not built")] * 2)
slower = said(WHOLE.format("FAILED exit 143", "ok"), WHOLE.format("FAILED exit 1", "ok"))
stopped = said(STOPPED, STOPPED)
wrong = []
if equal != dict.fromkeys(["works", "fails", "breaks", "counts", "differs"], "ok"):
    wrong.append(f"equal results: {equal}")
if different != equal | {"differs": "FAILED"}:
    wrong.append(f"one that differs: {different}")
if broken != equal | {"breaks": "FAILED"}:
    wrong.append(f"one that fails on both for no known reason: {broken}")
if slower != equal | {"differs": "FAILED"}:
    wrong.append(f"one that fails in another way: {slower}")
if fewer != equal | {"counts": "FAILED"}:
    wrong.append(f"one that did less: {fewer}")
if stopped != dict.fromkeys([*NAMES, "the_end"], "FAILED") | {"works": "ok"}:
    wrong.append(f"both stopped at the same place: {stopped}")
print("\n".join(wrong))
sys.exit(1 if wrong else 0)
