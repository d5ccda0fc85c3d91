#!/bin/bash
# SPDX-License-Identifier: MIT
# debian-stress.sh -- stress-ng's stressors, each for a moment, with its own verification.
cd "$(dirname "$0")" || exit
. ./check.sh
# shellcheck disable=SC2034 # check.sh looks at it
skipped=4       # stress-ng's exit code for what this machine does not have
work=$(mktemp -d -p /var/tmp) || exit
stress() {
        local out code
        out=$(cd "$work" && timeout -k 5 90 stress-ng --"$1" 2 -t 2 --verify \
                --temp-path "$work" 2>&1)
        code=$?
        [ $code = 0 ] || { echo "$out" | tail -n 2; return $code; }
}

check cpu_cpu stress cpu
check cpu_atomic stress atomic
check cpu_branch stress branch
check cpu_bsearch stress bsearch
check cpu_cache stress cache
check cpu_context stress context
check cpu_fp stress fp
check cpu_heapsort stress heapsort
check cpu_hsearch stress hsearch
check cpu_icache stress icache
check cpu_longjmp stress longjmp
check cpu_matrix stress matrix
check cpu_mergesort stress mergesort
check cpu_prefetch stress prefetch
check cpu_qsort stress qsort
check cpu_randlist stress randlist
check cpu_radixsort stress radixsort
check cpu_str stress str
check cpu_stream stress stream
check cpu_tsc stress tsc
check cpu_vecmath stress vecmath
check cpu_wcs stress wcs
check vm_bigheap stress bigheap
check vm_brk stress brk
check vm_vm stress vm
check vm_vm_rw stress vm-rw
check vm_vm_segv stress vm-segv
check vm_vm_splice stress vm-splice
check vm_vm_addr stress vm-addr
check vm_stack stress stack
check vm_stackmmap stress stackmmap
check vm_madvise stress madvise
check vm_malloc stress malloc
check vm_mmap stress mmap
check vm_mmapaddr stress mmapaddr
check vm_mmapfixed stress mmapfixed
check vm_mmapfork stress mmapfork
check vm_mmaphuge stress mmaphuge
check vm_mmapmany stress mmapmany
check vm_mremap stress mremap
check vm_mprotect stress mprotect
check vm_munmap stress munmap
check vm_mincore stress mincore
check vm_mlock stress mlock
check vm_msync stress msync
check vm_pageswap stress pageswap
check vm_physpage stress physpage
check vm_remap stress remap
check vm_resources stress resources
check vm_shm stress shm
check vm_shm_sysv stress shm-sysv
check vm_tmpfs stress tmpfs
check vm_userfaultfd stress userfaultfd
check vm_memfd stress memfd
check vm_memhotplug stress memhotplug
check vm_numa stress numa
check os_access stress access
check os_affinity stress affinity
check os_aio stress aio
check os_chdir stress chdir
check os_chmod stress chmod
check os_clock stress clock
check os_clone stress clone
check os_copy_file stress copy-file
check os_dentry stress dentry
check os_dir stress dir
check os_dirdeep stress dirdeep
check os_dup stress dup
check os_dynlib stress dynlib
check os_enosys stress enosys
check os_env stress env
check os_epoll stress epoll
check os_eventfd stress eventfd
check os_exec stress exec
check os_exit_group stress exit-group
check os_fcntl stress fcntl
check os_fork stress fork
check os_get stress get
check os_getdent stress getdent
check os_getrandom stress getrandom
check os_handle stress handle
check os_inotify stress inotify
check os_io_uring stress io-uring
check os_ioprio stress ioprio
check os_itimer stress itimer
check os_kcmp stress kcmp
check os_key stress key
check os_kill stress kill
check os_link stress link
check os_membarrier stress membarrier
check os_mq stress mq
check os_msg stress msg
check os_nanosleep stress nanosleep
check os_netlink_proc stress netlink-proc
check os_nice stress nice
check os_null stress null
check os_opcode stress opcode
check os_open stress open
check os_personality stress personality
check os_poll stress poll
check os_prctl stress prctl
check os_procfs stress procfs
check os_pthread stress pthread
check os_ptrace stress ptrace
check os_pty stress pty
check os_rename stress rename
check os_rlimit stress rlimit
check os_rseq stress rseq
check os_seccomp stress seccomp
check os_seek stress seek
check os_sem stress sem
check os_sem_sysv stress sem-sysv
check os_session stress session
check os_set stress set
check os_sigrt stress sigrt
check os_sleep stress sleep
check os_sock stress sock
check os_sockpair stress sockpair
check os_sysinfo stress sysinfo
check os_tee stress tee
check os_timer stress timer
check os_timerfd stress timerfd
check os_tlb_shootdown stress tlb-shootdown
check os_udp stress udp
check os_unshare stress unshare
check os_urandom stress urandom
check os_utime stress utime
check os_vfork stress vfork
check os_vforkmany stress vforkmany
check os_wait stress wait
check os_xattr stress xattr
check os_yield stress yield
check os_zombie stress zombie
check pipe_pipe stress pipe
check pipe_pipeherd stress pipeherd
check pipe_fifo stress fifo
check pipe_splice stress splice
check pipe_sendfile stress sendfile
check scheduler_hrtimers stress hrtimers
check scheduler_loadavg stress loadavg
check scheduler_mutex stress mutex
check scheduler_futex stress futex
check scheduler_switch stress switch
check scheduler_schedpolicy stress schedpolicy
check scheduler_spawn stress spawn
check scheduler_daemon stress daemon
check signal_sigabrt stress sigabrt
check signal_sigchld stress sigchld
check signal_sigfd stress sigfd
check signal_sigfpe stress sigfpe
check signal_sigio stress sigio
check signal_sigpending stress sigpending
check signal_sigpipe stress sigpipe
check signal_sigq stress sigq
check signal_sigsegv stress sigsegv
check signal_sigsuspend stress sigsuspend
check signal_sigtrap stress sigtrap
check filesystem_fallocate stress fallocate
check filesystem_file_ioctl stress file-ioctl
check filesystem_filename stress filename
check filesystem_flock stress flock
check filesystem_hdd stress hdd
check filesystem_iomix stress iomix
check filesystem_lockf stress lockf
check filesystem_lockofd stress lockofd
check filesystem_locka stress locka
check filesystem_readahead stress readahead
check filesystem_revio stress revio
check filesystem_symlink stress symlink
check filesystem_sync_file stress sync-file
check filesystem_touch stress touch
check filesystem_fiemap stress fiemap
check filesystem_fpunch stress fpunch
check shadow_is_right shadow_is_right
check no_complaints no_complaints
finish
