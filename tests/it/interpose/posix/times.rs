//! Times: which are set, which move by themselves, and who may set them.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::fs::{
    AtFlags, CWD, StatxFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, XattrFlags, setxattr,
    statx, utimensat,
};

use super::{Case, as_user, file};

const OMIT: Timespec = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };

fn at(tv_sec: i64) -> Timespec {
    Timespec { tv_sec, tv_nsec: 5 }
}

fn set(path: &Path, atime: Timespec, mtime: Timespec) -> Result<(), rustix::io::Errno> {
    let times = Timestamps { last_access: atime, last_modification: mtime };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
}

/// Access, modification, in seconds.
fn times(path: &Path) -> (i64, i64) {
    let meta = fs::symlink_metadata(path).unwrap();
    (meta.atime(), meta.mtime())
}

fn changed(path: &Path) -> (i64, i64) {
    let meta = fs::symlink_metadata(path).unwrap();
    (meta.ctime(), meta.ctime_nsec())
}

/// The time of change moves with this act, and the time of modification does not.
fn moves_ctime_alone(dir: &Path, act: impl Fn(&Path)) {
    file(dir, "f", "x");
    let path = dir.join("f");
    set(&path, at(1000), at(1000)).unwrap();
    let before = changed(&path);
    // longer than a tick of the kernel's clock for files
    std::thread::sleep(Duration::from_millis(20));
    act(&path);
    assert!(changed(&path) > before);
    assert_eq!(times(&path).1, 1000);
}

/// The directory's time of modification moves with this act.
fn moves_the_directory(dir: &Path, act: impl Fn(&Path)) {
    file(dir, "f", "");
    fs::create_dir(dir.join("d")).unwrap();
    set(dir, at(1000), at(1000)).unwrap();
    act(dir);
    assert!(times(dir).1 > 1000);
}

/// The file's time of modification moves with this act.
fn moves_mtime(dir: &Path, act: impl Fn(&fs::File)) {
    let opened = file(dir, "f", "some text");
    set(&dir.join("f"), at(1000), at(1000)).unwrap();
    act(&opened);
    assert!(times(&dir.join("f")).1 > 1000);
}

