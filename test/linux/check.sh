# SPDX-License-Identifier: MIT
# check.sh -- sourced by the tests here: `check name command...` runs a command in a shell of
# its own and says how it went; `finish` says how many there were.
count=0
check() {
        name=$1
        shift
        count=$((count + 1))
        if why=$("$@" 2>&1); then
                echo "TEST $name: ok"
        else
                echo "TEST $name: FAILED exit $?: $(echo "$why" | tail -n 3 | tr '\n' ' ')"
        fi
}
finish() {
        echo "TESTS $count"
}
# expect ACTUAL WANTED
expect() {
        [ "$1" = "$2" ] || { echo "'$1' instead of '$2'"; return 1; }
}
