#!/bin/bash
# SPDX-License-Identifier: MIT
# debian-python.sh -- Python's own tests of what it takes from the system.
cd "$(dirname "$0")" || exit
. ./check.sh
python() {
        local out
        out=$(cd /var/tmp && timeout -k 10 1200 python3 -m test -u network,subprocess "$1" 2>&1) ||
                { echo "$out" | grep -E '^(FAIL|ERROR):|Error' | head -n 5; return 1; }
}

check test_os python test_os
check test_signal python test_signal
check test_threading python test_threading
check test_mmap python test_mmap
check test_subprocess python test_subprocess
check test_socket python test_socket
check test_multiprocessing_fork python test_multiprocessing_fork
check test_select python test_select
check test_asyncio python test_asyncio
check test_time python test_time
check test_posix python test_posix
check test_resource python test_resource
finish
