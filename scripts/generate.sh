#!/usr/bin/env bash
# Writes anew what is generated from the sources: scenarios/scenario.schema.json,
# scenarios/CATALOG.md and the tables in README.md. The same tests check them
# everywhere else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
UPDATE=1 cargo test --quiet --locked --all-features --test it -- \
  the_committed_schema_is_current the_catalogue_is_current its_tables_are_current
git status --short -- scenarios README.md
