//! What was not durable is undone, through real system calls, and what was is there.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use keelhaul::{
    host::io_trial::Tries,
    interpose::control::{Answer, Ask},
    protocol::{CutProfile, Durability, IoAction, IoOp, PendingFacts},
};

use super::mounted::{Ext4, MARK, Mounted, can_be_tried, rule};

pub(super) fn facts(answer: Answer) -> PendingFacts {
    match answer {
        Answer::Pending(Some(facts)) => facts,
        other => panic!("{other:?}"),
    }
}

pub(super) fn cut(mounted: &Mounted, profile: CutProfile) -> PendingFacts {
    assert!(facts(mounted.ask(&Ask::Fence(Some(0)))).fenced);
    facts(mounted.ask(&Ask::Settle { profile, seed: 1 }))
}

/// A filesystem that remembers what is not durable; none where there can be none, which was said.
fn remembering() -> Option<(Ext4, Mounted)> {
    if !can_be_tried() {
        return None;
    }
    let ext4 = Ext4::new();
    let mounted = Mounted::over(&ext4.directory("d"), vec![rule(&[], IoAction::Remember)]);
    Some((ext4, mounted))
}

/// One that keeps the promises of this filesystem.
fn remembering_like(durability: Durability) -> Option<(Ext4, Mounted)> {
    if !can_be_tried() {
        return None;
    }
    let ext4 = Ext4::new();
    let mounted = Mounted::remembering(&ext4.directory("d"), durability);
    Some((ext4, mounted))
}

