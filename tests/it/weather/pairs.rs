//! Two faults on one object, left to the rollback: undone in reverse, they leave it as it was.

use super::harness::Test;
use super::{host::assert_clean, say};

/// Two faults, and what must hold when both are gone.
struct Pair {
    name: &'static str,
    volume: &'static str,
    first: &'static str,
    second: &'static str,
    after: &'static str,
}

const PAIRS: [Pair; 4] = [
    // the lower one comes off a stack last
    Pair {
        name: "mounts",
        volume: "docker: {}",
        first: "read-only: { target: \"agent:/data\" }",
        second: "shadow-mount: { target: \"agent:/data\" }",
        after: "mount: { service: agent, path: /data, shadowed: false, flags: [rw] }",
    },
    // each puts back what it found, and only if it finds what it left
    Pair {
        name: "bits",
        volume: "docker: {}",
        first: "mode: { target: \"agent:/data\", mode: \"0700\" }",
        second: "mode: { target: \"agent:/data\", mode: \"0711\" }",
        after: "file: { service: agent, path: /data, mode: \"0755\" }",
    },
    // the same by way of two containers
    Pair {
        name: "bits-of-two",
        volume: "docker: {}",
        first: "mode: { target: \"agent:/data\", mode: \"0700\" }",
        second: "mode: { target: \"other:/mnt\", mode: \"0711\" }",
        after: "file: { service: agent, path: /data, mode: \"0755\" }",
    },
    // nothing is removed from a filesystem that is frozen
    Pair {
        name: "full-and-frozen",
        volume: "ext4: { size: 16MiB }",
        first: "disk-full: { target: \"agent:/data\" }",
        second: "stall: { target: \"agent:/data\" }",
        after: "write: { service: agent, path: /data }",
    },
];

impl Pair {
    fn scenario(&self) -> String {
        let Self { name, volume, first, second, after } = self;
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
    as: second
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
        for assertion in ["first.effect", "second.effect", "verify[0]"] {
            assert_eq!(ended.asserted(assertion), "pass", "{name}: {assertion}: {told}");
        }
        assert_clean(&ended.id(), &ended.env, name);
    }
}
