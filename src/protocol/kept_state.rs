//! What is kept of a wrong state, and what is asked of it later. Data only.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ExploreSpec;
use crate::ledger::RecordId;

/// What is kept of a wrong state is brought to the reports within this time, or is missing there: what was
/// found does not wait for longer.
pub const FETCHING: Duration = Duration::from_secs(30);

/// A file that is kept of a wrong state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Artifact {
    /// The state itself, as [`crate::crash_state`] has it.
    State,
    /// What came to it, as a log of `dm-log-writes`.
    LogWrites,
}

impl Artifact {
    /// What the names of such files end with.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::State => "crash",
            Self::LogWrites => "log-writes",
        }
    }
}

/// What became of such a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum KeptFile {
    /// The helper has it.
    Held {
        /// How long it is.
        bytes: u64,
    },
    /// It is among the reports.
    Written {
        /// Where.
        path: String,
    },
    /// There is none.
    Missing {
        /// Why not.
        why: String,
    },
}

/// A kept state that is to be judged again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaySpec {
    /// Name of the disk that begins with it.
    pub disk: String,
    /// Its file, in the run's image directory.
    pub file: String,
    /// The container whose program reads it, where a program does.
    pub container: Option<String>,
}

/// What a kept state came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replayed {
    /// Records that were promised.
    pub acknowledged: u64,
    /// What is wrong with it; none where every promise is kept.
    pub wrong: Option<String>,
    /// Its filesystem cannot be mounted.
    pub unmountable: bool,
    /// Microseconds that recovery and reading took.
    pub took_us: u64,
}

/// A disk that began with a log of its past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggedDisk {
    /// What is looked at, of which disk.
    pub explore: ExploreSpec,
    /// File of the crash state that was kept with the log, in the run's image directory: it has what was
    /// promised.
    pub state: String,
    /// Where in the disk's sequence each record was acknowledged.
    pub told: Vec<(RecordId, u64)>,
    /// Decides which states.
    pub seed: u64,
}
