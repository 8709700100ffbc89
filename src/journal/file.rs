//! The journal as a file: append, sync, room in reserve.
//!
//! Room for the next records is allocated before a `pending` record is written, so that what must
//! follow it (outcome, undo) cannot fail for want of space: no room, no injection. The kernel keeps
//! the allocation beyond the file's size, so the size is always where the records end.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{FallocateFlags, fallocate};

use super::{
    JournalError,
    frame::encode,
    record::{Header, Record},
    replay::{Replay, replay},
};
use crate::failpoint;

/// Bytes kept allocated beyond the end after every `pending` record.
pub const ROOM: u64 = 256 * 1024;

/// An open journal, and what it says.
#[derive(Debug)]
pub struct JournalFile {
    file: File,
    path: PathBuf,
    allocated: u64,
    replay: Replay,
}

impl JournalFile {
    /// Starts a journal. Its header is durable on return.
    ///
    /// # Errors
    /// When there is one already, or no room for one.
    pub fn create(path: &Path, header: &Header) -> Result<Self, JournalError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(path);
        let file = file.map_err(|source| io_error("create", path, source))?;
        let replay = Replay { header: Some(header.clone()), ..Replay::default() };
        let mut journal = Self { file, path: path.to_owned(), allocated: 0, replay };
        let line = encode(&to_json(header)?);
        journal.make_room(line.len() as u64)?;
        journal.write(&line)?;
        journal.sync()?;
        sync_directory(path)?;
        Ok(journal)
    }

    /// Opens a journal to go on with it; a torn tail is cut off.
    ///
    /// # Errors
    /// When it cannot be read, or another format version wrote it.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let bytes = fs::read(path).map_err(|source| io_error("read", path, source))?;
        let replay = replay(&bytes)?;
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|source| io_error("open", path, source))?;
        file.set_len(replay.whole).map_err(|source| io_error("trim", path, source))?;
        let allocated = replay.whole;
        Ok(Self { file, path: path.to_owned(), allocated, replay })
    }

    /// What it says.
    #[must_use]
    pub fn replay(&self) -> &Replay {
        &self.replay
    }

    /// Appends a record, durable on return.
    ///
    /// # Errors
    /// When there is no room, or the kernel refuses.
    pub fn append(&mut self, record: Record) -> Result<(), JournalError> {
        self.add(record)?;
        self.sync()
    }

    /// Appends a record that need not be durable yet: losing it costs an idempotent undo only.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn add(&mut self, record: Record) -> Result<(), JournalError> {
        let line = encode(&to_json(&record)?);
        if matches!(record, Record::Pending { .. }) {
            self.make_room(line.len() as u64 + ROOM)?;
        }
        self.write(&line)?;
        self.replay.take(record);
        failpoint::journal_written();
        Ok(())
    }

    /// Makes everything appended durable.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn sync(&self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(|source| io_error("sync", &self.path, source))
    }

    fn make_room(&mut self, bytes: u64) -> Result<(), JournalError> {
        let wanted = self.replay.whole + bytes;
        if wanted <= self.allocated {
            return Ok(());
        }
        let size = wanted + ROOM - self.replay.whole;
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.replay.whole, size) {
            // where the filesystem cannot reserve, the write itself is the test
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {
                self.allocated = self.replay.whole + size;
                Ok(())
            }
            Err(errno) => {
                let path = self.path.display().to_string();
                Err(JournalError::NoRoom { path, bytes, source: errno.into() })
            }
        }
    }

    fn write(&mut self, line: &[u8]) -> Result<(), JournalError> {
        let written = self.file.write_all_at(line, self.replay.whole);
        written.map_err(|source| io_error("write", &self.path, source))?;
        self.replay.whole += line.len() as u64;
        Ok(())
    }
}

fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>, JournalError> {
    serde_json::to_vec(value).map_err(|error| JournalError::Encode(error.to_string()))
}

/// A new name is durable only when its directory is.
fn sync_directory(path: &Path) -> Result<(), JournalError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| io_error("sync the directory of", path, source))
}

fn io_error(act: &'static str, path: &Path, source: io::Error) -> JournalError {
    JournalError::Io { act, path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Entry, EntryId, EntryState, Op, VERSION};

    fn header() -> Header {
        Header {
            version: VERSION,
            run: "r".into(),
            build: "b".into(),
            boot_id: "boot".into(),
            created_ms: 0,
        }
    }

    fn arm(again: Option<Vec<crate::protocol::Series>>) -> Op {
        let (interposer, set) = ("i".into(), "s".into());
        Op::ArmRules { interposer, set, seed: 7, rules: Vec::new(), again }
    }

    fn entry() -> Entry {
        let extents = vec![(0, "AAAA".to_owned())];
        let ops = vec![Op::WriteImage { name: "i".into(), extents }, arm(Some(Vec::new()))];
        Entry { what: "w".into(), ops, undo: vec![Op::Nothing], expires_ms: None }
    }

    #[test]
    fn what_was_appended_is_there_after_a_crash_in_the_middle_of_a_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.log");
        let mut journal = JournalFile::create(&path, &header()).unwrap();
        journal.append(Record::pending(EntryId(1), &entry(), None)).unwrap();
        drop(journal);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(b"0000ffff 00");
        fs::write(&path, bytes).unwrap();

        let mut journal = JournalFile::open(&path).unwrap();
        assert!(journal.replay().torn);
        assert_eq!(journal.replay().open_entries(), vec![EntryId(1)]);
        let kept = &journal.replay().slots[&EntryId(1)];
        assert_eq!(kept.state, EntryState::Pending);
        let image = Op::WriteImage { name: "i".into(), extents: vec![] };
        assert_eq!(kept.entry.ops, vec![image, arm(None)]);
        let undone = Record::Undone { id: EntryId(1), problems: vec![], pending: vec![] };
        journal.append(undone).unwrap();
        drop(journal);
        let journal = JournalFile::open(&path).unwrap();
        assert!(!journal.replay().torn && journal.replay().open_entries().is_empty());
    }

    #[test]
    fn a_second_journal_in_the_same_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.log");
        JournalFile::create(&path, &header()).unwrap();
        assert!(matches!(JournalFile::create(&path, &header()), Err(JournalError::Io { .. })));
    }

    #[test]
    fn without_room_nothing_is_written() {
        // a file size limit stands in for a full disk: both refuse the reservation
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.log");
        let mut journal = JournalFile::create(&path, &header()).unwrap();
        let before = fs::read(&path).unwrap();
        let mut huge = entry();
        huge.undo = vec![];
        journal.allocated = 0;
        journal.replay.whole = i64::MAX as u64 - 4096;
        let refused = journal.append(Record::pending(EntryId(1), &huge, None));
        assert!(matches!(refused, Err(JournalError::NoRoom { .. })), "{refused:?}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}
