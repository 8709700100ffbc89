//! Access control lists: rights of single users and groups, their mask, and those that a directory
//! hands on.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::fs::{XattrFlags, getxattr, removexattr, setxattr};

use super::{Case, as_user, errno, file};

const USER: u32 = 4711;
const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";
/// Of nobody in particular.
const ALL: u32 = u32::MAX;

/// An ACL as the kernel takes it (`linux/posix_acl_xattr.h`): the owner may read and write, `USER` and
/// the mask have these rights, nobody else any.
fn acl(user: u16, mask: u16) -> Vec<u8> {
    let entries =
        [(0x01, 6, ALL), (0x02, user, USER), (0x04, 0, ALL), (0x10, mask, ALL), (0x20, 0, ALL)];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        bytes.extend(u16::to_le_bytes(tag));
        bytes.extend(u16::to_le_bytes(rights));
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// A file with such an ACL.
fn guarded(dir: &Path, user: u16, mask: u16) {
    file(dir, "f", "x");
    setxattr(dir.join("f"), ACCESS, &acl(user, mask), XattrFlags::empty()).unwrap();
}

fn reads(dir: &Path, uid: u32) -> i32 {
    as_user(uid, || errno(fs::read(dir.join("f"))))
}

fn bits(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

pub(super) const CASES: &[Case] = &[
    ("an ACL gives a right to one user", |dir| {
        guarded(dir, 6, 6);
        assert_eq!((reads(dir, USER), reads(dir, USER + 1)), (0, libc::EACCES));
        assert_eq!(as_user(USER, || errno(fs::write(dir.join("f"), "y"))), 0);
    }),
    ("the mask of an ACL limits it", |dir| {
        guarded(dir, 6, 4);
        assert_eq!(reads(dir, USER), 0);
        assert_eq!(as_user(USER, || errno(fs::write(dir.join("f"), "y"))), libc::EACCES);
        assert_eq!(bits(&dir.join("f")), 0o640);
    }),
    ("a change of mode changes the mask of an ACL", |dir| {
        guarded(dir, 6, 6);
        fs::set_permissions(dir.join("f"), Permissions::from_mode(0o600)).unwrap();
        assert_eq!(reads(dir, USER), libc::EACCES);
        fs::set_permissions(dir.join("f"), Permissions::from_mode(0o640)).unwrap();
        assert_eq!(reads(dir, USER), 0);
    }),
    ("an ACL is read back and removed", |dir| {
        guarded(dir, 6, 6);
        let mut back = [0; 256];
        let length = getxattr(dir.join("f"), ACCESS, &mut back[..]).unwrap();
        assert_eq!(&back[..length], &acl(6, 6)[..]);
        removexattr(dir.join("f"), ACCESS).unwrap();
        assert_eq!(reads(dir, USER), libc::EACCES);
    }),
    ("only the owner sets an ACL", |dir| {
        file(dir, "f", "x");
        let set = || setxattr(dir.join("f"), ACCESS, &acl(6, 6), XattrFlags::empty());
        assert_eq!(as_user(USER, set), Err(rustix::io::Errno::PERM));
    }),
    ("a directory hands its default ACL on", |dir| {
        setxattr(dir, DEFAULT, &acl(6, 6), XattrFlags::empty()).unwrap();
        file(dir, "f", "x");
        assert_eq!(reads(dir, USER), 0);
        // not as the mask of this process would have it
        assert_eq!(bits(&dir.join("f")), 0o660);
        fs::create_dir(dir.join("d")).unwrap();
        assert!(getxattr(dir.join("d"), DEFAULT, &mut [0_u8; 256][..]).is_ok());
    }),
    ("a default ACL counts from when it is there until it is gone", |dir| {
        file(dir, "before", "x");
        setxattr(dir, DEFAULT, &acl(6, 6), XattrFlags::empty()).unwrap();
        file(dir, "under", "x");
        removexattr(dir, DEFAULT).unwrap();
        file(dir, "after", "x");
        let made = ["before", "under", "after"].map(|name| bits(&dir.join(name)));
        assert_eq!(made, [0o644, 0o660, 0o644]);
    }),
    ("without a default ACL the mask of the process counts", |dir| {
        file(dir, "f", "x");
        fs::create_dir(dir.join("d")).unwrap();
        assert_eq!((bits(&dir.join("f")), bits(&dir.join("d"))), (0o644, 0o755));
    }),
];
