//! Rules strike what they name, through real system calls, and nothing else.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::fs::FileExt as _,
    time::{Duration, Instant},
};

use keelhaul::{
    host::io_trial::Tries,
    interpose::control::{Answer, Ask},
    protocol::{
        AllStruck, Counted, Delay, IoAction, IoOp, IoRule, Series, Struck, Trigger, mark_of_set,
    },
};

use super::mounted::{Ext4, MARK, Mounted, can_be_tried, rule};

const EIO: IoAction = IoAction::Error { errno: libc::EIO };

fn errno<T>(result: std::io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn every_operation_can_be_struck_and_a_trial_sees_it() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let beneath = ext4.directory("d");
    let all = |action| vec![rule(&IoOp::ALL, action)];
    let mounted = Mounted::over(&beneath, all(EIO));
    let dir = mounted.at();
    let tries = |most| Tries { dir: dir.clone(), mark: MARK.into(), most, slow_us: 400_000 };
    for op in IoOp::ALL {
        let before = tries(1).of(op);
        assert!(!before.hit && before.errno.is_none(), "{before:?}");
        mounted.arm(vec![rule(&[op], IoAction::Error { errno: libc::EUCLEAN })]);
        let struck = tries(1).of(op);
        assert_eq!(struck.errno.as_deref(), Some("EUCLEAN"), "{struck:?}");
        mounted.arm(vec![rule(&[op], IoAction::Delay(Delay::of(400_000)))]);
        let slow = tries(1).of(op);
        assert!(slow.hit && slow.errno.is_none(), "{slow:?}");
        mounted.disarm();
    }
    assert_eq!(mounted.facts().matched, 0, "trials are not counted");
    assert_eq!(fs::read_dir(&beneath).unwrap().count(), 0, "trials leave nothing");
}

#[test]
fn files_that_were_open_before_are_struck_where_the_rule_was_expected() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let beneath = ext4.directory("d");
    fs::write(beneath.join("x.log"), "log").unwrap();
    fs::write(beneath.join("x.db"), "db").unwrap();
    let about_logs = IoRule { paths: vec!["*.log".into()], ..rule(&[IoOp::Read], EIO) };
    let mounted = Mounted::over(&beneath, vec![about_logs.clone()]);
    let log = File::open(mounted.at().join("x.log")).unwrap();
    let db = File::open(mounted.at().join("x.db")).unwrap();
    let byte = |file: &File| file.read_at(&mut [0], 0);
    mounted.arm(vec![about_logs]);
    assert_eq!(errno(byte(&log)), Some(libc::EIO));
    assert_eq!(errno(byte(&db)), None);
    assert_eq!(mounted.facts().out_of_reach, 0);
    mounted.disarm();
    assert_eq!(errno(byte(&log)), None);
    // one that nobody expected does not reach what the kernel reads by itself, and says so
    mounted.arm(vec![rule(&[IoOp::Read], EIO)]);
    assert_eq!(errno(byte(&db)), None);
    assert_eq!(mounted.facts().out_of_reach, 1);
    drop(db);
    let db = File::open(mounted.at().join("x.db")).unwrap();
    assert_eq!(errno(byte(&db)), Some(libc::EIO));
}

#[test]
fn what_is_struck_is_not_done_and_the_same_seed_strikes_the_same() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let mut patterns = Vec::new();
    for name in ["one", "two"] {
        let beneath = ext4.directory(name);
        let when = Trigger { probability: Some("30%".parse().unwrap()), ..Trigger::default() };
        let rules = vec![IoRule { when, ..rule(&[IoOp::Write], EIO) }];
        let mounted = Mounted::over(&beneath, rules.clone());
        mounted.arm(rules);
        let mut file = File::create(mounted.at().join("file")).unwrap();
        let kept: Vec<u8> = (0..100).filter(|n| file.write_all(&[*n]).is_ok()).collect();
        assert_eq!(fs::read(beneath.join("file")).unwrap(), kept);
        let facts = mounted.facts();
        assert_eq!((facts.matched, facts.hit), (100, 100 - kept.len() as u64));
        patterns.push(kept);
    }
    assert_eq!(patterns[0], patterns[1]);
    assert!((40..90).contains(&patterns[0].len()), "{}", patterns[0].len());
}

#[test]
fn what_was_struck_is_struck_again_under_another_seed_and_by_any_trigger() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let share = |share: &str| {
        let when = Trigger { probability: Some(share.parse().unwrap()), ..Trigger::default() };
        vec![IoRule { when, ..rule(&[IoOp::Write], EIO) }]
    };
    let kept = |name: &str, (seed, rules, again): (u64, Vec<IoRule>, Option<Vec<Series>>)| {
        let mounted = Mounted::over(&ext4.directory(name), rules.clone());
        let arm = Ask::Arm { set: "set".into(), seed, rules, again };
        assert_eq!(mounted.ask(&arm), Answer::Done);
        let mut file = File::create(mounted.at().join("file")).unwrap();
        let kept: Vec<u8> = (0..100).filter(|n| file.write_all(&[*n]).is_ok()).collect();
        (kept, mounted.facts().struck)
    };
    let (first, struck) = kept("first", (7, share("30%"), None));
    let (other, _) = kept("other", (8, share("30%"), None));
    assert_ne!(first, other, "the seed decides");
    let named: Vec<Counted> = struck.iter().filter_map(Struck::counted).collect();
    assert_eq!(named.len(), 100 - first.len());
    for (name, share) in [("again", share("30%")), ("rarely", share("1%"))] {
        let (again, struck_again) = kept(name, (8, share, Some(AllStruck::of(&struck).series)));
        assert_eq!(again, first, "{name}");
        let counted: Vec<Counted> = struck_again.iter().filter_map(Struck::counted).collect();
        assert_eq!(counted, named, "{name}");
    }
    // where nothing was struck nothing is
    let (none, struck) = kept("none", (7, share("100%"), Some(Vec::new())));
    assert_eq!((none.len(), struck.len()), (100, 0));
}

