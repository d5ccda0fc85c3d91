# SPDX-License-Identifier: MIT
"""./ouzel test: build everything, run every test, count the results."""
import json
import os
import subprocess
import sys
import time

import boards
import build
import card
import debian
import initrd
import packages
from say import BUILD, LOGS, ROOT, Failure, say, short


class Count:
    def __init__(self):
        self.passed, self.failed = 0, []

    def add(self, name, why=None):
        if why is None:
            self.passed += 1
        else:
            self.failed.append((name, why))


def attempt(count, name, action):
    """A build as a test: it fails, the others go on."""
    try:
        result = action()
    except (Failure, OSError, subprocess.CalledProcessError) as e:
        count.add(name, str(e))
        print(f"ouzel: {name}: {e}", flush=True)
        return None
    count.add(name)
    return result


def selection(preset, only, full):
    """What ctest is told: which tests."""
    return (["--test-dir", os.path.join(BUILD, preset)] + (["-R", only] if only else [])
            + ([] if full else ["-LE", "full"]))


def listed(preset, only, full):
    """Their names; None if ctest can't say."""
    listing = subprocess.run(["ctest", *selection(preset, only, full), "--show-only=json-v1"],
                             stdout=subprocess.PIPE, text=True, check=False)
    if listing.returncode:
        return None
    return [test["name"] for test in json.loads(listing.stdout)["tests"]]


KINDS = {"native", "board", "pager", "shell", "linux", "front", "bench", "documents"}


def kinds_missing():
    """Kinds of tests that gcc's build lacks, which would be left out silently."""
    listing = subprocess.run(["ctest", "--test-dir", os.path.join(BUILD, "gcc"),
                              "--print-labels"], stdout=subprocess.PIPE, text=True, check=False)
    return sorted(KINDS - set(listing.stdout.split()))


def ctest(count, preset, only, full):
    """Run one preset's tests; every result that they left counts, and one that is missing.
    Returns how many programs there were."""
    folder = os.path.join(BUILD, preset)
    names = listed(preset, only, full)
    if names is None:
        count.add(f"{preset}: ctest", "can't list its tests")
        return 0
    for name in names:
        for stale in (name, name + ".log"):
            path = os.path.join(folder, "results", stale)
            if os.path.exists(path):
                os.remove(path)
    say(f"{preset}: {len(names)} test programs")
    os.makedirs(LOGS, exist_ok=True)
    start = time.monotonic()
    with open(os.path.join(LOGS, f"ctest-{preset}.log"), "w") as log:
        job = subprocess.Popen(["ctest", *selection(preset, only, full), "-j", str(os.cpu_count()),
                                "--output-on-failure", "--no-tests=ignore"], cwd=ROOT,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace")
        for line in job.stdout:
            log.write(line)
            # ctest's own lines tell the progress; a failing test's output comes, too.
            if not line.startswith(("Internal ctest", "Test project", "      Start")):
                print(line, end="", flush=True)
        job.wait()
    for name in names:
        path = os.path.join(folder, "results", name)
        if not os.path.exists(path):
            count.add(name, "did not run, or was stopped: " + short(LOGS)
                      + f"/ctest-{preset}.log")
            continue
        with open(path) as f:
            for line in f.read().splitlines():
                verdict, _, rest = line.partition(" ")
                test, _, why = rest.partition(": ")
                count.add(f"{name}: {test}", why if verdict == "FAILED" else None)
    say(f"{preset}: tests took {time.monotonic() - start:.0f} s")
    return len(names)


def fuzz(count):
    """A few seconds of each target: that they build, and find nothing at once."""
    import fuzzing
    if attempt(count, "build fuzzers", lambda: fuzzing.prepare() or True):
        for target in fuzzing.TARGETS:
            count.add(f"fuzz: {target}", fuzzing.one(target, 5))


def run(full=False, only=None):
    packages.ensure(packages.BUILDING, packages.LINUX, packages.RUNNING, packages.CLANG,
                    packages.TESTING, packages.TREES, packages.CARD, packages.U_BOOT,
                    {**packages.BROWSING, **packages.DEBIAN_ROOT} if full else {})
    count, programs = Count(), 0
    # The short ones first, so that what is quickly broken is quickly said.
    if attempt(count, "build host tests", build.host):
        programs += ctest(count, "host", only, full)
    if full and not only:
        fuzz(count)
    attempt(count, "build with clang", lambda: build.cross("clang"))
    if attempt(count, "build with gcc", build.cross):
        attempt(count, "build Linux image", lambda: build.image("linux"))
        attempt(count, "initial RAM disk", lambda: initrd.make("ouzel"))
        for board in boards.ALL.values():
            attempt(count, f"card of the {board.title}", lambda b=board: card.make(b))
            try:
                boards.qemu(board)
            except boards.Missing as e:
                say(f"n/a: the tests of the {board.title} in QEMU: {e}")
        if full:
            attempt(count, "build native Linux", lambda: build.linux("native"))
            if any("debian" in name for name in listed("gcc", only, full) or ()):
                attempt(count, "Debian root file system", debian.image)
        for kind in kinds_missing():
            count.add(f"tests of the kind {kind}", "the build has none")
        programs += ctest(count, "gcc", only, full)
    if only and not programs and not count.failed:
        count.add(f"--only {only}", "no test has such a name" if full else
                  "no test has such a name, --full's apart")
    print(build.sizes(), flush=True)
    for name, why in count.failed:
        print(f"FAILED {name}: {why}")
    print(f"{count.passed} passed, {len(count.failed)} failed", flush=True)
    return 1 if count.failed else 0


def soak(minutes, compiler):
    packages.ensure(packages.BUILDING, packages.LINUX, packages.RUNNING, packages.DEBIAN_ROOT)
    image = build.image("linux", compiler)
    debian.image()
    here = os.path.dirname(os.path.abspath(__file__))
    results = os.path.join(os.path.dirname(image), "results", "soak")
    # The first round of each kind comes before the clock starts; emulation is slow.
    limit = minutes * 60 + 3600
    say(f"soaking for {minutes} minutes, after a first round of some four; what it says: "
        f"{short(results)}.ouzel.now, and in the end {short(results)}.log")
    return subprocess.run([sys.executable, "-B", os.path.join(here, "runner.py"), results,
                           "--limit", str(limit), "debian", "--image", image, "--smp", "4",
                           "--gic", "3", "--mem", "2048M", "--set", f"SOAK_MINUTES={minutes}",
                           "--names", os.path.join(ROOT, "test", "linux", "soak.sh")]).returncode
