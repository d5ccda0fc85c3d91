# SPDX-License-Identifier: MIT
"""Builds: the project by CMake, Linux by servers/linux/build.sh."""
import os
import re
import subprocess

import packages
from say import BUILD, ROOT, Failure, say, short, step


def cross(compiler="gcc", targets=()):
    """Kernel, native programs and images; returns the build folder."""
    if compiler == "clang":
        packages.ensure(packages.BUILDING, packages.CLANG)
    else:
        packages.ensure(packages.BUILDING)
    return cmake(compiler, targets)


def host():
    packages.ensure(packages.BUILDING, packages.TESTING)
    return cmake("host", ())


def cmake(preset, targets):
    folder = os.path.join(BUILD, preset)
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        step(f"configuring {preset}", ["cmake", "--preset", preset], f"configure-{preset}")
    argv = ["cmake", "--build", "--preset", preset]
    for target in targets:
        argv += ["--target", target]
    step(f"building {preset}", argv, f"build-{preset}")
    return folder


def linux(kind):
    """The Linux server ("ouzel") or the native baseline ("native"); returns its Image."""
    packages.ensure(packages.BUILDING, packages.LINUX)
    driver = os.path.join(ROOT, "servers", "linux", "build.sh")
    if subprocess.run([driver, kind], stdin=subprocess.DEVNULL).returncode:
        raise Failure(f"building Linux ({kind}) failed, see above")
    return os.path.join(BUILD, "linux", kind, "arch", "arm64", "boot", "Image")


def image(name, compiler="gcc"):
    """A boot image by name (native, tests, bench, linux, rpi3, rpi4); returns its path."""
    if name in ("linux", "rpi3", "rpi4"):
        linux("ouzel")
    manifest = os.path.join(ROOT, "board", name + ".manifest")
    if not os.path.exists(manifest):
        raise Failure(f"{short(manifest)} is missing: this is not a whole copy of the project")
    folder = cross(compiler, [f"image_{name}.img"])
    path = os.path.join(folder, name + ".img")
    say(f"image {short(path)}, {os.path.getsize(path) >> 10} KiB")
    return path


def sizes():
    """What tools/size.sh says, as lines."""
    out = subprocess.run([os.path.join(ROOT, "tools", "size.sh")], stdout=subprocess.PIPE,
                         text=True, check=False).stdout
    return re.sub(r"\n+$", "", out)
