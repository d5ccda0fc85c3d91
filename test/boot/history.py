# SPDX-License-Identifier: MIT
"""Which vector tables a core gets, by its MIDR and the boot arguments: the kernel says it.

test_NAME(start) returns what went wrong, or None.
"""
WAIT = 60


def history(start, cpu, append, pattern):
    guest = start(cpu=cpu, append=append)
    line = guest.expect(rb"ouzel: branch history: ([^\r\n]*)[\r\n]", WAIT)
    if not line:
        return "nothing is said about the branch history"
    if not line.group(1).startswith(pattern):
        return f"{cpu}, {append or 'no arguments'}: {line.group(1).decode()}"
    return None if guest.expect(rb"ouzel> $", WAIT) else "the machine does not go on"


def test_cortex_a53_is_not_affected(start):
    return history(start, "cortex-a53", "", b"left alone: not among the cores")


def test_cortex_a53_is_not_affected_whatever_is_asked_for(start):
    return history(start, "cortex-a53", "ouzel.bhb=on", b"left alone: not among the cores")


def test_cortex_a72_has_spectre_v2_anyway(start):
    return history(start, "cortex-a72", "", b"left alone: Spectre v2 is open")


def test_cortex_a72_on_demand(start):
    return history(start, "cortex-a72", "quiet ouzel.bhb=on", b"8 branches at each entry")


def test_cortex_a76_by_itself(start):
    return history(start, "cortex-a76", "", b"24 branches at each entry")


def test_cortex_a76_switched_off(start):
    return history(start, "cortex-a76", "mitigations=off", b"left alone: mitigations=off")


def test_words_are_whole(start):
    return history(start, "cortex-a76", "xmitigations=off mitigations=offal",
                   b"24 branches at each entry")
