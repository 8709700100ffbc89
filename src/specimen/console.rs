//! What the service says on stdout: one line per event, for `docker logs` and log probes.
//!
//! Never fails and never blocks the caller for long: a closed stdout is no reason to stop.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// A shared line writer.
#[derive(Clone)]
pub(super) struct Console(Arc<Mutex<Box<dyn Write + Send>>>);

impl Console {
    pub(super) fn new(sink: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(sink))))
    }

    pub(super) fn say(&self, line: impl AsRef<str>) {
        let mut sink = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Written at once, so that lines of two threads never mix. Whoever reads may be gone.
        let _ = sink.write_all(format!("{}\n", line.as_ref()).as_bytes());
        let _ = sink.flush();
    }
}
