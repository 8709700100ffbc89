//! What the parts of the service share, and how they come up and end.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use super::applog::{self, LogHandle};
use super::args::SpecimenArgs;
use super::arrival;
use super::config::Config;
use super::console::Console;
use super::controller::{self, Controller};
use super::d_type;
use super::follow::Follow;
use super::freeze::Freeze;
use super::health::{Health, State};
use super::home::Home;
use super::identity;
use super::index::{self, Index};
use super::journal::Journal;
use super::metrics::Metrics;
use super::office::Office;
use super::quota::Frozen;
use super::records::{self, RecordsHandle};
use super::releases::Releases;
use super::rounds::Pace;
use super::serve::SpecimenError;
use super::session::{Session, SessionError, StateFile};
use super::shared;
use super::stop::Stop;
use super::uplink::Uplink;
use super::watermark::Watermark;
use super::weakness::Weakness;
use super::{agent, denied, heartbeat, leader, releases::Reading, spool, temp, watch};

pub(super) struct Service {
    pub(super) args: SpecimenArgs,
    pub(super) console: Console,
    pub(super) freeze: Freeze,
    pub(super) health: Health,
    pub(super) home: Home,
    pub(super) frozen: Frozen,
    /// None without `--config`.
    pub(super) config: Option<Config>,
    pub(super) metrics: Metrics,
    pub(super) pace: Pace,
    pub(super) stop: Stop,
    pub(super) controller: Controller,
    pub(super) uplink: Option<Uplink>,
    /// None without `--watermark`.
    pub(super) watermark: Option<Watermark>,
    pub(super) office: Office,
    pub(super) follow: Arc<Follow>,
    /// The term that we lead; 0 for none.
    pub(super) term: AtomicU64,
    /// The storage is too slow for a leader's.
    pub(super) slow: AtomicBool,
    /// None before the start, and where none is asked for.
    index: OnceLock<Option<Index>>,
    log: Mutex<Option<LogHandle>>,
    records: Mutex<Option<RecordsHandle>>,
    session: OnceLock<Session>,
    releases: Mutex<Option<Releases>>,
    /// The journal's file, and how many of its bytes readers may see.
    readable: Mutex<Option<(PathBuf, u64)>>,
    /// The records in them.
    kept: AtomicU64,
    fatal: tokio::sync::mpsc::Sender<SpecimenError>,
}

impl Service {
    pub(super) fn new(
        args: SpecimenArgs,
        console: Console,
        fatal: tokio::sync::mpsc::Sender<SpecimenError>,
    ) -> Self {
        // Three missed heartbeats, as two may be a slow disk; and no less than a busy machine needs.
        let patience = (args.heartbeat * 3).max(Duration::from_secs(3));
        Self {
            health: Health::new(console.clone(), patience),
            home: Home::new(&args),
            freeze: Freeze::default(),
            frozen: Frozen::default(),
            config: args.config.clone().map(Config::new),
            metrics: Metrics::new(),
            pace: Pace::default(),
            stop: Stop::default(),
            controller: Controller::new(&args),
            office: Office::new(&args),
            follow: Arc::new(Follow::new(&args)),
            term: AtomicU64::new(0),
            slow: AtomicBool::new(false),
            uplink: args.controller.clone().map(|it| Uplink::new(it, console.clone())),
            watermark: args.watermark.as_deref().map(Watermark::new),
            index: OnceLock::new(),
            log: Mutex::new(None),
            records: Mutex::new(None),
            session: OnceLock::new(),
            releases: Mutex::new(None),
            readable: Mutex::new(None),
            kept: AtomicU64::new(0),
            fatal,
            args,
            console,
        }
    }

