# SPDX-License-Identifier: MIT
"""Messages, and long steps with their progress."""
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build")
LOGS = os.path.join(BUILD, "logs")
# Where Debian has mke2fs and its like, which an ordinary user's PATH lacks.
os.environ["PATH"] = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


class Failure(Exception):
    """Something that the user has to know; the text says what to do."""


def say(text):
    print(f"ouzel: {text}", flush=True)


def short(path):
    """A path as the user would type it from here."""
    relative = os.path.relpath(path)
    return path if relative.startswith("../..") else relative


def tail(path, lines=20):
    with open(path, errors="replace") as f:
        return "".join(f.readlines()[-lines:]).rstrip("\n")


def step(text, argv, log, env=None, cwd=ROOT, hint=None):
    """Run argv with its output in build/logs/LOG. Says what, how long, and on failure why."""
    os.makedirs(LOGS, exist_ok=True)
    path = os.path.join(LOGS, log + ".log")
    start = said = time.monotonic()
    terminal = sys.stdout.isatty()
    with open(path, "w") as out:
        print("+", *argv, file=out, flush=True)
        job = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd,
                               env={**os.environ, **(env or {})})
        try:
            while True:
                try:
                    job.wait(0.2)
                    break
                except subprocess.TimeoutExpired:
                    pass
                now = time.monotonic()
                if terminal:
                    print(f"\rouzel: {text}, {now - start:.0f} s ", end="", flush=True)
                elif now - said >= 60:
                    said = now
                    say(f"{text}: still at it, {now - start:.0f} s")
        except BaseException:
            job.terminate()
            job.wait()
            raise
    if terminal:
        print("\r\033[K", end="")
    seconds = time.monotonic() - start
    if job.returncode:
        print(tail(path), file=sys.stderr)
        raise Failure(f"{text}: failed after {seconds:.0f} s; all of its output: {short(path)}"
                      + (f"\n       {hint}" if hint else ""))
    say(f"{text}: {seconds:.0f} s")
    return path
