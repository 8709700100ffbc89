//! Makes what a case needs: networks, volumes, containers, loads. Undo first, always.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::{attached, dependencies, event::Event, world::World};
use crate::{
    plan::Case,
    protocol::{EngineOp, Entry, LoadCall, LoadSpec, Op, Place},
    runtime::{
        ContainerSpec, ENGINE_IMAGE, HealthCheck, ImageRef, MountSource, MountSpec, NetworkSpec,
        PROGRAM, SPECIMEN_IMAGE, labels,
    },
    scenario::{Service, any_io_rule, io_rules, recorded},
    volumes::{Provision, object_name},
};

/// Services that are started at a time; more would only wait for the engine.
const AT_ONCE: usize = 8;

/// What ends a set-up that was told to stop.
const STOPPED: &str = "stopped";

/// Entry points in our own image, by the name that a scenario calls it.
const BUILT_IN: [(&str, [&str; 2]); 2] =
    [(SPECIMEN_IMAGE, [PROGRAM, "specimen"]), (ENGINE_IMAGE, [PROGRAM, "engine"])];

/// Makes everything; on an error what was made stays for the rollback. Told to stop, it ends
/// between two things that it makes.
///
/// # Errors
/// In words, with the name of what could not be made.
pub(super) async fn set_up(world: &Arc<World>) -> Result<(), String> {
    // images stay: nothing need be promised before they come
    let (promised, images) = tokio::join!(promise_removal(world), ensure_images(world));
    promised?;
    let images = images?;
    go_on(&world.stop)?;
    attached::take_up(world).await?;
    let (networks, volumes) = tokio::join!(make_networks(world), make_volumes(world));
    let made = Made { images, networks: networks?, volumes: volumes? };
    for wave in waves(&world.case.scenario.services) {
        start_wave(world, &wave, &made).await?;
    }
    go_on(&world.stop)?;
    start_loads(world).await
}

/// What services are made of.
struct Made {
    /// Ids by name.
    images: BTreeMap<String, String>,
    /// Ids by name.
    networks: BTreeMap<String, String>,
    volumes: BTreeMap<String, MountSource>,
}

impl Made {
    /// What a service joins beside the network it is created on.
    fn other_networks(&self, service: &Service) -> Vec<String> {
        let names = service.networks.iter().skip(1);
        names.filter_map(|name| self.networks.get(name).cloned()).collect()
    }
}

/// Ends the set-up where the steps were ended.
pub(super) fn go_on(stop: &CancellationToken) -> Result<(), String> {
    if stop.is_cancelled() { Err(STOPPED.into()) } else { Ok(()) }
}

/// Starts services side by side. When one fails, those that are being started come to their end:
/// dropped half-way, a container could come into being after everything was removed.
async fn start_wave(world: &World, wave: &[String], made: &Made) -> Result<(), String> {
    let stop = world.stop.child_token();
    let starts: Vec<_> =
        wave.iter().map(|name| start_or_stop_others(world, name, made, &stop)).collect();
    let started: Vec<_> = stream::iter(starts).buffered(AT_ONCE).collect().await;
    let mut errors: Vec<String> = started.into_iter().filter_map(Result::err).collect();
    // what only stopped because another failed is not the reason
    errors.sort_by_key(|error| error == STOPPED);
    errors.into_iter().next().map_or(Ok(()), Err)
}

async fn start_or_stop_others(
    world: &World,
    name: &str,
    made: &Made,
    stop: &CancellationToken,
) -> Result<(), String> {
    let started = start_service(world, name, made, stop).await;
    if started.is_err() {
        stop.cancel();
    }
    started
}

async fn start_service(
    world: &World,
    name: &str,
    made: &Made,
    stop: &CancellationToken,
) -> Result<(), String> {
    let service = &world.case.scenario.services[name];
    if service.attach.is_some() {
        return Ok(());
    }
    dependencies::wait(world, service, stop).await?;
    go_on(stop)?;
    let spec = container_spec(world, name, service, made);
    start_subject(world, name, &spec, &made.other_networks(service)).await
}

/// The first journal entry: whatever carries the run's label goes.
async fn promise_removal(world: &World) -> Result<(), String> {
    let undo = vec![Op::Engine(EngineOp::RemoveRun { run: world.run.clone() })];
    let entry = Entry {
        what: "containers, networks and volumes of the case".into(),
        ops: Vec::new(),
        undo,
        expires_ms: None,
    };
    world.helper.apply(entry).await.map(drop).map_err(|error| error.to_string())
}

