//! Recovery: measured from the right moment, to the right sample, and judged.

use super::*;
use crate::{
    runtime::{Checked, Health, State},
    verdict::Verdict,
};

const KILL: &str = "objectives: { rto: 2s }
steps:
  - inject: { kill: { target: agent } }
    as: k
  - recover
";

fn measured(ran: &Ran) -> u64 {
    ran.case("t").recoveries[0].recovery_us.unwrap_or_else(|| panic!("{}", ran.told())) / 1000
}

#[tokio::test(start_paused = true)]
async fn it_counts_from_an_event_to_the_first_sample_of_the_streak() {
    let ran = Bench::of(KILL)
        .on("injecting k", 0, |scene| scene.health(503))
        .on("injecting k", 1500, |scene| scene.health(200))
        .run()
        .await;
    assert_eq!(ran.verdict, Verdict::Pass, "{}", ran.told());
    assert!((1400..1700).contains(&measured(&ran)), "{}", measured(&ran));
}

#[tokio::test(start_paused = true)]
async fn one_that_misses_its_objective_fails_with_the_true_figure() {
    let ran = Bench::of(KILL)
        .on("injecting k", 0, |scene| scene.health(503))
        .on("injecting k", 4000, |scene| scene.health(200))
        .run()
        .await;
    let (verdict, message) = ran.found("recover");
    assert_eq!(verdict, Some(Verdict::Fail));
    assert!(message.contains("2000 ms were allowed"), "{message}");
    assert!((3900..4200).contains(&measured(&ran)), "{}", measured(&ran));
}