pub(super) const CASES: &[Case] = &[
    ("the time of access alone", |dir| {
        file(dir, "f", "");
        set(&dir.join("f"), at(1000), at(2000)).unwrap();
        set(&dir.join("f"), at(3000), OMIT).unwrap();
        assert_eq!(times(&dir.join("f")), (3000, 2000));
    }),
    ("the time of modification alone", |dir| {
        file(dir, "f", "");
        set(&dir.join("f"), at(1000), at(2000)).unwrap();
        set(&dir.join("f"), OMIT, at(3000)).unwrap();
        assert_eq!(times(&dir.join("f")), (1000, 3000));
    }),
    ("no time at all", |dir| {
        file(dir, "f", "");
        set(&dir.join("f"), at(1000), at(2000)).unwrap();
        set(&dir.join("f"), OMIT, OMIT).unwrap();
        assert_eq!(times(&dir.join("f")), (1000, 2000));
    }),
    ("both times now", |dir| {
        file(dir, "f", "");
        set(&dir.join("f"), at(1000), at(2000)).unwrap();
        set(&dir.join("f"), NOW, NOW).unwrap();
        let (accessed, modified) = times(&dir.join("f"));
        assert!(accessed > 2000 && modified > 2000);
    }),
    ("one time now and one given", |dir| {
        file(dir, "f", "");
        set(&dir.join("f"), at(1000), NOW).unwrap();
        let (accessed, modified) = times(&dir.join("f"));
        assert!(accessed == 1000 && modified > 1000);
    }),
    ("times of a symbolic link itself", |dir| {
        file(dir, "f", "");
        set(&dir.join("f"), at(1000), at(1000)).unwrap();
        symlink("f", dir.join("l")).unwrap();
        set(&dir.join("l"), at(2000), at(3000)).unwrap();
        assert_eq!(times(&dir.join("l")), (2000, 3000));
        assert_eq!(times(&dir.join("f")), (1000, 1000));
    }),
    ("times of a directory", |dir| {
        fs::create_dir(dir.join("d")).unwrap();
        set(&dir.join("d"), at(2000), at(3000)).unwrap();
        assert_eq!(times(&dir.join("d")), (2000, 3000));
    }),
    ("a time beyond 2038", |dir| {
        file(dir, "f", "");
        set(&dir.join("f"), at(4_102_444_800), at(5_000_000_000)).unwrap();
        assert_eq!(times(&dir.join("f")), (4_102_444_800, 5_000_000_000));
    }),
    ("whoever may write may set the times to now", |dir| {
        file(dir, "f", "");
        fs::set_permissions(dir.join("f"), Permissions::from_mode(0o666)).unwrap();
        set(&dir.join("f"), at(1000), at(1000)).unwrap();
        as_user(4711, || set(&dir.join("f"), NOW, NOW)).unwrap();
        assert!(times(&dir.join("f")).1 > 1000);
    }),
    ("only the owner sets the times to another", |dir| {
        file(dir, "f", "");
        fs::set_permissions(dir.join("f"), Permissions::from_mode(0o666)).unwrap();
        let refused = as_user(4711, || set(&dir.join("f"), at(1000), at(1000)));
        assert_eq!(refused, Err(rustix::io::Errno::PERM));
        chown(dir.join("f"), Some(4711), None).unwrap();
        as_user(4711, || set(&dir.join("f"), at(1000), at(1000))).unwrap();
    }),
    ("whoever may only read sets no times", |dir| {
        file(dir, "f", "");
        let refused = as_user(4711, || set(&dir.join("f"), NOW, NOW));
        assert_eq!(refused, Err(rustix::io::Errno::ACCESS));
    }),
    ("chmod moves the time of change", |dir| {
        moves_ctime_alone(dir, |path| {
            fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        });
    }),
    ("chown moves the time of change", |dir| {
        moves_ctime_alone(dir, |path| chown(path, Some(4711), None).unwrap());
    }),
    ("a link moves the time of change", |dir| {
        moves_ctime_alone(dir, |path| fs::hard_link(path, path.with_extension("l")).unwrap());
    }),
    ("an extended attribute moves the time of change", |dir| {
        moves_ctime_alone(dir, |path| {
            setxattr(path, "user.x", b"v", XattrFlags::empty()).unwrap();
        });
    }),
    ("an unlinked name moves the directory", |dir| {
        moves_the_directory(dir, |dir| fs::remove_file(dir.join("f")).unwrap());
    }),
    ("a removed directory moves the one above", |dir| {
        moves_the_directory(dir, |dir| fs::remove_dir(dir.join("d")).unwrap());
    }),
    ("a made directory moves the one above", |dir| {
        moves_the_directory(dir, |dir| fs::create_dir(dir.join("e")).unwrap());
    }),
    ("a rename moves the directory", |dir| {
        moves_the_directory(dir, |dir| fs::rename(dir.join("f"), dir.join("g")).unwrap());
    }),
    ("a link moves the directory", |dir| {
        moves_the_directory(dir, |dir| fs::hard_link(dir.join("f"), dir.join("g")).unwrap());
    }),
    ("a symbolic link moves the directory", |dir| {
        moves_the_directory(dir, |dir| symlink("f", dir.join("l")).unwrap());
    }),
    ("a truncation moves the time of modification", |dir| {
        moves_mtime(dir, |opened| opened.set_len(1).unwrap());
    }),
    ("a growth moves the time of modification", |dir| {
        moves_mtime(dir, |opened| opened.set_len(100_000).unwrap());
    }),
    ("a time is not moved by a sync", |dir| {
        let opened = file(dir, "f", "x");
        opened.sync_all().unwrap();
        opened.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(9)).unwrap();
        opened.sync_all().unwrap();
        assert_eq!(times(&dir.join("f")).1, 9);
    }),
    ("statx says what stat says", |dir| {
        file(dir, "f", "text");
        let path = dir.join("f");
        let (long, short) = (
            statx(CWD, &path, AtFlags::empty(), StatxFlags::BASIC_STATS).unwrap(),
            fs::metadata(&path).unwrap(),
        );
        let mask = StatxFlags::from_bits_retain(long.stx_mask);
        assert!(mask.contains(StatxFlags::BASIC_STATS));
        assert_eq!((long.stx_size, long.stx_ino), (short.len(), short.ino()));
        assert_eq!((u64::from(long.stx_nlink), long.stx_uid), (short.nlink(), short.uid()));
        assert_eq!(u32::from(long.stx_mode), short.mode());
    }),
    ("statx of what was just written is not behind", |dir| {
        let opened = file(dir, "f", "text");
        opened.set_len(12).unwrap();
        let flags = AtFlags::STATX_DONT_SYNC;
        let long = statx(CWD, dir.join("f"), flags, StatxFlags::SIZE).unwrap();
        assert_eq!(long.stx_size, 12);
    }),
];
