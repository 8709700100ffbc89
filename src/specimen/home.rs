//! The data directory itself: is this path still the directory that the service came up with?
//!
//! A volume that is lost, or hidden by another mount, leaves a directory behind that looks fine and
//! takes writes. So the service holds on to the directory and compares before it writes. Writes
//! nothing itself.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::args::SpecimenArgs;
use super::session::MARKER;
use super::weakness::Weakness;

pub(super) struct Home {
    path: PathBuf,
    writes_anywhere: bool,
    /// Held open, so that neither its device nor its inode number can be given to another.
    held: OnceLock<File>,
}

impl Home {
    pub(super) fn new(args: &SpecimenArgs) -> Self {
        Self {
            path: args.data.clone(),
            writes_anywhere: args.has(Weakness::WritesAnywhere),
            held: OnceLock::new(),
        }
    }

    /// From now on the path must lead to the directory it leads to now.
    pub(super) fn hold(&self) -> io::Result<()> {
        let _ = self.held.set(File::open(&self.path)?);
        Ok(())
    }

    /// Whether the path leads elsewhere.
    pub(super) fn is_lost(&self) -> io::Result<bool> {
        let Some(held) = self.held.get() else { return Ok(false) };
        Ok(!same(&held.metadata()?, &fs::metadata(&self.path)?))
    }

    /// An error when `dir` lies in the data directory, and the path of that leads elsewhere. Before
    /// the start is through there is nothing to compare with.
    pub(super) fn check(&self, dir: &Path) -> io::Result<()> {
        let concerned = dir.starts_with(&self.path) && !self.writes_anywhere;
        if !concerned || !self.is_lost()? {
            return Ok(());
        }
        let missing = if self.path.join(MARKER).exists() { "" } else { ", and empty of our state" };
        let path = self.path.display();
        Err(io::Error::other(format!("`{path}` is another directory than at the start{missing}")))
    }
}

fn same(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}
