#!/bin/sh
# SPDX-License-Identifier: MIT
# unprivileged.sh -- every Linux instruction runs at EL0, so none may need more; and whoever looks
# for those that do finds them where they are.
#
# usage: unprivileged.sh CHECK-PRIVILEGED.SH
check_privileged=$1
cd "$(dirname "$0")" || exit
. ./check.sh
linux=../../build/linux/ouzel

linux_needs_no_privilege() { "$check_privileged" $linux/vmlinux; }
its_modules_need_none() {
        [ "$(find $linux/modules -name '*.ko' | wc -l)" -gt 20 ] || { echo "where are they?"; return 1; }
        "$check_privileged" $linux/modules
}
# It has one instruction of each kind that Linux uses.
the_module_that_tries_them_is_found_out() {
        said=$("$check_privileged" "$(find $linux/modules -name trap_test.ko)") && return 1
        expect "$(echo "$said" | awk '{ print $3 }' | sort -u | tr '\n' ' ')" "$1"
}

what_is_no_program_does_not_pass() { ! "$check_privileged" "$check_privileged"; }

check linux_needs_no_privilege linux_needs_no_privilege
check its_modules_need_none its_modules_need_none
check the_module_that_tries_them_is_found_out the_module_that_tries_them_is_found_out \
        "at eret hvc mrs msr smc tlbi "
check what_is_no_program_does_not_pass what_is_no_program_does_not_pass
finish
