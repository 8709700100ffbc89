//! A rule strikes whatever way an operation comes: past the page cache (`O_DIRECT`), and handed in by
//! `io_uring`. What comes as a memory map it cannot strike, and a file without a name (`O_TMPFILE`)
//! is refused at all (`posix`).

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

use keelhaul::{
    host::page_cache,
    protocol::{IoAction, IoOp, IoRule, Keep, Struck, Trigger},
    units::Size,
};

use super::{
    mounted::{Ext4, Mounted, can_be_tried, rule},
    posix::on_ring,
};

const EIO: IoAction = IoAction::Error { errno: libc::EIO };
const OPS: [IoOp; 3] = [IoOp::Read, IoOp::Write, IoOp::Fsync];
const BLOCK: u64 = 4096;

/// A file of two blocks, through an interposer that expects to strike it.
fn mounted(ext4: &Ext4) -> (Mounted, std::path::PathBuf) {
    let beneath = ext4.directory("d");
    fs::write(beneath.join("f"), "x".repeat(8192)).unwrap();
    (Mounted::over(&beneath, vec![rule(&OPS, EIO)]), beneath)
}

/// What was struck: the operation, where and how much.
fn struck(mounted: &Mounted) -> Vec<(IoOp, Option<u64>, Option<u64>)> {
    let facts = mounted.facts();
    assert_eq!(facts.hit, facts.struck.len() as u64);
    assert_eq!(facts.out_of_reach, 0);
    facts.struck.iter().map(|Struck { op, offset, bytes, .. }| (*op, *offset, *bytes)).collect()
}

fn is_untouched(beneath: &Path) {
    assert_eq!(fs::read_to_string(beneath.join("f")).unwrap(), "x".repeat(8192));
}

#[test]
fn what_goes_past_the_page_cache_is_struck() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let (mounted, beneath) = mounted(&ext4);
    let mut options = File::options();
    options.read(true).write(true).custom_flags(libc::O_DIRECT);
    let file = options.open(mounted.at().join("f")).unwrap();
    let mut buffer = vec![b'y'; 8192];
    let skip = buffer.as_ptr().align_offset(4096);
    let block = &mut buffer[skip..skip + 4096];
    mounted.arm(vec![rule(&OPS, EIO)]);
    let failed = |done: std::io::Result<usize>| done.unwrap_err().raw_os_error();
    assert_eq!(failed(file.write_at(block, BLOCK)), Some(libc::EIO));
    assert_eq!(failed(file.read_at(block, 0)), Some(libc::EIO));
    assert_eq!(
        struck(&mounted),
        [(IoOp::Write, Some(BLOCK), Some(BLOCK)), (IoOp::Read, Some(0), Some(BLOCK)),]
    );
    is_untouched(&beneath);
    mounted.disarm();
    assert_eq!(file.read_at(block, BLOCK).unwrap(), 4096);
    assert!(block.iter().all(|byte| *byte == b'x'));
}

/// Served by us or not, it goes to the disk as it would without us.
#[test]
fn what_goes_past_the_page_cache_does_so_beneath() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let (mounted, beneath) = mounted(&ext4);
    let file = |flags| {
        let mut options = File::options();
        options.read(true).write(true).custom_flags(flags).open(mounted.at().join("f")).unwrap()
    };
    let resident = || page_cache::look(&beneath.join("f")).unwrap().resident;
    page_cache::drop_clean(&beneath.join("f")).unwrap();
    let mut buffer = vec![b'y'; 8192];
    let skip = buffer.as_ptr().align_offset(4096);
    let block = &mut buffer[skip..skip + 4096];
    let direct = file(libc::O_DIRECT);
    assert_eq!(direct.write_at(block, BLOCK).unwrap(), 4096);
    assert_eq!(direct.read_at(block, 0).unwrap(), 4096);
    assert!(block.iter().all(|byte| *byte == b'x'));
    assert_eq!(resident(), 0);
    assert_eq!(file(0).read_at(block, BLOCK).unwrap(), 4096);
    assert!(block.iter().all(|byte| *byte == b'y'));
    assert!(resident() > 0);
    // what rules leave of a write need not lie even
    mounted.arm(vec![rule(&OPS, IoAction::Shorten { keep: Keep::Bytes(Size(700)) })]);
    block.fill(b'z');
    assert_eq!(direct.write_at(block, 0).unwrap(), 700);
    mounted.disarm();
    let text = fs::read_to_string(beneath.join("f")).unwrap();
    assert_eq!(text, "z".repeat(700) + &"x".repeat(4096 - 700) + &"y".repeat(4096));
}

/// Of each write the kernel would ask for an attribute that says whether it takes rights away.
#[test]
fn what_the_kernel_writes_by_itself_asks_nobody() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let mounted = Mounted::over(&ext4.directory("d"), Vec::new());
    let when = Trigger { nth: Some(u64::MAX), ..Trigger::default() };
    mounted.arm(vec![IoRule { when, ..rule(&[IoOp::Xattr], EIO) }]);
    let file = File::create_new(mounted.at().join("f")).unwrap();
    for n in 0..500 {
        file.write_at(b"x", n).unwrap();
    }
    let asked = mounted.facts().matched;
    assert!(asked < 5, "{asked} times for 500 writes");
}

#[test]
fn what_comes_by_io_uring_is_struck() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let (mounted, beneath) = mounted(&ext4);
    mounted.arm(vec![rule(&OPS, EIO)]);
    // the directory that it makes says that it was not skipped
    on_ring(
        &mounted.at().join("f"),
        "fd=os.open(p,os.O_RDWR)\ndirect=os.open(p,os.O_RDWR|os.O_DIRECT)\n\
         assert uring((WRITE,fd,place,10,100))==[-5]\nassert uring((READ,fd,place,20,200))==[-5]\n\
         assert uring((FSYNC,fd,0,0,0))==[-5]\nassert uring((WRITE,direct,place,4096,4096))==[-5]\n\
         assert uring((READ,direct,place,4096,0))==[-5]\nos.mkdir(p+'-ran')",
    );
    if fs::metadata(beneath.join("f-ran")).is_err() {
        return;
    }
    assert_eq!(
        struck(&mounted),
        [
            (IoOp::Write, Some(100), Some(10)),
            (IoOp::Read, Some(200), Some(20)),
            (IoOp::Fsync, None, None),
            (IoOp::Write, Some(BLOCK), Some(BLOCK)),
            (IoOp::Read, Some(0), Some(BLOCK)),
        ]
    );
    is_untouched(&beneath);
}
