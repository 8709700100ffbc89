//! Known bytes, moved to or from an interposer's own files, to learn what becomes of them.
//!
//! Proof by what is there afterwards, not by what the operation says: a write is read back, a read
//! is held against what was written. Nothing is left behind.

use rustix::fd::OwnedFd;
use rustix::io::{Errno, pread, pwrite};

use super::io_trial::{Tries, name_of, open_own};
use crate::protocol::{IoOp, TriedBytes, only};

/// What one attempt after the other moves: never zero, and no bit away from each other.
pub(super) const KNOWN: [u8; 2] = [0x35, 0xca];
/// Where nothing has come to.
const ABSENT: u8 = 0;

/// What an operation said, and what is there now and was before.
pub(super) struct Moved {
    pub(super) said: Result<usize, Errno>,
    pub(super) before: Vec<u8>,
    pub(super) now: Vec<u8>,
}

impl Tries {
    /// Moves a block by this operation until not all of it arrives.
    #[must_use]
    pub fn of_bytes(&self, op: IoOp, block: u32) -> TriedBytes {
        let length = usize::try_from(block).unwrap_or_default();
        let file = open_own(&self.name(&only(op)));
        let mut attempts = 0;
        loop {
            let known = vec![KNOWN[usize::from(attempts % 2 == 1)]; length];
            attempts += 1;
            let moved = match &file {
                Ok(file) if op == IoOp::Read => read(file, &known),
                Ok(file) => write(file, &known),
                Err(errno) => {
                    let (before, now) = (Vec::new(), Vec::new());
                    Moved { said: Err(*errno), before, now }
                }
            };
            let tried = told(op, &known, &moved, attempts);
            if tried.hit() || attempts >= self.most {
                return tried;
            }
        }
    }
}

/// What became of known bytes.
pub(super) fn told(op: IoOp, known: &[u8], moved: &Moved, attempts: u64) -> TriedBytes {
    let same =
        |other: &[u8]| moved.now.iter().zip(other).filter(|(now, byte)| now == byte).count() as u64;
    TriedBytes {
        op,
        block: known.len() as u64,
        attempts,
        errno: moved.said.err().map(name_of),
        moved: moved.said.unwrap_or_default() as u64,
        arrived: same(known),
        untouched: same(&moved.before),
        astray: 0,
    }
}

/// What is in the file's first bytes, as far as it can be read: in pieces, where reads are cut too.
fn there(file: &OwnedFd, length: usize) -> Vec<u8> {
    let mut bytes = vec![ABSENT; length];
    let mut done = 0;
    while let Ok(read @ 1..) = pread(file, &mut bytes[done..], done as u64) {
        done += read;
    }
    bytes
}

/// Writes all of it, in pieces where writes are cut too.
fn prepare(file: &OwnedFd, known: &[u8]) -> Result<(), Errno> {
    let mut done = 0;
    while done < known.len() {
        match pwrite(file, &known[done..], done as u64)? {
            0 => return Err(Errno::NOSPC),
            written => done += written,
        }
    }
    Ok(())
}

fn write(file: &OwnedFd, known: &[u8]) -> Moved {
    let before = there(file, known.len());
    let said = pwrite(file, known, 0);
    Moved { said, before, now: there(file, known.len()) }
}

fn read(file: &OwnedFd, known: &[u8]) -> Moved {
    let before = vec![ABSENT; known.len()];
    let mut now = before.clone();
    let said = prepare(file, known).and_then(|()| pread(file, &mut now, 0));
    Moved { said, before, now }
}
