//! Stacks a clone of a mount on top of itself, with some of its flags changed.
//!
//! The clone is made, changed while nobody sees it, and moved on top. The mount below is never
//! changed: an undo takes the top off (see `unstack`) and needs to know no old flags.
//!
//! Measured (kernel 6.18): the stacking takes about 60 µs and never answers `EBUSY`, whereas
//! making a mount read-only in place is `EBUSY` while one writable descriptor is open. Descriptors
//! opened before keep their old mount: they can still write; see `open_files`. A clone without
//! changed flags gives `EXDEV` to link(2) and rename(2) between a path opened before and one
//! resolved after, and between a clone of a subdirectory and its surroundings. The mount
//! must not hide submounts the target needs: a clone that is not recursive does not show them.
#![expect(unsafe_code, reason = "mount_setattr has no wrapper in rustix, nix or libc")]

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, open, statx};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use serde::{Deserialize, Serialize};

use super::errno::Errno;
use super::error::{Context, HostError, HostResult};
use crate::protocol::MountFlag;

/// Flags to change on the clone; `None` leaves a flag as the original has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountChange {
    /// No writes through this mount (`EROFS`).
    pub read_only: Option<bool>,
    /// No program may be executed (`EACCES`).
    pub no_exec: Option<bool>,
    /// Set-user-id bits and file capabilities are ignored.
    pub no_suid: Option<bool>,
    /// Device nodes cannot be opened (`EACCES`).
    pub no_dev: Option<bool>,
    /// Access times: `true` is noatime, `false` is relatime.
    pub no_atime: Option<bool>,
    /// No access times of directories.
    pub no_dir_atime: Option<bool>,
    /// Clone the mounts below too, and change them as well.
    pub recursive: bool,
}

impl MountChange {
    /// What is to become of each flag; none leaves it as it is.
    #[must_use]
    pub fn of(becomes: impl Fn(MountFlag) -> Option<bool>) -> Self {
        Self {
            read_only: becomes(MountFlag::ReadOnly),
            no_exec: becomes(MountFlag::NoExec),
            no_suid: becomes(MountFlag::NoSuid),
            no_dev: becomes(MountFlag::NoDev),
            no_atime: becomes(MountFlag::NoAtime),
            no_dir_atime: becomes(MountFlag::NoDirAtime),
            recursive: false,
        }
    }
}

// values of linux/mount.h
const MOUNT_ATTR_RDONLY: u64 = 0x01;
const MOUNT_ATTR_NOSUID: u64 = 0x02;
const MOUNT_ATTR_NODEV: u64 = 0x04;
const MOUNT_ATTR_NOEXEC: u64 = 0x08;
const MOUNT_ATTR_ATIME: u64 = 0x70;
const MOUNT_ATTR_NOATIME: u64 = 0x10;
/// No part of `MOUNT_ATTR_ATIME`.
const MOUNT_ATTR_NODIRATIME: u64 = 0x80;

/// `struct mount_attr` of linux/mount.h, version 0.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

impl MountChange {
    fn attr(self) -> MountAttr {
        // private: what happens on the clone stays in this namespace
        let mut attr = MountAttr { propagation: libc::MS_PRIVATE, ..MountAttr::default() };
        for (wanted, bit) in [
            (self.read_only, MOUNT_ATTR_RDONLY),
            (self.no_suid, MOUNT_ATTR_NOSUID),
            (self.no_dev, MOUNT_ATTR_NODEV),
            (self.no_exec, MOUNT_ATTR_NOEXEC),
            (self.no_dir_atime, MOUNT_ATTR_NODIRATIME),
        ] {
            match wanted {
                Some(true) => attr.set |= bit,
                Some(false) => attr.clear |= bit,
                None => {}
            }
        }
        if let Some(no_atime) = self.no_atime {
            // access times are one field of the mask: it is cleared as a whole, relatime is 0
            attr.clear |= MOUNT_ATTR_ATIME;
            attr.set |= if no_atime { MOUNT_ATTR_NOATIME } else { 0 };
        }
        attr
    }
}

/// Clones what `path` (a directory or a file; symbolic links are followed) shows, changes the
/// clone and stacks it on the same path. Returns the new mount's id.
///
/// When the mount at `path` is shared (`MountEntry::is_shared`), the kernel also stacks the clone
/// in every peer: callers refuse that or widen their blast radius.
///
/// # Errors
/// The failed call; `path` is unchanged then. `ENOSYS` below Linux 5.12.
pub fn stack_clone(path: &Path, change: MountChange) -> HostResult<u64> {
    let place = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).op("open", path)?;
    let clone = clone_of(&place, change, path)?;
    attach_on(&clone, &place, path)?;
    mount_id_of(clone.as_fd(), path)
}

