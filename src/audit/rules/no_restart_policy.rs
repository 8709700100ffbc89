//! `no-restart-policy`: after a crash it stays down.

use crate::{
    audit::{Rule, Seen, Subject, Weight},
    runtime::RestartPolicy,
};

pub(super) const RULE: Rule = Rule {
    name: "no-restart-policy",
    weight: Weight::Caution,
    about: "The container has no restart policy.",
    risk: "After a crash, an OOM kill or a restart of the engine it stays down until somebody comes.",
    proof: "lifecycle/crash-and-restart",
    shows: "crash",
    keys: &["deploy", "restart"],
    look,
};

fn look(subject: &Subject) -> Vec<Seen> {
    // one that is to end is not to be started again
    let none = subject.choices.restart == RestartPolicy::No && !subject.is_job;
    let seen = none.then(|| Seen::whole("its restart policy is `no`"));
    seen.into_iter().collect()
}
