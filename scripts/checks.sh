# shellcheck shell=bash
# The static checks that `make lint` and `make test` share. Sourced after
# lib.sh, in the repository's root.

# Distributions ship these apart from cargo, minimal rustup profiles not at all.
need_component() {
  cargo "$1" --version >/dev/null 2>&1 ||
    die "\`cargo $1\` is missing" "rustup component add $2, or the distribution's package ($3)"
}

check_format() {
  need_component fmt rustfmt rustfmt
  stage format cargo fmt --check
}

check_clippy() {
  need_component clippy clippy rust-clippy
  stage clippy cargo clippy --locked --all-features --all-targets --quiet -- -D warnings
}

check_scripts() {
  if ! have shellcheck; then
    say "stage shellcheck: skipped, shellcheck is not installed"
    return 0
  fi
  local scripts=(.ci/run scripts/*.sh scripts/tests/*.sh)
  [ ! -e bench/run.sh ] || scripts+=(bench/*.sh)
  stage shellcheck shellcheck -x -P scripts "${scripts[@]}"
}
