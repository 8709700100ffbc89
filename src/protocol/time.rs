//! Acts on clocks and on the times of files.

use serde::{Deserialize, Serialize};

use super::{Dev, Place};

/// One act on what a subject takes for the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TimeOp {
    /// Shift the times of files by whole seconds, each only if it is this file and was last modified
    /// then; otherwise someone else has written to it, and it is left alone. The inverse of itself,
    /// with the times that it set and the other sign.
    ShiftFiles {
        /// The file, or the directory that they are below, under whatever names.
        place: Place,
        /// The filesystem that must be found there.
        dev: Dev,
        /// The files.
        files: Vec<FileTimes>,
        /// Seconds; below zero for the past.
        by: i64,
    },
    /// Shift the wall clock of every process of a container, and of every later one, which a process
    /// of ours sees to; it ends with the worker.
    SkewClock {
        /// The container; its path is not used.
        place: Place,
        /// Among that process's arguments: says that it is ours.
        mark: String,
        /// Seconds; below zero for a clock that is behind.
        by: i32,
    },
    /// End that process, and put the wall clocks right that were shifted by so much.
    RestoreClock {
        /// The container; its path is not used.
        place: Place,
        /// Among the process's arguments.
        mark: String,
        /// The shift.
        by: i32,
    },
}

impl TimeOp {
    /// The container whose namespace this act enters.
    #[must_use]
    pub fn place(&self) -> &Place {
        match self {
            Self::ShiftFiles { place, .. }
            | Self::SkewClock { place, .. }
            | Self::RestoreClock { place, .. } => place,
        }
    }
}

/// A file, and when it was used. An array on the wire: there are many in one journal entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, i64, i64)", into = "(u64, i64, i64)")]
pub struct FileTimes {
    /// Inode number.
    pub inode: u64,
    /// Last modification, nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Last access, likewise.
    pub atime_ns: i64,
}

impl FileTimes {
    /// The same file at other times.
    #[must_use]
    pub fn shifted(self, seconds: i64) -> Self {
        let shift = |ns: i64| ns.saturating_add(seconds.saturating_mul(1_000_000_000));
        Self { inode: self.inode, mtime_ns: shift(self.mtime_ns), atime_ns: shift(self.atime_ns) }
    }
}

impl From<(u64, i64, i64)> for FileTimes {
    fn from((inode, mtime_ns, atime_ns): (u64, i64, i64)) -> Self {
        Self { inode, mtime_ns, atime_ns }
    }
}

impl From<FileTimes> for (u64, i64, i64) {
    fn from(file: FileTimes) -> Self {
        (file.inode, file.mtime_ns, file.atime_ns)
    }
}

/// When the files of a place were used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimesFacts {
    /// Their filesystem.
    pub dev: Dev,
    /// Regular files, each once, however many names it has; those of other filesystems below are
    /// left out.
    pub files: Vec<FileTimes>,
    /// There are more than were listed.
    pub more: bool,
}

/// The wall clocks of a container's processes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockFacts {
    /// Processes that tell the time by other code than the kernel's own.
    pub shifted: u64,
    /// What one was told that asked; none when none was heard asking in time.
    pub told: Option<Told>,
}

/// What a process was told when it asked for the wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Its name and pid: `nginx (pid 612)`.
    pub who: String,
    /// Seconds ahead of the host's clock; below zero, behind it.
    pub ahead: i64,
    /// It asked the kernel by itself, not through the code that is mapped into it.
    pub direct: bool,
}
