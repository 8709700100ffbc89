//! Two faults on one object, left to the rollback: undone in reverse, they leave it as it was.

use super::harness::Test;
use super::{host::assert_clean, say};

/// Two faults, and what must hold when both are gone.
struct Pair {
    name: &'static str,
    volume: &'static str,
    first: &'static str,
    second: &'static str,
    /// More steps while both are in force.
    then: &'static str,
    after: &'static str,
}

const PAIRS: [Pair; 6] = [
    // the lower one comes off a stack last
    Pair {
        name: "mounts",
        volume: "docker: {}",
        first: "read-only: { target: \"agent:/data\" }",
        second: "shadow-mount: { target: \"agent:/data\" }",
        then: "",
        after: "mount: { service: agent, path: /data, shadowed: false, flags: [rw] }",
    },
    // each puts back what it found, and only if it finds what it left
    Pair {
        name: "bits",
        volume: "docker: {}",
        first: "mode: { target: \"agent:/data\", mode: \"0700\" }",
        second: "mode: { target: \"agent:/data\", mode: \"0711\" }",
        then: "",
        after: "file: { service: agent, path: /data, mode: \"0755\" }",
    },
    // the same by way of two containers
    Pair {
        name: "bits-of-two",
        volume: "docker: {}",
        first: "mode: { target: \"agent:/data\", mode: \"0700\" }",
        second: "mode: { target: \"other:/mnt\", mode: \"0711\" }",
        then: "",
        after: "file: { service: agent, path: /data, mode: \"0755\" }",
    },
    // nothing is removed from a filesystem that is frozen
    Pair {
        name: "full-and-frozen",
        volume: "ext4: { size: 16MiB }",
        first: "disk-full: { target: \"agent:/data\" }",
        second: "stall: { target: \"agent:/data\" }",
        then: "",
        after: "write: { service: agent, path: /data }",
    },
    // a group above the one that has a limit already, and comes off first
    Pair {
        name: "quota-in-quota",
        volume: "btrfs: { size: 128MiB }",
        first: "quota: { target: \"agent:/data\", used: 1% }",
        second: "quota: { target: \"agent:/data\", used: 1%, nested: true }",
        then: "",
        after: "write: { service: agent, path: /data }",
    },
    // nothing is left of it, and that refuses its own end; the other one goes on
    Pair {
        name: "full-quota-in-quota",
        volume: "btrfs: { size: 128MiB }",
        first: "quota: { target: \"agent:/data\", used: 1% }",
        second: "quota: { target: \"agent:/data\", nested: true }",
        then: "\n  - revert: second\n  - revert: first",
        after: "write: { service: agent, path: /data }",
    },
];

impl Pair {
    fn scenario(&self) -> String {
        let Self { name, volume, first, second, then, after } = self;
        format!(
            "keelhaul: 1
name: {name}
timeout: 60s
volumes: {{ data: {{ {volume} }} }}
services:
  agent: {{ image: keelhaul/specimen, mounts: {{ /data: data }}, stop_grace: 1s }}
  other: {{ image: keelhaul/specimen, args: [--data, /tmp/other], mounts: {{ /mnt: data }}, stop_grace: 1s }}
steady_state:
  - {after}
  - log: {{ service: agent, matches: 'state INIT ->' }}
steps:
  - inject: {{ {first} }}
    as: first
  - inject: {{ {second} }}
    as: second{then}
verify:
  - {after}
"
        )
    }
}

#[test]
fn two_faults_on_one_object_are_undone_in_reverse() {
    for pair in &PAIRS {
        let name = pair.name;
        let ended = Test::of(&pair.scenario()).finish();
        if ended.verdict() == "skipped" {
            say(&format!("{name}: skipped on this host"));
            continue;
        }
        let told = ended.told();
        assert_eq!((ended.code, ended.verdict()), (0, "pass".into()), "{name}: {told}");
        for assertion in
            ["first.effect", "second.effect", "first.revert", "second.revert", "verify[0]"]
        {
            assert_eq!(ended.asserted(assertion), "pass", "{name}: {assertion}: {told}");
        }
        assert_clean(&ended.id(), &ended.env, name);
    }
}

/// What switched quotas on switches them off, and takes with it what came later: that is said, and no
/// trouble to undo.
#[test]
fn a_quota_whose_outer_one_ends_first_is_noticed_and_gone() {
    let pair = PAIRS.iter().find(|pair| pair.name == "quota-in-quota").unwrap();
    let yaml = Pair { then: "\n  - wait: 7s\n  - revert: second", ..*pair }.scenario();
    let ended = Test::of(&yaml.replace("as: first", "as: first\n    for: 5s")).finish();
    if ended.verdict() == "skipped" {
        return say("quota-in-quota: skipped on this host");
    }
    let told = ended.told();
    assert_eq!((ended.code, ended.verdict()), (5, "inconclusive".into()), "{told}");
    assert_eq!(ended.asserted("second.lasting"), "inconclusive", "{told}");
    for assertion in ["first.effect", "second.effect", "first.revert", "second.revert"] {
        assert_eq!(ended.asserted(assertion), "pass", "{assertion}: {told}");
    }
    assert_clean(&ended.id(), &ended.env, pair.name);
}

/// What was changed through an interposer is a file beneath, which is there when that has gone.
#[test]
fn what_was_changed_through_an_inserted_interposer_is_put_back_without_it() {
    let pair = Pair {
        name: "beneath",
        volume: "docker: {}",
        first: "io-latency: { target: \"agent:/data\", latency: 50ms, ops: [open, read, stat, xattr], insert: true }",
        second: "mode: { target: \"agent:/data\", mode: \"0711\" }",
        then: "\n  - wait: 4s\n  - revert: second",
        after: "file: { service: agent, path: /data, mode: \"0755\" }",
    };
    // somebody must come to what is inserted
    let load =
        "workloads: { records: { ledger: { via: { http: { service: agent } }, rate: 50/s } } }";
    let yaml = pair.scenario().replace("steady_state:", &format!("{load}\nsteady_state:"));
    let yaml = yaml.replace("as: first", "as: first\n    for: 3s");
    let ended = Test::of(&yaml).finish();
    let told = ended.told();
    assert_eq!((ended.code, ended.verdict()), (0, "pass".into()), "{told}");
    for assertion in ["first.revert", "second.effect", "second.revert", "verify[0]"] {
        assert_eq!(ended.asserted(assertion), "pass", "{assertion}: {told}");
    }
    assert_clean(&ended.id(), &ended.env, pair.name);
}
