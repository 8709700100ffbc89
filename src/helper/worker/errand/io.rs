//! Operations with an interposer's own files, which may hang for as long as a rule says.

use serde::{Deserialize, Serialize};

use super::super::{super::HelperError, trial};
use crate::{
    host::process::Identity,
    protocol::{IoAttempt, TriedOp},
};

/// Operations to be tried.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct IoErrand {
    /// Through whose mount.
    pub(in super::super) target: Identity,
    /// Which, and for how long.
    pub(in super::super) attempt: IoAttempt,
}

impl IoErrand {
    pub(super) fn run(&self) -> Result<Vec<TriedOp>, HelperError> {
        trial::io_in(self.target, &self.attempt)
    }
}
