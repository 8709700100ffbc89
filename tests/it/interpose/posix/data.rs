//! Bytes: reads, writes, sizes, holes, maps, syncs.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::{FallocateFlags, fallocate};

use super::{Case, errno, file};

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap()
}

/// Writes through a descriptor opened with these flags, and reads back.
fn written_with(dir: &Path, flags: i32) {
    let mut options = OpenOptions::new();
    let opened =
        options.read(true).write(true).create(true).custom_flags(flags).open(dir.join("f"));
    opened.unwrap().write_all(b"text").unwrap();
    assert_eq!(read(dir, "f"), "text");
}

fn direct(dir: &Path) -> File {
    file(dir, "f", &"x".repeat(8192));
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_DIRECT).open(dir.join("f")).unwrap()
}

/// A buffer as `O_DIRECT` wants it.
fn aligned(buffer: &mut Vec<u8>) -> &mut [u8] {
    *buffer = vec![b'y'; 8192];
    let skip = buffer.as_ptr().align_offset(4096);
    &mut buffer[skip..skip + 4096]
}

fn hole(dir: &Path) -> File {
    let file = file(dir, "f", "");
    file.write_all_at(&[1; 4096], 0).unwrap();
    file.write_all_at(&[1; 4096], 1 << 20).unwrap();
    file.sync_all().unwrap();
    file
}

fn seek(file: &File, whence: i32, at: u64) -> u64 {
    use rustix::fs::SeekFrom;
    let to = if whence == libc::SEEK_DATA { SeekFrom::Data(at) } else { SeekFrom::Hole(at) };
    rustix::fs::seek(file, to).unwrap()
}

