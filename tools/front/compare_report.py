# SPDX-License-Identifier: MIT
"""What ./ouzel bench linux shows: the table, and the rows as JSON."""
import json
import math
import sys

from say import Failure

NOISE = 0.01  # what repeats differ by, at most
# The kernel's counters that a real core charges for, and those that explain them.
COUNTERS = ("entries", "ttbr", "isb", "dsb", "tlbi", "sync", "faults")
GOALS = {"getpid": 1.40}  # of single rows
GROUP_GOALS = {"syscall": 1.10, "application": 1.03, "debian": 1.03, "users": 1.03,
               "boot": 1.10}
MEAN_GOALS = {"syscall": 1.06, "application": 1.015, "debian": 1.015, "users": 1.015}
RED, GREEN, PLAIN = "\033[31m", "\033[32m", "\033[0m"


def goal(row):
    return GOALS.get(row["name"], GROUP_GOALS.get(row["group"]))


def colour(text, ratio, limit):
    if limit is None or not sys.stdout.isatty():
        return text
    return (RED if ratio > limit else GREEN) + text + PLAIN


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}"


def mean(rows):
    """Geometric mean of the ratios."""
    return math.exp(sum(math.log(row["ratio"]) for row in rows) / len(rows))


def groups(rows):
    found = {}
    for row in rows:
        found.setdefault(row["group"], []).append(row)
    return found


def other_switches(row):
    """A word where Linux's scheduler did not do the same on both sides: then it is not only the
    price of an operation that differs."""
    native, ouzel = row.get("native_ctxt", 0), row.get("ctxt", 0)
    if max(native, ouzel) < 0.5 or abs(native - ouzel) <= 0.1 * max(native, ouzel):
        return ""
    return f"  switches {native:.1f} / {ouzel:.1f}"


def show(rows):
    counters = [c for c in COUNTERS if any(row.get(c) for row in rows)]
    print(f"{'instructions per operation':26}{'native':>14}{'ouzel':>14}{'ratio':>8}"
          + "".join(f"{c:>9}" for c in counters))
    for group, some in groups(rows).items():
        print(f"-- {group}" if some[0]["unit"] == "instructions" else
              f"-- {group} ({some[0]['unit']})")
        for row in some:
            ratio = colour(f"{row['ratio']:>8.3f}", row["ratio"], goal(row))
            print(f"{row['name']:26}{number(row['native']):>14}{number(row['ouzel']):>14}{ratio}"
                  + "".join(f"{number(row.get(c)):>9}" for c in counters) + other_switches(row))
        if group in MEAN_GOALS and len(some) > 1:
            all_of_it = mean(some)
            print(f"{'geometric mean':54}"
                  + colour(f"{all_of_it:>8.3f}", all_of_it, MEAN_GOALS[group]))


def effort(rows, all_of_it):
    """Which group took how long. What QEMU takes of a CPU hardly depends on what else runs."""
    parts = [(name, [sum(row["seconds"][n] for row in some) for n in (0, 1)])
             for name, some in groups(rows).items()]
    return "CPU seconds of QEMU, native/ouzel: " + ", ".join(
        f"{name} {took[0]:.0f}/{took[1]:.0f}" for name, took in [*parts, ("all", all_of_it)])


def write_json(path, rows, options):
    with open(path, "w") as f:
        json.dump({"rows": rows, "smp": options.smp, "mem": options.mem,
                   "repeat": options.repeat}, f, indent=2)
        f.write("\n")


def read_json(path):
    """The rows of an earlier run, by name."""
    try:
        with open(path) as f:
            return {row["name"]: row for row in json.load(f)["rows"]}
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise Failure(f"--compare {path}: not what --json wrote: {e}") from e


def slower(rows, old, path):
    """What differs from an earlier run by more than the noise, the worst first."""
    changes = [(row["ouzel"] / old[row["name"]]["ouzel"] - 1, row) for row in rows
               if old.get(row["name"], {}).get("ouzel")]
    changes = sorted((c for c in changes if abs(c[0]) > NOISE), key=lambda c: -c[0])
    if not changes:
        return f"against {path}: nothing changed by more than {NOISE:.0%}"
    return "\n".join([f"against {path}: on Ouzel, change by more than {NOISE:.0%}"] + [
        f"{row['name']:26}{number(old[row['name']]['ouzel']):>14}{number(row['ouzel']):>14}"
        + colour(f"{change:>+8.1%}", change, 0) for change, row in changes])
