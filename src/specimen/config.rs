//! The configuration: one line of a file, and which value is in force.
//!
//! A file that is missing, unreadable or empty (a writer that truncates before it writes) changes
//! nothing: the last good value stays in force. It does not know when to look; `watch` does.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::session::replace;

/// The most that is read of the file: a line of configuration, and not someone's mistake.
const MOST: u64 = 64 * 1024;

/// What is in force, as `/config` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Effective {
    /// None before the first good one.
    pub(super) value: Option<String>,
    /// How often a value was taken over.
    pub(super) loads: u64,
    /// Events tell of changes; otherwise only a look does.
    pub(super) watched: bool,
}

pub(super) struct Config {
    file: PathBuf,
    effective: Mutex<Effective>,
}

impl Config {
    pub(super) fn new(file: PathBuf) -> Self {
        Self { file, effective: Mutex::default() }
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    fn lock(&self) -> MutexGuard<'_, Effective> {
        self.effective.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn effective(&self) -> Effective {
        self.lock().clone()
    }

    pub(super) fn note_watched(&self, watched: bool) {
        self.lock().watched = watched;
    }

    /// Reads the file, and takes its value over; the value when it is another one.
    pub(super) fn reload(&self) -> io::Result<Option<String>> {
        let mut text = String::new();
        File::open(&self.file)?.take(MOST).read_to_string(&mut text)?;
        let value = text.lines().next().unwrap_or_default().trim();
        let mut effective = self.lock();
        if value.is_empty() || effective.value.as_deref() == Some(value) {
            return Ok(None);
        }
        effective.value = Some(value.to_owned());
        effective.loads += 1;
        Ok(effective.value.clone())
    }

    /// Replaces the file as every careful deployment does: written beside it, and renamed.
    pub(super) fn deploy(&self, value: &str) -> io::Result<()> {
        replace(&self.file, format!("{value}\n").as_bytes())
    }

    /// Writes into the file that is there, as some do: its inode stays.
    pub(super) fn overwrite(&self, value: &str) -> io::Result<()> {
        std::fs::write(&self.file, format!("{value}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_missing_file_leaves_the_last_good_value_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::new(dir.path().join("agent.conf"));
        assert!(config.reload().is_err());
        config.deploy("blue").unwrap();
        assert_eq!(config.reload().unwrap().as_deref(), Some("blue"));
        assert_eq!(config.reload().unwrap(), None, "nothing new");
        std::fs::write(config.file(), "").unwrap();
        assert_eq!(config.reload().unwrap(), None);
        std::fs::remove_file(config.file()).unwrap();
        assert!(config.reload().is_err());
        let wanted = Effective { value: Some("blue".into()), loads: 1, watched: false };
        assert_eq!(config.effective(), wanted);
    }
}
