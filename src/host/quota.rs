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

/// linux/btrfs.h: `struct btrfs_ioctl_qgroup_limit_args` with the limit it holds.
#[repr(C)]
#[derive(Default)]
struct LimitArguments {
    group: u64,
    flags: u64,
    max_referenced: u64,
    max_exclusive: u64,
    reserved: [u64; 2],
}

/// linux/btrfs.h: `struct btrfs_ioctl_qgroup_create_args`.
#[repr(C)]
struct CreateArguments {
    create: u64,
    group: u64,
}

/// linux/btrfs.h: `struct btrfs_ioctl_qgroup_assign_args`.
#[repr(C)]
struct AssignArguments {
    assign: u64,
    member: u64,
    group: u64,
}

/// linux/btrfs.h: `struct btrfs_ioctl_quota_rescan_args`.
#[repr(C)]
#[derive(Default)]
struct RescanArguments {
    flags: u64,
    progress: u64,
    reserved: [u64; 6],
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
const ASSIGN: Opcode = opcode::write::<AssignArguments>(MAGIC, 41);
const CREATE: Opcode = opcode::write::<CreateArguments>(MAGIC, 42);
/// `_IOR`, although the kernel reads the argument.
const LIMIT: Opcode = opcode::read::<LimitArguments>(MAGIC, 43);
const RESCAN: Opcode = opcode::write::<RescanArguments>(MAGIC, 44);
const AWAIT_RESCAN: Opcode = opcode::none(MAGIC, 46);

const ENABLE: u64 = 1;
const DISABLE: u64 = 2;
/// `BTRFS_QGROUP_LIMIT_MAX_RFER`.
const MAX_REFERENCED: u64 = 1;
/// Given as a limit, it takes the limit away (fs/btrfs/qgroup.c).
const CLEAR: u64 = u64::MAX;

/// A quota group that the top subvolume is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Its own, `0/5`.
    Own,
    /// The one that we put above that, `1/100`.
    Parent,
}

impl Group {
    /// The level in the upper 16 bits, the subvolume or a number of one's choice in the others.
    fn id(self) -> u64 {
        match self {
            Self::Own => 5,
            Self::Parent => (1 << 48) | 100,
        }
    }

    fn in_sysfs(self) -> String {
        format!("{}_{}", self.id() >> 48, self.id() & 0xffff_ffff_ffff)
    }
}

/// A quota group as sysfs shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes it refers to, as of the last commit.
    pub referenced: u64,
    /// Bytes it may refer to; none without a limit.
    pub limit: Option<u64>,
}

