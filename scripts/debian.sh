# Shell functions that bring a Debian machine to where the service and its tests can run. Sourced by try.sh and test.sh.
# Every step says what it does, and does nothing when it is done already.

cache="${XDG_CACHE_HOME:-$HOME/.cache}/python-executor"
default_image=python:3.11-slim
engine_pid=
engine_dir=

say() { printf '\033[1m> %s\033[0m\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

require_node() {
  command -v node >/dev/null || fail "Node.js is missing; install version 20.19 or newer (https://nodejs.org)"
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    fail "Node.js $(node --version) is too old; install version 20.19 or newer"
}

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# ensure_packages COMMAND=PACKAGE…: installs the package of every command that is missing.
ensure_packages() {
  local pair missing=()
  for pair in "$@"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  can_install || fail "missing: ${missing[*]}; install these Debian packages, or run this as root"
  say "installing ${missing[*]}"
  apt-get update -qq
  # The engine is started below, where it can be stopped again; no service manager is needed.
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# An older engine refuses a newer client unless that is told to speak its version.
docker_cli() { DOCKER_API_VERSION="${DOCKER_API_VERSION:-1.41}" docker "$@"; }

engine_answers() { command -v docker >/dev/null && docker_cli version >/dev/null 2>&1; }

ensure_engine() {
  engine_answers && return 0
  ensure_packages dockerd=docker.io iptables=iptables runc=runc
  engine_answers && return 0
  say "starting the Docker engine (it is stopped again at the end)"
  engine_dir=$(mktemp -d)
  PATH="$PATH:/usr/sbin:/sbin" dockerd --pidfile "$engine_dir/dockerd.pid" >"$engine_dir/dockerd.log" 2>&1 &
  engine_pid=$!
  local _
  for _ in $(seq 60); do
    engine_answers && return 0
    kill -0 "$engine_pid" 2>/dev/null || break
    sleep 0.5
  done
  tail -n 20 "$engine_dir/dockerd.log" >&2
  fail "the Docker engine did not start"
}

stop_engine() {
  [ -n "$engine_pid" ] || return 0
  say "stopping the Docker engine"
  kill "$engine_pid" 2>/dev/null || true
  wait "$engine_pid" 2>/dev/null || true
  rm -rf "$engine_dir"
  engine_pid=
}

# ensure_image NAME SUITE: pulls the image or, where there is no registry, makes one of that name from Debian packages.
ensure_image() {
  local name=$1 suite=$2 tar
  docker_cli image inspect "$name" >/dev/null 2>&1 && return 0
  say "pulling $name"
  if timeout 120 env DOCKER_API_VERSION="${DOCKER_API_VERSION:-1.41}" docker pull -q "$name" >/dev/null 2>&1; then
    return 0
  fi
  tar="$cache/python-$suite.tar"
  if [ ! -s "$tar" ]; then
    ensure_packages mmdebstrap=mmdebstrap
    say "no registry answers: building $name from Debian packages (half a minute)"
    mkdir -p "$cache"
    mmdebstrap --quiet --format=tar --variant=minbase --include=python3,python3-pip,python3-venv,ca-certificates \
      "$suite" "$tar.part"
    mv "$tar.part" "$tar"
  fi
  docker_cli import "$tar" "$name" >/dev/null
}

ensure_build() {
  if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    say "installing the Node packages"
    npm ci --no-audit --no-fund --loglevel=error
  fi
  say "building"
  npm run --silent build
}

# The interpreter for the Python client: Debian's, since a version manager's shim costs more than a run.
host_python() { if [ -x /usr/bin/python3 ]; then echo /usr/bin/python3; else command -v python3; fi; }

# ensure_client_venv DIRECTORY EXTRA: a virtual environment with the Python client in it.
ensure_client_venv() {
  local venv=$1 extra=$2
  [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import python_executor_client, requests' 2>/dev/null && return 0
  ensure_venv_module
  say "installing the Python client into a virtual environment"
  "$(host_python)" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -e "clients/python$extra"
}

ensure_venv_module() {
  "$(host_python)" -c 'import ensurepip' 2>/dev/null && return 0
  can_install || fail "python3 lacks the venv module; install python3-venv"
  say "installing python3-venv"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
}
