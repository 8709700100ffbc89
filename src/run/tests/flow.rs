//! Steps in order, and what each verdict rests on.

use super::*;
use crate::{
    run::Phase,
    runtime::{ExecOutput, RuntimeError},
    verdict::{ExitCode, Verdict},
};

const PAUSE: &str = "steps:
  - inject: { pause: { target: agent } }
    as: p
  - expect: [{ container: { service: agent, state: paused } }]
    as: seen
  - revert: p
  - recover
verify:
  - container: { service: agent, state: running }
objectives: { rto: 5s }
";

#[tokio::test(start_paused = true)]
async fn a_case_that_holds_goes_through_every_phase_and_leaves_nothing() {
    let ran = Bench::of(PAUSE).run().await;
    assert_eq!((ran.verdict, ran.exit()), (Verdict::Pass, ExitCode::Pass), "{}", ran.told());
    let case = ran.case("t");
    let phases: Vec<Phase> = case.phases.iter().map(|(_, phase)| *phase).collect();
    use Phase::{Rollback, SetUp, SteadyState, Steps, TearDown, Verify};
    assert_eq!(phases, [SetUp, SteadyState, Steps, Rollback, Verify, TearDown]);
    let ids: Vec<&str> = case.assertions.iter().map(|found| found.id.as_str()).collect();
    let wanted =
        ["steady_state[0]", "p.effect", "seen.expect[0]", "p.revert", "recover", "verify[0]"];
    assert_eq!(ids, wanted);
    let fault = &case.faults[0];
    assert!(fault.injected.as_ref().is_some_and(|(_, proven, _)| *proven));
    assert!(fault.reverted.as_ref().is_some_and(|(_, proven, ..)| *proven));
    assert!(ran.is_clean().await);
    assert_eq!(case.residue.as_deref(), Some(&[][..]));
    // during: no sample of a fault before its effect was verified, none after its revert was called
    let (seen, end) = (fault.injected.as_ref().unwrap().0, fault.reverting_us.unwrap());
    let during = |at: &&crate::run::SamplePoint| at.during.contains(&"p".to_owned());
    assert!(case.samples.iter().filter(during).count() > 0);
    assert!(case.samples.iter().filter(during).all(|at| at.at_us >= seen && at.at_us <= end));
}

#[tokio::test(start_paused = true)]
async fn a_failed_step_skips_the_rest_and_verify_is_judged_all_the_same() {
    let ran = Bench::of(
        "steps:
  - expect: [{ container: { service: agent, state: paused } }]
    within: 300ms
    as: never
  - expect: [{ container: { service: agent, state: running } }]
    as: later
verify: [{ container: { service: agent, state: running } }]
",
    )
    .run()
    .await;
    assert_eq!(ran.exit(), ExitCode::Fail);
    assert_eq!(ran.found("never.expect[0]").0, Some(Verdict::Fail));
    assert_eq!(ran.found("later.expect[0]"), (None, "an earlier step failed"));
    assert_eq!(ran.found("verify[0]").0, Some(Verdict::Pass));
}

#[tokio::test(start_paused = true)]
async fn a_soft_failure_goes_on() {
    let ran = Bench::of(
        "steps:
  - expect: [{ container: { service: agent, state: paused } }]
    within: 300ms
    soft: true
  - expect: [{ container: { service: agent, state: running } }]
    as: later
",
    )
    .run()
    .await;
    assert_eq!(ran.verdict, Verdict::Fail);
    assert_eq!(ran.found("later.expect[0]").0, Some(Verdict::Pass));
}

