//! Where a file lies on its device: FIEMAP, linux/fiemap.h.
#![expect(unsafe_code, reason = "FS_IOC_FIEMAP has no wrapper in rustix, nix or libc")]

use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::ioctl::{Opcode, Updater, ioctl};

use super::error::{Context, HostError, HostResult};

/// `_IOWR('f', 11, struct fiemap)`.
const FS_IOC_FIEMAP: Opcode = 0xC020_660B;
/// What is to be written gets its place first.
const SYNC: u32 = 1;
/// The last of the file.
const LAST: u32 = 1;
/// It has no place, or none of its own: unknown, to be allocated, encoded, within metadata.
const NOWHERE: u32 = 0x2 | 0x4 | 0x8 | 0x200;
/// More are no file that a few requests are to be struck of.
const MOST: usize = 256;

/// `struct fiemap_extent`.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawExtent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

/// `struct fiemap`, with room for some extents.
#[repr(C)]
struct Map {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    count: u32,
    reserved: u32,
    extents: [RawExtent; MOST],
}

/// The ranges of its device that a file occupies, in the file's order: the first byte of each, and
/// the first after it.
///
/// # Errors
/// `EOPNOTSUPP` where the filesystem does not say; malformed for what is no file, and for one in more than 256 pieces.
pub fn extents(path: &Path) -> HostResult<Vec<(u64, u64)>> {
    // a pipe in its place would be waited for, unless it is opened without waiting
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = open(path, flags, Mode::empty()).op("open", path)?;
    if !FileType::from_raw_mode(fstat(&file).op("stat", path)?.st_mode).is_file() {
        let detail = format!("`{}` is no regular file", path.display());
        return Err(HostError::malformed("extents", detail));
    }
    let none = RawExtent {
        logical: 0,
        physical: 0,
        length: 0,
        reserved64: [0; 2],
        flags: 0,
        reserved: [0; 3],
    };
    let count = u32::try_from(MOST).unwrap_or(u32::MAX);
    let (start, length, flags, mapped, reserved) = (0, u64::MAX, SYNC, 0, 0);
    let mut map = Map { start, length, flags, mapped, count, reserved, extents: [none; MOST] };
    // SAFETY: the number is that of a request that reads and writes this structure, whose `count` is
    // the number of extents that it has room for
    unsafe { ioctl(&file, Updater::<FS_IOC_FIEMAP, Map>::new(&mut map)) }.op("FIEMAP", path)?;
    let mapped = usize::try_from(map.mapped).unwrap_or(MOST).min(MOST);
    let found = &map.extents[..mapped];
    if found.last().is_some_and(|last| last.flags & LAST == 0) {
        let detail = format!("`{}` lies in more than {MOST} pieces", path.display());
        return Err(HostError::malformed("extents", detail));
    }
    let placed = found.iter().filter(|extent| extent.flags & NOWHERE == 0);
    Ok(placed.map(|at| (at.physical, at.physical.saturating_add(at.length))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::testing::{LoopFs, in_private_mounts};

    #[test]
    fn what_was_written_has_a_place_and_what_was_not_has_none() {
        in_private_mounts(|| {
            let fs = LoopFs::new("ext4", 16 << 20, &[], "");
            let path = fs.dir.join("file");
            std::fs::write(&path, vec![7; 10_000]).unwrap();
            let found = extents(&path).unwrap();
            let bytes: u64 = found.iter().map(|(from, to)| to - from).sum();
            assert!((10_000..16 << 20).contains(&bytes), "{found:?}");
            assert!(found.iter().all(|(from, to)| *from > 0 && *to <= 16 << 20), "{found:?}");
            std::fs::write(fs.dir.join("empty"), "").unwrap();
            assert_eq!(extents(&fs.dir.join("empty")).unwrap(), []);
        });
    }
}
