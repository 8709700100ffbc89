//! What `explore` looks at beside the records: the filesystem's own check, a second cut in the midst of a
//! recovery, and the service itself on some of the states; and what is looked at later, by a log.

use std::{fs, path::Path, process::Command};

use keelhaul::{
    block::{Image, pack},
    crash_state::{CrashState, Facts, encode, hexadecimal},
    ledger::Log,
    protocol::ExploreReport,
};

use crate::harness::{Ran, Test};

/// A service whose records are looked at in states, as `ARGS` and `EXPLORE` say.
const SCENARIO: &str = r#"
keelhaul: 1
name: explored
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
verify:
  - explore: { workload: records, volume: data, states: 40, time: 30s, EXPLORE }
"#;

fn run(test: &Test, (volume, size): (&str, &str), args: &str, explore: &str) -> Ran {
    let scenario = SCENARIO.replace("VOLUME", volume).replace("SIZE", size).replace("ARGS", args);
    let scenario = scenario.replace("EXPLORE", explore);
    test.scenario("explored.yaml", &scenario).keelhaul(&["run", "explored.yaml"])
}

fn report(test: &Test) -> ExploreReport {
    test.record().cases[0].explored[0].1.clone()
}

#[test]
fn every_filesystem_is_whole_after_its_recovery() {
    for volume in [("ext4", "32MiB"), ("xfs", "300MiB"), ("btrfs", "128MiB")] {
        let test = Test::new();
        let ran = run(&test, volume, "", "file: journal.log, fsck: true");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let report = report(&test);
        assert!(report.checked > 5 && report.checked <= report.states, "{report:?}");
    }
}

/// The first block that an ext4's first block bitmap is in, by the first word of its group descriptors, which
/// are in the block behind the superblock's (`struct ext4_group_desc`).
fn bitmap(image: &Image) -> u64 {
    let word = |at: u64| {
        let mut word = [0; 4];
        image.read(at, &mut word);
        u64::from(u32::from_le_bytes(word))
    };
    let block = 1024 << word(1024 + 0x18);
    let descriptors = if block == 1024 { 2 * block } else { block };
    word(descriptors) * block
}

/// A kept state with nothing promised in it and a fresh filesystem, one bit of its bitmap turned where it is
/// `damaged`: the journal of one that was used would heal that.
fn with_bitmap(kept: &[u8], image: &Path, (fsck, damaged): (bool, bool)) -> Vec<u8> {
    let CrashState { facts, ledger, .. } = CrashState::decode(kept).unwrap();
    let bytes = fs::read(image).unwrap();
    let mut image = Image::new(bytes.len() as u64);
    for (at, chunk) in (0..).step_by(4096).zip(bytes.chunks(4096)) {
        if chunk.iter().any(|byte| *byte != 0) {
            image.write(at, chunk);
        }
    }
    let at = bitmap(&image);
    let mut byte = [0];
    image.read(at, &mut byte);
    if damaged {
        image.write(at, &[byte[0] ^ 1]);
    }
    let digest = hexadecimal(&image.digest());
    let facts = Facts { acknowledged: 0, fsck, digest, ..facts };
    let ledger = Log { run: ledger.run, ..Log::default() };
    encode(&facts, &ledger, &pack(&image, u64::MAX).unwrap()).unwrap()
}

