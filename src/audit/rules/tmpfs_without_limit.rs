//! `tmpfs-without-limit`: it may grow to half of the host's memory.

use crate::{
    audit::{Rule, Seen, Subject, Weight},
    runtime::ChosenSource,
};

pub(super) const RULE: Rule = Rule {
    name: "tmpfs-without-limit",
    weight: Weight::Danger,
    about: "A tmpfs has no limit of size.",
    risk: "It takes memory until the kernel kills a process, where a limit would have been a full disk.",
    proof: "capacity/tmpfs-unbounded",
    shows: "tmpfs-growth",
    keys: &[],
    look,
};

fn look(subject: &Subject) -> Vec<Seen> {
    let mounts = subject.choices.mounts.iter();
    let found = mounts.filter(|mount| mount.source == ChosenSource::Tmpfs(None) && mount.writable);
    let seen = found.map(|mount| Seen::at(mount, "the tmpfs is made without `size`"));
    seen.collect()
}
