//! A file without a name and without blocks that is read round and round: what is read goes into the
//! page cache, and pushes out what was there.
//!
//! A hole is read as fast as memory is, and writes nothing. The file goes with its descriptor. On a
//! tmpfs it would leave no pages: ask for a directory of another filesystem.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{Advice, Mode, OFlags, fadvise, open};

use super::error::{Context, HostResult};

/// Bytes of one read.
const BLOCK: usize = 128 << 10;

/// The file, and how far it was read.
#[derive(Debug)]
pub struct Stream {
    file: File,
    length: u64,
    at: u64,
    block: Vec<u8>,
}

impl Stream {
    /// Makes one of this length in a directory.
    ///
    /// # Errors
    /// `EOPNOTSUPP` where the filesystem makes no file without a name; the failed call.
    pub fn new(dir: &Path, length: u64) -> HostResult<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = File::from(open(dir, flags, Mode::RUSR | Mode::WUSR).op("open", dir)?);
        file.set_len(length).op("truncate", dir)?;
        // page by page: what is read ahead comes in large folios, which the kernel counts as one
        fadvise(&file, 0, None, Advice::Random).op("fadvise", dir)?;
        Ok(Self { file, length, at: 0, block: vec![0; BLOCK] })
    }

    /// Reads so many bytes more, in whole blocks; from its begin again after its end.
    ///
    /// # Errors
    /// The failed call.
    pub fn read(&mut self, bytes: u64) -> HostResult<()> {
        let mut left = bytes.div_ceil(BLOCK as u64);
        while left > 0 {
            if self.at >= self.length {
                self.at = 0;
            }
            let read = self.file.read_at(&mut self.block, self.at).op("read", "a file of ours")?;
            self.at = if read == 0 { self.length } else { self.at + read as u64 };
            left -= 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::host::testing::{LoopFs, in_private_mounts};

    #[test]
    fn it_goes_round_and_takes_no_room() {
        in_private_mounts(|| {
            let fs = LoopFs::new("ext4", 16 << 20, &[], "");
            let free = || rustix::fs::statfs(&fs.dir).unwrap().f_bfree;
            let before = free();
            let mut stream = Stream::new(&fs.dir, 64 << 20).unwrap();
            // around its end once
            stream.read(80 << 20).unwrap();
            assert_eq!(stream.at, 16 << 20);
            assert_eq!(before, free());
            assert_eq!(fs::read_dir(&fs.dir).unwrap().count(), 1, "lost+found alone");
        });
    }
}