pub(super) fn sync(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn what_was_synced_is_there_and_what_was_not_is_as_before() {
    let Some((_ext4, mounted)) = remembering() else { return };
    let at = mounted.at();
    for name in ["over", "gone", "old", "target", "cut"] {
        fs::write(at.join(name), name.repeat(3)).unwrap();
        sync(&at.join(name));
    }
    fs::create_dir(at.join("empty")).unwrap();
    sync(&at);
    assert_eq!(facts(mounted.ask(&Ask::Pending)).pending, 0);
    let before = names(&at);
    let mut over = File::options().write(true).open(at.join("over")).unwrap();
    over.write_all(b"OVERWRITTEN, AND LONGER THAN BEFORE").unwrap();
    fs::remove_file(at.join("gone")).unwrap();
    fs::rename(at.join("old"), at.join("target")).unwrap();
    File::options().write(true).open(at.join("cut")).unwrap().set_len(2).unwrap();
    fs::remove_dir(at.join("empty")).unwrap();
    fs::create_dir(at.join("new")).unwrap();
    fs::write(at.join("new/file"), "x").unwrap();
    fs::hard_link(at.join("cut"), at.join("link")).unwrap();
    assert_ne!(names(&at), before);
    let settled = cut(&mounted, CutProfile::Drop);
    assert!(settled.pending == settled.undone && settled.undone >= 9, "{settled:?}");
    assert_eq!(names(&at), before);
    for name in ["over", "gone", "old", "target", "cut"] {
        assert_eq!(fs::read_to_string(at.join(name)).unwrap(), name.repeat(3));
    }
    assert!(at.join("empty").is_dir());
}

#[test]
fn a_sync_of_a_file_keeps_its_bytes_and_one_of_its_directory_its_name() {
    let Some((_ext4, mounted)) = remembering() else { return };
    let at = mounted.at();
    let write = |name: &str| fs::write(at.join(name), "x").unwrap();
    write("named");
    sync(&at);
    write("both");
    sync(&at.join("both"));
    sync(&at);
    write("synced");
    sync(&at.join("synced"));
    write("neither");
    cut(&mounted, CutProfile::Drop);
    assert_eq!(names(&at), ["both", "named"]);
    assert_eq!(fs::read(at.join("both")).unwrap(), b"x");
    assert_eq!(fs::read(at.join("named")).unwrap(), b"", "its bytes were not synced");
}

#[test]
fn behind_the_fence_nothing_is_taken_and_before_it_nothing_is_lost() {
    let Some((_ext4, mounted)) = remembering() else { return };
    let mut file = File::create(mounted.at().join("file")).unwrap();
    sync(&mounted.at());
    assert!(!facts(mounted.ask(&Ask::Fence(Some(2)))).fenced);
    file.write_all(b"1").unwrap();
    file.write_all(b"2").unwrap();
    assert!(facts(mounted.ask(&Ask::Pending)).fenced);
    assert!(file.write_all(b"3").is_err() && file.sync_all().is_err());
    assert!(File::create(mounted.at().join("other")).is_err());
    let settled = facts(mounted.ask(&Ask::Settle { profile: CutProfile::KeepAll, seed: 1 }));
    assert_eq!((settled.pending, settled.undone), (2, 0));
    file.write_all(b"4").unwrap();
    assert_eq!(fs::read(mounted.at().join("file")).unwrap(), b"124");
}

#[test]
fn what_a_write_itself_made_durable_stays() {
    if !can_be_tried() {
        return;
    }
    use std::os::unix::fs::OpenOptionsExt as _;
    let ext4 = Ext4::new();
    let mounted = Mounted::over(&ext4.directory("d"), vec![rule(&[], IoAction::Remember)]);
    let at = mounted.at();
    fs::write(at.join("log"), "").unwrap();
    sync(&at.join("log"));
    sync(&at);
    let open =
        |flags| File::options().append(true).custom_flags(flags).open(at.join("log")).unwrap();
    open(libc::O_DSYNC).write_all(b"durable,").unwrap();
    open(libc::O_SYNC).write_all(b"too,").unwrap();
    open(0).write_all(b"not").unwrap();
    assert_eq!(cut(&mounted, CutProfile::Drop).undone, 1);
    assert_eq!(fs::read_to_string(at.join("log")).unwrap(), "durable,too,");
}

#[test]
fn a_directory_that_was_removed_is_there_again_with_what_was_in_it() {
    let Some((_ext4, mounted)) = remembering() else { return };
    let at = mounted.at();
    fs::create_dir_all(at.join("a/b")).unwrap();
    for (file, dir) in [("a/one", "a"), ("a/b/two", "a/b")] {
        fs::write(at.join(file), file).unwrap();
        sync(&at.join(file));
        sync(&at.join(dir));
    }
    sync(&at);
    fs::remove_dir_all(at.join("a")).unwrap();
    assert_eq!(cut(&mounted, CutProfile::Drop).undone, 4);
    assert_eq!(fs::read_to_string(at.join("a/one")).unwrap(), "a/one");
    assert_eq!(fs::read_to_string(at.join("a/b/two")).unwrap(), "a/b/two");
}

#[test]
fn bytes_of_a_file_that_is_durably_gone_stand_in_nobodys_way() {
    let Some((_ext4, mounted)) = remembering() else { return };
    let at = mounted.at();
    fs::write(at.join("x.tmp"), "never synced").unwrap();
    fs::remove_file(at.join("x.tmp")).unwrap();
    sync(&at);
    fs::write(at.join("other"), "x").unwrap();
    cut(&mounted, CutProfile::Drop);
    assert_eq!(names(&at).iter().filter(|name| !name.starts_with('.')).count(), 0);
}

#[test]
fn more_than_can_be_remembered_is_said_and_costs_nothing() {
    let Some((_ext4, mounted)) = remembering() else { return };
    let at = mounted.at();
    let big = File::create(at.join("big")).unwrap();
    big.set_len(1 << 40).unwrap();
    sync(&at.join("big"));
    big.set_len(0).unwrap();
    assert!(facts(mounted.ask(&Ask::Pending)).overflowed);
    fs::write(at.join("small"), "x").unwrap();
    fs::remove_file(at.join("small")).unwrap();
    assert!(cut(&mounted, CutProfile::Drop).overflowed);
    assert!(!at.join("small").exists() && at.join("big").exists());
}

#[test]
fn a_sync_that_is_lost_makes_nothing_durable_and_the_next_one_everything() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let loses = rule(&[IoOp::Fsync], IoAction::LoseSync);
    let expected = vec![rule(&[], IoAction::Remember), loses.clone()];
    let mounted = Mounted::over(&ext4.directory("d"), expected);
    let at = mounted.at();
    let write = |name: &str| {
        fs::write(at.join(name), "x").unwrap();
        sync(&at.join(name));
        sync(&at);
    };
    let tries = Tries { dir: at.clone(), mark: MARK.into(), most: 1, slow_us: u64::MAX };
    let own = || facts(mounted.ask(&Ask::Pending)).own;
    let trial = || {
        let file = tries.remembered().unwrap();
        let before = own();
        rustix::io::pwrite(&file, b"x", 0).unwrap();
        assert_eq!(own(), before + 1, "the trial is remembered");
        rustix::fs::fdatasync(&file).unwrap();
        own() > before
    };
    write("before");
    assert!(!trial());
    mounted.arm(vec![loses.clone()]);
    write("lost");
    assert!(trial());
    assert_eq!(facts(mounted.ask(&Ask::Pending)).pending, 2, "a name and a byte");
    let settled = cut(&mounted, CutProfile::Drop);
    assert_eq!((settled.undone, names(&at)), (2, vec!["before".to_owned()]));
    write("late");
    mounted.disarm();
    sync(&at.join("late"));
    sync(&at);
    assert_eq!(facts(mounted.ask(&Ask::Pending)).pending, 0);
    assert!(!trial());
}

