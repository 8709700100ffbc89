//! Snapshots of a btrfs subvolume: taken, and dropped again, in a directory of the subvolume itself.
//!
//! A snapshot is of one moment, and so is its appearance: the kernel makes it in one transaction
//! (Documentation/filesystems/btrfs, `BTRFS_IOC_SNAP_CREATE_V2`). It is read-only. Whether what is
//! in it is of one moment to whoever wrote it is not for us to say.
#![expect(unsafe_code, reason = "the ioctls of btrfs have no wrapper in rustix or nix")]

use std::os::fd::AsRawFd as _;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, fstat, open, openat};
use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, Setter, ioctl, opcode};

use super::error::{Context, HostError, HostResult};

/// linux/btrfs.h: `struct btrfs_ioctl_vol_args_v2`.
#[repr(C)]
struct NewArguments {
    source: i64,
    transaction: u64,
    flags: u64,
    unused: [u64; 4],
    name: [u8; 4040],
}

/// linux/btrfs.h: `struct btrfs_ioctl_vol_args`.
#[repr(C)]
struct OldArguments {
    source: i64,
    name: [u8; 4088],
}

/// linux/btrfs.h: `struct btrfs_ioctl_get_subvol_info_args`, what lies before and after the ids
/// left whole.
#[repr(C)]
struct Info {
    head: [u64; 37],
    id: [u8; 16],
    parent: [u8; 16],
    rest: [u64; 22],
}

const MAGIC: u8 = 0x94;
const CREATE: Opcode = opcode::write::<NewArguments>(MAGIC, 23);
const DESTROY: Opcode = opcode::write::<OldArguments>(MAGIC, 15);
const INFO: Opcode = opcode::read::<Info>(MAGIC, 60);

/// `BTRFS_SUBVOL_RDONLY`.
const READ_ONLY: u64 = 2;
/// Inode number of every subvolume's root (`BTRFS_FIRST_FREE_OBJECTID`).
const ROOT: u64 = 256;
/// Of a component of a path.
const LONGEST: usize = 255;

/// The ids of a subvolume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Subvolume {
    id: [u8; 16],
    /// That of which it is a snapshot; zeros for none.
    parent: [u8; 16],
}

/// Takes a read-only snapshot of the subvolume whose root is `dir`, as `name` in it.
///
/// # Errors
/// `EEXIST` when the name is taken, `ENOTTY` where it is no btrfs, `EINVAL` where `dir` is no
/// subvolume's root.
pub fn take(dir: &Path, name: &str) -> HostResult<()> {
    let fd = open_dir(dir)?;
    let mut arguments = NewArguments {
        source: i64::from(fd.as_raw_fd()),
        transaction: 0,
        flags: READ_ONLY,
        unused: [0; 4],
        name: [0; 4040],
    };
    copy_name(name, &mut arguments.name)?;
    // SAFETY: the call reads one such struct through the pointer it is given.
    unsafe { ioctl(&fd, Setter::<CREATE, NewArguments>::new(arguments)) }
        .op("btrfs snapshot", dir.join(name))
}

/// Discards the snapshot of the subvolume at `dir` that is `name` in it. What is no snapshot of this
/// very subvolume is left alone: false. So is a name that is not taken.
///
/// # Errors
/// The failed call.
pub fn discard(dir: &Path, name: &str) -> HostResult<bool> {
    let fd = open_dir(dir)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = match openat(&fd, name, flags, Mode::empty()) {
        Ok(found) => found,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
        Err(errno) => return Err(HostError::sys("open", dir.join(name), errno)),
    };
    let root = fstat(&found).op("stat", dir.join(name))?.st_ino == ROOT;
    if !root || Subvolume::of(&found, dir)?.parent != Subvolume::of(&fd, dir)?.id {
        return Ok(false);
    }
    let mut arguments = OldArguments { source: 0, name: [0; 4088] };
    copy_name(name, &mut arguments.name)?;
    // SAFETY: the call reads one such struct through the pointer it is given.
    unsafe { ioctl(&fd, Setter::<DESTROY, OldArguments>::new(arguments)) }
        .op("btrfs destroy", dir.join(name))?;
    Ok(true)
}

impl Subvolume {
    /// The one that holds an open directory.
    fn of(fd: &OwnedFd, path: &Path) -> HostResult<Self> {
        // SAFETY: the call fills one such struct.
        let info = unsafe { ioctl(fd, Getter::<INFO, Info>::new()) }.op("btrfs subvolume", path)?;
        Ok(Self { id: info.id, parent: info.parent })
    }
}

/// Into a field that ends with a zero, one component of a path.
fn copy_name(name: &str, into: &mut [u8]) -> HostResult<()> {
    let good = (1..=LONGEST).contains(&name.len()) && !name.contains(['/', '\0']);
    if !good || [".", ".."].contains(&name) {
        return Err(HostError::malformed("name of a snapshot", format!("`{name}`")));
    }
    into[..name.len()].copy_from_slice(name.as_bytes());
    Ok(())
}

fn open_dir(dir: &Path) -> HostResult<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(dir, flags, Mode::empty()).op("open", dir)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::host::testing::{LoopFs, in_private_mounts};

    const NAME: &str = ".before";

    #[test]
    fn a_snapshot_stays_as_it_was_and_only_it_is_discarded() {
        in_private_mounts(|| {
            let btrfs = LoopFs::new("btrfs", 128 << 20, &[], "");
            let dir = btrfs.dir.as_path();
            fs::write(dir.join("f"), "old").unwrap();
            assert_eq!(discard(dir, NAME), Ok(false), "there is none");
            take(dir, NAME).unwrap();
            assert!(take(dir, NAME).unwrap_err().is(libc::EEXIST));
            fs::write(dir.join("f"), "new").unwrap();
            let then = dir.join(NAME).join("f");
            assert_eq!(fs::read(&then).unwrap(), b"old");
            assert_eq!(fs::write(&then, "x").unwrap_err().raw_os_error(), Some(libc::EROFS));
            assert_eq!((discard(dir, NAME), discard(dir, NAME)), (Ok(true), Ok(false)));
            assert!(!dir.join(NAME).exists());
            fs::create_dir(dir.join(NAME)).unwrap();
            assert_eq!(discard(dir, NAME), Ok(false), "somebody else's directory");
            take(dir, "other").unwrap();
            take(&dir.join("other"), "x").unwrap_err();
            fs::remove_dir(dir.join(NAME)).unwrap();
            fs::write(dir.join(NAME), "").unwrap();
            assert_eq!(discard(dir, NAME), Ok(false), "somebody else's file");
        });
    }

    #[test]
    fn elsewhere_there_are_none() {
        in_private_mounts(|| {
            assert!(take(Path::new("/mnt"), NAME).unwrap_err().is(libc::ENOTTY));
            assert!(
                take(Path::new("/mnt"), "a/b").is_err() && take(Path::new("/mnt"), "..").is_err()
            );
        });
    }
}
