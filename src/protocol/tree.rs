//! What a directory holds, or an archive of one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A directory tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeFacts {
    /// SHA-256 over sorted paths, types, modes, sizes and contents.
    pub digest: String,
    /// Entries below the root.
    pub entries: u64,
    /// Bytes of file content.
    pub bytes: u64,
    /// Digest per path, for differences; bounded.
    pub listing: BTreeMap<String, String>,
}

/// A tar archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveFacts {
    /// Its file name.
    pub name: String,
    /// Bytes of the file.
    pub size: u64,
    /// Why it cannot be read to its end; none when it can.
    pub broken: Option<String>,
    /// What it holds, as the tree that unpacking it would give.
    pub tree: TreeFacts,
}
