//! A real filesystem on a disk of ours that remembers everything, and the device on which its past is shown.

use std::{fs, os::fd::OwnedFd, path::PathBuf};

use keelhaul::interpose::control::{Answer, Ask};

pub(super) use crate::interpose::filesystem::{Filesystem, path_of};
use crate::interpose::{own_disk::Disk, pasts::claim};

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
