//! Containers that the run did not make: found at the engine before anything starts, taken up by
//! each case as they are, and looked at again in the end.
//!
//! Must not start, stop, remove or label any of them: what happens to them is a fault's, and its
//! undo is in the journal.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    as_found::differences,
    event::Event,
    setup::labels_of,
    world::{Stop, World},
};
use crate::{
    plan::{
        Case,
        attached::{AttachError, find},
    },
    runtime::{
        ContainerFacts, ContainerSpec, Docker, ImageRef, Listed, OwnFilesystem, PullPolicy,
        Runtime as _, RuntimeError, SPECIMEN_IMAGE, State, VolumeBeneath, labels,
    },
};

/// A restart policy starts a container within this time, unless it failed many times before.
const SETTLED: Duration = Duration::from_secs(10);

/// Between two looks.
const AGAIN: Duration = Duration::from_millis(200);

/// Why cases could not be attached. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum NotAttached {
    /// What the scenario says does not fit what is there.
    #[error(transparent)]
    Unfit(#[from] AttachError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] RuntimeError),
}

/// Finds the container of every service that runs already, and returns every container there is.
/// Only looks.
///
/// # Errors
/// When one is not found or does not fit, or the engine does not answer.
pub async fn attach(docker: &Docker, cases: &mut [Case]) -> Result<Vec<Listed>, NotAttached> {
    let all = docker.listed().await?;
    for case in cases.iter_mut() {
        let services = case.scenario.services.iter();
        let wanted = services.filter_map(|(name, it)| Some((name.clone(), it.attach.clone()?)));
        for (service, wanted) in wanted.collect::<Vec<_>>() {
            let found = find(&service, &wanted, &all)?;
            let mut facts = docker.inspect(&found.id).await?;
            unveil(docker, &mut facts, &all).await?;
            case.secrets.extend(secrets(docker, &found.id).await?);
            case.attach(&service, facts)?;
        }
        case.fits_attached()?;
    }
    Ok(all)
}

/// What its volumes stand for: one that is a directory of the host by another name is that directory.
async fn unveil(
    docker: &Docker,
    facts: &mut ContainerFacts,
    all: &[Listed],
) -> Result<(), RuntimeError> {
    for mount in facts.mounts.iter_mut().filter(|mount| mount.kind == "volume") {
        match docker.volume_beneath(&mount.volume).await? {
            VolumeBeneath::Own => {}
            VolumeBeneath::Directory(directory) => {
                (mount.kind, mount.source) = ("bind".into(), directory);
                mount.volume.clear();
            }
            VolumeBeneath::Filesystem(fs_type) => {
                let shared_with = others_with(&mount.volume, &facts.id, all);
                mount.own = Some(OwnFilesystem { fs_type, shared_with });
            }
        }
    }
    Ok(())
}

/// Names of the other running containers that have a volume.
fn others_with(volume: &str, own: &str, all: &[Listed]) -> Vec<String> {
    let has = |one: &&Listed| one.mounts.iter().any(|mount| mount == volume);
    let others = all.iter().filter(|one| one.running && one.id != own).filter(has);
    others.map(|one| one.name.clone()).collect()
}

/// Values of its environment that are not its image's: no report may show them.
///
/// # Errors
/// When the engine does not answer.
pub async fn secrets(docker: &Docker, container: &str) -> Result<Vec<String>, RuntimeError> {
    let chosen = docker.choices(container).await?;
    let of_image = docker.image_facts(&chosen.image).await?.unwrap_or_default().env;
    let own = chosen.env.iter().filter(|pair| !of_image.contains(pair));
    Ok(own.filter_map(|pair| Some(pair.split_once('=')?.1.to_owned())).collect())
}

