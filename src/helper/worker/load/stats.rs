//! Counts and latencies of a load. Latencies are kept in buckets of at most 1/16 error, so that
//! memory does not grow with the number of operations.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::protocol::LoadStats;

/// Buckets for each power of two.
const FINE: u64 = 16;

/// What is counted.
#[derive(Debug)]
pub(super) struct Stats {
    started: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: LoadStats,
    latencies: Histogram,
    /// Fixed when the load has stopped.
    ended: Option<Duration>,
}

impl Stats {
    /// Nothing yet.
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), inner: Mutex::default() }
    }

    /// Microseconds since the start.
    pub(super) fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An operation begins.
    pub(super) fn begun(&self) {
        self.with(|inner| inner.counts.attempted += 1);
    }

    /// It was acknowledged after so long.
    pub(super) fn acknowledged(&self, took: Duration) {
        self.with(|inner| {
            let counts = &mut inner.counts;
            if counts.acknowledged == 0 {
                counts.early = counts.failed + counts.indeterminate;
            }
            counts.acknowledged += 1;
            inner.latencies.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        });
    }

    /// It was refused.
    pub(super) fn failed(&self, reason: &str) {
        self.with(|inner| {
            inner.counts.failed += 1;
            inner.counts.last_error = Some(reason.to_owned());
        });
    }

    /// Nobody knows.
    pub(super) fn indeterminate(&self, reason: &str) {
        self.with(|inner| {
            inner.counts.indeterminate += 1;
            inner.counts.last_error = Some(reason.to_owned());
        });
    }

    /// Time stands still from now on.
    pub(super) fn end(&self) {
        let now = self.started.elapsed();
        self.with(|inner| *inner.ended.get_or_insert(now));
    }

    /// As it is now.
    pub(super) fn read(&self) -> LoadStats {
        let now = self.started.elapsed();
        self.with(|inner| LoadStats {
            elapsed_us: u64::try_from(inner.ended.unwrap_or(now).as_micros()).unwrap_or(u64::MAX),
            p50_us: inner.latencies.at(50),
            p99_us: inner.latencies.at(99),
            ..inner.counts.clone()
        })
    }
}

/// Counts by logarithm.
#[derive(Debug)]
struct Histogram(Vec<u64>);

impl Default for Histogram {
    fn default() -> Self {
        Self(vec![0; bucket(u64::MAX) + 1])
    }
}

impl Histogram {
    fn add(&mut self, value: u64) {
        self.0[bucket(value)] += 1;
    }

    /// The value below which so many percent are; 0 when there are none.
    fn at(&self, percent: u64) -> u64 {
        let total: u64 = self.0.iter().sum();
        let rank = (total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (index, count) in self.0.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return value(index as u64);
            }
        }
        0
    }
}

fn bucket(value: u64) -> usize {
    if value < FINE {
        return usize::try_from(value).unwrap_or(0);
    }
    let power = u64::from(value.ilog2());
    let part = (value >> (power - 4)) & (FINE - 1);
    usize::try_from((power - 3) * FINE + part).unwrap_or(0)
}

/// The lowest value of a bucket.
fn value(bucket: u64) -> u64 {
    if bucket < FINE {
        return bucket;
    }
    let (power, part) = (bucket / FINE + 3, bucket % FINE);
    (FINE + part) << (power - 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_before_the_first_acknowledgement_is_told_apart() {
        let stats = Stats::start();
        stats.failed("not ready");
        stats.indeterminate("no reply");
        stats.acknowledged(Duration::ZERO);
        stats.failed("no leader");
        stats.acknowledged(Duration::ZERO);
        assert_eq!((stats.read().early, stats.read().failed), (2, 2));
    }

    #[test]
    fn percentiles_are_right_to_a_sixteenth() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.at(50), 0);
        (1..=10_000).for_each(|value| histogram.add(value));
        for (percent, exact) in [(1, 100), (50, 5000), (99, 9900), (100, 10_000)] {
            let found = histogram.at(percent);
            assert!(found <= exact && found * 17 >= exact * 16, "p{percent}: {found}");
        }
        histogram.add(u64::MAX);
        assert!(histogram.at(100) >= u64::MAX / 17 * 16);
    }
}
