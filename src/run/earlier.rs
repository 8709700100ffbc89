//! What ties a run to those before it: the commit that it ran on, and what was measured then.

use serde::{Deserialize, Serialize};

/// What was checked out where a run was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its hash. What is changed and not committed does not show.
    pub id: String,
    /// Who says so: `git`, or the variable of a CI system.
    pub from: String,
}

/// A recovery in an earlier run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// Run id.
    pub run: String,
    /// When that run started, RFC 3339.
    pub started: String,
    /// Microseconds it took; none when it never came.
    pub recovery_us: Option<u64>,
}
