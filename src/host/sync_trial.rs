//! Syncs of an interposer's own file, to learn what they say after one that failed.
//!
//! The file is opened twice, so that it shows who is told. Nothing is left behind.

use rustix::fd::OwnedFd;
use rustix::fs::fdatasync;
use rustix::io::{Errno, pwrite};

use super::io_trial::{Tries, name_of, open_own};
use crate::protocol::TriedSync;

impl Tries {
    /// Writes and syncs until the sync fails, and then syncs twice more: through the same open
    /// file, and through another one.
    #[must_use]
    pub fn of_sync(&self) -> TriedSync {
        let path = self.name("");
        let files = open_own(&path).and_then(|one| Ok((one, open_own(&path)?)));
        let (one, other) = match files {
            Ok(files) => files,
            Err(errno) => {
                let first = Some(name_of(errno));
                return TriedSync { attempts: 1, first, again: None, other: None };
            }
        };
        let mut attempts = 1;
        let mut first = write_and_sync(&one);
        while first.is_ok() && attempts < self.most {
            attempts += 1;
            first = write_and_sync(&one);
        }
        let said = |done: Result<(), Errno>| done.err().map(name_of);
        let (again, other) = (said(fdatasync(&one)), said(fdatasync(&other)));
        TriedSync { attempts, first: said(first), again, other }
    }
}

fn write_and_sync(file: &OwnedFd) -> Result<(), Errno> {
    pwrite(file, b"x", 0)?;
    fdatasync(file)
}
