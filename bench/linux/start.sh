#!/bin/sh
# SPDX-License-Identifier: MIT
# start.sh -- what the machine of `./ouzel bench linux` runs: mounts Debian's programs, if that
# disk is there, then runs the rows of /test/plan.
root=/mnt
if [ -b /dev/vda ]; then
        mount -t ext4 /dev/vda $root
        mount -t proc proc $root/proc
        mount --bind /dev $root/dev
        mount -t tmpfs tmp $root/tmp
        mkdir $root/tmp/test
        mount --bind /test $root/tmp/test
fi
exec /test/bin/rows
