// SPDX-License-Identifier: MIT
/*
 * subsystems.c -- parts of Linux that lean on what the port changed, worked by programs: CPU
 * hotplug under load, swap, io_uring and its kernel threads, BPF programs through the JIT, probes
 * and events, security modules and audit, same pages merged, control groups.
 *
 * A static arm64 program, run on Ouzel and on the native build alike.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "harness.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t vm_event(const char *name)
{
        char line[80];
        FILE *f = fopen("/proc/vmstat", "r");
        size_t length = strlen(name);

        EXPECT(f);
        while (fgets(line, sizeof(line), f)) {
                if (!strncmp(line, name, length) && line[length] == ' ') {
                        fclose(f);
                        return strtoull(line + length, NULL, 10);
                }
        }
        fail("/proc/vmstat has no %s", name);
}

/* ---- CPU hotplug ------------------------------------------------------------------------ */

struct work {
        atomic_bool stop;
        atomic_uint rounds[16];
};

/* Memory, system calls, processes and floating point, until told to stop. */
static void work_hard(struct work *work, unsigned me)
{
        double sum = 0;

        while (!work->stop) {
                uint8_t *p = map(16 * PAGE, RW);
                for (unsigned i = 0; i < 16; i++)
                        p[i * PAGE] = (uint8_t)(me + i);
                EXPECT(mprotect(p, 8 * PAGE, PROT_READ) == 0);
                if (work->rounds[me] % 8 == 0) {
                        pid_t pid = fork();
                        if (!pid) {
                                p[15 * PAGE]++;
                                _exit(p[15 * PAGE] != (uint8_t)(me + 16));
                        }
                        wait_for(pid);
                }
                for (unsigned i = 0; i < 16; i++) {
                        EXPECT(p[i * PAGE] == (uint8_t)(me + i));
                        sum += p[i * PAGE] / 4.0;
                }
                EXPECT(sum == 4.0 * me + 30 || me + 15 > 255);
                sum = 0;
                munmap(p, 16 * PAGE);
                work->rounds[me]++;
        }
        _exit(0);
}

TEST(cpus_go_off_and_on_under_load)
{
        unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_CONF), workers = cpus + 1;
        struct work *work = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pid_t pids[COUNT_OF(work->rounds)];
        char path[64];

        if (cpus < 2)
                skip("one CPU");
        alarm(300); /* all CPUs meet for each change: where they are emulated, that takes long */
        EXPECT(work != MAP_FAILED && workers <= COUNT_OF(work->rounds));
        for (unsigned i = 0; i < workers; i++) {
                pids[i] = fork();
                if (!pids[i]) {
                        prctl(PR_SET_PDEATHSIG, SIGKILL);
                        work_hard(work, i);
                }
        }
        for (unsigned i = 0; i < 6; i++) {
                unsigned done = work->rounds[0];
                snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online",
                         1 + i % (cpus - 1));
                put(path, "0");
                EXPECT((unsigned)sysconf(_SC_NPROCESSORS_ONLN) == cpus - 1);
                /* It goes on without this CPU. */
                for (unsigned n = 0; n < 100 && work->rounds[0] == done; n++)
                        usleep(50000);
                EXPECT(work->rounds[0] != done);
                put(path, "1");
        }
        /* All but the first off at once, and on again. */
        for (unsigned on = 0; on < 2; on++) {
                for (unsigned cpu = 1; cpu < cpus; cpu++) {
                        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", cpu);
                        put(path, on ? "1" : "0");
                }
                usleep(200000);
        }
        EXPECT((unsigned)sysconf(_SC_NPROCESSORS_ONLN) == cpus);
        for (unsigned cpu = 0; cpu < cpus; cpu++)
                on_cpu(cpu);
        work->stop = true;
        for (unsigned i = 0; i < workers; i++) {
                wait_for(pids[i]);
                EXPECT(work->rounds[i] > 1);
        }
}

/* ---- swap ------------------------------------------------------------------------------- */

#define SWAPPED (32 * MIB)

static uint64_t pattern(size_t at, uint64_t seed)
{
        return (at / PAGE * 0x9e3779b97f4a7c15) ^ seed;
}

static void fill(uint8_t *p, uint64_t seed)
{
        for (size_t i = 0; i < SWAPPED; i += PAGE)
                for (size_t n = 0; n < 4; n++)
                        *(uint64_t *)(p + i + n * 1024) = pattern(i, seed);
}

static void verify(const uint8_t *p, uint64_t seed)
{
        for (size_t i = 0; i < SWAPPED; i += PAGE)
                for (size_t n = 0; n < 4; n++)
                        if (*(const uint64_t *)(p + i + n * 1024) != pattern(i, seed))
                                fail("page %zu is not what it was", i / PAGE);
}

/* In a control group with much less memory than it fills: what does not fit is swapped. */
static void use_more_than_there_is(void)
{
        uint8_t *p = map(SWAPPED, RW);

        fill(p, 1);
        verify(p, 1);
        pid_t pid = fork();
        if (!pid) {
                /* Half of it becomes the child's own. */
                for (size_t i = 0; i < SWAPPED; i += 2 * PAGE)
                        *(uint64_t *)(p + i + 8) = i;
                for (size_t i = 0; i < SWAPPED; i += 2 * PAGE)
                        EXPECT(*(uint64_t *)(p + i + 8) == i);
                verify(p, 1);
                _exit(0);
        }
        verify(p, 1);
        wait_for(pid);
        for (size_t i = 0; i < SWAPPED; i += PAGE)
                EXPECT(*(uint64_t *)(p + i + 8) == 0);
        fill(p, 2);
        verify(p, 2);
}

TEST(memory_that_does_not_fit_is_swapped)
{
        char text[16];

        alarm(300);
        EXPECT(system("modprobe zram && echo 192M >/sys/block/zram0/disksize && "
                      "mkswap /dev/zram0 >/dev/null && swapon /dev/zram0") == 0);
        mkdir("/tmp/cgroup", 0755);
        EXPECT(mount("cgroup", "/tmp/cgroup", "cgroup2", 0, NULL) == 0);
        put("/tmp/cgroup/cgroup.subtree_control", "+memory");
        EXPECT(mkdir("/tmp/cgroup/small", 0755) == 0);
        put("/tmp/cgroup/small/memory.max", "12M");
        uint64_t out = vm_event("pswpout"), in = vm_event("pswpin");
        pid_t pid = fork();
        if (!pid) {
                snprintf(text, sizeof(text), "%d", getpid());
                put("/tmp/cgroup/small/cgroup.procs", text);
                use_more_than_there_is();
                _exit(0);
        }
        wait_for(pid);
        EXPECT(vm_event("pswpout") - out > 2 * (SWAPPED - 12 * MIB) / PAGE);
        EXPECT(vm_event("pswpin") - in > 2 * (SWAPPED - 12 * MIB) / PAGE);
        /* Nobody's is left in it. */
        EXPECT(system("swapoff /dev/zram0 && echo 1 >/sys/block/zram0/reset && rmmod zram") == 0);
        EXPECT(rmdir("/tmp/cgroup/small") == 0 && umount("/tmp/cgroup") == 0);
}

