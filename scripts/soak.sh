#!/usr/bin/env bash
# Many repeats of every scenario, each with its own seed, and then the tests
# that kill and stop, with every kill point and many more rounds. In slices:
# stops after MINUTES, and the next call goes on where this one ended. One
# result file per scenario or test in reports/soak/, begun anew when the binary
# has changed. A test is not cut off: it may take half an hour beyond MINUTES.
#
#   scripts/soak.sh [SCENARIO…]      REPEATS=20 MINUTES=55 scripts/soak.sh
#   scripts/soak.sh weather          the tests alone
#
# KEELHAUL           the binary to run, instead of the release build
# KEELHAUL_PREBUILT  if set, nothing is built first, and no test is run unless
#                    it is asked for
#
# Exit: 0 every repeat done and passed · 1 some did not pass · 75 more to do
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=lib.sh
. scripts/lib.sh

REPEATS=${REPEATS:-20}
MINUTES=${MINUTES:-55}
RESULTS=reports/soak
WORK=${CARGO_TARGET_DIR:-target}/soak
KEELHAUL=${KEELHAUL:-${CARGO_TARGET_DIR:-target}/release/keelhaul}
DEADLINE=$((SECONDS + MINUTES * 60))

# A field of a result file, or the default. The files have a field per line
# because this script writes them.
field() {
  local value=""
  [ -r "$1" ] && value=$(sed -n "s/^  \"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$1")
  printf '%s\n' "${value:-$3}"
}

# The binary and the scenario's text: results of another pair do not count.
build_id() { cat "$KEELHAUL" "$1" | sha256sum | cut -c 1-16; }

load_result() {
  local file=$1
  DONE=0 PASS=0 FAIL=0 ERROR=0 INCONCLUSIVE=0 TOOK=0 BAD=""
  [ "$(field "$file" build "")" = "$BUILD" ] || return 0
  DONE=$(field "$file" "done" 0)
  PASS=$(field "$file" pass 0)
  FAIL=$(field "$file" fail 0)
  ERROR=$(field "$file" error 0)
  INCONCLUSIVE=$(field "$file" inconclusive 0)
  TOOK=$(field "$file" seconds 0)
  BAD=$(field "$file" bad_seeds "")
}

# Whole or not at all: a slice may be cut off at any instant.
save_result() {
  cat >"$1.new" <<JSON
{
  "version": 1,
  "scenario": "$2",
  "build": "$BUILD",
  "wanted": $REPEATS,
  "done": $DONE,
  "pass": $PASS,
  "fail": $FAIL,
  "error": $ERROR,
  "inconclusive": $INCONCLUSIVE,
  "seconds": $TOOK,
  "bad_seeds": "$BAD"
}
JSON
  mv "$1.new" "$1"
}

# Counts an exit code of `keelhaul run`; the reports of a pass are not kept.
count() {
  local rc=$1 seed=$2 out=$3
  case $rc in
    0)
      PASS=$((PASS + 1))
      rm -rf "$out" "$out.log"
      return 0
      ;;
    1) FAIL=$((FAIL + 1)) ;;
    3) ERROR=$((ERROR + 1)) ;;
    5) INCONCLUSIVE=$((INCONCLUSIVE + 1)) ;;
    *) die "exit code $rc at seed $seed: nothing more is run on this host" "its output is in $out.log" ;;
  esac
  BAD="$BAD${BAD:+ }$seed:$rc"
  say "seed $seed: exit code $rc, reports in $out"
}

