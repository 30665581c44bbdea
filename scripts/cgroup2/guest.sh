#!/bin/bash
# What the virtual machine runs once its disks are there: sets up what a machine with cgroups of version 2 alone has,
# runs the command of the host and switches the machine off.
export PATH=/checkout/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8 CI=1 NO_COLOR=1

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
if ! node --version >/dev/null; then
  echo "Node.js of the host does not run here: install the one of nodejs.org, which needs no libraries of its own"
  exit 1
fi
# What sees a terminal paints it and hides its cursor.
bash .bin/command 2>&1 | cat
# The host reads the second serial line to its end.
echo "${PIPESTATUS[0]}" >/dev/ttyS1
sync
echo o >/proc/sysrq-trigger
sleep 60
