//! Attributes, between the form the kernel gives beneath and the form it takes above.

use std::{
    ffi::CString,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};
use rustix::{
    fs::{
        AtFlags, CWD, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid,
        chmod, chownat, fstat, ftruncate, open, utimensat,
    },
    io::Errno,
};

use super::{
    Fs, Who,
    own::shaped,
    table::{Node, lock},
};
use crate::protocol::ToldAttributes;

/// How a file is opened to change its size.
const WRITING: OFlags = OFlags::WRONLY.union(OFlags::CLOEXEC);

/// The path of a descriptor: for calls that take no descriptor of a path alone.
pub(super) fn path_of(fd: BorrowedFd<'_>) -> CString {
    CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap_or_default()
}

pub(super) fn kind(kind: rustix::fs::FileType) -> FileType {
    match kind {
        rustix::fs::FileType::Directory => FileType::Directory,
        rustix::fs::FileType::Symlink => FileType::Symlink,
        rustix::fs::FileType::Fifo => FileType::NamedPipe,
        rustix::fs::FileType::Socket => FileType::Socket,
        rustix::fs::FileType::CharacterDevice => FileType::CharDevice,
        rustix::fs::FileType::BlockDevice => FileType::BlockDevice,
        _ => FileType::RegularFile,
    }
}

/// A time; before 1970 too.
fn time(seconds: i64, nanos: u64) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let start =
        if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    start.unwrap_or(UNIX_EPOCH) + Duration::from_nanos(nanos)
}

fn timespec(when: Option<TimeOrNow>) -> Timespec {
    let Some(when) = when else { return Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT } };
    let TimeOrNow::SpecificTime(when) = when else {
        return Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    };
    let signed = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    match when.duration_since(UNIX_EPOCH) {
        Ok(since) => {
            Timespec { tv_sec: signed(since.as_secs()), tv_nsec: since.subsec_nanos().into() }
        }
        Err(before) => {
            let before = before.duration();
            let nanos = i64::from(before.subsec_nanos());
            let borrow = i64::from(nanos > 0);
            let tv_nsec = if nanos > 0 { 1_000_000_000 - nanos } else { 0 };
            Timespec { tv_sec: -signed(before.as_secs()) - borrow, tv_nsec }
        }
    }
}

/// Attributes of a file with this number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "as the protocol has them"
)]
pub(super) fn attributes(ino: u64, stat: &Stat) -> FileAttr {
    FileAttr {
        ino: INodeNo(ino),
        size: stat.st_size as u64,
        blocks: stat.st_blocks as u64,
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        crtime: UNIX_EPOCH,
        kind: kind(rustix::fs::FileType::from_raw_mode(stat.st_mode)),
        perm: (stat.st_mode & 0o7777) as u16,
        nlink: stat.st_nlink as u32,
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: stat.st_rdev as u32,
        blksize: stat.st_blksize as u32,
        flags: 0,
    }
}

/// Stands for no file: the kernel goes by its number.
pub(super) fn nothing() -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 0,
        flags: 0,
    }
}

/// Attributes as a rule tells them.
#[must_use]
pub(super) fn told(mut attr: FileAttr, told: Option<ToldAttributes>) -> FileAttr {
    let Some(ToldAttributes { mode, uid, gid, size, mtime }) = told else { return attr };
    let perm = mode.and_then(|mode| u16::try_from(mode & 0o7777).ok());
    attr.perm = perm.unwrap_or(attr.perm);
    attr.uid = uid.unwrap_or(attr.uid);
    attr.gid = gid.unwrap_or(attr.gid);
    attr.size = size.unwrap_or(attr.size);
    attr.mtime = mtime.map_or(attr.mtime, |seconds| time(seconds, 0));
    attr
}

/// What is to be changed of a file.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Change {
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) size: Option<u64>,
    pub(super) atime: Option<TimeOrNow>,
    pub(super) mtime: Option<TimeOrNow>,
}

