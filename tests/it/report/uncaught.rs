//! Passes that show little: of a scenario whose control was not caught, of one that has no control,
//! and recoveries of which nothing was seen.

use keelhaul::{
    report::{Format, render},
    run::RunRecord,
    verdict::Verdict,
};

use super::made::Made;

fn rendered(format: Format, record: &RunRecord) -> String {
    let mut out = Vec::new();
    render(format, record, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A case that passes, and a control of it that came to this.
fn passed_beside(control: Verdict) -> RunRecord {
    let mut made = Made::run(2);
    made.good("first", 1);
    made.case("first", "log-or-die", 1).steady(Verdict::Pass).case_end(control, &["why"]);
    made.end(control);
    made.record()
}

#[test]
fn a_pass_that_nothing_gives_worth_to_is_inconclusive_in_every_count() {
    let record = passed_beside(Verdict::Inconclusive);
    let counts = "1 case: 0 passed, 0 failed, 1 inconclusive, 0 skipped; 0 of 1 control caught";
    for (format, wanted) in [
        (Format::Human, counts),
        (Format::Human, "full: 2 files stay open · control `log-or-die` was not caught"),
        (Format::Markdown, counts),
        (Format::Html, counts),
        (Format::Html, "data-case=\"first\" data-verdict=\"inconclusive\""),
        (Format::Openmetrics, "keelhaul_cases{verdict=\"pass\"} 0"),
        (Format::Openmetrics, "keelhaul_cases{verdict=\"inconclusive\"} 1"),
        (Format::Json, "\"inconclusive\": 1"),
    ] {
        let text = rendered(format, &record);
        assert!(text.contains(wanted), "{wanted} in\n{text}");
    }
    assert!(!rendered(Format::Human, &record).contains("PASS"));
}

#[test]
fn a_control_that_was_caught_or_skipped_takes_nothing_away() {
    for control in [Verdict::Pass, Verdict::Skipped] {
        let text = rendered(Format::Human, &passed_beside(control));
        assert!(text.contains("PASS") && text.contains("1 case: 1 passed, 0 failed"), "{text}");
        let caught = match control {
            Verdict::Pass => "; 1 of 1 control caught",
            _ => "; 0 of 0 controls caught (1 skipped)",
        };
        assert!(text.contains(caught), "{text}");
        assert_eq!(text.contains("(1 skipped)"), control == Verdict::Skipped, "{text}");
    }
}

#[test]
fn scenarios_without_a_control_are_named_where_they_pass() {
    let mut made = Made::run(3);
    made.good("b", 1).good("a[volume=ext4]", 1);
    made.bad("failed", "", 1).case_end(Verdict::Fail, &["no"]).end(Verdict::Fail);
    let before = made.record();
    let after = made.that_shows_nothing().record();
    let note = "nothing shows that 2 scenarios can fail, for want of a control: ";
    for (format, names) in [
        (Format::Human, "`a`, `b`\n"),
        (Format::Markdown, "\\`a\\`, \\`b\\`\n"),
        (Format::Html, "`a`, `b`</p>"),
    ] {
        let text = rendered(format, &after);
        assert!(text.contains(&format!("{note}{names}")), "{text}");
        // a run of an older keelhaul did not record how many there are
        assert!(!rendered(format, &before).contains(note));
    }
}

#[test]
fn a_recovery_of_which_nothing_was_seen_is_no_measurement() {
    let mut made = Made::run(1);
    made.good("idle", 1).end(Verdict::Pass);
    let record = made.that_shows_nothing().record();
    for format in [Format::Human, Format::Markdown, Format::Html] {
        let text = rendered(format, &record);
        assert!(text.contains("none seen: steady at the first look"), "{text}");
        assert!(!text.contains("1.200s of 5.000s"), "{text}");
    }
    assert!(rendered(Format::Json, &record).contains("\"recovery_us\": 1200000"));
}
