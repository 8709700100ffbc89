//! File handles: a file named by its filesystem, without a descriptor that keeps it.
//!
//! A handle outlives renames, and not the file: a new file on the same inode has another. Opening
//! needs `CAP_DAC_READ_SEARCH`. Where a filesystem has none (an overlay without `nfs_export`), there
//! is nothing but to keep the descriptor.
#![expect(unsafe_code, reason = "the two calls have no wrapper in rustix or nix")]

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::OFlags;

use super::errno::Errno;
use super::error::HostError;
use super::error::HostResult;

/// `MAX_HANDLE_SZ` of linux/exportfs.h.
const MOST: u32 = 128;
const ROOM: usize = MOST as usize;

/// `struct file_handle`, with room for the largest.
#[repr(C)]
struct Raw {
    bytes: u32,
    kind: i32,
    handle: [u8; ROOM],
}

/// A file by its filesystem's own name for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileHandle {
    kind: i32,
    bytes: Box<[u8]>,
}

impl FileHandle {
    /// The handle of an open file, which may be open as a path alone; none where the filesystem
    /// has none.
    #[must_use]
    pub fn of(file: BorrowedFd<'_>) -> Option<Self> {
        let mut raw = Raw { bytes: MOST, kind: 0, handle: [0; ROOM] };
        let mut mount = 0_i32;
        // SAFETY: the string ends in a nul, `raw` has the room that it says, and both outlive the call.
        let done = unsafe {
            libc::syscall(
                libc::SYS_name_to_handle_at,
                file.as_raw_fd(),
                c"".as_ptr(),
                &raw mut raw,
                &raw mut mount,
                libc::AT_EMPTY_PATH,
            )
        };
        let length = usize::try_from(raw.bytes).ok().filter(|length| *length <= ROOM)?;
        (done == 0).then(|| Self { kind: raw.kind, bytes: raw.handle[..length].into() })
    }

    /// Opens the file. `on` is any descriptor on the same mount, and not one of a path alone.
    ///
    /// # Errors
    /// `ESTALE` when the file is no more.
    pub fn open(&self, on: BorrowedFd<'_>, flags: OFlags) -> HostResult<OwnedFd> {
        let mut raw = Raw { bytes: 0, kind: self.kind, handle: [0; ROOM] };
        raw.bytes = u32::try_from(self.bytes.len()).unwrap_or_default();
        raw.handle[..self.bytes.len()].copy_from_slice(&self.bytes);
        let flags = flags | OFlags::CLOEXEC;
        // SAFETY: `raw` holds as many bytes as it says, and outlives the call.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_open_by_handle_at,
                on.as_raw_fd(),
                &raw const raw,
                i64::from(flags.bits()),
            )
        };
        match i32::try_from(fd) {
            // SAFETY: the kernel has just made it, and nobody else knows it.
            Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
            _ => {
                let errno = Errno::of_io(&std::io::Error::last_os_error());
                Err(HostError::sys("open_by_handle_at", Path::new(""), errno))
            }
        }
    }

    /// A number that tells files on one inode number apart.
    #[must_use]
    pub fn generation(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read as _, os::fd::AsFd as _};

    use super::*;
    use crate::host::testing::{LoopFs, in_private_mounts};

    #[test]
    fn a_handle_finds_its_file_after_a_rename_and_not_its_successor() {
        in_private_mounts(|| {
            let fs = LoopFs::new("ext4", 8 << 20, &[], "");
            let (old, new) = (fs.dir.join("old"), fs.dir.join("new"));
            std::fs::write(&old, "text").unwrap();
            let handle = FileHandle::of(File::open(&old).unwrap().as_fd()).unwrap();
            std::fs::rename(&old, &new).unwrap();
            let root = File::open(&fs.dir).unwrap();
            let found = handle.open(root.as_fd(), OFlags::RDONLY).unwrap();
            let mut text = String::new();
            File::from(found).read_to_string(&mut text).unwrap();
            assert_eq!(text, "text");
            std::fs::remove_file(&new).unwrap();
            std::fs::write(&new, "next").unwrap();
            let next = FileHandle::of(File::open(&new).unwrap().as_fd()).unwrap();
            assert_ne!(next, handle);
            assert!(handle.open(root.as_fd(), OFlags::RDONLY).unwrap_err().is(libc::ESTALE));
        });
    }
}
