//! Rules strike the requests of a real ext4 to a disk of ours, and a trial on its device shows it.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::OwnedFd,
    sync::mpsc,
    thread,
    time::Duration,
};

use keelhaul::{
    host::{disk_trial::DiskTries, fuse},
    interpose::control::{Answer, Ask},
    protocol::{DiskOp, IoAction, IoOp, PendingFacts, RuleFacts, TriedOp},
    units::{Percent, Size},
};
use rustix::{
    fs::{Mode, OFlags, open, openat},
    io::{pread, pwrite},
};

use super::{
    mounted::{can_be_tried, rule},
    own_disk::{Disk, WITHIN},
};

const SET: &str = "disk-7";

impl Disk {
    fn arm(&self, ops: &[IoOp], action: IoAction) {
        let rules = vec![rule(ops, action)];
        assert_eq!(
            self.ask(&Ask::Arm { set: SET.into(), seed: 7, rules, again: None }),
            Answer::Done
        );
    }

    fn disarm(&self) {
        assert_eq!(self.ask(&Ask::Disarm { set: SET.into() }), Answer::Done);
    }

    fn facts(&self) -> RuleFacts {
        match self.ask(&Ask::Facts { set: SET.into() }) {
            Answer::Facts(Some(facts)) => facts,
            other => panic!("{other:?}"),
        }
    }

    fn pending(&self) -> PendingFacts {
        match self.ask(&Ask::Pending) {
            Answer::Pending(Some(facts)) => facts,
            other => panic!("{other:?}"),
        }
    }

    fn tries(&self, round: u64) -> DiskTries {
        DiskTries::open(&self.node, SET, round).unwrap()
    }

    fn tried(&self, round: u64, ops: &[DiskOp], patience: Duration) -> Vec<TriedOp> {
        self.tries(round).within(ops, (1, u64::MAX), patience)
    }
}

fn create(mount: &OwnedFd, name: &str) -> File {
    let flags = OFlags::CREATE | OFlags::WRONLY;
    File::from(openat(mount, name, flags, Mode::from(0o600)).unwrap())
}

fn write_and_sync(file: &mut File, bytes: &[u8]) -> Option<i32> {
    let done = file.write_all(bytes).and_then(|()| file.sync_data());
    done.err().map(|error: io::Error| error.raw_os_error().unwrap())
}

#[test]
fn what_fails_is_not_done_and_a_trial_fails_alike() {
    if !can_be_tried() {
        return;
    }
    let disk = Disk::start();
    let mount = fuse::mount_device("ext4", &disk.node, &[]).unwrap();
    let mut file = create(&mount, "file");
    assert_eq!(write_and_sync(&mut file, b"before"), None);
    let (all, quick) = (DiskOp::ALL, Duration::from_secs(5));
    let errors = |round| -> Vec<Option<String>> {
        disk.tried(round, &all, quick).into_iter().map(|one| one.errno).collect()
    };
    assert_eq!(errors(0), vec![None; 4]);
    disk.arm(&all.map(DiskOp::as_io), IoAction::Error { errno: libc::EIO });
    assert_eq!(errors(1), vec![Some("EIO".to_owned()); 4]);
    let mount_alone = disk.facts();
    assert_eq!(write_and_sync(&mut file, b"lost"), Some(libc::EIO));
    let facts = disk.facts();
    assert!(facts.armed && facts.hit > mount_alone.hit, "{mount_alone:?}, then {facts:?}");
    disk.disarm();
    assert_eq!(errors(2), vec![None; 4], "whatever ext4 has made of it");
}

#[test]
fn what_hangs_comes_back_when_the_rule_is_gone_and_nobody_else_waits() {
    if !can_be_tried() {
        return;
    }
    let disk = Disk::start();
    let mount = fuse::mount_device("ext4", &disk.node, &[]).unwrap();
    let mut file = create(&mount, "file");
    disk.arm(&[IoOp::Write, IoOp::Fsync], IoAction::Stall { us: 60_000_000, errno: None });
    let (done, answer) = mpsc::channel();
    thread::spawn(move || done.send(write_and_sync(&mut file, b"late")));
    let both = [DiskOp::Flush, DiskOp::Write];
    let hung = |round, patience| -> Vec<bool> {
        disk.tried(round, &both, patience).iter().map(|one| one.hung).collect()
    };
    assert_eq!(hung(0, Duration::from_millis(500)), [true; 2]);
    assert_eq!(disk.ask(&Ask::Ping), Answer::Done, "what waits on purpose is no standstill");
    let read = &disk.tried(0, &[DiskOp::Read], WITHIN)[0];
    assert!(!read.hung && read.errno.is_none(), "{read:?}");
    assert!(answer.try_recv().is_err(), "it has not hung");
    disk.disarm();
    assert_eq!(answer.recv_timeout(WITHIN).unwrap(), None);
    assert_eq!(hung(1, WITHIN), [false; 2]);
    assert!(matches!(disk.ask(&Ask::Ping), Answer::AtWork { .. }));
}

