//! Faults on several objects, behind a condition, or in parts.

use std::collections::BTreeSet;

use super::*;
use crate::{
    run::Origin,
    verdict::{ExitCode, Verdict},
};

const CLUSTER: &str = "services:
  agent: { image: app }
  n1: { image: app, labels: { role: node } }
  n2: { image: app, labels: { role: node } }
  n3: { image: app, labels: { role: node } }
";

fn on_nodes(pick: &str) -> Bench {
    Bench::of(&format!(
        "{CLUSTER}steps:
  - inject: {{ pause: {{ target: {{ label: role=node, pick: {pick} }} }} }}
    as: p
  - wait: 1s
  - revert: p
"
    ))
}

fn hit(ran: &Ran) -> BTreeSet<String> {
    ran.case("t").faults.iter().map(|fault| fault.target.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn every_object_is_injected_proven_and_reverted_by_itself() {
    let ran = on_nodes("all").run().await;
    assert_eq!(ran.verdict, Verdict::Pass, "{}", ran.told());
    for node in ["n1", "n2", "n3"] {
        for end in ["effect", "revert"] {
            let id = format!("p[{node}].{end}");
            assert_eq!(ran.found(&id).0, Some(Verdict::Pass), "{id}");
        }
    }
    let calls = ran.scene.engine.calls();
    let order: Vec<&str> = calls
        .iter()
        .filter(|call| call.starts_with("pause") || call.starts_with("unpause"))
        .map(|call| call.rsplit('-').next().unwrap())
        .collect();
    assert_eq!(order, ["n1", "n2", "n3", "n3", "n2", "n1"], "last first: {calls:?}");
    assert!(ran.is_clean().await);
}

#[tokio::test(start_paused = true)]
async fn the_seed_chooses_and_the_report_says_which() {
    let first = on_nodes("2").run().await;
    let second = on_nodes("2").run().await;
    assert_eq!(first.verdict, Verdict::Pass, "{}", first.told());
    assert_eq!(hit(&first).len(), 2);
    assert_eq!(hit(&first), hit(&second), "the same seed, the same objects");
    let share = on_nodes("50%").run().await;
    assert_eq!(hit(&share), hit(&first), "half of three, rounded up");
    assert!(hit(&on_nodes("one").run().await).is_subset(&hit(&first)), "one of them is among two");
}

#[tokio::test(start_paused = true)]
async fn one_object_whose_effect_is_not_seen_is_inconclusive_and_the_others_are_undone() {
    let ran = on_nodes("all")
        .on("injected p[n1]", 0, |scene| scene.engine.lose("keelhaul-r0-n2"))
        .run()
        .await;
    assert_eq!(ran.found("p[n1].effect").0, Some(Verdict::Pass));
    assert_ne!(ran.found("p[n2].effect").0, Some(Verdict::Pass));
    assert!(ran.find("p[n3].effect").is_none(), "nothing more is injected");
    assert_eq!(ran.found("p[n1].revert").0, Some(Verdict::Pass));
}

const WAITING: &str = "steps:
  - inject: { kill: { target: agent } }
    as: k
    when:
      - http: { service: agent, path: /health, status: 503 }
    within: 3s
  - expect: [{ container: { service: agent, state: exited } }]
    as: later
";

#[tokio::test(start_paused = true)]
async fn a_fault_waits_until_its_condition_holds() {
    let ran = Bench::of(WAITING).on("Steps", 1000, |scene| scene.health(503)).run().await;
    assert_eq!(ran.verdict, Verdict::Pass, "{}", ran.told());
    let case = ran.case("t");
    let steps = case.phases.iter().find(|(_, phase)| *phase == crate::run::Phase::Steps).unwrap().0;
    assert!(case.faults[0].injecting_us - steps >= 1_000_000);
    assert_eq!(ran.found("k.when[0]").0, Some(Verdict::Pass));
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_does_not_come_to_hold_proves_nothing() {
    let ran = Bench::of(WAITING).run().await;
    assert_eq!(ran.exit(), ExitCode::Inconclusive, "{}", ran.told());
    assert_eq!(ran.found("k.when[0]").0, Some(Verdict::Inconclusive));
    assert_eq!(ran.found("later.expect[0]").0, None);
    assert!(ran.case("t").faults.is_empty(), "nothing was injected");
    assert!(ran.took.as_secs() < 10);
}

const FLAPPING: &str = "steps:
  - inject: { pause: { target: agent } }
    as: p
    for: 5s
    profile: { intermittent: { on: 1s, off: 1s } }
  - recover
objectives: { rto: 5s }
";

#[tokio::test(start_paused = true)]
async fn an_intermittent_fault_comes_and_goes_and_each_time_is_proven() {
    let ran = Bench::of(FLAPPING).run().await;
    assert_eq!(ran.verdict, Verdict::Pass, "{}", ran.told());
    let case = ran.case("t");
    let ids: Vec<&str> = case.faults.iter().map(|fault| fault.id.as_str()).collect();
    assert_eq!(ids, ["p[1/3]", "p[2/3]", "p[3/3]"]);
    for fault in &case.faults {
        let (at, proven, _, by) = fault.reverted.clone().unwrap();
        assert_eq!((proven, by), (true, Origin::Expiry), "{}", fault.id);
        let lasted = at - fault.injected.as_ref().unwrap().0;
        assert!((900_000..1_300_000).contains(&lasted), "{lasted}");
    }
    for pair in case.faults.windows(2) {
        let gap = pair[1].injecting_us - pair[0].reverted.as_ref().unwrap().0;
        assert!((700_000..1_100_000).contains(&gap), "{gap}");
    }
    // recovery counts from the end of the last of them
    assert!(case.recoveries[0].recovery_us.unwrap() < 1_000_000);
    assert!(ran.is_clean().await);
}

#[tokio::test(start_paused = true)]
async fn an_intermittent_fault_that_does_not_take_once_is_inconclusive() {
    let ran = Bench::of(FLAPPING)
        .on("reverted p[1/3]", 0, |scene| scene.world(|world| world.keeper.vacuous = true))
        .run()
        .await;
    assert_eq!(ran.exit(), ExitCode::Inconclusive, "{}", ran.told());
    assert_eq!(ran.found("p[1/3].effect").0, Some(Verdict::Pass));
    assert_eq!(ran.found("p[2/3].effect").0, Some(Verdict::Inconclusive));
    assert!(ran.find("p[3/3].effect").is_none());
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_between_two_cycles_leaves_nothing() {
    let ran = Bench::of(FLAPPING).on("reverted p[1/3]", 300, Scene::interrupt).run().await;
    assert_eq!(ran.exit(), ExitCode::Interrupted, "{}", ran.told());
    assert_eq!(ran.case("t").faults.len(), 1);
    assert!(ran.is_clean().await);
    let ran = Bench::of(FLAPPING).on("injected p[2/3]", 300, Scene::interrupt).run().await;
    assert_eq!(ran.found("p[2/3].revert").0, Some(Verdict::Pass), "{}", ran.told());
    assert!(ran.is_clean().await);
}
