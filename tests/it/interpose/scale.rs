//! Many files: open at once, and known. What the interposer holds of them has a bound.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::Path,
    time::Instant,
};

use keelhaul::protocol::{IoAction, IoOp, IoRule};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::mounted::{Ext4, Mounted, can_be_tried, rule};
use crate::weather::soak;

/// Files that are open at once.
const OPEN: usize = 10_000;
/// Files of a tree: many times as many as there may be descriptors.
const TREE: usize = 4_000;
const DESCRIPTORS: usize = 400;
/// Memory of one open file is well below this.
const BYTES_EACH: usize = 8 << 10;
/// Memory of one file that the kernel knows and nobody has open.
const BYTES_KNOWN: usize = 640;
/// Beside that: the cache of descriptors, threads, and what an allocator keeps.
const BYTES_AT_MOST: usize = 4 << 20;

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn descriptors(mounted: &Mounted) -> usize {
    fs::read_dir(format!("/proc/{}/fd", mounted.child.id())).unwrap().count()
}

/// Bytes of memory that the process has resident.
fn resident(mounted: &Mounted) -> usize {
    let text = fs::read_to_string(format!("/proc/{}/status", mounted.child.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
}

/// As many descriptors as this process may have; whether that is enough.
fn may_have(most: usize) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    limit.maximum.is_none_or(|maximum| maximum > most as u64)
}

fn tree(dir: &Path) {
    for n in 0..TREE {
        let sub = dir.join((n / 100).to_string());
        if n % 100 == 0 {
            fs::create_dir(&sub).unwrap();
        }
        fs::write(sub.join(n.to_string()), n.to_string()).unwrap();
    }
}

/// In both ways of serving a file: by the kernel alone, and by us.
fn open_at_once(ext4: &Ext4, name: &str, expected: Vec<IoRule>) {
    let mounted = Mounted::over(&ext4.directory(name), expected);
    let (before, dir) = (resident(&mounted), mounted.at());
    let started = Instant::now();
    let files: Vec<File> =
        (0..OPEN).map(|n| File::create_new(dir.join(n.to_string())).unwrap()).collect();
    for (n, file) in files.iter().enumerate().step_by(97) {
        file.write_all_at(n.to_string().as_bytes(), 0).unwrap();
    }
    let (held, memory) = (descriptors(&mounted), resident(&mounted).saturating_sub(before));
    say(&format!("{name}: {held} descriptors, {memory} bytes, {:?}", started.elapsed()));
    // one of each open file, and the cache
    assert!((OPEN..2 * OPEN).contains(&held), "{held}");
    assert!(memory < OPEN * BYTES_EACH, "{memory}");
    // another look at what is open costs no more
    assert!(files.iter().take(500).all(|file| file.metadata().is_ok()));
    drop(files);
    assert_eq!(fs::read_to_string(dir.join("97")).unwrap(), "97");
}

#[test]
fn ten_thousand_files_are_open_at_once() {
    if !can_be_tried() {
        return;
    }
    if !may_have(OPEN + 1000) {
        return say("skipped: this process may not have so many descriptors");
    }
    let ext4 = Ext4::new();
    open_at_once(&ext4, "kernel", Vec::new());
    open_at_once(&ext4, "served", vec![rule(&IoOp::ALL, IoAction::Error { errno: 5 })]);
}

#[test]
fn a_tree_of_more_files_than_descriptors_is_walked_and_read() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let most = DESCRIPTORS.to_string();
    let mounted = Mounted::with_descriptors(&ext4.directory("d"), Vec::new(), &most);
    tree(&mounted.at());
    let before = resident(&mounted);
    for _ in 0..2 {
        for n in (0..TREE).rev() {
            let path = mounted.at().join((n / 100).to_string()).join(n.to_string());
            assert_eq!(fs::read_to_string(path).unwrap(), n.to_string());
        }
    }
    let (held, memory) = (descriptors(&mounted), resident(&mounted).saturating_sub(before));
    say(&format!("{TREE} files: {held} descriptors, {memory} bytes more on the second walk"));
    assert!(held < DESCRIPTORS, "{held}");
    assert!(memory < TREE * BYTES_EACH, "{memory}");
    fs::remove_dir_all(mounted.at().join("0")).unwrap();
    assert!(!mounted.at().join("0").exists());
}

/// Every file of a tree is looked at: each is known to the kernel then, and to us. A million of them
/// where there is time.
#[test]
fn memory_has_a_bound_that_is_known_with_a_million_files() {
    if !can_be_tried() {
        return;
    }
    let files = if soak() { 1_000_000 } else { 20_000 };
    let ext4 = Ext4::with_room_for(files as u64);
    let beneath = ext4.directory("d");
    for n in 0..files {
        let sub = beneath.join((n / 1000).to_string());
        if n % 1000 == 0 {
            fs::create_dir(&sub).unwrap();
        }
        File::create_new(sub.join(n.to_string())).unwrap();
    }
    let mounted = Mounted::with_descriptors(&beneath, Vec::new(), &DESCRIPTORS.to_string());
    let (before, started) = (resident(&mounted), Instant::now());
    for walk in 0..2 {
        for n in 0..files {
            let path = mounted.at().join((n / 1000).to_string()).join(n.to_string());
            assert_eq!(fs::metadata(path).unwrap().len(), 0);
        }
        let memory = resident(&mounted).saturating_sub(before);
        let (held, took) = (descriptors(&mounted), started.elapsed());
        say(&format!("{files} files, walk {walk}: {held} descriptors, {memory} bytes, {took:?}"));
        assert!(held < DESCRIPTORS, "{held}");
        assert!(memory < files * BYTES_KNOWN + BYTES_AT_MOST, "{memory}");
    }
}