#[test]
fn a_damaged_filesystem_that_can_be_mounted_and_read_is_found_by_its_own_check_alone() {
    let test = Test::new();
    let losing = "--weakness, ack-before-sync";
    let ran = run(&test, ("ext4", "32MiB"), losing, "file: journal.log, fsck: true");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let file = test.latest().join("crash-states/explored/records-1.crash");
    let kept = fs::read(&file).unwrap();
    assert!(CrashState::decode(&kept).unwrap().facts.fsck);
    let image = test.path("fresh.img");
    fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
    let made = Command::new("mkfs.ext4").args(["-q", "-F", "-b", "4096"]).arg(&image).status();
    assert!(made.unwrap().success());
    for (fsck, damaged, code) in [(true, false, 0), (false, true, 0), (true, true, 1)] {
        let other = test.path("other.crash");
        fs::write(&other, with_bitmap(&kept, &image, (fsck, damaged))).unwrap();
        let ran = test.keelhaul(&["replay", other.to_str().unwrap()]);
        assert_eq!(ran.code, Some(code), "fsck {fsck}, damaged {damaged}: {ran:?}");
        let told = ran.stdout.contains("`e2fsck` finds errors after its recovery: Block bitmap");
        assert_eq!(told, code == 1, "{ran:?}");
    }
}

/// Takes the records over into a file of its own, once: what recovery does is not the filesystem's alone.
const TAKES_OVER: &str = "\
import os, sys\n\
if os.path.exists('/data/journal.log'):\n    \
    lines = open('/data/journal.log', 'rb').read()\n    \
    new = os.open('/data/taken', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)\n    \
    os.write(new, lines)\n    \
    SYNC\n    \
    os.unlink('/data/journal.log')\n    \
    os.fsync(os.open('/data', os.O_RDONLY))\n\
if os.path.exists('/data/taken'):\n    \
    sys.stdout.buffer.write(open('/data/taken', 'rb').read())\n";

/// With a second service, whose program recovers.
fn taken_over(test: &Test, sync: &str) -> Ran {
    let script = serde_json::to_string(&TAKES_OVER.replace("SYNC", sync)).unwrap();
    let explore = format!(
        "second_cuts: 12, program: {{ service: reader, path: /data, command: [python3, -c, {script}] }}"
    );
    let reader = "  reader:\n    image: keelhaul/sqlite\n    pull: never\n    \
                  command: [python3, -c, 'import time; time.sleep(600)']\n    \
                  mounts: { /data: data }\nworkloads:";
    let scenario = SCENARIO.replace("VOLUME", "ext4").replace("SIZE", "32MiB").replace("ARGS", "");
    let scenario = scenario.replace("EXPLORE", &explore).replace("workloads:", reader);
    test.scenario("explored.yaml", &scenario).keelhaul(&["run", "explored.yaml"])
}

#[test]
fn a_recovery_that_loses_what_it_takes_over_is_found_by_a_second_cut_alone() {
    let test = Test::new();
    let ran = taken_over(&test, "os.fsync(new)");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let right = report(&test);
    assert!(right.second > 20 && right.wrong == 0, "{right:?}");

    let test = Test::new();
    let ran = taken_over(&test, "pass");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let fragile = report(&test);
    let first = fragile.first.clone().expect("a state");
    assert!(first.confirmed && first.second.is_some(), "{first:?}");
    assert!(first.wrong.starts_with("after a second cut at "), "{first:?}");
    // what is kept is what both cuts have left
    let file = test.latest().join("crash-states/explored/records-1.crash");
    let kept = fs::read(&file).unwrap_or_else(|error| panic!("{error}: {fragile:?}"));
    assert_eq!(CrashState::decode(&kept).unwrap().facts.digest, first.digest);
}

/// A service in SQLite; where it is `forgetful`, it begins anew whenever it starts.
fn restarted(test: &Test, forgetful: bool) -> Ran {
    let forget = "import os\nhas = os.path.exists\nagain = has('/data/started')\n\
                  open('/data/started', 'w').close()\n\
                  again and has('/data/records.db') and os.unlink('/data/records.db')\n\
                  exec(open('/app.py').read())";
    let command = match forgetful {
        true => format!("[python3, -c, {}]", serde_json::to_string(forget).unwrap()),
        false => "[python3, /app.py]".to_owned(),
    };
    let explore = "container: { service: agent, sample: 2 }, \
                   program: { service: agent, path: /data, command: [python3, /dump.py] }";
    let service = format!(
        "    image: keelhaul/sqlite\n    pull: never\n    command: {command}\n    \
         env: {{ JOURNAL: delete, SYNCHRONOUS: extra }}\n"
    );
    let scenario = SCENARIO.replace("VOLUME", "ext4").replace("SIZE", "32MiB");
    let scenario = scenario.replace("    image: keelhaul/specimen\n    args: [ARGS]\n", &service);
    let scenario = scenario.replace("EXPLORE", explore).replace("200/s", "60/s");
    test.scenario("explored.yaml", &scenario).keelhaul(&["run", "explored.yaml"])
}