pub(super) const ALL: [Durability; 4] =
    [Durability::PosixStrict, Durability::Ext4, Durability::Xfs, Durability::Btrfs];

/// A file with a content that is durable, and with another one that is renamed over it.
fn replace(at: &Path, synced: bool) {
    fs::write(at.join("config"), "old").unwrap();
    sync(&at.join("config"));
    sync(at);
    fs::write(at.join("config.tmp"), "new content").unwrap();
    if synced {
        sync(&at.join("config.tmp"));
    }
    fs::rename(at.join("config.tmp"), at.join("config")).unwrap();
}

#[test]
fn a_sync_brings_along_what_it_does_on_each_filesystem() {
    for durability in ALL {
        let Some((_ext4, mounted)) = remembering_like(durability) else { return };
        let at = mounted.at();
        replace(&at, false);
        fs::write(at.join("unsynced"), "x").unwrap();
        fs::write(at.join("synced"), "y").unwrap();
        sync(&at.join("synced"));
        cut(&mounted, CutProfile::Drop);
        let (config, there) = match durability {
            Durability::PosixStrict => ("old", &["config"][..]),
            Durability::Ext4 | Durability::Xfs => ("", &["config", "synced", "unsynced"][..]),
            Durability::Btrfs => ("old", &["config", "synced"][..]),
        };
        assert_eq!(names(&at), there, "{durability:?}");
        assert_eq!(fs::read_to_string(at.join("config")).unwrap(), config, "{durability:?}");
        if there.contains(&"synced") {
            assert_eq!(fs::read(at.join("synced")).unwrap(), b"y", "{durability:?}");
        }
        if there.contains(&"unsynced") {
            assert_eq!(fs::read(at.join("unsynced")).unwrap(), b"", "{durability:?}");
        }
    }
}

