//! Owner and mode of a file, changed only while they are what they are thought to be.
//!
//! Never follows a final symbolic link, and looks at no content. Regular files and directories.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use rustix::fs::fgetxattr_query;

use super::device;
use super::error::{Context, HostError, HostResult};

/// Where the kernel keeps the capabilities of a program (capabilities(7)).
const FILE_CAPABILITIES: &str = "security.capability";

/// Which file is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meant {
    /// Its file system, see [`device`]; none where its number was that of another boot.
    pub dev: Option<u64>,
    /// Inode number.
    pub inode: u64,
}

/// How a change went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Made.
    Made,
    /// Not needed, or no longer ours to make: it is so already, or someone else has changed it.
    LeftAlone,
    /// The path leads to another file, or to none.
    Elsewhere,
}

/// Gives a file to user and group `to`, if it is theirs in `from`.
///
/// The kernel clears set-id bits of a regular file on the way.
///
/// # Errors
/// [`HostError::Malformed`] for a program with file capabilities, which would be lost for good; the
/// failed call.
pub fn set_owner(
    path: &Path,
    meant: Meant,
    from: (u32, u32),
    to: (u32, u32),
) -> HostResult<Change> {
    change(path, meant, |file, meta| {
        if (meta.uid(), meta.gid()) != from || from == to {
            return Ok(Change::LeftAlone);
        }
        if fgetxattr_query(file, FILE_CAPABILITIES).is_ok() {
            let what = path.display().to_string();
            let detail = "it has file capabilities, which a change of owner would drop for good";
            return Err(HostError::malformed(what, detail));
        }
        fchown(file, Some(to.0), Some(to.1)).op("fchown", path)?;
        Ok(Change::Made)
    })
}

/// Sets permission and set-id bits of a file to `to`, if they are `from`.
///
/// # Errors
/// The failed call.
pub fn set_mode(path: &Path, meant: Meant, from: u32, to: u32) -> HostResult<Change> {
    change(path, meant, |file, meta| {
        if meta.mode() & 0o7777 != from || from == to {
            return Ok(Change::LeftAlone);
        }
        file.set_permissions(Permissions::from_mode(to)).op("fchmod", path)?;
        Ok(Change::Made)
    })
}

/// Opens the file, and makes a change if it is the one that is meant.
pub(super) fn change(
    path: &Path,
    meant: Meant,
    make: impl FnOnce(&File, &Metadata) -> HostResult<Change>,
) -> HostResult<Change> {
    // O_NONBLOCK: a FIFO that has taken the name must not block us
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ELOOP)) => {
            return Ok(Change::Elsewhere);
        }
        other => other.op("open", path)?,
    };
    let meta = file.metadata().op("stat", path)?;
    let now = device::numbers_of(&file, (meta.dev(), meta.ino()));
    let then = (meant.dev, meant.inode);
    if (Some(now.0), now.1) == then || device::same_when_mounted_anew(&file, now, then) {
        return make(&file, &meta);
    }
    Ok(Change::Elsewhere)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::host::testing::root_or_skip;

    fn meant(path: &Path) -> Meant {
        let meta = fs::metadata(path).unwrap();
        Meant { dev: Some(meta.dev()), inode: meta.ino() }
    }

    #[test]
    fn a_mode_goes_there_and_back_and_no_further() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        let who = meant(&file);
        let mode = || fs::metadata(&file).unwrap().mode() & 0o7777;
        assert_eq!(set_mode(&file, who, 0o640, 0).unwrap(), Change::Made);
        if rustix::process::geteuid().is_root() {
            assert_eq!((mode(), set_mode(&file, who, 0, 0o640).unwrap()), (0, Change::Made));
        }
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(set_mode(&file, who, 0, 0o640).unwrap(), Change::LeftAlone, "twice");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(set_mode(&file, who, 0o640, 0).unwrap(), Change::LeftAlone, "theirs");
        fs::rename(&file, dir.path().join("g")).unwrap();
        assert_eq!(set_mode(&file, who, 0o600, 0).unwrap(), Change::Elsewhere);
        fs::write(&file, "").unwrap();
        assert_eq!(set_mode(&file, who, 0o600, 0).unwrap(), Change::Elsewhere, "another file");
    }

    #[test]
    fn an_owner_goes_there_and_back_and_no_further() {
        if !root_or_skip() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let who = meant(dir.path());
        let owner = || fs::metadata(dir.path()).map(|meta| (meta.uid(), meta.gid())).unwrap();
        assert_eq!(set_owner(dir.path(), who, (0, 0), (1001, 7)).unwrap(), Change::Made);
        assert_eq!(owner(), (1001, 7));
        assert_eq!(set_owner(dir.path(), who, (5, 5), (0, 0)).unwrap(), Change::LeftAlone);
        assert_eq!(set_owner(dir.path(), who, (1001, 7), (0, 0)).unwrap(), Change::Made);
        assert_eq!(set_owner(dir.path(), who, (1001, 7), (0, 0)).unwrap(), Change::LeftAlone);
        assert_eq!(owner(), (0, 0));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/", &link).unwrap();
        assert_eq!(set_mode(&link, meant(Path::new("/")), 0, 0).unwrap(), Change::Elsewhere);
    }
}
