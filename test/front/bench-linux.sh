#!/bin/sh
# SPDX-License-Identifier: MIT
# bench-linux.sh -- both machines of ./ouzel bench linux, two short rows: they run, agree on the
# results, and the run is valid. And where the instructions go until they start.
ouzel=$(dirname "$0")/../../ouzel
"$ouzel" bench linux --row getpid --row pipe --divide 20 --limit 240 &&
        exec "$ouzel" bench linux --profile boot --limit 120
