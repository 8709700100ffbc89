//! Which file a name leads to, by numbers that outlive a mount.
//!
//! btrfs makes `st_dev` up each time it is mounted, so that a volume whose container was made anew
//! would pass for another one, and what was put there could not be taken away again. There it is
//! the file system's own id that counts, which statfs(2) gives for each subvolume. A filesystem of
//! ours lies over another for a while: there it is the file beneath that counts, which it tells.
//! Where `st_dev` is made up and no id lies on a disk (overlay, NFS), the number of another mount says
//! nothing, and none does on another boot: there a file is known by its name and its inode. What was
//! in memory has gone with its mount.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, fgetxattr, fstatfs, fstatvfs, lgetxattr, major, open};

/// The attribute by which a filesystem of ours tells which file lies beneath. Nobody without
/// `CAP_SYS_ADMIN` may ask for it (xattr(7)).
pub const BENEATH: &str = "trusted.keelhaul.beneath";

/// `BTRFS_SUPER_MAGIC` (linux/magic.h).
const BTRFS: u64 = 0x9123_683e;
/// `FUSE_SUPER_MAGIC`.
const FUSE: u64 = 0x6573_5546;
/// `TMPFS_MAGIC`.
const TMPFS: u64 = 0x0102_1994;
/// `RAMFS_MAGIC`.
const RAMFS: u64 = 0x8584_58f6;

/// A file: its file system, and its inode number there.
pub type FileNumbers = (u64, u64);

/// The device of a name whose `st_dev` is given; a symbolic link is not followed.
#[must_use]
pub fn of(path: &Path, st_dev: u64) -> u64 {
    numbers(path, (st_dev, 0)).0
}

/// The numbers of a name whose `st_dev` and `st_ino` are given; a symbolic link is not followed.
#[must_use]
pub fn numbers(path: &Path, stat: FileNumbers) -> FileNumbers {
    if major(stat.0) != 0 {
        return stat;
    }
    let name = open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    let own = name
        .ok()
        .and_then(|name| own_numbers(&name, stat, |value| lgetxattr(path, BENEATH, value).ok()));
    own.unwrap_or(stat)
}

/// Likewise of an open file.
#[must_use]
pub fn numbers_of(file: &(impl AsFd + ?Sized), stat: FileNumbers) -> FileNumbers {
    if major(stat.0) != 0 {
        return stat;
    }
    let file = file.as_fd();
    own_numbers(&file, stat, |value| fgetxattr(file, BENEATH, value).ok()).unwrap_or(stat)
}

/// Whether an open file is the one that had this inode on a file system which may have been mounted anew
/// since, and may have another number now: made up at each mount, as that of a container's layer and of
/// a share, or of another boot, where nobody knows which one it had (`None`).
#[must_use]
pub fn same_when_mounted_anew(file: &File, now: FileNumbers, then: (Option<u64>, u64)) -> bool {
    let number = then.0.is_none_or(|then| major(now.0) == 0 && major(then) == 0);
    number && now.1 == then.1 && magic(file).is_some_and(|magic| ![TMPFS, RAMFS].contains(&magic))
}

/// The numbers in words, as they are told.
#[must_use]
pub fn told(numbers: FileNumbers) -> String {
    format!("{} {}", numbers.0, numbers.1)
}

fn own_numbers(
    file: &impl AsFd,
    stat: FileNumbers,
    beneath: impl FnOnce(&mut [u8]) -> Option<usize>,
) -> Option<FileNumbers> {
    match magic(file)? {
        BTRFS => {
            let id = fstatvfs(file).ok()?.f_fsid;
            (id != 0).then_some((id, stat.1))
        }
        FUSE => {
            let mut value = [0; 64];
            let length = beneath(&mut value)?;
            let (dev, inode) = std::str::from_utf8(value.get(..length)?).ok()?.split_once(' ')?;
            Some((dev.parse().ok()?, inode.parse().ok()?))
        }
        _ => None,
    }
}

fn magic(file: &impl AsFd) -> Option<u64> {
    u64::try_from(fstatfs(file).ok()?.f_type).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use rustix::mount::{MountFlags, mount};

    use crate::host::testing::{LoopFs, in_private_mounts, own_tmpfs};

    #[test]
    fn a_btrfs_keeps_its_device_over_a_mount_and_its_subvolumes_theirs() {
        in_private_mounts(|| {
            let fs = LoopFs::new("btrfs", 128 << 20, &[], "");
            let device = |path: &Path| of(path, fs::symlink_metadata(path).unwrap().dev());
            let top = device(&fs.dir);
            crate::host::snapshot::take(&fs.dir, ".s").unwrap();
            assert_ne!(device(&fs.dir.join(".s")), top);
            let node = fs.node();
            fs.unmount();
            // takes the number that has become free
            own_tmpfs("size=1m");
            mount(&node, &fs.dir, "btrfs", MountFlags::empty(), None).unwrap();
            assert_eq!(device(&fs.dir), top);
            let file = File::open(&fs.dir).unwrap();
            assert_eq!(numbers_of(&file, (file.metadata().unwrap().dev(), 7)), (top, 7));
        });
    }

    #[test]
    fn a_file_is_known_by_its_inode_where_a_number_proves_nothing() {
        let file = File::open("/").unwrap();
        let same = |now, then| same_when_mounted_anew(&file, (now, 7), (then, 7));
        let disk = rustix::fs::makedev(8, 1);
        assert!(same(50, Some(61)) && same(disk, None), "mounted anew, and of another boot");
        assert!(!same(disk, Some(61)) && !same(50, Some(disk)) && !same(disk, Some(disk + 1)));
        assert!(!same_when_mounted_anew(&file, (50, 8), (None, 7)), "another file");
        in_private_mounts(|| {
            let memory = File::open(own_tmpfs("size=64k")).unwrap();
            assert!(!same_when_mounted_anew(&memory, (50, 7), (None, 7)), "it has gone");
        });
    }

    #[test]
    fn others_are_named_by_st_dev() {
        let dir = tempfile::tempdir().unwrap();
        let st_dev = fs::metadata(dir.path()).unwrap().dev();
        assert_eq!(of(dir.path(), st_dev), st_dev);
        assert_eq!(of(Path::new("/proc"), 5), 5);
    }
}
