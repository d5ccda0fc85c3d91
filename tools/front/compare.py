# SPDX-License-Identifier: MIT
"""./ouzel bench linux: what Linux costs on Ouzel, against the same Linux natively.

Two machines run at once, one with the Linux server on Ouzel, one with the native build of the
same tree and configuration: same QEMU machine, same programs (bench/linux), same rows in the same
order. Under -icount shift=0,sleep=off a nanosecond of the guest's clock is one instruction, so
each counts its own, undisturbed by the other. bench/linux/main.c says how a row comes.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import build
import initrd
import packages
from compare_report import effort, read_json, show, slower, write_json
from machine import Guest, Machine, check_output, clean
from say import BUILD, LOGS, ROOT, Failure, say, short

KINDS = ("native", "ouzel")
DEFAULT = ("validity", "boot", "syscall", "application", "debian", "users", "memory")
FULL = (*DEFAULT, "scaling")
EXPLAINED = ("getpid", "anon_fault", "pipe")  # rows that --html shows layer by layer
VALID = 0.005  # how much the row that calls nothing may differ
SCRATCH = os.path.join(BUILD, "bench-linux")
TEXTS = ("group", "unit", "check")
LINE = re.compile(r"^ROW (\S+) (.*?)\r?\n", re.M)
END = re.compile(r"^ROWS \d+\r?\n", re.M)


class Row:
    """A row of one side: what each repetition said."""

    def __init__(self, name):
        self.name, self.samples, self.failed, self.seconds = name, [], None, 0

    def hear(self, text):
        if text.startswith("failed"):
            self.failed = text[7:]
            return
        fields = dict(word.split("=", 1) for word in text.split())
        self.samples.append({key: value if key in TEXTS else int(value)
                             for key, value in fields.items()})


class Side:
    """One of the two machines, and what it said so far."""

    def __init__(self, kind, options, plan, disks=()):
        self.kind, self.rows, self.read, self.running = kind, {}, 0, None
        self.seconds = 0  # of this machine's CPUs, that QEMU had taken at the last charge()
        self.ramdisk = initrd.make(kind, f"initrd-bench-{kind}-{os.getpid()}.cpio",
                                   [(plan, "test")])
        self.machine = Machine(
            image=options.kernels[kind], initrd=self.ramdisk, smp=options.smp, mem=options.mem,
            icount=True,
            # norandmaps: a stack that lies across two pages on one side only costs a fault more.
            append="console=ttyAMA0 panic=5 norandmaps ouzel.test=/test/start.sh",
            disks=list(disks),
            # The same "random" numbers in every run: rows repeat. What is written to a disk is
            # forgotten: both sides find the same.
            extra=["-seed", "1", "-snapshot"])

    def start(self):
        self.guest = Guest(self.machine)

    def listen(self):
        """Take what came; True while more may come."""
        alive = self.guest.pump(0.05)
        text = bytes(self.guest.output[self.read:]).decode(errors="replace")
        whole = text.rfind("\n") + 1
        for name, rest in LINE.findall(text[:whole]):
            if name == "start":
                self.charge()
                self.running = rest
            else:
                self.rows.setdefault(name, Row(name)).hear(rest)
        self.read += len(text[:whole].encode()) if whole else 0
        return alive and not END.search(text[:whole])

    def charge(self):
        """What QEMU took since the last time was for the row that runs."""
        now = self.guest.cpu_seconds() or self.seconds
        if self.running:
            self.rows.setdefault(self.running, Row(self.running)).seconds += now - self.seconds
        self.seconds = now

    def end(self):
        self.charge()
        self.guest.kill()
        os.remove(self.ramdisk)
        os.makedirs(LOGS, exist_ok=True)
        self.log = os.path.join(LOGS, f"bench-linux-{self.kind}.log")
        with open(self.log, "w") as f:
            f.write(clean(self.guest.output))


def known_rows():
    """[(name, group, what)] of the program. It is for arm64, so its sources tell."""
    found, group = [], None
    folder = os.path.join(ROOT, "bench", "linux")
    for name in ("boot.c", "syscalls.c", "memory.c", "processes.c", "channels.c", "apps.c",
                 "files.c", "users.c", "scaling.c"):
        with open(os.path.join(folder, name)) as f:
            text = f.read()
        for match in re.finditer(r'^#define GROUP "(\w+)"|^ROW\((\w+), \w+, "(.*?)"\)', text,
                                 re.M):
            if match[1]:
                group = match[1]
            else:
                found.append((match[2], group, match[3]))
    return found


def choose(known, wanted, default=()):
    """The rows to run: all, or those asked for; the one that proves the run valid first."""
    if not wanted:
        wanted = default
    found = {pattern: [name for name, group, _ in known if pattern == group
                       or re.fullmatch(pattern, name)] for pattern in wanted}
    for pattern, names in found.items():
        if not names:
            raise Failure(f"--row {pattern}: no such row or group; there are: "
                          + " ".join(name for name, _, _ in known))
    return ["compute"] + [name for name, _, _ in known if name != "compute"
                          and any(name in names for names in found.values())]


def make_plan(program, words, scratch):
    """The folder /test of both machines: the program, and what it is to do."""
    plan = os.path.join(scratch, "test")
    shutil.rmtree(plan, ignore_errors=True)
    os.makedirs(os.path.join(plan, "bin"))
    shutil.copy(program, os.path.join(plan, "bin", "rows"))
    for name in ("start.sh", "apps.sh", "pieces.py"):
        shutil.copy(os.path.join(ROOT, "bench", "linux", name), plan)
    subprocess.run(["aarch64-linux-gnu-strip", os.path.join(plan, "bin", "rows")], check=True)
    with open(os.path.join(plan, "plan"), "w") as f:
        f.write("\n".join(words) + "\n")
    return plan


def run_sides(sides, names, limit):
    """Both machines until both are done, with a line of progress."""
    start = said = time.monotonic()
    going = list(sides)
    for side in sides:
        side.start()
    try:
        while going and time.monotonic() < start + limit:
            going = [side for side in going if side.listen()]
            if time.monotonic() > said + (0.5 if sys.stdout.isatty() else 30):
                said = time.monotonic()
                done = ", ".join(f"{side.kind} {len(side.rows)} of {len(names)} ({side.running})"
                                 for side in sides)
                line = f"ouzel: rows done: {done}, {said - start:.0f} s "
                print(f"\r\033[K{line}" if sys.stdout.isatty() else line,
                      end="" if sys.stdout.isatty() else "\n", flush=True)
    finally:
        if sys.stdout.isatty():
            print("\r\033[K", end="")
        for side in sides:
            side.end()
    say(f"{len(names)} rows, both sides: {time.monotonic() - start:.0f} s")
    return [f"FAILED {side.kind}: stopped after {limit} s, in row {side.running}" for side in going]


def merge(known, names, sides):
    """[{name, group, ..., native, ouzel, ratio}] and what went wrong."""
    import statistics
    what = {name: (group, text) for name, group, text in known}
    rows, wrong = [], []
    for name in names:
        pair = [side.rows.get(name) for side in sides]
        bad = [f"{side.kind}: " + (one.failed or "did not end" if one else "did not run")
               for side, one in zip(sides, pair) if not one or one.failed or not one.samples]
        checks = {s["check"] for one in pair if one for s in one.samples}
        if not bad and len(checks) != 1:
            bad = [f"{side.kind} computed {', '.join(sorted({s['check'] for s in one.samples}))}"
                   for side, one in zip(sides, pair)]
        if bad:
            wrong.append(f"FAILED {name}: " + "; ".join(bad))
            continue
        row = {"group": what[name][0], "name": name, "what": what[name][1],
               "unit": pair[0].samples[0]["unit"], "ops": pair[0].samples[0]["ops"],
               "seconds": [round(one.seconds, 1) for one in pair]}
        for side, one in zip(sides, pair):
            costs = sorted(s["time"] / s["ops"] for s in one.samples)
            row[side.kind] = round(statistics.median(costs), 2)
            if len(costs) > 1:
                row[side.kind + "_min"], row[side.kind + "_max"] = (
                    round(costs[0], 2), round(costs[-1], 2))
        row["ratio"] = round(row["ouzel"] / row["native"], 4) if row["native"] else None
        for side, keys in zip(pair, (["ctxt"], pair[1].samples[0])):
            for key in keys:
                if key in side.samples[0] and key not in (*TEXTS, "ops", "time"):
                    row[("native_" if side is pair[0] else "") + key] = round(
                        statistics.median(s[key] / s["ops"] for s in side.samples), 3)
        rows.append(row)
    return rows, wrong


def validity(rows):
    """Why the run proves nothing, or None."""
    for row in rows:
        if row["group"] == "validity":
            if abs(row["ratio"] - 1) <= VALID:
                return None
            return (f"a loop that calls nothing costs {row['ratio']:.4f} of native: more than "
                    f"{VALID:.1%} apart")
    return "the row that proves it did not run"


def disks_for(known, names):
    """Debian's programs, if one of the rows needs them."""
    if not any(group == "debian" and name in names for name, group, _ in known):
        return []
    import compare_root
    return [compare_root.image()]


