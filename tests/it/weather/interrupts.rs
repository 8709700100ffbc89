//! Ctrl-C in every phase: rolled back, reports written, and over in a moment.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::harness::Test;
use super::{fixtures::Fixture, host::assert_clean, say};

/// Far above what is promised (5 s), so that a busy machine fails nothing.
const OVER: Duration = Duration::from_secs(15);

/// Each but the last comes well before the end of a run.
const INSTANTS: [(&str, &str); 9] = [
    ("read-only", "run-started"),
    ("read-only", "case-started"),
    ("disk-full-ext4", "phase-started"),
    ("disk-full-ext4", "subject-started"),
    ("disk-full-ext4", "injecting"),
    ("read-only", "injected"),
    ("pause", "injected"),
    ("read-only", "reverting"),
    ("read-only", "log-collected"),
];

#[test]
fn ctrl_c_in_every_phase_rolls_back_and_reports() {
    for (fault, instant) in INSTANTS {
        let who = format!("{fault}, at `{instant}`");
        let wait = if instant == "reverting" { "" } else { "500ms" };
        let mut run = Test::of(&Fixture::called(fault).scenario(wait)).start();
        run.until(instant);
        run.signal(Signal::INT);
        let struck = Instant::now();
        let ended = run.end();
        let took = struck.elapsed();
        say(&format!("{who}: over after {took:?}"));
        let told = ended.told();
        assert_eq!(ended.code, 130, "{who}: {told}");
        assert!(took < OVER, "{who}: {took:?}");
        for report in ["junit.xml", "events.jsonl"] {
            assert!(ended.reports.iter().any(|name| name == report), "{who}: {told}");
        }
        assert_clean(&ended.id(), &ended.env, &who);
    }
}

/// A window that closes is told of by its shell, and by the kernel once more when the shell ends.
#[test]
fn a_terminal_that_closes_says_so_twice_and_the_run_still_reports() {
    let mut run = Test::of(&Fixture::called("read-only").scenario("500ms")).start();
    run.until("injected");
    run.signal(Signal::HUP);
    std::thread::sleep(Duration::from_millis(20));
    run.signal(Signal::HUP);
    let ended = run.end();
    let told = ended.told();
    assert_eq!(ended.code, 130, "{told}");
    assert!(ended.reports.iter().any(|name| name == "junit.xml"), "{told}");
    assert_clean(&ended.id(), &ended.env, "hung up twice");
}
