# SPDX-License-Identifier: MIT
"""./ouzel bench linux --html: one page with plots, that needs nothing from anywhere."""
import html
import math
import time

from compare_profile import COLOURS, LAYERS
from compare_report import COUNTERS, GROUP_GOALS, MEAN_GOALS, goal, groups, mean, number

NATIVE, OUZEL, OVER, GOAL = "#5b8db8", "#e4a04a", "#c0504d", "#3a7d34"
TITLES = {"validity": "Is the run valid", "syscall": "System calls",
          "application": "Applications (busybox)", "debian": "Applications (Debian's programs)",
          "users": "Many users at once", "memory": "Memory", "scaling": "Scaling", "boot": "Boot"}

# (what, figure, source, status, our rows or groups to stand beside it): nothing here was measured
# by this project.
PAPER = "Härtig, Hohmuth, Liedtke, Schönberg, Wolter: The Performance of µ-Kernel-Based " \
        "Systems, SOSP 1997 (Pentium 133, Linux 2.0)"
PUBLISHED = (
    ("AIM maximum throughput, L4Linux against native Linux", "5 % lower", PAPER,
     "confirmed (abstract)", ("users",)),
    ("penalty of in-kernel and user-level MkLinux, against L4Linux's", "5 and 7 times", PAPER,
     "confirmed (abstract)", ()),
    ("AIM jobs per minute, native and L4Linux", "about 130 and 123", PAPER, "second-hand", ()),
    ("recompiling the Linux server", "6-7 % slower", PAPER, "second-hand", ("gcc",)),
    ("getpid on L4Linux", "about 2.4 times native", PAPER, "second-hand", ("getpid",)),
    ("getpid on MkLinux, in-kernel and user-level", "3.9 and 29 times L4Linux's", PAPER,
     "second-hand", ()),
    ("applications", "5-10 % penalty", PAPER, "confirmed (course notes of the paper)",
     ("application", "debian")),
    ("getppid, L4Linux 5.6 on L4Re, Raspberry Pi 3, 32-bit", "13.4 times native",
     "Stamatis, master thesis, 2020", "second-hand", ("getpid",)),
    ("getppid, User-mode Linux for arm64, Snapdragon 870", "22.0 µs, native 0.079",
     "linux-um-arm64, 2026", "second-hand", ("getpid",)),
    ("openat, the same", "49.1 µs, native 2.47", "linux-um-arm64, 2026", "second-hand",
     ("open_close",)),
    ("page fault, the same", "51.2 µs, native 1.47", "linux-um-arm64, 2026", "second-hand",
     ("anon_fault",)),
    ("getpid, User-mode Linux on x86, with and without MMU", "24,979 and 2,691 ns, native 172",
     "nommu UML v8 patch series", "second-hand", ("getpid",)),
    ("system call, gVisor with ptrace, with KVM, runc", "38,219, 763 and 1,939 ns",
     "gVisor performance guide, 2019", "second-hand", ()),
)

STYLE = """
body{font:15px/1.4 system-ui,sans-serif;margin:2em auto;max-width:1100px;padding:0 1em;
color:#222;background:#fff}
table{border-collapse:collapse;margin:1em 0;font-size:13px;width:100%}
th,td{text-align:right;padding:2px 8px;border-bottom:1px solid #ddd;white-space:nowrap}
th:first-child,td:first-child,.text{text-align:left;white-space:normal}
.narrow{width:auto;min-width:40em}.layer td{font-weight:bold}.unit{font-size:13px;color:#666}
.over{color:#c0504d;font-weight:bold}.within{color:#3a7d34}
.key span{display:inline-block;width:1em;height:1em;margin:0 .3em 0 1em;vertical-align:-2px}
svg{max-width:100%;height:auto}
"""


def text(x, y, what, anchor="start", extra=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>'
            f'{html.escape(what)}</text>')


def svg(width, height, parts, label):
    return (f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
            f'aria-label="{html.escape(label)}" font-family="system-ui,sans-serif" '
            'font-size="12">' + "".join(parts) + "</svg>")


def ticks(low, high, most=8):
    """Round numbers from low to high, at most so many."""
    step = next(digit * 10 ** power for power in range(-3, 12) for digit in (1, 2, 5)
                if (high - low) / (digit * 10 ** power) <= most)
    return [n * step for n in range(math.ceil(low / step - 1e-9), int(high / step + 1e-9) + 1)]


