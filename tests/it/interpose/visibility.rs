//! Who sees late sees what was there, through real system calls from two mount namespaces; whoever
//! makes a change sees it, and so do all others.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use keelhaul::{
    host::{namespace::in_mount_ns, process::Identity, sight_trial::Shown},
    protocol::{IoAction, IoOp, IoRule},
};

use super::mounted::{Ext4, MARK, Mounted, can_be_tried, rule};

const LATE: Duration = Duration::from_secs(3);
/// So long that it does not end within a test.
const VERY_LATE: Duration = Duration::from_secs(600);

/// A process with a mount namespace of its own, which looks around.
struct Reader(Child);

impl Reader {
    /// What is mounted by now it has too.
    fn start() -> Self {
        let child = Command::new("unshare").args(["-m", "sleep", "600"]).spawn().unwrap();
        let reader = Self(child);
        let ours = fs::metadata("/proc/self/ns/mnt").unwrap().ino();
        let end = Instant::now() + Duration::from_secs(20);
        while reader.namespace() == ours {
            assert!(Instant::now() < end, "it has no namespace of its own");
            std::thread::sleep(Duration::from_millis(5));
        }
        reader
    }

    fn namespace(&self) -> u64 {
        fs::metadata(format!("/proc/{}/ns/mnt", self.0.id())).unwrap().ino()
    }

    fn identity(&self) -> Identity {
        Identity::of(self.0.id()).unwrap()
    }

    fn here<T: Send>(&self, look: impl FnOnce() -> T + Send) -> T {
        in_mount_ns(self.identity(), look).unwrap()
    }

    fn text(&self, path: &Path) -> Option<String> {
        self.here(|| fs::read_to_string(path).ok())
    }

