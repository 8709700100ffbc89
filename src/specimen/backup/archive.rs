//! Writing an archive: a tar of the parts as they are, with the manifest at its end.
//!
//! Reads each file once. Does not care whether somebody writes meanwhile: that is what the freeze
//! is for.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tar::{Builder, EntryType, Header};

use super::JobError;
use super::files::Hashing;
use super::manifest::{self, Content, Manifest};
use super::parts::Part;

/// Writes the archive, synced; the caller gives it its name.
pub(super) fn write(
    sink: &File,
    named: &Path,
    parts: &[Part],
    reading: Reading,
) -> Result<Manifest, JobError> {
    let mut writer = Writer { tar: Builder::new(sink), manifest: Manifest::new(), reading };
    for part in parts {
        for path in part.paths()? {
            let name = Path::new(part.name).join(&path);
            let source = part.root.join(&path);
            writer.append(&source, &name).map_err(|error| JobError::Copy {
                source_file: source,
                archive: named.to_owned(),
                error,
            })?;
        }
    }
    writer
        .finish()
        .and_then(|written| {
            sink.sync_all()?;
            Ok(written)
        })
        .map_err(JobError::io("write", named))
}

struct Writer<W: Write> {
    tar: Builder<W>,
    manifest: Manifest,
    reading: Reading,
}

impl<W: Write> Writer<W> {
    fn append(&mut self, source: &Path, name: &Path) -> io::Result<()> {
        let meta = fs::metadata(source)?;
        let mut header = Header::new_gnu();
        header.set_metadata(&meta);
        if meta.is_dir() {
            header.set_entry_type(EntryType::Directory);
            header.set_size(0);
            return self.tar.append_data(&mut header, name, io::empty());
        }
        // What is appended from here on is not of this moment.
        let file = File::open(source)?.take(meta.len());
        let mut content = Hashing::new(Counted { inner: file, reading: &mut self.reading });
        self.tar.append_data(&mut header, name, &mut content)?;
        let (size, sha256) = content.finish();
        if size != meta.len() {
            return Err(io::Error::other("it got shorter while it was read"));
        }
        let name = name.to_string_lossy().into_owned();
        self.manifest.files.insert(name, Content { size, sha256 });
        Ok(())
    }

    fn finish(mut self) -> io::Result<Manifest> {
        let text = serde_json::to_vec_pretty(&self.manifest)?;
        let mut header = Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        self.tar.append_data(&mut header, manifest::NAME, text.as_slice())?;
        self.tar.finish()?;
        Ok(self.manifest)
    }
}

/// What reading costs: the disk is not taken for itself, memory may be.
pub(super) struct Reading {
    /// Bytes per second.
    bandwidth: Option<u64>,
    since: Instant,
    bytes: u64,
    /// Everything that was read.
    kept: Option<Vec<u8>>,
}

impl Reading {
    pub(super) fn new(bandwidth: Option<u64>, keep: bool) -> Self {
        let bandwidth = bandwidth.filter(|bandwidth| *bandwidth > 0);
        Self { bandwidth, since: Instant::now(), bytes: 0, kept: keep.then(Vec::new) }
    }

    fn took(&mut self, part: &[u8]) {
        self.bytes += part.len() as u64;
        self.kept.iter_mut().for_each(|kept| kept.extend_from_slice(part));
        let Some(bandwidth) = self.bandwidth else { return };
        let due = Duration::from_micros(self.bytes.saturating_mul(1_000_000) / bandwidth);
        thread::sleep(due.saturating_sub(self.since.elapsed()));
    }
}

struct Counted<'a, R> {
    inner: R,
    reading: &'a mut Reading,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.reading.took(&buffer[..read]);
        Ok(read)
    }
}
