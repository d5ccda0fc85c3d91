#!/bin/sh
# SPDX-License-Identifier: MIT
# overflow.sh -- the end of Linux: a function of a module calls itself. For bad_input.py.
modprobe trap_test && echo 12 >/sys/kernel/debug/ouzel/trap
