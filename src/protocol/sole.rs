//! Acts on a whole filesystem that is not the run's, and who else uses one.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Dev, Place};

/// Who alone may use a filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sole {
    /// Full ids of containers.
    pub containers: Vec<String>,
    /// Where the engine itself has it mounted for them: the directory of a volume.
    pub engine_mount: Option<String>,
}

/// What is done to a whole filesystem that only certain containers use, and its inverse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SoleOp {
    /// Look that nobody else uses it, right before what follows: since the fault was prepared somebody
    /// may have come.
    Check {
        /// A path on the filesystem.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// Who may use it.
        sole: Sole,
    },
    /// Freeze it, if nobody else uses it: whoever changes it waits.
    Freeze {
        /// A path on the filesystem.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// Who may use it.
        sole: Sole,
    },
    /// Thaw it; one that is not frozen is left alone.
    Thaw {
        /// A path on the filesystem.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// Its device: the way to it when it is mounted nowhere any more.
        source: String,
        /// Its type: `ext4`.
        fs_type: String,
    },
    /// Remove the marker directory and nothing else. Unlike on a filesystem of the run's, it is still to
    /// be done where the filesystem is mounted nowhere just now.
    RemoveFiller {
        /// The directory that holds the marker directory.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// Name of the filler directory.
        marker: String,
    },
}

impl SoleOp {
    /// Where it acts.
    #[must_use]
    pub fn place(&self) -> &Place {
        match self {
            Self::Check { place, .. }
            | Self::Freeze { place, .. }
            | Self::Thaw { place, .. }
            | Self::RemoveFiller { place, .. } => place,
        }
    }
}

/// Somebody else who uses a filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherUser {
    /// The process, or the first of a mount namespace, as the host counts.
    pub pid: u32,
    /// Its command name.
    pub command: String,
    /// The container it is in: its id, or its name where that is known.
    pub container: Option<String>,
    /// How it uses it.
    pub has: Has,
}

/// How a filesystem is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Has {
    /// It is mounted here.
    Mounted(String),
    /// This is open, mapped, or a working directory.
    Open(String),
}

impl fmt::Display for OtherUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, command, container, has } = self;
        match (container, has) {
            (Some(name), Has::Mounted(at)) => write!(f, "container `{name}` has it at `{at}`"),
            (Some(name), Has::Open(path)) => {
                write!(f, "`{command}` (pid {pid}) of container `{name}` has `{path}` open")
            }
            (None, Has::Mounted(at)) => {
                write!(f, "the host has it at `{at}`, as `{command}` (pid {pid}) sees it")
            }
            (None, Has::Open(path)) => {
                write!(f, "`{command}` (pid {pid}) on the host has `{path}` open")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_user_is_named() {
        let user = |container: Option<&str>, has| OtherUser {
            pid: 7,
            command: "tail".into(),
            container: container.map(str::to_owned),
            has,
        };
        for (user, said) in [
            (user(Some("web"), Has::Mounted("/d".into())), "container `web` has it at `/d`"),
            (
                user(Some("web"), Has::Open("/d/x".into())),
                "`tail` (pid 7) of container `web` has `/d/x` open",
            ),
            (
                user(None, Has::Mounted("/mnt".into())),
                "the host has it at `/mnt`, as `tail` (pid 7) sees it",
            ),
            (
                user(None, Has::Open("/mnt/x".into())),
                "`tail` (pid 7) on the host has `/mnt/x` open",
            ),
        ] {
            assert_eq!(user.to_string(), said);
        }
    }
}
