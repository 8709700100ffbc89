//! The engine's side of a subject, on a thread and a runtime of its own: a test's runtime may end with
//! the test, and what has to be undone must not end with it.

use std::{
    fs::File,
    future::Future,
    panic::resume_unwind,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use tokio::{runtime::Handle, sync::oneshot};
use tokio_util::sync::CancellationToken;

use super::{Error, guards::Guards, opening};
use crate::{
    helper::recover,
    plan::Case,
    report,
    run::{
        self, Closed, Event, Live, LiveError, Recorder, RunRecord, RunStart, stages::DockerStages,
    },
    runtime::{Docker, Runtime as _},
    verdict::Verdict,
};

/// What a session begins with.
pub(super) struct Wanted {
    /// Name or id, as the test gave it.
    pub(super) container: String,
    /// Where the reports go, in a directory of the run.
    pub(super) reports: Option<PathBuf>,
}

/// An open subject. Dropped, it waits until everything is undone.
pub(super) struct Session {
    pub(super) live: Arc<Live>,
    pub(super) recorder: Recorder,
    pub(super) guards: Guards,
    handle: Handle,
    end: Mutex<Option<oneshot::Sender<()>>>,
    thread: Mutex<Option<thread::JoinHandle<Result<Verdict, Error>>>>,
}

/// What the thread hands over when the subject is open.
type Opened = Result<(Arc<Live>, Recorder, Handle), Error>;

impl Session {
    pub(super) async fn open(wanted: Wanted) -> Result<Self, Error> {
        let (end, ended) = oneshot::channel();
        let (opened, open) = oneshot::channel();
        let thread = thread::Builder::new().name("keelhaul".into());
        let unstarted = |error: std::io::Error| Error::Invalid(format!("no thread: {error}"));
        let thread = thread.spawn(move || serve(wanted, opened, ended)).map_err(unstarted)?;
        let dead = || Error::Invalid("keelhaul's own thread broke".into());
        let (live, recorder, handle) = open.await.map_err(|_| dead())??;
        let (end, thread) = (Mutex::new(Some(end)), Mutex::new(Some(thread)));
        Ok(Self { live, recorder, guards: Guards::default(), handle, end, thread })
    }

    /// Runs something of the case where its timers and sockets live; an error once it was closed.
    pub(super) async fn on<T, E, F>(&self, work: impl FnOnce(Arc<Live>) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        E: Into<Error> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        match self.handle.spawn(work(Arc::clone(&self.live))).await {
            Ok(done) => done.map_err(Into::into),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(LiveError::Over("it was closed".to_owned()).into()),
            },
        }
    }

    /// Reverts a fault that nobody holds any more, without anybody who waits for it.
    pub(super) fn let_go(&self, id: &str) {
        if self.guards.dropped(id, self.live.is_in_force(id)) {
            self.live.note(&format!("`{id}` had ended before its guard was dropped"));
        }
        self.heal_later(id);
    }

    fn heal_later(&self, id: &str) {
        let (live, id) = (Arc::clone(&self.live), id.to_owned());
        self.handle.spawn(async move {
            loop {
                match live.revert(&id).await {
                    // another lies on top of it, whose turn comes first
                    Err(LiveError::Refused(_)) => tokio::time::sleep(AGAIN).await,
                    Err(error) => {
                        return tracing::warn!(%error, fault = id, "a fault that was dropped was not seen to go");
                    }
                    Ok(_) => return,
                }
            }
        });
    }

    /// Why it came to what it did.
    pub(super) fn reasons(&self) -> String {
        reasons(&self.recorder.record())
    }

    /// Ends it, and says what it came to; none when it was ended before.
    pub(super) fn close(&self) -> Option<Result<Verdict, Error>> {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(end);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(thread.join().unwrap_or_else(|_| Err(Error::Left("its thread panicked".into()))))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let why = match self.close() {
            Some(Err(error)) => error.to_string(),
            Some(Ok(Verdict::Pass)) | None => return,
            Some(Ok(verdict)) => format!("{verdict}: {}", self.reasons()),
        };
        tracing::error!(why, "a subject that nobody closed did not end with a pass");
    }
}

