//! What the keeper holds, and the small steps that everything else is made of.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use tokio::sync::{mpsc, watch};

use super::{
    super::{
        HelperError,
        wire::{Answer, Frame, WorkerAnswer, WorkerAsk},
    },
    book::Book,
    class::deadline,
    engine::LocalEngine,
    late::Acts,
    lease::Lease,
    worker_link::WorkerLink,
};
use crate::protocol::{Entry, EntryId, Op, Outcome, Place, Undone};

/// What the keeper was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    /// The run's directory: the mounted helper volume.
    pub(super) dir: PathBuf,
    /// The same directory on the engine's host.
    pub(super) host_dir: String,
    /// The run.
    pub(super) run: String,
    /// There may be a journal already: revert what it holds, and start nothing new.
    pub(super) replay: bool,
    /// The journal was begun on another boot.
    pub(super) other_boot: bool,
}

impl Options {
    /// Starts a worker for this run. A `fresh` one is the first.
    pub(super) fn worker(&self, fresh: bool) -> io::Result<Arc<WorkerLink>> {
        WorkerLink::spawn((&self.dir, &self.host_dir), self.other_boot, fresh)
    }
}

/// The keeper.
pub(super) struct Keeper {
    pub(super) options: Options,
    pub(super) book: Book,
    pub(super) lease: Lease,
    /// Why nothing new may be done: the run is lost.
    pub(super) lost: watch::Sender<Option<String>>,
    /// Held for reading by every act, for writing to wait until none is in progress.
    pub(super) gate: tokio::sync::RwLock<()>,
    /// Held by whoever undoes, but for what lets others go on.
    pub(super) undoing: tokio::sync::Mutex<()>,
    /// Held by whoever undoes something of an interposer: of two at once, one would detach what lies
    /// beneath it.
    pub(super) withdrawing: tokio::sync::Mutex<()>,
    /// Undone because their time was up, and not told yet.
    pub(super) expired: Mutex<Vec<Undone>>,
    /// Entries that the command line drives op by op.
    pub(super) begun: Mutex<HashMap<EntryId, Entry>>,
    /// Acts that may still come.
    pub(super) acts: Mutex<Acts>,
    /// Containers with a volume that takes no changes, by the entry that fenced it and its interposer.
    pub(super) fenced: Mutex<BTreeMap<(EntryId, String), Vec<String>>>,
    /// Directories of trials in progress: a worker that dies may leave a file there.
    pub(super) trials: Mutex<Vec<Place>>,
    pub(super) outbox: mpsc::Sender<Frame<Answer>>,
    /// The engine on its local socket, where there is one.
    pub(super) engine: LocalEngine,
    worker: RwLock<Arc<WorkerLink>>,
    replacing: tokio::sync::Mutex<()>,
}

impl Keeper {
    pub(super) fn new(
        options: Options,
        book: Book,
        lease: Lease,
        worker: Arc<WorkerLink>,
        engine: LocalEngine,
        outbox: mpsc::Sender<Frame<Answer>>,
    ) -> Self {
        let lost = options.replay.then(|| "the helper was started again".to_owned());
        Self {
            options,
            book,
            lease,
            lost: watch::Sender::new(lost),
            gate: tokio::sync::RwLock::new(()),
            undoing: tokio::sync::Mutex::new(()),
            withdrawing: tokio::sync::Mutex::new(()),
            expired: Mutex::default(),
            begun: Mutex::default(),
            acts: Mutex::default(),
            fenced: Mutex::default(),
            trials: Mutex::default(),
            outbox,
            engine,
            worker: RwLock::new(worker),
            replacing: tokio::sync::Mutex::new(()),
        }
    }

    /// Why nothing new may be done.
    pub(super) fn refuse_when_lost(&self) -> Result<(), HelperError> {
        match &*self.lost.borrow() {
            Some(reason) => Err(HelperError::Lost(reason.clone())),
            None => Ok(()),
        }
    }

    /// The run is lost from now on; the first reason stays.
    pub(super) fn lose(&self, reason: &str) {
        self.lost.send_if_modified(|lost| {
            let first = lost.is_none();
            if first {
                *lost = Some(reason.to_owned());
            }
            first
        });
    }

    /// The worker as it is now, dead or alive.
    pub(super) fn worker(&self) -> Arc<WorkerLink> {
        Arc::clone(&self.worker.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A worker that lives: another one when the last is dead.
    pub(super) async fn live_worker(&self) -> Result<Arc<WorkerLink>, HelperError> {
        let _one_at_a_time = self.replacing.lock().await;
        let worker = self.worker();
        if !worker.is_dead() {
            return Ok(worker);
        }
        let fresh = self.options.worker(false);
        let fresh =
            fresh.map_err(|error| HelperError::Refused(format!("no other worker: {error}")))?;
        *self.worker.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&fresh);
        Ok(fresh)
    }

    /// Has the worker perform a kernel op of an entry. One that is given up may still come.
    pub(super) async fn act(&self, id: EntryId, op: &Op) -> Result<Outcome, HelperError> {
        let act = self.begins(id)?;
        let (ask, within) = asked(op, false);
        match self.worker().ask(ask, within, "an op").await {
            Ok(answer) => {
                self.ends(id, act, None);
                acted(answer)
            }
            Err((error, late)) => {
                self.ends(id, act, late);
                Err(error)
            }
        }
    }

    /// Has a worker perform an undo.
    pub(super) async fn act_back(&self, op: &Op) -> Result<Outcome, HelperError> {
        let (ask, within) = asked(op, true);
        acted(self.live_worker().await?.call(ask, within, "an op").await?)
    }
}

/// The question, and how long it is waited for: the worker gives up first, and says why.
fn asked(op: &Op, undo: bool) -> (WorkerAsk, Duration) {
    let within = deadline(op);
    let deadline_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
    (WorkerAsk::Act { op: op.clone(), undo, deadline_ms }, within + Duration::from_millis(250))
}

fn acted(answer: WorkerAnswer) -> Result<Outcome, HelperError> {
    match answer {
        WorkerAnswer::Acted(outcome) => Ok(outcome),
        other => Err(HelperError::Refused(format!("the worker answered {other:?}"))),
    }
}

/// A lock whose holder cannot leave things half done.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
