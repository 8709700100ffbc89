//! What rules tell of a filesystem or a file instead of what is. Data only.

use serde::{Deserialize, Serialize};

/// How much room `statfs` says that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToldRoom {
    /// Bytes that are free.
    pub bytes: Option<u64>,
    /// Inodes that are free.
    pub inodes: Option<u64>,
}

/// What `stat` says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToldAttributes {
    /// Permission and set-id bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Bytes.
    pub size: Option<u64>,
    /// When it was modified, in seconds since the epoch.
    pub mtime: Option<i64>,
}
