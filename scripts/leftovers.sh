# shellcheck shell=bash
# What a killed engine leaves behind, and how each piece is cleared. Sourced
# by engine.sh; needs lib.sh. Every function takes its directory, and acts only
# after it has seen that nothing alive uses what it clears. Call none of them
# while a dockerd lives on these directories.

# The number in a pid file, or nothing.
pid_in() {
  local pid=""
  if [ -r "$1" ]; then read -r pid <"$1" || true; fi
  case $pid in '' | *[!0-9]*) return 0 ;; esac
  printf '%s\n' "$pid"
}

# The state letter of a process, or nothing if there is none. The name in
# /proc/PID/stat may hold spaces and parentheses: cut at the last one.
process_state() {
  local stat
  [ -n "$1" ] && read -r stat 2>/dev/null <"/proc/$1/stat" || return 0
  stat=${stat##*) }
  printf '%s\n' "${stat%% *}"
}

parent_of() { sed -n 's/^PPid:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null || true; }

# An unreaped zombie does not live, though its /proc entry stays, which
# dockerd itself takes for alive.
process_alive() {
  case $(process_state "$1") in '' | Z | X) return 1 ;; esac
}

# Does pid `$1` live and run program `$2`?
process_is() {
  local name=""
  [ -n "$1" ] && read -r name 2>/dev/null <"/proc/$1/comm" || return 1
  [ "$name" = "$2" ] && process_alive "$1"
}

# Pids of living processes with name `$1` whose command line holds `$2`.
processes_with() {
  local dir pid
  for dir in /proc/[0-9]*; do
    pid=${dir#/proc/}
    process_is "$pid" "$1" || continue
    if tr '\0' ' ' <"$dir/cmdline" 2>/dev/null | grep -qF -- "$2"; then printf '%s\n' "$pid"; fi
  done
}

# Pids of the containerds a dockerd started on directory `$1`. An engine inside
# a container uses the same path for another directory: it is not one of them.
# The path is resolved first: an absolute link (/var/run) below /proc/PID/root
# leads back to our own root.
containerds_on() {
  local pid real
  real=$(readlink -f "$1") || return 0
  for pid in $(processes_with containerd "$1/containerd.toml"); do
    if [ "/proc/$pid/root$real" -ef "$real" ]; then printf '%s\n' "$pid"; fi
  done
}

# A pid file whose process is gone, or is another program by now. dockerd
# refuses to start, or waits for a stranger, if the number is in use again.
clear_pid_file() {
  [ -e "$1" ] || return 0
  process_is "$(pid_in "$1")" "$2" && return 0
  say "removing the stale pid file $1"
  rm -f "$1"
}

# The containerd a dead dockerd started. It holds the lock on its database,
# so a new one would wait for it for ever; containers' shims outlive it.
end_orphan_containerd() {
  local pid tries
  for pid in $(containerds_on "$1"); do
    ! process_is "$(parent_of "$pid")" dockerd || continue
    say "ending containerd (pid $pid), whose engine is gone"
    kill -TERM "$pid" 2>/dev/null || true
    kill -CONT "$pid" 2>/dev/null || true
    tries=50
    while process_is "$pid" containerd && [ "$tries" -gt 0 ]; do
      sleep 0.1
      tries=$((tries - 1))
    done
    if process_is "$pid" containerd; then kill -KILL "$pid" 2>/dev/null || true; fi
  done
}

# Sockets nobody can answer on any more. A directory in the socket's place is
# what a bind mount of a missing socket leaves.
clear_socket() {
  if [ -S "$1" ]; then
    say "removing the stale socket $1"
    rm -f "$1"
  elif [ -d "$1" ]; then
    say "removing the empty directory $1 in the socket's place"
    rmdir "$1"
  fi
}

# The machine's own containerd: dockerd uses its socket if the file merely
# exists, and then waits in vain if no one is behind it.
clear_system_containerd() {
  [ -S "$1" ] || return 0
  have ctr || return 0
  timeout 5 ctr --address "$1" version >/dev/null 2>&1 && return 0
  clear_socket "$1"
}

# Mount points below `$1` that a container of a dead engine left: the merged
# overlay and the private /dev/shm, deepest first.
leftover_mounts() {
  local root=$1 point type
  while read -r _ point type _; do
    case $type:$point in
      overlay:"$root"/overlay2/*/merged | overlay:"$root"/rootfs/overlayfs/* | \
        tmpfs:"$root"/containers/*/mounts/shm) printf '%s\n' "$point" ;;
    esac
  done <"${2:-/proc/self/mounts}" | sort -r
}

# Not while a shim lives: with live-restore its container goes on in them.
clear_mounts() {
  local point shims
  shims=$(processes_with containerd-shim "$2/containerd.sock"
    processes_with containerd-shim /run/containerd/containerd.sock)
  if [ -n "$shims" ]; then
    [ -z "$(leftover_mounts "$1")" ] || say "leaving the containers' mounts: their shims live"
    return 0
  fi
  leftover_mounts "$1" | while read -r point; do
    say "unmounting the leftover $point"
    umount "$point" || umount -l "$point"
  done
}

# clear_leftovers RUN_DIR DATA_ROOT: everything above for a dockerd that is
# dead and had its pid file, socket and `docker/` in RUN_DIR.
clear_leftovers() {
  local run=$1 data=$2
  clear_pid_file "$run/docker.pid" dockerd
  clear_pid_file "$run/docker-ssd.pid" dockerd
  end_orphan_containerd "$run/docker/containerd"
  clear_pid_file "$run/docker/containerd/containerd.pid" containerd
  clear_socket "$run/docker.sock"
  clear_socket "$run/docker/containerd/containerd.sock"
  clear_socket "$run/docker/containerd/containerd.sock.ttrpc"
  clear_socket "$run/docker/containerd/containerd-debug.sock"
  clear_system_containerd "$run/containerd/containerd.sock"
  clear_mounts "$data" "$run/docker/containerd"
}
