//! The catalogue, narrowed to one place: every fault with its line prefilled, and why it cannot be
//! injected there where it cannot. Pure: who knows the host and the subjects is asked.

use std::fmt;

use super::call::LASTS;
use crate::{
    faults::{self, FaultRow, FaultSpec, Kind, OnOthers, Scope},
    plan::text::{blast_radius, volume_of},
    scenario::Scenario,
    volumes::Layer,
};

/// Where examples in the catalogue have their volumes.
const MOUNTS: [&str; 4] = ["/run/agent", "/var/lib/docker", "/data", "/backup"];

/// In place of a file that only the user knows: those in the examples are not there.
pub(super) const HOLE: &str = "<file>";

/// A place that faults can be aimed at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The service.
    pub service: String,
    /// One of its mounts; none for the container as such.
    pub mount: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mount {
            Some(mount) => write!(f, "{}:{mount}", self.service),
            None => f.write_str(&self.service),
        }
    }
}

/// A fault, aimed at a place.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The word in YAML.
    pub name: &'static str,
    /// What its form starts with.
    pub line: String,
    /// The widest thing it can touch.
    pub scope: Scope,
    /// Exactly what it may touch there.
    pub touches: String,
    /// What is done, and what undoes it.
    pub act: String,
    /// Why it cannot be injected there.
    pub why_not: Option<String>,
}

/// Every place of a scenario: each service, and each of its mounts.
#[must_use]
pub fn places(scenario: &Scenario) -> Vec<Place> {
    let of = |(name, service): (&String, &crate::scenario::Service)| {
        let mounts = service.mounts.keys().cloned().map(Some);
        let all: Vec<Place> = std::iter::once(None)
            .chain(mounts)
            .map(|mount| Place { service: name.clone(), mount })
            .collect();
        all
    };
    scenario.services.iter().flat_map(of).collect()
}

/// The catalogue at a place; what can be injected comes first. `why_not` knows what speaks against a
/// fault.
#[must_use]
pub fn offers(
    place: &Place,
    scenario: &Scenario,
    why_not: &dyn Fn(&FaultSpec) -> Option<String>,
) -> Vec<Offer> {
    let rows = faults::TABLE.iter().filter(|row| has_path(row) == place.mount.is_some());
    let mut offers: Vec<Offer> =
        rows.filter_map(|row| offer(row, place, scenario, why_not)).collect();
    offers.sort_by_key(|offer| (offer.why_not.is_some(), offer.name));
    offers
}

fn offer(
    row: &FaultRow,
    place: &Place,
    scenario: &Scenario,
    why_not: &dyn Fn(&FaultSpec) -> Option<String>,
) -> Option<Offer> {
    let example = aim(row, place, scenario);
    let fault: FaultSpec = serde_saphyr::from_str(&example).ok()?;
    let lasts = fault.kind() == Kind::State;
    let end = if lasts { format!(", for: {LASTS}") } else { String::new() };
    let described = fault.describe_on(volume_of(&fault, scenario));
    Some(Offer {
        name: row.name,
        line: format!("inject: {{ {example} }}{end}"),
        scope: fault.scope(),
        touches: blast_radius(&fault, scenario),
        act: format!("{}; undone: {}", described.act, described.undo),
        why_not: why_not(&fault),
    })
}

fn has_path(row: &FaultRow) -> bool {
    target(row.example).is_some_and(|target| target.contains(":/"))
}

/// The target that an example names.
fn target(example: &str) -> Option<&str> {
    let (_, rest) = example.split_once("target: ")?;
    rest.split([',', ' ', '}']).next()
}

/// An example with this place in it, a hole for each file, and another service of this scenario where
/// it needs one.
fn aim(row: &FaultRow, place: &Place, scenario: &Scenario) -> String {
    let example = row.example;
    let Some(old) = target(example) else { return example.to_owned() };
    let runs_already =
        scenario.services.get(&place.service).is_some_and(|service| service.attach.is_some());
    let below = old.split_once(':').map_or("", |(_, path)| path);
    let below = MOUNTS.iter().find_map(|mount| below.strip_prefix(mount)).unwrap_or_default();
    let inserts =
        row.on_others == OnOthers::Inserted && (runs_already || !is_interposed(place, scenario));
    // what is inserted lies over a directory, and nobody knows the files of such a container
    let below = if runs_already || inserts { "" } else { below };
    let mount = place.mount.as_deref().unwrap_or_default();
    let file = format!("{}/{HOLE}", mount.trim_end_matches('/'));
    let new = match &place.mount {
        Some(_) if !below.is_empty() => format!("{}:{file}", place.service),
        _ => place.to_string(),
    };
    let aimed = example.replacen(&format!("target: {old}"), &format!("target: {new}"), 1);
    let aimed = with_hole(&aimed, &file);
    let aimed = match aimed.strip_suffix(" }") {
        Some(open) if inserts => format!("{open}, insert: true }}"),
        _ => aimed,
    };
    let other = scenario.services.keys().find(|name| **name != place.service);
    match other {
        Some(other) => aimed.replace("on: controller", &format!("on: {other}")),
        None => aimed,
    }
}

