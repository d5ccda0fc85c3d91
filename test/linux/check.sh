# SPDX-License-Identifier: MIT
# check.sh -- sourced by the tests here: `check name command...` runs a command in a shell of
# its own and says how it went; `finish` says how many there were. A script may set `skipped` to
# the exit code that means "not here". What a command says after "detail: " is told if it went
# well, too.
count=0
skipped=none
check() {
        name=$1
        shift
        count=$((count + 1))
        why=$("$@" 2>&1)
        code=$?
        last=$(echo "$why" | tail -n 3 | tr '\n' ' ')
        case $code in
        0) echo "TEST $name: ok $(echo "$why" | sed -n 's/^detail: //p')" ;;
        "$skipped") echo "TEST $name: n/a $last" ;;
        *) echo "TEST $name: FAILED exit $code: $last" ;;
        esac
}
finish() {
        echo "TESTS $count"
}
# expect ACTUAL WANTED
expect() {
        [ "$1" = "$2" ] || { echo "'$1' instead of '$2'"; return 1; }
}
# How many interrupts of a name there were.
irqs_of() {
        awk -v what="$1" '$0 ~ what { for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i }
                END { print n + 0 }' /proc/interrupts
}
# What every board and every build must pass.
uptime_advances() {
        read -r a _ </proc/uptime
        usleep 300000
        read -r b _ </proc/uptime
        [ "$a" != "$b" ]
}
# processes NUMBER, one after the other
processes() {
        n=0
        while [ $n -lt "$1" ]; do
                /bin/true || return 1
                n=$((n + 1))
        done
}
# What Linux says of itself after all that. no_complaints [MORE WORDS [LINES THAT ARE NONE]]
no_complaints() {
        words='WARNING|BUG:|Oops|ouzel:.*(refused|rejected)|soft lockup|rcu.*stall'
        ! dmesg | grep -v "${2:-^$}" | grep -E "$words${1:+|$1}"
}
# The runner says which build it is: should debugfs lack our files, that is a failure.
on_ouzel() { grep -q 'ouzel.build=ouzel' /proc/cmdline; }
# Every shadow table is what Linux's own table says, where there are shadows. A CPU that the host
# has stopped between an entry's store and its queueing looks like a hook that is missing
# (check.c): an address that is wrong in each of six looks is one.
looks_wrong() {
        awk '/ wrong$/ { summary = 1; next }
             { sub(/: [0-9]* entries differ, first/, ","); print }
             END { if (!summary) print "the checker has no summary" }' "$1"
}
shadow_is_right() {
        on_ouzel || return 0
        checker=/sys/kernel/debug/ouzel/check
        [ -r $checker ] || { echo "no $checker"; return 1; }
        wrong=$(looks_wrong $checker) || return
        for _ in 1 2 3 4 5; do
                [ -n "$wrong" ] || return 0
                sleep 1
                wrong=$(looks_wrong $checker | grep -xF "$wrong")
        done
        [ -z "$wrong" ] || { echo "$wrong" | head -n 2; return 1; }
}
