//! `anonymous-volume`: nobody finds it again once its container is gone.

use crate::{
    audit::{Rule, Seen, Subject, Weight},
    runtime::ChosenSource,
};

pub(super) const RULE: Rule = Rule {
    name: "anonymous-volume",
    weight: Weight::Danger,
    about: "A volume has no name.",
    risk: "A container that is made anew gets an empty volume, and the old one is one of many without a name.",
    proof: "mount/volume-outlives-container",
    shows: "recreate",
    keys: &[],
    look,
};

/// The engine names them by 32 random bytes.
const DIGITS: usize = 64;

fn look(subject: &Subject) -> Vec<Seen> {
    let found = subject.choices.mounts.iter().filter_map(|mount| match &mount.source {
        ChosenSource::Volume(name) if is_random(name) => {
            Some(Seen::at(mount, format!("volume `{}…` was named by the engine", name.get(..12)?)))
        }
        ChosenSource::Volume(name) if name.is_empty() => {
            Some(Seen::at(mount, "the volume is given no name"))
        }
        _ => None,
    });
    found.collect()
}

fn is_random(name: &str) -> bool {
    name.len() == DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
