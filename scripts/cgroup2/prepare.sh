#!/bin/sh
# Runs inside the new root file system: adds Debian's kernel, which no package manager sets up here, and /boot/initrd,
# the little that is in memory while the disk is not there yet.
set -eu

cd /tmp
package=$(apt-cache depends --important linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
# It need not wait for a user of its own: this file system is thrown away.
apt-get -qq -o APT::Sandbox::User=root download "$package"
# Not to the root itself, where its directories would take the place of symbolic links.
dpkg-deb -x "$package"_*.deb kernel
version=${package#linux-image-}
mkdir -p /usr/lib/modules
mv "kernel/boot/vmlinuz-$version" /boot/vmlinuz
mv "kernel/lib/modules/$version" /usr/lib/modules/
rm -r "$package"_*.deb kernel
depmod "$version"

mkdir -p initrd/bin initrd/dev initrd/proc initrd/modules initrd/root
cp /usr/bin/busybox initrd/bin/
install -m 755 /boot/cgroup2-init initrd/init
# In the order in which they need each other.
for name in virtio_pci virtio_blk; do
  modprobe --set-version "$version" --show-depends "$name" | sed -n 's/^insmod //p'
done | awk '!seen[$1]++ {print $1}' | while read -r module; do
  cp "$module" initrd/modules/
  basename "$module" >>initrd/modules/order
done
(cd initrd && find . | busybox cpio -o -H newc) >/boot/initrd
rm -r initrd
