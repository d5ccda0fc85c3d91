# SPDX-License-Identifier: MIT
"""./ouzel bench linux --profile ROW: where the instructions of a row go, on both sides.

QEMU runs one instruction per translated block while the row is measured, and logs each. The log
is folded onto the functions of the Ouzel kernel, of Linux and of the program, so every
instruction is counted, none sampled. Call stacks are guessed from branches and returns: in a row
that switches processes, a stack may be that of the process before.
"""
import bisect
import html
import json
import os
import re
import socket
import struct
import time
from collections import Counter

from machine import Guest
from say import BUILD, Failure, say, short

TRACE = re.compile(r"^Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/", re.M)
ENOUGH = 2_000_000  # instructions that a trace may have natively: a matter of a minute
LAYERS = ("program", "linux", "ouzel", "pager")
COLOURS = {"program": "#7fb069", "linux": "#5b8db8", "ouzel": "#e4a04a", "pager": "#c65b7c",
           "?": "#999999"}


class Elf:
    """A 64-bit ELF file's functions, and its bytes by address."""

    def __init__(self, path, layer):
        self.layer = layer
        with open(path, "rb") as f:
            self.data = f.read()
        if self.data[:4] != b"\x7fELF":
            raise Failure(f"{short(path)} is no ELF file")
        phoff, shoff = struct.unpack_from("<QQ", self.data, 32)
        phsize, phnum, shsize, shnum = struct.unpack_from("<HHHH", self.data, 54)
        self.segments = []
        for n in range(phnum):
            kind, _, off, va, _, size = struct.unpack_from("<IIQQQQ", self.data,
                                                           phoff + n * phsize)
            if kind == 1:
                self.segments.append((va, va + size, off))
        sections = [struct.unpack_from("<IIQQQQIIQQ", self.data, shoff + n * shsize)
                    for n in range(shnum)]
        code = {n for n, s in enumerate(sections) if s[2] & 4}
        best = {}
        for section in sections:
            if section[1] != 2:
                continue
            names = sections[section[6]][4]
            for at in range(section[4], section[4] + section[5], 24):
                name, info, _, where, va, _ = struct.unpack_from("<IBBHQQ", self.data, at)
                # Functions, and what assembly only labels; not $x and local labels.
                if where in code and info & 15 in (0, 2) and name:
                    end = self.data.index(b"\0", names + name)
                    text = self.data[names + name:end].decode()
                    if not text.startswith(("$", ".L")) and (info & 15 == 2 or va not in best):
                        best[va] = text
        self.starts = sorted(best)
        self.names = [best[va] for va in self.starts]

    def holds(self, pc):
        return any(start <= pc < end for start, end, _ in self.segments)

    def function(self, pc):
        n = bisect.bisect_right(self.starts, pc) - 1
        return self.names[n] if n >= 0 else "?"

    def word(self, pc):
        for start, end, off in self.segments:
            if start <= pc <= end - 4:
                return struct.unpack_from("<I", self.data, off + pc - start)[0]
        return 0

    def address(self, name):
        return self.starts[self.names.index(name)]


