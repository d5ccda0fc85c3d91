#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# build.sh -- Debian's Linux 6.12 with our port: as the Ouzel server, and natively.
#
# usage: servers/linux/build.sh ouzel|native...
#
# One source tree, build/linux/source: Debian's, with servers/linux/tree/ copied over it and
# servers/linux/patches/*.patch applied. Two builds out of it, build/linux/ouzel (CONFIG_OUZEL=y)
# and build/linux/native (CONFIG_OUZEL=n). Only files whose text changed are touched, so that
# make rebuilds what it must and no more.
#
# OUZEL_LINUX_SOURCE  the tarball                   (/usr/src/linux-source-6.12.tar.xz)
# OUZEL_LINUX_BUILD   where to build                (build/linux)
# OUZEL_CROSS         prefix of the cross tools     (aarch64-linux-gnu-)
# OUZEL_JOBS          how many at once              (as many as there are cores)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
tarball=${OUZEL_LINUX_SOURCE:-/usr/src/linux-source-6.12.tar.xz}
build=${OUZEL_LINUX_BUILD:-$here/../../build/linux}
cross=${OUZEL_CROSS:-aarch64-linux-gnu-}
jobs=${OUZEL_JOBS:-$(nproc)}

say() { printf 'linux: %s\n' "$*"; }
die() { printf 'linux: %s\n' "$*" >&2; exit 1; }

# show LOG COUNT_PATTERN EXPECTED TEXT: a line every now and then while a job runs, on a
# terminal rewritten in place. The job's last lines are shown if it fails.
watch_job() {
        local log=$1 pattern=$2 expected=$3 text=$4 pid=$5 start=$SECONDS said=$SECONDS n=0 of=
        [ -s "$expected" ] && of=" of about $(cat "$expected")"
        while kill -0 "$pid" 2>/dev/null; do
                sleep 1
                n=$(grep -c "$pattern" "$log" || true)
                if [ -t 1 ]; then
                        printf '\rlinux: %s: %d%s, %d s ' "$text" "$n" "$of" $((SECONDS - start))
                elif [ $((SECONDS - said)) -ge 30 ]; then
                        said=$SECONDS
                        say "$text: $n$of, $((SECONDS - start)) s"
                fi
        done
        [ -t 1 ] && printf '\r\033[K'
        if ! wait "$pid"; then
                tail -n 20 "$log" >&2
                die "$text: failed after $((SECONDS - start)) s; everything it said: $log"
        fi
        n=$(grep -c "$pattern" "$log" || true)
        say "$text: $n, $((SECONDS - start)) s"
}

# install_changed FROM TO: copy unless TO has the same text already; keeps make's clock right.
install_changed() {
        cmp -s "$1" "$2" && return
        mkdir -p "$(dirname "$2")"
        cp -p "$1" "$2.new"
        touch "$2.new"
        mv "$2.new" "$2"
}

# ---- source ------------------------------------------------------------------------------
unpack() {
        local identity
        [ -r "$tarball" ] || die "$tarball is missing. On Debian: apt install linux-source-6.12"
        identity=$(stat -c '%s %Y' "$tarball")
        [ "$(cat "$build/source.from" 2>/dev/null)" = "$identity" ] && return
        [ -d "$build/source" ] && say "$tarball is another version now: starting afresh"
        rm -rf "$build/source" "$build/pristine" "$build/unpack" "$build"/source.*
        mkdir -p "$build/unpack"
        tar -xvf "$tarball" -C "$build/unpack" --strip-components=1 >"$build/unpack.log" 2>&1 &
        watch_job "$build/unpack.log" . /dev/null "unpacking $tarball, files" $!
        rm "$build/unpack.log"
        mv "$build/unpack" "$build/source"
        echo "$identity" >"$build/source.from"
}

# Names of the files that the patches change, one per line.
patched_files() {
        find "$here" -path "$here/patches/*.patch" -exec cat {} + |
                sed -n 's,^+++ b/\([^[:space:]]*\).*,\1,p' | sort -u
}

