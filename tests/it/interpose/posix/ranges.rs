//! Ranges of files: allocated, punched, sparse, copied, and where they end.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
};

use rustix::{
    fs::{FallocateFlags, SeekFrom, copy_file_range, fallocate, seek, sendfile},
    io::Errno,
};

use super::{Case, errno, file};

const BLOCK: u64 = 4096;
const PUNCH: FallocateFlags = FallocateFlags::PUNCH_HOLE.union(FallocateFlags::KEEP_SIZE);

fn blocks(n: usize) -> String {
    "x".repeat(n * 4096)
}

fn len(dir: &Path) -> u64 {
    fs::metadata(dir.join("f")).unwrap().len()
}

fn read_only(dir: &Path) -> File {
    file(dir, "f", "text");
    File::open(dir.join("f")).unwrap()
}

/// Copies within, or between, files; how much.
fn copied(from: (&File, u64), to: (&File, u64), length: usize) -> Result<usize, Errno> {
    let (mut input, mut output) = (from.1, to.1);
    copy_file_range(from.0, Some(&mut input), to.0, Some(&mut output), length)
}

pub(super) const CASES: &[Case] = &[
    ("an allocation of nothing", |dir| {
        let opened = file(dir, "f", "x");
        assert_eq!(fallocate(&opened, FallocateFlags::empty(), 0, 0), Err(Errno::INVAL));
    }),
    ("an allocation through a descriptor for reading", |dir| {
        let refused = fallocate(read_only(dir), FallocateFlags::empty(), 0, BLOCK);
        assert_eq!(refused, Err(Errno::BADF));
    }),
    ("an allocation within a file changes nothing in it", |dir| {
        let opened = file(dir, "f", "text");
        fallocate(&opened, FallocateFlags::empty(), 0, 3).unwrap();
        assert_eq!(fs::read_to_string(dir.join("f")).unwrap(), "text");
    }),
    ("an allocation far behind the end", |dir| {
        let opened = file(dir, "f", "text");
        fallocate(&opened, FallocateFlags::empty(), 1 << 20, BLOCK).unwrap();
        assert_eq!(len(dir), (1 << 20) + BLOCK);
        assert_eq!(fs::read(dir.join("f")).unwrap()[4..8192], [0; 8188]);
    }),
    ("a hole must keep the size", |dir| {
        let opened = file(dir, "f", &blocks(2));
        let refused = fallocate(&opened, FallocateFlags::PUNCH_HOLE, 0, BLOCK);
        assert_eq!(refused, Err(Errno::OPNOTSUPP));
    }),
    ("a hole gives blocks back", |dir| {
        let opened = file(dir, "f", &blocks(64));
        opened.sync_all().unwrap();
        let before = opened.metadata().unwrap().blocks();
        fallocate(&opened, PUNCH, 0, 32 * BLOCK).unwrap();
        assert!(opened.metadata().unwrap().blocks() < before);
    }),
    ("a hole behind the end", |dir| {
        let opened = file(dir, "f", "text");
        fallocate(&opened, PUNCH, 1 << 20, BLOCK).unwrap();
        assert_eq!(len(dir), 4);
    }),
    ("a hole within a block", |dir| {
        let opened = file(dir, "f", "abcdefgh");
        fallocate(&opened, PUNCH, 2, 3).unwrap();
        assert_eq!(fs::read(dir.join("f")).unwrap(), b"ab\0\0\0fgh");
    }),
    ("what is written into a hole is there", |dir| {
        let opened = file(dir, "f", &blocks(4));
        fallocate(&opened, PUNCH, 0, 4 * BLOCK).unwrap();
        opened.write_all_at(b"y", 5000).unwrap();
        let bytes = fs::read(dir.join("f")).unwrap();
        assert_eq!((bytes[4999], bytes[5000], bytes[5001], bytes.len()), (0, b'y', 0, 16384));
    }),
    ("zeros behind the end grow a file", |dir| {
        let opened = file(dir, "f", "text");
        fallocate(&opened, FallocateFlags::ZERO_RANGE, 2, 10).unwrap();
        assert_eq!(fs::read(dir.join("f")).unwrap(), b"te\0\0\0\0\0\0\0\0\0\0");
    }),
    ("zeros may keep the size", |dir| {
        let opened = file(dir, "f", "text");
        let flags = FallocateFlags::ZERO_RANGE.union(FallocateFlags::KEEP_SIZE);
        fallocate(&opened, flags, 2, 10).unwrap();
        assert_eq!(fs::read(dir.join("f")).unwrap(), b"te\0\0");
    }),
    ("the data at a place is at that place", |dir| {
        let opened = file(dir, "f", &blocks(2));
        assert_eq!(seek(&opened, SeekFrom::Data(100)), Ok(100));
    }),
    ("a file without holes has one at its end", |dir| {
        let opened = file(dir, "f", &blocks(2));
        assert_eq!(seek(&opened, SeekFrom::Hole(0)), Ok(2 * BLOCK));
    }),
    ("an empty file has no data", |dir| {
        let opened = file(dir, "f", "");
        assert_eq!(seek(&opened, SeekFrom::Data(0)), Err(Errno::NXIO));
        assert_eq!(seek(&opened, SeekFrom::Hole(0)), Err(Errno::NXIO));
    }),
    ("a file of one hole has no data", |dir| {
        let opened = file(dir, "f", "");
        opened.set_len(1 << 20).unwrap();
        assert_eq!(seek(&opened, SeekFrom::Data(0)), Err(Errno::NXIO));
        assert_eq!(seek(&opened, SeekFrom::Hole(0)), Ok(0));
    }),
    ("a seek before the start", |dir| {
        let opened = file(dir, "f", "text");
        assert_eq!(seek(&opened, SeekFrom::Current(-100)), Err(Errno::INVAL));
        assert_eq!(seek(&opened, SeekFrom::End(-4)), Ok(0));
    }),
    ("a growth takes no blocks", |dir| {
        let opened = file(dir, "f", "");
        opened.set_len(1 << 30).unwrap();
        assert!(opened.metadata().unwrap().blocks() < 100);
        assert_eq!(len(dir), 1 << 30);
    }),
    ("what was cut off does not come back", |dir| {
        let opened = file(dir, "f", &blocks(1));
        opened.set_len(10).unwrap();
        opened.set_len(BLOCK).unwrap();
        assert!(fs::read(dir.join("f")).unwrap()[10..].iter().all(|byte| *byte == 0));
    }),
    ("a size that no file has", |dir| {
        let opened = file(dir, "f", "text");
        assert_eq!(errno(opened.set_len(1 << 62)), libc::EFBIG);
        assert_eq!(len(dir), 4);
    }),
    ("a write where no file reaches", |dir| {
        let opened = file(dir, "f", "text");
        assert_eq!(errno(opened.write_at(b"x", 1 << 62)), libc::EFBIG);
        assert_eq!(len(dir), 4);
    }),
    ("a truncation through a descriptor for reading", |dir| {
        assert_eq!(errno(read_only(dir).set_len(1)), libc::EINVAL);
    }),
    ("a copy within a file", |dir| {
        let opened = file(dir, "f", "abcdef");
        assert_eq!(copied((&opened, 0), (&opened, 10), 3), Ok(3));
        assert_eq!(fs::read(dir.join("f")).unwrap(), b"abcdef\0\0\0\0abc");
    }),
    ("a copy over itself", |dir| {
        let opened = file(dir, "f", "abcdef");
        assert_eq!(copied((&opened, 0), (&opened, 2), 4), Err(Errno::INVAL));
        assert_eq!(fs::read(dir.join("f")).unwrap(), b"abcdef");
    }),
    ("a copy from behind the end", |dir| {
        let (from, to) = (file(dir, "f", "text"), file(dir, "g", ""));
        assert_eq!(copied((&from, 100), (&to, 0), 10), Ok(0));
    }),
    ("a copy to a descriptor for reading", |dir| {
        let (from, to) = (file(dir, "g", "text"), read_only(dir));
        assert_eq!(copied((&from, 0), (&to, 0), 4), Err(Errno::BADF));
    }),
    ("a copy to a descriptor for appending", |dir| {
        let from = file(dir, "f", "text");
        let to = OpenOptions::new().append(true).create(true).open(dir.join("g")).unwrap();
        assert_eq!(copied((&from, 0), (&to, 0), 4), Err(Errno::BADF));
    }),
    ("a copy of a megabyte", |dir| {
        let (from, to) = (file(dir, "f", &blocks(256)), file(dir, "g", ""));
        let mut done = 0;
        while done < 1 << 20 {
            let at = done as u64;
            done += copied((&from, at), (&to, at), (1 << 20) - done).unwrap();
        }
        assert!(fs::read(dir.join("g")).unwrap() == fs::read(dir.join("f")).unwrap());
    }),
    ("sendfile from one to another", |dir| {
        let (from, to) = (file(dir, "f", "some text"), file(dir, "g", ""));
        let mut offset = 5;
        assert_eq!(sendfile(&to, &from, Some(&mut offset), 100), Ok(4));
        assert_eq!((fs::read_to_string(dir.join("g")).unwrap(), offset), ("text".into(), 9));
    }),
];
