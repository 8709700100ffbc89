//! What acts are given, and what they come to.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use super::{super::HelperError, detach::Kept, interposers::Interposers, load::Loads};
use crate::{
    host::metadata::Meant,
    ledger::Event,
    protocol::{Dev, FileId, Outcome},
};

/// What an act may use.
#[derive(Debug, Clone)]
pub(super) struct Context {
    /// The run's directory: the mounted helper volume.
    pub(super) dir: PathBuf,
    /// The same directory on the engine's host.
    pub(super) host_dir: String,
    /// Mounts that were taken away.
    pub(super) kept: Kept,
    /// Interposers that were made here.
    pub(super) interposers: Interposers,
    /// Loads of the run.
    pub(super) loads: Loads,
    /// When the act is given up.
    pub(super) deadline: Instant,
    /// Set when it is to be given up at once.
    pub(super) cancel: Arc<AtomicBool>,
    /// What is undone was done on another boot: what numbers devices had then proves nothing.
    pub(super) other_boot: bool,
}

/// What an act came to.
pub(super) type Done = Result<Outcome, HelperError>;

impl Context {
    /// A file as it can be known now.
    pub(super) fn meant(&self, file: FileId) -> Meant {
        Meant { dev: self.number(file.dev), inode: file.inode }
    }

    /// The number of a filesystem, where it says anything.
    pub(super) fn number(&self, dev: Dev) -> Option<u64> {
        (!self.other_boot).then(|| rustix::fs::makedev(dev.major, dev.minor))
    }

    /// What a container acknowledges from now on is void.
    pub(super) fn fence(&self, container: &str) -> Result<(), HelperError> {
        self.note(container, &Event::Fenced {})
    }

    /// What it acknowledges of what is asked of it from now on counts again.
    pub(super) fn unfence(&self, container: &str) -> Result<(), HelperError> {
        self.note(container, &Event::Restored {})
    }

    /// Acts are on threads that may block.
    fn note(&self, container: &str, event: &Event) -> Result<(), HelperError> {
        let noted = self.loads.note(container, event);
        tokio::runtime::Handle::current().block_on(noted).map_err(HelperError::Refused)
    }
}

#[cfg(test)]
impl Context {
    /// That of a run in this directory, with a minute's time.
    pub(super) fn testing(dir: &std::path::Path) -> Self {
        Self {
            dir: dir.to_owned(),
            host_dir: String::new(),
            kept: Kept::default(),
            interposers: Interposers::default(),
            loads: Loads::new(dir),
            deadline: Instant::now() + std::time::Duration::from_secs(60),
            cancel: Arc::default(),
            other_boot: false,
        }
    }
}
