//! How long an answer may take.

use std::time::Duration;

use super::Read;

impl Read {
    /// How long the worker may take for it; whoever only passes it on waits somewhat longer.
    #[must_use]
    pub fn patience(&self) -> Duration {
        match self.itself() {
            Self::Http { request, .. } => Duration::from_millis(request.timeout_ms + 3000),
            Self::Tree(_) | Self::File { .. } | Self::Replay(_) => Duration::from_secs(60),
            Self::Pace { trial, .. } => trial.within() + Duration::from_secs(5),
            // an engine tries by itself again to create a container, and to start it
            Self::TryStart(_) => Duration::from_secs(55),
            _ => Duration::from_secs(10),
        }
    }
}
