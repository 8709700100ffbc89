//! The live terminal, fed by the event stream.

use std::{
    io::IsTerminal,
    sync::{Arc, Mutex, PoisonError},
};

use indicatif::ProgressDrawTarget;

use super::output;
use crate::{
    report::{Format, terminal},
    run::{RunRecord, Stamped},
};

/// Follows a run on stderr: bars where someone watches, plain lines where not.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<State>>);

struct State {
    record: RunRecord,
    live: terminal::Live,
}

impl Progress {
    pub(super) fn new(format: Format) -> Self {
        let progress = match format {
            Format::Human if std::io::stderr().is_terminal() => {
                terminal::Progress::Bars(ProgressDrawTarget::stderr())
            }
            Format::Human => terminal::Progress::Plain(Box::new(anstream::stderr())),
            _ => terminal::Progress::Quiet,
        };
        let live = terminal::Live::new(progress, output::look());
        Self(Arc::new(Mutex::new(State { record: RunRecord::default(), live })))
    }

    pub(super) fn event(&self, stamped: &Stamped) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { record, live } = &mut *state;
        record.apply(stamped);
        live.apply(stamped, record);
    }

    /// Takes the bars away.
    pub(super) fn finish(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).live.finish();
    }
}
