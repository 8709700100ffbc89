//! Rights: what others may not do, and set-id bits that a change takes away.

use std::{
    fs::{self, OpenOptions, Permissions},
    os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::Path,
    process::Command,
};

use rustix::fs::{Access, AtFlags, CWD, FallocateFlags, accessat, fallocate};

use super::{Case, as_user, errno, file};

const USER: u32 = 4711;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// The bits that are left of 06777 after this act of a user.
fn left_after(dir: &Path, act: impl FnOnce(&Path) + Send) -> u32 {
    let path = dir.join("f");
    file(dir, "f", "some text");
    set_mode(&path, 0o6777);
    as_user(USER, || act(&path));
    mode(&path)
}

/// An act of a user in a directory that he may not write to.
fn refused_in_closed(dir: &Path, act: impl FnOnce(&Path) -> std::io::Result<()> + Send) {
    let closed = dir.join("d");
    fs::create_dir_all(closed.join("inner")).unwrap();
    file(&closed, "f", "x");
    set_mode(&closed, 0o755);
    set_mode(dir, 0o777);
    assert_eq!(as_user(USER, || errno(act(&closed))), libc::EACCES);
}

/// A sticky directory that everybody may write to, with a file of root's in it.
fn sticky(dir: &Path) {
    set_mode(dir, 0o1777);
    file(dir, "f", "x");
}

fn may(dir: &Path, uid: u32, access: Access) -> bool {
    as_user(uid, || accessat(CWD, dir.join("f"), access, AtFlags::empty()).is_ok())
}

fn append(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    std::io::Write::write_all(&mut options.append(true).open(path)?, b"x")
}

