#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# check-privileged.sh -- no instruction in the Linux server may need EL1.
#
# usage: servers/linux/check-privileged.sh VMLINUX|MODULE|FOLDER... [objdump in $OUZEL_CROSS]
#
# Of a folder, all modules in it but trap_test.ko, whose business they are.
#
# Disassembles and looks at every system instruction. Allowed are those that EL0 may execute,
# MRS of identification registers (the kernel answers them), and what the list below names by
# function with the reason why it is never reached. Anything else is printed, and the status
# is 1. What alternatives patch in is in the object too (.altinstr_replacement).
set -euo pipefail

objdump=${OUZEL_CROSS:-aarch64-linux-gnu-}objdump
[ $# -gt 0 ] || { sed -n '3,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2; }

# function (regular expression), instruction (regular expression), reason
allowed='
__arm_smccc_(smc|hvc)|spectre_.*|arm_smccc_.*|has_spectre_.*|psci_.*|smccc_.*|call_(smc|hvc)_arch_workaround_1|arch_get_random_seed_longs|kvm_init_hyp_services	(smc|hvc)	no firmware: without a /psci node the conduit is "none"
spectre_v4_enable_mitigation	msr	SSBS is hidden in ID_AA64PFR1_EL1
__delay	wfit	WFxT is hidden in ID_AA64ISAR2_EL1
'

status=0
mapfile -t files < <(for name; do
        if [ -d "$name" ]; then find "$name" -name '*.ko' ! -name trap_test.ko | sort; else echo "$name"; fi
done)
for file in "${files[@]}"; do
        # Replacements of alternatives lie in .init.text or in a section of their own.
        "$objdump" -d --no-show-raw-insn -j .head.text -j .text -j .init.text -j .exit.text \
                -j .rodata.text -j .altinstr_replacement "$file" 2>/dev/null |
        awk -v allowed="$allowed" -v file="$file" '
        BEGIN {
                n = split(allowed, line, "\n")
                for (i = 1; i <= n; i++)
                        if (split(line[i], f, "\t") == 3) {
                                where[++rules] = f[1]
                                which[rules] = f[2]
                        }
        }
        /^ *[0-9a-f]+:/ { instructions++ }
        /^[0-9a-f]+ <.*>:$/ { name = $2; gsub(/[<>:]/, "", name); next }
        $2 ~ /^(mrs|msr|sys|sysl|tlbi|at|dc|ic|eret|eretaa|eretab|hvc|smc|dcps[123]|drps|wfi|wfit)$/ {
                op = $2; arg = $0
                sub(/^[^\t]*\t[a-z0-9]+[ \t]*/, "", arg)
                sub(/[ \t]*\/\/.*/, "", arg)
                if (fine(op, arg)) next
                for (i = 1; i <= rules; i++)
                        if (name ~ "^(" where[i] ")$" && op ~ "^" which[i] "$") next
                printf "%s: %s: %s %s\n", file, name, op, arg
                bad++
        }
        END {
                if (!instructions) {
                        printf "%s: no instruction in it was disassembled\n", file
                        bad++
                }
                exit bad > 0
        }
        function fine(op, arg) {
                if (op == "mrs") {
                        sub(/^[a-z0-9]+, */, "", arg)
                        return arg ~ /^(tpidr_el0|tpidrro_el0|fpcr|fpsr|nzcv|cntvct_el0|cntvctss_el0|cntfrq_el0|ctr_el0|dczid_el0|rndr|rndrrs|midr_el1|mpidr_el1|revidr_el1|id_[a-z0-9]*_el1|mvfr[012]_el1|s3_0_c0_c[0-7]_[0-7])$/
                }
                if (op == "msr")
                        return arg ~ /^(tpidr_el0|fpcr|fpsr|nzcv|dit), /
                if (op == "dc")
                        return arg ~ /^(cvau|cvac|civac|cvap|cvadp|zva|gva|gzva), /
                if (op == "ic")
                        return arg ~ /^ivau, /
                return 0
        }' || status=1
done
exit $status
