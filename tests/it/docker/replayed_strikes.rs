//! What a fault on I/O struck in one run is struck again in another, or the run says what did not come.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;

use keelhaul::{
    protocol::{Counted, Struck, TracedOp},
    run::RunRecord,
    runtime::{Docker, ImageRef, PullPolicy, Runtime, SPECIMEN_IMAGE},
    verdict::Verdict,
};

use super::guest;
use crate::harness::Test;

/// A subject that does nothing, and a program in it that appends to a file byte by byte.
fn scenario(image: &str, appends: usize) -> String {
    let entrypoint = serde_json::to_string(&guest::command("wait")).unwrap();
    let appends =
        serde_json::to_string(&guest::command(&format!("appends /data/out {appends}"))).unwrap();
    format!(
        r#"
keelhaul: 1
name: replayed
volumes: {{ data: {{ docker: {{ interpose: file }} }} }}
services:
  agent: {{ image: "{image}", entrypoint: {entrypoint}, mounts: {{ /data: data }}, stop_grace: 1s }}
steps:
  - inject: {{ io-error: {{ target: "agent:/data", ops: [write], files: out, when: {{ probability: 40% }} }} }}
    as: broken
  - exec: {{ service: agent, command: {appends} }}
  - revert: broken
"#
    )
}

/// Likewise, where nothing lies under the volume: what strikes is inserted.
fn inserted(image: &str, appends: usize) -> String {
    let scenario = scenario(image, appends);
    let plain = scenario.replace("{ docker: { interpose: file } }", "{ docker: {} }");
    let inserted = plain.replace("files: out,", "files: out, insert: true,");
    assert!(plain != scenario && inserted != plain);
    inserted
}

/// What the fault struck, in order.
fn struck(record: &RunRecord) -> Vec<Counted> {
    let (hit, struck) = record.cases[0].faults[0].struck.clone().unwrap();
    assert_eq!(hit, struck.len() as u64);
    struck.iter().filter_map(Struck::counted).collect()
}

/// What became of the replay.
fn replay(record: &RunRecord) -> (Verdict, String) {
    let found = record.cases[0].assertions.iter().find(|one| one.id == "broken.replay");
    let found = found.unwrap_or_else(|| panic!("{record:?}"));
    (found.verdict.unwrap(), found.message.clone())
}

fn half_a_record_is_refused(test: &Test, first: &str) {
    let events = test.path("reports").join(first).join("events.jsonl");
    let events = fs::read_to_string(events).unwrap();
    let half: String = events.split_inclusive('\n').take(events.lines().count() / 2).collect();
    fs::create_dir(test.path("half")).unwrap();
    fs::write(test.path("half/events.jsonl"), half).unwrap();
    let half = test.keelhaul(&["run", "many.yaml", "--replay", "half"]);
    assert_eq!(half.code, Some(2), "{half:?}");
    assert!(half.stderr.contains("event file cut short"), "{half:?}");
}

#[tokio::test]
async fn a_replay_strikes_the_same_operations_under_another_seed_and_says_what_did_not_come() {
    let image = ImageRef { name: SPECIMEN_IMAGE.to_owned(), pull: PullPolicy::Never };
    let docker = Docker::connect(None).expect("these tests need a container engine");
    let image = docker.ensure_image(&image).await.unwrap();
    let test = Test::new();
    test.scenario("many.yaml", &scenario(&image, 100)).scenario("few.yaml", &scenario(&image, 20));
    let run = |file: &str, seed: &str, more: &[&str]| {
        let ran = test.keelhaul(&[&["run", file, "--seed", seed], more].concat());
        (ran, test.run_id(), test.record())
    };
    let (_, _, other) = run("many.yaml", "2", &[]);
    let (ran, first, record) = run("many.yaml", "1", &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let wanted = struck(&record);
    assert!((20..80).contains(&wanted.len()), "{wanted:?}");
    assert_ne!(struck(&other), wanted, "the seed decides");

    // by then `latest` is the run itself: what is recorded names the one that it was
    let (ran, _, again) = run("many.yaml", "2", &["--replay", "latest"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(struck(&again), wanted);
    let all = wanted.len();
    assert_eq!(replay(&again), (Verdict::Pass, format!("{all} of {all} that `{first}` struck")));
    assert!(again.cases[0].start.again.ends_with(&format!(" --replay {first}")));

    // a service that does less is not struck elsewhere instead
    let (ran, _, fewer) = run("few.yaml", "2", &["--replay", &first]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    let came: Vec<Counted> = wanted.iter().filter(|one| one.number <= 20).cloned().collect();
    assert_eq!(struck(&fewer), came);
    let (verdict, why) = replay(&fewer);
    let said = format!("{} of {all} that `{first}` struck; these did not come: write ", came.len());
    assert!(verdict == Verdict::Inconclusive && why.starts_with(&said), "{why}");

    half_a_record_is_refused(&test, &first);
    let unknown = test.keelhaul(&["run", "few.yaml", "--replay", "k000000"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(unknown.stderr.contains("the newest runs in"), "{unknown:?}");
}

#[tokio::test]
async fn more_than_are_listed_are_struck_again_through_what_is_inserted_and_traced() {
    let image = ImageRef { name: SPECIMEN_IMAGE.to_owned(), pull: PullPolicy::Never };
    let docker = Docker::connect(None).expect("these tests need a container engine");
    let image = docker.ensure_image(&image).await.unwrap();
    let test = Test::new();
    test.scenario("many.yaml", &inserted(&image, 1000));
    let run = |seed: &str, more: &[&str]| {
        let ran =
            test.keelhaul(&[&["run", "many.yaml", "--trace-io", "--seed", seed], more].concat());
        (ran, test.run_id(), test.record())
    };
    let all_of = |record: &RunRecord| record.cases[0].faults[0].all_struck.clone().unwrap();
    let (ran, first, record) = run("1", &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let wanted = all_of(&record);
    let many = wanted.numbered();
    assert!((300..500).contains(&many), "{many}");
    assert_eq!((wanted.uncounted, wanted.left_out), (0, 0));

    // every operation is there, with the fault that struck it
    let trace = test.path("reports").join(&first).join("io-traces/replayed/inserted/broken.jsonl");
    let text = fs::read_to_string(&trace).unwrap();
    let ops: Vec<TracedOp> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let writes = ops.iter().filter(|op| op.op == "write" && op.path == "out");
    assert_eq!(writes.clone().count(), 1000);
    let struck = writes.filter(|op| op.rules == ["broken"] && op.errno.as_deref() == Some("EIO"));
    assert_eq!(struck.count() as u64, many);
    let notes = record.cases[0].notes.join("\n");
    assert!(notes.contains("trace of what was inserted by `broken`: "), "{notes}");
    assert!(!notes.contains("not known"), "{notes}");

    let (ran, _, again) = run("2", &["--replay", &first]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(all_of(&again), wanted);
    assert_eq!(replay(&again), (Verdict::Pass, format!("{many} of {many} that `{first}` struck")));
}