async fn ensure_images(world: &World) -> Result<BTreeMap<String, String>, String> {
    let mut images = BTreeMap::new();
    for service in made_for_it(world) {
        if images.contains_key(&service.image) {
            continue;
        }
        let image = ImageRef { name: service.image.clone(), pull: service.pull };
        let id = world.runtime.ensure_image(&image).await.map_err(|error| error.to_string())?;
        images.insert(service.image.clone(), id);
    }
    Ok(images)
}

/// The services whose containers the run makes.
fn made_for_it(world: &World) -> impl Iterator<Item = &Service> {
    world.case.scenario.services.values().filter(|service| service.attach.is_none())
}

/// The networks that services name, or one for all.
async fn make_networks(world: &World) -> Result<BTreeMap<String, String>, String> {
    let mut wanted: Vec<&str> = made_for_it(world)
        .flat_map(|service| service.networks.iter())
        .map(String::as_str)
        .collect();
    if made_for_it(world).any(|service| service.networks.is_empty()) {
        wanted.push(DEFAULT_NETWORK);
    }
    wanted.sort_unstable();
    wanted.dedup();
    let mut made = BTreeMap::new();
    for name in wanted {
        let object = format!("keelhaul-{}-{name}", world.run);
        let spec = NetworkSpec { name: object, labels: labels_of(world, labels::ROLE_NETWORK) };
        let id = world.runtime.create_network(&spec).await.map_err(|error| error.to_string())?;
        made.insert(name.to_owned(), id);
    }
    Ok(made)
}

const DEFAULT_NETWORK: &str = "default";

async fn make_volumes(world: &World) -> Result<BTreeMap<String, MountSource>, String> {
    let mut made = BTreeMap::new();
    let volumes = world.case.scenario.volumes.iter();
    let mut volumes: Vec<_> = volumes.filter(|(name, _)| !Case::is_theirs(name)).collect();
    // what others lie on comes first; nothing lies on those
    volumes.sort_by_key(|(_, spec)| spec.beneath().is_some());
    for (name, spec) in volumes {
        go_on(&world.stop)?;
        let provision = Provision {
            runtime: world.runtime.as_ref(),
            helper: world.helper.as_ref(),
            name,
            object: object_name(&world.run, name),
            labels: labels_of(world, labels::ROLE_VOLUME),
            rules: match world.by_hand {
                true => vec![any_io_rule()],
                false => io_rules(&world.case.scenario, name),
            },
            traced: world.trace_io,
            beneath: spec.beneath().and_then(|name| made.get(name)),
        };
        let source = spec
            .provision(&provision)
            .await
            .map_err(|error| format!("volume `{name}`: {error}"))?;
        made.insert(name.clone(), source);
    }
    Ok(made)
}

/// Services in waves: each after all that it depends on. `check` has refused cycles.
fn waves(services: &BTreeMap<String, Service>) -> Vec<Vec<String>> {
    let mut left: BTreeSet<&String> = services.keys().collect();
    let mut waves = Vec::new();
    while !left.is_empty() {
        let free = |name: &&String| services[*name].depends_on.keys().all(|on| !left.contains(on));
        let wave: Vec<&String> = left.iter().copied().filter(free).collect();
        if wave.is_empty() {
            break;
        }
        left.retain(|name| !wave.contains(name));
        waves.push(wave.into_iter().cloned().collect());
    }
    waves
}

/// What a service's container is found by: its name, unique to the run; or the id of one that the run
/// did not make, since another of that name would be another.
pub(super) fn container_name(world: &World, service: &str) -> String {
    match world.case.attached.get(service) {
        Some(facts) => facts.id.clone(),
        None => labels::container_name(&world.run, service),
    }
}

fn container_spec(world: &World, name: &str, service: &Service, made: &Made) -> ContainerSpec {
    let network = service.networks.first().map_or(DEFAULT_NETWORK, String::as_str);
    // ours win: by them everything is found again and removed
    let mut labels = service.labels.clone();
    labels.extend(labels_of(world, labels::ROLE_SUBJECT));
    ContainerSpec {
        name: container_name(world, name),
        image: made.images.get(&service.image).cloned().unwrap_or_else(|| service.image.clone()),
        command: command_of(service),
        entrypoint: entrypoint_of(service),
        env: service.env.clone(),
        user: service.user.as_deref().map(|user| user_of(world, name, user)),
        hostname: service.hostname.clone(),
        working_dir: service.working_dir.clone(),
        ulimits: service.ulimits.clone(),
        mounts: mounts_of(service, &made.volumes),
        memory: service.memory.map(|size| size.0),
        cpus: service.cpus,
        restart: service.restart,
        restart_attempts: service.restart_attempts,
        health: service.healthcheck.as_ref().map(|check| HealthCheck {
            command: check.command.clone(),
            interval_ms: millis(check.interval.0),
            timeout_ms: millis(check.timeout.0),
            retries: check.retries,
            start_period_ms: check.start_period.map(|time| millis(time.0)),
        }),
        // the engine counts whole seconds; never less grace than asked for
        stop_grace: service.stop_grace.map(|grace| millis(grace.0).div_ceil(1000)),
        network: made.networks.get(network).cloned(),
        aliases: aliases_of(name, service),
        cap_drop: service.cap_drop.clone(),
        read_only: service.read_only,
        init: service.init,
        inner_engine: service.is_engine(),
        labels,
    }
}

