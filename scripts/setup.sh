#!/usr/bin/env bash
# Makes a bare machine ready for `make demo` and, with the argument `test`, for
# `make test`: checks the Rust toolchain, installs what is missing from the
# distribution's packages, starts the Docker engine. Safe to run again; touches
# nothing that already works, and needs root only for what is really missing.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$HERE/lib.sh"

PURPOSE=${1:-use}
APT_LOG=$(mktemp -t keelhaul-apt.XXXXXX)
trap 'rm -f "$APT_LOG"' EXIT

# The version in Cargo.toml's `rust-version`, the only place that states it.
wanted_rust() { sed -n 's/^rust-version = "\(.*\)"/\1/p' "$HERE/../Cargo.toml"; }

check_rust() {
  local wanted found
  wanted=$(wanted_rust)
  if ! have cargo || ! have rustc; then
    die "no Rust toolchain: \`cargo\` or \`rustc\` is not on PATH; $wanted or newer is needed" \
      "from https://rustup.rs, or the distribution's cargo and rustc if they are new enough"
  fi
  found=$(rustc --version | cut -d ' ' -f 2) || die "\`rustc --version\` fails" "rustup default stable"
  if [ "$(printf '%s\n' "$wanted" "${found%%-*}" | sort -V | head -n 1)" != "$wanted" ]; then
    die "Rust $found is too old, $wanted or newer is needed" "rustup update stable"
  fi
}

# A compiler without the C library's start files is no use to cargo.
cc_links() {
  local out
  have cc || return 1
  out=$(mktemp)
  echo 'int main(void) { return 0; }' | cc -x c - -o "$out" 2>/dev/null
  local rc=$?
  rm -f "$out"
  return "$rc"
}

engine_answers() { "$HERE/engine.sh" answers; }

# Distribution packages that are missing, one a line.
missing_packages() {
  have mkfs.ext4 || echo e2fsprogs
  have mkfs.xfs || echo xfsprogs
  have mkfs.btrfs || echo btrfs-progs
  cc_links || printf '%s\n' gcc libc6-dev
  have make || echo make
  # the tests check JUnit files with it
  [ "$PURPOSE" != test ] || have xmllint || echo libxml2-utils
  "$ENGINE_UP" || have dockerd || printf '%s\n' docker.io iptables
}

apt_install_line() { printf 'apt-get update && apt-get install -y --no-install-recommends %s' "$*"; }

explain_install() {
  local packages=$*
  if ! have apt-get; then
    die "missing: $packages (Debian's package names), and this system has no apt-get" \
      "install a Docker engine, mkfs.ext4, mkfs.xfs, mkfs.btrfs, a C compiler and make, then run this again"
  fi
  can_be_root || die "missing: $packages, and installing needs root" \
    "sudo sh -c '$(apt_install_line "$packages")'"
}

# Quiet unless it fails. `--no-remove`: an engine from elsewhere (docker-ce)
# must not be thrown out for the distribution's.
apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get \
    -o DPkg::Lock::Timeout=180 -q -y "$@" >"$APT_LOG" 2>&1
}

install_packages() {
  local packages=("$@")
  explain_install "${packages[@]}"
  say "apt-get update"
  apt_get update || say "apt-get update failed, going on with the lists there are: $(tail -n 1 "$APT_LOG")"
  # newer releases ship the client in a package of its own
  if [[ " ${packages[*]} " == *" docker.io "* ]] && ! have docker &&
    apt-cache show docker-cli >/dev/null 2>&1; then packages+=(docker-cli); fi
  say "apt-get install ${packages[*]}"
  if ! apt_get install --no-install-recommends --no-remove "${packages[@]}"; then
    tail -n 20 "$APT_LOG" >&2
    die "apt-get could not install: ${packages[*]}" "$(apt_install_line "${packages[*]}")"
  fi
}

# Some tests open the report in a browser; without one they say that they were
# skipped, so nothing here fails or asks for a password for it. In Debian it is a
# package of 124 MB, a quarter of a minute; in Ubuntu there is none.
install_browser() {
  local name
  for name in chromium chromium-browser google-chrome; do ! have "$name" || return 0; done
  if ! have apt-get || ! { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; } ||
    ! apt-cache policy chromium 2>/dev/null | grep -q 'Candidate: [0-9]'; then
    say "no chromium: tests in a browser will be skipped"
    return 0
  fi
  say "apt-get install chromium"
  apt_get install --no-install-recommends --no-remove -o Acquire::Retries=0 \
    -o Acquire::http::Timeout=10 chromium ||
    say "chromium could not be installed, tests in a browser will be skipped: $(tail -n 1 "$APT_LOG")"
}

# Somebody whose docker command talks to another engine (rootless, Docker
# Desktop) wants that one, not a second one beside it.
check_docker_context() {
  local host
  have docker || return 0
  host=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null) || return 0
  [ -n "$host" ] && [ "$host" != unix:///var/run/docker.sock ] || return 0
  DOCKER_HOST=$host engine_answers || return 0
  die "your docker command uses the engine at $host" "export DOCKER_HOST=$host"
}

start_engine() {
  can_be_root || die "the engine does not answer, and starting it needs root" \
    "sudo $HERE/engine.sh start" "or, if it is up: sudo usermod -aG docker $(id -un), then log in again"
  as_root env ${KEELHAUL_DOCKERD_ARGS:+"KEELHAUL_DOCKERD_ARGS=$KEELHAUL_DOCKERD_ARGS"} \
    ${KEELHAUL_ENGINE_WAIT:+"KEELHAUL_ENGINE_WAIT=$KEELHAUL_ENGINE_WAIT"} \
    "$HERE/engine.sh" start
  engine_answers || die "the engine answers root, but not user $(id -un)" \
    "sudo usermod -aG docker $(id -un), then log in again"
}

# Sets ENGINE_UP; asked once, because a hanging engine costs a time-out each
# time. Ends here if it is the user's choice of engine that is at fault.
find_engine() {
  # asking needs a client; curl does where there is no docker command
  have docker || have curl || install_packages curl
  ENGINE_UP=false
  if engine_answers; then
    ENGINE_UP=true
  elif [ -n "${DOCKER_HOST:-}" ]; then
    die "DOCKER_HOST is \`$DOCKER_HOST\`, and no engine answers there" \
      "start that engine, or unset DOCKER_HOST to use this machine's"
  else
    check_docker_context
  fi
}

main() {
  [ "$(uname -s)" = Linux ] || die "this runs on Linux, and this is $(uname -s)" \
    "use a Linux machine, or set it up by hand: Rust $(wanted_rust), a Docker engine, mkfs.ext4, mkfs.xfs, mkfs.btrfs"
  check_rust
  find_engine
  local missing=()
  mapfile -t missing < <(missing_packages)
  [ "${#missing[@]}" -eq 0 ] || install_packages "${missing[@]}"
  [ "$PURPOSE" != test ] || install_browser
  "$ENGINE_UP" || start_engine
  say "ready: $(rustc --version), engine at ${DOCKER_HOST:-unix:///var/run/docker.sock}"
}

main
