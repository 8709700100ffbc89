//! What cases may touch that is not the run's: every container they attach to, who shares something
//! with it, and what is done there. In words; pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
};

use super::{Case, text::volume_of};
use crate::{
    faults::{Changes, FaultSpec, unseen},
    probes::ProbeSpec,
    runtime::{ContainerFacts, Listed},
    scenario::{Action, Scenario, Step},
};

/// Who decides what is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The steps of the scenarios.
    Steps,
    /// Whoever plays a game day: nobody knows it beforehand.
    Hand,
}

/// What was found beforehand.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Every container that there is.
    pub all: Vec<Listed>,
    /// The process of the host that nobody may look at, as far as is known.
    pub closed: Option<u32>,
}

/// A container, and all that the cases do to it.
struct Touched<'a> {
    facts: &'a ContainerFacts,
    services: BTreeSet<&'a str>,
    /// In the order of the steps; each act once, however many cases have it.
    acts: Vec<String>,
    /// One of them fills or freezes a whole filesystem.
    whole: bool,
    /// Names of the faults among them that stop, kill, freeze or start it.
    lifecycle: BTreeSet<&'static str>,
}

/// Renders the blast radius; empty where no case attaches to anything.
#[must_use]
pub fn render(cases: &[Case], found: &Found, by: By) -> String {
    let touched = touched(cases);
    let mut text = String::new();
    if touched.is_empty() {
        return text;
    }
    let containers = if touched.len() == 1 { "container" } else { "containers" };
    let _ =
        writeln!(text, "blast radius: {} {containers} that keelhaul did not make", touched.len());
    for one in touched.values() {
        container(&mut text, one, &found.all, by);
    }
    let whole = by == By::Hand || touched.values().any(|one| one.whole);
    if let Some(pid) = found.closed.filter(|_| whole) {
        let _ = writeln!(text, "\n  {}", unseen(pid));
    }
    text
}

fn touched(cases: &[Case]) -> BTreeMap<&str, Touched<'_>> {
    let mut touched: BTreeMap<&str, Touched<'_>> = BTreeMap::new();
    for case in cases {
        for (service, facts) in &case.attached {
            let one = touched.entry(&facts.name).or_insert_with(|| Touched {
                facts,
                services: BTreeSet::new(),
                acts: Vec::new(),
                whole: false,
                lifecycle: BTreeSet::new(),
            });
            one.services.insert(service);
            done_to(one, service, case);
        }
    }
    touched
}

/// What a case does to one of its services.
fn done_to(one: &mut Touched<'_>, service: &str, case: &Case) {
    let mut add = |act: String| {
        if !one.acts.contains(&act) {
            one.acts.push(act);
        }
    };
    for (name, workload) in &case.scenario.workloads {
        if workload.service() == service {
            add(format!(
                "load `{name}` reads and writes through the service; its records stay there"
            ));
        }
    }
    for (index, step) in case.scenario.steps.iter().enumerate() {
        for fault in case.faults(index) {
            if fault.target().service == service {
                add(injected(&fault, &case.scenario));
                let changes = fault.on_others().changes();
                one.whole |= changes.is_some_and(Changes::takes_whole);
                let stops = changes == Some(Changes::Processes);
                one.lifecycle.extend(stops.then(|| fault.name()));
            }
        }
        if let Step { action: Action::Exec(exec), .. } = step
            && exec.service == service
        {
            add(format!("run in it: {}", exec.command.join(" ")));
        }
    }
    for (on, act) in case.scenario.probes().filter_map(ProbeSpec::act) {
        if on == service {
            add(act);
        }
    }
}

fn injected(fault: &FaultSpec, scenario: &Scenario) -> String {
    let described = fault.describe_on(volume_of(fault, scenario));
    let mut text = format!("{}: {}; undo: {}", fault.name(), described.act, described.undo);
    if fault.on_others().changes().is_some_and(Changes::takes_whole) {
        text.push_str("; only where nobody else is seen to use that filesystem, right before");
    }
    if let Some(what) = fault.on_others().borne() {
        let _ = write!(text, "; {what}");
    }
    text
}

