//! A scenario on containers that run already: which they are, and what can be told of each from
//! outside. Pure.

use std::fmt::Write as _;

use super::{fitting, words, yaml};
use crate::{
    plan::chosen::Chosen,
    runtime::{ContainerFacts, Health, State},
};

/// A container, and how it is just now.
pub struct Theirs<'a> {
    /// Which it is.
    pub chosen: Chosen<'a>,
    /// How it is.
    pub facts: ContainerFacts,
}

/// A scenario that does nothing, and has these containers as its services, and nothing of its own.
#[must_use]
pub fn by_hand(all: &[Theirs<'_>]) -> String {
    let named: Vec<(String, &Theirs<'_>)> = named(all);
    let name = named.first().map_or("containers", |(name, _)| name.as_str());
    let name = yaml::text(name);
    let mut text = format!("keelhaul: 1\nname: {name}\nallow: [attach]\nservices:\n");
    for (name, one) in &named {
        // writing to a string cannot fail
        let _ = writeln!(text, "  {}: {{ attach: {} }}", yaml::text(name), selector(one));
    }
    text.push_str("steady_state:\n");
    for (name, one) in &named {
        let (name, holds) = (yaml::text(name), holds(&one.facts));
        let _ = writeln!(text, "  - container: {{ service: {name}, {holds} }}");
    }
    text + "steps:\n  - wait: 1s\n"
}

/// Each with the name of its service: lower-case words, each name once.
fn named<'a, 'b>(all: &'a [Theirs<'b>]) -> Vec<(String, &'a Theirs<'b>)> {
    let mut named: Vec<(String, &Theirs<'_>)> = Vec::new();
    for one in all {
        let plain = fitting(&words(&one.chosen.name));
        let taken = |name: &String| named.iter().any(|(other, _)| other == name);
        let numbered = (2..).map(|number| format!("{plain}-{number}"));
        let free = std::iter::once(plain.clone()).chain(numbered).find(|name| !taken(name));
        named.push((free.unwrap_or(plain), one));
    }
    named
}

fn selector(one: &Theirs<'_>) -> String {
    let given = one.chosen.attach.given();
    let keys: Vec<_> =
        given.into_iter().map(|(key, value)| format!("{key}: {}", yaml::text(value))).collect();
    format!("{{ {} }}", keys.join(", "))
}

/// What can be told of it: that it is well where it says so of itself, or else what it is now.
fn holds(facts: &ContainerFacts) -> &'static str {
    match (facts.health, facts.state) {
        (Health::Healthy | Health::Starting, _) => "health: healthy",
        (_, State::Paused) => "state: paused",
        _ => "state: running",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{faults::testing, runtime::Listed, scenario::Attach};

    #[test]
    fn containers_become_services_and_the_text_checks() {
        let listed = Listed::default();
        let one = |name: &str, attach: Attach, health| Theirs {
            chosen: Chosen { name: name.into(), attach, listed: &listed },
            facts: ContainerFacts { health, ..testing::container() },
        };
        let by_name = |name: &str| Attach { container: Some(name.into()), ..Attach::default() };
        let by_label = Attach { label: Some("role=db".into()), ..Attach::default() };
        let text = by_hand(&[
            one("Shop_db.1", by_name("Shop_db.1"), Health::Healthy),
            one("shop-db-1", by_label, Health::Unhealthy),
        ]);
        assert_eq!(
            text,
            "keelhaul: 1\nname: shop-db-1\nallow: [attach]\nservices:\n\
             \x20 shop-db-1: { attach: { container: Shop_db.1 } }\n\
             \x20 shop-db-1-2: { attach: { label: \"role=db\" } }\n\
             steady_state:\n\
             \x20 - container: { service: shop-db-1, health: healthy }\n\
             \x20 - container: { service: shop-db-1-2, state: running }\n\
             steps:\n\
             \x20 - wait: 1s\n"
        );
        let files = [("t.yaml".into(), Ok(text.clone().into_bytes()))];
        let loaded = crate::scenario::load_all(&files, &Default::default(), &Default::default());
        assert!(loaded.is_ok(), "{text}");
    }
}
