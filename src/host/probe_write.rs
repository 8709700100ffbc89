//! Small attempts to write, made to learn which errno a writer gets at a path.
//!
//! Proof by other system calls than those that injected. Every attempt cleans up after itself; a
//! process killed in between leaves a name with [`PROBE_PREFIX`], which [`sweep_probes`] removes.
//! On a frozen file system an attempt blocks until the thaw: callers know that beforehand.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, fsync, link, open, unlink};
use serde::{Deserialize, Serialize};

use super::errno::Errno;
use super::error::{Context, HostResult};

/// What every probe file's name begins with.
pub const PROBE_PREFIX: &str = ".keelhaul-probe-";

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attempt {
    /// It worked.
    Ok,
    /// The kernel refused.
    Refused {
        /// The step that was refused.
        step: Step,
        /// With this.
        errno: Errno,
    },
}

/// A step of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Making the file.
    Create,
    /// Writing to it.
    Write,
    /// fsync(2).
    Sync,
    /// Making a second name.
    Link,
}

impl Attempt {
    /// What the kernel refused it with, if it did.
    #[must_use]
    pub fn errno(self) -> Option<Errno> {
        match self {
            Self::Ok => None,
            Self::Refused { errno, .. } => Some(errno),
        }
    }

    fn refused(step: Step, errno: rustix::io::Errno) -> Self {
        Self::Refused { step, errno: errno.into() }
    }
}

/// Creates an empty file in `dir` and removes it.
///
/// # Errors
/// Only when the file could be made but not removed.
pub fn try_create(dir: &Path) -> HostResult<Attempt> {
    let path = probe_path(dir);
    match create(&path) {
        Ok(_) => unlink(&path).op("unlink", &path).map(|()| Attempt::Ok),
        Err(errno) => Ok(Attempt::refused(Step::Create, errno)),
    }
}

/// Creates a file in `dir`, writes `bytes` to it, calls fsync and removes it.
///
/// # Errors
/// Only when the file could be made but not removed.
pub fn try_write(dir: &Path, bytes: u64) -> HostResult<Attempt> {
    let path = probe_path(dir);
    let attempt = match create(&path) {
        Ok(file) => write_and_sync(&file, bytes),
        Err(errno) => return Ok(Attempt::refused(Step::Create, errno)),
    };
    unlink(&path).op("unlink", &path)?;
    Ok(attempt)
}

/// Removes a name from `dir` that is not there. Like every change it waits for write access to the
/// file system first; what it comes back with does not matter.
pub fn unlink_nothing(dir: &Path) {
    let _ = unlink(probe_path(dir));
}

/// Makes a second name for `file` in `dir` and removes that again.
///
/// # Errors
/// Only when the name could be made but not removed.
pub fn try_link(file: &Path, dir: &Path) -> HostResult<Attempt> {
    let path = probe_path(dir);
    match link(file, &path) {
        Ok(()) => unlink(&path).op("unlink", &path).map(|()| Attempt::Ok),
        Err(errno) => Ok(Attempt::refused(Step::Link, errno)),
    }
}

/// Creates a file in `dir`, makes a second name for it in `into`, and removes both.
///
/// # Errors
/// Only when something could be made but not removed.
pub fn try_link_from(dir: &Path, into: &Path) -> HostResult<Attempt> {
    let path = probe_path(dir);
    if let Err(errno) = create(&path) {
        return Ok(Attempt::refused(Step::Create, errno));
    }
    let attempt = try_link(&path, into);
    unlink(&path).op("unlink", &path)?;
    attempt
}

/// Removes the probe files that killed attempts have left in `dir`; returns how many.
///
/// # Errors
/// The failed call. A `dir` that is not there, or is none, holds none.
pub fn sweep_probes(dir: &Path) -> HostResult<usize> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => return Ok(0),
        Err(e) => return Err(e).op("readdir", dir),
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry.op("readdir", dir)?;
        if entry.file_name().as_encoded_bytes().starts_with(PROBE_PREFIX.as_bytes()) {
            unlink(entry.path()).op("unlink", entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn probe_path(dir: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    dir.join(format!("{PROBE_PREFIX}{}-{number}", std::process::id()))
}

fn create(path: &Path) -> Result<OwnedFd, rustix::io::Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    open(path, flags, Mode::RUSR | Mode::WUSR)
}

fn write_and_sync(file: &OwnedFd, bytes: u64) -> Attempt {
    let chunk = vec![0x5a; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        match rustix::io::write(file, &chunk[..size]) {
            Ok(written) => left = left.saturating_sub(written as u64),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Attempt::refused(Step::Write, errno),
        }
    }
    match fsync(file) {
        Ok(()) => Attempt::Ok,
        Err(errno) => Attempt::refused(Step::Sync, errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::mount_clone::{MountChange, stack_clone};
    use crate::host::testing::{in_private_mounts, own_tmpfs};

    #[test]
    fn attempts_work_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        fs::write(&file, "x").unwrap();
        assert_eq!(try_create(dir.path()).unwrap(), Attempt::Ok);
        assert_eq!(try_write(dir.path(), 100_000).unwrap(), Attempt::Ok);
        assert_eq!(try_link(&file, dir.path()).unwrap(), Attempt::Ok);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let none = dir.path().join("none");
        assert_eq!(try_create(&none).unwrap().errno(), Some(Errno(libc::ENOENT)));
    }

    #[test]
    fn a_refusal_names_step_and_errno() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=64k");
            fs::write(dir.join("f"), "x").unwrap();
            let full = try_write(&dir, 1 << 20).unwrap();
            let no_space = Attempt::Refused { step: Step::Write, errno: Errno(libc::ENOSPC) };
            assert_eq!(full, no_space);
            let other = own_tmpfs("size=64k");
            let across = try_link(&dir.join("f"), &other).unwrap();
            assert_eq!(across, Attempt::Refused { step: Step::Link, errno: Errno(libc::EXDEV) });
            let change = MountChange { read_only: Some(true), ..MountChange::default() };
            stack_clone(&dir, change).unwrap();
            let refused = try_create(&dir).unwrap();
            assert_eq!(refused, Attempt::Refused { step: Step::Create, errno: Errno(libc::EROFS) });
        });
    }

    #[test]
    fn the_sweep_takes_probes_only() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["keep", ".keelhaul-probe-1-1", ".keelhaul-probe-2-9"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(sweep_probes(dir.path()).unwrap(), 2);
        assert_eq!(sweep_probes(dir.path()).unwrap(), 0);
        assert!(dir.path().join("keep").exists());
    }
}
