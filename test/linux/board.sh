#!/bin/sh
# SPDX-License-Identifier: MIT
# board.sh -- the short test of Linux on a Raspberry Pi: what is different from QEMU's virt.
. /test/check.sh

wait_for() { # PATH: it exists within 10 s
        n=0
        while [ ! -e "$1" ] && [ $n -lt 20 ]; do
                usleep 500000
                n=$((n + 1))
        done
        [ -e "$1" ] || expect "$(cd /dev && echo mmc*)" "$1"
}
four_cpus() { expect "$(nproc)" 4; }
all_memory() {
        # The tree says 960 MiB: Ouzel keeps 30 of them, and the image and disk are there twice.
        have=$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
        [ "$have" -gt 800 ] || expect "$have MiB" "more than 800"
}
dma_zone() { # what devices of the first GiB alone can reach
        awk '/zone +DMA$/ { dma = 1 } dma && /present/ { print $2; exit }' /proc/zoneinfo |
                grep -v '^0$'
}
console_is_the_trees() { # the last one is /dev/console; tty0 is there for a screen
        read -r consoles </sys/class/tty/console/active
        expect "${consoles##* }" ttyAMA0
}
firmware_answers() { dmesg | grep 'Attached to firmware'; }
card_is_there() { wait_for /dev/mmcblk0p2 && [ -b /dev/mmcblk0p1 ]; }
card_reads() {
        mount -t ext4 -o ro /dev/mmcblk0p2 /mnt && cmp /bin/busybox /mnt/bin/busybox
        same=$?
        umount /mnt && return $same
}
card_writes() {
        mount -t ext4 /dev/mmcblk0p2 /mnt && dd if=/dev/urandom of=/tmp/a bs=1M count=4 &&
                cp /tmp/a /mnt/a && umount /mnt && echo 3 >/proc/sys/vm/drop_caches &&
                mount -t ext4 /dev/mmcblk0p2 /mnt && cmp /tmp/a /mnt/a
        same=$?
        umount /mnt && return $same
}
boot_partition() { expect "$(dd if=/dev/mmcblk0p1 bs=1 skip=71 count=5)" OUZEL; }
interrupts_are_counted() {
        awk '/mmc/ { for (n = 2; n < 6; n++) sum += $n } END { exit sum == 0 }' /proc/interrupts &&
                grep -E 'uart-pl011' /proc/interrupts
}
watchdog() { [ -e /dev/watchdog0 ]; }
check four_cpus four_cpus
check uptime_advances uptime_advances
check processes processes 50
check all_memory all_memory
check dma_zone dma_zone
check console_is_the_trees console_is_the_trees
check firmware_answers firmware_answers
check card_is_there card_is_there
check card_reads card_reads
check card_writes card_writes
check boot_partition boot_partition
check interrupts_are_counted interrupts_are_counted
check watchdog watchdog
check no_complaints no_complaints 'Call trace|refused|mismatch' 'dwc2.*dr_mode forced'
finish
