//! A case that is walked by hand: the same checks and proofs as its steps would have.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::*;
use crate::{
    faults::FaultSpec,
    helper::HelperError,
    plan::needs::Missing,
    probes::ProbeSpec,
    protocol::Capability,
    run::{CaseRecord, Closed, Live, LiveError, Recorder},
    runtime::RuntimeError,
    scenario::RecoverStep,
    verdict::Verdict,
};

const MINUTE: Duration = Duration::from_secs(60);

fn fault(yaml: &str) -> FaultSpec {
    serde_saphyr::from_str(yaml).unwrap()
}

fn pause() -> FaultSpec {
    fault("pause: { target: agent }")
}

async fn open(parts: &str) -> (Live, Scene, Recorder) {
    let (live, scene, recorder) = Bench::of(parts).open().await;
    (live.unwrap_or_else(|closed| panic!("{closed:?}")), scene, recorder)
}

fn case(recorder: &Recorder) -> CaseRecord {
    recorder.record().cases.remove(0)
}

fn found(recorder: &Recorder, id: &str) -> Option<Verdict> {
    case(recorder).assertions.iter().rev().find(|one| one.id == id).and_then(|one| one.verdict)
}

#[tokio::test(start_paused = true)]
async fn what_is_done_by_hand_is_proven_and_recorded_like_steps() {
    let (live, scene, recorder) = open("").await;
    let injected = live.inject(&pause(), MINUTE).await.unwrap();
    assert_eq!(injected.id, "pause-1");
    let in_force = live.in_force();
    assert_eq!(in_force[0].id, "pause-1");
    assert!(in_force[0].left.is_some_and(|left| left > Duration::ZERO && left <= MINUTE));
    let paused: ProbeSpec =
        serde_saphyr::from_str("container: { service: agent, state: paused }").unwrap();
    assert!(live.read("looked", &paused).await.unwrap().holds());
    let seen = live.expect("seen", &[paused], MINUTE, Duration::ZERO).await.unwrap();
    assert_eq!(seen.0, Verdict::Pass, "{}", seen.1);
    live.revert("pause-1").await.unwrap();
    assert!(live.in_force().is_empty());
    let recovered = live.recover("recovered", &RecoverStep::default()).await.unwrap();
    assert_eq!(recovered.0, Verdict::Pass, "{}", recovered.1);
    live.note("lunch");
    let closed = live.close(false).await.unwrap();
    assert_eq!(closed.verdict, Verdict::Pass);
    for id in ["steady_state[0]", "pause-1.effect", "seen.expect[0]", "pause-1.revert", "recovered"]
    {
        assert_eq!(found(&recorder, id), Some(Verdict::Pass), "{id}");
    }
    let record = case(&recorder);
    assert!(record.notes.contains(&"lunch".to_owned()), "{:?}", record.notes);
    assert!(record.samples.iter().any(|at| at.during == ["pause-1"]));
    assert_eq!(record.residue.as_deref(), Some(&[][..]));
    assert!(scene.helper().open_entries().is_empty());
    assert_eq!(record.start.again, "", "`run` would do its own steps");
    assert_eq!(live.close(false).await, None);
    assert!(matches!(live.inject(&pause(), MINUTE).await, Err(LiveError::Over(_))));
}

