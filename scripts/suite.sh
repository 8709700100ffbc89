#!/usr/bin/env bash
# Scenarios on real containers, each with the controls that must fail, from a
# bare machine. Exits with keelhaul's own exit code.
#
#   scripts/suite.sh           every scenario, and the images of the subjects first
#   scripts/suite.sh PATH…     these
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=lib.sh
. scripts/lib.sh
SCRIPT_NAME=${CALLED:-$SCRIPT_NAME}

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
  if [ "$#" -eq 0 ]; then
    stage subjects scripts/subjects.sh
    set -- scenarios
  fi
  stage build cargo build --release --locked
  "${CARGO_TARGET_DIR:-target}/release/keelhaul" run --controls always --jobs "${JOBS:-$(nproc)}" "$@" || rc=$?
  show_reports
  say "times: $STAGE_TIMES"
  return "$rc"
}

main "$@"
