//! When files were last modified and read: listed, and shifted.
//!
//! Never follows a symbolic link and stays on one filesystem. Regular files only. Looks at no
//! content, and does not know why a time should be another one.

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::device;
use super::error::{Context, HostError, HostResult};
use super::metadata::{Change, Meant, change};

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// When a file was used, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Last modification.
    pub modified: i64,
    /// Last access.
    pub read: i64,
}

impl Times {
    fn of(meta: &Metadata) -> Self {
        let ns = |seconds: i64, rest: i64| seconds.saturating_mul(SECOND).saturating_add(rest);
        Self {
            modified: ns(meta.mtime(), meta.mtime_nsec()),
            read: ns(meta.atime(), meta.atime_nsec()),
        }
    }

    /// The same, so many seconds later, or earlier.
    #[must_use]
    pub fn shifted(self, seconds: i64) -> Self {
        let by = seconds.saturating_mul(SECOND);
        Self { modified: self.modified.saturating_add(by), read: self.read.saturating_add(by) }
    }
}

/// A file below a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// One of its paths.
    pub path: PathBuf,
    /// Inode number.
    pub inode: u64,
    /// When it was used.
    pub times: Times,
}

/// `st_dev` of a path, and the files there and below, each inode once and `most` at most; whether
/// there are more. Names that begin with `ours` are left out.
///
/// # Errors
/// The failed call, except for files that vanish meanwhile.
pub fn list(top: &Path, most: usize, ours: &str) -> HostResult<(u64, Vec<Listed>, bool)> {
    let meta = fs::symlink_metadata(top).op("stat", top)?;
    let dev = meta.dev();
    // beneath a filesystem of ours, files have numbers of their own
    let others = device::of(top, dev) != dev;
    let (mut left, mut seen, mut found) = (vec![top.to_owned()], BTreeSet::new(), Vec::new());
    while let Some(path) = left.pop() {
        let meta = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            other => other.op("stat", &path)?,
        };
        if meta.dev() != dev {
            continue;
        }
        if meta.is_dir() {
            for entry in fs::read_dir(&path).op("readdir", &path)? {
                let entry = entry.op("readdir", &path)?;
                if !entry.file_name().as_encoded_bytes().starts_with(ours.as_bytes()) {
                    left.push(entry.path());
                }
            }
        } else if meta.is_file() && seen.insert(meta.ino()) {
            if found.len() == most {
                return Ok((dev, found, true));
            }
            let inode =
                if others { device::numbers(&path, (dev, meta.ino())).1 } else { meta.ino() };
            found.push(Listed { path, inode, times: Times::of(&meta) });
        }
    }
    Ok((dev, found, false))
}

/// Shifts the times of a file by whole seconds, if it was last modified at `from`. The time of the
/// last access is left alone if someone has read the file since.
///
/// # Errors
/// [`HostError::Malformed`] when the filesystem cannot hold such a time, which is as it was then;
/// the failed call.
pub fn shift(path: &Path, meant: Meant, from: Times, seconds: i64) -> HostResult<Change> {
    change(path, meant, |file, meta| {
        let now = Times::of(meta);
        if now.modified != from.modified || seconds == 0 {
            return Ok(Change::LeftAlone);
        }
        let to = now.shifted(seconds);
        let read = if now.read == from.read { to.read } else { now.read };
        let to = Times { read, ..to };
        set(file, path, to)?;
        if Times::of(&file.metadata().op("stat", path)?) != to {
            set(file, path, now)?;
            let detail = "its filesystem cannot hold that time";
            return Err(HostError::malformed(path.display().to_string(), detail));
        }
        Ok(Change::Made)
    })
}

fn set(file: &File, path: &Path, to: Times) -> HostResult<()> {
    let times = FileTimes::new().set_modified(instant(to.modified)).set_accessed(instant(to.read));
    file.set_times(times).op("futimens", path)
}

fn instant(ns: i64) -> SystemTime {
    let distance = Duration::from_nanos(ns.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let found = if ns < 0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
    found.unwrap_or(epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(path: &Path) -> Meant {
        let meta = fs::metadata(path).unwrap();
        Meant { dev: Some(meta.dev()), inode: meta.ino() }
    }

    fn times(path: &Path) -> Times {
        Times::of(&fs::metadata(path).unwrap())
    }

    #[test]
    fn files_below_a_directory_are_listed_once_each() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        for name in ["a", "d/b", ".keelhaul-r1"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::hard_link(dir.path().join("a"), dir.path().join("d/a")).unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
        let (_, found, more) = list(dir.path(), 10, ".keelhaul-").unwrap();
        assert_eq!((found.len(), more), (2, false), "{found:?}");
        let (dev, found, more) = list(&dir.path().join("a"), 1, ".keelhaul-").unwrap();
        let who = meant(&dir.path().join("a"));
        assert_eq!(found[0].inode, who.inode);
        assert_eq!((dev, more), (who.dev.unwrap(), false));
        assert!(list(dir.path(), 1, ".keelhaul-").unwrap().2);
        assert!(list(&dir.path().join("none"), 1, "").is_err());
    }

    #[test]
    fn times_go_there_and_back_to_the_nanosecond_and_no_further() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        fs::write(&file, "").unwrap();
        let (who, before) = (meant(&file), times(&file));
        assert_eq!(shift(&file, who, before, 3600), Ok(Change::Made));
        assert_eq!(times(&file), before.shifted(3600));
        assert_eq!(shift(&file, who, before, 3600), Ok(Change::LeftAlone), "twice");
        assert_eq!(shift(&file, who, before.shifted(3600), -3600), Ok(Change::Made));
        assert_eq!(times(&file), before);
        assert_eq!(shift(&file, who, before, -90_000), Ok(Change::Made));
        fs::write(&file, "theirs").unwrap();
        let theirs = times(&file);
        assert_eq!(shift(&file, who, before.shifted(-90_000), 90_000), Ok(Change::LeftAlone));
        assert_eq!(times(&file), theirs);
    }

    #[test]
    fn a_file_that_was_read_since_keeps_the_time_of_that() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        fs::write(&file, "").unwrap();
        let (who, before) = (meant(&file), times(&file));
        assert_eq!(shift(&file, who, before, 60), Ok(Change::Made));
        let handle = File::open(&file).unwrap();
        let read = before.read + 7;
        set(&handle, &file, Times { read, ..before.shifted(60) }).unwrap();
        assert_eq!(shift(&file, who, before.shifted(60), -60), Ok(Change::Made));
        assert_eq!(times(&file), Times { read, ..before });
    }
}
