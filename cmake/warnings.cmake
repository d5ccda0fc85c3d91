# SPDX-License-Identifier: MIT
# warnings.cmake -- what every file of ours is compiled with, on the host and for the target.
set(OUZEL_WARNINGS -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes
        -Wold-style-definition -Wshadow -Wpointer-arith -Wwrite-strings -Wundef -Wvla)
set(OUZEL_WARNINGS_C $<$<COMPILE_LANGUAGE:C>:${OUZEL_WARNINGS}>)
