//! `single-file`: a file is mounted, not its directory.

use crate::{
    audit::{Rule, Seen, Subject, Weight},
    runtime::ChosenSource,
};

pub(super) const RULE: Rule = Rule {
    name: "single-file",
    weight: Weight::Caution,
    about: "A single file of the host is mounted.",
    risk: "An editor or a deployment that renames a new file into place leaves the container with the old one.",
    proof: "mount/config-hot-reload",
    shows: "events",
    keys: &[],
    look,
};

fn look(subject: &Subject) -> Vec<Seen> {
    let binds = subject.choices.mounts.iter().filter_map(|mount| match &mount.source {
        ChosenSource::Bind(path) if !path.ends_with(".sock") => Some((mount, path)),
        _ => None,
    });
    let files = binds.filter(|(mount, _)| {
        subject.owners.get(&mount.destination).is_some_and(|owned| !owned.directory)
    });
    files.map(|(mount, path)| Seen::at(mount, format!("the host's `{path}` is a file"))).collect()
}