/// By its own name it is always found.
fn aliases_of(name: &str, service: &Service) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(service.aliases.iter().cloned()).collect()
}

/// Limits that the kernel counts per user are shared by everyone of that user: `unique` is an id
/// drawn for this container of this run, far above those that hosts give to people and services.
fn user_of(world: &World, service: &str, user: &str) -> String {
    if user != "unique" {
        return user.to_owned();
    }
    let drawn = crc32fast::hash(container_name(world, service).as_bytes());
    let id = 0x4000_0000 + drawn % 0x2000_0000;
    format!("{id}:{id}")
}

fn command_of(service: &Service) -> Option<Vec<String>> {
    if service.command.is_none() && service.args.is_empty() {
        return None;
    }
    let mut command = service.command.clone().unwrap_or_default();
    command.extend(service.args.iter().cloned());
    Some(command)
}

fn entrypoint_of(service: &Service) -> Option<Vec<String>> {
    let built_in = || {
        let found = BUILT_IN.iter().find(|(image, _)| *image == service.image);
        found.map(|(_, words)| words.map(str::to_owned).into())
    };
    service.entrypoint.clone().or_else(built_in)
}

fn mounts_of(service: &Service, volumes: &BTreeMap<String, MountSource>) -> Vec<MountSpec> {
    service
        .mounts
        .iter()
        .filter_map(|(target, mount)| {
            let source = volumes.get(&mount.volume)?.clone();
            let (read_only, relabel) = (mount.read_only, mount.relabel);
            Some(MountSpec { target: target.clone(), source, read_only, relabel })
        })
        .collect()
}

/// Creates a service's container on its first network, lets it join the others, and starts it.
async fn start_subject(
    world: &World,
    name: &str,
    spec: &ContainerSpec,
    others: &[String],
) -> Result<(), String> {
    let named = |error: crate::runtime::RuntimeError| format!("service `{name}`: {error}");
    let container = world.runtime.create_container(spec).await.map_err(named)?;
    world.set_container(name, container.clone());
    for network in others {
        let (container, network) = (container.clone(), network.clone());
        let join = EngineOp::Connect { container, network, aliases: spec.aliases.clone() };
        world.runtime.perform(&join).await.map_err(named)?;
    }
    let start = EngineOp::Start { container: container.clone() };
    world.runtime.perform(&start).await.map_err(named)?;
    world.emit(Event::SubjectStarted {
        case: world.id(),
        service: name.to_owned(),
        container,
        image: spec.image.clone(),
        attached: false,
    });
    Ok(())
}

async fn start_loads(world: &World) -> Result<(), String> {
    for (name, workload) in &world.case.scenario.workloads {
        let container = world.container(workload.service()).ok_or_else(|| {
            format!("workload `{name}`: service `{}` does not run", workload.service())
        })?;
        let place = Place { container, pid: 0, path: "/".into(), host_path: None };
        let volume = recorded(&world.case.scenario, name);
        let load = LoadSpec {
            marks: volume.map(|volume| object_name(&world.run, volume)),
            ..workload.load(&world.run, place, world.case.seed)
        };
        let call = LoadCall::Start { name: world.load_name(name), load };
        world.helper.load(call).await.map_err(|error| format!("workload `{name}`: {error}"))?;
    }
    Ok(())
}

pub(super) fn labels_of(world: &World, role: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (labels::RUN.to_owned(), world.run.clone()),
        (labels::ROLE.to_owned(), role.to_owned()),
        (labels::SCENARIO.to_owned(), world.case.scenario.name.clone()),
    ])
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_without_a_dependency_between_them_start_side_by_side() {
        let service = |on: &[&str]| {
            let depends: BTreeMap<_, _> =
                on.iter().map(|on| (*on, serde_json::json!("service_started"))).collect();
            let json = serde_json::json!({ "image": "i", "depends_on": depends });
            serde_json::from_value::<Service>(json).unwrap()
        };
        let services: BTreeMap<String, Service> = [
            ("a", service(&["d"])),
            ("b", service(&[])),
            ("c", service(&["a", "b"])),
            ("d", service(&[])),
        ]
        .map(|(name, service)| (name.to_owned(), service))
        .into();
        assert_eq!(waves(&services), [vec!["b", "d"], vec!["a"], vec!["c"]]);
    }
}
