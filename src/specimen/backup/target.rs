//! Where archives go: one job at a time, each archive under a name of its own, and no archive's
//! name on anything half.
//!
//! An archive grows under a hidden name and is renamed when it is whole and durable. A job that is
//! killed leaves its hidden file behind; the next one that holds the lock removes it.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::super::journal::sync_dir;
use super::super::weakness::Weakness;
use super::JobError;
use super::args::Bugs;

const LOCK: &str = ".lock";
const HALF: &str = ".half";
/// Between attempts at the lock.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Target<'a> {
    dir: &'a Path,
    /// Every job writes to the same name, and none waits for another.
    shared_name: bool,
    /// The archive has its name from the first byte on.
    in_place: bool,
}

impl<'a> Target<'a> {
    pub(super) fn new(dir: &'a Path, bugs: &Bugs) -> Self {
        Self {
            dir,
            shared_name: bugs.has(Weakness::SharedTargetName),
            in_place: bugs.has(Weakness::WritesInPlace),
        }
    }

    /// Waits until no other job is at work here. Held for as long as the file lives.
    pub(super) fn lock(&self, patience: Duration) -> Result<Option<File>, JobError> {
        if self.shared_name {
            return Ok(None);
        }
        let path = self.dir.join(LOCK);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(JobError::io("open", &path))?;
        let end = Instant::now() + patience;
        while let Err(errno) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if errno != rustix::io::Errno::WOULDBLOCK {
                return Err(JobError::Io { doing: "lock", path, error: errno.into() });
            }
            if Instant::now() > end {
                return Err(JobError::Busy { lock: path, seconds: patience.as_secs_f64() });
            }
            thread::sleep(PAUSE);
        }
        self.sweep()?;
        Ok(Some(file))
    }

    /// Removes what killed jobs left: under the lock nobody else is writing.
    fn sweep(&self) -> Result<(), JobError> {
        let entries = fs::read_dir(self.dir).map_err(JobError::io("list", self.dir))?;
        for entry in entries {
            let path = entry.map_err(JobError::io("list", self.dir))?.path();
            if path.to_string_lossy().ends_with(HALF) {
                fs::remove_file(&path).map_err(JobError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// A new archive, empty.
    pub(super) fn begin(&self) -> Result<Pending, JobError> {
        let name = if self.shared_name { "backup.tar".into() } else { unique() };
        let last = self.dir.join(&name);
        let now =
            if self.in_place { last.clone() } else { self.dir.join(format!(".{name}{HALF}")) };
        let mut options = OpenOptions::new();
        options.write(true);
        if self.shared_name {
            options.create(true).truncate(true);
        } else {
            options.create_new(true);
        }
        let file = options.open(&now).map_err(JobError::io("create", &now))?;
        Ok(Pending { file, now, last, published: false })
    }
}

/// Sorts by time, and differs between jobs of one moment.
fn unique() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S.%9f");
    format!("backup-{now}-{}.tar", std::process::id())
}

/// An archive under construction; what is not published goes again.
pub(super) struct Pending {
    pub(super) file: File,
    now: PathBuf,
    last: PathBuf,
    published: bool,
}

impl Pending {
    pub(super) fn name(&self) -> &Path {
        &self.last
    }

    /// Gives the archive its name. It must be synced.
    pub(super) fn publish(mut self) -> Result<PathBuf, JobError> {
        let last = std::mem::take(&mut self.last);
        let renamed = fs::rename(&self.now, &last).and_then(|()| sync_dir(&last));
        renamed.map_err(JobError::io("publish", &last))?;
        self.published = true;
        Ok(last)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.published && self.now != self.last {
            // Where even that fails, the next job sweeps.
            let _ = fs::remove_file(&self.now);
        }
    }
}
