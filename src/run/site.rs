//! Where a fault acts: its target resolved against what runs now.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{event::Event, setup, world::World};
use crate::{
    faults::{Cx, FaultError, FaultSpec, Site, SiteVolume, Target},
    helper::HelperError,
    protocol::{LoadCall, Place, Read, Reading},
    runtime::{ContainerFacts, RuntimeError, State},
    scenario::Allow,
};

/// The service's container as it is now; none when the engine does not say. A fault may have made
/// it anew: later steps and loads must find it.
pub(super) async fn refresh(world: &World, service: &str) -> Option<ContainerFacts> {
    let name = setup::container_name(world, service);
    let facts = world.runtime.inspect(&name).await.ok()?;
    if world.set_container(service, facts.id.clone()) {
        tell(world, service, &facts).await;
    }
    Some(facts)
}

/// The service has another container than before.
async fn tell(world: &World, service: &str, facts: &ContainerFacts) {
    world.emit(Event::SubjectStarted {
        case: world.id(),
        service: service.to_owned(),
        container: facts.id.clone(),
        image: facts.image.clone(),
        attached: world.case.attached.contains_key(service),
    });
    for (name, workload) in &world.case.scenario.workloads {
        if workload.service() == service {
            let place = Place {
                container: facts.id.clone(),
                pid: facts.pid,
                path: "/".into(),
                host_path: None,
            };
            let call = LoadCall::Retarget { name: world.load_name(name), place };
            if let Err(error) = world.helper.load(call).await {
                world.note(format!("workload `{name}` could not follow its container: {error}"));
            }
        }
    }
}

pub(super) fn cx<'a>(world: &'a World, site: &'a Site) -> Cx<'a> {
    let attached = world.case.attached.contains_key(&site.service);
    Cx {
        runtime: world.runtime.as_ref(),
        helper: world.helper.as_ref(),
        site,
        run: &world.run,
        seed: world.case.seed,
        kept: false,
        traced: world.trace_io,
        // whatever the scenario allows: it speaks of the host, not of somebody's containers
        host_wide: world.case.scenario.allow.contains(&Allow::HostWide) && !attached,
        attached,
        all_attached: &world.case.attached,
        share: 1.0,
        first: None,
    }
}

/// The engine says so within this of the end of a container's init, however busy the host is.
const ENGINE_KNOWS: Duration = Duration::from_secs(5);

/// Between two questions to the engine.
const AGAIN: Duration = Duration::from_millis(50);

/// Why nothing can be looked for in a site any more: its container has ended, and its mounts with
/// it. None while it lives, and where the engine does not say. The kernel knows of an end before
/// the engine does: then its word is waited for.
pub(super) async fn ended(world: &World, site: &Site) -> Option<String> {
    let end = Instant::now() + ENGINE_KNOWS;
    loop {
        let said = container_ended(world, &site.service, &site.place.container).await;
        if said.is_some() || Instant::now() >= end {
            return said;
        }
        match said_to_run(world, site).await {
            Some(pid) if !has_init(world, site, pid).await => sleep(AGAIN).await,
            _ => return None,
        }
    }
}

/// The pid of its init, where the engine says that it runs; a container that it starts again has no
/// process either.
async fn said_to_run(world: &World, site: &Site) -> Option<u32> {
    let facts = world.runtime.inspect(&site.place.container).await.ok()?;
    matches!(facts.state, State::Running | State::Paused).then_some(facts.pid)
}

/// Whether the kernel knows this process as the container's init; also where it cannot be asked. Of a
/// container that ends the other processes are there a little longer than its init.
async fn has_init(world: &World, site: &Site, pid: u32) -> bool {
    let place = Place { pid, ..site.place.clone() };
    match world.helper.read(Read::Init(place)).await {
        Ok(Reading::Init(init)) => pid == 0 || init.pid == pid,
        answer => !matches!(answer, Err(HelperError::NotRunning(_))),
    }
}

/// Likewise of a service's container.
pub(super) async fn container_ended(
    world: &World,
    service: &str,
    container: &str,
) -> Option<String> {
    match world.runtime.inspect(container).await {
        Ok(facts) if matches!(facts.state, State::Exited | State::Dead | State::Created) => {
            let state = format!("{:?}", facts.state).to_lowercase();
            Some(format!("`{service}` is {state}, exit code {}", facts.exit_code))
        }
        Err(RuntimeError::Gone { .. }) => Some(format!("the container of `{service}` was removed")),
        _ => None,
    }
}

/// Resolves a fault's target against what runs now.
pub(super) async fn site(world: &World, fault: &FaultSpec) -> Result<Site, FaultError> {
    let target = fault.target();
    let container = world.container(&target.service).ok_or_else(|| {
        FaultError::Refused(format!("service `{}` has no container", target.service))
    })?;
    let facts = match world.runtime.inspect(&container).await {
        Err(RuntimeError::Gone { .. }) => {
            let why = format!("the container of `{}` was removed by someone else", target.service);
            return Err(FaultError::Refused(why));
        }
        other => other?,
    };
    let (_, along) = fault.along();
    let along = along.iter().map(|further| within(world, further, (&container, &facts)));
    let along = along.collect();
    Ok(Site { along, ..within(world, target, (&container, &facts)) })
}

/// One place in a container.
fn within(world: &World, target: &Target, (container, facts): (&str, &ContainerFacts)) -> Site {
    let path = target.path.clone().unwrap_or_else(|| "/".to_owned());
    let (container, host_path) = (container.to_owned(), host_path(facts, &path));
    let volume = site_volume(world, &target.service, &path);
    let place = Place { container, pid: facts.pid, path, host_path };
    Site { service: target.service.clone(), place, volume, along: Vec::new() }
}

/// The same path in the engine's mount namespace, by the mount it lies on.
fn host_path(facts: &ContainerFacts, path: &str) -> Option<String> {
    let (mount, rest) = facts
        .mounts
        .iter()
        .filter_map(|mount| Some((mount, below(path, &mount.destination)?)))
        .min_by_key(|(_, rest)| rest.len())?;
    (!mount.source.is_empty()).then(|| format!("{}{rest}", mount.source))
}

fn site_volume(world: &World, service: &str, path: &str) -> Option<SiteVolume> {
    let mounts = &world.case.scenario.services.get(service)?.mounts;
    let (mount_point, mount) = mounts
        .iter()
        .filter(|(point, _)| below(path, point).is_some())
        .max_by_key(|(point, _)| point.len())?;
    let spec = world.case.scenario.volumes.get(&mount.volume)?.clone();
    Some(SiteVolume { name: mount.volume.clone(), spec, mount_point: mount_point.clone() })
}

/// What comes after `root` in `path`: empty, or starting with a slash.
fn below<'a>(path: &'a str, root: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(root.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn a_path_lies_below_whole_components_only() {
        assert_eq!(below("/data/x", "/data"), Some("/x"));
        assert_eq!(below("/data", "/data"), Some(""));
        assert_eq!(below("/database", "/data"), None);
        assert_eq!(below("/data", "/"), Some("/data"));
    }
}
