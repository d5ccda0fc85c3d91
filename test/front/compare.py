#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The front of ./ouzel bench linux without its machines: what it takes for a result, and what
not. Each test_ function returns what is wrong, or None."""
import argparse
import html.parser
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tools", "front"))

import compare  # noqa: E402
import compare_boot  # noqa: E402
import compare_page  # noqa: E402
import compare_profile  # noqa: E402
import compare_report  # noqa: E402

KNOWN = [("compute", "validity", "a loop"), ("getpid", "syscall", "a call")]
OPTIONS = argparse.Namespace(smp=1, mem="2048M", repeat=1)


class Said:
    """A side that said these lines."""

    def __init__(self, kind, *lines):
        self.kind, self.rows = kind, {}
        for name, rest in compare.LINE.findall("".join(line + "\r\n" for line in lines)):
            self.rows.setdefault(name, compare.Row(name)).hear(rest)


def line(name, time, check="1", more=""):
    return f"ROW {name} group=x unit=instructions ops=10 time={time} check={check}{more}"


def merged(native, ouzel):
    return compare.merge(KNOWN, [name for name, _, _ in KNOWN], [Said("native", *native),
                                                                 Said("ouzel", *ouzel)])


def test_every_row_of_the_sources_is_known():
    folder, written = os.path.join(ROOT, "bench", "linux"), 0
    for name in os.listdir(folder):
        if name.endswith(".c"):
            with open(os.path.join(folder, name)) as f:
                written += len(re.findall(r"^ROW\(", f.read(), re.M))
    known = [name for name, _, _ in compare.known_rows()]
    if len(known) != written or len(set(known)) != written:
        return f"{written} rows in the sources, {len(known)} known, {len(set(known))} names"
    return None


def test_same_result_gives_ratio_and_counters():
    rows, wrong = merged([line("compute", 1000), line("getpid", 2000)],
                         [line("compute", 1001), line("getpid", 2500, more=" entries=20")])
    if wrong or compare.validity(rows):
        return f"{wrong} {compare.validity(rows)}"
    row = rows[1]
    return None if (row["ratio"], row["entries"], row["native"]) == (1.25, 2, 200) else str(row)


def test_other_result_is_no_time():
    rows, wrong = merged([line("compute", 1000), line("getpid", 2000, "a")],
                         [line("compute", 1000), line("getpid", 2000, "b")])
    return None if len(rows) == 1 and "getpid" in "".join(wrong) else f"{rows} {wrong}"


def test_missing_and_failed_rows_are_said():
    rows, wrong = merged([line("compute", 1000), line("getpid", 2000)],
                         [line("compute", 1000)])
    if len(rows) != 1 or "did not run" not in "".join(wrong):
        return f"missing: {rows} {wrong}"
    rows, wrong = merged([line("compute", 1000), line("getpid", 2000)],
                         [line("compute", 1000), "ROW getpid failed x.c:1: it broke"])
    return None if "it broke" in "".join(wrong) else f"failed: {wrong}"


def test_half_a_percent_apart_is_invalid():
    rows, _ = merged([line("compute", 100000)], [line("compute", 100600)])
    if not compare.validity(rows):
        return "0.6 % was valid"
    rows, _ = merged([line("compute", 100000)], [line("compute", 100400)])
    if compare.validity(rows):
        return "0.4 % was invalid"
    return None if compare.validity([]) else "valid without the row"


def test_slower_rows_are_found():
    rows, _ = merged([line("compute", 1000), line("getpid", 2000)],
                     [line("compute", 1000), line("getpid", 2500)])
    old = {"getpid": {"ouzel": 200}, "compute": {"ouzel": 100}}
    said = compare_report.slower(rows, old, "old")
    return None if "getpid" in said and "+25.0%" in said and "compute" not in said else said


def test_a_row_has_what_qemu_took_while_it_ran():
    class Clock:
        now = 3

        def cpu_seconds(self):
            return self.now
    side = compare.Side.__new__(compare.Side)
    side.rows, side.running, side.seconds, side.guest = {}, None, 0, Clock()
    for now, name in ((3, "compute"), (5, "getpid"), (9, "compute"), (10, None)):
        side.guest.now = now
        side.charge()
        side.running = name
    took = {name: row.seconds for name, row in side.rows.items()}
    return None if took == {"compute": 3, "getpid": 4} and side.seconds == 10 else str(took)


def test_trace_is_folded_onto_functions():
    class Text(compare_profile.Elf):
        def __init__(self):  # f at 0x1000 calls g at 0x2000
            self.layer, self.segments = "program", [(0x1000, 0x3000, 0)]
            self.starts, self.names = [0x1000, 0x1800, 0x2000, 0x2800], ["f", "mark_begin", "g",
                                                                        "mark_end"]

        def word(self, pc):
            return {0x1004: 0x94000000, 0x2004: 0xD65F03C0}.get(pc, 0)

    pcs = (0x1000, 0x1800, 0x1004, 0x2000, 0x2004, 0x1008, 0x2800, 0x1000)
    with tempfile.NamedTemporaryFile("w", suffix=".log") as f:
        f.write("".join(f"Trace 0: 0x7f00 [0000/{pc:016x}/0/0] x\n" for pc in pcs))
        f.flush()
        count = compare_profile.fold(f.name, [Text()], Text())
    wanted = Counter({("program", "f"): 2, ("program", "f", "g"): 2})
    return None if count == wanted else str(count)


def stacks(symbols, addresses):
    """What the plugin for QEMU makes of blocks that run: {stack: instructions}, or None."""
    with tempfile.TemporaryDirectory() as folder:
        program, names, out = (os.path.join(folder, name) for name in ("stacks", "symbols", "out"))
        subprocess.run(["gcc", "-std=gnu2x", "-Wall", "-Wextra", "-Werror", "-g", "-DAPI=1",
                        "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-o", program,
                        os.path.join(ROOT, "test", "front", "stacks.c"),
                        os.path.join(ROOT, "tools", "front", "stacks.c")], check=True)
        with open(names, "w") as f:
            f.writelines(f"{va:x} {layer} {name}\n" for va, layer, name in symbols)
        done = subprocess.run([program, names, out, *(f"{va:x}" for va in addresses)],
                              stderr=subprocess.PIPE, check=False,
                              env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
        return None if done.returncode else dict(compare_boot.read(out))


SYMBOLS = [(0, "program", "programs"), (0x1000, "linux", "vectors"), (0x2000, "linux", "f"),
           (0x3000, "linux", "g"), (0x4000, "linux", "h"), (0x5000, "ouzel", "entry"),
           (0x6000, "ouzel", "drain"), (0x7000, "pager", "main")]


def test_blocks_are_folded_onto_stacks():
    for addresses, wanted in (
            # f calls g, which calls h; that returns into g, which returns into f; f calls h
            ((0x2000, 0x3000, 0x4000, 0x3004, 0x2004, 0x4000),
             {("linux", "f"): 4, ("linux", "f", "g"): 4, ("linux", "f", "g", "h"): 2,
              ("linux", "f", "h"): 2}),
            # a program, an exception through Ouzel to Linux, and back; then another
            ((0x10, 0x5004, 0x1400, 0x2000, 0x5004, 0x14, 0x5004, 0x1400, 0x3000),
             {("program", "programs"): 4, ("ouzel", "entry"): 6, ("linux", "vectors"): 4,
              ("linux", "vectors", "f"): 2, ("linux", "vectors", "g"): 2}),
            # f is interrupted, goes on, calls Ouzel, which calls on; and returns to f
            ((0x2000, 0x1200, 0x4000, 0x2004, 0x5004, 0x6000, 0x2008, 0x7000),
             {("linux", "f"): 6, ("linux", "f", "vectors"): 2, ("linux", "f", "vectors", "h"): 2,
              ("ouzel", "entry"): 2, ("ouzel", "entry", "drain"): 2, ("pager", "main"): 2}),
            # a return to where nobody was; a loop at a function's start; nothing at all
            ((0x2000, 0x3004, 0x3000), {("linux", "f"): 2, ("linux", "g"): 4}), ((), {})):
        got = stacks(SYMBOLS, addresses)
        if got != wanted:
            return f"{[hex(va) for va in addresses]}: {got}"
    return None


def test_stacks_stop_growing():
    calls = stacks(SYMBOLS, (0x2000, 0x3000) * 300)
    if sum(calls.values()) != 1200 or max(map(len, calls)) > 201:
        return f"{sum(calls.values())} instructions, {max(map(len, calls))} deep"
    return None


def test_symbols_have_to_begin_at_0():
    return "taken" if stacks(SYMBOLS[1:], ()) is not None else None


def test_page_is_whole():
    rows, wrong = merged([line("compute", 1000), line("getpid", 2000)],
                         [line("compute", 1000), line("getpid", 2500, more=" entries=20")])
    rows += [{**rows[1], "name": "stat"}]
    rows += [{**rows[1], "group": "users", "name": f"users_{n}", "what": "<&>"} for n in (1, 2)]
    layers = [("getpid", {"program": 9}, {"ouzel": 7}, [("ouzel", "vectors", 0, 7)])]
    text = compare_page.page(rows, layers, OPTIONS, wrong)
    opened = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag in ("svg", "g", "text", "a", "b"):
                opened.append(tag)
            if any(name in ("src", "href") for name, _ in attrs):
                opened.append("something from elsewhere")

        def handle_endtag(self, tag):
            if tag in ("svg", "g", "text", "a", "b") and opened.pop() != tag:
                opened.append("out of order: " + tag)
    Parser().feed(text)
    if opened:
        return f"left open: {opened}"
    return None if text.count("<svg") == 3 else f"{text.count('<svg')} plots"


def main():
    failed = 0
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            why = test()
            failed += bool(why)
            if why:
                print(f"{name[5:]}: {why}")
    return 1 if failed else 0


sys.exit(main())
