//! What the calling thread may do at a path, found out by trying.
//!
//! Answers with errnos and leaves nothing behind. Whose thread it is, is for the caller to arrange.

use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, open};

use super::error::HostResult;
use super::file::{FileSummary, Kind};
use super::probe_write::try_create;
use crate::errno::Errno;

/// What was refused; none is what worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusals {
    /// Opening for reading.
    pub read: Option<Errno>,
    /// Creating in a directory; writing to a file.
    pub write: Option<Errno>,
}

/// Opens `path` for reading and creates a file in it; if it is no directory, asks the kernel
/// whether it may be written, since opening it would make OverlayFS copy it up.
///
/// # Errors
/// Only when something could be made but not removed.
pub fn try_access(path: &Path) -> HostResult<Refusals> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let read = open(path, flags, Mode::empty()).err().map(Errno::from);
    // a directory above that may not be searched hides what it is: then nothing works
    let directory = FileSummary::of(path).map_or(true, |summary| summary.kind == Kind::Directory);
    let write = if directory {
        try_create(path)?.errno()
    } else {
        accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).err().map(Errno::from)
    };
    Ok(Refusals { read, write })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::host::{credentials::Credentials, process::Identity, testing::root_or_skip};

    #[test]
    fn permission_bits_show_for_files_and_directories() {
        if !root_or_skip() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        fs::write(&file, "x").unwrap();
        let own = Credentials::of(Identity::of(std::process::id()).unwrap()).unwrap();
        let tried = |path: &Path, mode, credentials: Credentials| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            std::thread::scope(|scope| {
                let trial = move || credentials.assume().and_then(|()| try_access(path));
                scope.spawn(trial).join().unwrap().unwrap()
            })
        };
        let denied = Some(Errno(libc::EACCES));
        for path in [dir.path(), &file] {
            let bare = own.without_overrides();
            let all = tried(path, 0o700, bare.clone());
            assert_eq!(all, Refusals { read: None, write: None });
            assert_eq!(tried(path, 0o500, bare.clone()), Refusals { read: None, write: denied });
            assert_eq!(tried(path, 0o200, bare).read, denied);
            assert_eq!(tried(path, 0o500, own.clone()), all);
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
    }
}
