# SPDX-License-Identifier: MIT
"""The native shell as a person uses it. test_NAME(start) returns what went wrong, or None."""
import re

WAIT = 60
PROMPT = rb"ouzel> $"
UP, DOWN, RIGHT, LEFT = (b"\x1b[" + letter for letter in (b"A", b"B", b"C", b"D"))
HOME, END, DELETE = b"\x1b[H", b"\x1b[F", b"\x1b[3~"


def booted(start, **changes):
    guest = start(**changes)
    return guest if guest.expect(PROMPT, WAIT) else None


def ask(guest, line):
    """Type a line; what came between its echo and the next prompt, or None."""
    begin = len(guest.output)
    guest.type((line if isinstance(line, bytes) else line.encode()) + b"\r")
    answer = guest.expect(rb"(?s)\r\n(.*)ouzel> $", WAIT, begin)
    return answer.group(1).decode(errors="replace").replace("\r", "") if answer else None


def all_say(guest, expectations):
    """Lines to type, and a pattern that each answer has to contain."""
    for line, pattern in expectations:
        answer = ask(guest, line)
        if answer is None:
            return f"no prompt after `{line}`"
        if not re.search(pattern, answer, re.M):
            return f"`{line}`: expected {pattern}, got {answer[:300]!r}"
    return None


def free_memory(guest):
    """What the pager and the kernel have free, in KiB."""
    return re.findall(r"^  (?:free|in quotas) +(\d+) KiB", ask(guest, "memory") or "", re.M)


def test_every_listing_shows_the_shell_or_the_machine(start):
    guest = booted(start)
    if not guest:
        return "no prompt"
    cores = start.args.smp
    return all_say(guest, [
        ("help", r"^threads +threads, and what they do"),
        ("help trace", r"^trace on \[CLASS"),
        ("programs", r"^shell +runs +\d+ +1024 .* 0 of 10$"),
        ("programs", r"^crasher +stopped"),
        ("tasks", r"^ +\d+  shell +0 +256 +\d+$"),
        ("threads", r"^ +\d+  shell +0 +100  running +ffff"),
        ("threads", r"^ +1  pager +0 +255  receiving"),
        ("memory", r"^  shell +1024 KiB  at [0-9a-f]+"),
        ("regions clock", r"^ +9010000 +4 KiB  rw- device"),
        ("regions pager", r"rwx wx"),
        ("regions free", r"^free +[0-9a-f]+ +\d+ KiB$"),
        ("regions", r"(?s)^pager .*^shell .*^free "),
        ("interrupts", r"^line +34  level  clock"),
        ("counters", rf"^entries( +\d+){{{cores}}}  kernel entries"),
        ("counters irqs faults", r"^faults( +\d+)+  page faults"),
        ("info", rf"^cores +{cores}\n.*\ninterrupts +GICv2, 288 lines"),
        ("check", r"^every invariant of the kernel holds"),
    ])


def test_wrong_input_is_told_what_would_be_right(start):
    guest = booted(start)
    if not guest:
        return "no prompt"
    return all_say(guest, [
        ("nonsense", r"no command `nonsense`; `help` lists them"),
        ("t", r"`t` could be `tasks` or `threads`"),
        ("tasks all", r"`tasks` takes nothing after it"),
        ("start", r"start what\? `programs` lists"),
        ("start nobody", r"no program `nobody`; `programs` lists them"),
        ("start shell", r"`shell` runs already"),
        ("stop crasher", r"`crasher` does not run"),
        ("regions shell clock", r"one program, `pager` or `free`"),
        ("regions nobody", r"no program `nobody`"),
        ("counters nothing", r"no counter `nothing`"),
        ("trace on nothing", r"`nothing` is no class of events; there are entry switch ipc"),
        ("trace perhaps", r"^trace on \[CLASS...\], trace off"),
        ("date tomorrow", r"`date next`"),
        ("crash gently", r"^crash \[shell\] KIND, where KIND is\n    write "),
        ("help nonsense", r"no command `nonsense`"),
        ("a b c d e f g h i j k l m n o p q", r"more than 16 words"),
        ("", r"^$"),
        ("# a comment", r"^$"),
        ("x" * 200, r"no command `x{127}`"),
        ("th", r"^thread  task"),  # the beginning of one command only
    ])


def test_line_editing_and_history(start):
    guest = booted(start)
    if not guest:
        return "no prompt"
    guest.type(b"info\x03")  # the line is dropped, and a new one begins
    if not guest.expect(rb"info\^C\r\nouzel> $", WAIT):
        return "Ctrl-C does not drop the line"
    return all_say(guest, [
        (b"chXk" + LEFT + b"\x7fec", r"every invariant"),
        (b"heck" + HOME + b"c", r"every invariant"),
        (b"chexck" + LEFT * 3 + DELETE + END, r"every invariant"),
        (b"wrong words\x15check", r"every invariant"),
        (b"check wrong\x17" + b"\x7f", r"every invariant"),
        (UP, r"every invariant"),
        (b"chec" + b"\t", r"every invariant"),
        (b"nonsense", r"no command `nonsense`"),
        (UP + UP, r"every invariant"),
        (UP + UP + DOWN, r"every invariant"),
    ])


