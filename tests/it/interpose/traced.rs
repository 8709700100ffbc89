//! The trace of all that others do, through real system calls.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
};

use keelhaul::{
    host::io_trial::Tries,
    interpose::control::{Answer, Ask},
    protocol::{IoAction, IoOp, IoRule, TraceFacts, TracedOp, Trigger},
};

use super::mounted::{Ext4, MARK, Mounted, can_be_tried, rule};

const PLENTY: u64 = 1 << 20;

/// What is in a trace, and how much.
fn trace(mounted: &Mounted) -> (TraceFacts, Vec<TracedOp>) {
    let Answer::Traced(Some(facts)) = mounted.ask(&Ask::Traced) else { panic!("no trace") };
    let text = fs::read_to_string(mounted.trace()).unwrap();
    assert_eq!(facts.bytes, text.len() as u64);
    let ops: Vec<TracedOp> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(facts.kept, ops.len() as u64);
    (facts, ops)
}

fn of<'t>(ops: &'t [TracedOp], op: &str, path: &str) -> Vec<&'t TracedOp> {
    ops.iter().filter(|one| one.op == op && one.path == path).collect()
}

/// Does one of most things, all in `dir/file` until that is renamed.
fn work(at: &Path) {
    fs::create_dir(at.join("dir")).unwrap();
    let file = File::options().create_new(true).read(true).write(true).open(at.join("dir/file"));
    let mut file = file.unwrap();
    file.write_all(b"hello").unwrap();
    file.write_at(b"there", 100).unwrap();
    assert_eq!(file.read_at(&mut [0; 64], 90).unwrap(), 15);
    file.sync_all().unwrap();
    file.set_len(50).unwrap();
    drop(file);
    assert_eq!(fs::read(at.join("dir/file")).unwrap().len(), 50);
    fs::rename(at.join("dir/file"), at.join("other")).unwrap();
    assert!(File::open(at.join("missing")).is_err());
    assert_eq!(fs::read_dir(at).unwrap().count(), 2);
    fs::remove_file(at.join("other")).unwrap();
}

#[test]
fn every_operation_is_there_with_its_span_and_how_it_ended() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    // no rule is expected: the kernel would read and write by itself
    let mounted = Mounted::traced(&ext4.directory("d"), PLENTY);
    work(&mounted.at());
    let (facts, ops) = trace(&mounted);
    assert_eq!((facts.dropped, facts.after_end, facts.failed), (0, 0, None));
    let spans = |op| -> Vec<_> {
        let of_it = of(&ops, op, "dir/file").into_iter();
        of_it.map(|one| (one.offset.unwrap(), one.size.unwrap(), one.moved)).collect()
    };
    assert_eq!(spans("write"), [(0, 5, Some(5)), (100, 5, Some(5))]);
    let reads = spans("read");
    assert_eq!(reads[0], (90, 64, Some(15)));
    assert_eq!(reads[1..].iter().filter_map(|read| read.2).sum::<u64>(), 50, "read again");
    let others = ["create", "fsync", "truncate", "open", "close"].map(|op| (op, "dir/file"));
    for (op, path) in
        others.into_iter().chain([("create", "dir"), ("list", ""), ("unlink", "other")])
    {
        assert!(!of(&ops, op, path).is_empty(), "{op} of `{path}`: {ops:#?}");
    }
    assert_eq!(of(&ops, "rename", "dir/file")[0].to.as_deref(), Some("other"));
    assert_eq!(of(&ops, "stat", "missing")[0].errno.as_deref(), Some("ENOENT"));
    assert!(ops.iter().all(|one| one.rules.is_empty()));
}

#[test]
fn who_called_is_there_and_when() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let mounted = Mounted::traced(&ext4.directory("d"), PLENTY);
    work(&mounted.at());
    let (_, ops) = trace(&mounted);
    let write = of(&ops, "write", "dir/file")[0];
    // the kernel names the thread
    let comm = fs::read_to_string("/proc/thread-self/comm").unwrap();
    assert_eq!(write.process.as_deref(), Some(comm.trim_end()));
    assert_eq!(write.pid, Some(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()));
    assert!(of(&ops, "unlink", "other")[0].at_us >= write.at_us + write.took_us, "in order");
}

#[test]
fn what_struck_is_named_and_trials_are_not_in_it() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let mounted = Mounted::traced(&ext4.directory("d"), PLENTY);
    let when = Trigger { nth: Some(2), ..Trigger::default() };
    let error = IoAction::Error { errno: libc::EIO };
    mounted.arm(vec![IoRule { when, ..rule(&[IoOp::Write], error) }]);
    let mut file = File::create(mounted.at().join("file")).unwrap();
    let done: Vec<bool> = (0..3).map(|_| file.write_all(b"x").is_ok()).collect();
    assert_eq!(done, [true, false, true]);
    let tries = Tries { dir: mounted.at(), mark: MARK.into(), most: 3, slow_us: u64::MAX };
    assert!(tries.of(IoOp::Write).hit);
    let (_, ops) = trace(&mounted);
    let writes = of(&ops, "write", "file");
    let ended: Vec<_> = writes.iter().map(|one| (one.moved, one.errno.as_deref())).collect();
    assert_eq!(ended, [(Some(1), None), (None, Some("EIO")), (Some(1), None)]);
    let struck: Vec<_> = writes.iter().map(|one| one.rules.len()).collect();
    assert_eq!((struck, writes[1].rules[0].as_str()), (vec![0, 1, 0], "set"));
    assert!(ops.iter().all(|one| !one.path.contains(MARK)), "{ops:#?}");
}

#[test]
fn a_trace_that_is_full_says_how_much_is_not_in_it() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let mounted = Mounted::traced(&ext4.directory("d"), 20_000);
    let mut file = File::create(mounted.at().join("file")).unwrap();
    (0..1000).for_each(|_| file.write_all(b"x").unwrap());
    let (facts, ops) = trace(&mounted);
    assert!(facts.bytes <= 20_000 && facts.after_end > 500, "{facts:?}");
    let all = facts.kept + facts.dropped + facts.after_end;
    assert!(all >= 1000, "{facts:?}");
    let offsets = of(&ops, "write", "file").into_iter().map(|one| one.offset.unwrap());
    assert!(offsets.enumerate().all(|(n, offset)| offset == n as u64) || facts.dropped > 0);
}

#[test]
fn where_nothing_is_traced_there_is_no_trace() {
    if !can_be_tried() {
        return;
    }
    let ext4 = Ext4::new();
    let mounted = Mounted::over(&ext4.directory("d"), Vec::new());
    let mut text = String::new();
    fs::write(mounted.at().join("file"), "x").unwrap();
    File::open(mounted.at().join("file")).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(mounted.ask(&Ask::Traced), Answer::Traced(None));
    assert!(!mounted.trace().exists());
}
