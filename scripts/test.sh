#!/usr/bin/env bash
# Passes every test from a fresh checkout: installs what is missing, starts the Docker engine if none answers, runs the
# one gate (format, lint, types, unused code, tests) and the tests of the Python client.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian.sh
trap stop_engine EXIT

require_node
ensure_packages curl=curl crun=crun runc=runc runsc=runsc skopeo=skopeo umoci=umoci docker-registry=docker-registry
ensure_engine
ensure_image "$default_image" bookworm
ensure_build
ensure_client_venv .cache/test "[dev]"
npm run --silent check
