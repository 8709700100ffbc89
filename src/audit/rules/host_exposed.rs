//! `host-exposed`: the engine's socket or the host's own directories are in the container.

use crate::{
    audit::{Rule, Seen, Subject, Weight},
    runtime::{ChosenSource, reaches_engine},
};

pub(super) const RULE: Rule = Rule {
    name: "host-exposed",
    weight: Weight::Danger,
    about: "The engine's socket or a directory of the host's system is mounted.",
    risk: "Who breaks into the service, or a slip in it, has the host and the engine that every other container needs.",
    proof: "engine/engine-comes-back",
    keys: &[],
    look,
};

/// Writable, each of them is the host.
const SYSTEM: [&str; 12] = [
    "/etc",
    "/root",
    "/boot",
    "/proc",
    "/sys",
    "/dev",
    "/usr",
    "/lib",
    "/var",
    "/var/lib",
    "/var/lib/docker",
    "/home",
];

fn look(subject: &Subject) -> Vec<Seen> {
    let found = subject.choices.mounts.iter().filter_map(|mount| {
        let ChosenSource::Bind(path) = &mount.source else { return None };
        if reaches_engine(path) {
            // a socket mounted read-only is as open as any
            let how = if path.ends_with(".sock") { "is" } else { "may hold" };
            return Some(Seen::at(mount, format!("the host's `{path}` {how} an engine's socket")));
        }
        let system = SYSTEM.contains(&path.as_str()) && mount.writable;
        system.then(|| Seen::at(mount, format!("the host's `{path}` is mounted writable")))
    });
    found.collect()
}
