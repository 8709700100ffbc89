//! An engine of the scenario's own, as seen by the worker.

use serde::{Deserialize, Serialize};

use super::Init;

/// An engine in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InnerEngineFacts {
    /// Its process; none where none runs.
    pub process: Option<Init>,
    /// How many containers run on it, or why it does not say.
    pub running: Result<u64, String>,
}

/// A container was created, started and removed: microseconds of the start, or the engine's words
/// why it was not.
pub type StartTrial = Result<u64, String>;

/// How an engine's process is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// SIGTERM.
    Asked,
    /// SIGKILL.
    Killed,
}
