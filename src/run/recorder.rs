//! Stamps events, writes them to the event file and hands them on.
//!
//! The file is best effort: a full disk under `--out` must not stop a rollback. What could not be
//! written is remembered, and makes the run end with `error`.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use tokio::time::Instant;

use super::{
    event::{Event, Stamped},
    record::RunRecord,
    redact::Redactor,
};

/// Someone who wants each event as it happens: the terminal, a stream.
pub type Listener = Box<dyn Fn(&Stamped) + Send + Sync>;

/// The one way into the event stream.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    started: Instant,
    state: Mutex<State>,
    listeners: Mutex<Vec<Listener>>,
    directory: OnceLock<PathBuf>,
}

struct State {
    file: Option<BufWriter<File>>,
    failure: Option<String>,
    record: RunRecord,
    redactor: Redactor,
}

impl Recorder {
    /// A stream that starts now. `file` gets a line per event.
    #[must_use]
    pub fn new(file: Option<File>, listeners: Vec<Listener>) -> Self {
        let state = State {
            file: file.map(BufWriter::new),
            failure: None,
            record: RunRecord::default(),
            redactor: Redactor::default(),
        };
        let (state, listeners) = (Mutex::new(state), Mutex::new(listeners));
        let directory = OnceLock::new();
        Self(Arc::new(Inner { started: Instant::now(), state, listeners, directory }))
    }

    /// Microseconds since the stream started.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Says where files go that are too large for an event.
    pub fn keep_files_in(&self, directory: &Path) {
        let _ = self.0.directory.set(directory.to_owned());
    }

    /// Where those go; none where nobody keeps them.
    #[must_use]
    pub fn directory(&self) -> Option<PathBuf> {
        self.0.directory.get().cloned()
    }

    /// Hides from now on what this redactor knows.
    pub fn redact(&self, redactor: Redactor) {
        self.state().redactor.merge(redactor);
    }

    /// What is hidden now, for what goes to files of its own.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        self.state().redactor.clone()
    }

    /// Records an event. Listeners see events in the order of the file; they must not emit.
    pub fn emit(&self, event: Event) {
        let mut state = self.state();
        let event = state.redactor.apply(event);
        // stamped under the lock, so that the file is in order
        let mut stamped = vec![Stamped { at_us: self.now_us(), event }];
        state.record.apply(&stamped[0]);
        if let Err(error) = state.write(&stamped[0]) {
            stamped.push(state.write_no_more(&error, self.now_us()));
        }
        // taken before the other is given back: nobody overtakes
        let listeners = self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        drop(state);
        for (event, listener) in
            stamped.iter().flat_map(|one| listeners.iter().map(move |it| (one, it)))
        {
            listener(event);
        }
    }

    /// The record so far: a copy of all of it, so not for every case.
    #[must_use]
    pub fn record(&self) -> RunRecord {
        self.state().record.clone()
    }

    /// Why the event file is incomplete, where it is.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // a panic elsewhere must not silence the reports
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, stamped: &Stamped) -> std::io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        serde_json::to_writer(&mut *file, stamped)?;
        file.write_all(b"\n")?;
        // each event reaches the kernel at once: it must survive our own SIGKILL
        file.flush()
    }

    /// Leaves the file as it is, and says so to whoever may make room while the run goes on.
    fn write_no_more(&mut self, error: &std::io::Error, at_us: u64) -> Stamped {
        (self.file, self.failure) = (None, Some(error.to_string()));
        let text = format!(
            "no event is written any more: {error}; the run goes on, and ends with an error"
        );
        let noted = Stamped { at_us, event: Event::Noted { case: None, text } };
        self.record.apply(&noted);
        noted
    }
}
