//! Traces of volumes among the reports.

use std::{fs, path::Path};

use super::*;
use crate::{
    faults::testing,
    protocol::{InsertionOp, MOST_TRACED, Op, TraceFacts, TracedOp},
};

const INTERPOSED: &str = "\
services:
  agent:
    image: app
    env: { API_TOKEN: hunter22 }
    mounts: { /data: { volume: data } }
volumes: { data: { bind: { interpose: file } } }
steps:
  - inject: { io-error: { target: agent:/data, ops: [write] } }
    as: broken
";

/// Two operations, a microsecond apart, by the clock of the helper's host.
fn lines(set: &str) -> String {
    let op = |n: u64, rules: &[&str]| {
        let op = TracedOp {
            at_us: 999_000 + n,
            op: "write".into(),
            path: format!("hunter22/{n}"),
            process: Some("app".into()),
            rules: rules.iter().map(ToString::to_string).collect(),
            ..TracedOp::default()
        };
        serde_json::to_string(&op).unwrap() + "\n"
    };
    op(0, &[]) + &op(1, &[set])
}

async fn traced(facts: Option<TraceFacts>, reports: &Path) -> (Ran, Vec<TracedOp>) {
    let ran = Bench::of(INTERPOSED)
        .options(|options| options.trace_io = true)
        .reports(reports)
        .on("injected broken", 0, move |scene| {
            scene.world(|world| {
                let mut ops = world.applied.iter().flat_map(|entry| &entry.ops);
                let set = ops.find_map(|op| match op {
                    Op::ArmRules { set, .. } => Some(set.clone()),
                    _ => None,
                });
                world.beneath.interposed.trace = Some((facts, lines(&set.unwrap())));
            });
        })
        .run()
        .await;
    let text = fs::read_to_string(reports.join("io-traces/t/data.jsonl")).unwrap_or_default();
    (ran, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[tokio::test(start_paused = true)]
async fn a_trace_has_the_runs_clock_the_ids_of_its_faults_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let (most, none) = (MOST_TRACED, TraceFacts::default());
    let facts = TraceFacts { kept: 2, dropped: 3, after_end: 4, most, ..none };
    let (ran, ops) = traced(Some(facts), dir.path()).await;
    assert_eq!(ops.len(), 2, "{}", ran.told());
    assert_eq!((ops[0].path.as_str(), ops[1].path.as_str()), ("[redacted]/0", "[redacted]/1"));
    assert_eq!((ops[0].rules.len(), &ops[1].rules[..]), (0, &["broken".to_owned()][..]));
    // the helper's clock says one second when it is asked, which is after the last phase began
    let (last, asked) = (ran.case("t").phases.last().unwrap().0, ops[0].at_us + 1000);
    assert!(asked <= last && asked + 60_000_000 > last, "{asked} {last}");
    assert_eq!(ops[1].at_us, ops[0].at_us + 1);
    let notes = ran.case("t").notes.join("\n");
    assert!(notes.contains("trace of `data`: 2 operations in "), "{notes}");
    assert!(notes.contains("7 more are not in it: 3 came faster"), "{notes}");
    assert!(notes.contains("4 came after its 64MiB were full"), "{notes}");
    ran.scene.world(|world| {
        let mut ops = world.applied.iter().flat_map(|entry| &entry.ops);
        let told = |op: &Op| matches!(op, Op::Interpose { interposer } if interposer.traced);
        assert!(ops.any(told), "the interposer was told");
    });
}

#[tokio::test(start_paused = true)]
async fn nobody_says_that_a_trace_is_whole_whose_interposer_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (ran, ops) = traced(None, dir.path()).await;
    assert_eq!(ops.len(), 2);
    let notes = ran.case("t").notes.join("\n");
    assert!(notes.contains("how many are missing is not known: its interposer is gone"), "{notes}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_traced_is_told() {
    let without = INTERPOSED.replace("{ interpose: file }", "{}");
    let steps = without.split("steps:").next().unwrap().to_owned() + "steps: [{ wait: 1s }]\n";
    let ran = Bench::of(&steps).options(|options| options.trace_io = true).run().await;
    let notes = ran.case("t").notes.join("\n");
    assert!(notes.contains("no volume of this case has `interpose: file`"), "{notes}");
}

#[tokio::test(start_paused = true)]
async fn what_a_fault_inserts_is_traced_and_named_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let inserted = INTERPOSED
        .replace("{ bind: { interpose: file } }", "{ bind: {} }")
        .replace("ops: [write] }", "ops: [write], insert: true }");
    let facts = TraceFacts { kept: 2, ..TraceFacts::default() };
    let ran = Bench::of(&inserted)
        .options(|options| options.trace_io = true)
        .reports(dir.path())
        .on("started", 0, move |scene| {
            scene.world(|world| {
                let mut directory = testing::file(2, 2);
                directory.kind = "directory".into();
                world.files.insert("/data".into(), directory);
                world.beneath.interposed.trace = Some((Some(facts), lines("x")));
            });
        })
        .run()
        .await;
    let notes = ran.case("t").notes.join("\n");
    assert!(notes.contains("trace of what was inserted by `broken`: 2 operations in "), "{notes}");
    let text = fs::read_to_string(dir.path().join("io-traces/t/inserted/broken.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 2);
    ran.scene.world(|world| {
        let mut ops = world.applied.iter().flat_map(|entry| &entry.ops);
        let told = |op: &Op| matches!(op, Op::Insertion(InsertionOp::Insert { traced: true, .. }));
        assert!(ops.any(told), "the interposer was told");
    });
}
