//! What a tar archive holds, digested as if it were the directory that it was made of.
//!
//! Only reads; unpacks nothing. A damaged archive is a finding, not an error.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use super::errno::Errno;
use super::error::{Context, HostError, HostResult};
use super::file::{
    FileSummary, Gathered, Kind, TreeDigest, TreeLimits, entry_hash, hash_stream, hex,
};

/// The most archives that are read at a time.
const MOST: usize = 64;
/// Two blocks of zeros close a tar.
const END: u64 = 1024;

/// One archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveDigest {
    /// Its file name.
    pub name: String,
    /// Bytes of the file.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Why it is not readable to its end; none when it is.
    pub broken: Option<String>,
    /// What it holds; what could be read of it when it is broken.
    pub tree: TreeDigest,
}

/// Every archive in the directory of `pattern` whose name matches its last component, oldest first.
/// With `below` only what it holds under this path counts.
///
/// # Errors
/// The failed call; `EFBIG` when a limit is exceeded, `EINVAL` for a pattern that is none.
pub fn archives(
    pattern: &Path,
    below: Option<&Path>,
    limits: TreeLimits,
) -> HostResult<Vec<ArchiveDigest>> {
    let bad = || HostError::sys("match", pattern, Errno(libc::EINVAL));
    let name = pattern.file_name().and_then(|name| name.to_str()).ok_or_else(bad)?;
    let glob = globset::Glob::new(name).map_err(|_| bad())?.compile_matcher();
    let dir = pattern.parent().ok_or_else(bad)?;
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).op("readdir", dir)? {
        let other = entry.op("readdir", dir)?.file_name().to_string_lossy().into_owned();
        // hidden files are meant only by who says so, as in a shell
        let hidden = other.starts_with('.') && !name.starts_with('.');
        if hidden || !glob.is_match(&other) {
            continue;
        }
        if found.len() == MOST {
            return Err(HostError::sys("digest", dir, Errno(libc::EFBIG)));
        }
        found.push(archive(&dir.join(other), below, limits)?);
    }
    found.sort_by(|a, b| (a.mtime_ns, &a.name).cmp(&(b.mtime_ns, &b.name)));
    Ok(found)
}

fn archive(path: &Path, below: Option<&Path>, limits: TreeLimits) -> HostResult<ArchiveDigest> {
    let summary = FileSummary::of(path)?;
    let mut file = File::open(path).op("open", path)?;
    let mut survey = Survey { below, limits, bytes: 0, found: BTreeMap::new(), over: false };
    let read = ends(&mut file).and_then(|whole| {
        file.rewind()?;
        survey.read(&mut file)?;
        Ok(whole)
    });
    if survey.over {
        return Err(HostError::sys("digest", path, Errno(libc::EFBIG)));
    }
    let broken = match read {
        Ok(true) => None,
        Ok(false) => Some("it is cut off: the end mark is missing".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    Ok(ArchiveDigest {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        size: summary.size,
        mtime_ns: summary.mtime_ns,
        broken,
        tree: survey.digest(),
    })
}

/// Whether the file ends as a tar does.
fn ends(file: &mut File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    if length < END || length % 512 != 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(length - END))?;
    let mut end = Vec::new();
    file.take(END).read_to_end(&mut end)?;
    Ok(end.iter().all(|byte| *byte == 0))
}

struct Survey<'a> {
    below: Option<&'a Path>,
    limits: TreeLimits,
    bytes: u64,
    /// Kind, size and digest by path; paths sort as a walk visits them.
    found: BTreeMap<PathBuf, (Kind, u64, String)>,
    /// A limit was exceeded.
    over: bool,
}

