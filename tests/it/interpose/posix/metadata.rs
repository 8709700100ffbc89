//! Attributes: modes, owners, times, extended attributes, space.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink},
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::fs::{XattrFlags, getxattr, listxattr, removexattr, setxattr};

use super::{Case, as_user, errno, file};

fn mode(dir: &Path, name: &str) -> u32 {
    fs::symlink_metadata(dir.join(name)).unwrap().mode() & 0o7777
}

fn set_mode(dir: &Path, name: &str, mode: u32) {
    fs::set_permissions(dir.join(name), Permissions::from_mode(mode)).unwrap();
}

fn value(dir: &Path, name: &str) -> Result<Vec<u8>, rustix::io::Errno> {
    let mut buffer = [0; 256];
    let length = getxattr(dir.join("f"), name, &mut buffer[..])?;
    Ok(buffer[..length].to_vec())
}

fn open_to_all(dir: &Path) {
    fs::set_permissions(dir, Permissions::from_mode(0o777)).unwrap();
}

pub(super) const CASES: &[Case] = &[
    ("modes are kept", |dir| {
        file(dir, "f", "");
        for bits in [0o000, 0o400, 0o644, 0o755, 0o1777, 0o2755, 0o4755, 0o6711] {
            set_mode(dir, "f", bits);
            assert_eq!(mode(dir, "f"), bits);
        }
    }),
    ("modes of directories are kept", |dir| {
        fs::create_dir(dir.join("d")).unwrap();
        for bits in [0o700, 0o755, 0o1777, 0o2775] {
            set_mode(dir, "d", bits);
            assert_eq!(mode(dir, "d"), bits);
        }
    }),
    ("chown by root", |dir| {
        file(dir, "f", "");
        chown(dir.join("f"), Some(4711), Some(4712)).unwrap();
        let meta = fs::metadata(dir.join("f")).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (4711, 4712));
        chown(dir.join("f"), None, Some(5)).unwrap();
        let meta = fs::metadata(dir.join("f")).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (4711, 5));
    }),
    ("chown of a link itself", |dir| {
        file(dir, "f", "");
        symlink("f", dir.join("l")).unwrap();
        lchown(dir.join("l"), Some(7), Some(8)).unwrap();
        assert_eq!(fs::metadata(dir.join("f")).unwrap().uid(), 0);
        assert_eq!(fs::symlink_metadata(dir.join("l")).unwrap().uid(), 7);
    }),
    ("chown takes set-id bits away", |dir| {
        file(dir, "f", "");
        set_mode(dir, "f", 0o6755);
        chown(dir.join("f"), Some(4711), None).unwrap();
        assert_eq!(mode(dir, "f"), 0o755);
    }),
    ("a file belongs to who makes it", |dir| {
        open_to_all(dir);
        as_user(4711, || {
            fs::write(dir.join("f"), "x").unwrap();
            fs::create_dir(dir.join("d")).unwrap();
            symlink("f", dir.join("l")).unwrap();
            fs::write(dir.join("d/g"), "x").unwrap();
        });
        for name in ["f", "d", "l", "d/g"] {
            let meta = fs::symlink_metadata(dir.join(name)).unwrap();
            assert_eq!((meta.uid(), meta.gid()), (4711, 4711), "{name}");
        }
    }),
    ("a set-gid directory gives its group", |dir| {
        fs::create_dir(dir.join("d")).unwrap();
        chown(dir.join("d"), None, Some(99)).unwrap();
        set_mode(dir, "d", 0o2777);
        as_user(4711, || fs::write(dir.join("d/f"), "x").unwrap());
        let meta = fs::metadata(dir.join("d/f")).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (4711, 99));
    }),
    ("others may not write", |dir| {
        file(dir, "f", "");
        let refused = as_user(4711, || errno(fs::write(dir.join("f"), "x")));
        assert_eq!(refused, libc::EACCES);
        assert_eq!(as_user(4711, || errno(fs::write(dir.join("g"), "x"))), libc::EACCES);
    }),
    ("others may not read what is private", |dir| {
        file(dir, "f", "x");
        set_mode(dir, "f", 0o600);
        assert_eq!(as_user(4711, || errno(fs::read(dir.join("f")))), libc::EACCES);
        set_mode(dir, "f", 0o604);
        assert_eq!(as_user(4711, || errno(fs::read(dir.join("f")))), 0);
    }),
    ("others may not look into a closed directory", |dir| {
        fs::create_dir(dir.join("d")).unwrap();
        file(dir, "d/f", "");
        set_mode(dir, "d", 0o700);
        assert_eq!(as_user(4711, || errno(fs::metadata(dir.join("d/f")))), libc::EACCES);
        assert_eq!(as_user(4711, || errno(fs::read_dir(dir.join("d")))), libc::EACCES);
    }),
    ("only the owner changes a mode", |dir| {
        file(dir, "f", "");
        let chmod = || errno(fs::set_permissions(dir.join("f"), Permissions::from_mode(0o777)));
        assert_eq!(as_user(4711, chmod), libc::EPERM);
        chown(dir.join("f"), Some(4711), None).unwrap();
        assert_eq!(as_user(4711, chmod), 0);
    }),
    ("only root gives files away", |dir| {
        file(dir, "f", "");
        chown(dir.join("f"), Some(4711), None).unwrap();
        assert_eq!(as_user(4711, || errno(chown(dir.join("f"), Some(1), None))), libc::EPERM);
    }),
    ("a sticky directory protects names", |dir| {
        set_mode(dir, "", 0o1777);
        file(dir, "f", "");
        assert_eq!(as_user(4711, || errno(fs::remove_file(dir.join("f")))), libc::EPERM);
    }),
    ("times are set to the nanosecond", |dir| {
        let f = file(dir, "f", "");
        let at = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789);
        f.set_times(fs::FileTimes::new().set_modified(at).set_accessed(at)).unwrap();
        let meta = fs::metadata(dir.join("f")).unwrap();
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_234_567_890, 123_456_789));
        assert_eq!((meta.atime(), meta.atime_nsec()), (1_234_567_890, 123_456_789));
    }),
    ("times before 1970", |dir| {
        let f = file(dir, "f", "");
        let at = SystemTime::UNIX_EPOCH - Duration::from_secs(1000);
        f.set_modified(at).unwrap();
        assert_eq!(fs::metadata(dir.join("f")).unwrap().mtime(), -1000);
    }),
    ("a write moves the time of modification", |dir| {
        let f = file(dir, "f", "");
        f.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        fs::write(dir.join("f"), "x").unwrap();
        assert!(fs::metadata(dir.join("f")).unwrap().mtime() > 1000);
    }),
    ("a new name moves the directory's time", |dir| {
        fs::File::open(dir).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        file(dir, "f", "");
        assert!(fs::metadata(dir).unwrap().mtime() > 1000);
    }),
    ("a look changes no time of modification", |dir| {
        let f = file(dir, "f", "x");
        f.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(5)).unwrap();
        drop(f);
        fs::read(dir.join("f")).unwrap();
        assert_eq!(fs::metadata(dir.join("f")).unwrap().mtime(), 5);
    }),
    ("blocks are counted", |dir| {
        let f = file(dir, "f", &"x".repeat(100_000));
        f.sync_all().unwrap();
        let meta = fs::metadata(dir.join("f")).unwrap();
        assert!((190..300).contains(&meta.blocks()) && meta.blksize() == 4096);
    }),
    ("an extended attribute is kept", |dir| {
        file(dir, "f", "");
        setxattr(dir.join("f"), "user.x", b"value", XattrFlags::empty()).unwrap();
        assert_eq!(value(dir, "user.x").unwrap(), b"value");
        let mut names = [0; 256];
        let length = listxattr(dir.join("f"), &mut names[..]).unwrap();
        assert_eq!(&names[..length], b"user.x\0");
        removexattr(dir.join("f"), "user.x").unwrap();
        assert_eq!(value(dir, "user.x"), Err(rustix::io::Errno::NODATA));
    }),
    ("an extended attribute of no bytes", |dir| {
        file(dir, "f", "");
        setxattr(dir.join("f"), "user.x", b"", XattrFlags::empty()).unwrap();
        assert_eq!(value(dir, "user.x").unwrap(), b"");
    }),
    ("extended attributes are created or replaced as asked", |dir| {
        file(dir, "f", "");
        let set = |flags| setxattr(dir.join("f"), "user.x", b"v", flags);
        assert_eq!(set(XattrFlags::REPLACE), Err(rustix::io::Errno::NODATA));
        set(XattrFlags::CREATE).unwrap();
        assert_eq!(set(XattrFlags::CREATE), Err(rustix::io::Errno::EXIST));
        set(XattrFlags::REPLACE).unwrap();
    }),
    ("an extended attribute that does not fit", |dir| {
        file(dir, "f", "");
        setxattr(dir.join("f"), "user.x", &[b'v'; 100], XattrFlags::empty()).unwrap();
        let short = getxattr(dir.join("f"), "user.x", &mut [0_u8; 10][..]);
        assert_eq!(short, Err(rustix::io::Errno::RANGE));
    }),
    ("an extended attribute of root", |dir| {
        file(dir, "f", "");
        setxattr(dir.join("f"), "trusted.x", b"v", XattrFlags::empty()).unwrap();
        assert_eq!(value(dir, "trusted.x").unwrap(), b"v");
        assert!(as_user(4711, || value(dir, "trusted.x")).is_err());
    }),
    ("an extended attribute of a directory", |dir| {
        setxattr(dir, "user.x", b"v", XattrFlags::empty()).unwrap();
        assert_eq!(getxattr(dir, "user.x", &mut [0_u8; 10][..]), Ok(1));
    }),
    ("space is told", |dir| {
        let stat = rustix::fs::statvfs(dir).unwrap();
        assert!(stat.f_blocks > 1000 && stat.f_files > 100 && stat.f_bfree <= stat.f_blocks);
        assert_eq!((stat.f_bsize, stat.f_namemax), (4096, 255));
    }),
    ("fstat and stat agree", |dir| {
        let f = file(dir, "f", "abc");
        let (one, other) = (f.metadata().unwrap(), fs::metadata(dir.join("f")).unwrap());
        assert_eq!((one.ino(), one.dev(), one.len()), (other.ino(), other.dev(), other.len()));
    }),
];