    /// Comes up: tries until session, journal and releases are there. Fails only on what waiting
    /// cannot mend.
    pub(super) fn start(self: &Arc<Self>) -> Result<(), SessionError> {
        let mut journal = Journal::new(&self.args);
        loop {
            match self.prepare(&mut journal) {
                Ok(()) => break,
                Err(SessionError::Io(error)) => self.health.fault("start", &error),
                Err(error) => return Err(error),
            }
            if self.stop.sleep(self.args.heartbeat) {
                return Ok(());
            }
        }
        agent::register(self)?;
        self.publish_journal(&journal);
        let (log, log_queue) = applog::channel();
        let (records, records_queue) = records::channel(self.args.patience(), self.args.queue());
        *lock(&self.log) = Some(log);
        *lock(&self.records) = Some(records);
        self.spawn("log", move |service| applog::run(service, &log_queue))?;
        self.spawn("records", move |service| records::run(service, journal, records_queue))?;
        heartbeat::beat(self);
        self.health.clear("start");
        self.health.enter(State::Running);
        self.spawn("heartbeat", heartbeat::run)?;
        self.spawn("beat", agent::run)?;
        self.spawn("spool", spool::run)?;
        self.spawn("campaign", leader::campaign)?;
        self.spawn("work", leader::work)?;
        self.spawn("roster", controller::run)?;
        self.spawn("snapshot", Self::snapshot_loop)?;
        self.spawn("release", Self::release_loop)?;
        self.spawn("config", watch::run)?;
        self.spawn("temp", temp::run)?;
        self.spawn("shared", shared::run)?;
        self.spawn("index", index::run)?;
        Ok(())
    }

    fn prepare(&self, journal: &mut Journal) -> Result<(), SessionError> {
        std::fs::create_dir_all(&self.args.data)?;
        if self.args.require_d_type && !self.args.has(Weakness::NoPreflight) {
            d_type::require(&self.args.data)?;
        }
        std::fs::create_dir_all(self.args.logs_dir()).or_else(|error| {
            // Without a log directory the service runs, degraded.
            self.health.fault("logs", &error);
            Ok::<(), io::Error>(())
        })?;
        identity::may_begin(&self.args)?;
        identity::ensure(&self.args)?;
        if self.index.get().is_none() {
            let _ = self.index.set(Index::open(&self.args)?);
        }
        if let Some(cut) = journal.open()? {
            self.console.say(cut);
        }
        if let Some(watermark) = &self.watermark
            && let Some(lost) = watermark.lacks(journal.end())?
        {
            // for a person to look into: nothing that the service does brings it back
            self.health.raise("watermark", lost);
        }
        if self.session.get().is_none() {
            let session = StateFile::new(&self.args).load()?;
            self.announce(&session);
            let _ = self.session.set(session);
        }
        Ok(self.home.hold()?)
    }

    fn announce(&self, session: &Session) {
        let id = &session.saved.session;
        if session.lost_state {
            self.metrics.lost_state.add(1);
            let line = format!("no state found: new session {id}; previous state lost");
            self.console.say(line);
        } else if session.resumed {
            self.console.say(format!("resumed session {id}, start {}", session.saved.starts));
        } else {
            self.console.say(format!("new session {id}"));
        }
    }

