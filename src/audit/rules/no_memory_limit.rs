//! `no-memory-limit`: it may take all of the host's memory.

use crate::audit::{Rule, Seen, Subject, Weight};

pub(super) const RULE: Rule = Rule {
    name: "no-memory-limit",
    weight: Weight::Caution,
    about: "The container has no limit of memory.",
    risk: "One leak, or one tmpfs, takes the host's memory, and the kernel picks its victim among all containers.",
    proof: "lifecycle/oom-kill",
    shows: "oom-kill",
    keys: &["deploy", "mem_limit"],
    look,
};

fn look(subject: &Subject) -> Vec<Seen> {
    let none = subject.choices.memory.is_none();
    let seen = none.then(|| Seen::whole("its limit of memory is 0: as much as the host has"));
    seen.into_iter().collect()
}
