//! `shared-writers`: several containers write to the same place.

use crate::{
    audit::{Rule, Seen, Subject, Weight},
    diagnostic::listed,
    runtime::{ChosenMount, ChosenSource},
};

pub(super) const RULE: Rule = Rule {
    name: "shared-writers",
    weight: Weight::Danger,
    about: "Several containers may write to one volume or directory.",
    risk: "Without a lock they tear each other's records, and one that ends while it holds the lock stops all.",
    proof: "mount/shared-volume-writers",
    shows: "kill",
    keys: &[],
    look,
};

fn look(subject: &Subject) -> Vec<Seen> {
    // a socket is there to be shared, and so, by whoever mounts it alone, is a file
    let directory = |mount: &ChosenMount| {
        let socket = matches!(&mount.source, ChosenSource::Bind(path) if path.ends_with(".sock"));
        let owned = subject.owners.get(&mount.destination);
        !socket && owned.is_none_or(|owned| owned.directory)
    };
    let mounts = subject.choices.mounts.iter().filter(|mount| mount.writable && directory(mount));
    let found = mounts.filter_map(|mount| {
        let others = subject.writers.get(&mount.destination).filter(|others| !others.is_empty())?;
        let others = listed(others.iter().map(String::as_str));
        Some(Seen::at(mount, format!("{} is writable in {others} as well", mount.words())))
    });
    found.collect()
}
