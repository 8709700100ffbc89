#!/usr/bin/env bash
# Packs one static binary as an image archive that `docker load` takes, without
# an engine: the archive is a layer, its configuration and a manifest. The same
# binary always gives the same bytes.
#
#   scripts/image.sh BINARY VERSION OUT.tar
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$HERE/lib.sh"

# Docker's names for architectures are Go's.
go_arch() {
  case $1 in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    armv7*) echo arm ;;
    i?86) echo 386 ;;
    *) echo "$1" ;;
  esac
}

same_bytes_tar() {
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar "$@"
}

write_config() {
  cat <<JSON
{"architecture":"$(go_arch "$(uname -m)")","os":"linux","created":"1970-01-01T00:00:00Z","config":{"Entrypoint":["/keelhaul"],"Labels":{"org.opencontainers.image.title":"keelhaul","org.opencontainers.image.version":"$2"}},"rootfs":{"type":"layers","diff_ids":["sha256:$1"]},"history":[{"created":"1970-01-01T00:00:00Z","created_by":"keelhaul dist"}]}
JSON
}

main() {
  local binary=$1 version=$2 out=$3 config diff
  WORK=$(mktemp -d)
  trap 'rm -rf "$WORK"' EXIT
  mkdir "$WORK/root" "$WORK/image"
  install -m 0755 "$binary" "$WORK/root/keelhaul"
  same_bytes_tar -C "$WORK/root" -cf "$WORK/image/layer.tar" keelhaul
  diff=$(sha256sum "$WORK/image/layer.tar" | cut -d ' ' -f 1)
  write_config "$diff" "$version" >"$WORK/config"
  config=$(sha256sum "$WORK/config" | cut -d ' ' -f 1).json
  mv "$WORK/config" "$WORK/image/$config"
  printf '[{"Config":"%s","RepoTags":["keelhaul:%s"],"Layers":["layer.tar"]}]\n' \
    "$config" "$version" >"$WORK/image/manifest.json"
  (cd "$WORK/image" && same_bytes_tar -cf "$WORK/out.tar" -- *)
  install -m 0644 "$WORK/out.tar" "$out"
}

[ "$#" -eq 3 ] || die "three arguments are needed" "scripts/image.sh BINARY VERSION OUT.tar"
main "$@"
