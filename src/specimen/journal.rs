//! The state journal: records appended to one file, each durable before it is acknowledged.
//!
//! Blocking; the thread in `records` owns it. What it promises: after any error the file is what
//! it was before the attempt, and after a crash a torn tail is cut off, not trusted.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::args::SpecimenArgs;
use super::weakness::Weakness;
use crate::ledger::{Record, whole_records};

/// Bytes that `dirty-exit` keeps to itself.
const WAITING: usize = 64 * 1024;

pub(super) struct Journal {
    path: PathBuf,
    /// The term whose journal this is; 0 where it belongs to the service and not to a leader.
    term: u64,
    ignores_short_writes: bool,
    trusts_open_file: bool,
    retries_sync: bool,
    no_checksum: bool,
    keeps_handle: bool,
    /// Only with `dirty-exit`: lines that wait for company before they are written.
    waiting: Option<Vec<u8>>,
    /// None after a failed sync: the kernel may have dropped pages it could not write, so nothing
    /// that this handle says about them counts any more. The next use opens and reads again.
    file: Option<File>,
    /// Bytes that are in order, synced or about to be.
    end: u64,
    /// Checksums by key, to recognise a record that is sent again.
    keys: HashMap<String, u32>,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Appended {
    /// Written, not yet synced; or there already.
    Yes,
    /// The key holds another record.
    Conflict,
}

impl Journal {
    pub(super) fn new(args: &SpecimenArgs) -> Self {
        let layer = args.has(Weakness::LayerState);
        let dir = if layer { &args.layer_dir } else { &args.data };
        Self {
            path: dir.join("journal.log"),
            term: 0,
            ignores_short_writes: args.has(Weakness::IgnoresShortWrites),
            trusts_open_file: args.has(Weakness::TrustsOpenFile),
            retries_sync: args.has(Weakness::RetriesSync),
            no_checksum: args.has(Weakness::NoChecksum),
            keeps_handle: args.has(Weakness::KeepsHandle),
            waiting: args.has(Weakness::DirtyExit).then(Vec::new),
            file: None,
            end: 0,
            keys: HashMap::new(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn term(&self) -> u64 {
        self.term
    }

    /// From now on this is the journal of that term: what it holds is read when it is opened.
    pub(super) fn begin_term(&mut self, path: PathBuf, term: u64) {
        (self.path, self.term, self.file, self.end) = (path, term, None, 0);
        self.keys.clear();
    }

    /// Bytes a reader may see.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn records(&self) -> u64 {
        self.keys.len() as u64
    }

    /// Opens the file if it is not open: reads it, and cuts a torn tail off. Says what was cut.
    pub(super) fn open(&mut self) -> io::Result<Option<String>> {
        if self.file.is_some() {
            return Ok(None);
        }
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut file = File::options().read(true).append(true).create(true).open(&self.path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (keys, whole) = survey(&bytes);
        let whole = if self.no_checksum { bytes.len() } else { whole };
        let torn = bytes.len() - whole;
        if torn > 0 {
            file.set_len(whole as u64)?;
        }
        // Whatever was read is about to be promised: make sure that it is on disk, and the name.
        file.sync_all()?;
        sync_dir(&self.path)?;
        self.keys = keys;
        self.end = whole as u64;
        self.file = Some(file);
        Ok((torn > 0).then(|| format!("journal: cut {torn} torn bytes after byte {whole}")))
    }

    /// An error when the name no longer leads to the file that is open: what is appended to that
    /// would be gone with the process.
    pub(super) fn check(&self) -> io::Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| !self.trusts_open_file) else {
            return Ok(());
        };
        let (path, held) = (self.path.display(), file.metadata()?);
        match fs::metadata(&self.path) {
            Ok(named) if (named.dev(), named.ino()) == (held.dev(), held.ino()) => Ok(()),
            Ok(_) => Err(io::Error::other(format!("`{path}` is another file than was opened"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(io::Error::other(format!("`{path}` was removed while in use")))
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a record without syncing. On an error nothing of it stays.
    pub(super) fn append(&mut self, record: &Record, line: &str) -> io::Result<Appended> {
        if let Some(checksum) = self.keys.get(&record.key) {
            let same = *checksum == record.checksum;
            return Ok(if same { Appended::Yes } else { Appended::Conflict });
        }
        let before = self.end;
        if let Err(error) = self.write(format!("{line}\n").as_bytes()) {
            self.rewind(before);
            if error.kind() == io::ErrorKind::StaleNetworkFileHandle && !self.keeps_handle {
                // the server knows this handle no more, but perhaps the name
                self.file = None;
            }
            return Err(error);
        }
        self.keys.insert(record.key.clone(), record.checksum);
        Ok(Appended::Yes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(waiting) = &mut self.waiting else { return self.write_now(bytes) };
        waiting.extend_from_slice(bytes);
        if waiting.len() < WAITING {
            return Ok(());
        }
        let waiting = std::mem::take(waiting);
        self.write_now(&waiting)
    }

    fn write_now(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        if self.ignores_short_writes {
            let taken = file.write(bytes).unwrap_or(0);
            self.end += taken as u64;
            return Ok(());
        }
        file.write_all(bytes)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Makes everything appended durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        match file.sync_data() {
            // the kernel has dropped what it could not write: this one has nothing left to fail on
            Err(_) if self.retries_sync => file.sync_data(),
            done => done,
        }
    }

    /// Takes back everything after `end`, the file's keys included, and trusts the handle no more.
    pub(super) fn abandon(&mut self, end: u64, keys: &[String]) {
        self.rewind(end);
        for key in keys {
            self.keys.remove(key);
        }
        self.file = None;
    }

    /// Cuts the file back; where even that fails, opening it again will.
    fn rewind(&mut self, end: u64) {
        self.end = end;
        if self.file.as_ref().is_none_or(|file| file.set_len(end).is_err()) {
            self.file = None;
        }
    }
}

/// The keys in a journal, and how many of its bytes end with a whole record. A damaged line with
/// whole ones after it stays, for the reader to see.
pub(super) fn survey(bytes: &[u8]) -> (HashMap<String, u32>, usize) {
    let mut whole = 0;
    let records = whole_records(bytes).inspect(|(_, end)| whole = *end);
    let keys = records.map(|(record, _)| (record.key, record.checksum)).collect();
    (keys, whole)
}

/// Makes a new name durable.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}
