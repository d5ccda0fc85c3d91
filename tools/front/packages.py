# SPDX-License-Identifier: MIT
"""Debian packages: install what is missing, and fetch foreign ones without touching anything.

Whatever is not in the machine's own package lists (another architecture, another suite) is
fetched in a private apt root under build/apt: its sources are those of the machine with the
architecture or suite changed, and proxies, credentials and keys are the machine's.
"""
import os
import re
import shutil
import subprocess
import sys

from say import BUILD, Failure, say, short, step

BUILDING = {
    "cmake": "builds the project",
    "ninja-build": "builds the project",
    "gcc": "compiles build tools and host tests",
    "libc6-dev": "compiles build tools and host tests",
    "gcc-aarch64-linux-gnu": "cross compiler",
    "picolibc-aarch64-linux-gnu": "C library of native programs",
    "linux-source-6.12": "the Linux server's source, and libfdt",
    "xz-utils": "unpacks the source",
}
LINUX = {
    "make": "builds Linux", "bc": "builds Linux", "bison": "builds Linux",
    "flex": "builds Linux", "libssl-dev": "builds Linux", "libelf-dev": "builds Linux",
    "patch": "applies the port", "perl": "builds Linux", "ccache": "makes the next build short",
    "cpio": "builds Linux", "kmod": "lists Linux's modules",
}
RUNNING = {"qemu-system-arm": "the machine"}
CLANG = {"clang": "the second compiler", "lld": "its linker", "llvm": "its tools"}
TESTING = {"libcmocka-dev": "host tests", "shellcheck": "looks for mistakes in scripts",
           "libc6-dev-arm64-cross": "test programs for Linux",
           "device-tree-compiler": "device trees that lack something, to boot with",
           "git": "lists the project's files"}
BROWSING = {"chromium": "shows the page of ./ouzel bench linux --html, in its test"}
LINTING = {"clang-tidy": "looks for mistakes in C"}
FUZZING = {"libclang-rt-dev": "libFuzzer"}
PROVING = {
    "frama-c-base": "proves the validator's contracts", "gcc": "preprocesses for it",
    "why3": "calls the provers", "z3": "a prover", "cvc4": "a prover",
}
TREES = {"device-tree-compiler": "compiles the boards' device trees"}
CARD = {
    "dosfstools": "makes the card's boot partition", "mtools": "fills it",
    "e2fsprogs": "makes the card's root partition", "u-boot-tools": "packs U-Boot's script",
}
U_BOOT = {"u-boot-qemu": "U-Boot for QEMU's virt", "u-boot-tools": "packs U-Boot's script",
          "dosfstools": "makes its disk", "mtools": "fills it"}
DEBUGGING = {"gdb-multiarch": "the debugger"}
DEBIAN_ROOT = {
    "mmdebstrap": "makes a Debian root file system",
    "qemu-user-static": "runs its installation scripts",
    "binfmt-support": "runs its installation scripts",
    "arch-test": "checks that they can run",
    "e2fsprogs": "makes the disk image",
}


