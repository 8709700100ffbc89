//! The page for people in a real browser: it opens without a complaint and asks for nothing, its
//! filters filter, and it fits a phone, paper and the dark.
//!
//! Where there is no Chromium each test says by its name that it was skipped; it fails instead where
//! `KEELHAUL_BROWSER=required`.

use std::{fs::File, io::BufReader};

use keelhaul::{report::html, run::RunRecord, verdict::Verdict};
use serde_json::{Value, json};

use super::{chromium::Chromium, made::Made};

fn page(record: &RunRecord) -> String {
    let mut out = Vec::new();
    html::write(record, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A real run: the one whose reports are kept.
fn kept() -> RunRecord {
    let events = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/sample/events.jsonl");
    RunRecord::read(BufReader::new(File::open(events).unwrap()))
}

/// How many cases there are in the list, and how many of them are shown, there and below.
const SHOWN: &str = "['tr[data-case]', 'tr[data-case]:not([hidden])', 'details.case:not([hidden])']\
                     .map((what) => document.querySelectorAll(what).length)";

fn shown(browser: &mut Chromium) -> Vec<u64> {
    serde_json::from_value(browser.eval(SHOWN)).unwrap()
}

fn colour(browser: &mut Chromium, of: &str) -> String {
    let style = format!("getComputedStyle(document.body).{of}");
    browser.eval(&style).as_str().unwrap().to_owned()
}

/// Elements whose text goes beyond the screen, where nothing of theirs scrolls.
const BEYOND: &str = "[...document.querySelectorAll('body *')].filter((one) => !one.closest('.scroll, svg, pre') \
                      && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 200))";

#[test]
fn it_opens_without_a_complaint_and_asks_for_nothing() {
    let Some(mut browser) = Chromium::start("the page asks for nothing") else { return };
    for record in [kept(), Made::everything().record(), Made::run(3).record()] {
        browser.open(&page(&record));
        browser.eval("document.querySelectorAll('details').forEach((one) => { one.open = true })");
        assert_eq!(browser.complaints(), Vec::<String>::new());
        assert_eq!(browser.requests(), Vec::<String>::new());
    }
    // and what would be wrong is seen
    let more = "<img src=\"https://example.com/x.png\"><script>not.there()</script></body>";
    browser.open(&page(&Made::everything().record()).replace("</body>", more));
    let said = browser.complaints().join("\n");
    assert!(
        said.contains("Content Security Policy") && said.contains("not is not defined"),
        "{said}"
    );
}

#[test]
fn its_filters_filter() {
    let Some(mut browser) = Chromium::start("filters filter") else { return };
    browser.show(1280, "screen", "light");
    browser.open(&page(&Made::everything().record()));
    let all = shown(&mut browser)[0];
    assert!(all > 5, "{all}");
    assert_eq!(shown(&mut browser), [all, all, all]);

    let passed = "document.querySelectorAll('tr[data-case][data-verdict=pass]').length";
    let passed = browser.eval(passed).as_u64().unwrap();
    assert!(passed > 0 && passed < all, "{passed}");
    browser.click("[name=verdict][value=pass]");
    browser.becomes(SHOWN, json!([all, all - passed, all - passed]));
    browser.click("[name=verdict][value=pass]");
    browser.becomes(SHOWN, json!([all, all, all]));
    browser.click("[name=controls]");
    browser.becomes(SHOWN, json!([all, all - 2, all - 2]));
    browser.click("[name=controls]");
    browser.becomes(SHOWN, json!([all, all, all]));
    browser.click("[name=text]");
    browser.write("disk-");
    browser.becomes(SHOWN, json!([all, 1, 1]));
    browser.becomes(
        "document.querySelector('output').value",
        format!("1 of {} cases, 0 of 2 controls shown", all - 2),
    );
    browser.write("no such");
    browser.becomes(SHOWN, json!([all, 0, 0]));
    let visible = "document.getElementById('empty').checkVisibility()";
    assert_eq!(browser.eval(visible), Value::Bool(true), "it says that none fits");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn its_cases_open_by_heading_by_link_and_by_button() {
    let Some(mut browser) = Chromium::start("cases open") else { return };
    browser.show(1280, "screen", "light");
    browser.open(&page(&Made::everything().record()));
    browser.click("[name=text]");
    browser.write("disk-full");
    browser.becomes(&format!("({SHOWN})[1]"), 1);
    let open = "[...document.querySelectorAll('details.case')].filter((one) => one.open && one.checkVisibility()).length";
    browser.click("[name=fold]");
    browser.becomes(open, 0);
    browser.click("details.case:not([hidden]) > summary");
    browser.becomes(open, 1);
    let drawn =
        "document.querySelector('details.case[open] svg').getBoundingClientRect().height > 100";
    assert_eq!(browser.eval(drawn), Value::Bool(true), "its timeline is there");
    browser.click("[name=fold]");
    browser.becomes(open, 0);
    browser.click("tr[data-case]:not([hidden]) a");
    browser.becomes(open, 1);
    browser.click("[name=fold]");
    browser.becomes(open, 0);
    browser.click("[name=unfold]");
    browser.becomes(open, 1);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn it_fits_a_phone_and_the_dark() {
    let Some(mut browser) = Chromium::start("a phone and the dark") else { return };
    let mut long = Made::everything();
    let name = "a-name-without-any-place-to-break".repeat(8);
    long.bad(&name, "", 1).log(&name).case_end(Verdict::Fail, &[&name]);
    for record in [kept(), long.record()] {
        browser.show(390, "screen", "light");
        browser.open(&page(&record));
        browser.eval("document.querySelectorAll('details').forEach((one) => { one.open = true })");
        let widths = browser.eval("[document.documentElement.scrollWidth, innerWidth]");
        assert_eq!(widths, json!([390, 390]), "{}", browser.eval(BEYOND));
        assert_eq!(browser.eval(BEYOND), json!([]));
        let small = "[...document.querySelectorAll('svg.timeline text, svg.timeline div')]\
                     .filter((one) => parseFloat(getComputedStyle(one).fontSize) < 11).length";
        assert_eq!(browser.eval(small), 0, "text that nobody can read");
    }
    let light = [colour(&mut browser, "color"), colour(&mut browser, "backgroundColor")];
    browser.show(1280, "screen", "dark");
    let dark = [colour(&mut browser, "color"), colour(&mut browser, "backgroundColor")];
    assert!(light[0] != dark[0] && light[1] != dark[1], "{light:?} {dark:?}");
    // paper is white, whatever the screen is
    browser.show(1280, "print", "dark");
    assert_eq!(colour(&mut browser, "backgroundColor"), "rgb(255, 255, 255)");
}

#[test]
fn on_paper_is_what_was_folded_and_the_screen_is_left_as_it_was() {
    let Some(mut browser) = Chromium::start("what is folded is on paper") else { return };
    browser.show(1280, "screen", "light");
    browser.open(&page(&Made::everything().record()));
    browser.eval(
        "var atPrint; addEventListener('beforeprint', () => { atPrint = \
         [document.querySelectorAll('details:not([open])').length, document.querySelectorAll('details').length] }); 0",
    );
    let folded = "document.querySelectorAll('details:not([open])').length";
    let before = browser.eval(folded);
    assert!(before.as_u64() > Some(5), "{before}");
    let paper = browser.ask("Page.printToPDF", &json!({ "printBackground": true }));
    assert!(paper["data"].as_str().unwrap().len() > 20_000);
    let at_print = browser.eval("atPrint");
    assert!(at_print[0] == 0 && at_print[1].as_u64() > Some(5), "{at_print}");
    assert_eq!(browser.eval(folded), before);
    // and where no script runs, by the style alone
    browser.show(1280, "print", "light");
    let hidden = "[...document.querySelectorAll('details.case h3')].filter((one) => !one.checkVisibility()).length";
    assert_eq!(browser.eval(hidden), 0);
    assert_eq!(
        browser.eval("document.querySelector('form').checkVisibility()"),
        Value::Bool(false)
    );
}

#[test]
fn hostile_bytes_stay_text() {
    let Some(mut browser) = Chromium::start("hostile bytes stay text") else { return };
    let hostile = "</script></style></title></svg><script>window.struck = 1</script><img src=x onerror='window.struck = 1'>\
                   \" onload=\"window.struck = 1\" <svg onload='window.struck = 1'> \u{202e}\x1b[31m\0";
    let mut made = Made::run(1);
    made.bad(hostile, "", 1).log(hostile).case_end(Verdict::Fail, &[hostile]).end(Verdict::Fail);
    browser.show(390, "screen", "light");
    browser.open(&page(&made.record()));
    browser.eval("document.querySelectorAll('details').forEach((one) => { one.open = true })");
    assert_eq!(browser.eval("window.struck === undefined"), Value::Bool(true));
    assert_eq!(browser.eval("document.images.length + document.scripts.length"), 1, "our script");
    assert!(
        browser.eval("document.body.innerText").as_str().unwrap().contains("<img src=x onerror=")
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
    assert_eq!(browser.requests(), Vec::<String>::new());
    assert_eq!(browser.eval("document.documentElement.scrollWidth"), 390);
}

/// A real run as often as it takes to have this many cases.
fn many(cases: usize) -> RunRecord {
    let kept = kept();
    let mut record = kept.clone();
    record.cases.clear();
    for (index, case) in kept.cases.iter().cycle().take(cases).enumerate() {
        let mut case = case.clone();
        let round = index / kept.cases.len();
        case.start.suite = format!("{}[round={round}]", case.start.suite);
        case.start.case = format!("{}[round={round}]", case.start.case);
        record.cases.push(case);
    }
    record
}

#[test]
fn five_hundred_cases_open_and_are_filtered() {
    let Some(mut browser) = Chromium::start("five hundred cases") else { return };
    let record = many(500);
    let page = page(&record);
    assert!(page.len() < 20_000_000, "{}", page.len());
    browser.show(1280, "screen", "light");
    browser.open(&page);
    assert_eq!(shown(&mut browser)[0], 500);
    browser.click("[name=text]");
    browser.write("round=7]");
    let fits = record.cases.iter().filter(|case| case.start.case.ends_with("round=7]")).count();
    assert!(fits > 0 && fits < 20, "{fits}");
    browser.becomes(SHOWN, json!([500, fits, fits]));
    browser.click("[name=unfold]");
    let open = "document.querySelectorAll('details.case[open]:not([hidden])').length";
    browser.becomes(open, fits);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
