//! A crash state that is kept: a disk as a power cut left it, what had been promised by then, and how it is
//! read. All that it takes to judge it again, elsewhere and later, in one file.
//!
//! Pure: bytes in, bytes out. Nobody is mounted, asked or run here.

mod file;

use serde::{Deserialize, Serialize};

use crate::{block::Image, ledger::Log};

pub use file::{MAGIC, StateError, encode, is_state};

/// A state as its file has it.
#[derive(Debug)]
pub struct CrashState {
    /// What is known of it.
    pub facts: Facts,
    /// What was intended, and of that what had been acknowledged when the power went.
    pub ledger: Log,
    /// The content of the disk.
    pub image: Image,
}

/// What is known of a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Facts {
    /// Version of keelhaul that wrote it.
    pub keelhaul: String,
    /// The filesystem on the disk: `ext4`.
    pub filesystem: String,
    /// Where the records are.
    pub records: Records,
    /// The moment, in the sequence of what happened to the disk.
    pub cut: u64,
    /// Records acknowledged by then.
    pub acknowledged: u64,
    /// What was wrong with it when it was kept.
    pub wrong: String,
    /// No disk that keeps to its specification leaves it: it is enough that it is noticed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beyond: bool,
    /// Its filesystem is checked after its recovery, by the filesystem's own tool.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fsck: bool,
    /// SHA-256 of the disk's content, in hexadecimal.
    pub digest: String,
}

/// Where the records of a state are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Records {
    /// They are lines of a file, below the volume's root.
    File(String),
    /// A program of the service prints them.
    Program {
        /// Where the service has the volume.
        path: String,
        /// Program and arguments.
        command: Vec<String>,
    },
}

/// Bytes in hexadecimal.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A state for tests.
#[cfg(test)]
pub(crate) mod testing {
    use super::{Facts, Records};

    /// Of a disk that is not there.
    pub(crate) fn facts() -> Facts {
        Facts {
            keelhaul: "0.1.0".into(),
            filesystem: "ext4".into(),
            records: Records::File("journal.log".into()),
            cut: 812,
            acknowledged: 41,
            wrong: "1 of 41 acknowledged records lost".into(),
            beyond: false,
            fsck: false,
            digest: "ab".into(),
        }
    }
}
