//! What of a file is in the page cache, and how it gets out.
//!
//! Looks by mincore(2), and drops by `posix_fadvise(2)`: two calls that know nothing of each other.
//! Measured (kernel 6.18): pages that are dirty, or mapped by somebody, stay; a page that is read
//! again is back at once. A page that was written in part counts only where a block is as large as
//! a page: on smaller ones the rest of it is not there. mincore tells the truth to the owner of a
//! file only, or to who may write it.
#![expect(unsafe_code, reason = "mincore has no wrapper in rustix")]

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise, fdatasync};

use super::error::{Context, HostError, HostResult};
use crate::protocol::PageFacts;

/// Bytes of a page, as far as counting goes: larger ones are counted as several.
const PAGE: u64 = 4096;
/// The most files of one tree.
const FILES: usize = 20_000;
/// The most bytes that are mapped at a time.
const WINDOW: u64 = 1 << 30;

/// What of a file, or of every file below a directory, is in the page cache.
///
/// # Errors
/// The failed call, except for files that vanish meanwhile.
pub fn look(path: &Path) -> HostResult<PageFacts> {
    let mut facts = PageFacts::default();
    for_each_file(path, &mut |file, path| {
        facts.files += 1;
        let size = file.metadata().op("stat", path)?.len();
        facts.pages += size.div_ceil(PAGE);
        facts.resident += resident(file, size).op("mincore", path)?;
        Ok(())
    })?;
    Ok(facts)
}

/// Writes and drops what is cached of a file, or of every file below a directory; how many files there were.
///
/// # Errors
/// As [`look`].
pub fn drop_clean(path: &Path) -> HostResult<u64> {
    let mut files = 0;
    for_each_file(path, &mut |file, path| {
        files += 1;
        // what is dirty is not dropped (posix_fadvise(2)); where it cannot be written it stays, and shows
        let _ = fdatasync(file);
        fadvise(file, 0, None, Advice::DontNeed).op("fadvise", path)
    })?;
    Ok(files)
}

fn for_each_file(
    top: &Path,
    work: &mut dyn FnMut(&File, &Path) -> HostResult<()>,
) -> HostResult<()> {
    let mut left: Vec<PathBuf> = vec![top.to_owned()];
    let mut seen = 0;
    while let Some(path) = left.pop() {
        let Some(meta) = present(fs::symlink_metadata(&path)).op("stat", &path)? else { continue };
        if meta.is_dir() {
            for entry in fs::read_dir(&path).op("readdir", &path)? {
                left.push(entry.op("readdir", &path)?.path());
            }
        } else if meta.is_file() {
            seen += 1;
            if seen > FILES {
                let detail = format!("more than {FILES} files");
                return Err(HostError::malformed(top.display().to_string(), detail));
            }
            let opened = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&path);
            if let Some(file) = present(opened).op("open", &path)? {
                work(&file, &path)?;
            }
        }
    }
    Ok(())
}

fn present<T>(result: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// How many pages of the file's first `size` bytes are resident.
fn resident(file: &File, size: u64) -> std::io::Result<u64> {
    let mut count = 0;
    let mut offset = 0;
    while offset < size {
        let length = (size - offset).min(WINDOW);
        count += resident_window(file, offset, length)?;
        offset += length;
    }
    Ok(count)
}

fn resident_window(file: &File, offset: u64, length: u64) -> std::io::Result<u64> {
    let invalid = |_| std::io::Error::from(std::io::ErrorKind::InvalidInput);
    let (length, offset) = (
        usize::try_from(length).map_err(invalid)?,
        libc::off_t::try_from(offset).map_err(invalid)?,
    );
    // SAFETY: asks for a constant of the system.
    let system_page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let mut pages = vec![0_u8; length.div_ceil(system_page)];
    // SAFETY: a new read-only mapping of a descriptor that is open; it is looked at by mincore
    // only, which writes a byte for each page into `pages`, and is unmapped before anything else.
    let failed = unsafe {
        let (none, flags) = (std::ptr::null_mut(), libc::MAP_SHARED);
        let map = libc::mmap(none, length, libc::PROT_READ, flags, file.as_raw_fd(), offset);
        if map == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        let looked = libc::mincore(map, length, pages.as_mut_ptr());
        let failed = (looked != 0).then(std::io::Error::last_os_error);
        libc::munmap(map, length);
        failed
    };
    if let Some(error) = failed {
        return Err(error);
    }
    let resident = pages.iter().filter(|page| **page & 1 == 1).count() as u64;
    Ok(resident * (system_page as u64 / PAGE).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::testing::{LoopFs, in_private_mounts};

    #[test]
    fn what_is_written_is_resident_until_it_is_dropped_and_again_when_it_is_read() {
        in_private_mounts(|| {
            let fs = LoopFs::new("ext4", 32 << 20, &[], "");
            let dir = fs.dir.join("d");
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("f"), vec![7; 64 * 4096]).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", dir.join("l")).unwrap();
            File::open(dir.join("f")).unwrap().sync_all().unwrap();
            let all = PageFacts { files: 1, pages: 64, resident: 64 };
            assert_eq!(look(&dir), Ok(all));
            assert_eq!(drop_clean(&dir), Ok(1));
            assert_eq!(look(&dir), Ok(PageFacts { resident: 0, ..all }));
            assert_eq!(fs::read(dir.join("f")).unwrap().len(), 64 * 4096);
            assert_eq!(look(&dir.join("f")), Ok(all));
            assert_eq!(look(&dir.join("none")), Ok(PageFacts::default()));
        });
    }
}
