//! Directories: their entries, in the order and with the offsets of the filesystem beneath.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::{OsStr, OsString},
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
    Fs, Who,
    attr::{kind, path_of},
    sight::Kept,
    strike::At,
    table::lock,
};
use crate::{interpose::veil::Seen, protocol::IoOp};

/// Bytes of entries read at a time: more than one answer takes.
const BUFFER: usize = 64 << 10;

/// Where entries are that are not there any more: behind all that a filesystem has, and before the
/// end that some of them give as the last offset (ext4, btrfs).
const GONE: u64 = i64::MAX.cast_unsigned() - (1 << 16);

/// Names that somebody does not see as they are.
type LateNames = BTreeMap<OsString, (bool, Option<Kept>)>;

/// How many of those that are gone come before this offset; none among those that are there.
fn past_the_end(offset: u64) -> Option<u64> {
    (GONE..i64::MAX.cast_unsigned()).contains(&offset).then(|| offset - GONE)
}

/// Adds those that are gone, from one on, until the answer is full.
fn add_gone(late: &LateNames, first: u64, reply: &mut ReplyDirectory) {
    let gone = late.iter().filter(|(_, (is_there, _))| !is_there);
    let gone = gone.filter_map(|(name, (_, kept))| Some((name, kept.as_ref()?)));
    for ((name, kept), next) in gone.zip(1..).skip(usize::try_from(first).unwrap_or(usize::MAX)) {
        if reply.add(INodeNo(kept.ino), GONE + next, kept.kind, name) {
            return;
        }
    }
}

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
        let node = self.table.node(ino)?;
        let fd = self.table.fd(&node)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        // one of our own is none beneath
        let flags = if node.own.is_none() { flags | OFlags::DIRECTORY } else { flags };
        let dir = open(path_of(fd.as_fd()), flags, Mode::empty())?;
        let fh = self.directories.last.fetch_add(1, Ordering::Relaxed) + 1;
        lock(&self.directories.open).insert(fh, Arc::new(Mutex::new(dir)));
        Ok(fh)
    }

    /// Puts entries from an offset on into an answer, until it is full or there are no more.
    pub(super) fn read_dir(
        &self,
        who: Who,
        (ino, fh): (u64, u64),
        offset: u64,
        reply: &mut ReplyDirectory,
    ) -> Result<(), Errno> {
        if self.table.node(ino)?.own.is_some() {
            return Ok(());
        }
        let late = self.late_in(who, ino);
        if let Some(first) = past_the_end(offset) {
            add_gone(&late, first, reply);
            return Ok(());
        }
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
            let (ino, kind) = match late.get(name) {
                None => (entry.ino(), kind(entry.file_type())),
                Some((_, Some(before))) => (before.ino, before.kind),
                Some((_, None)) => continue,
            };
            if reply.add(INodeNo(ino), entry.next_entry_cookie(), kind, name) {
                return Ok(());
            }
        }
        add_gone(&late, 0, reply);
        Ok(())
    }

    /// Names in a directory that somebody does not see as they are: whether something has the name,
    /// and what had it.
    fn late_in(&self, who: Who, directory: u64) -> LateNames {
        let mut late = LateNames::new();
        for (name, is_there) in self.hidden_in(directory) {
            let strike = self.strike(who, IoOp::Stat, At::Name(directory, &name));
            match strike.late.map(|late| self.seen(directory, &name, late)) {
                None | Some(Seen::Now) => {}
                Some(Seen::Nothing) => drop(late.insert(name, (is_there, None))),
                Some(Seen::Before(kept)) => drop(late.insert(name, (is_there, Some(kept)))),
            }
        }
        late
    }
}