pub(super) const CASES: &[Case] = &[
    ("a write by another takes set-id bits away", |dir| {
        assert_eq!(left_after(dir, |path| append(path).unwrap()), 0o777);
    }),
    ("a truncation by another takes set-id bits away", |dir| {
        let truncate = |path: &Path| OpenOptions::new().write(true).open(path)?.set_len(1);
        assert_eq!(left_after(dir, |path| truncate(path).unwrap()), 0o777);
    }),
    ("a truncating open by another takes set-id bits away", |dir| {
        assert_eq!(left_after(dir, |path| drop(fs::File::create(path).unwrap())), 0o777);
    }),
    ("an allocation by another takes set-id bits away", |dir| {
        let grow = |path: &Path| {
            let opened = OpenOptions::new().write(true).open(path).unwrap();
            fallocate(&opened, FallocateFlags::empty(), 0, 100_000).unwrap();
        };
        assert_eq!(left_after(dir, grow), 0o777);
    }),
    ("a read by another leaves set-id bits alone", |dir| {
        assert_eq!(left_after(dir, |path| drop(fs::read(path).unwrap())), 0o6777);
    }),
    ("a write by root leaves set-id bits alone", |dir| {
        file(dir, "f", "x");
        set_mode(&dir.join("f"), 0o6755);
        append(&dir.join("f")).unwrap();
        assert_eq!(mode(&dir.join("f")), 0o6755);
    }),
    ("a change of group takes set-id bits away", |dir| {
        file(dir, "f", "x");
        set_mode(&dir.join("f"), 0o6755);
        chown(dir.join("f"), None, Some(77)).unwrap();
        assert_eq!(mode(&dir.join("f")), 0o755);
    }),
    ("a new owner leaves the set-gid bit of a directory alone", |dir| {
        fs::create_dir(dir.join("d")).unwrap();
        set_mode(&dir.join("d"), 0o2775);
        chown(dir.join("d"), Some(USER), None).unwrap();
        assert_eq!(mode(&dir.join("d")), 0o2775);
    }),
    ("a mark for a lock is no set-gid bit", |dir| {
        // set-gid without execution by the group
        file(dir, "f", "x");
        set_mode(&dir.join("f"), 0o2744);
        chown(dir.join("f"), Some(USER), None).unwrap();
        assert_eq!(mode(&dir.join("f")) & 0o777, 0o744);
    }),
    ("an owner who is not in the group sets no set-gid bit", |dir| {
        file(dir, "f", "");
        chown(dir.join("f"), Some(USER), Some(99)).unwrap();
        as_user(USER, || set_mode(&dir.join("f"), 0o2755));
        assert_eq!(mode(&dir.join("f")), 0o755);
    }),
    ("an owner gives a file to no group that he is not in", |dir| {
        file(dir, "f", "");
        chown(dir.join("f"), Some(USER), Some(USER)).unwrap();
        let refused = as_user(USER, || errno(chown(dir.join("f"), None, Some(99))));
        assert_eq!(refused, libc::EPERM);
        assert_eq!(as_user(USER, || errno(chown(dir.join("f"), None, Some(USER)))), 0);
    }),
    ("a directory made in a set-gid one is set-gid too", |dir| {
        set_mode(dir, 0o2777);
        fs::create_dir(dir.join("d")).unwrap();
        assert_eq!(mode(&dir.join("d")) & 0o2000, 0o2000);
    }),
    ("no file is made where none may be", |dir| {
        refused_in_closed(dir, |closed| fs::write(closed.join("g"), "x"));
    }),
    ("no directory is made where none may be", |dir| {
        refused_in_closed(dir, |closed| fs::create_dir(closed.join("g")));
    }),
    ("no symbolic link is made where none may be", |dir| {
        refused_in_closed(dir, |closed| symlink("f", closed.join("g")));
    }),
    ("no hard link is made where none may be", |dir| {
        file(dir, "own", "x");
        chown(dir.join("own"), Some(USER), None).unwrap();
        refused_in_closed(dir, |closed| fs::hard_link(closed.join("../own"), closed.join("g")));
    }),
    ("nothing is unlinked where nothing may be", |dir| {
        refused_in_closed(dir, |closed| fs::remove_file(closed.join("f")));
    }),
    ("no directory is removed where none may be", |dir| {
        refused_in_closed(dir, |closed| fs::remove_dir(closed.join("inner")));
    }),
    ("nothing is renamed away from where nothing may be", |dir| {
        refused_in_closed(dir, |closed| fs::rename(closed.join("f"), closed.join("../g")));
    }),
    ("nothing is renamed to where nothing may be", |dir| {
        file(dir, "own", "x");
        chown(dir.join("own"), Some(USER), None).unwrap();
        refused_in_closed(dir, |closed| fs::rename(closed.join("../own"), closed.join("g")));
    }),
    ("a directory that may be entered and not read", |dir| {
        fs::create_dir(dir.join("d")).unwrap();
        file(dir, "d/f", "x");
        set_mode(&dir.join("d"), 0o711);
        assert_eq!(as_user(USER, || errno(fs::read_dir(dir.join("d")))), libc::EACCES);
        assert_eq!(as_user(USER, || fs::read_to_string(dir.join("d/f")).unwrap()), "x");
    }),
    ("a directory that may be read and not entered", |dir| {
        fs::create_dir(dir.join("d")).unwrap();
        file(dir, "d/f", "x");
        set_mode(&dir.join("d"), 0o744);
        assert_eq!(as_user(USER, || fs::read_dir(dir.join("d")).unwrap().count()), 1);
        assert_eq!(as_user(USER, || errno(fs::read(dir.join("d/f")))), libc::EACCES);
    }),
    ("a sticky directory keeps others from renaming", |dir| {
        sticky(dir);
        let refused = as_user(USER, || errno(fs::rename(dir.join("f"), dir.join("g"))));
        assert_eq!(refused, libc::EPERM);
    }),
    ("a sticky directory keeps others from replacing", |dir| {
        sticky(dir);
        file(dir, "own", "y");
        chown(dir.join("own"), Some(USER), None).unwrap();
        let refused = as_user(USER, || errno(fs::rename(dir.join("own"), dir.join("f"))));
        assert_eq!(refused, libc::EPERM);
    }),
    ("in a sticky directory the owner of a file removes it", |dir| {
        sticky(dir);
        chown(dir.join("f"), Some(USER), None).unwrap();
        assert_eq!(as_user(USER, || errno(fs::remove_file(dir.join("f")))), 0);
    }),
    ("the owner of a sticky directory removes what is in it", |dir| {
        sticky(dir);
        chown(dir, Some(USER), None).unwrap();
        assert_eq!(as_user(USER, || errno(fs::remove_file(dir.join("f")))), 0);
    }),
    ("the group has its own rights", |dir| {
        file(dir, "f", "x");
        chown(dir.join("f"), None, Some(USER)).unwrap();
        set_mode(&dir.join("f"), 0o640);
        assert!(may(dir, USER, Access::READ_OK) && !may(dir, USER, Access::WRITE_OK));
        assert!(!may(dir, USER + 1, Access::READ_OK));
    }),
    ("the owner has no more than his own rights", |dir| {
        file(dir, "f", "x");
        chown(dir.join("f"), Some(USER), None).unwrap();
        set_mode(&dir.join("f"), 0o077);
        assert!(!may(dir, USER, Access::READ_OK) && may(dir, USER + 1, Access::READ_OK));
    }),
    ("root executes nothing that nobody may execute", |dir| {
        fs::copy("/bin/true", dir.join("f")).unwrap();
        set_mode(&dir.join("f"), 0o644);
        assert_eq!(errno(Command::new(dir.join("f")).status()), libc::EACCES);
        set_mode(&dir.join("f"), 0o655);
        assert!(Command::new(dir.join("f")).status().unwrap().success());
    }),
    ("a descriptor outlives the right to open", |dir| {
        let opened = file(dir, "f", "x");
        set_mode(&dir.join("f"), 0o000);
        opened.write_at(b"y", 0).unwrap();
        assert_eq!(fs::read_to_string(dir.join("f")).unwrap(), "y");
    }),
];
