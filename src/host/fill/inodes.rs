//! Takes inodes by creating empty files, several threads at a time.
//!
//! Measured (kernel 6.18, ext4): mknodat(2) through a directory descriptor makes 100,000 files and
//! more per second on one core. Directories hold few enough files to keep lookups fast. On ext4 and
//! tmpfs the number left is exact; xfs allocates inodes in chunks of 64 and counts free space as
//! inodes to come, so the last ones may be refused while some are still called free, and a
//! directory's own blocks cost several: read [`Filled::free`]. Without a free inode not even the
//! marker directory can be made: then nothing is, and the fill reports `Exhausted`.

use std::ffi::CStr;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, fstatvfs, mkdirat, mknodat, openat, statvfs};

use super::{DIRECTORY, Fill, Filled, Stop, is_full, open_marker};
use crate::host::errno::Errno;
use crate::host::error::{Context, HostError, HostResult};

/// Files in one directory: few enough that neither ext4 nor xfs needs a deep index.
const FILES_PER_DIRECTORY: u64 = 20_000;
/// Files between two looks at the clock and the cancel flag.
const BATCH: u64 = 256;
/// Below this many, one thread does the rest, looking at the count as it goes.
const LAST: u64 = 64;
/// Rounds of counting again and correcting.
const ROUNDS: usize = 64;

/// Creates empty files until `leave` inodes are free or no more can be had.
///
/// # Errors
/// `EOPNOTSUPP` on a file system without a limit of inodes (btrfs, a tmpfs without one), or any
/// failure other than a full file system. What was created until then is left for
/// [`super::remove_filler`].
pub fn fill_inodes(fill: &Fill<'_>, threads: usize) -> HostResult<Filled> {
    if statvfs(fill.dir).op("statfs", fill.dir)?.f_files == 0 {
        return Err(HostError::sys("fill inodes of", fill.dir, Errno(libc::EOPNOTSUPP)));
    }
    let (marker, made) = open_marker(fill.dir, fill.marker)?;
    let Some(marker) = marker else {
        let free = statvfs(fill.dir).op("statfs", fill.dir)?.f_ffree;
        return Ok(Filled { taken: 0, free, stopped: Stop::Exhausted(Errno(libc::ENOSPC)) });
    };
    let work = Work { fill, marker, taken: AtomicU64::new(u64::from(made)) };
    let stopped = work.run(threads.max(1))?;
    let free = work.free()?;
    Ok(Filled { taken: work.taken.load(Ordering::Relaxed), free, stopped })
}

struct Work<'a> {
    fill: &'a Fill<'a>,
    marker: OwnedFd,
    taken: AtomicU64,
}

