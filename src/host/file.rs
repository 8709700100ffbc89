//! What a file or a tree looks like: summary, content, digests.
//!
//! Only reads, follows no symbolic link, and every read has a bound. It knows no expectations.

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::device;
use super::errno::Errno;
use super::error::{Context, HostError, HostResult};

/// What kind of object a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
    /// A block or character device.
    Device,
}

impl Kind {
    fn of(file_type: FileType) -> Self {
        match file_type {
            kind if kind.is_dir() => Self::Directory,
            kind if kind.is_symlink() => Self::Symlink,
            kind if kind.is_fifo() => Self::Fifo,
            kind if kind.is_socket() => Self::Socket,
            kind if kind.is_block_device() || kind.is_char_device() => Self::Device,
            _ => Self::File,
        }
    }
}

/// The summary of one name, as lstat(2) gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSummary {
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Permission bits with set-id and sticky bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of names.
    pub links: u64,
    /// Inode number.
    pub inode: u64,
    /// Its file system, see [`device`].
    pub dev: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i128,
    /// When it was made, likewise; none where the file system does not say.
    pub born_ns: Option<u128>,
}

impl FileSummary {
    /// The summary of a name; a symbolic link is summarised itself.
    ///
    /// # Errors
    /// The failed call, `ENOENT` when there is nothing.
    pub fn of(path: &Path) -> HostResult<Self> {
        let found = Self::from_meta(&fs::symlink_metadata(path).op("stat", path)?);
        let (dev, inode) = device::numbers(path, (found.dev, found.inode));
        Ok(Self { dev, inode, ..found })
    }

    fn from_meta(meta: &Metadata) -> Self {
        Self {
            kind: Kind::of(meta.file_type()),
            size: meta.size(),
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            links: meta.nlink(),
            inode: meta.ino(),
            dev: meta.dev(),
            mtime_ns: i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
            born_ns: born_ns(meta),
        }
    }
}

fn born_ns(meta: &Metadata) -> Option<u128> {
    let since = meta.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_nanos())
}

/// The first `limit` bytes of a regular file.
///
/// # Errors
/// `EINVAL` when it is no regular file, or the failed call.
pub fn read_limited(path: &Path, limit: u64) -> HostResult<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(limit).read_to_end(&mut bytes).op("read", path)?;
    Ok(bytes)
}

/// The SHA-256 of a regular file's content, in hexadecimal.
///
/// # Errors
/// `EFBIG` when it holds more than `limit` bytes, `EINVAL` when it is no regular file.
pub fn sha256(path: &Path, limit: u64) -> HostResult<String> {
    let mut hash = Sha256::new();
    hash_content(path, limit, &mut hash)?;
    Ok(hex(&hash.finalize()))
}

/// Bounds of a tree digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeLimits {
    /// The most names that are visited.
    pub entries: u64,
    /// The most bytes of content that are read, of all files together.
    pub bytes: u64,
    /// The most lines of the listing.
    pub listing: usize,
}

/// What a tree looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeDigest {
    /// SHA-256 over all names in order, with their kind, mode, owner and content.
    pub digest: String,
    /// How many names there are, the root not included.
    pub entries: u64,
    /// Bytes of content read.
    pub bytes: u64,
    /// The first names in order, with the digest of each alone.
    pub listing: Vec<TreeEntry>,
}

/// One name of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeEntry {
    /// Relative to the root of the tree.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Bytes, of a regular file.
    pub size: u64,
    /// SHA-256 over kind, mode, owner and content.
    pub digest: String,
}

