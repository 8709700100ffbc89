//! `no-health-check`: nobody is told when the service no longer serves.

use crate::audit::{Rule, Seen, Subject, Weight};

pub(super) const RULE: Rule = Rule {
    name: "no-health-check",
    weight: Weight::Caution,
    about: "Neither the image nor the container has a health check.",
    risk: "A service that waits on its storage counts as up, and whoever depends on it is started too early.",
    proof: "network/dependency-not-ready",
    shows: "dependency-delay",
    keys: &["healthcheck"],
    look,
};

fn look(subject: &Subject) -> Vec<Seen> {
    let none = subject.choices.health.is_none() && !subject.is_job;
    let seen = none.then(|| Seen::whole("the engine knows no health check of it"));
    seen.into_iter().collect()
}
