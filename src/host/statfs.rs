//! How full a file system is, and what kind it is.
//!
//! One statfs(2) and one stat(2); it must not interpret (what counts as full is up to the caller).

use std::path::Path;

use rustix::fs::{StatVfsMountFlags, major, minor, stat, statfs, statvfs};
use serde::{Deserialize, Serialize};

use super::device;
use super::error::{Context, HostResult};

/// The state of the file system that a path resolves to. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsUsage {
    /// The type's name, such as `ext4`, `xfs`, `tmpfs`; a hexadecimal magic if it is not known.
    /// ext2 and ext3 count as `ext4`: they share a magic.
    pub fs_type: String,
    /// Which one it is (major, minor), see [`device`]; on btrfs and overlay it differs from the
    /// number in mountinfo.
    pub dev: (u32, u32),
    /// Whether the mount or the superblock is read-only.
    pub read_only: bool,
    /// The unit of allocation.
    pub block_size: u64,
    /// All of it. `0` on a tmpfs without a limit.
    pub bytes_total: u64,
    /// Free, including what is reserved for root.
    pub bytes_free: u64,
    /// Free for everyone (what `df` calls available).
    pub bytes_available: u64,
    /// All inodes. `0` where there is no limit (btrfs, a tmpfs without one).
    pub inodes_total: u64,
    /// Free inodes; on xfs this moves with the free space.
    pub inodes_free: u64,
}

impl FsUsage {
    /// What the path's file system says now.
    ///
    /// # Errors
    /// The failed call.
    pub fn of(path: &Path) -> HostResult<Self> {
        let numbers = statvfs(path).op("statfs", path)?;
        let magic = u64::try_from(statfs(path).op("statfs", path)?.f_type).unwrap_or_default();
        let dev = device::of(path, stat(path).op("stat", path)?.st_dev);
        let unit = numbers.f_frsize.max(1);
        Ok(Self {
            fs_type: type_name(magic),
            dev: (major(dev), minor(dev)),
            read_only: numbers.f_flag.contains(StatVfsMountFlags::RDONLY),
            block_size: unit,
            bytes_total: numbers.f_blocks * unit,
            bytes_free: numbers.f_bfree * unit,
            bytes_available: numbers.f_bavail * unit,
            inodes_total: numbers.f_files,
            inodes_free: numbers.f_ffree,
        })
    }

    /// Bytes in use.
    #[must_use]
    pub fn bytes_used(&self) -> u64 {
        self.bytes_total.saturating_sub(self.bytes_free)
    }

    /// Inodes in use.
    #[must_use]
    pub fn inodes_used(&self) -> u64 {
        self.inodes_total.saturating_sub(self.inodes_free)
    }

    /// Bytes counted as free that no one can write, not even root.
    ///
    /// ext4 keeps clusters back for its own metadata: min(2 %, 4096 clusters), as
    /// `ext4_calculate_resv_clusters` in fs/ext4/super.c computes it and as a full volume shows.
    /// btrfs counts as free what belongs to metadata, and twice what is kept twice.
    #[must_use]
    pub fn bytes_unusable(&self) -> u64 {
        match self.fs_type.as_str() {
            "ext4" => (self.bytes_total / self.block_size / 50).min(4096) * self.block_size,
            "btrfs" => self.bytes_free.saturating_sub(self.bytes_available),
            _ => 0,
        }
    }
}

/// Names for the magic numbers of linux/magic.h and statfs(2).
fn type_name(magic: u64) -> String {
    let name = match magic {
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x0102_1994 => "tmpfs",
        0x9123_683e => "btrfs",
        0x794c_7630 => "overlay",
        0x6573_5546 => "fuse",
        0x6969 => "nfs",
        0xff53_4d42 => "cifs",
        0xf2f5_2010 => "f2fs",
        0x2fc1_2fc1 => "zfs",
        0x7371_7368 => "squashfs",
        0x9fa0 => "proc",
        0x6265_6572 => "sysfs",
        0x8584_58f6 => "ramfs",
        0x0102_1997 => "v9fs",
        _ => return format!("{magic:#x}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::mount_clone::{MountChange, stack_clone};
    use crate::host::testing::{in_private_mounts, own_tmpfs};

    #[test]
    fn numbers_are_those_of_the_mount() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=64k,nr_inodes=10");
            std::fs::write(dir.join("f"), [1; 5000]).unwrap();
            let usage = FsUsage::of(&dir).unwrap();
            assert_eq!((usage.fs_type.as_str(), usage.read_only), ("tmpfs", false));
            assert_eq!((usage.bytes_total, usage.bytes_used()), (65536, 8192));
            assert_eq!((usage.inodes_total, usage.inodes_used()), (10, 2));
            let change = MountChange { read_only: Some(true), ..MountChange::default() };
            stack_clone(&dir, change).unwrap();
            assert!(FsUsage::of(&dir).unwrap().read_only);
        });
    }
}
