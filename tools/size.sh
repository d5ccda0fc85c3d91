#!/bin/bash
# SPDX-License-Identifier: MIT
# size.sh -- how big Ouzel is: the kernel's lines and text, and what the Linux port adds.
#
# Lines are all lines of the files, comments and blank ones included.
set -euo pipefail
cd "$(dirname "$0")/.."

row() { printf '%-46s %7d  %s\n' "$1" "$2" "${3:-}"; }
# Lines that a set of patches adds (+) or removes (-) in files of Debian's, or in new ones.
patch_lines() {
        find servers/linux -path 'servers/linux/patches/*.patch' -exec cat {} + |
                awk -v sign="$1" -v fresh="$2" '
                        /^--- / { new = $2 == "/dev/null"; next }
                        /^\+\+\+ / { next }
                        substr($0, 1, 1) == sign && new == fresh { n++ }
                        END { print n + 0 }'
}
under() { find "$1" -type f \( -name '*.[chS]' -o -name '*.lds' -o -name '*.def' \) -print0 |
        xargs -0r cat | wc -l; }

kernel=$(under src/kernel)
arch=$(($(under src/arch) + $(under lib/devicetree)))
row "kernel, lines (src/kernel)" "$kernel"
row "arch code, lines (src/arch, lib/devicetree)" "$arch"
row "both" $((kernel + arch)) "aim: under 8000"
elf=build/gcc/kernel.elf
if [ -e "$elf" ]; then
        text=$(readelf -SW "$elf" | awk '{ sub(/^ *\[ *[0-9]+\] */, "") }
                $1 == ".text" { print $5 }')
        row "kernel text, bytes (gcc)" $((16#$text)) "aim: under 98304"
else
        echo "kernel text: build it first ($elf is missing)"
fi
row "pager, lines (servers/pager)" "$(under servers/pager)"
row "user library, lines (lib)" $(($(under lib) - $(under lib/devicetree)))

files=$(find servers/linux -path 'servers/linux/tree/*' -type f | wc -l)
new=$(find servers/linux -path 'servers/linux/tree/*' -type f -print0 | xargs -0r cat | wc -l)
new=$((new + $(patch_lines + 1)))
edits=$(patch_lines + 0)
row "Linux port, lines in $files new files" "$new"
row "Linux port, lines added to existing files" "$edits" "limit: 800"
row "Linux port, lines removed from existing files" "$(patch_lines - 0)"
row "Linux port, all lines added" $((new + edits)) "limit: 4000"
