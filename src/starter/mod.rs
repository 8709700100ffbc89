//! A first suite for a service that exists: for each of its mounts, the scenarios that apply.
//!
//! What is written is meant to be read and changed: short files, a comment where a decision waits.
//! Pure: it makes texts of a scenario that was loaded, and writes nothing.

mod attached;
mod container;
mod instead;
mod recipes;
mod script;
mod secrets;
mod steady;
mod yaml;

use std::collections::BTreeMap;

pub use attached::{Theirs, by_hand, left_out_of_others, on_others};
pub use container::{OnHost, Original};
pub use instead::Instead;
use recipes::{OWN, Place, RECIPES};
pub use steady::Ports;
use steady::Well;

use crate::{
    runtime::RestartPolicy,
    scenario::{Scenario, Service},
    units::Duration,
};

/// A file of the suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starter {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A volume to be put in place of the one of that name: its name and its kind.
pub type Over<'a> = Option<(&'a str, &'a str)>;

/// Where the services come from, and how a scenario says so.
pub struct Origin<'a> {
    /// First word of every file's name; may be empty.
    pub name: &'a str,
    /// The lines that bring the services, with this volume in place of the one of that name.
    pub head: &'a dyn Fn(Over<'_>) -> String,
    /// Ports, by service.
    pub ports: &'a BTreeMap<String, Ports>,
    /// Mount points where it has written nothing that a power cut could take.
    pub only_read: &'a [String],
    /// `UID:GID` that each service runs as, where its image was looked into.
    pub run_as: &'a BTreeMap<String, String>,
}

/// How long after a fault a service may take, beside what its health check takes to notice.
const PATIENCE_S: u64 = 30;

/// A scenario for each fault that applies, by service and mount.
#[must_use]
pub fn suite(origin: &Origin<'_>, scenario: &Scenario) -> Vec<Starter> {
    let places = lasting(scenario).flat_map(|(name, service)| {
        let asked = origin.ports.get(name).is_some_and(|ports| !ports.served.is_empty());
        let unseen = service.healthcheck.is_none() && !asked;
        let whole = std::iter::once(Place::service(name, service).own(unseen));
        let runs_as = origin.run_as.get(name).map(String::as_str).unwrap_or_default();
        whole.chain(service.mounts.iter().map(move |(path, mount)| {
            let volume = scenario.volumes.get(&mount.volume);
            let only_read = origin.only_read.contains(path);
            let place = Place::mount(name, service, (path, mount), volume);
            place.only_read(only_read).runs_as(runs_as).own(unseen)
        }))
    });
    let places: Vec<Place<'_>> = places.collect();
    let mut suite = Vec::new();
    for place in &places {
        let all = RECIPES.iter().chain(OWN);
        for recipe in all.filter(|recipe| (recipe.applies)(place)) {
            let name = name_in(&suite, &format!("{}-{}", place.words(origin.name), recipe.name));
            let volume = (recipe.volume)(place);
            let over = place.volume_name().zip(volume.as_deref());
            let mut text = opening(&name, recipe.about, scenario);
            text.push_str(&(origin.head)(over));
            text.push_str(&steady_state(scenario, origin));
            text.push_str(&(recipe.steps)(place));
            suite.push(Starter { name: format!("{name}.yaml"), text });
        }
    }
    suite
}

/// A scenario's name that no file of the suite has: `/a-b` and `/a/b` read alike.
fn name_in(suite: &[Starter], wanted: &str) -> String {
    free(wanted, |name| suite.iter().any(|one| one.name.strip_suffix(".yaml") == Some(name)))
}

/// What a suite leaves out that somebody would look for, each in words.
#[must_use]
pub fn left_out(scenario: &Scenario) -> Vec<String> {
    let never = lasting(scenario).filter(|(_, service)| service.restart == RestartPolicy::No);
    never.map(|(name, _)| no_crash(name)).collect()
}

fn no_crash(service: &str) -> String {
    format!(
        "no crash of `{service}`: it has no restart policy, so nothing would start it again \
         (`restart: unless-stopped` would)"
    )
}

