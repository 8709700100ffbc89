//! Freezes and thaws a whole file system: `FIFREEZE` and `FITHAW`.
//!
//! The blast radius is the superblock: every writer on it blocks in D state until the thaw, through
//! whatever mount. Whoever freezes must have made sure that it holds nothing of the host's, and
//! that somebody else thaws in time. Measured (kernel 6.18): a second freeze is `EBUSY`, a thaw of
//! what is not frozen is `EINVAL`; tmpfs cannot be frozen (`EOPNOTSUPP`).
#![expect(unsafe_code, reason = "FIFREEZE and FITHAW have no wrapper in rustix or nix")]

use std::path::Path;
use std::time::Instant;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open, openat};
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};

use super::error::{Context, HostError, HostResult};

// linux/fs.h
const FIFREEZE: Opcode = opcode::read_write::<i32>(b'X', 119);
const FITHAW: Opcode = opcode::read_write::<i32>(b'X', 120);

/// Freezes the file system that holds `dir`.
///
/// # Errors
/// `EBUSY` when it is frozen already, `EOPNOTSUPP` where the file system cannot.
pub fn freeze(dir: &Path) -> HostResult<()> {
    call::<FIFREEZE>(dir).op("FIFREEZE", dir)
}

/// Likewise, but thaws it at once where that came too late: a freeze waits for the writes under way,
/// and whoever has given it up meanwhile has found nothing to thaw.
///
/// # Errors
/// As [`freeze`]; `ETIMEDOUT` when it came after the deadline.
pub fn freeze_by(dir: &Path, deadline: Instant) -> HostResult<()> {
    // one for both: the path may lead elsewhere after the wait
    let held = open(dir, DIRECTORY, Mode::empty()).op("open", dir)?;
    call_on::<FIFREEZE>(&held).op("FIFREEZE", dir)?;
    if Instant::now() < deadline {
        return Ok(());
    }
    call_on::<FITHAW>(&held).op("FITHAW", dir)?;
    Err(HostError::sys("FIFREEZE", dir, rustix::io::Errno::TIMEDOUT))
}

/// Thaws the file system that holds `dir`; `false` when it was not frozen.
///
/// # Errors
/// The failed call.
pub fn thaw(dir: &Path) -> HostResult<bool> {
    thawed(call::<FITHAW>(dir)).op("FITHAW", dir)
}

/// Thaws the file system on a block device that may be mounted nowhere any more; `false` when it
/// was not frozen.
///
/// A frozen superblock outlives its last mount. A mount of the same device, attached nowhere
/// (`fsmount`), leads to it again.
///
/// # Errors
/// The failed call.
pub fn thaw_device(node: &Path, fs_type: &str) -> HostResult<bool> {
    let context = fsopen(fs_type, FsOpenFlags::FSOPEN_CLOEXEC).op("fsopen", node)?;
    fsconfig_set_string(&context, "source", node).op("fsconfig", node)?;
    fsconfig_create(&context).op("fsconfig", node)?;
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    let mount = fsmount(&context, flags, MountAttrFlags::empty()).op("fsmount", node)?;
    let root = openat(&mount, ".", DIRECTORY, Mode::empty()).op("open", node)?;
    thawed(call_on::<FITHAW>(&root)).op("FITHAW", node)
}

fn thawed(result: Result<(), rustix::io::Errno>) -> Result<bool, rustix::io::Errno> {
    match result {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::INVAL) => Ok(false),
        Err(e) => Err(e),
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn call<const OPCODE: Opcode>(dir: &Path) -> Result<(), rustix::io::Errno> {
    call_on::<OPCODE>(&open(dir, DIRECTORY, Mode::empty())?)
}

fn call_on<const OPCODE: Opcode>(fd: &OwnedFd) -> Result<(), rustix::io::Errno> {
    let mut ignored = 0_i32;
    // SAFETY: both take a pointer to an int, which the kernel ignores.
    unsafe { ioctl(fd, Updater::<OPCODE, i32>::new(&mut ignored)) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::host::testing::{LoopFs, in_private_mounts, own_tmpfs};

    #[test]
    fn a_writer_waits_for_the_thaw() {
        in_private_mounts(|| {
            let fs = LoopFs::new("ext4", 16 << 20, &[], "");
            freeze(&fs.dir).unwrap();
            assert!(freeze(&fs.dir).unwrap_err().is(libc::EBUSY));
            let (started, done) = (AtomicBool::new(false), AtomicBool::new(false));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    started.store(true, Ordering::SeqCst);
                    std::fs::write(fs.dir.join("f"), "x").unwrap();
                    done.store(true, Ordering::SeqCst);
                });
                while !started.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                std::thread::sleep(Duration::from_millis(100));
                let early = done.load(Ordering::SeqCst);
                assert_eq!(thaw(&fs.dir), Ok(true));
                assert!(!early, "the write went through a frozen file system");
            });
            assert!(done.load(Ordering::SeqCst));
            assert_eq!(thaw(&fs.dir), Ok(false));
        });
    }

    #[test]
    fn a_freeze_that_came_too_late_is_thawed_at_once() {
        in_private_mounts(|| {
            let fs = LoopFs::new("ext4", 16 << 20, &[], "");
            let late = freeze_by(&fs.dir, Instant::now()).unwrap_err();
            assert!(late.is(libc::ETIMEDOUT), "{late}");
            assert_eq!(thaw(&fs.dir), Ok(false));
            freeze_by(&fs.dir, Instant::now() + Duration::from_secs(60)).unwrap();
            assert_eq!(thaw(&fs.dir), Ok(true));
        });
    }

    #[test]
    fn what_is_mounted_nowhere_any_more_is_thawed_through_its_device() {
        in_private_mounts(|| {
            let fs = LoopFs::new("ext4", 16 << 20, &[], "");
            freeze(&fs.dir).unwrap();
            let node = fs.node();
            fs.unmount();
            assert_eq!(thaw_device(&node, "ext4"), Ok(true));
            assert_eq!(thaw_device(&node, "ext4"), Ok(false));
        });
    }

    #[test]
    fn tmpfs_cannot_be_frozen() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=64k");
            assert!(freeze(&dir).unwrap_err().is(libc::EOPNOTSUPP));
        });
    }
}
