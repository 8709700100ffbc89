//! The content that a disk begins with: an image in a sparse file, or a crash state that was kept. Only
//! reads.

use std::{fs, fs::File, os::unix::fs::FileExt as _, path::Path};

use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};

use crate::{
    block::Image,
    crash_state::{CrashState, MAGIC, StateError, is_state},
    host::error::{HostError, HostResult},
};

/// Bytes that are read at a time.
const BLOCK: usize = 1 << 20;

/// Reads an image, or the one in a crash state: where that has its magic, the filesystems that we make have
/// zeros, or a magic of their own.
pub(super) fn load(path: &Path) -> HostResult<Image> {
    let failed = |act: &'static str, error: std::io::Error| HostError::sys(act, path, error);
    let file = File::open(path).map_err(|error| failed("open", error))?;
    let mut begin = [0; MAGIC.len()];
    if file.read_exact_at(&mut begin, 0).is_ok() && is_state(&begin) {
        let bytes = fs::read(path).map_err(|error| failed("read", error))?;
        let state = CrashState::decode(&bytes);
        return state.map(|state| state.image).map_err(|error| malformed(&error));
    }
    sparse(&file, path)
}

fn malformed(error: &StateError) -> HostError {
    HostError::Malformed { what: "crash state".into(), detail: error.to_string() }
}

/// Reads what is not a hole.
fn sparse(file: &File, path: &Path) -> HostResult<Image> {
    let failed = |act: &'static str, error: std::io::Error| HostError::sys(act, path, error);
    let size = file.metadata().map_err(|error| failed("stat", error))?.len();
    let mut image = Image::new(size);
    let mut buffer = vec![0; BLOCK];
    let mut at = 0;
    loop {
        at = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(image),
            Err(errno) => return Err(failed("lseek", errno.into())),
        };
        let end = seek(file, SeekFrom::Hole(at)).map_err(|errno| failed("lseek", errno.into()))?;
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
    use crate::{
        block::pack,
        crash_state::{Facts, Records, encode, hexadecimal},
        ledger::Log,
    };

    #[test]
    fn a_crash_state_comes_as_the_disk_that_is_in_it() {
        let mut image = Image::new(1 << 20);
        image.write(4096, &[7; 5000]);
        let facts = Facts {
            keelhaul: String::new(),
            filesystem: "ext4".into(),
            records: Records::File("journal.log".into()),
            cut: 1,
            acknowledged: 0,
            wrong: String::new(),
            beyond: false,
            fsck: false,
            digest: hexadecimal(&image.digest()),
        };
        let packed = pack(&image, u64::MAX).unwrap();
        let kept = encode(&facts, &Log::default(), &packed).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &kept).unwrap();
        assert_eq!(load(file.path()).unwrap().digest(), image.digest());
        fs::write(file.path(), &kept[..kept.len() - 1]).unwrap();
        assert!(load(file.path()).unwrap_err().to_string().contains("bytes where it must have"));
    }

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
