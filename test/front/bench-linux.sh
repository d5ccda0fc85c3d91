#!/bin/sh
# SPDX-License-Identifier: MIT
# bench-linux.sh -- both machines of ./ouzel bench linux, few and short rows: they run, agree on
# the results, the run is valid, and a browser shows its page as it should be. And where the
# instructions go until they start.
set -eu
here=$(dirname "$0")
ouzel=$here/../../ouzel
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$ouzel" bench linux --row getpid --row pipe --row 'users_[12]' --divide 20 --limit 240 \
        --html "$scratch/page.html"
"$here/page.py" "$scratch/page.html"
"$ouzel" bench linux --profile boot --limit 120