#[tokio::test(start_paused = true)]
async fn the_keeper_ends_what_nobody_reverts() {
    let (live, _, recorder) = open("").await;
    live.inject(&pause(), Duration::from_secs(2)).await.unwrap();
    assert!(live.is_in_force("pause-1") && !live.is_in_force("pause-2"));
    // its time is up before anybody has seen it go
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!live.is_in_force("pause-1"));
    tokio::time::sleep(Duration::from_secs(18)).await;
    assert!(live.in_force().is_empty() && !live.is_in_force("pause-1"));
    assert_eq!(found(&recorder, "pause-1.revert"), Some(Verdict::Pass));
    let late = live.revert("pause-1").await;
    assert!(matches!(late, Err(LiveError::Expired(_))), "{late:?}");
    assert_eq!(live.close(false).await.unwrap().verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_refused_and_leaves_the_case_as_it_was() {
    let missing = Missing::only(Capability::IoLimits, "no io controller");
    let (live, ..) = Bench::of("volumes: { data: { docker: {} } }\nservices: { agent: { image: app, mounts: { /data: data } } }\n")
        .missing(missing)
        .open()
        .await;
    let live = live.unwrap_or_else(|closed| panic!("{closed:?}"));
    for (yaml, why) in [
        ("pause: { target: agnt }", "no service is called `agnt`"),
        ("read-only: { target: 'agent:/dat' }", "nothing is mounted at exactly `agent:/dat`"),
        ("disk-full: { target: 'agent:/data' }", "host-wide"),
    ] {
        let refused = live.inject(&fault(yaml), MINUTE).await;
        let told = refused.as_ref().map_err(ToString::to_string);
        assert!(
            matches!(&refused, Err(LiveError::Refused(text)) if text.contains(why)),
            "{told:?}"
        );
        assert!(!live.complaints(&fault(yaml)).is_empty());
    }
    let slow = fault("throttle: { target: 'agent:/data', write: 1MiB }");
    assert_eq!(live.unavailable(&slow).as_deref(), Some("no io controller"));
    assert!(matches!(live.inject(&slow, MINUTE).await, Err(LiveError::Unavailable(_))));
    assert_eq!(live.revert("pause-1").await, Err(LiveError::Unknown("pause-1".into())));
    assert_eq!(live.close(false).await.unwrap().verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_before_anything_happened_is_a_note_and_breaks_nothing() {
    let volume = "volumes: { data: { docker: {} } }\nservices: { agent: { image: app, mounts: { /data: data } } }\n";
    let (live, scene, recorder) = open(volume).await;
    let before = scene.helper().open_entries();
    let gone = fault("remove-file: { target: 'agent:/data/gone' }");
    let refused = live.inject(&gone, MINUTE).await;
    assert!(matches!(refused, Err(LiveError::Refused(_))), "{refused:?}");
    let record = case(&recorder);
    assert!(record.faults.is_empty());
    assert_eq!(scene.helper().open_entries(), before, "nothing was journaled");
    let [note] = &record.notes[..] else { panic!("{:?}", record.notes) };
    let told = "not injected: `remove-file` at `agent:/data/gone`: ";
    assert!(note.starts_with(told) && !note.contains("hint:"), "{note}");
    live.inject(&pause(), MINUTE).await.unwrap();
    assert_eq!(live.close(false).await.unwrap().verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn who_gives_no_answer_refuses_nothing_and_that_breaks_the_case() {
    let volume = "volumes: { data: { docker: {} } }\nservices: { agent: { image: app, mounts: { /data: data } } }\n";
    let (live, scene, recorder) = open(volume).await;
    let silent = HelperError::Timeout { seconds: 10, what: "look at a file".into() };
    scene.world(|world| world.helper_error = Some(silent));
    let failed = live.inject(&fault("remove-file: { target: 'agent:/data/f' }"), MINUTE).await;
    scene.world(|world| world.helper_error = None);
    assert!(failed.is_err(), "{failed:?}");
    assert_eq!(found(&recorder, "remove-file-1.effect"), Some(Verdict::Error));
    assert_eq!(case(&recorder).faults.len(), 1, "it was announced");
    assert_eq!(live.close(false).await.unwrap().verdict, Verdict::Error);
}

const NODES: &str = "services:
  agent: { image: app }
  n1: { image: app, labels: { role: node } }
  n2: { image: app, labels: { role: node } }
";

fn pause_nodes() -> FaultSpec {
    fault("pause: { target: { label: role=node, pick: all } }")
}

#[tokio::test(start_paused = true)]
async fn of_several_the_first_that_cannot_be_taken_back_is_told_and_stays_in_force() {
    let bench = Bench::of(NODES).on("injected pause-1[n1]", 0, |scene| {
        scene.engine.lose("keelhaul-r0-n2");
        scene.world(|world| world.keeper.stuck = true);
    });
    let (live, scene, _) = bench.open().await;
    let live = live.unwrap_or_else(|closed| panic!("{closed:?}"));
    let failed = live.inject(&pause_nodes(), MINUTE).await;
    assert!(matches!(failed, Err(LiveError::NotReverted(_))), "{failed:?}");
    let in_force: Vec<String> = live.in_force().into_iter().map(|one| one.id).collect();
    assert_eq!(in_force, ["pause-1"]);
    scene.world(|world| world.keeper.stuck = false);
    live.revert("pause-1").await.unwrap();
    assert!(live.in_force().is_empty());
    assert_eq!(live.close(false).await.unwrap().verdict, Verdict::Error);
}

#[tokio::test(start_paused = true)]
async fn what_is_called_off_between_two_objects_is_taken_back_and_no_refusal() {
    let known = Arc::new(OnceLock::<Arc<Live>>::new());
    let halted = Arc::clone(&known);
    let halt = move |_: &Scene| halted.get().unwrap().halt();
    let (live, _, recorder) = Bench::of(NODES).on("injected pause-1[n1]", 0, halt).open().await;
    let live = Arc::new(live.unwrap_or_else(|closed| panic!("{closed:?}")));
    known.set(Arc::clone(&live)).unwrap_or_else(|_| panic!("once"));
    assert_eq!(live.inject(&pause_nodes(), MINUTE).await, Err(LiveError::Stopped));
    assert!(live.in_force().is_empty());
    assert_eq!(found(&recorder, "pause-1[n1].revert"), Some(Verdict::Pass));
    assert_eq!(case(&recorder).faults.len(), 1);
    live.stop().await;
    assert_eq!(live.close(false).await.unwrap().verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn what_the_keeper_refuses_was_begun_and_breaks_the_case() {
    let (live, scene, recorder) = open("").await;
    let (doing, detail) = ("killing".to_owned(), "busy".to_owned());
    scene.engine.fail("kill", 1, RuntimeError::Refused { doing, detail });
    let failed = live.inject(&fault("kill: { target: agent }"), MINUTE).await;
    assert!(matches!(failed, Err(LiveError::Failed(_))), "it was begun: {failed:?}");
    assert_eq!(found(&recorder, "kill-1.effect"), Some(Verdict::Error));
    assert_eq!(live.close(false).await.unwrap().verdict, Verdict::Error);
}

#[tokio::test(start_paused = true)]
async fn an_effect_that_is_not_seen_is_reverted_and_the_verdict_keeps_it() {
    let (live, scene, recorder) = open("").await;
    scene.world(|world| world.keeper.vacuous = true);
    let unproven = live.inject(&pause(), MINUTE).await;
    assert!(matches!(unproven, Err(LiveError::Unproven(_))), "{unproven:?}");
    assert!(live.in_force().is_empty());
    scene.world(|world| world.keeper.vacuous = false);
    live.inject(&pause(), MINUTE).await.unwrap();
    live.stop().await;
    assert!(live.in_force().is_empty());
    assert_eq!(found(&recorder, "pause-2.revert"), Some(Verdict::Pass));
    assert_eq!(live.close(false).await.unwrap().verdict, Verdict::Inconclusive);
}

#[tokio::test(start_paused = true)]
async fn stop_says_what_it_could_not_revert_and_that_stays_in_force() {
    let (live, scene, recorder) = open("").await;
    live.inject(&pause(), MINUTE).await.unwrap();
    scene.world(|world| world.keeper.stuck = true);
    let ends = live.stop().await;
    assert!(matches!(&ends[..], [one] if one.id == "pause-1" && one.is_left()), "{ends:?}");
    assert_eq!(live.in_force()[0].id, "pause-1");
    let reverted = live.revert("pause-1").await;
    assert!(matches!(reverted, Err(LiveError::NotReverted(_))), "{reverted:?}");
    assert_eq!(live.in_force().len(), 1);
    scene.world(|world| world.keeper.stuck = false);
    let ends = live.stop().await;
    assert!(matches!(&ends[..], [one] if one.end.is_ok()), "{ends:?}");
    assert!(live.in_force().is_empty() && live.stop().await.is_empty());
    assert_eq!(found(&recorder, "pause-1.revert"), Some(Verdict::Pass));
    assert_eq!(live.close(false).await.unwrap().verdict, Verdict::Error, "it is not forgotten");
}

#[tokio::test(start_paused = true)]
async fn what_the_keeper_could_not_revert_stays_in_force() {
    let (live, scene, _) = open("").await;
    live.inject(&pause(), Duration::from_secs(2)).await.unwrap();
    scene.world(|world| world.keeper.stuck = true);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(live.in_force()[0].left, Some(Duration::ZERO));
    scene.world(|world| world.keeper.stuck = false);
    live.revert("pause-1").await.unwrap();
    assert!(live.in_force().is_empty());
    assert_eq!(live.close(false).await.unwrap().verdict, Verdict::Error);
}

/// A load that is never worth the name: an injection waits for it for seconds.
const IDLE: &str =
    "workloads: { records: { ledger: { via: { http: { service: agent } }, rate: 100/s } } }\n";

#[tokio::test(start_paused = true)]
async fn stop_calls_off_what_waits_and_what_has_touched_nothing_yet() {
    let bench = Bench::of(IDLE).world(|world| world.keeper.pace = 0);
    let (live, _, recorder) = bench.open().await;
    let live = live.unwrap_or_else(|closed| panic!("{closed:?}"));
    let began = tokio::time::Instant::now();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        live.stop().await
    };
    let (first, waiting) = (pause(), pause());
    let (first, waiting, ends) =
        tokio::join!(live.inject(&first, MINUTE), live.inject(&waiting, MINUTE), stop);
    assert_eq!(first, Err(LiveError::Stopped));
    assert_eq!(waiting, Err(LiveError::Stopped));
    assert!(ends.is_empty() && began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(case(&recorder).faults.len(), 0);
    live.halt();
    assert_eq!(live.inject(&pause(), MINUTE).await, Err(LiveError::Stopped));
    live.stop().await;
    live.inject(&pause(), MINUTE).await.unwrap();
    assert!(live.is_in_force("pause-1"));
    live.close(false).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stop_comes_right_after_what_is_being_done_to_a_subject() {
    let known = Arc::new(OnceLock::<Arc<Live>>::new());
    let halted = Arc::clone(&known);
    let halt = move |_: &Scene| halted.get().unwrap().halt();
    let (live, _, recorder) = Bench::of("").on("injecting pause-1", 0, halt).open().await;
    let live = Arc::new(live.unwrap_or_else(|closed| panic!("{closed:?}")));
    known.set(Arc::clone(&live)).unwrap_or_else(|_| panic!("once"));
    let (first, waiting) = (pause(), pause());
    let (first, waiting) = tokio::join!(live.inject(&first, MINUTE), live.inject(&waiting, MINUTE));
    let ends = live.stop().await;
    assert_eq!(first.map(|injected| injected.id).as_deref(), Ok("pause-1"));
    assert_eq!(waiting, Err(LiveError::Stopped));
    assert!(matches!(&ends[..], [one] if one.end.is_ok()), "{ends:?}");
    assert!(live.in_force().is_empty());
    assert_eq!(case(&recorder).faults.len(), 1);
    live.close(false).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_nobody_reverted_goes_with_the_end() {
    let (live, scene, recorder) = open("").await;
    live.inject(&pause(), MINUTE).await.unwrap();
    assert_eq!(scene.helper().open_entries().len(), 2, "the set-up's and the fault's");
    assert_eq!(live.close(false).await.unwrap().verdict, Verdict::Pass);
    assert_eq!(found(&recorder, "pause-1.revert"), Some(Verdict::Pass));
    assert!(scene.helper().open_entries().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_case_that_is_interrupted_takes_nothing_more() {
    let (live, scene, _) = open("").await;
    live.inject(&pause(), MINUTE).await.unwrap();
    scene.interrupt();
    assert_eq!(live.ended().await, "interrupted");
    assert!(matches!(live.inject(&pause(), MINUTE).await, Err(LiveError::Over(_))));
    let closed = live.close(false).await.unwrap();
    assert_eq!((closed.verdict, closed.ending.interrupted), (Verdict::Error, true));
    assert!(scene.helper().open_entries().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_come_up_is_closed_at_once() {
    let (live, scene, recorder) =
        Bench::of("").world(|world| world.http = Err("connection refused".into())).open().await;
    let Err(Closed { verdict, .. }) = live else { panic!("it came up") };
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(case(&recorder).residue.as_deref(), Some(&[][..]));
    assert!(scene.helper().open_entries().is_empty());
    let missing = Missing::only(Capability::Fuse, "no fuse");
    let parts = "requires: [fuse]\n";
    let (live, ..) = Bench::of(parts).missing(missing).open().await;
    assert!(matches!(live, Err(Closed { verdict: Verdict::Skipped, .. })));
}
