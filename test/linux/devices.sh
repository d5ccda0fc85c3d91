#!/bin/sh
# SPDX-License-Identifier: MIT
# devices.sh -- every device that Linux was given, driven by Linux's own driver. The other side
# of it (the disk's file, the web server, the hand on the power key) is devices.py.
. /test/check.sh
# shellcheck disable=SC2034 # check.sh looks at it
skipped=4
MIB=1048576
option() { tr ' ' '\n' </proc/cmdline | sed -n "s/^$1=//p"; }
web=http://10.0.2.2:$(option devices.port)

disk_size() { expect "$(cat /sys/block/vda/size)" $((16 * 2048)); }
disk_is_read() {
        expect "$(head -c $((4 * MIB)) /dev/vda | md5sum | cut -d' ' -f1)" "$(option devices.disk)"
}
disk_is_written() {
        seq 1 400000 | head -c $((2 * MIB)) >/tmp/out
        dd if=/tmp/out of=/dev/vda bs=64k seek=128 conv=fsync 2>/dev/null || return 1
        echo 3 >/proc/sys/vm/drop_caches
        dd if=/dev/vda bs=64k skip=128 count=32 2>/dev/null | cmp - /tmp/out
}
disk_reads_by_four_at_once() {
        readers=
        for n in 0 1 2 3; do
                (for round in 1 2 3 4 5; do
                        echo 3 >/proc/sys/vm/drop_caches
                        dd if=/dev/vda of=/tmp/read.$round.$n bs=1M skip=$n count=1 \
                                2>/tmp/said.$n || { cat /tmp/said.$n; exit 1; }
                done) &
                readers="$readers $!"
        done
        for reader in $readers; do
                wait "$reader" || return 1
        done
        for round in 1 2 3 4 5; do
                expect "$(cat /tmp/read.$round.[0-3] | md5sum | cut -d' ' -f1)" \
                        "$(option devices.disk)" || return 1
        done
        rm /tmp/read.*
}
file_system_on_a_disk() {
        mke2fs -F /dev/vdb >/dev/null 2>&1 && mount /dev/vdb /mnt && cp /bin/busybox /mnt/b &&
                umount /mnt && echo 3 >/proc/sys/vm/drop_caches && mount -o ro /dev/vdb /mnt &&
                cmp /bin/busybox /mnt/b && umount /mnt
}
disk_interrupts() { [ "$(irqs_of virtio)" -gt 20 ] || expect "$(irqs_of virtio)" "more than 20"; }
interrupt_moves_to_another_cpu() {
        [ "$(nproc)" -gt 1 ] || { echo "there is no other CPU"; return 4; }
        cpu=$(($(nproc) - 1))
        for n in $(awk '/virtio/ { sub(":", "", $1); print $1 }' /proc/interrupts); do
                echo $cpu >/proc/irq/"$n"/smp_affinity_list || return 1
        done
        moved() {
                awk -v f=$((cpu + 2)) '/virtio/ { n += $f } END { print n + 0 }' /proc/interrupts
        }
        before=$(moved)
        echo 3 >/proc/sys/vm/drop_caches
        dd if=/dev/vda of=/dev/null bs=64k count=64 2>/dev/null || return 1
        [ "$(moved)" -gt "$before" ] || expect "$(moved)" "more than $before on CPU $cpu"
}
gateway_answers() { ping -c 3 -W 5 10.0.2.2; }
web_page_is_fetched() {
        wget -q -O /tmp/page "$web/page" || return 1
        expect "$(md5sum </tmp/page | cut -d' ' -f1)" "$(option devices.page)"
}
file_is_uploaded() {
        tr '\0' x </dev/zero | head -c 300000 >/tmp/up
        expect "$(wget -q -O - --post-file /tmp/up "$web/sum")" \
                "$(md5sum </tmp/up | cut -d' ' -f1)"
}
many_connections() {
        n=0
        while [ $n -lt 30 ]; do
                expect "$(wget -q -O - "$web/number/$n")" "number $n" || return 1
                n=$((n + 1))
        done
}
entropy_comes_from_the_device() {
        expect "$(cut -c 1-10 /sys/class/misc/hw_random/rng_current)" virtio_rng || return 1
        head -c 256 /dev/hwrng >/tmp/r1 && head -c 256 /dev/hwrng >/tmp/r2 || return 1
        expect "$(wc -c </tmp/r1)" 256 && ! cmp -s /tmp/r1 /tmp/r2
}
clock_is_the_hosts() {
        expect "$(cat /sys/class/rtc/rtc0/name | cut -d' ' -f1)" rtc-pl031 || return 1
        rtc=$(cat /sys/class/rtc/rtc0/since_epoch)
        ahead=$((rtc - $(option devices.now)))
        [ $ahead -ge -2 ] && [ $ahead -lt 600 ] || {
                expect "$ahead s ahead" "at most 600"
                return
        }
        off=$((rtc - $(date +%s)))
        [ $off -ge -2 ] && [ $off -le 2 ] || expect "system clock $off s off" 0
}
clock_alarm_rings() {
        before=$(irqs_of rtc-pl031)
        echo 0 >/sys/class/rtc/rtc0/wakealarm
        echo +2 >/sys/class/rtc/rtc0/wakealarm || return 1
        for n in 1 2 3 4 5 6 7 8; do
                sleep 1
                [ "$(irqs_of rtc-pl031)" -gt "$before" ] && return
        done
        expect "$(irqs_of rtc-pl031) interrupts" "more than $before"
}
console_is_by_interrupt() {
        grep -q ttyAMA0 /proc/consoles || return 1
        before=$(irqs_of pl011)
        echo "DEVICES: type a line" >/dev/console
        expect "$(timeout 60 head -n 1 </dev/ttyAMA0)" "a typed line" || return 1
        [ "$(irqs_of pl011)" -gt "$before" ] || expect "$(irqs_of pl011)" "more than $before"
}
power_key() {
        [ -e /dev/input/event0 ] || mdev -s
        (timeout 60 head -c 24 /dev/input/event0 >/tmp/key) &
        sleep 1
        echo "DEVICES: press the power key" >/dev/console
        wait
        # struct input_event: time (16 bytes), type EV_KEY = 1, code KEY_POWER = 116, value 1
        expect "$(tail -c 8 /tmp/key | od -An -t x1 | tr -d ' ')" 0100740001000000
}
nobody_elses_device_is_there() {
        on_ouzel || { echo "natively they are Linux's"; return 4; }
        # Ouzel's own: the interrupt controller and the timer are not Linux's to see.
        expect "$(grep -ciE 'gic|arch_timer' /proc/interrupts)" 0
}

check disk_size disk_size
check disk_is_read disk_is_read
check disk_is_written disk_is_written
check disk_reads_by_four_at_once disk_reads_by_four_at_once
check file_system_on_a_disk file_system_on_a_disk
check disk_interrupts disk_interrupts
check interrupt_moves_to_another_cpu interrupt_moves_to_another_cpu
check gateway_answers gateway_answers
check web_page_is_fetched web_page_is_fetched
check file_is_uploaded file_is_uploaded
check many_connections many_connections
check entropy_comes_from_the_device entropy_comes_from_the_device
check clock_is_the_hosts clock_is_the_hosts
check clock_alarm_rings clock_alarm_rings
check console_is_by_interrupt console_is_by_interrupt
check power_key power_key
check nobody_elses_device_is_there nobody_elses_device_is_there
finish