def test_trace_shows_what_happened(start):
    guest = booted(start)
    if not guest:
        return "no prompt"
    return all_say(guest, [
        ("trace show", r"no events; `trace on` starts recording"),
        ("trace on ipc switch", r"^trace: switch ipc$"),
        ("date", r"UTC$"),
        ("trace off", r"^trace: off$"),
        ("trace show ipc 200", r"ipc +\d+ \(shell\) -> \d+ \(clock\), label 1, 0 words"),
        ("trace show switch 5", r"switch .* -> .*, priority \d+"),
        ("trace show irq", r"no events"),
    ])


def test_clock_driver_answers_by_its_interrupt(start):
    guest = booted(start)
    if not guest:
        return "no prompt"

    def irqs():
        lines = re.search(r"^irqs +(.*)  interrupts", ask(guest, "counters irqs") or "", re.M)
        return lines and sum(map(int, lines.group(1).split()))

    why = all_say(guest, [("date", r"^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC$")])
    before = irqs()
    why = why or all_say(guest, [("date next", r"^20\d\d-.* UTC$")])
    after = irqs()
    if why:
        return why
    if before is None or after is None or after <= before:
        return f"{before} interrupts before, {after} after"
    return all_say(guest, [("stop clock", r"was stopped"), ("date", r"no program `clock` runs"),
                           ("start clock", r"was started"), ("date", r"UTC$")])


def test_a_thread_that_crashes_is_reported(start):
    guest = booted(start)
    if not guest:
        return "no prompt"
    fault = r"page fault of thread \d+, address {}, .*\n.*the shell goes on"
    other = r"exception of thread \d+, .*\n.*the shell goes on"
    return all_say(guest, [
        ("crash", fault.format("ffff00dead000000")),
        ("crash read", fault.format("ffff7f8000000000")),
        ("crash code", fault.format("ffff0000100.*")),
        ("crash execute", fault.format("ffff0000100.*")),
        ("crash undefined", other),
        ("crash privileged", other),
        ("crash brk", other),
        ("crash stack", fault.format("fffffffffffffff0")),
        ("check", r"every invariant"),
    ])


def test_a_shell_that_crashes_is_reported_and_comes_back(start):
    guest = booted(start)
    if not guest:
        return "no prompt"
    return all_say(guest, [
        ("crash shell", r"pager: `shell` thread \d+ died: write at ffff00dead000000, nothing "
                        r"mapped there; pc ffff0000100[0-9a-f]+, .*\n"
                        r"pager: starting `shell` again \(1 of 10\)"),
        ("crash shell brk", r"died: brk; pc"),
        ("crash shell code", r"died: write at ffff0000100[0-9a-f]+, not permitted there; pc"),
        ("crash shell execute", r"died: instruction fetch at .*, not permitted there; pc"),
        ("programs", r"^shell +runs .* 4 +4 of 10$"),
        ("check", r"every invariant"),
    ])


def test_a_program_that_dies_leaves_nothing_behind(start):
    guest = booted(start)
    if not guest:
        return "no prompt"
    before = free_memory(guest)
    begin = len(guest.output)
    guest.type(b"start crasher\r")
    if not guest.expect(rb"`crasher` was restarted 2 times: enough", WAIT, begin):
        return "the pager did not say that it gave up"
    said = bytes(guest.output[begin:])
    if said.count(b"crasher: hello, and good-bye") != 3 or said.count(b"died: write") != 3:
        return f"expected three lives: {said!r}"
    if not guest.expect(PROMPT, WAIT, begin):
        return "the prompt did not come back"
    after = free_memory(guest)
    if len(before) != 3 or before != after:
        return f"free KiB before {before}, after {after}"
    return all_say(guest, [("check", r"every invariant")])


def test_end_of_input_powers_off(start):
    guest = booted(start)
    if not guest:
        return "no prompt"
    guest.type(b"\x04")
    if not guest.finish(WAIT):
        return "Ctrl-D did not end the machine"
    return None if guest.job.returncode == 0 else f"QEMU's exit code is {guest.job.returncode}"


def test_reboot_and_poweroff(start):
    guest = booted(start)
    if not guest:
        return "no prompt"
    begin = len(guest.output)
    guest.type(b"reboot\r")
    if not guest.expect(rb"(?s)ouzel: entered at EL1.*ouzel> $", WAIT, begin):
        return "no prompt after reboot"
    guest.type(b"poweroff\r")
    return None if guest.finish(WAIT) else "poweroff did not end the machine"