/* ---- io_uring --------------------------------------------------------------------------- */

#define ENTRIES 64u

struct ring {
        int fd;
        unsigned flags;
        uint32_t *sq_tail, *sq_flags, *sq_array, *cq_head, *cq_tail, sq_mask, cq_mask, added;
        struct io_uring_sqe *sqes;
        struct io_uring_cqe *cqes;
};

static struct ring ring_make(unsigned flags)
{
        struct io_uring_params params = {.flags = flags, .sq_thread_idle = 50};
        struct ring r = {.flags = flags};

        r.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &params);
        EXPECT(r.fd >= 0);
        uint8_t *sq = mmap(NULL, params.sq_off.array + params.sq_entries * 4, RW, MAP_SHARED,
                           r.fd, IORING_OFF_SQ_RING);
        uint8_t *cq = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(*r.cqes), RW,
                           MAP_SHARED, r.fd, IORING_OFF_CQ_RING);
        r.sqes = mmap(NULL, params.sq_entries * sizeof(*r.sqes), RW, MAP_SHARED, r.fd,
                      IORING_OFF_SQES);
        EXPECT(sq != MAP_FAILED && cq != MAP_FAILED && (void *)r.sqes != MAP_FAILED);
        r.sq_tail = (uint32_t *)(sq + params.sq_off.tail);
        r.sq_flags = (uint32_t *)(sq + params.sq_off.flags);
        r.sq_array = (uint32_t *)(sq + params.sq_off.array);
        r.sq_mask = *(uint32_t *)(sq + params.sq_off.ring_mask);
        r.cq_head = (uint32_t *)(cq + params.cq_off.head);
        r.cq_tail = (uint32_t *)(cq + params.cq_off.tail);
        r.cq_mask = *(uint32_t *)(cq + params.cq_off.ring_mask);
        r.cqes = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
        return r;
}

static struct io_uring_sqe *ring_add(struct ring *r, uint8_t opcode, int fd, const void *address,
                                     uint32_t length, uint64_t offset)
{
        uint32_t at = (*r->sq_tail + r->added++) & r->sq_mask;
        struct io_uring_sqe *sqe = &r->sqes[at];

        r->sq_array[at] = at;
        *sqe = (struct io_uring_sqe){.opcode = opcode, .fd = fd, .addr = (uintptr_t)address,
                                     .len = length, .off = offset, .user_data = offset};
        return sqe;
}

/* What was added goes to Linux, by a call or to its polling thread. */
static void ring_submit(struct ring *r)
{
        unsigned added = r->added;

        r->added = 0;
        __atomic_store_n(r->sq_tail, *r->sq_tail + added, __ATOMIC_SEQ_CST);
        if (!(r->flags & IORING_SETUP_SQPOLL))
                EXPECT(syscall(SYS_io_uring_enter, r->fd, added, 0, 0, NULL, 0) == added);
        else if (__atomic_load_n(r->sq_flags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP)
                EXPECT(syscall(SYS_io_uring_enter, r->fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0)
                       == 0);
}

/* The next that is done; waits for it. */
static struct io_uring_cqe ring_take(struct ring *r)
{
        while (__atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE) == *r->cq_head)
                EXPECT(syscall(SYS_io_uring_enter, r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0)
                       >= 0);
        struct io_uring_cqe cqe = r->cqes[*r->cq_head & r->cq_mask];
        __atomic_store_n(r->cq_head, *r->cq_head + 1, __ATOMIC_RELEASE);
        return cqe;
}

/* Each block of a file is written, then read into other memory; EXTRA goes into each request. */
static void blocks_go_and_come(struct ring *r, uint8_t write_code, uint8_t read_code,
                               uint8_t extra, uint8_t *out, uint8_t *in)
{
        int fd = open("/tmp/blocks", O_RDWR | O_CREAT | O_TRUNC, 0600);

        EXPECT(fd >= 0);
        for (unsigned round = 0; round < 8; round++) {
                for (size_t i = 0; i < ENTRIES * PAGE; i++)
                        out[i] = (uint8_t)(i / PAGE * 7 + i + round);
                memset(in, 0, ENTRIES * PAGE);
                for (unsigned pass = 0; pass < 2; pass++) {
                        for (size_t n = 0; n < ENTRIES; n++)
                                ring_add(r, pass ? read_code : write_code, fd,
                                         (pass ? in : out) + n * PAGE, PAGE, n * PAGE)
                                        ->flags = extra;
                        ring_submit(r);
                        uint64_t seen = 0;
                        for (unsigned n = 0; n < ENTRIES; n++) {
                                struct io_uring_cqe cqe = ring_take(r);
                                if (cqe.res != (int)PAGE)
                                        fail("block %lu: %d", (unsigned long)cqe.user_data / PAGE,
                                             cqe.res);
                                seen |= 1ull << cqe.user_data / PAGE;
                        }
                        EXPECT(seen == UINT64_MAX);
                }
                EXPECT(memcmp(in, out, ENTRIES * PAGE) == 0);
        }
        close(fd);
        unlink("/tmp/blocks");
}

TEST(io_uring_reads_and_writes_files)
{
        struct ring r = ring_make(0);

        blocks_go_and_come(&r, IORING_OP_WRITE, IORING_OP_READ, 0, map(ENTRIES * PAGE, RW),
                           map(ENTRIES * PAGE, RW));
}

TEST(io_uring_works_by_its_own_threads)
{
        struct ring r = ring_make(0);

        /* IOSQE_ASYNC: by workers, which run with this process's memory. */
        blocks_go_and_come(&r, IORING_OP_WRITE, IORING_OP_READ, IOSQE_ASYNC,
                           map(ENTRIES * PAGE, RW), map(ENTRIES * PAGE, RW));
}

TEST(io_uring_polls_the_queue)
{
        struct ring r = ring_make(IORING_SETUP_SQPOLL);

        blocks_go_and_come(&r, IORING_OP_WRITE, IORING_OP_READ, 0, map(ENTRIES * PAGE, RW),
                           map(ENTRIES * PAGE, RW));
        usleep(200000); /* its thread has gone to sleep, and is woken */
        blocks_go_and_come(&r, IORING_OP_WRITE, IORING_OP_READ, 0, map(ENTRIES * PAGE, RW),
                           map(ENTRIES * PAGE, RW));
}

TEST(io_uring_uses_registered_memory)
{
        struct ring r = ring_make(0);
        uint8_t *memory = map(2 * ENTRIES * PAGE, RW);
        struct iovec all = {memory, 2 * ENTRIES * PAGE};

        EXPECT(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &all, 1) == 0);
        blocks_go_and_come(&r, IORING_OP_WRITE_FIXED, IORING_OP_READ_FIXED, 0, memory,
                           memory + ENTRIES * PAGE);
}

