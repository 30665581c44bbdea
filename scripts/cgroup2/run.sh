#!/usr/bin/env bash
# Runs the tests of the oci backend where there are cgroups of version 2 and no others: in a small virtual machine that
# qemu emulates, with Debian's kernel and the host's Node.js. Arguments are those of vitest, instead of the usual tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/debian.sh

minutes_max=45
memory_mb=3072
suite=bookworm
packages=python3,crun,runc,kmod,mount,util-linux,busybox-static,ca-certificates,tzdata,netbase,libstdc++6
work=$(mktemp -d)
qemu_pid=
finish() {
  if [ -n "$qemu_pid" ]; then
    kill "$qemu_pid" 2>/dev/null || true
    wait "$qemu_pid" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Makes the disk with the operating system, and what boots it, once.
ensure_system() {
  local key root=$work/system
  key=$(cat scripts/cgroup2/{init,prepare}.sh <(echo "$suite $packages") | sha256sum | cut -c 1-12)
  system=$cache/cgroup2-$key
  [ -d "$system" ] && return 0
  ensure_packages mmdebstrap=mmdebstrap mke2fs=e2fsprogs
  say "making the system of the virtual machine from Debian packages (two minutes, once)"
  mmdebstrap --quiet --variant=apt --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='install -m 755 scripts/cgroup2/init.sh "$1/boot/cgroup2-init" && mkdir "$1/checkout"' \
    --customize-hook='chroot "$1" sh -s <scripts/cgroup2/prepare.sh' \
    "$suite" "$root"
  mkdir -p "$cache" "$work/made"
  mv "$root/boot/vmlinuz" "$root/boot/initrd" "$work/made/"
  make_disk "$root" "$work/made/disk"
  rm -rf --one-file-system "$root"
  rm -rf "$cache"/cgroup2-*
  mv "$work/made" "$system"
}

# make_disk DIRECTORY FILE: an ext4 file system of the directory, with a quarter of a gigabyte to spare.
make_disk() {
  local size_mb
  size_mb=$(($(du -sm "$1" | cut -f 1) * 5 / 4 + 256))
  PATH="$PATH:/usr/sbin:/sbin" mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -d "$1" "$2" "${size_mb}M" >/dev/null
}

# pack_checkout ARGUMENT…: the checkout as it is built, without what no test inside needs, and what is to be run there.
pack_checkout() {
  local checkout=$work/checkout
  mkdir "$checkout"
  tar -c --exclude=./.git --exclude=./.cache --exclude='./node_modules/@biomejs' --exclude='./node_modules/@typescript' \
    --exclude='./node_modules/typescript' --exclude='./node_modules/*/linux-x64-musl' . | tar -x -C "$checkout"
  install -D "$(command -v node)" "$checkout/.bin/node"
  printf '%q ' bash scripts/cgroup2/tests.sh "$@" >"$checkout/.bin/command"
  make_disk "$checkout" "$work/checkout.ext4"
  rm -rf "$checkout"
}

boot() {
  local status=$work/status
  say "booting"
  # What the machine writes to its disks goes into files that are deleted already.
  TMPDIR=$work nice timeout --foreground "${minutes_max}m" qemu-system-x86_64 \
    -accel tcg -cpu max -smp 2 -m "$memory_mb" -no-reboot -nodefaults -display none -monitor none \
    -kernel "$system/vmlinuz" -initrd "$system/initrd" \
    -append 'console=ttyS0 quiet panic=-1 cgroup_no_v1=all mitigations=off' \
    -drive "file=$system/disk,format=raw,if=virtio,snapshot=on" \
    -drive "file=$work/checkout.ext4,format=raw,if=virtio,cache=unsafe" \
    -chardev stdio,id=console,signal=off -serial chardev:console -serial "file:$status" </dev/null &
  qemu_pid=$!
  local code=0
  wait "$qemu_pid" || code=$?
  qemu_pid=
  [ "$code" = 0 ] || fail "the virtual machine ended with $code ($minutes_max minutes are the most it may take)"
  [ -s "$status" ] || fail "the virtual machine ended before its tests did"
  return "$(tr -dc 0-9 <"$status")"
}

require_node
ensure_packages qemu-system-x86_64=qemu-system-x86
ensure_system
pack_checkout "$@"
boot