def bars(rows, group):
    """A bar per row: what it costs more than natively. Where a goal is, a line shows it."""
    rows = [row for row in rows if row["ratio"]]
    left, width, high, right = 170, 900, 18, 60
    more = [row["ratio"] - 1 for row in rows]
    low, most = min(0, *more) - 0.01, max(0.1, *more) + 0.01
    bottom = len(rows) * high

    def at(value):
        return left + (value - low) / (most - low) * (width - left - right)
    parts = []
    for tick in ticks(low, most):
        parts.append(f'<line x1="{at(tick):.1f}" x2="{at(tick):.1f}" y1="0" y2="{bottom}" '
                     f'stroke="{"#222" if abs(tick) < 1e-9 else "#ddd"}"/>')
        parts.append(text(at(tick), bottom + 14, f"{tick:+.0%}" if abs(tick) > 1e-9 else "native",
                          "middle"))
    for n, (row, value) in enumerate(zip(rows, more)):
        y, limit = n * high, goal(row)
        fill = OVER if limit and row["ratio"] > limit else OUZEL
        parts.append(text(left - 6, y + 13, row["name"], "end"))
        parts.append(f'<rect x="{min(at(0), at(value)):.1f}" y="{y + 3}" height="{high - 6}" '
                     f'width="{abs(at(value) - at(0)):.1f}" fill="{fill}">'
                     f'<title>{html.escape(row["what"])}</title></rect>')
        parts.append(text(width, y + 13, f"{row['ratio']:.3f}", "end"))
        if limit and limit - 1 <= most:
            parts.append(f'<line x1="{at(limit - 1):.1f}" x2="{at(limit - 1):.1f}" y1="{y + 1}" '
                         f'y2="{y + high - 1}" stroke="{GOAL}" stroke-width="2"/>')
    key = f'<p class=key>More than natively:<span style="background:{OUZEL}"></span>on Ouzel'
    if any(goal(row) for row in rows):
        key += (f'<span style="background:{OVER}"></span>more than the goal'
                f'<span style="background:{GOAL};width:2px"></span>the goal')
    return key + "</p>" + svg(width, bottom + 20, parts, f"ratio per row of {group}")


def curve(rows):
    """Jobs per 10^9 instructions by number of users, both sides."""
    points = [(int(row["name"].split("_")[1]), 1e9 / row["native"], 1e9 / row["ouzel"])
              for row in rows]
    most = max(max(p[1:]) for p in points) * 1.1
    left, width, high = 60, 700, 260
    step = (width - left - 40) / max(1, len(points) - 1)
    parts = [f'<line x1="{left}" x2="{width}" y1="{high}" y2="{high}" stroke="#222"/>']
    for tick in ticks(0, most, 6):
        y = high - tick / most * high
        parts.append(f'<line x1="{left}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" '
                     'stroke="#ddd"/>')
        parts.append(text(left - 6, y + 4, f"{tick:,.0f}", "end"))
    for column, fill in ((1, NATIVE), (2, OUZEL)):
        at = [(left + 20 + n * step, high - p[column] / most * high)
              for n, p in enumerate(points)]
        parts.append('<polyline fill="none" stroke-width="2" stroke="' + fill + '" points="'
                     + " ".join(f"{x:.1f},{y:.1f}" for x, y in at) + '"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{fill}"/>' for x, y in at]
    parts += [text(left + 20 + n * step, high + 16, str(p[0]), "middle")
              for n, p in enumerate(points)]
    parts.append(text(width / 2, high + 34, "users", "middle"))
    return ("<p class=key>Jobs per 10<sup>9</sup> instructions:"
            f'<span style="background:{NATIVE}"></span>native'
            f'<span style="background:{OUZEL}"></span>on Ouzel</p>'
            + svg(width, high + 40, parts, "throughput by users"))


def where(profiles):
    """[(row, native by layer, ouzel by layer, what differs)] as stacked bars, and a table."""
    left, width, parts, y = 170, 900, [], 0
    for name, *sides, _ in profiles:
        most = max(sum(side.values()) for side in sides)
        for title, side in zip(("native", "ouzel"), sides):
            parts.append(text(left - 6, y + 14, f"{name}, {title}", "end"))
            x = left
            for layer, n in side.items():
                w = n / most * (width - left - 80)
                parts.append(f'<rect x="{x:.1f}" y="{y + 2}" width="{w:.1f}" height="16" '
                             f'fill="{COLOURS[layer]}"><title>{layer}: {n:,.1f}</title></rect>')
                if w > 40:
                    parts.append(text(x + w / 2, y + 14, f"{n:,.0f}", "middle"))
                x += w
            parts.append(text(x + 4, y + 14, f"{sum(side.values()):,.0f}"))
            y += 20
        y += 10
    key = "".join(f'<span style="background:{COLOURS[layer]}"></span>{layer}' for layer in LAYERS
                  if any(layer in side for _, *sides, _ in profiles for side in sides))
    return ("<h2>Where the instructions of one operation go</h2><p class=key>Layers:" + key
            + "</p>" + svg(width, y, parts, "instructions by layer")
            + "".join(functions(*one) for one in profiles))


