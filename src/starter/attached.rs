//! Scenarios on containers that run already: which they are, what can be told of each from outside,
//! and which faults can be given back to it. Pure.

use std::fmt::Write as _;

use super::{
    Starter, free, head_of, name_in, no_crash,
    recipes::{ON_OTHERS, Place, RECIPES},
    steady::{self, Ports, Well},
    words, yaml,
};
use crate::{
    plan::{Case, Select, chosen::Chosen, expand},
    runtime::{ContainerFacts, Health, RestartPolicy, State},
    scenario::load_all,
};

/// A container, and how it is just now.
pub struct Theirs<'a> {
    /// Which it is.
    pub chosen: Chosen<'a>,
    /// How it is.
    pub facts: ContainerFacts,
    /// Its ports.
    pub ports: Ports,
}

/// Seconds until a health check has noticed that all is well again, at least: twice the engine's own
/// interval.
const NOTICED_S: u64 = 60;

/// A scenario that does nothing, and has these containers as its services, and nothing of its own.
#[must_use]
pub fn by_hand(all: &[Theirs<'_>]) -> String {
    let named: Vec<(String, &Theirs<'_>)> = named(all);
    let name = named.first().map_or("containers", |(name, _)| name.as_str());
    let name = yaml::text(name);
    let subjects = subjects(&named);
    format!("keelhaul: 1\nname: {name}\nallow: [attach]\n{subjects}steps:\n  - wait: 1s\n")
}

fn subjects(named: &[(String, &Theirs<'_>)]) -> String {
    let mut text = String::from("services:\n");
    for (name, one) in named {
        // writing to a string cannot fail
        let _ = writeln!(text, "  {}: {{ attach: {} }}", yaml::text(name), selector(one));
    }
    let told = named.iter().map(|(name, one)| (name.as_str(), well(&one.facts), &one.ports));
    text.push_str(&steady::state(told));
    text
}

/// A scenario for each fault that can be given back, by container and mount. `case` is what
/// [`by_hand`] says of the same, with the containers found.
#[must_use]
pub fn on_others(all: &[Theirs<'_>], case: &Case) -> Vec<Starter> {
    let mut suite = Vec::new();
    for (name, one) in &named(all) {
        let Some(found) = case.scenario.services.get(name) else { continue };
        let mut service = found.clone();
        service.restart = one.facts.restart;
        let mounts = service.mounts.iter().map(|(path, mount)| {
            let volume = case.scenario.volumes.get(&mount.volume);
            Place::mount(name, &service, (path, mount), volume)
        });
        let whole = std::iter::once(Place::service(name, &service));
        for place in whole.chain(mounts) {
            let applies = RECIPES.iter().chain(ON_OTHERS).filter(|recipe| (recipe.applies)(&place));
            for recipe in applies {
                let own = name_in(&suite, &format!("{}-{}", place.words(""), recipe.name));
                // the others would be claimed, and held to their state, for nothing
                let alone = subjects(&[(name.clone(), *one)]);
                let head = head_of(&own, recipe.about, ALLOW, noticed_s(&one.facts));
                let text = format!("{head}{alone}{}", (recipe.steps)(&place));
                if fits(&text, (name, case)) {
                    suite.push(Starter { name: format!("{own}.yaml"), text });
                }
            }
        }
    }
    suite
}

/// How long its health check may take to notice, in seconds: that it looks seldom is not the run's to
/// mend.
fn noticed_s(facts: &ContainerFacts) -> u64 {
    if facts.health == Health::None {
        return 0;
    }
    let twice = facts.next_check_ms.map_or(0, |ms| ms.saturating_mul(2).div_ceil(1000));
    twice.max(NOTICED_S)
}

/// What [`on_others`] leaves out that somebody would look for, each in words.
#[must_use]
pub fn left_out_of_others(all: &[Theirs<'_>]) -> Vec<String> {
    let named = named(all).into_iter();
    let never = named.filter(|(_, one)| one.facts.restart == RestartPolicy::No);
    never.map(|(_, one)| no_crash(&one.chosen.name)).collect()
}

const ALLOW: &str = "allow: [attach] # the container runs already, and is not the run's\n";

/// Nothing of it is refused on the container that was found: who runs it is asked the same.
fn fits(text: &str, (service, found): (&str, &Case)) -> bool {
    let file = ("starter.yaml".into(), Ok(text.as_bytes().to_vec()));
    let Ok(loaded) = load_all(&[file], &Default::default(), &Default::default()) else {
        return false;
    };
    let cases = expand(&loaded, &Select::default(), 0).unwrap_or_default();
    !cases.is_empty()
        && cases.into_iter().all(|mut case| {
            let facts = found.attached.get(service).cloned();
            let taken = facts.map(|facts| case.attach(service, facts));
            matches!(taken, Some(Ok(()))) && case.fits_attached().is_ok()
        })
}

/// Each with the name of its service: lower-case words, each name once.
fn named<'a, 'b>(all: &'a [Theirs<'b>]) -> Vec<(String, &'a Theirs<'b>)> {
    let mut named: Vec<(String, &Theirs<'_>)> = Vec::new();
    for one in all {
        let taken = |name: &str| named.iter().any(|(other, _)| other == name);
        let name = free(&words(&one.chosen.name), taken);
        named.push((name, one));
    }
    named
}

fn selector(one: &Theirs<'_>) -> String {
    let given = one.chosen.attach.given();
    let keys: Vec<_> =
        given.into_iter().map(|(key, value)| format!("{key}: {}", yaml::text(value))).collect();
    format!("{{ {} }}", keys.join(", "))
}

/// That it is well where it says so of itself, or else as it is now.
fn well(facts: &ContainerFacts) -> Well {
    match (facts.health, facts.state) {
        (Health::Healthy | Health::Starting, _) => Well::Healthy,
        (_, State::Paused) => Well::Paused,
        _ => Well::Running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing,
        runtime::{ContainerMount, Listed, OwnFilesystem},
        scenario::Attach,
    };

    fn mount(destination: &str, kind: &str, source: &str) -> ContainerMount {
        let (destination, source) = (destination.into(), source.into());
        let volume = if kind == "volume" { "theirs".into() } else { String::new() };
        ContainerMount { destination, kind: kind.into(), source, volume, writable: true, own: None }
    }

    /// Names of the files that are written for a container with these mounts.
    fn suite(mounts: Vec<ContainerMount>, restart: RestartPolicy) -> Vec<String> {
        starters(mounts, restart).into_iter().map(|starter| starter.name).collect()
    }

    fn starters(mounts: Vec<ContainerMount>, restart: RestartPolicy) -> Vec<Starter> {
        let listed = Listed::default();
        let attach = Attach { container: Some("db".into()), ..Attach::default() };
        let facts = ContainerFacts { mounts, restart, ..testing::container() };
        let chosen = Chosen { name: "db".into(), attach, listed: &listed };
        let theirs = [Theirs { chosen, facts, ports: Ports::default() }];
        let file = ("t.yaml".into(), Ok(by_hand(&theirs).into_bytes()));
        let loaded = load_all(&[file], &Default::default(), &Default::default()).unwrap();
        let mut case = expand(&loaded, &Select::default(), 0).unwrap().remove(0);
        case.attach("db", theirs[0].facts.clone()).unwrap();
        on_others(&theirs, &case)
    }

    /// What an idle service makes inconclusive says so, and the step that it offers is one.
    #[test]
    fn what_strikes_operations_says_what_to_do_where_there_are_none() {
        let kept = mount("/data", "volume", "/var/lib/docker/volumes/theirs/_data");
        for one in starters(vec![kept], RestartPolicy::No) {
            let strikes = one.text.contains("insert: true");
            assert_eq!(one.text.contains("nothing is struck"), strikes, "{}", one.text);
            assert_eq!(one.text.contains("below there, escape it"), strikes, "{}", one.text);
            let offered = one.text.replace("  # - exec:", "  - exec:");
            assert_eq!(offered != one.text, strikes);
            let file = ("t.yaml".into(), Ok(offered.clone().into_bytes()));
            let loaded = load_all(&[file], &Default::default(), &Default::default());
            assert!(loaded.is_ok(), "{offered}");
        }
    }

    #[test]
    fn only_what_can_be_given_back_is_written_for_others() {
        assert_eq!(suite(vec![], RestartPolicy::No), ["db-restart.yaml"]);
        let kept = vec![
            mount("/data", "volume", "/var/lib/docker/volumes/theirs/_data"),
            mount("/run", "tmpfs", ""),
        ];
        let expected = [
            "db-crash.yaml",
            "db-restart.yaml",
            "db-data-read-only.yaml",
            "db-data-no-space.yaml",
            "db-data-slow.yaml",
            "db-run-tmpfs-full.yaml",
        ];
        assert_eq!(suite(kept, RestartPolicy::Always), expected);
        let alike = ["/a-b", "/a/b"].map(|at| mount(at, "tmpfs", "")).into();
        let expected = ["db-restart.yaml", "db-a-b-tmpfs-full.yaml", "db-a-b-tmpfs-full-2.yaml"];
        assert_eq!(suite(alike, RestartPolicy::No), expected);
        let own = |others: &[&str]| {
            let shared_with = others.iter().map(ToString::to_string).collect();
            let own = Some(OwnFilesystem { fs_type: "ext4".into(), shared_with });
            let found = ContainerMount { own, ..mount("/data", "volume", "/v") };
            suite(vec![found], RestartPolicy::No)
        };
        assert!(own(&[]).contains(&"db-data-disk-full.yaml".to_owned()), "{:?}", own(&[]));
        assert!(!own(&["web"]).contains(&"db-data-disk-full.yaml".to_owned()));
    }

    #[test]
    fn a_health_check_that_looks_seldom_has_the_time_it_takes() {
        let of = |health, next_check_ms| {
            noticed_s(&ContainerFacts { health, next_check_ms, ..testing::container() })
        };
        assert_eq!(of(Health::None, None), 0);
        assert_eq!(of(Health::Healthy, Some(7_000)), NOTICED_S);
        assert_eq!(of(Health::Healthy, Some(330_000)), 660);
    }

    #[test]
    fn containers_become_services_and_the_text_checks() {
        let listed = Listed::default();
        let one = |name: &str, attach: Attach, health| Theirs {
            chosen: Chosen { name: name.into(), attach, listed: &listed },
            facts: ContainerFacts { health, ..testing::container() },
            ports: Ports { served: vec![5432], declared: vec![] },
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
             \x20 - tcp: { service: shop-db-1-2, port: 5432 }\n\
             steps:\n\
             \x20 - wait: 1s\n"
        );
        let files = [("t.yaml".into(), Ok(text.clone().into_bytes()))];
        let loaded = load_all(&files, &Default::default(), &Default::default());
        assert!(loaded.is_ok(), "{text}");
    }
}
