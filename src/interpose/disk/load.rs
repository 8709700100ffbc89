//! The disk that one begins with: an image in a sparse file, a crash state that was kept, or a log of all that
//! happened to one. Only reads.

use std::{fs, fs::File, os::unix::fs::FileExt as _, path::Path};

use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};

use crate::{
    block::{Disk, Image, is_log, read_log},
    crash_state::{CrashState, MAGIC, is_state},
    host::error::{HostError, HostResult},
};

/// Bytes that are read at a time.
const BLOCK: usize = 1 << 20;

/// Reads an image, the one in a crash state, or a log, with its past: where these have their magic, the
/// filesystems that we make have zeros, or a magic of their own. Its cache has so many bytes.
pub(super) fn load(path: &Path, cache: u64) -> HostResult<Disk> {
    let failed = |act: &'static str, error: std::io::Error| HostError::sys(act, path, error);
    let file = File::open(path).map_err(|error| failed("open", error))?;
    let mut begin = [0; MAGIC.len()];
    let begin = file.read_exact_at(&mut begin, 0).map(|()| begin).unwrap_or_default();
    let whole = || fs::read(path).map_err(|error| failed("read", error));
    if is_state(&begin) {
        let state = CrashState::decode(&whole()?);
        let state = state.map_err(|error| malformed("crash state", error.to_string()))?;
        return Ok(Disk::new(state.image, cache));
    }
    if is_log(&begin) {
        let logged = read_log(&whole()?).map_err(|why| malformed("log of a disk", why))?;
        return Ok(logged.disk);
    }
    Ok(Disk::new(sparse(&file, path)?, cache))
}

fn malformed(what: &str, detail: String) -> HostError {
    HostError::Malformed { what: what.into(), detail }
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
        assert_eq!(load(file.path(), 0).unwrap().live().digest(), image.digest());
        fs::write(file.path(), &kept[..kept.len() - 1]).unwrap();
        assert!(load(file.path(), 0).unwrap_err().to_string().contains("bytes where it must have"));
    }

    #[test]
    fn a_log_comes_as_the_disk_with_its_past() {
        let mut disk = Disk::new(Image::new(1 << 20), 1 << 20);
        disk.record(1 << 20);
        let write = disk.write(4096, &[7; 4096]);
        disk.written(write);
        let told = std::collections::BTreeMap::from([(disk.mark(), "w0-0".to_owned())]);
        let mut bytes = Vec::new();
        let recording = disk.recording().unwrap();
        recording.log_writes(write + 2, &told).unwrap().write_to(&mut bytes).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &bytes).unwrap();
        let loaded = load(file.path(), 0).unwrap();
        assert_eq!(loaded.live().digest(), disk.live().digest());
        assert_eq!(loaded.recording().unwrap().past().points().len(), 1);
        fs::write(file.path(), &bytes[..bytes.len() - 1]).unwrap();
        assert!(load(file.path(), 0).unwrap_err().to_string().contains("in the midst"));
    }

    #[test]
    fn a_sparse_file_comes_with_its_holes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(64 << 20).unwrap();
        file.as_file().write_all_at(&[3; 5000], (8 << 20) + 4096).unwrap();
        let image = load(file.path(), 0).unwrap().live().clone();
        assert!(image.size() == 64 << 20 && (2..64).contains(&image.chunks()), "{image:?}");
        let mut bytes = [1; 5001];
        image.read((8 << 20) + 4096, &mut bytes);
        assert_eq!((bytes[0], bytes[4999], bytes[5000]), (3, 3, 0));
    }
}
