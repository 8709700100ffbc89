//! Watches the loads of a case: samples for the reports, and what their rates are taken from.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{assert::record, event::Event, world::World};
use crate::{
    protocol::{Histogram, LoadCall, LoadReply, LoadStats},
    scenario::Hypothesis,
    verdict::Verdict,
};

/// Time between samples. Bounds the event file too: five lines a second for each load.
const EVERY: Duration = Duration::from_millis(200);

/// A load that does not say how it stands within this time is asked again at the next tick.
const DEADLINE: Duration = Duration::from_secs(2);

/// A load acknowledged at less than this share of its rate exercises nothing: what a fault breaks
/// would go unnoticed.
const LEAST_SHARE: f64 = 0.1;

/// A load gets this long to come up to its least rate before the first injection.
const WARM_UP: Duration = Duration::from_secs(3);

fn names(world: &World) -> Vec<String> {
    world.case.scenario.workloads.keys().cloned().collect()
}

async fn ask(world: &World, name: &str) -> Option<LoadStats> {
    let call = LoadCall::Stats { name: world.load_name(name) };
    match timeout(DEADLINE, world.helper.load(call)).await {
        Ok(Ok(LoadReply::Stats(stats))) => Some(stats),
        _ => None,
    }
}

/// Samples every load of the case until it is told to end.
pub(super) async fn watch(world: Arc<World>) {
    let names = names(&world);
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !names.is_empty() {
        ticks.tick().await;
        for name in &names {
            let Some(stats) = ask(&world, name).await else { continue };
            world.loads.push(name, stats.clone());
            // the percentiles are enough for a report, and five of these a second are many
            let stats = LoadStats { latencies: Histogram::default(), ..stats };
            world.emit(Event::LoadSampled { case: world.id(), workload: name.clone(), stats });
        }
    }
}

/// A step begins: its rates count from now.
pub(super) async fn step_begins(world: &World) {
    for name in names(world) {
        // the last sample where the load does not answer: a bit of the past is better than all of it
        let stats = ask(world, &name).await.or_else(|| world.loads.newest(&name));
        if let Some(stats) = stats {
            world.loads.restart(&name, stats);
        }
    }
}

/// Before the first injection every load must be acknowledged at a rate worth the name, or nothing
/// is proven.
pub(super) async fn guard(world: &World) {
    let started = Instant::now();
    for (name, workload) in &world.case.scenario.workloads {
        let least = workload.rate() * LEAST_SHARE;
        let enough = |rate: Option<f64>| rate.is_some_and(|rate| rate >= least);
        let mut rate = world.loads.rate(name);
        while !enough(rate) && started.elapsed() < WARM_UP && !world.stop.is_cancelled() {
            sleep(EVERY).await;
            rate = world.loads.rate(name);
        }
        let title = format!("`{name}` is acknowledged {least:.1} times a second or more");
        let message = match rate {
            Some(rate) => format!("{rate:.1} acknowledged per second"),
            None => "nothing was acknowledged".to_owned(),
        };
        let verdict = if enough(rate) { Verdict::Pass } else { Verdict::Inconclusive };
        let id = format!("workloads.{name}");
        record(world, &id, Hypothesis::SteadyState, &title, Some(verdict), &message, started);
        if verdict != Verdict::Pass {
            let why = format!("the load `{name}` was too low before injection: {message}");
            world.findings().break_off(&why);
        }
    }
}
