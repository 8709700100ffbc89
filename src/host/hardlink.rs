//! Breaks the tie between the names of one file, in the ways that real systems do it.
//!
//! *Copy and replace* is what editors, `sed -i` and backup tools do: one name becomes a new file,
//! the other names keep the old one. *Copy-up* is what OverlayFS does on the first write to a file
//! of a lower layer. Neither looks at what is in the file.
//!
//! Measured (kernel 6.18, overlay without `index=on`): opening one of two names of a lower file for
//! writing, without writing, copies it up at once. That name then is a file of its own with
//! another inode number and a link count of 1; the other name still shows the lower file with a
//! count of 2.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{Timespec, Timestamps, futimens, link, rename, unlink};
use serde::{Deserialize, Serialize};

use super::device;
use super::errno::Errno;
use super::error::{Context, HostError, HostResult};
use super::probe_write::PROBE_PREFIX;

/// What ties a name to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LinkState {
    /// Its file system, see [`device`].
    pub dev: u64,
    /// Inode number.
    pub inode: u64,
    /// Number of names.
    pub links: u64,
}

impl LinkState {
    /// The state of one name; a symbolic link is not followed.
    ///
    /// # Errors
    /// The failed call.
    pub fn of(path: &Path) -> HostResult<Self> {
        let meta = fs::symlink_metadata(path).op("stat", path)?;
        let (dev, inode) = device::numbers(path, (meta.dev(), meta.ino()));
        Ok(Self { dev, inode, links: meta.nlink() })
    }

    /// Whether two names lead to the same file.
    #[must_use]
    pub fn same_file(self, other: Self) -> bool {
        (self.dev, self.inode) == (other.dev, other.inode)
    }
}

/// A name before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkChange {
    /// Before the act.
    pub before: LinkState,
    /// After it.
    pub after: LinkState,
}

/// Replaces a name by a copy of its file with the same mode, owner and modification time.
///
/// The copy is made beside it and renamed over the name, so there is no moment without the name.
/// It is durable on return.
///
/// # Errors
/// The failed call; the name is unchanged then. `EINVAL` when it is no regular file.
pub fn copy_and_replace(path: &Path) -> HostResult<LinkChange> {
    let before = LinkState::of(path)?;
    let temp = temp_beside(path)?;
    let result = copy_to(path, &temp).and_then(|()| rename(&temp, path).op("rename", path));
    if result.is_err() {
        let _ = unlink(&temp);
    }
    result?;
    Ok(LinkChange { before, after: LinkState::of(path)? })
}

/// Makes `path` a name of the file `target` again: the undo of [`copy_and_replace`].
///
/// `expected` is what `path` was after that act: if it is another file by now, someone else has
/// replaced it and nothing is touched. Doing it twice changes nothing.
///
/// # Errors
/// [`HostError::NotOurs`] as said; the failed call, with the name unchanged.
pub fn relink(path: &Path, target: &Path, expected: LinkState) -> HostResult<LinkChange> {
    let before = LinkState::of(path)?;
    if before.same_file(LinkState::of(target)?) {
        return Ok(LinkChange { before, after: before });
    }
    if !before.same_file(expected) {
        let detail = format!("expected inode {}, found {}", expected.inode, before.inode);
        return Err(HostError::NotOurs { path: path.to_path_buf(), detail });
    }
    let temp = temp_beside(path)?;
    link(target, &temp).op("link", target)?;
    if let Err(e) = rename(&temp, path) {
        let _ = unlink(&temp);
        return Err(HostError::sys("rename", path, e));
    }
    Ok(LinkChange { before, after: LinkState::of(path)? })
}

/// Makes OverlayFS copy a file up, by opening it for writing without writing. On any other file
/// system, and on a file that is in the upper layer, nothing changes.
///
/// # Errors
/// The failed call, such as `EROFS` or `ENOSPC` in the upper layer.
pub fn copy_up(path: &Path) -> HostResult<LinkChange> {
    let before = LinkState::of(path)?;
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    OpenOptions::new().write(true).custom_flags(flags).open(path).op("open", path)?;
    Ok(LinkChange { before, after: LinkState::of(path)? })
}

