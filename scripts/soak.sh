#!/usr/bin/env bash
# Many rounds of every scenario, each round with its own seed, and then the
# tests that kill and stop, with every kill point and many more rounds. In
# slices: no round begins after MINUTES, and the next call goes on where this
# one ended. What was seen is written to reports/soak/ after every round, and
# begun anew when the binary or a scenario has changed. A round or a test is
# not cut off: it may take half an hour beyond MINUTES.
#
#   scripts/soak.sh              REPEATS=10 MINUTES=55 JOBS=2 scripts/soak.sh
#   scripts/soak.sh scenarios    the scenarios alone
#   scripts/soak.sh weather      the tests alone
#
# KEELHAUL  the binary on trial, instead of a release build of this checkout
#
# Exit: 0 every round done and passed · 1 some did not pass · 75 more to do
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=lib.sh
. scripts/lib.sh

REPEATS=${REPEATS:-10}
MINUTES=${MINUTES:-55}
JOBS=${JOBS:-$(nproc)}
RESULTS=reports/soak
TARGET=${CARGO_TARGET_DIR:-target}
BINARY=${KEELHAUL:-$TARGET/release/keelhaul}
DEADLINE=$((SECONDS + MINUTES * 60))

# What is on trial: results of anything else do not count.
build_id() { cat "$@" | sha256sum | cut -c 1-16; }

in_time() { [ "$SECONDS" -lt "$DEADLINE" ]; }

# One round: every scenario with its controls. What passed is not kept.
soak_round() {
  local seed=$1 out=$WORK/round-$1 rc=0
  [ ! -r "$out/done.md" ] || return 0
  in_time || return 75
  rm -rf "$out"
  mkdir -p "$out"
  "$BINARY" run --seed "$seed" --jobs "$JOBS" --out "$out" scenarios >"$out.log" 2>&1 || rc=$?
  case $rc in
    0 | 1 | 3 | 5) ;;
    *) die "exit code $rc in round $seed: nothing more is run on this host" "its output is in $out.log" ;;
  esac
  # also of a run that has no case to show for it
  [ "$rc" -eq 0 ] || echo "$rc" >"$out/failed"
  cp "$out"/latest/summary.md "$out/done.md" || die "round $seed has left no summary" "its output is in $out.log"
  say "round $seed of $REPEATS: $(sed -n 3p "$out/done.md")"
  [ "$rc" -ne 0 ] || find "$out" -mindepth 1 -maxdepth 1 ! -name done.md -exec rm -rf {} +
}

# A line per case over all rounds: how often it ended how, and with which seeds
# it did not pass.
tabulate() {
  awk -F ' *[|] *' '
    # as the summary writes a time: `0.03ms`, `9.950s`, `1m03s`
    function in_seconds(time, parts) {
      if (time ~ /ms$/) return time / 1000
      return split(time, parts, "m") > 1 ? parts[1] * 60 + parts[2] : time + 0
    }
    FNR == 1 { seed = FILENAME; sub(/\/done\.md$/, "", seed); sub(/.*round-/, "", seed) }
    $2 ~ /^(pass|fail|error|inconclusive|skipped)$/ {
      seen[$3]++; count[$3, $2]++; seconds[$3] += in_seconds($4)
      if ($2 != "pass" && $2 != "skipped") bad[$3] = bad[$3] " " seed
      if ($8 ~ / of /) { split($8, of, " of "); caught[$3] += of[1]; controls[$3] += of[2] }
    }
    END {
      for (name in seen)
        printf "| %s | %d | %d | %d | %d of %d | %.1f s |%s |\n", name, count[name, "pass"],
          seen[name] - count[name, "pass"] - count[name, "skipped"], count[name, "skipped"],
          caught[name], controls[name], seconds[name] / seen[name], bad[name]
    }' "$@" | LC_ALL=C sort
}