fn container(text: &mut String, one: &Touched<'_>, all: &[Listed], by: By) {
    let facts = one.facts;
    let found = all.iter().find(|listed| listed.id == facts.id);
    let (image, status) =
        found.map_or((facts.image.as_str(), "running"), |one| (&one.image, &one.status));
    let services: Vec<&str> = one.services.iter().copied().collect();
    let _ = writeln!(text, "\n  {} ({:.12}), as {}", facts.name, facts.id, services.join(", "));
    let mut line = |label: &str, what: &str| {
        let _ = writeln!(text, "    {label:<10} {what}");
    };
    line("image", image);
    line("state", &status.to_lowercase());
    for mount in &facts.mounts {
        line("mount", &mounted(mount, facts, all));
    }
    for network in facts.networks.iter().filter(|network| network.name != "none") {
        let with = with(&facts.id, all, |other| other.networks.contains(&network.name));
        line("network", &format!("{}{with}", network.name));
    }
    for act in &one.acts {
        line("touched by", act);
    }
    match by {
        By::Steps => line("", &standing(one)),
        By::Hand => line("touched by", BY_HAND),
    }
}

/// What is known of a game day before it is played.
const BY_HAND: &str = "faults that you inject by hand, among them those that stop or freeze it; \
                       each is given back by itself, or when you leave";

fn mounted(
    mount: &crate::runtime::ContainerMount,
    facts: &ContainerFacts,
    all: &[Listed],
) -> String {
    let at = &mount.destination;
    let only = if mount.writable { "" } else { ", read-only" };
    let source = if mount.volume.is_empty() { &mount.source } else { &mount.volume };
    if source.is_empty() {
        return format!("{at} ({}, its own{only})", mount.kind);
    }
    let same = |its: &String| its == source || overlap(its, &mount.source);
    let with = with(&facts.id, all, |other| other.mounts.iter().any(same));
    format!("{at} ({} {source}{only}){with}", mount.kind)
}

/// Two paths of the host are the same, or one lies below the other: they have files in common.
#[must_use]
pub fn overlap(one: &str, other: &str) -> bool {
    let (one, other) = (Path::new(one), Path::new(other));
    // the names of volumes are no paths
    one.is_absolute() && other.is_absolute() && (one.starts_with(other) || other.starts_with(one))
}

/// The other containers that have the same, in words.
fn with(own: &str, all: &[Listed], has: impl Fn(&Listed) -> bool) -> String {
    let others = all.iter().filter(|other| other.id != own && !other.ours && has(other));
    let names: Vec<&str> = others.map(|other| other.name.as_str()).collect();
    if names.is_empty() { String::new() } else { format!(", shared with {}", names.join(", ")) }
}