impl Quota {
    /// A quota group of a filesystem's top subvolume; none where quotas are switched off, or there is
    /// no such group. Reads `/sys`, so not in a target's mount namespace.
    ///
    /// # Errors
    /// When sysfs cannot be read.
    pub fn of(filesystem: &Filesystem, group: Group) -> HostResult<Option<Self>> {
        let path = format!("/sys/fs/btrfs/{}/qgroups/{}", filesystem.0, group.in_sysfs());
        Self::read(&PathBuf::from(path))
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

/// Puts the parent above the top subvolume's own group, if it is not there yet.
///
/// # Errors
/// `ENOTCONN` where quotas are switched off; the failed call.
pub fn add_parent(dir: &Path) -> HostResult<()> {
    let fd = open_dir(dir)?;
    unless(libc::EEXIST, create(&fd, true)).op("quota group", dir)?;
    unless(libc::EEXIST, assign(&fd, true)).op("quota parent", dir)?;
    recount(&fd, dir)
}

/// Takes it away again, and its limit with it. Done twice it changes nothing.
///
/// # Errors
/// The failed call.
pub fn remove_parent(dir: &Path) -> HostResult<()> {
    let fd = open_dir(dir)?;
    for done in [assign(&fd, false), create(&fd, false)] {
        // quotas may be switched off by now, and every group gone with them
        unless(libc::ENOTCONN, unless(libc::ENOENT, done)).op("quota parent", dir)?;
    }
    syncfs(&fd).op("syncfs", dir)
}

fn unless(expected: i32, done: rustix::io::Result<()>) -> rustix::io::Result<()> {
    if done == Err(rustix::io::Errno::from_raw_os_error(expected)) { Ok(()) } else { done }
}

fn create(fd: &OwnedFd, create: bool) -> rustix::io::Result<()> {
    let arguments = CreateArguments { create: create.into(), group: Group::Parent.id() };
    // SAFETY: the call reads one such struct through the pointer it is given.
    unsafe { ioctl(fd, Setter::<CREATE, CreateArguments>::new(arguments)) }
}

fn assign(fd: &OwnedFd, assign: bool) -> rustix::io::Result<()> {
    let (member, group) = (Group::Own.id(), Group::Parent.id());
    let arguments = AssignArguments { assign: assign.into(), member, group };
    // SAFETY: the call reads one such struct through the pointer it is given.
    unsafe { ioctl(fd, Setter::<ASSIGN, AssignArguments>::new(arguments)) }
}

/// Counts everything anew: what is shared with a snapshot is not added to a parent otherwise.
fn recount(fd: &OwnedFd, dir: &Path) -> HostResult<()> {
    let arguments = RescanArguments::default();
    // SAFETY: the call reads one such struct through the pointer it is given.
    let begun = unsafe { ioctl(fd, Setter::<RESCAN, RescanArguments>::new(arguments)) };
    unless(libc::EINPROGRESS, begun).op("quota rescan", dir)?;
    // SAFETY: the call takes no argument.
    unsafe { ioctl(fd, NoArg::<AWAIT_RESCAN>::new()) }.op("quota rescan", dir)?;
    // the figures are those of the last commit
    syncfs(fd).op("syncfs", dir)
}

/// Sets the limit of a group of the subvolume that holds `dir`, or takes it away.
///
/// # Errors
/// `ENOTCONN` where quotas are switched off, `ENOENT` where there is no such group.
pub fn set_limit(dir: &Path, group: Group, limit: Option<u64>) -> HostResult<()> {
    let arguments = LimitArguments {
        group: group.id(),
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
            let quota = || Quota::of(&id, Group::Own).unwrap();
            assert_eq!(quota(), None);
            assert!(set_limit(dir, Group::Own, Some(1)).unwrap_err().is(libc::ENOTCONN));
            enable(dir).unwrap();
            let referenced = quota().unwrap().referenced;
            assert!((8 << 20..9 << 20).contains(&referenced), "{referenced}");
            set_limit(dir, Group::Own, Some(referenced + (1 << 20))).unwrap();
            assert_eq!(quota().unwrap().limit, Some(referenced + (1 << 20)));
            let errno = |bytes| try_write(dir, bytes).unwrap().errno().map(|errno| errno.0);
            assert_eq!(errno(2 << 20), Some(libc::EDQUOT));
            set_limit(dir, Group::Own, None).unwrap();
            assert_eq!(quota().unwrap().limit, None);
            assert_eq!(errno(2 << 20), None);
            disable(dir).unwrap();
            disable(dir).unwrap();
            assert_eq!(quota(), None);
        });
    }

    #[test]
    fn a_parent_counts_what_is_beneath_it_and_its_limit_applies() {
        in_private_mounts(|| {
            let btrfs = LoopFs::new("btrfs", 128 << 20, &[], "");
            let dir = btrfs.dir.as_path();
            fs::write(dir.join("held"), vec![1; 8 << 20]).unwrap();
            let id = identify(dir).unwrap();
            let of = |group| Quota::of(&id, group).unwrap();
            enable(dir).unwrap();
            assert_eq!(of(Group::Parent), None);
            add_parent(dir).unwrap();
            add_parent(dir).unwrap();
            let referenced = of(Group::Parent).unwrap().referenced;
            assert_eq!(referenced, of(Group::Own).unwrap().referenced);
            assert!(referenced > 8 << 20);
            set_limit(dir, Group::Parent, Some(referenced + (1 << 20))).unwrap();
            assert_eq!(of(Group::Own).unwrap().limit, None);
            let errno = |bytes| try_write(dir, bytes).unwrap().errno().map(|errno| errno.0);
            assert_eq!(errno(2 << 20), Some(libc::EDQUOT));
            remove_parent(dir).unwrap();
            remove_parent(dir).unwrap();
            assert_eq!((of(Group::Parent), errno(2 << 20)), (None, None));
            assert!(of(Group::Own).is_some());
            disable(dir).unwrap();
            remove_parent(dir).unwrap();
        });
    }
}
