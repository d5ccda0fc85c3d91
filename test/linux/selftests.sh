#!/bin/sh
# SPDX-License-Identifier: MIT
# selftests.sh -- the kernel's own selftests, on both builds: what counts is that the results are
# the same (docs/linux.md names what differs).
#
# check NAME self SOURCE [ARGUMENT...]; selftests-build.sh takes what to build from these lines.
. /test/check.sh
# shellcheck disable=SC2034 # check.sh looks at it
skipped=4       # kselftest.h: KSFT_SKIP
folder=/tmp/self
mkdir -p $folder /mnt/disk
mount -t ext4 /dev/vda /mnt/disk
# shellcheck disable=SC3045 # busybox has it
ulimit -n 4096 2>/dev/null
echo 1500 >/proc/sys/kernel/pid_max      # pidfd_test goes around once
echo 1 >/proc/sys/vm/overcommit_memory  # mremap_test maps 2 GiB
mount -t cgroup2 none /sys/fs/cgroup
modprobe tun
huge_pages=/proc/sys/vm/nr_hugepages
echo 160 >$huge_pages
# A setting in /proc has another value meanwhile.
with_setting() {
        setting=$1
        old=$(cat "$setting")
        echo "$2" >"$setting"
        shift 2
        "$@"
        code=$?
        echo "$old" >"$setting"
        return $code
}
one_huge_page() { with_setting $huge_pages 1 "$@"; }
# They map fixed addresses, from 1 GiB up: where a static program's heap may be, at random.
heap_behind_program() { with_setting /proc/sys/kernel/randomize_va_space 1 "$@"; }
forty_thousands() {
        echo 40000 49999 >/proc/sys/net/ipv4/ip_local_port_range
        "$@"
}
# Readahead and reclaim want files that are not in memory for good.
on_disk() {
        folder=/mnt/disk
        "$@"
}
with_swap() {
        modprobe zram && echo 256M >/sys/block/zram0/disksize && mkswap /dev/zram0 >/dev/null &&
                swapon /dev/zram0 || return
        "$@"
        code=$?
        swapoff /dev/zram0 && echo 1 >/sys/block/zram0/reset && rmmod zram || return
        return $code
}
# It writes to a pipe.
spliced() {
        expect "$(/test/bin/splice/splice_read "$3" "$4" | md5sum)" "$(head -c "$4" "$3" | md5sum)"
}
self() {
        source=$1
        shift
        program=/test/bin/${source%.c}
        [ -x "$program" ] || { echo "not built"; return 127; }
        # Several count on being quick; where others compete for the host's time, they get more
        # than one chance, if they are short.
        first=$(date +%s)
        for attempt in 1 2 3; do
                start=$(date +%s)
                rm -f /tmp/self.out
                (cd "$folder" && timeout -k 5 240 "$program" "$@") </dev/null >/tmp/self.out 2>&1
                code=$?
                # shellcheck disable=SC2154 # check's: the test that runs
                sed "s/^/$name: /" /tmp/self.out >/dev/console
                echo "$name: $(($(date +%s) - start)) s" >/dev/console
                pkill -9 -f ^/test/bin/ # what a program that took too long has left
                rm -rf "${folder:?}"/*
                case $code in 0 | 4 | 137 | 143) break ;; esac
                [ $(($(date +%s) - first)) -lt 15 ] || break
                echo "$name: attempt $attempt, exit code $code" >/dev/console
        done
        tail -n 2 /tmp/self.out | cut -c 1-100
        # Many say in detail what went well; the numbers must be the same, too.
        for what in '^[# ]*ok .*# SKIP|skipped \[' '^[# ]*ok |\[32mOK|\.\.\. (done|skipped)' \
                        '^[# ]*not ok |\[31mFAIL|\.\.\. failed'; do
                grep -ciE "$what" /tmp/self.out
        done | tr '\n' ' ' | {
                read -r skip good bad
                echo "detail: $((good - skip)) ok, $bad not ok, $skip skipped"
                # khugepaged counts its failures in its exit code.
                [ $code != 4 ] || [ "$bad" = 0 ] || code=1
                return $code
        }
}

check mm_compaction self mm/compaction_test.c
check mm_cow self mm/cow.c
check mm_gup_longterm self mm/gup_longterm.c
check mm_hugepage_mmap self mm/hugepage-mmap.c
check mm_hugepage_mremap self mm/hugepage-mremap.c
check mm_hugepage_shm self mm/hugepage-shm.c
check mm_hugetlb_madvise self mm/hugetlb-madvise.c
check mm_hugetlb_madv_vs_map one_huge_page self mm/hugetlb_madv_vs_map.c
check mm_khugepaged_anon with_swap self mm/khugepaged.c all:anon
check mm_khugepaged_shmem self mm/khugepaged.c all:shmem
check mm_ksm_functional self mm/ksm_functional_tests.c
check mm_ksm_merge self mm/ksm_tests.c -M
check mm_ksm_unmerge self mm/ksm_tests.c -U
check mm_ksm_zero_pages self mm/ksm_tests.c -Z
check mm_madv_populate self mm/madv_populate.c
check mm_map_fixed_noreplace self mm/map_fixed_noreplace.c
check mm_map_hugetlb self mm/map_hugetlb.c
check mm_map_populate self mm/map_populate.c
check mm_mdwe self mm/mdwe_test.c
check mm_memfd_secret self mm/memfd_secret.c
check mm_migration self mm/migration.c
check mm_mkdirty self mm/mkdirty.c
check mm_mlock2 self mm/mlock2-tests.c
check mm_mrelease self mm/mrelease_test.c
check mm_mremap_dontunmap self mm/mremap_dontunmap.c
check mm_mremap self mm/mremap_test.c
check mm_mseal self mm/mseal_test.c
check mm_on_fault_limit self mm/on-fault-limit.c
check mm_thuge_gen self mm/thuge-gen.c
check mm_transhuge_stress self mm/transhuge-stress.c -d 3
check mm_uffd_register heap_behind_program self mm/uffd-unit-tests.c -f register-ioctls
check mm_uffd_zeropage heap_behind_program self mm/uffd-unit-tests.c -f zeropage
check mm_uffd_move heap_behind_program self mm/uffd-unit-tests.c -f move
check mm_uffd_minor heap_behind_program self mm/uffd-unit-tests.c -f minor-collapse
check mm_uffd_sigbus heap_behind_program self mm/uffd-unit-tests.c -f sigbus
check mm_uffd_events heap_behind_program self mm/uffd-unit-tests.c -f events
check mm_uffd_poison heap_behind_program self mm/uffd-unit-tests.c -f poison
check mm_uffd_stress_anon heap_behind_program self mm/uffd-stress.c anon 8 4
check mm_uffd_stress_shmem heap_behind_program self mm/uffd-stress.c shmem 8 4
check mm_uffd_stress_hugetlb heap_behind_program self mm/uffd-stress.c hugetlb 32 4
check mm_va_high_addr_switch self mm/va_high_addr_switch.c
check mm_droppable self mm/droppable.c
check signal_altstack self sigaltstack/sas.c
check futex_requeue self futex/functional/futex_requeue.c
check futex_requeue_pi self futex/functional/futex_requeue_pi.c
check futex_requeue_pi_broadcast self futex/functional/futex_requeue_pi.c -b -l -t 5000 -o
check futex_requeue_pi_mismatched self futex/functional/futex_requeue_pi_mismatched_ops.c
check futex_requeue_pi_restart self futex/functional/futex_requeue_pi_signal_restart.c
check futex_wait self futex/functional/futex_wait.c
check futex_wait_private_mapped self futex/functional/futex_wait_private_mapped_file.c
check futex_wait_timeout self futex/functional/futex_wait_timeout.c
check futex_wait_uninitialized self futex/functional/futex_wait_uninitialized_heap.c
check futex_wait_wouldblock self futex/functional/futex_wait_wouldblock.c
check futex_waitv self futex/functional/futex_waitv.c
check timers_inconsistency self timers/inconsistency-check.c -t 3
check timers_nanosleep self timers/nanosleep.c
check timers_threadtest self timers/threadtest.c -t 5 -n 4
check timers_valid_adjtimex self timers/valid-adjtimex.c
check timers_mqueue_latency self timers/mqueue-lat.c
check timers_set_tz self timers/set-tz.c
check ptrace_syscall_info self ptrace/get_syscall_info.c
check ptrace_peeksiginfo self ptrace/peeksiginfo.c
check ptrace_vmaccess self ptrace/vmaccess.c
check seccomp_bpf self seccomp/seccomp_bpf.c
check clone3_basic self clone3/clone3.c
check clone3_set_tid self clone3/clone3_set_tid.c
check clone3_clear_sighand self clone3/clone3_clear_sighand.c
check pidfd_basic self pidfd/pidfd_test.c
check pidfd_fdinfo self pidfd/pidfd_fdinfo_test.c
check pidfd_getfd self pidfd/pidfd_getfd_test.c
check pidfd_open self pidfd/pidfd_open_test.c
check pidfd_poll self pidfd/pidfd_poll_test.c 100
check pidfd_setns self pidfd/pidfd_setns_test.c
check pidfd_wait self pidfd/pidfd_wait.c
check rseq_basic self rseq/basic_test.c
check rseq_spinlock self rseq/param_test.c -T s -t 8 -r 500
check rseq_list self rseq/param_test.c -T l -t 8 -r 500
check rseq_buffer self rseq/param_test.c -T b -t 8 -r 500
check rseq_memcpy self rseq/param_test.c -T m -t 8 -r 500
check rseq_increment self rseq/param_test.c -T i -t 8 -r 500
check splice_read spliced self splice/splice_read.c /bin/busybox 40000
check net_socket self net/socket.c
check net_bind_bhash self net/bind_bhash.c 8000 ipv4 127.0.0.1
check net_bind_wildcard self net/bind_wildcard.c
check net_bind_timewait self net/bind_timewait.c
check net_psock_snd self net/psock_snd.c -d
check net_psock_tpacket self net/psock_tpacket.c
check net_reuseaddr_conflict self net/reuseaddr_conflict.c
check net_reuseport_bpf self net/reuseport_bpf.c
check net_reuseport_bpf_cpu self net/reuseport_bpf_cpu.c
check net_reuseport_dualstack self net/reuseport_dualstack.c
check net_ip_local_port_range forty_thousands self net/ip_local_port_range.c
check net_netlink_dumps self net/netlink-dumps.c
check net_so_incoming_cpu self net/so_incoming_cpu.c
check net_tcp_fastopen_backup_key self net/tcp_fastopen_backup_key.c
check net_tun self net/tun.c
check membarrier_one_thread self membarrier/membarrier_test_single_thread.c
check membarrier_threads self membarrier/membarrier_test_multi_thread.c
check memfd_basic self memfd/memfd_test.c
check mincore_basic on_disk self mincore/mincore_selftest.c
check mqueue_open self mqueue/mq_open_tests.c
check core_close_range self core/close_range_test.c
check core_unshare self core/unshare_test.c
check exec_recursion_depth self exec/recursion-depth.c
check exec_null_argv self exec/null-argv.c
check proc_pid_vm self proc/proc-pid-vm.c
check proc_self_syscall self proc/proc-self-syscall.c
check proc_map_files self proc/proc-self-map-files-001.c
check proc_empty_vm self proc/proc-empty-vm.c
check arm64_hwcap self arm64/abi/hwcap.c
check arm64_ptrace self arm64/abi/ptrace.c
check arm64_tags self arm64/tags/tags_test.c
check breakpoints_arm64 self breakpoints/breakpoint_test_arm64.c
check vdso_gettimeofday self vDSO/vdso_test_gettimeofday.c
check vdso_correctness self vDSO/vdso_test_correctness.c
check vdso_abi self vDSO/vdso_test_abi.c
check cachestat_basic self cachestat/test_cachestat.c
check epoll_wakeup self filesystems/epoll/epoll_wakeup_test.c -T epoll59 -T epoll60
check eventfd_basic self filesystems/eventfd/eventfd_test.c
check ipc_message_queues self ipc/msgque.c
check kcmp_basic self kcmp/kcmp_test.c
check prctl_set_anon_name self prctl/set-anon-vma-name-test.c
check rlimits_per_user self rlimits/rlimits-per-userns.c
check timens_basic self timens/timens.c
check timens_clock_nanosleep self timens/clock_nanosleep.c
check cgroup_core self cgroup/test_core.c
check cgroup_freezer self cgroup/test_freezer.c
check cgroup_kill self cgroup/test_kill.c
check cgroup_memcontrol on_disk self cgroup/test_memcontrol.c
finish
