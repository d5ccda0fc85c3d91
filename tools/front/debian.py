# SPDX-License-Identifier: MIT
"""A Debian root file system for --root debian: made once, then kept, and what is changed in it
stays, as on any disk. `rm build/debian/root.img` starts afresh."""
import fcntl
import os
import re

import packages
from say import BUILD, Failure, say, short, step

SIZE = "6G"  # a sparse file: takes what is in it
PACKAGES = """
    systemd systemd-sysv dbus udev login passwd util-linux kmod procps less vim-tiny
    netbase iproute2 iputils-ping wget curl ca-certificates netcat-openbsd openssh-client
    e2fsprogs file man-db python3 libpython3.11-testsuite gcc libc6-dev make git sqlite3 gdb strace
    stress-ng
""".split()


def image():
    folder = os.path.join(BUILD, "debian")
    path = os.path.join(folder, "root.img")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w") as lock:  # tests may want it at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            make(folder, path)
    return path


def make(folder, path):
    packages.ensure(packages.DEBIAN_ROOT)
    sources = packages.machine_sources()
    release = [suite for _, suite, codename in sources if suite == codename]
    if not release:
        raise Failure("no Debian release among this machine's apt sources (apt-get "
                      "indextargets), so there is nothing to make a root file system of")
    listing = os.path.join(folder, "sources.list")
    with open(listing, "w") as f:
        f.write(packages.source_lines(sources))
    proxies = re.findall(r"^(Acquire::\w+::Proxy \".+\";)$",
                         packages.query("apt-config", "dump"), re.M)
    say(f"making a Debian {release[0]} root file system for arm64: {len(PACKAGES)} packages and "
        "what they need, from this machine's apt sources; about 10 minutes, once")
    root = packages.as_root("making a root file system (device files, owners)")
    step("Debian root file system", root + [
        os.path.join(os.path.dirname(__file__), "debian-root.sh"), release[0], listing, folder,
        path, SIZE, f"{os.getuid()}:{os.getgid()}", ",".join(PACKAGES), *proxies], "debian-root")
    say(f"{short(path)}: {os.stat(path).st_blocks * 512 >> 20} MiB; log in as root, the password "
        "is 'ouzel'")


def modules(kind):
    """A small disk with the modules of one build of Linux; fstab finds it by its label."""
    top = os.path.join(BUILD, "linux", kind)
    tree, path = os.path.join(top, "modules", "lib", "modules"), os.path.join(top, "modules.img")
    if not os.path.isdir(tree):
        return []
    stamp = os.path.join(top, "modules.installed")
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(stamp):
        new = f"{path}.{os.getpid()}"
        step("disk with Linux's modules", ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "modules",
                                           "-d", tree, new, "64M"], "modules-image")
        os.replace(new, path)  # a machine that runs goes on with the one it has
    return [path]
