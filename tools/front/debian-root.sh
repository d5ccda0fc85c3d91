#!/bin/bash
# SPDX-License-Identifier: MIT
# debian-root.sh -- make a Debian arm64 root file system as an ext4 image. Run as root.
#
# usage: debian-root.sh SUITE SOURCES FOLDER IMAGE SIZE OWNER PACKAGES [APT_OPTION...]
#
# SOURCES is a sources.list, FOLDER is for scratch, IMAGE appears when all went well.
set -euo pipefail
suite=$1 sources=$2 folder=$3 image=$4 size=$5 owner=$6 packages=$7
shift 7

# The installation scripts are arm64 programs: the kernel must know to run them by qemu-user.
if ! arch-test arm64 >/dev/null 2>&1; then
        binfmt=/proc/sys/fs/binfmt_misc
        [ -e $binfmt/register ] || mount -t binfmt_misc none $binfmt || {
                echo "this machine's kernel can't be told to run arm64 programs: binfmt_misc" \
                        "is not there (in a container, it must be mounted outside)" >&2
                exit 1
        }
        update-binfmts --import qemu-aarch64 2>/dev/null || true
        update-binfmts --enable qemu-aarch64 2>/dev/null || true
        if [ ! -e $binfmt/qemu-aarch64 ]; then
                systemd-binfmt 2>/dev/null || true
        fi
        arch-test arm64 || {
                echo "arm64 programs don't run here although qemu-user-static is installed:" \
                        "look at 'update-binfmts --display qemu-aarch64'" >&2
                exit 1
        }
fi

root=$folder/root
clear_root() { rm -rf --one-file-system "$root"; } # not what may still be mounted in it
clear_root
trap clear_root EXIT # it is root's: nobody else could remove it
options=()
for option; do
        options+=(--aptopt="$option")
done
# In a mount namespace of its own: what it mounts goes with it, however it ends.
unshare --mount mmdebstrap --mode=root --arch=arm64 --variant=apt --include="$packages" \
        "${options[@]}" "$suite" "$root" "$sources"
rm -f "$root"/etc/apt/apt.conf.d/99mmdebstrap

# ---- the machine: name, network, console, root ---------------------------------------------
echo ouzel >"$root/etc/hostname"
cat >"$root/etc/hosts" <<END
127.0.0.1 localhost
127.0.1.1 ouzel
::1 localhost
END
# ./ouzel adds a disk with the modules of the Linux that it starts.
mkdir -p "$root/usr/lib/modules"
cat >"$root/etc/fstab" <<END
/dev/vda / ext4 defaults,errors=remount-ro 0 1
LABEL=modules /usr/lib/modules ext4 ro,nofail,x-systemd.device-timeout=120 0 0
END
cat >"$root/etc/systemd/network/ether.network" <<END
[Match]
Type=ether
[Network]
DHCP=ipv4
[DHCPv4]
UseDNS=no
END
# QEMU's user network answers DNS here.
rm -f "$root/etc/resolv.conf"
echo 'nameserver 10.0.2.3' >"$root/etc/resolv.conf"
mkdir -p "$root/etc/systemd/system/serial-getty@.service.d" \
        "$root/etc/systemd/system/multi-user.target.wants"
cat >"$root/etc/systemd/system/serial-getty@.service.d/autologin.conf" <<'END'
[Service]
ExecStart=
ExecStart=-/sbin/agetty -o '-p -f -- \\u' --keep-baud --autologin root 115200 - $TERM
END
chroot "$root" systemctl enable systemd-networkd >/dev/null 2>&1
echo root:ouzel | chroot "$root" chpasswd
cat >"$root/root/.bash_profile" <<'END'
. ~/.bashrc
END
cat >"$root/etc/motd" <<'END'
Debian on Ouzel. Root's password is "ouzel". `poweroff` ends the machine.
END
: >"$root/etc/machine-id"

# ---- the image -----------------------------------------------------------------------------
rm -f "$image.new"
truncate -s "$size" "$image.new"
mke2fs -q -t ext4 -L root -d "$root" "$image.new"
chown "$owner" "$image.new"
mv "$image.new" "$image"