#[test]
fn a_rename_that_was_not_synced_is_lost_or_there_and_never_half() {
    for durability in ALL {
        let Some((_ext4, mounted)) = remembering_like(durability) else { return };
        let mut found = BTreeSet::new();
        for seed in 0..20 {
            let at = mounted.at().join(seed.to_string());
            fs::create_dir(&at).unwrap();
            sync(&mounted.at());
            replace(&at, true);
            facts(mounted.ask(&Ask::Fence(Some(0))));
            facts(mounted.ask(&Ask::Settle { profile: CutProfile::Subset, seed }));
            found.insert(fs::read_to_string(at.join("config")).unwrap());
        }
        let either = ["new content", "old"].map(str::to_owned);
        assert_eq!(found, either.into(), "{durability:?}");
    }
}

#[test]
fn a_sync_in_a_new_directory_keeps_the_way_to_it_but_not_by_the_letter_of_posix() {
    for durability in ALL {
        let Some((_ext4, mounted)) = remembering_like(durability) else { return };
        let at = mounted.at();
        fs::create_dir_all(at.join("a/b")).unwrap();
        fs::write(at.join("a/b/file"), "x").unwrap();
        fs::rename(at.join("a"), at.join("c")).unwrap();
        fs::write(at.join("c/b/file"), "xy").unwrap();
        sync(&at.join("c/b/file"));
        cut(&mounted, CutProfile::Drop);
        let kept = fs::read_to_string(at.join("c/b/file")).ok();
        let strict = durability == Durability::PosixStrict;
        assert_eq!(kept.as_deref(), (!strict).then_some("xy"), "{durability:?}");
    }
}

#[test]
fn a_sync_of_a_file_written_over_in_place_brings_no_name_along() {
    for durability in ALL {
        let Some((_ext4, mounted)) = remembering_like(durability) else { return };
        let at = mounted.at();
        fs::write(at.join("log"), "0123456789").unwrap();
        sync(&at.join("log"));
        sync(&at);
        fs::write(at.join("other"), "").unwrap();
        let mut log = File::options().write(true).open(at.join("log")).unwrap();
        log.write_all(b"abc").unwrap();
        log.sync_data().unwrap();
        cut(&mounted, CutProfile::Drop);
        assert_eq!(names(&at), ["log"], "{durability:?}");
        assert_eq!(fs::read(at.join("log")).unwrap(), b"abc3456789");
    }
}

#[test]
fn what_was_written_behind_the_end_is_zeros_on_ext4_and_missing_elsewhere() {
    for durability in ALL {
        let Some((_ext4, mounted)) = remembering_like(durability) else { return };
        let at = mounted.at();
        fs::write(at.join("log"), "0123").unwrap();
        sync(&at.join("log"));
        sync(&at);
        let mut log = File::options().append(true).open(at.join("log")).unwrap();
        log.write_all(b"45").unwrap();
        log.write_all(b"6789").unwrap();
        cut(&mounted, CutProfile::MetadataFirst);
        let zeros = durability == Durability::Ext4;
        let left: &[u8] = if zeros { b"0123\0\0\0\0\0\0" } else { b"0123" };
        assert_eq!(fs::read(at.join("log")).unwrap(), left, "{durability:?}");
        log.write_all(b"abc").unwrap();
        cut(&mounted, CutProfile::Drop);
        assert_eq!(fs::read(at.join("log")).unwrap(), left, "{durability:?}");
    }
}

#[test]
fn on_ext4_a_sync_of_data_alone_keeps_no_other_name_and_a_whole_one_does() {
    let Some((_ext4, mounted)) = remembering_like(Durability::Ext4) else { return };
    let at = mounted.at();
    let file = at.join("file");
    fs::write(&file, "x").unwrap();
    sync(&file);
    for (flag, kept) in [(libc::O_DSYNC, &["file"][..]), (libc::O_SYNC, &["file", "link"])] {
        fs::hard_link(&file, at.join("link")).unwrap();
        let mut open = File::options().write(true).custom_flags(flag).open(&file).unwrap();
        open.write_all(b"y").unwrap();
        drop(open);
        cut(&mounted, CutProfile::Drop);
        assert_eq!(names(&at), kept);
    }
}