impl Survey<'_> {
    fn read(&mut self, file: &mut File) -> io::Result<()> {
        for entry in tar::Archive::new(file).entries()? {
            let mut entry = entry?;
            let Some(path) = plain(&entry.path()?) else { continue };
            self.over |= self.found.len() as u64 >= self.limits.entries;
            if self.over {
                return Ok(());
            }
            let one = self.digest_one(&mut entry)?;
            if let Some(one) = one {
                self.found.insert(path, one);
            }
        }
        Ok(())
    }

    fn digest_one<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
    ) -> io::Result<Option<(Kind, u64, String)>> {
        let header = entry.header();
        let target = entry.link_name()?.map(std::borrow::Cow::into_owned);
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink,
            EntryType::Fifo => Kind::Fifo,
            EntryType::Block | EntryType::Char => Kind::Device,
            // another name of a file that came before
            EntryType::Link => {
                return Ok(target.and_then(|of| self.found.get(&plain(&of)?).cloned()));
            }
            _ => return Ok(None),
        };
        // some writers leave blank what they do not know
        let owner = (header.uid().unwrap_or_default(), header.gid().unwrap_or_default());
        let mut hash =
            entry_hash(kind, header.mode().unwrap_or_default() & 0o7777, owner.0, owner.1);
        let mut size = 0;
        if kind == Kind::File {
            size = hash_stream(entry, self.limits.bytes.saturating_sub(self.bytes), &mut hash)?;
            self.bytes += size;
            self.over |= self.bytes > self.limits.bytes;
        } else if let (Kind::Symlink, Some(target)) = (kind, target) {
            use sha2::Digest as _;
            hash.update(target.as_os_str().as_encoded_bytes());
        }
        Ok(Some((kind, size, hex(&sha2::Digest::finalize(hash)))))
    }

    fn digest(self) -> TreeDigest {
        let mut gathered = Gathered::new(self.limits.listing);
        for (path, (kind, size, digest)) in self.found {
            let inside = match self.below {
                None => path.as_path(),
                Some(below) => match path.strip_prefix(below) {
                    Ok(inside) if inside != Path::new("") => inside,
                    _ => continue,
                },
            };
            gathered.add(inside, kind, size, digest);
        }
        gathered.finish()
    }
}

/// The path without what does not matter: `./a//b/` is `a/b`. None for the root itself.
fn plain(path: &Path) -> Option<PathBuf> {
    let parts = path.components().filter(|part| matches!(part, Component::Normal(_)));
    let plain: PathBuf = parts.collect();
    (plain != Path::new("")).then_some(plain)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::file::tree_digest;
    use super::*;

    const LIMITS: TreeLimits = TreeLimits { entries: 100, bytes: 1000, listing: 50 };

    /// A tree, and an archive of it under `data`, beside each other.
    fn pair() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("d")).unwrap();
        fs::write(tree.join("d/f"), "abc").unwrap();
        fs::write(tree.join("d-"), "x").unwrap();
        fs::hard_link(tree.join("d-"), tree.join("other")).unwrap();
        symlink("d/f", tree.join("link")).unwrap();
        let mut tar = tar::Builder::new(File::create(dir.path().join("a.tar")).unwrap());
        tar.follow_symlinks(false);
        tar.append_dir_all("./data", &tree).unwrap();
        let mut manifest = tar::Header::new_gnu();
        manifest.set_size(2);
        tar.append_data(&mut manifest, "MANIFEST", &b"{}"[..]).unwrap();
        tar.finish().unwrap();
        fs::write(dir.path().join(".hidden.tar"), "x").unwrap();
        dir
    }

    fn read(dir: &Path, below: Option<&str>) -> ArchiveDigest {
        let found = archives(&dir.join("*.tar"), below.map(Path::new), LIMITS).unwrap();
        assert_eq!(found.len(), 1);
        found.into_iter().next().unwrap()
    }

    #[test]
    fn an_archive_digests_as_the_tree_that_it_was_made_of() {
        let dir = pair();
        let tree = tree_digest(&dir.path().join("tree"), &|_| false, LIMITS).unwrap();
        let archive = read(dir.path(), Some("data"));
        assert_eq!((archive.broken, &archive.tree), (None, &tree));
        let whole = read(dir.path(), None).tree;
        assert_eq!((whole.entries, whole.listing[0].path.as_path()), (7, Path::new("MANIFEST")));
        fs::write(dir.path().join("tree/d/f"), "abd").unwrap();
        let changed = tree_digest(&dir.path().join("tree"), &|_| false, LIMITS).unwrap();
        assert_ne!(archive.tree.digest, changed.digest);
    }

    #[test]
    fn whatever_is_missing_at_the_end_is_seen() {
        let dir = pair();
        let path = dir.path().join("a.tar");
        let bytes = fs::read(&path).unwrap();
        for length in [0, 100, 512, 1024, 2000, bytes.len() - 1024, bytes.len() - 1] {
            fs::write(&path, &bytes[..length]).unwrap();
            assert!(read(dir.path(), None).broken.is_some(), "{length} bytes");
        }
        let mut damaged = bytes.clone();
        damaged[10] ^= 1;
        fs::write(&path, &damaged).unwrap();
        assert!(read(dir.path(), None).broken.unwrap().contains("checksum"));
    }

    #[test]
    fn limits_hold() {
        let dir = pair();
        for limits in [TreeLimits { entries: 3, ..LIMITS }, TreeLimits { bytes: 3, ..LIMITS }] {
            let error = archives(&dir.path().join("a.tar"), None, limits).unwrap_err();
            assert!(error.is(libc::EFBIG), "{error}");
        }
    }
}
