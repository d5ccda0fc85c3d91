#!/bin/bash
# SPDX-License-Identifier: MIT
# selftests-build.sh -- build the kernel selftests that selftests.sh runs, as static programs.
#
# usage: selftests-build.sh LINUX_SOURCE OUT [PACKAGE...]
#
# From the same source package as Linux itself, with its own headers; a program's path in OUT/bin
# is that of its source. PACKAGE is where a package for arm64 with a library that some need
# (libcap-dev, libnuma-dev) is unpacked. A program that does not build is named, and its test says
# so: no other depends on it.
set -euo pipefail
source=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
shift 2
libraries=()
for package; do
        libraries+=(-idirafter "$package/usr/include" -L"$package/usr/lib/aarch64-linux-gnu")
done
cross=${OUZEL_CROSS:-aarch64-linux-gnu-}
self=$source/tools/testing/selftests
scratch=$out/.headers

if [ ! -e "$scratch/include/linux/version.h" ]; then
        mkdir -p "$scratch"
        # "headers" and not "headers_install": that is the same and a copy by rsync.
        make -s -C "$source" O="$out/.build" ARCH=arm64 headers >"$out/.headers.log" 2>&1 ||
                { cat "$out/.headers.log" >&2; exit 1; }
        rm -rf "$scratch/include"
        mv "$out/.build/usr/include" "$scratch/include"
        rm -rf "$out/.build"
        : >"$scratch/local_config.h"
fi

# What a program is compiled with besides its own source.
more() {
        case $1 in
        mm/*) echo "$self/mm/vm_util.c $self/mm/thp_settings.c" ;;&
        mm/ksm_tests.c | mm/migration.c) echo -lnuma ;;
        mm/memfd_secret.c | seccomp/*) echo -lcap ;;
        # Three take for granted what their headers, or an older C library, did not have.
        mm/khugepaged.c) echo -DKSFT_SKIP=4 ;;
        arm64/abi/hwcap.c) echo -Du64=__u64 ;;
        timers/valid-adjtimex.c) echo -Dclock_adjtime=own_clock_adjtime ;;
        mm/uffd-*) echo "$self/mm/uffd-common.c" ;;
        memfd/*) echo "$self/memfd/common.c" ;;
        rseq/*) echo "$self/rseq/rseq.c" ;;
        cgroup/*) echo "$self/cgroup/cgroup_util.c" ;;&
        cgroup/test_freezer.c)
                echo "$here/selftests/patience.c -Wl,--wrap=ptrace" \
                        "-Wl,--wrap=cg_prepare_for_wait,--wrap=proc_read_text" ;;
        vDSO/*) echo "$self/vDSO/parse_vdso.c" ;;
        esac
}

# As their Makefile has it, or one above: without -O, some allocate memory only to have it.
optimization() {
        local at=$self/$1
        while [ "$at" != "$self" ]; do
                grep -shE 'CFLAGS.* -O[23]' "$at/Makefile" | grep -om 1 -e '-O[23]' && return
                at=$(dirname "$at")
        done
        echo -O0
}

failed=0
fresh() {
        local program=$1 file
        shift
        for file; do
                [ "$program" -nt "$file" ] || return
        done
}
# A program has the name that it has there: one looks for itself in /proc.
build() {
        local program=$out/bin/${1%.c}
        fresh "$program" "$self/$1" "$here/selftests-build.sh" "$here"/selftests/* && return
        mkdir -p "$(dirname "$program")"
        # In its folder, for those that call temporary files after __FILE__.
        # shellcheck disable=SC2046
        (cd "$self/$(dirname "$1")" && "${cross}gcc" -static "$(optimization "$(dirname "$1")")" \
                -w -std=gnu99 -D_GNU_SOURCE= -DKHDR_INCLUDES -pthread \
                -isystem "$scratch/include" -I"$scratch" -I"$self" -I. \
                -I"$self/futex/include" -I"$self/clone3" \
                -idirafter "$source" -idirafter "$self/../../include" \
                -idirafter "$self/../../include/uapi" \
                -o "$program" "$(basename "$1")" $(more "$1") \
                "${libraries[@]}" -lrt -lm -ldl -lutil) >"$out/.log" 2>&1 || {
                echo "selftests: $1 does not build: $(grep -m 1 -E 'error|undefined' "$out/.log")"
                return 1
        }
        "${cross}strip" "$program"
}
while read -r file; do
        build "$file" || failed=$((failed + 1))
done < <(sed -n 's/^check [a-z0-9_]* .*\<self \([^ ]*\).*/\1/p' "$here/selftests.sh" | sort -u)
echo "selftests: $(find "$out/bin" -type f -perm -1 | wc -l) programs, $failed not built"
