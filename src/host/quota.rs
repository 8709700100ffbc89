//! btrfs quota groups: what a subvolume holds, and how much it may hold.
//!
//! The limits are set by ioctl and read back from sysfs, which is another way into the kernel. The
//! figures are those of the last commit (every 30 s, or `commit=`); what is refused counts at once.
//! Quotas belong to the whole filesystem: switching them on makes it count everything anew.
#![expect(unsafe_code, reason = "the ioctls of btrfs have no wrapper in rustix or nix")]

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open, syncfs};
use rustix::ioctl::{NoArg, Opcode, Setter, Updater, ioctl, opcode};

use super::error::{Context, HostError, HostResult};

/// linux/btrfs.h: `struct btrfs_ioctl_quota_ctl_args`.
#[repr(C)]
struct Control {
    command: u64,
    status: u64,
}

/// linux/btrfs.h: `struct btrfs_ioctl_qgroup_limit_args` with the limit it holds. The group 0 means
/// that of the subvolume the call is made on.
#[repr(C)]
#[derive(Default)]
struct LimitArguments {
    group: u64,
    flags: u64,
    max_referenced: u64,
    max_exclusive: u64,
    reserved: [u64; 2],
}

/// linux/btrfs.h: the beginning of `struct btrfs_ioctl_fs_info_args`, and its size.
#[repr(C)]
struct Info {
    head: [u64; 2],
    id: [u8; 16],
    rest: [u8; 992],
}

const MAGIC: u8 = 0x94;
const INFO: Opcode = opcode::read::<Info>(MAGIC, 31);
const CONTROL: Opcode = opcode::read_write::<Control>(MAGIC, 40);
/// `_IOR`, although the kernel reads the argument.
const LIMIT: Opcode = opcode::read::<LimitArguments>(MAGIC, 43);
const AWAIT_RESCAN: Opcode = opcode::none(MAGIC, 46);

const ENABLE: u64 = 1;
const DISABLE: u64 = 2;
/// `BTRFS_QGROUP_LIMIT_MAX_RFER`.
const MAX_REFERENCED: u64 = 1;
/// Given as a limit, it takes the limit away (fs/btrfs/qgroup.c).
const CLEAR: u64 = u64::MAX;

/// A quota group of the top subvolume, as sysfs shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes it refers to, as of the last commit.
    pub referenced: u64,
    /// Bytes it may refer to; none without a limit.
    pub limit: Option<u64>,
}

impl Quota {
    /// The quota group of a filesystem's top subvolume; none where quotas are switched off. Reads
    /// `/sys`, so not in a target's mount namespace.
    ///
    /// # Errors
    /// When sysfs cannot be read.
    pub fn of(filesystem: &Filesystem) -> HostResult<Option<Self>> {
        Self::read(&PathBuf::from(format!("/sys/fs/btrfs/{}/qgroups/0_5", filesystem.0)))
    }

    fn read(group: &Path) -> HostResult<Option<Self>> {
        let number =
            |name: &str| {
                let path = group.join(name);
                match fs::read_to_string(&path) {
                    Ok(text) => text.trim().parse::<u64>().map(Some).map_err(|_| {
                        HostError::malformed(path.display().to_string(), "not a number")
                    }),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(HostError::sys("read", path, error)),
                }
            };
        let (Some(referenced), Some(flags), Some(most)) =
            (number("referenced")?, number("limit_flags")?, number("max_referenced")?)
        else {
            return Ok(None);
        };
        Ok(Some(Self { referenced, limit: (flags & MAX_REFERENCED != 0).then_some(most) }))
    }
}

/// A btrfs by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filesystem(String);

/// The filesystem that holds `dir`.
///
/// # Errors
/// `ENOTTY` where it is no btrfs.
pub fn identify(dir: &Path) -> HostResult<Filesystem> {
    let fd = open_dir(dir)?;
    let mut info = Info { head: [0; 2], id: [0; 16], rest: [0; 992] };
    // SAFETY: the call fills one such struct through the pointer it is given.
    unsafe { ioctl(&fd, Updater::<INFO, Info>::new(&mut info)) }.op("btrfs info", dir)?;
    let hex: String = info.id.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| &hex[range]);
    Ok(Filesystem(parts.join("-")))
}

/// Switches quotas on, and waits until everything is counted.
///
/// # Errors
/// `ENOTTY` where it is no btrfs; the failed call.
pub fn enable(dir: &Path) -> HostResult<()> {
    let fd = open_dir(dir)?;
    control(&fd, ENABLE).op("quota on", dir)?;
    // SAFETY: the call takes no argument.
    unsafe { ioctl(&fd, NoArg::<AWAIT_RESCAN>::new()) }.op("quota rescan", dir)?;
    // the figures are those of the last commit
    syncfs(&fd).op("syncfs", dir)
}

/// Switches quotas off, and with them every limit. Done twice it changes nothing.
///
/// # Errors
/// As [`enable`].
pub fn disable(dir: &Path) -> HostResult<()> {
    control(&open_dir(dir)?, DISABLE).op("quota off", dir)
}

/// Sets the limit of the subvolume that holds `dir`, or takes it away.
///
/// # Errors
/// `ENOTCONN` where quotas are switched off.
pub fn set_limit(dir: &Path, limit: Option<u64>) -> HostResult<()> {
    let arguments = LimitArguments {
        flags: MAX_REFERENCED,
        max_referenced: limit.unwrap_or(CLEAR),
        ..LimitArguments::default()
    };
    let fd = open_dir(dir)?;
    // SAFETY: the call reads one such struct through the pointer it is given.
    unsafe { ioctl(&fd, Setter::<LIMIT, LimitArguments>::new(arguments)) }
        .op("quota limit", dir)?;
    syncfs(&fd).op("syncfs", dir)
}

fn control(fd: &OwnedFd, command: u64) -> rustix::io::Result<()> {
    let mut control = Control { command, status: 0 };
    // SAFETY: the call reads and writes one such struct through the pointer it is given.
    unsafe { ioctl(fd, Updater::<CONTROL, Control>::new(&mut control)) }
}

fn open_dir(dir: &Path) -> HostResult<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(dir, flags, Mode::empty()).op("open", dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::probe_write::try_write;
    use crate::host::testing::{LoopFs, in_private_mounts};

    #[test]
    fn a_limit_is_counted_and_kept_and_taken_away_again() {
        in_private_mounts(|| {
            let btrfs = LoopFs::new("btrfs", 128 << 20, &[], "");
            let dir = btrfs.dir.as_path();
            fs::write(dir.join("held"), vec![1; 8 << 20]).unwrap();
            let id = identify(dir).unwrap();
            let quota = || Quota::of(&id).unwrap();
            assert_eq!(quota(), None);
            assert!(set_limit(dir, Some(1)).unwrap_err().is(libc::ENOTCONN));
            enable(dir).unwrap();
            let referenced = quota().unwrap().referenced;
            assert!((8 << 20..9 << 20).contains(&referenced), "{referenced}");
            set_limit(dir, Some(referenced + (1 << 20))).unwrap();
            assert_eq!(quota().unwrap().limit, Some(referenced + (1 << 20)));
            let errno = |bytes| try_write(dir, bytes).unwrap().errno().map(|errno| errno.0);
            assert_eq!(errno(2 << 20), Some(libc::EDQUOT));
            set_limit(dir, None).unwrap();
            assert_eq!(quota().unwrap().limit, None);
            assert_eq!(errno(2 << 20), None);
            disable(dir).unwrap();
            disable(dir).unwrap();
            assert_eq!(quota(), None);
        });
    }
}
