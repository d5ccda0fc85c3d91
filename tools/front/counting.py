# SPDX-License-Identifier: MIT
"""./ouzel bench: run the bench image under -icount, and make a table of what it says.

With -icount shift=0,sleep=off one instruction takes one nanosecond of the guest's clock, so the
guest counts instructions by reading it, and the numbers repeat exactly. A row comes as

    BENCH name=NAME ouzel=N [native=N] [entries=N ttbr=N isb=N dsb=N tlbi=N]

where N may have a fraction (work per operation), and the last line is BENCHES and their number.
"""
import json
import os
import re

import build
import packages
from compare_report import read_json
from machine import Guest, Machine, check_output, clean
from say import LOGS, Failure, say, short

COLUMNS = ("ouzel", "native", "entries", "ttbr", "isb", "dsb", "tlbi")
# Every row of bench/main.c, and what it may cost at most; None: it is reported.
GOALS = {
    "null_call": 60, "ipc_call_round_trip_inter": 180, "ipc_call_round_trip_intra": 160,
    "ipc_call_round_trip_8_words": 190, "signal_wait_round_trip": 350, "map_4k": 200,
    "unmap_4k": 200, "map_batch_64": 40, "map_list_64": None, "page_fault_round_trip": 450,
    "thread_switch": None, "irq_to_thread": None, "task_create_destroy": None,
    "vcpu_syscall_round_trip": 110, "vcpu_fault_round_trip": 220, "vcpu_set_space": None,
}


def rows(text):
    found = []
    for line in re.findall(r"^BENCH (\S.*?)\s*$", text, re.M):
        fields = dict(word.split("=", 1) for word in line.split())
        row = {"name": fields["name"], "unit": fields.get("unit", "instructions")}
        for column in COLUMNS:
            if column in fields:
                row[column] = float(fields[column])
                if row[column] == int(row[column]):
                    row[column] = int(row[column])
        found.append(row)
    return found


def number(v):
    if v is None:
        return f"{'-':>10}"
    return f"{v:>10,}" if isinstance(v, int) else f"{v:>10,.1f}" if v >= 1 else f"{v:>10.2f}"


def table(found):
    columns = [c for c in COLUMNS if any(c in row for row in found)]
    lines = [f"{'instructions per operation':28}" + f"{columns[0]:>10}" + f"{'goal':>10}"
             + "".join(f"{c:>10}" for c in columns[1:])]
    for row in found:
        goal = GOALS.get(row["name"])
        over = " over the goal" if goal and row["ouzel"] > goal else ""
        lines.append(f"{row['name']:28}" + number(row.get(columns[0])) + number(goal)
                     + "".join(number(row.get(c)) for c in columns[1:]) + over)
    return "\n".join(lines)


def slower(found, old, path):
    """Rows that cost more than in an earlier run, which is exact: one instruction is one."""
    worse = [(row, old[row["name"]]["ouzel"]) for row in found
             if row["ouzel"] > old.get(row["name"], row)["ouzel"]]
    if not worse:
        return f"against {path}: no row got slower"
    return "\n".join([f"against {path}: slower than before"] + [
        f"{row['name']:28}{number(before)} -> {number(row['ouzel']).strip()}"
        f"  {row['ouzel'] / before - 1:+.1%}" for row, before in worse])


def measure(image, limit, **more):
    guest = Guest(Machine(image=image, smp=1, gic=2, cpu="cortex-a72", icount=True, **more))
    try:
        ended = guest.finish(limit)
    finally:
        guest.kill()
    text = clean(guest.output)
    os.makedirs(LOGS, exist_ok=True)
    log = os.path.join(LOGS, "bench.log")
    with open(log, "w") as f:
        f.write(text)
    found = rows(text)
    end = re.search(r"^BENCHES (\d+)\s*$", text, re.M)
    if not end or int(end.group(1)) != len(found):
        print("\n".join(text.splitlines()[-20:]))
        raise Failure(("the bench did not end within " + f"{limit} s" if not ended else
                       "the bench stopped half-way") + f"; all that it said: {short(log)}")
    return found


def run(json_file, compare=None):
    check_output(json_file, "--json")
    old = read_json(compare) if compare else None
    packages.ensure(packages.BUILDING, packages.RUNNING)
    found = measure(build.image("bench"), 900)
    print(table(found))
    if json_file:
        with open(json_file, "w") as f:
            json.dump({"rows": found}, f, indent=2)
            f.write("\n")
        say(f"rows written to {json_file}")
    if compare:
        print(slower(found, old, compare))
    return 0
