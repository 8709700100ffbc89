//! Requests to a disk of ours, behind the filesystem's end, which may hang for as long as a rule says.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::super::super::HelperError;
use crate::{
    host::disk_trial::DiskTries,
    protocol::{DiskAttempt, DiskOp, TriedBytes, TriedOp},
};

/// Requests to be tried.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct DiskErrand {
    /// The device's node.
    pub(in super::super) node: PathBuf,
    /// Which, and for how long.
    pub(in super::super) attempt: DiskAttempt,
}

impl DiskErrand {
    /// Moves known bytes.
    pub(super) fn run_bytes(&self) -> Result<TriedBytes, HelperError> {
        let DiskAttempt { set, round, ops, most, .. } = &self.attempt;
        let op = ops.first().copied().unwrap_or(DiskOp::Read);
        Ok(DiskTries::open(&self.node, set, *round)?.of_bytes(op, *most))
    }

    pub(super) fn run(&self) -> Result<Vec<TriedOp>, HelperError> {
        let DiskAttempt { set, round, ops, most, slow_us, within_ms, .. } = &self.attempt;
        let tries = DiskTries::open(&self.node, set, *round)?;
        Ok(tries.within(ops, (*most, *slow_us), Duration::from_millis(*within_ms)))
    }
}
