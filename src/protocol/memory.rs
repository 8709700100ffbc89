//! Memory of a container. Data only.

use serde::{Deserialize, Serialize};

/// Memory of a cgroup, in the kernel's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryFacts {
    /// Bytes allowed; none where there is no limit.
    pub limit: Option<u64>,
    /// Bytes in use, page cache and tmpfs included.
    pub used: u64,
    /// Bytes of page cache among them.
    pub cache: u64,
    /// Pages that came into the cgroup since it was made: a number that only rises. On cgroup v2,
    /// those that are cached and those that were reclaimed.
    pub pages_in: u64,
    /// Processes that were killed for want of memory since the container's start.
    pub oom_kills: u64,
    /// How much the kernel prefers the container's init as a victim, from -1000 to 1000.
    pub oom_score: i32,
}
