//! Syncs of an interposer's own file, to learn what they say after one that failed.
//!
//! The file is opened twice, so that it shows who is told. Nothing is left behind.

use rustix::fd::OwnedFd;
use rustix::fs::fdatasync;
use rustix::io::{Errno, pread, pwrite};

use super::io_trial::{REMEMBERED, Tries, name_of, open_own};
use crate::protocol::{IoOp, ReadBack, TriedSync, only};

impl Tries {
    /// Writes and syncs until the sync fails, reads what it was about, and then syncs twice more:
    /// through the same open file, and through another one.
    #[must_use]
    pub fn of_sync(&self) -> TriedSync {
        let path = self.name(&format!("{REMEMBERED}{}", only(IoOp::Fsync)));
        let files = open_own(&path).and_then(|one| Ok((one, open_own(&path)?)));
        let (one, other) = match files {
            Ok(files) => files,
            Err(errno) => {
                let (first, read_back) = (Some(name_of(errno)), None);
                return TriedSync { attempts: 1, first, read_back, again: None, other: None };
            }
        };
        let mut attempts = 1;
        let mut first = write_and_sync(&one, attempts);
        while first.is_ok() && attempts < self.most {
            attempts += 1;
            first = write_and_sync(&one, attempts);
        }
        let read_back = first.is_err().then(|| read_back(&other, attempts));
        let said = |done: Result<(), Errno>| done.err().map(name_of);
        let (again, other) = (said(fdatasync(&one)), said(fdatasync(&other)));
        TriedSync { attempts, first: said(first), read_back, again, other }
    }
}

/// What the n-th attempt writes: never what was there before it.
fn letter(attempt: u64) -> [u8; 1] {
    if attempt.is_multiple_of(2) { *b"x" } else { *b"y" }
}

fn write_and_sync(file: &OwnedFd, attempt: u64) -> Result<(), Errno> {
    pwrite(file, &letter(attempt), 0)?;
    fdatasync(file)
}

fn read_back(file: &OwnedFd, attempt: u64) -> ReadBack {
    let mut found = [0];
    match pread(file, &mut found, 0) {
        Ok(1) if found == letter(attempt) => ReadBack::New,
        _ => ReadBack::Old,
    }
}
