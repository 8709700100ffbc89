//! The container under test, in the hands of a test.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use super::{Error, Expectation, InForce, Ledger, Probe, session::Session};
use crate::{
    faults::{FaultSpec, Written},
    probes::{ProbeSpec, Sample},
    run::{Live, LiveError, RunRecord},
    scenario::{read_fault, read_probe, read_workload},
    verdict::Verdict,
};

/// What the container is called in YAML: `target: "subject:/data"`.
pub const SERVICE: &str = "subject";

/// A fault that nobody heals is reverted after this time.
const DEADLINE: Duration = Duration::from_secs(60);

/// A container that a test is attached to. Clones are the same subject; when the last of them and the
/// last guard is dropped, everything is undone, and the drop waits for it.
#[derive(Clone)]
pub struct Subject {
    session: Arc<Session>,
    count: Arc<AtomicU32>,
}

impl Subject {
    pub(super) fn of(session: Session) -> Self {
        Self { session: Arc::new(session), count: Arc::default() }
    }

    /// Full id of its container, as it is now.
    #[must_use]
    pub fn container(&self) -> String {
        let containers = self.session.live.containers();
        containers.into_iter().next().map(|(_, id)| id).unwrap_or_default()
    }

    /// What carries this in its label `keelhaul.run` is ours, and `keelhaul recover` removes it by
    /// this name.
    #[must_use]
    pub fn run(&self) -> &str {
        self.session.live.run()
    }

    /// Injects a fault, and sees its effect. It stays in force until the guard is healed or dropped,
    /// or its time is up: a minute, or what [`Written::lasting`] says.
    ///
    /// # Errors
    /// When it cannot be read, does not fit the container, this host lacks what it needs, or its effect
    /// was not seen: then nothing of it is in force.
    pub async fn inject(&self, fault: Written) -> Result<InForce, Error> {
        let spec = read_fault(&fault.text(SERVICE))?;
        self.inject_spec(spec, fault.lasts().map_or(DEADLINE, |time| time.0)).await
    }

    /// Likewise, as an `inject:` of a scenario holds it, in YAML or JSON:
    /// `read-only: { target: "subject:/data" }`.
    ///
    /// # Errors
    /// Likewise.
    pub async fn inject_yaml(&self, text: &str) -> Result<InForce, Error> {
        self.inject_spec(read_fault(text)?, DEADLINE).await
    }

    async fn inject_spec(&self, fault: FaultSpec, lasts: Duration) -> Result<InForce, Error> {
        let (told, heard) = oneshot::channel();
        let inject = |live: Arc<Live>| async move {
            // whoever asked may have stopped waiting: then nobody would hold it
            if let Err(Ok(unheard)) = told.send(live.inject(&fault, lasts).await)
                && unheard.lasts
            {
                live.revert(&unheard.id).await.map(drop)?;
            }
            Ok::<(), LiveError>(())
        };
        self.session.on(inject).await?;
        let over = || Error::from(LiveError::Over("it was closed".to_owned()));
        let injected = heard.await.map_err(|_| over())??;
        Ok(InForce::new(Arc::clone(&self.session), injected))
    }

    /// A probe as an assertion: await it, with `.within("5s")` where it may take a while.
    pub fn expect(&self, probe: Probe) -> Expectation {
        self.expectation(read_probe(&probe.text()).map_err(Error::from))
    }

    /// Likewise, as an element of an `expect:` in a scenario, in YAML or JSON.
    pub fn expect_yaml(&self, text: &str) -> Expectation {
        self.expectation(read_probe(text).map_err(Error::from))
    }

    fn expectation(&self, probe: Result<ProbeSpec, Error>) -> Expectation {
        Expectation::new(Arc::clone(&self.session), self.name("expect"), probe)
    }

    /// Reads a probe once, and leaves the judgement to the caller.
    ///
    /// # Errors
    /// When it could not be read.
    pub async fn read(&self, probe: Probe) -> Result<Sample, Error> {
        let (probe, id) = (read_probe(&probe.text())?, self.name("read"));
        let read =
            |live: Arc<Live>| async move { live.read(&id, &probe).await.map_err(Error::Unmet) };
        self.session.on(read).await
    }

    /// Begins to write checksummed records to the subject, and remembers what was acknowledged; as a
    /// value of `via:` in a scenario, in YAML or JSON: `http: { service: subject }`.
    ///
    /// # Errors
    /// When it cannot be read or begun.
    pub async fn ledger(&self, via: &str) -> Result<Ledger, Error> {
        let text = format!("ledger:\n  via:\n{}", indented(via));
        let (workload, name) = (read_workload(&text)?, self.name("ledger"));
        let id = name.clone();
        let start = |live: Arc<Live>| async move { live.start_load(&id, &workload).await };
        self.session.on(start).await?;
        Ok(Ledger::new(Arc::clone(&self.session), name))
    }

    /// Writes something down in the record of the run, with its time.
    pub fn note(&self, text: &str) {
        self.session.live.note(text);
    }

    /// What was done and seen so far: all that reports are made of.
    #[must_use]
    pub fn record(&self) -> RunRecord {
        self.session.recorder.record()
    }

    /// Undoes everything, looks for what is left, and fails unless all that was proven and expected
    /// is a pass, and every fault was in force for as long as somebody held it.
    ///
    /// # Errors
    /// When something is left: the text names the command that removes it. When the run came to
    /// anything but a pass, or the time of a fault was up under its guard: the text says why.
    pub async fn close(self) -> Result<(), Error> {
        let session = Arc::clone(&self.session);
        let late = session.guards.close(|id| session.live.is_in_force(id));
        let verdict = self.verdict().await?;
        let verdict = if late.is_empty() { verdict } else { verdict.merge(Verdict::Inconclusive) };
        if verdict == Verdict::Pass {
            return Ok(());
        }
        let ended = late.iter().map(|id| ended_early(id));
        let why = ended.chain([session.reasons()]).filter(|why| !why.is_empty());
        Err(Error::NotPassed { verdict, why: why.collect::<Vec<_>>().join("; ") })
    }

    /// The same, for those who judge the verdict themselves: it is that of the run, to which a fault
    /// whose time was up is no failure.
    ///
    /// # Errors
    /// When something is left.
    pub async fn verdict(self) -> Result<Verdict, Error> {
        let session = Arc::clone(&self.session);
        let closed = tokio::task::spawn_blocking(move || session.close()).await;
        match closed {
            Ok(Some(closed)) => closed,
            Ok(None) => Err(Error::Invalid("it was closed before".into())),
            Err(error) => Err(Error::Left(error.to_string())),
        }
    }

    /// Unique names for what the record holds: `expect-1`.
    fn name(&self, what: &str) -> String {
        format!("{what}-{}", self.count.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subject({:.12})", self.container())
    }
}

/// What was seen since then was not seen under it.
fn ended_early(id: &str) -> String {
    format!(
        "the time of `{id}` was up while it was held: give it longer with `lasting`, or heal it"
    )
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}
