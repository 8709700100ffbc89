//! Names the choices about a container's mounts that bite later, before they do.
//!
//! Each rule is one file in `rules/` and one line in its table; it sees a [`Subject`], which holds
//! what was found, and says what bites. Only [`gather`] asks the engine, and it changes nothing.

mod declared;
mod gather;
mod paths;
mod rules;
mod text;
mod user;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    plan::radius::overlap,
    runtime::{Choices, ChosenMount, Hidden, Owned},
};
pub use declared::declared;
pub use gather::{Unlooked, gather};
pub use rules::RULES;
pub use text::{human, proof};
pub use user::resolve;

/// A container and everything that rules look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// What was chosen.
    pub choices: Choices,
    /// User and groups of its first process; none where they cannot be told.
    pub user: Option<User>,
    /// Who owns the root of a mount, by path.
    pub owners: BTreeMap<String, Owned>,
    /// What a mount hides, by path.
    pub hidden: BTreeMap<String, Hidden>,
    /// Other containers that may write to the same volume or directory, by path.
    pub writers: BTreeMap<String, Vec<String>>,
    /// Others wait for its end: it is there to end.
    pub is_job: bool,
    /// Keys of its Compose file that were not understood: no rule finds what they may say otherwise.
    pub not_understood: BTreeSet<String>,
}

/// Whom a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u64,
    /// Group id.
    pub gid: u64,
    /// Ids of other groups that it is in: of the image's files, and those that were added to it.
    pub groups: Vec<u64>,
}

/// How much a choice can cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// An outage that lasts longer than it need.
    Caution,
    /// Data, or every container of the host.
    Danger,
}

impl Weight {
    /// The word in every output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Caution => "caution",
            Self::Danger => "danger",
        }
    }
}

/// A choice that bites, and how to tell that it was made.
pub struct Rule {
    /// Kebab-case.
    pub name: &'static str,
    /// How much it can cost.
    pub weight: Weight,
    /// One sentence: what was chosen.
    pub about: &'static str,
    /// One sentence: what it leads to.
    pub risk: &'static str,
    /// The scenario that shows it: `FAMILY/NAME`.
    pub proof: &'static str,
    /// The fault or probe of that scenario that does it, as `explain` knows it.
    pub shows: &'static str,
    /// Keys of a Compose file that may say that it was not chosen.
    keys: &'static [&'static str],
    look: fn(&Subject) -> Vec<Seen>,
}

/// Where a rule found what it looks for, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    /// Path of the mount; none for the container as a whole.
    mount: Option<String>,
    evidence: String,
}

impl Seen {
    fn at(mount: &ChosenMount, evidence: impl Into<String>) -> Self {
        Self { mount: Some(mount.destination.clone()), evidence: evidence.into() }
    }

    fn whole(evidence: impl Into<String>) -> Self {
        Self { mount: None, evidence: evidence.into() }
    }
}

/// A choice that was found in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The container's name.
    pub container: String,
    /// The rule's name.
    pub rule: &'static str,
    /// How much it can cost.
    pub weight: Weight,
    /// Path of the mount; none for the container as a whole.
    pub mount: Option<String>,
    /// What the engine or the image said.
    pub evidence: String,
    /// What it leads to.
    pub risk: &'static str,
    /// The scenario that shows it: `FAMILY/NAME`.
    pub proof: &'static str,
    /// The fault or probe of that scenario that does it, as `explain` knows it.
    pub shows: &'static str,
}

/// The same volume, or directories of the host that have files in common.
fn shares(one: &str, other: &str) -> bool {
    one == other || overlap(one, other)
}

/// Every finding in these containers, the gravest first in each; rules in `except` are left out.
#[must_use]
pub fn audit(subjects: &[Subject], except: &[String]) -> Vec<Finding> {
    subjects.iter().flat_map(|subject| findings(subject, except)).collect()
}

fn findings(subject: &Subject, except: &[String]) -> Vec<Finding> {
    let rules = RULES.iter().filter(|rule| {
        let is_open = rule.keys.iter().any(|key| subject.not_understood.contains(*key));
        !is_open && !except.iter().any(|name| name == rule.name)
    });
    let mut found: Vec<Finding> = rules
        .flat_map(|rule| (rule.look)(subject).into_iter().map(move |seen| (rule, seen)))
        .map(|(rule, seen)| Finding {
            container: subject.choices.name.clone(),
            rule: rule.name,
            weight: rule.weight,
            mount: seen.mount,
            evidence: seen.evidence,
            risk: rule.risk,
            proof: rule.proof,
            shows: rule.shows,
        })
        .collect();
    found.sort_by_key(|finding| (std::cmp::Reverse(finding.weight), finding.mount.clone()));
    found
}
