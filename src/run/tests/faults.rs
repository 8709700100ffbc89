//! Faults that do not take, end early, cannot be undone, expire, or lose their helper.

use super::*;
use crate::{
    protocol::PageFacts,
    run::Origin,
    runtime::State,
    verdict::{ExitCode, Verdict},
};

const PAUSE: &str = "steps:
  - inject: { pause: { target: agent } }
    as: p
  - wait: 3s
  - revert: p
  - expect: [{ container: { service: agent, state: running } }]
    as: later
verify: [{ container: { service: agent, state: running } }]
";

const SHORT: &str = "steps:
  - inject: { pause: { target: agent } }
    as: p
    for: 2s
  - wait: 4s
  - recover
observe:
  - container: { service: agent, state: paused }
    as: frozen
    when: during
    every: 100ms
objectives: { rto: 5s }
";

#[tokio::test(start_paused = true)]
async fn an_effect_that_is_not_seen_is_inconclusive_and_nothing_later_counts() {
    let ran = Bench::of(PAUSE).world(|world| world.keeper.vacuous = true).run().await;
    assert_eq!(ran.exit(), ExitCode::Inconclusive);
    assert_eq!(ran.found("p.effect").0, Some(Verdict::Inconclusive));
    for later in ["later.expect[0]", "verify[0]"] {
        assert_eq!(ran.found(later).0, None, "{later}");
    }
    assert!(ran.is_clean().await);
}

