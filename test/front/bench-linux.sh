#!/bin/sh
# SPDX-License-Identifier: MIT
# bench-linux.sh -- both machines of ./ouzel bench linux, two short rows: they run, agree on the
# results, and the run is valid.
exec "$(dirname "$0")/../../ouzel" bench linux --row getpid --row pipe --divide 20 --limit 240
