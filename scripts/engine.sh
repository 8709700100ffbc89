#!/usr/bin/env bash
# The Docker engine of this machine: asks it, starts it, clears away what a
# dead one left. Never stops, restarts or reconfigures an engine that lives.
#
#   engine.sh answers   exit 0 if the engine answers (DOCKER_HOST respected)
#   engine.sh start     as root: clear leftovers, start, wait, or explain
#
# KEELHAUL_DOCKERD_ARGS  more arguments for dockerd, split at spaces; without
#                        systemd only, whose unit has its own
# KEELHAUL_ENGINE_WAIT   seconds an engine gets to come up (90)
# KEELHAUL_ENGINE_LOG    where a directly started dockerd writes its log
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$HERE/lib.sh"
# shellcheck source=leftovers.sh
. "$HERE/leftovers.sh"

WAIT=${KEELHAUL_ENGINE_WAIT:-90}
LOG=${KEELHAUL_ENGINE_LOG:-/var/log/keelhaul-dockerd.log}
RUN_DIR=/var/run
DEFAULT_HOST=unix:///var/run/docker.sock

engine_host() { printf '%s\n' "${DOCKER_HOST:-$DEFAULT_HOST}"; }

# Bounded, because an engine that is stopped (SIGSTOP) accepts and never
# answers. Without the docker client the socket is asked directly.
engine_answers() {
  local host
  host=$(engine_host)
  if have docker; then
    env -u DOCKER_CONTEXT timeout 5 docker -H "$host" version \
      --format '{{.Server.Version}}' >/dev/null 2>&1
    return
  fi
  have curl || return 1
  case $host in
    unix://*) timeout 5 curl -sf --unix-socket "${host#unix://}" http://engine/_ping >/dev/null 2>&1 ;;
    tcp://*) timeout 5 curl -sf "http://${host#tcp://}/_ping" >/dev/null 2>&1 ;;
    *) return 1 ;;
  esac
}

# Waits until the engine answers, `$1` is gone or the deadline has passed.
wait_for_engine() {
  local pid=$1 deadline=$((SECONDS + WAIT))
  while [ "$SECONDS" -lt "$deadline" ]; do
    engine_answers && return 0
    [ -z "$pid" ] || process_alive "$pid" || return 1
    sleep 0.2
  done
  return 1
}

# The pid of the dockerd that lives on RUN_DIR: named by its own pid file, by
# the one of Debian's init script, or as the parent of the containerd there.
living_engine() {
  local pid
  for pid in $(pid_in "$RUN_DIR/docker.pid") $(pid_in "$RUN_DIR/docker-ssd.pid") \
    $(containerds_on "$RUN_DIR/docker/containerd" |
      while read -r child; do parent_of "$child"; done); do
    if process_is "$pid" dockerd; then
      printf '%s\n' "$pid"
      return 0
    fi
  done
  return 1
}

# An engine that lives but does not answer is not ours to kill: it may be
# coming up, or somebody stopped it on purpose.
wait_for_living() {
  local pid=$1
  if [ "$(process_state "$pid")" = T ]; then
    die "dockerd (pid $pid) is stopped by a signal" "let it go on: sudo kill -CONT $pid"
  fi
  say "dockerd (pid $pid) is running but does not answer yet, waiting up to $WAIT s"
  wait_for_engine "$pid" && return 0
  if process_is "$pid" dockerd; then
    die "dockerd (pid $pid) did not answer within $WAIT s" \
      "if it listens elsewhere than $DEFAULT_HOST, set DOCKER_HOST to that" \
      "if not, look at its log, stop it (sudo kill $pid) and run this again"
  fi
  return 1
}

# dockerd refuses to start without any cgroup hierarchy; systemd would have
# mounted one.
ensure_cgroups() {
  grep -q '^[^ ]* [^ ]* cgroup2\? ' /proc/mounts && return 0
  say "mounting cgroups at /sys/fs/cgroup"
  if have cgroupfs-mount; then cgroupfs-mount; else mount -t cgroup2 cgroup2 /sys/fs/cgroup; fi
}

data_root() {
  local set=""
  [ -r /etc/docker/daemon.json ] &&
    set=$(sed -n 's/.*"data-root"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' /etc/docker/daemon.json | head -n 1)
  printf '%s\n' "${set:-/var/lib/docker}"
}

start_by_systemd() {
  say "starting the engine: systemctl start docker"
  systemctl reset-failed docker.service docker.socket 2>/dev/null || true
  if timeout "$WAIT" systemctl start docker && wait_for_engine ""; then return 0; fi
  journalctl -u docker --no-pager -n 30 >&2 || true
  die "the engine did not come up within $WAIT s" "its log: journalctl -u docker"
}

# In a session of its own and with no descriptor of ours, so that neither the
# end of this terminal nor a CI job's wait for its pipes depends on it.
spawn_dockerd() {
  local args=() fd
  read -r -a args <<<"${KEELHAUL_DOCKERD_ARGS:-}"
  [ ! -s "$LOG" ] || mv -f "$LOG" "$LOG.1"
  (
    cd /
    umask 022
    unset MAKEFLAGS MAKELEVEL MFLAGS NOTIFY_SOCKET LISTEN_FDS LISTEN_PID
    exec </dev/null >"$LOG" 2>&1
    for fd in /proc/self/fd/*; do
      fd=${fd##*/}
      [ "$fd" -le 2 ] || eval "exec $fd>&-"
    done
    exec setsid dockerd ${args[@]+"${args[@]}"}
  ) &
  DOCKERD_PID=$!
}

start_directly() {
  ensure_cgroups
  spawn_dockerd
  say "starting the engine: dockerd (pid $DOCKERD_PID), log in $LOG"
  wait_for_engine "$DOCKERD_PID" && return 0
  say "the last lines of $LOG:"
  tail -n 30 "$LOG" >&2 || true
  if process_alive "$DOCKERD_PID"; then
    kill "$DOCKERD_PID" || true
    die "the engine did not answer within $WAIT s" "more time: KEELHAUL_ENGINE_WAIT=300"
  fi
  die "dockerd ended while starting" "options for it go into KEELHAUL_DOCKERD_ARGS or /etc/docker/daemon.json"
}

start() {
  [ "$(id -u)" -eq 0 ] || die "starting the engine needs root" "sudo $0 start"
  # two at once would each clear away the other's engine
  exec 9>"$RUN_DIR/keelhaul-setup.lock"
  flock -w "$WAIT" 9 || die "another setup has been starting the engine for $WAIT s"
  engine_answers && { say "the engine answers"; return 0; }
  local pid
  if pid=$(living_engine); then
    wait_for_living "$pid" && return 0
  fi
  if [ -d /run/systemd/system ] && systemctl cat docker.service >/dev/null 2>&1; then
    clear_pid_file "$RUN_DIR/docker.pid" dockerd
    start_by_systemd
  else
    clear_leftovers "$RUN_DIR" "$(data_root)"
    start_directly
  fi
  say "the engine is up"
}

case ${1:-} in
  answers) engine_answers ;;
  start) start ;;
  *) die "unknown action \`${1:-}\`" "one of: answers, start" ;;
esac
