//! How much room a directory's filesystem has left.

use std::io;
use std::path::Path;

/// Free room, as an unprivileged process may use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Space {
    /// Bytes.
    pub(super) bytes: u64,
    /// Inodes; `None` where the filesystem has no such limit (btrfs).
    pub(super) inodes: Option<u64>,
}

/// Below this many free inodes or bytes, logs no longer grow: a rotation deletes first.
const RESERVE_INODES: u64 = 16;
const RESERVE_BYTES: u64 = 1 << 20;

impl Space {
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        let stat = rustix::fs::statvfs(dir)?;
        let inodes = (stat.f_files > 0).then_some(stat.f_favail);
        Ok(Self { bytes: stat.f_bavail.saturating_mul(stat.f_frsize), inodes })
    }

    /// Whether logs should give something back.
    pub(super) fn is_scarce(&self) -> bool {
        self.bytes < RESERVE_BYTES || self.inodes.is_some_and(|free| free < RESERVE_INODES)
    }
}
