# SPDX-License-Identifier: MIT
"""The small initial RAM disk: Debian's busybox for arm64, and board/initrd/ of this tree."""
import hashlib
import os
import stat

from packages import foreign_file
from say import BUILD, ROOT, Failure, say, short

FOLDERS = ("bin", "dev", "etc", "lib", "lib/modules", "mnt", "proc", "root", "run", "sbin",
           "sys", "test", "test/bin", "tmp", "usr", "usr/bin", "usr/sbin", "var")
CONSOLE = (5, 1)  # Documentation/admin-guide/devices.txt: /dev/console, for init's first words


class Archive:
    """A cpio archive as Linux takes it (Documentation/driver-api/early-userspace)."""

    def __init__(self):
        self.parts, self.size, self.inode = [], 0, 0

    def add(self, name, mode, data=b"", device=(0, 0)):
        self.inode += 1
        name = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
        for part in (b"070701" + b"".join(b"%08x" % f for f in fields) + name, data):
            part += b"\0" * (-(self.size + len(part)) % 4)
            self.parts.append(part)
            self.size += len(part)

    def bytes(self):
        self.add("TRAILER!!!", 0)
        return b"".join(self.parts)


def tree_entries(top, prefix=""):
    for folder, folders, files in os.walk(top):
        folders.sort()
        at = os.path.normpath(os.path.join(prefix, os.path.relpath(folder, top)))
        for name in folders:
            path = os.path.normpath(os.path.join(at, name))
            if path not in FOLDERS:
                yield path, stat.S_IFDIR | 0o755, b"", (0, 0)
        for name in sorted(files):
            path = os.path.join(folder, name)
            mode = 0o755 if os.access(path, os.X_OK) else 0o644
            with open(path, "rb") as f:
                yield (os.path.normpath(os.path.join(at, name)), stat.S_IFREG | mode, f.read(),
                       (0, 0))


def entries(kind, trees=()):
    """What is in it: (name, mode, data, device)..., folders before what they hold."""
    modules = os.path.join(BUILD, "linux", kind, "modules", "lib", "modules")
    busybox = foreign_file("busybox-static", "arm64", ["/bin/busybox", "/usr/bin/busybox"])
    for folder in FOLDERS:
        yield folder, stat.S_IFDIR | (0o1777 if folder == "tmp" else 0o755), b"", (0, 0)
    yield "dev/console", stat.S_IFCHR | 0o600, b"", CONSOLE
    with open(busybox, "rb") as f:
        yield "bin/busybox", stat.S_IFREG | 0o755, f.read(), (0, 0)
    yield "bin/sh", stat.S_IFLNK | 0o777, b"busybox", (0, 0)
    for top, place in ((os.path.join(ROOT, "board", "initrd"), ""), *trees):
        if not os.path.isdir(top):
            raise Failure(f"{top} is missing: this is not a whole copy of the project")
        yield from tree_entries(top, place)
    if os.path.isdir(modules):
        yield from tree_entries(modules, "lib/modules")


def make(kind, name=None, trees=()):
    """An initial RAM disk with the modules of one build of Linux ("ouzel", "native").

    build/NAME, with the folders TREES ((path, place in the archive)...) besides.
    """
    name = name or f"initrd-{kind}.cpio"
    archive = Archive()
    for entry in entries(kind, trees):
        archive.add(*entry)
    data = archive.bytes()
    os.makedirs(BUILD, exist_ok=True)
    path = os.path.join(BUILD, name)
    if not os.path.exists(path) or hashlib.sha256(data).digest() != digest(path):
        with open(path + ".new", "wb") as f:
            f.write(data)
        os.rename(path + ".new", path)
        say(f"initial RAM disk: {short(path)}, {len(data) >> 10} KiB")
    return path


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).digest()
