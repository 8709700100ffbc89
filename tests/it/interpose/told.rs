//! What rules tell of a filesystem and of files, through real system calls.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
};

use keelhaul::protocol::{IoAction, IoOp, ToldAttributes, ToldRoom};
use rustix::fs::statvfs;

use super::mounted::{Ext4, Mounted, can_be_tried, rule};

#[test]
fn room_is_told_while_writes_go_on() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let told = ToldRoom { bytes: Some(8192), inodes: Some(3) };
    let rules = vec![rule(&[IoOp::Statfs], IoAction::TellRoom(told))];
    let mounted = Mounted::over(&ext4.directory("d"), rules.clone());
    let room = || {
        let stat = statvfs(mounted.at()).unwrap();
        (stat.f_bavail * stat.f_frsize, stat.f_ffree, stat.f_blocks, stat.f_files)
    };
    let (bytes, inodes, blocks, files) = room();
    assert!(bytes > 100_000 && inodes > 3);
    mounted.arm(rules);
    assert_eq!(room(), (8192, 3, blocks, files));
    fs::write(mounted.at().join("file"), [0; 100_000]).unwrap();
    assert_eq!((mounted.facts().matched, mounted.facts().hit), (1, 1));
    mounted.disarm();
    assert!(room().0 > 8192 && room().1 == inodes - 1);
}

#[test]
fn attributes_are_told_and_the_file_has_its_own() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let told = ToldAttributes {
        mode: Some(0o640),
        uid: Some(65534),
        gid: Some(65533),
        size: Some(1),
        mtime: Some(-5),
    };
    let mut one = rule(&[IoOp::Stat], IoAction::TellAttributes(told));
    one.paths = vec!["told*".into()];
    let mounted = Mounted::over(&ext4.directory("d"), vec![one.clone()]);
    let at = mounted.at();
    fs::write(at.join("told"), "before").unwrap();
    fs::write(at.join("other"), "before").unwrap();
    let real = fs::metadata(at.join("told")).unwrap();
    mounted.arm(vec![one]);
    let look = |name: &str| {
        let meta = fs::metadata(at.join(name)).unwrap();
        (meta.mode() & 0o7777, meta.uid(), meta.gid(), meta.len(), meta.mtime())
    };
    assert_eq!(look("told"), (0o640, 65534, 65533, 1, -5));
    assert_eq!(look("other").3, 6);
    // what is read and appended is what is there
    assert_eq!(fs::read(at.join("told")).unwrap(), b"before");
    let mut file = File::options().append(true).open(at.join("told")).unwrap();
    file.write_all(b"+after").unwrap();
    assert_eq!(fs::read(at.join("told")).unwrap(), b"before+after");
    mounted.disarm();
    let now = fs::metadata(at.join("told")).unwrap();
    assert_eq!(now.permissions().mode(), real.permissions().mode());
    assert_eq!((now.uid(), now.len()), (real.uid(), 12));
}
