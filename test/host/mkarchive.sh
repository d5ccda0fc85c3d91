#!/bin/sh
# SPDX-License-Identifier: MIT
# mkarchive.sh -- a bad manifest or a missing file stops the build of an image, and the message
# names the file and the line. usage: mkarchive.sh MKARCHIVE
. "$(dirname "$0")/../linux/check.sh"
mkarchive=$1
ASAN_OPTIONS=detect_leaks=0 # it is a tool: the end of it frees everything
export ASAN_OPTIONS
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
printf 'program a\n file a\n' >good
printf 'hello' >a

# refuses MESSAGE ARGUMENT...: it fails, says just that, and leaves no archive.
refuses() {
        wanted=$1
        shift
        rm -f out
        said=$("$mkarchive" out "$@" 2>&1) && { echo "no error"; return 1; }
        expect "$said" "$wanted" || return 1
        [ ! -e out ] || { echo "it left an archive"; return 1; }
}
bad() { printf '%b' "$1" >bad; refuses "$2" bad a=a; }

makes_an_archive() { "$mkarchive" out good a=a && [ -s out ]; }
archive_is_repeatable() {
        "$mkarchive" one good a=a && sleep 1 && touch a && "$mkarchive" two good a=a && cmp one two
}
archive_is_for_cpio_too() {
        command -v cpio >/dev/null || { echo "no cpio"; return 1; }
        "$mkarchive" out good a=a && expect "$(cpio -t <out 2>/dev/null | tr '\n' ' ')" "manifest a " &&
                expect "$(cpio -i --to-stdout a <out 2>/dev/null)" hello
}
unknown_setting_names_its_line() {
        bad 'program a\n file a\n\n colour red\n' \
                "bad: line 4: unknown setting \`colour\`; there are file, memory, quota, extra, \
priority, core, cores, devices, calls, restart, control, manual, private, wx, append"
}
bad_size_names_its_line() {
        bad 'program a\n memory 5\n file a\n' \
                "bad: line 2: \`5\` is no size: expected a multiple of 4096 such as 64K, 1M, 2G, or \`rest\`"
}
bad_priority_names_its_line() {
        bad '# top\nprogram a\n file a\n priority 255\n' \
                "bad: line 4: \`255\` is no priority: expected 0 to 254"
}
program_twice_names_both_lines() {
        bad 'program a\n file a\nprogram a\n file a\n' \
                "bad: line 3: \`a\` is there already, in line 1"
}
program_without_file_names_a_line() { bad 'program a\n' "bad: line 2: \`a\` has no \`file\`"; }
foreign_line_ends_name_their_line() {
        bad 'program a\r\n file a\r\n' \
                "bad: line 1: character 10 is no text (code 13); lines end with a line feed alone"
}
file_not_given_names_the_line() {
        printf 'program a\n file a\n\nprogram b\n file bb\n' >two
        refuses "two: line 4: \`b\` wants a file \`bb\`, which is not given" two a=a
}
file_given_twice() { refuses "mkarchive: two files are called \`a\`" good a=a a=good; }
file_called_manifest() {
        refuses "mkarchive: a file can't be called \`manifest\`: the archive has its own" \
                good a=a manifest=a
}
file_called_as_what_fills_up() {
        refuses "mkarchive: a file can't be called \`pad\`: the archive has its own" \
                good a=a pad=a
}
file_called_as_the_end() {
        refuses "mkarchive: a file can't be called \`TRAILER!!!\`: the archive has its own" \
                good a=a 'TRAILER!!!=a'
}
file_that_is_not_there() { refuses "mkarchive: can't open nowhere" good a=nowhere; }
file_that_is_a_folder() { mkdir -p d && refuses "mkarchive: can't read d" good a=d; }
manifest_that_is_not_there() { refuses "mkarchive: can't open nowhere" nowhere a=a; }
argument_without_a_file() {
        refuses "mkarchive: expected NAME=FILE, got a" good a &&
                refuses "mkarchive: expected NAME=FILE, got =a" good =a &&
                refuses "mkarchive: expected NAME=FILE, got a=" good a=
}
archive_that_cannot_be_written() {
        said=$("$mkarchive" nowhere/out good a=a 2>&1) && return 1
        expect "$said" "mkarchive: can't write nowhere/out"
}
full_disk_is_noticed() {
        [ -e /dev/full ] || return 0
        said=$("$mkarchive" /dev/full good a=a 2>&1) && { echo "no error"; return 1; }
        expect "$said" "mkarchive: can't write /dev/full"
}

check makes_an_archive makes_an_archive
check archive_is_repeatable archive_is_repeatable
check archive_is_for_cpio_too archive_is_for_cpio_too
check unknown_setting_names_its_line unknown_setting_names_its_line
check bad_size_names_its_line bad_size_names_its_line
check bad_priority_names_its_line bad_priority_names_its_line
check program_twice_names_both_lines program_twice_names_both_lines
check program_without_file_names_a_line program_without_file_names_a_line
check foreign_line_ends_name_their_line foreign_line_ends_name_their_line
check file_not_given_names_the_line file_not_given_names_the_line
check file_given_twice file_given_twice
check file_called_manifest file_called_manifest
check file_called_as_what_fills_up file_called_as_what_fills_up
check file_called_as_the_end file_called_as_the_end
check file_that_is_not_there file_that_is_not_there
check file_that_is_a_folder file_that_is_a_folder
check manifest_that_is_not_there manifest_that_is_not_there
check argument_without_a_file argument_without_a_file
check archive_that_cannot_be_written archive_that_cannot_be_written
check full_disk_is_noticed full_disk_is_noticed
finish
