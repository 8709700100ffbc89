//! A state that breaks a promise is kept, and judged again by whoever has its file.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use keelhaul::protocol::{ExploreReport, KeptFile};
use serde_json::Value;

use crate::harness::{DEADLINE, Ran, Test};

/// A service that acknowledges what is in the page cache only.
const LOSING: &str = r#"
keelhaul: 1
name: losing
volumes:
  data: { ext4: { size: 32MiB, interpose: block } }
services:
  agent:
    image: keelhaul/specimen
    args: [--weakness, ack-before-sync]
    mounts: { /data: data }
workloads:
  records: { ledger: { via: { http: { service: agent } }, rate: 200/s, writers: 2 } }
steady_state:
  - ledger: { workload: records, acked_per_second: { min: 20 } }
steps:
  - wait: 300ms
verify:
  - explore: { workload: records, volume: data, file: journal.log, states: 40, time: 10s, log_writes: true }
"#;

fn replayed(test: &Test, file: &str) -> (Ran, Value) {
    let ran = test.keelhaul(&["replay", file, "--format", "json"]);
    let mut value: Value = serde_json::from_str(&ran.stdout).unwrap_or(Value::Null);
    // all but how long it took
    if let Some(whole) = value.as_object_mut() {
        whole.remove("took_us");
    }
    (ran, value)
}

fn kept(test: &Test) -> PathBuf {
    let test = test.scenario("losing.yaml", LOSING);
    let ran = test.keelhaul(&["run", "losing.yaml"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let file = test.latest().join("crash-states/losing/records-1.crash");
    let told = test.record().cases[0].explored[0].1.state.clone();
    let there = matches!(&told, Some(KeptFile::Written { path }) if test.path(path) == file);
    assert!(there, "{told:?}");
    assert!(file.with_extension("json").exists());
    let events = fs::read_to_string(test.latest().join("events.jsonl")).unwrap();
    assert!(events.contains(r#""kind":"exploring""#), "nobody was told how far it is");
    let log = fs::read(file.with_extension("log-writes")).unwrap();
    assert!(log.starts_with(&0x006a_7366_7773_6872_u64.to_le_bytes()));
    file
}

/// What is left of the disks that states are put on.
fn disks() -> Vec<String> {
    let disks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let files = disks.filter_map(|it| fs::read_to_string(it.path().join("loop/backing_file")).ok());
    files.filter(|file| file.trim().ends_with("-state")).collect()
}

#[test]
fn a_kept_state_gives_the_same_verdict_every_time_and_leaves_nothing() {
    let test = Test::new();
    let path = kept(&test);
    let file = path.to_str().unwrap();
    let (ran, first) = replayed(&test, file);
    assert_eq!((ran.code, &first["verdict"]), (Some(1), &"fail".into()), "{ran:?}");
    assert_eq!(first["wrong"], first["state"]["wrong"], "as when it was kept");
    for _ in 0..2 {
        assert_eq!(replayed(&test, file).1, first);
    }
    // those of others, who replay at the same time, go too
    let until = Instant::now() + DEADLINE;
    while !disks().is_empty() {
        assert!(Instant::now() < until, "{:?}", disks());
        thread::sleep(Duration::from_millis(200));
    }

    let extracted = test.path("disk.img");
    let ran = test.keelhaul(&["replay", file, "--extract", extracted.to_str().unwrap()]);
    let facts = fs::metadata(&extracted).unwrap();
    assert_eq!((ran.code, facts.len()), (Some(0), 32 << 20));
    assert!(facts.blocks() * 512 < facts.len() / 2, "it is sparse");

    let mut bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    let (ran, _) = replayed(&test, file);
    assert!(ran.code == Some(2) && ran.stderr.contains("bytes where it must have"), "{ran:?}");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (ran, _) = replayed(&test, file);
    assert!(ran.code == Some(2) && ran.stderr.contains("its checksum does not fit"), "{ran:?}");
    let (ran, _) = replayed(&test, "losing.yaml");
    assert!(ran.code == Some(2) && ran.stderr.contains("this is no crash state"), "{ran:?}");
}

/// Looked at twice, once nothing is written to the disk any more: where nobody runs, nothing is mounted.
const TWICE: &str = r#"
keelhaul: 1
name: twice
volumes:
  data: { VOLUME: { size: SIZE, interpose: block } }
services:
  agent:
    image: keelhaul/specimen
    args: [ARGS]
    mounts: { /data: data }
workloads:
  records: { ledger: { via: { http: { service: agent } }, rate: 200/s, writers: 2 } }
steady_state:
  - ledger: { workload: records, acked_per_second: { min: 20 } }
steps:
  - wait: 500ms
  - inject: { kill: { target: agent } }
  - expect: [{ container: { service: agent, state: exited } }]
    within: 5s
verify:
  - explore: { workload: records, volume: data, file: journal.log, states: 120, time: 60s, workers: 1 }
  - explore: { workload: records, volume: data, file: journal.log, states: 120, time: 60s, workers: 2 }
"#;

/// What one and two workers have found, but for how long it took and where it is kept.
fn one_and_two(volume: &str, args: &str) -> [ExploreReport; 2] {
    let test = Test::new();
    let size = if volume == "xfs" { "300MiB" } else { "32MiB" };
    let scenario = TWICE.replace("VOLUME", volume).replace("SIZE", size).replace("ARGS", args);
    let ran = test.scenario("twice.yaml", &scenario).keelhaul(&["run", "twice.yaml"]);
    let mut cases = test.record().cases;
    let explored = cases.pop().map(|case| case.explored).unwrap_or_default();
    let [(_, one), (_, two)] = explored.try_into().unwrap_or_else(|_| panic!("{ran:?}"));
    assert_eq!((one.workers, two.workers), (1, 2));
    test.assert_no_residue();
    [one, two].map(|report| ExploreReport { took_us: 0, workers: 0, state: None, ..report })
}

#[test]
fn two_workers_find_what_one_finds() {
    for volume in ["ext4", "xfs"] {
        let [one, two] = one_and_two(volume, "--weakness, ack-before-sync");
        assert!(one.wrong > 0 && one.first.as_ref().is_some_and(|it| it.confirmed), "{one:?}");
        assert_eq!(one, two);
        let [one, two] = one_and_two(volume, "");
        // how many of them are alike is up to the moments that were chosen
        assert!(one.wrong == 0 && one.states > 60 && one.recovered > 1, "{one:?}");
        assert_eq!(one, two);
    }
}
