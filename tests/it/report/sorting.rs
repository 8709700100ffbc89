//! The list of cases, sorted in a real browser by the names of its columns.

use std::collections::BTreeMap;

use keelhaul::{report::html, run::RunRecord};
use serde_json::{Value, json};

use super::{chromium::Chromium, made::Made};

/// The cases of the list as they stand, and those among them that are no controls.
const ALL: &str = "[...document.querySelectorAll('tr[data-case]')].map((one) => one.dataset.case)";
const CASES: &str =
    "[...document.querySelectorAll('tr[data-control=no]')].map((one) => one.dataset.case)";
const VERDICTS: &str =
    "[...document.querySelectorAll('tr[data-control=no]')].map((one) => one.dataset.verdict)";

fn page(record: &RunRecord) -> String {
    let mut out = Vec::new();
    html::write(record, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn texts(browser: &mut Chromium, expression: &str) -> Vec<String> {
    serde_json::from_value(browser.eval(expression)).unwrap()
}

fn button(column: usize) -> String {
    format!("table.cases th:nth-child({column}) button")
}

fn opened(record: &RunRecord, why: &str) -> Option<Chromium> {
    let mut browser = Chromium::start(why)?;
    browser.show(1280, "screen", "light");
    browser.open(&page(record));
    Some(browser)
}

/// A case is followed by its controls, wherever it goes.
fn assert_together(all: &[String]) {
    let at = |name: &str| all.iter().position(|one| one == name).unwrap();
    for (case, control) in
        [("inode-exhaustion[volume=ext4]", "@no-retention"), ("no-ext4", "@too-good")]
    {
        assert_eq!(at(&format!("{case}{control}")), at(case) + 1, "{all:?}");
    }
}

#[test]
fn a_click_sorts_by_a_column_another_turns_it_and_a_third_ends_it() {
    let record = Made::everything().record();
    let Some(mut browser) = opened(&record, "a click sorts") else { return };
    let own = texts(&mut browser, ALL);
    let mut names = texts(&mut browser, CASES);
    names.sort_unstable();
    browser.click(&button(2));
    browser.becomes(CASES, json!(names));
    assert_together(&texts(&mut browser, ALL));
    browser.click(&button(2));
    names.reverse();
    browser.becomes(CASES, json!(names));
    assert_together(&texts(&mut browser, ALL));
    let said = "[...document.querySelectorAll('th')].map((one) => one.getAttribute('aria-sort')).filter(Boolean)";
    assert_eq!(browser.eval(said), json!(["descending"]));
    browser.click(&button(2));
    browser.becomes(ALL, json!(own));
    assert_eq!(browser.eval(said), json!([]));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn verdicts_are_sorted_by_their_weight_and_times_by_their_length() {
    let record = Made::everything().record();
    let Some(mut browser) = opened(&record, "what is sorted by") else { return };
    let weight = |word: &String| {
        ["pass", "skipped", "inconclusive", "error", "fail"].iter().position(|one| one == word)
    };
    browser.click(&button(1));
    let worst_first = texts(&mut browser, VERDICTS);
    assert!(
        worst_first.is_sorted_by_key(|word| std::cmp::Reverse(weight(word))),
        "{worst_first:?}"
    );
    browser.click(&button(1));
    let best_first = texts(&mut browser, VERDICTS);
    assert!(best_first.is_sorted_by_key(weight) && best_first != worst_first, "{best_first:?}");

    let took = |case: &keelhaul::run::CaseRecord| case.ended_us.unwrap() - case.started_us;
    // of a case that was tried again the last time counts
    let took: BTreeMap<_, _> =
        record.cases.iter().map(|case| (case.start.case.clone(), took(case))).collect();
    browser.click(&button(3));
    let longest = texts(&mut browser, CASES);
    assert!(longest.is_sorted_by_key(|name| std::cmp::Reverse(took[name])), "{longest:?} {took:?}");

    // what never came is longer than any, and what was not measured is no number
    let recovery = "[...document.querySelectorAll('tr[data-control=no] td:nth-child(4)')].map((one) => one.textContent.split(' ')[0])";
    browser.click(&button(4));
    assert_eq!(browser.eval(recovery), json!(["never", "1.200s", "1.200s", "", "", ""]));
    browser.click(&button(4));
    assert_eq!(browser.eval(recovery), json!(["1.200s", "1.200s", "never", "", "", ""]));
}

#[test]
fn the_keyboard_sorts_and_what_is_filtered_away_stays_away() {
    let record = Made::everything().record();
    let Some(mut browser) = opened(&record, "the keyboard sorts") else { return };
    browser.click("[name=verdict][value=pass]");
    let hidden = "[...document.querySelectorAll('tr[data-case][hidden]')].map((one) => one.dataset.case).sort()";
    let away = texts(&mut browser, hidden);
    assert!(!away.is_empty());
    let own = browser.eval(CASES);
    browser.eval(&format!("document.querySelector({:?}).focus()", button(2)));
    browser.press("Enter", "\r");
    let mut names = texts(&mut browser, CASES);
    assert!(names.is_sorted() && own != json!(names), "{names:?}");
    browser.press("Enter", "\r");
    names.reverse();
    browser.becomes(CASES, json!(names));
    assert_eq!(texts(&mut browser, hidden), away);
    // on paper the list stands as it was sorted, and shows no more than which column by
    browser.show(1280, "print", "light");
    let marks = "[...document.querySelectorAll('table.cases th button')].filter((one) => getComputedStyle(one, '::after').display !== 'none').length";
    assert_eq!(browser.eval(marks), 1);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_phone_has_the_columns_to_sort_by_and_a_page_without_scripts_has_none() {
    let record = Made::everything().record();
    let Some(mut browser) = opened(&record, "sorting on a phone") else { return };
    browser.show(390, "screen", "light");
    let seen = "[...document.querySelectorAll('table.cases th')].filter((one) => one.checkVisibility()).length";
    assert_eq!(browser.eval(seen), 4);
    assert_eq!(browser.eval("document.documentElement.scrollWidth"), 390);
    browser.ask("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    browser.open(&page(&record));
    let buttons = "document.querySelectorAll('table.cases button').length";
    assert_eq!(browser.eval(buttons), Value::from(0));
    assert_eq!(browser.eval(seen), 0, "names of columns that are no use");
    browser.show(1280, "screen", "light");
    assert_eq!(browser.eval(seen), 5, "as they were written");
}
