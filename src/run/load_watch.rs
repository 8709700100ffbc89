//! Recent counters of the loads, and rates over a sliding window of them. Pure.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::protocol::LoadStats;

/// Rates are taken over this much of the recent past: long enough to smooth pacing, short enough
/// not to delay the moment of recovery.
const WINDOW_US: u64 = 600_000;

/// Samples kept per load.
const KEEP: usize = 16;

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
    pub(super) fn restart(&self, workload: &str, stats: LoadStats) {
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

    pub(super) fn newest(&self, workload: &str) -> Option<LoadStats> {
        self.counters().recent.get(workload)?.back().cloned()
    }

    /// Acknowledged per second over the last window.
    pub(super) fn rate(&self, workload: &str) -> Option<f64> {
        let (old, new) = (self.sliding(workload)?, self.newest(workload)?);
        let micros = new.elapsed_us.checked_sub(old.elapsed_us).filter(|micros| *micros > 0)?;
        let count = u32::try_from(new.acknowledged.saturating_sub(old.acknowledged)).ok()?;
        Some(f64::from(count) / Duration::from_micros(micros).as_secs_f64())
    }

    pub(super) fn push(&self, workload: &str, stats: LoadStats) {
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
