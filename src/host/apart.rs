//! A filesystem mounted where nobody else sees it: in a namespace that ends with the mount.
//!
//! For what is to be done on a device that nobody has mounted just now. Whoever enters the
//! namespace of the thread that keeps it ([`super::namespace::in_mount_ns`]) finds the filesystem
//! there. Who mounts the device meanwhile gets the same superblock.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Builder, JoinHandle};

use rustix::fd::OwnedFd;
use rustix::thread::gettid;

use super::error::{Context, HostError, HostResult};
use super::fuse::{attach, detach, mount_device};
use super::namespace::in_own_copy;
use super::process::Identity;

/// Such a mount. It is unmounted when this is dropped.
#[derive(Debug)]
pub struct Apart {
    /// Who sees it.
    pub target: Identity,
    until: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Apart {
    /// Mounts what is on a device over a directory. The options are those of whoever else mounts it: who
    /// comes meanwhile gets the superblock as it is, and what asks for another one is refused.
    ///
    /// # Errors
    /// The failed call.
    pub fn mount(node: &Path, at: &Path, fs_type: &str, options: &[String]) -> HostResult<Self> {
        let (until, over) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let (node, place) = (node.to_owned(), at.to_owned());
        let (fs_type, options) = (fs_type.to_owned(), options.to_vec());
        let stay = move || {
            let mount = || mount_device(&fs_type, &node, &options);
            if let Err(error) = keep(mount, place, tell.clone(), over) {
                let _ = tell.send(Err(error));
            }
        };
        let thread = Builder::new().name("apart".to_owned()).spawn(stay).op("clone", "thread")?;
        let target = told.recv().map_err(|_| HostError::Panicked("it kept no mount".to_owned()))?;
        Ok(Self { target: target?, until: Some(until), thread: Some(thread) })
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // its end is what the thread waits for
        self.until = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn keep(
    mount: impl FnOnce() -> HostResult<OwnedFd> + Send,
    at: PathBuf,
    tell: Sender<HostResult<Identity>>,
    over: Receiver<()>,
) -> HostResult<()> {
    in_own_copy(move || {
        attach(&mount()?, &at)?;
        let own = Identity::of(gettid().as_raw_nonzero().get().unsigned_abs())?;
        let _ = tell.send(Ok(own));
        let _ = over.recv();
        detach(&at)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use rustix::mount::{MountFlags, mount};

    use super::*;
    use crate::host::loop_device::claim;
    use crate::host::namespace::in_mount_ns;
    use crate::host::testing::{LoopFs, in_private_mounts};

    #[test]
    fn it_is_seen_by_who_enters_and_gone_when_it_is_dropped() {
        for fs_type in ["ext4", "xfs", "btrfs"] {
            in_private_mounts(|| {
                let fs = LoopFs::new(fs_type, 320 << 20, &[], "");
                fs::write(fs.dir.join("f"), "x").unwrap();
                let (node, dir) = (fs.node(), fs.dir.clone());
                fs.unmount();
                let apart = Apart::mount(&node, &dir, fs_type, &[]).unwrap();
                let file = dir.join("f");
                in_mount_ns(apart.target, || fs::remove_file(&file)).unwrap().unwrap();
                assert!(!fs::exists(&file).unwrap(), "nobody else sees it");
                assert!(claim(&node).unwrap().is_none(), "it is in use");
                drop(apart);
                let end = Instant::now() + Duration::from_secs(30);
                while claim(&node).unwrap().is_none() {
                    assert!(Instant::now() < end, "it is still in use");
                    std::thread::sleep(Duration::from_millis(10));
                }
                mount(&node, &dir, fs_type, MountFlags::empty(), None).unwrap();
                assert!(!fs::exists(&file).unwrap(), "what was done there stays");
            });
        }
    }

    #[test]
    fn what_holds_no_filesystem_is_refused() {
        in_private_mounts(|| {
            let dir = crate::host::testing::own_tmpfs("size=64k");
            let error = Apart::mount(Path::new("/dev/null"), &dir, "ext4", &[]).unwrap_err();
            assert!(error.errno().is_some(), "{error}");
        });
    }
}
