#!/usr/bin/env bash
# Many rounds of every scenario, each round with its own seed, then the tests
# that kill and stop, with every kill point and many more rounds, and then many
# more states of the correct twins of every planted bug. In slices: no round begins after MINUTES, and the next call goes on where this
# one ended. What was seen is written to reports/soak/ after every round, and
# begun anew when the binary or a scenario has changed. A round or a test is
# not cut off: it may take half an hour beyond MINUTES.
#
#   scripts/soak.sh              REPEATS=10 MINUTES=55 JOBS=2 scripts/soak.sh
#   scripts/soak.sh scenarios    the scenarios alone
#   scripts/soak.sh scenarios PATH...   these alone, into a table of their own
#   scripts/soak.sh weather      the tests that kill and stop alone
#   scripts/soak.sh corpus       the twins alone, STATES=10000 on each filesystem
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
STATES=${STATES:-10000}
# of each twin in a round of the corpus: a round takes a minute or two
AT_ONCE=50
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
  "$BINARY" run --seed "$seed" --jobs "$JOBS" --out "$out" "${CHOSEN[@]}" >"$out.log" 2>&1 || rc=$?
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
    printf '# %s, %d of %d times\n\n' "$TITLE" "${#rounds[@]}" "$REPEATS"
    printf 'Written by `scripts/soak.sh`, a seed a round, %d cases side by side. Build %s, %s.\n\n' \
      "$JOBS" "$BUILD" "$(sed -n 's/.* · \(engine .*\)/\1/p' "${rounds[0]}")"
    printf '| scenario | passed | did not | skipped | controls caught | mean time | seeds that did not pass |\n'
    printf '|---|--:|--:|--:|--:|--:|---|\n'
    tabulate "${rounds[@]}"
  } >"$TABLE.new"
  mv "$TABLE.new" "$TABLE"
}

soak_scenarios() {
  local seed files chosen
  CHOSEN=("$@") TITLE='Chosen scenarios' TABLE=$RESULTS/chosen.md
  if [ $# -eq 0 ]; then CHOSEN=(scenarios) TITLE='Every scenario' TABLE=$RESULTS/scenarios.md; fi
  for chosen in "${CHOSEN[@]}"; do [ -e "$chosen" ] || die "no scenario \`$chosen\`"; done
  [ -n "${KEELHAUL:-}" ] || stage build cargo build --release --locked
  mapfile -t files < <(find "${CHOSEN[@]}" -name '*.yaml' | sort)
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
    -E 'test(/^weather::|^interpose::(scale|tight)::/)' 2>/dev/null |
    grep -o -e 'weather::.*' -e 'interpose::scale::.*' -e 'interpose::tight::.*')
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

# Every planted bug and every twin once, by the round's seed; what the tests
# say of each filesystem is the result. Where they can try nothing they pass.
corpus_round() {
  local seed=$1 file=$WORK/corpus-$1 rc=0
  [ ! -r "$file.seen" ] || return 0
  in_time || return 75
  KEELHAUL_CORPUS="$AT_ONCE:$seed" cargo nextest run --locked --profile soak --no-fail-fast \
    -E 'test(/^corpus::/)' --success-output immediate >"$file.log" 2>&1 || rc=$?
  case $rc in
    0 | 100) ;;
    *) die "nextest exited with $rc in round $seed" "its output is in $file.log" ;;
  esac
  { grep -oE '(ext4|xfs|btrfs): [0-9]+ (twins|of [0-9]+ planted).*' "$file.log" || true; } >"$file.new"
  [ "$rc" -ne 0 ] || [ "$(grep -c ' twins' "$file.new")" -eq 3 ] ||
    die "round $seed has tried nothing: root, /dev/fuse and loop devices are needed" \
      "its output is in $file.log"
  [ "$rc" -eq 0 ] || echo "failed" >>"$file.new"
  mv "$file.new" "$file.seen"
  say "round $seed of the corpus: exit code $rc, its output is in $file.log"
}

# A line per filesystem over all rounds.
write_corpus() {
  local rounds
  mapfile -t rounds < <(find "$WORK" -name 'corpus-*.seen' | sort -V)
  {
    printf '# Planted bugs and their correct twins, %d of %d rounds\n\n' "${#rounds[@]}" "$1"
    printf 'Written by `make soak`, %d states of each twin in a round, a seed a round. Build %s.\n\n' \
      "$AT_ONCE" "$BUILD"
    printf '| filesystem | planted bugs | rounds that found all | twins | their states | mounted | rounds without a false alarm |\n'
    printf '|---|--:|--:|--:|--:|--:|--:|\n'
    awk -F '[: ,]+' '
      $3 == "twins" { seen[$1]; twins[$1] = $2; states[$1] += $4; mounted[$1] += $6; sound[$1]++ }
      $3 == "of" { seen[$1]; bugs[$1] = $4; found[$1]++ }
      END {
        for (name in seen)
          printf "| %s | %d | %d | %d | %d | %d | %d |\n", name, bugs[name], found[name],
            twins[name], states[name], mounted[name], sound[name]
      }' "${rounds[@]}" | LC_ALL=C sort
  } >"$RESULTS/corpus.md.new"
  mv "$RESULTS/corpus.md.new" "$RESULTS/corpus.md"
}

soak_corpus() {
  local seed twins rounds
  twins=$(find tests/it/corpus/subjects -name '*.rs' ! -name mod.rs | wc -l)
  # a quarter more: on XFS some twins have fewer states than are asked for
  rounds=$((STATES * 5 / 4 / (AT_ONCE * twins) + 1))
  have cargo && cargo nextest --version >/dev/null 2>&1 ||
    die "the corpus needs cargo-nextest" "cargo install cargo-nextest --locked" \
      "or run \`scripts/soak.sh scenarios\` alone"
  stage tests cargo nextest run --locked --profile soak --no-run
  BUILD=$(build_id "$TARGET/debug/keelhaul" tests/it/corpus/*.rs tests/it/corpus/subjects/*.rs \
    tests/it/interpose/*.rs)
  WORK=$TARGET/soak/$BUILD
  mkdir -p "$WORK"
  for ((seed = 1; seed <= rounds; seed++)); do
    corpus_round "$seed" || return
    write_corpus "$rounds"
  done
  if grep -q failed "$WORK"/corpus-*.seen; then FAILED=1; fi
}

# Runs a part; ends the script where the slice is over.
part() {
  local rc=0
  "$@" || rc=$?
  if [ "$rc" -eq 75 ]; then say "the slice of $MINUTES min is over; run this again for the rest"; fi
  [ "$rc" -eq 0 ] || exit "$rc"
}

main() {
  FAILED=0
  mkdir -p "$RESULTS"
  stage setup scripts/setup.sh
  case ${1:-all} in
    all | scenarios) stage subjects scripts/subjects.sh ;;
  esac
  case ${1:-all} in
    scenarios) part soak_scenarios "${@:2}" ;;
    weather) part soak_weather ;;
    corpus) part soak_corpus ;;
    all)
      part soak_scenarios
      part soak_weather
      part soak_corpus
      ;;
    *) die "unknown part \`$1\`" "scripts/soak.sh [scenarios [PATH...] | weather | corpus]" ;;
  esac
  exit "$FAILED"
}

main "$@"
