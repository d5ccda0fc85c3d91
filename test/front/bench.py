#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench.py IMAGE -- ./ouzel bench runs to its end, has every row, and each meets its goal: the
counts are exact, so this fails with the change that costs too much."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tools", "front"))

import counting  # noqa: E402

found = counting.measure(sys.argv[1], 240)
print(counting.table(found))
names = [row["name"] for row in found]
wrong = [f"row {name} is missing" for name in counting.GOALS if name not in names]
wrong += [f"row {name} is not in counting.GOALS" for name in names if name not in counting.GOALS]
for row in found:
    goal = counting.GOALS.get(row["name"])
    if goal and row["ouzel"] > goal:
        wrong.append(f"{row['name']}: {row['ouzel']} instructions, the goal is {goal}")
    if row["ouzel"] <= 0 or row["entries"] <= 0:
        wrong.append(f"{row['name']}: {row['ouzel']} instructions, {row['entries']} entries")
old = {row["name"]: dict(row, ouzel=row["ouzel"] - 1) for row in found[:1]}
if found[0]["name"] not in counting.slower(found, old, "old.json"):
    wrong.append("--compare does not say that a row got slower")
print("\n".join(wrong))
sys.exit(1 if wrong else 0)
