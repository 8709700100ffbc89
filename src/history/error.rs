//! Why a history was not read or written. Whatever is wrong with the file, it stays as it is.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Error as Sql, ErrorCode};

/// Why a history was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// No file, or an empty one.
    #[error(
        "there is no history in `{}`\n\nhint: every `keelhaul run` adds to it, and `keelhaul history \
         add DIR` what a run directory holds; `--out` names another place",
        .0.display()
    )]
    Missing(PathBuf),
    /// Another program's file, or none at all.
    #[error(
        "`{}` is not a history of keelhaul: {why}\n\nhint: nothing was changed; move it away, and the \
         next run begins a new one",
        path.display()
    )]
    Foreign {
        /// Where.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// Pages or values that cannot be.
    #[error(
        "the history `{}` is damaged: {why}\n\nhint: nothing was changed; move it away, and \
         `keelhaul history add` makes another from the run directories",
        path.display()
    )]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// Written by a keelhaul that knows more.
    #[error(
        "the history `{}` is of version {found}; this keelhaul knows up to {known}\n\nhint: use the \
         keelhaul that wrote it, or another `--out`",
        path.display()
    )]
    Newer {
        /// Where.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Somebody else holds it.
    #[error(
        "the history `{}` is locked by another process\n\nhint: wait until it is done, or find it \
         with `fuser {}`",
        .0.display(),
        .0.display()
    )]
    Locked(PathBuf),
    /// It cannot be opened, or its disk is full.
    #[error("the history `{}` cannot be used: {why}", path.display())]
    Unusable {
        /// Where.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// No run has this id.
    #[error("the history has no run `{name}`\n\nhint: {hint}")]
    NoRun {
        /// As given.
        name: String,
        /// The newest ones.
        hint: String,
    },
    /// Several have.
    #[error("`{name}` may be any of {these}\n\nhint: write more of it")]
    Ambiguous {
        /// As given.
        name: String,
        /// The runs that begin so.
        these: String,
    },
    /// No scenario has this name.
    #[error("the history has no scenario `{name}`\n\nhint: {hint}")]
    NoScenario {
        /// As given.
        name: String,
        /// The probable one, or all.
        hint: String,
    },
}

impl HistoryError {
    /// What SQLite's error is for a user.
    pub(super) fn of(path: &Path, error: &Sql) -> Self {
        let (path, why) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(path),
            Some(ErrorCode::NotADatabase) => Self::Foreign { path, why },
            // a table that is not there is damage too: the version says that it must be
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => Self::Damaged { path, why },
            None => Self::Damaged { path, why },
            Some(_) => Self::Unusable { path, why },
        }
    }

    pub(super) fn of_io(path: &Path, error: &io::Error) -> Self {
        Self::Unusable { path: path.to_owned(), why: error.to_string() }
    }
}
