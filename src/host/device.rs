//! Which file system a file is on, by a number that outlives a mount.
//!
//! btrfs makes `st_dev` up each time it is mounted, so that a volume whose container was made anew
//! would pass for another one, and what was put there could not be taken away again. There it is
//! the file system's own id that counts, which statfs(2) gives for each subvolume. Where `st_dev`
//! is made up and no id lies on a disk (overlay, tmpfs), another mount is another file system.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, fstatfs, fstatvfs, major, open};

/// `BTRFS_SUPER_MAGIC` (linux/magic.h).
const BTRFS: u64 = 0x9123_683e;

/// The device of a name whose `st_dev` is given; a symbolic link is not followed.
#[must_use]
pub fn of(path: &Path, st_dev: u64) -> u64 {
    if major(st_dev) != 0 {
        return st_dev;
    }
    let name = open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    name.ok().and_then(|name| own_id(&name)).unwrap_or(st_dev)
}

/// Likewise of an open file.
#[must_use]
pub fn of_file(file: &File, st_dev: u64) -> u64 {
    if major(st_dev) != 0 {
        return st_dev;
    }
    own_id(file).unwrap_or(st_dev)
}

fn own_id(file: &impl AsFd) -> Option<u64> {
    let magic = fstatfs(file).ok()?.f_type;
    let id = fstatvfs(file).ok()?.f_fsid;
    (u64::try_from(magic).ok()? == BTRFS && id != 0).then_some(id)
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
            assert_eq!(of_file(&file, file.metadata().unwrap().dev()), top);
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