#[test]
fn more_than_are_listed_are_struck_again_one_by_one() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let when = Trigger { probability: Some("50%".parse().unwrap()), ..Trigger::default() };
    let rules = vec![IoRule { when, ..rule(&[IoOp::Write], EIO) }];
    let kept = |name: &str, (seed, again): (u64, Option<Vec<Series>>)| {
        let mounted = Mounted::over(&ext4.directory(name), rules.clone());
        let (set, rules) = ("set".to_owned(), rules.clone());
        assert_eq!(mounted.ask(&Ask::Arm { set, seed, rules, again }), Answer::Done);
        let file = File::create(mounted.at().join("file")).unwrap();
        let kept: Vec<u64> = (0..5000).filter(|n| file.write_at(b"x", *n).is_ok()).collect();
        let asked = mounted.ask(&Ask::Struck { set: "set".into() });
        let Answer::Struck(Some(all)) = asked else { panic!("{asked:?}") };
        assert_eq!(all.numbered(), 5000 - kept.len() as u64);
        assert_eq!((all.uncounted, all.left_out, mounted.facts().struck.len()), (0, 0, 200));
        (kept, all.series)
    };
    let (first, series) = kept("first", (7, None));
    assert!((2000..3000).contains(&first.len()), "{}", first.len());
    let (again, same) = kept("again", (8, Some(series.clone())));
    assert!(again == first && same == series);
}

#[test]
fn many_wait_side_by_side_and_go_on_at_once_when_disarmed() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let beneath = ext4.directory("d");
    fs::write(beneath.join("file"), "x").unwrap();
    let slow = |us| vec![rule(&[IoOp::Read], IoAction::Delay(Delay::of(us)))];
    let mounted = Mounted::over(&beneath, slow(1));
    mounted.arm(slow(300_000));
    let path = mounted.at().join("file");
    let read = || {
        let mut text = String::new();
        File::open(&path).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    let started = Instant::now();
    std::thread::scope(|scope| (0..32).for_each(|_| drop(scope.spawn(read))));
    let took = started.elapsed();
    // two reads each: the bytes and the end; in a row they would take twenty seconds
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(8), "{took:?}");
    mounted.arm(slow(3_600_000_000));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(read);
        while mounted.facts().matched == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        mounted.disarm();
        assert_eq!(waiting.join().unwrap(), "x");
    });
}

#[test]
fn what_was_open_before_is_stale_and_opened_anew_it_works() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let beneath = ext4.directory("d");
    fs::write(beneath.join("file"), "x").unwrap();
    let stale = vec![rule(&[IoOp::Read, IoOp::Write, IoOp::Fsync], IoAction::Stale)];
    let mounted = Mounted::over(&beneath, stale.clone());
    let open = || File::options().read(true).write(true).open(mounted.at().join("file")).unwrap();
    let old = open();
    mounted.arm(stale);
    for done in [old.read_at(&mut [0], 0), old.write_at(b"y", 0), old.sync_all().map(|()| 0)] {
        assert_eq!(errno(done), Some(libc::ESTALE));
    }
    let new = open();
    assert_eq!(new.write_at(b"z", 0).unwrap(), 1);
    new.sync_all().unwrap();
    assert_eq!(mounted.facts().matched, 3, "what is opened anew is none of the rule's");
    mounted.disarm();
    assert_eq!(old.read_at(&mut [0], 0).unwrap(), 1);
    assert_eq!(fs::read(beneath.join("file")).unwrap(), b"z");
}

#[test]
fn a_trial_is_struck_by_its_own_rules_and_for_what_it_tries() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let error = |op| vec![rule(&[op], IoAction::Error { errno: libc::EIO })];
    let mounted = Mounted::over(&ext4.directory("d"), error(IoOp::Read));
    let arm = |set: &str, op| {
        let (set, seed, rules) = (set.to_owned(), 1, error(op));
        assert_eq!(mounted.ask(&Ask::Arm { set, seed, rules, again: None }), Answer::Done);
    };
    arm("one", IoOp::Read);
    arm("other", IoOp::Open);
    let tries = |set: &str| {
        let mark = mark_of_set(MARK, set);
        Tries { dir: mounted.at(), mark, most: 1, slow_us: u64::MAX }
    };
    assert!(tries("one").of(IoOp::Read).hit && !tries("one").of(IoOp::Open).hit);
    assert!(tries("other").of(IoOp::Open).hit);
    assert!(!tries("other").of(IoOp::Read).hit, "nor by what opens its file");
}
