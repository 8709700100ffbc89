//! How fast a device takes or gives bytes, measured past the page cache.
//!
//! Works on a file without a name (`O_TMPFILE`), so that nothing is left of it whenever it is
//! interrupted. Which cgroup the operations count for is the caller's: the one it is in.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, fsync, open};
use rustix::io::{pread, pwrite};

use super::error::{Context, HostError, HostResult};
use crate::protocol::{Direction, Pace, PaceTrial};

/// Direct I/O wants memory and offsets aligned to the device's blocks: none has larger ones.
const ALIGNMENT: usize = 4096;
/// Blocks of the file; an operation takes the next one, and the first after the last.
const BLOCKS: u64 = 8;

/// A file without a name, written once, so that no later write allocates anything.
#[derive(Debug)]
pub struct Scratch {
    file: OwnedFd,
    buffer: Vec<u8>,
    start: usize,
    block: usize,
}

impl Scratch {
    /// Makes one on the filesystem of `dir`, for operations of `block` bytes.
    ///
    /// # Errors
    /// `EOPNOTSUPP` where the filesystem has no such files, `ENOSPC` when it is full.
    pub fn new(dir: &Path, block: u32) -> HostResult<Self> {
        let block = usize::try_from(block).unwrap_or(ALIGNMENT);
        if block == 0 || !block.is_multiple_of(ALIGNMENT) {
            return Err(HostError::malformed("block", format!("{block} is not aligned")));
        }
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::DIRECT | OFlags::CLOEXEC;
        let file = open(dir, flags, Mode::RUSR | Mode::WUSR).op("open", dir)?;
        let buffer = vec![0x5a; block + ALIGNMENT];
        let start = buffer.as_ptr().align_offset(ALIGNMENT);
        let mut scratch = Self { file, buffer, start, block };
        for at in 0..BLOCKS {
            scratch.step(Direction::Write, at).op("write", dir)?;
        }
        fsync(&scratch.file).op("fsync", dir)?;
        Ok(scratch)
    }

    /// Does operations one after the other, and counts them.
    ///
    /// # Errors
    /// The failed call.
    pub fn pace(&mut self, trial: PaceTrial) -> HostResult<Pace> {
        let most = Duration::from_millis(trial.most_ms);
        let started = Instant::now();
        let mut operations = 0;
        while operations < trial.operations && started.elapsed() < most {
            let op = if trial.direction == Direction::Read { "read" } else { "write" };
            self.step(trial.direction, operations % BLOCKS).op(op, "scratch")?;
            operations += 1;
        }
        Ok(Pace {
            operations,
            bytes: operations.saturating_mul(self.block as u64),
            took_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX).max(1),
        })
    }

    fn step(&mut self, direction: Direction, at: u64) -> Result<(), rustix::io::Errno> {
        let offset = at * self.block as u64;
        let block = &mut self.buffer[self.start..self.start + self.block];
        let done = match direction {
            Direction::Read => pread(&self.file, block, offset)?,
            Direction::Write => pwrite(&self.file, block, offset)?,
        };
        if done == self.block { Ok(()) } else { Err(rustix::io::Errno::IO) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::testing::{LoopFs, in_private_mounts};

    #[test]
    fn both_ways_are_counted_and_nothing_is_left() {
        in_private_mounts(|| {
            let fs = LoopFs::new("ext4", 16 << 20, &[], "");
            let before = std::fs::read_dir(&fs.dir).unwrap().count();
            let mut scratch = Scratch::new(&fs.dir, 8192).unwrap();
            for direction in [Direction::Write, Direction::Read] {
                let trial = PaceTrial { direction, block: 8192, operations: 20, most_ms: 20_000 };
                let pace = scratch.pace(trial).unwrap();
                assert_eq!((pace.operations, pace.bytes), (20, 20 * 8192));
                let none = scratch.pace(PaceTrial { most_ms: 0, ..trial }).unwrap();
                assert_eq!(none.operations, 0);
            }
            assert_eq!(std::fs::read_dir(&fs.dir).unwrap().count(), before);
            assert!(Scratch::new(&fs.dir, 100).is_err());
        });
    }
}
