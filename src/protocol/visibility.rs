//! Who sees a file of an interposer's own that somebody else has just made.

use serde::{Deserialize, Serialize};

use super::Place;

/// A file to be made and looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisibleAttempt {
    /// The root of the interposer's mount in the container that looks for it.
    pub place: Place,
    /// What names of the interposer's own begin with.
    pub mark: String,
    /// For how many milliseconds it is looked for; 0 for one look.
    pub within_ms: u64,
}

/// How that went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriedVisible {
    /// Mount namespace of the container that looked for it.
    pub namespace: u64,
    /// Its maker found it, while the first look of the container was done.
    pub made: bool,
    /// The container found it at its first look.
    pub at_once: bool,
    /// Milliseconds until the container found it; none where it did not in time.
    pub after_ms: Option<u64>,
}
