//! The helper of a run, through the lives of several keepers.
//!
//! When a keeper is lost, another is started on the same journal, which reverts the faults at once;
//! the run is lost all the same. No fault code runs here.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    super::{
        Applied, HelperError, HelperLink, Result,
        wire::{Answer, Ask},
    },
    container::ContainerLauncher,
    launch::Launcher,
    link::KeeperLink,
};
use crate::{
    protocol::{
        EngineOp, Entry, EntryId, LoadCall, LoadReply, Op, Read, Reading, RollbackReport, Undone,
    },
    runtime::{Docker, Runtime},
};

/// How long callers wait, all of them together, while a lost keeper is replaced.
const REPLACING: Duration = Duration::from_secs(20);
/// How often a lost keeper is replaced, in all.
const LIVES: u32 = 5;
/// How often a start is tried, and the pause between: the engine may be on its way back.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);
/// How long anything quick may take.
pub(super) const QUICK: Duration = Duration::from_secs(15);
/// What a question may take on its way beyond its own time.
const PASSING_ON: Duration = Duration::from_secs(5);
/// How long acts may take: fills and images are slow; every op has its own deadline besides.
pub(super) const SLOW: Duration = Duration::from_secs(300);

/// The helper of one run.
#[derive(Clone)]
pub struct Helper {
    pub(super) inner: Arc<Inner>,
}

/// What clones of a helper share.
pub(super) struct Inner {
    launcher: Arc<dyn Launcher>,
    pub(super) engine: Option<Arc<dyn Runtime>>,
    link: watch::Sender<Option<Arc<KeeperLink>>>,
    /// When the last keeper was found to be gone.
    gone_since: Mutex<Option<Instant>>,
    lost: watch::Sender<Option<String>>,
    finished: AtomicBool,
}

impl std::fmt::Debug for Helper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Helper({})", self.inner.launcher.run())
    }
}

impl Helper {
    /// Starts the helper of a new run as a container, with a volume of its own.
    ///
    /// # Errors
    /// When the engine refuses, or what starts is another build.
    pub async fn start(docker: Arc<Docker>, run: &str) -> Result<Self> {
        let launcher = ContainerLauncher::prepare(Arc::clone(&docker), run).await?;
        Self::launch(Arc::new(launcher), Some(docker), false).await
    }

    /// Starts a helper by any launcher. `replay`: on what an earlier one of that run has left.
    ///
    /// # Errors
    /// When it does not start, or what starts is another build.
    pub async fn launch(
        launcher: Arc<dyn Launcher>,
        engine: Option<Arc<dyn Runtime>>,
        replay: bool,
    ) -> Result<Self> {
        let opened = match launcher.launch(replay).await {
            Ok(connection) => KeeperLink::open(connection, launcher.run()).await,
            Err(error) => Err(error),
        };
        let link = match opened {
            Ok(link) => link,
            Err(error) => return Err(not_launched(launcher.as_ref(), replay, error).await),
        };
        let inner = Arc::new(Inner {
            launcher,
            engine,
            link: watch::Sender::new(Some(link)),
            gone_since: Mutex::new(None),
            lost: watch::Sender::new(None),
            finished: AtomicBool::new(false),
        });
        tokio::spawn(supervise(Arc::downgrade(&inner)));
        Ok(Self { inner })
    }

    /// Ends the helper: the journal is closed, the keeper ends, its container and its volume are
    /// removed. Everything must be undone.
    ///
    /// # Errors
    /// When something is not undone, or something of the helper is left.
    pub async fn finish(&self) -> Result<()> {
        let inner = &self.inner;
        match inner.link().await?.call(Ask::Close, QUICK, "close the journal").await {
            Ok(_) => inner.finished.store(true, Ordering::SeqCst),
            Err(error) => return Err(error),
        }
        if let Ok(link) = inner.link().await {
            let _ = timeout(Duration::from_secs(5), link.ended()).await;
        }
        inner.link.send_replace(None);
        inner.launcher.remove().await
    }

    /// Ends the helper and leaves the run's containers, volumes and networks, with the journal that
    /// removes them: `recover`, asked for this run by name, finishes it. Every fault must be undone.
    ///
    /// # Errors
    /// When a fault is not undone, or the run is lost: then everything is still going to be undone.
    pub async fn keep(&self) -> Result<()> {
        let inner = &self.inner;
        let kept = Entry {
            what: "kept on purpose".into(),
            ops: Vec::new(),
            undo: vec![Op::Engine(EngineOp::RemoveRun { run: inner.launcher.run().to_owned() })],
            expires_ms: None,
        };
        inner.apply(kept).await?;
        // before the end: should we die between, the keeper undoes this too
        inner.launcher.mark_kept().await?;
        let link = inner.link().await?;
        link.call(Ask::Leave, QUICK, "leave the run").await?;
        inner.finished.store(true, Ordering::SeqCst);
        let _ = timeout(Duration::from_secs(5), link.ended()).await;
        inner.link.send_replace(None);
        inner.launcher.await_end().await;
        Ok(())
    }

