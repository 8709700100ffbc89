//! Requests to a disk of ours, made to learn whether rules strike them.
//!
//! Proof by other system calls than those that armed the rules, on the very device that lies under
//! the filesystem, in chunks behind that filesystem's end. Nothing of it is read or changed.
#![expect(unsafe_code, reason = "sync_file_range has no wrapper in rustix or nix")]

use std::io::IoSlice;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::fs::{FallocateFlags, Mode, OFlags, SeekFrom, fallocate, open, seek};
use rustix::io::{Errno, ReadWriteFlags, pread, pwrite, pwritev2};

use super::attempts::{Progress, Until, side_by_side};
use super::byte_trial::{KNOWN, Moved, told};
use super::error::{Context, HostError, HostResult};
use crate::block::CHUNK;
use crate::protocol::{DiskOp, IoOp, MARGIN, TrialChunk, TriedBytes, TriedOp};

/// A chunk where direct I/O takes it.
#[repr(align(4096))]
struct Aligned([u8; CHUNK]);

/// Requests of one trial.
#[derive(Debug, Clone)]
pub struct DiskTries {
    /// Past the page cache.
    direct: Arc<OwnedFd>,
    /// Through it, as a filesystem's flush comes.
    cached: Arc<OwnedFd>,
    /// Where its chunks lie, in the order of the kinds.
    chunks: [u64; DiskOp::ALL.len()],
}

impl DiskTries {
    /// Opens the device of a disk for the n-th trial of a set of rules.
    ///
    /// # Errors
    /// The failed call.
    pub fn open(node: &Path, set: &str, round: u64) -> HostResult<Self> {
        let with = |flags| {
            let flags = OFlags::RDWR | OFlags::CLOEXEC | flags;
            open(node, flags, Mode::empty()).map(Arc::new).op("open", node)
        };
        let (direct, cached) = (with(OFlags::DIRECT)?, with(OFlags::empty())?);
        let size = seek(&cached, SeekFrom::End(0)).op("lseek", node)?;
        let margin = size.checked_sub(MARGIN).ok_or_else(|| {
            HostError::malformed("disk", format!("`{}` has no margin", node.display()))
        })?;
        let chunks = DiskOp::ALL.map(|op| margin + TrialChunk::of(set, round, op).offset());
        Ok(Self { direct, cached, chunks })
    }

    /// Tries kinds of requests side by side, each until it is hit, which it is too when it takes so
    /// many microseconds; and gives those up of which one is not back in this time.
    #[must_use]
    pub fn within(
        &self,
        ops: &[DiskOp],
        (most, slow_us): (u64, u64),
        time: Duration,
    ) -> Vec<TriedOp> {
        let (tries, until) = (self.clone(), Until { most, slow_us });
        let ops: Vec<IoOp> = ops.iter().map(|op| op.as_io()).collect();
        side_by_side(&ops, time, move |op, progress| tries.counting(op, until, progress))
    }

    fn counting(&self, io: IoOp, until: Until, progress: &Progress) -> TriedOp {
        let op = DiskOp::ALL.into_iter().find(|op| op.as_io() == io).unwrap_or(DiskOp::Read);
        let mut chunk = Box::new(Aligned([0x5a; CHUNK]));
        until.hit(io, progress, || self.attempt(op, &mut chunk.0))
    }

    fn attempt(&self, op: DiskOp, bytes: &mut [u8; CHUNK]) -> Result<(), Errno> {
        let at = self.chunks[op as usize];
        self.hear_of_others(at);
        let moved = match op {
            DiskOp::Read => pread(&self.direct, &mut bytes[..], at)?,
            DiskOp::Write => pwrite(&self.direct, &bytes[..], at)?,
            DiskOp::Flush => self.flush(at, bytes)?,
            DiskOp::Discard => {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                fallocate(&self.direct, flags, at, CHUNK as u64)?;
                CHUNK
            }
        };
        if moved == CHUNK { Ok(()) } else { Err(Errno::IO) }
    }

    /// Moves known bytes by reads or by writes, until not all of them arrive: what is written is read
    /// back, and what is read was written before.
    #[must_use]
    pub fn of_bytes(&self, op: DiskOp, most: u64) -> TriedBytes {
        let mut attempts = 0;
        loop {
            let known = [KNOWN[usize::from(attempts % 2 == 1)]; CHUNK];
            attempts += 1;
            let before = self.beside(op, &known);
            let tried = told(op.as_io(), &known, &self.moved(op, known), attempts);
            let astray = self.beside(op, &known).saturating_sub(before);
            let tried = TriedBytes { astray, ..tried };
            if tried.hit() || attempts >= most {
                return tried;
            }
        }
    }

    fn moved(&self, op: DiskOp, known: [u8; CHUNK]) -> Moved {
        let at = self.chunks[op as usize];
        let known = Box::new(Aligned(known));
        let before = match op {
            DiskOp::Write => self.there(at).1,
            _ => vec![0; CHUNK],
        };
        self.hear_of_others(at);
        let written = pwrite(&self.direct, &known.0[..], at);
        let (read, now) = self.there(at);
        Moved { said: written.and(read), before, now }
    }

    /// How many of these bytes are where a write lands that goes astray.
    fn beside(&self, op: DiskOp, known: &[u8]) -> u64 {
        if op != DiskOp::Write {
            return 0;
        }
        let (_, found) = self.there(self.chunks[op as usize] - TrialChunk::ASTRAY);
        found.iter().zip(known).filter(|(found, known)| found == known).count() as u64
    }

    fn there(&self, at: u64) -> (Result<usize, Errno>, Vec<u8>) {
        let mut bytes = Box::new(Aligned([0; CHUNK]));
        let read = pread(&self.direct, &mut bytes.0[..], at);
        (read, bytes.0.to_vec())
    }

    /// Writes a chunk, which says whose flush comes next, and flushes. Of the page cache no more than
    /// that chunk is written.
    fn flush(&self, at: u64, bytes: &[u8; CHUNK]) -> Result<usize, Errno> {
        pwritev2(&self.cached, &[IoSlice::new(bytes)], at, ReadWriteFlags::DSYNC)
    }

    /// Takes what is owed for pages of others that were not written back, such as a superblock while
    /// a rule was in force: it would be told to our next request, as if that had failed. Direct
    /// requests look for it too (`filemap_write_and_wait_range`, `filemap_check_errors`); a wait for
    /// a range clears it (`file_check_and_advance_wb_err` in mm/filemap.c), and sends nothing.
    fn hear_of_others(&self, at: u64) {
        let offset = i64::try_from(at).unwrap_or(i64::MAX);
        let (length, wait) = (CHUNK as i64, libc::SYNC_FILE_RANGE_WAIT_BEFORE);
        // SAFETY: it takes numbers only, and the descriptor is open
        let _ = unsafe { libc::sync_file_range(self.cached.as_raw_fd(), offset, length, wait) };
    }
}
