// SPDX-License-Identifier: MIT
/*
 * demo.c -- small programs to see the pager at work with. The manifest's `append` says which:
 * `clock`, a driver (arm,pl031), or one that does not live long.
 */
#include <ouzel/pager.h>
#include <ouzel/user.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* ---- the clock: PL031 [Arm DDI 0224, 3.2] ------------------------------------------------ */

enum { RTC_DATA = 0, RTC_MATCH = 1, RTC_MASK = 4, RTC_CLEAR = 7 }; /* registers, in words */
#define RTC_VA      0xffff000040000000
#define SLOT_NOTE   SLOT_FIRST_FREE
#define CLOCK_NOW   1 /* w0: seconds since 1970 */
#define CLOCK_NEXT  2 /* the same, when the next second begins: by the interrupt */

static uint64_t next_second(volatile uint32_t *rtc, uint64_t slot)
{
        uint32_t next = rtc[RTC_DATA] + 1;

        rtc[RTC_MATCH] = next;
        rtc[RTC_MASK] = 1;
        while (rtc[RTC_DATA] < next)
                if (CALL(notify_wait, SLOT_NOTE, now() + (3ul << 30)))
                        break;
        rtc[RTC_MASK] = 0;
        rtc[RTC_CLEAR] = 1;
        CALL(irq_ack, slot);
        return rtc[RTC_DATA];
}

static int clock_serve(void)
{
        volatile uint32_t *rtc = (volatile uint32_t *)RTC_VA;
        struct message m = {.tag = MSG_TAG(PAGER_DEVICE, 1)};
        enum ouzel_error e = ipc_call(SLOT_PARENT, &m);

        if (e || m.tag >> TAG_LABEL_SHIFT) {
                printf("clock: the manifest gives me no device\n");
                return 0;
        }
        uint64_t slot = m.w[2];
        e = CALL(space_update, SLOT_SPACE, RTC_VA, m.w[0] & ~4095ul,
                 ACCESS_READ | ACCESS_WRITE | MAP_DEVICE, 1);
        if (!e)
                e = CALL(notification_create, SLOT_NOTE, 0);
        if (!e)
                e = CALL(irq_bind, slot, SLOT_NOTE, 0, 0);
        if (e) {
                printf("clock: %s\n", error_text(e));
                return 1;
        }
        m = (struct message){0};
        e = ipc_recv(SLOT_SERVICE, &m);
        while (!e) {
                uint64_t label = m.tag >> TAG_LABEL_SHIFT;
                uint64_t t = label == CLOCK_NEXT ? next_second(rtc, slot) : rtc[RTC_DATA];
                bool known = label == CLOCK_NOW || label == CLOCK_NEXT;
                m = (struct message){.tag = MSG_TAG(known ? E_OK : E_NOCALL, 1), .w = {t}};
                e = ipc_reply_recv(SLOT_SERVICE, &m);
        }
        printf("clock: %s\n", error_text(e));
        return 1;
}

static bool is(const char *args, const char *word)
{
        size_t n = strlen(word);

        return !strncmp(args, word, n) && (!args[n] || args[n] == ' ');
}

int main(uint64_t used, const char *args)
{
        (void)used;
        if (is(args, "clock"))
                return clock_serve();
        if (is(args, "exit"))
                return 3;
        if (is(args, "crash")) {
                printf("crasher: hello, and good-bye\n");
                *(volatile uint64_t *)0xffff00dead000000 = 1;
        }
        printf("demo: `%s` means nothing to me\n", args);
        return 0;
}