port() {
        local state patch file scratch=$build/patch
        state=$(cd "$here" && find . ../../include/ouzel \( -path './tree/*' -o \
                -path './patches/*' -o -path '*/include/ouzel/*' \) -type f \
                -print0 | sort -z | xargs -0r sha256sum | sha256sum)
        [ "$(cat "$build/source.port" 2>/dev/null)" = "$state" ] && return
        rm -f "$build/source.port"

        # Undo what the last state of the port did, file by file, from Debian's originals.
        # The result is made in a scratch tree first, then only differences are copied.
        rm -rf "$scratch"
        mkdir -p "$scratch" "$build/pristine"
        touch "$build/source.files"
        patched_files >"$scratch.files"
        while read -r file; do
                # A file that the port patched before is in pristine/ already.
                if [ ! -e "$build/pristine/$file" ] && ! grep -qxF "$file" "$build/source.files"
                then
                        [ -e "$build/source/$file" ] || continue   # the patch creates it
                        mkdir -p "$build/pristine/$(dirname "$file")"
                        cp -p "$build/source/$file" "$build/pristine/$file"
                fi
                [ -e "$build/pristine/$file" ] || continue
                mkdir -p "$scratch/$(dirname "$file")"
                cp -p "$build/pristine/$file" "$scratch/$file"
        done <"$scratch.files"
        for patch in "$here"/patches/*.patch; do
                [ -e "$patch" ] || continue
                patch -d "$scratch" -p1 --forward --batch --no-backup-if-mismatch <"$patch" \
                        >"$build/patch.log" 2>&1 || {
                        cat "$build/patch.log" >&2
                        die "patches/$(basename "$patch") does not apply to $tarball" \
                            "(servers/linux/README.md says how to rebase it)"
                }
        done
        if [ -d "$here/tree" ]; then
                (cd "$here/tree" && find . -type f | sed 's,^\./,,') >"$scratch.new"
                while read -r file; do
                        [ ! -e "$scratch/$file" ] ||
                                die "tree/$file is also made by a patch: it can be only one"
                        mkdir -p "$scratch/$(dirname "$file")"
                        cp -p "$here/tree/$file" "$scratch/$file"
                done <"$scratch.new"
                cat "$scratch.new" >>"$scratch.files"
        fi
        # The contract with the kernel: the same headers that it is built from.
        for file in abi.h vcpu.h syscalls.def; do
                mkdir -p "$scratch/arch/arm64/include/ouzel"
                cp -p "$here/../../include/ouzel/$file" "$scratch/arch/arm64/include/ouzel/"
                echo "arch/arm64/include/ouzel/$file" >>"$scratch.files"
        done
        # What was the port's and no longer is goes back to what it was.
        sort "$build/source.files" | comm -23 - <(sort "$scratch.files") | while read -r file; do
                if [ -e "$build/pristine/$file" ]; then
                        install_changed "$build/pristine/$file" "$build/source/$file"
                else
                        rm -f "$build/source/$file"
                fi
        done
        sort -u "$build/source.files" "$scratch.files" >"$build/source.files.new"
        mv "$build/source.files.new" "$build/source.files"
        while read -r file; do
                install_changed "$scratch/$file" "$build/source/$file"
        done <"$scratch.files"
        mv "$scratch.files" "$build/source.files"
        rm -rf "$scratch" "$scratch.new" "$build/patch.log"
        echo "$state" >"$build/source.port"
        say "port applied: $(find "$here" -path "$here/patches/*.patch" | wc -l) patches," \
            "$(find "$here" -path "$here/tree/*" -type f | wc -l) new files"
}

# ---- builds ------------------------------------------------------------------------------
run_make() {
        local out=$1
        shift
        # Fixed names and date: the same source gives the same Image, and ccache hits.
        make -C "$build/source" O="$out" ARCH=arm64 CROSS_COMPILE="$cross" -j"$jobs" \
                CC="$(command -v ccache || true) ${cross}gcc" KBUILD_BUILD_USER=ouzel \
                KBUILD_BUILD_HOST=ouzel KBUILD_BUILD_TIMESTAMP='1 January 2025' "$@"
}

configure() {
        local kind=$1 out=$2 state option
        cat "$here/config" >"$out/fragment"
        [ -e "$here/config.$kind" ] && cat "$here/config.$kind" >>"$out/fragment"
        if [ "$kind" = ouzel ]; then
                echo CONFIG_OUZEL=y >>"$out/fragment"
        else
                echo '# CONFIG_OUZEL is not set' >>"$out/fragment"
        fi
        state=$(cat "$out/fragment" "$build/source.port" "$build/source.from" | sha256sum)
        [ -e "$out/.config" ] && [ "$(cat "$out/configured" 2>/dev/null)" = "$state" ] && return
        # An .old and an unchanged .config are what make compares by; conf keeps its date.
        run_make "$out" KCONFIG_ALLCONFIG="$out/fragment" allnoconfig \
                >"$out/configure.log" 2>&1 || {
                tail -n 20 "$out/configure.log" >&2
                die "configuring $kind failed; everything it said: $out/configure.log"
        }
        # An option that Kconfig dropped (renamed, or a dependency is off) would go unseen.
        grep -E '^CONFIG_[A-Z0-9a-z_]+=' "$out/fragment" | grep -v '=n$' | while read -r option
        do
                grep -qxF "$option" "$out/.config" ||
                        say "$kind: $option was asked for but did not get into .config"
        done
        echo "$state" >"$out/configured"
}

# Modules as a disk has them, in build/linux/KIND/modules/lib/modules: where the initial RAM disk
# and Debian's root take them from.
install_modules() {
        local out=$1 state
        state=$(find "$out" -path "$out/modules" -prune -o \
                \( -name '*.ko' -o -name modules.order \) -printf '%P %s %T@\n' | sort | sha256sum)
        [ "$(cat "$out/modules.installed" 2>/dev/null)" = "$state" ] && return
        rm -rf "$out/modules"
        run_make "$out" INSTALL_MOD_PATH="$out/modules" INSTALL_MOD_STRIP=1 modules_install \
                >"$out/modules.log" 2>&1 || {
                tail -n 20 "$out/modules.log" >&2
                die "installing modules failed; everything it said: $out/modules.log"
        }
        # These point into the build, and are of no use on another machine.
        rm -f "$out"/modules/lib/modules/*/build "$out"/modules/lib/modules/*/source
        echo "$state" >"$out/modules.installed"
}

build_one() {
        local kind=$1 out=$build/$1 text targets=Image
        mkdir -p "$out"
        out=$(cd "$out" && pwd)
        configure "$kind" "$out"
        grep -q '=m$' "$out/.config" && targets="Image modules"
        [ -s "$out/objects" ] || echo 3500 >"$out/objects" # what the first full build compiles
        : >"$out/make.log"
        # shellcheck disable=SC2086 # targets are words
        run_make "$out" $targets >"$out/make.log" 2>&1 &
        watch_job "$out/make.log" '^  [A-Z]' "$out/objects" "building $kind, objects" $!
        # A full build tells the next one how much there is to do.
        n=$(grep -c '^  [A-Z]' "$out/make.log" || true)
        [ "$n" -gt "$(cat "$out/objects" 2>/dev/null || echo 0)" ] && echo "$n" >"$out/objects"
        [ "$targets" = Image ] || install_modules "$out"
        say "$out/arch/arm64/boot/Image, $(stat -c %s "$out/arch/arm64/boot/Image") bytes"
}

case ${1:-} in
-h | --help | help | '')
        sed -n '3,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"
        exit
        ;;
esac
for kind; do
        case $kind in
        ouzel | native) ;;
        *) die "'$kind' is no build of Linux: ouzel or native" ;;
        esac
done
mkdir -p "$build"
build=$(cd "$build" && pwd)
# Two builds at once would take each other's source away.
exec 9>"$build/lock"
flock -n 9 || { say "waiting for another build of Linux to end"; flock 9; }
unpack
port
for kind; do
        build_one "$kind"
done
