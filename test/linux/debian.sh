#!/bin/bash
# SPDX-License-Identifier: MIT
# debian.sh -- Debian as one uses it: the system that came up, and programs that apt installed.
cd "$(dirname "$0")" || exit
. ./check.sh
work=$(mktemp -d) || exit

systemd_is_running() { expect "$(systemctl is-system-running --wait)" running; }
no_unit_failed() { expect "$(systemctl list-units --state=failed --no-legend --plain)" ""; }
a_login_on_the_console() { expect "$(tty) $(id -un)" "/dev/ttyAMA0 root"; }
root_is_on_the_disk() { expect "$(findmnt -no SOURCE,FSTYPE /)" "/dev/vda ext4"; }
network_is_configured() {
        systemctl is-active systemd-networkd && ip -4 addr show scope global | grep -q inet &&
                ping -c 1 -W 10 10.0.2.2
}
packages_are_whole() {
        [ "$(dpkg -l | grep -c '^ii')" -gt 150 ] && expect "$(dpkg --audit)" "" &&
                dpkg --verify coreutils libc6 bash
}
journal_is_kept() {
        journalctl -b --no-pager | grep -q 'systemd\[1\]' && logger -t test hello-journal &&
                journalctl --sync && journalctl -b -t test --no-pager | grep -q hello-journal
}
python_computes() {
        expect "$(python3 -c 'print(sum(i * i for i in range(10 ** 5)))')" 333328333350000
}
python_processes() {
        expect "$(python3 -c '
import multiprocessing as m
with m.Pool(4) as p: print(sum(p.map(abs, range(-500, 500))))')" 250000
}
gcc_compiles_and_links() {
        printf '#include <stdio.h>\nint main(void) { printf("%%d\\n", 6 * 7); }\n' >"$work/a.c"
        gcc -O2 -Wall -o "$work/a" "$work/a.c" && expect "$("$work/a")" 42
}
make_builds() {
        printf 'all: x y\nx y:\n\techo $@ >$@\n' >"$work/Makefile"
        make -s -j4 -C "$work" && expect "$(cat "$work/x" "$work/y" | tr -d '\n')" xy
}
git_commits() {
        git init -q "$work/git" && cd "$work/git" && echo 1 >f && git add f &&
                git -c user.name=a -c user.email=a@b commit -q -m one && git fsck 2>/dev/null &&
                expect "$(git log --format=%s)" one
}
sqlite_stores() {
        sqlite3 "$work/db" "create table t (n); with recursive c(n) as (select 1 union all
                select n + 1 from c where n < 20000) insert into t select n from c;"
        expect "$(sqlite3 "$work/db" 'select sum(n) from t; pragma integrity_check')" "200010000
