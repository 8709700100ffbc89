//! Whether a filesystem takes a change: by removing a name that never was.
//!
//! Like every change, unlink(2) waits for write access to the filesystem before it looks the name
//! up, so it hangs where writing does, and can leave nothing behind.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::super::{super::HelperError, place::inside};
use crate::host::{probe_write::unlink_nothing, process::Identity};

/// A change to be tried.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct TouchErrand {
    /// Whose filesystem it is.
    pub(in super::super) target: Identity,
    /// A directory, as the target sees it.
    pub(in super::super) path: String,
}

impl TouchErrand {
    /// Microseconds until the change came back, whatever it came back with.
    pub(super) fn run(&self) -> Result<u64, HelperError> {
        let took = inside(self.target, &self.path, |here| {
            let started = Instant::now();
            unlink_nothing(here.path);
            Ok(started.elapsed())
        })?;
        Ok(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))
    }
}