    fn spawn(
        self: &Arc<Self>,
        name: &str,
        body: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> io::Result<()> {
        let service = self.clone();
        thread::Builder::new().name(name.into()).spawn(move || body(&service)).map(drop)
    }

    /// Ends taking work; the threads drain their queues and end.
    pub(super) fn shut_down(&self) {
        self.stop.set();
        lock(&self.records).take();
        lock(&self.log).take();
    }

    /// Ends the process with an error: only a weakness asks for that.
    pub(super) fn die(&self, error: SpecimenError) {
        let _ = self.fatal.try_send(error);
    }

    /// Logs a line, with the time of day for people to read.
    pub(super) fn log(&self, line: &str) {
        let line = format!("{:.3} {line}", arrival::now().as_secs_f64());
        let log = lock(&self.log).clone();
        if self.args.has(Weakness::LogsBlockWrites) {
            return log.iter().for_each(|log| log.line_and_wait(line.clone()));
        }
        if log.is_some_and(|log| !log.line(line)) {
            self.metrics.log_dropped.add(1);
        }
    }

    /// Asks the log to give up old files, if they are on the filesystem that is full.
    pub(super) fn make_room(&self, source: &str, reason: &str) {
        let device = |dir: PathBuf| std::fs::metadata(dir).map(|meta| meta.dev()).ok();
        let shared = device(self.args.data.clone()) == device(self.args.logs_dir());
        if source == "logs" || shared {
            lock(&self.log).as_ref().inspect(|log| log.make_room(format!("{source}: {reason}")));
        }
    }

    pub(super) fn index(&self) -> Option<&Index> {
        self.index.get()?.as_ref()
    }

    pub(super) fn records(&self) -> Option<RecordsHandle> {
        lock(&self.records).clone()
    }

    pub(super) fn verify_records(&self) {
        lock(&self.records).as_ref().inspect(|records| records.verify());
    }

    /// Lets readers see what the journal has made durable.
    pub(super) fn publish_journal(&self, journal: &Journal) {
        *lock(&self.readable) = Some((journal.path().to_owned(), journal.end()));
        self.kept.store(journal.records(), Ordering::Release);
    }

    /// The journal's file, and how much of it may be read; `None` before it was opened, and where
    /// it is a leader's and we are none.
    pub(super) fn readable(&self) -> Option<(PathBuf, u64)> {
        let ours = !self.office.hands_over() || self.term.load(Ordering::Acquire) > 0;
        lock(&self.readable).clone().filter(|_| ours)
    }

    pub(super) fn session(&self) -> Option<&Session> {
        self.session.get()
    }

    pub(super) fn lost_state(&self) -> bool {
        self.session.get().is_some_and(|session| session.lost_state)
    }

    /// Saves the state once; health says why it failed.
    pub(super) fn save(&self) -> io::Result<()> {
        let Some(session) = self.session.get() else { return Ok(()) };
        let mut saved = session.saved.clone();
        saved.records = self.kept.load(Ordering::Acquire);
        let home = || self.home.check(&self.args.data);
        let done = StateFile::new(&self.args).save(&saved, home);
        match denied::settle(self, done) {
            Ok(()) => self.health.clear("state"),
            Err(error) => {
                self.health.fault("state", &error);
                return Err(error);
            }
        }
        Ok(())
    }

    fn snapshot_loop(self: &Arc<Self>) {
        loop {
            // Kept in health; the next round tries again.
            self.unless_frozen(|| drop(self.save()));
            if self.stop.sleep(self.args.snapshot_every) {
                return;
            }
        }
    }

    fn release_loop(self: &Arc<Self>) {
        while !self.stop.sleep(self.args.release_every) {
            // Kept in health; the next round tries again.
            self.unless_frozen(|| drop(self.publish(None)));
        }
    }

    /// Publishes a release; health says why it failed.
    pub(super) fn publish(&self, content: Option<String>) -> io::Result<()> {
        self.with_releases("releases", |releases| releases.publish(content))
    }

    pub(super) fn verify_releases(&self) {
        // Kept in health; the next heartbeat tries again.
        self.unless_frozen(|| drop(self.with_releases("links", Releases::verify)));
    }

    /// Acts on the releases: an error is `source`'s, and what had diverged is the links'.
    fn with_releases(
        &self,
        source: &'static str,
        act: impl FnOnce(&mut Releases) -> io::Result<Option<String>>,
    ) -> io::Result<()> {
        let mut releases = lock(&self.releases);
        let home = self.home.check(&self.args.releases_root());
        let acted = home.and_then(|()| self.open_releases(&mut releases)).and_then(act);
        match denied::settle(self, acted) {
            Ok(None) => self.health.clear(source),
            Ok(Some(diverged)) => {
                self.metrics.links_diverged.add(1);
                self.health.raise("links", diverged);
            }
            Err(error) => {
                self.health.fault(source, &error);
                return Err(error);
            }
        }
        Ok(())
    }

    fn open_releases<'r>(
        &self,
        releases: &'r mut Option<Releases>,
    ) -> io::Result<&'r mut Releases> {
        let opened = match releases.take() {
            Some(opened) => opened,
            None => Releases::open(&self.args, self.console.clone())?,
        };
        Ok(releases.insert(opened))
    }

    pub(super) fn reading(&self) -> io::Result<Reading> {
        let releases = lock(&self.releases);
        releases.as_ref().ok_or(io::ErrorKind::NotFound)?.reading()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
