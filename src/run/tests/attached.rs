//! Containers that the run did not make: taken up as they are, and left as they were.

use std::time::Duration;

use futures_util::FutureExt as _;

use super::*;
use crate::{
    faults::FaultSpec,
    runtime::{ContainerSpec, RestartPolicy, Runtime as _, State, labels},
    verdict::{ExitCode, Verdict},
};

const PAUSE: &str = "allow: [attach]
services: { db: { attach: { container: shop-db } } }
steady_state: [{ http: { service: db, path: /health, status: 200 } }]
steps:
  - inject: { pause: { target: db } }
    as: p
  - wait: 3s
  - revert: p
  - recover
";

/// The container by whose name the other is this run's alone.
const CLAIM: &str = "keelhaul-attached-";

/// What was asked of the engine about the container, but looks.
fn done_to_it(ran: &Ran) -> Vec<String> {
    let calls = ran.scene.engine.calls();
    let made = calls.iter().position(|call| *call == format!("start {THEIRS}")).unwrap();
    let later = calls[made + 1..].iter();
    later
        .filter(|call| call.ends_with(THEIRS) && !call.contains(CLAIM))
        .filter(|call| !call.starts_with("inspect ") && !call.starts_with("logs "))
        .cloned()
        .collect()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_to_it_but_the_fault_and_its_undo() {
    let ran = Bench::of(PAUSE).run().await;
    assert_eq!(ran.exit(), ExitCode::Pass, "{}", ran.told());
    assert_eq!(done_to_it(&ran), [format!("pause {THEIRS}"), format!("unpause {THEIRS}")]);
    let calls = ran.scene.engine.calls();
    let makes = |call: &&String| call.starts_with("create-");
    let made: Vec<_> = calls.iter().filter(makes).collect();
    let [_, claim] = made[..] else { panic!("besides the one that was there: {calls:?}") };
    assert!(claim.contains(CLAIM), "{calls:?}");
    assert!(ran.case("t").attached.contains("db"));
    assert!(ran.is_clean().await);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_killed_is_started_by_the_rollback() {
    let kill = PAUSE.replace("pause:", "kill:").replace("  - revert: p\n  - recover\n", "");
    let ran = Bench::of(&kill).run().await;
    assert_eq!(ran.exit(), ExitCode::Pass, "{}", ran.told());
    assert_eq!(done_to_it(&ran), [format!("kill {THEIRS}"), format!("start {THEIRS}")]);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_survive_is_not_started_but_named() {
    let ran = Bench::of(PAUSE)
        .on("reverted p", 0, |scene| {
            scene.engine.change(THEIRS, |facts| facts.state = State::Exited);
        })
        .run()
        .await;
    assert_eq!(ran.verdict, Verdict::Error, "{}", ran.told());
    let why = ran.reasons("t");
    assert!(why.contains("container shop-db is exited, and was running"), "{why}");
    assert!(!done_to_it(&ran).contains(&format!("start {THEIRS}")));
}

#[tokio::test(start_paused = true)]
async fn one_that_runs_with_another_limit_is_not_as_it_was_found() {
    let ran = Bench::of(PAUSE)
        .on("reverted p", 0, |scene| {
            scene.engine.change(THEIRS, |facts| facts.restart = RestartPolicy::Always);
        })
        .run()
        .await;
    assert_eq!(ran.verdict, Verdict::Error, "{}", ran.told());
    let why = ran.reasons("t");
    assert!(why.contains("container shop-db has the restart policy always, and had no"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_removed_meanwhile_is_an_error_and_all_else_is_undone() {
    let ran = Bench::of(PAUSE).on("injected p", 500, |scene| scene.engine.lose(THEIRS)).run().await;
    assert_eq!(ran.verdict, Verdict::Error, "{}", ran.told());
    let why = ran.reasons("t");
    assert!(why.contains("the container of `db` was removed by someone else"), "{why}");
    assert!(ran.is_clean().await);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_gone_before_the_start_is_an_error() {
    let twice = format!("{PAUSE}repeat: 2\n");
    let ran = Bench::of(&twice).on("case t#2 1", 0, |scene| scene.engine.lose(THEIRS)).run().await;
    let why = ran.reasons("t#2");
    assert!(why.contains("service `db`: container `shop-db` was removed"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn by_hand_what_cannot_be_given_back_is_refused_with_its_reason() {
    let (live, scene, _) = Bench::of(PAUSE).open().await;
    let live = live.unwrap_or_else(|closed| panic!("{closed:?}"));
    let fault = |yaml: &str| -> FaultSpec { serde_saphyr::from_str(yaml).unwrap() };
    for (yaml, why) in [
        ("recreate: { target: db }", "is not what was there"),
        ("read-only: { target: 'db:/data' }", "nothing is mounted in `shop-db`"),
    ] {
        let told = live.complaints(&fault(yaml)).join("; ");
        assert!(told.contains(why), "{told}");
    }
    let pause = fault("pause: { target: db }");
    assert_eq!(live.complaints(&pause), Vec::<String>::new());
    live.inject(&pause, Duration::from_secs(60)).await.unwrap();
    assert_eq!(live.close(false).await.unwrap().verdict, Verdict::Pass);
    assert_eq!(scene.engine.inspect(THEIRS).await.unwrap().state, State::Running);
}

#[tokio::test(start_paused = true)]
async fn what_has_the_name_of_a_claim_is_in_the_way_and_stays() {
    let of_a_run = labels::of("r9", labels::ROLE_CLAIM, "");
    for (labels, said) in [(of_a_run, "is run `r9`'s"), (Default::default(), "no run has made")] {
        let name = format!("{CLAIM}id-{THEIRS}");
        let spec = ContainerSpec { name: name.clone(), labels, ..ContainerSpec::default() };
        let ran = Bench::of(PAUSE)
            .on("case t 1", 0, move |scene| {
                scene.engine.create_container(&spec).now_or_never().unwrap().unwrap();
            })
            .run()
            .await;
        assert_eq!(ran.exit(), ExitCode::Error, "{}", ran.told());
        assert!(ran.told().contains(said), "{}", ran.told());
        assert!(ran.scene.engine.inspect(&name).await.is_ok(), "it stays");
        assert_eq!(done_to_it(&ran), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn two_cases_on_containers_of_others_never_run_side_by_side() {
    let matrix = format!("{PAUSE}matrix: {{ axes: {{ n: [1, 2, 3] }} }}\n");
    let ran = Bench::of(&matrix).options(|options| options.jobs = 3).run().await;
    assert_eq!(ran.exit(), ExitCode::Pass, "{}", ran.told());
    let calls = done_to_it(&ran);
    let pair = [format!("pause {THEIRS}"), format!("unpause {THEIRS}")];
    assert_eq!(calls, [pair.clone(), pair.clone(), pair].concat());
}
