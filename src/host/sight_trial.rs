//! A file of an interposer's own that one makes and others look for.
//!
//! It is there for as long as its maker has it open, and nowhere but in the interposer's memory.

use std::ffi::OsString;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::io_trial::SHOWN;
use crate::protocol::{IoOp, only};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// One that was made.
#[derive(Debug)]
pub struct Shown {
    dir: OwnedFd,
    name: OsString,
    began: Instant,
    _open: OwnedFd,
}

impl Shown {
    /// Makes one in the root of an interposer's mount; its own names begin with `mark`. The calling
    /// thread is its maker.
    ///
    /// # Errors
    /// The failed call.
    pub fn make(dir: OwnedFd, mark: &str) -> Result<Self, Errno> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let (number, stat) = (LAST.fetch_add(1, Ordering::Relaxed), only(IoOp::Stat));
        let name = format!("{mark}{SHOWN}{stat}-{}-{number}", std::process::id());
        let began = Instant::now();
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let open = openat(&dir, &name, flags, Mode::RUSR)?;
        Ok(Self { dir, name: name.into(), began, _open: open })
    }

    /// Whether the calling thread finds it.
    ///
    /// # Errors
    /// The failed call, where it says more than that it is not there.
    pub fn is_found(&self) -> Result<bool, Errno> {
        match statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Looks for it until it is found, for so long: how long after it was made that was.
    ///
    /// # Errors
    /// As [`Self::is_found`].
    pub fn await_found(&self, within: Duration) -> Result<Option<Duration>, Errno> {
        let end = Instant::now() + within;
        loop {
            if self.is_found()? {
                return Ok(Some(self.began.elapsed()));
            }
            if Instant::now() >= end {
                return Ok(None);
            }
            std::thread::sleep(PAUSE);
        }
    }
}
