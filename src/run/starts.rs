//! Starts of a target's container while a fault is in force. What lives in a mount namespace or in
//! a tmpfs ends with it, so every start is noticed and the effect looked for again at once: what is
//! observed after it was lost was not observed under the fault.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{
    injection::{Injection, Start, ended_early, look_at},
    setup::container_name,
    site::{container_ended, refresh, site},
    world::World,
};
use crate::{
    faults::{Effect, FaultError, FaultSpec, Kind, Scope, Site},
    runtime::State,
};

/// Between two looks at a container. None is missed: a start changes the start time for good.
const EVERY: Duration = Duration::from_millis(200);

/// An engine that does not answer by then is asked again.
const ANSWER: Duration = Duration::from_secs(2);

/// A container that has just started can be looked into by then.
const SETTLED: Duration = Duration::from_secs(2);

/// Between two attempts to look into it.
const AGAIN: Duration = Duration::from_millis(50);

/// The fault is in force in something that ends with the container: its mounts, its tmpfs, its
/// cgroup.
fn ends_with_container(fault: &FaultSpec, site: &Site) -> bool {
    fault.scope() == Scope::Container || site.place.host_path.is_none()
}

/// A state is looked for after a start; not a fill of a filesystem that outlives the container,
/// because the subject may have freed it.
fn is_looked_for(injection: &Injection) -> bool {
    let Injection { fault, site, .. } = injection;
    fault.kind() == Kind::State
        && injection.proven
        && (!fault.subject_may_end_it() || ends_with_container(fault, site))
}

/// Looks at the container until the fault is over; ends when dropped.
pub(super) fn follow(
    world: &Arc<World>,
    injection: &Arc<Injection>,
) -> Option<AbortOnDropHandle<()>> {
    if !is_looked_for(injection) {
        return None;
    }
    let (world, injection) = (Arc::clone(world), Arc::clone(injection));
    Some(AbortOnDropHandle::new(tokio::spawn(async move {
        let watched = async {
            while look(&world, &injection).await {
                sleep(EVERY).await;
            }
        };
        tokio::select! {
            () = world.stop.cancelled() => {}
            () = watched => {}
        }
    })))
}

/// False when there is nothing to look for any more.
async fn look(world: &World, injection: &Injection) -> bool {
    // not under the lock: an engine that hangs must not keep the revert waiting
    let Some(start) = another(world, injection).await else {
        return !world.is_over();
    };
    let over = injection.over.lock().await;
    if *over || world.is_over() {
        return false;
    }
    let started = Instant::now();
    if let Err(why) = judge(world, injection, start).await {
        ended_early(world, injection, &why, started);
        return false;
    }
    true
}

/// Whether the fault has outlived every start of its container so far; the error says which it did
/// not.
pub(super) async fn outlived(world: &World, injection: &Injection) -> Result<(), String> {
    if !is_looked_for(injection) {
        return Ok(());
    }
    match another(world, injection).await {
        Some(start) => judge(world, injection, start).await,
        None => Ok(()),
    }
}

/// The container's latest start, where it is not the one that the fault was seen under.
async fn another(world: &World, injection: &Injection) -> Option<Start> {
    let name = container_name(world, &injection.site.service);
    let facts = timeout(ANSWER, world.runtime.inspect(&name)).await.ok()?.ok()?;
    let runs = matches!(facts.state, State::Running | State::Paused);
    let start = Start::of(&facts);
    (runs && !injection.seen_under(&start)).then_some(start)
}

async fn judge(world: &World, injection: &Injection, start: Start) -> Result<(), String> {
    let service = &injection.site.service;
    refresh(world, service).await;
    let what = format!("`{service}` was started again while `{}` was in force", injection.id);
    match effect(world, injection).await {
        Found::InForce(evidence) => {
            world.note(format!("{what}, and still is: {evidence}"));
            injection.saw_under(start);
            Ok(())
        }
        Found::Gone(evidence) => {
            Err(format!("{what}, and the fault did not outlive that: {evidence}"))
        }
        // it ended again: whatever ends with it is gone, the rest is looked for at its next start
        Found::Unseen(why) if ends_with_container(&injection.fault, &injection.site) => {
            Err(format!("{what}, and the fault cannot have outlived that: {why}"))
        }
        Found::Unseen(_) => Ok(()),
    }
}

/// What was seen of an effect after a start.
enum Found {
    InForce(String),
    Gone(String),
    Unseen(String),
}

async fn effect(world: &World, injection: &Injection) -> Found {
    let end = Instant::now() + SETTLED;
    loop {
        let looked = timeout(SETTLED, now(world, injection)).await;
        let why = match looked {
            Ok(Ok(effect)) if effect.proven => return Found::InForce(effect.evidence),
            Ok(Ok(effect)) => match ended(world, injection).await {
                None => return Found::Gone(effect.evidence),
                Some(ended) => ended,
            },
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it could not be looked for in time".to_owned(),
        };
        if Instant::now() >= end {
            return Found::Unseen(why);
        }
        sleep(AGAIN).await;
    }
}

/// Looks in the container as it is now: it may be another than the one that was injected into.
async fn now(world: &World, injection: &Injection) -> Result<Effect, FaultError> {
    let site = site(world, &injection.fault).await?;
    look_at(world, injection, &site, &[]).await
}

async fn ended(world: &World, injection: &Injection) -> Option<String> {
    let service = &injection.site.service;
    container_ended(world, service, &container_name(world, service)).await
}
