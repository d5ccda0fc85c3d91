#!/bin/bash
# SPDX-License-Identifier: MIT
# selftests-build.sh -- build the kernel selftests that selftests.sh runs, as static programs.
#
# usage: selftests-build.sh LINUX_SOURCE OUT
#
# From the same source package as Linux itself, with its own headers. One that does not build
# is named, and its test says so: no other depends on it.
set -euo pipefail
source=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
cross=${OUZEL_CROSS:-aarch64-linux-gnu-}
self=$source/tools/testing/selftests
scratch=$out/.headers

if [ ! -e "$scratch/include/linux/version.h" ]; then
        make -s -C "$source" O="$out/.build" ARCH=arm64 INSTALL_HDR_PATH="$scratch" \
                headers_install >"$out/.headers.log" 2>&1 ||
                { cat "$out/.headers.log" >&2; exit 1; }
        rm -rf "$out/.build"
        : >"$scratch/local_config.h"
fi

# What a program is linked with besides its own source.
more() {
        case $1 in
        mm/*) echo "$self/mm/vm_util.c $self/mm/thp_settings.c" ;;&
        mm/uffd-*) echo "$self/mm/uffd-common.c" ;;
        rseq/*) echo "$self/rseq/rseq.c" ;;
        cgroup/*) echo "$self/cgroup/cgroup_util.c" ;;
        vDSO/*) echo "$self/vDSO/parse_vdso.c" ;;
        esac
}

failed=0
build() {
        local program
        program=$out/$(echo "$1" | sed 's,/,-,g; s,\.c$,,')
        [ "$program" -nt "$self/$1" ] && return
        # shellcheck disable=SC2046
        "${cross}gcc" -static -O2 -w -std=gnu99 -D_GNU_SOURCE= -DKHDR_INCLUDES -pthread \
                -isystem "$scratch/include" -I"$scratch" -I"$self" -I"$self/$(dirname "$1")" \
                -I"$self/futex/include" -I"$self/clone3" -I"$self/../../include/uapi" \
                -o "$program" "$self/$1" $(more "$1") -lrt -lm -ldl -lutil \
                >"$out/.log" 2>&1 || {
                echo "selftests: $1 does not build: $(grep -m 1 -E 'error|undefined' "$out/.log")"
                return 1
        }
        "${cross}strip" "$program"
}
while read -r file; do
        build "$file" || failed=$((failed + 1))
done < <(sed -n 's/^check [a-z0-9_]* self \([^ ]*\).*/\1/p' "$here/selftests.sh" | sort -u)
echo "selftests: $(find "$out" -maxdepth 1 -type f -perm -1 | wc -l) programs, $failed not built"
