#!/usr/bin/env bash
# What is given away: one static binary and one FROM-scratch image with
# nothing else in it, both in target/dist/. Needs no engine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=lib.sh
. scripts/lib.sh

TARGET_DIR=${CARGO_TARGET_DIR:-target}
DIST=$TARGET_DIR/dist

# `--target` even for the host: it keeps the flags away from proc macros,
# which cannot be static.
build_static() {
  RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
    cargo build --profile dist --locked --target "$1"
}

check_static() {
  ! LC_ALL=C ldd "$1" 2>/dev/null | grep -q '=>' ||
    die "$1 is not static" "the C library's static part is missing: install libc6-dev or glibc-static"
}

main() {
  local triple binary version
  triple=$(rustc -vV | sed -n 's/^host: //p')
  stage build build_static "$triple"
  mkdir -p "$DIST"
  binary=$DIST/keelhaul-$triple
  cp "$TARGET_DIR/$triple/dist/keelhaul" "$binary"
  check_static "$binary"
  version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
  stage image scripts/image.sh "$binary" "$version" "$DIST/keelhaul-image.tar"
  say "binary: $binary ($(du -h "$binary" | cut -f 1))"
  say "image:  docker load -i $DIST/keelhaul-image.tar  (tag keelhaul:$version)"
}

main
