//! Probes that are read alongside.

use super::*;
use crate::{runtime::State, verdict::Verdict};

fn observing(item: &str) -> Bench {
    Bench::of(&format!(
        "steps:
  - wait: 2s
  - inject: {{ pause: {{ target: agent }} }}
    as: p
  - wait: 2s
  - revert: p
  - wait: 2s
observe:
  - container: {{ service: agent, state: paused }}
    as: seen
    every: 100ms
    {item}
"
    ))
}

async fn verdict(item: &str) -> Verdict {
    let ran = observing(item).run().await;
    ran.found("seen").0.unwrap_or_else(|| panic!("{}", ran.told()))
}

#[tokio::test(start_paused = true)]
async fn each_phase_sees_its_own() {
    assert_eq!(verdict("when: before\n    require: never").await, Verdict::Pass);
    assert_eq!(verdict("when: during\n    require: always").await, Verdict::Pass);
    assert_eq!(verdict("when: after\n    require: never").await, Verdict::Pass);
    assert_eq!(verdict("when: throughout\n    require: eventually").await, Verdict::Pass);
    assert_eq!(verdict("when: before\n    require: eventually").await, Verdict::Fail);
    assert_eq!(verdict("when: throughout\n    require: always").await, Verdict::Fail);
    assert_eq!(verdict("when: throughout\n    require: { at_least: 25% }").await, Verdict::Pass);
    assert_eq!(verdict("when: throughout\n    require: { at_least: 50% }").await, Verdict::Fail);
}

#[tokio::test(start_paused = true)]
async fn after_is_seen_even_where_the_rollback_reverts() {
    let parts = "steps:
  - inject: { pause: { target: agent } }
  - wait: 1s
observe:
  - container: { service: agent, state: running }
    as: seen
    when: after
";
    let ran = Bench::of(parts).run().await;
    assert_eq!(ran.found("seen").0, Some(Verdict::Pass), "{}", ran.told());
}

#[tokio::test(start_paused = true)]
async fn a_phase_that_never_comes_proves_nothing() {
    // an event is over as soon as it happened: there is no time in which it is in force
    let parts = "steps:
  - inject: { kill: { target: agent } }
  - wait: 1s
observe:
  - container: { service: agent, state: running }
    as: seen
    when: during
";
    let ran = Bench::of(parts).run().await;
    assert_eq!(ran.found("seen").0, Some(Verdict::Inconclusive), "{}", ran.told());
}

#[tokio::test(start_paused = true)]
async fn more_than_a_twentieth_missing_proves_nothing() {
    let parts = "steps:
  - wait: 10s
observe:
  - http: { service: agent, path: /health, status: 200 }
    as: seen
    every: 100ms
";
    let silent = |ms: u64| {
        Bench::of(parts)
            .on("Steps", 1000, |scene| {
                scene.world(|world| {
                    world.helper_error = Some(crate::helper::HelperError::Refused("busy".into()));
                });
            })
            .on("Steps", 1000 + ms, |scene| scene.world(|world| world.helper_error = None))
    };
    assert_eq!(silent(250).run().await.found("seen").0, Some(Verdict::Pass));
    let ran = silent(2000).run().await;
    assert_eq!(ran.found("seen").0, Some(Verdict::Inconclusive), "{}", ran.told());
    assert!(ran.found("seen").1.contains("missing"));
}

#[tokio::test(start_paused = true)]
async fn a_violation_between_the_steps_is_caught() {
    let ran = observing("when: before\n    require: never")
        .on("Steps", 1000, |scene| scene.agent(|facts| facts.state = State::Paused))
        .on("Steps", 1300, |scene| scene.agent(|facts| facts.state = State::Running))
        .run()
        .await;
    assert_eq!(ran.found("seen").0, Some(Verdict::Fail), "{}", ran.told());
}

#[tokio::test(start_paused = true)]
async fn samples_are_recorded_in_bounded_number() {
    let ran = Bench::of(
        "steps:
  - expect: [{ container: { service: agent, state: paused } }]
    within: 10s
observe:
  - http: { service: agent, path: /health, status: 200 }
    every: 10ms
",
    )
    .run()
    .await;
    let samples = ran.case("t").samples.len();
    assert!((80..130).contains(&samples), "{samples}");
}