/// The services that stay: one whose end others wait for is over before anything can be broken.
fn lasting(scenario: &Scenario) -> impl Iterator<Item = (&String, &Service)> {
    scenario.services.iter().filter(move |(name, _)| !scenario.is_job(name))
}

/// A name may be so long. The end of a longer one tells more than its beginning.
const LONGEST_NAME: usize = 63;

fn fitting(name: &str) -> String {
    let from = name.len().saturating_sub(LONGEST_NAME);
    name.get(from..).unwrap_or_default().trim_start_matches('-').to_owned()
}

/// A name that fits and is not taken: as it is wanted, or with a number behind it.
fn free(wanted: &str, taken: impl Fn(&str) -> bool) -> String {
    let plain = fitting(wanted);
    let numbered = (2..).map(|number| fitting(&format!("{plain}-{number}")));
    let mut all = std::iter::once(plain.clone()).chain(numbered);
    all.find(|name| !taken(name)).unwrap_or_default()
}

/// A name as lower-case words joined by hyphens, as long as a name may be.
#[must_use]
pub fn words(name: &str) -> String {
    let lower = name.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|it| !it.is_empty()).collect();
    if words.is_empty() { "service".into() } else { fitting(&words.join("-")) }
}

fn opening(name: &str, about: &str, scenario: &Scenario) -> String {
    let slowest = scenario.services.values().map(notices_after).max().unwrap_or_default();
    let allow = match scenario.allow.is_empty() {
        true => "",
        false => "allow: [host-wide] # directories of the host are mounted\n",
    };
    head_of(name, about, allow, slowest)
}

/// The first lines of a file; `noticed` are seconds until a health check says that all is well again.
fn head_of(name: &str, about: &str, allow: &str, noticed: u64) -> String {
    let rto = PATIENCE_S + noticed;
    let timeout = 4 * rto + 60;
    format!(
        "keelhaul: 1\nname: {name}\nabout: {about}\ntags: [starter]\ntimeout: {timeout}s\n{allow}\
         objectives: {{ rto: {rto}s }} # how long may it take?\n\n"
    )
}

/// Seconds until a health check has noticed that all is well again.
fn notices_after(service: &Service) -> u64 {
    let check = service.healthcheck.as_ref();
    check.map_or(0, |check| 2 * check.interval.max(Duration::from_secs(1)).0.as_secs())
}