def measure(known, names, words, program, options):
    """Run the rows on both sides: (rows, what went wrong)."""
    plan = make_plan(program, [*words, *names], options.scratch)
    sides = [Side(kind, options, plan, disks_for(known, names)) for kind in KINDS]
    wrong = run_sides(sides, names, options.limit)
    rows, more = merge(known, names, sides)
    say(effort(rows, [side.seconds for side in sides]))
    if wrong or more:
        more.append("all that they said: " + " ".join(short(side.log) for side in sides))
    return rows, wrong + more


def trace(known, name, cost, program, folder, options):
    """Every instruction of some operations of a row that cost so many: (counts of both, ops)."""
    import compare_profile as tool
    ops = max(2, min(300, int(tool.ENOUGH / cost)))
    plan = make_plan(program, ["--trace", "--ops", str(ops), name], options.scratch)
    symbols, counts = tool.Elf(program, "program"), []
    for kind in KINDS:
        say(f"{name}, {kind}: {ops} operations, instruction by instruction")
        log = tool.record(Side(kind, options, plan, disks_for(known, [name])),
                          options.limit, options.scratch)
        counts.append(tool.fold(log, tool.elves(folder, kind, symbols), symbols))
        os.remove(log)
    return counts, ops


def trace_boot(program, folder, options):
    import compare_boot
    plan = make_plan(program, ["boot"], options.scratch)
    return [compare_boot.count(Side(kind, options, plan), folder, options.limit, options.scratch)
            for kind in KINDS], 1


