//! The index: a file that every record is looked up in before it is kept, and that is kept warm.
//!
//! It is read through the page cache, which is shared with whoever else reads on this host: a backup
//! beside the service pushes it out. A look-up that had to wait for the device says so, and then all
//! of it is asked for at once, in the background, which costs a few large reads instead of many small
//! ones on the way of the records. Its content stands for what a real index would hold.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};

use super::args::SpecimenArgs;
use super::service::Service;
use super::weakness::Weakness;

const NAME: &str = "index.dat";
const PAGE: usize = 4096;
const PAGE_BYTES: u64 = PAGE as u64;
/// What is cached is there in far less.
const COLD: Duration = Duration::from_millis(5);
/// Between two looks whether it has gone cold.
const LOOK: Duration = Duration::from_millis(200);

pub(super) struct Index {
    file: File,
    pages: u64,
    /// A look-up had to wait.
    cold: AtomicBool,
}

impl Index {
    /// Opens it, and makes it first where it has another size; none where none is asked for.
    pub(super) fn open(args: &SpecimenArgs) -> io::Result<Option<Self>> {
        let Some(size) = args.index_size else { return Ok(None) };
        let (path, pages) = (args.data.join(NAME), size.div_ceil(PAGE_BYTES).max(1));
        if !fs::metadata(&path).is_ok_and(|meta| meta.len() == pages * PAGE_BYTES) {
            make(&path, pages)?;
        }
        let file = File::open(&path)?;
        // what is read around a look-up is not what the next one needs
        fadvise(&file, 0, None, Advice::Random)?;
        Ok(Some(Self { file, pages, cold: AtomicBool::new(false) }))
    }

    /// Looks a key up.
    pub(super) fn look_up(&self, key: &str) -> io::Result<()> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let (mut page, started) = ([0; PAGE], Instant::now());
        self.file.read_exact_at(&mut page, hasher.finish() % self.pages * PAGE_BYTES)?;
        if started.elapsed() >= COLD {
            self.cold.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Asks for all of it, if it has gone cold; whether it had.
    fn warm(&self) -> io::Result<bool> {
        let cold = self.cold.swap(false, Ordering::Relaxed);
        if cold {
            fadvise(&self.file, 0, None, Advice::WillNeed)?;
        }
        Ok(cold)
    }
}

fn make(path: &Path, pages: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    for page in 0..pages {
        file.write_all(&[page.to_le_bytes()[0] | 1; PAGE])?;
    }
    file.sync_all()
}

/// The thread: keeps the index warm until the service stops.
pub(super) fn run(service: &Arc<Service>) {
    let Some(index) = service.index() else { return };
    if service.args.has(Weakness::NoRemedy) {
        return;
    }
    while !service.stop.sleep(LOOK) {
        match index.warm() {
            Ok(true) => service.metrics.index_warmed.add(1),
            Ok(false) => {}
            Err(error) => service.health.fault("index", &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_warmed_only_when_it_has_gone_cold() {
        let dir = tempfile::tempdir().unwrap();
        make(&dir.path().join(NAME), 3).unwrap();
        let file = File::open(dir.path().join(NAME)).unwrap();
        let index = Index { file, pages: 3, cold: AtomicBool::new(false) };
        ["a", "b", "c"].iter().for_each(|key| index.look_up(key).unwrap());
        index.cold.store(false, Ordering::Relaxed);
        assert!(!index.warm().unwrap());
        index.cold.store(true, Ordering::Relaxed);
        assert!(index.warm().unwrap() && !index.warm().unwrap());
        let shorter = Index { pages: 4, ..index };
        assert!((0..100).any(|key| shorter.look_up(&key.to_string()).is_err()));
    }
}
