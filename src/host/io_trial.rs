//! Operations on an interposer's own files, made to learn whether rules strike them.
//!
//! Proof by other system calls than those that armed the rules, through the very mount that a
//! subject uses. The files are the interposer's: nothing is made, changed or left behind.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::fs::{
    Mode, OFlags, RawDir, SeekFrom, XattrFlags, chmod, fdatasync, ftruncate, getxattr, open,
    readlink, rename, seek, setxattr, stat, statvfs, unlink,
};
use rustix::io::{Errno, pread, pwrite};

pub use super::attempts::name_of;
use super::attempts::{Progress, Until, side_by_side};
use crate::protocol::{IoOp, TriedOp, only};

/// What our own names are answered with where no rule hits: nobody else uses it.
pub const UNTOUCHED: Errno = Errno::XFULL;
/// The extended attribute that is looked at and set.
pub const ATTRIBUTE: &str = "user.keelhaul-trial";
/// In names of files that are not there yet.
pub const NEW: &str = "new";
/// In names of files that are there only once they were made, for as long as somebody has them open.
pub const SHOWN: &str = "shown";
/// In names of files of which it is remembered what is not durable, where that is remembered at all.
pub const REMEMBERED: &str = "remembered";

/// How operations are tried.
#[derive(Debug, Clone)]
pub struct Tries {
    /// The root of the interposer's mount.
    pub dir: PathBuf,
    /// What its own names begin with.
    pub mark: String,
    /// How often at most.
    pub most: u64,
    /// From how many microseconds on it was hit.
    pub slow_us: u64,
}

impl Tries {
    /// Tries an operation until it is hit.
    #[must_use]
    pub fn of(&self, op: IoOp) -> TriedOp {
        self.counting(op, &Progress::default())
    }

    /// Tries operations side by side, and gives those up of which one attempt is not back in this
    /// time: their threads end with the process, if they do not before.
    #[must_use]
    pub fn within(&self, ops: &[IoOp], time: Duration) -> Vec<TriedOp> {
        let tries = self.clone();
        side_by_side(ops, time, move |op, progress| tries.counting(op, progress))
    }

    fn counting(&self, op: IoOp, progress: &Progress) -> TriedOp {
        let path = self.name(&only(op));
        // what is opened beforehand is no try; where that fails, it is the answer to all of them
        let file = match op {
            IoOp::Fsync | IoOp::List | IoOp::Read | IoOp::Seek | IoOp::Truncate | IoOp::Write => {
                Some(open_own(&path))
            }
            _ => None,
        };
        let until = Until { most: self.most, slow_us: self.slow_us };
        until.hit(op, progress, || {
            let done = match &file {
                Some(Ok(file)) => on_file(op, file),
                Some(Err(errno)) => Err(*errno),
                None => self.on_name(op, &path),
            };
            done.or_else(|errno| if errno == UNTOUCHED { Ok(()) } else { Err(errno) })
        })
    }

    /// A name that nobody has used: what is counted for it begins anew.
    pub(super) fn name(&self, kind: &str) -> PathBuf {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        self.dir.join(format!("{}{kind}-{}-{number}", self.mark, std::process::id()))
    }

    /// Opens a file of which it is remembered what is not durable, to try its sync.
    ///
    /// # Errors
    /// The failed call.
    pub fn remembered(&self) -> Result<OwnedFd, Errno> {
        open_own(&self.name(&format!("{REMEMBERED}{}", only(IoOp::Fsync))))
    }

    fn on_name(&self, op: IoOp, path: &Path) -> Result<(), Errno> {
        match op {
            IoOp::Attributes => chmod(path, Mode::RUSR | Mode::WUSR),
            IoOp::Open => open_own(path).map(drop),
            IoOp::Readlink => readlink(path, Vec::new()).map(drop),
            IoOp::SetXattr => setxattr(path, ATTRIBUTE, b"x", XattrFlags::empty()),
            IoOp::Xattr => getxattr(path, ATTRIBUTE, &mut [0_u8; 1][..]).map(drop),
            IoOp::Stat => stat(path).map(drop),
            IoOp::Statfs => statvfs(path).map(drop),
            IoOp::Unlink => unlink(path),
            IoOp::Rename => rename(path, self.name(NEW)),
            _ => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                open(with_new(path), flags, Mode::RUSR).map(drop)
            }
        }
    }
}

/// The same name, of a file that is not there yet.
fn with_new(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(NEW);
    name.into()
}

pub(super) fn open_own(path: &Path) -> Result<OwnedFd, Errno> {
    open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .or_else(|_| open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()))
}

fn on_file(op: IoOp, file: &OwnedFd) -> Result<(), Errno> {
    match op {
        IoOp::List => list(file),
        IoOp::Read => pread(file, &mut [0], 0).map(drop),
        IoOp::Seek => seek(file, SeekFrom::Hole(0)).map(drop),
        IoOp::Write => pwrite(file, b"x", 0).map(drop),
        IoOp::Truncate => ftruncate(file, 4096),
        _ => fdatasync(file),
    }
}

/// Asks for the first names.
fn list(directory: &OwnedFd) -> Result<(), Errno> {
    let mut buffer = Vec::with_capacity(1 << 10);
    let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
    entries.next().map_or(Ok(()), |entry| entry.map(drop))
}
