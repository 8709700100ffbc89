//! The steady state before the first injection: without it nothing is proven.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    assert::record,
    event::Phase,
    expect::{Awaited, Patience, Watched, steady_state, wait_until_all_hold},
    site,
    world::World,
};
use crate::{runtime::RestartPolicy, scenario::Hypothesis, verdict::Verdict};

/// It must be reached within this time.
const DEADLINE: Duration = Duration::from_secs(30);
/// And last for this long: a service that ends as soon as it has started runs at some instant.
const HOLD: Duration = Duration::from_millis(300);
/// After this long it is asked whether it can come at all.
const SOON: Duration = Duration::from_secs(2);

/// Waits for it. Where it does not come, the steps are not walked.
pub(super) async fn reach(world: &Arc<World>) {
    world.enter(Phase::SteadyState);
    if world.case.scenario.steady_state.is_empty() {
        return;
    }
    let started = Instant::now();
    let awaited = wait(world, &steady_state(world)).await;
    for one in awaited.judged {
        // before injection nothing can fail: it can only not be there
        let verdict =
            if one.verdict == Verdict::Fail { Verdict::Inconclusive } else { one.verdict };
        let (group, message) = (Hypothesis::SteadyState, &one.message);
        record(world, &one.id, group, &one.title, Some(verdict), message, started);
    }
    if awaited.since.is_none() && !awaited.cut_short {
        tokio::select! {
            () = name_the_ended(world) => {}
            () = world.stop.cancelled() => {}
        }
        world.findings().break_off("the steady state was not reached before injection");
    }
}

async fn wait(world: &Arc<World>, probes: &[Watched<'_>]) -> Awaited {
    let all = DEADLINE.min(world.case.scenario.timeout.0);
    let first = Patience { within: SOON.min(all), hold: HOLD };
    let awaited = wait_until_all_hold(world, probes, &first).await;
    if awaited.since.is_some() || awaited.cut_short || is_hopeless(world, probes, &awaited).await {
        return awaited;
    }
    let rest = Patience { within: all.saturating_sub(first.within), hold: HOLD };
    wait_until_all_hold(world, probes, &rest).await
}

/// Whether a probe that does not hold reads a service that has ended, and that nobody starts again.
async fn is_hopeless(world: &World, probes: &[Watched<'_>], awaited: &Awaited) -> bool {
    for (watched, judged) in probes.iter().zip(&awaited.judged) {
        let Some(service) = watched.item.probe.service() else { continue };
        let services = &world.case.scenario.services;
        let stays = services.get(service).is_some_and(|one| one.restart == RestartPolicy::No);
        if judged.verdict == Verdict::Pass || !stays {
            continue;
        }
        let Some(container) = world.container(service) else { continue };
        if site::container_ended(world, service, &container).await.is_some() {
            return true;
        }
    }
    false
}

/// A subject that exits at once is the likely cause of whatever its probes saw.
async fn name_the_ended(world: &World) {
    for (service, container) in world.containers() {
        if let Some(why) = site::container_ended(world, &service, &container).await {
            world.note(&why);
            world.findings().add(&service, Some(Verdict::Inconclusive), &why);
        }
    }
}