ok"
}
# said PATTERN...: all of them are in what a program said (out)
said() {
        local pattern
        for pattern; do
                grep -q -- "$pattern" <<<"$out" || { tail -n 3 <<<"$out"; return 1; }
        done
}
gdb_steps() {
        printf 'int f(int n) {\n int s = 0;\n for (int i = 0; i < n; i++)\n  s += i;\n return s;\n}
int main(void) { return f(5) != 10; }\n' >"$work/d.c"
        gcc -g -O0 -o "$work/d" "$work/d.c" || return 1
        out=$(gdb -batch -nx -ex 'break f' -ex run -ex next -ex next -ex next -ex 'print i' \
                -ex stepi -ex finish -ex continue "$work/d" 2>&1)
        said 'Breakpoint 1, f (n=5)' 'Value returned is $2 = 10' 'exited normally'
}
gdb_watches_memory() {
        out=$(gdb -batch -nx -ex 'set can-use-hw-watchpoints 0' -ex 'break f' -ex run \
                -ex 'watch s if s == 3' -ex continue -ex 'print s' "$work/d" 2>&1)
        said 'New value = 3'
}
gdb_follows_a_fork() {
        printf '#include <unistd.h>\n#include <sys/wait.h>\nint inside(void) { return 7; }
int main(void) { int s; if (!fork()) _exit(inside()); wait(&s); return s != 0x700; }\n' >"$work/k.c"
        gcc -g -O0 -o "$work/k" "$work/k.c" || return 1
        out=$(gdb -batch -nx -ex 'set follow-fork-mode child' -ex 'set detach-on-fork on' \
                -ex 'break inside' -ex run -ex bt -ex continue "$work/k" 2>&1)
        said 'Breakpoint 1.*, inside' 'exited with code 07'
}
gdb_reads_a_core() {
        printf '#include <stdlib.h>\nint dead = 99;\nint main(void) { abort(); }\n' >"$work/c.c"
        gcc -g -O0 -o "$work/c" "$work/c.c" || return 1
        (ulimit -c unlimited; echo "$work/core" >/proc/sys/kernel/core_pattern; "$work/c")
        expect $? 134 || return 1
        gdb -batch -nx -ex 'print dead' -ex bt "$work/c" "$work"/core* 2>&1 | grep -q '= 99'
}
strace_traces() {
        strace -f -o "$work/trace" sh -c '/bin/true; /bin/true' &&
                expect "$(grep -c 'execve(' "$work/trace")" 3 &&
                grep -q 'exited with 0' "$work/trace"
}
stress_ng_verifies() { stress-ng --cpu 2 --vm 1 --vm-bytes 32M --fork 1 --verify -t 3; }
control_groups_limit() {
        expect "$(stat -fc %T /sys/fs/cgroup)" cgroup2fs || return 1
        ! systemd-run -q --scope -p MemoryMax=32M -p MemorySwapMax=0 \
                python3 -c 'b = bytearray(200 << 20)'
}
processes_are_limited() {
        ! systemd-run -q --scope -p TasksMax=8 python3 -c '
import subprocess as s
for p in [s.Popen(["sleep", "5"]) for n in range(20)]: p.wait()'
}
services_start_and_stop() {
        systemd-run -q --unit=t1 --remain-after-exit /bin/true && sleep 1 &&
                expect "$(systemctl is-active t1)" active && systemctl stop t1
}
a_service_in_a_sandbox() {
        systemd-run -q --wait --pipe -p PrivateTmp=yes -p ProtectSystem=strict -p DynamicUser=yes \
                -p PrivateNetwork=yes -p SystemCallFilter=@system-service \
                sh -c '[ "$(id -u)" != 0 ] && ! touch /etc/x && ! ping -c 1 -W 1 10.0.2.2'
}
modules_are_on_their_disk() { modprobe dummy && lsmod | grep -q ^dummy && rmmod dummy; }
security_modules_are_debians() {
        expect "$(cat /sys/kernel/security/lsm)" capability,landlock,yama,apparmor &&
                expect "$(cat /sys/module/apparmor/parameters/enabled)" Y
}
network_devices_of_all_kinds() {
        local kind
        for kind in wireguard bond bridge 'vxlan id 1 dstport 4789' ifb veth 'ipip local 10.0.2.15'
        do
                # shellcheck disable=SC2086 # some have options
                ip link add t0 type $kind && ip link del t0 || { echo "$kind"; return 1; }
        done
}
traffic_is_delayed() {
        # 200 ms on the loopback: what a ping measures has to be that, there and back.
        tc qdisc add dev lo root netem delay 200ms || return 1
        out=$(ping -c 2 -W 10 127.0.0.1)
        tc qdisc del dev lo root
        said 'time=[4-9][0-9][0-9]'
}
swap_space() {
        dd if=/dev/zero of=/swap bs=1M count=64 2>/dev/null && chmod 600 /swap &&
                mkswap /swap && swapon /swap &&
                expect "$(swapon --show=NAME --noheadings)" /swap && swapoff /swap && rm /swap
}
tar_and_compression() {
        tar -C /usr/lib -czf "$work/t.gz" systemd && mkdir "$work/t" &&
                tar -C "$work/t" -xzf "$work/t.gz" &&
                diff -r --no-dereference /usr/lib/systemd "$work/t/systemd"
}

check systemd_is_running systemd_is_running
check no_unit_failed no_unit_failed
check a_login_on_the_console a_login_on_the_console
check root_is_on_the_disk root_is_on_the_disk
check network_is_configured network_is_configured
check packages_are_whole packages_are_whole
check journal_is_kept journal_is_kept
check python_computes python_computes
check python_processes python_processes
check gcc_compiles_and_links gcc_compiles_and_links
check make_builds make_builds
check git_commits git_commits
check sqlite_stores sqlite_stores
check gdb_steps gdb_steps
check gdb_watches_memory gdb_watches_memory
check gdb_follows_a_fork gdb_follows_a_fork
check gdb_reads_a_core gdb_reads_a_core
check strace_traces strace_traces
check stress_ng_verifies stress_ng_verifies
check control_groups_limit control_groups_limit
check processes_are_limited processes_are_limited
check services_start_and_stop services_start_and_stop
check a_service_in_a_sandbox a_service_in_a_sandbox
check modules_are_on_their_disk modules_are_on_their_disk
check security_modules_are_debians security_modules_are_debians
check network_devices_of_all_kinds network_devices_of_all_kinds
check traffic_is_delayed traffic_is_delayed
check swap_space swap_space
check tar_and_compression tar_and_compression
check no_complaints no_complaints
check shadow_is_right shadow_is_right
finish
