//! tmpfs: one put over a path with a mark of ours, and the limits of any of them.
//!
//! Changing limits touches the superblock only, never a mount's own flags, and only the tmpfs at
//! the path: no other file system type is ever reconfigured.
//!
//! Measured (kernel 6.18):
//! - `fspick` + `FSCONFIG_CMD_RECONFIGURE` with `size` or `nr_inodes` keeps every other option and
//!   the mount flags (ro, nosuid, nodev, noexec); it takes about 0.1 ms.
//! - A limit below what is in use is `EINVAL`; equal to it is full at once (`ENOSPC`).
//! - `size=0` and `nr_inodes=0` mean no limit, and that is a one-way street: a limited tmpfs can be
//!   made unlimited, but a limit on an unlimited one is `EINVAL` ("Cannot retroactively limit").
//!   So an unlimited tmpfs cannot be exhausted this way, and there is nothing to restore.
//! - One page is the unit of `size`; the kernel rounds up.
//! - statfs(2) shows neither size nor use while there is no limit.

use std::ffi::CString;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    FsPickFlags, MountFlags, UnmountFlags, fsconfig_reconfigure, fsconfig_set_string, fspick,
    mount, unmount,
};
use serde::{Deserialize, Serialize};

use super::errno::Errno;
use super::error::{Context, HostError, HostResult};
use super::mount_clone::mount_id;
use super::mountinfo::Reader;
use super::statfs::FsUsage;

/// Times that an exhaustion is tried again because files came or went in between.
const ATTEMPTS: usize = 16;

/// A tmpfs to be mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmpfsSpec {
    /// The source name, which marks the mount as ours.
    pub source: String,
    /// Its limits.
    pub limits: Limits,
    /// Permission bits of its root directory.
    pub mode: u32,
    /// Owner of its root directory.
    pub uid: u32,
    /// Group of its root directory.
    pub gid: u32,
}

/// The limits of a tmpfs; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes.
    pub bytes: Option<u64>,
    /// Inodes, the root directory included.
    pub inodes: Option<u64>,
}

/// Mounts a new, empty tmpfs on top of a directory; returns its mount id.
///
/// # Errors
/// The failed call.
pub fn mount_over(path: &Path, spec: &TmpfsSpec) -> HostResult<u64> {
    let options = format!(
        "size={},nr_inodes={},mode={:o},uid={},gid={}",
        spec.limits.bytes.unwrap_or(0),
        spec.limits.inodes.unwrap_or(0),
        spec.mode,
        spec.uid,
        spec.gid
    );
    let options = CString::new(options).map_err(|_| Errno(libc::EINVAL)).op("mount", path)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount(spec.source.as_str(), path, "tmpfs", flags, options.as_c_str()).op("mount", path)?;
    mount_id(path)
}

/// Unmounts (lazily) the tmpfs with this source name if it is on top at `path`.
///
/// `false` when no mount with that source is there (any more): doing it twice changes nothing.
///
/// # Errors
/// [`HostError::NotOurs`] when ours is there, but another mount lies on top of it.
pub fn unmount_marked(mounts: &Reader, path: &Path, source: &str) -> HostResult<bool> {
    let table = mounts.read()?;
    let stack = table.at(path);
    let ours =
        |mount: &&&super::mountinfo::MountEntry| mount.fs_type == "tmpfs" && mount.source == source;
    let Some(mount) = stack.iter().rfind(ours) else {
        return Ok(false);
    };
    if stack.last().is_some_and(|top| top.id != mount.id) {
        let detail = format!("another mount lies on top of `{source}`");
        return Err(HostError::NotOurs { path: path.to_path_buf(), detail });
    }
    unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).op("umount2", path)?;
    Ok(true)
}

/// The limits of the tmpfs at `path`.
///
/// # Errors
/// [`HostError::NotOurs`] when it is no tmpfs.
pub fn limits(path: &Path) -> HostResult<Limits> {
    let usage = usage(path)?;
    Ok(limits_of(&usage))
}