const COLD: &str = "volumes: { data: { docker: {} } }
services: { agent: { image: app, mounts: { /data: data } } }
steps: [{ inject: { drop-cache: { target: \"agent:/data\" } }, as: p }]
";

#[tokio::test(start_paused = true)]
async fn an_event_that_its_subject_takes_back_is_done_again_a_few_times() {
    for (reread, verdict, done) in
        [(0, Verdict::Pass, 1), (4, Verdict::Pass, 5), (5, Verdict::Inconclusive, 5)]
    {
        let ran = Bench::of(COLD)
            .world(move |world| {
                world.pages = PageFacts { files: 1, pages: 8, resident: 8 };
                world.keeper.reread = reread;
            })
            .run()
            .await;
        assert_eq!(ran.found("p.effect").0, Some(verdict), "{}", ran.told());
        let entries = ran.scene.helper().world().applied.clone();
        let drops = entries.iter().filter(|entry| entry.what.starts_with("drop-cache"));
        assert_eq!(drops.count(), done, "{reread}");
        assert_eq!(ran.case("t").faults.len(), 1, "one fault, however often it is done");
        assert!(ran.is_clean().await);
    }
}

#[tokio::test(start_paused = true)]
async fn an_effect_that_ended_early_is_inconclusive() {
    let ran = Bench::of(PAUSE)
        .on("injected p", 1000, |scene| scene.agent(|facts| facts.state = State::Running))
        .run()
        .await;
    assert_eq!(ran.verdict, Verdict::Inconclusive);
    assert_eq!(ran.found("p.lasting").0, Some(Verdict::Inconclusive));
    assert_eq!(ran.found("later.expect[0]").0, None);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_ends_the_effect_is_noticed_at_once() {
    for yaml in [PAUSE, SHORT] {
        let ran = Bench::of(yaml)
            .on("injected p", 500, |scene| {
                scene.agent(|facts| {
                    (facts.state, facts.started_at) = (State::Running, "later".into());
                });
            })
            .run()
            .await;
        assert_eq!(ran.verdict, Verdict::Inconclusive, "{}", ran.told());
        let (verdict, message) = ran.found("p.lasting");
        assert_eq!(verdict, Some(Verdict::Inconclusive));
        assert!(message.contains("`agent` was started again while `p` was in force"), "{message}");
        let case = ran.case("t");
        let injected = case.faults[0].injected.as_ref().unwrap().0;
        let noticed = ran.find("p.lasting").unwrap().at_us - injected;
        assert!(noticed < 1_000_000, "after {noticed} us");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_outlives_a_start_stays_in_force() {
    let ran = Bench::of(PAUSE)
        .on("injected p", 500, |scene| scene.agent(|facts| facts.started_at = "later".into()))
        .run()
        .await;
    assert_eq!(ran.verdict, Verdict::Pass, "{}", ran.told());
    assert!(ran.find("p.lasting").is_none());
    assert_eq!(ran.told().matches("was started again").count(), 1, "{}", ran.told());
}

#[tokio::test(start_paused = true)]
async fn a_subject_that_ends_under_the_fault_is_judged_by_its_assertions() {
    let ran = Bench::of(PAUSE)
        .on("injected p", 1000, |scene| scene.agent(|facts| facts.state = State::Exited))
        .run()
        .await;
    assert_eq!(ran.verdict, Verdict::Fail, "{}", ran.told());
    assert!(ran.find("p.lasting").is_none());
    assert_eq!(ran.found("verify[0]").0, Some(Verdict::Fail));
}

#[tokio::test(start_paused = true)]
async fn a_container_removed_by_someone_else_fails_with_the_cause() {
    let ran = Bench::of(PAUSE).on("injected p", 1000, |scene| scene.engine.lose(AGENT)).run().await;
    assert!(ran.verdict > Verdict::Skipped, "{}", ran.told());
    assert!(ran.told().contains("removed"), "{}", ran.told());
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_fails_is_an_error_and_the_command_that_finishes_it_is_named() {
    let ran = Bench::of(PAUSE).world(|world| world.keeper.stuck = true).run().await;
    assert_eq!(ran.exit(), ExitCode::RollbackIncomplete);
    let (verdict, message) = ran.found("p.revert");
    assert_eq!(verdict, Some(Verdict::Error));
    assert!(message.contains("EBUSY"), "{message}");
    assert_eq!(ran.found("later.expect[0]").0, None);
    assert_eq!(ran.case("t").rollback.as_ref().unwrap().1.as_deref(), Some("keelhaul recover r0"));
}

#[tokio::test(start_paused = true)]
async fn a_helper_lost_in_the_middle_of_a_step_is_an_error() {
    let ran =
        Bench::of(PAUSE).on("injected p", 500, |scene| scene.helper().lose("killed")).run().await;
    assert_eq!(ran.exit(), ExitCode::Error, "{}", ran.told());
    assert!(ran.reasons("t").contains("the helper was lost: killed"), "{}", ran.reasons("t"));
    assert_eq!(ran.found("later.expect[0]").0, None);
    assert_eq!(ran.found("verify[0]").0, None);
    assert!(ran.took.as_secs() < 10);
    assert!(ran.is_clean().await);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_expires_is_reverted_by_the_keeper_and_recovery_counts_from_there() {
    let ran = Bench::of(SHORT).run().await;
    assert_eq!(ran.verdict, Verdict::Pass, "{}", ran.told());
    let case = ran.case("t");
    let fault = &case.faults[0];
    let (at, proven, _, by) = fault.reverted.clone().unwrap();
    assert_eq!((proven, by), (true, Origin::Expiry));
    let lasted = at - fault.injected.as_ref().unwrap().0;
    assert!((1_900_000..2_300_000).contains(&lasted), "{lasted}");
    assert_eq!(ran.found("frozen").0, Some(Verdict::Pass));
    assert_eq!(ran.found("p.revert").0, Some(Verdict::Pass));
    let measured = case.recoveries[0].recovery_us.unwrap();
    // two of the four seconds of waiting came after the expiry
    assert!((1_700_000..2_300_000).contains(&measured), "{measured}");
    assert!(ran.is_clean().await);
}

#[tokio::test(start_paused = true)]
async fn a_revert_step_after_the_expiry_does_not_complain_and_one_before_is_first() {
    let late = SHORT.replace("  - recover\n", "  - revert: p\n  - recover\n");
    let ran = Bench::of(&late).run().await;
    assert_eq!(ran.verdict, Verdict::Pass, "{}", ran.told());
    assert!(ran.told().contains("the time of `p` was up"));
    let early = late.replace("wait: 4s", "wait: 1s");
    let ran = Bench::of(&early).run().await;
    assert_eq!(ran.verdict, Verdict::Pass, "{}", ran.told());
    assert_eq!(ran.case("t").faults[0].reverted.as_ref().unwrap().3, Origin::Step);
}

#[tokio::test(start_paused = true)]
async fn a_keeper_that_forgets_the_time_is_an_error() {
    let slow = SHORT.replace("wait: 4s", "wait: 10s");
    let ran = Bench::of(&slow).world(|world| world.keeper.lazy = true).run().await;
    assert_eq!(ran.verdict, Verdict::Error, "{}", ran.told());
    assert!(ran.found("p.revert").1.contains("did not revert it"));
    assert!(ran.is_clean().await);
}

#[tokio::test(start_paused = true)]
async fn an_effect_that_ends_before_its_time_is_inconclusive() {
    let ran = Bench::of(SHORT)
        .on("injected p", 500, |scene| scene.agent(|facts| facts.state = State::Running))
        .run()
        .await;
    assert_eq!(ran.verdict, Verdict::Inconclusive, "{}", ran.told());
    assert_eq!(ran.found("p.lasting").0, Some(Verdict::Inconclusive));
}

const LOADED: &str =
    "workloads: { records: { ledger: { via: { http: { service: agent } }, rate: 100/s } } }
steps:
  - wait: 1s
  - inject: { pause: { target: agent } }
    as: p
  - revert: p
";

#[tokio::test(start_paused = true)]
async fn a_load_that_does_nothing_proves_nothing() {
    let ran = Bench::of(LOADED).run().await;
    assert_eq!(ran.verdict, Verdict::Pass, "{}", ran.told());
    let idle = Bench::of(LOADED).world(|world| world.keeper.pace = 2).run().await;
    assert_eq!(idle.exit(), ExitCode::Inconclusive);
    assert_eq!(idle.found("workloads.records").0, Some(Verdict::Inconclusive));
    assert!(idle.case("t").faults.is_empty());
}
