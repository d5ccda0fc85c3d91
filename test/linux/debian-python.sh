#!/bin/bash
# SPDX-License-Identifier: MIT
# debian-python.sh -- Python's own tests of what it takes from the system.
cd "$(dirname "$0")" || exit
. ./check.sh
# What failed is tried once more by itself (-w): many count on being quick.
python() {
        local out=/var/tmp/$1.out start=$SECONDS code
        (cd /var/tmp && timeout -k 10 1200 python3 -m test -v -w --timeout 900 \
                -u network,subprocess "$1") </dev/null >"$out" 2>&1
        code=$?
        {
                echo "$1: $((SECONDS - start)) s, exit code $code"
                sed -n '/^=====.*=$/,$p' "$out" | head -n 300
                [ $code = 0 ] || tail -n 30 "$out"
        } >/dev/console
        grep -E '^(FAIL|ERROR):|Error' "$out" | tail -n 3
        # The numbers must be the same on both builds, too.
        awk '/^Ran [0-9]+ tests? in/ { if (!ran) ran = $2; last = 0 }
             /^(OK|FAILED)( \(|$)/ {
                first = !seen++; last = 0
                while (match($0, /(failures|errors|skipped|expected failures)=[0-9]+/)) {
                        split(substr($0, RSTART, RLENGTH), part, "=")
                        if (part[1] == "skipped") { if (first) skipped = part[2] }
                        else if (part[1] != "expected failures") last += part[2]
                        $0 = substr($0, RSTART + RLENGTH)
                }
             }
             END { printf "detail: %d ok, %d not ok, %d skipped\n", ran - skipped - last, last,
                        skipped }' "$out"
        return $code
}

check test_os python test_os
check test_signal python test_signal
check test_threading python test_threading
check test_mmap python test_mmap
check test_subprocess python test_subprocess
check test_socket python test_socket
check test_multiprocessing_fork python test_multiprocessing_fork
check test_select python test_select
# The parts that are about the system; the whole takes more than 15 minutes in emulation.
check test_asyncio_events python test_asyncio.test_events
check test_asyncio_subprocess python test_asyncio.test_subprocess
check test_asyncio_sockets python test_asyncio.test_sock_lowlevel
check test_time python test_time
check test_posix python test_posix
check test_resource python test_resource
finish