TEST(io_uring_waits_for_a_pipe)
{
        struct ring r = ring_make(0);
        struct __kernel_timespec second = {.tv_sec = 1};
        char in[32] = "";
        int fds[2];

        EXPECT(pipe(fds) == 0);
        for (unsigned i = 0; i < 50; i++) {
                char out[32];
                snprintf(out, sizeof(out), "message %u", i);
                /* The read is first, and finds nothing. */
                ring_add(&r, IORING_OP_READ, fds[0], in, sizeof(in), 0)->user_data = 1;
                ring_submit(&r);
                EXPECT(__atomic_load_n(r.cq_tail, __ATOMIC_ACQUIRE) == *r.cq_head);
                if (i % 2) {
                        ring_add(&r, IORING_OP_WRITE, fds[1], out, sizeof(out), 0)->user_data = 2;
                        ring_submit(&r);
                } else {
                        EXPECT(write(fds[1], out, sizeof(out)) == sizeof(out));
                }
                uint64_t done = 0;
                for (unsigned n = 0; n < 1 + i % 2; n++) {
                        struct io_uring_cqe cqe = ring_take(&r);
                        EXPECT(cqe.res == sizeof(out));
                        done += cqe.user_data;
                }
                EXPECT(done == (i % 2 ? 3 : 1) && strcmp(in, out) == 0);
        }
        /* One that nobody answers ends with its time, and takes what it is linked with along. */
        ring_add(&r, IORING_OP_READ, fds[0], in, sizeof(in), 0)->flags = IOSQE_IO_LINK;
        ring_add(&r, IORING_OP_LINK_TIMEOUT, -1, &second, 1, 0)->user_data = 7;
        ring_submit(&r);
        for (unsigned n = 0; n < 2; n++) {
                struct io_uring_cqe cqe = ring_take(&r);
                EXPECT(cqe.res == (cqe.user_data == 7 ? -ETIME : -ECANCELED));
        }
}

/* ---- BPF -------------------------------------------------------------------------------- */

static bool jit_is_on(void)
{
        char c = 0;
        int fd = open("/proc/sys/net/core/bpf_jit_enable", O_RDONLY);

        return fd >= 0 && read(fd, &c, 1) == 1 && c != '0';
}

TEST(a_socket_filter_chooses)
{
        /* Of a message it takes what begins with an even byte, and 100 bytes of that. */
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
                BPF_STMT(BPF_ST, 3),
                BPF_STMT(BPF_LD | BPF_MEM, 3),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 1, 0),
                BPF_STMT(BPF_RET | BPF_K, 100),
                BPF_STMT(BPF_RET | BPF_K, 0),
        };
        struct sock_fprog program = {COUNT_OF(code), code};
        uint8_t text[200] = {0}, got[200];
        int fds[2];

        EXPECT(jit_is_on());
        EXPECT(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) == 0);
        EXPECT(setsockopt(fds[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0);
        for (unsigned i = 0; i < 200; i++) {
                text[0] = (uint8_t)i;
                EXPECT(send(fds[0], text, sizeof(text), 0) == sizeof(text));
                ssize_t n = recv(fds[1], got, sizeof(got), MSG_DONTWAIT);
                if (i & 1)
                        EXPECT(n == -1 && errno == EAGAIN);
                else
                        EXPECT(n == 100 && got[0] == i);
        }
}

static int bpf(int what, union bpf_attr *attr)
{
        return (int)syscall(SYS_bpf, what, attr, sizeof(*attr));
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s),   \
                                               .off = (o), .imm = (i)})
#define MOV(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOV_IMM(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define CALL(function) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, function)
#define MAP_TO(d, fd) INSN(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_FD, 0, fd),           \
                INSN(0, 0, 0, 0, 0)
/* r0 = the value of key 0 of a map, or the program ends. */
#define LOOK_UP(fd)                                                                         \
        INSN(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0), MOV(2, 10),                             \
        INSN(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4), MAP_TO(1, fd),                        \
        CALL(BPF_FUNC_map_lookup_elem), INSN(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 2, 0),           \
        MOV_IMM(0, 0), INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

static int map_make(enum bpf_map_type type)
{
        union bpf_attr attr = {.map_type = type, .key_size = 4, .value_size = 8,
                               .max_entries = 1};
        int fd = bpf(BPF_MAP_CREATE, &attr);

        EXPECT(fd >= 0);
        return fd;
}

/* The program's descriptor; what the verifier says of one that it refuses is the failure's text. */
static int program_load(unsigned type, const struct bpf_insn *code, unsigned count)
{
        char log[4096] = "";
        union bpf_attr load = {.prog_type = type, .insns = (uintptr_t)code, .insn_cnt = count,
                               .license = (uintptr_t)"GPL", .log_buf = (uintptr_t)log,
                               .log_size = sizeof(log), .log_level = 1};
        int program = bpf(BPF_PROG_LOAD, &load);

        if (program < 0)
                fail("not loaded (errno %d): %.150s", errno, log);
        return program;
}

static void map_read(int map, uint64_t *values)
{
        uint32_t key = 0;
        union bpf_attr attr = {.map_fd = (uint32_t)map, .key = (uintptr_t)&key,
                               .value = (uintptr_t)values};

        EXPECT(bpf(BPF_MAP_LOOKUP_ELEM, &attr) == 0);
}

TEST(a_bpf_program_counts_per_cpu)
{
        unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_CONF);
        int per_cpu = map_make(BPF_MAP_TYPE_PERCPU_ARRAY), all = map_make(BPF_MAP_TYPE_ARRAY);
        /*
         * One to this CPU's value and to the common one; returns CPU + 1. The JIT's code has the
         * per-CPU offset and the CPU's number by its own loads: natively from TPIDR_EL1 and SP_EL0.
         */
        struct bpf_insn code[] = {
                LOOK_UP(per_cpu),
                INSN(BPF_LDX | BPF_MEM | BPF_DW, 1, 0, 0, 0),
                INSN(BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, 1),
                INSN(BPF_STX | BPF_MEM | BPF_DW, 0, 1, 0, 0),
                LOOK_UP(all),
                MOV_IMM(1, 1),
                INSN(BPF_STX | BPF_ATOMIC | BPF_DW, 0, 1, 0, BPF_ADD),
                CALL(BPF_FUNC_get_smp_processor_id),
                INSN(BPF_ALU64 | BPF_ADD | BPF_K, 0, 0, 0, 1),
                INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
        };
        int program = program_load(BPF_PROG_TYPE_SOCKET_FILTER, code, COUNT_OF(code));
        struct bpf_prog_info info = {0};
        union bpf_attr ask = {.info = {.bpf_fd = (uint32_t)program, .info_len = sizeof(info),
                                       .info = (uintptr_t)&info}};
        EXPECT(bpf(BPF_OBJ_GET_INFO_BY_FD, &ask) == 0);
        EXPECT(info.jited_prog_len > 0);
        uint8_t packet[64] = {0};
        for (unsigned cpu = 0; cpu < cpus; cpu++) {
                union bpf_attr run = {.test = {.prog_fd = (uint32_t)program,
                                               .data_in = (uintptr_t)packet,
                                               .data_size_in = sizeof(packet),
                                               .repeat = 1000 * (cpu + 1)}};
                on_cpu(cpu);
                EXPECT(bpf(BPF_PROG_TEST_RUN, &run) == 0);
                EXPECT(run.test.retval == cpu + 1);
        }
        uint64_t *values = (uint64_t *)map(PAGE, RW), sum;
        map_read(per_cpu, values);
        for (unsigned cpu = 0; cpu < cpus; cpu++)
                EXPECT(values[cpu] == 1000 * (cpu + 1));
        map_read(all, &sum);
        EXPECT(sum == 500 * cpus * (cpus + 1));

        /* And on packets: each counts, and the result is how much of it arrives. */
        int fds[2];
        EXPECT(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) == 0);
        EXPECT(setsockopt(fds[1], SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof(program)) == 0);
        on_cpu(cpus - 1);
        EXPECT(send(fds[0], packet, sizeof(packet), 0) == sizeof(packet));
        EXPECT(recv(fds[1], packet, sizeof(packet), 0) == cpus);
        map_read(all, &sum);
        EXPECT(sum == 500 * cpus * (cpus + 1) + 1);
}

