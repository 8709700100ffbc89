//! The terminal: the last screen, the lines on the way, and that nothing depends on colour.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use indicatif::{ProgressDrawTarget, TermLike};
use keelhaul::{
    protocol::ExploreReport,
    report::terminal::{Live, Look, Progress, summary},
    run::{Event, Phase, RunRecord},
    verdict::{Ending, Verdict},
};

use super::made::Made;

fn screen(record: &RunRecord, look: Look) -> String {
    let mut out = Vec::new();
    summary(record, look, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A writer that is read afterwards.
#[derive(Clone, Default, Debug)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TermLike for Shared {
    fn width(&self) -> u16 {
        120
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.write_str("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap().extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

fn follow(made: &Made, progress: Progress) {
    let mut record = RunRecord::default();
    let mut live = Live::new(progress, Look::default());
    for stamped in &made.events {
        record.apply(stamped);
        live.apply(stamped, &record);
    }
}

#[test]
fn the_last_screen() {
    insta::assert_snapshot!(screen(&Made::everything().record(), Look::default()));
}

#[test]
fn quiet_shows_failures_and_totals_only() {
    let record = Made::everything().record();
    let quiet = screen(&record, Look { quiet: true, colour: false });
    assert!(
        !quiet.contains("PASS") && quiet.contains("FAIL") && quiet.contains("Summary"),
        "{quiet}"
    );
}

#[test]
fn colour_adds_nothing_but_colour() {
    let record = Made::everything().record();
    let coloured = screen(&record, Look { colour: true, quiet: false });
    assert!(coloured.contains('\x1b'));
    let stripped = anstream::adapter::strip_str(&coloured).to_string();
    assert_eq!(stripped, screen(&record, Look::default()));
}

#[test]
fn an_escape_sequence_of_a_container_never_reaches_the_terminal() {
    let mut made = Made::run(1);
    made.bad("a\x1b[2J", "", 1)
        .log("\x1b]0;title\x07\x1b[2J")
        .case_end(Verdict::Fail, &["\x1b[31mred"])
        .end(Verdict::Fail);
    let text = screen(&made.record(), Look::default());
    assert!(!text.contains(['\x1b', '\x07']), "{text:?}");
}

#[test]
fn plain_lines_as_cases_finish() {
    let out = Shared::default();
    follow(&Made::everything(), Progress::Plain(Box::new(out.clone())));
    insta::assert_snapshot!(out.text());
}

/// Feeds what was made to the bars of a terminal, which must come to show this.
fn bars_show(made: &Made, wanted: &str) {
    let out = Shared::default();
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(out.clone()), 255);
    // the draw rate is limited: hold the bars until the spinner has turned
    let mut record = RunRecord::default();
    let mut live = Live::new(Progress::Bars(target), Look::default());
    for stamped in &made.events {
        record.apply(stamped);
        live.apply(stamped, &record);
    }
    let shown = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        out.text().contains(wanted)
    });
    assert!(shown, "{}", out.text());
    live.finish();
}

#[test]
fn bars_show_phase_fault_and_rate() {
    let mut made = Made::run(1);
    made.case("slow", "", 1).phase(Phase::Steps).load(0, 0).inject(true).load(50, 500_000);
    bars_show(&made, "slow · steps · in force: full (inode-exhaustion) · 100 acks/s");
}

#[test]
fn bars_show_how_far_an_exploration_is() {
    let mut made = Made::run(1);
    let report = ExploreReport {
        planned: 300,
        states: 120,
        points: 12,
        all_points: 40,
        wrong: 2,
        took_us: 3_000_000,
        ..ExploreReport::default()
    };
    made.case("slow", "", 1).phase(Phase::Verify).push(Event::Exploring {
        case: "slow".into(),
        workload: "records".into(),
        progress: report.progress(),
    });
    let far = "states 120 of 300, 40 a second, moments 12 of 40, 2 wrong";
    bars_show(&made, &format!("slow · verify · {far}"));
}

#[test]
fn a_terminal_that_is_gone_ends_the_progress_only() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    follow(&Made::everything(), Progress::Plain(Box::new(Gone)));
}

#[test]
fn an_incomplete_rollback_prints_the_way_out() {
    let mut made = Made::run(1);
    made.case("a", "", 1).inject(true).rolled_back(Some("device busy"));
    made.case_end(Verdict::Error, &["rollback incomplete"]);
    let ending = Ending { rollback_incomplete: true, interrupted: false };
    made.push(Event::RunEnded { verdict: Verdict::Error, ending });
    let text = screen(&made.record(), Look { quiet: true, colour: false });
    assert!(text.contains("finish it with: keelhaul recover r1"), "{text}");
}

#[test]
fn everything_skipped_says_why_in_the_last_line() {
    let mut made = Made::run(1);
    made.case("a", "", 1).case_end(Verdict::Skipped, &["no loop devices"]).end(Verdict::Skipped);
    let text = screen(&made.record(), Look::default());
    assert!(text.lines().last().unwrap().contains("no loop devices"), "{text}");
}

#[test]
fn a_promise_broken_in_a_past_state_outweighs_what_the_live_volume_holds() {
    let mut made = Made::run(1);
    made.case("crash", "", 1).ledger(182, 0).explored(182, 182);
    made.case_end(Verdict::Fail, &["no"]).end(Verdict::Fail);
    let text = screen(&made.record(), Look::default());
    assert!(text.contains("crash  182 of 182 lost in 1 of 1 states"), "{text}");
    assert!(!text.contains("0 of 182 lost"), "{text}");
}
