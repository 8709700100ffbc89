//! What ops and their outcomes are made of.

use serde::{Deserialize, Serialize};

use super::Dev;

/// An attribute of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountFlag {
    /// Refuse writes.
    ReadOnly,
    /// Refuse to execute.
    NoExec,
    /// Ignore set-user-id bits.
    NoSuid,
    /// Ignore device nodes.
    NoDev,
    /// Do not update access times.
    NoAtime,
    /// Do not update those of directories.
    NoDirAtime,
}

/// Tells one file or directory apart from every other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileId {
    /// Its file system.
    pub dev: Dev,
    /// Inode number.
    pub inode: u64,
}

/// How a filesystem on a device is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mounted {
    /// Its type: `ext4`.
    pub fs_type: String,
    /// Mount options, such as `data=journal`.
    pub options: Vec<String>,
}

/// What a name points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkState {
    /// Device of the file.
    pub dev: Dev,
    /// Inode number.
    pub inode: u64,
    /// Number of names.
    pub links: u64,
}
