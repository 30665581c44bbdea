#!/bin/bash
# What the virtual machine runs once its disks are there: sets up what a machine with cgroups of version 2 alone has,
# runs the command of the host and switches the machine off.
export PATH=/checkout/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8 CI=1

mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd
busybox ip link set lo up
hostname cgroup2

cd /checkout
echo "$(uname -r), up after $(cut -d ' ' -f 1 /proc/uptime) s; controllers: $(cat /sys/fs/cgroup/cgroup.controllers)"
bash .bin/command
# The host reads the second serial line to its end.
echo "$?" >/dev/ttyS1
sync
echo o >/proc/sysrq-trigger
sleep 60
