/* SPDX-License-Identifier: MIT */
/* bytes.h -- ROOM bytes of which some are copied or filled, and none beside them. */
static unsigned char from[ROOM], to[ROOM], want[ROOM];

static void scramble(unsigned char *p)
{
        for (unsigned i = 0; i < ROOM; i++)
                p[i] = (unsigned char)dice(256);
}

static void expect(const unsigned char *got)
{
        for (unsigned i = 0; i < ROOM; i++)
                if (got[i] != want[i])
                        fail_msg("byte %u is %02x, not %02x", i, got[i], want[i]);
}
