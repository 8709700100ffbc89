//! What is done to files beside their bytes can be struck: it fails, nothing of it is done, and
//! afterwards it goes as before.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
};

use keelhaul::{
    host::{
        device,
        metadata::{Change, Meant, set_mode},
    },
    protocol::{IoAction, IoOp},
};
use rustix::fs::{
    SeekFrom, Timestamps, XattrFlags, getxattr, listxattr, removexattr, seek, setxattr,
};

use super::mounted::{Ext4, Mounted, can_be_tried, rule};

const NAME: &str = "user.colour";

type Act = fn(&Path) -> io::Result<()>;

/// What there is of each kind; `Path` is the volume.
fn acts() -> [(IoOp, Vec<Act>); 6] {
    let chmod: Act = |at| fs::set_permissions(at.join("file"), Permissions::from_mode(0o640));
    let chown: Act = |at| std::os::unix::fs::chown(at.join("file"), Some(7), None);
    let times: Act = |at| {
        let now = rustix::fs::Timespec { tv_sec: 5, tv_nsec: 0 };
        let times = Timestamps { last_access: now, last_modification: now };
        let flags = rustix::fs::AtFlags::empty();
        Ok(rustix::fs::utimensat(rustix::fs::CWD, at.join("file"), &times, flags)?)
    };
    let list: Act = |at| fs::read_dir(at)?.try_for_each(|entry| entry.map(drop));
    let readlink: Act = |at| fs::read_link(at.join("link")).map(drop);
    let hole: Act = |at| Ok(seek(File::open(at.join("file"))?, SeekFrom::Hole(0)).map(drop)?);
    let set: Act = |at| Ok(setxattr(at.join("file"), NAME, b"red", XattrFlags::REPLACE)?);
    let remove: Act = |at| Ok(removexattr(at.join("file"), "user.taste")?);
    let get: Act = |at| Ok(getxattr(at.join("file"), NAME, &mut [0_u8; 16][..]).map(drop)?);
    let names: Act = |at| Ok(listxattr(at.join("file"), &mut [0_u8; 64][..]).map(drop)?);
    [
        (IoOp::Attributes, vec![chmod, chown, times]),
        (IoOp::List, vec![list]),
        (IoOp::Readlink, vec![readlink]),
        (IoOp::Seek, vec![hole]),
        (IoOp::SetXattr, vec![set, remove]),
        (IoOp::Xattr, vec![get, names]),
    ]
}

/// All that these acts could change.
fn seen(beneath: &Path) -> String {
    let file = beneath.join("file");
    let facts = fs::metadata(&file).unwrap();
    let mut names = [0_u8; 256];
    let length = listxattr(&file, &mut names[..]).unwrap();
    let mut value = [0_u8; 16];
    let valued = getxattr(&file, NAME, &mut value[..]).unwrap();
    format!("{facts:?} {:?} {:?}", &names[..length], &value[..valued])
}

#[test]
fn what_is_done_beside_bytes_is_struck_and_not_done() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let beneath = ext4.directory("d");
    fs::write(beneath.join("file"), "text").unwrap();
    symlink("file", beneath.join("link")).unwrap();
    setxattr(beneath.join("file"), NAME, b"blue", XattrFlags::CREATE).unwrap();
    setxattr(beneath.join("file"), "user.taste", b"sour", XattrFlags::CREATE).unwrap();
    let eio = |op| vec![rule(&[op], IoAction::Error { errno: libc::EIO })];
    let mounted = Mounted::over(&beneath, eio(IoOp::List));
    let (before, at) = (seen(&beneath), mounted.at());
    for (op, acts) in acts() {
        mounted.arm(eio(op));
        for act in &acts {
            let struck = act(&at).unwrap_err();
            assert_eq!(struck.raw_os_error(), Some(libc::EIO), "{op:?}: {struck}");
        }
        let facts = mounted.facts();
        assert!(facts.hit >= acts.len() as u64, "{op:?}: {facts:?}");
        assert!(facts.struck.iter().all(|one| one.op == op), "{op:?}: {facts:?}");
        mounted.disarm();
        assert_eq!(seen(&beneath), before, "{op:?}");
    }
    // nothing of it lasts
    for (op, acts) in acts() {
        acts.iter().for_each(|act| act(&at).unwrap_or_else(|error| panic!("{op:?}: {error}")));
    }
    assert_ne!(seen(&beneath), before);
}

/// What is changed through an interposer must be found when that has gone, and a rule must not be in the way.
#[test]
fn a_file_is_known_by_the_numbers_that_it_has_beneath() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let beneath = ext4.directory("d");
    fs::write(beneath.join("file"), "text").unwrap();
    let mounted =
        Mounted::over(&beneath, vec![rule(&[IoOp::Xattr], IoAction::Error { errno: libc::EIO })]);
    mounted.arm(vec![rule(&[IoOp::Xattr], IoAction::Error { errno: libc::EIO })]);
    for name in ["", "file"] {
        let (above, below) = (mounted.at().join(name), fs::metadata(beneath.join(name)).unwrap());
        let shown = fs::metadata(&above).unwrap();
        assert_ne!(shown.dev(), below.dev(), "nothing is interposed");
        let (shown, below) = ((shown.dev(), shown.ino()), (below.dev(), below.ino()));
        assert_eq!(device::numbers(&above, shown), below, "`{name}`");
        assert_eq!(device::numbers_of(&File::open(&above).unwrap(), shown), below, "`{name}`");
        let meant = Meant { dev: Some(below.0), inode: below.1 };
        let mode = fs::metadata(&above).unwrap().mode() & 0o7777;
        assert_eq!(set_mode(&above, meant, mode, 0o750).unwrap(), Change::Made, "`{name}`");
    }
    assert_eq!(mounted.facts().hit, 0, "it is no operation of anybody's");
}
