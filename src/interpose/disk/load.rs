//! The content that a disk begins with: an image in a sparse file. Only reads.

use std::{fs::File, os::unix::fs::FileExt as _, path::Path};

use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};

use crate::{
    block::Image,
    host::error::{HostError, HostResult},
};

/// Bytes that are read at a time.
const BLOCK: usize = 1 << 20;

/// Reads what is not a hole.
pub(super) fn load(path: &Path) -> HostResult<Image> {
    let failed = |act: &'static str, error: std::io::Error| HostError::sys(act, path, error);
    let file = File::open(path).map_err(|error| failed("open", error))?;
    let size = file.metadata().map_err(|error| failed("stat", error))?.len();
    let mut image = Image::new(size);
    let mut buffer = vec![0; BLOCK];
    let mut at = 0;
    loop {
        at = match seek(&file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(image),
            Err(errno) => return Err(failed("lseek", errno.into())),
        };
        let end = seek(&file, SeekFrom::Hole(at)).map_err(|errno| failed("lseek", errno.into()))?;
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(BLOCK).min(BLOCK);
            let part = &mut buffer[..most];
            file.read_exact_at(part, at).map_err(|error| failed("read", error))?;
            image.write(at, part);
            at += most as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparse_file_comes_with_its_holes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(64 << 20).unwrap();
        file.as_file().write_all_at(&[3; 5000], (8 << 20) + 4096).unwrap();
        let image = load(file.path()).unwrap();
        assert!(image.size() == 64 << 20 && (2..64).contains(&image.chunks()), "{image:?}");
        let mut bytes = [1; 5001];
        image.read((8 << 20) + 4096, &mut bytes);
        assert_eq!((bytes[0], bytes[4999], bytes[5000]), (3, 3, 0));
    }
}