#[tokio::test(start_paused = true)]
async fn two_probes_must_hold_together_and_for_long_enough() {
    let parts = "steps:
  - expect:
      - http: { service: agent, path: /health, status: 200 }
      - container: { service: agent, state: running }
    within: 2s
    hold: 1s
    as: both
";
    let shaky = (0..40).fold(Bench::of(parts), |bench, tick| {
        // up for half a second, down for a tenth: never a whole second
        let at = tick * 600;
        bench
            .on("Steps", at, |scene| scene.health(503))
            .on("Steps", at + 100, |scene| scene.health(200))
    });
    let ran = shaky.run().await;
    assert_eq!(ran.found("both.expect[0]").0, Some(Verdict::Fail), "{}", ran.told());
    assert_eq!(ran.found("both.expect[1]").0, Some(Verdict::Pass));
    assert_eq!(Bench::of(parts).run().await.verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_cannot_be_read_is_an_error_and_not_a_failure() {
    let refused = RuntimeError::Refused { doing: "inspecting".into(), detail: "500".into() };
    let ran = Bench::of(
        "steps:
  - expect: [{ container: { service: agent, state: running } }]
    within: 300ms
    as: seen
",
    )
    .on("Steps", 0, move |scene| scene.engine.fail("inspect", usize::MAX, refused))
    .run()
    .await;
    let (verdict, message) = ran.found("seen.expect[0]");
    assert_eq!(verdict, Some(Verdict::Error));
    assert!(message.contains("could not be read"), "{message}");
    assert_eq!(ran.exit(), ExitCode::Error);
}

#[tokio::test(start_paused = true)]
async fn a_steady_state_that_is_not_reached_is_inconclusive_and_names_who_exited() {
    let ran = Bench::of(PAUSE)
        .world(|world| world.http = Err("connection refused".into()))
        .on("started", 0, |scene| {
            scene.agent(|facts| {
                (facts.state, facts.exit_code) = (crate::runtime::State::Exited, 3);
            });
        })
        .run()
        .await;
    assert_eq!(ran.exit(), ExitCode::Inconclusive);
    assert!(ran.reasons("t").contains("`agent` is exited, exit code 3"), "{}", ran.reasons("t"));
    assert_eq!(ran.found("recover").0, None);
    assert_eq!(ran.found("verify[0]").0, None);
    assert!(ran.case("t").faults.is_empty());
    assert!(ran.took.as_secs() < 10, "nobody starts it again: {:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn a_set_up_that_fails_midway_is_an_error_and_leaves_nothing() {
    let refused = RuntimeError::EngineDiskFull { detail: "no space".into() };
    let bench = Bench::of(PAUSE)
        .on("case t 1", 0, move |scene| scene.engine.fail("start", usize::MAX, refused));
    let ran = bench.run().await;
    assert_eq!(ran.exit(), ExitCode::Error);
    let (verdict, message) = ran.found("set-up");
    assert_eq!(verdict, Some(Verdict::Error));
    assert!(message.contains("`agent`") && message.contains("disk is full"), "{message}");
    assert_eq!(ran.found("verify[0]").0, None);
    assert!(ran.is_clean().await);
}

#[tokio::test(start_paused = true)]
async fn the_timeout_ends_a_case_with_an_error() {
    let work = "  - exec: { service: agent, command: [work] }\n";
    let steps =
        format!("timeout: 5s\nsteps:\n{work}  - wait: 4s\n  - recover: {{ within: 900ms }}\n");
    let ran = Bench::of(&steps).on("Steps", 3500, |scene| scene.health(503)).run().await;
    assert_eq!(ran.exit(), ExitCode::Error, "{}", ran.told());
    assert!(ran.reasons("t").contains("not over within its timeout of 5s"));
    assert_eq!(ran.found("recover").0, None);
    assert!(ran.is_clean().await);
}

#[tokio::test(start_paused = true)]
async fn a_stop_condition_ends_the_steps() {
    let ran = Bench::of(
        "stop_when: [{ container: { service: agent, state: exited } }]
steps:
  - wait: 60s
",
    )
    .on("Steps", 2000, |scene| scene.agent(|facts| facts.state = crate::runtime::State::Exited))
    .run()
    .await;
    assert_eq!(ran.verdict, Verdict::Inconclusive, "{}", ran.told());
    assert!(ran.reasons("t").contains("a stop condition held"));
    assert!(ran.took.as_secs() < 10, "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn programs_run_beside_the_steps_and_are_judged_under_their_own_names() {
    let parts = "steps:
  - exec: { service: agent, command: [backup], background: true }
    as: backup
  - wait: 1s
  - await: backup
    as: ended
";
    assert_eq!(Bench::of(parts).run().await.verdict, Verdict::Pass);
    let output = ExecOutput { exit_code: 2, stdout: String::new(), stderr: "no room".into() };
    let failing = Bench::of(parts)
        .on("started", 0, move |scene| scene.engine.answer(AGENT, "backup", output));
    let ran = failing.run().await;
    assert_eq!(ran.found("backup").0, Some(Verdict::Fail), "{}", ran.told());
    assert!(ran.found("backup").1.contains("no room"));
    assert_eq!(ran.found("ended").0, Some(Verdict::Pass));
}

#[tokio::test(start_paused = true)]
async fn a_tolerated_failure_is_skipped_and_says_until_when() {
    let parts = format!(
        "expect_failure: {{ until: 2999-01-31, because: known }}\n{}",
        "verify: [{ container: { service: agent, state: exited } }]\n"
    );
    let ran = Bench::of(&parts).run().await;
    assert_eq!(ran.exit(), ExitCode::Pass);
    assert_eq!(ran.verdict, Verdict::Skipped);
    let tolerated = ran.case("t").tolerated.clone().unwrap();
    assert!(tolerated.contains("2999-01-31") && tolerated.contains("known"), "{tolerated}");
}

#[tokio::test(start_paused = true)]
async fn residue_is_an_error_that_names_the_object() {
    let stuck = RuntimeError::Refused { doing: "removing".into(), detail: "busy".into() };
    let ran = Bench::of(PAUSE)
        .on("TearDown", 0, move |scene| scene.engine.fail("remove-run", usize::MAX, stuck))
        .run()
        .await;
    assert_eq!(ran.exit(), ExitCode::RollbackIncomplete, "{}", ran.told());
    assert!(ran.reasons("t").contains("keelhaul recover r0"), "{}", ran.reasons("t"));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_start_is_named_and_no_other_is_made_after_it() {
    let refused = RuntimeError::Refused { doing: "starting".into(), detail: "no".into() };
    let three = "services: { agent: { image: app }, b: { image: app }, c: { image: app } }\n";
    let ran = Bench::of(three)
        .on("case t 1", 0, move |scene| scene.engine.fail("start keelhaul-r0-b", 1, refused))
        .run()
        .await;
    assert_eq!(ran.exit(), ExitCode::Error, "{}", ran.told());
    assert!(ran.found("set-up").1.contains("service `b`"), "{}", ran.told());
    assert!(ran.scene.engine.spec("keelhaul-r0-c").is_none());
    assert!(ran.is_clean().await);
}
