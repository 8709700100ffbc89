#!/usr/bin/env bash
# Everything CI runs, with a time per stage. The tests come last and by exec,
# so that the test runner's own closing line ends the output and its exit code
# is ours.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=lib.sh
. scripts/lib.sh
# shellcheck source=checks.sh
. scripts/checks.sh

stage setup scripts/setup.sh test
check_format
check_clippy
check_scripts
stage scripts scripts/tests/leftovers.sh

# cargo-nextest keeps tests that share an engine or kill one apart
# (.config/nextest.toml). Plain cargo test only knows a number of threads.
if cargo nextest --version >/dev/null 2>&1; then
  stage build cargo nextest run --locked --all-features --no-run
  stage doctests cargo test --locked --all-features --quiet --doc
  say "times so far: $STAGE_TIMES · the tests' own time is in the closing line"
  exec cargo nextest run --locked --all-features --no-fail-fast
fi
say "cargo-nextest is not installed, the tests run with cargo test"
stage build cargo test --locked --all-features --tests --no-run
stage doctests cargo test --locked --all-features --quiet --doc
say "times so far: $STAGE_TIMES · the tests' own time is in the closing line"
exec env RUST_TEST_THREADS="${RUST_TEST_THREADS:-2}" cargo test --locked --all-features --no-fail-fast --tests
