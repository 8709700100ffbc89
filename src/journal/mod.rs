//! The undo log of a run: what was done to the host, and what undoes it.
//!
//! One append-only file of framed JSON lines. A `pending` record is on disk before its act happens,
//! so whoever reads the file after a crash knows everything that may have been done. [`replay`] is
//! pure and reads a file that was cut at any byte; [`JournalFile`] is the thin layer that appends,
//! syncs and keeps room in reserve. Nothing here undoes anything.

mod file;
mod frame;
mod record;
mod replay;

pub use file::{JournalFile, ROOM};
pub use record::{Header, Record};
pub use replay::{Replay, Slot, lines, replay};

/// Why the journal could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A system call failed. Nothing was injected.
    #[error("cannot {act} the journal `{path}`: {source}")]
    Io {
        /// What was tried.
        act: &'static str,
        /// The file.
        path: String,
        /// What the kernel answered.
        source: std::io::Error,
    },
    /// There is no room for the record and for all that must follow it.
    #[error(
        "no room in the journal `{path}` for {bytes} more bytes: {source}\n\nhint: free space under the engine's data root; nothing is injected without a durable undo"
    )]
    NoRoom {
        /// The file.
        path: String,
        /// Bytes that were asked for.
        bytes: u64,
        /// What the kernel answered.
        source: std::io::Error,
    },
    /// Another build wrote it.
    #[error("the journal has format version {found}, and this build reads {known}")]
    Version {
        /// In the file.
        found: u32,
        /// Here.
        known: u32,
    },
    /// A record cannot be written as JSON.
    #[error("cannot encode a journal record: {0}")]
    Encode(String),
}
