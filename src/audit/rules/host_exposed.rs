//! `host-exposed`: the engine's socket or the host's own directories are in the container.

use crate::{
    audit::{Rule, Seen, Subject, Weight},
    runtime::ChosenSource,
};

pub(super) const RULE: Rule = Rule {
    name: "host-exposed",
    weight: Weight::Danger,
    about: "The engine's socket or a directory of the host's system is mounted.",
    risk: "Who breaks into the service, or a slip in it, has the host and the engine that every other container needs.",
    proof: "engine/engine-comes-back",
    look,
};

const SOCKETS: [&str; 4] = ["docker.sock", "containerd.sock", "podman.sock", "crio.sock"];
/// Writable, each of them is the host.
const SYSTEM: [&str; 9] =
    ["/", "/etc", "/root", "/boot", "/proc", "/sys", "/dev", "/usr", "/var/lib/docker"];

fn look(subject: &Subject) -> Vec<Seen> {
    let found = subject.choices.mounts.iter().filter_map(|mount| {
        let ChosenSource::Bind(path) = &mount.source else { return None };
        let name = path.rsplit('/').next().unwrap_or_default();
        if SOCKETS.contains(&name) {
            // a socket mounted read-only is as open as any
            return Some(Seen::at(mount, format!("the host's `{path}` is an engine's socket")));
        }
        let system = SYSTEM.contains(&path.as_str()) && mount.writable;
        system.then(|| Seen::at(mount, format!("the host's `{path}` is mounted writable")))
    });
    found.collect()
}