impl Fs {
    /// Attributes of a file.
    pub(super) fn look_at(&self, node: &Arc<Node>) -> Result<FileAttr, Errno> {
        Ok(shaped(node, attributes(node.ino, &fstat(self.fd(node)?)?)))
    }

    /// A descriptor of the file's path; of a file without a name, one that is open.
    pub(super) fn fd(&self, node: &Arc<Node>) -> Result<Arc<OwnedFd>, Errno> {
        self.table.fd(node).or_else(|errno| {
            let open = self.opened.any_of(node).ok_or(errno)?;
            open.file().try_clone_to_owned().map(Arc::new).map_err(|_| Errno::MFILE)
        })
    }

    /// Changes attributes, which may make the file longer.
    pub(super) fn change_for(
        &self,
        who: Who,
        node: &Arc<Node>,
        change: Change,
        fh: Option<u64>,
    ) -> Result<FileAttr, Errno> {
        if change.size.is_some() {
            self.drop_set_id_for(who, node)?;
        }
        let act = || self.change(node, change, fh);
        if change.size.is_some() { self.growing(who, (node, None), act) } else { act() }
    }

    /// Takes set-id bits away, as a change of its bytes by another than root does.
    pub(super) fn drop_set_id(&self, node: &Arc<Node>) -> Result<(), Errno> {
        let fd = self.fd(node)?;
        let mode = Mode::from_raw_mode(fstat(&fd)?.st_mode);
        // without a group that may execute it, the bit means something else
        let set_gid = if mode.contains(Mode::XGRP) { Mode::SGID } else { Mode::empty() };
        let left = mode.difference(Mode::SUID | set_gid);
        if left == mode { Ok(()) } else { chmod(path_of(fd.as_fd()), left) }
    }

    /// Likewise, where the kernel does not say whether the caller may leave them.
    pub(super) fn drop_set_id_for(&self, who: Who, node: &Arc<Node>) -> Result<(), Errno> {
        if who.uid == 0 { Ok(()) } else { self.drop_set_id(node) }
    }

    /// Whether a file has such bits: no write of it may go by us. One that gets them while it is open
    /// for writing, and is left to the kernel, keeps them.
    pub(super) fn has_set_id(&self, node: &Arc<Node>) -> Result<bool, Errno> {
        let mode = Mode::from_raw_mode(fstat(self.fd(node)?)?.st_mode);
        Ok(mode.intersects(Mode::SUID | Mode::SGID))
    }

    /// Changes attributes, and says what they are then. `fh` is a descriptor open for writing.
    fn change(&self, node: &Arc<Node>, change: Change, fh: Option<u64>) -> Result<FileAttr, Errno> {
        let fd = self.fd(node)?;
        let path = path_of(fd.as_fd());
        // a new owner takes set-id bits away: the bits come after
        if change.uid.is_some() || change.gid.is_some() {
            let (uid, gid) = (change.uid.map(Uid::from_raw), change.gid.map(Gid::from_raw));
            chownat(&fd, "", uid, gid, AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if let Some(mode) = change.mode {
            chmod(&path, Mode::from_raw_mode(mode & 0o7777))?;
        }
        if let Some(size) = change.size {
            lock(&node.syncs).write();
            let open_file = fh.and_then(|fh| self.opened.get(fh).ok());
            self.resized(node, size, || match open_file.filter(|open| open.writes()) {
                Some(open) => ftruncate(open.file(), size),
                None => ftruncate(open(&path, WRITING, Mode::empty())?, size),
            })?;
        }
        if change.atime.is_some() || change.mtime.is_some() {
            let times = Timestamps {
                last_access: timespec(change.atime),
                last_modification: timespec(change.mtime),
            };
            utimensat(CWD, &path, &times, AtFlags::empty())?;
        }
        self.look_at(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_survive() {
        for (seconds, nanos) in [(-5, 0), (-5, 250), (0, 0), (7, 999_999_999)] {
            let there = timespec(Some(TimeOrNow::SpecificTime(time(seconds, nanos))));
            assert_eq!((there.tv_sec, there.tv_nsec.cast_unsigned()), (seconds, nanos));
        }
    }
}