#[test]
fn a_service_that_makes_something_else_of_a_state_than_its_program_is_found_by_its_container() {
    let test = Test::new();
    let ran = restarted(&test, false);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let events = fs::read_to_string(test.latest().join("events.jsonl")).unwrap();
    assert!(events.contains("`agent` itself was started on 2 sound states and 0 wrong ones"));

    let test = Test::new();
    let ran = restarted(&test, true);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(report(&test).wrong, 0, "its program sees nothing of that");
    let told = "on 2 of 2 states with which nothing else is wrong `agent` itself is; cut at ";
    assert!(ran.stdout.contains(told) || ran.stderr.contains(told), "{ran:?}");
}

#[test]
fn what_reads_the_states_wrongly_is_told_from_a_wrong_service_by_its_container() {
    let test = Test::new();
    let explore = "file: nowhere.log, container: { service: agent, wrong: 2 }";
    let ran = run(&test, ("ext4", "32MiB"), "", explore);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let told = "on 2 of 2 wrong states nothing is wrong with `agent` itself";
    assert!(ran.stdout.contains(told) || ran.stderr.contains(told), "{ran:?}");
}

#[test]
fn more_states_are_looked_at_by_a_log_without_the_service() {
    let explore = "file: journal.log, log_writes: true";
    let test = Test::new();
    let ran = run(&test, ("ext4", "32MiB"), "", explore);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let log = |test: &Test| test.latest().join("crash-states/explored/records-1.log-writes");
    let seen = |test: &Test, more: &[&str]| {
        let log = log(test);
        let words = ["explore", log.to_str().unwrap(), "--format", "json"];
        let ran = test.keelhaul(&[&words[..], more].concat());
        let value: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
        (ran, value)
    };
    let (ran, more) = seen(&test, &["--states", "400", "--seed", "8"]);
    assert_eq!((ran.code, &more["verdict"]), (Some(0), &"pass".into()), "{ran:?}");
    assert!(more["states"].as_u64().unwrap() > report(&test).states, "{more}");
    let (ran, _) = seen(&test, &["--profiles", "garbage"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("need only notice it"), "{ran:?}");
    let (ran, _) = seen(&test, &["--profiles", "data-first"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("one of these: drop"), "{ran:?}");

    let losing = Test::new();
    let ran = run(&losing, ("ext4", "32MiB"), "--weakness, ack-before-sync", explore);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let kept = losing.path("found.crash");
    let (ran, found) = seen(&losing, &["--keep", kept.to_str().unwrap()]);
    assert_eq!((ran.code, &found["verdict"]), (Some(1), &"fail".into()), "{ran:?}");
    let ran = losing.keelhaul(&["replay", kept.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");

    // a log is told from the log of another run, and from half a log
    let whole = fs::read(log(&test)).unwrap();
    fs::copy(log(&losing), log(&test)).unwrap();
    let (ran, _) = seen(&test, &[]);
    assert!(ran.code == Some(2) && ran.stderr.contains("are not in this log"), "{ran:?}");
    fs::write(log(&test), &whole[..whole.len() - 512]).unwrap();
    let (ran, _) = seen(&test, &[]);
    assert!(ran.code == Some(2) && ran.stderr.contains("in the midst of an entry"), "{ran:?}");
}
