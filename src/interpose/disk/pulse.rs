//! How far a disk has come with what it is asked for, for who watches it.
//!
//! No lock is shared with its requests: who asks gets an answer, though all of them hang.

use std::sync::atomic::{AtomicU64, Ordering};

/// More than there are threads that work at requests, each at two at most: one that is struck and
/// not delayed goes on within itself.
const PLACES: usize = 16;

/// Requests by the order in which they were taken, from 1 on.
#[derive(Default)]
pub(super) struct Pulse {
    /// What is worked at; 0 where nothing is.
    at_work: [AtomicU64; PLACES],
    taken: AtomicU64,
    /// Requests that wait in here on purpose.
    held: AtomicU64,
}

/// A request is worked at, until this is dropped.
pub(super) struct AtWork<'a>(Option<&'a AtomicU64>);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.into_iter().for_each(|place| place.store(0, Ordering::Release));
    }
}

/// A request waits on purpose, until this is dropped.
pub(super) struct Held<'a>(&'a AtomicU64);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Pulse {
    /// A request is taken.
    pub(super) fn begin(&self) -> AtWork<'_> {
        let number = self.taken.fetch_add(1, Ordering::AcqRel) + 1;
        let takes = |place: &&AtomicU64| {
            place.compare_exchange(0, number, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        AtWork(self.at_work.iter().find(takes))
    }

    /// One begins to wait on purpose.
    pub(super) fn hold(&self) -> Held<'_> {
        self.held.fetch_add(1, Ordering::AcqRel);
        Held(&self.held)
    }

    /// Whether any waits on purpose.
    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire) > 0
    }

    /// Which request has been worked at for longest, and how many were ever taken.
    pub(super) fn told(&self) -> (Option<u64>, u64) {
        let numbers = self.at_work.iter().map(|place| place.load(Ordering::Acquire));
        let oldest = numbers.filter(|number| *number > 0).min();
        (oldest, self.taken.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_told_until_it_is_done() {
        let pulse = Pulse::default();
        assert_eq!(pulse.told(), (None, 0));
        let first = pulse.begin();
        let second = pulse.begin();
        assert_eq!(pulse.told(), (Some(1), 2));
        drop(first);
        let third = pulse.begin();
        assert_eq!(pulse.told(), (Some(2), 3));
        drop((second, third));
        assert_eq!(pulse.told(), (None, 3));
        let held = pulse.hold();
        assert!(pulse.is_held());
        drop(held);
        assert!(!pulse.is_held());
    }
}
