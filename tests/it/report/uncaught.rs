//! A scenario whose control was not caught: its pass is counted as none, wherever there are counts.

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
        (Format::Human, "1 of 1 fault proven · control `log-or-die` was not caught"),
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
    }
}
