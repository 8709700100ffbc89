//! The watermark: how much of the journal is durable, kept on another volume than the journal.
//!
//! It is raised only after the journal's sync, so it never promises what is not there, wherever the
//! power goes. A journal that holds less has lost records that were acknowledged: that is said at the
//! start, and not glossed over.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::session::replace;

pub(super) struct Watermark {
    /// Holds the number of bytes that are durable, in decimal.
    file: PathBuf,
}

impl Watermark {
    /// Kept in this directory.
    pub(super) fn new(dir: &Path) -> Self {
        Self { file: dir.join("journal.mark") }
    }

    /// Says, durably, that the journal is durable up to this byte.
    pub(super) fn raise(&self, end: u64) -> io::Result<()> {
        replace(&self.file, end.to_string().as_bytes())
    }

    /// What a journal that ends here has lost, in words; none where it has lost nothing.
    pub(super) fn lacks(&self, end: u64) -> io::Result<Option<String>> {
        let text = match fs::read_to_string(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let wrong = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let marked: u64 = text.trim().parse().map_err(wrong)?;
        let lost = marked.saturating_sub(end);
        Ok((lost > 0).then(|| format!("the journal has lost {lost} bytes after byte {end}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_holds_less_has_lost_something() {
        let dir = tempfile::tempdir().unwrap();
        let mark = Watermark::new(dir.path());
        assert_eq!(mark.lacks(0).unwrap(), None, "nothing was promised yet");
        mark.raise(300).unwrap();
        assert_eq!((mark.lacks(300).unwrap(), mark.lacks(400).unwrap()), (None, None));
        let lost = mark.lacks(180).unwrap().unwrap();
        assert_eq!(lost, "the journal has lost 120 bytes after byte 180");
        fs::write(dir.path().join("journal.mark"), "much").unwrap();
        assert_eq!(mark.lacks(0).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
