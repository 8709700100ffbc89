//! Hard and symbolic links, and renames of every kind.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
    path::Path,
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Case, errno, file};

fn text(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap()
}

fn ino(dir: &Path, name: &str) -> u64 {
    fs::symlink_metadata(dir.join(name)).unwrap().ino()
}

fn renamed(dir: &Path, from: &str, to: &str, flags: RenameFlags) -> Result<(), rustix::io::Errno> {
    renameat_with(CWD, dir.join(from), CWD, dir.join(to), flags)
}

pub(super) const CASES: &[Case] = &[
    ("a hard link is the same file", |dir| {
        file(dir, "a", "x");
        fs::hard_link(dir.join("a"), dir.join("b")).unwrap();
        assert_eq!(ino(dir, "a"), ino(dir, "b"));
        assert_eq!(fs::metadata(dir.join("a")).unwrap().nlink(), 2);
        fs::write(dir.join("b"), "changed").unwrap();
        assert_eq!(text(dir, "a"), "changed");
        fs::remove_file(dir.join("a")).unwrap();
        assert_eq!(
            (text(dir, "b"), fs::metadata(dir.join("b")).unwrap().nlink()),
            ("changed".into(), 1)
        );
    }),
    ("a hard link of a symbolic link", |dir| {
        symlink("nowhere", dir.join("a")).unwrap();
        fs::hard_link(dir.join("a"), dir.join("b")).unwrap();
        assert_eq!(fs::read_link(dir.join("b")).unwrap(), Path::new("nowhere"));
    }),
    ("a hard link over a name", |dir| {
        file(dir, "a", "");
        file(dir, "b", "");
        assert_eq!(errno(fs::hard_link(dir.join("a"), dir.join("b"))), libc::EEXIST);
    }),
    ("a hard link of a directory", |dir| {
        fs::create_dir(dir.join("a")).unwrap();
        assert_eq!(errno(fs::hard_link(dir.join("a"), dir.join("b"))), libc::EPERM);
    }),
    ("a hard link in another directory", |dir| {
        fs::create_dir(dir.join("d")).unwrap();
        file(dir, "a", "x");
        fs::hard_link(dir.join("a"), dir.join("d/a")).unwrap();
        assert_eq!(ino(dir, "a"), ino(dir, "d/a"));
    }),
    ("a symbolic link is followed", |dir| {
        file(dir, "a", "x");
        symlink("a", dir.join("l")).unwrap();
        assert_eq!(text(dir, "l"), "x");
        assert_eq!(fs::read_link(dir.join("l")).unwrap(), Path::new("a"));
        assert!(fs::symlink_metadata(dir.join("l")).unwrap().file_type().is_symlink());
    }),
    ("a symbolic link that leads nowhere", |dir| {
        symlink("nowhere", dir.join("l")).unwrap();
        assert_eq!(errno(fs::read(dir.join("l"))), libc::ENOENT);
    }),
    ("a symbolic link to itself", |dir| {
        symlink("l", dir.join("l")).unwrap();
        assert_eq!(errno(fs::read(dir.join("l"))), libc::ELOOP);
    }),
    ("a long symbolic link", |dir| {
        let long = "d/".repeat(500);
        symlink(&long, dir.join("l")).unwrap();
        assert_eq!(fs::read_link(dir.join("l")).unwrap().to_str(), Some(long.as_str()));
    }),
    ("readlink of a file", |dir| {
        file(dir, "a", "");
        assert_eq!(errno(fs::read_link(dir.join("a"))), libc::EINVAL);
    }),
    ("rename", |dir| {
        file(dir, "a", "x");
        let before = ino(dir, "a");
        fs::rename(dir.join("a"), dir.join("b")).unwrap();
        assert_eq!((ino(dir, "b"), dir.join("a").exists()), (before, false));
    }),
    ("rename over a file", |dir| {
        file(dir, "a", "new");
        file(dir, "b", "old");
        fs::rename(dir.join("a"), dir.join("b")).unwrap();
        assert_eq!(text(dir, "b"), "new");
    }),
    ("rename of nothing", |dir| {
        assert_eq!(errno(fs::rename(dir.join("a"), dir.join("b"))), libc::ENOENT);
    }),
    ("rename of a file over a directory", |dir| {
        file(dir, "a", "");
        fs::create_dir(dir.join("d")).unwrap();
        assert_eq!(errno(fs::rename(dir.join("a"), dir.join("d"))), libc::EISDIR);
    }),
    ("rename of a directory over a file", |dir| {
        file(dir, "a", "");
        fs::create_dir(dir.join("d")).unwrap();
        assert_eq!(errno(fs::rename(dir.join("d"), dir.join("a"))), libc::ENOTDIR);
    }),
    ("rename of a directory over an empty one", |dir| {
        fs::create_dir(dir.join("a")).unwrap();
        file(dir, "a/f", "x");
        fs::create_dir(dir.join("b")).unwrap();
        fs::rename(dir.join("a"), dir.join("b")).unwrap();
        assert_eq!(text(dir, "b/f"), "x");
    }),
    ("rename of a directory over a full one", |dir| {
        fs::create_dir(dir.join("a")).unwrap();
        fs::create_dir(dir.join("b")).unwrap();
        file(dir, "b/f", "");
        assert_eq!(errno(fs::rename(dir.join("a"), dir.join("b"))), libc::ENOTEMPTY);
    }),
    ("rename of a directory into itself", |dir| {
        fs::create_dir(dir.join("a")).unwrap();
        assert_eq!(errno(fs::rename(dir.join("a"), dir.join("a/b"))), libc::EINVAL);
    }),
    ("rename of a directory with what is in it", |dir| {
        fs::create_dir_all(dir.join("a/b/c")).unwrap();
        file(dir, "a/b/c/f", "x");
        fs::rename(dir.join("a"), dir.join("z")).unwrap();
        assert_eq!(text(dir, "z/b/c/f"), "x");
        assert_eq!(errno(fs::metadata(dir.join("a/b"))), libc::ENOENT);
    }),
    ("RENAME_NOREPLACE", |dir| {
        file(dir, "a", "a");
        file(dir, "b", "b");
        assert_eq!(renamed(dir, "a", "b", RenameFlags::NOREPLACE), Err(rustix::io::Errno::EXIST));
        renamed(dir, "a", "c", RenameFlags::NOREPLACE).unwrap();
        assert_eq!(text(dir, "c"), "a");
    }),
    ("RENAME_EXCHANGE", |dir| {
        file(dir, "a", "a");
        file(dir, "b", "b");
        renamed(dir, "a", "b", RenameFlags::EXCHANGE).unwrap();
        assert_eq!((text(dir, "a"), text(dir, "b")), ("b".into(), "a".into()));
    }),
    ("RENAME_EXCHANGE of a file and a directory", |dir| {
        file(dir, "a", "a");
        fs::create_dir(dir.join("d")).unwrap();
        renamed(dir, "a", "d", RenameFlags::EXCHANGE).unwrap();
        assert!(dir.join("a").is_dir() && dir.join("d").is_file());
    }),
];
