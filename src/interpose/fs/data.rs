//! The bytes of files that are not left to the kernel, and what is done to files as a whole.

use std::{
    cell::RefCell,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

use rustix::{
    fs::{FallocateFlags, SeekFrom, copy_file_range, fallocate, fdatasync, fstat, fsync, seek},
    io::{Errno, pread, pwrite},
};

use super::{Fs, Who, open::Open};
use crate::interpose::rules::Strike;

/// Bytes of a copy that go through our own memory at a time.
const MOST_COPIED: u64 = 1 << 20;

/// Tries that are made again because a signal came in between.
fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// Where a disk takes bytes from memory, whatever its blocks are.
const EVEN: usize = 4096;

thread_local! {
    /// What is written past the page cache.
    static WRITTEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// So many bytes of a buffer, from where a disk takes them.
pub(super) fn even(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    buffer.resize(buffer.len().max(length + EVEN), 0);
    let skip = buffer.as_ptr().align_offset(EVEN);
    &mut buffer[skip..skip + length]
}

/// Past the page cache, where the file is open so. What does not lie even goes through it: the end of
/// a file, and parts that rules leave of an operation.
fn moved(
    open: &Open,
    mut call: impl FnMut(BorrowedFd<'_>) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    match open.direct().map(|file| again(|| call(file))) {
        None | Some(Err(Errno::INVAL)) => again(|| call(open.file())),
        Some(done) => done,
    }
}

/// Reads as much as there is, up to the buffer's length; how much that was.
pub(super) fn read(open: &Open, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let mut done = 0;
    while done < buffer.len() {
        let read = moved(open, |file| pread(file, &mut buffer[done..], offset + done as u64));
        match read {
            Ok(0) => break,
            Ok(bytes) => done += bytes,
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

/// Reads all of what is known to be there.
pub(super) fn fill(file: impl AsFd, buffer: &mut [u8], offset: u64) -> Result<(), Errno> {
    let mut done = 0;
    while done < buffer.len() {
        match again(|| pread(&file, &mut buffer[done..], offset + done as u64))? {
            // a filesystem that others change too: what is gone reads as zeros
            0 => break,
            read => done += read,
        }
    }
    Ok(())
}

/// Writes all of it.
pub(super) fn put_back(file: impl AsFd, old: &[u8], offset: u64) -> Result<(), Errno> {
    let mut done = 0;
    while done < old.len() {
        match again(|| pwrite(&file, &old[done..], offset + done as u64))? {
            0 => return Err(Errno::NOSPC),
            written => done += written,
        }
    }
    Ok(())
}

/// Writes; how much was written.
pub(super) fn write(open: &Open, data: &[u8], offset: u64) -> Result<usize, Errno> {
    open.wrote();
    if open.direct().is_none() {
        return write_all(open, data, offset);
    }
    WRITTEN.with_borrow_mut(|buffer| {
        let copy = even(buffer, data.len());
        copy.copy_from_slice(data);
        write_all(open, copy, offset)
    })
}

fn write_all(open: &Open, data: &[u8], offset: u64) -> Result<usize, Errno> {
    let mut done = 0;
    while done < data.len() {
        match moved(open, |file| pwrite(file, &data[done..], offset + done as u64)) {
            Ok(0) => break,
            Ok(bytes) => done += bytes,
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

/// What a write makes durable by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    /// Its data, and what it takes to find it (`O_DSYNC`).
    Data,
    /// All that is known of the file (`O_SYNC`).
    Whole,
}

impl Durable {
    /// As the flags of its file say; none where it does not. `O_SYNC` has the bit of `O_DSYNC` in it.
    pub(super) fn of(flags: i32) -> Option<Self> {
        let has = |bits| flags & bits == bits;
        if has(libc::O_SYNC) { Some(Self::Whole) } else { has(libc::O_DSYNC).then_some(Self::Data) }
    }
}

pub(super) fn sync(open: &Open, data_alone: bool) -> Result<(), Errno> {
    if data_alone { fdatasync(open.file()) } else { fsync(open.file()) }
}

pub(super) fn allocate(open: &Open, (offset, length): (u64, u64), mode: i32) -> Result<(), Errno> {
    let mode = FallocateFlags::from_bits_retain(mode.cast_unsigned());
    again(|| fallocate(open.file(), mode, offset, length))
}

/// Where the next data or hole is.
pub(super) fn next(open: &Open, offset: i64, whence: i32) -> Result<i64, Errno> {
    let from = u64::try_from(offset).map_err(|_| Errno::NXIO)?;
    let to = match whence {
        libc::SEEK_DATA => SeekFrom::Data(from),
        libc::SEEK_HOLE => SeekFrom::Hole(from),
        _ => return Err(Errno::INVAL),
    };
    i64::try_from(seek(open.file(), to)?).map_err(|_| Errno::OVERFLOW)
}

/// Where a file ends.
fn end(open: &Open) -> Option<u64> {
    u64::try_from(fstat(open.file()).ok()?.st_size).ok()
}

/// How many bytes there are from an offset on.
pub(super) fn left(open: &Open, offset: u64) -> u64 {
    end(open).unwrap_or_default().saturating_sub(offset)
}

/// Where a write goes. An append goes to the end as it is: after a write that failed in its middle
/// the kernel does not know that the file has grown (fs/fuse/file.c, `fuse_write_update_attr`). It
/// holds the inode's lock meanwhile, so nobody else appends.
pub(super) fn place(open: &Open, offset: u64, flags: i32) -> u64 {
    match flags & libc::O_APPEND {
        0 => offset,
        _ => end(open).unwrap_or(offset),
    }
}

/// What a write that is struck writes.
pub(super) fn shaped(data: &[u8], strike: &Strike) -> Vec<u8> {
    let keep = strike.keep.and_then(|keep| usize::try_from(keep).ok()).unwrap_or(data.len());
    let mut data = data[..keep.min(data.len())].to_vec();
    strike.harm.iter().for_each(|harm| harm.apply(&mut data));
    data
}

impl Fs {
    /// How much of a copy there is to be done, as far as rules want to know.
    pub(super) fn there_to_copy(&self, from: u64, (offset, length): (u64, u64)) -> u64 {
        match self.opened.get(from) {
            Ok(open) if self.armed.touches_bytes() => length.min(left(&open, offset)),
            _ => length,
        }
    }

    /// What a copy that is struck writes: as much as a read takes at a time.
    pub(super) fn to_be_copied(
        &self,
        from: u64,
        (offset, length): (u64, u64),
        strike: &Strike,
    ) -> Result<Vec<u8>, Errno> {
        let open = self.opened.get(from)?;
        let length = length.min(MOST_COPIED);
        let mut data = vec![0; usize::try_from(length).unwrap_or_default()];
        let read = read(&open, &mut data, offset)?;
        Ok(shaped(&data[..read], strike))
    }

    /// Copies between two open files, in the filesystem beneath; how much.
    pub(super) fn copy(
        &self,
        (from, mut from_offset): (u64, u64),
        (who, to, mut to_offset): (Who, u64, u64),
        length: u64,
    ) -> Result<usize, Errno> {
        let (from, to): (Arc<Open>, Arc<Open>) = (self.opened.get(from)?, self.opened.get(to)?);
        self.drop_set_id_for(who, &to.node)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        to.wrote();
        let (input, output) = (Some(&mut from_offset), Some(&mut to_offset));
        copy_file_range(from.file(), input, to.file(), output, length)
    }
}