/// Sets the limits of the tmpfs at `path`, and nothing else.
///
/// An unlimited side of `wanted` must be unlimited already: lifting a limit could not be undone.
///
/// # Errors
/// `EINVAL` when a limit is below what is in use, or when one side is limited and the other not.
pub fn set_limits(path: &Path, wanted: Limits) -> HostResult<()> {
    let now = limits(path)?;
    let mut changes = Vec::new();
    for (key, now, wanted) in
        [("size", now.bytes, wanted.bytes), ("nr_inodes", now.inodes, wanted.inodes)]
    {
        match (now, wanted) {
            (Some(_), Some(wanted)) if wanted > 0 => changes.push((key, wanted)),
            (None, None) => {}
            _ => return Err(HostError::sys("reconfigure tmpfs", path, Errno(libc::EINVAL))),
        }
    }
    reconfigure(path, &changes)
}

/// Leaves `leave` free inodes by lowering the limit to what is in use plus that. Returns the
/// limits from before, which [`set_limits`] restores.
///
/// # Errors
/// `EOPNOTSUPP` when the tmpfs has no limit of inodes.
pub fn exhaust_inodes(path: &Path, leave: u64) -> HostResult<Limits> {
    lower(path, |usage| {
        let wanted = usage.inodes_used() + leave;
        (usage.inodes_total > 0).then(|| ("nr_inodes", wanted.min(usage.inodes_total).max(1)))
    })
}

/// Leaves `leave` free bytes, rounded up to a page, by lowering the limit. Returns the limits from
/// before, which [`set_limits`] restores.
///
/// # Errors
/// `EOPNOTSUPP` when the tmpfs has no limit of size.
pub fn exhaust_bytes(path: &Path, leave: u64) -> HostResult<Limits> {
    lower(path, |usage| {
        let wanted = usage.bytes_used() + leave;
        // an empty tmpfs keeps one page: a size of 0 would mean unlimited
        let wanted = wanted.max(usage.block_size).min(usage.bytes_total);
        (usage.bytes_total > 0).then_some(("size", wanted))
    })
}

