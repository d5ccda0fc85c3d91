# SPDX-License-Identifier: MIT
"""The serial console as a person uses it. Each test gets a guest that was just started, and
returns what went wrong, or None."""
BOOT = 300    # seconds until the prompt comes; an emulated machine is slow
ANSWER = 60
PROMPT = rb"[~/\w]* # (?:\x1b\[6n)?$"


def prompt(guest, seconds=ANSWER, start=0):
    return guest.expect(PROMPT, seconds, start)


def send(guest, text, wanted, seconds=ANSWER):
    """Type a line; the first match of WANTED in what comes after the echo, then the prompt."""
    start = len(guest.output)
    guest.type(text.encode() + b"\r")
    match = guest.expect(wanted, seconds, start)
    return match and prompt(guest, seconds, match.end()) and match


def restart_by_pager(guest, start):
    """What is wrong with how Linux restarted since START: on Ouzel the pager does it, and says
    so, and the kernel goes on. A reset of the machine would bring a prompt, too."""
    kernels = guest.output.count(b"ouzel: entered at EL")
    if kernels and b"pager: linux restarts" not in guest.output[start:]:
        return "the pager does not say that Linux restarts"
    return "the kernel started again: the whole machine was reset" if kernels > 1 else None


def test_prompt_and_poweroff(guest):
    if not prompt(guest, BOOT):
        return "no prompt"
    if not send(guest, "echo $((6 * 7))$((1 + 1))", rb"[\r\n]422"):
        return "no answer to a command"
    guest.type(b"poweroff\r")
    if not guest.finish(ANSWER):
        return "poweroff did not end the machine"
    return None if guest.job.returncode == 0 else f"QEMU's exit code is {guest.job.returncode}"


def test_interrupt_key(guest):
    if not prompt(guest, BOOT):
        return "no prompt"
    start = len(guest.output)
    guest.type(b"sleep 1000\r")
    if not guest.expect(rb"sleep 1000\r\n", ANSWER, start):
        return "what is typed is not echoed"
    guest.finish(2)
    guest.type(b"\x03")
    if not prompt(guest, ANSWER, start + 12):
        return "Ctrl-C did not end sleep"
    return None if send(guest, "echo $?", rb"[\r\n]130") else "sleep did not end by a signal"


def test_job_control(guest):
    if not prompt(guest, BOOT):
        return "no prompt"
    start = len(guest.output)
    guest.type(b"sleep 1000\r")
    guest.expect(rb"sleep 1000\r\n", ANSWER, start)
    guest.finish(2)
    guest.type(b"\x1a")
    if not guest.expect(rb"Stopped +sleep 1000", ANSWER, start):
        return "Ctrl-Z did not stop sleep"
    if not prompt(guest, ANSWER, start + 12):
        return "no prompt after Ctrl-Z"
    if not send(guest, "bg; jobs", rb"Running +sleep 1000"):
        return "bg did not continue it"
    if not send(guest, "kill %1; sleep 1; jobs", rb"Terminated +sleep 1000"):
        return "kill %1 did not end it"
    return None


def test_line_editing(guest):
    if not prompt(guest, BOOT):
        return "no prompt"
    # Type a word wrongly, go left to the wrong letter, and put the right one there.
    if not send(guest, "echo goXd-bye" + 5 * "\x1b[D" + "\x7fo", rb"[\r\n]good-bye"):
        return "cursor keys and backspace do not edit the line"
    if not send(guest, "\x1b[A", rb"[\r\n]good-bye"):
        return "cursor up does not bring the last line back"
    return None


def test_vi(guest):
    if not prompt(guest, BOOT):
        return "no prompt"
    start = len(guest.output)
    guest.type(b"vi /tmp/x\r")
    if not guest.expect(rb"/tmp/x[^\r\n]*1/1", ANSWER, start):
        return "vi shows no status line"
    guest.type(b"ifirst line\rsecond line\x1b")
    guest.finish(2)
    guest.type(b":wq\r")
    if not prompt(guest, ANSWER, start + 20):
        return "vi did not end"
    return None if send(guest, "wc -lc /tmp/x", rb"[\r\n] +2 +23 ") else "vi's file is wrong"


def test_top(guest):
    if not prompt(guest, BOOT):
        return "no prompt"
    start = len(guest.output)
    guest.type(b"top -d 1\r")
    if not guest.expect(rb"Load average", ANSWER, start):
        return "top shows nothing"
    end = guest.expect(rb"(?s)Load average.*Load average", ANSWER, start)
    guest.type(b"q")
    if not end:
        return "top showed only one screen in a minute"
    return None if prompt(guest, ANSWER, end.end()) else "q did not end top"


def test_reboot(guest):
    if not prompt(guest, BOOT):
        return "no prompt"
    start = len(guest.output)
    guest.type(b"reboot\r")
    if not guest.expect(rb"Run /init as init process", BOOT, start):
        return "Linux did not start again"
    if not prompt(guest, BOOT, start + 100):
        return "no prompt after reboot"
    why = restart_by_pager(guest, start)
    if why:
        return why
    return None if send(guest, "echo $((8 * 9))x", rb"[\r\n]72x") else "no answer after reboot"
