//! The filesystems that are on disks of ours in tests: how each is made, and mounted.

use std::{
    fs::File,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use keelhaul::host::{error::HostResult, fuse};

use super::own_disk::WITHIN;

/// A filesystem of the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filesystem {
    Ext4,
    Xfs,
    Btrfs,
}

impl Filesystem {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// The smallest that its own tool makes, but for ext4, and how it is told to: in sectors of the disk.
    fn mkfs(self) -> (u64, &'static [&'static str]) {
        match self {
            Self::Ext4 => (32 << 20, &["mkfs.ext4", "-q", "-F", "-b", "4096"]),
            Self::Xfs => (300 << 20, &["mkfs.xfs", "-q", "-f", "-s", "size=4096"]),
            Self::Btrfs => (128 << 20, &["mkfs.btrfs", "-q", "-f"]),
        }
    }

    pub(crate) fn make(self, image: &Path) {
        let (size, tool) = self.mkfs();
        File::create(image).unwrap().set_len(size).unwrap();
        let output = Command::new(tool[0]).args(&tool[1..]).arg(image).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// As `explore` mounts a state.
    fn options(self, access: &str) -> Vec<String> {
        let own = match self {
            Self::Ext4 => Some("errors=remount-ro"),
            Self::Xfs => Some("nouuid"),
            Self::Btrfs => None,
        };
        [access].into_iter().chain(own).map(str::to_owned).collect()
    }

    /// Mounts it; a device that somebody else has open, such as one who looks for filesystems, is waited
    /// for.
    pub(crate) fn mount(self, node: &Path, access: &str) -> HostResult<OwnedFd> {
        let until = Instant::now() + WITHIN;
        loop {
            match fuse::mount_device(self.name(), node, &self.options(access)) {
                Err(error) if error.is(libc::EBUSY) && Instant::now() < until => {
                    thread::sleep(Duration::from_millis(5));
                }
                mounted => return mounted,
            }
        }
    }
}

/// Where a mount that is in nobody's tree can be reached.
pub(crate) fn path_of(mount: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}/.", mount.as_raw_fd()).into()
}
