//! The CI page: what it shows, what it escapes, and that it stays small.

use keelhaul::{report::markdown, run::RunRecord, verdict::Verdict};

use super::made::Made;

fn page(record: &RunRecord) -> String {
    let mut out = Vec::new();
    markdown::write(record, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn every_ending_at_once() {
    insta::assert_snapshot!(page(&Made::everything().record()));
}

#[test]
fn hostile_text_is_text() {
    let mut made = Made::run(1);
    made.bad("a|b<script>", "", 1)
        .log("```\n# heading\n````\n\x1b[31m")
        .case_end(Verdict::Fail, &["| `x` <img src=x> **bold** [link](http://x)\n| --- |"])
        .end(Verdict::Fail);
    let page = page(&made.record());
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| fail")).collect();
    assert_eq!(rows.len(), 1, "{page}");
    let borders = rows[0].matches('|').count() - rows[0].matches("\\|").count();
    assert_eq!(borders, 8, "{}", rows[0]);
    // inside a code block it is text already
    let (before, _) = page.split_once("```").unwrap();
    assert!(!before.contains("<script") && !before.contains("<img"), "{page}");
    assert!(page.contains("\n`````text\n"), "the fence must be longer than any inside: {page}");
    assert!(!page.contains('\x1b'));
}

#[test]
fn notes_are_shown_of_every_case_and_no_line_runs_again_what_was_done_by_hand() {
    let mut made = Made::run(1);
    made.bad("by-hand", "", 1).case_end(Verdict::Fail, &["no"]).end(Verdict::Fail);
    let mut record = made.record();
    assert!(page(&record).contains("Run it again"));
    record.cases[0].start.again.clear();
    record.cases[0].notes = vec![format!("users see <503>{}, all of them", " again".repeat(120))];
    record.cases[0].notes_us = vec![record.cases[0].started_us + 28_004_000];
    let page = page(&record);
    assert!(page.contains("**note**: by-hand: +28.004s users see &lt;503&gt; again"), "{page}");
    assert!(page.contains("again, all of them\n"), "what somebody wrote is whole: {page}");
    assert!(!page.contains("Run it again"), "{page}");
}

#[test]
fn a_long_run_fits_and_shows_its_failures() {
    let mut made = Made::run(500);
    for index in 0..499 {
        made.bad(&format!("scenario-{index}"), "", 1)
            .log(&"x".repeat(10_000))
            .case_end(Verdict::Error, &[&"y".repeat(5000)]);
    }
    made.bad("the-last", "", 1).case_end(Verdict::Fail, &["no"]).end(Verdict::Fail);
    let page = page(&made.record());
    assert!(page.len() <= 60_000, "{}", page.len());
    assert!(page.contains("| fail | the-last |"), "the worst comes first");
    assert!(page.contains("more"), "what is left out is counted");
}
