#!/bin/sh
# SPDX-License-Identifier: MIT
# options.sh -- what ./ouzel can't do as asked it refuses at once, and says why; nothing is built.
# usage: options.sh OUZEL
. "$(dirname "$0")/../linux/check.sh"
ouzel=$1

# refuses WORDS OPTION...: it fails, and its last line has these words.
refuses() {
        words=$1
        shift
        said=$("$ouzel" "$@" 2>&1 </dev/null) && { echo "no error"; return 1; }
        echo "$said" | tail -n 1 | grep -qF -e "$words" || { echo "said: $said"; return 1; }
}
every_command_has_help() {
        "$ouzel" help >help.out || return 1
        for one in run test soak bench image debug fuzz prove lint clean; do
                "$ouzel" "$one" --help </dev/null | grep -q "^usage: ./ouzel $one" ||
                        { echo "$one"; return 1; }
                grep -q "^  $one " help.out || { echo "$one is not in help"; return 1; }
        done
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

check every_command_has_help every_command_has_help
check unknown_command refuses "invalid choice: 'walk'" walk
check no_such_size refuses "from 256M to 8G" run --mem 1M
check no_such_number_of_cores refuses "from 1 to 8 cores" run --smp 9
check no_such_port refuses "HOSTPORT:GUESTPORT" run --forward 80
check no_such_time refuses "a number from 1 on" soak --minutes 0
check no_such_disk refuses "no such file" run --disk missing.img
check no_such_ramdisk refuses "no such file" run --initrd missing.cpio
check no_linux_no_disk refuses "starts no Linux" run --native --root debian
check a_board_has_its_memory refuses "is what it is" run --board rpi3 --mem 2G
check a_board_has_its_core_type refuses "is what it is" run --board rpi4 --cpu max
check a_board_has_no_network refuses "are virt's" run --board rpi3 --forward 8080:80
check root_is_a_cards refuses "with --board rpi3 or rpi4" image --root debian
check no_card_without_linux refuses "makes no card" image --native --board rpi3
check no_regular_expression refuses "is no regular expression" test --only '('
check rows_go_where_they_can refuses "--json missing/rows: can't be written" \
        bench --json missing/rows
check either_way_of_bench_linux refuses "--json missing/rows: can't be written" \
        bench --json missing/rows linux
check a_page_goes_where_it_can refuses "--html $dir: can't be written" bench linux --html "$dir"
check nothing_to_compare_with refuses "not what --json wrote" bench linux --compare missing
check a_profile_is_of_one_row refuses "--profile looks at one row" \
        bench linux --profile getpid --json rows
finish