TEST(a_bad_bpf_program_is_refused)
{
        struct bpf_insn code[] = {
                MOV_IMM(1, 0),
                INSN(BPF_LDX | BPF_MEM | BPF_DW, 0, 1, 0, 0), /* reads address 0 */
                INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
        };
        union bpf_attr load = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insns = (uintptr_t)code,
                               .insn_cnt = COUNT_OF(code), .license = (uintptr_t)"GPL"};

        EXPECT(bpf(BPF_PROG_LOAD, &load) == -1 && errno == EACCES);
}

/* ---- events and probes ------------------------------------------------------------------ */

#define TRACING "/sys/kernel/tracing"

/* Nothing is traced, and nothing was. */
static void tracing_start(void)
{
        if (mount("tracefs", TRACING, "tracefs", 0, NULL) && errno != EBUSY)
                fail("no tracefs (errno %d)", errno);
        put(TRACING "/events/enable", "0");
        close(open(TRACING "/kprobe_events", O_WRONLY | O_TRUNC));
        close(open(TRACING "/uprobe_events", O_WRONLY | O_TRUNC));
        close(open(TRACING "/trace", O_WRONLY | O_TRUNC));
}

/* What it says of events is written to a file, as a person would with echo. */
static bool event_add(const char *file, const char *text)
{
        int fd = open(file, O_WRONLY | O_APPEND);

        EXPECT(fd >= 0);
        bool done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
        close(fd);
        return done;
}

/* How many lines of a file have TEXT. */
static unsigned lines_with(const char *path, const char *text)
{
        char line[512];
        unsigned count = 0;
        FILE *f = fopen(path, "r");

        if (!f)
                fail("no %s (errno %d)", path, errno);
        while (fgets(line, sizeof(line), f))
                count += strstr(line, text) != NULL;
        fclose(f);
        return count;
}

/* Hits of a probe, from kprobe_profile or uprobe_profile; 0 if there is none of this name. */
static unsigned long hits(const char *profile, const char *name)
{
        char line[512], found[256];
        unsigned long count = 0;
        FILE *f = fopen(profile, "r");

        if (!f)
                fail("no %s (errno %d)", profile, errno);
        while (fgets(line, sizeof(line), f)) {
                const char *at = strstr(line, name);
                if (at && sscanf(at, "%255s %lu", found, &count) == 2 && !strcmp(found, name)) {
                        fclose(f);
                        return count;
                }
        }
        fclose(f);
        return 0;
}

/* The most hits of a probe at one of a function's first 16 instructions, named PREFIX<offset>. */
static unsigned long most_hits(const char *profile, const char *prefix)
{
        unsigned long most = 0;
        char name[128];

        for (unsigned at = 0; at < 16 * 4; at += 4) {
                snprintf(name, sizeof(name), "%s%u", prefix, at);
                unsigned long here = hits(profile, name);
                most = here > most ? here : most;
        }
        return most;
}

TEST(a_tracepoint_tells_of_a_fork)
{
        char text[64];

        tracing_start();
        put(TRACING "/events/sched/sched_process_fork/enable", "1");
        pid_t pid = fork();
        if (!pid)
                _exit(0);
        wait_for(pid);
        put(TRACING "/events/sched/sched_process_fork/enable", "0");
        snprintf(text, sizeof(text), "child_pid=%d", pid);
        EXPECT(lines_with(TRACING "/trace", text) == 1);
}

TEST(system_calls_are_traced)
{
        pid_t group = getpgid(0);
        char text[64];

        tracing_start();
        put(TRACING "/events/syscalls/sys_enter_getpgid/enable", "1");
        put(TRACING "/events/syscalls/sys_exit_getpgid/enable", "1");
        for (unsigned i = 0; i < 10; i++)
                EXPECT(getpgid(0) == group);
        put(TRACING "/events/enable", "0");
        EXPECT(lines_with(TRACING "/trace", "sys_getpgid(pid: 0)") == 10);
        snprintf(text, sizeof(text), "sys_getpgid -> 0x%x", (unsigned)group);
        EXPECT(lines_with(TRACING "/trace", text) == 10);
}

TEST(a_kprobe_counts_calls_and_results)
{
        pid_t group = getpgid(0);
        char text[64];

        tracing_start();
        EXPECT(event_add(TRACING "/kprobe_events", "p:test/call __arm64_sys_getpgid"));
        EXPECT(event_add(TRACING "/kprobe_events", "r:test/back __arm64_sys_getpgid v=$retval"));
        put(TRACING "/events/test/enable", "1");
        for (unsigned i = 0; i < 1000; i++)
                EXPECT(getpgid(0) == group);
        put(TRACING "/events/test/enable", "0");
        EXPECT(getpgid(0) == group);
        EXPECT(hits(TRACING "/kprobe_profile", "call") == 1000);
        EXPECT(hits(TRACING "/kprobe_profile", "back") == 1000);
        snprintf(text, sizeof(text), "v=0x%x", (unsigned)group);
        EXPECT(lines_with(TRACING "/trace", text) == 1000);
        tracing_start();
}

/* Size of a kernel function, by the next symbol. */
static unsigned long function_size(const char *name)
{
        char line[256], symbol[200];
        unsigned long at, start = 0, next = ~0ul;

        for (unsigned pass = 0; pass < 2; pass++) {
                FILE *f = fopen("/proc/kallsyms", "r");
                EXPECT(f);
                while (fgets(line, sizeof(line), f)) {
                        if (sscanf(line, "%lx %*c %199s", &at, symbol) != 2)
                                continue;
                        if (!pass && !strcmp(symbol, name))
                                start = at;
                        if (pass && at > start && at < next)
                                next = at;
                }
                fclose(f);
        }
        if (!start)
                fail("there is no %s in the kernel", name);
        return next - start;
}

/* Two threads that wake each other through pipes, each on its CPU, with timers in between. */
struct pair {
        int in, out;
        unsigned cpu;
        struct work *work;
};

static void *wake_each_other(void *argument)
{
        struct pair *pair = argument;
        char c = 0;

        on_cpu(pair->cpu);
        while (!pair->work->stop) {
                EXPECT(write(pair->out, &c, 1) == 1 && read(pair->in, &c, 1) == 1);
                if (++pair->work->rounds[pair->cpu] % 16 == 0)
                        usleep(100);
        }
        EXPECT(write(pair->out, &c, 1) == 1);
        return NULL;
}

