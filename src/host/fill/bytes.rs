//! Takes bytes with as few fallocate(2) calls as possible.
//!
//! Measured (kernel 6.18): one call takes gigabytes in milliseconds on ext4 and xfs, as it only
//! marks extents; on tmpfs it takes memory. Root may use the reserve, so the goal is `f_bfree`, not
//! what `df` calls available. A call that fails with `ENOSPC` may keep what it had got, so the next,
//! smaller one goes on behind it. Even at the end ext4 calls some blocks free that it keeps
//! for its own metadata (`FsUsage::bytes_unusable`): with `leave: 0` the refusal of one single block
//! is the end, not a count.

use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fstatvfs, openat};

use super::{Fill, Filled, Stop, is_full, open_marker};
use crate::host::errno::Errno;
use crate::host::error::{Context, HostError, HostResult};
use crate::host::statfs::FsUsage;

/// The file in the marker directory.
const FILE: &str = "bytes";
/// Below this many blocks it goes block by block: each may cost a block of metadata too.
const LAST_BLOCKS: u64 = 64;
/// The most one write(2) takes when fallocate is not supported.
const WRITE: u64 = 1 << 20;

/// Takes bytes until `leave` are free (for root) or not one block more can be had.
///
/// # Errors
/// `EOPNOTSUPP` on a file system without a limit of size; any failure other than a full file
/// system. What was taken until then is left for [`super::remove_filler`].
pub fn fill_bytes(fill: &Fill<'_>) -> HostResult<Filled> {
    let usage = FsUsage::of(fill.dir)?;
    if usage.bytes_total == 0 {
        return Err(HostError::sys("fill bytes of", fill.dir, Errno(libc::EOPNOTSUPP)));
    }
    let full =
        Filled { taken: 0, free: usage.bytes_free, stopped: Stop::Exhausted(Errno(libc::ENOSPC)) };
    let Some(file) = open_filler(fill.dir, fill.marker)? else { return Ok(full) };
    let end = rustix::fs::fstat(&file).op("stat", fill.dir)?.st_size;
    let mut work = Work {
        fill,
        file,
        block: usage.block_size,
        unusable: usage.bytes_unusable(),
        offset: u64::try_from(end).unwrap_or_default(),
        by_write: false,
    };
    let stopped = work.run(usage.bytes_free)?;
    let free = work.free()?;
    Ok(Filled { taken: usage.bytes_free.saturating_sub(free), free, stopped })
}

/// Opens the one file that is filled with bytes, in its marker directory; both are made if they are
/// not there. `None` when not even that much room is left.
///
/// # Errors
/// The failed call.
pub fn open_filler(dir: &Path, marker: &str) -> HostResult<Option<OwnedFd>> {
    let (Some(directory), _) = open_marker(dir, marker)? else { return Ok(None) };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(&directory, FILE, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(Some(file)),
        Err(e) if is_full(e) => Ok(None),
        Err(e) => Err(HostError::sys("open", dir.join(marker).join(FILE), e)),
    }
}

struct Work<'a> {
    fill: &'a Fill<'a>,
    file: OwnedFd,
    block: u64,
    /// Bytes that no one can have although they count as free.
    unusable: u64,
    /// Where the next piece goes: behind all that was tried.
    offset: u64,
    by_write: bool,
}