#[tokio::test(start_paused = true)]
async fn one_that_never_comes_is_given_up_at_three_times_the_objective() {
    let ran = Bench::of(KILL).on("injecting k", 0, |scene| scene.health(503)).run().await;
    assert_eq!(ran.found("recover").0, Some(Verdict::Fail));
    assert_eq!(ran.case("t").recoveries[0].recovery_us, None);
    assert!((6..8).contains(&ran.took.as_secs()), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn a_streak_that_breaks_starts_again() {
    let ran = Bench::of(KILL)
        .on("injecting k", 0, |scene| scene.health(503))
        .on("injecting k", 300, |scene| scene.health(200))
        .on("injecting k", 800, |scene| scene.health(503))
        .on("injecting k", 1200, |scene| scene.health(200))
        .run()
        .await;
    assert!((1100..1400).contains(&measured(&ran)), "{}", measured(&ran));
}

#[tokio::test(start_paused = true)]
async fn it_counts_from_the_verified_revert_and_before_that_from_the_injection() {
    let around = |steps: &str| {
        format!(
            "objectives: {{ rto: 9s }}\nsteps:\n  - inject: {{ pause: {{ target: agent }} }}\n    as: p\n{steps}"
        )
    };
    let ran = Bench::of(&around("  - wait: 3s\n  - revert: p\n  - recover\n")).run().await;
    assert!(measured(&ran) < 300, "{}", measured(&ran));
    let ran = Bench::of(&around("  - wait: 3s\n  - recover\n  - revert: p\n")).run().await;
    assert!((2900..3300).contains(&measured(&ran)), "{}", measured(&ran));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_comes_after_the_objective_cannot_tell() {
    let late = KILL.replace("  - recover\n", "  - wait: 5s\n  - recover\n");
    let ran = Bench::of(&late).run().await;
    assert_eq!(ran.found("recover").0, Some(Verdict::Inconclusive), "{}", ran.told());
}

/// By a real clock, which goes on between two lines.
#[tokio::test]
async fn the_first_look_is_in_time_however_little_there_is() {
    let now = "steps: [{ expect: [{ http: { service: agent, path: /health, status: 200 } }], within: 0s, as: now }]\n";
    let ran = Bench::of(now).run().await;
    assert_eq!(ran.found("now.expect[0]").0, Some(Verdict::Pass), "{}", ran.told());
}

#[tokio::test(start_paused = true)]
async fn one_that_nobody_saw_begin_says_so() {
    let ran = Bench::of(KILL).run().await;
    let (verdict, message) = ran.found("recover");
    assert_eq!(verdict, Some(Verdict::Pass), "{}", ran.told());
    assert!(message.starts_with("the steady state was there at the first look"), "{message}");
    assert!(ran.case("t").recoveries[0].at_first_look);
    let seen = Bench::of(KILL)
        .on("injecting k", 0, |scene| scene.health(503))
        .on("injecting k", 500, |scene| scene.health(200))
        .run()
        .await;
    assert!(!seen.case("t").recoveries[0].at_first_look, "{}", seen.told());
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_before_the_step_is_no_recovery() {
    let parts = "objectives: { rto: 2s }
workloads: { records: { ledger: { via: { http: { service: agent } }, rate: 100/s } } }
steady_state: [{ ledger: { workload: records, acked_per_second: { min: 20 } } }]
steps:
  - wait: 5s
  - inject: { kill: { target: agent } }
    as: k
  - recover
";
    let ran = Bench::of(parts)
        .on("injecting k", 0, |scene| scene.world(|world| world.keeper.pace = 0))
        .run()
        .await;
    assert_eq!(ran.found("recover").0, Some(Verdict::Fail), "{}", ran.told());
    let ran = Bench::of(parts)
        .on("injecting k", 0, |scene| scene.world(|world| world.keeper.pace = 0))
        .on("injecting k", 1000, |scene| scene.world(|world| world.keeper.pace = 100))
        .run()
        .await;
    assert_eq!(ran.found("recover").0, Some(Verdict::Pass), "{}", ran.told());
    assert!((900..1700).contains(&measured(&ran)), "{}", measured(&ran));
}

/// What the engine says of a health check that ended well, one that began so.
fn checked(scene: &Scene, exit_code: i64, started_ns: i64) {
    scene.agent(|facts| {
        let started_ns = Some(started_ns);
        facts.health = Health::Healthy;
        facts.checked = Some(Checked { exit_code, output: String::new(), started_ns });
        facts.next_check_ms = Some(2000);
    });
}

const LONG_AGO: i64 = 0;
const LATER: i64 = i64::MAX;

fn healthy(rest: &str) -> Bench {
    healthy_within("objectives: { rto: 4s }\n", rest)
}

fn healthy_within(objectives: &str, rest: &str) -> Bench {
    let steady = "steady_state: [{ container: { service: agent, health: healthy } }]\n";
    let steps = "steps:\n  - inject: { pause: { target: agent } }\n    as: p\n  - revert: p\n";
    let bench = Bench::of(&format!("{steady}{objectives}{steps}{rest}"));
    bench.on("started", 0, |scene| checked(scene, 0, LONG_AGO))
}

/// The engine goes on to say what the last check said, whatever was done since.
#[tokio::test(start_paused = true)]
async fn a_health_check_of_before_the_revert_is_no_recovery() {
    let ran = healthy("  - recover\n").run().await;
    let (verdict, message) = ran.found("recover");
    assert_eq!(verdict, Some(Verdict::Inconclusive), "{}", ran.told());
    assert!(message.contains("no health check began since"), "{message}");
    let next = |at_ms| {
        let bench = healthy("  - recover\n");
        bench.on("reverted p", at_ms, |scene| checked(scene, 0, LATER))
    };
    let ran = next(3000).run().await;
    let (verdict, message) = ran.found("recover");
    assert_eq!(verdict, Some(Verdict::Pass), "{}", ran.told());
    assert!(message.contains("at the first look"), "nobody saw it out: {message}");
    assert!((2900..3300).contains(&measured(&ran)), "{}", measured(&ran));
    let ran = next(6000).run().await;
    let (verdict, message) = ran.found("recover");
    assert_eq!(verdict, Some(Verdict::Inconclusive), "{}", ran.told());
    assert!(message.contains("look more often"), "{message}");
}

/// Of all probes together somebody saw one out, and the other looks only later.
#[tokio::test(start_paused = true)]
async fn a_recovery_is_not_blamed_for_the_interval_of_a_health_check() {
    let run = async |out_until_ms| {
        let steady = "steady_state:
  - http: { service: agent, path: /health, status: 200 }
  - container: { service: agent, health: healthy }
";
        let steps = "steps:\n  - inject: { pause: { target: agent } }\n    as: p\n  - revert: p\n  - recover\n";
        Bench::of(&format!("{steady}objectives: {{ rto: 4s }}\n{steps}"))
            .on("started", 0, |scene| checked(scene, 0, LONG_AGO))
            .on("injecting p", 0, |scene| scene.health(503))
            .on("reverted p", out_until_ms, |scene| scene.health(200))
            .on("reverted p", 5500, |scene| checked(scene, 0, LATER))
            .run()
            .await
    };
    let ran = run(300).await;
    let (verdict, message) = ran.found("recover");
    assert_eq!(verdict, Some(Verdict::Inconclusive), "{}", ran.told());
    assert!(message.contains("look more often"), "{message}");
    let ran = run(5000).await;
    let (verdict, message) = ran.found("recover");
    assert_eq!(verdict, Some(Verdict::Fail), "it was seen out too late: {}", ran.told());
    assert!(message.starts_with("recovered between "), "{message}");
}

#[tokio::test(start_paused = true)]
async fn what_a_health_check_did_not_tell_counts_for_no_percentile() {
    let bench = healthy_within("repeat: 2\nobjectives: { rto_p95: 4s }\n", "  - recover\n");
    let ran = bench.on("reverted p", 6000, |scene| checked(scene, 0, LATER)).run().await;
    let first = &ran.case("t#1").assertions;
    let recover = first.iter().find(|one| one.id == "recover").expect("it was judged");
    assert_eq!(recover.verdict, Some(Verdict::Inconclusive), "{}", ran.told());
    assert!(recover.message.contains("4000 ms were allowed"), "{}", recover.message);
}

#[tokio::test(start_paused = true)]
async fn a_health_check_that_looks_seldom_misses_no_objective_that_nobody_named() {
    let bench = healthy_within("", "  - recover\n");
    let ran = bench.on("reverted p", 31_000, |scene| checked(scene, 0, LATER)).run().await;
    assert_eq!(ran.found("recover").0, Some(Verdict::Pass), "{}", ran.told());
}

#[tokio::test(start_paused = true)]
async fn a_health_check_that_fails_is_seen_before_the_engine_turns() {
    let ran = healthy("  - recover\n")
        .on("reverted p", 500, |scene| checked(scene, 1, LATER))
        .on("reverted p", 2500, |scene| checked(scene, 0, LATER))
        .run()
        .await;
    assert_eq!(ran.found("recover").0, Some(Verdict::Pass), "{}", ran.told());
    assert!(!ran.case("t").recoveries[0].at_first_look, "{}", ran.told());
    assert!((2400..2800).contains(&measured(&ran)), "{}", measured(&ran));
}

/// Waiting is not what the scenario's time is for.
#[tokio::test(start_paused = true)]
async fn verify_does_not_wait_beyond_the_timeout() {
    let verify = "verify:
  - container: { service: agent, health: healthy }
  - container: { service: agent, state: running }
";
    let seldom = |scene: &Scene| {
        checked(scene, 0, LONG_AGO);
        scene.agent(|facts| facts.next_check_ms = Some(600_000));
    };
    let bench = healthy_within("timeout: 20s\n", verify).on("started", 1, seldom);
    let ran = bench.run().await;
    assert_eq!(ran.found("verify[0]").0, Some(Verdict::Inconclusive), "{}", ran.told());
    assert_eq!(ran.found("verify[1]").0, Some(Verdict::Pass), "{}", ran.told());
    assert_eq!(ran.verdict, Verdict::Inconclusive, "{}", ran.told());
}

/// No longer than to the next check.
#[tokio::test(start_paused = true)]
async fn verify_waits_for_the_next_health_check() {
    let verify = "verify: [{ container: { service: agent, health: healthy } }]\n";
    let asked = |at_ms, exit_code| {
        let bench = healthy_within("", verify);
        bench.on("reverted p", at_ms, move |scene| checked(scene, exit_code, LATER)).run()
    };
    assert_eq!(asked(1500, 0).await.found("verify[0]").0, Some(Verdict::Pass));
    assert_eq!(asked(1500, 1).await.found("verify[0]").0, Some(Verdict::Fail));
    let ran = asked(60_000, 0).await;
    assert_eq!(ran.found("verify[0]").0, Some(Verdict::Inconclusive), "{}", ran.told());
    assert!(ran.took.as_secs() < 10, "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn what_ends_without_a_restart_policy_is_started_again_where_that_is_asked_for() {
    let run = async |recover: &str, policy: &str| {
        let parts = format!(
            "services: {{ agent: {{ image: app{policy} }} }}
steady_state: [{{ container: {{ service: agent, state: running }} }}]
objectives: {{ rto: 2s }}
steps:
  - inject: {{ pause: {{ target: agent }} }}
    as: p
  - revert: p
  - {recover}
"
        );
        let ends = |scene: &Scene| {
            scene.agent(|facts| (facts.state, facts.exit_code) = (State::Exited, 3));
        };
        Bench::of(&parts).on("reverted p", 700, ends).run().await
    };
    let ran = run("recover: { start: true }", "").await;
    assert_eq!(ran.found("recover").0, Some(Verdict::Pass), "{}", ran.told());
    let notes = ran.case("t").notes.join("\n");
    assert!(notes.contains("`agent` is exited, exit code 3, and was started again"), "{notes}");
    let ran = run("recover", "").await;
    assert_eq!(ran.found("recover").0, Some(Verdict::Fail), "{}", ran.told());
    let ran = run("recover: { start: true }", ", restart: always").await;
    assert_eq!(ran.found("recover").0, Some(Verdict::Fail), "that is the engine's to do");
}

/// It may need more than one start, and time between them.
#[tokio::test(start_paused = true)]
async fn what_ends_again_is_started_again_after_a_pause() {
    let parts = "services: { agent: { image: app } }
steady_state: [{ container: { service: agent, state: running } }]
objectives: { rto: 9s }
steps:
  - inject: { pause: { target: agent } }
    as: p
  - revert: p
  - recover: { start: true }
";
    let ends = |scene: &Scene| {
        scene.agent(|facts| (facts.state, facts.exit_code) = (State::Exited, 3));
    };
    let bench = Bench::of(parts).on("reverted p", 300, ends).on("reverted p", 900, ends);
    let ran = bench.run().await;
    assert_eq!(ran.found("recover").0, Some(Verdict::Pass), "{}", ran.told());
    let starts = ran.case("t").notes.iter().filter(|note| note.contains("was started again"));
    assert_eq!(starts.count(), 2, "{}", ran.told());
    assert!((1300..2200).contains(&measured(&ran)), "{}", measured(&ran));
}
