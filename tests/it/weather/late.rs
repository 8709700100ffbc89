//! A change waits in the kernel for a filesystem that is frozen, is given up and undone, and is then made
//! after all: it is undone once more, whoever of the helper dies meanwhile.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    fixtures::Fixture,
    harness::BOUND,
    host::{assert_clean, pid_of, signal},
    say,
    theirs::Theirs,
};

/// The file that is changed: the subject's own, which it begins by itself.
const FILE: &str = "journal.log";

fn mode_of(theirs: &Theirs<'_>) -> u32 {
    let end = Instant::now() + BOUND;
    loop {
        if let Some(mode) = theirs.mode(FILE) {
            return mode;
        }
        assert!(Instant::now() < end, "it begins no journal");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until a thread of a process waits in the kernel, and no signal ends that.
fn await_hanging(pid: i32) {
    let end = Instant::now() + BOUND;
    let hangs = |thread: fs::DirEntry| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('D'))
    };
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut seen = 0;
    // a disk makes everybody wait for a moment
    while seen < 20 {
        seen = if threads().any(hangs) { seen + 1 } else { 0 };
        assert!(Instant::now() < end, "no thread of it hangs");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_comes_after_its_undo_is_undone_once_more() {
    let fixture = Fixture::called("stall");
    for killed in ["nobody", "worker", "keeper"] {
        let theirs = Theirs::start(fixture);
        let before = mode_of(&theirs);
        assert_ne!(before, 0o400);
        let change =
            format!("inject: {{ mode: {{ target: \"agent:/data/{FILE}\", mode: \"0400\" }} }}");
        let mut run = theirs.test_then(&format!("\n  - {change}\n    as: changed")).start();
        let id = run.id();
        run.until("injected");
        await_hanging(pid_of("worker", &id));
        if killed != "nobody" {
            signal(pid_of(killed, &id), Signal::KILL);
        }
        let ended = run.end();
        let told = ended.told();
        assert_eq!((ended.code, ended.verdict()), (3, "error".into()), "{killed}: {told}");
        if killed == "nobody" {
            assert!(told.contains("may still come after its undo"), "{told}");
        }
        assert_clean(&id, &ended.env, killed);
        assert_eq!(theirs.mode(FILE), Some(before), "{killed}: {told}");
        theirs.assert_as_before(killed);
        say(&format!("{killed}: it is as it was"));
    }
}