/// Between two tries to revert what lies beneath another.
const AGAIN: Duration = Duration::from_millis(200);

/// The thread: opens the subject, hands it over, and closes it when nobody wants it any more.
fn serve(
    wanted: Wanted,
    opened: oneshot::Sender<Opened>,
    ended: oneshot::Receiver<()>,
) -> Result<Verdict, Error> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = match builder.worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = opened.send(Err(Error::Invalid(format!("no runtime: {error}"))));
            return Ok(Verdict::Error);
        }
    };
    let handle = runtime.handle().clone();
    let closed = runtime.block_on(async {
        let (live, recorder, reports) = match begin(wanted).await {
            Ok(begun) => begun,
            Err(error) => {
                let _ = opened.send(Err(error));
                return Ok(Verdict::Error);
            }
        };
        let live = Arc::new(live);
        // when nobody waits for it any more, it is closed at once
        if opened.send(Ok((Arc::clone(&live), recorder.clone(), handle))).is_ok() {
            let _ = ended.await;
        }
        let closed = live.close(false).await;
        end(&recorder, closed, reports)
    });
    runtime.shutdown_background();
    closed
}

async fn begin(wanted: Wanted) -> Result<(Live, Recorder, Option<PathBuf>), Error> {
    let docker = Arc::new(Docker::connect(None)?);
    let engine = docker.engine().await?;
    // what tests that were killed have left
    tokio::spawn(recover::sweep(Arc::clone(&docker)));
    let case = opening::case(&docker, &wanted.container).await?;
    let run = run::new_run_id();
    let reports = wanted.reports.map(|directory| directory.join(&run));
    let recorder = Recorder::new(events_file(reports.as_ref())?, Vec::new());
    reports.iter().for_each(|directory| recorder.keep_files_in(directory));
    let start = RunStart::now(&run, case.run_seed, Some(&engine));
    recorder.emit(Event::RunStarted(Box::new(start)));
    let stages = DockerStages::new(docker, engine, run);
    let live = open(case, &stages, &recorder).await;
    live.map(|live| (live, recorder.clone(), reports)).map_err(|_| {
        let why = reasons(&recorder.record());
        Error::NotAttached { container: wanted.container, why }
    })
}

async fn open(case: Case, stages: &DockerStages, recorder: &Recorder) -> Result<Live, Closed> {
    Live::open(case, stages, recorder, &CancellationToken::new()).await
}

fn events_file(reports: Option<&PathBuf>) -> Result<Option<File>, Error> {
    let Some(directory) = reports else { return Ok(None) };
    let path = directory.join("events.jsonl");
    let made = std::fs::create_dir_all(directory).and_then(|()| File::create(&path));
    made.map(Some).map_err(|error| Error::Invalid(format!("`{}`: {error}", path.display())))
}

/// The last event, the reports, and what may be left.
fn end(
    recorder: &Recorder,
    closed: Option<Closed>,
    reports: Option<PathBuf>,
) -> Result<Verdict, Error> {
    let Some(Closed { verdict, ending }) = closed else { return Ok(Verdict::Error) };
    recorder.emit(Event::RunEnded { verdict, ending });
    let record = recorder.record();
    let failed = reports.and_then(|directory| {
        let (_, failed) = report::render_all(&record, &directory);
        failed.into_iter().next()
    });
    let residue =
        record.cases.iter().filter_map(|case| case.residue.as_ref()).any(|left| !left.is_empty());
    if ending.rollback_incomplete || residue {
        return Err(Error::Left(reasons(&record)));
    }
    match failed {
        Some(error) => Err(Error::Invalid(error.to_string())),
        None => Ok(verdict),
    }
}

/// Why it ended as it did, heaviest first.
fn reasons(record: &RunRecord) -> String {
    let of_cases = record.cases.iter().filter_map(|case| Some(case.verdict.as_ref()?.1.clone()));
    let all: Vec<String> = of_cases.flatten().chain(record.notes.iter().cloned()).collect();
    all.join("; ")
}