fn steady_state(scenario: &Scenario, origin: &Origin<'_>) -> String {
    let none = Ports::default();
    let told = lasting(scenario).map(|(name, service)| {
        let well = if service.healthcheck.is_some() { Well::Healthy } else { Well::Running };
        (name.as_str(), well, origin.ports.get(name).unwrap_or(&none))
    });
    format!("\n{}", steady::state(told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words() {
        assert_eq!(words("Shop_db.1"), "shop-db-1");
        assert_eq!(words("__"), "service");
    }

    #[test]
    fn a_name_is_never_too_long_and_given_once() {
        let long = format!("shop-{}", "x".repeat(80));
        assert_eq!(words(&long), "x".repeat(63));
        let second = free(&long, |name| name == "x".repeat(63));
        assert_eq!(second, format!("{}-2", "x".repeat(61)));
        let third = free("db", |name| ["db", "db-2"].contains(&name));
        assert_eq!(third, "db-3");
    }

    /// The suite of a head whose volumes are all the engine's.
    fn suite_of(head: &str, run_as: &BTreeMap<String, String>) -> Vec<Starter> {
        let text = format!("keelhaul: 1\nname: x\n{head}steps: [ {{ wait: 1ms }} ]\n");
        let file = ("x.yaml".into(), Ok(text.into_bytes()));
        let mut loaded =
            crate::scenario::load_all(&[file], &Default::default(), &Default::default()).unwrap();
        let scenario = loaded.remove(0).cells.remove(0).scenario;
        let of = |over: Over<'_>| match over {
            Some((_, kind)) => head.replace("{ docker: {} }", kind),
            None => head.to_owned(),
        };
        let ports = BTreeMap::new();
        let origin = Origin { name: "", head: &of, ports: &ports, only_read: &[], run_as };
        suite(&origin, &scenario)
    }

    /// Who `node` is, the image tells; without it, whoever reads the file must.
    #[test]
    fn a_disk_belongs_to_the_user_that_the_service_runs_as() {
        let disk = |user: &str, run_as: &[(&str, &str)]| {
            let head = format!(
                "volumes:\n  data: {{ docker: {{}} }}\nservices:\n  app: {{ image: x, user: \"{user}\", \
                 mounts: {{ /data: data }} }}\n"
            );
            let run_as = run_as.iter().map(|(name, ids)| ((*name).into(), (*ids).into())).collect();
            let suite = suite_of(&head, &run_as);
            let full = suite.into_iter().find(|one| one.name == "app-data-disk-full.yaml").unwrap();
            full.text.lines().find(|line| line.contains("ext4")).unwrap().trim().to_owned()
        };
        let owned = |ids| format!("data: {{ ext4: {{ size: 256MiB, owner: \"{ids}\" }} }}");
        assert_eq!(disk("node", &[("app", "1000:1000")]), owned("1000:1000"));
        assert_eq!(disk("7", &[]), owned("7:0"));
        assert_eq!(disk("root", &[]), "data: { ext4: { size: 256MiB } }");
        assert!(disk("node", &[]).ends_with("gives it to node"), "{}", disk("node", &[]));
    }

    /// What ends of a fault is started again where nothing else does it, and what cannot be seen to have
    /// started is given some time.
    #[test]
    fn who_has_no_restart_policy_is_started_again_and_who_shows_nothing_is_waited_for() {
        let full = |more: &str| {
            let head = format!(
                "volumes:\n  data: {{ docker: {{}} }}\nservices:\n  app: {{ image: x, {more} \
                 mounts: {{ /data: data }} }}\n"
            );
            let mut suite = suite_of(&head, &BTreeMap::new()).into_iter();
            suite.find(|one| one.name == "app-data-disk-full.yaml").unwrap().text
        };
        for (more, starts, waits) in [
            ("", true, true),
            ("restart: always,", false, true),
            ("healthcheck: { command: [x] },", true, false),
        ] {
            let text = full(more);
            assert_eq!(text.contains("- recover: { start: true }\n"), starts, "{text}");
            assert_eq!(text.contains("  - recover\n"), !starts, "{text}");
            assert_eq!(text.contains("steps:\n  # No health check"), waits, "{text}");
            let file = ("t.yaml".into(), Ok(text.clone().into_bytes()));
            let loaded =
                crate::scenario::load_all(&[file], &Default::default(), &Default::default());
            assert!(loaded.is_ok(), "{text}");
        }
    }

    /// The suite of services that are mounted and called alike.
    #[test]
    fn no_two_files_of_a_suite_have_one_name() {
        let mounts = "mounts: { /a-b: one, /a/b: two, /data: three, /data/data: four }";
        let service = |name: &str| format!("  {name}: {{ image: x, {mounts} }}\n");
        let volumes =
            ["one", "two", "three", "four"].map(|it| format!("  {it}: {{ docker: {{}} }}\n"));
        let services = [service("web-1"), service("web-a")].concat();
        let head = format!("volumes:\n{}services:\n{services}", volumes.concat());
        let suite = suite_of(&head, &BTreeMap::new());
        let names: std::collections::BTreeSet<_> = suite.iter().map(|one| &one.name).collect();
        assert_eq!(names.len(), suite.len(), "{names:?}");
        assert!(names.contains(&"web-1-data-disk-full-2.yaml".to_owned()), "{names:?}");
        for Starter { name, text } in &suite {
            assert!(
                text.contains(&format!("name: {}\n", name.trim_end_matches(".yaml"))),
                "{text}"
            );
        }
    }
}
