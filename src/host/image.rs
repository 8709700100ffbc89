//! Sparse image files, into which a freshly made file system is laid extent by extent.
//!
//! It knows nothing of what the bytes mean, and attaches nothing.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::{Context, HostError, HostResult};

/// Bytes at an offset of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Where it begins.
    pub offset: u64,
    /// What is there.
    pub bytes: Vec<u8>,
}

/// Creates a new image of `size` bytes that occupies nothing yet, readable by root only.
///
/// # Errors
/// `EEXIST` when there is something under that name; `EFBIG` when the size is not possible.
pub fn create(path: &Path, size: u64) -> HostResult<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(path).op("open", path)?;
    file.set_len(size).op("ftruncate", path)
}

/// Writes extents into an image and makes them durable; the image keeps its size.
///
/// # Errors
/// [`HostError::Malformed`] when an extent reaches beyond the end; nothing of it is written then.
pub fn write_extents(path: &Path, extents: &[Extent]) -> HostResult<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).custom_flags(libc::O_NOFOLLOW).open(path).op("open", path)?;
    let size = file.metadata().op("stat", path)?.len();
    for extent in extents {
        let end = extent.offset.checked_add(extent.bytes.len() as u64);
        if end.is_none_or(|end| end > size) {
            let detail = format!("extent at {} reaches beyond {size} bytes", extent.offset);
            return Err(HostError::malformed("image", detail));
        }
        file.write_all_at(&extent.bytes, extent.offset).op("write", path)?;
    }
    file.sync_all().op("fsync", path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn an_image_is_sparse_and_holds_its_extents() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        create(&path, 1 << 30).unwrap();
        assert!(create(&path, 1).unwrap_err().is(libc::EEXIST));
        let at = (1 << 30) - 4;
        let extents =
            [Extent { offset: 8, bytes: vec![1; 3] }, Extent { offset: at, bytes: vec![2; 4] }];
        write_extents(&path, &extents).unwrap();
        let file = fs::File::open(&path).unwrap();
        let mut end = [0; 4];
        file.read_exact_at(&mut end, at).unwrap();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((end, meta.len()), ([2; 4], 1 << 30));
        assert!(meta.blocks() * 512 < 1 << 20, "the image is not sparse");
        let beyond = [Extent { offset: at, bytes: vec![3; 5] }];
        assert!(write_extents(&path, &beyond).is_err());
        file.read_exact_at(&mut end, at).unwrap();
        assert_eq!(end, [2; 4]);
    }
}
