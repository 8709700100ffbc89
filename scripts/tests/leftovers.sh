#!/usr/bin/env bash
# What leftovers.sh clears and, above all, what it leaves alone: on fakes in a
# directory of its own, with no engine and no root.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=lib.sh
. "$HERE/lib.sh"
# shellcheck source=leftovers.sh
. "$HERE/leftovers.sh"

DIR=$(mktemp -d)
CHILDREN=()
CHECKED=0

clean_up() {
  [ "${#CHILDREN[@]}" -eq 0 ] || kill -KILL "${CHILDREN[@]}" 2>/dev/null || true
  rm -rf "$DIR"
}
trap clean_up EXIT

# expect WHAT COMMAND…: the command must succeed.
expect() {
  local what=$1
  shift
  "$@" || die "leftovers: $what"
  CHECKED=$((CHECKED + 1))
}

not() { ! "$@"; }

# fake NAME ARG…: a process whose name is NAME, its pid in FAKE. A script's
# process has the script's name; it waits on a pipe nobody writes to.
fake() {
  local name=$1
  shift
  printf '#!/bin/sh\nread -r _ <"%s/pipe"\n' "$DIR" >"$DIR/$name"
  chmod +x "$DIR/$name"
  "$DIR/$name" "$@" &
  FAKE=$!
  CHILDREN+=("$FAKE")
  disown
  local tries=100
  until process_is "$FAKE" "${name:0:15}" || [ "$tries" -eq 0 ]; do
    sleep 0.05
    tries=$((tries - 1))
  done
}

pid_file_cleared() {
  printf '%s' "$1" >"$DIR/pid"
  clear_pid_file "$DIR/pid" dockerd 2>/dev/null
  [ ! -e "$DIR/pid" ]
}

check_pid_files() {
  fake dockerd
  local living=$FAKE
  expect "a living engine's pid file stays" not pid_file_cleared "$living"
  expect "another program's number goes" pid_file_cleared "$$"
  expect "an unused number goes" pid_file_cleared 4194999
  expect "an empty file goes" pid_file_cleared ""
  expect "a file without a number goes" pid_file_cleared "no number"
  kill -STOP "$living"
  expect "a stopped engine lives" process_is "$living" dockerd
  expect "its state is seen" test "$(process_state "$living")" = T
}

# A parent that does not reap: its dead child keeps its /proc entry. The child outlives the shell's
# exec: the shell itself would reap it.
check_zombie() {
  bash -c 'sleep 1 & echo $! >"$0/zombie"; exec sleep 60' "$DIR" &
  CHILDREN+=("$!")
  disown
  local tries=100 zombie=""
  until [ "$(process_state "$zombie")" = Z ] || [ "$tries" -eq 0 ]; do
    sleep 0.05
    zombie=$(pid_in "$DIR/zombie")
    tries=$((tries - 1))
  done
  expect "the zombie is there" test -d "/proc/$zombie"
  expect "a zombie does not live" not process_alive "$zombie"
}

check_sockets() {
  mkdir "$DIR/dir.sock"
  touch "$DIR/file.sock"
  expect "clearing a directory works" clear_socket "$DIR/dir.sock" 2>/dev/null
  expect "leaving a plain file works" clear_socket "$DIR/file.sock"
  expect "an empty directory in the socket's place goes" test ! -e "$DIR/dir.sock"
  expect "a plain file is not ours" test -e "$DIR/file.sock"
  expect "no socket is no error" clear_socket "$DIR/none.sock"
}

check_orphan_containerd() {
  mkdir "$DIR/run"
  fake containerd --config "$DIR/run/containerd.toml"
  local orphan=$FAKE
  fake containerd --config /elsewhere/containerd.toml
  local stranger=$FAKE
  end_orphan_containerd "$DIR/run" 2>/dev/null
  expect "the orphan ends" not process_is "$orphan" containerd
  expect "another engine's containerd stays" process_is "$stranger" containerd
}

check_mounts() {
  cat >"$DIR/mounts" <<'TABLE'
/dev/vda /data ext4 rw 0 0
shm /data/containers/abc/mounts/shm tmpfs rw 0 0
overlay /data/overlay2/x/merged overlay rw 0 0
overlay /elsewhere/overlay2/x/merged overlay rw 0 0
tmpfs /data/volumes/v/_data tmpfs rw 0 0
TABLE
  local found
  found=$(leftover_mounts /data "$DIR/mounts" | tr '\n' ' ')
  expect "containers' mounts only, volumes never: $found" \
    test "$found" = "/data/overlay2/x/merged /data/containers/abc/mounts/shm "
}

mkfifo "$DIR/pipe"
check_pid_files
check_zombie
check_sockets
check_orphan_containerd
check_mounts
say "$CHECKED checks passed"
