#!/usr/bin/env bash
# The headline: four failures on real containers, each with the control that
# must fail, from a bare machine. Exits with keelhaul's own exit code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=lib.sh
. scripts/lib.sh

SCENARIOS=(
  scenarios/capacity/inode-exhaustion.yaml
  scenarios/mount/readonly-log-dir.yaml
  scenarios/mount/tmpfs-state-loss.yaml
  scenarios/links/broken-hardlinks.yaml
)

show_reports() {
  local latest=reports/latest file
  if [ ! -e "$latest" ]; then
    say "no reports were written"
    return 0
  fi
  say "the reports are in $(readlink -f "$latest"):"
  for file in "$latest"/*; do
    [ -f "$file" ] && printf '  %s\n' "$file"
  done
  return 0
}

main() {
  local rc=0
  stage setup scripts/setup.sh
  stage build cargo build --release --locked
  say "running ${#SCENARIOS[@]} scenarios with their controls"
  "${CARGO_TARGET_DIR:-target}/release/keelhaul" run --controls always "${SCENARIOS[@]}" || rc=$?
  show_reports
  say "times: $STAGE_TIMES"
  return "$rc"
}

main
