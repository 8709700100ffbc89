//! An interposer that is slipped under a path of a running container, and taken away again.

use serde::{Deserialize, Serialize};

use super::{Init, IoRule, Place};

/// Inserting an interposer, and its inverse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum InsertionOp {
    /// Put a filesystem of ours between a directory of a running container and whoever opens files
    /// in it from now on. What is open already stays where it was. → `Mounted`
    Insert {
        /// The directory.
        place: Place,
        /// Mount id that must be found there.
        mount: u64,
        /// Its name, unique to the run: one plain path component.
        name: String,
        /// Names that begin with this are the interposer's own; a trial uses them.
        mark: String,
        /// Rules that may come. Files that none of them can hit are left to the kernel.
        expected: Vec<IoRule>,
        /// Every operation is traced, and no file is left to the kernel.
        #[serde(default)]
        traced: bool,
    },
    /// Put its rules out of force and detach it. What was opened through it goes on until it is
    /// closed, or until the helper ends; one that does not answer is cut off. Nothing to do once
    /// `init` is gone: its mount namespace went with it.
    Withdraw {
        /// The directory.
        place: Place,
        /// The init whose namespace was changed.
        init: Init,
        /// Its name.
        name: String,
    },
    /// Put its rules out of force, and let it stay where it is: what is to be undone through it is
    /// still found there. One that does not answer is withdrawn.
    Disarm {
        /// The directory.
        place: Place,
        /// The init whose namespace was changed.
        init: Init,
        /// Its name.
        name: String,
    },
}

impl InsertionOp {
    /// Where it acts.
    #[must_use]
    pub fn place(&self) -> &Place {
        match self {
            Self::Insert { place, .. }
            | Self::Withdraw { place, .. }
            | Self::Disarm { place, .. } => place,
        }
    }
}

/// What the processes of a container hold of a directory since before an interposer was inserted
/// there: no rule of it reaches that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscapeFacts {
    /// Open files and directories; one that several processes share counts once for each.
    pub files: u64,
    /// Working directories.
    pub directories: u64,
    /// Mapped files, each once for a process.
    pub maps: u64,
}