    fn names(&self, dir: &Path) -> Vec<String> {
        self.here(|| names(dir))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn late(by: Duration, within: Option<u64>) -> Vec<IoRule> {
    let us = u64::try_from(by.as_micros()).unwrap();
    vec![rule(&[IoOp::Stat, IoOp::Read], IoAction::Late { us, within })]
}

/// An interposer, and who sees late in it.
fn one_late(ext4: &Ext4, by: Duration) -> (Mounted, Reader) {
    let mounted = Mounted::over(&ext4.directory("d"), late(by, None));
    let reader = Reader::start();
    (mounted, reader)
}

#[test]
fn names_and_what_they_lead_to_are_those_of_before() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let (mounted, reader) = one_late(&ext4, VERY_LATE);
    let at = |name: &str| mounted.at().join(name);
    for name in ["replaced", "removed", "renamed"] {
        fs::write(at(name), format!("{name}: old")).unwrap();
    }
    fs::create_dir(at("gone")).unwrap();
    mounted.arm(late(VERY_LATE, Some(reader.namespace())));
    let before = names(&mounted.at());
    fs::write(at("beside"), "replaced: new").unwrap();
    fs::rename(at("beside"), at("replaced")).unwrap();
    fs::remove_file(at("removed")).unwrap();
    fs::rename(at("renamed"), at("other")).unwrap();
    fs::create_dir(at("made")).unwrap();
    fs::write(at("made/within"), "new").unwrap();
    fs::remove_dir(at("gone")).unwrap();
    let now = ["made", "other", "replaced"];
    for _ in 0..2 {
        assert_eq!(reader.names(&mounted.at()), before);
        assert_eq!(reader.text(&at("replaced")).as_deref(), Some("replaced: old"));
        let old = ["removed", "renamed"].map(|name| reader.text(&at(name)).unwrap());
        assert_eq!(old, ["removed: old", "renamed: old"]);
        assert!(reader.here(|| at("gone").is_dir() && !at("made/within").exists()));
        assert_eq!(reader.text(&at("beside")), None);
        // its maker, and anybody else, sees what is there
        assert_eq!(names(&mounted.at()), now);
        assert_eq!(fs::read_to_string(at("replaced")).unwrap(), "replaced: new");
        assert!(!at("removed").exists() && at("made/within").exists());
        assert_eq!(Reader::start().names(&mounted.at()), now);
    }
    mounted.disarm();
    assert_eq!(reader.names(&mounted.at()), now);
    assert_eq!(reader.text(&at("replaced")).as_deref(), Some("replaced: new"));
    assert!(reader.here(|| !at("removed").exists() && at("made/within").exists()));
    assert_eq!(mounted.facts().forgotten, 0);
}

#[test]
fn a_change_is_seen_when_it_is_time_and_ones_own_at_once() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let (mounted, reader) = one_late(&ext4, LATE);
    mounted.arm(late(LATE, Some(reader.namespace())));
    let at = |name: &str| mounted.at().join(name);
    let began = Instant::now();
    fs::write(at("new"), "new").unwrap();
    fs::write(at("beside"), "theirs").unwrap();
    reader.here(|| fs::write(at("own"), "own").unwrap());
    assert_eq!(reader.text(&at("own")).as_deref(), Some("own"));
    assert_eq!(reader.names(&mounted.at()), ["own"]);
    // who takes a name himself sees it as it is from then on
    reader.here(|| fs::rename(at("own"), at("beside")).unwrap());
    assert_eq!(reader.text(&at("beside")).as_deref(), Some("own"));
    while reader.text(&at("new")).as_deref() != Some("new") {
        assert!(began.elapsed() < LATE + Duration::from_secs(20), "never seen");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(began.elapsed() >= LATE, "{:?}", began.elapsed());
}

#[test]
fn what_was_appended_is_not_there_yet() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let (mounted, reader) = one_late(&ext4, VERY_LATE);
    let path = mounted.at().join("log");
    let mut log = File::options().create(true).append(true).open(&path).unwrap();
    log.write_all(b"one\n").unwrap();
    mounted.arm(late(VERY_LATE, Some(reader.namespace())));
    let open = reader.here(|| File::open(&path).unwrap());
    log.write_all(b"two\n").unwrap();
    let read = || {
        let mut bytes = [0; 64];
        let length = open.read_at(&mut bytes, 0).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    for _ in 0..2 {
        assert_eq!(reader.here(read), "one\n");
        assert_eq!(reader.here(|| fs::metadata(&path).unwrap().len()), 4);
        assert_eq!(fs::metadata(&path).unwrap().len(), 8);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }
    // an append goes to the end as it is
    log.write_all(b"three\n").unwrap();
    mounted.disarm();
    assert_eq!(reader.here(read), "one\ntwo\nthree\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
}

#[test]
fn only_looks_that_were_told_an_older_state_count_and_other_paths_are_none() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let (mounted, reader) = one_late(&ext4, VERY_LATE);
    let of = |glob: &str| {
        let rules = late(VERY_LATE, Some(reader.namespace())).into_iter();
        rules.map(|rule| IoRule { paths: vec![glob.into()], ..rule }).collect()
    };
    mounted.arm(of("*.json"));
    let at = |name: &str| mounted.at().join(name);
    fs::write(at("a.log"), "log").unwrap();
    fs::write(at("a.json"), "{}").unwrap();
    assert_eq!(reader.text(&at("a.log")).as_deref(), Some("log"));
    assert_eq!(fs::read_to_string(at("a.json")).unwrap(), "{}");
    assert_eq!(mounted.facts().hit, 0, "nobody was told an older state");
    assert_eq!(reader.text(&at("a.json")), None);
    let facts = mounted.facts();
    assert!(facts.hit > 0, "{facts:?}");
    assert_eq!(facts.struck[0].path, "a.json");
}

#[test]
fn a_trial_is_found_by_its_maker_and_later_by_who_sees_late() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let (mounted, reader) = one_late(&ext4, LATE);
    let make = || Shown::make(File::open(mounted.at()).unwrap().into(), MARK).unwrap();
    let looks = |shown: &Shown| reader.here(|| shown.is_found().unwrap());
    assert!(looks(&make()), "no rule is in force");
    mounted.arm(late(LATE, Some(reader.namespace())));
    let shown = make();
    assert!(!looks(&shown) && shown.is_found().unwrap());
    let found = reader.here(|| shown.await_found(LATE + Duration::from_secs(20)).unwrap());
    assert!(found.is_some_and(|after| after >= LATE), "{found:?}");
    mounted.disarm();
    assert!(looks(&make()));
    assert_eq!((mounted.facts().matched, names(&mounted.at()).len()), (0, 0));
}
