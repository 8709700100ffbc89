//! `state-on-tmpfs`: what looks like state is in memory.

use crate::{
    audit::{Rule, Seen, Subject, Weight, paths},
    runtime::ChosenSource,
};

pub(super) const RULE: Rule = Rule {
    name: "state-on-tmpfs",
    weight: Weight::Danger,
    about: "A path that is not for scratch is on a tmpfs.",
    risk: "What is kept there is gone with every restart of the container, in order or not.",
    proof: "mount/tmpfs-state-loss",
    shows: "tmpfs-restart",
    keys: &[],
    look,
};

fn look(subject: &Subject) -> Vec<Seen> {
    let found = subject.choices.mounts.iter().filter(|mount| {
        let path = &mount.destination;
        let tmpfs = matches!(mount.source, ChosenSource::Tmpfs(_)) && mount.writable;
        tmpfs && !paths::is_scratch(path) && !paths::is_for_logs(path)
    });
    let seen = found.map(|mount| {
        let path = &mount.destination;
        Seen::at(mount, format!("`{path}` is a tmpfs, and its name says nothing of scratch"))
    });
    seen.collect()
}