impl Work<'_> {
    fn run(&mut self, free_before: u64) -> HostResult<Stop> {
        let mut most = u64::MAX;
        loop {
            if let Some(stop) = self.fill.interrupted() {
                return Ok(stop);
            }
            let free = self.free()?;
            let surplus = match self.fill.leave {
                0 => free.max(self.block),
                leave => free.saturating_sub(leave + self.unusable),
            };
            let room = self.fill.cap.saturating_sub(free_before.saturating_sub(free));
            if surplus < self.block {
                return Ok(Stop::Left);
            }
            if room < self.block {
                return Ok(Stop::Cap);
            }
            let last = LAST_BLOCKS * self.block;
            let wanted = surplus.min(room);
            let wanted = if self.fill.leave == 0 && wanted == surplus {
                wanted
            } else if wanted > last {
                wanted - last
            } else {
                self.block
            };
            let size = self.whole_blocks(wanted.min(most));
            match self.take(size) {
                Ok(()) => {}
                Err(e) if is_full(e) && size <= self.block => return Ok(Stop::Exhausted(e.into())),
                Err(e) if is_full(e) => most = size / 2,
                Err(rustix::io::Errno::OPNOTSUPP) if !self.by_write => self.by_write = true,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(HostError::sys("fallocate", self.path(), e)),
            }
        }
    }

    fn whole_blocks(&self, bytes: u64) -> u64 {
        (bytes / self.block).max(1) * self.block
    }

    fn take(&mut self, size: u64) -> Result<(), rustix::io::Errno> {
        if self.by_write {
            return self.write(size);
        }
        let result = fallocate(&self.file, FallocateFlags::empty(), self.offset, size);
        if result != Err(rustix::io::Errno::OPNOTSUPP) {
            self.offset += size;
        }
        result
    }

    fn write(&mut self, size: u64) -> Result<(), rustix::io::Errno> {
        let size = usize::try_from(size.min(WRITE)).unwrap_or(4096);
        let written = rustix::io::pwrite(&self.file, &vec![0xa5; size], self.offset)?;
        self.offset += written as u64;
        // without it, delayed allocation hides that the file system is full
        rustix::fs::fdatasync(&self.file)
    }

    fn free(&self) -> HostResult<u64> {
        let numbers = fstatvfs(&self.file).op("statfs", self.fill.dir)?;
        Ok(numbers.f_bfree * numbers.f_frsize.max(1))
    }

    fn path(&self) -> std::path::PathBuf {
        let marker: &Path = self.fill.marker.as_ref();
        self.fill.dir.join(marker).join(FILE)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::host::fill::remove_filler;
    use crate::host::probe_write::{Attempt, try_write};
    use crate::host::testing::{LoopFs, in_private_mounts, own_tmpfs};

    static RUN: AtomicBool = AtomicBool::new(false);

    fn fill(dir: &Path, leave: u64) -> Fill<'_> {
        let deadline = Instant::now() + Duration::from_secs(120);
        Fill { dir, marker: ".keelhaul-t", leave, cap: u64::MAX, deadline, cancel: &RUN }
    }

    /// Fills to the end and to a rest of 4 MiB; a writer of more than the rest must fail.
    fn fills_and_recovers(dir: &Path) {
        let before = FsUsage::of(dir).unwrap();
        let filled = fill_bytes(&fill(dir, 0)).unwrap();
        assert_eq!(filled.stopped, Stop::Exhausted(Errno(libc::ENOSPC)));
        let attempt = try_write(dir, 1 << 16).unwrap();
        assert_eq!(attempt.errno(), Some(Errno(libc::ENOSPC)), "{attempt:?}");
        assert!(filled.free <= before.bytes_unusable() + (1 << 18), "{filled:?} {before:?}");
        remove_filler(dir, ".keelhaul-t").unwrap();
        let leave = 4 << 20;
        let filled = fill_bytes(&fill(dir, leave)).unwrap();
        assert_eq!(filled.stopped, Stop::Left);
        assert!(filled.free.abs_diff(leave + before.bytes_unusable()) <= 64 << 10, "{filled:?}");
        assert_eq!(try_write(dir, 3 << 20).unwrap(), Attempt::Ok);
        let attempt = try_write(dir, 6 << 20).unwrap();
        assert_eq!(attempt.errno(), Some(Errno(libc::ENOSPC)), "{attempt:?}");
        remove_filler(dir, ".keelhaul-t").unwrap();
        assert_eq!(try_write(dir, 6 << 20).unwrap(), Attempt::Ok);
    }

    #[test]
    fn ext4_runs_full_and_recovers() {
        in_private_mounts(|| {
            let fs = LoopFs::new("ext4", 64 << 20, &[], "");
            fills_and_recovers(&fs.dir);
        });
    }

    #[test]
    fn xfs_runs_full_and_recovers() {
        in_private_mounts(|| {
            let fs = LoopFs::new("xfs", 320 << 20, &[], "");
            fills_and_recovers(&fs.dir);
        });
    }

    #[test]
    fn tmpfs_runs_full_and_recovers() {
        in_private_mounts(|| fills_and_recovers(&own_tmpfs("size=16m")));
    }

    #[test]
    fn a_fill_that_found_no_room_leaves_no_partial_file_that_its_undo_does_not_know() {
        in_private_mounts(|| {
            // the second has room for its directory, and not for the file in it
            for options in ["size=16m", "size=16m,nr_inodes=2"] {
                let dir = own_tmpfs(options);
                match fill_bytes(&fill(&dir, 0)) {
                    Ok(filled) => assert_eq!(filled.stopped, Stop::Exhausted(Errno(libc::ENOSPC))),
                    Err(error) => assert!(error.is(libc::ENOSPC), "{error}"),
                }
                // by its name alone, as after a crash
                remove_filler(&dir, ".keelhaul-t").unwrap();
                assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "{options}");
            }
        });
    }

    #[test]
    fn without_fallocate_it_writes() {
        in_private_mounts(|| {
            // ext4 without extents refuses fallocate
            let fs = LoopFs::new("ext4", 16 << 20, &["-O", "^extents,^64bit,^has_journal"], "");
            let filled = fill_bytes(&fill(&fs.dir, 0)).unwrap();
            assert_eq!(filled.stopped, Stop::Exhausted(Errno(libc::ENOSPC)));
            let attempt = try_write(&fs.dir, 1 << 16).unwrap();
            assert_eq!(attempt.errno(), Some(Errno(libc::ENOSPC)));
        });
    }

    #[test]
    fn the_cap_holds_and_no_limit_is_refused() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=16m");
            let filled = fill_bytes(&Fill { cap: 1 << 20, ..fill(&dir, 0) }).unwrap();
            assert_eq!((filled.taken, filled.stopped), (1 << 20, Stop::Cap));
            assert_eq!(fs::metadata(dir.join(".keelhaul-t/bytes")).unwrap().len(), 1 << 20);
            let unlimited = own_tmpfs("size=0");
            assert!(fill_bytes(&fill(&unlimited, 0)).unwrap_err().is(libc::EOPNOTSUPP));
        });
    }
}