/// Digests everything below `dir` for which `exclude` (given the relative path) says no; an
/// excluded directory is left out with all below it.
///
/// Two trees are equal to it when names, kinds, modes, owners, contents and link targets are
/// equal. Times, inode numbers and the size of directories do not count. The root's own attributes
/// do not count either.
///
/// # Errors
/// `EFBIG` when a limit is exceeded; the failed call, also when a file vanishes meanwhile.
pub fn tree_digest(
    dir: &Path,
    exclude: &dyn Fn(&Path) -> bool,
    limits: TreeLimits,
) -> HostResult<TreeDigest> {
    let mut walk = Walk { root: dir, exclude, limits, done: Gathered::new(limits.listing) };
    let mut pending = walk.children(Path::new(""))?;
    // a stack in reverse order visits the tree in the order of the names
    while let Some(path) = pending.pop() {
        let kind = walk.visit(&path)?;
        if kind == Kind::Directory {
            pending.extend(walk.children(&path)?);
        }
    }
    Ok(walk.done.finish())
}

/// The digest of a tree under construction: names are added in the order of a walk.
pub(super) struct Gathered {
    hash: Sha256,
    listed: usize,
    done: TreeDigest,
}

impl Gathered {
    /// Lists this many names at most.
    pub(super) fn new(listed: usize) -> Self {
        let done = TreeDigest { digest: String::new(), entries: 0, bytes: 0, listing: Vec::new() };
        Self { hash: Sha256::new(), listed, done }
    }

    /// Adds a name with its size and digest.
    pub(super) fn add(&mut self, relative: &Path, kind: Kind, size: u64, digest: String) {
        self.done.entries += 1;
        self.done.bytes += size;
        let name = relative.as_os_str().as_bytes();
        // the length first: no two trees give the same stream
        self.hash.update((name.len() as u64).to_le_bytes());
        self.hash.update(name);
        self.hash.update(digest.as_bytes());
        if self.done.listing.len() < self.listed {
            self.done.listing.push(TreeEntry { path: relative.into(), kind, size, digest });
        }
    }

    pub(super) fn finish(mut self) -> TreeDigest {
        self.done.digest = hex(&self.hash.finalize());
        self.done
    }
}

/// The start of one name's digest; content or link target follow.
pub(super) fn entry_hash(kind: Kind, mode: u32, uid: u64, gid: u64) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update(format!("{kind:?} {mode:o} {uid} {gid}\n"));
    hash
}

struct Walk<'a> {
    root: &'a Path,
    exclude: &'a dyn Fn(&Path) -> bool,
    limits: TreeLimits,
    done: Gathered,
}

impl Walk<'_> {
    /// The names in a directory that count, last one first.
    fn children(&self, relative: &Path) -> HostResult<Vec<PathBuf>> {
        let dir = self.root.join(relative);
        let mut names = Vec::new();
        for entry in fs::read_dir(&dir).op("readdir", &dir)? {
            let path = relative.join(entry.op("readdir", &dir)?.file_name());
            if !(self.exclude)(&path) {
                names.push(path);
            }
            if names.len() as u64 > self.limits.entries {
                return Err(HostError::sys("digest", dir, Errno(libc::EFBIG)));
            }
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }

    fn visit(&mut self, relative: &Path) -> HostResult<Kind> {
        let path = self.root.join(relative);
        let summary = FileSummary::of(&path)?;
        if self.done.done.entries >= self.limits.entries {
            return Err(HostError::sys("digest", path, Errno(libc::EFBIG)));
        }
        let (size, digest) = self.digest_one(&path, &summary)?;
        self.done.add(relative, summary.kind, size, digest);
        Ok(summary.kind)
    }

    fn digest_one(&self, path: &Path, summary: &FileSummary) -> HostResult<(u64, String)> {
        let FileSummary { kind, mode, uid, gid, .. } = summary;
        let mut hash = entry_hash(*kind, *mode, u64::from(*uid), u64::from(*gid));
        let mut size = 0;
        match kind {
            Kind::File => {
                let left = self.limits.bytes - self.done.done.bytes;
                size = hash_content(path, left, &mut hash)?;
            }
            Kind::Symlink => {
                let target = fs::read_link(path).op("readlink", path)?;
                hash.update(target.as_os_str().as_bytes());
            }
            _ => {}
        }
        Ok((size, hex(&hash.finalize())))
    }
}

