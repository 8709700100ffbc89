//! The lease: how long ago the command line was last heard, for the keeper and for others.
//!
//! Counted on a clock that runs while the machine sleeps. A file in the run's volume carries it
//! too, so that `recover` can tell a live run from a dead one. It decides nothing.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::clock::boottime_ms;
use crate::host::process::boot_id;

/// Without a sign of life for so long, the command line counts as gone.
pub(in crate::helper) const EXPIRY: Duration = Duration::from_millis(1500);
/// Name of the file in the run's directory.
const FILE: &str = "lease";
/// Bytes of the file: padded, so that every write covers the whole of the one before.
const SIZE: usize = 160;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    version: u32,
    boot_id: String,
    boottime_ms: u64,
}

/// The lease as the keeper holds it.
#[derive(Debug)]
pub(super) struct Lease {
    heard_ms: AtomicU64,
    boot_id: String,
    file: File,
    writing: AtomicBool,
}

impl Lease {
    /// Starts it now.
    pub(super) fn start(dir: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(dir.join(FILE))?;
        let boot_id = boot_id().map_err(|error| io::Error::other(error.to_string()))?;
        let heard_ms = AtomicU64::new(boottime_ms());
        let lease = Self { heard_ms, boot_id, file, writing: AtomicBool::new(false) };
        lease.mark();
        Ok(lease)
    }

    /// The command line was heard.
    pub(super) fn renew(&self) {
        self.heard_ms.store(boottime_ms(), Ordering::Relaxed);
    }

    /// How long ago it was last heard.
    pub(super) fn age(&self) -> Duration {
        let heard = self.heard_ms.load(Ordering::Relaxed);
        Duration::from_millis(boottime_ms().saturating_sub(heard))
    }

    /// Writes the file; blocks. Left out while another call is writing.
    pub(super) fn mark(&self) {
        if self.writing.swap(true, Ordering::Acquire) {
            return;
        }
        let boottime_ms = self.heard_ms.load(Ordering::Relaxed);
        let mark = Mark { version: 1, boot_id: self.boot_id.clone(), boottime_ms };
        if let Ok(mut text) = serde_json::to_vec(&mark) {
            text.resize(SIZE - 1, b' ');
            text.push(b'\n');
            if let Err(error) = self.file.write_all_at(&text, 0) {
                tracing::warn!(%error, "the lease file cannot be written");
            }
        }
        self.writing.store(false, Ordering::Release);
    }
}

/// How old the lease in a run's directory is; `None` when there is none, or none of this boot.
fn age_of(dir: &Path) -> Option<Duration> {
    let text = std::fs::read(dir.join(FILE)).ok()?;
    let mark: Mark = serde_json::from_slice(&text).ok()?;
    let same_boot = boot_id().ok()? == mark.boot_id;
    same_boot.then(|| Duration::from_millis(boottime_ms().saturating_sub(mark.boottime_ms)))
}

/// Prints the age of a run's lease in milliseconds, or `none`. For `recover`, which asks in the
/// keeper's own container: the same clock, the same boot. Argument: the run's directory.
pub fn main(mut args: impl Iterator<Item = String>) -> std::process::ExitCode {
    let Some(dir) = args.next() else { return std::process::ExitCode::from(2) };
    let age = age_of(Path::new(&dir));
    let text = age.map_or_else(|| "none".to_owned(), |age| age.as_millis().to_string());
    let written = io::Write::write_all(&mut io::stdout(), format!("{text}\n").as_bytes());
    written.map_or(std::process::ExitCode::FAILURE, |()| std::process::ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_tells_others_how_old_the_lease_is() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(age_of(dir.path()), None);
        let lease = Lease::start(dir.path()).unwrap();
        assert!(age_of(dir.path()).unwrap() < Duration::from_secs(60));
        lease.heard_ms.fetch_sub(500_000, Ordering::Relaxed);
        lease.mark();
        assert!(age_of(dir.path()).unwrap() >= Duration::from_secs(500));
        lease.renew();
        assert!(lease.age() < Duration::from_secs(60));
    }

    #[test]
    fn a_lease_of_another_boot_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let mut lease = Lease::start(dir.path()).unwrap();
        lease.boot_id = "another".into();
        lease.mark();
        assert_eq!(age_of(dir.path()), None);
    }
}