def functions(name, native, ouzel, differ):
    """The layers of one row, and below each its functions that differ most."""
    def line(what, a, b, style):
        return (f"<tr{style}><td>{html.escape(what)}<td>{number(a)}<td>{number(b)}"
                f"<td>{b - a:+,.1f}")
    lines = []
    for layer in dict.fromkeys([*native, *ouzel]):
        lines.append(line(f"all of {layer}", native.get(layer, 0), ouzel.get(layer, 0),
                          " class=layer"))
        lines += [line(function, a, b, "") for of, function, a, b in differ if of == layer]
    return (f"<h3>{html.escape(name)}</h3><table class=narrow><tr><th>instructions of one"
            f"<th>native<th>ouzel<th>more{''.join(lines)}</table>")


def table(rows):
    counters = [c for c in COUNTERS if any(row.get(c) for row in rows)]
    head = "".join(f"<th>{c}" for c in ("row", "native", "ouzel", "ratio", *counters))
    lines = []
    for row in rows:
        limit = goal(row)
        style = "" if not limit else " class=over" if row["ratio"] > limit else " class=within"
        ratio = f"{row['ratio']:.3f}" if row["ratio"] else "-"
        lines.append(f"<tr><td>{html.escape(row['name'])}: {html.escape(row['what'])}"
                     f"<td>{number(row['native'])}<td>{number(row['ouzel'])}"
                     f"<td{style}>{ratio}"
                     + "".join(f"<td>{number(row.get(c))}" for c in counters))
    unit = rows[0]["unit"] + (" per operation" if rows[0]["unit"] == "instructions" else "")
    return f"<table><tr>{head}{''.join(lines)}</table><p class=unit>{html.escape(unit)}"


def ours(names, rows):
    """What this run has for rows of these names or groups, in a few words."""
    some = [row for row in rows if row["name"] in names or row["group"] in names]
    if not some:
        return "-"
    if names == ("users",):  # the highest throughput of each side
        lost = 1 - min(row["native"] for row in some) / min(row["ouzel"] for row in some)
        return f"{lost:.1%} lower"
    if len(some) > 1:
        return f"{mean(some) - 1:+.1%} (mean of {len(some)})"
    return f"{some[0]['ratio']:.3f} times native"


def published(rows):
    lines = [(what, figure, ours(names, rows), source, status)
             for what, figure, source, status, names in PUBLISHED]
    return ("<h2>Published figures</h2><p>Not measured by us but for the third column, on other "
            "machines and other versions: for the order of magnitude. Ours count instructions, "
            "theirs are times."
            "<table><tr>" + "".join(f"<th class=text>{c}" for c in
                                    ("what", "figure", "this run", "source", "status"))
            + "".join("<tr>" + "".join(f"<td class=text>{html.escape(cell)}" for cell in line)
                      for line in lines) + "</table>")


def page(rows, profiles, options, wrong):
    parts = ["<!doctype html><html lang=en><head><meta charset=utf-8>"
             "<meta name=viewport content='width=device-width'>"
             f"<title>Linux on Ouzel, against native Linux</title><style>{STYLE}</style></head>"
             "<body><h1>Linux on Ouzel, against native Linux</h1>"
             "<p>The same Linux tree, configuration, machine and programs, once natively and once "
             "as a server of the Ouzel microkernel, in QEMU, where an instruction is a "
             "nanosecond. Instructions are not time: the columns beside the ratio count what a "
             "real core charges for besides. "
             f"{options.smp} CPU(s), {options.mem} of memory, each row {options.repeat} time(s); "
             f"{time.strftime('%Y-%m-%d')}."]
    if wrong:
        parts.append("<p class=over>" + "<br>".join(html.escape(one) for one in wrong))
    for group, some in groups(rows).items():
        parts.append(f"<h2>{TITLES.get(group, group)}</h2>")
        if group in MEAN_GOALS and len(some) > 1:
            parts.append(f"<p>Geometric mean of the ratios: <b>{mean(some):.3f}</b> (goal: at "
                         f"most {MEAN_GOALS[group]}; of a row: at most {GROUP_GOALS[group]}).")
        if group == "users" and len(some) > 1:
            parts.append(curve(some))
        elif len(some) > 1:
            parts.append(bars(some, group))
        parts.append(table(some))
    if profiles:
        parts.append(where(profiles))
    return "\n".join(parts) + published(rows) + "</body></html>\n"
