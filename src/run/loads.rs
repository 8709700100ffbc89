//! Watches the loads of a case: samples for the reports, and a sliding window for rates.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use super::{event::Event, steps::record, world::World};
use crate::{
    protocol::{Histogram, LoadCall, LoadReply, LoadStats},
    scenario::Hypothesis,
    verdict::Verdict,
};

/// Time between samples. Bounds the event file too: five lines a second for each load.
const EVERY: Duration = Duration::from_millis(200);

/// Rates are taken over this much of the recent past: long enough to smooth pacing, short enough
/// not to delay the moment of recovery.
const WINDOW_US: u64 = 600_000;

/// Samples kept per load.
const KEEP: usize = 16;

/// A load that does not say how it stands within this time is asked again at the next tick.
const DEADLINE: Duration = Duration::from_secs(2);

/// A load acknowledged at less than this share of its rate exercises nothing: what a fault breaks
/// would go unnoticed.
const LEAST_SHARE: f64 = 0.1;

/// A load gets this long to come up to its least rate before the first injection.
const WARM_UP: Duration = Duration::from_secs(3);

/// Recent counters of every load.
#[derive(Default)]
pub(super) struct LoadWatch(Mutex<Counters>);

#[derive(Default)]
struct Counters {
    recent: BTreeMap<String, VecDeque<LoadStats>>,
    /// How each load stood when the current step began.
    step: BTreeMap<String, LoadStats>,
}

impl LoadWatch {
    /// Rates of the current step count from here.
    fn restart(&self, workload: &str, stats: LoadStats) {
        self.counters().step.insert(workload.to_owned(), stats);
    }

    /// What a rate over the last window is taken against: the newest sample that is at least a
    /// window old, else the oldest there is.
    pub(super) fn sliding(&self, workload: &str) -> Option<LoadStats> {
        let counters = self.counters();
        let samples = counters.recent.get(workload)?;
        let now = samples.back()?.elapsed_us;
        let old = samples.iter().rev().find(|sample| sample.elapsed_us + WINDOW_US <= now);
        old.or(samples.front()).cloned()
    }

    /// Likewise, and never older than the current step: what was acknowledged before it must not
    /// pass for recovery.
    pub(super) fn of_step(&self, workload: &str) -> Option<LoadStats> {
        let step = self.counters().step.get(workload).cloned();
        let sliding = self.sliding(workload);
        step.into_iter().chain(sliding).max_by_key(|stats| stats.elapsed_us)
    }

    fn newest(&self, workload: &str) -> Option<LoadStats> {
        self.counters().recent.get(workload)?.back().cloned()
    }

    /// Acknowledged per second over the last window.
    fn rate(&self, workload: &str) -> Option<f64> {
        let (old, new) = (self.sliding(workload)?, self.newest(workload)?);
        let micros = new.elapsed_us.checked_sub(old.elapsed_us).filter(|micros| *micros > 0)?;
        let count = u32::try_from(new.acknowledged.saturating_sub(old.acknowledged)).ok()?;
        Some(f64::from(count) / Duration::from_micros(micros).as_secs_f64())
    }

    fn push(&self, workload: &str, stats: LoadStats) {
        let mut counters = self.counters();
        let samples = counters.recent.entry(workload.to_owned()).or_default();
        if samples.len() == KEEP {
            samples.pop_front();
        }
        samples.push_back(stats);
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(elapsed_us: u64) -> LoadStats {
        LoadStats { elapsed_us, acknowledged: elapsed_us / 10_000, ..LoadStats::default() }
    }

    #[test]
    fn the_baseline_is_a_window_old_and_never_older_than_the_step() {
        let watch = LoadWatch::default();
        assert_eq!(watch.of_step("records"), None);
        for tick in 0..10 {
            watch.push("records", at(tick * 200_000));
        }
        assert_eq!(watch.of_step("records"), Some(at(1_200_000)));
        assert_eq!(watch.rate("records"), Some(100.0));
        watch.restart("records", at(1_900_000));
        watch.push("records", at(2_000_000));
        assert_eq!(watch.of_step("records"), Some(at(1_900_000)));
        assert_eq!(watch.sliding("records"), Some(at(1_400_000)));
    }
}