#[test]
fn a_flush_that_lies_leaves_everything_to_be_lost() {
    if !can_be_tried() {
        return;
    }
    let disk = Disk::start();
    let mount = fuse::mount_device("ext4", &disk.node, &[]).unwrap();
    let mut file = create(&mount, "file");
    assert_eq!(write_and_sync(&mut file, b"kept"), None);
    assert_eq!(disk.pending().pending, 0);
    disk.arm(&[IoOp::Fsync], IoAction::LoseSync);
    assert_eq!(write_and_sync(&mut file, b"lost"), None);
    let trial = |round| {
        disk.tried(round, &[DiskOp::Write], WITHIN);
        disk.tried(round, &[DiskOp::Flush], WITHIN)[0].errno.clone()
    };
    assert_eq!(trial(0), None);
    let pending = disk.pending();
    assert!(pending.pending > 0 && pending.own == 1, "{pending:?}");
    disk.disarm();
    assert_eq!(trial(1), None);
    assert_eq!(disk.pending(), PendingFacts::default());
}

#[test]
fn a_full_pool_takes_what_was_written_before_and_nothing_new() {
    if !can_be_tried() {
        return;
    }
    let disk = Disk::start();
    let mount = fuse::mount_device("ext4", &disk.node, &[]).unwrap();
    let (mut old, mut new) = (create(&mount, "old"), create(&mount, "new"));
    assert_eq!(write_and_sync(&mut old, &[1; 8192]), None);
    assert_eq!(write_and_sync(&mut new, b"x"), None);
    disk.arm(&[IoOp::Write], IoAction::NoRoom { errno: libc::ENOSPC });
    pwrite(&old, &[2; 8192], 0).unwrap();
    old.sync_data().unwrap();
    assert_eq!(write_and_sync(&mut new, &[3; 64 << 10]), Some(libc::ENOSPC));
    let full = &disk.tried(0, &[DiskOp::Write], WITHIN)[0];
    assert_eq!(full.errno.as_deref(), Some("ENOSPC"));
    disk.disarm();
    assert_eq!(write_and_sync(&mut new, &[4; 64 << 10]), None);
    assert_eq!(disk.tried(1, &[DiskOp::Write], WITHIN)[0].errno, None);
}

#[test]
fn a_silent_disk_shows_in_what_is_read_back_alone() {
    if !can_be_tried() {
        return;
    }
    let disk = Disk::start();
    disk.arm(&[IoOp::Read], IoAction::Rot { share: Percent(1.0) });
    let rotten = disk.tries(0).of_bytes(DiskOp::Read, 1);
    assert_eq!((rotten.errno.clone(), rotten.arrived), (None, 4095), "{rotten:?}");
    disk.arm(&[IoOp::Write], IoAction::LoseWrite);
    let lost = disk.tries(1).of_bytes(DiskOp::Write, 1);
    assert_eq!((lost.errno.clone(), lost.moved, lost.arrived), (None, 4096, 0), "{lost:?}");
    assert_eq!(lost.astray, 0);
    disk.arm(&[IoOp::Write], IoAction::Misdirect { distance: Size(64 << 10) });
    let strayed = disk.tries(2).of_bytes(DiskOp::Write, 1);
    assert_eq!((strayed.errno.clone(), strayed.arrived), (None, 0), "{strayed:?}");
    assert_eq!((strayed.untouched, strayed.astray), (4096, 4096), "{strayed:?}");
    disk.disarm();
    for (round, op) in [(3, DiskOp::Read), (4, DiskOp::Write)] {
        assert!(!disk.tries(round).of_bytes(op, 1).hit());
    }
}

#[repr(align(4096))]
struct Block([u8; 4096]);

/// What every block of the device begins with, read past every cache.
fn blocks(device: &OwnedFd, count: u8) -> Vec<u8> {
    let mut block = Box::new(Block([0; 4096]));
    let begins = (0..u64::from(count)).map(|nth| {
        pread(device, &mut block.0[..], nth * 4096).unwrap();
        block.0[0]
    });
    begins.collect()
}

#[test]
fn a_write_that_goes_astray_hits_another_block_and_leaves_its_own() {
    if !can_be_tried() {
        return;
    }
    let content: Vec<u8> = (0..64).flat_map(|nth| [nth; 4096]).collect();
    let disk = Disk::begin_with(|image| std::fs::write(image, &content).unwrap());
    let device = open(&disk.node, OFlags::RDWR | OFlags::DIRECT, Mode::empty()).unwrap();
    let before = blocks(&device, 64);
    disk.arm(&[IoOp::Write], IoAction::Misdirect { distance: Size(64 << 10) });
    let hit = |byte| -> Vec<usize> {
        assert_eq!(pwrite(&device, &Box::new(Block([byte; 4096])).0, 20 * 4096), Ok(4096));
        let now = blocks(&device, 64);
        (0..64).filter(|nth| now[*nth] != before[*nth]).collect()
    };
    let [elsewhere] = hit(0xe1)[..] else { panic!("{:?}", blocks(&device, 64)) };
    assert!(elsewhere != 20 && (4..=36).contains(&elsewhere), "{elsewhere}");
    assert_eq!(hit(0xe2), [elsewhere], "the same place leads to the same other one");
    assert_eq!(blocks(&device, 64)[elsewhere], 0xe2);
    disk.disarm();
    assert_eq!(hit(0xe3), if elsewhere < 20 { [elsewhere, 20] } else { [20, elsewhere] });
}
