#!/bin/bash
# SPDX-License-Identifier: MIT
# soak.sh -- mixed stress for $SOAK_MINUTES, with the shadow checked all along (./ouzel soak).
# $SOAK_SECONDS is how long each mix runs.
cd "$(dirname "$0")" || exit
. ./check.sh
minutes=${SOAK_MINUTES:-60}
seconds=${SOAK_SECONDS:-50}
work=$(mktemp -d -p /var/tmp) || exit
debug=/sys/kernel/debug/ouzel

# What the kernel's memory goes to: the line with the fewest others of many looks. What ended a
# moment ago may still be where ksmd and khugepaged went to sleep, and an idle CPU keeps the memory
# of the process that it ran last, even if that is over, until it runs another.
mm=/sys/kernel/mm
quota() {
        local pause
        pause=$(cat $mm/transparent_hugepage/khugepaged/scan_sleep_millisecs)
        echo 10 >$mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
        echo 10 >$mm/ksm/sleep_millisecs
        for _ in 1 2 3 4 5 6 7 8; do
                sync
                sleep 1
                for cpu in 0 1 2 3; do
                        taskset -c $cpu cat $debug/quota
                done
        done | sort -n -k 14 | head -n 1
        echo "$pause" >$mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
}
others() { echo "$*" | cut -d' ' -f14; }
# No io-uring: that stressor fails on native Linux, too (it asks for a file that is gone).
# One round is about a minute, by default; what runs together changes from round to round.
round() {
        local sets=(
                "--vm 2 --vm-bytes 64M --mmap 2 --mmap-bytes 32M --fork 2 --exec 2 --madvise 1"
                "--userfaultfd 2 --mremap 2 --mprotect 2 --brk 2 --stack 1 --tlb-shootdown 2"
                "--pipe 2 --switch 2 --futex 2 --pthread 2 --timer 1 --sigsegv 2 --ptrace 2"
                "--hdd 1 --hdd-bytes 32M --iomix 1 --dentry 1 --mmapfork 2 --mmaphuge 1 --shm 2"
                "--cpu 2 --sock 2 --eventfd 1 --seccomp 1 --clone 2 --vfork 2 --mmapmany 1"
        )
        # shellcheck disable=SC2086
        (cd "$work" && timeout -k 10 $((seconds + 100)) stress-ng ${sets[$1 % ${#sets[@]}]} \
                -t "$seconds" --verify --temp-path "$work") >"$work/out" 2>&1 &
        local job=$!
        while kill -0 $job 2>/dev/null; do
                shadow_is_right || { pkill stress-ng; wait $job; return 1; }
                sleep 2
        done
        wait $job || { tail -n 3 "$work/out"; return 1; }
}
rounds_go_well() {
        local n=0
        while [ $SECONDS -lt $end ]; do
                round $n || { echo "round $n"; return 1; }
                n=$((n + 1))
                left=$(((end - SECONDS) / 60))
                echo "soak: $n rounds, $left minutes left, $(cat $debug/quota)" >/dev/console
        done
}
round_before() { for n in 0 1 2 3 4; do round $n || return 1; done; }
# Linux keeps tables of its own mappings, so the shadow does, and no more; systemd's processes may be
# others than before. For all the rest there may be a page or two more of capabilities, 128 each:
# the smallest space takes five.
quota_is_back() {
        local after own tables
        after=$(quota)
        echo "detail: before, $before; after, $after"
        own=$(echo "$after" | cut -d' ' -f5)
        tables=$(echo "$after" | cut -d' ' -f8)
        [ "$own" -le "$tables" ] && [ "$(others "$after")" -le $(($(others "$before") + 2)) ]
}

check round_before round_before
before=$(quota)
end=$((SECONDS + minutes * 60))
check rounds_go_well rounds_go_well
check quota_is_back quota_is_back
check shadow_is_right shadow_is_right
check no_complaints no_complaints
finish
