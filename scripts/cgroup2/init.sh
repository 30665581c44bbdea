#!/bin/busybox sh
# The first process of the virtual machine: reaches the disks and goes on there.
set -eu
busybox=/bin/busybox
$busybox mount -t devtmpfs dev /dev
$busybox mount -t proc proc /proc
while read -r module; do $busybox insmod "/modules/$module"; done </modules/order
$busybox mount -t ext4 /dev/vda /root
$busybox mount -t ext4 /dev/vdb /root/checkout
$busybox umount /proc
$busybox mount --move /dev /root/dev
exec $busybox switch_root /root /bin/bash /checkout/scripts/cgroup2/guest.sh
