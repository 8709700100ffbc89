//! Where a disk puts what it remembers and has no memory for: a file without a name, beside its image.
//!
//! It is bounded, and leaves the host's disk some room. What is got back is what was put there, or the
//! shelf says that it is broken: whoever judges by it asks.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::block::{CHUNK, Shelf};

/// Chunks that it holds at most: 1 GiB.
const MOST: u64 = (1 << 30) / CHUNK as u64;
/// Bytes that stay free on the host's disk.
const FREE: u64 = 1 << 30;
/// So many chunks are added to the file between two looks at that.
const LOOK: u64 = 1024;

#[derive(Debug, Default)]
struct Places {
    /// Given back.
    free: Vec<u64>,
    /// The file has so many.
    all: u64,
}

/// The file.
#[derive(Debug)]
pub(super) struct Spill {
    file: File,
    most: u64,
    places: Mutex<Places>,
    broken: AtomicBool,
}

impl Spill {
    /// An empty one in this directory.
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        Self::of(directory, MOST)
    }

    fn of(directory: &Path, most: u64) -> io::Result<Self> {
        let (places, broken) = (Mutex::default(), AtomicBool::new(false));
        Ok(Self { file: nameless(directory)?, most, places, broken })
    }

    /// Something could not be read back: nothing that was shown since can be trusted.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place that nothing is at.
    fn place(&self) -> Option<u64> {
        let mut places = self.places();
        if let Some(free) = places.free.pop() {
            return Some(free);
        }
        let is_full =
            places.all >= self.most || (places.all.is_multiple_of(LOOK) && !self.leaves_room());
        (!is_full).then(|| {
            places.all += 1;
            places.all - 1
        })
    }

    fn leaves_room(&self) -> bool {
        rustix::fs::fstatvfs(&self.file).is_ok_and(|fs| fs.f_bavail * fs.f_frsize > FREE)
    }
}

impl Shelf for Spill {
    fn put(&self, bytes: &[u8; CHUNK]) -> Option<u64> {
        let at = self.place()?;
        let written = self.file.write_all_at(bytes, at * CHUNK as u64);
        if written.is_err() {
            self.give_back(at);
        }
        written.ok().map(|()| at)
    }

    fn get(&self, at: u64, bytes: &mut [u8; CHUNK]) {
        if self.file.read_exact_at(bytes, at * CHUNK as u64).is_err() {
            self.broken.store(true, Ordering::Release);
            bytes.fill(0);
        }
    }

    fn give_back(&self, at: u64) {
        self.places().free.push(at);
    }
}

/// A file that is gone with its last descriptor.
fn nameless(directory: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    match options.clone().custom_flags(libc::O_TMPFILE).open(directory) {
        // not every filesystem has such
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        other => return other,
    }
    let path = directory.join(format!(".spill-{}", std::process::id()));
    let file = options.create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_there_comes_back_and_its_place_is_used_again() {
        let directory = tempfile::tempdir().unwrap();
        let spill = Spill::of(directory.path(), 2).unwrap();
        let put = |byte| spill.put(&[byte; CHUNK]);
        let got = |at| {
            let mut bytes = [0; CHUNK];
            spill.get(at, &mut bytes);
            bytes
        };
        let (one, other) = (put(1).unwrap(), put(2).unwrap());
        assert_eq!((put(3), got(one), got(other)), (None, [1; CHUNK], [2; CHUNK]));
        spill.give_back(one);
        assert_eq!((put(3), got(one)), (Some(one), [3; CHUNK]));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "it has no name");
        assert!(!spill.is_broken());
        assert!(got(7) == [0; CHUNK] && spill.is_broken(), "nothing was ever there");
    }
}