    /// What the journal says so far: a JSON value a line, the first its header.
    ///
    /// # Errors
    /// When the helper does not answer.
    pub async fn journal(&self) -> Result<String> {
        match self.inner.link().await?.call(Ask::Journal, QUICK, "the journal").await? {
            Answer::Journal(lines) => Ok(lines),
            other => Err(odd(&other)),
        }
    }

    /// Leaves the helper alone: no more heartbeats, so the keeper reverts everything by itself.
    pub fn abandon(self) {
        self.inner.finished.store(true, Ordering::SeqCst);
        self.inner.link.send_replace(None);
    }
}

impl Inner {
    /// The keeper as it is now; waits while one is being replaced, up to a time after it was lost.
    pub(super) async fn link(&self) -> Result<Arc<KeeperLink>> {
        let mut link = self.link.subscribe();
        if self.finished.load(Ordering::SeqCst) {
            return Err(HelperError::Lost("the helper was ended".into()));
        }
        // each caller with a wait of its own would make an end take minutes
        let since = *self.gone_since.lock().unwrap_or_else(PoisonError::into_inner);
        let until = since.unwrap_or_else(Instant::now) + REPLACING;
        // one that has just ended is still there until somebody notices
        let serves = |link: &Option<Arc<KeeperLink>>| link.as_ref().is_some_and(|l| !l.is_over());
        let found = timeout_at(until, link.wait_for(serves)).await;
        found.ok().and_then(std::result::Result::ok).and_then(|link| link.clone()).ok_or_else(
            || {
                let reason = self.lost.borrow().clone();
                HelperError::Lost(reason.unwrap_or_else(|| "it could not be started again".into()))
            },
        )
    }

    /// Nothing new is done in a run that is lost.
    pub(super) fn refuse_when_lost(&self) -> Result<()> {
        match &*self.lost.borrow() {
            Some(reason) => Err(HelperError::Lost(reason.clone())),
            None => Ok(()),
        }
    }

    fn lose(&self, reason: &str) {
        self.lost.send_if_modified(|lost| {
            let first = lost.is_none();
            if first {
                tracing::warn!(%reason, "the helper is lost");
                *lost = Some(reason.to_owned());
            }
            first
        });
    }

    /// Another keeper in place of one that is gone or does not answer; none once the helper was
    /// ended, which must not find a container again that came after its volume went.
    async fn replace(&self) -> Option<Arc<KeeperLink>> {
        for _ in 0..TRIES {
            self.launcher.dispose().await;
            if self.finished.load(Ordering::SeqCst) {
                return None;
            }
            let started = match self.launcher.launch(true).await {
                Ok(connection) => KeeperLink::open(connection, self.launcher.run()).await,
                Err(error) => Err(error),
            };
            match started {
                Ok(link) => return Some(link),
                Err(error) => tracing::warn!(%error, "the helper does not start again"),
            }
            sleep(PAUSE).await;
        }
        None
    }
}

/// Removes what a launch that failed has made, and names what could not be removed. A journal that
/// was there before stays.
async fn not_launched(launcher: &dyn Launcher, replay: bool, error: HelperError) -> HelperError {
    launcher.dispose().await;
    if replay {
        return error;
    }
    match launcher.remove().await {
        Ok(()) => error,
        Err(left) => HelperError::Refused(format!(
            "{error}; and {left}\n\nhint: `keelhaul recover {}` removes it",
            launcher.run()
        )),
    }
}

/// Notices that a keeper is lost, and starts another.
async fn supervise(inner: std::sync::Weak<Inner>) {
    for _ in 0..LIVES {
        let Some(link) = inner.upgrade().and_then(|inner| inner.link.borrow().clone()) else {
            return;
        };
        let reason = tokio::select! {
            reason = link.ended() => reason,
            reason = link.warned() => reason,
        };
        match inner.upgrade() {
            Some(inner) if !inner.finished.load(Ordering::SeqCst) => inner.lose(&reason),
            _ => return,
        }
        // a keeper that only warns still serves: rollback and end go through it
        link.ended().await;
        let Some(inner) = inner.upgrade() else { return };
        if inner.finished.load(Ordering::SeqCst) {
            return;
        }
        *inner.gone_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        inner.link.send_replace(None);
        let Some(link) = inner.replace().await else { return };
        if inner.finished.load(Ordering::SeqCst) {
            // dropped, and its lease runs out: nobody is left to go on with
            return;
        }
        inner.link.send_replace(Some(link));
    }
}