/// Whether it goes on running all the time.
fn standing(one: &Touched<'_>) -> String {
    if one.lifecycle.is_empty() {
        return "it is never stopped or started".into();
    }
    let faults: Vec<&str> = one.lifecycle.iter().copied().collect();
    let memory = one.facts.mounts.iter().filter(|mount| mount.kind == "tmpfs");
    let memory: Vec<&str> = memory.map(|mount| mount.destination.as_str()).collect();
    let lost = match memory.as_slice() {
        _ if faults == ["pause"] => String::new(),
        [] => String::new(),
        paths => format!("; what is in {} is lost with it", paths.join(", ")),
    };
    format!("it is stopped, frozen or started again by {}{lost}", faults.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing,
        runtime::{ContainerMount, ContainerNetwork},
    };

    /// A case with this, and a volume, a tmpfs and a network.
    fn case() -> Case {
        case_with("crash: { target: db }")
    }

    fn case_with(fault: &str) -> Case {
        let yaml = format!(
            "keelhaul: 1\nname: t\nallow: [attach]\nservices: {{ db: {{ attach: {{ container: x }} }} }}\nsteady_state: [{{ exec: {{ service: db, command: [pg_isready] }} }}, {{ http: {{ service: db, path: / }} }}]\nsteps:\n  - inject: {{ read-only: {{ target: 'db:/data' }} }}\n  - inject: {{ {fault} }}\n  - exec: {{ service: db, command: [sync] }}\n"
        );
        let files = [("t.yaml".into(), Ok(yaml.into_bytes()))];
        let loaded = crate::scenario::load_all(&files, &Default::default(), &Default::default());
        let mut case =
            crate::plan::expand(&loaded.unwrap(), &Default::default(), 7).unwrap().remove(0);
        let mount = |destination: &str, kind: &str, volume: &str| ContainerMount {
            destination: destination.into(),
            kind: kind.into(),
            source: String::new(),
            volume: volume.into(),
            writable: true,
            own: None,
        };
        let network = ContainerNetwork {
            id: "n1".into(),
            name: "shop_default".into(),
            address: String::new(),
            gateway: String::new(),
            aliases: Vec::new(),
        };
        let facts = ContainerFacts {
            name: "shop-db-1".into(),
            mounts: vec![mount("/data", "volume", "pg"), mount("/run", "tmpfs", "")],
            networks: vec![network],
            ..testing::container()
        };
        case.attach("db", facts).unwrap();
        case
    }

    fn other(name: &str, volumes: &[&str], networks: &[&str]) -> Listed {
        Listed {
            id: name.into(),
            name: name.into(),
            mounts: volumes.iter().map(|name| (*name).to_owned()).collect(),
            networks: networks.iter().map(|name| (*name).to_owned()).collect(),
            ..Listed::default()
        }
    }

    #[test]
    fn it_names_who_shares_what_and_all_that_is_done() {
        let own = other("c1", &["pg"], &[]);
        let all = [
            Listed { image: "postgres:16".into(), status: "Up 3 hours".into(), ..own },
            other("backup", &["pg"], &[]),
            Listed { ours: true, ..other("keelhaul-k1", &["pg"], &[]) },
            other("web", &[], &["shop_default"]),
        ];
        let found = Found { all: all.into(), closed: Some(1) };
        let text = render(&[case(), case()], &found, By::Steps);
        let expected = "\
blast radius: 1 container that keelhaul did not make

  shop-db-1 (c1), as db
    image      postgres:16
    state      up 3 hours
    mount      /data (volume pg), shared with backup
    mount      /run (tmpfs, its own)
    network    shop_default, shared with web
    touched by read-only: stack a read-only clone on the mount at `db:/data`; undo: detach the clone
    touched by crash: ";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("    touched by run in it: sync\n"), "{text}");
        assert!(text.contains("    touched by run in it, as a probe: pg_isready\n"), "{text}");
        assert!(!text.contains("GET"), "{text}");
        assert!(text.ends_with("again by crash; what is in /run is lost with it\n"), "{text}");
    }

    #[test]
    fn directories_of_the_host_share_files_where_one_lies_below_the_other() {
        for (one, other, shared) in [
            ("/srv/data", "/srv/data", true),
            ("/srv/data", "/srv/data/db", true),
            ("/srv/data/db/", "/srv/data", true),
            ("/srv/data", "/", true),
            ("/srv/data", "/srv/database", false),
            ("/srv/data", "srv", false),
            ("", "", false),
        ] {
            assert_eq!(overlap(one, other), shared, "{one} {other}");
        }
    }

    #[test]
    fn who_could_not_be_looked_at_is_said_where_a_whole_filesystem_is_taken() {
        let found = Found { closed: Some(1), ..Found::default() };
        let text = render(&[case_with("disk-full: { target: 'db:/run' }")], &found, By::Steps);
        assert!(text.contains("; only where nobody else is seen to use that filesystem"), "{text}");
        let told = "\n\n  process 1 of the host could not be looked at";
        assert!(text.contains(told), "{text}");
        assert!(!render(&[case()], &found, By::Steps).contains(told));
        assert!(render(&[case()], &found, By::Hand).contains(told));
    }

    #[test]
    fn without_such_containers_there_is_nothing_to_say() {
        assert_eq!(render(&[], &Found::default(), By::Steps), "");
    }

    #[test]
    fn by_hand_anything_may_happen_that_can_be_given_back() {
        let mut case = case();
        case.scenario.steps.clear();
        let text = render(&[case], &Found::default(), By::Hand);
        assert!(text.contains("as a probe: pg_isready"), "{text}");
        assert!(text.contains("touched by faults that you inject by hand"), "{text}");
        assert!(!text.contains("never stopped"), "{text}");
    }
}