pub(super) fn clone_of(place: &OwnedFd, change: MountChange, path: &Path) -> HostResult<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if change.recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let clone = open_tree(place, "", flags).op("open_tree", path)?;
    mount_setattr(clone.as_fd(), change.attr(), change.recursive).op("mount_setattr", path)?;
    Ok(clone)
}

pub(super) fn attach_on(clone: &OwnedFd, place: &OwnedFd, path: &Path) -> HostResult<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(clone, "", place, "", flags).op("move_mount", path)
}

/// The id of the mount a path resolves to, as in mountinfo.
///
/// # Errors
/// `ENOSYS` below Linux 5.8, or the failed call.
pub fn mount_id(path: &Path) -> HostResult<u64> {
    let stat = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).op("statx", path)?;
    checked_mount_id(stat.stx_mask, stat.stx_mnt_id, path)
}

fn mount_id_of(fd: BorrowedFd<'_>, path: &Path) -> HostResult<u64> {
    let stat = statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).op("statx", path)?;
    checked_mount_id(stat.stx_mask, stat.stx_mnt_id, path)
}

fn checked_mount_id(mask: u32, id: u64, path: &Path) -> HostResult<u64> {
    if StatxFlags::from_bits_retain(mask).contains(StatxFlags::MNT_ID) {
        Ok(id)
    } else {
        Err(HostError::sys("statx", path, Errno(libc::ENOSYS)))
    }
}

fn mount_setattr(fd: BorrowedFd<'_>, attr: MountAttr, recursive: bool) -> Result<(), Errno> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the descriptor is open, the path is a NUL-terminated literal, and `attr` has the
    // layout and the size that are passed; the kernel only reads both.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().into()) }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;

    use super::*;
    use crate::host::mountinfo::Reader;
    use crate::host::testing::{in_private_mounts, own_tmpfs};

    const READ_ONLY: MountChange = MountChange {
        read_only: Some(true),
        no_exec: Some(true),
        no_suid: None,
        no_dev: None,
        no_atime: Some(true),
        no_dir_atime: Some(true),
        recursive: false,
    };

    #[test]
    fn a_read_only_clone_stops_new_writers_and_not_old_ones() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=1m");
            let mut open = File::create(dir.join("open")).unwrap();
            let below = mount_id(&dir).unwrap();
            let top = stack_clone(&dir, READ_ONLY).unwrap();
            let table = Reader::open_own().unwrap().read().unwrap();
            let stack = table.at(&dir);
            assert_eq!(stack.iter().map(|m| m.id).collect::<Vec<_>>(), [below, top]);
            assert_eq!(mount_id(&dir).unwrap(), top);
            for flag in ["ro", "noexec", "noatime", "nodiratime"] {
                assert!(stack[1].has_option(flag) && !stack[0].has_option(flag), "{flag}");
            }
            let refused = File::create(dir.join("new")).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EROFS));
            open.write_all(b"still").unwrap();
            assert_eq!(fs::read(dir.join("open")).unwrap(), b"still");
        });
    }

    #[test]
    fn the_mount_itself_is_busy_while_somebody_writes_and_a_clone_is_not() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=1m");
            let open = File::create(dir.join("open")).unwrap();
            let place = rustix::fs::open(&dir, OFlags::PATH, Mode::empty()).unwrap();
            let direct = || mount_setattr(place.as_fd(), READ_ONLY.attr(), false);
            assert_eq!(direct(), Err(Errno(libc::EBUSY)));
            stack_clone(&dir, READ_ONLY).unwrap();
            let refused = File::create(dir.join("new")).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EROFS));
            drop(open);
            assert_eq!(direct(), Ok(()));
        });
    }

    #[test]
    fn a_plain_clone_of_a_subdirectory_gives_exdev() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=1m");
            fs::create_dir(dir.join("sub")).unwrap();
            File::create(dir.join("sub/a")).unwrap();
            fs::hard_link(dir.join("sub/a"), dir.join("b")).unwrap();
            stack_clone(&dir.join("sub"), MountChange::default()).unwrap();
            let refused = fs::hard_link(dir.join("sub/a"), dir.join("c")).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EXDEV));
        });
    }

    #[test]
    fn a_file_can_be_covered_and_a_missing_path_is_an_error() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=1m");
            fs::write(dir.join("f"), "x").unwrap();
            stack_clone(&dir.join("f"), READ_ONLY).unwrap();
            let refused = fs::write(dir.join("f"), "y").unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EROFS));
            assert!(stack_clone(&dir.join("none"), READ_ONLY).unwrap_err().is(libc::ENOENT));
        });
    }
}
