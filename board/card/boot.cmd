# SPDX-License-Identifier: MIT
# boot.cmd -- U-Boot's part of a boot: load Ouzel and the initial RAM disk from where this
# script came from, and start. ./ouzel image packs it into boot.scr (mkimage).
#
# Addresses: 64 MiB and 192 MiB behind the start of memory, clear of U-Boot (at the top of
# the first GiB at most) and of the device tree. The image's header says how much it needs.
# The device tree is the firmware's (fdt_addr): memory sizes and overlays are in it.
setexpr base ${kernel_addr_r} \& 0xf0000000
setexpr image ${base} + 0x04000000
setexpr disk ${base} + 0x0c000000
# The firmware's command line is in the device tree; this file's, if there is one, comes first.
if test -e ${devtype} ${devnum}:${distro_bootpart} /bootargs.env; then
        load ${devtype} ${devnum}:${distro_bootpart} ${disk} bootargs.env
        env import -t ${disk} ${filesize}
fi
echo "Ouzel: loading from ${devtype} ${devnum}:${distro_bootpart}"
if load ${devtype} ${devnum}:${distro_bootpart} ${image} ouzel.img; then
        if load ${devtype} ${devnum}:${distro_bootpart} ${disk} initrd.img; then
                setenv ramdisk ${disk}:${filesize}
        else
                echo "Ouzel: no initrd.img beside boot.scr: starting without"
                setenv ramdisk -
        fi
        booti ${image} ${ramdisk} ${fdt_addr}
        echo "Ouzel: ouzel.img is no arm64 image, or damaged: write the card again"
else
        echo "Ouzel: no ouzel.img beside boot.scr: write the card again (./ouzel image)"
fi
