//! Limits on what a container may read and write, and how fast it does.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Dev;

/// Limits on one block device, per second; `None` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IoLimits {
    /// Bytes read.
    pub read_bytes: Option<u64>,
    /// Bytes written.
    pub write_bytes: Option<u64>,
    /// Read operations.
    pub read_ops: Option<u64>,
    /// Write operations.
    pub write_ops: Option<u64>,
}

/// What limits a container's I/O on the device beneath a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IoFacts {
    /// The whole disk beneath the path; none where the filesystem is in memory or has several.
    pub device: Option<Dev>,
    /// The limits in force on it.
    pub limits: IoLimits,
}

/// How much of some files is in the page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageFacts {
    /// Files that were looked at.
    pub files: u64,
    /// Their pages, of 4096 bytes.
    pub pages: u64,
    /// Those that are resident.
    pub resident: u64,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the device.
    Read,
    /// To the device.
    Write,
}

/// A measurement that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaceTrial {
    /// Which way.
    pub direction: Direction,
    /// Bytes of one operation, a multiple of 4096.
    pub block: u32,
    /// Operations to do.
    pub operations: u64,
    /// It ends after this long, whatever was done.
    pub most_ms: u64,
}

impl PaceTrial {
    /// How long it may take in all. Its file is made first, on a filesystem whose journal may wait for
    /// others that are held back: seconds, where a dozen containers start on twenty writes a second.
    #[must_use]
    pub fn within(&self) -> Duration {
        Duration::from_millis(self.most_ms) + Duration::from_secs(20)
    }
}

/// How fast a container's I/O is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Operations that were done.
    pub operations: u64,
    /// Bytes that were moved.
    pub bytes: u64,
    /// Microseconds that it took.
    pub took_us: u64,
}
