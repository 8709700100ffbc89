//! Bad weather around the subject: it exits at once, somebody removes it, the reports' disk is full.

use std::path::Path;

use super::harness::Test;
use super::{
    fixtures::Fixture,
    host::{assert_clean, docker},
    say,
};
use crate::harness::{self, SmallDisk};

#[test]
fn a_subject_that_exits_at_once_is_stated_with_its_exit_code() {
    let yaml = Fixture::called("read-only").scenario("");
    let yaml = yaml.replace("stop_grace: 1s", "args: [--no-such-option]");
    let ended = Test::of(&yaml.replace("timeout: 60s", "timeout: 4s")).finish();
    let told = ended.told();
    assert!([3, 5].contains(&ended.code), "{told}");
    assert!(told.contains("exit code 2"), "{told}");
    // it may have been seen running once, and ended before the fault
    let proven = |event: &serde_json::Value| event["proven"] == true;
    assert!(!ended.all("injected").into_iter().any(proven), "{told}");
    assert_clean(&ended.id(), &ended.env, "exits at once");
}

#[test]
fn a_subject_that_is_removed_by_somebody_else_is_stated() {
    for fault in ["read-only", "disk-full-ext4", "pause"] {
        let yaml = Fixture::called(fault).scenario("500ms").replace(
            "\n  - revert: fault",
            "\n  - expect: [{ container: { service: agent, state: running } }]\n    within: 1s\n  - revert: fault",
        );
        let mut run = Test::of(&yaml).start();
        let container = run.container();
        run.until("injected");
        docker(&run.env(), &["rm", "-f", &container]);
        let ended = run.end();
        let told = ended.told();
        assert!([1, 3].contains(&ended.code), "{fault}: {told}");
        let short = &container[..12];
        let named = told.contains("is gone") || told.contains("no such") || told.contains(short);
        assert!(named, "{fault}: {told}");
        assert_clean(&ended.id(), &ended.env, fault);
    }
}

/// What ends with the container is not what was observed from then on; a fill of its volume stays.
#[test]
fn a_restart_that_ends_the_fault_is_noticed() {
    let lost = Some("inconclusive");
    for (fault, lasting) in
        [("read-only", lost), ("disk-full-tmpfs", lost), ("disk-full-ext4", None)]
    {
        let yaml = Fixture::called(fault).scenario("1s").replace(
            "\n  - wait: 1s",
            "\n  - inject: { restart: { target: agent } }\n  - wait: 1s\n  - expect: [{ container: { service: agent, state: running } }]\n    as: later",
        );
        let ended = Test::of(&yaml).finish();
        let told = ended.told();
        let wanted = lasting.map_or(serde_json::Value::Null, Into::into);
        assert_eq!(ended.asserted("fault.lasting"), wanted, "{fault}: {told}");
        assert_eq!(ended.code, if lasting.is_some() { 5 } else { 0 }, "{fault}: {told}");
        let later = ended.asserted("later.expect[0]");
        assert_eq!(later.is_null(), lasting.is_some(), "{fault}: {told}");
        assert_eq!(
            told.contains("`agent` was started again"),
            lasting.is_some(),
            "{fault}: {told}"
        );
        assert_clean(&ended.id(), &ended.env, fault);
    }
}

#[test]
fn a_full_disk_under_the_reports_is_an_error_after_a_whole_rollback() {
    let directory = tempfile::tempdir().unwrap();
    let Some(small) = SmallDisk::at(directory.path(), "16k") else {
        return say(SmallDisk::NONE);
    };
    std::fs::write(small.path().join("ballast"), vec![0; 8 << 10]).unwrap();
    let ended = Test::of(&Fixture::called("read-only").scenario("")).out(small.path()).finish();
    let told = ended.told();
    assert_eq!(ended.code, 3, "{told}");
    assert!(ended.stderr.to_lowercase().contains("no space left"), "{told}");
    assert_eq!(ended.asserted("fault.revert"), "pass", "{told}");
    assert_clean(&ended.id(), &ended.env, "full disk");
}

#[test]
fn a_full_disk_under_a_suite_leaves_no_half_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let Some(small) = SmallDisk::at(directory.path(), "16k") else {
        return say(SmallDisk::NONE);
    };
    let test = harness::Test::new();
    let compose = "services: { db: { image: x, volumes: [ d:/d, e:/e ], restart: always } }\nvolumes: { d: {}, e: {} }\n";
    test.scenario("compose.yaml", compose);
    let out = small.path().join("suite").display().to_string();
    let init = || test.keelhaul(&["init", "--compose", "compose.yaml", "--out", &out]);
    let ran = init();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let told = ran.stderr.to_lowercase();
    assert!(told.contains("cannot write") && told.contains("no space left"), "{ran:?}");
    assert!(!Path::new(&out).exists(), "half a suite");
    let ran = init();
    assert!(!ran.stderr.contains("there already"), "{ran:?}");
}
