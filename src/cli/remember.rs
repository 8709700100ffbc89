//! The history as a run uses it. It never fails a run: what is wrong with it is said, and that is all.

use std::path::{Path, PathBuf};

use super::output;
use crate::{
    history::{FILE, History, HistoryError, RunEntry},
    run::{Event, Recorder, RunRecord},
};

/// Where the history is, as long as it can be used.
pub(super) struct Memory(Option<PathBuf>);

impl Memory {
    /// Next to the run directories; `off` for a run that is left out.
    pub(super) fn new(out: &Path, off: bool) -> Self {
        Self((!off).then(|| out.join(FILE)))
    }

    /// Records what earlier runs measured.
    pub(super) fn recall(&mut self, recorder: &Recorder) {
        let Some(path) = &self.0 else { return };
        let remembered = |path: &Path| -> Result<Vec<Event>, HistoryError> {
            History::open(path)?.remembered(&recorder.record())
        };
        match remembered(path) {
            Ok(events) => events.into_iter().for_each(|event| recorder.emit(event)),
            // the first run of all makes it
            Err(HistoryError::Missing(_)) => {}
            Err(error) => self.give_up(&error.to_string()),
        }
    }

    /// Adds a run that is over.
    pub(super) fn keep(&mut self, record: &RunRecord) {
        let Some(path) = &self.0 else { return };
        let kept = RunEntry::of(record).and_then(|run| {
            let added = History::open_or_make(path).and_then(|mut history| history.add(&[run]));
            added.map_err(|error| error.to_string())
        });
        if let Err(error) = kept {
            self.give_up(&error);
        }
    }

    fn give_up(&mut self, error: &str) {
        self.0 = None;
        output::say(format!("warning: this run is not in the history: {error}"));
    }
}
