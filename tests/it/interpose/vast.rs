//! A disk of 100 GiB: it takes memory for what was written to it, and for nothing else, and so does what
//! is remembered of its past.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::Command,
};

use keelhaul::{
    host::fuse,
    interpose::control::{Answer, Ask},
};
use rustix::fs::{Mode, OFlags, openat};

use super::{mounted::can_be_tried, own_disk::Disk};

const SIZE: u64 = 100 << 30;
/// What is written to it.
const WRITTEN: u64 = 96 << 20;
/// The program, and what a filesystem of this size writes by itself.
const BESIDE: u64 = 64 << 20;
/// What it may remember in memory: less than was written, and enough to know where.
const LITTLE: u64 = 16 << 20;

/// Makes it as a volume of a run is made.
fn vast(image: &Path) {
    File::create(image).unwrap().set_len(SIZE).unwrap();
    let mut mkfs = Command::new("mkfs.ext4");
    mkfs.args(["-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"]);
    assert!(mkfs.arg(image).status().unwrap().success());
}

/// Bytes of memory of a process.
fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Bytes of files without a name that a process has open.
fn put_away(pid: u32) -> u64 {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let files = open.filter_map(|fd| fs::metadata(fd.path()).ok());
    files.filter(|file| file.is_file() && file.nlink() == 0).map(|file| file.blocks() * 512).sum()
}

#[test]
fn it_takes_memory_for_what_was_written_and_puts_away_what_it_remembers() {
    if !can_be_tried() {
        return;
    }
    let disk = Disk::begin_with(vast);
    let before = memory(disk.pid());
    assert!(before < BESIDE, "{before} bytes of an empty one");
    assert_eq!(disk.ask(&Ask::Record { most: LITTLE }), Answer::Done);
    let mount = fuse::mount_device("ext4", &disk.node, &[]).unwrap();
    let flags = OFlags::CREATE | OFlags::WRONLY;
    // twice, and the second time in place of the first
    for round in 0..2 {
        let mut file = File::from(openat(&mount, "file", flags, Mode::from(0o600)).unwrap());
        for at in 0..WRITTEN >> 20 {
            file.write_all(&vec![u8::try_from(at + round).unwrap(); 1 << 20]).unwrap();
        }
        file.sync_all().unwrap();
    }
    let (mark, grown) = (disk.mark(), memory(disk.pid()) - before);
    assert!(grown < 2 * WRITTEN + BESIDE, "{grown} bytes for {WRITTEN}, which were written twice");
    let away = put_away(disk.pid());
    assert!(away > WRITTEN && away < 3 * WRITTEN, "{away} bytes were put away");
    let past = disk.past();
    assert_eq!(past.forgotten, 0);
    let last = past.points.iter().find(|point| point.cut >= mark).unwrap();
    let kept = vec![keelhaul::block::Kept::Nothing; last.writes.len()];
    let shown = |cut, kept: &[_]| match disk.ask(&Ask::Show { stage: 0, cut, kept: kept.to_vec() })
    {
        Answer::Shown(digest) => digest,
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(last.cut, &kept), shown(last.cut, &kept));
    let grown = memory(disk.pid()) - before;
    assert!(grown < 2 * WRITTEN + 2 * BESIDE, "{grown} bytes with its past open");
}
