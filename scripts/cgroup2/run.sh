#!/usr/bin/env bash
# Runs the tests of the oci backend where there are cgroups of version 2 and no others: in a small virtual machine that
# qemu emulates, with Debian's kernel and the host's Node.js. Arguments are those of vitest, instead of the usual tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/debian.sh

minutes_max=120
memory_mb=3072
suite=bookworm
# Of the documentation, changelogs of runtimes are needed: they say which vulnerabilities Debian has mended.
system_options=(
  --variant=apt
  --include=python3,crun,runc,kmod,mount,util-linux,busybox-static,ca-certificates,tzdata,netbase,libstdc++6
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/changelog.Debian.gz'
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*'
)
work=$(mktemp -d)
job_pid=
finish() {
  if [ -n "$job_pid" ]; then
    kill "$job_pid" 2>/dev/null || true
    wait "$job_pid" 2>/dev/null || true
  fi
  rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# Runs a command that may take long. A signal does not have to wait for its end, and it ends with this script.
run_interruptibly() {
  setpriv --pdeathsig TERM "$@" </dev/null &
  job_pid=$!
  local code=0
  wait "$job_pid" || code=$?
  job_pid=
  return "$code"
}

# Makes the disk with the operating system, and what boots it, once.
ensure_system() {
  local key root=$work/system
  key=$(cat scripts/cgroup2/{init,prepare}.sh <(echo "$suite ${system_options[*]}") | sha256sum | cut -c 1-12)
  system=$cache/cgroup2-$key
  [ -d "$system" ] && return 0
  ensure_packages mmdebstrap=mmdebstrap mke2fs=e2fsprogs
  say "making the system of the virtual machine from Debian packages (two minutes, once)"
  run_interruptibly mmdebstrap --quiet "${system_options[@]}" \
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

# make_disk DIRECTORY FILE: an ext4 file system of the directory, with three quarters of a gigabyte to spare.
make_disk() {
  local size_mb
  size_mb=$(($(du -sm "$1" | cut -f 1) * 5 / 4 + 768))
  PATH="$PATH:/usr/sbin:/sbin" mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -d "$1" "$2" "${size_mb}M" >/dev/null
}

# pack_checkout ARGUMENT…: the checkout as it is built, without what no test inside needs, and what is to be run there.
pack_checkout() {
  local checkout=$work/checkout
  mkdir "$checkout"
  tar -c --exclude=./.git --exclude=./.cache --exclude='./node_modules/@biomejs' --exclude='./node_modules/@typescript' \
    --exclude='./node_modules/typescript' --exclude='./node_modules/*/linux-x64-musl' . | tar -x -C "$checkout"
  install -D "$(node -p process.execPath)" "$checkout/.bin/node"
  printf '%q ' bash scripts/cgroup2/tests.sh "$@" >"$checkout/.bin/command"
  make_disk "$checkout" "$work/checkout.ext4"
  rm -rf "$checkout"
}

boot() {
  local status=$work/status code=0
  say "booting (half a minute until the first line, a minute more until the first test)"
  # What the machine writes to its system goes into files that are deleted already. A processor without AVX: to emulate
  # its instructions takes longer than to do without.
  TMPDIR=$work run_interruptibly nice timeout --foreground "${minutes_max}m" setpriv --pdeathsig KILL qemu-system-x86_64 \
    -accel tcg -cpu Nehalem -smp 2 -m "$memory_mb" -no-reboot -nodefaults -display none -monitor none \
    -kernel "$system/vmlinuz" -initrd "$system/initrd" \
    -append 'console=ttyS0 loglevel=3 panic=-1 cgroup_no_v1=all mitigations=off' \
    -drive "file=$system/disk,format=raw,if=virtio,snapshot=on" \
    -drive "file=$work/checkout.ext4,format=raw,if=virtio,cache=unsafe" \
    -chardev stdio,id=console,signal=off -serial chardev:console -serial "file:$status" || code=$?
  [ "$code" = 0 ] || fail "the virtual machine ended with $code ($minutes_max minutes are the most it may take)"
  [ -s "$status" ] || fail "the virtual machine ended before its tests did"
  return "$(tr -dc 0-9 <"$status")"
}

[ "$(uname -m)" = x86_64 ] || fail "the virtual machine is an x86_64, as this machine's Node.js is not"
require_node
ensure_build
ensure_packages qemu-system-x86_64=qemu-system-x86 mke2fs=e2fsprogs
ensure_system
pack_checkout "$@"
boot
