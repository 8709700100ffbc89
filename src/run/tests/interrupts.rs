//! Ctrl-C at any moment: rolled back, reported, and over within five seconds.

use std::time::Duration;

use super::*;
use crate::verdict::{ExitCode, Verdict};

const CASE: &str =
    "workloads: { records: { ledger: { via: { http: { service: agent } }, rate: 100/s } } }
objectives: { rpo: 0 }
steps:
  - inject: { pause: { target: agent } }
    as: p
  - expect: [{ container: { service: agent, state: paused } }]
    hold: 2s
  - wait: 5s
  - revert: p
  - recover
observe: [{ container: { service: agent, state: running }, require: eventually }]
verify: [{ container: { service: agent, state: running } }]
";

const LIMIT: Duration = Duration::from_secs(5);

/// The run, and how long it went on after the interrupt.
async fn interrupted(bench: Bench, word: &str, delay_ms: u64) -> (Ran, Duration) {
    let at = std::sync::Arc::new(std::sync::OnceLock::new());
    let seen = std::sync::Arc::clone(&at);
    let ran = bench
        .on(word, delay_ms, move |scene| {
            seen.set(tokio::time::Instant::now()).unwrap();
            scene.interrupt();
        })
        .run()
        .await;
    let took = at.get().unwrap_or_else(|| panic!("{word} never came: {}", ran.told())).elapsed();
    (ran, took)
}

#[tokio::test(start_paused = true)]
async fn at_every_phase() {
    let words = [
        "SetUp",
        "started",
        "SteadyState",
        "Steps",
        "injecting p",
        "injected p",
        "reverting p",
        "reverted p",
        "Rollback",
        "Verify",
        "TearDown",
    ];
    for word in words {
        for delay in [0, 300, 900] {
            if delay > 0 && ["Verify", "TearDown", "Rollback"].contains(&word) {
                continue;
            }
            let (ran, took) = interrupted(Bench::of(CASE), word, delay).await;
            assert!(took < LIMIT, "{word}+{delay}: {took:?}");
            assert!(ran.ending.interrupted, "{word}+{delay}");
            assert_eq!(ran.exit(), ExitCode::Interrupted, "{word}+{delay}: {}", ran.told());
            assert!(ran.is_clean().await, "{word}+{delay}: {}", ran.told());
            assert!(ran.case("t").verdict.is_some(), "{word}+{delay}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_helper_that_does_not_answer() {
    let bench = Bench::of(CASE).on("injected p", 400, |scene| {
        scene.world(|world| {
            (world.keeper.silent_reads, world.keeper.silent_undo) = (true, true);
        });
    });
    let (ran, took) = interrupted(bench, "injected p", 500).await;
    assert!(took < LIMIT, "{took:?}");
    assert_eq!(ran.exit(), ExitCode::RollbackIncomplete);
    let command = &ran.case("t").rollback.as_ref().unwrap().1;
    assert_eq!(command.as_deref(), Some("keelhaul recover r0"));
}

#[tokio::test(start_paused = true)]
async fn between_two_steps_with_loads_that_do_not_answer() {
    let load = |name| format!("{name}: {{ ledger: {{ via: {{ http: {{ service: agent }} }} }} }}");
    let three = format!("workloads: {{ {}, {}, {} }}", load("a"), load("b"), load("c"));
    let yaml = CASE.replacen(CASE.lines().next().unwrap(), &three, 1);
    let bench = Bench::of(&yaml).on("injected p", 0, |scene| {
        scene.world(|world| world.keeper.silent_loads = true);
    });
    let (ran, took) = interrupted(bench, "injected p", 300).await;
    assert!(took < LIMIT, "{took:?}");
    assert_eq!(ran.exit(), ExitCode::Interrupted, "{}", ran.told());
    assert!(ran.is_clean().await);
}

#[tokio::test(start_paused = true)]
async fn cases_that_did_not_start_are_no_pass() {
    let two = format!("repeat: 2\n{CASE}");
    let (ran, _) = interrupted(Bench::of(&two), "injected p", 100).await;
    assert_eq!(ran.record.cases.len(), 1);
    assert_eq!(ran.exit(), ExitCode::Interrupted, "{}", ran.told());
}

#[tokio::test(start_paused = true)]
async fn a_held_case_stays_until_then_past_its_timeout() {
    let parts = "timeout: 10s
steps:
  - inject: { pause: { target: agent } }
    as: p
  - expect: [{ container: { service: agent, state: exited } }]
    within: 1s
    as: wrong
";
    let bench = Bench::of(parts).options(|options| options.hold = true);
    let (ran, took) = interrupted(bench, "asserted wrong.expect[0]", 100_000).await;
    assert!(took < LIMIT && ran.took > Duration::from_secs(100), "{:?}", ran.took);
    assert_eq!(ran.found("wrong.expect[0]").0, Some(Verdict::Fail));
    assert!(ran.told().contains("look with `keelhaul shell"), "{}", ran.told());
    assert!(ran.is_clean().await);
}

#[tokio::test(start_paused = true)]
async fn a_held_case_names_the_last_words_of_who_has_ended() {
    let parts = "steps:
  - inject: { stop: { target: agent } }
    as: s
  - expect: [{ container: { service: agent, state: running } }]
    within: 1s
    as: wrong
";
    let bench = Bench::of(parts).options(|options| options.hold = true);
    let (ran, _) = interrupted(bench, "asserted wrong.expect[0]", 1000).await;
    let told = ran.told();
    assert!(told.contains("look with `docker logs ") && !told.contains("keelhaul shell"), "{told}");
}
