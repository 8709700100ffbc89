//! One load: its target, its writers, its start and its end.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::{
    super::{super::HelperError, http::blocking, place},
    explore::Exploration,
    log::Log,
    marks::Marks,
    stats::Stats,
    way::Way,
    writer::{Writer, pace},
};
use crate::{
    host::process::Identity,
    ledger::{Entry, Event},
    protocol::{ExploreReport, ExploreSpec, LoadSpec, LoadStats, Place},
};

/// The most writers.
const WRITERS: u32 = 64;
/// Above an operation's own time, how long the writers get to end.
const ENDING: Duration = Duration::from_secs(10);

/// The container that is loaded, as it is now.
#[derive(Debug)]
pub(super) struct Target {
    place: RwLock<Place>,
    generation: AtomicU64,
}

impl Target {
    pub(super) fn new(place: Place) -> Self {
        Self { place: RwLock::new(place), generation: AtomicU64::new(0) }
    }

    /// Changes whenever the container does.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn place(&self) -> Place {
        self.place.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its id.
    pub(super) fn container(&self) -> String {
        self.place().container
    }

    /// Its init, as it is now.
    pub(super) async fn init(&self) -> Result<Identity, String> {
        let place = self.place();
        blocking(move || place::init(&place)).await.map_err(|error| error.to_string())
    }
}

/// A load that runs, or has run.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) spec: LoadSpec,
    pub(super) target: Arc<Target>,
    pub(super) log_path: PathBuf,
    /// Where among the writes of a disk its acknowledgements came.
    pub(super) marks: Option<Arc<Marks>>,
    exploration: Mutex<Option<Arc<Exploration>>>,
    log: Log,
    stats: Arc<Stats>,
    stop: watch::Sender<bool>,
    writers: Mutex<Option<JoinSet<()>>>,
}

impl Load {
    /// Starts the writers.
    pub(super) async fn start(
        dir: &Path,
        name: &str,
        spec: LoadSpec,
    ) -> Result<Arc<Self>, HelperError> {
        if spec.writers == 0
            || spec.writers > WRITERS
            || !(spec.rate > 0.0 && spec.rate.is_finite())
        {
            let refused = format!("load `{name}`: {} writers at {}/s", spec.writers, spec.rate);
            return Err(HelperError::Refused(refused));
        }
        // records of one load are told from those of another by their run
        let plain = plain(name);
        let run = format!("{}.{plain}", spec.run);
        let log_path = dir.join(format!("{plain}.log"));
        let log = new_log(&log_path, &run).await?;
        let marks = Marks::of(dir, spec.marks.as_deref()).await?;
        let target = Arc::new(Target::new(spec.place.clone()));
        let stats = Arc::new(Stats::start());
        let (stop, stopped) = watch::channel(false);
        let mut writers = JoinSet::new();
        for number in 0..spec.writers {
            let writer = Writer {
                run: run.clone(),
                number,
                length: spec.length,
                timeout: Duration::from_millis(spec.timeout_ms),
                slots: pace(spec.rate, spec.writers, number),
                way: Way::new(&spec.via, Arc::clone(&target)),
                log: log.clone(),
                marks: marks.clone(),
                stats: Arc::clone(&stats),
            };
            writers.spawn(writer.run(stopped.clone()));
        }
        let writers = Mutex::new(Some(writers));
        let exploration = Mutex::default();
        Ok(Arc::new(Self { spec, target, log_path, marks, exploration, log, stats, stop, writers }))
    }

    /// Its container is another one now.
    pub(super) fn retarget(&self, place: Place) {
        *self.target.place.write().unwrap_or_else(PoisonError::into_inner) = place;
        self.target.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// How it is going.
    pub(super) fn stats(&self) -> LoadStats {
        self.stats.read()
    }

    /// Begins to look at what cuts of the disk that it marks would have left. It has stopped.
    pub(super) fn explore(self: &Arc<Self>, spec: ExploreSpec) -> Result<(), HelperError> {
        let begun = Exploration::begin(self, spec)?;
        *self.exploration.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun);
        Ok(())
    }

    /// Somebody looks at the past of this disk.
    pub(super) fn explores(&self, disk: &str) -> bool {
        let marks = self.marks.as_ref().is_some_and(|marks| marks.disk == disk);
        let exploration = self.exploration.lock().unwrap_or_else(PoisonError::into_inner);
        marks && exploration.as_ref().is_some_and(|exploration| !exploration.is_done())
    }

    /// What was found so far; none where nobody looks.
    pub(super) fn explored(&self) -> Option<ExploreReport> {
        let exploration = self.exploration.lock().unwrap_or_else(PoisonError::into_inner);
        exploration.as_ref().map(|exploration| exploration.report())
    }

    /// Notes in its ledger what happened to its container; durable on return.
    pub(super) async fn note(&self, event: Event) -> Result<(), String> {
        self.log.durable(Entry { at_us: self.stats.now_us(), event }).await
    }

    /// Begins no more operations, and waits for those in flight. Idempotent.
    pub(super) async fn stop(&self) {
        self.stop.send_replace(true);
        let writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut writers) = writers {
            let ending = Duration::from_millis(self.spec.timeout_ms) * 2 + ENDING;
            let all = async { while writers.join_next().await.is_some() {} };
            if timeout(ending, all).await.is_err() {
                tracing::warn!("some writers of a load do not end");
            }
        }
        self.stats.end();
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let exploration = self.exploration.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(exploration) = exploration {
            exploration.cancel();
        }
    }
}

async fn new_log(path: &Path, run: &str) -> Result<Log, HelperError> {
    let (path, run) = (path.to_owned(), run.to_owned());
    let failed = |error| HelperError::Refused(format!("the ledger's log: {error}"));
    blocking(move || Log::create(&path, &run).map_err(failed)).await
}

/// A name as records and files may carry it.
fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    name.chars().map(plain).take(64).collect()
}
