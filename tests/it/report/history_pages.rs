//! The history as pages, and the earlier runs in the page of one.

use keelhaul::{
    history::History,
    report::html,
    run::{Earlier, Event, RunRecord},
    verdict::Verdict,
};

use super::{
    chromium::Chromium,
    history::{Place, has},
    made::Made,
};

fn page(record: &RunRecord) -> String {
    let mut out = Vec::new();
    html::write(record, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_page_draws_the_recoveries_of_earlier_runs_and_nothing_without_them() {
    let place = Place::new();
    place.six();
    let mut made = Made::run(1);
    made.case("slower", "", 1).recovered(Some(1_500_000)).case_end(Verdict::Pass, &[]);
    let record = made.record();
    assert!(!page(&record).contains("class=\"spark\""));
    let events = History::open(&place.file()).unwrap().remembered(&record).unwrap();
    for event in events {
        made.push(event);
    }
    let page = page(&made.end(Verdict::Pass).record());
    assert_eq!(page.matches("class=\"spark\"").count(), 2, "in the list and in the case");
    assert_eq!(page.matches("came\" cx=").count(), 2 * 6, "five earlier ones and this");
    assert_eq!(page.matches("never\" cx=").count(), 2);
    has(&page, &["run3 (2026-01-02T03:00:00Z): never", "this run: 1.500s"]);
    let table = page.split("<h3>Recovery times over the last runs</h3>").nth(1).unwrap();
    let cells: Vec<&str> = table.split("<td>").skip(2).take(5).collect();
    has(cells[0], &["1.500s of 5.000s"]);
    has(cells[1], &["6, never in 1"]);
    // of 1.0, 1.0, 1.1, 2.0 and 2.2 s
    assert_eq!(cells[2..], ["1.100s</td>", "2.200s</td>", "+36 %</td>"]);
}

#[test]
fn the_history_and_a_comparison_are_pages() {
    let place = Place::new();
    place.six();
    let ran = place.history(&["--format", "html", "--trend", "3"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let parts =
        ["6 runs from", "Does not pass now", "run5 (", "Flaky", "half within", "never came in 1"];
    has(&ran.stdout, &parts);
    let (_, listed) = ran.stdout.split_once("Runs, newest first").expect("a table of runs");
    let rows: Vec<&str> = listed.split("<tr><td>").skip(1).collect();
    let ids: Vec<&str> = rows.iter().filter_map(|row| row.split_whitespace().next()).collect();
    assert_eq!(ids, ["run6", "run5", "run4", "run3", "run2", "run1"], "{listed}");
    has(rows[2], &["2026-01-02T04:00:00Z, commit c0ffee04", ">pass<", "2 of 2 cases passed"]);
    assert_eq!(ran.stdout.matches("class=\"spark\"").count(), 1, "of `slower`");
    assert_eq!(ran.stdout.matches("came\" cx=").count(), 5);
    assert_eq!(ran.stdout.matches("never\" cx=").count(), 1);
    let ran = place.history(&["compare", "run4", "latest", "--format", "html"]);
    has(&ran.stdout, &["run4 → run6", "2 cases in both", "Came to something else", "+120 %"]);
    let ran = place.history(&["compare", "run1", "run2", "--format", "html"]);
    has(&ran.stdout, &["and nothing changed"]);
    let ran = place.history(&["--since", "2026-02-02", "--format", "html"]);
    has(&ran.stdout, &["No run fits."]);
}

#[test]
fn the_pages_of_the_history_open_in_a_browser() {
    let Some(mut browser) = Chromium::start("the pages of the history") else { return };
    let place = Place::new();
    place.six();
    for args in [&["--format", "html"][..], &["compare", "run4", "run6", "--format", "html"]] {
        browser.show(390, "screen", "light");
        browser.open(&place.history(args).stdout);
        assert_eq!(browser.complaints(), Vec::<String>::new());
        assert_eq!(browser.requests(), Vec::<String>::new());
        assert_eq!(browser.eval("document.documentElement.scrollWidth"), 390);
    }
    browser.open(&place.history(&["--format", "html"]).stdout);
    browser.click("[name=text]");
    browser.write("slow");
    let rows = "[...document.querySelectorAll('tbody[data-case] tr')].filter((row) => row.checkVisibility()).length";
    // its name, its cases, its recovery
    browser.becomes(rows, 3);
}

#[test]
fn a_name_in_the_history_is_text_in_the_page() {
    let earlier = vec![Earlier {
        run: "</svg><script>alert(1)</script>".into(),
        started: "\" onload=\"x".into(),
        recovery_us: Some(u64::MAX),
    }];
    let mut made = Made::run(1);
    made.case("c", "", 1).recovered(Some(0)).case_end(Verdict::Pass, &[]);
    made.push(Event::Remembered { case: "c".into(), assertion: "recover".into(), earlier });
    let page = page(&made.end(Verdict::Pass).record());
    assert_eq!(page.matches("<script>").count(), 1, "ours");
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
}
