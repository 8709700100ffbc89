//! Names: made, found, listed, removed, and what they are refused with.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirEntryExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
        net::UnixListener,
    },
    path::Path,
};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::{Case, errno, file};

fn listed(dir: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

fn node(dir: &Path, kind: FileType, device: u64) {
    node_at(&dir.join("n"), kind, device);
}

fn node_at(at: &Path, kind: FileType, device: u64) {
    mknodat(CWD, at, kind, Mode::from_raw_mode(0o600), device).unwrap();
}

pub(super) const CASES: &[Case] = &[
    ("make and remove a file", |dir| {
        file(dir, "f", "");
        assert!(dir.join("f").is_file());
        fs::remove_file(dir.join("f")).unwrap();
        assert_eq!(errno(fs::metadata(dir.join("f"))), libc::ENOENT);
    }),
    ("make and remove a directory", |dir| {
        fs::create_dir(dir.join("d")).unwrap();
        assert_eq!(fs::metadata(dir.join("d")).unwrap().nlink(), 2);
        fs::remove_dir(dir.join("d")).unwrap();
        assert!(!dir.join("d").exists());
    }),
    ("a name that is taken", |dir| {
        file(dir, "f", "");
        assert_eq!(errno(fs::create_dir(dir.join("f"))), libc::EEXIST);
        assert_eq!(errno(File::create_new(dir.join("f"))), libc::EEXIST);
    }),
    ("a name that is free", |dir| {
        for result in [fs::remove_file(dir.join("f")), fs::remove_dir(dir.join("f"))] {
            assert_eq!(errno(result), libc::ENOENT);
        }
        assert_eq!(errno(File::open(dir.join("f"))), libc::ENOENT);
    }),
    ("a name that was looked for in vain is there once something has it", |dir| {
        file(dir, "from", "");
        let ways: [fn(&Path, &Path); 6] = [
            |_, to| drop(File::create_new(to).unwrap()),
            |_, to| fs::create_dir(to).unwrap(),
            |dir, to| fs::hard_link(dir.join("from"), to).unwrap(),
            |dir, to| std::os::unix::fs::symlink(dir.join("from"), to).unwrap(),
            |_, to| node_at(to, FileType::Fifo, 0),
            |dir, to| fs::rename(dir.join("from"), to).unwrap(),
        ];
        for (n, way) in ways.into_iter().enumerate() {
            let to = dir.join(n.to_string());
            for _ in 0..2 {
                assert_eq!(errno(fs::symlink_metadata(&to)), libc::ENOENT);
            }
            way(dir, &to);
            fs::symlink_metadata(&to).unwrap();
        }
        assert_eq!(errno(fs::symlink_metadata(dir.join("from"))), libc::ENOENT);
    }),
    ("a way through a file", |dir| {
        file(dir, "f", "");
        assert_eq!(errno(File::open(dir.join("f/g"))), libc::ENOTDIR);
        assert_eq!(errno(fs::create_dir(dir.join("f/g"))), libc::ENOTDIR);
    }),
    ("unlink of a directory", |dir| {
        fs::create_dir(dir.join("d")).unwrap();
        assert_eq!(errno(fs::remove_file(dir.join("d"))), libc::EISDIR);
    }),
    ("rmdir of a file", |dir| {
        file(dir, "f", "");
        assert_eq!(errno(fs::remove_dir(dir.join("f"))), libc::ENOTDIR);
    }),
    ("rmdir of a full directory", |dir| {
        fs::create_dir(dir.join("d")).unwrap();
        file(dir, "d/f", "");
        assert_eq!(errno(fs::remove_dir(dir.join("d"))), libc::ENOTEMPTY);
    }),
    ("a directory cannot be written as a file", |dir| {
        fs::create_dir(dir.join("d")).unwrap();
        let opened = OpenOptions::new().write(true).open(dir.join("d"));
        assert_eq!(errno(opened), libc::EISDIR);
    }),
    ("the longest name and one too long", |dir| {
        file(dir, &"n".repeat(255), "x");
        assert_eq!(listed(dir).len(), 1);
        assert_eq!(errno(File::create(dir.join("n".repeat(256)))), libc::ENAMETOOLONG);
    }),
    ("a name of any bytes", |dir| {
        let name = std::ffi::OsStr::from_bytes(b"\xff \n\\*");
        fs::write(dir.join(name), "x").unwrap();
        assert_eq!(fs::read(dir.join(name)).unwrap(), b"x");
        let entry = fs::read_dir(dir).unwrap().next().unwrap().unwrap();
        assert_eq!(entry.file_name(), name);
    }),
    ("a name that begins like one of ours", |dir| {
        file(dir, ".kh-trial-1", "x");
        assert_eq!(fs::read_to_string(dir.join(".kh-trial-1")).unwrap(), "x");
    }),
    ("O_EXCL", |dir| {
        let create = || OpenOptions::new().write(true).create_new(true).open(dir.join("f"));
        create().unwrap();
        assert_eq!(errno(create()), libc::EEXIST);
    }),
    ("O_NOFOLLOW", |dir| {
        std::os::unix::fs::symlink("f", dir.join("l")).unwrap();
        let opened =
            OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(dir.join("l"));
        assert_eq!(errno(opened), libc::ELOOP);
    }),
    ("O_DIRECTORY", |dir| {
        file(dir, "f", "");
        let opened =
            OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(dir.join("f"));
        assert_eq!(errno(opened), libc::ENOTDIR);
    }),
    ("O_CREAT through a symbolic link", |dir| {
        std::os::unix::fs::symlink("f", dir.join("l")).unwrap();
        fs::write(dir.join("l"), "x").unwrap();
        assert_eq!(fs::read_to_string(dir.join("f")).unwrap(), "x");
    }),
    ("a file made unreadable can be written by who makes it", |dir| {
        use std::io::Write as _;
        let opened =
            OpenOptions::new().write(true).create_new(true).mode(0o000).open(dir.join("f"));
        opened.unwrap().write_all(b"x").unwrap();
        assert_eq!(fs::metadata(dir.join("f")).unwrap().mode() & 0o7777, 0);
    }),
    ("an empty directory lists nothing", |dir| assert!(listed(dir).is_empty())),
    ("a large directory lists each name once", |dir| {
        let names: BTreeSet<String> = (0..3000).map(|n| format!("file-{n:05}")).collect();
        names.iter().for_each(|name| drop(file(dir, name, "")));
        assert_eq!(fs::read_dir(dir).unwrap().count(), 3000);
        assert_eq!(listed(dir), names);
    }),
    ("entries tell number and type", |dir| {
        file(dir, "f", "");
        fs::create_dir(dir.join("d")).unwrap();
        std::os::unix::fs::symlink("f", dir.join("l")).unwrap();
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let meta = fs::symlink_metadata(entry.path()).unwrap();
            assert_eq!(entry.ino(), meta.ino());
            assert_eq!(entry.file_type().unwrap(), meta.file_type());
        }
    }),
    ("removal while a directory is read", |dir| {
        (0..500).for_each(|n| drop(file(dir, &format!("{n}"), "")));
        for entry in fs::read_dir(dir).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        assert!(listed(dir).is_empty());
    }),
    ("a whole tree is removed", |dir| {
        fs::create_dir_all(dir.join("a/b/c/d")).unwrap();
        (0..50).for_each(|n| drop(file(&dir.join("a/b"), &n.to_string(), "x")));
        fs::remove_dir_all(dir.join("a")).unwrap();
        assert!(listed(dir).is_empty());
    }),
    ("a deep path", |dir| {
        let deep = dir.join("d/".repeat(100));
        fs::create_dir_all(&deep).unwrap();
        file(&deep, "f", "x");
        assert_eq!(fs::read_to_string(deep.join("f")).unwrap(), "x");
    }),
    ("dot dot leads up", |dir| {
        fs::create_dir(dir.join("d")).unwrap();
        file(dir, "f", "x");
        assert_eq!(fs::read_to_string(dir.join("d/../f")).unwrap(), "x");
    }),
    ("a fifo", |dir| {
        node(dir, FileType::Fifo, 0);
        assert!(fs::metadata(dir.join("n")).unwrap().file_type().is_fifo());
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| fs::read_to_string(dir.join("n")).unwrap());
            fs::write(dir.join("n"), "through").unwrap();
            assert_eq!(reader.join().unwrap(), "through");
        });
    }),
    ("a device node keeps its number", |dir| {
        node(dir, FileType::CharacterDevice, makedev(1, 3));
        let meta = fs::metadata(dir.join("n")).unwrap();
        assert!(meta.file_type().is_char_device() && meta.rdev() == makedev(1, 3));
    }),
    ("a socket", |dir| {
        std::env::set_current_dir("/").unwrap();
        let path = dir.join("s");
        // the path of a socket has room for a hundred bytes
        if path.as_os_str().len() < 100 {
            let _listener = UnixListener::bind(&path).unwrap();
            assert!(fs::metadata(&path).unwrap().file_type().is_socket());
            std::os::unix::net::UnixStream::connect(&path).unwrap();
        }
    }),
    ("a name made again is another file", |dir| {
        for n in 0..100 {
            let text = n.to_string();
            file(dir, "f", &text);
            assert_eq!(fs::read_to_string(dir.join("f")).unwrap(), text);
            fs::remove_file(dir.join("f")).unwrap();
        }
    }),
    ("make and remove in two threads", |dir| {
        std::thread::scope(|scope| {
            for thread in 0..2 {
                scope.spawn(move || {
                    for n in 0..200 {
                        let name = format!("{thread}-{n}");
                        drop(file(dir, &name, &name));
                        assert_eq!(fs::read_to_string(dir.join(&name)).unwrap(), name);
                        fs::rename(dir.join(&name), dir.join(format!("r{thread}"))).unwrap();
                    }
                });
            }
        });
        assert_eq!(listed(dir).len(), 2);
    }),
    ("a lost and found name", |dir| {
        assert_eq!(errno(fs::metadata(dir.join("f"))), libc::ENOENT);
        file(dir, "f", "");
        fs::metadata(dir.join("f")).unwrap();
    }),
];
