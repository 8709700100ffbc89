//! States that a cut of a load's disk would have left: each made, mounted, judged by the ledger, and
//! taken away again. The first that breaks a promise is made smaller, and kept; one that was kept is judged
//! again.
//!
//! The work is done by threads of their own, which may hang in the kernel, each for itself: whoever asks how
//! far it is frees them. The disk under the subject is left alone.

mod course;
mod crew;
mod fsck;
mod keep;
mod look;
mod lots;
mod program;
mod promises;
mod recover;
mod recovered;
mod replay;
mod second;
mod seen;
mod stage;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{super::super::HelperError, driver::Load, marks::Marks};
use crate::{
    host::fuse,
    ledger::Log,
    protocol::{ExploreReport, ExploreSpec, WrongState},
};
use crew::Crew;
pub(super) use keep::piece;
pub(in super::super) use replay::replay;

/// A filesystem that takes longer to recover hangs. More than a device is waited for, and a program.
const PATIENCE: Duration = Duration::from_secs(12);
/// Whoever waits for one asks many times a second; where nobody has for so long, nobody waits.
const ABANDONED: Duration = Duration::from_secs(10);

/// The ledger of a load as it was when the first so many were acknowledged, in the order of its disk.
pub(super) fn promised(path: &Path, marks: &Marks, acknowledged: u64) -> Result<Log, String> {
    let mut promises = promises::Promises::read(path, &marks.sorted())?;
    let acknowledged = usize::try_from(acknowledged).unwrap_or(usize::MAX);
    Ok(promises.log(acknowledged).clone())
}

/// An exploration that goes on, or has ended.
#[derive(Debug, Default)]
pub(super) struct Exploration {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    report: ExploreReport,
    /// The connections on which the kernel works on a state, since when each: by its end it is freed.
    busy: BTreeMap<u32, Instant>,
    /// When somebody asked last; none before it begins.
    asked: Option<Instant>,
    /// Its load has ended.
    cancelled: bool,
}

impl Exploration {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one. The load has stopped.
    pub(super) fn begin(load: &Arc<Load>, spec: ExploreSpec) -> Result<Arc<Self>, HelperError> {
        let marks = load.marks.as_ref().filter(|marks| marks.disk == spec.disk);
        let marks = marks.cloned().ok_or_else(|| {
            HelperError::Refused(format!("this load does not mark the disk `{}`", spec.disk))
        })?;
        Self::of(marks, (load.log_path.clone(), load.spec.seed), spec)
    }

    /// Begins one of the disk that has these marks, by the ledger at this path.
    pub(super) fn of(
        marks: Arc<Marks>,
        (log_path, seed): (PathBuf, u64),
        spec: ExploreSpec,
    ) -> Result<Arc<Self>, HelperError> {
        let this = Arc::new(Self::default());
        this.inner().asked = Some(Instant::now());
        let shared = Arc::clone(&this);
        let work = move || {
            let _ending = Ending(Arc::clone(&shared));
            let opened = program::settle(&spec.reads)
                .and_then(|()| Crew::open(&spec, &marks, &log_path, &shared));
            let ended = opened.and_then(|mut crew| {
                crew.all(seed)?;
                crew.shrink();
                crew.keep(&log_path);
                Ok(())
            });
            let mut inner = shared.inner();
            // whoever is to be started on some of its states closes it
            if inner.report.drawn.is_empty() || ended.is_err() {
                stage::close(&marks.socket);
            }
            inner.report.broken = inner.report.broken.take().or(ended.err());
            inner.report.done = true;
        };
        let spawned = std::thread::Builder::new().name("explore".into()).spawn(work);
        spawned.map_err(|error| HelperError::Refused(format!("no thread: {error}")))?;
        Ok(this)
    }

    /// How far it is. Frees it where it hangs.
    pub(super) fn report(&self) -> ExploreReport {
        let mut inner = self.inner();
        inner.asked = Some(Instant::now());
        Self::free(&mut inner);
        inner.report.clone()
    }

    /// Nothing is looked at any more, and another may begin. Frees it where it hangs, and says nothing
    /// of whether somebody waits for it.
    pub(super) fn is_done(&self) -> bool {
        let mut inner = self.inner();
        Self::free(&mut inner);
        inner.report.done
    }

    /// Its load ends: it ends before its next state.
    pub(super) fn cancel(&self) {
        self.inner().cancelled = true;
    }

    /// Nobody waits for it.
    fn is_cancelled(&self) -> bool {
        let inner = self.inner();
        inner.cancelled || inner.asked.is_some_and(|asked| asked.elapsed() > ABANDONED)
    }

    fn free(inner: &mut Inner) {
        let hangs = inner.busy.iter().filter(|(_, since)| since.elapsed() > PATIENCE);
        let hangs: Vec<u32> = hangs.map(|(connection, _)| *connection).collect();
        for connection in hangs {
            inner.busy.remove(&connection);
            let freed = fuse::abort(connection).err().map(|error| format!(": {error}"));
            inner.report.broken = Some(format!(
                "a state was not recovered within {} s{}",
                PATIENCE.as_secs(),
                freed.unwrap_or_default()
            ));
        }
    }

    /// The first wrong state, as it is reported.
    fn first(&self) -> Option<WrongState> {
        self.inner().report.first.clone()
    }

    /// Changes what is reported.
    fn note(&self, change: impl FnOnce(&mut ExploreReport)) {
        change(&mut self.inner().report);
    }

    /// It was ended because it hung.
    fn is_broken(&self) -> bool {
        self.inner().report.broken.is_some()
    }

    /// Nothing is found any more, whoever waits for it.
    fn end(&self) {
        let mut inner = self.inner();
        if !inner.report.done {
            inner.report.broken.get_or_insert_with(|| "whoever looked has died".into());
            inner.report.done = true;
        }
    }

    /// Does what may hang in the kernel on a connection. None where it did, and was freed: what came of it
    /// is our doing.
    fn watched<T>(&self, connection: u32, work: impl FnOnce() -> T) -> Option<T> {
        self.inner().busy.insert(connection, Instant::now());
        let done = work();
        self.inner().busy.remove(&connection).map(|_| done)
    }
}

/// Whoever looks has an end, also one that nobody foresaw.
struct Ending(Arc<Exploration>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_dies_is_waited_for_no_longer() {
        let shared = Arc::new(Exploration::default());
        let ending = Ending(Arc::clone(&shared));
        let died = std::thread::spawn(move || {
            let _ending = ending;
            std::panic::resume_unwind(Box::new("foreseen by nobody"));
        });
        assert!(died.join().is_err());
        let report = shared.report();
        assert!(report.done && report.vacuous().unwrap().ends_with("has died"));
        let shared = Arc::new(Exploration::default());
        shared.note(|report| report.done = true);
        drop(Ending(Arc::clone(&shared)));
        assert_eq!(shared.report().broken, None);
    }
}