pub(super) const CASES: &[Case] = &[
    ("write and read back", |dir| {
        file(dir, "f", "hello");
        assert_eq!(read(dir, "f"), "hello");
    }),
    ("a megabyte and a byte", |dir| {
        let bytes: Vec<u8> = (0..=1 << 20).map(|n: u32| n.to_le_bytes()[1]).collect();
        fs::write(dir.join("f"), &bytes).unwrap();
        assert!(fs::read(dir.join("f")).unwrap() == bytes);
    }),
    ("an empty file reads as nothing", |dir| {
        file(dir, "f", "");
        assert_eq!(read(dir, "f"), "");
    }),
    ("append goes to the end", |dir| {
        file(dir, "f", "a");
        let mut one = OpenOptions::new().append(true).open(dir.join("f")).unwrap();
        let mut other = OpenOptions::new().append(true).open(dir.join("f")).unwrap();
        one.write_all(b"b").unwrap();
        other.write_all(b"c").unwrap();
        one.write_all(b"d").unwrap();
        assert_eq!(read(dir, "f"), "abcd");
    }),
    ("appends of two threads lose nothing", |dir| {
        file(dir, "f", "");
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut f = OpenOptions::new().append(true).open(dir.join("f")).unwrap();
                    (0..200).for_each(|_| f.write_all(b"0123456789").unwrap());
                });
            }
        });
        assert_eq!(read(dir, "f"), "0123456789".repeat(400));
    }),
    ("write beyond the end leaves zeros", |dir| {
        let f = file(dir, "f", "a");
        f.write_all_at(b"b", 9).unwrap();
        assert_eq!(fs::read(dir.join("f")).unwrap(), *b"a\0\0\0\0\0\0\0\0b");
    }),
    ("a read across the end is short", |dir| {
        let f = file(dir, "f", "abc");
        assert_eq!(f.read_at(&mut [0; 10], 1).unwrap(), 2);
        assert_eq!(f.read_at(&mut [0; 10], 3).unwrap(), 0);
        assert_eq!(f.read_at(&mut [0; 10], 300).unwrap(), 0);
    }),
    ("what one descriptor writes another reads", |dir| {
        let mut one = file(dir, "f", "");
        let mut other = File::open(dir.join("f")).unwrap();
        let mut text = String::new();
        one.write_all(b"now").unwrap();
        other.read_to_string(&mut text).unwrap();
        assert_eq!(text, "now");
    }),
    ("the size is known at once", |dir| {
        let mut f = file(dir, "f", "12345");
        assert_eq!(fs::metadata(dir.join("f")).unwrap().len(), 5);
        f.write_all(b"6").unwrap();
        assert_eq!((f.metadata().unwrap().len(), f.seek(SeekFrom::End(0)).unwrap()), (6, 6));
    }),
    ("truncate on open", |dir| {
        file(dir, "f", "long");
        let mut f = File::create(dir.join("f")).unwrap();
        assert_eq!(f.metadata().unwrap().len(), 0);
        f.write_all(b"s").unwrap();
        assert_eq!(read(dir, "f"), "s");
    }),
    ("truncate shorter and longer", |dir| {
        let f = file(dir, "f", "abcdef");
        f.set_len(3).unwrap();
        assert_eq!(read(dir, "f"), "abc");
        f.set_len(5).unwrap();
        assert_eq!(read(dir, "f"), "abc\0\0");
    }),
    ("truncate by name", |dir| {
        file(dir, "f", "abcdef");
        let path = dir.join("f");
        let f = OpenOptions::new().write(true).open(&path).unwrap();
        f.set_len(1).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 1);
    }),
    ("a read-only descriptor refuses writes", |dir| {
        file(dir, "f", "a");
        let mut f = File::open(dir.join("f")).unwrap();
        assert_eq!(errno(f.write(b"x")), libc::EBADF);
    }),
    ("a write-only descriptor refuses reads", |dir| {
        file(dir, "f", "a");
        let mut f = OpenOptions::new().write(true).open(dir.join("f")).unwrap();
        assert_eq!(errno(f.read(&mut [0])), libc::EBADF);
    }),
    ("O_SYNC", |dir| written_with(dir, libc::O_SYNC)),
    ("O_DSYNC", |dir| written_with(dir, libc::O_DSYNC)),
    ("O_NOATIME", |dir| written_with(dir, libc::O_NOATIME)),
    ("O_DIRECT reads and writes", |dir| {
        let (f, mut buffer) = (direct(dir), Vec::new());
        assert_eq!(f.write_at(aligned(&mut buffer), 4096).unwrap(), 4096);
        let mut back = Vec::new();
        let back = aligned(&mut back);
        assert_eq!(f.read_at(back, 4096).unwrap(), 4096);
        assert!(back.iter().all(|byte| *byte == b'y'));
        assert_eq!(read(dir, "f"), "x".repeat(4096) + &"y".repeat(4096));
    }),
    ("fsync and fdatasync", |dir| {
        let f = file(dir, "f", "a");
        f.sync_all().unwrap();
        f.sync_data().unwrap();
    }),
    ("fsync of a directory", |dir| File::open(dir).unwrap().sync_all().unwrap()),
    ("fallocate grows", |dir| {
        let f = file(dir, "f", "a");
        fallocate(&f, FallocateFlags::empty(), 0, 8192).unwrap();
        assert_eq!(f.metadata().unwrap().len(), 8192);
    }),
    ("fallocate may keep the size", |dir| {
        let f = file(dir, "f", "a");
        fallocate(&f, FallocateFlags::KEEP_SIZE, 0, 1 << 20).unwrap();
        let meta = f.metadata().unwrap();
        assert_eq!(meta.len(), 1);
        assert!(meta.blocks() >= 2048, "{}", meta.blocks());
    }),
    ("punch a hole", |dir| {
        let f = file(dir, "f", &"x".repeat(12288));
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&f, flags, 4096, 4096).unwrap();
        let bytes = fs::read(dir.join("f")).unwrap();
        assert!(bytes.len() == 12288 && bytes[4096..8192].iter().all(|byte| *byte == 0));
    }),
    ("zero a range", |dir| {
        let f = file(dir, "f", &"x".repeat(8192));
        fallocate(&f, FallocateFlags::ZERO_RANGE, 0, 4096).unwrap();
        assert_eq!(fs::read(dir.join("f")).unwrap()[..4096], [0; 4096]);
    }),
    ("SEEK_DATA finds data after a hole", |dir| {
        assert_eq!(seek(&hole(dir), libc::SEEK_DATA, 8192), 1 << 20);
    }),
    ("SEEK_HOLE finds the hole and the end", |dir| {
        let f = hole(dir);
        assert_eq!(seek(&f, libc::SEEK_HOLE, 0), 4096);
        assert_eq!(seek(&f, libc::SEEK_HOLE, 1 << 20), (1 << 20) + 4096);
    }),
    ("SEEK_DATA beyond the end", |dir| {
        let f = hole(dir);
        let result = rustix::fs::seek(&f, rustix::fs::SeekFrom::Data(9 << 20));
        assert_eq!(result, Err(rustix::io::Errno::NXIO));
    }),
    ("copy_file_range", |dir| {
        let (from, to) = (file(dir, "a", "hello world"), file(dir, "b", ""));
        let (mut in_at, mut out_at) = (6, 0);
        let copied =
            rustix::fs::copy_file_range(&from, Some(&mut in_at), &to, Some(&mut out_at), 100);
        assert_eq!((copied.unwrap(), in_at, out_at), (5, 11, 5));
        assert_eq!(read(dir, "b"), "world");
    }),
    ("fs copy", |dir| {
        file(dir, "a", &"x".repeat(100_000));
        assert_eq!(fs::copy(dir.join("a"), dir.join("b")).unwrap(), 100_000);
        assert_eq!(read(dir, "b"), read(dir, "a"));
    }),
    ("an unlinked file is still there for its descriptor", |dir| {
        let mut f = file(dir, "f", "abc");
        fs::remove_file(dir.join("f")).unwrap();
        f.write_all(b"def").unwrap();
        let mut bytes = [0; 6];
        f.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"abcdef");
        let meta = f.metadata().unwrap();
        assert_eq!((meta.nlink(), meta.len()), (0, 6));
        f.set_len(1).unwrap();
        f.sync_all().unwrap();
        assert_eq!(f.metadata().unwrap().len(), 1);
    }),
    ("an open file follows its name", |dir| {
        let mut f = file(dir, "f", "abc");
        fs::rename(dir.join("f"), dir.join("g")).unwrap();
        f.write_all(b"def").unwrap();
        assert_eq!(read(dir, "g"), "abcdef");
    }),
    ("a file replaced by a rename is the new one", |dir| {
        let old = file(dir, "f", "old");
        file(dir, "g", "new");
        fs::rename(dir.join("g"), dir.join("f")).unwrap();
        assert_eq!(read(dir, "f"), "new");
        let mut bytes = [0; 3];
        old.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"old");
    }),
    ("a thousand files at once", |dir| {
        let files: Vec<File> = (0..1000).map(|n| file(dir, &n.to_string(), "x")).collect();
        assert_eq!(fs::read_dir(dir).unwrap().count(), 1000);
        assert!(files.iter().all(|file| file.metadata().unwrap().len() == 1));
    }),
];
