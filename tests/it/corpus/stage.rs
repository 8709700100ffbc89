//! A real filesystem on a disk of ours that remembers everything, and the device on which its past is shown.

use std::{
    fs::{self, File},
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use keelhaul::{
    host::{error::HostResult, fuse},
    interpose::control::{Answer, Ask},
};

use crate::interpose::{
    own_disk::{Disk, WITHIN},
    pasts::claim,
};

/// A filesystem that the subjects work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filesystem {
    Ext4,
    Xfs,
    Btrfs,
}

impl Filesystem {
    pub(super) fn name(self) -> &'static str {
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

    fn make(self, image: &Path) {
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
    pub(super) fn mount(self, node: &Path, access: &str) -> HostResult<OwnedFd> {
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
pub(super) fn path_of(mount: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}/.", mount.as_raw_fd()).into()
}

/// A filesystem that is mounted, and a disk that records.
pub(super) struct Stage {
    // let go of before the disk is
    mount: Option<OwnedFd>,
    pub(super) disk: Disk,
    pub(super) filesystem: Filesystem,
}

impl Stage {
    /// With a fresh filesystem.
    pub(super) fn fresh(filesystem: Filesystem) -> Self {
        Self::on(Disk::begin_with(|image| filesystem.make(image)), filesystem)
    }

    /// With what is on a disk already.
    pub(super) fn on(disk: Disk, filesystem: Filesystem) -> Self {
        assert_eq!(disk.ask(&Ask::Record { most: 64 << 20 }), Answer::Done);
        let mount = filesystem.mount(&disk.node, "rw").unwrap();
        Self { mount: Some(mount), disk, filesystem }
    }

    pub(super) fn at(&self) -> PathBuf {
        path_of(self.mount.as_ref().unwrap())
    }

    /// Lets go of the filesystem: from then on nothing happens to the disk any more.
    pub(super) fn unmount(&mut self) {
        self.mount = None;
        drop(claim(&self.disk.node));
    }

    /// A file of this test's.
    pub(super) fn written(&self, name: &str, ask: impl FnOnce(PathBuf) -> Ask) -> Vec<u8> {
        let to = self.disk.path(name);
        let answer = self.disk.ask(&ask(to.clone()));
        assert!(matches!(answer, Answer::Kept(_)), "{answer:?}");
        fs::read(to).unwrap()
    }
}
