//! The service's state and why: INIT → RUNNING, PAUSED, ERROR, OFFLINE.
//!
//! Problems are kept by source, so that one that heals does not hide another. Every change is
//! said on the console once, with the errno by name. Decides nothing about requests.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::console::Console;
use super::errno;

/// What the service says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum State {
    /// Not ready yet: storage or session missing.
    Init,
    Running,
    /// Asked not to take records.
    Paused,
    /// Degraded: alive, but some part of the storage does not work.
    Error,
    /// Shutting down.
    Offline,
}

impl State {
    pub(super) const ALL: [Self; 5] =
        [Self::Init, Self::Running, Self::Paused, Self::Error, Self::Offline];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Error => "ERROR",
            Self::Offline => "OFFLINE",
        }
    }
}

/// The state with its reasons, as `/health` shows it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct View {
    pub(super) state: State,
    /// The problems in one line; null when there are none.
    pub(super) reason: Option<String>,
    /// Errors met so far, by errno.
    pub(super) errors: BTreeMap<String, u64>,
}

pub(super) struct Health {
    console: Console,
    /// Without a heartbeat for this long the storage is stuck.
    patience: Duration,
    inner: Mutex<Inner>,
}

struct Inner {
    /// The state if there were no problems.
    wanted: State,
    shown: State,
    problems: BTreeMap<&'static str, String>,
    errors: BTreeMap<String, u64>,
    last_beat: Instant,
}

impl Health {
    pub(super) fn new(console: Console, patience: Duration) -> Self {
        let inner = Inner {
            wanted: State::Init,
            shown: State::Init,
            problems: BTreeMap::new(),
            errors: BTreeMap::new(),
            last_beat: Instant::now(),
        };
        Self { console, patience, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an error and marks its source as broken.
    pub(super) fn fault(&self, source: &'static str, error: &io::Error) {
        *self.lock().errors.entry(errno::name(error)).or_default() += 1;
        self.raise(source, errno::describe(error));
    }

    pub(super) fn raise(&self, source: &'static str, reason: String) {
        let mut inner = self.lock();
        if inner.problems.get(source) != Some(&reason) {
            self.console.say(format!("{source}: {reason}"));
            inner.problems.insert(source, reason);
        }
        self.settle(&mut inner);
    }

    pub(super) fn clear(&self, source: &'static str) {
        let mut inner = self.lock();
        if inner.problems.remove(source).is_some() {
            self.console.say(format!("{source}: ok again"));
        }
        self.settle(&mut inner);
    }

    pub(super) fn enter(&self, wanted: State) {
        let mut inner = self.lock();
        if inner.wanted != State::Offline {
            inner.wanted = wanted;
        }
        self.settle(&mut inner);
    }

    pub(super) fn beat(&self) {
        self.lock().last_beat = Instant::now();
    }

    /// Whether records are taken; storage problems show in the attempt itself.
    pub(super) fn takes_records(&self) -> bool {
        self.lock().wanted == State::Running
    }

    pub(super) fn is_paused(&self) -> bool {
        self.lock().wanted == State::Paused
    }

    pub(super) fn view(&self) -> View {
        let mut inner = self.lock();
        self.settle(&mut inner);
        let mut reasons: Vec<String> =
            inner.problems.iter().map(|(source, reason)| format!("{source}: {reason}")).collect();
        if self.is_overdue(&inner) {
            reasons.push("heartbeat overdue: storage does not answer".into());
        }
        let reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        View { state: inner.shown, reason, errors: inner.errors.clone() }
    }

    fn is_overdue(&self, inner: &Inner) -> bool {
        inner.wanted != State::Init && inner.last_beat.elapsed() > self.patience
    }

    fn settle(&self, inner: &mut Inner) {
        let broken = !inner.problems.is_empty() || self.is_overdue(inner);
        let now = match inner.wanted {
            State::Running | State::Paused if broken => State::Error,
            wanted => wanted,
        };
        if now != inner.shown {
            self.console.say(format!("state {} -> {}", inner.shown.name(), now.name()));
            inner.shown = now;
        }
    }
}
