//! The one layer of our own image, as a tar stream. It never holds the whole executable in memory.
//!
//! One image serves the helper and the specimen; who creates the container sets the entry point.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

use bytes::Bytes;
use futures_util::Stream;
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;

use super::program::{Companions, program};

/// Where our executable is in the image.
pub const PROGRAM: &str = "/keelhaul";
/// Directory of the image with two names of one file, as the specimen lays out its releases:
/// `releases/1.dat` and `current.dat`.
pub const LINKED_FILES: &str = "/opt/specimen";
/// The unprivileged user of the image, `agent`: its uid and its gid.
pub const AGENT_ID: u64 = 1001;

const PASSWD: &str = "root:x:0:0:root:/:/keelhaul\nagent:x:1001:1001:agent:/:/keelhaul\n";
/// What the specimen published when the image was made.
const FIRST_RELEASE: &str = "{\"version\":1,\"content\":\"first release\"}";
const GROUP: &str = "root:x:0:\nagent:x:1001:\n";
/// Bytes handed over at a time.
const CHUNK: usize = 1 << 20;

/// The layer of the executable that runs in our containers.
pub(super) fn stream(companions: Companions) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let (sender, mut receiver) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let mut sink = BufWriter::with_capacity(CHUNK, Chunks(sender.clone()));
        if let Err(error) = write(&mut sink, &companions).and_then(|()| sink.flush()) {
            // a receiver that is gone needs no reason
            let _ = sender.blocking_send(Err(error));
        }
    });
    futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx))
}

/// Hands what is written to an asynchronous reader.
struct Chunks(mpsc::Sender<io::Result<Bytes>>);

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = Bytes::copy_from_slice(&bytes[..bytes.len().min(CHUNK)]);
        let count = chunk.len();
        self.0.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(sink: &mut impl Write, companions: &Companions) -> io::Result<()> {
    let mut layer = Layer { tar: Builder::new(sink), made: BTreeSet::new() };
    layer.file(Path::new(PROGRAM), File::open(program())?)?;
    for directory in ["/dev", "/proc", "/sys", "/run", "/etc"] {
        layer.directory(Path::new(directory), 0o755, 0)?;
    }
    layer.directory(Path::new("/tmp"), 0o1777, 0)?;
    layer.text("/etc/passwd", PASSWD, 0)?;
    layer.text("/etc/group", GROUP, 0)?;
    layer.directory(Path::new(LINKED_FILES), 0o755, AGENT_ID)?;
    layer.directory(&Path::new(LINKED_FILES).join("releases"), 0o755, AGENT_ID)?;
    let first = format!("{LINKED_FILES}/releases/1.dat");
    layer.text(&first, FIRST_RELEASE, AGENT_ID)?;
    layer.link(
        EntryType::Link,
        Path::new(&format!("{LINKED_FILES}/current.dat")),
        Path::new(&first),
    )?;
    for object in &companions.objects {
        layer.file(object, File::open(object)?)?;
    }
    for (name, object) in &companions.links {
        layer.link(EntryType::Symlink, name, object)?;
    }
    if let Some(loader) = &companions.interpreter {
        layer.file(loader, File::open(loader)?)?;
    }
    layer.tar.finish()
}

/// A tar under construction that makes parent directories as they are needed.
struct Layer<W: Write> {
    tar: Builder<W>,
    made: BTreeSet<PathBuf>,
}

impl<W: Write> Layer<W> {
    fn file(&mut self, path: &Path, source: File) -> io::Result<()> {
        let facts = source.metadata()?;
        let mode = facts.permissions().mode() & 0o777 | 0o555;
        self.entry(path, header(EntryType::Regular, mode, 0, facts.len()), source)
    }

    fn text(&mut self, path: &str, text: &str, owner: u64) -> io::Result<()> {
        let size = text.len() as u64;
        self.entry(Path::new(path), header(EntryType::Regular, 0o644, owner, size), text.as_bytes())
    }

    fn directory(&mut self, path: &Path, mode: u32, owner: u64) -> io::Result<()> {
        self.entry(path, header(EntryType::Directory, mode, owner, 0), io::empty())
    }

    fn link(&mut self, kind: EntryType, path: &Path, to: &Path) -> io::Result<()> {
        if !self.fresh(path)? {
            return Ok(());
        }
        // a hard link names an entry of the tar, a symbolic one a path of the image
        let to = if kind == EntryType::Link { &relative(to) } else { to };
        self.tar.append_link(&mut header(kind, 0o777, 0, 0), relative(path), to)
    }

    fn entry(&mut self, path: &Path, mut header: Header, data: impl io::Read) -> io::Result<()> {
        if self.fresh(path)? {
            self.tar.append_data(&mut header, relative(path), data)?;
        }
        Ok(())
    }

    /// Makes the parents; false when the path is there already.
    fn fresh(&mut self, path: &Path) -> io::Result<bool> {
        let missing: Vec<_> = path
            .ancestors()
            .skip(1)
            .filter(|parent| parent.parent().is_some() && !self.made.contains(*parent))
            .map(Path::to_owned)
            .collect();
        for parent in missing.into_iter().rev() {
            let mut header = header(EntryType::Directory, 0o755, 0, 0);
            self.tar.append_data(&mut header, relative(&parent), io::empty())?;
            self.made.insert(parent);
        }
        Ok(self.made.insert(path.to_owned()))
    }
}

fn header(kind: EntryType, mode: u32, owner: u64, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_size(size);
    header.set_mtime(0);
    header
}

fn relative(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_layer_holds_what_we_need() {
        let mut bytes = Vec::new();
        write(&mut bytes, &Companions::find().unwrap()).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut seen = BTreeSet::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().into_owned();
            if path == Path::new("keelhaul") {
                let mut found = Vec::new();
                entry.read_to_end(&mut found).unwrap();
                assert!(found == std::fs::read(program()).unwrap(), "another executable");
                assert_eq!(entry.header().mode().unwrap() & 0o111, 0o111);
            }
            if path == Path::new("opt/specimen/releases/current.dat") {
                assert_eq!(entry.header().entry_type(), EntryType::Link);
                let link = entry.link_name().unwrap().unwrap().into_owned();
                assert_eq!(link, Path::new("opt/specimen/releases/1.dat"));
                assert!(seen.contains(&link), "a hard link before its file");
            }
            if let Some(parent) = path.parent().filter(|parent| *parent != Path::new("")) {
                assert!(seen.contains(parent), "{} before its directory", path.display());
            }
            assert!(seen.insert(path.clone()), "{} twice", path.display());
        }
        for path in ["keelhaul", "tmp", "etc/passwd", "proc", "dev", "run"] {
            assert!(seen.contains(Path::new(path)), "{path} is missing");
        }
    }
}
