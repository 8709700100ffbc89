//! The types of directory entries: does this filesystem tell them (`d_type`)?
//!
//! Without them an overlay on top degrades: whiteouts show up, and deleted files cannot be told from
//! others. So a service that keeps layers here refuses to start, and says why.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{Dir, FileType};

const PROBE: &str = ".specimen-type";

/// An error unless the type of a new file is told by its directory.
pub(super) fn require(dir: &Path) -> io::Result<()> {
    let path = dir.join(PROBE);
    File::create(&path)?;
    let told = told(dir);
    fs::remove_file(&path)?;
    if told? {
        return Ok(());
    }
    let dir = dir.display();
    Err(io::Error::other(format!(
        "no d_type in `{dir}`: made with ftype=0, or without the feature filetype; layers cannot \
         be kept there"
    )))
}

fn told(dir: &Path) -> io::Result<bool> {
    for entry in Dir::read_from(File::open(dir)?)? {
        let entry = entry?;
        if entry.file_name().to_bytes() == PROBE.as_bytes() {
            return Ok(entry.file_type() == FileType::RegularFile);
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_filesystem_tells_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        require(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
