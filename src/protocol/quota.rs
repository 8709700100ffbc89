//! Quotas of a btrfs: which group, what it says, and what is put back. Data only.

use serde::{Deserialize, Serialize};

/// A quota group that a btrfs's top subvolume is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuotaGroup {
    /// Its own.
    Own,
    /// The one that we put above it.
    Parent,
}

/// What a quota group says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaFacts {
    /// Bytes held, as of the last commit.
    pub referenced: u64,
    /// Bytes allowed; none without a limit.
    pub limit: Option<u64>,
}

/// What the quotas of a filesystem were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum QuotaWas {
    /// Switched off.
    Off,
    /// Switched on, and no group above the top subvolume's own.
    NoParent,
    /// A group had this limit, or none.
    Limited {
        /// Which.
        group: QuotaGroup,
        /// In bytes.
        limit: Option<u64>,
    },
}
