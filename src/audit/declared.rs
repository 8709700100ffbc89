//! Services of a Compose file as subjects: what is chosen before anything is made. Pure.

use std::collections::BTreeMap;

use super::{Subject, Unlooked};
use crate::{
    runtime::{Choices, ChosenMount, ChosenSource, ImageFacts},
    scenario::{Scenario, Service},
    volumes::VolumeSpec,
};

/// What is known of each service, and of its image where that is there.
#[must_use]
pub fn declared(
    scenario: &Scenario,
    images: &BTreeMap<String, ImageFacts>,
) -> (Vec<Subject>, Vec<Unlooked>) {
    let mut unlooked = Vec::new();
    let subjects = scenario.services.iter().map(|(name, service)| {
        let image = images.get(&service.image);
        if image.is_none() {
            let why = format!("`{}` is not on this engine", service.image);
            unlooked.push(unknown(name, "what its image says", &why));
        }
        let why = "no container of it was looked at";
        unlooked.push(unknown(name, "the owners of its mounts, and files that they hide", why));
        subject(scenario, (name, service), image)
    });
    (subjects.collect(), unlooked)
}

fn unknown(container: &str, what: &str, why: &str) -> Unlooked {
    Unlooked { container: container.into(), what: what.into(), why: why.into() }
}

fn subject(
    scenario: &Scenario,
    (name, service): (&str, &Service),
    image: Option<&ImageFacts>,
) -> Subject {
    let mounts = mounts(scenario, service);
    let own_check = service.healthcheck.as_ref().map(|check| check.command.clone());
    let of_image = || image.filter(|image| image.has_health_check).map(|_| Vec::new());
    let writers = mounts.iter().map(|mount| {
        let others = scenario.services.iter().filter(|(other, _)| *other != name);
        let writes = others.filter(|(_, other)| writes_to(scenario, other, mount));
        (mount.destination.clone(), writes.map(|(other, _)| other.clone()).collect())
    });
    Subject {
        writers: writers.collect(),
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

fn mounts(scenario: &Scenario, service: &Service) -> Vec<ChosenMount> {
    let each = service.mounts.iter().map(|(path, mount)| ChosenMount {
        destination: path.clone(),
        source: source(&mount.volume, scenario.volumes.get(&mount.volume)),
        writable: !mount.read_only,
    });
    each.collect()
}

fn source(name: &str, volume: Option<&VolumeSpec>) -> ChosenSource {
    let kind = volume.map(VolumeSpec::name).unwrap_or_default();
    let fields = serde_json::to_value(volume).unwrap_or_default();
    let field = |key: &str| fields[kind][key].as_str().map(str::to_owned);
    match kind {
        "bind" => ChosenSource::Bind(field("path").unwrap_or_default()),
        "tmpfs" => ChosenSource::Tmpfs(field("size")),
        "docker" => ChosenSource::Volume(name.to_owned()),
        other => ChosenSource::Other(other.to_owned()),
    }
}

fn writes_to(scenario: &Scenario, other: &Service, mount: &ChosenMount) -> bool {
    let Some(shared) = mount.shared_as() else { return false };
    let others = mounts(scenario, other);
    others.iter().any(|other| other.writable && other.shared_as() == Some(shared))
}
