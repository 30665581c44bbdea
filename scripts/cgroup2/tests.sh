#!/bin/bash
# In the virtual machine: asks doctor, runs the tests, and some of them once more as in a container, whose processes are
# in the root of the cgroups that it sees. Arguments are those of vitest, instead of all that.
set -u

run_vitest() {
  node node_modules/vitest/vitest.mjs run --config scripts/cgroup2/vitest.config.ts --reporter=verbose "$@"
}

as_in_container() {
  local cgroups=/sys/fs/cgroup
  mkdir -p "$cgroups/container"
  echo '+cpu +memory +pids' >"$cgroups/cgroup.subtree_control"
  (
    echo "$BASHPID" >"$cgroups/container/cgroup.procs"
    export -f run_vitest
    exec unshare --cgroup --mount bash -c \
      'umount /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && run_vitest "$@"' bash "$@"
  )
}

if [ "${1:-}" = --as-in-container ]; then
  shift
  as_in_container "$@"
  exit
elif [ $# -gt 0 ]; then
  run_vitest "$@"
  exit
fi
code=0
echo "what doctor says:"
PYEXEC_BACKEND=oci node packages/cli/bin/python-executor.js doctor || code=$?
run_vitest || code=$?
echo "as in a container:"
as_in_container --project unit cgroup.test.ts lifecycle.test.ts || code=$?
exit "$code"
