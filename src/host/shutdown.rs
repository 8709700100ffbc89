//! Breaks a file system for writers that are already open: the emergency stop, and ext4's own
//! reaction to an error.
//!
//! The blast radius is the superblock. Neither is undone in place: the file system heals only when
//! every mount of it, in every namespace, is gone and it is mounted anew (and ext4 then replays its
//! journal). Only for a file system that belongs to the run alone.
//!
//! Measured (kernel 6.18) with a file opened before: what write(2), fsync(2), read(2) on it, and
//! making a new file, answer afterwards. Cached pages make no difference.
//!
//! | act | write | fsync | read | create |
//! |---|---|---|---|---|
//! | [`shutdown`], any [`Flush`], ext4 and xfs | `EIO` | `EIO` | `EIO` | `EIO` |
//! | [`trigger_ext4_error`], `errors=remount-ro` | `EROFS` | `EROFS` | works | `EROFS` |
//!
//! After a triggered error neither the mount's flags nor statfs(2) say read-only (before Linux 6.14
//! they did): only `emergency_ro` among the superblock's options in mountinfo does, and a stopped
//! one shows `shutdown`; so verify by writing. Remounting read-write does not help. Unmounting everywhere and mounting again heals
//! both; what fsync(2) had acknowledged before is still there, also with [`Flush::Nothing`]. After
//! a triggered error the superblock stays marked as having errors until fsck, and mounts normally.
#![expect(unsafe_code, reason = "the shutdown ioctl has no wrapper in rustix or nix")]

use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, major, minor, open, openat, readlinkat, stat};
use rustix::ioctl::{Opcode, Setter, ioctl, opcode};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use serde::{Deserialize, Serialize};

use super::error::{Context, HostError, HostResult};
use super::namespace::in_new_net_ns;
use super::statfs::FsUsage;

/// `XFS_IOC_GOINGDOWN`, `EXT4_IOC_SHUTDOWN`, `F2FS_IOC_SHUTDOWN`: one number, `_IOR('X', 125, u32)`,
/// although the kernel reads the argument.
const SHUTDOWN: Opcode = opcode::read::<u32>(b'X', 125);

/// What is saved before the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flush {
    /// Everything: freeze, stop, thaw. Nothing that was written is lost.
    Data,
    /// The journal: metadata is whole, data still in memory is lost.
    Journal,
    /// Nothing, as in a power cut of the disk.
    Nothing,
}

/// Stops the file system that holds `dir`.
///
/// # Errors
/// `ENOTTY` where the file system knows no such call (tmpfs, overlay).
pub fn shutdown(dir: &Path, flush: Flush) -> HostResult<()> {
    let fd = open_dir(dir)?;
    // linux/ext4.h, xfs_fs.h: DEFAULT 0, LOGFLUSH 1, NOLOGFLUSH 2
    let flag: u32 = match flush {
        Flush::Data => 0,
        Flush::Journal => 1,
        Flush::Nothing => 2,
    };
    // SAFETY: the call reads one 32-bit flag through the pointer it is given.
    unsafe { ioctl(&fd, Setter::<SHUTDOWN, u32>::new(flag)) }.op("shutdown", dir)
}

/// Makes ext4 believe that it found an error; with `errors=remount-ro` it goes read-only.
///
/// The trigger is `/sys/fs/ext4/<device>/trigger_fs_error`. In a container `/sys` is read-only, and
/// so is any other mount of it there: they share a superblock, one for each network namespace. So
/// this goes through a sysfs of a network namespace made for the purpose, attached nowhere
/// (`fsmount`); both vanish afterwards. Needs `CAP_SYS_ADMIN` in the initial user namespace.
///
/// # Errors
/// [`HostError::NotOurs`] when it is no ext4; the failed call.
pub fn trigger_ext4_error(dir: &Path, message: &str) -> HostResult<()> {
    let usage = FsUsage::of(dir)?;
    if usage.fs_type != "ext4" {
        let detail = format!("expected ext4, found {}", usage.fs_type);
        return Err(HostError::NotOurs { path: dir.to_path_buf(), detail });
    }
    let dev = stat(dir).op("stat", dir)?.st_dev;
    in_new_net_ns(|| {
        let sysfs = own_sysfs()?;
        let link = format!("dev/block/{}:{}", major(dev), minor(dev));
        let target = readlinkat(&sysfs, &link, Vec::new()).op("readlink", &link)?;
        let target = target.to_string_lossy();
        // sysfs spells a `/` in a device's name as `!`, here and below fs/ext4
        let device = target.rsplit('/').next().unwrap_or_default();
        let file = format!("fs/ext4/{device}/trigger_fs_error");
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let fd = openat(&sysfs, &file, flags, Mode::empty()).op("open", &file)?;
        rustix::io::write(&fd, message.as_bytes()).op("write", &file)?;
        Ok(())
    })
}

