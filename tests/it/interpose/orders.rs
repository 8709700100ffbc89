//! What a real ext4, XFS or btrfs leaves after a cut is among what is said of it: the same is done on a
//! disk of ours with a real one, and on a filesystem of ours that keeps its promises.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::Path,
};

use keelhaul::{
    block::{Profile, plan},
    interpose::control::{Answer, Ask},
    protocol::{CutProfile, Durability},
};
use rustix::fs::{Advice, fadvise};

use super::{
    filesystem::{Filesystem, path_of},
    mounted::{Ext4, Mounted, can_be_tried},
    own_disk::Disk,
    pasts::claim,
};

/// Longer than a block.
const LONG: usize = 6000;

fn sync(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}

fn append(path: &Path, text: &str) {
    File::options().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// What is there and durable when it begins.
fn begin(at: &Path) {
    for (name, text) in [("config", "old"), ("log", "0123456789"), ("other", "x")] {
        fs::write(at.join(name), text).unwrap();
        sync(&at.join(name));
    }
    sync(at);
}

/// Everything that is done, one step after the other.
const STEPS: [fn(&Path); 11] = [
    |at| fs::write(at.join("config.tmp"), "n".repeat(LONG)).unwrap(),
    |at| fs::rename(at.join("config.tmp"), at.join("config")).unwrap(),
    |at| append(&at.join("log"), "abc"),
    |at| {
        fs::write(at.join("written"), "w".repeat(LONG)).unwrap();
        // begins to write it, and does not wait for that
        let written = File::open(at.join("written")).unwrap();
        fadvise(&written, 0, None, Advice::DontNeed).unwrap();
    },
    |at| fs::write(at.join("cached"), "c").unwrap(),
    |at| append(&at.join("other"), "y"),
    |at| sync(&at.join("other")),
    |at| append(&at.join("log"), "def"),
    |at| fs::write(at.join("late"), "").unwrap(),
    |at| {
        let other = File::options().write(true).open(at.join("other")).unwrap();
        other.write_all_at(b"X", 0).unwrap();
        other.sync_data().unwrap();
    },
    |at| {
        fs::create_dir(at.join("d")).unwrap();
        fs::write(at.join("d/file"), "f").unwrap();
        sync(&at.join("d/file"));
    },
];
/// Names in the order in which they were changed; the new content of the first is its second name.
const NAMES: [&str; 6] = ["config", "written", "cached", "late", "d", "d/file"];
/// The first ones, which nobody syncs.
const OF_OTHERS: usize = 4;
/// The sync of the file that others were changed before.
const SYNCED: usize = 7;

type Tree = BTreeMap<String, Vec<u8>>;

fn tree(at: &Path) -> Tree {
    let read = |name: &&str| {
        let path = at.join(name);
        let bytes = if path.is_dir() { Vec::new() } else { fs::read(path).ok()? };
        Some(((*name).to_owned(), bytes))
    };
    ["config.tmp", "log", "other"].iter().chain(&NAMES).filter_map(read).collect()
}

/// They are the beginning of this text; of a size that came without its bytes, the zeros aside.
fn is_of(bytes: &[u8], text: &str, with_holes: bool) -> bool {
    let is = |(byte, wanted): (&u8, u8)| *byte == wanted || with_holes && *byte == 0;
    bytes.iter().zip(text.bytes()).all(is) && bytes.len() <= text.len()
}

/// What one of these is said to leave, once so many steps were done.
fn is_allowed(which: Filesystem, tree: &Tree, done: usize) -> bool {
    let holes = which == Filesystem::Ext4;
    let of = |name, text: &str| tree.get(name).is_none_or(|bytes| is_of(bytes, text, holes));
    let old = tree.get("config").is_some_and(|bytes| bytes == b"old");
    let replaced = tree.contains_key("config") && !old;
    let config = old || of("config", &"n".repeat(LONG));
    let there = |name: &&str| if *name == "config" { replaced } else { tree.contains_key(*name) };
    // a sync brings the names of others along, but for btrfs
    let others = which != Filesystem::Btrfs;
    let ordered = if others { &NAMES[..] } else { &NAMES[..OF_OTHERS] };
    let places: Vec<bool> = ordered.iter().map(there).collect();
    let brought = !others || replaced && there(&"cached");
    let synced = done < SYNCED || brought && tree["other"].len() == 2;
    let last = done < STEPS.len() || tree.get("d/file").is_some_and(|bytes| bytes == b"f");
    let texts = of("log", "0123456789abcdef") && of("written", &"w".repeat(LONG));
    let all = tree.get("log").is_some_and(|log| log.starts_with(b"0123456789"));
    let names = places.is_sorted_by(|a, b| a >= b);
    config && synced && last && texts && all && of("cached", "c") && names
}

/// What each name was found to hold.
type Found = BTreeSet<(String, Option<Vec<u8>>)>;

fn found(tree: &Tree) -> impl Iterator<Item = (String, Option<Vec<u8>>)> {
    let names = ["log", "other"].into_iter().chain(NAMES);
    names.map(|name| (name.to_owned(), tree.get(name).cloned()))
}

/// Every state of a real one, with the steps that were done by then.
fn of_a_real_one(which: Filesystem, most: usize, look: impl Fn(usize, Tree)) {
    let disk = Disk::begin_with(|image| which.make(image));
    let mount = which.mount(&disk.node, "rw").unwrap();
    begin(&path_of(&mount));
    assert_eq!(disk.ask(&Ask::Record { most: 64 << 20 }), Answer::Done);
    let marks: Vec<u64> = STEPS
        .iter()
        .map(|step| {
            step(&path_of(&mount));
            disk.mark()
        })
        .collect();
    drop(mount);
    let past = disk.past();
    let all = [Profile::Drop, Profile::KeepAll, Profile::Omit1, Profile::Prefix, Profile::Subset];
    let planned = plan(&past.points, &all, (most, 7), || false);
    assert!(planned.ways.len() > 20, "{}", planned.ways.len());
    for way in &planned.ways {
        let cut = past.points[way.point].cut;
        let claimed = claim(&past.stages[0].node);
        let shown = disk.ask(&Ask::Show { stage: 0, cut, kept: way.kept.clone() });
        drop(claimed);
        assert!(matches!(shown, Answer::Shown(_)), "{shown:?}");
        let done = marks.iter().filter(|mark| **mark <= cut).count();
        let mount = which.mount(&past.stages[0].node, "ro").unwrap();
        look(done, tree(&path_of(&mount)));
    }
}

const PROFILES: [CutProfile; 6] = [
    CutProfile::Drop,
    CutProfile::Prefix,
    CutProfile::Omit1,
    CutProfile::Keep1,
    CutProfile::Subset,
    CutProfile::MetadataFirst,
];

/// States of one of ours, likewise.
fn of_one_of_ours(durability: Durability, look: impl Fn(usize, Tree)) {
    let ext4 = Ext4::new();
    let mounted = Mounted::remembering(&ext4.directory("d"), durability);
    for done in 0..=STEPS.len() {
        for profile in PROFILES {
            for seed in 0..if profile == CutProfile::Drop { 1 } else { 8 } {
                let at = mounted.at().join(format!("{done}-{profile:?}-{seed}"));
                fs::create_dir(&at).unwrap();
                begin(&at);
                sync(&mounted.at());
                STEPS[..done].iter().for_each(|step| step(&at));
                mounted.ask(&Ask::Fence(Some(0)));
                mounted.ask(&Ask::Settle { profile, seed });
                look(done, tree(&at));
            }
        }
    }
}

/// What was found, in words.
fn short(found: &Found) -> BTreeSet<String> {
    let text = |bytes: &Vec<u8>| {
        let first = String::from_utf8_lossy(&bytes[..bytes.len().min(16)]);
        format!("{}…{}", first.escape_debug(), bytes.len())
    };
    let words = |(name, bytes): &(String, Option<Vec<u8>>)| {
        format!("{name}: {}", bytes.as_ref().map_or("gone".into(), text))
    };
    found.iter().map(words).collect()
}

/// So many states of a real one, and those of ours with its promises.
fn compare(which: Filesystem, most: usize, durability: Durability) {
    if !can_be_tried() {
        return;
    }
    let collected = || RefCell::new(Found::new());
    let (real, ours) = (collected(), collected());
    of_a_real_one(which, most, |done, tree| {
        assert!(is_allowed(which, &tree, done), "a real one, after {done}: {tree:?}");
        real.borrow_mut().extend(found(&tree));
    });
    of_one_of_ours(durability, |done, tree| {
        assert!(is_allowed(which, &tree, done), "one of ours, after {done}: {tree:?}");
        ours.borrow_mut().extend(found(&tree));
    });
    let (real, ours) = (short(&real.into_inner()), short(&ours.into_inner()));
    let unknown: Vec<_> = real.difference(&ours).collect();
    assert!(unknown.is_empty(), "{unknown:#?} and not {ours:#?}");
}

#[test]
fn a_real_ext4_leaves_nothing_that_one_of_ours_would_not() {
    compare(Filesystem::Ext4, 400, Durability::Ext4);
}

#[test]
fn a_real_xfs_leaves_nothing_that_one_of_ours_would_not() {
    compare(Filesystem::Xfs, 150, Durability::Xfs);
}

#[test]
fn a_real_btrfs_leaves_nothing_that_one_of_ours_would_not() {
    compare(Filesystem::Btrfs, 150, Durability::Btrfs);
}
