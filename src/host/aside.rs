//! Takes a file's name away, or gives it to another file, and keeps the old one beside it.
//!
//! What is kept is the file itself under a second name, so nothing is copied, and the way back needs
//! nothing but the two names. It frees no space. Regular files only.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use rustix::fs::{link, rename, unlink};

use super::error::{Context, HostError, HostResult};
use super::file::{FileSummary, Kind, read_limited};
use super::hardlink::temp_beside;
use super::metadata::{Change, Meant};
use super::probe_write::sweep_probes;
use crate::errno::Errno;

/// Keeps the file `meant` as `kept` beside its name, and removes the name; with `content`, gives the
/// name to a new file with these bytes, and the mode and owner of the old one, in one step.
///
/// # Errors
/// `EEXIST` when something is kept there already; the failed call.
pub fn set_aside(
    path: &Path,
    meant: Meant,
    kept: &str,
    content: Option<&[u8]>,
) -> HostResult<Change> {
    let Some(now) = look(path)? else { return Ok(Change::Elsewhere) };
    if (Some(now.dev), now.inode, now.kind) != (meant.dev, meant.inode, Kind::File) {
        return Ok(Change::Elsewhere);
    }
    let fresh = match content {
        Some(bytes) => Some((temp_beside(path)?, bytes)),
        None => None,
    };
    if let Some((temp, bytes)) = &fresh {
        write_like(path, temp, bytes)?;
    }
    link(path, path.with_file_name(kept)).op("link", path)?;
    match fresh {
        Some((temp, _)) => rename(&temp, path).op("rename", path)?,
        None => unlink(path).op("unlink", path)?,
    }
    Ok(Change::Made)
}

/// Gives the name back to the file that was kept: the undo of [`set_aside`], from wherever that
/// got to. What somebody else has put under the name since stays, and what was kept goes.
///
/// # Errors
/// The failed call.
pub fn put_back(path: &Path, kept: &str, content: Option<&[u8]>) -> HostResult<Change> {
    let kept = path.with_file_name(kept);
    if let Some(dir) = path.parent() {
        sweep_probes(dir)?;
    }
    let Some(ours) = look(&kept)? else { return Ok(Change::Elsewhere) };
    let now = match look(path)? {
        // a link takes no name that somebody else has taken meanwhile
        None => match link(&kept, path) {
            Err(rustix::io::Errno::EXIST) => look(path)?,
            other => {
                other.op("link", path)?;
                unlink(&kept).op("unlink", &kept)?;
                return Ok(Change::Made);
            }
        },
        now => now,
    };
    let same_file = now.as_ref().is_some_and(|now| (now.dev, now.inode) == (ours.dev, ours.inode));
    if !same_file && now.is_some_and(|now| has(path, &now, content)) {
        rename(&kept, path).op("rename", path)?;
        return Ok(Change::Made);
    }
    unlink(&kept).op("unlink", &kept)?;
    Ok(Change::LeftAlone)
}

fn look(path: &Path) -> HostResult<Option<FileSummary>> {
    match FileSummary::of(path) {
        Err(error) if error.is(libc::ENOENT) => Ok(None),
        other => other.map(Some),
    }
}

/// Whether the file still has the bytes that it was given.
fn has(path: &Path, now: &FileSummary, content: Option<&[u8]>) -> bool {
    let Some(bytes) = content else { return false };
    let size = bytes.len() as u64;
    now.kind == Kind::File
        && now.size == size
        && read_limited(path, size).is_ok_and(|found| found == bytes)
}

/// A new file, durable, with the mode and owner of another.
fn write_like(model: &Path, path: &Path, bytes: &[u8]) -> HostResult<()> {
    let meta = fs::symlink_metadata(model).op("stat", model)?;
    let make = || -> std::io::Result<File> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        fchown(&file, Some(meta.uid()), Some(meta.gid()))?;
        file.set_permissions(Permissions::from_mode(meta.mode() & 0o7777))?;
        Ok(file)
    };
    let made = make().and_then(|file| file.sync_all());
    made.map_err(|error| {
        let _ = unlink(path);
        HostError::sys("write", path, Errno::of_io(&error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = ".keelhaul-r-kept-1";

    fn file() -> (tempfile::TempDir, std::path::PathBuf, Meant) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let meta = fs::metadata(&path).unwrap();
        let meant = Meant { dev: Some(meta.dev()), inode: meta.ino() };
        (dir, path, meant)
    }

    fn names(dir: &tempfile::TempDir) -> usize {
        fs::read_dir(dir.path()).unwrap().count()
    }

    #[test]
    fn a_name_is_removed_and_comes_back_with_its_file() {
        let (dir, path, meant) = file();
        assert_eq!(set_aside(&path, meant, KEPT, None).unwrap(), Change::Made);
        assert!(!path.exists());
        assert_eq!(put_back(&path, KEPT, None).unwrap(), Change::Made);
        assert_eq!(put_back(&path, KEPT, None).unwrap(), Change::Elsewhere, "twice");
        assert_eq!((fs::metadata(&path).unwrap().ino(), names(&dir)), (meant.inode, 1));
    }

    #[test]
    fn a_file_is_replaced_in_one_step_and_comes_back() {
        let (dir, path, meant) = file();
        let new = Some(&b"new"[..]);
        assert_eq!(set_aside(&path, meant, KEPT, new).unwrap(), Change::Made);
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(put_back(&path, KEPT, new).unwrap(), Change::Made);
        assert_eq!((fs::read(&path).unwrap(), names(&dir)), (b"old".to_vec(), 1));
    }

    #[test]
    fn what_the_subject_has_written_since_stays() {
        for content in [None, Some(&b"new"[..])] {
            let (dir, path, meant) = file();
            set_aside(&path, meant, KEPT, content).unwrap();
            fs::write(&path, "theirs").unwrap();
            assert_eq!(put_back(&path, KEPT, content).unwrap(), Change::LeftAlone);
            assert_eq!((fs::read(&path).unwrap(), names(&dir)), (b"theirs".to_vec(), 1));
        }
    }

    #[test]
    fn a_crash_in_between_leaves_the_file_as_it_was() {
        let (dir, path, meant) = file();
        // kept, and the name not yet taken away; a half-made copy lies beside it
        link(&path, path.with_file_name(KEPT)).unwrap();
        fs::write(temp_beside(&path).unwrap(), "ne").unwrap();
        assert_eq!(put_back(&path, KEPT, None).unwrap(), Change::LeftAlone);
        assert_eq!((fs::read(&path).unwrap(), names(&dir)), (b"old".to_vec(), 1));
        let other = Meant { inode: meant.inode + 1, ..meant };
        assert_eq!(set_aside(&path, other, KEPT, None).unwrap(), Change::Elsewhere);
    }
}
