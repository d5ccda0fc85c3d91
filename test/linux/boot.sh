#!/bin/sh
# SPDX-License-Identifier: MIT
# boot.sh -- the short test of Linux: run by busybox on the machine that just booted.
. /test/check.sh
# shellcheck disable=SC2034 # check.sh looks at it
skipped=4

# As many as the machine has: the device tree names them all, whether they were started or not.
cpus_online() {
        set -- /proc/device-tree/cpus/cpu@*
        expect "$(grep -c ^processor /proc/cpuinfo)" $# && expect "$(nproc)" $#
}
init_is_first() { expect "$(cat /proc/1/comm)" init; }
clock_advances() {
        a=$(date +%s)
        sleep 2
        b=$(date +%s)
        [ $((b - a)) -ge 1 ] && [ $((b - a)) -le 4 ] || expect "$((b - a))" 2
}
parallel() {
        for n in 1 2 3 4 5 6 7 8; do
                (i=0; while [ $i -lt 500 ]; do i=$((i + 1)); done; echo $n >/tmp/parallel.$n) &
        done
        wait
        expect "$(cat /tmp/parallel.* | sort | tr -d '\n')" 12345678
}
pipes() { expect "$(seq 1 2000 | sort -rn | sort -n | md5sum)" "$(seq 1 2000 | md5sum)"; }
exit_codes() {
        sh -c 'exit 42'
        expect $? 42
}
kill_by_signal() {
        sleep 100 &
        kill -TERM $!
        wait $!
        expect $? 143
}
trap_signal() {
        expect "$(sh -c 'trap "echo caught; exit 3" USR1; kill -USR1 $$; echo missed')" caught
}
segfault_is_a_signal() {
        # A shell that sends it to itself: the default action and its status.
        sh -c 'kill -SEGV $$'
        expect $? 139
}
stop_and_continue() {
        sleep 100 &
        kill -STOP $!
        usleep 100000
        expect "$(awk '/^State/ { print $2 }' /proc/$!/status)" T || return 1
        kill -CONT $!
        usleep 100000
        expect "$(awk '/^State/ { print $2 }' /proc/$!/status)" S || return 1
        kill -KILL $!
}
big_file() {
        dd if=/dev/zero of=/tmp/big bs=64k count=512 2>/dev/null
        expect "$(md5sum </tmp/big | cut -c 1-8)" 58f06dd5 || return 1
        rm /tmp/big
}
memory_pressure() {
        # Every page of it is written and read back.
        dd if=/dev/urandom of=/tmp/a bs=1M count=48 2>/dev/null
        cp /tmp/a /tmp/b
        cmp /tmp/a /tmp/b && rm /tmp/a /tmp/b
}
random() { head -c 16 /dev/urandom | md5sum; }
random_is_there() { [ "$(random)" != "$(random)" ]; }
rng_device() { expect "$(cat /sys/class/misc/hw_random/rng_current | cut -c 1-10)" virtio_rng; }
loopback() {
        (echo hello | nc -l -p 4000 >/tmp/got) &
        sleep 1
        echo there | nc 127.0.0.1 4000 >/dev/null
        wait
        expect "$(cat /tmp/got)" there
}
gateway() { ping -c 2 -W 5 10.0.2.2; }
unix_socket() {
        syslogd -O /tmp/log || return 1
        for n in 1 2 3 4 5; do
                logger through-a-socket
                sleep 1
                grep -q through-a-socket /tmp/log && break
        done
        killall syslogd
        grep through-a-socket /tmp/log
}
floating_point() {
        expect "$(awk 'BEGIN { for (i = 1; i <= 20000; i++) s += 1 / i; printf "%.9f", s }')" \
                10.480728217
}
floating_point_is_kept_apart() {
        for n in 1 2 3 4; do
                awk -v n=$n 'BEGIN { for (j = 0; j < 40; j++) { s = 0; for (i = 1; i <= 2000; i++)
                        s += n / i; r[s] = 1 } k = 0; for (v in r) k++; exit k != 1 }' ||
                        echo bad >>/tmp/fp &
        done
        wait
        [ ! -e /tmp/fp ]
}
compressed_twice() { expect "$(seq 1 30000 | gzip | gunzip | md5sum)" "$(seq 1 30000 | md5sum)"; }
symlinks_and_rename() {
        mkdir -p /tmp/d/e && echo x >/tmp/d/e/f && ln -s e/f /tmp/d/l && mv /tmp/d /tmp/g &&
                expect "$(cat /tmp/g/l)" x && rm -r /tmp/g
}
mount_and_unmount() {
        mkdir -p /mnt/t && mount -t tmpfs t /mnt/t && echo y >/mnt/t/y && umount /mnt/t &&
                [ ! -e /mnt/t/y ]
}
loop_file_system() {
        dd if=/dev/zero of=/tmp/fs bs=1M count=8 2>/dev/null
        mke2fs -q -F /tmp/fs 2>/dev/null && mount -o loop /tmp/fs /mnt && echo z >/mnt/z &&
                umount /mnt && mount -o loop /tmp/fs /mnt && expect "$(cat /mnt/z)" z &&
                umount /mnt && rm /tmp/fs
}
namespaces() { expect "$(unshare -p -f -m sh -c 'echo $$')" 1; }
own_memory_map() { grep -q '\[stack\]' /proc/self/maps && grep -q '\[vdso\]' /proc/self/maps; }
dev_mem_is_refused() {
        [ -c /dev/mem ] || return 1
        said=$(dd if=/dev/mem of=/dev/null bs=4096 count=1 skip=262144 2>&1) && return 1
        echo "$said" | grep -E 'Bad address|not permitted'
}
interrupts_are_counted() {
        before=$(irqs_of virtio)
        ping -c 1 -W 5 10.0.2.2 || return 1
        [ "$(irqs_of virtio)" -gt "$before" ] || expect "$(irqs_of virtio)" "more than $before"
}
module_in_and_out() {
        # Into use and out again: its text is loaded, relocated and freed.
        modprobe dummy numdummies=2 && expect "$(lsmod | grep -c ^dummy)" 1 &&
                [ -e /sys/class/net/dummy1 ] && rmmod dummy && ! grep ^dummy /proc/modules
}
privileged_instructions_of_linux_are_trapped() {
        on_ouzel || { echo "natively they work"; return 4; }
        modprobe trap_test || return 1
        for n in 0 1 2 3 4 5 6 7 8 9 10 11; do
                (echo $n >/sys/kernel/debug/ouzel/trap) 2>/dev/null
                code=$?
                [ $code = 139 ] || { expect "instruction $n: exit $code" 139; return; }
        done
        expect "$(dmesg | grep -c 'Oops - Undefined instruction')" 12 &&
                dmesg | grep -q 'pc : execute.*trap_test'
}

check cpus_online cpus_online
check init_is_first init_is_first
check clock_advances clock_advances
check uptime_advances uptime_advances
check processes processes 200
check parallel parallel
check pipes pipes
check exit_codes exit_codes
check kill_by_signal kill_by_signal
check trap_signal trap_signal
check segfault_is_a_signal segfault_is_a_signal
check stop_and_continue stop_and_continue
check big_file big_file
check memory_pressure memory_pressure
check random_is_there random_is_there
check rng_device rng_device
check loopback loopback
check gateway gateway
check unix_socket unix_socket
check floating_point floating_point
check floating_point_is_kept_apart floating_point_is_kept_apart
check compressed_twice compressed_twice
check symlinks_and_rename symlinks_and_rename
check mount_and_unmount mount_and_unmount
check loop_file_system loop_file_system
check namespaces namespaces
check own_memory_map own_memory_map
check dev_mem_is_refused dev_mem_is_refused
check interrupts_are_counted interrupts_are_counted
check module_in_and_out module_in_and_out
check no_complaints no_complaints 'Call trace|refused|mismatch'
# The last: it leaves complaints.
check privileged_instructions_of_linux_are_trapped privileged_instructions_of_linux_are_trapped
finish
