//! A disk of ours is cut in hindsight at every moment of its past; a real ext4 recovers each state.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use keelhaul::{
    block::{Image, Kept, Point, Profile, plan, unpack},
    crash_state::{Facts, Records, encode, hexadecimal},
    host::{fuse, loop_device},
    interpose::control::{Answer, Ask},
    ledger::Log,
    protocol::PastFacts,
};
use rustix::fs::{Mode, OFlags, openat};

use super::{
    mounted::can_be_tried,
    own_disk::{Disk, WITHIN, mounted},
};

impl Disk {
    pub(crate) fn mark(&self) -> u64 {
        match self.ask(&Ask::Mark) {
            Answer::At(at) => at,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn past(&self) -> PastFacts {
        self.past_on(1)
    }

    /// Shown on so many devices at most.
    fn past_on(&self, stages: u32) -> PastFacts {
        let until = Instant::now() + WITHIN;
        assert_eq!(self.ask(&Ask::OpenPast { stages }), Answer::Done);
        loop {
            match self.ask(&Ask::Past) {
                Answer::Past(facts) => return *facts,
                Answer::Already if Instant::now() < until => {
                    thread::sleep(Duration::from_millis(5));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Shows a state on a device.
    fn show(&self, past: &PastFacts, stage: u32, (cut, kept): (u64, &[Kept])) -> [u8; 32] {
        let claimed = claim(&past.stages[stage as usize].node);
        let shown = self.ask(&Ask::Show { stage, cut, kept: kept.to_vec() });
        drop(claimed);
        let Answer::Shown(digest) = shown else { panic!("{shown:?}") };
        digest
    }

    /// Shows a state, and what its files hold once ext4 has recovered it.
    fn recovered(&self, past: &PastFacts, cut: u64, kept: &[Kept]) -> ([u8; 32], Files) {
        (self.show(past, 0, (cut, kept)), files(&past.stages[0].node))
    }

    /// Has a file written, which must come to be.
    fn keep(&self, ask: &Ask, file: &Path) -> Vec<u8> {
        let answer = self.ask(ask);
        let bytes = fs::read(file).unwrap();
        assert_eq!(answer, Answer::Kept(bytes.len() as u64));
        bytes
    }
}

/// What the files on a device hold once ext4 has recovered it.
fn files(node: &Path) -> Files {
    read(&mounted(node))
}

fn read(mount: &OwnedFd) -> Files {
    let read = |name: &str| {
        let file = openat(mount, name, OFlags::RDONLY, Mode::empty()).ok()?;
        let mut text = String::new();
        File::from(file).read_to_string(&mut text).unwrap();
        Some((name.to_owned(), text))
    };
    ["synced", "unsynced"].into_iter().filter_map(read).collect()
}

type Files = BTreeMap<String, String>;

pub(crate) fn claim(node: &Path) -> OwnedFd {
    let until = Instant::now() + WITHIN;
    loop {
        if let Some(claimed) = loop_device::claim(node).unwrap() {
            return claimed;
        }
        assert!(Instant::now() < until, "the state before is still mounted");
        thread::sleep(Duration::from_millis(5));
    }
}

const ALL: [Profile; 5] =
    [Profile::Drop, Profile::KeepAll, Profile::Omit1, Profile::Torn, Profile::Subset];

/// Writes and syncs a file, and then does so with another without its name; the mark in between.
fn written(disk: &Disk) -> u64 {
    let mount = fuse::mount_device("ext4", &disk.node, &[]).unwrap();
    let create = |name: &str, text: &str| {
        let flags = OFlags::CREATE | OFlags::WRONLY;
        let mut file = File::from(openat(&mount, name, flags, Mode::from(0o600)).unwrap());
        file.write_all(text.as_bytes()).unwrap();
        file
    };
    create("synced", "this is there").sync_all().unwrap();
    File::from(openat(&mount, ".", OFlags::RDONLY, Mode::empty()).unwrap()).sync_all().unwrap();
    let mark = disk.mark();
    create("unsynced", "this may be there");
    rustix::fs::fdatasync(create("other", "x")).unwrap();
    mark
}

#[test]
fn what_was_synced_before_a_mark_is_in_every_state_after_it() {
    if !can_be_tried() {
        return;
    }
    let disk = Disk::start();
    assert_eq!(disk.ask(&Ask::Record { most: 32 << 20 }), Answer::Done);
    let mark = written(&disk);
    let past = disk.past();
    let planned = plan(&past.points, &ALL, (100, 7), || false);
    assert!(planned.ways.len() > 20 && past.filesystem == "ext4", "{past:?}");
    let (mut before, mut without, mut digests) = (0, 0, BTreeMap::new());
    for way in &planned.ways {
        let cut = past.points[way.point].cut;
        let (digest, files) = disk.recovered(&past, cut, &way.kept);
        if cut >= mark {
            assert_eq!(files.get("synced").map(String::as_str), Some("this is there"), "{way:?}");
        } else {
            before += u32::from(!files.contains_key("synced"));
        }
        without += u32::from(!files.contains_key("unsynced"));
        digests.insert(digest, (cut, &way.kept));
    }
    assert!(before > 0 && without > before, "nothing was ever lost: {before}, {without}");
    // the same state is the same to the bit
    for (digest, (cut, kept)) in digests.into_iter().take(10) {
        assert_eq!(disk.recovered(&past, cut, kept).0, digest);
    }
    // the live disk has seen nothing of it
    let live = mounted(&disk.node);
    assert!(openat(&live, "unsynced", OFlags::RDONLY, Mode::empty()).is_ok());
}

/// The file of a state, with nothing promised.
fn state_file(image: &Image, packed: &[u8]) -> Vec<u8> {
    let facts = Facts {
        keelhaul: String::new(),
        filesystem: "ext4".into(),
        records: Records::File("synced".into()),
        cut: 1,
        acknowledged: 0,
        wrong: String::new(),
        beyond: false,
        fsck: false,
        digest: hexadecimal(&image.digest()),
    };
    encode(&facts, &Log::default(), packed).unwrap()
}

#[test]
fn a_state_that_is_kept_is_the_same_disk_wherever_it_is_put() {
    if !can_be_tried() {
        return;
    }
    let disk = Disk::start();
    assert_eq!(disk.ask(&Ask::Record { most: 32 << 20 }), Answer::Done);
    written(&disk);
    let past = disk.past();
    let dropped = |point: &Point| (point.cut, vec![Kept::Nothing; point.writes.len()]);
    let lost = |(cut, kept): (u64, Vec<Kept>)| {
        let (digest, found) = disk.recovered(&past, cut, &kept);
        (found.len() == 1).then_some((cut, kept, digest, found))
    };
    let (cut, kept, digest, found) =
        past.points.iter().rev().map(dropped).find_map(lost).expect("one has lost a file");
    let to = disk.path("kept");
    let packed = disk.keep(&Ask::Keep { cut, kept, to: to.clone() }, &to);
    let image = unpack(&packed).unwrap();
    assert!(image.digest() == digest && packed.len() < 8 << 20, "{} bytes", packed.len());
    let other = Disk::begin_with(|file| fs::write(file, state_file(&image, &packed)).unwrap());
    assert_eq!(files(&other.node), found);
    let told = to.with_extension("told");
    fs::write(&told, "[]").unwrap();
    let log = disk.keep(&Ask::Export { cut, told: told.clone(), to: to.clone() }, &to);
    assert!(log.starts_with(&0x006a_7366_7773_6872_u64.to_le_bytes()));
    assert!(matches!(disk.ask(&Ask::Export { cut: cut + 1000, told, to }), Answer::Refused(_)));
}

/// What is left of the last moment where all is lost, and where nothing is.
fn lost_and_whole(past: &PastFacts) -> [(u64, Vec<Kept>); 2] {
    let last = past.points.iter().rfind(|point| !point.writes.is_empty()).unwrap();
    [Kept::Nothing, Kept::Whole].map(|kept| (last.cut, vec![kept; last.writes.len()]))
}

#[test]
fn several_states_are_shown_at_a_time_and_each_is_recovered_by_itself() {
    if !can_be_tried() {
        return;
    }
    let disk = Disk::start();
    assert_eq!(disk.ask(&Ask::Record { most: 32 << 20 }), Answer::Done);
    written(&disk);
    let alone = disk.past();
    let states = lost_and_whole(&alone);
    let expected = states.clone().map(|(cut, kept)| disk.recovered(&alone, cut, &kept));
    assert_ne!(expected[0], expected[1]);
    // the first device stays, and what it is asked for later, the others show too
    let past = disk.past_on(3);
    assert_eq!((past.stages.len(), &past.stages[0]), (3, &alone.stages[0]));
    let connections: BTreeSet<_> = past.stages.iter().map(|stage| stage.connection).collect();
    assert_eq!(connections.len(), 3, "one that hangs is freed without the others");
    let shown = [(0, 1), (1, 0), (2, 1)];
    for (stage, nth) in shown {
        let (cut, kept) = &states[nth];
        assert_eq!(disk.show(&past, stage, (*cut, kept)), expected[nth].0);
    }
    // all are mounted at a time
    let mounts: Vec<_> = past.stages.iter().map(|stage| mounted(&stage.node)).collect();
    for (mount, (_, nth)) in mounts.iter().zip(shown) {
        assert_eq!(read(mount), expected[nth].1);
    }
    // beyond the last one there is none
    let (cut, kept) = states[0].clone();
    assert!(matches!(disk.ask(&Ask::Show { stage: 3, cut, kept }), Answer::Refused(_)));
    assert_eq!(disk.past_on(1).stages, alone.stages, "no more than were asked for");
}
