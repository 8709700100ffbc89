//! What a subject of the corpus is: what it does, and how its own recovery reads what is left. The table of
//! them is in `subjects`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use keelhaul::ledger::Record;

use super::{stage::Filesystem, work::Work};

/// What brings the bug out, besides a cut at any moment that leaves what a disk may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing else.
    Cut,
    /// A second cut, while it recovers from the first.
    SecondCut,
    /// From the middle on, the disk fails what is written and flushed.
    FailingDisk,
    /// From the middle on, the disk says that it has flushed, and has not.
    LyingFlush,
    /// Bytes of a record in the middle turn over, after the cut.
    Rot,
}

/// A planted bug and its twin: the same program, with one thing done or left out.
pub(super) struct Subject {
    pub(super) name: &'static str,
    /// What the planted one does.
    pub(super) wrong: &'static str,
    /// What its twin does instead.
    pub(super) right: &'static str,
    pub(super) fault: Fault,
    /// Filesystems on which it is no bug, since they do more than they promise.
    pub(super) covered_by: &'static [Filesystem],
    /// What it does before the cut.
    pub(super) work: fn(&mut Work<'_>) -> io::Result<()>,
    /// What it does first after one; nothing, for most.
    pub(super) recover: fn(&Found) -> io::Result<()>,
    /// The records that it has then. An error: it has seen that something is wrong, and refuses.
    pub(super) read: fn(&Found) -> io::Result<Vec<u8>>,
}

/// What a subject finds after a cut.
pub(super) struct Found {
    pub(super) at: PathBuf,
    /// It is the twin.
    pub(super) right: bool,
    /// How many records somebody else has been told are safe, and remembers.
    pub(super) told: usize,
}

/// It has nothing to do before it reads.
pub(super) fn nothing(_: &Found) -> io::Result<()> {
    Ok(())
}

impl Found {
    /// All of a file; nothing where there is none.
    pub(super) fn bytes(&self, name: &str) -> io::Result<Vec<u8>> {
        match fs::read(self.at.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        }
    }

    /// The records of a log up to the first that is not whole: what comes after it is a torn tail.
    pub(super) fn log(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(whole(&self.bytes(name)?).to_vec())
    }

    /// The records of all files that have one each.
    pub(super) fn files(&self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        for name in self.names(".record")? {
            all.extend(whole(&self.bytes(&name)?));
        }
        Ok(all)
    }

    /// Names with this end, in order.
    pub(super) fn names(&self, end: &str) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.at)?.map(|entry| Ok(entry?.file_name()));
        let names: io::Result<Vec<_>> = names.collect();
        let names = names?.into_iter().map(|name| name.to_string_lossy().into_owned());
        let mut names: Vec<_> = names.filter(|name| name.ends_with(end)).collect();
        names.sort();
        Ok(names)
    }
}

/// The whole records that bytes begin with.
pub(super) fn whole(bytes: &[u8]) -> &[u8] {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    &bytes[..lines.take_while(|line| record(line).is_some()).map(<[u8]>::len).sum()]
}

/// The record that a line is, with its end.
pub(super) fn record(line: &[u8]) -> Option<Record> {
    Record::decode(line.strip_suffix(b"\n")?).ok()
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(at: &Path) -> io::Result<()> {
    fs::File::open(at)?.sync_all()
}
