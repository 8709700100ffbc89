//! What lies beneath an interposer: a directory, or a filesystem mounted for it alone.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use crate::host::{
    detach::spare,
    error::{HostError, HostResult},
    fuse,
    mount_clone::MountChange,
    mountinfo::Reader,
    namespace::in_mount_ns,
    process::Identity,
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
    /// A directory as a running container sees it, which is about to be covered.
    Covered {
        /// Its init.
        target: Identity,
        /// The directory, without symbolic links.
        at: PathBuf,
        /// Id of the mount that must be found there.
        mount: u64,
    },
}

impl Beneath {
    /// Opens its root.
    pub(super) fn open(&self) -> HostResult<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match self {
            Self::Directory(path) => {
                return match open(CWD, path, flags) {
                    Err(error) if error.is(Errno::NOTDIR.raw_os_error()) => Err(no_directory(path)),
                    opened => opened,
                };
            }
            Self::Device { node, fs_type, options } => fuse::mount_device(fs_type, node, options)?,
            Self::Covered { target, at, mount } => clone_of(*target, at, *mount)?,
        };
        open(opened, Path::new("."), flags)
    }

    /// Nobody but us changes it.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::Device { .. })
    }
}

fn no_directory(path: &Path) -> HostError {
    let text = "it is no directory, and an interposer takes one\n\nhint: bind the directory that a file is in, or leave `interpose` out";
    HostError::malformed(format!("`{}`", path.display()), text)
}

/// A clone of the mount at a path of a container: what is mounted there later does not cover it.
fn clone_of(target: Identity, at: &Path, mount: u64) -> HostResult<OwnedFd> {
    let mounts = Reader::open(target)?;
    in_mount_ns(target, || match mounts.read()?.covering(at) {
        Some(found) if found.id == mount => spare(at, MountChange::default()),
        found => {
            let found = found.map_or_else(|| "none".to_owned(), |found| found.id.to_string());
            let detail = format!("expected mount {mount}, found {found}");
            Err(HostError::NotOurs { path: at.to_owned(), detail })
        }
    })?
}

fn open(at: impl std::os::fd::AsFd, path: &Path, flags: OFlags) -> HostResult<OwnedFd> {
    openat(at, path, flags, Mode::empty()).map_err(|errno| HostError::sys("open", path, errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_directory_and_that_is_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let said = Beneath::Directory(file.path().to_owned()).open().unwrap_err().to_string();
        assert!(said.contains("it is no directory") && said.contains("hint:"), "{said}");
    }
}