/*
 * A probe on each instruction of functions that mask interrupts, hold locks, and run in interrupts;
 * worked on two CPUs. What can't be stepped elsewhere is refused, above all what masks interrupts:
 * else they were not masked afterwards, or for ever.
 */
TEST(kprobes_on_each_instruction_of_a_hot_path)
{
        static const char *const functions[] = {"prepare_to_wait_event", "__wake_up_sync_key",
                                                "hrtimer_interrupt", "hrtimer_start_range_ns"};
        unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_CONF), accepted = 0, refused = 0;
        struct work *work = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pthread_t threads[2];
        int a[2], b[2];
        char text[100];

        alarm(600);
        tracing_start();
        put(TRACING "/tracing_on", "0"); /* they are counted; what they say is not kept */
        for (unsigned f = 0; f < COUNT_OF(functions); f++) {
                unsigned long size = function_size(functions[f]);
                for (unsigned long at = 0; at < size && at < 240; at += 4) {
                        snprintf(text, sizeof(text), "p:hot/p%u_%lu %s+%lu", f, at, functions[f],
                                 at);
                        if (event_add(TRACING "/kprobe_events", text))
                                accepted++;
                        else
                                refused++;
                }
        }
        EXPECT(accepted > 100 && refused > 4);
        EXPECT(pipe(a) == 0 && pipe(b) == 0);
        struct pair pairs[2] = {{a[0], b[1], 0, work}, {b[0], a[1], cpus > 1, work}};
        for (unsigned i = 0; i < 2; i++)
                EXPECT(pthread_create(&threads[i], NULL, wake_each_other, &pairs[i]) == 0);
        put(TRACING "/events/hot/enable", "1");
        unsigned before = work->rounds[0];
        for (unsigned n = 0; n < 600 && work->rounds[0] - before < 2000; n++)
                usleep(50000);
        EXPECT(work->rounds[0] - before >= 2000);
        put(TRACING "/events/hot/enable", "0");
        work->stop = true;
        for (unsigned i = 0; i < 2; i++)
                EXPECT(pthread_join(threads[i], NULL) == 0);
        for (unsigned f = 0; f < COUNT_OF(functions); f++) {
                snprintf(text, sizeof(text), "p%u_", f);
                unsigned long most = most_hits(TRACING "/kprobe_profile", text);
                if (most < 100)
                        fail("the probes of %s were hit %lu times", functions[f], most);
        }
        put(TRACING "/tracing_on", "1");
        tracing_start();
        for (unsigned cpu = 0; cpu < cpus; cpu++)
                on_cpu(cpu);
}

/* Arithmetic, memory, a branch, a call: what a probe steps, and what it simulates. */
static __attribute__((noinline)) unsigned long probed(unsigned long n, unsigned long *memory)
{
        unsigned long sum;

        asm volatile("mov %0, xzr\n"
                     "1: add %0, %0, %1\n"
                     "str %0, [%2]\n"
                     "ldr x9, [%2]\n"
                     "adr x10, 2f\n"
                     "cmp x9, %0\n"
                     "b.ne 3f\n"
                     "blr x10\n"
                     "subs %1, %1, #1\n"
                     "b.ne 1b\n"
                     "b 3f\n"
                     "2: fmov d0, %0\n"
                     "fmov %0, d0\n"
                     "ret\n"
                     "3:"
                     : "=&r" (sum), "+r" (n) : "r" (memory) : "x9", "x10", "x30", "v0", "cc",
                       "memory");
        return sum;
}

/* Where in the file of this program (not position-independent) an address is. */
static unsigned long file_offset(void *address)
{
        const Elf64_Phdr *p = (void *)getauxval(AT_PHDR);
        unsigned long at = (unsigned long)address;

        for (unsigned long n = getauxval(AT_PHNUM); n; n--, p++)
                if (p->p_type == PT_LOAD && at - p->p_vaddr < p->p_filesz)
                        return at - p->p_vaddr + p->p_offset;
        fail("%p is not in the file", address);
}

TEST(uprobes_on_each_instruction_of_a_function)
{
        unsigned long offset = file_offset((void *)probed), memory;
        unsigned accepted = 0;
        char path[100] = "", text[200];

        tracing_start();
        EXPECT(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
        for (unsigned at = 0; at < 16 * 4; at += 4) {
                snprintf(text, sizeof(text), "p:test/u%u %s:0x%lx", at, path, offset + at);
                accepted += event_add(TRACING "/uprobe_events", text);
        }
        snprintf(text, sizeof(text), "r:test/back %s:0x%lx v=$retval", path, offset);
        EXPECT(event_add(TRACING "/uprobe_events", text));
        EXPECT(accepted >= 12);
        put(TRACING "/events/test/enable", "1");
        for (unsigned i = 0; i < 5; i++)
                EXPECT(probed(100, &memory) == 5050 && memory == 5050);
        /* In a child, too, which has the probes in its copy of the memory. */
        pid_t pid = fork();
        if (!pid)
                _exit(probed(100, &memory) != 5050);
        wait_for(pid);
        put(TRACING "/events/test/enable", "0");
        EXPECT(probed(100, &memory) == 5050);
        unsigned long most = most_hits(TRACING "/uprobe_profile", "u");
        if (most != 600)
                fail("the loop's probes were hit %lu times", most);
        EXPECT(hits(TRACING "/uprobe_profile", "back") == 6);
        EXPECT(lines_with(TRACING "/trace", "v=0x13ba") == 6);
        tracing_start();
}

static int perf_open(uint32_t type, uint64_t config, struct perf_event_attr *more)
{
        struct perf_event_attr attr = {0};

        if (more)
                attr = *more;
        attr.type = type;
        attr.size = sizeof(attr);
        attr.config = config;
        return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* By the file that has its number. */
static int perf_open_tracepoint(const char *id)
{
        char text[32];

        read_text(id, text, sizeof(text));
        EXPECT(text[0]);
        int event = perf_open(PERF_TYPE_TRACEPOINT, strtoul(text, NULL, 10), NULL);
        EXPECT(event >= 0);
        return event;
}

static uint64_t perf_read(int fd)
{
        uint64_t count;

        EXPECT(read(fd, &count, sizeof(count)) == sizeof(count));
        return count;
}

TEST(perf_counts_what_software_does)
{
        int faults = perf_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, NULL);
        int clock = perf_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK, NULL);
        int switches = perf_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES, NULL);

        EXPECT(faults >= 0 && clock >= 0 && switches >= 0);
        uint8_t *p = map(64 * PAGE, RW);
        EXPECT(madvise(p, 64 * PAGE, MADV_NOHUGEPAGE) == 0);
        uint64_t before = perf_read(faults), slept = perf_read(switches);
        for (unsigned i = 0; i < 64; i++)
                p[i * PAGE] = 1;
        before = perf_read(faults) - before;
        if (before < 64 || before > 66)
                fail("64 pages: %lu faults", (unsigned long)before);
        for (unsigned i = 0; i < 10; i++)
                usleep(1000);
        EXPECT(perf_read(switches) - slept >= 10);
        before = perf_read(clock);
        while (perf_read(clock) - before < 20000000)
                ;
}

