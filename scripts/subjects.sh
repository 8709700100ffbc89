#!/usr/bin/env bash
# Makes the images of the subjects that are not ours (PostgreSQL, Redis, SQLite, etcd, nginx)
# from the distribution's packages, for engines that reach no registry. An image that
# the engine has is left alone, so the public one wins wherever there is one; one
# of ours that is made from something else by now is made anew.
#
#   scripts/subjects.sh              all of them
#   scripts/subjects.sh postgres     one, by its directory in images/
#
# images/NAME/image       the name that scenarios use
# images/NAME/packages    what is unpacked; what that depends on follows
# images/NAME/Dockerfile  the rest, on top of rootfs.tar
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=lib.sh
. scripts/lib.sh

CACHE=$PWD/${CARGO_TARGET_DIR:-target}/subjects
# No service reads them, and they are half of what there is: documentation,
# other languages, and the compiler that PostgreSQL does without if it is not there.
WITHOUT=(usr/share/{doc,man,locale,i18n,info,lintian,perl,perl5} 'usr/lib/*/perl*' 'usr/lib/*/lib'{LLVM,z3,perl}'*')

# Fetches packages with all that they need, as if nothing were installed; apt
# checks each against the signed lists. Their own scripts are never run.
fetch() {
  local debs=$1 nothing=$CACHE/nothing
  shift
  mkdir -p "$debs/partial"
  : >"$nothing"
  apt-get -qq -y --download-only -o Dir::State::status="$nothing" \
    -o Dir::State::extended_states="$nothing" -o Dir::Cache::archives="$debs" \
    -o APT::Sandbox::User=root -o APT::Install-Recommends=false install "$@" >&2
}

# One filesystem out of the packages.
unpack() {
  local debs=$1 root=$2 dir deb
  # older packages still say /bin where it is /usr/bin
  for dir in bin sbin lib lib64; do
    mkdir -p "$root/usr/$dir"
    ln -s "usr/$dir" "$root/$dir"
  done
  mkdir -p "$root/tmp" "$root/run" "$root/proc" "$root/sys" "$root/dev"
  chmod 1777 "$root/tmp"
  for deb in "$debs"/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" |
      tar -x --keep-directory-symlink "${WITHOUT[@]/#/--exclude=./}" -C "$root" -f -
  done
  ldconfig -r "$root"
}

# What an image of ours is made from, as a label says it.
recipe() { cat "images/$1"/* | sha256sum | cut -c 1-16; }

label() { docker image inspect -f "{{ index .Config.Labels \"org.keelhaul.$2\" }}" "$1"; }

build() {
  local name=$1 image work packages
  [ -r "images/$name/image" ] || die "there is no subject \`$name\`" "one of: $(ls images | xargs)"
  image=$(cat "images/$name/image")
  if docker image inspect "$image" >/dev/null 2>&1 &&
    { [ -z "$(label "$image" subject)" ] || [ "$(label "$image" recipe)" = "$(recipe "$name")" ]; }; then
    say "$image is there"
    return 0
  fi
  have apt-get && have dpkg-deb || die "$image is not on this engine, and there is no apt-get to make it with" \
    "docker pull $image"
  mapfile -t packages <"images/$name/packages"
  work=$CACHE/$name
  # packages too: of two versions, the older would be unpacked last
  rm -rf "$work"
  mkdir -p "$work/root" "$work/context"
  # an old list names packages that are no longer there
  fetch "$work/debs" "${packages[@]}" || { as_root apt-get -qq update && fetch "$work/debs" "${packages[@]}"; } || die "the packages of $image cannot be had: ${packages[*]}" \
    "apt-get update, then again" "docker pull $image"
  unpack "$work/debs" "$work/root"
  tar -C "$work/root" --numeric-owner --owner=0 --group=0 -cf "$work/context/rootfs.tar" .
  cp "images/$name"/* "$work/context/"
  DOCKER_BUILDKIT=0 docker build -q -t "$image" --label org.keelhaul.subject="$name" \
    --label org.keelhaul.recipe="$(recipe "$name")" \
    "$work/context" >/dev/null 2>"$work/log" || die "docker build: $(tail -n 1 "$work/log")"
  rm -rf "$work/root" "$work/context"
  say "$image is made from $(find "$work/debs" -name '*.deb' | wc -l) packages"
}

main() {
  local name names=("$@")
  if [ "${#names[@]}" -eq 0 ]; then mapfile -t names < <(ls images); fi
  mkdir -p "$CACHE"
  # one at a time: whoever comes second finds them there
  exec 9>"$CACHE/lock"
  flock 9
  for name in "${names[@]}"; do build "$name"; done
}

main "$@"