fn hash_content(path: &Path, limit: u64, hash: &mut Sha256) -> HostResult<u64> {
    let total = hash_stream(&mut open_regular(path)?, limit, hash).op("read", path)?;
    if total > limit {
        return Err(HostError::sys("digest", path, Errno(libc::EFBIG)));
    }
    Ok(total)
}

/// Hashes up to one byte more than `limit`; how many bytes.
pub(super) fn hash_stream(
    source: &mut impl Read,
    limit: u64,
    hash: &mut Sha256,
) -> io::Result<u64> {
    let mut source = source.take(limit.saturating_add(1));
    let mut chunk = vec![0; 128 * 1024];
    let mut total = 0;
    loop {
        match source.read(&mut chunk)? {
            0 => return Ok(total),
            n => {
                hash.update(&chunk[..n]);
                total += n as u64;
            }
        }
    }
}

fn open_regular(path: &Path) -> HostResult<File> {
    // O_NONBLOCK: a FIFO must not block us before it is recognised
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).op("open", path)?;
    if file.metadata().op("stat", path)?.is_file() {
        return Ok(file);
    }
    Err(HostError::sys("read", path, Errno(libc::EINVAL)))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // writing to a string cannot fail
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const LIMITS: TreeLimits = TreeLimits { entries: 100, bytes: 1000, listing: 2 };

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::write(dir.path().join("d/f"), "abc").unwrap();
        fs::write(dir.path().join("d-"), "x").unwrap();
        symlink("d/f", dir.path().join("link")).unwrap();
        dir
    }

    fn digest(dir: &Path) -> TreeDigest {
        tree_digest(dir, &|path| path.starts_with(".keelhaul-t"), LIMITS).unwrap()
    }

    #[test]
    fn equal_trees_have_equal_digests_and_any_change_shows() {
        let (one, two) = (tree(), tree());
        let base = digest(one.path());
        assert_eq!((base.entries, base.bytes, base.listing.len()), (4, 4, 2));
        assert_eq!(base, digest(two.path()));
        fs::create_dir(two.path().join(".keelhaul-t")).unwrap();
        fs::write(two.path().join(".keelhaul-t/x"), "filler").unwrap();
        assert_eq!(base, digest(two.path()));
        type Change = fn(&Path);
        let changes: [Change; 4] = [
            |at| fs::write(at.join("d/f"), "abd").unwrap(),
            |at| fs::set_permissions(at.join("d"), fs::Permissions::from_mode(0o700)).unwrap(),
            |at| fs::rename(at.join("d-"), at.join("e")).unwrap(),
            |at| fs::write(at.join("d/g"), "").unwrap(),
        ];
        for change in changes {
            let changed = tree();
            change(changed.path());
            assert_ne!(base.digest, digest(changed.path()).digest);
        }
    }

    #[test]
    fn limits_hold() {
        let dir = tree();
        for limits in [TreeLimits { entries: 3, ..LIMITS }, TreeLimits { bytes: 3, ..LIMITS }] {
            let error = tree_digest(dir.path(), &|_| false, limits).unwrap_err();
            assert!(error.is(libc::EFBIG), "{error}");
        }
        assert_eq!(read_limited(&dir.path().join("d/f"), 2).unwrap(), b"ab");
        assert!(sha256(&dir.path().join("d/f"), 2).unwrap_err().is(libc::EFBIG));
    }

    #[test]
    fn digests_and_summaries_are_right_and_links_are_not_followed() {
        let dir = tree();
        let file = dir.path().join("d/f");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&file, 3).unwrap(), abc);
        let link = dir.path().join("link");
        assert_eq!(FileSummary::of(&link).unwrap().kind, Kind::Symlink);
        assert!(read_limited(&link, 9).unwrap_err().is(libc::ELOOP));
        assert!(read_limited(dir.path(), 9).unwrap_err().is(libc::EINVAL));
        let summary = FileSummary::of(&file).unwrap();
        assert_eq!((summary.kind, summary.size, summary.links), (Kind::File, 3, 1));
    }
}
