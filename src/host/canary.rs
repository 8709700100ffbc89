//! Two files by which a power cut shows: one is synced, and then written to without a sync; the other
//! is never synced.
//!
//! The write to the first goes past the page cache and changes nothing but the file's one block, so
//! that it is in the disk's own cache when the power goes. Nothing is removed here: the files are
//! what is looked at afterwards.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use super::error::{Context, HostResult};

/// One block of every filesystem of ours.
const BLOCK: usize = 4096;

/// A file whose content is durable.
#[derive(Debug)]
pub struct Synced {
    file: File,
    block: Block,
}

/// A block where direct I/O can reach it.
#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    start: usize,
}

impl Block {
    fn of(text: &str) -> Self {
        let bytes = vec![b'.'; BLOCK * 2];
        let start = bytes.as_ptr().align_offset(BLOCK);
        let mut block = Self { bytes, start };
        block.set(text);
        block
    }

    fn set(&mut self, text: &str) {
        self.bytes[self.start..][..BLOCK].fill(b'.');
        self.bytes[self.start..][..text.len().min(BLOCK)].copy_from_slice(text.as_bytes());
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..][..BLOCK]
    }
}

/// Makes the first file, with one block that begins with `text`, durable on return.
///
/// # Errors
/// The failed call.
pub fn synced(dir: &Path, name: &str, text: &str) -> HostResult<Synced> {
    let path = dir.join(name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).op("unlink", &path);
        }
        _ => {}
    }
    let mut options = File::options();
    options.read(true).write(true).create_new(true).mode(0o600).custom_flags(libc::O_DIRECT);
    let file = options.open(&path).op("open", &path)?;
    // where a write makes a copy, only the filesystem's next commit would point to it
    if let Ok(flags) = ioctl_getflags(&file) {
        let _ = ioctl_setflags(&file, flags | IFlags::NOCOW);
    }
    let block = Block::of(text);
    file.write_all_at(block.bytes(), 0).op("write", &path)?;
    file.sync_all().op("fsync", &path)?;
    File::open(dir).and_then(|dir| dir.sync_all()).op("fsync", dir)?;
    Ok(Synced { file, block })
}

impl Synced {
    /// Writes to the disk, and does not tell it to flush.
    ///
    /// # Errors
    /// The failed call.
    pub fn overwrite(&mut self, text: &str) -> HostResult<()> {
        self.block.set(text);
        self.file.write_all_at(self.block.bytes(), 0).op("write", "canary")
    }
}

/// Makes the second file, which stays in the page cache.
///
/// # Errors
/// The failed call.
pub fn unsynced(dir: &Path, name: &str, text: &str) -> HostResult<()> {
    let path = dir.join(name);
    fs::write(&path, text).op("write", path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::testing::{LoopFs, in_private_mounts};

    #[test]
    fn both_can_be_laid_again_and_hold_what_was_written_last() {
        in_private_mounts(|| {
            let fs = LoopFs::new("ext4", 16 << 20, &[], "");
            for _ in 0..2 {
                let mut canary = synced(&fs.dir, "synced", "old").unwrap();
                assert!(fs::read(fs.dir.join("synced")).unwrap().starts_with(b"old."));
                canary.overwrite("newer").unwrap();
                unsynced(&fs.dir, "unsynced", "new").unwrap();
                let found = fs::read(fs.dir.join("synced")).unwrap();
                assert!(found.len() == BLOCK && found.starts_with(b"newer."));
                assert_eq!(fs::read(fs.dir.join("unsynced")).unwrap(), b"new");
            }
        });
    }
}