TEST(perf_counts_a_tracepoint)
{
        tracing_start();
        int event = perf_open_tracepoint(TRACING "/events/syscalls/sys_enter_getpgid/id");
        for (unsigned i = 0; i < 100; i++)
                getpgid(0);
        EXPECT(perf_read(event) == 100);
}

/* A sample each millisecond of this program's time, with where it was and who called. */
TEST(perf_samples_by_the_clock)
{
        struct perf_event_attr attr = {.sample_period = 1000000, .exclude_kernel = 1,
                                       .sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_CALLCHAIN};
        int fd = perf_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, &attr);
        unsigned samples = 0;

        EXPECT(fd >= 0);
        uint8_t *ring = mmap(NULL, 65 * PAGE, RW, MAP_SHARED, fd, 0);
        EXPECT(ring != MAP_FAILED);
        struct perf_event_mmap_page *page = (void *)ring;
        for (uint64_t start = perf_read(fd); perf_read(fd) - start < 300000000;)
                probed(1000, &(unsigned long){0});
        EXPECT(ioctl(fd, PERF_EVENT_IOC_DISABLE, 0) == 0);
        uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
        EXPECT(head < 64 * PAGE);
        for (uint64_t at = 0; at < head;) {
                struct perf_event_header *header = (void *)(ring + PAGE + at);
                uint64_t *body = (uint64_t *)(header + 1);
                EXPECT(header->size >= sizeof(*header));
                if (header->type == PERF_RECORD_SAMPLE) {
                        samples++;
                        EXPECT(body[0] && body[0] < 1ull << 48); /* a program's address */
                        EXPECT(body[1] >= 2 && body[1] < 128);   /* frames */
                }
                at += header->size;
        }
        if (samples < 20)
                fail("%u samples in 300 ms", samples);
}

TEST(perf_has_no_hardware_events)
{
        struct perf_event_attr attr = {.bp_type = 2, .bp_addr = (uintptr_t)&attr, .bp_len = 4};

        EXPECT(perf_open(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, NULL) == -1 &&
               errno == ENOENT);
        EXPECT(perf_open(PERF_TYPE_RAW, 0x11, NULL) == -1 && errno == ENOENT);
        EXPECT(perf_open(PERF_TYPE_BREAKPOINT, 0, &attr) == -1 && errno == ENOENT);
}

TEST(ptrace_has_no_hardware_breakpoints)
{
        uint64_t state[33];
        struct iovec io = {state, sizeof(state)};
        int status;
        pid_t pid = fork();

        if (!pid) {
                ptrace(PTRACE_TRACEME, 0, NULL, NULL);
                raise(SIGSTOP);
                _exit(0);
        }
        EXPECT(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        for (int set = NT_ARM_HW_BREAK; set <= NT_ARM_HW_WATCH; set++)
                EXPECT(ptrace(PTRACE_GETREGSET, pid, set, &io) == -1 && errno == EINVAL);
        EXPECT(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0);
        wait_for(pid);
}

TEST(a_bpf_program_runs_on_a_kprobe)
{
        int all = map_make(BPF_MAP_TYPE_ARRAY);
        /* Adds the first argument of the system call, which is in the registers of x0's. */
        struct bpf_insn code[] = {
                INSN(BPF_LDX | BPF_MEM | BPF_DW, 3, 1, 0, 0),
                MOV(1, 10), INSN(BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, -16), MOV_IMM(2, 8),
                CALL(BPF_FUNC_probe_read_kernel),
                LOOK_UP(all),
                INSN(BPF_LDX | BPF_MEM | BPF_DW, 1, 10, -16, 0),
                INSN(BPF_STX | BPF_ATOMIC | BPF_DW, 0, 1, 0, BPF_ADD),
                MOV_IMM(0, 0),
                INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
        };
        int program = program_load(BPF_PROG_TYPE_KPROBE, code, COUNT_OF(code));
        uint64_t sum;

        tracing_start();
        EXPECT(event_add(TRACING "/kprobe_events", "p:test/bpf __arm64_sys_getpgid"));
        int event = perf_open_tracepoint(TRACING "/events/test/bpf/id");
        EXPECT(ioctl(event, PERF_EVENT_IOC_SET_BPF, program) == 0);
        for (int i = 1; i <= 100; i++)
                getpgid(i + 1000000);
        map_read(all, &sum);
        if (sum != 100005050)
                fail("it added up %lu", (unsigned long)sum);
        close(event);
        tracing_start();
}

/* ---- memory of others ---------------------------------------------------------------------- */

/* Linux lets root map what it does not know as RAM; Ouzel's kernel and devices are that. */
TEST(dev_mem_gives_nothing_of_others)
{
        static const off_t theirs[] = {0x40000000, 0x40200000, 0x08000000};
        int fd = open("/dev/mem", O_RDWR | O_SYNC), status, ends[2];

        if (!on_ouzel())
                skip("natively all is Linux's");
        EXPECT(fd >= 0 && pipe(ends) == 0);
        for (unsigned i = 0; i < 2 * COUNT_OF(theirs); i++) {
                volatile uint32_t *p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, theirs[i / 2]);
                EXPECT(p != MAP_FAILED);
                pid_t pid = fork();
                if (!pid) {
                        alarm(10);
                        if (i & 1)
                                *p = 1;
                        else
                                (void)*p;
                        _exit(0);
                }
                EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
                if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGBUS)
                        fail("%s %lx: %x", i & 1 ? "writing" : "reading", (long)theirs[i / 2],
                             status);
                EXPECT(write(ends[1], (const void *)p, 4) < 0 && errno == EFAULT);
        }
}

/* ---- security modules, audit ------------------------------------------------------------- */

TEST(security_modules_are_debians)
{
        char text[200];

        if (mount("securityfs", "/sys/kernel/security", "securityfs", 0, NULL) && errno != EBUSY)
                fail("no securityfs (errno %d)", errno);
        read_text("/sys/kernel/security/lsm", text, sizeof(text));
        if (strcmp(text, "capability,landlock,yama,apparmor"))
                fail("they are %s", text);
        read_text("/proc/self/attr/apparmor/current", text, sizeof(text));
        EXPECT(!strcmp(text, "unconfined\n"));
}

TEST(landlock_refuses)
{
        struct landlock_ruleset_attr rules = {
                .handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                     LANDLOCK_ACCESS_FS_MAKE_REG};
        struct landlock_path_beneath_attr path = {.allowed_access = rules.handled_access_fs};
        int set = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);

        EXPECT(set >= 0);
        mkdir("/tmp/allowed", 0755);
        mkdir("/tmp/denied", 0755);
        EXPECT(close(creat("/tmp/denied/file", 0644)) == 0);
        path.parent_fd = open("/tmp/allowed", O_PATH | O_DIRECTORY);
        EXPECT(path.parent_fd >= 0);
        EXPECT(syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &path, 0) == 0);
        EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        EXPECT(syscall(SYS_landlock_restrict_self, set, 0) == 0);
        EXPECT(close(creat("/tmp/allowed/file", 0644)) == 0);
        EXPECT(close(open("/tmp/allowed/file", O_RDWR)) == 0);
        EXPECT(open("/tmp/denied/file", O_RDONLY) == -1 && errno == EACCES);
        EXPECT(creat("/tmp/denied/other", 0644) == -1 && errno == EACCES);
        /* A child can't get out of it. */
        pid_t pid = fork();
        if (!pid)
                _exit(open("/tmp/denied/file", O_RDONLY) != -1 || errno != EACCES);
        wait_for(pid);
}

