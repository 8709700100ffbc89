//! Operations on an interposer's own files, made to learn whether rules strike them.
//!
//! Proof by other system calls than those that armed the rules, through the very mount that a
//! subject uses. The files are the interposer's: nothing is made, changed or left behind.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, fdatasync, ftruncate, open, rename, stat, statvfs, unlink};
use rustix::io::{Errno, pread, pwrite};

use crate::protocol::{IoOp, TriedOp, only};

/// What our own names are answered with where no rule hits: nobody else uses it.
pub const UNTOUCHED: Errno = Errno::XFULL;
/// In names of files that are not there yet.
pub const NEW: &str = "new";
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

/// All attempts of an operation together, where each comes back in time, may take so much longer.
const BUDGET: Duration = Duration::from_secs(3);

/// How far the attempts have come.
#[derive(Debug)]
struct Progress(Mutex<(u64, Instant)>);

impl Default for Progress {
    fn default() -> Self {
        Self(Mutex::new((0, Instant::now())))
    }
}

impl Progress {
    fn now(&self) -> MutexGuard<'_, (u64, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next attempt: its number, and when it began.
    fn begin(&self) -> (u64, Instant) {
        let mut now = self.now();
        *now = (now.0 + 1, Instant::now());
        *now
    }

    fn attempts(&self) -> u64 {
        self.now().0
    }

    /// For how long this attempt has been under way.
    fn under_way(&self) -> Duration {
        self.now().1.elapsed()
    }
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
        let end = Instant::now() + time + BUDGET;
        let try_it = |op: &IoOp| {
            let (tries, op) = (self.clone(), *op);
            let (answer, answered) = mpsc::channel();
            let progress = Arc::new(Progress::default());
            let noted = Arc::clone(&progress);
            // one that is not there answers nobody
            std::thread::spawn(move || drop(answer.send(tries.counting(op, &noted))));
            (op, answered, progress)
        };
        let under_way: Vec<_> = ops.iter().map(try_it).collect();
        let wait_for =
            |(op, answered, progress): (IoOp, mpsc::Receiver<TriedOp>, Arc<Progress>)| {
                loop {
                    let under_way = progress.under_way();
                    let left = time.saturating_sub(under_way).min(end - Instant::now().min(end));
                    if let Ok(tried) = answered.recv_timeout(left) {
                        return tried;
                    }
                    let (attempts, under_way) = (progress.attempts(), progress.under_way());
                    let hung = under_way >= time;
                    if hung || Instant::now() >= end {
                        let took_us = micros(under_way);
                        return TriedOp { op, attempts, hit: hung, errno: None, took_us, hung };
                    }
                }
            };
        under_way.into_iter().map(wait_for).collect()
    }

    fn counting(&self, op: IoOp, progress: &Progress) -> TriedOp {
        let path = self.name(&only(op));
        // what is opened beforehand is no try; where that fails, it is the answer to all of them
        let file = match op {
            IoOp::Read | IoOp::Write | IoOp::Fsync | IoOp::Truncate => Some(open_own(&path)),
            _ => None,
        };
        loop {
            let (attempts, started) = progress.begin();
            let done = match &file {
                Some(Ok(file)) => on_file(op, file),
                Some(Err(errno)) => Err(*errno),
                None => self.on_name(op, &path),
            };
            let took_us = micros(started.elapsed());
            let errno = done.err().filter(|errno| *errno != UNTOUCHED);
            let hit = errno.is_some() || took_us >= self.slow_us;
            if hit || attempts >= self.most {
                let errno = errno.map(name_of);
                return TriedOp { op, attempts, hit, errno, took_us, hung: false };
            }
        }
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
            IoOp::Open => open_own(path).map(drop),
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

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The same name, of a file that is not there yet.
fn with_new(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(NEW);
    name.into()
}

/// As users write it.
#[must_use]
pub fn name_of(errno: Errno) -> String {
    let errno = super::errno::Errno::from(errno);
    errno.name().map_or_else(|| errno.0.to_string(), str::to_owned)
}

pub(super) fn open_own(path: &Path) -> Result<OwnedFd, Errno> {
    open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .or_else(|_| open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()))
}

fn on_file(op: IoOp, file: &OwnedFd) -> Result<(), Errno> {
    match op {
        IoOp::Read => pread(file, &mut [0], 0).map(drop),
        IoOp::Write => pwrite(file, b"x", 0).map(drop),
        IoOp::Truncate => ftruncate(file, 4096),
        _ => fdatasync(file),
    }
}