fn odd(answer: &Answer) -> HelperError {
    HelperError::Refused(format!("the keeper answered out of turn: {answer:?}"))
}

impl Helper {
    async fn observe(&self, read: Read) -> Result<Reading> {
        let within = read.patience() + PASSING_ON;
        match self.inner.link().await?.call(Ask::Read(read), within, "a read").await? {
            Answer::Reading(reading) => Ok(reading),
            other => Err(odd(&other)),
        }
    }

    async fn drive(&self, call: LoadCall) -> Result<LoadReply> {
        self.inner.refuse_when_lost()?;
        match self.inner.link().await?.call(Ask::Load(call), SLOW, "a load call").await? {
            Answer::Load(reply) => Ok(reply),
            other => Err(odd(&other)),
        }
    }

    async fn tell_expired(&self) -> Result<Vec<Undone>> {
        match self.inner.link().await?.call(Ask::Expired, QUICK, "what has expired").await? {
            Answer::Expired(undone) => Ok(undone),
            other => Err(odd(&other)),
        }
    }

    async fn until_lost(&self) -> String {
        let mut lost = self.inner.lost.subscribe();
        match lost.wait_for(Option::is_some).await.map(|lost| lost.clone()) {
            Ok(Some(reason)) => reason,
            _ => std::future::pending().await,
        }
    }
}

impl HelperLink for Helper {
    fn read(&self, read: Read) -> BoxFuture<'_, Result<Reading>> {
        Box::pin(self.observe(read))
    }

    fn load(&self, call: LoadCall) -> BoxFuture<'_, Result<LoadReply>> {
        Box::pin(self.drive(call))
    }

    fn apply(&self, entry: Entry) -> BoxFuture<'_, Result<Applied>> {
        Box::pin(self.inner.apply(entry))
    }

    fn revert(&self, id: EntryId) -> BoxFuture<'_, Result<Undone>> {
        Box::pin(self.inner.revert(id))
    }

    fn rollback(&self) -> BoxFuture<'_, Result<RollbackReport>> {
        Box::pin(self.inner.rollback(false))
    }

    fn rollback_faults(&self) -> BoxFuture<'_, Result<RollbackReport>> {
        Box::pin(self.inner.rollback(true))
    }

    fn expired(&self) -> BoxFuture<'_, Result<Vec<Undone>>> {
        Box::pin(self.tell_expired())
    }

    fn lost(&self) -> BoxFuture<'_, String> {
        Box::pin(self.until_lost())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::launch::Connection, *};

    /// Starts nothing, and may be unable to remove what it has made.
    #[derive(Default)]
    struct Broken {
        stuck: bool,
        done: Mutex<Vec<&'static str>>,
    }

    impl Broken {
        fn does(&self, what: &'static str) {
            self.done.lock().unwrap().push(what);
        }
    }

    impl Launcher for Broken {
        fn run(&self) -> &str {
            "r"
        }

        fn launch(&self, _: bool) -> BoxFuture<'_, Result<Connection>> {
            self.does("launch");
            Box::pin(async { Err(HelperError::Refused("no start".into())) })
        }

        fn dispose(&self) -> BoxFuture<'_, ()> {
            self.does("dispose");
            Box::pin(async {})
        }

        fn mark_kept(&self) -> BoxFuture<'_, Result<()>> {
            Box::pin(async { Ok(()) })
        }

        fn await_end(&self) -> BoxFuture<'_, ()> {
            Box::pin(async {})
        }

        fn remove(&self) -> BoxFuture<'_, Result<()>> {
            self.does("remove");
            let left = HelperError::Refused("`v` is left".into());
            Box::pin(async { if self.stuck { Err(left) } else { Ok(()) } })
        }
    }

    async fn launch(stuck: bool, replay: bool) -> (String, Vec<&'static str>) {
        let broken = Arc::new(Broken { stuck, ..Broken::default() });
        let error = Helper::launch(Arc::clone(&broken) as _, None, replay).await.unwrap_err();
        let done = broken.done.lock().unwrap().clone();
        (error.to_string(), done)
    }

    #[tokio::test]
    async fn a_launch_that_fails_removes_what_it_made_or_names_what_is_left() {
        let (error, done) = launch(false, false).await;
        assert_eq!((error.as_str(), done), ("no start", vec!["launch", "dispose", "remove"]));
        let (error, _) = launch(true, false).await;
        assert!(error.contains("no start; and `v` is left"), "{error}");
        assert!(error.contains("`keelhaul recover r`"), "{error}");
        let (_, done) = launch(false, true).await;
        assert_eq!(done, ["launch", "dispose"], "the journal of an earlier one");
    }
}
