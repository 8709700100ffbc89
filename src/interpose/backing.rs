//! What lies beneath an interposer: a directory, or a filesystem mounted for it alone.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags, openat};
use serde::{Deserialize, Serialize};

use crate::host::{
    error::{HostError, HostResult},
    fuse,
};

/// What lies beneath, as this process finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Beneath {
    /// A directory. Others may change it too.
    Directory(PathBuf),
    /// A device, mounted in nobody's tree: the mount ends with this process.
    Device {
        /// Its node.
        node: PathBuf,
        /// Type of the filesystem on it.
        fs_type: String,
        /// Mount options.
        options: Vec<String>,
    },
}

impl Beneath {
    /// Opens its root.
    pub(super) fn open(&self) -> HostResult<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match self {
            Self::Directory(path) => return open(CWD, path, flags),
            Self::Device { node, fs_type, options } => fuse::mount_device(fs_type, node, options)?,
        };
        open(opened, Path::new("."), flags)
    }

    /// Nobody but us changes it.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::Device { .. })
    }
}

fn open(at: impl std::os::fd::AsFd, path: &Path, flags: OFlags) -> HostResult<OwnedFd> {
    openat(at, path, flags, Mode::empty()).map_err(|errno| HostError::sys("open", path, errno))
}
