//! `read-only-logs`: logs are to be written where nothing can be.

use crate::audit::{Rule, Seen, Subject, Weight, paths};

pub(super) const RULE: Rule = Rule {
    name: "read-only-logs",
    weight: Weight::Danger,
    about: "The directory for logs is mounted read-only.",
    risk: "The first line of the log fails with EROFS, and many services end on it.",
    proof: "mount/readonly-log-dir",
    keys: &[],
    look,
};

fn look(subject: &Subject) -> Vec<Seen> {
    let mounts = subject.choices.mounts.iter();
    let found = mounts.filter(|mount| !mount.writable && paths::is_for_logs(&mount.destination));
    found.map(|mount| Seen::at(mount, format!("{} is mounted read-only", mount.words()))).collect()
}
