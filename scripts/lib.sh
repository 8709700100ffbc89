# shellcheck shell=bash
# What every script here shares: messages, root, stages with times, the
# toolchain's place. Sourced, never run; does nothing by itself but set PATH.

# dockerd and mkfs live in sbin, which a plain user's PATH often leaves out;
# rustup's default place counts even before the user's profile knows it.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
if ! command -v cargo >/dev/null 2>&1 && [ -x "${CARGO_HOME:-${HOME:-/root}/.cargo}/bin/cargo" ]; then
  PATH="${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:$PATH"
fi
export PATH

SCRIPT_NAME=$(basename "$0" .sh)
STAGE_TIMES=""

# One line about an action; everything but data goes to stderr.
say() { printf '%s: %s\n' "$SCRIPT_NAME" "$*" >&2; }

# One line about what is wrong, one line each about what to do, then exit 1.
die() {
  say "error: $1"
  shift
  for hint in "$@"; do printf '  hint: %s\n' "$hint" >&2; done
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Can we become root without waiting for a password nobody will type?
can_be_root() {
  [ "$(id -u)" -eq 0 ] && return 0
  have sudo || return 1
  sudo -n true 2>/dev/null || [ -t 0 ]
}

# Runs a command as root, directly or through sudo.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Elapsed seconds with one decimal, from a start in nanoseconds.
elapsed_since() {
  local ms=$((($(date +%s%N) - $1) / 1000000))
  printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# stage NAME COMMAND…: runs it, says how long it took, stops the script if it
# fails. All times together are in STAGE_TIMES.
stage() {
  local name=$1 start rc=0
  shift
  start=$(date +%s%N)
  say "stage $name: $*"
  "$@" || rc=$?
  local took
  took=$(elapsed_since "$start")
  STAGE_TIMES="$STAGE_TIMES${STAGE_TIMES:+ · }$name $took"
  [ "$rc" -eq 0 ] || { say "stage $name: failed after $took (exit $rc)"; exit "$rc"; }
  say "stage $name: $took"
}