fn copy_to(path: &Path, temp: &Path) -> HostResult<()> {
    let mut options = OpenOptions::new();
    // O_NONBLOCK: a FIFO must not block us before it is recognised
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let mut from = options.read(true).custom_flags(flags).open(path).op("open", path)?;
    let meta = from.metadata().op("stat", path)?;
    if !meta.is_file() {
        return Err(HostError::sys("copy", path, Errno(libc::EINVAL)));
    }
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temp);
    let to = to.as_mut().map_err(|e| HostError::sys("open", temp, Errno::of_io(e)))?;
    io::copy(&mut from, to).op("copy", temp)?;
    dress(to, &meta).op("copy attributes", temp)?;
    to.sync_all().op("fsync", temp)
}

fn dress(to: &File, meta: &fs::Metadata) -> io::Result<()> {
    fchown(to, Some(meta.uid()), Some(meta.gid()))?;
    // after the owner: a change of owner clears set-user-id bits
    to.set_permissions(meta.permissions())?;
    let time = |seconds, nanos| Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps {
        last_access: time(meta.atime(), meta.atime_nsec()),
        last_modification: time(meta.mtime(), meta.mtime_nsec()),
    };
    Ok(futimens(to, &times)?)
}

/// A recognisable name beside `path`, which the sweep of probes removes if we are killed.
pub(super) fn temp_beside(path: &Path) -> HostResult<PathBuf> {
    let missing = || HostError::sys("open", path, Errno(libc::EINVAL));
    let name: &OsStr = path.file_name().ok_or_else(missing)?;
    let mut temp = OsString::from(format!("{PROBE_PREFIX}{}-", std::process::id()));
    temp.push(name);
    Ok(path.with_file_name(temp))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rustix::mount::{MountFlags, mount};

    use super::*;
    use crate::host::testing::{in_private_mounts, own_tmpfs};

    fn two_names(dir: &Path) -> (PathBuf, PathBuf) {
        let (a, b) = (dir.join("a"), dir.join("b"));
        fs::write(&a, "content").unwrap();
        fs::set_permissions(&a, fs::Permissions::from_mode(0o4751)).unwrap();
        fs::hard_link(&a, &b).unwrap();
        (a, b)
    }

    #[test]
    fn a_name_is_replaced_by_an_equal_copy_and_tied_again() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = two_names(dir.path());
        let old = fs::metadata(&a).unwrap();
        let change = copy_and_replace(&a).unwrap();
        assert_eq!((change.before.links, change.after.links), (2, 1));
        assert!(!change.before.same_file(change.after));
        let new = fs::metadata(&a).unwrap();
        assert_eq!((new.mode(), new.uid(), new.len()), (old.mode(), old.uid(), old.len()));
        assert_eq!(new.modified().unwrap(), old.modified().unwrap());
        assert_eq!(fs::read(&a).unwrap(), b"content");
        let back = relink(&a, &b, change.after).unwrap();
        assert!(back.after.same_file(LinkState::of(&b).unwrap()));
        assert_eq!(back.after.links, 2);
        assert_eq!(relink(&a, &b, change.after).unwrap().after, back.after);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_name_replaced_by_someone_else_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = two_names(dir.path());
        let change = copy_and_replace(&a).unwrap();
        fs::write(dir.path().join("theirs"), "theirs").unwrap();
        fs::rename(dir.path().join("theirs"), &a).unwrap();
        let error = relink(&a, &b, change.after).unwrap_err();
        assert!(matches!(error, HostError::NotOurs { .. }), "{error}");
        assert_eq!(fs::read(&a).unwrap(), b"theirs");
        assert!(copy_and_replace(dir.path()).unwrap_err().is(libc::EINVAL));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn copy_up_breaks_the_tie_on_overlay_only() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=4m");
            for name in ["lower", "upper", "work", "merged"] {
                fs::create_dir(dir.join(name)).unwrap();
            }
            let (lower_a, _) = two_names(&dir.join("lower"));
            let unchanged = copy_up(&lower_a).unwrap();
            assert_eq!(unchanged.before, unchanged.after);
            let at = dir.display();
            let options =
                format!("lowerdir={at}/lower,upperdir={at}/upper,workdir={at}/work,index=off");
            let options = std::ffi::CString::new(options).unwrap();
            let merged = dir.join("merged");
            let flags = MountFlags::empty();
            mount("testing", &merged, "overlay", flags, options.as_c_str()).unwrap();
            let change = copy_up(&merged.join("a")).unwrap();
            assert_eq!((change.before.links, change.after.links), (2, 1));
            assert_ne!(change.before.inode, change.after.inode);
            assert_eq!(LinkState::of(&merged.join("b")).unwrap(), change.before);
            let again = copy_up(&merged.join("a")).unwrap();
            assert_eq!(again.before, again.after);
        });
    }
}