fn lower(
    path: &Path,
    wanted: impl Fn(&FsUsage) -> Option<(&'static str, u64)>,
) -> HostResult<Limits> {
    let before = limits(path)?;
    let mut attempt = 0;
    loop {
        let Some(change) = wanted(&usage(path)?) else {
            return Err(HostError::sys("limit tmpfs", path, Errno(libc::EOPNOTSUPP)));
        };
        attempt += 1;
        match reconfigure(path, &[change]) {
            // more came into use between the look and the act
            Err(error) if error.is(libc::EINVAL) && attempt < ATTEMPTS => {}
            result => return result.map(|()| before),
        }
    }
}

fn usage(path: &Path) -> HostResult<FsUsage> {
    let usage = FsUsage::of(path)?;
    if usage.fs_type == "tmpfs" {
        return Ok(usage);
    }
    let detail = format!("expected a tmpfs, found {}", usage.fs_type);
    Err(HostError::NotOurs { path: path.to_path_buf(), detail })
}

fn limits_of(usage: &FsUsage) -> Limits {
    let limited = |total: u64| (total > 0).then_some(total);
    Limits { bytes: limited(usage.bytes_total), inodes: limited(usage.inodes_total) }
}

fn reconfigure(path: &Path, changes: &[(&str, u64)]) -> HostResult<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let context = fspick(CWD, path, FsPickFlags::FSPICK_CLOEXEC).op("fspick", path)?;
    for (key, value) in changes {
        fsconfig_set_string(&context, *key, value.to_string()).op("fsconfig", path)?;
    }
    fsconfig_reconfigure(&context).op("reconfigure tmpfs", path)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;
    use crate::host::mount_clone::{MountChange, stack_clone};
    use crate::host::testing::{in_private_mounts, own_tmpfs};

    fn spec(source: &str) -> TmpfsSpec {
        let limits = Limits { bytes: Some(1 << 20), inodes: Some(100) };
        TmpfsSpec { source: source.to_owned(), limits, mode: 0o750, uid: 7, gid: 8 }
    }

    #[test]
    fn a_marked_tmpfs_covers_and_only_the_mark_uncovers() {
        use std::os::unix::fs::MetadataExt as _;
        in_private_mounts(|| {
            let dir = own_tmpfs("size=1m");
            File::create(dir.join("real")).unwrap();
            let mounts = Reader::open_own().unwrap();
            assert_eq!(unmount_marked(&mounts, &dir, "keelhaul:t"), Ok(false));
            let id = mount_over(&dir, &spec("keelhaul:t")).unwrap();
            assert_eq!(mounts.read().unwrap().at(&dir).last().unwrap().id, id);
            assert!(!dir.join("real").exists());
            let meta = fs::metadata(&dir).unwrap();
            assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o750, 7, 8));
            assert_eq!(unmount_marked(&mounts, &dir, "keelhaul:other"), Ok(false));
            assert_eq!(unmount_marked(&mounts, &dir, "testing"), Err(buried(&dir, "testing")));
            assert_eq!(unmount_marked(&mounts, &dir, "keelhaul:t"), Ok(true));
            assert_eq!(unmount_marked(&mounts, &dir, "keelhaul:t"), Ok(false));
            assert!(dir.join("real").exists());
        });
    }

    fn buried(path: &Path, source: &str) -> HostError {
        let detail = format!("another mount lies on top of `{source}`");
        HostError::NotOurs { path: path.to_path_buf(), detail }
    }

    #[test]
    fn exhaustion_keeps_flags_and_options_and_is_undone() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=1m,nr_inodes=50,mode=711,uid=5,huge=never");
            let change = MountChange {
                no_exec: Some(true),
                no_suid: Some(true),
                no_dev: Some(true),
                ..MountChange::default()
            };
            stack_clone(&dir, change).unwrap();
            let mounts = Reader::open_own().unwrap();
            let shown = || {
                let table = mounts.read().unwrap();
                let top = table.covering(&dir).unwrap();
                (top.options.clone(), top.super_options.clone())
            };
            let before = (shown(), fs::metadata(&dir).unwrap().permissions());
            let saved = exhaust_inodes(&dir, 2).unwrap();
            assert_eq!(FsUsage::of(&dir).unwrap().inodes_free, 2);
            File::create(dir.join("a")).unwrap();
            File::create(dir.join("b")).unwrap();
            let refused = File::create(dir.join("c")).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::ENOSPC));
            set_limits(&dir, saved).unwrap();
            File::create(dir.join("c")).unwrap();
            let saved = exhaust_bytes(&dir, 0).unwrap();
            let refused = fs::write(dir.join("c"), [1; 9000]).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::ENOSPC));
            set_limits(&dir, saved).unwrap();
            fs::write(dir.join("c"), [1; 9000]).unwrap();
            assert_eq!((shown(), fs::metadata(&dir).unwrap().permissions()), before);
        });
    }

    #[test]
    fn a_read_only_superblock_stays_read_only() {
        in_private_mounts(|| {
            let dir = own_tmpfs("ro,size=1m,nr_inodes=50");
            rustix::mount::mount_remount(&dir, MountFlags::RDONLY, c"").unwrap();
            let saved = exhaust_inodes(&dir, 0).unwrap();
            assert!(FsUsage::of(&dir).unwrap().read_only);
            set_limits(&dir, saved).unwrap();
            let table = Reader::open_own().unwrap().read().unwrap();
            let mount = table.covering(&dir).unwrap();
            assert!(mount.super_options.starts_with("ro") && mount.has_option("ro"), "{mount:?}");
        });
    }

    #[test]
    fn no_limit_is_a_one_way_street() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=0,nr_inodes=0");
            assert_eq!(limits(&dir).unwrap(), Limits { bytes: None, inodes: None });
            assert!(exhaust_inodes(&dir, 0).unwrap_err().is(libc::EOPNOTSUPP));
            assert!(exhaust_bytes(&dir, 0).unwrap_err().is(libc::EOPNOTSUPP));
            assert!(reconfigure(&dir, &[("size", 65536)]).unwrap_err().is(libc::EINVAL));
            assert!(reconfigure(&dir, &[("nr_inodes", 10)]).unwrap_err().is(libc::EINVAL));
            set_limits(&dir, Limits { bytes: None, inodes: None }).unwrap();
            let limited = own_tmpfs("size=64k,nr_inodes=10");
            let lifted = Limits { bytes: None, inodes: Some(10) };
            assert!(set_limits(&limited, lifted).unwrap_err().is(libc::EINVAL));
            // what is refused above: the kernel would do it, for good
            reconfigure(&limited, &[("size", 0)]).unwrap();
            assert_eq!(limits(&limited).unwrap().bytes, None);
        });
    }

    #[test]
    fn a_limit_below_what_is_in_use_is_refused() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=1m,nr_inodes=50");
            fs::write(dir.join("f"), [1; 100_000]).unwrap();
            let low = Limits { bytes: Some(4096), inodes: Some(50) };
            assert!(set_limits(&dir, low).unwrap_err().is(libc::EINVAL));
            assert!(limits(Path::new("/proc")).is_err());
        });
    }
}
