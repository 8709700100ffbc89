//! One writer: a record at each of its slots, one at a time, each chained to the one before.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    log::Log,
    marks::Marks,
    stats::Stats,
    way::{Put, Way},
};
use crate::ledger::{Entry, Event, Intent, Record, RecordId};

/// Slots that a writer may be behind; more are left out, so that a stall is not followed by a
/// burst without end.
const BACKLOG: u64 = 32;

/// One writer.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) run: String,
    pub(super) number: u32,
    pub(super) length: u32,
    pub(super) timeout: Duration,
    pub(super) slots: Slots,
    pub(super) way: Way,
    pub(super) log: Log,
    pub(super) marks: Option<Arc<Marks>>,
    pub(super) stats: Arc<Stats>,
}

/// When a writer's turns are, from the start of the load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slots {
    first: Duration,
    every: Duration,
}

/// The slots of one of several writers that share a rate evenly.
pub(super) fn pace(rate: f64, writers: u32, number: u32) -> Slots {
    let gap = Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::from_secs(3600));
    Slots { first: gap.saturating_mul(number), every: gap.saturating_mul(writers) }
}

impl Slots {
    /// The slot to use after slot `last` at this time: the next, or a later one when more than the
    /// backlog are overdue.
    fn next(self, last: Option<u64>, now: Duration) -> u64 {
        let next = last.map_or(0, |last| last + 1);
        let every = self.every.as_nanos().max(1);
        let passed = now.saturating_sub(self.first).as_nanos() / every;
        next.max(u64::try_from(passed).unwrap_or(u64::MAX).saturating_sub(BACKLOG))
    }

    fn at(self, slot: u64) -> Duration {
        let nanos = self.every.as_nanos().saturating_mul(u128::from(slot));
        self.first + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Writer {
    /// Writes until it is told to stop, or its log can no longer be written.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let started = Instant::now();
        let mut slot = None;
        let mut previous = 0;
        for sequence in 0_u64.. {
            let next = self.slots.next(slot, started.elapsed());
            slot = Some(next);
            let due = tokio::time::Instant::from_std(started + self.slots.at(next));
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep_until(due) => {}
            }
            let id = RecordId { writer: self.number, sequence };
            let record = Record::new(&self.run, id, &id.to_string(), self.length, previous);
            let Ok(record) = record else { return };
            previous = record.link();
            if let Err(reason) = self.one(&record).await {
                tracing::error!(%reason, "a writer ends");
                self.stats.failed(&reason);
                return;
            }
        }
    }

    async fn one(&mut self, record: &Record) -> Result<(), String> {
        self.note(Event::Intent(Intent::from(record))).await?;
        self.stats.begun();
        let started = Instant::now();
        let line = record.encode();
        let put = self.way.put(&record.key, &line, self.timeout).await;
        let took = started.elapsed();
        let id = record.id;
        match put {
            Put::Acknowledged => {
                if let Some(marks) = &self.marks {
                    marks.set(id).await;
                }
                self.note(Event::Acknowledged(id)).await?;
                self.stats.acknowledged(line.len(), took);
            }
            Put::Failed(reason) => {
                self.stats.failed(&reason);
                self.note(Event::Failed { id, reason }).await?;
            }
            Put::Indeterminate(reason) => {
                self.stats.indeterminate(&reason);
                self.note(Event::Indeterminate { id, reason }).await?;
            }
        }
        Ok(())
    }

    async fn note(&mut self, event: Event) -> Result<(), String> {
        self.log.durable(Entry { at_us: self.stats.now_us(), event }).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_share_the_rate_evenly() {
        let (first, second) = (pace(100.0, 4, 0), pace(100.0, 4, 1));
        assert_eq!(first.at(1), Duration::from_millis(40));
        assert_eq!(second.at(0), Duration::from_millis(10));
    }

    #[test]
    fn a_stall_is_made_up_for_in_part_only() {
        let slots = pace(1000.0, 1, 0);
        assert_eq!(slots.next(None, Duration::ZERO), 0);
        assert_eq!(slots.next(Some(4), Duration::from_millis(5)), 5);
        assert_eq!(slots.next(Some(4), Duration::from_millis(20)), 5);
        assert_eq!(slots.next(Some(4), Duration::from_millis(1000)), 1000 - BACKLOG);
    }
}