/// A sysfs that only this descriptor leads to.
fn own_sysfs() -> HostResult<OwnedFd> {
    let context = fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC).op("fsopen", "sysfs")?;
    fsconfig_create(&context).op("fsconfig", "sysfs")?;
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    fsmount(&context, flags, MountAttrFlags::empty()).op("fsmount", "sysfs")
}

fn open_dir(dir: &Path) -> HostResult<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(dir, flags, Mode::empty()).op("open", dir)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;
    use std::os::unix::fs::FileExt as _;

    use rustix::mount::{MountFlags, mount_remount};

    use super::*;
    use crate::host::testing::{LoopFs, in_private_mounts, own_tmpfs};

    /// What write(2), fsync(2) and read(2) on a descriptor opened before say, and making a file.
    fn observe(fs: &LoopFs, break_it: impl FnOnce()) -> [Option<i32>; 4] {
        let path = fs.dir.join("f");
        let mut open = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        open.write_all(b"before").unwrap();
        open.sync_all().unwrap();
        break_it();
        let errno = |result: std::io::Result<()>| result.err().and_then(|e| e.raw_os_error());
        let write = errno(open.write_all_at(&[1; 4096], 8192));
        let sync = errno(open.sync_all());
        let read = errno(open.read_exact_at(&mut [0; 6], 0));
        let create = errno(File::create(fs.dir.join("new")).map(|_| ()));
        [write, sync, read, create]
    }

    /// Mounting anew heals, and what was synced is there.
    fn heals(fs: &LoopFs, kind: &str) {
        fs.mount_again(kind);
        assert_eq!(&fs::read(fs.dir.join("f")).unwrap()[..6], b"before");
        fs::write(fs.dir.join("healed"), "x").unwrap();
    }

    const EIO: [Option<i32>; 4] = [Some(libc::EIO); 4];

    #[test]
    fn an_ext4_that_is_stopped_fails_every_caller_until_mounted_anew() {
        in_private_mounts(|| {
            for flush in [Flush::Data, Flush::Journal, Flush::Nothing] {
                let fs = LoopFs::new("ext4", 16 << 20, &[], "");
                assert_eq!(observe(&fs, || shutdown(&fs.dir, flush).unwrap()), EIO, "{flush:?}");
                heals(&fs, "ext4");
            }
        });
    }

    #[test]
    fn an_xfs_that_is_stopped_fails_every_caller_until_mounted_anew() {
        in_private_mounts(|| {
            for flush in [Flush::Data, Flush::Journal, Flush::Nothing] {
                let fs = LoopFs::new("xfs", 320 << 20, &[], "");
                assert_eq!(observe(&fs, || shutdown(&fs.dir, flush).unwrap()), EIO, "{flush:?}");
                heals(&fs, "xfs");
            }
        });
    }

    #[test]
    fn an_ext4_error_makes_it_read_only_also_for_open_writers() {
        in_private_mounts(|| {
            let fs = LoopFs::new("ext4", 16 << 20, &[], "errors=remount-ro");
            let seen = observe(&fs, || trigger_ext4_error(&fs.dir, "test").unwrap());
            let read_only = Some(libc::EROFS);
            assert_eq!(seen, [read_only, read_only, None, read_only]);
            // whether this is refused depends on the kernel; that it does not help does not
            let _ = mount_remount(&fs.dir, MountFlags::empty(), c"");
            let refused = File::create(fs.dir.join("new")).unwrap_err();
            assert_eq!(refused.raw_os_error(), read_only);
            heals(&fs, "ext4");
        });
    }

    #[test]
    fn other_file_systems_are_refused() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=64k");
            assert!(shutdown(&dir, Flush::Data).unwrap_err().is(libc::ENOTTY));
            let error = trigger_ext4_error(&dir, "test").unwrap_err();
            assert!(matches!(error, HostError::NotOurs { .. }), "{error}");
        });
    }
}
