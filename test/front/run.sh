#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh -- ./ouzel run without a terminal, and its options. Each run asks make whether Linux is as
# it should be, which takes longer than the guest: there are few, and several checks look at one.
# usage: run.sh OUZEL
. "$(dirname "$0")/../linux/check.sh"
ouzel=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

# run NAME OPTION...: the guest gets standard input; NAME.out is what it said, NAME.code how it ended.
run() {
        name=$1
        shift
        "$ouzel" run "$@" >"$name.raw" 2>&1
        echo $? >"$name.code"
        tr -d '\r' <"$name.raw" >"$name.out"
        cat "$name.out"
}
# said NAME LINE: this line came; what is typed comes with a prompt before it.
said() {
        grep -qxF -e "$2" "$1.out" || { tail -n 2 "$1.out"; echo "no line '$2'"; return 1; }
}
ended() {
        expect "$(cat "$1.code")" "$2" || { tail -n 2 "$1.out"; return 1; }
}
# listen_to PORT: what a server behind it says, once there is one. It is stopped after the run.
listen_to() {
        python3 - "$1" <<'END'
import socket, sys, time
end = time.monotonic() + 500
while time.monotonic() < end:
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5) as s:
            s.settimeout(60)
            said = s.recv(100)
        if said:
            sys.stdout.write(said.decode())
            break
    except OSError:  # no guest, or no listener in it: not yet
        pass
    time.sleep(0.3)
END
}

# ---- a shell in the guest ----------------------------------------------------------------------
port=$(python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1])')
echo "the host wrote this" >disk
truncate -s 1M disk
listen_to "$port" >heard &
listener=$!
run shell --smp 2 --append ouzel.word=x7 --disk disk --forward "$port:7777" --timeout 150 <<'END'
echo $((6 * 7))$((1 + 1))
grep -o 'ouzel\.w[^ ]*' /proc/cmdline
echo "$(nproc) CPUs"
head -n 1 /dev/vda
echo "the guest wrote this" | dd of=/dev/vda bs=512 seek=8 conv=fsync
echo "the guest sent this" | timeout 60 nc -l -p 7777
END
kill $listener 2>/dev/null
on_disk() {
        expect "$(dd if=disk bs=512 skip=8 count=1 2>/dev/null | head -n 1)" "the guest wrote this"
}

# ---- an initial RAM disk that says what it finds ------------------------------------------------
cat >init.c <<'END'
#include <stdio.h>
#include <sys/reboot.h>
#include <time.h>
int main(void)
{
        struct timespec a, b;
        unsigned long n = 50000000;

        clock_gettime(CLOCK_MONOTONIC, &a);
        __asm__ volatile("1: subs %0, %0, #1\n b.ne 1b" : "+r"(n) :: "cc");
        clock_gettime(CLOCK_MONOTONIC, &b);
        long ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
        printf("init of the test\n100 million instructions took %ld ms\n", ms);
        fflush(stdout);
        reboot(RB_POWER_OFF);
}
END
if aarch64-linux-gnu-gcc -O1 -static -s -o init init.c; then
        echo init | cpio -o -H newc --quiet >initrd
        run init --initrd initrd --icount --timeout 150 </dev/null
fi
# One is a nanosecond; the timer's interrupts are the rest.
instructions_are_counted() {
        took=$(sed -n 's/^100 million instructions took //p' init.out)
        case $took in
        10[0-3]" ms") ;;
        *) expect "$took" "100 to 103 ms" ;;
        esac
}

# ---- Ouzel's own shell -------------------------------------------------------------------------
echo programs | run native --native --timeout 60
mkfifo typed
sleep 60 >typed &   # a standard input that neither says anything nor ends
sleeper=$!
run hangs --native --timeout 5 <typed
kill $sleeper

check a_command_is_run said shell 422
check its_end_ends_the_guest ended shell 0
check append_reaches_the_command_line said shell ouzel.word=x7
check smp_has_two_cpus said shell "2 CPUs"
check disk_is_read said shell "the host wrote this"
check disk_is_written on_disk
check forward_reaches_the_guest expect "$(cat heard)" "the guest sent this"
check initrd_is_started said init "init of the test"
check init_powers_off ended init 0
check icount_counts instructions_are_counted
check native_answers grep '^shell  *runs' native.out
check native_ends ended native 0
check timeout_is_an_error ended hangs 124
check timeout_is_told said hangs "ouzel: the guest did not end within 5 s (--timeout): stopped"
finish