/* Can a process of an ordinary user stop another one of the same user, a stranger? */
static bool may_trace_a_stranger(bool allowed)
{
        int fds[2], status;
        char c;

        EXPECT(pipe(fds) == 0);
        pid_t target = fork();
        if (!target) {
                EXPECT(setgid(1000) == 0 && setuid(1000) == 0);
                EXPECT(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
                if (allowed)
                        EXPECT(prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0) == 0);
                EXPECT(write(fds[1], "", 1) == 1);
                for (;;)
                        pause();
        }
        EXPECT(read(fds[0], &c, 1) == 1);
        pid_t tracer = fork();
        if (!tracer) {
                EXPECT(setgid(1000) == 0 && setuid(1000) == 0);
                if (ptrace(PTRACE_SEIZE, target, NULL, NULL) == 0)
                        _exit(0);
                _exit(errno == EPERM ? 3 : 2);
        }
        EXPECT(waitpid(tracer, &status, 0) == tracer && WIFEXITED(status));
        EXPECT(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3);
        EXPECT(kill(target, SIGKILL) == 0 && waitpid(target, NULL, 0) == target);
        return !WEXITSTATUS(status);
}

TEST(yama_keeps_strangers_from_tracing)
{
        char before[8];

        read_text("/proc/sys/kernel/yama/ptrace_scope", before, sizeof(before));
        put("/proc/sys/kernel/yama/ptrace_scope", "0");
        EXPECT(may_trace_a_stranger(false));
        put("/proc/sys/kernel/yama/ptrace_scope", "1");
        EXPECT(!may_trace_a_stranger(false));
        EXPECT(may_trace_a_stranger(true));
        put("/proc/sys/kernel/yama/ptrace_scope", before);
}

struct message {
        struct nlmsghdr header;
        uint8_t body[8192];
};

static int netlink_open(int protocol, uint32_t groups)
{
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
        struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_groups = groups};
        struct timeval limit = {.tv_sec = 20};

        EXPECT(fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
        EXPECT(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
        return fd;
}

static void netlink_send(int fd, uint16_t type, uint16_t flags, const void *body, size_t size)
{
        struct message m = {.header = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(size),
                                       .nlmsg_type = type, .nlmsg_flags = flags}};

        memcpy(m.body, body, size);
        EXPECT(send(fd, &m, m.header.nlmsg_len, 0) == (ssize_t)m.header.nlmsg_len);
}

/* The next message of this type (0: any) that has TEXT in it. */
static void netlink_wait(int fd, uint16_t type, const char *text, struct message *m)
{
        for (;;) {
                ssize_t n = recv(fd, m, sizeof(*m) - 1, 0);
                EXPECT(n > 0);
                ((char *)m)[n] = 0;
                if (m->header.nlmsg_type == NLMSG_ERROR && *(int *)m->body)
                        fail("refused: errno %d", -*(int *)m->body);
                if ((!type || m->header.nlmsg_type == type) &&
                    (!text || strstr((char *)m->body, text)))
                        return;
        }
}

/* With an acknowledgement. */
static void audit_ask(int fd, uint16_t type, const void *body, size_t size)
{
        struct message m;

        netlink_send(fd, type, NLM_F_REQUEST | NLM_F_ACK, body, size);
        netlink_wait(fd, NLMSG_ERROR, NULL, &m);
}

TEST(audit_records_a_system_call)
{
        struct audit_status status = {.mask = AUDIT_STATUS_ENABLED | AUDIT_STATUS_PID,
                                      .enabled = 1, .pid = (uint32_t)getpid()};
        struct audit_rule_data rule = {.flags = AUDIT_FILTER_EXIT, .action = AUDIT_ALWAYS};
        int fd = netlink_open(NETLINK_AUDIT, 0);
        struct message m;

        rule.mask[AUDIT_WORD(SYS_getpgid)] = AUDIT_BIT(SYS_getpgid);
        audit_ask(fd, AUDIT_SET, &status, sizeof(status));
        audit_ask(fd, AUDIT_ADD_RULE, &rule, sizeof(rule));
        /* Tasks that were there before audit was ever enabled have no record to write. */
        pid_t pid = fork();
        if (!pid)
                _exit(syscall(SYS_getpgid, 0x7abcde) != -1);
        wait_for(pid);
        netlink_wait(fd, AUDIT_SYSCALL, "a0=7abcde", &m);
        EXPECT(strstr((char *)m.body, "arch=c00000b7 syscall=155 success=no exit=-3"));
        audit_ask(fd, AUDIT_DEL_RULE, &rule, sizeof(rule));
        status.enabled = status.pid = 0;
        audit_ask(fd, AUDIT_SET, &status, sizeof(status));
}

TEST(process_events_are_told)
{
        int fd = netlink_open(NETLINK_CONNECTOR, CN_IDX_PROC);
        struct {
                struct cn_msg cn;
                enum proc_cn_mcast_op op;
        } __attribute__((packed)) listen = {
                {.id = {CN_IDX_PROC, CN_VAL_PROC}, .len = sizeof(enum proc_cn_mcast_op)},
                PROC_CN_MCAST_LISTEN};
        unsigned seen = 0;

        netlink_send(fd, NLMSG_DONE, 0, &listen, sizeof(listen));
        pid_t pid = fork();
        if (!pid)
                _exit(7);
        while (seen != 3) {
                struct message m;
                netlink_wait(fd, 0, NULL, &m);
                struct proc_event *event = (void *)((struct cn_msg *)m.body)->data;
                if (event->what == PROC_EVENT_FORK &&
                    event->event_data.fork.child_pid == pid)
                        seen |= 1;
                if (event->what == PROC_EVENT_EXIT &&
                    event->event_data.exit.process_pid == pid) {
                        EXPECT(event->event_data.exit.exit_code == 7 << 8);
                        seen |= 2;
                }
        }
        EXPECT(waitpid(pid, NULL, 0) == pid);
}

/* ---- same pages ------------------------------------------------------------------------- */

#define KSM "/sys/kernel/mm/ksm/"
#define SAME 256u

/* Of this process. What KSM says of all of them counts those that are over, too, for a while. */
static unsigned long pages_merged(void)
{
        char text[32];

        read_text("/proc/self/ksm_merging_pages", text, sizeof(text));
        return strtoul(text, NULL, 10);
}