def profiled(known, options):
    """The one row that --profile names."""
    name, *more = choose(known, [options.profile])[1:] or ["compute"]
    if more:
        raise Failure(f"--profile {options.profile}: one row, not {', '.join([name, *more])}")
    return name


def profile(known, program, folder, options):
    """--profile ROW: once to see how big an operation is, then where its instructions go."""
    import compare_profile as tool
    name = profiled(known, options)
    if name == "boot":
        counts, ops = trace_boot(program, folder, options)
    else:
        rows, wrong = measure(known, [name], ["--divide", "10"], program, options)
        if wrong:
            raise Failure("; ".join(wrong))
        counts, ops = trace(known, name, rows[0]["native"], program, folder, options)
    text = tool.table(counts, ops)
    print(text)
    path = options.html or os.path.join(SCRATCH, f"profile-{name}.html")
    with open(path, "w") as f:
        f.write(tool.page(name, counts, ops, text))
    say(f"flame graphs: {short(path)}")
    return 0


def run(options):
    if options.profile and (options.json or options.compare or options.row):
        raise Failure("--profile looks at one row: not with --row, --json or --compare")
    if options.profile:
        profiled(known_rows(), options)
    check_output(options.json, "--json")
    check_output(options.html, "--html")
    old = read_json(options.compare) if options.compare else None
    packages.ensure(packages.BUILDING, packages.RUNNING, packages.LINUX, packages.TESTING)
    os.makedirs(SCRATCH, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as options.scratch:
        return run_here(options, old)


def run_here(options, old):
    known = known_rows()
    folder = build.cross("gcc", ["linux_bench"])
    program = os.path.join(folder, "linux-bench", "rows")
    options.kernels = {"native": build.linux("native"), "ouzel": build.image("linux")}
    if options.profile:
        return profile(known, program, folder, options)
    names = choose(known, options.row, FULL if options.full else DEFAULT)
    words = ["--divide", str(options.divide), "--repeat", str(options.repeat),
             "--mem", options.mem.rstrip("M")]
    rows, wrong = measure(known, names, words, program, options)
    invalid = validity(rows)
    if invalid:
        wrong.append(f"INVALID: {invalid}")
    show(rows)
    if options.json:
        write_json(options.json, rows, options)
        say(f"rows written to {options.json}")
    if options.compare:
        print(slower(rows, old, options.compare))
    if options.html:
        import compare_page
        import compare_profile as tool
        layers = []
        for row in rows:
            if row["name"] in EXPLAINED:
                counts, ops = trace(known, row["name"], row["native"], program, folder, options)
                layers.append((row["name"], *(tool.layers(count, ops) for count in counts),
                               tool.differences(counts, ops, 14)))
        with open(options.html, "w") as f:
            f.write(compare_page.page(rows, layers, options, wrong))
        say(f"page written to {options.html}")
    for text in wrong:
        print(text)
    return 1 if wrong else 0
