//! What rules do to syncs, and trials that look at them. Data only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Place;

/// Who is told that what was written could not be brought to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reported {
    /// Every open file, once each: Linux since 4.13.
    #[default]
    Each,
    /// Only the one that asks first: Linux before that.
    First,
}

/// What a sync says after one that failed, where nothing was written in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// That all is well: there is nothing left that could fail.
    #[default]
    Succeeds,
    /// The same again.
    Fails,
}

/// What is read after a sync that failed of what was written before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReadBack {
    /// What was written: it is still in memory.
    #[default]
    New,
    /// What was there before.
    Old,
}

/// Syncs to be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncAttempt {
    /// The root of the interposer's mount in a container.
    pub place: Place,
    /// What names of the interposer's own begin with.
    pub mark: String,
    /// A write and a sync are tried this often, or until the sync fails.
    pub most: u64,
}

/// How syncs of a file went that was opened twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriedSync {
    /// Attempts until one failed, or all of them.
    pub attempts: u64,
    /// What the sync after a write got; none when it worked.
    pub first: Option<String>,
    /// What was read after it; none when it worked.
    pub read_back: Option<ReadBack>,
    /// What the next one got, with nothing written in between.
    pub again: Option<String>,
    /// What one got through the other open file.
    pub other: Option<String>,
}