class Qmp:
    """The control socket of QEMU, as much of it as one command needs."""

    def __init__(self, path):
        end = time.monotonic() + 30
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError as e:
                if time.monotonic() > end:
                    raise Failure(f"QEMU's control socket: {e}") from e
                time.sleep(0.1)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.call("qmp_capabilities")

    def call(self, name, **arguments):
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "error" in answer:
                raise Failure(f"QEMU: {name}: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]

    def monitor(self, line):
        said = self.call("human-monitor-command", **{"command-line": line})
        if said.strip():
            raise Failure(f"QEMU: {line}: {said.strip()}")


def record(side, limit, scratch):
    """Run a side whose plan says --trace; returns the file with every instruction."""
    path = os.path.join(scratch, f"trace-{side.kind}.log")
    control = os.path.join(scratch, f"{side.kind}.qmp")
    side.machine.extra += ["-qmp", f"unix:{os.path.relpath(control)},server=on,wait=off",
                           "-D", path]
    side.start()
    try:
        qmp = Qmp(os.path.relpath(control))
        if not side.guest.expect(rb"ROW trace begin", limit):
            raise Failure(f"{side.kind}: the row did not start within {limit} s: "
                          + side.guest.output[-300:].decode(errors="replace"))
        qmp.monitor("singlestep on")
        qmp.monitor("log exec,nochain")
        side.guest.type(b"\r")
        if not side.guest.expect(rb"ROW trace end", limit):
            raise Failure(f"{side.kind}: the row did not end within {limit} s")
        qmp.monitor("log none")
        qmp.monitor("singlestep off")
        side.guest.type(b"\r")
        if not side.guest.expect(rb"ROWS \d+", limit):
            raise Failure(f"{side.kind}: the program did not end within {limit} s")
    finally:
        side.end()
    return path


def is_call(word):
    return word & 0xFC000000 == 0x94000000 or word & 0xFFFFFC1F == 0xD63F0000


def is_return(word):
    return word & 0xFFFFFC1F == 0xD65F0000 or word == 0xD69F03E0  # RET, ERET


class Folder:
    """Instructions, one by one, onto stacks of functions."""

    def __init__(self, elves):
        self.elves, self.known = elves, {}
        self.stacks = {layer: [] for layer in (*LAYERS, "?")}
        self.count = Counter()
        self.layer, self.word, self.outside = "?", 0, "program"

    def place(self, pc):
        found = self.known.get(pc)
        if not found:
            found = ("?", f"[{pc >> 12:x}]", 0)
            for elf in self.elves:
                if elf.holds(pc):
                    found = (elf.layer, elf.function(pc), elf.word(pc))
                    break
            self.known[pc] = found
        return found

    def step(self, pc):
        layer, name, word = self.place(pc)
        stack = self.stacks[layer]
        if layer != self.layer:
            self.enter(layer, name, stack)
        elif not stack:
            stack.append(name)
        elif name != stack[-1]:
            if is_call(self.word):
                stack.append(name)
            elif is_return(self.word) and name in stack:
                while stack[-1] != name:
                    stack.pop()
            elif layer == "linux" and name == "vectors":
                stack.append(name)
            else:
                stack[-1] = name
        self.layer, self.word = layer, word
        self.count[(layer, *stack)] += 1

    def enter(self, layer, name, stack):
        """From another layer: a new exception, or back to what called."""
        if layer == "ouzel":
            stack[:] = [name]
        elif layer == "linux" and name == "vectors":
            if self.outside != "linux":
                stack.clear()
            stack.append(name)
        elif name in stack:
            while stack[-1] != name:
                stack.pop()
        else:
            stack[:] = [name]
        if layer != "ouzel":
            self.outside = layer


def fold(path, elves, program):
    """The stacks between the program's marks: {(layer, function...): instructions}."""
    first, last = program.address("mark_begin"), program.address("mark_end")
    folder, on = Folder(elves), False
    with open(path) as f:
        for line in f:
            match = TRACE.match(line)
            if not match:
                continue
            pc = int(match[1], 16)
            if on and pc == last:
                return folder.count
            if on:
                folder.step(pc)
            elif pc == first:
                on = True
    raise Failure(f"{short(path)}: the row's " + ("end" if on else "start") + " is not in it")


def by_function(count, ops):
    found = Counter()
    for stack, n in count.items():
        found[(stack[0], stack[-1])] += n / ops
    return found


def layers(count, ops):
    found = Counter()
    for stack, n in count.items():
        found[stack[0]] += n / ops
    return {layer: found[layer] for layer in (*LAYERS, "?") if found[layer]}


def differences(counts, ops, most):
    """[(layer, function, native, ouzel)], what differs most first."""
    native, ouzel = (by_function(count, ops) for count in counts)
    keys = sorted(set(native) | set(ouzel), key=lambda key: -abs(ouzel[key] - native[key]))
    return [(*key, native[key], ouzel[key]) for key in keys[:most]
            if abs(ouzel[key] - native[key]) >= 0.05]


def table(counts, ops, most=45):
    native, ouzel = (by_function(count, ops) for count in counts)
    lines = [f"{'instructions per operation':46}{'native':>15}{'ouzel':>15}{'extra':>15}"]
    for layer in (*LAYERS, "?"):
        a, b = (sum(n for key, n in side.items() if key[0] == layer) for side in (native, ouzel))
        if a or b:
            lines.append(f"{'all of ' + layer:46}{a:>15,.1f}{b:>15,.1f}{b - a:>+15,.1f}")
    a, b = sum(native.values()), sum(ouzel.values())
    lines.append(f"{'all':46}{a:>15,.1f}{b:>15,.1f}{b - a:>+15,.1f}   ratio {b / a:.3f}")
    for layer, name, a, b in differences(counts, ops, most):
        lines.append(f"{layer + ': ' + name:46.46}{a:>15,.1f}{b:>15,.1f}{b - a:>+15,.1f}")
    return "\n".join(lines)


# ---- flame graph -------------------------------------------------------------------------

def tree(count, ops):
    root = [0, {}]
    for stack, n in count.items():
        node = root
        node[0] += n / ops
        for name in stack:
            node = node[1].setdefault(name, [0, {}])
            node[0] += n / ops
    return root


def flames(count, ops, scale, title):
    """An SVG: widths are instructions per operation, the same scale for both sides."""
    boxes, deepest = [], 0

    def draw(node, x, depth, layer):
        nonlocal deepest
        for name, (n, below) in sorted(node[1].items(), key=lambda item: -item[1][0]):
            width = n * scale
            if width >= 0.3:
                deepest = max(deepest, depth)
                mine = layer or name
                boxes.append((x, depth, width, name, n, COLOURS[mine]))
                draw([n, below], x, depth + 1, mine)
            x += width

    whole = tree(count, ops)
    draw(whole, 0, 0, None)
    height = (deepest + 1) * 17 + 2
    parts = [f"<h3>{title}: {whole[0]:,.0f} instructions per operation</h3>",
             f'<svg viewBox="0 0 1200 {height}" width="100%" font-family="sans-serif" '
             f'font-size="11" role="img" aria-label="{title}">']
    for x, depth, width, name, n, fill in boxes:
        y = height - (depth + 1) * 17
        text = html.escape(name)
        parts.append(f'<g><title>{text}: {n:,.1f}</title><rect x="{x:.1f}" y="{y}" '
                     f'width="{width:.1f}" height="16" fill="{fill}" stroke="#fff" '
                     'stroke-width=".5"/>')
        letters = int(width / 6.2)
        if letters >= 3:
            parts.append(f'<text x="{x + 2:.1f}" y="{y + 12}">'
                         f"{html.escape(name[:letters])}</text>")
        parts.append("</g>")
    return "\n".join(parts + ["</svg>"])


def page(row, counts, ops, text):
    widest = max(sum(count.values()) / ops for count in counts)
    graphs = [flames(count, ops, 1200 / widest, title)
              for count, title in zip(counts, ("Native Linux", "Linux on Ouzel"))]
    return ("<!doctype html><html lang=en><meta charset=utf-8>"
            f"<title>{row}: where the instructions go</title>"
            "<style>body{font:15px sans-serif;margin:2em;max-width:1250px}pre{font-size:12px}"
            "</style>"
            f"<h1>{row}: where the instructions go</h1><p>Every instruction of {ops} operations, "
            "by function; point at a box for its count. Colours: "
            + ", ".join(f'<b style="color:{COLOURS[layer]}">{layer}</b>' for layer in LAYERS)
            + ".</p>" + "".join(graphs) + f"<h2>By function</h2><pre>{html.escape(text)}</pre>"
            "</html>\n")


def elves(folder, kind, program):
    found = [Elf(os.path.join(BUILD, "linux", kind, "vmlinux"), "linux"), program]
    if kind == "ouzel":
        found.insert(0, Elf(os.path.join(folder, "kernel.elf"), "ouzel"))
    return found