/// What strikes in an interposer has one there.
fn is_interposed(place: &Place, scenario: &Scenario) -> bool {
    let service = scenario.services.get(&place.service);
    let mount = service.and_then(|service| service.mounts.get(place.mount.as_ref()?));
    let volume = mount.and_then(|mount| scenario.volumes.get(&mount.volume));
    volume.is_some_and(|volume| volume.interpose() == Some(Layer::File))
}

/// The same with a hole for the other name that some faults take.
fn with_hole(example: &str, file: &str) -> String {
    let Some((before, rest)) = example.split_once(" of: /") else { return example.to_owned() };
    let end = rest.find([',', ' ', '}']).unwrap_or(rest.len());
    format!("{before} of: {file}{}", &rest[end..])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::gameday::testing::{SOURCE, checker};

    fn at(mount: Option<&str>) -> Vec<Offer> {
        let place = Place { service: "agent".into(), mount: mount.map(str::to_owned) };
        let why_not =
            |fault: &FaultSpec| (fault.name() == "pause").then(|| "no freezer".to_owned());
        offers(&place, &checker()(Path::new("a.yaml"), SOURCE).unwrap(), &why_not)
    }

    #[test]
    fn a_mount_has_its_own_faults_and_each_is_aimed_at_it() {
        let offers = at(Some("/logs"));
        let find = |name: &str| offers.iter().find(|offer| offer.name == name);
        let line = &find("read-only").unwrap().line;
        assert_eq!(line, "inject: { read-only: { target: agent:/logs } }, for: 1m");
        let line = &find("remove-file").unwrap().line;
        assert_eq!(line, "inject: { remove-file: { target: agent:/logs/<file> } }");
        let line = &find("broken-hardlinks").unwrap().line;
        assert_eq!(
            line,
            "inject: { broken-hardlinks: { target: agent:/logs/<file>, mode: copy-and-replace, of: /logs/<file> } }"
        );
        assert!(find("pause").is_none(), "it takes no path");
        assert!(find("read-only").unwrap().touches.contains("container agent"));
    }

    #[test]
    fn a_container_has_the_others_and_what_cannot_be_done_comes_last() {
        let offers = at(None);
        let kill = offers.iter().find(|offer| offer.name == "kill").unwrap();
        assert_eq!(kill.line, "inject: { kill: { target: agent, signal: SIGKILL } }");
        let last = offers.last().unwrap();
        assert_eq!((last.name, last.why_not.as_deref()), ("pause", Some("no freezer")));
    }

    #[test]
    fn what_strikes_in_an_interposer_inserts_one_where_the_container_runs_already() {
        let text = "keelhaul: 1\nname: t\nallow: [attach]\nservices: { db: { attach: { container: x } } }\nsteps: [{ wait: 1s }]\n";
        let scenario = checker()(Path::new("a.yaml"), text).unwrap();
        let place = Place { service: "db".into(), mount: Some("/data".into()) };
        let offers = offers(&place, &scenario, &|fault| {
            (fault.scope() != Scope::Container).then(|| "not inserted".to_owned())
        });
        for name in ["io-error", "io-latency", "io-stall", "short-write"] {
            let offer = offers.iter().find(|offer| offer.name == name).unwrap();
            assert!(offer.line.contains("insert: true }"), "{}", offer.line);
            assert!(offer.line.contains("target: db:/data,"), "{}", offer.line);
            assert_eq!(offer.why_not, None, "{}", offer.line);
        }
        let plain = offers.iter().find(|offer| offer.name == "read-only").unwrap();
        assert!(!plain.line.contains("insert"), "{}", plain.line);
    }

    #[test]
    fn on_a_volume_without_an_interposer_one_is_inserted() {
        let line = |volume: &str| {
            let text = format!(
                "keelhaul: 1\nname: t\nvolumes: {{ data: {{ docker: {volume} }} }}\nservices:\n  agent: {{ image: keelhaul/specimen, mounts: {{ /data: data }} }}\nsteps: [{{ wait: 1s }}]\n"
            );
            let scenario = checker()(Path::new("a.yaml"), &text).unwrap();
            let place = Place { service: "agent".into(), mount: Some("/data".into()) };
            let offers = offers(&place, &scenario, &|_| None);
            let line = |name| offers.iter().find(|offer| offer.name == name).unwrap().line.clone();
            let lines: Vec<String> = ["io-error", "io-stall"].map(line).into();
            for line in &lines {
                let text = text.replace("wait: 1s", line);
                assert!(checker()(Path::new("a.yaml"), &text).is_ok(), "{text}");
            }
            lines.concat()
        };
        assert_eq!(line("{}").matches("insert: true").count(), 2);
        assert_eq!(line("{ interpose: file }").matches("insert: true").count(), 0);
    }

    #[test]
    fn every_fault_is_offered_somewhere() {
        let all = at(None).len() + at(Some("/data")).len();
        assert_eq!(all, faults::TABLE.len());
    }

    #[test]
    fn places_are_services_and_their_mounts() {
        let scenario = checker()(Path::new("a.yaml"), SOURCE).unwrap();
        let mounts: Vec<_> = places(&scenario).into_iter().map(|place| place.mount).collect();
        assert_eq!(mounts, [None, Some("/data".into()), Some("/logs".into())]);
    }
}