# Whole or not at all: a slice may be cut off at any instant.
write_table() {
  local rounds
  mapfile -t rounds < <(find "$WORK" -name done.md | sort -V)
  [ "${#rounds[@]}" -gt 0 ] || return 0
  {
    printf '# Every scenario, %d of %d times\n\n' "${#rounds[@]}" "$REPEATS"
    printf 'Written by `make soak`, a seed a round, %d cases side by side. Build %s, %s.\n\n' \
      "$JOBS" "$BUILD" "$(sed -n 's/.* · \(engine .*\)/\1/p' "${rounds[0]}")"
    printf '| scenario | passed | did not | skipped | controls caught | mean time | seeds that did not pass |\n'
    printf '|---|--:|--:|--:|--:|--:|---|\n'
    tabulate "${rounds[@]}"
  } >"$RESULTS/scenarios.md.new"
  mv "$RESULTS/scenarios.md.new" "$RESULTS/scenarios.md"
}

soak_scenarios() {
  local seed
  [ -n "${KEELHAUL:-}" ] || stage build cargo build --release --locked
  mapfile -t files < <(find scenarios -name '*.yaml' | sort)
  BUILD=$(build_id "$BINARY" "${files[@]}")
  WORK=$TARGET/soak/$BUILD
  mkdir -p "$WORK"
  for ((seed = 1; seed <= REPEATS; seed++)); do
    soak_round "$seed" || return
    write_table
  done
  if compgen -G "$WORK/round-*/failed" >/dev/null; then FAILED=1; fi
}

# One test of the weather with KEELHAUL_SOAK=1; its output is kept unless it
# passes. The line it leaves is the result, and says that it need not run again.
soak_test() {
  local name=$1 file=$WORK/${1//::/-} rc=0 start=$SECONDS
  [ ! -r "$file.md" ] || return 0
  in_time || return 75
  KEELHAUL_SOAK=1 cargo nextest run --locked --profile soak -E "test(=$name)" \
    --success-output immediate >"$file.log" 2>&1 || rc=$?
  # 100: it ran, and did not pass
  case $rc in
    0) printf '| %s | passed | %d s |\n' "$name" $((SECONDS - start)) >"$file.md" ;;
    100) printf '| %s | **failed** | %d s |\n' "$name" $((SECONDS - start)) >"$file.md" ;;
    *) die "nextest exited with $rc at $name" "its output is in $file.log" ;;
  esac
  say "$name: exit code $rc, its output is in $file.log"
}

soak_weather() {
  local tests test
  have cargo && cargo nextest --version >/dev/null 2>&1 ||
    die "the kill points need cargo-nextest" "cargo install cargo-nextest --locked" \
      "or run \`scripts/soak.sh scenarios\` alone"
  stage tests cargo nextest run --locked --profile soak --no-run
  BUILD=$(build_id "$TARGET/debug/keelhaul" tests/it/weather/*.rs tests/it/interpose/*.rs)
  WORK=$TARGET/soak/$BUILD
  mkdir -p "$WORK"
  # and the tests of interposers that do more where there is time
  mapfile -t tests < <(cargo nextest list --locked --profile soak \
    -E 'test(/^weather::|^interpose::scale::/)' 2>/dev/null |
    grep -o -e 'weather::.*' -e 'interpose::scale::.*')
  [ "${#tests[@]}" -gt 0 ] || die "no tests found under weather::"
  for test in "${tests[@]}"; do
    soak_test "$test" || return
    {
      printf '# Kill points and bad weather, whole\n\nWritten by `make soak`. Build %s.\n\n' "$BUILD"
      printf '| test | result | time |\n|---|---|--:|\n'
      cat "$WORK"/*.md
    } >"$RESULTS/weather.md"
  done
  if grep -q failed "$RESULTS/weather.md"; then FAILED=1; fi
}

# Runs a part; ends the script where the slice is over.
part() {
  local rc=0
  "$1" || rc=$?
  if [ "$rc" -eq 75 ]; then say "the slice of $MINUTES min is over; run this again for the rest"; fi
  [ "$rc" -eq 0 ] || exit "$rc"
}

main() {
  FAILED=0
  mkdir -p "$RESULTS"
  stage setup scripts/setup.sh
  [ "${1:-all}" = weather ] || stage subjects scripts/subjects.sh
  case ${1:-all} in
    scenarios) part soak_scenarios ;;
    weather) part soak_weather ;;
    all)
      part soak_scenarios
      part soak_weather
      ;;
    *) die "unknown part \`$1\`" "scripts/soak.sh [scenarios | weather]" ;;
  esac
  exit "$FAILED"
}

main "$@"
