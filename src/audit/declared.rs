//! Services of a Compose file as subjects: what is chosen before anything is made. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Subject, Unlooked, shares};
use crate::{
    runtime::{Choices, ChosenMount, ChosenSource, ImageFacts},
    scenario::{Scenario, Service},
    volumes::VolumeSpec,
};

/// What is mounted, by name of the volume.
type Sources = BTreeMap<String, ChosenSource>;

/// What is known of each service, and of its image where that is there. Volumes that are
/// `named` are the file's; any other is one that nobody gave a name.
#[must_use]
pub fn declared(
    scenario: &Scenario,
    images: &BTreeMap<String, ImageFacts>,
    named: &BTreeSet<String>,
) -> (Vec<Subject>, Vec<Unlooked>) {
    let mut unlooked = Vec::new();
    let sources = scenario.volumes.iter().map(|(name, volume)| {
        let name = if named.contains(name) { name.as_str() } else { "" };
        source(name, volume)
    });
    let sources: Sources = scenario.volumes.keys().cloned().zip(sources).collect();
    let subjects = scenario.services.iter().map(|(name, service)| {
        let image = images.get(&service.image);
        if image.is_none() {
            let why = format!("`{}` is not on this engine", service.image);
            unlooked.push(unknown(name, "what its image says", &why));
        }
        let why = "no container of it was looked at";
        unlooked.push(unknown(name, "the owners of its mounts, and files that they hide", why));
        subject((scenario, &sources), (name, service), image)
    });
    (subjects.collect(), unlooked)
}

fn unknown(container: &str, what: &str, why: &str) -> Unlooked {
    Unlooked { container: container.into(), what: what.into(), why: why.into() }
}

fn subject(
    (scenario, sources): (&Scenario, &Sources),
    (name, service): (&str, &Service),
    image: Option<&ImageFacts>,
) -> Subject {
    let mounts = mounts(sources, service);
    let own_check = service.healthcheck.as_ref().map(|check| check.command.clone());
    let of_image = || image.filter(|image| image.has_health_check).map(|_| Vec::new());
    let writers = mounts.iter().map(|mount| {
        let others = scenario.services.iter().filter(|(other, _)| *other != name);
        let writes = others.filter(|(_, other)| writes_to(sources, other, mount));
        (mount.destination.clone(), writes.map(|(other, _)| other.clone()).collect())
    });
    Subject {
        writers: writers.collect(),
        is_job: scenario.is_job(name),
        choices: Choices {
            name: name.to_owned(),
            image: service.image.clone(),
            user: service.user.clone().unwrap_or_default(),
            // of an image that is not there nobody knows whether it has one
            health: own_check.or_else(of_image).or_else(|| image.is_none().then(Vec::new)),
            memory: service.memory.map(|size| size.0),
            restart: service.restart,
            mounts,
            ..Choices::default()
        },
        ..Subject::default()
    }
}

fn mounts(sources: &Sources, service: &Service) -> Vec<ChosenMount> {
    let each = service.mounts.iter().filter_map(|(path, mount)| {
        let source = sources.get(&mount.volume)?.clone();
        Some(ChosenMount { destination: path.clone(), source, writable: !mount.read_only })
    });
    each.collect()
}

fn source(name: &str, volume: &VolumeSpec) -> ChosenSource {
    let kind = volume.name();
    let fields = serde_json::to_value(volume).unwrap_or_default();
    let field = |key: &str| fields[kind][key].as_str().map(str::to_owned);
    match kind {
        "bind" => ChosenSource::Bind(field("path").unwrap_or_default()),
        "tmpfs" => ChosenSource::Tmpfs(field("size")),
        "docker" => ChosenSource::Volume(name.to_owned()),
        other => ChosenSource::Other(other.to_owned()),
    }
}

fn writes_to(sources: &Sources, other: &Service, mount: &ChosenMount) -> bool {
    // two without a name are two
    let Some(shared) = mount.shared_as().filter(|name| !name.is_empty()) else { return false };
    let others = mounts(sources, other);
    let writes = |other: &ChosenMount| other.shared_as().is_some_and(|path| shares(path, shared));
    others.iter().any(|other| other.writable && writes(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::audit,
        scenario::{Beside, Env, Sets, load_beside},
    };

    const SHOP: &str = "\
keelhaul: 1
name: shop
allow: [host-wide]
volumes:
  all: { bind: { path: /srv } }
  one: { bind: { path: /srv/app } }
services:
  migrate: { image: shop, mounts: { /all: all } }
  app:
    image: shop
    mounts: { /own: one }
    depends_on: { migrate: service_completed_successfully }
steps: [{ wait: 1ms }]
";

    /// Container and rule of every finding in a shop whose image has no health check.
    fn found() -> Vec<(String, &'static str)> {
        let source = ("shop.yaml".into(), Ok(SHOP.into()));
        let loaded = load_beside(&[source], &Sets::new(), &Env::new(), Beside::nothing());
        let scenario = loaded.unwrap().remove(0).cells.remove(0).scenario;
        let images = [("shop".to_owned(), ImageFacts::default())].into();
        let (subjects, _) = declared(&scenario, &images, &BTreeSet::new());
        audit(&subjects, &[]).into_iter().map(|one| (one.container, one.rule)).collect()
    }

    #[test]
    fn a_job_is_there_to_end() {
        for rule in ["no-restart-policy", "no-health-check"] {
            let of = |name: &str| found().contains(&(name.to_owned(), rule));
            assert!(of("app") && !of("migrate"), "{rule}");
        }
        assert!(found().contains(&("migrate".to_owned(), "no-memory-limit")));
    }

    #[test]
    fn who_writes_above_or_below_writes_there_as_well() {
        for name in ["app", "migrate"] {
            assert!(found().contains(&(name.to_owned(), "shared-writers")), "{name}");
        }
    }
}
