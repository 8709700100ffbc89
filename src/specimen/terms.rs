//! The directory of terms: a file for each term that was begun, with the name of its leader, and
//! beside it the journal that its leader kept, where there is one. Decides nothing.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where the terms are.
#[derive(Debug, Clone)]
pub(super) struct Terms(PathBuf);

impl Terms {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// The number of the latest term; none before the first.
    pub(super) fn latest(&self) -> io::Result<Option<u64>> {
        Ok(self.numbers("term-", "")?.into_iter().max())
    }

    /// Who leads that term; empty for as long as it is just being begun.
    pub(super) fn leader(&self, term: u64) -> io::Result<String> {
        let text = fs::read_to_string(self.file(term))?;
        Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
    }

    /// The file that whoever began the term has made, and goes on changing.
    pub(super) fn file(&self, term: u64) -> PathBuf {
        self.0.join(format!("term-{term}"))
    }

    /// Begins a term, unless somebody else was faster: making a file that must not exist is the one
    /// atomic act.
    pub(super) fn begin(&self, term: u64, leader: &str) -> io::Result<bool> {
        match File::create_new(self.file(term)) {
            Ok(mut file) => {
                file.write_all(format!("{leader} 0\n").as_bytes())?;
                file.sync_all()?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The records of a term, and of all before it.
    pub(super) fn journal(&self, term: u64) -> PathBuf {
        self.0.join(format!("journal-{term}.log"))
    }

    /// The last term before this one whose leader came to keep a journal.
    pub(super) fn last_journal_before(&self, term: u64) -> io::Result<Option<u64>> {
        Ok(self.numbers("journal-", ".log")?.into_iter().filter(|number| *number < term).max())
    }

    pub(super) fn dir(&self) -> &Path {
        &self.0
    }

    fn numbers(&self, before: &str, after: &str) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            let number =
                name.to_str().and_then(|name| name.strip_prefix(before)?.strip_suffix(after));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        Ok(numbers)
    }
}
