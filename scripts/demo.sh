#!/usr/bin/env bash
# The headline: four failures on real containers, each with the control that
# must fail, from a bare machine. Exits with keelhaul's own exit code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

exec env CALLED=demo JOBS="${JOBS:-1}" scripts/suite.sh \
  scenarios/capacity/inode-exhaustion.yaml \
  scenarios/mount/readonly-log-dir.yaml \
  scenarios/mount/tmpfs-state-loss.yaml \
  scenarios/links/broken-hardlinks.yaml
