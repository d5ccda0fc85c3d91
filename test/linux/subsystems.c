// SPDX-License-Identifier: MIT
/*
 * subsystems.c -- parts of Linux that lean on what the port changed, worked by programs: CPU
 * hotplug under load, swap, io_uring and its kernel threads, BPF programs through the JIT.
 *
 * A static arm64 program, run on Ouzel and on the native build alike.
 */
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "harness.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void on_cpu(unsigned cpu)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        EXPECT(sched_setaffinity(0, sizeof(set), &set) == 0);
}

static void put(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY);

        if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
                fail("%s: '%s' refused (errno %d)", path, text, errno);
        close(fd);
}

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
                return;
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
        char log[4096] = "";
        union bpf_attr load = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insns = (uintptr_t)code,
                               .insn_cnt = COUNT_OF(code), .license = (uintptr_t)"GPL",
                               .log_buf = (uintptr_t)log, .log_size = sizeof(log),
                               .log_level = 1};
        int program = bpf(BPF_PROG_LOAD, &load);

        if (program < 0)
                fail("not loaded (errno %d): %.150s", errno, log);
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

int main(int argc, char **argv)
{
        return run_tests(argc > 1 ? argv[1] : NULL);
}
