# SPDX-License-Identifier: MIT
"""gdb commands that show Ouzel's objects. ./ouzel debug loads them; docs/debugging.md.

    ouzel-tasks       tasks: quota, use, regions, what they own
    ouzel-threads     threads: state, what they wait for, where they are
    ouzel-spaces      spaces: table, ASIDs, size
    ouzel-endpoints   endpoints and notifications: who waits there
    ouzel-trace [N]   the last N events of each core's ring (default 32)
    ouzel-trace-on [CLASS...]   record these classes, or all; ouzel-trace-off ends it
"""
import os
import re

import gdb

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
with open(os.path.join(TOP, "include", "ouzel", "abi.h")) as _f:
    _abi = _f.read()
CAP = {name: int(n) for name, n in re.findall(r"^#define CAP_(\w+)\s+(\d+)", _abi, re.M)}
_tracing = re.search(r"#define OUZEL_TRACES\(T\).*?(?=\nenum)", _abi, re.S).group(0)
TRACES = re.findall(r"\bT\((\w+)\)", _tracing)


class kernel_view:
    """While a core is in a program, QEMU reads memory with that program's rights, and the
    kernel's is not among them. So the core is shown as being at EL1 (PSTATE.M, Arm ARM C5.2)
    while we read, and put back afterwards."""

    def __enter__(self):
        self.cpsr = int(gdb.parse_and_eval("$cpsr")) & 0xffffffff
        if self.cpsr & 0xf == 0:
            gdb.execute(f"set $cpsr = {self.cpsr | 5:#x}", to_string=True)

    def __exit__(self, *error):
        if self.cpsr & 0xf == 0:
            gdb.execute(f"set $cpsr = {self.cpsr:#x}", to_string=True)


def pointer(value):
    return int(value) & 0xffffffffffffffff


def variable(name):
    symbol = gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)
    if not symbol:
        raise gdb.GdbError(f"no {name}: are the kernel's symbols loaded?")
    return symbol.value()


