# SPDX-License-Identifier: MIT
"""Debian's programs for the rows that run them, as a disk: packages unpacked, not installed.

Nothing of them is run here, so this needs no emulation and no root; what their installation
scripts would do, the rows don't need. The packages, and the source that the compiler gets, are
from the machine's own archive.
"""
import glob
import os
import shutil
import subprocess

import packages
from say import BUILD, Failure, say, short, step

PACKAGES = ("bash coreutils diffutils gcc libc6-dev make python3 redis-server redis-tools "
            "rt-tests sqlite3").split()
SOURCE = "bzip2"  # real C that needs no configuring
SIZE = "600M"     # a sparse file
USELESS = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info",
           "usr/share/perl", "usr/share/zoneinfo", "usr/lib/aarch64-linux-gnu/perl",
           "usr/lib/aarch64-linux-gnu/perl-base", "usr/share/gcc", "usr/lib/python3.11/idlelib")


def image():
    """The disk's image, made if need be."""
    path = os.path.join(BUILD, "bench-linux", "root.img")
    if os.path.exists(path):
        return path
    packages.ensure({"e2fsprogs": "makes the disk image", "bzip2": "unpacks Debian's sources",
                     "dpkg-dev": "unpacks Debian's sources"})
    say(f"Debian's programs for the rows: {', '.join(PACKAGES)}, and what they need")
    options, top = packages.private_root("bench", "arm64", packages.machine_sources())
    step("download", ["apt-get", *options, "install", "--download-only", "-y",
                      "--no-install-recommends", *PACKAGES], "bench-download")
    tree = os.path.join(BUILD, "bench-linux", "root")
    shutil.rmtree(tree, ignore_errors=True)
    # Where a merged /usr wants them, before packages put folders there.
    for name in ("bin", "sbin", "lib"):
        os.makedirs(os.path.join(tree, "usr", name))
        os.symlink(os.path.join("usr", name), os.path.join(tree, name))
    for name in ("dev", "proc", "sys", "tmp", "root", "run", "usr/src"):
        os.makedirs(os.path.join(tree, name), exist_ok=True)
    debs = sorted(glob.glob(os.path.join(top, "cache", "archives", "*.deb")))
    if not debs:
        raise Failure("apt downloaded no package: see build/logs/bench-download.log")
    for deb in debs:
        # By way of tar, since dpkg-deb would put a folder in the place of the links above.
        unpacked = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", tree],
                       stdin=unpacked.stdout, check=True)
        if unpacked.wait():
            raise Failure(f"{short(deb)} can't be unpacked")
    for name in USELESS:
        shutil.rmtree(os.path.join(tree, name), ignore_errors=True)
    link = os.path.join(tree, "usr", "bin", "sh")
    if not os.path.lexists(link):
        os.symlink("dash", link)
    source(options, top, os.path.join(tree, "usr", "src", SOURCE))
    step("disk of Debian's programs", ["mke2fs", "-q", "-F", "-t", "ext4", "-E",
                                       "root_owner=0:0", "-d", tree, path + ".new", SIZE],
         "bench-root")
    os.rename(path + ".new", path)
    shutil.rmtree(tree)
    say(f"{short(path)}: {os.stat(path).st_blocks * 512 >> 20} MiB")
    return path


def source(options, top, place):
    """Debian's source package SOURCE, unpacked."""
    listing = os.path.join(top, "sources.list")
    with open(listing) as f:
        lines = f.read()
    with open(listing, "w") as f:
        f.write("".join(f"deb-src {line[4:]}\n" for line in lines.splitlines()))
    step("lists of sources", ["apt-get", *options, "update"], "bench-sources")
    scratch = os.path.join(BUILD, "bench-linux", "source")
    shutil.rmtree(scratch, ignore_errors=True)
    os.makedirs(scratch)
    step(f"source of {SOURCE}", ["apt-get", *options, "source", "--download-only", SOURCE],
         "bench-source", cwd=scratch)
    description, = glob.glob(os.path.join(scratch, "*.dsc"))
    step(f"unpacking {SOURCE}", ["dpkg-source", "--no-check", "-x", description, place],
         "bench-unpack")
    shutil.rmtree(scratch)