/// Takes the containers up, each as it is now.
///
/// # Errors
/// In words, when one is gone or does not run any more.
pub(super) async fn take_up(world: &World) -> Result<(), String> {
    let mut wanted = world.case.scenario.services.iter().filter(|(_, it)| it.attach.is_some());
    if let Some((service, _)) = wanted.find(|(name, _)| !world.case.attached.contains_key(*name)) {
        return Err(format!(
            "service `{service}` runs already, and nobody has confirmed which it is"
        ));
    }
    for (service, known) in &world.case.attached {
        let name = &known.name;
        let facts = match world.runtime.inspect(&known.id).await {
            Err(RuntimeError::Gone { .. }) => {
                return Err(format!("service `{service}`: container `{name}` was removed"));
            }
            other => other.map_err(|error| format!("service `{service}`: {error}"))?,
        };
        if !matches!(facts.state, State::Running | State::Paused) {
            let state = word(&facts);
            return Err(format!("service `{service}`: container `{name}` is {state}"));
        }
        claim(world, &facts).await.map_err(|why| format!("service `{service}`: {why}"))?;
        world.set_container(service, facts.id.clone());
        world.found(service, facts.clone());
        world.emit(Event::SubjectStarted {
            case: world.id(),
            service: service.clone(),
            container: facts.id,
            image: facts.image,
            attached: true,
        });
    }
    Ok(())
}

/// Makes it this run's alone, by a container of ours that is never started and goes with the run: the
/// engine gives a name once. Of two runs, each would take the other's faults for what was there
/// before, and put them back.
async fn claim(world: &World, facts: &ContainerFacts) -> Result<(), String> {
    let image = ImageRef { name: SPECIMEN_IMAGE.into(), pull: PullPolicy::Never };
    let image = world.runtime.ensure_image(&image).await.map_err(|error| error.to_string())?;
    let spec = ContainerSpec {
        name: format!("keelhaul-attached-{:.12}", facts.id),
        image,
        labels: labels_of(world, labels::ROLE_CLAIM),
        ..ContainerSpec::default()
    };
    match world.runtime.create_container(&spec).await {
        Ok(_) => Ok(()),
        Err(RuntimeError::Conflict { .. }) => Err(taken(world, &spec.name, &facts.name).await),
        Err(error) => Err(error.to_string()),
    }
}

/// Why a container cannot be claimed: a run has done so, or what has the name is nobody's claim. That is
/// somebody else's, and stays.
async fn taken(world: &World, claim: &str, container: &str) -> String {
    let labels = match world.runtime.labels(claim).await {
        Ok(labels) => labels,
        Err(RuntimeError::Gone { .. }) => {
            return format!(
                "container `{container}` was another run's until now\n\nhint: run again"
            );
        }
        Err(error) => return error.to_string(),
    };
    let role = labels.get(labels::ROLE);
    match labels.get(labels::RUN).filter(|_| role.is_some_and(|role| role == labels::ROLE_CLAIM)) {
        Some(run) => format!(
            "container `{container}` is run `{run}`'s at the moment\n\nhint: wait for its end; where it \
             was killed, `keelhaul recover {run}` ends it"
        ),
        None => format!(
            "a container that no run has made is called `{claim}`: by this name a run makes \
             `{container}` its own\n\nhint: `docker rename` or `docker rm` it, if it is yours"
        ),
    }
}

/// What is not as it was found, after the rollback. One that was started again by itself, or by a
/// step, runs as before.
pub(super) async fn changed(world: &World) -> Vec<String> {
    let mut changed = Vec::new();
    for (service, before) in world.as_found() {
        let name = &before.name;
        match settled(world, &before.id).await {
            Ok(now) if now.state == before.state => {
                if now.started_at != before.started_at {
                    world.note(format!("`{service}` was started again since it was attached to"));
                }
                let differences = differences(&before, &now).into_iter();
                changed.extend(differences.map(|what| format!("container {name} {what}")));
            }
            Ok(now) => changed.push(format!(
                "container {name} is {}, and was {}",
                word(&now),
                word(&before)
            )),
            // said already
            Err(RuntimeError::Gone { .. }) if matches!(world.stopped(), Some(Stop::Removed(_))) => {
            }
            Err(RuntimeError::Gone { .. }) => {
                changed.push(format!("container {name} was removed by someone else"));
            }
            Err(error) => changed.push(format!("container {name}, unknown: {error}")),
        }
    }
    changed
}

/// A container as it is; one that its restart policy is about to start gets the time for that.
async fn settled(world: &World, id: &str) -> Result<ContainerFacts, RuntimeError> {
    let end = Instant::now() + SETTLED;
    loop {
        let facts = world.runtime.inspect(id).await?;
        if facts.state != State::Restarting || Instant::now() >= end {
            return Ok(facts);
        }
        sleep(AGAIN).await;
    }
}

fn word(facts: &ContainerFacts) -> String {
    format!("{:?}", facts.state).to_lowercase()
}