impl Work<'_> {
    fn run(&self, threads: usize) -> HostResult<Stop> {
        for round in 0..ROUNDS {
            let surplus = self.free()?.saturating_sub(self.fill.leave);
            let room = self.fill.cap.saturating_sub(self.taken.load(Ordering::Relaxed));
            if surplus == 0 && self.fill.leave > 0 {
                return Ok(Stop::Left);
            }
            if room == 0 {
                return Ok(Stop::Cap);
            }
            // `leave: 0` goes on until the kernel refuses: counts of free inodes can be too low
            let wanted = if self.fill.leave == 0 { room } else { surplus.min(room) };
            // several threads may take a few more than wanted; the last ones are left to one
            let (threads, wanted) =
                if wanted > LAST { (threads, wanted - LAST) } else { (1, wanted) };
            if let Some(stop) = self.round(round, threads, wanted)? {
                return Ok(stop);
            }
        }
        Ok(Stop::Left)
    }

    /// Creates up to `wanted` inodes; `None` when that many were created.
    fn round(&self, round: usize, threads: usize, wanted: u64) -> HostResult<Option<Stop>> {
        let budget = AtomicI64::new(i64::try_from(wanted).unwrap_or(i64::MAX));
        let results: Vec<HostResult<Option<Stop>>> = std::thread::scope(|scope| {
            let budget = &budget;
            let start = |thread| scope.spawn(move || self.create(round, thread, budget));
            let workers: Vec<_> = (0..threads).map(start).collect();
            let lost = || Err(HostError::Panicked("filling thread".to_owned()));
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| lost())).collect()
        });
        // the strongest reason wins: one thread may have used up the budget as another was refused
        results.into_iter().try_fold(None, |sum: Option<Stop>, result| Ok(sum.or(result?)))
    }

    fn create(&self, round: usize, thread: usize, budget: &AtomicI64) -> HostResult<Option<Stop>> {
        for chunk in 0_u64.. {
            if let Some(stop) = self.stop(budget) {
                return Ok(stop);
            }
            let name = format!("{round:x}-{thread:x}-{chunk:x}");
            let dir = match self.subdirectory(&name) {
                Ok(dir) => dir,
                Err(e) if is_full(e) => return Ok(Some(Stop::Exhausted(e.into()))),
                Err(e) => return Err(self.failed("mkdir", e)),
            };
            budget.fetch_sub(1, Ordering::Relaxed);
            if let Some(stop) = self.create_in(&dir, budget)? {
                return Ok(stop);
            }
        }
        Ok(None)
    }

    /// `None` when the directory is full; otherwise why this thread ends.
    fn create_in(&self, dir: &OwnedFd, budget: &AtomicI64) -> HostResult<Option<Option<Stop>>> {
        let mut name = String::with_capacity(16);
        for number in 0..FILES_PER_DIRECTORY {
            if number % BATCH == 0
                && let Some(stop) = self.stop(budget)
            {
                return Ok(Some(stop));
            }
            if budget.fetch_sub(1, Ordering::Relaxed) <= 0 {
                return Ok(Some(None));
            }
            name.clear();
            // writing to a string cannot fail
            let _ = write!(name, "{number:x}\0");
            let c_name = CStr::from_bytes_with_nul(name.as_bytes()).unwrap_or(c"x");
            match mknodat(dir, c_name, FileType::RegularFile, Mode::RUSR | Mode::WUSR, 0) {
                Ok(()) => self.taken.fetch_add(1, Ordering::Relaxed),
                Err(e) if is_full(e) => return Ok(Some(Some(Stop::Exhausted(e.into())))),
                Err(e) => return Err(self.failed("mknod", e)),
            };
        }
        Ok(None)
    }

    /// `Some(None)` when the budget is used up.
    fn stop(&self, budget: &AtomicI64) -> Option<Option<Stop>> {
        if budget.load(Ordering::Relaxed) <= 0 {
            return Some(None);
        }
        self.fill.interrupted().map(Some)
    }

    /// A new directory, or the one that an earlier fill with this marker has left.
    fn subdirectory(&self, name: &str) -> Result<OwnedFd, rustix::io::Errno> {
        let mut name = name.to_owned();
        loop {
            match mkdirat(&self.marker, &name, Mode::RWXU) {
                Ok(()) => break,
                Err(rustix::io::Errno::EXIST) => name.push('+'),
                Err(e) => return Err(e),
            }
        }
        self.taken.fetch_add(1, Ordering::Relaxed);
        openat(&self.marker, &name, DIRECTORY, Mode::empty())
    }

    fn free(&self) -> HostResult<u64> {
        Ok(fstatvfs(&self.marker).op("statfs", self.fill.dir)?.f_ffree)
    }

    fn failed(&self, op: &'static str, errno: rustix::io::Errno) -> HostError {
        HostError::sys(op, self.fill.dir.join(self.fill.marker), errno)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::host::fill::remove_filler;
    use crate::host::statfs::FsUsage;
    use crate::host::testing::{LoopFs, in_private_mounts, own_tmpfs};

    static RUN: AtomicBool = AtomicBool::new(false);

    fn fill(dir: &Path, leave: u64) -> Fill<'_> {
        let deadline = Instant::now() + Duration::from_secs(120);
        Fill { dir, marker: ".keelhaul-t", leave, cap: u64::MAX, deadline, cancel: &RUN }
    }

    fn cannot_create(dir: &Path) -> bool {
        File::create(dir.join("one more")).is_err_and(|e| e.raw_os_error() == Some(libc::ENOSPC))
    }

    fn exhausts_and_recovers(dir: &Path, threads: usize) {
        let before = FsUsage::of(dir).unwrap().inodes_free;
        let filled = fill_inodes(&fill(dir, 0), threads).unwrap();
        assert_eq!(filled.stopped, Stop::Exhausted(Errno(libc::ENOSPC)));
        assert!(cannot_create(dir));
        let again = fill_inodes(&fill(dir, 0), threads).unwrap();
        assert_eq!(again.taken, 0, "nothing was left to take");
        remove_filler(dir, ".keelhaul-t").unwrap();
        File::create(dir.join("one more")).unwrap();
        std::fs::remove_file(dir.join("one more")).unwrap();
        let after = FsUsage::of(dir).unwrap().inodes_free;
        // xfs gives freed chunks back in the background
        assert!(after + 256 >= before, "{after} of {before} inodes are free again");
    }

    fn leaves_exactly(dir: &Path) {
        for (leave, threads) in [(1, 1), (7, 2), (300, 3)] {
            let filled = fill_inodes(&fill(dir, leave), threads).unwrap();
            assert_eq!((filled.free, filled.stopped), (leave, Stop::Left));
            assert_eq!(FsUsage::of(dir).unwrap().inodes_free, leave);
            remove_filler(dir, ".keelhaul-t").unwrap();
        }
    }

    #[test]
    fn ext4_is_exhausted_and_recovers() {
        in_private_mounts(|| {
            let fs = LoopFs::new("ext4", 16 << 20, &["-N", "3000"], "");
            exhausts_and_recovers(&fs.dir, 2);
            leaves_exactly(&fs.dir);
        });
    }

    #[test]
    fn tmpfs_is_exhausted_and_recovers() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=64m,nr_inodes=2000");
            exhausts_and_recovers(&dir, 1);
            leaves_exactly(&dir);
        });
    }

    #[test]
    fn xfs_is_exhausted_and_recovers() {
        in_private_mounts(|| {
            let fs = LoopFs::new("xfs", 320 << 20, &["-i", "maxpct=1"], "");
            exhausts_and_recovers(&fs.dir, 2);
            let filled = fill_inodes(&fill(&fs.dir, 500), 2).unwrap();
            assert_eq!(filled.stopped, Stop::Left);
            assert!(filled.free.abs_diff(500) <= 64, "{} free", filled.free);
            remove_filler(&fs.dir, ".keelhaul-t").unwrap();
        });
    }

    #[test]
    fn cap_deadline_and_cancel_stop_it() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=64m,nr_inodes=9000");
            let capped = Fill { cap: 1000, ..fill(&dir, 0) };
            let filled = fill_inodes(&capped, 2).unwrap();
            assert_eq!((filled.taken, filled.stopped), (1000, Stop::Cap));
            let late = Fill { deadline: Instant::now(), ..fill(&dir, 0) };
            assert_eq!(fill_inodes(&late, 2).unwrap().stopped, Stop::Deadline);
            let cancel = AtomicBool::new(true);
            let cancelled = Fill { cancel: &cancel, ..fill(&dir, 0) };
            assert_eq!(fill_inodes(&cancelled, 2).unwrap().stopped, Stop::Cancelled);
            assert!(FsUsage::of(&dir).unwrap().inodes_free > 7000);
        });
    }

    #[test]
    fn a_file_system_without_a_limit_is_refused() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=1m,nr_inodes=0");
            assert!(fill_inodes(&fill(&dir, 0), 1).unwrap_err().is(libc::EOPNOTSUPP));
        });
    }
}
