# SPDX-License-Identifier: MIT
"""./ouzel bench linux --html: one page with plots, that needs nothing from anywhere."""
import html
import time

from compare_profile import COLOURS, LAYERS
from compare_report import COUNTERS, GROUP_GOALS, MEAN_GOALS, goal, groups, mean, number

NATIVE, OUZEL, OVER = "#5b8db8", "#e4a04a", "#c0504d"
TITLES = {"validity": "Is the run valid", "syscall": "System calls",
          "application": "Applications (busybox)", "debian": "Applications (Debian's programs)",
          "users": "Many users at once", "memory": "Memory", "scaling": "Scaling", "boot": "Boot"}

# (what, figure, source, status): nothing here was measured by this project.
PAPER = "Härtig, Hohmuth, Liedtke, Schönberg, Wolter: The Performance of µ-Kernel-Based " \
        "Systems, SOSP 1997 (Pentium 133, Linux 2.0)"
PUBLISHED = (
    ("AIM maximum throughput, L4Linux against native Linux", "5 % lower", PAPER,
     "confirmed (abstract)"),
    ("penalty of in-kernel and user-level MkLinux, against L4Linux's", "5 and 7 times", PAPER,
     "confirmed (abstract)"),
    ("AIM jobs per minute, native and L4Linux", "about 130 and 123", PAPER, "second-hand"),
    ("recompiling the Linux server", "6-7 % slower", PAPER, "second-hand"),
    ("getpid on L4Linux", "about 2.4 times native", PAPER, "second-hand"),
    ("getpid on MkLinux, in-kernel and user-level", "3.9 and 29 times L4Linux's", PAPER,
     "second-hand"),
    ("applications", "5-10 % penalty", PAPER, "confirmed (course notes of the paper)"),
    ("getppid, L4Linux 5.6 on L4Re, Raspberry Pi 3, 32-bit", "13.4 times native",
     "Stamatis, master thesis, 2020", "second-hand"),
    ("getppid, User-mode Linux for arm64, Snapdragon 870", "22.0 µs, native 0.079",
     "linux-um-arm64, 2026", "second-hand"),
    ("openat, the same", "49.1 µs, native 2.47", "linux-um-arm64, 2026", "second-hand"),
    ("page fault, the same", "51.2 µs, native 1.47", "linux-um-arm64, 2026", "second-hand"),
    ("getpid, User-mode Linux on x86, with and without MMU", "24,979 and 2,691 ns, native 172",
     "nommu UML v8 patch series", "second-hand"),
    ("system call, gVisor with ptrace, with KVM, runc", "38,219, 763 and 1,939 ns",
     "gVisor performance guide, 2019", "second-hand"),
)

STYLE = """
body{font:15px/1.4 system-ui,sans-serif;margin:2em auto;max-width:1100px;padding:0 1em;
color:#222;background:#fff}
table{border-collapse:collapse;margin:1em 0;font-size:13px;width:100%}
th,td{text-align:right;padding:2px 8px;border-bottom:1px solid #ddd;white-space:nowrap}
th:first-child,td:first-child,td.text{text-align:left;white-space:normal}
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


def bars(rows, group):
    """A bar per row: how much more than native. Where a goal is, a line shows it."""
    rows = [row for row in rows if row["ratio"]]
    left, width, high = 170, 900, 18
    most = max(1.2, *(row["ratio"] for row in rows))
    scale = (width - left - 60) / most
    parts = []
    for tick in (0, 1, 2, 3, 4, 6, 8, 10):
        if tick <= most:
            x = left + tick * scale
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{len(rows) * high}" '
                         f'stroke="{"#222" if tick == 1 else "#ddd"}"/>')
            parts.append(text(x, len(rows) * high + 14, str(tick), "middle"))
    for n, row in enumerate(rows):
        y, limit = n * high, goal(row)
        fill = OVER if limit and row["ratio"] > limit else OUZEL
        parts.append(text(left - 6, y + 13, row["name"], "end"))
        parts.append(f'<rect x="{left}" y="{y + 3}" height="{high - 6}" fill="{fill}" '
                     f'width="{row["ratio"] * scale:.1f}"><title>{html.escape(row["what"])}'
                     "</title></rect>")
        parts.append(text(left + row["ratio"] * scale + 4, y + 13, f"{row['ratio']:.3f}"))
        if limit:
            x = left + limit * scale
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y + 1}" y2="{y + high - 1}" '
                         'stroke="#3a7d34" stroke-width="2"/>')
    return svg(width, len(rows) * high + 20, parts, f"ratio per row of {group}")


def curve(rows):
    """Jobs per 10^9 instructions by number of users, both sides."""
    points = [(int(row["name"].split("_")[1]), 1e9 / row["native"], 1e9 / row["ouzel"])
              for row in rows]
    most = max(max(p[1:]) for p in points) * 1.1
    left, width, high = 60, 700, 260
    step = (width - left - 40) / max(1, len(points) - 1)
    parts = [f'<line x1="{left}" x2="{width}" y1="{high}" y2="{high}" stroke="#222"/>']
    for tick in range(5):
        y = high - high * tick / 4 * 0.95
        parts.append(f'<line x1="{left}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" '
                     'stroke="#ddd"/>')
        parts.append(text(left - 6, y + 4, f"{most * tick / 4 * 0.95:,.0f}", "end"))
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
    """[(row, native by layer, ouzel by layer)] as stacked bars."""
    left, width, parts, y = 170, 900, [], 0
    for name, *sides in profiles:
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
    key = "".join(f'<span style="background:{COLOURS[layer]}"></span>{layer}'
                  for layer in LAYERS)
    return ("<h2>Where the instructions of one operation go</h2><p class=key>Layers:" + key
            + "</p>" + svg(width, y, parts, "instructions by layer"))


def table(rows):
    counters = [c for c in COUNTERS if any(c in row for row in rows)]
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
    unit = rows[0]["unit"]
    return f"<table><tr>{head}{''.join(lines)}</table><p>Unit: {html.escape(unit)} per operation."


def published():
    return ("<h2>Published figures</h2><p>Not measured by us, on other machines and other "
            "versions: for the order of magnitude.<table><tr><th>what<th>figure<th>source"
            "<th>status" + "".join("<tr>" + "".join(f"<td class=text>{html.escape(cell)}"
                                                    for cell in line) for line in PUBLISHED)
            + "</table>")


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
    return "\n".join(parts) + published() + "</body></html>\n"
