//! What a failed sync has given up is on no disk, and what takes its place is, through real system calls.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::FileExt as _,
};

use keelhaul::{
    interpose::control::Ask,
    protocol::{CutProfile, Durability, IoAction, IoOp, IoRule, ReadBack, Reported, Retry},
};
use rustix::fs::{FallocateFlags, fallocate};

use super::{
    cuts::{ALL, cut, facts, sync},
    mounted::{Ext4, Mounted, can_be_tried, rule},
};

/// What makes a sync fail once, after which the next says that all is well.
fn fails() -> IoRule {
    let (errno, reported, retry) = (libc::EIO, Reported::Each, Retry::Succeeds);
    let read_back = ReadBack::New;
    rule(&[IoOp::Fsync], IoAction::FailSync { errno, reported, retry, read_back })
}

/// A file of which this is durable, on a filesystem that keeps these promises.
struct Tried {
    mounted: Mounted,
    file: File,
    _ext4: Ext4,
}

impl Tried {
    /// None where there can be none, which was said.
    fn new(durability: Durability, text: &str) -> Option<Self> {
        if !can_be_tried() {
            return None;
        }
        let ext4 = Ext4::new();
        let expected = vec![rule(&[], IoAction::Remember), fails()];
        let mounted = Mounted::expecting(&ext4.directory("d"), expected, durability);
        let at = mounted.at();
        fs::write(at.join("file"), text).unwrap();
        sync(&at.join("file"));
        sync(&at);
        let file = File::options().append(true).open(at.join("file")).unwrap();
        Some(Self { mounted, file, _ext4: ext4 })
    }

    fn place(&self) -> File {
        File::options().write(true).open(self.mounted.at().join("file")).unwrap()
    }

    /// What was done since the last sync is given up.
    fn give_up(&self) {
        self.mounted.arm(vec![fails()]);
        assert!(self.file.sync_all().is_err());
        self.file.sync_all().unwrap();
        self.mounted.disarm();
    }

    fn left(&self, profile: CutProfile) -> Vec<u8> {
        cut(&self.mounted, profile);
        fs::read(self.mounted.at().join("file")).unwrap()
    }
}

#[test]
fn what_a_failed_sync_gave_up_no_later_one_keeps() {
    for durability in ALL {
        let Some(mut tried) = Tried::new(durability, "") else { return };
        tried.file.write_all(b"lost").unwrap();
        tried.give_up();
        tried.file.write_all(b"kept").unwrap();
        tried.file.sync_all().unwrap();
        let left = tried.left(CutProfile::Drop);
        assert_eq!(left, b"\0\0\0\0kept", "its size is as durable as what came behind it");
    }
}

#[test]
fn a_size_that_was_told_is_not_given_up() {
    let tell: [fn(&File); 2] = [
        |file| fallocate(file, FallocateFlags::empty(), 0, 12).unwrap(),
        |file| file.set_len(12).unwrap(),
    ];
    for (durability, tell) in ALL.into_iter().flat_map(|like| tell.map(|tell| (like, tell))) {
        let Some(tried) = Tried::new(durability, "0123") else { return };
        tell(&tried.place());
        tried.give_up();
        tried.place().write_all_at(b"kept", 8).unwrap();
        tried.file.sync_data().unwrap();
        let left = tried.left(CutProfile::Drop);
        assert_eq!(left, b"0123\0\0\0\0kept", "{durability:?}");
    }
}

#[test]
fn that_a_file_was_cut_short_is_not_given_up() {
    for durability in ALL {
        let Some(tried) = Tried::new(durability, "0123456789") else { return };
        tried.file.set_len(4).unwrap();
        tried.give_up();
        assert_eq!(tried.left(CutProfile::Drop), b"0123", "{durability:?}: a sync was well");
    }
}

#[test]
fn what_took_the_place_of_what_was_given_up_stays() {
    let again: [fn(&mut Tried); 2] = [
        |tried| tried.place().write_all_at(b"good!", 4).unwrap(),
        // as a journal does that trusts nothing behind its last good record
        |tried| {
            tried.file.set_len(4).unwrap();
            tried.file.write_all(b"good!").unwrap();
        },
    ];
    for (durability, again) in ALL.into_iter().flat_map(|like| again.map(|again| (like, again))) {
        let Some(mut tried) = Tried::new(durability, "0123") else { return };
        tried.file.write_all(b"lost!").unwrap();
        tried.give_up();
        again(&mut tried);
        tried.file.sync_data().unwrap();
        assert_eq!(tried.left(CutProfile::Drop), b"0123good!", "{durability:?}");
    }
}

#[test]
fn what_was_given_up_is_undone_around_what_took_its_place() {
    let Some(tried) = Tried::new(Durability::Xfs, "0123456789") else { return };
    tried.place().write_all_at(b"lost-lost-lost", 2).unwrap();
    tried.give_up();
    tried.place().write_all_at(b"AB", 4).unwrap();
    tried.place().write_all_at(b"CD", 12).unwrap();
    tried.file.sync_all().unwrap();
    assert_eq!(tried.left(CutProfile::Drop), b"0123AB6789\0\0CD\0\0");
}

#[test]
fn no_profile_brings_back_what_was_given_up() {
    for durability in ALL {
        let Some(mut tried) = Tried::new(durability, "0123") else { return };
        tried.file.write_all(b"lost").unwrap();
        tried.give_up();
        tried.file.write_all(b"new").unwrap();
        assert_eq!(facts(tried.mounted.ask(&Ask::Pending)).pending, pending(durability));
        let left = tried.left(CutProfile::KeepAll);
        assert_eq!(left, b"0123\0\0\0\0new", "{durability:?}");
    }
}

/// Two writes behind the end: on ext4 their sizes are operations of their own, and that of the first
/// is durable.
fn pending(durability: Durability) -> u64 {
    if durability == Durability::Ext4 { 3 } else { 2 }
}
