//! Many cases: side by side, again, repeated, skipped, and out of time.

use std::time::Duration;

use super::*;
use crate::{
    plan::needs::Missing,
    protocol::Capability,
    verdict::{ExitCode, Verdict},
};

const WAIT: &str = "steps:\n  - wait: 10s\n";

#[tokio::test(start_paused = true)]
async fn two_jobs_run_side_by_side_with_a_helper_each() {
    let four = format!("matrix: {{ axes: {{ n: [1, 2, 3, 4] }} }}\n{WAIT}");
    let one = Bench::of(&four).run().await;
    let two = Bench::of(&four).options(|options| options.jobs = 2).run().await;
    assert_eq!((one.verdict, two.verdict), (Verdict::Pass, Verdict::Pass), "{}", two.told());
    assert!(one.took >= Duration::from_secs(40), "{:?}", one.took);
    assert!(two.took < Duration::from_secs(25), "{:?}", two.took);
    assert!(two.is_clean().await);
}

#[tokio::test(start_paused = true)]
async fn one_storm_comes_after_the_other() {
    let storms = format!(
        "matrix: {{ axes: {{ n: [1, 2] }} }}\n{WAIT}  - expect: [ {{ start-storm: {{ service: agent, count: 2 }} }} ]\n"
    );
    let ran = Bench::of(&storms).options(|options| options.jobs = 2).run().await;
    assert_eq!(ran.verdict, Verdict::Pass, "{}", ran.told());
    assert!(ran.took >= Duration::from_secs(20), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn a_case_that_passes_on_a_retry_is_flaky() {
    let work = "  - exec: { service: agent, command: [work] }\n";
    let ran = Bench::of(&format!("steps:\n{work}  - recover: {{ within: 1s, hold: 100ms }}\n"))
        .options(|options| options.retries = 2)
        .on("Steps", 0, |scene| scene.health(503))
        .on("case t 2", 0, |scene| scene.health(200))
        .run()
        .await;
    assert_eq!(ran.exit(), ExitCode::Pass, "{}", ran.told());
    let attempts: Vec<_> =
        ran.record.cases.iter().map(|case| (case.start.attempt, case.verdict())).collect();
    assert_eq!(attempts, [(1, Verdict::Fail), (2, Verdict::Pass)]);
}

#[tokio::test(start_paused = true)]
async fn percentiles_are_judged_over_all_repeats() {
    let parts = |p95| {
        format!(
            "repeat: 4
objectives: {{ rto: 9s, rto_p50: 1s, rto_p95: {p95} }}
steps:
  - inject: {{ kill: {{ target: agent }} }}
    as: k
  - recover
"
        )
    };
    let slow = |bench: Bench| {
        bench.on("asserted k.effect", 0, |scene| scene.health(503)).on(
            "asserted k.effect",
            3000,
            |scene| scene.health(200),
        )
    };
    let ran = slow(Bench::of(&parts("2s"))).run().await;
    let last = ran.case("t#4");
    let found = |id: &str| last.assertions.iter().find(|found| found.id == id).unwrap();
    assert_eq!(found("objectives.rto_p50").verdict, Some(Verdict::Pass), "{}", ran.told());
    assert_eq!(found("objectives.rto_p95").verdict, Some(Verdict::Fail), "{}", ran.told());
    assert!(found("objectives.rto_p95").message.contains("4 repeats"));
    assert_eq!(slow(Bench::of(&parts("5s"))).run().await.verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn what_the_host_lacks_is_skipped_with_the_reason_or_required() {
    let pause = "steps:\n  - inject: { pause: { target: agent } }\n";
    let lacking = || Missing::only(Capability::Freezer, "no freezer here");
    let ran = Bench::of(pause).missing(lacking()).run().await;
    assert_eq!((ran.verdict, ran.exit()), (Verdict::Skipped, ExitCode::Pass));
    assert_eq!(ran.reasons("t"), "skipped: no freezer here");
    assert!(ran.scene.engine.calls().is_empty());
    let required = Bench::of(pause).missing(lacking()).options(|options| options.require = true);
    assert_eq!(required.run().await.exit(), ExitCode::Fail);
}

#[tokio::test(start_paused = true)]
async fn no_case_starts_after_the_time_is_over() {
    let repeated = format!("repeat: 3\n{WAIT}");
    let ran = Bench::of(&repeated)
        .options(|options| options.max_time = Some(Duration::from_secs(5)))
        .run()
        .await;
    assert_eq!(ran.case("t#1").verdict(), Verdict::Pass);
    assert_eq!(ran.record.cases.len(), 1, "{}", ran.told());
    assert!(ran.record.notes.iter().any(|note| note.contains("--max-time")), "{}", ran.told());
    assert_eq!(ran.exit(), ExitCode::Error);
}

#[tokio::test(start_paused = true)]
async fn a_lost_helper_is_replaced_for_the_next_case() {
    let repeated = format!("repeat: 2\n{WAIT}");
    let ran =
        Bench::of(&repeated).on("Steps", 1000, |scene| scene.helper().lose("killed")).run().await;
    assert_eq!(ran.case("t#1").verdict(), Verdict::Error);
    assert_eq!(ran.case("t#2").verdict(), Verdict::Pass, "{}", ran.told());
    assert!(ran.is_clean().await);
}

#[tokio::test(start_paused = true)]
async fn kept_containers_do_not_stand_in_the_way_of_the_next_case() {
    let repeated = format!("repeat: 2\n{WAIT}");
    let ran = Bench::of(&repeated).options(|options| options.keep = true).run().await;
    assert_eq!(ran.verdict, Verdict::Pass, "{}", ran.told());
    assert!(ran.scene.engine.spec("keelhaul-r0-agent").is_some());
    assert!(ran.scene.engine.spec("keelhaul-r1-agent").is_some());
}

#[tokio::test(start_paused = true)]
async fn listeners_see_events_in_the_order_of_the_record() {
    let ran = Bench::of(&format!("matrix: {{ axes: {{ n: [1, 2] }} }}\n{WAIT}"))
        .options(|options| options.jobs = 2)
        .run()
        .await;
    for case in &ran.record.cases {
        assert!(case.phases.is_sorted_by_key(|(at, _)| *at));
        assert!(case.assertions.is_sorted_by_key(|found| found.at_us));
    }
}
