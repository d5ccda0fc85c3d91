#!/bin/bash
# SPDX-License-Identifier: MIT
# linux-build.sh -- what servers/linux/build.sh says about a source that it can't use. Silent if
# all is well.
set -uo pipefail
build=$(dirname "$0")/../servers/linux/build.sh
scratch=$(mktemp -d) || exit
trap 'rm -rf "$scratch"' EXIT
export OUZEL_LINUX_BUILD=$scratch/build OUZEL_LINUX_SOURCE=$scratch/linux.tar.xz
status=0

# refused PATTERN ARGUMENT...: it fails, and says so in these words
refused() {
        local pattern=$1 said
        shift
        if said=$("$build" "$@" 2>&1); then
                echo "build.sh $* went well, expected: $pattern"
        elif ! grep -qE -- "$pattern" <<<"$said"; then
                echo "build.sh $* said: $said; expected: $pattern"
        else
                return
        fi
        status=1
}

refused "'plan9' is no build of Linux: ouzel or native" plan9
refused 'linux.tar.xz is missing. On Debian: apt install linux-source-6.12' ouzel

# Another Linux, whose lines are not those that the first patch changes.
mkdir -p "$scratch/linux/arch/arm64"
echo "obj-y += something else" >"$scratch/linux/arch/arm64/Kbuild"
tar -C "$scratch" -cJf "$OUZEL_LINUX_SOURCE" linux
first=$(cd "$(dirname "$build")/patches" && ls | head -n 1)
refused "patches/$first does not apply to .*linux.tar.xz \(servers/linux/README.md" ouzel

echo "no archive at all" >"$OUZEL_LINUX_SOURCE"
refused 'unpacking .*linux.tar.xz.*failed' ouzel
exit $status
