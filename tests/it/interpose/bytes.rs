//! Rules about the bytes of an operation do to them what they say, and count it only then.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::fs::FileExt as _,
};

use keelhaul::{
    host::io_trial::Tries,
    protocol::{Damage, IoAction, IoOp, Keep},
    units::{Percent, Size},
};

use super::mounted::{Ext4, MARK, Mounted, can_be_tried, rule};

const KEEP: Keep = Keep::Bytes(Size(5));
const TEAR: IoAction = IoAction::Tear { keep: KEEP, errno: libc::EIO };
const SHORTEN: IoAction = IoAction::Shorten { keep: KEEP };
const FLIP: IoAction = IoAction::Corrupt { damage: Damage::BitFlip, bytes: 1 };
const TEXT: &[u8] = b"a dozen bytes";

/// How many bytes differ.
fn wrong(found: &[u8], right: &[u8]) -> usize {
    assert_eq!(found.len(), right.len());
    found.iter().zip(right).filter(|(found, right)| found != right).count()
}

#[test]
fn a_torn_write_leaves_its_first_part_and_a_failure() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let beneath = ext4.directory("d");
    let mounted = Mounted::over(&beneath, vec![rule(&[IoOp::Write], TEAR)]);
    let at = mounted.at().join("file");
    let mut file = File::options().append(true).create(true).open(&at).unwrap();
    file.write_all(b"first ").unwrap();
    mounted.arm(vec![rule(&[IoOp::Write], TEAR)]);
    assert_eq!(file.write(TEXT).unwrap_err().raw_os_error(), Some(libc::EIO));
    assert_eq!(fs::read(beneath.join("file")).unwrap(), b"first a doz");
    // nobody has looked at the file meanwhile, which would tell the kernel that it has grown; one that has no more than is kept cannot be torn there: it matches, and is not hit
    assert_eq!(file.write(b"whole").unwrap(), 5);
    assert_eq!(fs::metadata(&at).unwrap().len(), 16, "the subject sees what is there");
    mounted.disarm();
    assert_eq!((mounted.facts().matched, mounted.facts().hit), (2, 1));
    file.write_all(b".").unwrap();
    assert_eq!(fs::read(&at).unwrap(), b"first a dozwhole.");
}

#[test]
fn what_is_cut_short_says_so_and_can_be_gone_on_with() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let beneath = ext4.directory("d");
    let rules = || vec![rule(&[IoOp::Write, IoOp::Read], SHORTEN)];
    let mounted = Mounted::over(&beneath, rules());
    mounted.arm(rules());
    let at = mounted.at().join("file");
    let mut file = File::create(&at).unwrap();
    assert_eq!(file.write(TEXT).unwrap(), 5);
    assert_eq!(fs::read(beneath.join("file")).unwrap(), &TEXT[..5]);
    file.write_all(&TEXT[5..]).unwrap();
    let mut read = File::open(&at).unwrap();
    assert_eq!(read.read(&mut [0; 64]).unwrap(), 5);
    assert_eq!(fs::read(&at).unwrap(), TEXT, "whoever goes on gets all of it");
    let hit = mounted.facts().hit;
    assert_eq!(read.read_at(&mut [0; 64], 10).unwrap(), 3);
    assert_eq!(mounted.facts().hit, hit, "no more than five are left: not cut");
}

#[test]
fn what_is_written_wrong_lasts_and_what_is_read_wrong_does_not() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let beneath = ext4.directory("d");
    let right = vec![0x35; 4096];
    let mounted = Mounted::over(&beneath, vec![rule(&[IoOp::Write, IoOp::Read], FLIP)]);
    mounted.arm(vec![rule(&[IoOp::Write], FLIP)]);
    fs::write(mounted.at().join("written"), &right).unwrap();
    let copied = fs::copy(mounted.at().join("written"), mounted.at().join("copied")).unwrap();
    let hit = mounted.facts().hit;
    mounted.arm(vec![rule(&[IoOp::Read], FLIP)]);
    let mut once = vec![0; 4096];
    let mut twice = vec![0; 4096];
    fs::write(mounted.at().join("read"), &right).unwrap();
    let file = File::open(mounted.at().join("read")).unwrap();
    file.read_exact_at(&mut once, 0).unwrap();
    file.read_exact_at(&mut twice, 0).unwrap();
    assert_eq!(file.read_at(&mut [0], 4096).unwrap(), 0);
    let facts = mounted.facts();
    mounted.disarm();
    let beneath = |name: &str| fs::read(beneath.join(name)).unwrap();
    assert_eq!((wrong(&beneath("written"), &right), hit, copied), (1, 2, 4096));
    assert_eq!(wrong(&beneath("copied"), &beneath("written")), 1, "a copy is struck too");
    assert_eq!((wrong(&once, &right), wrong(&twice, &right)), (1, 1));
    assert_ne!(once, twice, "wrong elsewhere");
    assert_eq!((facts.matched, facts.hit), (3, 2), "at the end there is nothing to make wrong");
    assert_eq!(beneath("read"), right);
    assert_eq!(fs::read(mounted.at().join("read")).unwrap(), right);
}

#[test]
fn a_trial_sees_each_of_them() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let beneath = ext4.directory("d");
    let both = &[IoOp::Read, IoOp::Write];
    let mounted = Mounted::over(&beneath, vec![rule(both, FLIP)]);
    let tries = Tries { dir: mounted.at(), mark: MARK.into(), most: 3, slow_us: u64::MAX };
    let keep = 64 << 10;
    let far = Keep::Bytes(Size(keep));
    let half = Keep::Share(Percent(50.0));
    for op in *both {
        let whole = tries.of_bytes(op, 4096);
        assert!(!whole.hit() && whole.attempts == 3, "{whole:?}");
        mounted.arm(vec![rule(both, IoAction::Shorten { keep: far })]);
        let short = tries.of_bytes(op, 128 << 10);
        let counted = (short.moved, short.arrived, short.untouched);
        assert_eq!(counted, (keep, keep, keep), "{short:?}");
        mounted.arm(vec![rule(&[op], IoAction::Corrupt { damage: Damage::Garbage, bytes: 9 })]);
        let corrupt = tries.of_bytes(op, 4096);
        assert_eq!((corrupt.moved, corrupt.arrived), (4096, 4087), "{corrupt:?}");
        mounted.disarm();
    }
    mounted.arm(vec![rule(&[IoOp::Write], IoAction::Tear { keep: half, errno: libc::EIO })]);
    let torn = tries.of_bytes(IoOp::Write, 4096);
    assert_eq!((torn.errno.as_deref(), torn.arrived, torn.untouched), (Some("EIO"), 2048, 2048));
    assert_eq!(mounted.facts().matched, 0, "trials are not counted");
    assert_eq!(fs::read_dir(&beneath).unwrap().count(), 0, "trials leave nothing");
}
