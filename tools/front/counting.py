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
from machine import Guest, Machine, clean
from say import LOGS, Failure, say, short

COLUMNS = ("ouzel", "native", "entries", "ttbr", "isb", "dsb", "tlbi")


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


def table(found):
    columns = [c for c in COLUMNS if any(c in row for row in found)]
    lines = [f"{'instructions per operation':36}" + "".join(f"{c:>10}" for c in columns)]
    for row in found:
        cells = [row.get(c) for c in columns]
        lines.append(f"{row['name']:36}" + "".join(
            f"{'-':>10}" if v is None else f"{v:>10,}" if isinstance(v, int) else
            f"{v:>10,.1f}" if v >= 1 else f"{v:>10.2f}" for v in cells))
    return "\n".join(lines)


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


def run(json_file):
    packages.ensure(packages.BUILDING, packages.RUNNING)
    found = measure(build.image("bench"), 900)
    print(table(found))
    if json_file:
        with open(json_file, "w") as f:
            json.dump({"rows": found}, f, indent=2)
            f.write("\n")
        say(f"rows written to {json_file}")
    return 0
