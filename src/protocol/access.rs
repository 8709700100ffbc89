//! Who owns a file, and what a container may do with it.

use serde::{Deserialize, Serialize};

/// User and group of a file, as the host numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileOwner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl std::fmt::Display for FileOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// What an attempt came to: the errno's name, or none where it worked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Opening for reading.
    pub read: Option<String>,
    /// Creating a file in a directory; writing to a file.
    pub write: Option<String>,
}

/// What a container's init may do at a path, tried with its user, groups and capabilities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessFacts {
    /// Its user for permission checks, as the host numbers it.
    pub uid: u32,
    /// What it may do.
    pub own: Access,
    /// What it might do without the capabilities that override permission checks.
    pub bare: Access,
}

/// An `SELinux` label, and what the policy makes of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelFacts {
    /// The label; none where there is none, or no file.
    pub label: Option<String>,
    /// What the container's init acts as.
    pub subject: String,
    /// The policy lets it write there.
    pub may_write: bool,
}
