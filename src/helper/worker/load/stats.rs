//! Counts and latencies of a load.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::protocol::LoadStats;

/// What is counted.
#[derive(Debug)]
pub(super) struct Stats {
    started: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: LoadStats,
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

    /// So many bytes were acknowledged after so long.
    pub(super) fn acknowledged(&self, bytes: usize, took: Duration) {
        self.with(|inner| {
            let counts = &mut inner.counts;
            if counts.acknowledged == 0 {
                counts.early = counts.failed + counts.indeterminate;
            }
            counts.acknowledged += 1;
            counts.bytes += bytes as u64;
            counts.latencies.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
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
            p50_us: inner.counts.latencies.at(50),
            p99_us: inner.counts.latencies.at(99),
            ..inner.counts.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_before_the_first_acknowledgement_is_told_apart() {
        let stats = Stats::start();
        stats.failed("not ready");
        stats.indeterminate("no reply");
        stats.acknowledged(8, Duration::ZERO);
        stats.failed("no leader");
        stats.acknowledged(8, Duration::ZERO);
        assert_eq!((stats.read().early, stats.read().failed), (2, 2));
    }
}