soak_one() {
  local scenario=$1 name file out rc start
  name=$(printf '%s' "${scenario#scenarios/}" | sed 's/\.ya\{0,1\}ml$//; s#/#-#g')
  file=$RESULTS/$name.json
  BUILD=$(build_id "$scenario")
  load_result "$file"
  while [ "$DONE" -lt "$REPEATS" ]; do
    [ "$SECONDS" -lt "$DEADLINE" ] || return 75
    DONE=$((DONE + 1)) rc=0 start=$SECONDS out=$WORK/$name-$DONE
    rm -rf "$out"
    # a repeat that this host skips proves nothing
    "$KEELHAUL" run --require --seed "$DONE" --out "$out" "$scenario" >"$out.log" 2>&1 || rc=$?
    TOOK=$((TOOK + SECONDS - start))
    count "$rc" "$DONE" "$out"
    save_result "$file" "$scenario" || die "cannot write $file"
  done
  say "$name: $PASS of $DONE passed in $TOOK s"
  [ "$PASS" -eq "$DONE" ] || FAILED=1
}

# One test of the weather with KEELHAUL_SOAK=1; its output is kept unless it passes.
soak_test() {
  local name=$1 REPEATS=1 file out rc=0 start=$SECONDS
  file=$RESULTS/${name//::/-}.json out=$WORK/${name//::/-}.log
  load_result "$file"
  if [ "$DONE" -eq 0 ]; then
    [ "$SECONDS" -lt "$DEADLINE" ] || return 75
    KEELHAUL_SOAK=1 cargo nextest run --locked --profile soak -E "test(=$name)" \
      --success-output immediate >"$out" 2>&1 || rc=$?
    TOOK=$((SECONDS - start)) DONE=1
    # 100: it ran, and did not pass
    case $rc in
      0) PASS=1 ;;
      100) FAIL=1 ;;
      *) die "nextest exited with $rc at $name" "its output is in $out" ;;
    esac
    save_result "$file" "$name" || die "cannot write $file"
  fi
  say "$name: $PASS of $DONE passed in $TOOK s"
  [ "$PASS" -eq 1 ] || { FAILED=1; say "its output: $out"; }
}

soak_weather() {
  local tests test rc
  have cargo && cargo nextest --version >/dev/null 2>&1 ||
    die "the kill points need cargo-nextest" "cargo install cargo-nextest --locked" \
      "or name the scenarios that are to run alone"
  stage tests cargo nextest run --locked --profile soak --no-run
  BUILD=$(cat "${CARGO_TARGET_DIR:-target}/debug/keelhaul" tests/it/weather/*.rs | sha256sum | cut -c 1-16)
  mapfile -t tests < <(cargo nextest list --locked --profile soak -E 'test(/^weather::/)' 2>/dev/null |
    grep -o 'weather::.*')
  [ "${#tests[@]}" -gt 0 ] || die "no tests found under weather::"
  for test in "${tests[@]}"; do
    rc=0
    soak_test "$test" || rc=$?
    [ "$rc" -eq 0 ] || return "$rc"
  done
}

# Ends the script where the slice is over.
go_on() {
  if [ "$1" -eq 75 ]; then say "the slice of $MINUTES min is over; run this again for the rest"; fi
  [ "$1" -eq 0 ] || exit "$1"
}

main() {
  local scenarios=("$@") scenario rc=0 weather=1
  FAILED=0
  mkdir -p "$RESULTS" "$WORK"
  if [ "$*" = weather ]; then
    stage setup scripts/setup.sh
    soak_weather || rc=$?
    go_on "$rc"
    exit "$FAILED"
  fi
  if [ "$#" -gt 0 ] || [ -n "${KEELHAUL_PREBUILT:-}" ]; then weather=""; fi
  [ "${#scenarios[@]}" -gt 0 ] || mapfile -t scenarios < <(find scenarios -name '*.yaml' 2>/dev/null | sort)
  [ "${#scenarios[@]}" -gt 0 ] || die "no scenarios found under scenarios/"
  stage setup scripts/setup.sh
  [ -n "${KEELHAUL_PREBUILT:-}" ] || stage build cargo build --release --locked
  for scenario in "${scenarios[@]}"; do
    rc=0
    soak_one "$scenario" || rc=$?
    go_on "$rc"
  done
  if [ -n "$weather" ]; then
    rc=0
    soak_weather || rc=$?
    go_on "$rc"
  fi
  exit "$FAILED"
}

main "$@"