def container(obj, kind):
    kind = gdb.lookup_type(kind)
    offset = next(f.bitpos // 8 for f in kind.fields() if f.name == "object")
    return gdb.Value(pointer(obj) - offset).cast(kind.pointer()).dereference()


def each_task():
    table = variable("tasks")
    for i in range(table.type.range()[1] + 1):
        if pointer(table[i]):
            yield table[i].dereference()


def each_object(kind=None):
    """(owner, object) of every object, in the order in which it was made."""
    for task in each_task():
        found, at = [], task["owned"]
        while pointer(at):
            if kind is None or int(at["type"]) == CAP[kind]:
                found.append(at)
            at = at["next_owned"]
        for one in reversed(found):
            yield task, one


def state(thread):
    text = str(int(thread["state"]).__index__())
    for field in gdb.lookup_type("enum ouzel_state").fields():
        if field.enumval == int(thread["state"]):
            text = field.name[len("STATE_"):]
    return text


def place(address):
    """An address in words, if it is in a program or kernel that we know."""
    address = pointer(address)
    name = gdb.execute(f"info symbol {address:#x}", to_string=True).split("\n")[0]
    return f"{address:#018x}" + ("" if name.startswith("No symbol") else f" {name}")


def thread_name(address):
    return f"thread {int(address['object']['id'])}" if pointer(address) else "nobody"


class Command(gdb.Command):
    def __init__(self, name, show):
        self.__doc__ = show.__doc__  # gdb takes it in the next line
        super().__init__(name, gdb.COMMAND_DATA)
        self.show = show

    def invoke(self, argument, from_tty):
        with kernel_view():
            try:
                self.show(argument)
            except gdb.MemoryError as e:
                raise gdb.GdbError(f"{e}: before the kernel has turned its MMU on, none of its "
                                   "objects is there (try: hbreak kernel_main, continue)")


def tasks(_argument):
    """Tasks: quota and use in pages, regions, how many objects of each kind they own."""
    for task in each_task():
        counts = {}
        for _, one in ((t, o) for t, o in each_object() if pointer(t.address)
                       == pointer(task.address)):
            kind = next(k for k, n in CAP.items() if n == int(one["type"])).lower()
            counts[kind] = counts.get(kind, 0) + 1
        parent = f"{int(task['parent']['object']['id'])}" if pointer(task["parent"]) else "-"
        print(f"task {int(task['object']['id']):<4} parent {parent:<4} "
              f"pages {int(task['used'])} of {int(task['quota'])}, "
              f"{int(task['regions']['n'])} regions; "
              + ", ".join(f"{n} {k}" + "s" * (n != 1) for k, n in sorted(counts.items())))


def threads(_argument):
    """Threads: state, priority, core, what they wait for, and where they are."""
    running = {pointer(core["current"]): core for core in cores()}
    for _, one in each_object("THREAD"):
        t = container(one, "struct thread")
        waits = ""
        if pointer(t["waits_on"]):
            waits = f" on endpoint {int(t['waits_on']['object']['id'])}"
        elif pointer(t["waits_for"]):
            waits = f" for notification {int(t['waits_for']['object']['id'])}"
        elif pointer(t["partner"]):
            waits = f" for {thread_name(t['partner'])}"
        if pointer(t["caller"]):
            waits += f", {thread_name(t['caller'])} waits for its answer"
        print(f"thread {int(one['id']):<4} task {int(t['task']['object']['id']):<4} "
              f"core {int(t['cpu']['id'])} prio {int(t['prio']):<3} "
              f"{'vcpu ' if t['vcpu'] else ''}{state(t)}{waits}")
        if pointer(t.address) in running:
            print("            runs now: its registers are the core's (info threads)")
        else:
            print(f"            pc {place(t['regs']['pc'])}, sp {pointer(t['regs']['sp']):#018x}")


def spaces(_argument):
    """Spaces: root table, ASIDs, tables below it, and the server's own table."""
    at = variable("all_spaces")
    while pointer(at):
        s = at.dereference()
        guest = f", server's table {pointer(s['guest']):#x}" if pointer(s["guest"]) else ""
        print(f"space {int(s['object']['id']):<4} task {int(s['task']['object']['id']):<4} "
              f"{'own' if s['own'] else 'process':8}root {pointer(s['root']):#x} "
              f"asid {int(s['asid'])}, {int(s['tables']['n'])} tables, {int(s['users'])} users"
              f"{guest}")
        at = s["next"]


def queue(at):
    names = []
    while pointer(at):
        names.append(thread_name(at))
        at = at["next"]
    return ", ".join(names) or "nobody"


def endpoints(_argument):
    """Endpoints and notifications: home core, who waits there."""
    for task, one in each_object("ENDPOINT"):
        e = container(one, "struct endpoint")
        print(f"endpoint {int(one['id']):<4} task {int(task['object']['id']):<4} "
              f"core {int(e['cpu']['id'])} receiving: {queue(e['receivers'])}; "
              f"sending: {queue(e['senders'])}")
    for task, one in each_object("NOTIFICATION"):
        n = container(one, "struct notification")
        print(f"notification {int(one['id']):<4} task {int(task['object']['id']):<4} "
              f"core {int(n['cpu']['id'])} bits {pointer(n['bits']):#x} "
              f"waiting: {queue(n['waiters'])}")


def cores():
    table = variable("cpus")
    return [table[i] for i in range(table.type.range()[1] + 1) if table[i]["online"]]


def trace(argument):
    """The last N events of each core (default 32), oldest first, all cores by time."""
    wanted = int(argument or 32)
    events = []
    for core in cores():
        after, size = int(core["trace_next"]), core["trace"].type.range()[1] + 1
        for i in range(max(0, after - min(wanted, size)), after):
            events.append((int(core["trace"][i % size]["time"]), int(core["id"]),
                           core["trace"][i % size]))
    if not events:
        print("no events: ouzel-trace-on, continue, interrupt, and look again")
    for time, core, event in sorted(events, key=lambda e: e[:2]):
        what = int(event["what"])
        name = TRACES[what] if what < len(TRACES) else str(what)
        words = " ".join(f"{pointer(event[w]):#x}" for w in "abc")
        print(f"{time:>16} core {core} {name:<8} {words}")


def trace_set(mask):
    gdb.execute(f"set var trace_mask = {mask:#x}", to_string=True)
    for core in cores():
        # With the assembly paths left, these are traced, too: no_fast_here() in trace.c.
        cpu, size = f"cpus[{int(core['id'])}]", int(core["vectors"][1]) - int(core["vectors"][0])
        user = pointer(int(core["vectors"][0]) + (3 if mask else 2) * size)
        for what in (f"no_fast = {int(mask != 0)}", f"vectors[2] = {user:#x}", "resched = 1"):
            gdb.execute(f"set var {cpu}.{what}", to_string=True)


def trace_on(argument):
    """Record events of these classes (entry switch ipc fault map irq vcpu object), or all."""
    classes = argument.split() or TRACES
    for name in classes:
        if name not in TRACES:
            raise gdb.GdbError(f"'{name}' is no class: {' '.join(TRACES)}")
    trace_set(sum(1 << TRACES.index(name) for name in classes))


def trace_off(_argument):
    """Stop recording."""
    trace_set(0)


Command("ouzel-tasks", tasks)
Command("ouzel-threads", threads)
Command("ouzel-spaces", spaces)
Command("ouzel-endpoints", endpoints)
Command("ouzel-trace", trace)
Command("ouzel-trace-on", trace_on)
Command("ouzel-trace-off", trace_off)
