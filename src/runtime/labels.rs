//! Labels on everything that we create at an engine. They are how a later command finds it.

use std::collections::BTreeMap;

/// The run that an object belongs to.
pub const RUN: &str = "keelhaul.run";
/// What the object is for: one of the `ROLE_` words.
pub const ROLE: &str = "keelhaul.role";
/// The scenario that the object serves.
pub const SCENARIO: &str = "keelhaul.scenario";
/// On images: hash of the executable that the image holds.
pub const BUILD: &str = "keelhaul.build";

/// A container under test.
pub const ROLE_SUBJECT: &str = "subject";
/// The helper's container.
pub const ROLE_HELPER: &str = "helper";
/// The run's own volume: journal, intents, acknowledgements. The last object to be removed.
pub const ROLE_JOURNAL: &str = "journal";
/// An image made from our own executable.
pub const ROLE_IMAGE: &str = "image";
/// A container that is never started: while it is there, what it names is this run's alone.
pub const ROLE_CLAIM: &str = "claim";
/// A run's network.
pub const ROLE_NETWORK: &str = "network";
/// The container of a shell beside a subject.
pub const ROLE_SHELL: &str = "shell";
/// An empty volume that says: this run was kept on purpose.
pub const ROLE_KEPT: &str = "kept";
/// A subject's volume.
pub const ROLE_VOLUME: &str = "volume";

/// Name of a service's container, unique to the run.
#[must_use]
pub fn container_name(run: &str, service: &str) -> String {
    format!("keelhaul-{run}-{service}")
}

/// The labels of an object of a run.
#[must_use]
pub fn of(run: &str, role: &str, scenario: &str) -> BTreeMap<String, String> {
    [(RUN, run), (ROLE, role), (SCENARIO, scenario)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
