//! Directories: their entries, in the order and with the offsets of the filesystem beneath.

use std::{
    collections::HashMap,
    ffi::OsStr,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use fuser::{INodeNo, ReplyDirectory};
use rustix::{
    fs::{Mode, OFlags, RawDir, SeekFrom, open, seek},
    io::Errno,
};

use super::{
    Fs,
    attr::{kind, path_of},
    table::lock,
};

/// Bytes of entries read at a time: more than one answer takes.
const BUFFER: usize = 64 << 10;

/// Open directories. Each has one reader at a time.
#[derive(Default)]
pub(super) struct Directories {
    open: Mutex<HashMap<u64, Arc<Mutex<OwnedFd>>>>,
    last: AtomicU64,
}

impl Directories {
    pub(super) fn get(&self, fh: u64) -> Result<Arc<Mutex<OwnedFd>>, Errno> {
        lock(&self.open).get(&fh).cloned().ok_or(Errno::BADF)
    }

    pub(super) fn close(&self, fh: u64) {
        let dir = lock(&self.open).remove(&fh);
        drop(dir);
    }
}

impl Fs {
    pub(super) fn open_dir(&self, ino: u64) -> Result<u64, Errno> {
        let fd = self.table.fd(&self.table.node(ino)?)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = open(path_of(fd.as_fd()), flags, Mode::empty())?;
        let fh = self.directories.last.fetch_add(1, Ordering::Relaxed) + 1;
        lock(&self.directories.open).insert(fh, Arc::new(Mutex::new(dir)));
        Ok(fh)
    }

    /// Puts entries from an offset on into an answer, until it is full or there are no more.
    pub(super) fn read_dir(
        &self,
        fh: u64,
        offset: u64,
        reply: &mut ReplyDirectory,
    ) -> Result<(), Errno> {
        let dir = self.directories.get(fh)?;
        let dir = lock(&dir);
        seek(&*dir, SeekFrom::Start(offset))?;
        let mut buffer = Vec::with_capacity(BUFFER);
        let mut entries = RawDir::new(&*dir, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name.as_bytes().starts_with(self.mark.as_bytes()) {
                continue;
            }
            let (ino, next) = (INodeNo(entry.ino()), entry.next_entry_cookie());
            if reply.add(ino, next, kind(entry.file_type()), name) {
                break;
            }
        }
        Ok(())
    }
}
