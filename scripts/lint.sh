#!/usr/bin/env bash
# Format and lints, warnings included. shellcheck only where it is installed:
# a bare machine must not need it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=lib.sh
. scripts/lib.sh
# shellcheck source=checks.sh
. scripts/checks.sh

check_format
check_clippy
check_scripts
say "times: $STAGE_TIMES"