def query(*argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout  # we read what it says


def installed(names):
    out = query("dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n", *names)
    return {line.split()[0] for line in out.splitlines() if line.split()[1:2] == ["ii"]}


def known(names):
    """Those of names that apt could install now."""
    out = query("apt-cache", "policy", *names)
    found = re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (.*)$", out, re.M)
    return {name.split(":")[0] for name, candidate in found if candidate != "(none)"}


def as_root(why):
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        raise Failure(f"{why} needs root, and there is no sudo: run this as root once")
    argv = ["sudo"] if sys.stdin.isatty() else ["sudo", "-n"]
    if subprocess.run(argv + ["true"]).returncode:
        raise Failure(f"{why} needs root, and sudo refuses: run this as root once, or install "
                      "the packages that are named above yourself")
    return argv


def ensure(*groups):
    """Install what is missing of these groups ({package: reason})."""
    wanted = {name: why for group in groups for name, why in group.items()}
    missing = sorted(set(wanted) - installed(wanted))
    if not missing:
        return
    say("installing " + str(len(missing)) + " Debian package" + "s" * (len(missing) > 1) + ":")
    for name in missing:
        say(f"  {name:28} {wanted[name]}")
    if not shutil.which("apt-get"):
        raise Failure("there is no apt-get here: install the programs above in your own way")
    root = as_root("installing packages")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    if set(missing) - known(missing):
        step("package lists", root + ["apt-get", "update"], "apt-update", env=quiet)
    lost = set(missing) - known(missing)
    files = []
    if lost:
        say("not in this machine's package lists: " + ", ".join(sorted(lost)))
        files = from_backports(sorted(lost))
    env = ["env", "DEBIAN_FRONTEND=noninteractive"]
    # A machine that has just started may be installing its updates: that is waited for.
    step("packages", root + env + ["apt-get", "-y", "--no-install-recommends",
                                   "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=600",
                                   "install"]
         + sorted(set(missing) - lost) + files, "apt-install",
         hint="is another apt running, or the network away? Run this again then.")


# ---- a private apt root ------------------------------------------------------------------

def sources():
    """[(uri, suite, codename)] of the Debian archives that this machine uses."""
    fields = "$(REPO_URI)|$(RELEASE)|$(CODENAME)|$(ORIGIN)|$(COMPONENT)|$(CREATED_BY)"
    found = []
    for line in query("apt-get", "indextargets", "--format", fields).splitlines():
        uri, suite, codename, origin, component, kind = line.split("|")
        entry = (uri, suite, codename)
        if (origin, component, kind) == ("Debian", "main", "Packages") and entry not in found:
            found.append(entry)
    return found


def machine_sources():
    found = sources()
    if not found:
        # A machine that never ran apt-get update, such as a fresh container.
        step("package lists", as_root("apt-get update") + ["apt-get", "update"], "apt-update")
        found = sources()
    if not found:
        raise Failure("this machine's apt knows no Debian archive (apt-get indextargets): "
                      "add one to /etc/apt/sources.list.d, then run this again")
    return found


def source_lines(entries, components="main"):
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    signed = f"[signed-by={keyring}] " if os.path.exists(keyring) else ""
    return "".join(f"deb {signed}{uri} {suite} {components}\n" for uri, suite, _ in entries)


def private_root(name, arch, entries, components="main"):
    """Options that make apt work in build/apt/NAME, with its lists up to date."""
    top = os.path.join(BUILD, "apt", name)
    for part in ("state/lists/partial", "cache/archives/partial", "sources.d"):
        os.makedirs(os.path.join(top, part), exist_ok=True)
    with open(os.path.join(top, "sources.list"), "w") as f:
        f.write(source_lines(entries, components))
    open(os.path.join(top, "status"), "a").close()
    options = []
    for key, value in {
        "Dir::State": f"{top}/state", "Dir::State::status": f"{top}/status",
        "Dir::Cache": f"{top}/cache", "Dir::Etc::SourceList": f"{top}/sources.list",
        "Dir::Etc::SourceParts": f"{top}/sources.d", "APT::Architecture": arch,
        "APT::Architectures": arch, "APT::Sandbox::User": "root", "Debug::NoLocking": "1",
    }.items():
        options += ["-o", f"{key}={value}"]
    step(f"package lists of {name}", ["apt-get"] + options + ["update"], f"apt-{name}")
    return options, top


def from_backports(names):
    """Download packages from the backports of this machine's Debian; returns their files."""
    main = [e for e in machine_sources() if e[1] == e[2]]
    if not main:
        raise Failure("no Debian release among this machine's apt sources: "
                      "packages missing: " + " ".join(names))
    uri, suite, codename = main[0]
    say(f"looking in {codename}-backports of the same archive, for these only")
    arch = query("dpkg", "--print-architecture").strip()
    options, top = private_root(f"{codename}-backports", arch,
                                [(uri, f"{codename}-backports", "")])
    for name in debs(top):  # of earlier requests
        os.remove(os.path.join(top, name))
    step("download", ["apt-get"] + options + ["download"] + names, "apt-download", cwd=top,
         hint="this Debian does not have them: Debian 12 with its security updates does")
    return [os.path.join(top, name) for name in debs(top)]


def debs(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith(".deb"))


def newer_qemu():
    """(argv, environment) of the backports' QEMU, fetched into build/apt and not installed.

    It needs the libraries of the installed one, so that has to be there; what differs (the
    programs, their data and modules) comes along.
    """
    place = os.path.join(BUILD, "apt", "qemu")
    if not os.path.exists(os.path.join(place, "complete")):
        ensure(RUNNING)
        _, suite, codename = ([e for e in machine_sources() if e[1] == e[2]] or [("", "", "")])[0]
        if not codename:
            raise Failure("no Debian release among this machine's apt sources, so no backports "
                          "with a newer QEMU: install QEMU 9 or later")
        uri = [e[0] for e in machine_sources() if e[1] == e[2]][0]
        say(f"fetching a newer QEMU from {codename}-backports into build/apt (nothing of it is "
            "installed here)")
        arch = query("dpkg", "--print-architecture").strip()
        options, top = private_root(f"{codename}-qemu", arch, machine_sources() +
                                    [(uri, f"{codename}-backports", "")])
        # Against what is installed here: only what has to be newer is downloaded. A part of
        # Debian 12's qemu-system-common is a package of its own now; without it the new QEMU
        # finds the old one's, and complains.
        options += ["-o", "Dir::State::status=/var/lib/dpkg/status", "-t",
                    f"{codename}-backports"]
        archives = os.path.join(top, "cache", "archives")
        step("QEMU of the backports", ["apt-get"] + options + [
            "-y", "--no-install-recommends", "--download-only", "install", "qemu-system-arm"],
            "apt-qemu",
            hint="without it there is no Raspberry Pi 4 to test on; QEMU 9 or later has one")
        step("its modules", ["apt-get"] + options + ["download", "qemu-system-modules-opengl",
                                                    "qemu-system-modules-spice"],
             "apt-qemu-modules", cwd=archives)
        shutil.rmtree(place, ignore_errors=True)
        for name in debs(archives):
            subprocess.run(["dpkg-deb", "-x", os.path.join(archives, name), place], check=True)
        open(os.path.join(place, "complete"), "w").close()
    libraries = os.path.join(place, "usr", "lib", f"{os.uname().machine}-linux-gnu")
    return ([os.path.join(place, "usr", "bin", "qemu-system-aarch64"), "-L",
             os.path.join(place, "usr", "share", "qemu")],
            {"QEMU_MODULE_DIR": os.path.join(libraries, "qemu"), "LD_LIBRARY_PATH": libraries})


def unpacked(package, arch, component="main"):
    """Where a foreign architecture's package is unpacked, fetching it if need be; it is not
    installed. COMPONENT is the archive's: firmware, for one, is not in main."""
    place = os.path.join(BUILD, "apt", f"{package}-{arch}")
    if os.path.exists(place):
        return place
    say(f"fetching {package} for {arch} from this machine's Debian archive into build/apt "
        "(nothing of it is installed here)")
    options, top = private_root(arch if component == "main" else f"{arch}-{component}", arch,
                                machine_sources(), f"main {component}".replace("main main", "main"))
    step(f"{package}:{arch}", ["apt-get"] + options + ["download", package],
         "apt-download", cwd=top,
         hint=f"does the archive in this machine's apt sources serve {arch}?")
    deb, = [f for f in os.listdir(top) if re.match(package + r"_.*\.deb$", f)][-1:]
    scratch = place + ".new"
    shutil.rmtree(scratch, ignore_errors=True)
    subprocess.run(["dpkg-deb", "-x", os.path.join(top, deb), scratch], check=True)
    os.rename(scratch, place)
    return place


def foreign_file(package, arch, path, component="main"):
    """The file of a foreign architecture's package that is at PATH, a list of places."""
    place = unpacked(package, arch, component)
    for candidate in path:
        if os.path.exists(place + candidate):
            return place + candidate
    raise Failure(f"{package} has no {' or '.join(path)}: if Debian has a newer one, "
                  f"remove {short(place)}, and it is fetched again")