TEST(ksm_merges_pages_until_they_are_written)
{
        static const char *const settings[] = {KSM "run", KSM "sleep_millisecs",
                                               KSM "pages_to_scan"};
        char before[COUNT_OF(settings)][32];
        uint8_t *p = map(SAME * PAGE, RW);
        unsigned long merged = 0, wrong = 0;

        for (unsigned i = 0; i < COUNT_OF(settings); i++)
                read_text(settings[i], before[i], sizeof(before[i]));
        for (unsigned i = 0; i < SAME; i++)
                memset(p + i * PAGE, 0x3c, PAGE);
        EXPECT(madvise(p, SAME * PAGE, MADV_MERGEABLE) == 0);
        put(KSM "sleep_millisecs", "10");
        put(KSM "pages_to_scan", "4096");
        put(KSM "run", "1");
        for (unsigned n = 0; n < 400 && merged < 200; n++) {
                usleep(50000);
                merged = pages_merged();
        }
        /* One frame for all of them; each written page must leave it. */
        for (unsigned i = 1; i < SAME; i += 16)
                p[i * PAGE + i] = (uint8_t)i;
        for (size_t i = 0; i < SAME * PAGE; i++) {
                bool written = i / PAGE % 16 == 1 && i % PAGE == i / PAGE;
                wrong += p[i] != (written ? (uint8_t)(i / PAGE) : 0x3c);
        }
        put(KSM "run", "2"); /* forgets all */
        for (unsigned i = 0; i < COUNT_OF(settings); i++)
                put(settings[i], before[i]);
        if (merged < 200)
                fail("%lu of %u pages are merged", merged, SAME);
        if (wrong)
                fail("%lu bytes are not what was written", wrong);
}

/* ---- control groups --------------------------------------------------------------------- */

#define CGROUP "/tmp/cgroup"
#define GROUP  CGROUP "/test/"

static void group_make(void)
{
        mkdir(CGROUP, 0755);
        if (mount("cgroup", CGROUP, "cgroup2", 0, NULL) && errno != EBUSY)
                fail("no cgroup2 (errno %d)", errno);
        put(CGROUP "/cgroup.subtree_control", "+cpu +pids");
        rmdir(GROUP); /* if a test failed before */
        EXPECT(mkdir(GROUP, 0755) == 0);
}

static void group_remove(void)
{
        EXPECT(rmdir(GROUP) == 0 && umount(CGROUP) == 0);
}

/* In the group; it ends with us. */
static pid_t group_fork(void)
{
        pid_t pid = fork();

        EXPECT(pid >= 0);
        if (!pid) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                put(GROUP "cgroup.procs", "0");
        }
        return pid;
}

/* What it says behind a word, in GROUP's file of this name. */
static unsigned long group_says(const char *name, const char *word)
{
        char path[64], text[1024], *at;

        snprintf(path, sizeof(path), GROUP "%s", name);
        read_text(path, text, sizeof(text));
        at = strstr(text, word);
        if (!at)
                fail("%s has no %s", path, word);
        return strtoul(at + strlen(word), NULL, 10);
}

static bool group_comes_to(const char *name, const char *word, unsigned long value)
{
        for (unsigned n = 0; n < 200 && group_says(name, word) != value; n++)
                usleep(50000);
        return group_says(name, word) == value;
}

static pid_t fork_that_waits(void)
{
        pid_t pid = fork();

        if (!pid) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        return pid;
}

TEST(a_group_has_so_many_processes)
{
        group_make();
        put(GROUP "pids.max", "4");
        pid_t pid = group_fork();
        if (!pid) {
                pid_t pids[3];
                for (unsigned i = 0; i < 3; i++) {
                        pids[i] = fork_that_waits();
                        EXPECT(pids[i] > 0);
                }
                EXPECT(group_says("pids.current", "") == 4);
                EXPECT(fork_that_waits() == -1 && errno == EAGAIN);
                EXPECT(kill(pids[0], SIGKILL) == 0 && waitpid(pids[0], NULL, 0) == pids[0]);
                pids[0] = fork_that_waits();
                EXPECT(pids[0] > 0);
                EXPECT(fork_that_waits() == -1 && errno == EAGAIN);
                for (unsigned i = 0; i < 3; i++)
                        EXPECT(kill(pids[i], SIGKILL) == 0 && waitpid(pids[i], NULL, 0) == pids[i]);
                _exit(0);
        }
        wait_for(pid);
        EXPECT(group_says("pids.events", "max ") == 2);
        group_remove();
}

static uint64_t nanoseconds(clockid_t clock)
{
        struct timespec t;

        EXPECT(clock_gettime(clock, &t) == 0);
        return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The share of a CPU that a child in the group gets, in per cent. */
static unsigned long share_of_a_cpu(void)
{
        uint64_t *used = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pid_t pid = group_fork();

        if (!pid) {
                uint64_t start = nanoseconds(CLOCK_MONOTONIC), passed, before;
                before = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
                do
                        passed = nanoseconds(CLOCK_MONOTONIC) - start;
                while (passed < 1000000000);
                *used = (nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - before) * 100 / passed;
                _exit(0);
        }
        wait_for(pid);
        return *used;
}

TEST(a_group_has_its_share_of_a_cpu)
{
        group_make();
        unsigned long all = share_of_a_cpu();
        put(GROUP "cpu.max", "20000 100000");
        unsigned long fifth = share_of_a_cpu();
        /* What the host takes in the middle is counted, too. */
        for (unsigned n = 0; n < 3 && (fifth < 5 || fifth > 40); n++)
                fifth = share_of_a_cpu();
        if (fifth < 5 || fifth > 40 || all < fifth + 10)
                fail("%lu %% of a CPU, then %lu %% where 20 are allowed", all, fifth);
        EXPECT(group_says("cpu.stat", "nr_throttled ") > 0);
        group_remove();
}

TEST(a_group_freezes)
{
        volatile unsigned long *count = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        unsigned long before;

        group_make();
        pid_t pid = group_fork();
        if (!pid)
                for (;;)
                        ++*count;
        for (unsigned i = 0; i < 3; i++) {
                before = *count;
                for (unsigned n = 0; n < 200 && *count == before; n++)
                        usleep(50000);
                EXPECT(*count != before);
                put(GROUP "cgroup.freeze", "1");
                EXPECT(group_comes_to("cgroup.events", "frozen ", 1));
                before = *count;
                usleep(100000);
                EXPECT(*count == before);
                put(GROUP "cgroup.freeze", "0");
        }
        EXPECT(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
        group_remove();
}

TEST(a_group_is_killed)
{
        pid_t pids[8];
        int status;

        group_make();
        for (unsigned i = 0; i < COUNT_OF(pids); i++) {
                pids[i] = group_fork();
                if (pids[i])
                        continue;
                signal(SIGTERM, SIG_IGN);
                if (i & 1 && !fork()) { /* which nobody waits for */
                        alarm(60);
                        for (;;)
                                ;
                }
                for (;;)
                        pause();
        }
        while (lines_with(GROUP "cgroup.procs", "\n") < 12)
                usleep(10000);
        put(GROUP "cgroup.kill", "1");
        for (unsigned i = 0; i < COUNT_OF(pids); i++) {
                EXPECT(waitpid(pids[i], &status, 0) == pids[i]);
                EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        }
        EXPECT(group_comes_to("cgroup.events", "populated ", 0));
        group_remove();
}

int main(int argc, char **argv)
{
        return run_tests(argc > 1 ? argv[1] : NULL);
}
