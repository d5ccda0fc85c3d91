#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""both.py -- what the runner makes of a list of tests that ran on both builds."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tools", "front"))

import runner  # noqa: E402

NAMES = ["works", "fails", "counts", "differs", "ends"]


def side(text):
    found = runner.Results()
    runner.judge(found, text, NAMES, True, "Linux")
    return found


def said(ours, native):
    results = runner.Results()
    runner.compare([side(ours), side(native)], results)
    return {name: verdict for name, (verdict, _) in results.seen.items()}


WHOLE = """TEST works: ok
TEST fails: FAILED exit 1
TEST counts: ok detail: 3 ok, 0 not ok, 1 skipped
TEST differs: {}
TEST ends: n/a no such device
TESTS 5
"""
STOPPED = "TEST works: ok\nKernel panic - not syncing\n"
equal = said(WHOLE.format("ok"), WHOLE.format("ok"))
different = said(WHOLE.format("ok"), WHOLE.format("FAILED exit 2"))
fewer = said(WHOLE.format("ok"), WHOLE.format("ok").replace("3 ok", "2 ok"))
stopped = said(STOPPED, STOPPED)
wrong = []
if equal != {"works": "ok", "fails": "ok", "counts": "ok", "differs": "ok"}:
    wrong.append(f"equal results: {equal}")
if different != equal | {"differs": "FAILED"}:
    wrong.append(f"one that differs: {different}")
if fewer != equal | {"counts": "FAILED"}:
    wrong.append(f"one that did less: {fewer}")
if stopped != dict.fromkeys([*NAMES, "the_end"], "FAILED") | {"works": "ok"}:
    wrong.append(f"both stopped at the same place: {stopped}")
print("\n".join(wrong))
sys.exit(1 if wrong else 0)
