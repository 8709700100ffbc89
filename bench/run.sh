#!/usr/bin/env bash
# `make bench`: everything measured side by side on this machine, results in
# reports/bench/. With names, only those: bench/run.sh injection fill
#
# Quiet machine, please: other work on it shows in every figure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=../scripts/lib.sh
. scripts/lib.sh

main() {
  stage setup scripts/setup.sh
  stage build cargo bench --locked --bench side-by-side --no-run
  stage bench cargo bench --locked --quiet --bench side-by-side -- "$@"
  say "the table is in reports/bench/README.md · times: $STAGE_TIMES"
}

main "$@"
