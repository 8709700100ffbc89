//! Filling a file system with inodes or with bytes, and taking the filler away again.
//!
//! All filler lives in one directory with a run's mark in its name, directly below the directory
//! that was named; nothing else is created and nothing else is removed. Whether a file system may
//! be filled at all (it could be the host's own) is for the caller to decide, before.
//!
//! A file system that runs full during a fill is the goal, not an error.

mod bytes;
mod inodes;
mod remove;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use serde::{Deserialize, Serialize};

pub use bytes::{fill_bytes, open_filler};
pub use inodes::fill_inodes;
pub use remove::remove_filler;

use super::errno::Errno;
use super::error::{Context, HostError, HostResult};

/// What every marker directory's name begins with; probes of trees leave such names out.
pub const MARKER_PREFIX: &str = ".keelhaul-";

/// A fill to be done.
#[derive(Debug, Clone, Copy)]
pub struct Fill<'a> {
    /// A directory on the file system to be filled.
    pub dir: &'a Path,
    /// The name of the marker directory: [`MARKER_PREFIX`] and the run's id.
    pub marker: &'a str,
    /// How many inodes or bytes stay free.
    pub leave: u64,
    /// The most inodes or bytes that are taken.
    pub cap: u64,
    /// When to stop at the latest.
    pub deadline: Instant,
    /// Set by another thread to stop early.
    pub cancel: &'a AtomicBool,
}

/// What a fill has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    /// Inodes (the directories included) or bytes taken.
    pub taken: u64,
    /// Inodes or bytes that the file system calls free now, the reserve for root included.
    pub free: u64,
    /// Why it stopped.
    pub stopped: Stop,
}

/// Why a fill stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// The kernel refused to give more: `ENOSPC` or `EDQUOT`.
    Exhausted(Errno),
    /// As much is free as was to be left.
    Left,
    /// The cap was reached.
    Cap,
    /// The deadline has passed.
    Deadline,
    /// It was cancelled.
    Cancelled,
}

impl Fill<'_> {
    fn interrupted(&self) -> Option<Stop> {
        if self.cancel.load(Ordering::Relaxed) {
            Some(Stop::Cancelled)
        } else if Instant::now() >= self.deadline {
            Some(Stop::Deadline)
        } else {
            None
        }
    }
}

/// Opens the marker directory, making it if it is not there; the flag says if it was made. `None`
/// for the directory when not even that much room is left.
fn open_marker(dir: &Path, marker: &str) -> HostResult<(Option<OwnedFd>, bool)> {
    check_marker(marker)?;
    let base = open_base(dir)?;
    let path = dir.join(marker);
    let made = match mkdirat(&base, marker, Mode::RWXU) {
        Ok(()) => true,
        Err(rustix::io::Errno::EXIST) => false,
        Err(e) if is_full(e) => return Ok((None, false)),
        Err(e) => return Err(HostError::sys("mkdir", path, e)),
    };
    let fd = openat(&base, marker, DIRECTORY, Mode::empty()).op("open", path)?;
    Ok((Some(fd), made))
}

/// Never follows a symbolic link that someone put in the marker's place.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn open_base(dir: &Path) -> HostResult<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, dir, flags, Mode::empty()).op("open", dir)
}

/// A marker must be one component that begins with our prefix: it names what will be removed.
fn check_marker(marker: &str) -> HostResult<()> {
    let rest = marker.strip_prefix(MARKER_PREFIX).unwrap_or_default();
    if rest.is_empty() || marker.contains(['/', '\0']) {
        let detail = format!("`{marker}` does not begin with `{MARKER_PREFIX}`, or is a path");
        return Err(HostError::malformed("marker", detail));
    }
    Ok(())
}

fn is_full(errno: rustix::io::Errno) -> bool {
    matches!(errno, rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_marked_name_is_a_marker() {
        assert!(check_marker(".keelhaul-r1").is_ok());
        for bad in ["", ".keelhaul-", "data", ".keelhaul-/..", "/.keelhaul-x", ".."] {
            assert!(check_marker(bad).is_err(), "{bad}");
        }
    }
}
