//! Walking, hashing and copying files. Knows no archive and no mirror.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::JobError;

/// Every directory and regular file below `root` that `wanted` admits by its name, as relative
/// paths, parents first.
pub(super) fn walk(root: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>, JobError> {
    let mut found = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(dir) = pending.pop() {
        let at = root.join(&dir);
        let entries = fs::read_dir(&at).map_err(JobError::io("list", &at))?;
        for entry in entries {
            let entry = entry.map_err(JobError::io("list", &at))?;
            let kind = entry.file_type().map_err(JobError::io("look at", &entry.path()))?;
            let name = entry.file_name();
            if !wanted(&name.to_string_lossy()) || !(kind.is_dir() || kind.is_file()) {
                continue;
            }
            let path = dir.join(name);
            if kind.is_dir() {
                pending.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// SHA-256 of a file in hex.
pub(super) fn digest(path: &Path) -> io::Result<String> {
    let mut hash = Hashing::new(File::open(path)?);
    io::copy(&mut hash, &mut io::sink())?;
    Ok(hash.finish().1)
}

/// A reader that hashes and counts what passes.
pub(super) struct Hashing<R> {
    inner: R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Hashing<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    /// Bytes that passed, and their SHA-256 in hex.
    pub(super) fn finish(self) -> (u64, String) {
        let hex = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        (self.bytes, hex)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Makes everything in a directory durable: each file, and the names.
pub(super) fn sync_all(root: &Path, paths: &[PathBuf]) -> Result<(), JobError> {
    for path in paths.iter().map(|path| root.join(path)).chain([root.to_owned()]) {
        File::open(&path).and_then(|file| file.sync_all()).map_err(JobError::io("sync", &path))?;
    }
    Ok(())
}
