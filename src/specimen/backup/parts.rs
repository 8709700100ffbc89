//! What belongs to a backup: the data, and the configuration and key without which nobody can use
//! it. Logs and half-written files do not.

use std::path::PathBuf;

use super::super::identity;
use super::JobError;
use super::files::walk;

/// Files of the data directory without which the service does not resume.
const DATA: [&str; 4] = ["current.dat", "initialised", "journal.log", "state.json"];

/// A directory, and its name in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) root: PathBuf,
}

pub(super) fn data(root: PathBuf) -> Part {
    Part { name: "data", root }
}

pub(super) fn identity(root: PathBuf) -> Part {
    Part { name: "identity", root }
}

impl Part {
    /// Directories and files that belong to the backup, parents first.
    pub(super) fn paths(&self) -> Result<Vec<PathBuf>, JobError> {
        let belongs = |name: &str| {
            let passing = name.starts_with('.') || name.ends_with(".tmp");
            !passing && !["logs", "lost+found"].contains(&name)
        };
        walk(&self.root, &belongs)
    }

    /// What an archive must hold of it, as it is named there.
    pub(super) fn required(&self) -> Vec<String> {
        let files: &[&str] = if self.name == "data" { &DATA } else { &identity::FILES };
        files.iter().map(|file| format!("{}/{file}", self.name)).collect()
    }
}
