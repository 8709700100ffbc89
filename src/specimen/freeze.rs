//! The freeze: a pause in which nothing of the data changes, so that a copy of it is of one moment.
//!
//! Logs and the heartbeat's own file go on. Whoever froze the service may die before it thaws it,
//! so a freeze can carry a limit, after which the service goes on by itself.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::health::State;
use super::service::Service;
use super::weakness::Weakness;

#[derive(Default)]
pub(super) struct Freeze {
    /// Held by whoever changes the data; a freeze begins when nobody does.
    writing: Mutex<()>,
    /// Freezes and thaws so far, so that the limit of one does not end the next.
    turns: AtomicU64,
    /// When the present one began.
    since: Mutex<Option<Instant>>,
}

impl Freeze {
    /// Keeps a freeze from beginning.
    pub(super) fn hold_off(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begun(&self) -> MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Takes no more records, waits for those on their way, and saves the state that belongs to
    /// them. On an error the service goes on.
    pub(super) fn freeze(self: &Arc<Self>, limit: Option<Duration>) -> io::Result<()> {
        let turn = self.freeze.turns.fetch_add(1, Ordering::AcqRel) + 1;
        if self.args.has(Weakness::NoHold) {
            *self.freeze.begun() = Some(Instant::now());
            return Ok(());
        }
        self.health.enter(State::Paused);
        let saved = {
            let _nobody_writes = self.freeze.hold_off();
            self.save()
        };
        if saved.is_err() {
            self.health.enter(State::Running);
            return saved;
        }
        *self.freeze.begun() = Some(Instant::now());
        if let Some(limit) = limit.filter(|_| !self.args.has(Weakness::FreezesForEver)) {
            let service = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(limit).await;
                service.thaw_after(turn);
            });
        }
        saved
    }

    /// Goes on; how long it was frozen. None when it was not.
    pub(super) fn thaw(&self) -> Option<Duration> {
        self.freeze.turns.fetch_add(1, Ordering::AcqRel);
        self.health.enter(State::Running);
        self.freeze.begun().take().map(|since| since.elapsed())
    }

    /// Goes on, unless something has happened since.
    fn thaw_after(&self, turn: u64) {
        if self.freeze.turns.load(Ordering::Acquire) == turn {
            self.console.say("frozen for too long: going on");
            self.thaw();
        }
    }

    /// Runs what changes the data beside the journal, unless the service is frozen.
    pub(super) fn unless_frozen<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let _no_freeze = self.freeze.hold_off();
        (!self.health.is_paused()).then(work)
    }
}
