//! Removes filler: one marker directory and what is in it, and nothing else.
//!
//! Works on descriptors and never follows a symbolic link, so that nobody can lead it elsewhere. It
//! stays on one file system. Unlinking runs at the rate of creating.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, fstat, openat, unlinkat};

use super::{DIRECTORY, check_marker, open_base};
use crate::host::error::{Context, HostError, HostResult};

/// Filler is two directories deep; more than this was not made by us.
const DEEPEST: usize = 8;

/// Removes the marker directory below `dir`; returns how many names were removed, `0` when it is
/// not there: doing it twice changes nothing.
///
/// # Errors
/// [`HostError::NotOurs`] when the marker is no directory or another file system is mounted in it;
/// the failed call otherwise. What is left is removed by the next call.
pub fn remove_filler(dir: &Path, marker: &str) -> HostResult<u64> {
    check_marker(marker)?;
    let base = match open_base(dir) {
        Err(error) if error.is(libc::ENOENT) => return Ok(0),
        other => other?,
    };
    let path = dir.join(marker);
    let fd = match openat(&base, marker, DIRECTORY, Mode::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::NOENT) => return Ok(0),
        Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
            return Err(HostError::NotOurs { path, detail: "no directory".to_owned() });
        }
        Err(e) => return Err(HostError::sys("open", path, e)),
    };
    let dev = fstat(&base).op("stat", dir)?.st_dev;
    let removed = Sweep { path: &path, dev }.empty(&fd, 0)?;
    match unlinkat(&base, marker, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(removed + 1),
        // someone else was faster
        Err(rustix::io::Errno::NOENT) => Ok(removed),
        Err(e) => Err(HostError::sys("rmdir", &path, e)),
    }
}

struct Sweep<'a> {
    path: &'a Path,
    dev: u64,
}

impl Sweep<'_> {
    fn empty(&self, dir: &OwnedFd, depth: usize) -> HostResult<u64> {
        if fstat(dir).op("stat", self.path)?.st_dev != self.dev || depth > DEEPEST {
            let detail = "another file system, or deeper than filler is".to_owned();
            return Err(HostError::NotOurs { path: self.path.to_path_buf(), detail });
        }
        let mut removed = 0;
        // unlinking while reading may skip entries: read again until nothing is left
        loop {
            let found = self.pass(dir, depth)?;
            if found == 0 {
                return Ok(removed);
            }
            removed += found;
        }
    }

    fn pass(&self, dir: &OwnedFd, depth: usize) -> HostResult<u64> {
        // a descriptor of its own: the position in the directory starts anew
        let fresh = openat(dir, ".", DIRECTORY, Mode::empty()).op("open", self.path)?;
        let mut buffer = vec![MaybeUninit::uninit(); 64 * 1024];
        let mut entries = RawDir::new(fresh, &mut buffer);
        let mut removed = 0;
        while let Some(entry) = entries.next() {
            let entry = entry.op("getdents", self.path)?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            let name = entry.file_name();
            let result = match entry.file_type() {
                FileType::Directory => {
                    removed += self.subdirectory(dir, &name.to_owned(), depth)?;
                    unlinkat(dir, name, AtFlags::REMOVEDIR)
                }
                _ => unlinkat(dir, name, AtFlags::empty()),
            };
            match result {
                Ok(()) => removed += 1,
                Err(rustix::io::Errno::NOENT) => {}
                Err(e) => return Err(HostError::sys("unlink", self.path, e)),
            }
        }
        Ok(removed)
    }

    fn subdirectory(&self, dir: &OwnedFd, name: &CString, depth: usize) -> HostResult<u64> {
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        let fd = openat(dir, name.as_c_str(), flags, Mode::empty()).op("open", self.path)?;
        self.empty(&fd, depth + 1)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_the_marker_is_removed_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (at, marker) = (dir.path(), ".keelhaul-t");
        fs::create_dir_all(at.join(marker).join("a/b")).unwrap();
        fs::create_dir(at.join("data")).unwrap();
        fs::write(at.join("data/precious"), "x").unwrap();
        symlink(at.join("data"), at.join(marker).join("a/link")).unwrap();
        for name in 0..5000 {
            fs::write(at.join(marker).join("a").join(name.to_string()), "").unwrap();
        }
        assert_eq!(remove_filler(at, marker).unwrap(), 5004);
        assert_eq!(remove_filler(at, marker).unwrap(), 0);
        assert_eq!(fs::read(at.join("data/precious")).unwrap(), b"x");
        assert_eq!(fs::read_dir(at).unwrap().count(), 1);
    }

    #[test]
    fn a_link_in_the_markers_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        fs::write(dir.path().join("data/precious"), "x").unwrap();
        symlink(dir.path().join("data"), dir.path().join(".keelhaul-t")).unwrap();
        let error = remove_filler(dir.path(), ".keelhaul-t").unwrap_err();
        assert!(matches!(error, HostError::NotOurs { .. }), "{error}");
        assert!(remove_filler(dir.path(), "data").is_err());
        assert!(dir.path().join("data/precious").exists());
        assert_eq!(remove_filler(&dir.path().join("none"), ".keelhaul-t").unwrap(), 0);
    }
}
