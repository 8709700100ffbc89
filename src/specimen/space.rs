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

    /// Share of the bytes or of the inodes in use, whichever is more, in percent; as `df` counts.
    pub(super) fn percent_used(dir: &Path) -> io::Result<f64> {
        let stat = rustix::fs::statvfs(dir)?;
        let share = |all: u64, free: u64, available: u64| {
            let used = all.saturating_sub(free) as f64;
            if all == 0 { 0.0 } else { used / (used + available as f64) * 100.0 }
        };
        let bytes = share(stat.f_blocks, stat.f_bfree, stat.f_bavail);
        Ok(bytes.max(share(stat.f_files, stat.f_ffree, stat.f_favail)))
    }

    /// Whether logs should give something back.
    pub(super) fn is_scarce(&self) -> bool {
        self.bytes < RESERVE_BYTES || self.inodes.is_some_and(|free| free < RESERVE_INODES)
    }
}
