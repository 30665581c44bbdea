#!/usr/bin/env bash
# From a fresh checkout to a program that has run: installs what is missing, starts the service on a free port, runs a
# project of two files with stdin through the Python client, prints what came back and stops everything again.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian.sh

server_pid=
work=$(mktemp -d)
finish() {
  if [ -n "$server_pid" ]; then
    kill "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap finish EXIT

require_node
# An engine that is there serves; without one, an OCI runtime and this machine's own Python do.
if engine_answers; then
  ensure_image "$default_image" bookworm
else
  ensure_packages crun=crun python3=python3
  [ "$(id -u)" = 0 ] || fail "without a Docker engine, only root can make sandboxes: start an engine, or run this as root"
fi
ensure_build
ensure_client_venv .cache/try ""

say "starting the service"
PYEXEC_HOST=127.0.0.1 PYEXEC_PORT="${PYEXEC_PORT:-0}" PYEXEC_DATA_DIR="$work/data" \
  node packages/cli/bin/python-executor.js serve >"$work/server.log" 2>&1 &
server_pid=$!
url=
for _ in $(seq 150); do
  url=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$work/server.log" | head -n 1)
  [ -n "$url" ] && break
  kill -0 "$server_pid" 2>/dev/null || break
  sleep 0.2
done
[ -n "$url" ] || { cat "$work/server.log" >&2; fail "the service did not start"; }

say "running a project of two files through the Python client at $url"
.cache/try/bin/python scripts/try.py "$url"
