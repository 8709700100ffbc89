//! Why a job was not done.

use std::io;
use std::path::{Path, PathBuf};

use super::super::errno;

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It had better not be done now.
    #[error("the service is not healthy: {0}")]
    Unhealthy(String),
    /// The service was asked something, and did not do it.
    #[error("cannot {doing} the service: {why}")]
    Service {
        /// `freeze`, `thaw`, …
        doing: &'static str,
        /// What came back.
        why: String,
    },
    /// Another job has been at it for too long.
    #[error("another backup has held `{lock}` for {seconds} s", lock = lock.display())]
    Busy {
        /// The lock.
        lock: PathBuf,
        /// How long we waited.
        seconds: f64,
    },
    /// The system said no.
    #[error("cannot {doing} `{path}`: {error}", path = path.display(), error = errno::describe(error))]
    Io {
        /// `write`, `open`, …
        doing: &'static str,
        /// What.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A file did not get into an archive: of either, the system said no.
    #[error(
        "cannot copy `{source_file}` into `{archive}`: {error}",
        source_file = source_file.display(), archive = archive.display(),
        error = errno::describe(error)
    )]
    Copy {
        /// The file.
        source_file: PathBuf,
        /// The archive.
        archive: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// What is in an archive is not what was put there.
    #[error("`{archive}` is not whole: {why}", archive = archive.display())]
    Corrupt {
        /// The archive.
        archive: PathBuf,
        /// The first thing that is wrong.
        why: String,
    },
    /// What is in an archive does not suffice.
    #[error("missing in `{archive}`: {}", missing.join(", "), archive = archive.display())]
    Missing {
        /// The archive.
        archive: PathBuf,
        /// What is not in it.
        missing: Vec<String>,
    },
    /// There is nothing to restore from.
    #[error("no whole archive in `{}`", .0.display())]
    NoArchive(PathBuf),
    /// Restoring would overwrite a state.
    #[error("`{}` holds a state already\n\nhint: restore into an empty directory", .0.display())]
    Occupied(PathBuf),
    /// Whole, and still of no use.
    #[error("the copy is torn: {0}")]
    Torn(String),
    /// The work took longer than it may.
    #[error("it took {took} s, and may take {limit} s")]
    Late {
        /// How long it took.
        took: f64,
        /// How long it may take.
        limit: f64,
    },
    /// A mirror's source has lost everything.
    #[error(
        "`{source_dir}` is empty, and its mirror holds {files} files: was its mount lost?",
        source_dir = source_dir.display()
    )]
    EmptySource {
        /// The source.
        source_dir: PathBuf,
        /// Files that would go.
        files: usize,
    },
}

impl JobError {
    /// Nothing failed: it was right not to begin.
    pub(super) fn is_skip(&self) -> bool {
        matches!(self, Self::Unhealthy(_))
    }

    /// What the process ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.is_skip() { 3 } else { 1 }
    }

    /// For `map_err`: what was being done, and to what.
    pub(in super::super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { doing, path: path.to_owned(), error }
    }
}
