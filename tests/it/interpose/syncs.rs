//! Syncs fail as the kernel's own do, through real system calls.

use std::{fs::File, io::Write as _};

use keelhaul::{
    host::io_trial::Tries,
    protocol::{IoAction, IoOp, IoRule, ReadBack, Reported, Retry, TriedSync},
};

use super::mounted::{Ext4, MARK, Mounted, can_be_tried, rule};

fn fails(reported: Reported, retry: Retry) -> Vec<IoRule> {
    let (errno, read_back) = (libc::EIO, ReadBack::New);
    vec![rule(&[IoOp::Fsync], IoAction::FailSync { errno, reported, retry, read_back })]
}

fn errno<T>(result: std::io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn a_sync_fails_that_has_something_to_write_and_each_open_file_is_told() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let beneath = ext4.directory("d");
    let rules = fails(Reported::Each, Retry::Succeeds);
    let mounted = Mounted::over(&beneath, rules.clone());
    let path = mounted.at().join("file");
    let mut one = File::create(&path).unwrap();
    let other = File::open(&path).unwrap();
    mounted.arm(rules);
    one.sync_all().unwrap();
    assert_eq!(mounted.facts().matched, 0, "nothing was written");
    one.write_all(b"x").unwrap();
    assert_eq!(errno(one.sync_data()), Some(libc::EIO));
    one.sync_all().unwrap();
    let later = File::open(&path).unwrap();
    assert_eq!(errno(other.sync_all()), Some(libc::EIO), "it was open when the write was lost");
    other.sync_all().unwrap();
    later.sync_all().unwrap();
    one.set_len(0).unwrap();
    assert_eq!(errno(later.sync_all()), Some(libc::EIO), "a new size is to be written too");
    assert_eq!((mounted.facts().matched, mounted.facts().hit), (3, 3));
    one.write_all(b"y").unwrap();
    mounted.disarm();
    one.sync_all().unwrap();
}

#[test]
fn a_trial_sees_who_is_told_and_what_comes_after() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let mounted = Mounted::over(&ext4.directory("d"), fails(Reported::Each, Retry::Fails));
    let tries = Tries { dir: mounted.at(), mark: MARK.into(), most: 3, slow_us: u64::MAX };
    let said = |tried: TriedSync| [tried.first, tried.again, tried.other].map(|one| one.is_some());
    assert_eq!(said(tries.of_sync()), [false; 3]);
    for (reported, retry, expected) in [
        (Reported::Each, Retry::Succeeds, [true, false, true]),
        (Reported::First, Retry::Succeeds, [true, false, false]),
        (Reported::First, Retry::Fails, [true, true, true]),
    ] {
        mounted.arm(fails(reported, retry));
        assert_eq!(said(tries.of_sync()), expected, "{reported:?} {retry:?}");
    }
    mounted.disarm();
    assert_eq!(said(tries.of_sync()), [false; 3]);
}

#[test]
fn what_a_failed_sync_was_about_is_read_as_it_was_where_that_is_so() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let (reported, retry, read_back) = (Reported::Each, Retry::Succeeds, ReadBack::Old);
    let old = IoAction::FailSync { errno: libc::EIO, reported, retry, read_back };
    let one = rule(&[IoOp::Fsync], old);
    let expected = vec![one.clone(), rule(&[], IoAction::Remember)];
    let mounted = Mounted::over(&ext4.directory("d"), expected);
    let path = mounted.at().join("file");
    let mut file = File::options().create(true).append(true).open(&path).unwrap();
    file.write_all(b"kept").unwrap();
    file.sync_all().unwrap();
    mounted.arm(vec![one]);
    file.write_all(b"lost").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"keptlost");
    assert_eq!(errno(file.sync_all()), Some(libc::EIO));
    assert_eq!(std::fs::read(&path).unwrap(), b"kept");
    file.sync_all().unwrap();
    file.write_all(b"more").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"keptmore");
    let tries = Tries { dir: mounted.at(), mark: MARK.into(), most: 1, slow_us: u64::MAX };
    assert_eq!(tries.of_sync().read_back, Some(ReadBack::Old));
    mounted.disarm();
    assert_eq!(tries.of_sync().read_back, None);
    mounted.arm(fails(Reported::Each, Retry::Succeeds));
    assert_eq!(tries.of_sync().read_back, Some(ReadBack::New));
}
