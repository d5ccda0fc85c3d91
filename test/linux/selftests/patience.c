/* SPDX-License-Identifier: MIT */
/*
 * patience.c -- for cgroup/test_freezer, which takes a quick machine for granted: ld's --wrap puts
 * these between it and what it calls.
 */
#include <stdbool.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <unistd.h>

#define A_WHILE 100000 /* us */

int __real_cg_prepare_for_wait(const char *cgroup);
ssize_t __real_proc_read_text(int pid, bool thread, const char *item, char *buf, size_t size);
long __real_ptrace(enum __ptrace_request request, pid_t pid, void *address, void *data);

/* Linux tells about a change up to 10 ms later; what changed before must not end the wait. */
int __wrap_cg_prepare_for_wait(const char *cgroup)
{
        usleep(A_WHILE);
        return __real_cg_prepare_for_wait(cgroup);
}

/* A task that is not frozen any more runs for a moment, until it sees that it was stopped. */
ssize_t __wrap_proc_read_text(int pid, bool thread, const char *item, char *buf, size_t size)
{
        usleep(A_WHILE);
        return __real_proc_read_text(pid, thread, item, buf, size);
}

/* A task that a tracer lets go is not frozen for a moment, and the test looks at once. */
long __wrap_ptrace(enum __ptrace_request request, pid_t pid, void *address, void *data)
{
        long result = __real_ptrace(request, pid, address, data);

        if (request == PTRACE_DETACH)
                usleep(A_WHILE);
        return result;
}
