#!/bin/sh
# SPDX-License-Identifier: MIT
# apps.sh -- the application rows: `apps.sh prepare NAME N`, not measured, then
# `apps.sh run NAME N`, measured. What a run prints must be the same on both sides, so nothing
# of a time goes there. N says how much to do. The small ones are busybox's, the others run
# Debian's programs, from a disk, in /mnt.
root=/mnt
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C

# debian COMMAND... in Debian's root
debian() { chroot $root "$@"; }

# A tree of N folders of 20 text files, the same on both sides.
tree() {
        mkdir -p /tmp/tree && cd /tmp/tree || exit 1
        n=0
        while [ $n -lt "$1" ]; do
                mkdir -p d$n
                f=0
                while [ $f -lt 20 ]; do
                        seq $((n * 1000 + f)) $((n * 1000 + f + 400)) >d$n/f$f
                        f=$((f + 1))
                done
                n=$((n + 1))
        done
}
sums() { find . -type f | sort | xargs md5sum | md5sum; }

prepare_tar_gzip() { tree "$1"; }
run_tar_gzip() {
        tar cf - -C /tmp tree | gzip >/tmp/tree.gz
        gunzip </tmp/tree.gz | tar tf - | sort | md5sum
}
prepare_untar() {
        tree "$1"
        tar cf - -C /tmp tree | gzip >/tmp/tree.gz
        cd /tmp && rm -r tree
}
run_untar() {
        cd /tmp && gunzip </tmp/tree.gz | tar xf - && cd tree && sums
}

prepare_shell_loop() { :; }
run_shell_loop() {
        i=0
        s=0
        while [ $i -lt "$1" ]; do
                i=$((i + 1))
                s=$((s + i % 7))
                case $i in
                *00) s=$(echo "$s" | cat) ;;
                esac
        done
        echo $s
}

prepare_find_grep() { tree "$1"; }
run_find_grep() {
        cd /tmp/tree || exit 1
        find . -type f -exec grep -l 777 {} + | sort | md5sum
        grep -r 1234 . | sort | md5sum
        sums
}

# ---- Debian's programs -------------------------------------------------------------------
prepare_gcc() {
        rm -rf $root/tmp/bzip2
        cp -r $root/usr/src/bzip2 $root/tmp/bzip2
        # Once before, so that it is not the disk that is measured.
        echo 'int main(void) { return 0; }' >$root/tmp/x.c
        debian gcc -O2 -o /tmp/x /tmp/x.c
}
run_gcc() {
        debian make -s -C /tmp/bzip2 CFLAGS='-O1 -w' huffman.o crctable.o compress.o &&
                cd $root/tmp/bzip2 && md5sum huffman.o crctable.o compress.o
}

prepare_hackbench() { debian hackbench -g 1 -l 1 >/dev/null; }
run_hackbench() { debian hackbench -g 2 -l "$1" >/dev/null && echo "done"; }
prepare_hackbench_threads() { debian hackbench -T -g 1 -l 1 >/dev/null; }
run_hackbench_threads() { debian hackbench -T -g 2 -l "$1" >/dev/null && echo "done"; }

prepare_sqlite() {
        rm -f $root/root/bench.db
        debian sqlite3 :memory: 'select 1;' >/dev/null
}
run_sqlite() {
        # On the disk, with its journal: what a small server does.
        debian sqlite3 /root/bench.db <<END
create table t(a integer primary key, b integer, c text);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < $1)
        insert into t select i, i * 7919 % 10007, 'row number ' || i from n;
commit;
create index tb on t(b);
select count(*), sum(b) from t where b between 1000 and 2000;
update t set c = c || ' changed' where b % 10 = 3;
select count(*) from t where c like '%99%changed';
select b / 1000, count(*), max(c) from t group by 1 order by 1;
delete from t where a % 3 = 0;
select count(*), sum(length(c)) from t;
insert into t values (1000001, 1, 'one'); insert into t values (1000002, 2, 'two');
insert into t values (1000003, 3, 'three'); insert into t values (1000004, 4, 'four');
pragma integrity_check;
END
}

prepare_redis() {
        debian redis-server --save '' --appendonly no --daemonize yes --dir /tmp \
                --unixsocket /tmp/redis.sock >/dev/null
        n=0
        until [ "$(debian redis-cli ping 2>/dev/null)" = PONG ] || [ $n = 50 ]; do
                usleep 100000
                n=$((n + 1))
        done
}
run_redis() {
        debian redis-benchmark -q -c 20 -n "$1" -t set,get,incr,lpush,rpop >/dev/null &&
                debian redis-cli mget key:__rand_int__ counter:__rand_int__
}

# Once before, so that its modules are compiled already.
prepare_python_start() { debian python3 -c 'import json, re, os'; }
run_python_start() {
        i=0
        while [ $i -lt "$1" ]; do
                PYTHONHASHSEED=0 debian python3 -c 'import json, re, os; print(len(os.sep))'
                i=$((i + 1))
        done
}

prepare_python() { PYTHONHASHSEED=0 debian python3 /tmp/test/pieces.py 4 >/dev/null; }
run_python() { PYTHONHASHSEED=0 debian python3 /tmp/test/pieces.py "$1"; }

case $1 in
prepare | run) "$1_$2" "$3" ;;
*) echo "apps.sh: prepare or run" >&2; exit 2 ;;
esac
